/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ops_lock.c - POSIX and flock locks, which are the pool's: they exclude the
 * processes of all hosts.
 *
 * The kernel keeps none itself and says what ends them: a flush, at every close,
 * the POSIX locks of a process; the release of an open file its flock and its OFD
 * locks (lock_owner.h; close() does not wait for that, so they go a moment later).
 * The locks of a host that dies end with its recovery.
 *
 * Requests that must wait are put on a list (lockwait.h), so that any number of them keep
 * no worker. Two processes that wait for each other's POSIX locks do so
 * until one is interrupted: such circles are not detected (EDEADLK).
 */
#include "node-agent/ops.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

/* Set a lock through open file fh; who waits on this host may have waited for it. */
static int set_lock(fuse_req_t req, daxfs_ino ino, uint64_t fh, const struct daxfs_lock *lock)
{
	int error;

	if (lock->kind == DAXFS_LOCK_FLOCK)
		error = daxfs_lock(ops_fs(req), ino, lock);
	else
		error = lock_owner_set(&ops_of(req)->lock_owners, ino, fh, lock);
	if (error == 0 && lock->type != DAXFS_LOCK_WRITE)
		lockwait_poke(&ops_of(req)->lockwait);
	return error;
}

static void lock_or_wait(fuse_req_t req, daxfs_ino ino, uint64_t fh, const struct daxfs_lock *lock, bool wait)
{
	static const struct lockwait_then answer;
	int error = set_lock(req, ino, fh, lock);

	if (error == -EAGAIN && wait) {
		error = lockwait_add(&ops_of(req)->lockwait, req, ino, lock, &answer);
		if (!error)
			return; /* answered later */
	}
	ops_reply(req, error);
}

/* -- POSIX ------------------------------------------------------------------------ */

static enum daxfs_lock_type type_of(int l_type)
{
	return l_type == F_WRLCK ? DAXFS_LOCK_WRITE : l_type == F_RDLCK ? DAXFS_LOCK_READ : DAXFS_UNLOCK;
}

static struct daxfs_lock posix_lock(const struct fuse_file_info *fi, const struct flock *l)
{
	return (struct daxfs_lock){
		.start = (uint64_t)l->l_start,
		.end = l->l_len ? (uint64_t)(l->l_start + l->l_len - 1) : DAXFS_LOCK_END,
		.owner = fi->lock_owner,
		.pid = (uint32_t)l->l_pid,
		.type = type_of(l->l_type),
		.kind = DAXFS_LOCK_POSIX,
	};
}

/* The number of another host's process would be that of some process here: 0. */
void op_getlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *l)
{
	struct daxfs_lock want = posix_lock(fi, l), found;
	int error = daxfs_lock_get(ops_fs(req), ino, &want, &found);

	if (error) {
		ops_reply(req, error);
		return;
	}
	l->l_type = F_UNLCK;
	if (found.type != DAXFS_UNLOCK) {
		l->l_type = found.type == DAXFS_LOCK_WRITE || found.kind == DAXFS_LOCK_MAP ? F_WRLCK : F_RDLCK;
		l->l_start = (off_t)found.start;
		l->l_len = found.end == DAXFS_LOCK_END ? 0 : (off_t)(found.end - found.start + 1);
		l->l_pid = found.host == ops_of(req)->host ? (pid_t)found.pid : 0;
	}
	fuse_reply_lock(req, l);
}

void op_setlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *l, int sleep)
{
	struct daxfs_lock lock = posix_lock(fi, l);

	lock_or_wait(req, ino, fi->fh, &lock, sleep);
}

void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	int error = lock_owner_flush(&ops_of(req)->lock_owners, ino, fi->lock_owner);

	if (error == 0)
		lockwait_poke(&ops_of(req)->lockwait);
	ops_reply(req, error);
}

/* -- flock -------------------------------------------------------------------------- */

/*
 * A flock belongs to an open file, which our number of it names for ever; the kernel
 * names the next open file as it named this one, maybe before the release of this arrives.
 *
 * Who cannot change a lock at once has given it up, as everywhere (flock(2)), whether
 * it waits or not: two who share one and both want it for themselves would else wait,
 * or ask again and again, for ever.
 */
void op_flock(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, int op)
{
	struct daxfs_lock lock = { .owner = fi->fh, .kind = DAXFS_LOCK_FLOCK };
	struct daxfs_lock none = lock;
	bool wait = !(op & LOCK_NB);
	int error;

	op &= ~LOCK_NB;
	lock.type = op == LOCK_EX ? DAXFS_LOCK_WRITE : op == LOCK_SH ? DAXFS_LOCK_READ : DAXFS_UNLOCK;
	error = set_lock(req, ino, fi->fh, &lock);
	if (error == -EAGAIN) {
		error = set_lock(req, ino, fi->fh, &none);
		if (error == 0) {
			lock_or_wait(req, ino, fi->fh, &lock, wait);
			return;
		}
	}
	ops_reply(req, error);
}

void ops_release_locks(fuse_req_t req, daxfs_ino ino, const struct fuse_file_info *fi)
{
	struct daxfs_lock none = { .owner = fi->fh, .kind = DAXFS_LOCK_FLOCK };

	if (fi->flock_release)
		set_lock(req, ino, fi->fh, &none);
	if (lock_owner_release(&ops_of(req)->lock_owners, ino, fi->fh))
		lockwait_poke(&ops_of(req)->lockwait);
}
