/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mount_helper.h - mount.daxfs: this program under the name by which mount(8) calls it.
 */
#ifndef AGENT_MOUNT_HELPER_H
#define AGENT_MOUNT_HELPER_H

#include <stdbool.h>

/* Exit statuses of mount(8). */
enum mount_exit {
	MOUNT_EXIT_OK = 0,
	MOUNT_EXIT_USAGE = 1,   /* or not permitted */
	MOUNT_EXIT_SYSTEM = 2,  /* out of memory and the like */
	MOUNT_EXIT_STOPPED = 8, /* by a signal */
	MOUNT_EXIT_FAILED = 32, /* not mounted */
};

/* Is this the name of a mount helper? */
bool mount_helper_is(const char *argv0);
/* Mount, or remount; ends when the mount is there, or with one line that says why it is not: an enum mount_exit. */
int mount_helper(int argc, char **argv);

#endif
