/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control.c - connections of the control socket. See control.h.
 *
 * A client is in one of two states: reading its next request, or writing the
 * response to the last one. It is not read while it does not take its answer,
 * so one answer is all the memory it can hold.
 */
#include "fabricd/control.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "fabricd/requests.h"
#include "fabricd/unix_listen.h"
#include "fabricd/timing.h"

#define SOCKET_DIR "/run/daxfs"

struct client {
	struct control *control;
	struct client *next;
	int fd;
	ev_io io;
	ev_timer deadline;
	bool guest;
	struct fabric_decoder decoder;
	uint8_t in[4096]; /* received, not yet decoded: in[in_at .. in_len) */
	size_t in_at, in_len;
	uint8_t *out; /* being sent: out[out_at .. out_len) */
	size_t out_at, out_len;
	bool last; /* framing is lost: close after this answer */
};

/* -- a client's life ------------------------------------------------------------ */

static void close_client(struct client *k)
{
	struct control *c = k->control;
	struct client **p = &c->first;

	while (*p != k)
		p = &(*p)->next;
	*p = k->next;
	ev_io_stop(c->loop, &k->io);
	ev_timer_stop(c->loop, &k->deadline);
	close(k->fd);
	fabric_decoder_fini(&k->decoder);
	free(k->out);
	c->guests -= k->guest;
	free(k);
	if (c->clients-- == CONTROL_CLIENTS_MAX)
		ev_io_start(c->loop, &c->accepting);
}

static void want(struct client *k, int events)
{
	struct ev_loop *loop = k->control->loop;

	if (k->io.events == events)
		return;
	ev_io_stop(loop, &k->io);
	ev_io_set(&k->io, k->fd, events);
	ev_io_start(loop, &k->io);
}

static void on_deadline(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop;
	(void)revents;
	close_client(w->data);
}

/* -- requests ------------------------------------------------------------------- */

/* -EPIPE: nothing more to do for this client. */
static int respond(struct client *k, const Fabric__Request *request)
{
	int rc = answer(k->control->watch, request, k->guest, &k->out, &k->out_len);

	k->out_at = 0;
	return rc ? -EPIPE : 0;
}

static int respond_to_message(struct client *k)
{
	Fabric__Request *request = fabric__request__unpack(NULL, k->decoder.body_len, k->decoder.body);
	int rc = respond(k, request);

	if (request)
		fabric__request__free_unpacked(request, NULL);
	fabric_decoder_next(&k->decoder);
	return rc;
}

/* Decode what has been received, up to the end of one message. */
static int decode(struct client *k)
{
	size_t used = 0;
	int rc = fabric_decoder_feed(&k->decoder, k->in + k->in_at, k->in_len - k->in_at, &used);

	if (rc) {
		k->last = true;
		return respond(k, NULL);
	}
	k->in_at += used;
	return fabric_decoder_ready(&k->decoder) ? respond_to_message(k) : 0;
}

static int receive(struct client *k)
{
	ssize_t n = recv(k->fd, k->in, sizeof(k->in), 0);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if (n == 0)
		return -EPIPE;
	k->in_at = 0;
	k->in_len = (size_t)n;
	return 0;
}

static int transmit(struct client *k)
{
	ssize_t n = send(k->fd, k->out + k->out_at, k->out_len - k->out_at, MSG_NOSIGNAL);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	k->out_at += (size_t)n;
	if (k->out_at < k->out_len)
		return 0;
	free(k->out);
	k->out = NULL;
	ev_timer_again(k->control->loop, &k->deadline);
	return k->last ? -EPIPE : 0;
}

/* One step; -EAGAIN: the socket has to be waited for. */
static int step(struct client *k)
{
	if (k->out)
		return transmit(k);
	if (k->in_at < k->in_len)
		return decode(k);
	return receive(k);
}

static void on_client(struct ev_loop *loop, ev_io *w, int revents)
{
	struct client *k = w->data;
	int rc = 0;

	(void)loop;
	(void)revents;
	/* Bounded: a client that pipelines for ever must not hold the polls up. */
	for (unsigned i = 0; rc == 0 && i < 16; i++)
		rc = step(k);
	if (rc && rc != -EAGAIN) {
		close_client(k);
		return;
	}
	want(k, k->out || k->in_at < k->in_len ? EV_WRITE : EV_READ);
}

/* -- accepting -------------------------------------------------------------------- */

/* Whom the kernel cannot name is nobody to take orders from. */
static bool is_guest(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) || (peer.uid != 0 && peer.uid != geteuid());
}

static void add_client(struct control *c, int fd)
{
	bool guest = is_guest(fd);
	struct client *k = guest && c->guests == CONTROL_GUESTS_MAX ? NULL : calloc(1, sizeof(*k));

	if (!k) {
		close(fd);
		return;
	}
	k->guest = guest;
	c->guests += guest;
	k->control = c;
	k->fd = fd;
	fabric_decoder_init(&k->decoder);
	ev_io_init(&k->io, on_client, fd, EV_READ);
	ev_timer_init(&k->deadline, on_deadline, 0., TIMING_CLIENT_MS / 1000.);
	k->io.data = k;
	k->deadline.data = k;
	ev_io_start(c->loop, &k->io);
	ev_timer_again(c->loop, &k->deadline);
	k->next = c->first;
	c->first = k;
	if (++c->clients == CONTROL_CLIENTS_MAX)
		ev_io_stop(c->loop, &c->accepting);
}

static void on_accept(struct ev_loop *loop, ev_io *w, int revents)
{
	struct control *c = w->data;
	int fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)loop;
	(void)revents;
	if (fd >= 0)
		add_client(c, fd);
	else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
		log_warn("control socket %s: %s", c->path, strerror(errno));
}

int control_open(struct control *c, struct ev_loop *loop, struct watch *watch, const char *path, gid_t group,
		 struct daxfs_error *err)
{
	int fd, rc = listen_at(path, group, &fd, err);

	if (rc)
		return rc;
	*c = (struct control){ .loop = loop, .watch = watch, .fd = fd };
	snprintf(c->path, sizeof(c->path), "%s", path);
	ev_io_init(&c->accepting, on_accept, fd, EV_READ);
	c->accepting.data = c;
	ev_io_start(loop, &c->accepting);
	return 0;
}

void control_close(struct control *c)
{
	while (c->first)
		close_client(c->first);
	ev_io_stop(c->loop, &c->accepting);
	unlink(c->path);
	close(c->fd);
}

/* The name comes from the pool: no other directory, no odd letters. */
int control_default_path(const char *pool_name, char *out, size_t size, struct daxfs_error *err)
{
	char name[32];
	size_t len = strnlen(pool_name, sizeof(name) - 1);

	for (size_t i = 0; i < len; i++)
		name[i] = isalnum((unsigned char)pool_name[i]) || strchr("._-", pool_name[i]) ? pool_name[i] : '_';
	name[len] = '\0';
	if (mkdir(SOCKET_DIR, 0755) && errno != EEXIST) {
		int rc = -errno;

		snprintf(err->text, sizeof(err->text), "%s: %s: make it, or give --socket", SOCKET_DIR, strerror(-rc));
		return rc;
	}
	snprintf(out, size, "%s/fabricd-%s.sock", SOCKET_DIR, name);
	return 0;
}
