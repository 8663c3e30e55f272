/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control.h - the control socket: a unix stream socket that only its owner may
 * use, on which requests are answered in order.
 *
 * A connection that sends nonsense gets an error response, and is closed where
 * its framing is lost; one that sends or takes nothing for TIMING_CLIENT_MS is
 * closed; more than CONTROL_CLIENTS_MAX wait. One thread, on the event loop.
 */
#ifndef FABRICD_CONTROL_H
#define FABRICD_CONTROL_H

#include <ev.h>

#include "fabricd/monitor.h"

#define CONTROL_CLIENTS_MAX 32u

struct client;

struct control {
	struct ev_loop *loop;
	struct watch *watch;
	char path[OPTIONS_SOCKET_MAX];
	int fd;
	ev_io accepting;
	struct client *first;
	unsigned clients;
};

/*
 * Listen at path; a socket file there that nobody listens on is replaced.
 * -EADDRINUSE: somebody listens; -EEXIST: it is no socket.
 */
int control_open(struct control *c, struct ev_loop *loop, struct watch *watch, const char *path,
		 struct daxfs_error *err);
void control_close(struct control *c);
/* Where fabricd listens unless told otherwise; makes the directory. */
int control_default_path(const char *pool_name, char *out, size_t size, struct daxfs_error *err);

#endif
