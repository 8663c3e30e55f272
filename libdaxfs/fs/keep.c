/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keep.c - a directory that a host has open for its locks alone.
 *
 * Agents lock the topmost directory of a backing, so they have it open for as long as they are there. Whoever gives
 * names of storage back asks whether somebody relies on the names of a directory, which an openers bit says. So of a
 * host that does not, a lock among those of the directory says so: the *keep*. It is an ordinary lock of one byte that
 * nobody else locks, for reading, with the number of the process in the place of its pid.
 *
 *  K1 A host relies on the names of a directory from the end of a daxfs_file_open on, to the daxfs_file_close of it.
 *     The keep is off before that open returns, and on only while nobody of the process has the directory open so (the
 *     state in open_table.c, under its stripe).
 *  K2 The record that gives a name back demands that the openers words are as they were before the locks were looked
 *     at, and each host with a bit there had its keep, of the process that its slot says. Each change of a host's locks
 *     has that word in its record (L2 of lock.c): so of a keep taken off and a name given back one happens first, and
 *     who lists then finds it gone, or can count on it.
 *  K3 The keep ends with the openers bit, in one record, as all locks do (L2). So no later tenant has one by mistake.
 *     A process that goes on for one that was killed has another number: the former one's counts as none.
 *
 *   dies                         leaves                     names of the directory
 *   before the keep is off       the keep                   may be given back: it has listed nothing
 *   ... behind that, listing     an openers bit alone       stay until the host is recovered
 *   as the keep is put on        one or the other           may be given back if it happened: nobody listed any more
 *   a process, its host lives    a keep that is void        stay until the next process puts its own on
 *   who gives back               the name, or not           it can be had again
 *
 * A build that does not know of it never puts one on, so names stay where one has the directory open. Without a page
 * for the lock they stay, too, and it is tried again.
 */
#include <errno.h>

#include "fs/cache.h"
#include "fs/lock_words.h"

static bool is_keep(const struct sm_lock *lock, unsigned host)
{
	return lock->host == host && lock->kind == DAXFS_LOCK_POSIX && lock->type == DAXFS_LOCK_READ &&
	       lock->owner == DAXFS_KEEP_OWNER && lock->start == DAXFS_LOCK_END;
}

/* Does the host's process of now keep the directory for its locks alone? */
static bool keeps(const struct pool *pool, const struct lockset *set, unsigned host)
{
	for (unsigned i = 0; i < set->n; i++)
		if (is_keep(&set->lock[i], host))
			return !cache_claim_over(pool, link_payload(DAXFS_FILLING, set->lock[i].pid));
	return false;
}

static bool all_keep(const struct pool *pool, const struct lockset *set, unsigned first, uint32_t hosts)
{
	for (; hosts; hosts &= hosts - 1)
		if (!keeps(pool, set, first + (unsigned)__builtin_ctz(hosts)))
			return false;
	return true;
}

int keep_stage_unlisted(struct lane *lane, uint64_t handle, struct sm_inode *sm)
{
	unsigned n = (lane->pool->super.hosts + 31) / 32;
	uint64_t openers[DAXFS_HOSTS_MAX / 32];
	struct locks_view view;
	int rc;

	for (unsigned i = 0; i < n; i++)
		openers[i] = word_help(lane, &sm->openers[i]);
	rc = locks_view(lane, handle, sm, &view); /* behind that: K2 */
	for (unsigned i = 0; rc == 0 && i < n; i++) {
		uint32_t hosts = (uint32_t)word_payload(openers[i], DAXFS_W_OPENERS);

		if (!all_keep(lane->pool, &view.set, 32 * i, hosts))
			rc = -ETXTBSY;
		txn_word(&lane->txn, &sm->openers[i], DAXFS_W_OPENERS, openers[i], hosts);
	}
	return rc;
}

static struct daxfs_lock keep_of(const struct daxfs *fs, bool on)
{
	return (struct daxfs_lock){
		.start = DAXFS_LOCK_END,
		.end = DAXFS_LOCK_END,
		.owner = DAXFS_KEEP_OWNER,
		.pid = (uint32_t)link_index(cache_claim_of(fs)),
		.type = on ? DAXFS_LOCK_READ : DAXFS_UNLOCK,
		.kind = DAXFS_LOCK_POSIX,
	};
}

int keep_set(struct daxfs *fs, struct lane *lane, uint64_t handle, bool on)
{
	const struct daxfs_lock keep = keep_of(fs, on);

	return lock_try(fs, lane, handle, &keep);
}
