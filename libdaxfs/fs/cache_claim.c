/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache_claim.c - claims of pages that are to be read from storage, and what becomes of them:
 * steps, each of one record at most. Rules and crash story: cache.h.
 */
#include "fs/cache.h"
#include "fs/heat.h"
#include "sync/member.h"

/* the file that a fill is about, as a step finds it */
struct target {
	struct sm_inode *sm;
	uint64_t trunc, size, pages;
	unsigned n;
	sm_u64 *slot[CACHE_PAGES]; /* of its pages from the fill's first on, as far as there are words */
	uint64_t word[CACHE_PAGES];
};

/* -ESTALE: it is gone; -EINVAL: it is not in storage. */
static int find_file(struct lane *lane, struct cache_fill *f, struct target *t)
{
	struct inode inode;
	int rc = inode_get_file(lane, f->ino, &inode);

	t->sm = NULL;
	if (rc)
		return rc;
	t->sm = inode.sm;
	/* As in write_txn_start: trunc, then the size, then life. */
	t->trunc = word_help(lane, &inode.sm->trunc);
	t->size = word_help(lane, &inode.sm->size);
	f->size = size_bytes(t->size);
	t->pages = (f->size + DAXFS_PAGE_SIZE - 1) / DAXFS_PAGE_SIZE;
	t->n = 0;
	rc = inode_get_file(lane, f->ino, &inode);
	f->source = inode_source(inode.sm);
	return rc ? rc : f->source ? 0 : -EINVAL;
}

/* Find the words of n pages; those below a node that is missing are not there. *pos: where the first one is. */
static int find_words(struct lane *lane, const struct cache_fill *f, unsigned n, struct target *t, struct map_pos *pos)
{
	struct map_pos at;
	int rc = 0;

	at.left = 0;
	for (t->n = 0; rc == 0 && t->n < n && f->first + t->n < t->pages; t->n += rc == 0) {
		rc = map_next(lane, t->sm, f->first + t->n, &at);
		if (t->n == 0)
			*pos = at;
		if (rc)
			break;
		t->slot[t->n] = at.slot;
		t->word[t->n] = word_help(lane, at.slot);
	}
	return lane->txn.fault ? -EIO : rc == -ENOENT && t->n ? 0 : rc;
}

/* The file, and the words of n pages of it. */
static int find_pages(struct lane *lane, struct cache_fill *f, unsigned n, struct target *t, struct map_pos *pos)
{
	int rc = find_file(lane, f, t);

	*pos = (struct map_pos){ .slot = NULL };
	if (rc == 0)
		rc = find_words(lane, f, n, t, pos);
	/* After the words: a page that was written back, and is absent again, is one that storage has (W4). */
	f->stored = t->sm ? cache_stored(word_help(lane, &t->sm->dir_root), t->size) * DAXFS_PAGE_SIZE : 0;
	return rc;
}

/*
 * A claim of ours was made, or a node, in a record that found trunc as it was when the other end of the same write was
 * read aside: that still counts. Else each end would make the other one old, as long as there is no room for either.
 */
static void nothing_cut(const struct cache_fill *f, const struct target *t)
{
	if (f->beside && f->beside->trunc == t->trunc)
		f->beside->trunc = word_next(t->trunc, DAXFS_W_TICK, 0);
}

/* Give the file the node that is missing at pos. -EAGAIN: look again. */
static int add_node(struct lane *lane, const struct cache_fill *f, const struct target *t, const struct map_pos *pos)
{
	uint64_t before = word_help(lane, pos->slot), page;
	int rc;

	record_begin(lane, OP_FILL);
	rc = link_kind(before) == DAXFS_ABSENT ? space_take(lane, DAXFS_T_PAGE, DAXFS_USE_NODE, 1, &page) : -EAGAIN;
	if (rc)
		return record_abort(lane, rc);
	sm_zero(pool_page(lane->pool, page), DAXFS_PAGE_SIZE);
	sm_flush(&lane->pool->shm, pool_page(lane->pool, page), DAXFS_PAGE_SIZE);
	txn_word(&lane->txn, pos->slot, DAXFS_W_LINK, before, link_payload(DAXFS_NODE, page));
	txn_word(&lane->txn, &t->sm->trunc, DAXFS_W_TICK, t->trunc, 0);
	rc = record_commit(lane);
	if (rc == 0)
		nothing_cut(f, t);
	return rc ? rc : -EAGAIN;
}

