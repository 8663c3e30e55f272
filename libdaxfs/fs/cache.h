/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache.h - files of backing storage: the words of their pages, and who does what to them.
 *
 * There is no second index and there are no slots: a cached page is a page of a file, found, protected,
 * helped and recovered as any other. What its word says, of a page before the file's end:
 *
 *   absent            nothing is known: storage has it
 *   FILLING {host, generation, succession}   a process of that host reads it from storage. No page belongs to it yet
 *   CLEAN -> page     as storage has it: may be dropped at any moment
 *   VOID              storage has zeros there: no page is needed
 *   DATA -> page      newer than storage, acknowledged: never dropped (cache_write.c)
 *
 *   claim     absent, or CLEAN of memory that failed -> FILLING(me), of pages that follow each other, and trunc: a
 *             hole is filled (write_txn.c)
 *   take over FILLING(which is over: C4) -> FILLING(me)           in the same record
 *   read      from storage into private memory, without a lane: however slow, it holds nothing
 *   publish   FILLING(me) -> CLEAN -> page, or VOID               takes the pages, fills them
 *   release   FILLING(me) -> absent                               the read failed, or there is no room
 *   drop      CLEAN -> page, VOID -> absent                       retires the page
 *   (and truncation, deletion: anything -> absent)
 *
 *  C1 A claim names its filler, not a page. So a filler that is slow or dead has nothing in the pool but
 *     a word that says so: nothing to free, nothing that it could still write into. (Were the page
 *     named, whoever takes over would have to take another one, and who truncates leave it.)
 *  C2 Only who claimed publishes, by a record that expects that very claim, found anew through the
 *     file's index. While a thread has a read of a page under way its host claims it no second time: the
 *     process knows its own (cache_begin). So a claim of ours that nobody of us reads for is left over: taken over.
 *  C3 An error of storage goes to who asked, and the claim is released: it is never cached, nor a short read. That
 *     is an error, unless trunc has changed since the claim: then the file may have been cut off, and who reads looks
 *     again.
 *  C4 Who finds FILLING whose generation is over, or whose process is: its host says that another one goes on in its
 *     place (resume.c), takes it over at once; else waits so long, and then reads storage privately. These bytes count
 *     while the word is what it was before the read. Till somebody wants the page, such a claim is as good as absent.
 *  C5 A page that is not DATA may go at any moment. Whoever sees it protects it as any other (epoch.c).
 *  C6 A victim is found by its page: its state says CACHED, its word of COUNT where its link is. That is a hint: it
 *     counts if there is a link word there that names the page (cache_drop.c).
 *  C7 CLEAN of memory that failed is read again: claimed as what is absent is, in a record that retires the page, which
 *     nobody uses again (space/lost.c). DATA that failed stays, is EIO to readers and to who writes back, who goes on
 *     with the others.
 *
 * Why a claim changes trunc, and publishing need not: see write_txn.c. A claim is a fill of a hole, publishing an
 * overwrite: who truncates or deletes the file finds the claim, and removes it, or made it fail.
 * Publishing goes by marks, though it may be of one word: the claim may come again (of another
 * thread), and then the word would not tell a recoverer what became of the page.
 *
 * A host dies                  what it leaves                      what becomes of that
 *   before the claim           nothing
 *   in the record of a claim   as any record, also if that retires a page that failed
 *   after it, reading          FILLING                             taken over when it is fenced, or its next process
 *                                                                  goes on; passed by until then
 *   in publishing              as any record: FILLING or CLEAN     the pages are freed or LIVE
 *   after it                   CLEAN
 *   releasing, dropping        as any record
 * A process dies, and its host does not: the same. Its successor counts itself, and then ends its records, so that a
 * claim which such a record still makes is over, too. A thread that cannot go on, for memory has failed, releases
 * what it may have claimed, with another lane (cache_fill.c).
 * Nothing of this needs a recovery but the records. In a wb pool the same: claims may be lost
 * with a cache, and then the page is absent, or what it was before: as good.
 *
 * What fails: storage (an error, a short read, a wait without end: C3, C4, and nobody else notices), a
 * pool that is full (the reader gets its bytes all the same), a file that changed in storage (the storage's read
 * says -ESTALE). `tests/models/cache.pml` has all but the records, and writing, too.
 */
#ifndef DAXFS_FS_CACHE_H
#define DAXFS_FS_CACHE_H

#include <stdatomic.h>

