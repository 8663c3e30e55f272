/* SPDX-License-Identifier: Apache-2.0 */
/*
 * detect.c - from the death of a host to the end of its recovery, with real daemons.
 *
 * A pod runs (bench/pod): fabricd, a survivor in slot 0, and hosts that are there
 * to die, one after the other, each by its cgroup, all processes at one instant. Its host word is
 * read every 50 us, and the time of each state is taken from when the death was asked for.
 */
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "daxfs/member.h"

#define FIRST 1u
#define DEATHS 5u
#define POLL_NS 50000
#define PATIENCE_NS 20000000000ull

static void kill_host(unsigned host)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/host%u/cgroup.kill", bench_args()->cgroup, host);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "1", 1) != 1)
		bench_fail("detect: cannot write %s", path);
	close(fd);
}

/* When each state was first seen, in ms after the death; 0: passed unseen. */
static void one_death(const struct daxfs_member *m, unsigned host, double ms[DAXFS_HOST_STATES])
{
	uint64_t began = now_ns();
	struct daxfs_host_view view;

	kill_host(host);
	do {
		if (daxfs_member_host(m, host, &view) || now_ns() - began > PATIENCE_NS)
			bench_fail("detect: host %u was not recovered", host);
		if (ms[view.state] == 0)
			ms[view.state] = (double)(now_ns() - began) / 1e6;
		nanosleep(&(struct timespec){ .tv_nsec = POLL_NS }, NULL);
	} while (view.state != DAXFS_HOST_RECOVERED && view.state != DAXFS_HOST_FREE);
}

static void report(double ms[DEATHS][DAXFS_HOST_STATES], enum daxfs_host_state state, const char *name)
{
	double seen[DEATHS];
	struct spread spread;
	unsigned n = 0;

	for (unsigned i = 0; i < DEATHS; i++)
		if (ms[i][state] > 0)
			seen[n++] = ms[i][state];
	spread = spread_of(seen, n);
	if (n)
		out_figure(name, spread.median, "ms", &spread);
}

void bench_detect(void)
{
	double ms[DEATHS][DAXFS_HOST_STATES] = { { 0 } };
	struct daxfs_geometry g;
	struct daxfs_member *m;
	struct daxfs_error err;

	if (!bench_args()->pool || !bench_wants("detect"))
		return;
	if (daxfs_member_open(bench_args()->pool, false, &m, &err))
		bench_fail("%s", err.text);
	for (unsigned i = 0; i < DEATHS; i++)
		one_death(m, FIRST + i, ms[i]);
	daxfs_member_geometry(m, &g);
	daxfs_member_close(m);
	out_figure("detect-heartbeat", g.heartbeat_ms, "ms between beats", NULL);
	report(ms, DAXFS_HOST_SUSPECT, "detect-to-suspect");
	report(ms, DAXFS_HOST_FENCING, "detect-to-fencing");
	report(ms, DAXFS_HOST_FENCED, "detect-to-fenced");
	report(ms, DAXFS_HOST_RECOVERED, "detect-to-recovered");
}
