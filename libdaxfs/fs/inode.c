/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inode.c - inode records: handles and attributes.
 *
 * Inodes are type-stable: a record stays an inode for the life of the pool, and
 * the words keep their versions when it is used again. A handle names one use:
 * i_generation << 32 | index.
 */
#include <errno.h>

#include "fs/lease.h"

#define BLOCKS_LIMIT 4096u /* words counted before a file has too many for one look: fs/sparse.c */

static bool possible(const struct pool *pool, uint64_t handle)
{
	uint64_t index = handle_index(handle);

	return index && index < pool->objects[DAXFS_T_INODE];
}

static inline bool is_now(const struct pool *pool, uint64_t handle, struct sm_inode **out)
{
	*out = &pool->inodes[handle_index(handle)];
	return sm_load(&(*out)->i_generation) == handle_generation(handle);
}

static inline bool in_use(const struct pool *pool, uint64_t index)
{
	unsigned state = state_of(sm_load(&pool->state[DAXFS_T_INODE][index]));

	return state == DAXFS_LIVE || state == DAXFS_PRIVATE;
}

/* The same in a pool with memory that failed. Apart: what it saves would be felt by each call. */
static __attribute__((noinline)) bool is_wary(struct lane *lane, uint64_t handle, struct sm_inode **out)
{
	const struct pool *pool = lane->pool;
	uint64_t index = handle_index(handle);

	if (pool_lost(pool, &pool->inodes[index], sizeof(struct sm_inode))) {
		lane->txn.fault = true;
		return false;
	}
	/* With its state lost an inode is not used again, so its i_generation tells all. */
	return (pool_lost(pool, &pool->state[DAXFS_T_INODE][index], sizeof(sm_u64)) || in_use(pool, index)) &&
	       is_now(pool, handle, out);
}

bool inode_is(struct lane *lane, uint64_t handle, struct sm_inode **out)
{
	const struct pool *pool = lane->pool;

	if (!possible(pool, handle))
		return false;
	if (pool_troubled(pool))
		return is_wary(lane, handle, out);
	return in_use(pool, handle_index(handle)) && is_now(pool, handle, out);
}

/* Does an inode exist for its users: has it a name, or somebody who holds it? */
bool inode_exists(struct lane *lane, struct sm_inode *sm)
{
	enum daxfs_life life = nlink_life(word_load(lane, &sm->nlink));

	if (life != DAXFS_LIFE_ORPHAN)
		return life == DAXFS_LIFE_ALIVE;
	return word_payload(word_load(lane, &sm->openers[0]), DAXFS_W_OPENERS) ||
	       word_payload(word_load(lane, &sm->openers[1]), DAXFS_W_OPENERS);
}

int inode_get(struct lane *lane, uint64_t handle, struct inode *out)
{
	bool there;

	if (!possible(lane->pool, handle))
		return -ESTALE;
	/* Life before i_generation: a new use sets them in the other order. */
	there = inode_exists(lane, &lane->pool->inodes[handle_index(handle)]);
	if (!inode_is(lane, handle, &out->sm) || !there)
		return lane->txn.fault ? -EIO : -ESTALE;
	out->handle = handle;
	out->mode = (uint32_t)word_payload(word_load_known(lane, &out->sm->mode), DAXFS_W_ATTR);
	return 0;
}

int inode_get_file(struct lane *lane, uint64_t handle, struct inode *out)
{
	int rc = inode_get(lane, handle, out);

	if (rc == 0 && !S_ISREG(out->mode))
		rc = S_ISDIR(out->mode) ? -EISDIR : -EINVAL;
	return rc;
}

int inode_get_dir(struct lane *lane, uint64_t handle, struct inode *out, uint64_t *root)
{
	int rc = inode_get(lane, handle, out);
	uint64_t w;

	if (rc)
		return rc;
	if (!S_ISDIR(out->mode))
		return -ENOTDIR;
	w = word_load(lane, &out->sm->dir_root);
	if (link_kind(w) == DAXFS_ABSENT)
		return lane->txn.fault ? -EIO : -ESTALE; /* taken apart under our eyes */
	if (!link_names(lane->pool, w, DAXFS_NODE))
		return txn_broken(&lane->txn);
	*root = link_index(w);
	return 0;
}

