/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache_drop.c - giving cached pages back: of one file, or anybody's where room is short.
 *
 * A victim is chosen by its heat (heat.h); where that finds too few, by a hand that goes round the states of all
 * pages, each host's from where that host is. The page's word of COUNT says where its link is, or was: it is
 * believed if that is a word of an inode, or of a page that is in use as a node, and
 * names the page as CLEAN. A node in use stays one while we are inside (the state was loaded under our
 * announcement), and no word of a directory is CLEAN. What was seen so may have changed since: the record
 * that drops it expects the word. Nobody waits; crash: as any record.
 */
#include "fs/cache.h"
#include "fs/heat.h"

#define HAND_STEPS 4096u /* states looked at for one batch of victims */
#define DROP_PAGES 64u   /* of a file in one step */
#define BATCH 8u         /* victims chosen at once */
#define TRIES 8u         /* bytes of heat, at least, for one batch of victims */

/* May the state of a page, and its word of COUNT, be looked at: are they in memory that has not failed? */
static bool is_there(const struct pool *pool, uint64_t page)
{
	return !pool_troubled(pool) || (!pool_lost(pool, &pool->state[DAXFS_T_PAGE][page], sizeof(sm_u64)) &&
					!pool_lost(pool, &pool->count[page], sizeof(sm_u64)));
}

/* Does the page of the index that a word would lie in hold words of a file? */
static bool in_node(struct lane *lane, const sm_u64 *word)
{
	uint64_t node = (uint64_t)((const uint8_t *)word - lane->pool->pages) / DAXFS_PAGE_SIZE;
	uint64_t state;

	if (!is_there(lane->pool, node) || pool_lost_page(lane->pool, node))
		return false;
	state = epoch_load(&lane->epoch, &lane->pool->state[DAXFS_T_PAGE][node]);
	return state_of(state) == DAXFS_LIVE && use_of(state) == DAXFS_USE_NODE;
}

/* Is it one of an inode's words for its first pages? */
static bool in_inode(const struct pool *pool, uint64_t offset)
{
	uint64_t base = pool_offset(pool, pool->inodes), at;

	if (offset < base || offset - base >= pool->objects[DAXFS_T_INODE] * sizeof(struct sm_inode))
		return false;
	at = (offset - base) % sizeof(struct sm_inode);
	return at >= offsetof(struct sm_inode, direct) && at < offsetof(struct sm_inode, indirect);
}

/* The word that names a cached page, if the hint leads to it. */
static sm_u64 *link_of(struct lane *lane, uint64_t page, uint64_t *word)
{
	const struct pool *pool = lane->pool;
	uint64_t offset = sm_load_relaxed(&pool->count[page]) * sizeof(sm_u64);
	uint64_t pages = pool_offset(pool, pool->pages);
	bool page_of_pool = offset >= pages && offset - pages < pool->objects[DAXFS_T_PAGE] * DAXFS_PAGE_SIZE;
	sm_u64 *at;

	if (!page_of_pool && !in_inode(pool, offset))
		return NULL;
	at = pool_at(pool, offset);
	if (page_of_pool && !in_node(lane, at))
		return NULL;
	*word = word_help(lane, at);
	return link_names(pool, *word, DAXFS_CLEAN) && link_index(*word) == page ? at : NULL;
}

static int drop(struct lane *lane, sm_u64 *at, uint64_t word)
{
	record_begin(lane, OP_DROP);
	txn_word(&lane->txn, at, DAXFS_W_LINK, word, link_payload(DAXFS_ABSENT, 0));
	if (link_kind(word) == DAXFS_CLEAN)
		record_retire(lane, DAXFS_T_PAGE, link_index(word));
	return record_commit(lane);
}