bool cache_claim_over(const struct pool *pool, uint64_t w)
{
	unsigned id = filling_host(w);
	const struct sm_host *host = &pool->member->host[id];
	struct host_word word;
	uint64_t now;

	if (id >= pool->super.hosts)
		return true;
	/* Relaxed: what is over stays so, and who takes over too early reads what another one reads (C1). What decides
	 * is the record that finds the claim. */
	if (host_word_unpack(sm_load_relaxed(&host->word), &word))
		return false;
	now = filling_payload(id, word.generation, host_successions(host, word.generation));
	return word_payload(w, DAXFS_W_LINK) != now;
}

/* May we claim a page whose word is that? Nobody else of this process reads it (C2). */
static bool may_claim(const struct lane *lane, uint64_t w, uint64_t mine)
{
	return link_kind(w) == DAXFS_ABSENT || cache_lost(lane->pool, w) ||
	       (link_kind(w) == DAXFS_FILLING &&
		(word_payload(w, DAXFS_W_LINK) == mine || cache_claim_over(lane->pool, w)));
}

uint64_t cache_claim_of(const struct daxfs *fs)
{
	return filling_payload(fs->host, fs->generation, fs->succession);
}

/* How many of the pages, from the first on. One whose memory failed only as the first: its page is retired. */
static unsigned claimable(const struct lane *lane, const struct target *t, uint64_t mine, unsigned *taken_over)
{
	unsigned n = 0;

	*taken_over = 0;
	while (n < t->n && may_claim(lane, t->word[n], mine) && !(n && cache_lost(lane->pool, t->word[n])))
		*taken_over += link_kind(t->word[n++]) == DAXFS_FILLING;
	return n;
}

int cache_claim(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct cache_fill *f = arg;
	const uint64_t mine = cache_claim_of(fs);
	struct map_pos pos;
	struct target t;
	int rc = find_pages(lane, f, f->wanted, &t, &pos);
	unsigned n;
	bool lost;

	f->n = f->taken_over = 0;
	f->busy = 0;
	if (rc)
		return rc == -ENOENT ? add_node(lane, f, &t, &pos) : rc;
	n = claimable(lane, &t, mine, &f->taken_over);
	if (n == 0) {
		f->busy = t.n && link_kind(t.word[0]) == DAXFS_FILLING ? t.word[0] : 0;
		return 0;
	}
	lost = cache_lost(lane->pool, t.word[0]);
	record_begin(lane, OP_FILL);
	for (unsigned i = 0; i < n; i++) {
		txn_word(&lane->txn, t.slot[i], DAXFS_W_LINK, t.word[i], mine);
		f->aside->word[i] = word_next(t.word[i], DAXFS_W_LINK, mine);
	}
	txn_word(&lane->txn, &t.sm->trunc, DAXFS_W_TICK, t.trunc, 0);
	f->aside->trunc = word_next(t.trunc, DAXFS_W_TICK, 0);
	if (lost)
		record_retire(lane, DAXFS_T_PAGE, link_index(t.word[0]));
	f->n = n; /* now: if memory fails in what follows, the claims may be there all the same */
	rc = record_commit(lane);
	if (rc == 0)
		nothing_cut(f, &t);
	if (rc == 0 && lost) {
		heat_clear(lane->pool, link_index(t.word[0]));
		heat_count(fs, -1);
	}
	return rc;
}

