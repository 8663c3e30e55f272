/* SPDX-License-Identifier: Apache-2.0 */
/* find_socket.h - which fabricd, when the command line names none. */
#ifndef DAXFSCTL_FIND_SOCKET_H
#define DAXFSCTL_FIND_SOCKET_H

#include <stddef.h>

#include "daxfs/daxfs.h"

/*
 * The only socket among those that match the pattern of glob(7) at which anybody listens. -ENOENT: there is none;
 * -ENOTUNIQ: there are several; *err says which.
 */
int find_socket(const char *pattern, char *out, size_t size, struct daxfs_error *err);

#endif