#include "daxfs/cache.h"
#include "fs/fs.h"

#define CACHE_PAGES 64u /* of one read of storage */

/* Pages that were read from storage into private memory. */
struct cache_aside {
	daxfs_ino ino;
	uint64_t first;
	unsigned n;
	uint64_t trunc;             /* of the file, as the words */
	uint64_t word[CACHE_PAGES]; /* the bytes count while the word is this */
	uint8_t bytes[CACHE_PAGES * DAXFS_PAGE_SIZE];
};

/* one read of storage by this process */
struct cache_fill {
	daxfs_ino ino;
	uint64_t first;
	unsigned asked, wanted, n; /* pages: by the reader; with those ahead of it; and those that it is about */
	uint64_t source, size;
	uint64_t stored; /* bytes that storage has, at most; behind them are zeros */
	uint64_t busy;   /* the claim of another host that is in the way, 0: none */
	unsigned taken_over, filled;
	enum {
		FILL_READS,
		FILL_WRITES, /* part of the page: it adds the nodes that are missing itself */
		FILL_CUTS    /* the page: it adds none */
	} purpose;
	bool no_room; /* no page was found for it */
	bool stream;  /* it is read in order */
	struct cache_aside *aside;
	struct cache_aside *beside; /* the other one of the same write, or NULL */
	struct cache_fill *next;
};

/* Of `want` pages from that on which a reader missed: see that they are there, or in *aside, as many as one
 * read of storage brings, perhaps more. 0: look again.
 * *aside: NULL at first, made when it is needed, to be freed by the caller. */
int cache_bring(struct daxfs *fs, daxfs_ino ino, uint64_t page, uint64_t want, struct cache_aside **aside);
/*
 * The same for a write that is to change part of that page, or a cut. beside: what was read aside for the other end of
 * the same write, or NULL: it counts as long as nobody but us has changed trunc. *tries: of this end, 0 at first.
 * -ENOSPC: in vain; at once, of a cut, if there is no room for a node.
 */
int cache_bring_for_write(struct daxfs *fs, daxfs_ino ino, uint64_t page, struct cache_aside **aside,
			  struct cache_aside *beside, unsigned *tries);
int cache_bring_for_cut(struct daxfs *fs, daxfs_ino ino, uint64_t page, struct cache_aside **aside, unsigned *tries);

/* See that a page is in the pool, and those behind it, up to `want`, CACHE_PAGES at most: for others, who cannot use
 * what is aside. How many are there now; -EAGAIN: somebody is about it already; -ENOSPC: there is no room. */
int cache_provide(struct daxfs *fs, daxfs_ino ino, uint64_t page, unsigned want);

/* What was read aside of a page whose word is that, or NULL. */
static inline const uint8_t *cache_aside_page(const struct cache_aside *aside, daxfs_ino ino, uint64_t page,
					      uint64_t word)
{
	if (!aside || aside->ino != ino || page < aside->first || page - aside->first >= aside->n ||
	    aside->word[page - aside->first] != word)
		return NULL;
	return aside->bytes + (page - aside->first) * DAXFS_PAGE_SIZE;
}

/* The same for a change that depends on the page: nothing was cut off since. */
static inline const uint8_t *cache_aside_since(const struct cache_aside *aside, uint64_t trunc, uint64_t page,
					       uint64_t word)
{
	return aside && aside->trunc == trunc ? cache_aside_page(aside, aside->ino, page, word) : NULL;
}

/* Does the word name a page that is as storage has it, in memory that has failed? Then it is as good as absent (C7). */
static inline bool cache_lost(const struct pool *pool, uint64_t word)
{
	return pool_troubled(pool) && link_names(pool, word, DAXFS_CLEAN) && pool_lost_page(pool, link_index(word));
}

/* -- writing (cache_write.c) -------------------------------------------------------- */

/* Pages that storage has bytes of, by the word that says so and the size. */
static inline uint64_t cache_stored(uint64_t stored, uint64_t size)
{
	uint64_t pages = (size_bytes(size) + DAXFS_PAGE_SIZE - 1) / DAXFS_PAGE_SIZE;

	return link_kind(stored) == DAXFS_STORED && stored_pages(stored) < pages ? stored_pages(stored) : pages;
}

/* Of a file whose name was removed there (daxfs_discard, daxfs_move): nobody writes it back. A hint. */
#define CACHE_STAMP_REMOVED UINT64_MAX
static inline void cache_stamp_removed(struct lane *lane, struct sm_inode *sm)
{
	sm_store_relaxed(&sm->btime, CACHE_STAMP_REMOVED);
	sm_flush(&lane->pool->shm, &sm->btime, sizeof(sm->btime));
}