int cache_note(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct cache_fill *f = arg;
	struct map_pos pos;
	struct target t;
	int rc = find_pages(lane, f, f->wanted, &t, &pos);

	(void)fs;
	f->n = 0;
	f->aside->trunc = t.trunc;
	if (rc == -ENOENT) {
		/* Of all below, but what is not there now is enough. A write finds the word in a node of its own, in
		 * which nothing was yet; and trunc tells whether anybody else has added one. */
		f->aside->word[f->n++] = f->purpose == FILL_WRITES ? 0 : pos.word;
		return 0;
	}
	while (rc == 0 && f->n < t.n &&
	       (link_kind(t.word[f->n]) == DAXFS_ABSENT || link_kind(t.word[f->n]) == DAXFS_FILLING ||
		cache_lost(lane->pool, t.word[f->n]))) {
		f->aside->word[f->n] = t.word[f->n];
		f->n++;
	}
	return rc;
}

/* Claims of others change trunc, too: then it is looked again once more, and no harm is done. */
int cache_uncut(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct cache_fill seen = *(const struct cache_fill *)arg;
	struct target t;
	int rc = find_file(lane, &seen, &t);

	(void)fs;
	return rc ? rc : t.trunc == seen.aside->trunc;
}

int cache_stands(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct cache_fill *f = arg;
	struct map_pos pos;
	struct target t;
	int rc = find_pages(lane, f, 1, &t, &pos);

	(void)fs;
	if (rc)
		return rc == -ENOENT ? 0 : rc;
	return t.n && t.word[0] == f->busy && !cache_claim_over(lane->pool, f->busy);
}

/* -- with the bytes ------------------------------------------------------------------- */

static bool is_zero(const uint8_t *page)
{
	return page[0] == 0 && memcmp(page, page + 1, DAXFS_PAGE_SIZE - 1) == 0;
}

/* A page of ours that is to be the file's: its bytes, and where its link will be. */
static void fill_page(struct lane *lane, uint64_t page, const sm_u64 *slot, const uint8_t *bytes)
{
	struct pool *pool = lane->pool;
	uint8_t *to = pool_page(pool, page);

	sm_write(to, bytes, DAXFS_PAGE_SIZE);
	sm_flush(&pool->shm, to, DAXFS_PAGE_SIZE);
	/* A hint: a crash may leave another one, or none. */
	sm_store_relaxed(&pool->count[page], pool_offset(pool, slot) / sizeof(*slot));
}

/*
 * Is it the claim of this read? A record that met it and was undone, ours or another, has left it with the next
 * version; one that was given up and made again is two further, at least.
 */
static bool is_ours(uint64_t now, uint64_t *claim)
{
	if (now == word_next(*claim, DAXFS_W_LINK, word_payload(*claim, DAXFS_W_LINK)))
		*claim = now;
	return now == *claim;
}

/* Which of the pages are still claimed by this read; how many of them need room. */
static unsigned still_ours(const struct cache_fill *f, const struct target *t, uint8_t *which, unsigned *need)
{
	unsigned n = 0;

	*need = 0;
	for (unsigned i = 0; i < f->n && i < t->n; i++)
		if (is_ours(t->word[i], &f->aside->word[i])) {
			*need += !is_zero(f->aside->bytes + i * (size_t)DAXFS_PAGE_SIZE);
			which[n++] = (uint8_t)i;
		}
	return n;
}

/* Found anew (C2): those of a file that was cut off, or removed, are none. */
static int find_ours(struct lane *lane, struct cache_fill *f, struct target *t, uint8_t *which, unsigned *n,
		     unsigned *need)
{
	struct map_pos pos;
	int rc = find_pages(lane, f, f->n, t, &pos);

	*n = rc ? 0 : still_ours(f, t, which, need);
	return rc == -ENOENT || rc == -ESTALE ? 0 : rc;
}

