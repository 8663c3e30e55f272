/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mount_options.h - mount options, as people write them behind -o and in fstab.
 */
#ifndef AGENT_MOUNT_OPTIONS_H
#define AGENT_MOUNT_OPTIONS_H

#include <stdbool.h>

#include "daxfs/daxfs.h"

struct mount_options {
	char source[256];    /* the name of what is mounted, in the table of mounts */
	unsigned long flags; /* of mount(2) */
	bool owner_only;     /* no users but the agent's */
	bool nonempty;       /* the directory may have something in it */
};

/*
 * nosuid and nodev: any host of the pod can write any mode and any device
 * number, so one host's root must not become every host's.
 */
void mount_options_default(struct mount_options *o);
/* Take options, separated by commas; later ones win. -EINVAL: which is none. */
int mount_options_set(struct mount_options *o, const char *list, struct daxfs_error *err);

/* Do both ask for the same mount? */
bool mount_options_same(const struct mount_options *a, const struct mount_options *b);

#endif
