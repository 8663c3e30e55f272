/* SPDX-License-Identifier: Apache-2.0 */
/*
 * namei.c - making, finding and removing names.
 *
 * Each is one record over the slot of the name and the count of its node, plus
 * the link count of the inode where that changes. A new inode is private until
 * its name is there, so making one needs no word of it. A small file that nobody
 * holds goes with its last name; of others that leaves an ORPHAN; what follows is
 * clean-up that anybody can do (inode_finish), and lane.todo sees to it that somebody does.
 */
#include <errno.h>

#include "fs/cache.h"
#include "fs/lease.h"
#include "sync/features.h"

struct name_op {
	daxfs_ino parent, ino;
	const char *name, *target;
	uint32_t mode, rdev;
	struct daxfs_cred cred;
	bool open;
	uint64_t expected; /* handle that is listed as held, of a file that is being made */
	uint64_t source;   /* of what is of backing storage */
	bool storage;      /* names of a directory of storage may be changed: to be as they are there */
	bool given_back;   /* ... if nobody uses it, and the directory is closed; it can be had again */
	bool cached;       /* ... also where bytes of it are in the pool */
	bool dirty;        /* ... of what was written and not written back, too */
	const struct daxfs_since *since;
	uint64_t size, mtime, ctime; /* ... its own */
	struct daxfs_attr *out;
	struct daxfs_lease *lease;
	bool leased; /* the attributes, if no mark was met */
};

/* Where a name is in its directory. */
static int locate(struct daxfs *fs, struct lane *lane, const struct name_op *op, bool intend, struct trie_name *name,
		  struct inode *dir, struct trie_pos *pos)
{
	uint64_t root;
	int rc = inode_get_dir(lane, op->parent, dir, &root);

	if (rc == 0)
		rc = name_init(&fs->pool, op->name, name);
	return rc ? rc : trie_find(lane, root, name, intend, pos);
}

/* -- lookup ------------------------------------------------------------------- */

/* The parent of a directory is not there: was the directory moved, or removed? Else the pool is damaged. */
static int parent_gone(struct lane *lane, const struct inode *dir, uint64_t parent)
{
	struct inode still;
	uint64_t now;
	int rc = inode_get(lane, dir->handle, &still);

	if (rc == 0)
		rc = inode_parent(lane, dir, &now);
	if (rc || now != parent)
		return rc ? rc : -EAGAIN;
	return txn_broken(&lane->txn);
}

static int lookup(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct name_op *op = arg;
	struct inode dir, inode;
	struct trie_name name;
	struct trie_pos pos;
	int rc;

	trie_nowhere(&pos);
	rc = locate(fs, lane, op, false, &name, &dir, &pos);
	if (rc == -EEXIST) { /* "." or ".." */
		pos.handle = dir.handle;
		pos.found = true;
		rc = op->name[1] ? inode_parent(lane, &dir, &pos.handle) : 0;
	}
	if (rc)
		return rc;
	if (!pos.found)
		return -ENOENT;
	if (op->lease && pos.slot) {
		op->lease->begun = lease_begun(fs, pos.handle);
		op->leased = lease_grant(fs, lane, pos.handle, false, true);
	}
	rc = op->out ? inode_attr(lane, pos.handle, op->out) : inode_get(lane, pos.handle, &inode);
	/* Attributes of a time when it had this name. */
	if (rc == 0 && op->out && pos.slot && !trie_unchanged(lane, &pos))
		rc = -EAGAIN;
	if (rc == -ESTALE) /* removed after we found its name */
		return pos.slot ? entry_gone(lane, &pos) : parent_gone(lane, &dir, pos.handle);
	return rc;
}

int daxfs_lookup(struct daxfs *fs, daxfs_ino parent, const char *name, struct daxfs_attr *out)
{
	struct name_op op = { .parent = parent, .name = name, .out = out };
	int rc = fs_run(fs, lookup, &op);

	if (rc == 0)
		blocks_fill(fs, out);
	return rc;
}

static int lookup_leased(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct name_op *op = arg;
	bool names;
	int rc;

	lane->txn.marked = op->leased = false;
	names = !lease_is_dots(op->name) && lease_grant(fs, lane, op->parent, true, false);
	rc = lookup(fs, lane, op);
	names &= !lane->txn.marked && (rc == 0 || rc == -ENOENT);
	op->lease->names_ns = names ? lease_length(fs) : 0;
	op->lease->attr_ns = op->leased && !lane->txn.marked && rc == 0 ? lease_length(fs) : 0;
	return rc;
}