/* 1: it was dropped; 0: not now; -ENOENT: it is none of the cache. */
static int try_victim(struct daxfs *fs, struct lane *lane, uint64_t page)
{
	uint64_t state, word;
	sm_u64 *at;

	if (!is_there(lane->pool, page))
		return 0;
	state = epoch_load(&lane->epoch, &lane->pool->state[DAXFS_T_PAGE][page]);
	if (state_of(state) == DAXFS_PRIVATE && use_of(state) == DAXFS_USE_CACHED)
		return 0; /* it is about to be */
	if (state_of(state) != DAXFS_LIVE || use_of(state) != DAXFS_USE_CACHED)
		return -ENOENT;
	at = link_of(lane, page, &word);
	if (!at || lane->txn.fault || drop(lane, at, word))
		return 0;
	heat_clear(lane->pool, page);
	heat_count(fs, -1);
	return 1;
}

static void count_victim(struct daxfs *fs, const struct heat_victim *victim)
{
	cache_count(fs, FIGURE_DROPPED_YOUNG, victim->age < HEAT_TICKS);
	cache_count(fs, FIGURE_DROPPED_OLD, victim->age >= 2 * HEAT_TICKS);
	cache_count(fs, FIGURE_AHEAD_WASTED, heat_kind(victim->heat) >= DAXFS_HEAT_AHEAD);
}

/* Victims that are looked at together: each is known by what the one before it led to, and all of it is far away. */
struct batch {
	struct heat_victim victim[BATCH];
	unsigned n;
};

static bool is_chosen(const struct batch *batch, uint64_t page)
{
	for (unsigned i = 0; i < batch->n; i++)
		if (batch->victim[i].page == page)
			return true;
	return false;
}

/* Up to n; looks that were made, more if some led nowhere. */
static unsigned choose(struct daxfs *fs, struct lane *lane, struct batch *batch, unsigned n)
{
	unsigned looks = 0;

	batch->n = 0;
	while (looks < n && looks < BATCH && heat_pick(fs, lane, &batch->victim[batch->n])) {
		uint64_t page = batch->victim[batch->n].page;

		looks++;
		if (is_chosen(batch, page))
			continue;
		space_warm_state(lane->pool, page);
		sm_prefetch(&lane->pool->count[page], sizeof(sm_u64));
		batch->n++;
	}
	return looks;
}

/* A hint: the words that the hints of the victims lead to. */
static void fetch_links(const struct pool *pool, const struct batch *batch)
{
	uint64_t offset, pages = pool_offset(pool, pool->pages);

	for (unsigned i = 0; i < batch->n; i++) {
		if (!is_there(pool, batch->victim[i].page))
			continue;
		offset = sm_peek(&pool->count[batch->victim[i].page]) * sizeof(sm_u64);
		if (offset >= pool->shm.size)
			continue;
		sm_prefetch_write(pool_at(pool, offset), sizeof(sm_u64));
		if (offset >= pages && (offset - pages) / DAXFS_PAGE_SIZE < pool->objects[DAXFS_T_PAGE])
			sm_prefetch(&pool->state[DAXFS_T_PAGE][(offset - pages) / DAXFS_PAGE_SIZE], sizeof(sm_u64));
	}
}

static bool drop_victim(struct daxfs *fs, struct lane *lane, const struct heat_victim *victim)
{
	int rc = lane->txn.fault ? 0 : try_victim(fs, lane, victim->page);

	if (rc == -ENOENT) { /* that page went with its file */
		heat_clear(lane->pool, victim->page);
		heat_count(fs, -1);
	} else if (rc > 0) {
		count_victim(fs, victim);
	}
	return rc > 0;
}

/* Up to n, chosen by their heat. A byte without a page costs a try; where there is none at all, one look is enough. */
static unsigned give_back_coldest(struct daxfs *fs, struct lane *lane, unsigned n)
{
	unsigned dropped = 0, looks;
	struct batch batch;

	for (unsigned tries = 2 * n + TRIES; tries && dropped < n && !lane->txn.fault; tries -= looks) {
		looks = choose(fs, lane, &batch, n - dropped < tries ? n - dropped : tries);
		if (!looks)
			break;
		fetch_links(lane->pool, &batch);
		for (unsigned i = 0; i < batch.n; i++)
			dropped += drop_victim(fs, lane, &batch.victim[i]);
	}
	return dropped;
}