/* Is a file of storage, by its word `stored`, to be written back? */
static inline bool cache_is_dirty(uint64_t stored, const struct sm_inode *sm)
{
	return link_kind(stored) == DAXFS_STORED && stored_state(stored) != DAXFS_STORED_SAME &&
	       sm_load_relaxed(&sm->btime) != CACHE_STAMP_REMOVED;
}

struct write_txn;
/* In the record of a write: storage has not all of the file. */
void cache_stage_dirty(struct lane *lane, const struct write_txn *txn);
/* That write is done: pages of the cache in whose place others are now are none any more. */
void cache_overwritten(struct daxfs *fs, const struct write_txn *txn);
/* In the record of another size: the same, and no more of it than that. */
void cache_stage_cut(struct lane *lane, struct sm_inode *sm, uint64_t stored, uint64_t before, uint64_t size);

/* -- steps (cache_claim.c), with a struct cache_fill ------------------------------ */

/* Claim what is absent from f->first on: f->n pages; 0: somebody has, or it is there. */
int cache_claim(struct daxfs *fs, struct lane *lane, void *arg);
/* Is the process that claimed the page with that word over (C4)? What a claim that makes no sense says is nothing. */
bool cache_claim_over(const struct pool *pool, uint64_t w);
/* What a claim of this process says. */
uint64_t cache_claim_of(const struct daxfs *fs);
/* Note the words of pages that are not there, claimed or not. */
int cache_note(struct daxfs *fs, struct lane *lane, void *arg);
/* Does the claim f->busy of the first page still stand, with its host? 1: yes. */
int cache_stands(struct daxfs *fs, struct lane *lane, void *arg);
/* Has the file not been cut off since the pages were claimed, or noted? 1: it has not; as far as is known. */
int cache_uncut(struct daxfs *fs, struct lane *lane, void *arg);
/* Make pages of the bytes, where the claim still is ours. */
int cache_publish(struct daxfs *fs, struct lane *lane, void *arg);
int cache_release(struct daxfs *fs, struct lane *lane, void *arg);

/* -- room (cache_room.c) ------------------------------------------------------------ */

/* n pages are about to be cached, and count from now on: if the pool looks nearly full, or there would be more than
 * cache-max, give back as many. -ENOSPC: there would be, still; they do not count. */
int cache_make_room(struct daxfs *fs, struct lane *lane, unsigned n);
/* The same for files of the pool, which leave cache-min alone: how many. */
unsigned cache_yield(struct daxfs *fs, struct lane *lane, unsigned n);

/* -- dropping (cache_drop.c) ---------------------------------------------------------- */

/* Give back about n cached pages of anybody's: how many. No record may be under way. */
unsigned cache_give_back(struct daxfs *fs, struct lane *lane, unsigned n);
/* The first page behind page p that is not below the node that is missing at pos. */
uint64_t cache_behind_hole(const struct map_pos *pos, uint64_t p);

/* -- asking (cache_ask.c), and serving (cache_serve.c) ----------------------------------- */

struct cache_asks;
struct cache_asks *asks_new(void);
void asks_free(struct cache_asks *asks);
/* Have a host that has the storage read some pages. 0: look again; -ENXIO: none has it; -ETIMEDOUT; -errno of its. */
int cache_ask(struct daxfs *fs, uint64_t source, daxfs_ino ino, uint64_t page, unsigned pages);
/* From now on so often it is looked for an answer, and each so many looks it is asked again: for tests. */
void cache_ask_patience(struct daxfs *fs, unsigned looks, unsigned again);
/* Ask them a question about an inode of that backing: 0, or what those said who were asked. */
int cache_ask_question(struct daxfs *fs, unsigned backing, daxfs_ino ino, uint64_t page);
/* The backing was detached. */
void asks_unserve(struct daxfs *fs, unsigned backing);
/* With a heartbeat: which backings this process serves, and no former one of this host. */
void asks_tell(struct daxfs *fs);

/* -- reading ahead (cache_window.c) --------------------------------------------------- */

struct cache_streams *streams_new(void);
void streams_free(struct cache_streams *streams);
/* How many pages are to be read from `page` on for who wants so many, by how this file was read lately. *stream: it
 * is read in order. */