int daxfs_lookup_leased(struct daxfs *fs, daxfs_ino parent, const char *name, struct daxfs_attr *out,
			struct daxfs_lease *lease)
{
	struct name_op op = { .parent = parent, .name = name, .out = out, .lease = lease };

	int rc;

	*lease = (struct daxfs_lease){ 0 };
	rc = fs_run(fs, lookup_leased, &op);
	if (rc == 0)
		blocks_fill(fs, out);
	return rc;
}

/* -- making ------------------------------------------------------------------- */

/* The names of a directory of storage are what they are there: daxfs_import, daxfs_forget. */
static int may_change(const struct name_op *op, const struct inode *dir)
{
	return !op->storage && inode_backed(dir->sm) ? -EROFS : 0;
}

/* In a record: names of a directory change. */
static void stage_names(struct lane *lane, const struct name_op *op, struct sm_inode *dir)
{
	if (op->storage)
		change_bar(lane, dir);
	else
		change_stage(lane, dir, true);
}

/* The page a new inode starts with: a directory's root node, a symlink's target. */
static int first_page(struct lane *lane, const struct name_op *op, struct inode_init *init)
{
	bool dir = S_ISDIR(op->mode);
	uint8_t *page;
	int rc;

	if (!dir && !op->target)
		return 0;
	rc = space_take(lane, DAXFS_T_PAGE, dir ? DAXFS_USE_NODE : DAXFS_USE_DATA, 1, &init->page);
	if (rc)
		return rc;
	page = pool_page(lane->pool, init->page);
	sm_zero(page, DAXFS_PAGE_SIZE);
	if (op->target) {
		init->size = strlen(op->target);
		sm_write(page, op->target, init->size);
	} else {
		sm_u64 *count = &lane->pool->count[init->page];

		sm_store_relaxed(count, word_next(sm_load(count) & ~DAXFS_MARK, DAXFS_W_COUNT, 0));
		sm_flush(&lane->pool->shm, count, sizeof(*count));
	}
	sm_flush(&lane->pool->shm, page, DAXFS_PAGE_SIZE);
	return 0;
}

/* Everything a new file needs, private: 0, what it is and its handle. */
static int make_inode(struct daxfs *fs, struct lane *lane, struct name_op *op, struct inode_init *init,
		      uint64_t *handle)
{
	uint64_t index;
	int rc = op->source && !reserve_admits_name(lane) ? -ENOSPC : 0;

	if (rc == 0)
		rc = space_take(lane, DAXFS_T_INODE, DAXFS_USE_INODE, 1, &index);
	*init = (struct inode_init){
		.mode = op->mode,
		.rdev = op->rdev,
		.cred = op->cred,
		.parent = op->parent,
		.now = time_now(&fs->pool),
		.opener = op->open ? fs->host + 1 : 0,
		.source = op->source,
	};
	init->mtime = op->source ? op->mtime : init->now;
	init->ctime = op->source ? op->ctime : init->now;
	init->size = op->size;
	if (rc == 0)
		rc = first_page(lane, op, init);
	if (rc == 0 && op->open) {
		op->expected = inode_next_handle(&fs->pool, index);
		rc = opens_expect(fs, op->expected);
	}
	if (rc)
		return rc;
	*handle = inode_init(lane, index, init);
	/* Its neighbour is what this lane takes next; there is room behind the last. */
	sm_prefetch_write(&lane->pool->inodes[index + 1], sizeof(struct sm_inode));
	return 0;
}

static int create(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct name_op *op = arg;
	struct inode dir;
	struct inode_init init;
	struct trie_name name;
	struct trie_pos pos;
	uint64_t handle;
	int rc = locate(fs, lane, op, true, &name, &dir, &pos);

	if (rc)
		return rc;
	rc = pos.found ? -EEXIST : may_change(op, &dir);
	if (rc == 0)
		rc = trie_make_room(lane, &pos);
	if (rc)
		return rc;
	record_begin(lane, OP_CREATE);
	rc = make_inode(fs, lane, op, &init, &handle);
	if (rc)
		return record_abort(lane, rc);
	rc = entry_insert(lane, &pos, &name, handle, op->mode);
	stage_names(lane, op, dir.sm);
	rc = rc ? record_abort(lane, rc) : record_commit(lane);
	if (rc && op->open && rc != -EIO) { /* -EIO: it may have come to be, or yet do so */
		opens_forget(fs, handle);
		op->expected = 0;
	}
	if (rc)
		return rc;
	if (op->out)
		inode_init_attr(handle, &init, op->out);
	if (!op->storage)
		inode_changed(lane, dir.sm);
	return 0;
}

