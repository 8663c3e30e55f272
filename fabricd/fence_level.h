/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fence_level.h - one way to cut hosts off: an agent and what it is told.
 *
 * There may be several; the next one is tried when one has failed. A level is set by the keys
 * fence-agent, fence-option, fence-secret and fence-host, of level 2 and 3 with -2 and -3 behind
 * them.
 */
#ifndef FABRICD_FENCE_LEVEL_H
#define FABRICD_FENCE_LEVEL_H

#include <limits.h>
#include <stdbool.h>

#include "common/settings.h"

#define FENCE_LEVELS 3u
#define FENCE_OPTIONS_MAX 12u
#define FENCE_OPTION_BYTES 256u
#define FENCE_SECRETS_MAX 2u
#define FENCE_HOSTS_MAX 64u
#define FENCE_HOST_BYTES 512u
#define FENCE_INPUT_BYTES 4096u /* PIPE_BUF: an empty pipe takes it without blocking */

struct fence_level {
	char agent[PATH_MAX];                               /* empty: this level is none */
	char option[FENCE_OPTIONS_MAX][FENCE_OPTION_BYTES]; /* KEY=VALUE for its standard input */
	char secret[FENCE_SECRETS_MAX][PATH_MAX];           /* KEY=FILE: the value is the file's first line */
	char host[FENCE_HOSTS_MAX][FENCE_HOST_BYTES];       /* NAME KEY=VALUE ...: for that host alone */
	unsigned options, secrets, hosts;
};

/* The rows of the table of settings; target: struct fence_level[FENCE_LEVELS]. */
int fence_set_agent(struct fence_level *levels, const char *key, const char *value, struct daxfs_error *err);
int fence_set_option(struct fence_level *levels, const char *key, const char *value, struct daxfs_error *err);
int fence_set_secret(struct fence_level *levels, const char *key, const char *value, struct daxfs_error *err);
int fence_set_host(struct fence_level *levels, const char *key, const char *value, struct daxfs_error *err);

/*
 * What the agent reads: action, plug, and the options, of which those of the host count before those
 * of all. name NULL: no host in particular (monitor); then those of the nth host, if there are any.
 * Returns its length, or -errno with *err: -ENOENT: hosts are listed, and this one is not.
 */
int fence_input(const struct fence_level *level, const char *action, const char *name, unsigned nth, char *out,
		size_t size, struct daxfs_error *err);

/* The program that a command is, as execvp would find it: 0, or -ENOENT, -EACCES. */
int fence_find(const char *command, char out[PATH_MAX]);
/* A command without its directory. */
const char *fence_name(const char *command);

#endif