/* With a record begun: stage them as pages, or as zeros. page[], which: those that are pages. */
static int stage(struct lane *lane, const struct cache_fill *f, const struct target *t, uint8_t *which, unsigned n,
		 unsigned need, uint64_t page[])
{
	int rc = need ? space_take(lane, DAXFS_T_PAGE, DAXFS_USE_CACHED, need, page) : 0;

	for (unsigned i = 0, k = 0; rc == 0 && i < n; i++) {
		unsigned at = which[i];
		const uint8_t *bytes = f->aside->bytes + at * (size_t)DAXFS_PAGE_SIZE;
		uint64_t is = link_payload(DAXFS_VOID, 0);

		if (!is_zero(bytes)) {
			fill_page(lane, page[k], t->slot[at], bytes);
			is = link_payload(DAXFS_CLEAN, page[k]);
			which[k++] = (uint8_t)at;
		}
		txn_word(&lane->txn, t->slot[at], DAXFS_W_LINK, t->word[at], is);
	}
	return rc;
}

/* Does another host have the file open? */
static bool is_shared(struct lane *lane, const struct sm_inode *sm)
{
	for (unsigned i = 0; i < sizeof(sm->openers) / sizeof(sm->openers[0]); i++) {
		uint64_t open = word_payload(word_load(lane, &sm->openers[i]), DAXFS_W_OPENERS);

		if (open & ~(lane->host / 32 == i ? 1ull << lane->host % 32 : 0))
			return true;
	}
	return false;
}

/* The pages have been made: that is how warm they are. */
static void warm(struct daxfs *fs, struct lane *lane, const struct cache_fill *f, const struct target *t,
		 const uint8_t *which, const uint64_t page[], unsigned n)
{
	bool scan = f->stream && is_shared(lane, t->sm);

	heat_filled(&fs->pool, n);
	for (unsigned i = 0; i < n; i++) {
		bool ahead = which[i] >= f->asked;

		heat_put(fs, lane, page[i],
			 scan ? (ahead ? DAXFS_HEAT_SCAN_AHEAD : DAXFS_HEAT_SCAN)
			      : (ahead ? DAXFS_HEAT_AHEAD : DAXFS_HEAT_COLD));
	}
}

int cache_publish(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct cache_fill *f = arg;
	uint64_t page[CACHE_PAGES];
	uint8_t which[CACHE_PAGES];
	struct target t;
	unsigned need, n;
	int rc = find_ours(lane, f, &t, which, &n, &need);

	f->filled = 0;
	if (rc || n == 0)
		return rc;
	rc = cache_make_room(fs, lane, need);
	if (rc)
		return rc;
	record_begin(lane, OP_FILL);
	txn_by_marks(&lane->txn);
	rc = stage(lane, f, &t, which, n, need, page);
	rc = rc ? record_abort(lane, rc) : record_commit(lane);
	if (rc) {
		heat_count(fs, -(int64_t)need);
		return rc;
	}
	f->filled = n;
	warm(fs, lane, f, &t, which, page, need);
	return 0;
}

int cache_release(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct cache_fill *f = arg;
	uint8_t which[CACHE_PAGES];
	struct target t;
	unsigned need, n;
	int rc = find_ours(lane, f, &t, which, &n, &need);

	(void)fs;
	if (rc || n == 0)
		return rc;
	record_begin(lane, OP_FILL);
	for (unsigned i = 0; i < n; i++)
		txn_word(&lane->txn, t.slot[which[i]], DAXFS_W_LINK, t.word[which[i]], link_payload(DAXFS_ABSENT, 0));
	rc = record_commit(lane);
	for (unsigned i = 0; rc == 0 && i < n; i++) /* what was read is as good for who finds it absent */
		f->aside->word[which[i]] = word_next(t.word[which[i]], DAXFS_W_LINK, link_payload(DAXFS_ABSENT, 0));
	return rc;
}
