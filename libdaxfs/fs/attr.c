/* SPDX-License-Identifier: Apache-2.0 */
/* attr.c - attributes and sizes; usage of the pool. */
#include <errno.h>
#include <stdlib.h>

#include "fs/cache.h"
#include "fs/lease.h"
#include "fs/write_txn.h"
#include "sync/slots.h"

struct attr_op {
	daxfs_ino ino;
	unsigned set;
	const struct daxfs_attr *in;
	uint64_t atime, mtime; /* that are set, for the pool */
	struct daxfs_attr *out;
	bool storage; /* of a directory of storage: to be as it is there */
	struct cache_aside *aside;
	uint64_t missing; /* WRITE_MISSING */
};

static int getattr(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct attr_op *op = arg;
	struct inode inode;

	(void)fs;
	return op->out ? inode_attr(lane, op->ino, op->out) : inode_get(lane, op->ino, &inode);
}

int daxfs_getattr(struct daxfs *fs, daxfs_ino ino, struct daxfs_attr *out)
{
	struct attr_op op = { .ino = ino, .out = out };
	int rc = fs_run(fs, getattr, &op);

	if (rc == 0)
		blocks_fill(fs, out);
	return rc;
}

struct leased_op {
	struct attr_op op;
	bool known;
	struct daxfs_lease *lease;
};

static int getattr_leased(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct leased_op *leased = arg;
	bool granted;
	int rc;

	lane->txn.marked = false;
	granted = lease_grant(fs, lane, leased->op.ino, false, !leased->known);
	rc = getattr(fs, lane, &leased->op);
	leased->lease->attr_ns = granted && !lane->txn.marked && rc == 0 ? lease_length(fs) : 0;
	leased->lease->since = leased->lease->attr_ns ? lease_since(fs, lane, leased->op.ino) : 0;
	return rc;
}

int daxfs_getattr_leased(struct daxfs *fs, daxfs_ino ino, bool known, struct daxfs_attr *out, struct daxfs_lease *lease)
{
	struct leased_op leased = { .op = { .ino = ino, .out = out }, .known = known, .lease = lease };

	int rc;

	*lease = (struct daxfs_lease){ 0 };
	rc = fs_run(fs, getattr_leased, &leased);
	if (rc == 0)
		blocks_fill(fs, out);
	return rc;
}

/* -- setattr ------------------------------------------------------------------ */

static void stage_attr(struct lane *lane, sm_u64 *word, uint32_t value)
{
	txn_word(&lane->txn, word, DAXFS_W_ATTR, word_help(lane, word), value);
}

/* Stage a new size. 1: pages past the end are left for prune(). WRITE_MISSING */
static int stage_size(struct lane *lane, struct attr_op *op, struct sm_inode *sm, uint64_t before, uint64_t size)
{
	uint64_t trunc = word_help(lane, &sm->trunc), flag = 0, behind;
	struct write_txn txn = { .trunc = trunc, .source = inode_source(sm), .aside = { op->aside } };
	struct map_batch batch;
	int rc;

	if (txn.source)
		txn.stored = word_help(lane, &sm->dir_root);
	if (size < size_bytes(before)) {
		rc = write_txn_cut(lane, sm, before, size, &txn, &behind); /* bytes past the end in its page are zero */
		op->missing = txn.missing;
		if (rc)
			return rc;
		map_collect(lane, sm, behind, &batch);
		prune_stage(lane, &batch);
		flag = batch.n == MAP_BATCH ? DAXFS_SIZE_PRUNE : 0;
		txn_word(&lane->txn, &sm->trunc, DAXFS_W_TICK, trunc, 0);
	}
	txn_word(&lane->txn, &sm->size, DAXFS_W_SIZE, before, size | flag);
	if (txn.source)
		cache_stage_cut(lane, sm, txn.stored, before, size);
	return flag ? 1 : 0;
}

static int check_size(const struct inode *inode, uint64_t size)
{
	if (S_ISDIR(inode->mode))
		return -EISDIR;
	if (!S_ISREG(inode->mode))
		return -EINVAL;
	if (inode_backed(inode->sm) && size > (uint64_t)DAXFS_STORED_PAGES * DAXFS_PAGE_SIZE)
		return -EFBIG;
	return size > DAXFS_FILE_MAX ? -EFBIG : 0;
}

