/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call.c - one blocking request to fabricd, with a deadline. See framing.h.
 *
 * The socket is non-blocking throughout; poll() is the only place that waits,
 * so a fabricd that is stopped, or half an answer, costs FABRIC_CALL_MS at most.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "proto/framing.h"

#define QUEUE_FULL_MS 10 /* between two tries to connect */

struct call {
	const char *path;
	int fd;
	int64_t deadline_ms;
	struct daxfs_error *err;
};

static int fail_timeout(const struct call *c)
{
	return daxfs_error_set(
		c->err, -ETIMEDOUT,
		"fabricd at %s did not answer in %d ms: is it stopped? (--direct reads the pool without it)", c->path,
		FABRIC_CALL_MS);
}

static int await(const struct call *c, short events)
{
	struct pollfd pfd = { .fd = c->fd, .events = events };
	int64_t left = c->deadline_ms - clock_ms();
	int n;

	if (left <= 0)
		return fail_timeout(c);
	n = poll(&pfd, 1, (int)left);
	if (n < 0 && errno != EINTR)
		return daxfs_error_set(c->err, -errno, "waiting for fabricd at %s: %s", c->path, strerror(errno));
	return 0; /* a timeout is noticed on the next call */
}

static int fail_connect(const struct call *c, int error)
{
	const char *hint = "";

	if (error == ENOENT || error == ECONNREFUSED)
		hint = ": is it running? (--direct reads the pool without it)";
	else if (error == EACCES)
		hint = ": run as root";
	return daxfs_error_set(c->err, -error, "no fabricd at %s: %s%s", c->path, strerror(error), hint);
}

/* On a unix socket EAGAIN means that the listener's queue is full. */
static int connect_by(struct call *c)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (strlen(c->path) >= sizeof(address.sun_path))
		return daxfs_error_set(c->err, -ENAMETOOLONG, "socket path is longer than %zu bytes: %.80s...",
				       sizeof(address.sun_path) - 1, c->path);
	strcpy(address.sun_path, c->path);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd < 0)
		return daxfs_error_set(c->err, -errno, "socket: %s", strerror(errno));
	while (connect(c->fd, (const struct sockaddr *)&address, sizeof(address))) {
		if (errno != EAGAIN && errno != EINTR)
			return fail_connect(c, errno);
		if (clock_ms() >= c->deadline_ms)
			return fail_timeout(c);
		clock_nap_ms(QUEUE_FULL_MS);
	}
	return 0;
}

static int send_all(const struct call *c, const uint8_t *bytes, size_t len)
{
	while (len) {
		ssize_t n = send(c->fd, bytes, len, MSG_NOSIGNAL);
		int rc;

		if (n >= 0) {
			bytes += n;
			len -= (size_t)n;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return daxfs_error_set(c->err, -errno, "sending to fabricd at %s: %s", c->path,
					       strerror(errno));
		rc = await(c, POLLOUT);
		if (rc)
			return rc;
	}
	return 0;
}

static int fail_answer(const struct call *c, const char *what)
{
	return daxfs_error_set(c->err, -EPROTO, "fabricd at %s %s: is it of another version?", c->path, what);
}

static int receive(const struct call *c, struct fabric_decoder *d)
{
	uint8_t bytes[4096];
	size_t used;

	while (!fabric_decoder_ready(d)) {
		ssize_t n = recv(c->fd, bytes, sizeof(bytes), 0);
		int rc = 0;

		if (n == 0)
			return fail_answer(c, "closed the connection without an answer");
		if (n > 0)
			rc = fabric_decoder_feed(d, bytes, (size_t)n, &used);
		else if (errno == EAGAIN || errno == EINTR)
			rc = await(c, POLLIN);
		else
			return daxfs_error_set(c->err, -errno, "reading from fabricd at %s: %s", c->path,
					       strerror(errno));
		if (rc == -EMSGSIZE)
			return fail_answer(c, "sent an answer that is too long");
		if (rc)
			return rc;
		if (n > 0 && used != (size_t)n)
			return fail_answer(c, "sent more than one answer");
	}
	return 0;
}

static int unpack(const struct call *c, const struct fabric_decoder *d, Fabric__Response **out)
{
	Fabric__Response *response = fabric__response__unpack(NULL, d->body_len, d->body);
	int error;

	if (!response)
		return fail_answer(c, "sent an answer that does not parse");
	error = response->error;
	if (error) {
		daxfs_error_set(c->err, 0, "%s", response->text[0] ? response->text : strerror(error));
		fabric__response__free_unpacked(response, NULL);
		return error > 0 && error < 4096 ? -error : -EPROTO;
	}
	*out = response;
	return 0;
}

int fabric_call(const char *socket_path, const Fabric__Request *request, Fabric__Response **out,
		struct daxfs_error *err)
{
	struct call call = { .path = socket_path, .fd = -1, .deadline_ms = clock_ms() + FABRIC_CALL_MS, .err = err };
	struct fabric_decoder decoder;
	uint8_t *bytes = NULL;
	size_t len;
	int rc = fabric_encode(&request->base, &bytes, &len);

	if (rc)
		return daxfs_error_set(err, rc, "request cannot be encoded: %s", strerror(-rc));
	fabric_decoder_init(&decoder);
	rc = connect_by(&call);
	if (rc == 0)
		rc = send_all(&call, bytes, len);
	if (rc == 0)
		rc = receive(&call, &decoder);
	if (rc == 0)
		rc = unpack(&call, &decoder, out);
	if (call.fd >= 0)
		close(call.fd);
	fabric_decoder_fini(&decoder);
	free(bytes);
	return rc;
}
