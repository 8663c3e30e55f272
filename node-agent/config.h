/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.h - what the agent was asked to do: a config file, then options.
 */
#ifndef AGENT_CONFIG_H
#define AGENT_CONFIG_H

#include <limits.h>
#include <stdbool.h>

#include "common/pool_uuid.h"
#include "common/settings.h"
#include "node-agent/backing.h"
#include "node-agent/kernel_cache.h"
#include "node-agent/mount_options.h"

#define CONFIG_THREADS_MAX 1024u
#define CONFIG_JOIN_WAIT_MAX_S 86400u
#define CONFIG_ATTR_TIMEOUT_MAX_S 3600.0

/*
 * A process of another version may read it (estate.c): up to options nothing moves, and what is new comes after
 * them.
 */
struct config {
	char pool[PATH_MAX];
	char mount[PATH_MAX];
	char name[32];               /* of this host; empty: the machine's */
	char machine_file[PATH_MAX]; /* empty: the machine's own */
	char boot_file[PATH_MAX];
	int host;                /* slot; -1: not given */
	unsigned threads;        /* FUSE workers; 0: lanes of the host less two */
	unsigned join_wait_s;    /* how long to wait for the pool's device, and then for the slot to be recovered */
	double attr_timeout_s;   /* how old the kernel's attributes and names may be */
	enum kernel_keeps keeps; /* what the kernel may keep, in a pool with leases */
	struct mount_options options;
	struct backing_config backing[BACKINGS_MAX];
	unsigned n_backings;
	uint64_t dirty_max; /* bytes, of each backing; 0: not said */
	bool realtime;      /* SCHED_FIFO and locked memory for the heartbeat */
	struct pool_uuid pool_uuid;
	/* What is new comes here: another version of this program may read it (estate.c). */
};

/*
 * Read options (and the file that --config names, which they override).
 * -EINVAL with *err otherwise, or the errno of reading the file.
 */
int config_parse(int argc, char **argv, struct config *config, enum settings_action *action, struct daxfs_error *err);
/* One `key = value` line of a config file; comments and blank lines are fine. */
int config_line(struct config *config, const char *line, struct daxfs_error *err);
void config_defaults(struct config *config);
/* Is it one mount that both ask for? The rest can change while that goes on. */
bool config_same_mount(const struct config *a, const struct config *b);
/* The same, by what each version has: a may be of another one, and have its own from backing on. */
bool config_same_place(const struct config *a, const struct config *b);
extern const char config_usage[];

#endif
