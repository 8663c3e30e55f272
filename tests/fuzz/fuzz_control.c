/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_control.c - any bytes on the control socket, in both directions: as a
 * client's to fabricd, whose answers must be messages, and as fabricd's to
 * daxfsctl, which shows them or says that they are none.
 *
 * First byte: the direction, and in what pieces the rest is sent. The code under
 * test is included, for it takes a connected socket only from within.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "daxfs/daxfs.h"
#include "invariant.h"

#define daxfs_open fuzz_open /* a reply names the pool's path: not one that it may choose */
static int fuzz_open(const char *path, enum daxfs_open_mode mode, struct daxfs **fs, struct daxfs_error *err);
#include "daxfsctl/snapshot.c"
#undef daxfs_open
#include "daxfsctl/event_log.h"
#include "daxfsctl/health.h"
#include "daxfsctl/show.h"
#define receive call_receive
#include "proto/call.c"
#undef receive
#include "fabricd/control.c"

#define POLLS 40u /* until it is primary and has seen who died */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int fuzz_open(const char *path, enum daxfs_open_mode mode, struct daxfs **fs, struct daxfs_error *err)
{
	(void)path;
	return daxfs_open(demand_pool(1), mode, fs, err);
}

/* -- fabricd -------------------------------------------------------------------- */

struct manager {
	struct options options;
	struct agents agents;
	struct watch watch[2], now; /* a backup, a primary; the one in use */
	struct control control;
};

static struct manager *manager_get(void)
{
	static struct manager m;
	struct daxfs_error err;

	if (m.control.loop)
		return &m;
	log_start("fuzz", 0);
	options_defaults(&m.options);
	strcpy(m.options.pool, demand_pool(1));
	m.control = (struct control){ .loop = ev_default_loop(EVFLAG_AUTO), .watch = &m.now };
	agents_init(&m.agents, m.control.loop, &m.options, watch_agent_done, &m.now);
	demand(watch_open(&m.now, &m.options, &m.agents, &err) == 0, "a pool to manage");
	watch_poll(&m.now);
	m.watch[0] = m.now;
	for (unsigned i = 0; i < POLLS; i++)
		watch_poll(&m.now);
	demand(m.now.decide.role == DECIDE_PRIMARY, "a primary");
	m.watch[1] = m.now;
	return &m;
}

/* Take what fabricd answered: each answer is a message. */
static void take_answers(int fd, struct fabric_decoder *d)
{
	uint8_t bytes[4096];
	ssize_t n;

	while ((n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		for (size_t at = 0, used; at < (size_t)n; at += used) {
			Fabric__Response *response;

			demand(fabric_decoder_feed(d, bytes + at, (size_t)n - at, &used) == 0, "framed answers");
			if (!fabric_decoder_ready(d))
				continue;
			response = fabric__response__unpack(NULL, d->body_len, d->body);
			demand(response, "answers that parse");
			fabric__response__free_unpacked(response, NULL);
			fabric_decoder_next(d);
		}
}

static void ask(struct manager *m, const uint8_t *data, size_t size, size_t piece)
{
	struct fabric_decoder answers;
	int fd[2];

	demand(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) == 0, "a socket");
	fabric_decoder_init(&answers);
	add_client(&m->control, fd[0]);
	for (size_t at = 0; at < size; at += piece) {
		if (send(fd[1], data + at, size - at < piece ? size - at : piece, MSG_NOSIGNAL) < 0)
			break; /* it hung up on us */
		ev_run(m->control.loop, EVRUN_NOWAIT);
		take_answers(fd[1], &answers);
	}
	shutdown(fd[1], SHUT_WR);
	for (unsigned i = 0; m->control.clients; i++) {
		demand(i < 10000, "a connection that ends");
		ev_run(m->control.loop, EVRUN_NOWAIT);
		take_answers(fd[1], &answers);
	}
	fabric_decoder_fini(&answers);
	close(fd[1]);
}

/* -- daxfsctl ------------------------------------------------------------------- */

static void show(const struct snapshot *s)
{
	static FILE *out;
	char text[512];

	if (!out)
		out = fopen("/dev/null", "w");
	show_status(out, s);
	show_hosts(out, s);
	show_json(out, s);
	demand(strlen(health_text(s, text, sizeof(text))) < sizeof(text), "a verdict");
}

static void take_events(const Fabric__Response *response)
{
	struct event_log log = { .socket = "fuzz" };
	struct daxfs_error err = { "" };
	uint64_t after = 0;
	static FILE *out;
	struct json j;

	if (!out)
		out = fopen("/dev/null", "w");
	demand_answer(event_log_take(&log, response, &after, &err), 0, "events");
	json_begin(&j, out);
	json_open_array(&j, "events");
	for (unsigned i = 0; i < log.n; i++) {
		event_show(out, &log.event[i]);
		event_json(&j, NULL, &log.event[i]);
	}
	json_finish(&j);
	event_log_close(&log);
}

static void be_answered(const uint8_t *data, size_t size)
{
	struct daxfs_error err = { "" }, none;
	Fabric__Response *response;
	struct fabric_decoder d;
	static struct snapshot s;
	struct call c = { .path = "fuzz", .err = &err };
	int fd[2], rc;

	demand(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) == 0, "a socket");
	demand(!size || send(fd[1], data, size, MSG_NOSIGNAL) == (ssize_t)size, "room for an answer");
	close(fd[1]);
	c.fd = fd[0];
	c.deadline_ms = clock_ms() + FABRIC_CALL_MS;
	fabric_decoder_init(&d);
	rc = call_receive(&c, &d);
	if (rc == 0)
		rc = unpack(&c, &d, &response);
	if (rc == 0) {
		take_events(response);
		rc = from_reply(&s, response, "fuzz", &err);
		fabric__response__free_unpacked(response, NULL);
		if (rc == 0) {
			take_pool(&s, &none);
			show(&s);
		}
	}
	demand_answer(rc, 0, "reply");
	demand(rc == 0 || memchr(err.text, '\0', sizeof(err.text)), "a reason");
	fabric_decoder_fini(&d);
	close(fd[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct manager *m = manager_get();

	if (!size || size > 32768)
		return 0;
	if (data[0] & 1) {
		be_answered(data + 1, size - 1);
		return 0;
	}
	m->now = m->watch[data[0] >> 1 & 1];
	ask(m, data + 1, size - 1, 1 + (data[0] >> 2) * 5);
	return 0;
}