int inode_parent(struct lane *lane, const struct inode *dir, uint64_t *handle)
{
	uint64_t w = word_load(lane, &dir->sm->parent);

	if (!link_names(lane->pool, w, DAXFS_INODE))
		return txn_broken(&lane->txn);
	*handle = handle_make(sm_load(&lane->pool->inodes[link_index(w)].i_generation), link_index(w));
	return 0;
}

/* Blocks of 512 bytes, or BLOCKS_MANY. */
static uint64_t blocks_of(struct lane *lane, const struct inode *inode, uint64_t size)
{
	uint64_t pages = S_ISDIR(inode->mode);

	if (S_ISREG(inode->mode) && inode_backed(inode->sm)) /* in storage; how many it takes there, it knows */
		pages = (size + DAXFS_PAGE_SIZE - 1) / DAXFS_PAGE_SIZE;
	else if (!S_ISDIR(inode->mode) && size && !map_pages(lane, inode->sm, BLOCKS_LIMIT, &pages))
		return BLOCKS_MANY;
	return pages * (DAXFS_PAGE_SIZE / 512);
}

#define ATTR_WORDS 6u
#define ATTR_RETRIES 16

/* The words that must belong together in one answer. */
static void read_words(struct lane *lane, const struct sm_inode *sm, uint64_t w[ATTR_WORDS])
{
	w[0] = word_load_known(lane, &sm->size);
	w[1] = word_load_known(lane, &sm->nlink);
	w[2] = word_load_known(lane, &sm->mode);
	w[3] = word_load_known(lane, &sm->uid);
	w[4] = word_load_known(lane, &sm->gid);
	w[5] = word_load_known(lane, &sm->trunc);
}

/* One of several links of what is of storage is the entry by its number (link.c). */
static uint32_t names_of(const struct inode *inode, uint32_t links)
{
	return links > 1 && !S_ISDIR(inode->mode) && inode_backed(inode->sm) ? links - 1 : links;
}

static void fill_attr(struct lane *lane, const struct inode *inode, const uint64_t w[ATTR_WORDS],
		      struct daxfs_attr *out)
{
	const struct sm_inode *sm = inode->sm;

	*out = (struct daxfs_attr){
		.ino = inode->handle,
		.size = S_ISDIR(inode->mode) ? DAXFS_PAGE_SIZE : size_bytes(w[0]),
		.nlink = names_of(inode, nlink_count(w[1])),
		.mode = (uint32_t)word_payload(w[2], DAXFS_W_ATTR),
		.uid = (uint32_t)word_payload(w[3], DAXFS_W_ATTR),
		.gid = (uint32_t)word_payload(w[4], DAXFS_W_ATTR),
		.rdev = inode_backed(sm) ? 0 : (uint32_t)sm_load(&sm->rdev),
	};
	inode_look(lane, inode->sm, out);
}

int inode_attr(struct lane *lane, uint64_t handle, struct daxfs_attr *out)
{
	uint64_t first[ATTR_WORDS], w[ATTR_WORDS];
	struct inode inode;
	int rc;

	if (!possible(lane->pool, handle))
		return -ESTALE;
	inode.sm = &lane->pool->inodes[handle_index(handle)];
	read_words(lane, inode.sm, w);
	/* All was so between two looks that agree. A file appended to without a
	 * pause may spoil that, and then the last look has to do. */
	for (int i = 0;; i++) {
		memcpy(first, w, sizeof(first));
		rc = inode_get(lane, handle, &inode);
		if (rc)
			return rc;
		fill_attr(lane, &inode, w, out);
		read_words(lane, inode.sm, w);
		if (memcmp(first, w, sizeof(first)) && i < ATTR_RETRIES)
			continue;
		out->blocks = blocks_of(lane, &inode, out->size);
		if (word_load_known(lane, &inode.sm->nlink) == first[1]) /* it was this file throughout */
			return lane->txn.fault ? -EIO : 0;
	}
}