/* Up to n, from where the hand is: see cache_yield for what is remembered of it. */
static unsigned give_back_next(struct daxfs *fs, struct lane *lane, unsigned n)
{
	uint64_t pages = lane->pool->objects[DAXFS_T_PAGE], steps = pages < HAND_STEPS ? pages : HAND_STEPS;
	uint64_t mark = heat_mark(lane->pool), hand = cache_hand(fs, steps), i;
	unsigned dropped = 0;
	bool bare = true;

	for (i = 0; i < steps && dropped < n && !lane->txn.fault; i++) {
		int rc = try_victim(fs, lane, (hand + i) % pages);

		dropped += rc > 0;
		bare = bare && rc == -ENOENT;
	}
	cache_walked(fs, mark, i, bare && !lane->txn.fault);
	return dropped;
}

unsigned cache_give_back(struct daxfs *fs, struct lane *lane, unsigned n)
{
	unsigned dropped = give_back_coldest(fs, lane, n);

	if (dropped < n)
		dropped += give_back_next(fs, lane, n - dropped);
	cache_count(fs, FIGURE_DROPPED, dropped);
	return dropped;
}

/* -- of one file --------------------------------------------------------------------- */

struct drop_op {
	daxfs_ino ino;
	uint64_t page, end; /* next one, behind the last one */
	int64_t dropped;
};

uint64_t cache_behind_hole(const struct map_pos *pos, uint64_t p)
{
	uint64_t span = 1ull << (9 * pos->height);

	return (p | (span - 1)) + 1;
}

static int drop_page(struct daxfs *fs, struct lane *lane, struct drop_op *op, sm_u64 *at)
{
	uint64_t word = word_help(lane, at);
	int rc = link_kind(word) == DAXFS_CLEAN || link_kind(word) == DAXFS_VOID ? drop(lane, at, word) : 1;

	if (rc < 0)
		return lane->txn.fault ? -EIO : rc;
	if (rc == 0 && link_kind(word) == DAXFS_CLEAN) {
		heat_clear(lane->pool, link_index(word));
		heat_count(fs, -1);
	}
	op->dropped += rc == 0;
	op->page++;
	return 0;
}

/* Some of its pages. 1: there are more. */
static int drop_some(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct drop_op *op = arg;
	struct map_pos pos;
	struct inode inode;
	uint64_t pages;
	int rc = inode_get_file(lane, op->ino, &inode);

	if (rc)
		return rc;
	pages = (size_bytes(word_load(lane, &inode.sm->size)) + DAXFS_PAGE_SIZE - 1) / DAXFS_PAGE_SIZE;
	if (op->end > pages)
		op->end = pages;
	for (unsigned i = 0; rc == 0 && i < DROP_PAGES && op->page < op->end; i++) {
		rc = map_find(lane, inode.sm, op->page, &pos);
		if (rc == 0)
			rc = drop_page(fs, lane, op, pos.slot);
		else if (rc == -ENOENT)
			op->page = cache_behind_hole(&pos, op->page), rc = 0;
	}
	return rc ? rc : op->page < op->end;
}

int64_t daxfs_cache_drop(struct daxfs *fs, daxfs_ino ino, uint64_t offset, uint64_t len)
{
	uint64_t last = len > UINT64_MAX - offset ? UINT64_MAX : offset + len;
	struct drop_op op = {
		.ino = ino,
		.page = offset / DAXFS_PAGE_SIZE + (offset % DAXFS_PAGE_SIZE != 0),
		.end = last / DAXFS_PAGE_SIZE + (last % DAXFS_PAGE_SIZE != 0),
	};
	int rc;

	do
		rc = fs_run(fs, drop_some, &op);
	while (rc > 0);
	return rc ? rc : op.dropped;
}