/* Everything but times, in one record. 1: prune() has work. */
static int set_words(struct lane *lane, struct attr_op *op, const struct inode *inode)
{
	struct sm_inode *sm = inode->sm;
	uint64_t size = 0;
	int rc = 0, more = 0;

	if (op->set & DAXFS_SET_SIZE) {
		rc = check_size(inode, op->in->size);
		size = word_help(lane, &sm->size);
		if (rc == 0 && size_prune(size)) {
			rc = prune(lane, sm);
			return rc ? rc : -EAGAIN;
		}
	}
	if (rc)
		return rc;
	record_begin(lane, OP_SETATTR);
	if (op->set & DAXFS_SET_MODE)
		stage_attr(lane, &sm->mode, (inode->mode & S_IFMT) | (op->in->mode & 07777));
	if (op->set & DAXFS_SET_UID)
		stage_attr(lane, &sm->uid, op->in->uid);
	if (op->set & DAXFS_SET_GID)
		stage_attr(lane, &sm->gid, op->in->gid);
	if (op->set & DAXFS_SET_SIZE)
		more = stage_size(lane, op, sm, size, op->in->size);
	if (more < 0 || more == WRITE_MISSING)
		return record_abort(lane, more);
	if (more)
		lane_todo(lane, op->ino);
	change_stage(lane, sm, op->set & DAXFS_SET_SIZE);
	rc = record_commit(lane);
	return rc ? rc : more;
}

/* After the record, if there was one; times that are asked for are what they were asked to be. */
static void set_times(struct lane *lane, const struct attr_op *op, struct sm_inode *sm)
{
	uint64_t now = time_now(lane->pool);
	bool mtime = op->set & (DAXFS_SET_MTIME | DAXFS_SET_MTIME_NOW);

	if (op->set & (DAXFS_SET_ATIME | DAXFS_SET_ATIME_NOW))
		sm_store_relaxed(&sm->atime, op->set & DAXFS_SET_ATIME_NOW ? now : op->atime);
	if (mtime)
		sm_store_relaxed(&sm->mtime, op->set & DAXFS_SET_MTIME_NOW ? now : op->mtime);
	inode_touch(lane, sm, op->set & DAXFS_SET_SIZE && !mtime);
	change_settle(lane, sm);
	sm_flush(&lane->pool->shm, &sm->atime, 3 * sizeof(sm_u64));
	sm_drain(&lane->pool->shm);
}

static int setattr(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct attr_op *op = arg;
	struct inode inode;
	int rc = inode_get(lane, op->ino, &inode);

	if (rc == 0 && op->set && inode_backed(inode.sm) != op->storage)
		rc = op->storage ? -EINVAL : cache_writes(fs, inode_source(inode.sm)) ? 0 : -EROFS;
	if (rc == 0 && op->storage && !S_ISDIR(inode.mode))
		rc = -EINVAL;
	if (rc == 0 && op->set & ~(DAXFS_SET_MODE | DAXFS_SET_UID | DAXFS_SET_GID | DAXFS_SET_SIZE))
		rc = change_alone(lane, inode.sm);
	if (rc)
		return rc;
	if (op->set & (DAXFS_SET_MODE | DAXFS_SET_UID | DAXFS_SET_GID | DAXFS_SET_SIZE)) {
		rc = set_words(lane, op, &inode);
		if (rc < 0 || rc == WRITE_MISSING)
			return rc;
		if (rc)
			rc = prune(lane, inode.sm);
	}
	set_times(lane, op, inode.sm);
	return rc == 0 ? getattr(fs, lane, arg) : rc;
}

int daxfs_setattr(struct daxfs *fs, daxfs_ino ino, unsigned set, const struct daxfs_attr *in, struct daxfs_attr *out)
{
	struct attr_op op = { .ino = ino, .set = set, .in = in, .out = out };
	unsigned tries = 0;
	int rc = set & DAXFS_SET_ATIME ? time_encode(&in->atime, &op.atime) : 0;

	if (rc == 0 && set & DAXFS_SET_MTIME)
		rc = time_encode(&in->mtime, &op.mtime);
	if (rc == 0)
		rc = fs_run(fs, setattr, &op);
	while (rc == WRITE_MISSING) {
		rc = cache_bring_for_cut(fs, ino, op.missing, &op.aside, &tries);
		if (rc == 0)
			rc = fs_run(fs, setattr, &op);
	}
	free(op.aside);
	if (rc == 0)
		blocks_fill(fs, out);
	return rc;
}

