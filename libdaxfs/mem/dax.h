/* SPDX-License-Identifier: Apache-2.0 */
/* dax.h - device-DAX devices: what libdaxctl knows of one, and whether it can hold a pool. */
#ifndef DAXFS_MEM_DAX_H
#define DAXFS_MEM_DAX_H

#include "mem/pool.h"

struct dax_facts {
	char name[32];   /* "dax0.0" */
	bool system_ram; /* given to the kernel as ordinary memory */
	bool enabled;
	uint64_t size, align; /* bytes */
};

/* -ENODEV: no device-DAX device has that number, or that name. */
int dax_by_number(unsigned major, unsigned minor, struct dax_facts *out);
int dax_by_name(const char *name, struct dax_facts *out);

/*
 * Usable: 1 in devdax mode, 2 enabled, 3 has a size, 4 alignment a power of two
 * of at least a page, 5 size a multiple of it. -ENODEV (1, 2), -ENOSPC (3) or
 * -EINVAL, and why names the command that helps.
 */
int dax_unusable(const struct dax_facts *facts, struct daxfs_error *err);

#endif