unsigned cache_window(struct daxfs *fs, daxfs_ino ino, uint64_t page, uint64_t want, bool *stream);
/* That was done of such a read. */
void cache_got(struct daxfs *fs, const struct cache_fill *fill);
/* A read of this process, from that page on, used n pages that had been read ahead and not used yet. */
void cache_used_ahead(struct daxfs *fs, daxfs_ino ino, uint64_t page, unsigned n);

/* -- in this process (cache.c) --------------------------------------------------------- */

struct cache;
int cache_init(struct daxfs *fs);
void cache_fini(struct daxfs *fs);

/* Begin a read of pages by this process, of fewer if another one is about the last: 0; 1: of the first. */
int cache_begin(struct daxfs *fs, struct cache_fill *fill);
void cache_end(struct daxfs *fs, struct cache_fill *fill);
/* Wait until no read of this process is about that page any more: false: for too long. */
bool cache_wait(struct daxfs *fs, const struct cache_fill *fill, unsigned patience_ms);
/* For a moment, or until a read of this process ends. */
#define CACHE_POLL_NS 500000u
void cache_pause(struct daxfs *fs);
/* Attach storage: -EBUSY. Detach it, once nobody uses it: -ENOENT. */
int cache_storage_set(struct daxfs *fs, unsigned backing, const struct daxfs_storage *storage);
int cache_storage_unset(struct daxfs *fs, unsigned backing);
/* The storage of a file, kept attached until it is put: -ENXIO. */
int cache_storage_get(struct daxfs *fs, uint64_t source, struct daxfs_storage *out);
void cache_storage_put(struct daxfs *fs, uint64_t source);
bool cache_attached(struct daxfs *fs, unsigned backing);
/* May files of that source be written by this process? */
bool cache_writes(struct daxfs *fs, uint64_t source);
/* Has a host let us down within the last second? Tell that it has. */
bool cache_is_slow(struct daxfs *fs, unsigned host);
void cache_was_slow(struct daxfs *fs, unsigned host);
/* There was no room by the number of cached pages, in which the dead leave what they were about to fill: is it to be
 * counted anew? That looks at a byte of every page, so not at each such time, and of the time of one thread a
 * thirtieth at most: tell when it has been. */
bool cache_doubts(struct daxfs *fs);
void cache_counted(struct daxfs *fs);
/* This process has filled that page; any of such pages, or another one. For the search for victims. */
void cache_place(struct daxfs *fs, struct lane *lane, uint64_t page);
uint64_t cache_a_place(struct daxfs *fs, struct lane *lane);
/* How many pages this host has in the cache, by its word when it joined: n more. */
uint64_t cache_tally(struct daxfs *fs, uint64_t word, uint64_t n);
/* What this process believes of the room that there is (cache_room.c); 0: nothing. */
atomic_ullong *cache_room(struct daxfs *fs);
/* The page from which the search for victims goes on; it is then `by` further. */
uint64_t cache_hand(struct daxfs *fs, uint64_t by);
/* Has it gone round all pages since the mark (heat_mark) is what it is, and met nothing of the cache? */
bool cache_is_bare(struct daxfs *fs, uint64_t mark);
/* It went so many steps, and met nothing of the cache, nor what may soon be? The mark is of before. */
void cache_walked(struct daxfs *fs, uint64_t mark, uint64_t steps, bool bare);

/* All of them are told to the pod, in this order. */
enum cache_figure {
	FIGURE_HITS,
	FIGURE_MISSES,
	FIGURE_READS,
	FIGURE_FILLED,
	FIGURE_WAITS,
	FIGURE_TAKEN_OVER,
	FIGURE_DROPPED,
	FIGURE_PAST, /* from here on in struct sm_cache_host */
	FIGURE_AHEAD_USED,
	FIGURE_AHEAD_WASTED,
	FIGURE_DROPPED_YOUNG,
	FIGURE_DROPPED_OLD,
	FIGURE_LOST, /* from here on in struct sm_asks */
	FIGURE_NO_ROOM,
	FIGURE_ERRORS,
	FIGURE_WRITTEN,
	FIGURE_LOCAL, /* behind what is so now */
	FIGURE_PROMOTED,
	FIGURE_DEMOTED,
	FIGURES
};
void cache_count(struct daxfs *fs, enum cache_figure figure, uint64_t by);
/* With a heartbeat: tell the pod. It waits for nothing. */
void cache_tell(struct daxfs *fs);

#endif
