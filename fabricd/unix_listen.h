/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unix_listen.h - a listening unix socket in the place of one that died.
 */
#ifndef FABRICD_LISTEN_H
#define FABRICD_LISTEN_H

#include <sys/types.h>

#include "daxfs/daxfs.h"

/*
 * Bind and listen at path, non-blocking; *fd. It is its owner's alone (mode 0600), or
 * that of a group, too (0660), unless group is LISTEN_OWNER. A socket there that
 * nobody listens on is replaced, whoever else tries to do the same meanwhile.
 * -EADDRINUSE, -EEXIST (not a socket), -ENAMETOOLONG, or what bind says.
 */
#define LISTEN_OWNER ((gid_t)-1)
int listen_at(const char *path, gid_t group, int *fd, struct daxfs_error *err);

#endif
