/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kill_at.c - kill a host at a moment that chance would seldom hit.
 *
 *	kill_at --pool PATH --cgroups DIR --host N --busy K [--least STATUS] [--seconds N]
 *		kill N when K of its lanes have a record in flight of at least that
 *		status (enum daxfs_status: 1 being prepared, 2 undecided, 3 decided):
 *		stop its agent when it looks so, look again, and kill it or let it go on
 *	kill_at --pool PATH --cgroups DIR --host N --recoverer [--working] [--seconds N]
 *		N is dead or about to die: kill whoever is to recover it, at once or,
 *		with --working, when the first of its lanes or files has been settled
 *
 * Operations take microseconds and a recovery less than a millisecond, so this
 * watches the pool's words without pause (and reads only). To kill host i is to
 * write 1 to DIR/host<i>/cgroup.kill, opened beforehand. When the moment does
 * not come in time, the host is killed all the same, and it says so.
 * Prints "killed host<i> ...". Exit status: 0 killed, 1 nobody to kill, 2 cannot work.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daxfs/member.h"
#include "mem/pool.h"
#include "oplog.h"
#include "sync/word.h"

#define STOP_NS 100000ull

struct kill_at {
	const char *path, *cgroups;
	unsigned host, busy, least;
	bool recoverer, working;
	double seconds;
	struct pool pool;
	struct daxfs_member *member;
	int kill_fd[DAXFS_HOSTS_MAX];
	uint64_t end;
};

static const struct sm_lane *lane_of(const struct kill_at *s, unsigned i)
{
	return &s->pool.lanes[s->host * s->pool.super.lanes_per_host + i];
}

static unsigned in_flight(const struct kill_at *s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->pool.super.lanes_per_host; i++)
		n += status_state(sm_load(&lane_of(s, i)->status)) >= s->least;
	return n;
}

/* How much the dead host has left to settle: lanes and listed open files. */
static unsigned unsettled(const struct kill_at *s)
{
	unsigned opens = s->pool.super.opens_per_host, n = in_flight(s);

	for (unsigned i = 0; i < opens; i++)
		n += sm_load(&s->pool.open_table[(uint64_t)s->host * opens + i]) != 0;
	for (unsigned i = 0; i < s->pool.super.lanes_per_host; i++)
		n += sm_load(&lane_of(s, i)->low) != 0;
	return n;
}

static int shoot(const struct kill_at *s, int host)
{
	if (host < 0 || host >= (int)DAXFS_HOSTS_MAX || s->kill_fd[host] < 0 || write(s->kill_fd[host], "1", 1) != 1) {
		fprintf(stderr, "kill_at: cannot kill host %d\n", host);
		return 2;
	}
	return 0;
}

/*
 * In flight once the agent is stopped. A thread that is not running now executes
 * no more of the program; one that is does so until the interrupt comes, within
 * microseconds.
 */
static unsigned stop_and_look(const struct kill_at *s, pid_t agent)
{
	uint64_t until;

	kill(agent, SIGSTOP);
	for (until = now_ns() + STOP_NS; now_ns() < until;)
		;
	return in_flight(s);
}

static int shoot_busy(struct kill_at *s)
{
	uint64_t begun = now_ns(), now;
	struct daxfs_host_view view;
	unsigned n, enough;
	int rc;

	if (daxfs_member_host(s->member, s->host, &view) || view.pid < 2)
		return 1;
	do { /* as time goes by, less will do */
		n = in_flight(s);
		now = now_ns();
		enough = 1 + (unsigned)((s->busy - 1) * (now < s->end ? s->end - now : 0) / (s->end - begun + 1));
		if (n < enough)
			continue;
		n = stop_and_look(s, (pid_t)view.pid);
		if (n < enough)
			kill((pid_t)view.pid, SIGCONT);
	} while (n < enough && now < s->end);
	rc = shoot(s, (int)s->host);
	if (!rc)
		printf("killed host%u with %u record%s in flight%s\n", s->host, n, n == 1 ? "" : "s",
		       n < enough ? "; no better moment came" : "");
	return rc;
}