int daxfs_mknod(struct daxfs *fs, daxfs_ino parent, const char *name, uint32_t mode, uint32_t rdev,
		struct daxfs_cred cred, bool open, struct daxfs_attr *out)
{
	struct name_op op = {
		.parent = parent,
		.name = name,
		.mode = mode,
		.rdev = rdev,
		.cred = cred,
		.open = open,
		.out = out,
	};
	int rc;

	if (!(mode & S_IFMT))
		op.mode |= S_IFREG;
	if (S_ISDIR(op.mode) || S_ISLNK(op.mode))
		return -EINVAL;
	rc = fs_run(fs, create, &op);
	if (rc == -EIO && op.expected)
		daxfs_file_close(fs, op.expected); /* whether it is there or not, nobody here holds it */
	return rc;
}

static int import(struct daxfs *fs, struct name_op *op, const struct daxfs_attr *attr, unsigned backing, uint64_t file)
{
	if (backing >= DAXFS_BACKINGS || file >> 56)
		return -EINVAL;
	if (time_encode(&attr->mtime, &op->mtime) || time_encode(&attr->ctime, &op->ctime))
		return -EINVAL;
	if (!features_incompat(&fs->pool, DAXFS_INCOMPAT_CACHE))
		return -EOPNOTSUPP;
	op->source = ((uint64_t)backing + 1) << 56 | file;
	op->storage = true;
	op->mode = (op->mode & S_IFMT) | (attr->mode & 07777);
	op->cred = (struct daxfs_cred){ .uid = attr->uid, .gid = attr->gid };
	return fs_run(fs, create, op);
}

int daxfs_import(struct daxfs *fs, daxfs_ino parent, const char *name, const struct daxfs_attr *attr, unsigned backing,
		 uint64_t file, struct daxfs_attr *out)
{
	struct name_op op = { .parent = parent, .name = name, .out = out, .mode = S_IFREG };

	if (S_ISDIR(attr->mode))
		op.mode = S_IFDIR;
	else if (attr->mode & S_IFMT && !S_ISREG(attr->mode))
		return -EINVAL;
	if (S_ISREG(op.mode) && attr->size > DAXFS_FILE_MAX)
		return -EFBIG;
	op.size = S_ISREG(op.mode) ? attr->size : 0;
	return import(fs, &op, attr, backing, file);
}

int daxfs_import_link(struct daxfs *fs, daxfs_ino parent, const char *name, const char *target,
		      const struct daxfs_attr *attr, unsigned backing, uint64_t file, struct daxfs_attr *out)
{
	struct name_op op = { .parent = parent, .name = name, .target = target, .out = out, .mode = S_IFLNK };
	size_t len = strnlen(target, DAXFS_SYMLINK_MAX + 1);

	if (len == 0 || len > DAXFS_SYMLINK_MAX)
		return len ? -ENAMETOOLONG : -EINVAL;
	return import(fs, &op, attr, backing, file);
}

int daxfs_mkdir(struct daxfs *fs, daxfs_ino parent, const char *name, uint32_t mode, struct daxfs_cred cred,
		struct daxfs_attr *out)
{
	struct name_op op = {
		.parent = parent,
		.name = name,
		.mode = S_IFDIR | (mode & 07777),
		.cred = cred,
		.out = out,
	};

	return fs_run(fs, create, &op);
}

int daxfs_symlink(struct daxfs *fs, daxfs_ino parent, const char *name, const char *target, struct daxfs_cred cred,
		  struct daxfs_attr *out)
{
	struct name_op op = {
		.parent = parent,
		.name = name,
		.target = target,
		.mode = S_IFLNK | 0777,
		.cred = cred,
		.out = out,
	};
	size_t len = strnlen(target, DAXFS_SYMLINK_MAX + 1);

	if (len == 0)
		return -ENOENT;
	if (len > DAXFS_SYMLINK_MAX)
		return -ENAMETOOLONG;
	return fs_run(fs, create, &op);
}

/* -- removing ----------------------------------------------------------------- */

