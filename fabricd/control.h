/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control.h - the control socket: a unix stream socket on which requests are
 * answered in order.
 *
 * Root, and the user that fabricd runs as, may ask for anything; members of a group, if it
 * is open to one, are guests: they may look (requests.h). Guests never take the last places.
 *
 * A connection that sends nonsense gets an error response, and is closed where
 * its framing is lost. Each request, with its answer, has TIMING_CLIENT_MS, however
 * slowly it drips; more than CONTROL_CLIENTS_MAX wait. One thread, on the event loop.
 */
#ifndef FABRICD_CONTROL_H
#define FABRICD_CONTROL_H

#include <ev.h>
#include <sys/types.h>

#include "fabricd/monitor.h"

#define CONTROL_CLIENTS_MAX 32u
#define CONTROL_GUESTS_MAX 24u /* one more is closed at once */

struct client;

struct control {
	struct ev_loop *loop;
	struct watch *watch;
	char path[OPTIONS_SOCKET_MAX];
	int fd;
	ev_io accepting;
	struct client *first;
	unsigned clients, guests;
};

/*
 * Listen at path, for a group too unless it is LISTEN_OWNER; a socket file there that
 * nobody listens on is replaced.
 * -EADDRINUSE: somebody listens; -EEXIST: it is no socket.
 */
int control_open(struct control *c, struct ev_loop *loop, struct watch *watch, const char *path, gid_t group,
		 struct daxfs_error *err);
void control_close(struct control *c);
/* Where fabricd listens unless told otherwise; makes the directory. */
int control_default_path(const char *pool_name, char *out, size_t size, struct daxfs_error *err);

#endif