uint64_t inode_next_handle(const struct pool *pool, uint64_t index)
{
	return handle_make((sm_load(&pool->inodes[index].i_generation) + 1) & 0xffffffffull, index);
}

/* The first value of a word of a private inode; its version goes on. */
static uint64_t first_value(const sm_u64 *p, enum daxfs_word_class class, uint64_t payload)
{
	return word_next(sm_load_relaxed(p) & ~DAXFS_MARK, class, payload);
}

static void init_word(sm_u64 *p, enum daxfs_word_class class, uint64_t payload)
{
	sm_store_relaxed(p, first_value(p, class, payload));
}

uint64_t inode_init(struct lane *lane, uint64_t index, const struct inode_init *init)
{
	struct sm_inode *sm = &lane->pool->inodes[index];
	uint64_t handle = inode_next_handle(lane->pool, index);
	bool dir = S_ISDIR(init->mode), symlink = S_ISLNK(init->mode);
	unsigned bit = init->opener - 1;

	sm_store_relaxed(&sm->i_generation, handle_generation(handle));
	init_word(&sm->size, DAXFS_W_SIZE, init->size);
	init_word(&sm->trunc, DAXFS_W_TICK, 0);
	for (unsigned i = 0; i < 2; i++)
		init_word(&sm->openers[i], DAXFS_W_OPENERS, init->opener && bit / 32 == i ? 1ull << (bit % 32) : 0);
	init_word(&sm->mode, DAXFS_W_ATTR, init->mode);
	init_word(&sm->uid, DAXFS_W_ATTR, init->cred.uid);
	init_word(&sm->gid, DAXFS_W_ATTR, init->cred.gid);
	init_word(&sm->parent, DAXFS_W_LINK,
		  dir || init->source ? link_payload(DAXFS_INODE, handle_index(init->parent)) : 0);
	init_word(&sm->dir_root, DAXFS_W_LINK, dir ? link_payload(DAXFS_NODE, init->page) : 0);
	for (unsigned i = 0; i < DAXFS_DIRECT; i++)
		init_word(&sm->direct[i], DAXFS_W_LINK, symlink && i == 0 ? link_payload(DAXFS_DATA, init->page) : 0);
	for (unsigned i = 0; i < DAXFS_INDIRECT; i++)
		init_word(&sm->indirect[i], DAXFS_W_LINK, 0);
	init_word(&sm->locks, DAXFS_W_LINK, 0);
	init_word(&sm->xattrs, DAXFS_W_LINK, 0);
	sm_store_relaxed(&sm->atime, init->now);
	sm_store_relaxed(&sm->mtime, init->mtime);
	sm_store_relaxed(&sm->ctime, (init->ctime & ~DAXFS_CTIME_BEHIND) | DAXFS_CTIME_LOOKED);
	sm_store_relaxed(&sm->btime, init->source ? 0 : init->now);
	sm_store_relaxed(&sm->rdev, init->source ? init->source : init->rdev);
	/* ORD life: last, released: a stale handle that finds it alive finds the new i_generation. */
	sm_store(&sm->nlink, first_value(&sm->nlink, DAXFS_W_NLINK, nlink_payload(DAXFS_LIFE_ALIVE, 1)));
	sm_flush(&lane->pool->shm, sm, sizeof(*sm));
	lane->txn.made = handle;
	return handle;
}

void inode_init_attr(uint64_t handle, const struct inode_init *init, struct daxfs_attr *out)
{
	*out = (struct daxfs_attr){
		.ino = handle,
		.size = S_ISDIR(init->mode) ? DAXFS_PAGE_SIZE : init->size,
		.blocks = S_ISDIR(init->mode) || init->size ? DAXFS_PAGE_SIZE / 512 : 0,
		.nlink = 1,
		.mode = init->mode,
		.uid = init->cred.uid,
		.gid = init->cred.gid,
		.rdev = init->rdev,
		.atime = time_decode(init->now),
		.mtime = time_decode(init->mtime),
		.ctime = ctime_decode(init->ctime),
	};
}
