/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.h - what fabricd was asked to do: a config file, then options.
 */
#ifndef FABRICD_OPTIONS_H
#define FABRICD_OPTIONS_H

#include <limits.h>
#include <stdbool.h>

#include "common/pool_uuid.h"
#include "fabricd/fence_level.h"

#define OPTIONS_SOCKET_MAX 108u /* sizeof(sun_path) */
#define OPTIONS_FENCE_TIMEOUT_MAX_MS 3600000u
#define OPTIONS_BOOT_WAIT_MAX_S 86400u
#define OPTIONS_EXPECTED_MAX 64u

/* What is done to a host that is declared dead. */
enum fence_action {
	FENCE_OFF,    /* off, and so it stays */
	FENCE_CYCLE,  /* off, and on when it is FENCED */
	FENCE_REBOOT, /* what the agent calls reboot: believed without a status */
};

struct options {
	char pool[PATH_MAX];
	struct pool_uuid pool_uuid;
	char socket[OPTIONS_SOCKET_MAX];        /* empty: /run/daxfs/fabricd-<pool name>.sock */
	char group[64];                         /* whose members may ask for status; empty: nobody's */
	struct fence_level fence[FENCE_LEVELS]; /* the first has no agent: only the operator can confirm a death */
	enum fence_action fence_action;
	unsigned fence_monitor_s; /* 0: never */
	unsigned fence_timeout_ms;
	bool expect_backup;  /* a pod without a second fabricd is DEGRADED */
	unsigned n_expected; /* hosts without which it is, too */
	char expected[OPTIONS_EXPECTED_MAX][32];
	unsigned pool_wait_s;        /* how long to wait for the pool's device */
	unsigned boot_wait_s;        /* see invariant 6 of decide.h */
	char machine_file[PATH_MAX]; /* empty: the machine's own */
	char boot_file[PATH_MAX];
	bool realtime;
};

void options_defaults(struct options *options);
/*
 * Read options, and the file that --config names, which they override.
 * -EINVAL with *err otherwise, or the errno of reading the file.
 */
int options_parse(int argc, char **argv, struct options *options, enum settings_action *action,
		  struct daxfs_error *err);
/* One `key = value` line of a config file; comments and blank lines are fine. */
int options_line(struct options *options, const char *line, struct daxfs_error *err);

extern const char options_usage[];

#endif
