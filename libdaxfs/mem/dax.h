/* SPDX-License-Identifier: Apache-2.0 */
/* dax.h - device-DAX devices: what libdaxctl knows of one, and whether it can hold a pool. */
#ifndef DAXFS_MEM_DAX_H
#define DAXFS_MEM_DAX_H

#include "mem/pool.h"

struct dax_facts {
	char name[32];   /* "dax0.0" */
	bool system_ram; /* given to the kernel as ordinary memory */
	bool enabled;
	uint64_t size, align;  /* bytes */
	bool mapped_on_itself; /* the kernel's descriptors of its pages are in its own bytes */
};

/* -ENODEV: no device-DAX device has that number, or that name. */
int dax_by_number(unsigned major, unsigned minor, struct dax_facts *out);
int dax_by_name(const char *name, struct dax_facts *out);

/*
 * Usable: 1 in devdax mode, 2 enabled, 3 page descriptors in memory of the host,
 * 4 has a size, 5 alignment a power of two of at least a page, 6 size a multiple of
 * it. -ENOSPC (4) or -ENODEV, and err names the command that helps.
 */
int dax_unusable(const struct dax_facts *facts, struct daxfs_error *err);

#endif
