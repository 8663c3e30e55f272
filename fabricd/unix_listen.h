/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unix_listen.h - a listening unix socket in the place of one that died.
 */
#ifndef FABRICD_LISTEN_H
#define FABRICD_LISTEN_H

#include "daxfs/daxfs.h"

/*
 * Bind and listen at path, mode 0600, non-blocking; *fd. A socket there that
 * nobody listens on is replaced, whoever else tries to do the same meanwhile.
 * -EADDRINUSE, -EEXIST (not a socket), -ENAMETOOLONG, or what bind says.
 */
int listen_at(const char *path, int *fd, struct daxfs_error *err);

#endif
