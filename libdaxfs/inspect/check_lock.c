/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_lock.c - locks: see fs/lock.c.
 *
 * Rules: 1 the word names a page of locks of this very inode, whose checksum and
 * entries make sense and of which one lock at least is in force, or nothing; 2
 * each host that has a lock holds the file; 3 no two locks in force are in each
 * other's way, and those of one owner do not overlap.
 */
#include <inttypes.h>

#include "fs/lockset.h"
#include "inspect/repair.h"

static void check_holder(struct check *c, const struct sm_lock *lock, const struct sm_inode *sm, const struct place *at)
{
	unsigned host = lock->host;

	if (host >= c->pool->super.hosts)
		check_problem(c, "bad-lock", at, "of host %u, the pool has %u", host, c->pool->super.hosts);
	else if (!(check_value(c, &sm->openers[host / 32], DAXFS_W_OPENERS) >> host % 32 & 1))
		check_problem(c, "stray-lock", at, "of host %u, which does not hold the file open", host);
}

static void check_pair(struct check *c, const struct sm_lock *a, const struct sm_lock *b, const struct place *at)
{
	if (lock_conflicts(a, b) || (lock_same_owner(a, b) && lock_overlaps(a, b)))
		check_problem(c, "double-lock", at,
			      "of host %u from byte %" PRIu64 " and of host %u from byte %" PRIu64
			      " are in each other's way",
			      a->host, a->start, b->host, b->start);
}

void check_locks(struct check *c, uint64_t inode)
{
	const struct sm_inode *sm = &c->pool->inodes[inode];
	uint64_t w = check_value(c, &sm->locks, DAXFS_W_LINK);
	const struct place *at = PLACE_FIELD("inode", inode, "locks", -1);
	struct sm_locks *page;
	struct sm_lock room[DAXFS_LOCKS_MAX];
	struct lockset set = { 0, room };
	const char *wrong;
	uint64_t before = c->out->problems;

	if (link_kind(w) == DAXFS_ABSENT)
		return;
	wrong = inspect_locks(c->pool, inode, w, &set);
	if (wrong)
		check_problem(c, "bad-locks", at, "%s", wrong);
	if (link_kind(w) != DAXFS_LOCKS || !check_reach(c, DAXFS_T_PAGE, link_index(w), DAXFS_USE_LOCKS, at)) {
		repair_cut(c, &sm->locks, at);
		return;
	}
	page = (struct sm_locks *)(void *)pool_page(c->pool, link_index(w));
	for (int i = 0; i < (int)DAXFS_LOCK_WORDS; i++)
		check_mark(c, &page->live[i], DAXFS_W_LOCKS, PLACE_FIELD("page", link_index(w), "live", i));
	for (unsigned i = 0; i < set.n; i++) {
		check_holder(c, &set.lock[i], sm, at);
		for (unsigned k = 0; k < i; k++)
			check_pair(c, &set.lock[k], &set.lock[i], at);
	}
	if (c->out->problems != before) /* no host is there to have one */
		repair_cut(c, &sm->locks, at);
}