/* May this name be removed? Of storage, if it still names what is to be forgotten. */
static int may_remove(const struct name_op *op, const struct inode *dir, const struct trie_pos *pos)
{
	if (op->storage && pos->handle != op->ino)
		return -ESTALE;
	return may_change(op, dir);
}

/* After a record removed a name: finish the inode. */
static int after_removal(struct lane *lane, const struct trie_pos *pos, const struct inode *dir)
{
	int rc;

	if (!inode_backed(dir->sm))
		inode_changed(lane, dir->sm);
	rc = inode_finish_or_list(lane, pos->handle);
	return rc > 0 ? 0 : rc;
}

/*
 * What storage has not all of is not forgotten: in the record of its last name it is as it was found, the same, so
 * that of a write and this one happens first, and the other one sees it.
 */
static int stage_forget(struct lane *lane, const struct name_op *op, const struct inode *inode)
{
	uint64_t stored;

	if (!op->storage || op->dirty || !S_ISREG(inode->mode))
		return 0;
	stored = word_help(lane, &inode->sm->dir_root);
	if (link_kind(stored) == DAXFS_STORED && stored_state(stored) != DAXFS_STORED_SAME)
		return -EBUSY;
	txn_word(&lane->txn, &inode->sm->dir_root, DAXFS_W_LINK, stored, word_payload(stored, DAXFS_W_LINK));
	return 0;
}

/*
 * A name is given back for want of room. It can be had again from storage, so the record demands that nobody misses it:
 * neither what it leads to, if `held` is asked about, is open, nor its directory, but for locks alone (keep.c): who
 * lists that relies on names being there. Who has a listing from before learns it by the directory's
 * trunc, which nothing else changes.
 */
static int stage_given_back(struct lane *lane, const struct name_op *op, const struct inode *dir, struct sm_inode *held)
{
	int rc = op->given_back && held ? opens_stage_none(lane, held) : 0;

	if (rc || !op->given_back)
		return rc;
	txn_word(&lane->txn, &dir->sm->trunc, DAXFS_W_TICK, word_help(lane, &dir->sm->trunc), 0);
	return keep_stage_unlisted(lane, dir->handle, dir->sm);
}

/* Is nothing of a file in the pool? As far as its index says so: a hint. */
static bool is_cold(struct lane *lane, const struct inode *inode)
{
	bool cold = true;

	for (unsigned i = 0; i < DAXFS_DIRECT && S_ISREG(inode->mode); i++)
		cold &= link_kind(word_load(lane, &inode->sm->direct[i])) == DAXFS_ABSENT;
	for (unsigned i = 0; i < DAXFS_INDIRECT && S_ISREG(inode->mode); i++)
		cold &= link_kind(word_load(lane, &inode->sm->indirect[i])) == DAXFS_ABSENT;
	return cold;
}

static int unlink_step(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct name_op *op = arg;
	struct inode dir, inode;
	struct trie_name name;
	struct trie_pos pos;
	uint64_t nlink;
	bool gone;
	int rc = locate(fs, lane, op, true, &name, &dir, &pos);

	if (rc)
		return rc == -EEXIST ? -EISDIR : rc;
	if (!pos.found)
		return -ENOENT;
	rc = inode_get(lane, pos.handle, &inode);
	if (rc)
		return rc == -ESTALE ? entry_gone(lane, &pos) : rc;
	if (S_ISDIR(inode.mode))
		return -EISDIR;
	rc = may_remove(op, &dir, &pos);
	if (rc == 0 && op->given_back && !op->cached && !is_cold(lane, &inode))
		rc = -EBUSY;
	if (rc)
		return rc;
	nlink = word_help(lane, &inode.sm->nlink);
	if (nlink_life(nlink) != DAXFS_LIFE_ALIVE || nlink_count(nlink) == 0)
		return entry_gone(lane, &pos);
	if (op->given_back && !inode_backed(dir.sm) && nlink_count(nlink) > 1)
		return -EBUSY; /* a number that names still need */
	record_begin(lane, OP_UNLINK);
	rc = stage_forget(lane, op, &inode);
	if (rc)
		return record_abort(lane, rc);
	entry_remove(lane, &pos);
	gone = inode_stage_unlink(lane, pos.handle, inode.sm, nlink);
	stage_names(lane, op, dir.sm);
	change_stage(lane, inode.sm, false);
	rc = stage_given_back(lane, op, &dir, gone ? NULL : inode.sm);
	if (rc == 0)
		rc = xattr_stage_since(lane, op->since);
	rc = rc ? record_abort(lane, rc) : record_commit(lane);
	if (rc)
		return rc;
	if (!gone)
		inode_renamed(lane, inode.sm);
	if (!gone && op->dirty && nlink_count(nlink) == 1)
		cache_stamp_removed(lane, inode.sm);
	return after_removal(lane, &pos, &dir);
}

