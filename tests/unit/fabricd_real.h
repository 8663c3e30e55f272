/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fabricd_real.h - a real pool with real hosts for the tests of fabricd: the
 * hosts are joined from this process and beat when told to.
 *
 * The heartbeat is ten seconds, so that polls made one after the other, without
 * waiting, are never late.
 */
#ifndef TESTS_UNIT_FABRICD_REAL_H
#define TESTS_UNIT_FABRICD_REAL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fabricd/sigbus.h"
#include "fabricd/timing.h"
#include "fabricd/monitor.h"

#define REAL_HOSTS 4u

struct real {
	char dir[64], pool[96], agent[96];
	struct ev_loop *loop;
	struct options options;
	struct agents agents;
	struct watch watch;
	struct daxfs *host[REAL_HOSTS];
};

static inline void real_write(const char *path, const char *text, mode_t mode)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static inline void real_start_slots(struct real *r, unsigned slots)
{
	const struct daxfs_mkfs_options mkfs = {
		.struct_size = sizeof(mkfs),
		.name = "testpool",
		.size = 16 << 20,
		.hosts = slots,
		.lanes = 2,
		.heartbeat_ms = 10000,
	};
	struct daxfs_error err = { "" };

	memset(r, 0, sizeof(*r));
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(guard_install(), 0);
	r->loop = ev_default_loop(EVFLAG_AUTO);
	strcpy(r->dir, "/tmp/daxfs-test-XXXXXX");
	assert_non_null(mkdtemp(r->dir));
	snprintf(r->pool, sizeof(r->pool), "%s/pool", r->dir);
	snprintf(r->agent, sizeof(r->agent), "%s/agent", r->dir);
	if (daxfs_mkfs(r->pool, &mkfs, &err))
		fail_msg("%s", err.text);
	real_write(r->agent, "#!/bin/sh\ngrep -q action=status && exit 2\nexit 0\n", 0700);
	options_defaults(&r->options);
	snprintf(r->options.pool, sizeof(r->options.pool), "%s", r->pool);
	snprintf(r->options.fence[0].agent, sizeof(r->options.fence[0].agent), "%s", r->agent);
	agents_init(&r->agents, r->loop, &r->options, watch_agent_done, &r->watch);
	if (watch_open(&r->watch, &r->options, &r->agents, &err))
		fail_msg("%s", err.text);
}

static inline void real_start(struct real *r)
{
	real_start_slots(r, REAL_HOSTS);
}

static inline void real_join(struct real *r, unsigned host)
{
	struct daxfs_error err = { "" };
	char name[16];

	snprintf(name, sizeof(name), "host%u", host);
	if (!r->host[host] && daxfs_open(r->pool, DAXFS_READ_WRITE, &r->host[host], &err))
		fail_msg("%s", err.text);
	if (daxfs_join(r->host[host], host, name, &err))
		fail_msg("%s", err.text);
}

/* Each host in the set beats, then one poll. */
static inline void real_polls(struct real *r, unsigned n, unsigned beating)
{
	while (n--) {
		for (unsigned i = 0; i < REAL_HOSTS; i++)
			if (beating & 1u << i)
				assert_int_equal(daxfs_beat(r->host[i]), 0);
		watch_poll(&r->watch);
	}
}

static inline struct daxfs_host_view real_view(const struct real *r, unsigned host)
{
	struct daxfs_host_view v;

	assert_int_equal(daxfs_member_host(r->watch.member, host, &v), 0);
	return v;
}

static inline void real_tick(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)w;
	(void)revents;
	ev_break(loop, EVBREAK_ALL);
}

/* Let the event loop run until all agents have been reaped. */
static inline void real_agents(struct real *r)
{
	for (unsigned i = 0; r->agents.first; i++) {
		ev_timer tick;

		assert_true(i < 1000);
		ev_timer_init(&tick, real_tick, 0.01, 0.);
		ev_timer_start(r->loop, &tick);
		ev_run(r->loop, 0);
		ev_timer_stop(r->loop, &tick);
	}
}

static inline void real_stop(struct real *r)
{
	agents_fini(&r->agents);
	watch_close(&r->watch);
	for (unsigned i = 0; i < REAL_HOSTS; i++)
		if (r->host[i])
			daxfs_close(r->host[i]);
	unlink(r->agent);
	unlink(r->pool);
	rmdir(r->dir);
}

#endif