static enum daxfs_host_state state_of_target(const struct kill_at *s, int *recoverer)
{
	struct daxfs_host_view view;

	if (daxfs_member_host(s->member, s->host, &view))
		return DAXFS_HOST_FREE;
	*recoverer = view.recoverer;
	return view.state;
}

/* At once: to kill a whole cgroup takes longer than a recovery. */
static void stop(const struct kill_at *s, int host)
{
	struct daxfs_host_view view;

	if (host >= 0 && !daxfs_member_host(s->member, (unsigned)host, &view) && view.pid > 1)
		kill((pid_t)view.pid, SIGSTOP);
}

static int shoot_recoverer(struct kill_at *s)
{
	int recoverer = -1, later, rc;
	unsigned before;

	while (state_of_target(s, &recoverer) != DAXFS_HOST_RECOVERING)
		if (now_ns() > s->end) {
			fprintf(stderr, "kill_at: nobody recovered host %u within %.0f s\n", s->host, s->seconds);
			return 1;
		}
	before = unsettled(s);
	while (s->working && unsettled(s) == before && state_of_target(s, &later) == DAXFS_HOST_RECOVERING)
		;
	stop(s, recoverer);
	rc = shoot(s, recoverer);
	if (!rc)
		printf("killed host%d which recovered host%u; %s\n", recoverer, s->host,
		       state_of_target(s, &later) == DAXFS_HOST_RECOVERING ? "still RECOVERING" : "it was done");
	return rc;
}

static int parse(int argc, char **argv, struct kill_at *s)
{
	static const struct option options[] = {
		{ "pool", required_argument, NULL, 'p' },
		{ "host", required_argument, NULL, 'h' },
		{ "cgroups", required_argument, NULL, 'c' },
		{ "seconds", required_argument, NULL, 's' },
		{ "busy", required_argument, NULL, 'b' },
		{ "least", required_argument, NULL, 'l' },
		{ "recoverer", no_argument, NULL, 'r' },
		{ "working", no_argument, NULL, 'w' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'p': s->path = optarg; break;
		case 'h': s->host = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'c': s->cgroups = optarg; break;
		case 's': s->seconds = strtod(optarg, NULL); break;
		case 'b': s->busy = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'l': s->least = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'r': s->recoverer = true; break;
		case 'w': s->working = true; break;
		default: return -EINVAL;
		}
	}
	return s->path && s->cgroups && optind == argc && s->recoverer == !s->busy ? 0 : -EINVAL;
}

static int aim(struct kill_at *s)
{
	struct daxfs_error err;
	char path[4096];

	for (unsigned i = 0; i < DAXFS_HOSTS_MAX; i++) {
		snprintf(path, sizeof(path), "%s/host%u/cgroup.kill", s->cgroups, i);
		s->kill_fd[i] = open(path, O_WRONLY | O_CLOEXEC);
	}
	if (pool_map(s->path, DAXFS_READ_ONLY, &s->pool, &err) || daxfs_member_open(s->path, false, &s->member, &err)) {
		fprintf(stderr, "kill_at: %s\n", err.text);
		return 2;
	}
	if (s->host >= s->pool.super.hosts) {
		fprintf(stderr, "kill_at: the pool has no host %u\n", s->host);
		return 2;
	}
	s->end = now_ns() + (uint64_t)(s->seconds * 1e9);
	return 0;
}

int main(int argc, char **argv)
{
	static struct kill_at s = { .seconds = 15, .least = DAXFS_PREPARE };
	int rc;

	if (parse(argc, argv, &s)) {
		fprintf(stderr, "usage: kill_at --pool PATH --cgroups DIR --host N [--seconds N] "
				"{ --busy K [--least STATUS] | --recoverer [--working] }\n");
		return 2;
	}
	rc = aim(&s);
	return rc ? rc : s.recoverer ? shoot_recoverer(&s) : shoot_busy(&s);
}
