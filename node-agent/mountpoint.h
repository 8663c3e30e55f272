/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mountpoint.h - the directory the filesystem is mounted on.
 */
#ifndef AGENT_MOUNTPOINT_H
#define AGENT_MOUNTPOINT_H

#include <stdbool.h>
#include <stddef.h>

#include "daxfs/daxfs.h"
#include "node-agent/mount_options.h"

/*
 * Make sure that dir can be mounted on: a directory, not a mount point, empty unless
 * nonempty is asked for. A dead FUSE mount there (its server was killed) is detached
 * first, with a log line. An empty one is sealed, where its filesystem can do that.
 * real (PATH_MAX bytes) becomes its absolute path.
 */
int mountpoint_prepare(const char *dir, bool nonempty, char *real, struct daxfs_error *err);
/* Make a directory immutable, or mutable again: 0 or -errno. */
int mountpoint_seal(const char *dir, bool sealed);
/* Open /dev/fuse: *fd is one connection, closed with it. */
int mountpoint_open_fuse(int *fd, struct daxfs_error *err);
/* Mount that connection on dir. */
int mountpoint_mount(const char *dir, int fuse_fd, const struct mount_options *wanted, struct daxfs_error *err);
/* Unmount; from under its users if it is in use. */
void mountpoint_unmount(const char *dir);
/* Take dir out of the namespace now, whoever uses it. Never waits. */
void mountpoint_detach(const char *dir);
/*
 * The same, and nobody will answer any more: who waits for an answer gets an error, however many hold the
 * connection.
 */
void mountpoint_abort(const char *dir);

/* A line of /proc/self/mountinfo: is it a mount on dir (unescaped, absolute)? */
bool mountpoint_line_is(const char *line, const char *dir);

#endif
