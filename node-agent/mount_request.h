/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mount_request.h - what mount(8) asks of mount.daxfs: words of a command line or of fstab, as the agent's own.
 */
#ifndef AGENT_MOUNT_REQUEST_H
#define AGENT_MOUNT_REQUEST_H

#include <limits.h>
#include <stdbool.h>

#include "node-agent/mount_options.h"

#define MOUNT_REQUEST_WORDS 64

struct mount_request {
	bool fake;    /* -f: only say whether it is right */
	bool sloppy;  /* -s: unknown options are fine */
	bool verbose; /* -v */
	bool help;
	bool remount;          /* of what is mounted already: with options, and nothing else counts */
	const char *namespace; /* -N: a file of /proc, or NULL */
	char source[PATH_MAX]; /* the first word */
	char pool[PATH_MAX];
	char dir[PATH_MAX];
	char list[4096];   /* options as they came; `argument` points into it */
	char passed[4096]; /* those of the mount, as the agent gets them */
	struct mount_options options;
	char *argument[MOUNT_REQUEST_WORDS]; /* of the agent; NULL behind the last */
	int arguments;
};

/*
 * argv as mount(8) makes it: SPEC DIR [-sfnv] [-N NAMESPACE] [-o LIST] [-t TYPE]. SPEC is the pool's path,
 * `pool=PATH`, or any word, if the options have pool= or config=. Each setting of the agent is an option, with - or _
 * in its name; it is the agent that judges its value. Paths become absolute. -EINVAL with one line in *err.
 */
int mount_request_parse(struct mount_request *r, int argc, char **argv, struct daxfs_error *err);

#endif