int daxfs_import_again(struct daxfs *fs, daxfs_ino dir, const struct daxfs_attr *attr)
{
	struct attr_op op = {
		.ino = dir,
		.set = DAXFS_SET_MODE | DAXFS_SET_UID | DAXFS_SET_GID | DAXFS_SET_MTIME,
		.in = attr,
		.storage = true,
	};

	return time_encode(&attr->mtime, &op.mtime) ? -EINVAL : fs_run(fs, setattr, &op);
}

struct source_op {
	daxfs_ino ino;
	struct daxfs_source *out;
};

static int find_source(struct daxfs *fs, struct lane *lane, void *arg)
{
	const struct source_op *op = arg;
	struct inode inode;
	uint64_t source, parent, stored;
	int rc = inode_get(lane, op->ino, &inode);

	(void)fs;
	if (rc)
		return rc;
	source = inode_source(inode.sm);
	if (!source)
		return -EINVAL;
	rc = inode_parent(lane, &inode, &parent);
	if (rc == 0)
		*op->out = (struct daxfs_source){ (unsigned)(source >> 56) - 1, source & ~(0xffull << 56), parent, 0,
						  0 };
	if (rc == 0 && S_ISREG(inode.mode)) {
		stored = word_load(lane, &inode.sm->dir_root);
		op->out->dirty = cache_is_dirty(stored, inode.sm);
		op->out->stamp = sm_load_relaxed(&inode.sm->btime); /* behind the word that says whether it counts */
	}
	if (rc == 0 && S_ISDIR(inode.mode))
		op->out->stamp = word_load(lane, &inode.sm->trunc); /* changed by each name that is given back */
	return rc;
}

int daxfs_source(struct daxfs *fs, daxfs_ino ino, struct daxfs_source *out)
{
	struct source_op op = { ino, out };

	return fs_run(fs, find_source, &op);
}

static struct daxfs_usage usage_of(const struct pool *pool, enum daxfs_type type, uint64_t live)
{
	uint64_t total = pool->objects[type], bad = space_quarantined(pool, type);

	return (struct daxfs_usage){
		.total = total,
		.live = live,
		.quarantined = bad,
		.free = live + bad < total ? total - live - bad : 0,
	};
}

struct statfs_call {
	const struct pool *pool;
	struct daxfs_statfs *out;
};

/* What a lane has counted whose memory failed is not known: until that is repaired, every state is looked at. */
static void walk(const struct pool *pool, struct daxfs_statfs *out)
{
	uint64_t nodes;

	space_usage(pool, DAXFS_T_PAGE, &out->pages, &nodes);
	space_usage(pool, DAXFS_T_INODE, &out->inodes, &nodes);
	space_usage(pool, DAXFS_T_DIRENT, &out->dirents, &nodes);
	out->pages.free += out->pages.private_ + out->pages.retired;
	out->inodes.free += out->inodes.private_ + out->inodes.retired;
	out->dirents.free += out->dirents.private_ + out->dirents.retired;
}

static int count(void *arg)
{
	const struct statfs_call *call = arg;
	const struct pool *pool = call->pool;
	uint64_t used[DAXFS_TYPES];

	call->out->hosts = slots_used(pool);
	if (!account_known(pool)) {
		walk(pool, call->out);
		return 0;
	}
	account_sum(pool, used);
	call->out->pages = usage_of(pool, DAXFS_T_PAGE, used[DAXFS_T_PAGE]);
	call->out->inodes = usage_of(pool, DAXFS_T_INODE, used[DAXFS_T_INODE]);
	call->out->dirents = usage_of(pool, DAXFS_T_DIRENT, used[DAXFS_T_DIRENT]);
	return 0;
}

int daxfs_statfs(struct daxfs *fs, struct daxfs_statfs *out)
{
	struct statfs_call call = { &fs->pool, out };

	if (!*fs->here)
		return -ECHILD;
	trouble_sync(&fs->pool); /* what is in quarantine is known by the list */
	out->nodes = 0;
	out->reserved = space_reserve(&fs->pool);
	return fs_look(fs, count, &call);
}