int daxfs_unlink(struct daxfs *fs, daxfs_ino parent, const char *name)
{
	struct name_op op = { .parent = parent, .name = name };

	return fs_run(fs, unlink_step, &op);
}

int entry_stage_rmdir(struct lane *lane, struct inode *dir, const struct trie_pos *pos)
{
	uint64_t root, count, nlink = word_help(lane, &dir->sm->nlink);
	int rc = inode_get_dir(lane, dir->handle, dir, &root);

	if (rc)
		return rc == -ESTALE ? entry_gone(lane, pos) : rc;
	if (nlink_life(nlink) != DAXFS_LIFE_ALIVE)
		return entry_gone(lane, pos);
	count = word_help(lane, &lane->pool->count[root]);
	/* Still under its name: else it may have got its entries under another one. */
	if (word_payload(count, DAXFS_W_COUNT) & ~DAXFS_COUNT_FROZEN)
		return trie_unchanged(lane, pos) ? -ENOTEMPTY : -EAGAIN;
	if (count & DAXFS_COUNT_FROZEN)
		return entry_gone(lane, pos); /* removed meanwhile */
	record_begin(lane, OP_RMDIR);
	txn_word(&lane->txn, &lane->pool->count[root], DAXFS_W_COUNT, count, DAXFS_COUNT_FROZEN);
	txn_word(&lane->txn, &dir->sm->nlink, DAXFS_W_NLINK, nlink, nlink_payload(DAXFS_LIFE_ORPHAN, 0));
	lane_todo(lane, dir->handle);
	return 0;
}

static int rmdir_step(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct name_op *op = arg;
	struct inode dir, victim;
	struct trie_name name;
	struct trie_pos pos;
	int rc = locate(fs, lane, op, true, &name, &dir, &pos);

	if (rc)
		return rc == -EEXIST ? (op->name[1] ? -ENOTEMPTY : -EINVAL) : rc;
	if (!pos.found)
		return -ENOENT;
	rc = inode_get(lane, pos.handle, &victim);
	if (rc)
		return rc == -ESTALE ? entry_gone(lane, &pos) : rc;
	if (!S_ISDIR(victim.mode))
		return -ENOTDIR;
	rc = may_remove(op, &dir, &pos);
	if (rc == 0)
		rc = entry_stage_rmdir(lane, &victim, &pos);
	if (rc)
		return rc;
	entry_remove(lane, &pos);
	stage_names(lane, op, dir.sm);
	change_stage(lane, victim.sm, false);
	rc = stage_given_back(lane, op, &dir, victim.sm);
	if (rc == 0)
		rc = xattr_stage_since(lane, op->since);
	rc = rc ? record_abort(lane, rc) : record_commit(lane);
	if (rc)
		return rc;
	inode_renamed(lane, victim.sm); /* somebody may hold it */
	return after_removal(lane, &pos, &dir);
}

int daxfs_rmdir(struct daxfs *fs, daxfs_ino parent, const char *name)
{
	struct name_op op = { .parent = parent, .name = name };

	return fs_run(fs, rmdir_step, &op);
}

static int forget(struct daxfs *fs, struct name_op *op)
{
	int rc = fs_run(fs, unlink_step, op);

	return rc == -EISDIR ? fs_run(fs, rmdir_step, op) : rc;
}

int daxfs_forget(struct daxfs *fs, daxfs_ino parent, const char *name, daxfs_ino ino)
{
	return forget(fs, &(struct name_op){ .parent = parent, .name = name, .ino = ino, .storage = true });
}

int daxfs_give_back(struct daxfs *fs, daxfs_ino parent, const char *name, daxfs_ino ino, bool cached)
{
	struct name_op op = {
		.parent = parent, .name = name, .ino = ino, .storage = true, .given_back = true, .cached = cached
	};

	return forget(fs, &op);
}

int daxfs_discard(struct daxfs *fs, daxfs_ino parent, const char *name, daxfs_ino ino, const struct daxfs_since *since)
{
	struct name_op op = {
		.parent = parent, .name = name, .ino = ino, .storage = true, .dirty = true, .since = since
	};

	return forget(fs, &op);
}
