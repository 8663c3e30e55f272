/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.h - options that a program fills, which may have been compiled with another version.
 *
 * The rule, that of openat2(2) and clone3(2), stands in daxfs/base.h: options begin with struct_size, and new members
 * are appended. Members that the program does not know are 0 here; of those that only the program
 * knows all bytes must be 0, or it asks for something that this library cannot do.
 */
#ifndef DAXFS_MEM_OPTIONS_H
#define DAXFS_MEM_OPTIONS_H

#include "daxfs/base.h"

/* What a struct has up to the end of a member: the least that a program can have known. */
#define OPTIONS_UPTO(type, member) (offsetof(type, member) + sizeof(((type *)0)->member))

/*
 * Copy a program's options, whose struct_size is their first member, into `known` bytes.
 * -EINVAL: they have fewer than `least`; -E2BIG: something is set that is not known here.
 */
int options_take(void *out, size_t known, size_t least, const void *options, struct daxfs_error *err);

#endif
