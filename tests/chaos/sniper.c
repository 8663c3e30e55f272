/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sniper.c - kill a recoverer while it recovers.
 *
 *	sniper --pool PATH --host N --cgroups DIR [--working] [--seconds N]
 *
 * Watches the host word of N, which is dead or about to die, without pause; the
 * moment a host is to recover it, or with --working the moment that host has
 * settled the first thing, kills that host's cgroup DIR/host<id>. Recovery takes
 * a millisecond or less, so nothing slower would ever hit it. Prints "killed
 * host1 ..." and whether the state was still RECOVERING then.
 * Exit status: 0 shot, 1 nobody recovered in time, 2 cannot work.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daxfs/member.h"
#include "oplog.h"

#define HOSTS 64

struct target {
	const char *pool, *cgroups;
	unsigned host;
	bool working;
	double seconds;
	int kill_fd[HOSTS]; /* of DIR/host<i>/cgroup.kill, open beforehand */
};

static int parse(int argc, char **argv, struct target *t)
{
	static const struct option options[] = {
		{ "pool", required_argument, NULL, 'p' },    { "host", required_argument, NULL, 'h' },
		{ "cgroups", required_argument, NULL, 'c' }, { "seconds", required_argument, NULL, 's' },
		{ "working", no_argument, NULL, 'w' },	     { NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'p': t->pool = optarg; break;
		case 'h': t->host = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'c': t->cgroups = optarg; break;
		case 'w': t->working = true; break;
		case 's': t->seconds = strtod(optarg, NULL); break;
		default: return -EINVAL;
		}
	}
	return t->pool && t->cgroups && optind == argc ? 0 : -EINVAL;
}

static void aim(struct target *t)
{
	char path[4096];

	for (unsigned i = 0; i < HOSTS; i++) {
		snprintf(path, sizeof(path), "%s/host%u/cgroup.kill", t->cgroups, i);
		t->kill_fd[i] = open(path, O_WRONLY | O_CLOEXEC);
	}
}

static int shoot(const struct target *t, struct daxfs_member *m, int recoverer)
{
	struct daxfs_host_view after = { 0 };

	if (recoverer < 0 || recoverer >= (int)HOSTS || t->kill_fd[recoverer] < 0 ||
	    write(t->kill_fd[recoverer], "1", 1) != 1) {
		fprintf(stderr, "sniper: cannot kill host %d\n", recoverer);
		return 2;
	}
	daxfs_member_host(m, t->host, &after);
	printf("killed host%d which recovered host%u; %s\n", recoverer, t->host,
	       after.state == DAXFS_HOST_RECOVERING ? "still RECOVERING" : "it was done already");
	return 0;
}

/* Until something of the dead host is settled or all is. */
static void wait_for_work(const struct target *t, struct daxfs_member *m, struct daxfs *fs)
{
	struct daxfs_inflight first = { 0 }, now;
	struct daxfs_host_view host;

	if (daxfs_inflight(fs, t->host, &first))
		return;
	do {
		if (daxfs_inflight(fs, t->host, &now) || daxfs_member_host(m, t->host, &host))
			return;
	} while (now.records == first.records && now.opens == first.opens && host.state == DAXFS_HOST_RECOVERING);
}

static int watch(const struct target *t, struct daxfs_member *m, struct daxfs *fs)
{
	uint64_t end = now_ns() + (uint64_t)(t->seconds * 1e9);
	struct daxfs_host_view host;

	while (now_ns() < end) {
		if (daxfs_member_host(m, t->host, &host) || host.state != DAXFS_HOST_RECOVERING)
			continue;
		if (t->working)
			wait_for_work(t, m, fs);
		return shoot(t, m, host.recoverer);
	}
	fprintf(stderr, "sniper: nobody recovered host %u within %.0f s\n", t->host, t->seconds);
	return 1;
}

int main(int argc, char **argv)
{
	static struct target t = { .seconds = 15 };
	struct daxfs_member *m;
	struct daxfs *fs;
	struct daxfs_why why;

	if (parse(argc, argv, &t)) {
		fprintf(stderr, "usage: sniper --pool PATH --host N --cgroups DIR [--working] [--seconds N]\n");
		return 2;
	}
	aim(&t);
	if (daxfs_member_open(t.pool, false, &m, &why) || daxfs_open(t.pool, DAXFS_READ_ONLY, &fs, &why)) {
		fprintf(stderr, "sniper: %s\n", why.text);
		return 2;
	}
	return watch(&t, m, fs);
}
