/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mountpoint.h - the directory the filesystem is mounted on.
 */
#ifndef AGENT_MOUNTPOINT_H
#define AGENT_MOUNTPOINT_H

#include <stdbool.h>
#include <stddef.h>

#include "daxfs/daxfs.h"

/*
 * Make sure that dir can be mounted on: a directory, not a mount point. A dead
 * FUSE mount there (its server was killed) is detached first, with a log line.
 * real (PATH_MAX bytes) becomes its absolute path.
 */
int mountpoint_prepare(const char *dir, char *real, struct daxfs_error *err);
/* Open /dev/fuse: *fd is one connection, closed with it. */
int mountpoint_open_fuse(int *fd, struct daxfs_error *err);
/* Mount that connection on dir. */
int mountpoint_mount(const char *dir, int fuse_fd, struct daxfs_error *err);
/* Unmount; from under its users if it is in use. */
void mountpoint_unmount(const char *dir);
/* Take dir out of the namespace now, whoever uses it. Never waits. */
void mountpoint_detach(const char *dir);

/* A line of /proc/self/mountinfo: is it a mount on dir (unescaped, absolute)? */
bool mountpoint_line_is(const char *line, const char *dir);

#endif
