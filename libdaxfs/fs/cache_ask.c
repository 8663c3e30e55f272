/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache_ask.c - a host without the storage asks those that have it to read, and to look at names and files; they
 * serve it (cache_serve.c).
 *
 * Each host has a few places in the region of asks: a word each, all in one line, and beside them what is asked for.
 *
 *   NONE -> ASKED {n, backing}     the asker, with what it wants beside it; it rings the bell, a word of the region
 *   ASKED -> TAKEN                 a server: a host that has the storage, and reads for others
 *   TAKEN -> DONE {errno}          that one: the pages are in the pool, or could not be read
 *   ASKED, TAKEN, DONE -> ASKED {n + 1}   the asker: nothing came for a while, or somebody else was about the pages
 *   any -> NONE                    the asker has its answer, or gives up
 *
 * An ask for a directory is one for its names: the server makes them what storage says (list of daxfs_storage), and
 * then the asker looks in the pool. It asks for one page: a server of a version that knows no such asks tries to read
 * it, says EISDIR, and has promised nothing. An ask for a look at a file is one for a page that no file has
 * (DAXFS_ASK_LOOK). The two are questions, and DONE is their answer. An ask for one name of a directory has the name's
 * hash in the place of the page: a server of a version that knows no such asks lists all.
 *
 *  A1 An ask for pages is a hint. What answers it is the page's own word (cache.h), where the asker looks whatever DONE
 *     says. An ask that is lost, served twice or late, or garbage costs time and reads of storage, and makes no byte
 *     wrong.
 *  A2 An errno counts for the ask with that number alone: the server's CAS expects what it took.
 *  A3 Nobody waits for the dead, nor for ever: the asker asks again after a second, so that what a dead server took is
 *     served by another one, or by its next process; it gives up after half a minute; and asks nobody if no host
 *     that lives says that it serves the backing.
 *  A4 A server waits for nobody: pages that another one fills are -EAGAIN, and asked for again; so is, for a second,
 *     what found no room.
 *  A5 A place is of one thread of the asker's process; a later process of its host goes on from the number it finds.
 *     Numbers of another tenancy of the slot are others (next_number).
 *  A6 DONE without an error is the answer to a question: that a name is not there, or a file what it was, has no word
 *     of its own. It says that the pool was as storage at some moment since the ask. So the number must be the ask's
 *     own, and what the server did is acquired with it. The asker keeps the number when it asks again, for it is the
 *     same question: a listing that takes longer than a second answers it, whoever else has begun one meanwhile. A
 *     process is about one ask by one thread at a time.
 *
 * The asker dies        what it leaves            what becomes of it
 *   before ASKED          NONE                      nothing
 *   ASKED                 the same                  served once, for nobody
 *   TAKEN, DONE           the same                  overwritten by the next process with that place
 * The server dies
 *   before TAKEN          ASKED                     another one takes it
 *   TAKEN                 and what a filler leaves   asked for again; whoever takes that takes the claim over (C4)
 *   before DONE           TAKEN, CLEAN              asked for again; it is there: DONE
 *   among names           TAKEN, some are there     asked for again; another one lists them from the start, and the
 *                                                   asker is told nothing until it has
 * What a host says that it serves is a hint, too: when nobody comes the asker gives up. Its words are stored with
 * each heartbeat, so that those of a former process are forgotten. Nothing of the region is flushed.
 */
#include "fs/asks.h"

#include <errno.h>
#include <stdlib.h>

#include "fs/cache.h"
#include "mem/process.h"
#include "sync/member.h"

#define NAP_US 200u
#define LOOKS_PER_MS (1000u / NAP_US)
#define GIVE_UP_MS 30000u
#define AGAIN_MS 1000u
#define FULL_MS 1000u
#define COUNT_BITS 28u /* of a number */

struct cache_asks *asks_new(void)
{
	struct cache_asks *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->freed, NULL);
	a->looks = GIVE_UP_MS * LOOKS_PER_MS;
	a->again = AGAIN_MS * LOOKS_PER_MS;
	return a;
}

void asks_free(struct cache_asks *a)
{
	free(a);
}

void cache_ask_patience(struct daxfs *fs, unsigned looks, unsigned again)
{
	fs->asks->looks = looks;
	fs->asks->again = again;
}

/* -- asking --------------------------------------------------------------------------- */

struct asking {
	struct daxfs *fs;
	unsigned place, backing;
	uint64_t number;
	daxfs_ino ino;
	uint64_t page;
	unsigned pages;
	bool question; /* whose answer is DONE: not pages */
	uint64_t word; /* as it was seen last */
};

/* 1: some host that lives says that it serves the backing. */
static int is_served(void *arg)
{
	const struct asking *a = arg;
	const struct pool *pool = &a->fs->pool;
	struct host_word word;

	for (unsigned host = 0; host < pool->super.hosts; host++) {
		const struct sm_asks *asks = host == a->fs->host ? NULL : asks_of(pool, host);

		if (!asks || !(sm_load_relaxed(&asks->serves[a->backing / 64]) >> a->backing % 64 & 1))
			continue;
		if (host_word_unpack(sm_load_relaxed(&pool->member->host[host].word), &word) == 0 &&
		    (word.state == DAXFS_HOST_ALIVE || word.state == DAXFS_HOST_SUSPECT))
			return 1;
	}
	return 0;
}

/* After the ask is there: a server that hears it looks, and one that looked before hears it. */
static void ring(const struct pool *pool)
{
	sm_u64 *bell = asks_bell(pool);
	uint64_t was = bell ? sm_load_relaxed(bell) : 0;

	/* ORD ask: releases the ask to who loads the bell. */
	while (bell && !sm_cas_value(bell, &was, was + 1))
		;
}

/* Another one than any that a server can have taken in the place, also of a former tenant, whose last numbers a lost
 * cache may have taken back: the upper bits are the tenancy's. */
static uint64_t next_number(const struct daxfs *fs, uint64_t last)
{
	uint64_t tenancy = (uint64_t)(fs->generation & 15) << COUNT_BITS, count_mask = (1ull << COUNT_BITS) - 1;

	return tenancy | ((last & ~count_mask) == tenancy ? (last + 1) & count_mask : 0);
}

static int post(void *arg)
{
	struct asking *a = arg;
	struct sm_asks *own = asks_of(&a->fs->pool, a->fs->host);
	struct sm_ask *ask;

	if (!own)
		return -ENXIO;
	ask = &own->ask[a->place];
	a->number = next_number(a->fs, ask_number(sm_load_relaxed(&own->word[a->place])));
	/* First, so that who took a former one, or is about to, loses it before what it was for changes. */
	sm_store_relaxed(&own->word[a->place], ask_word(a->number, 0, 0, DAXFS_ASK_NONE));
	sm_store_relaxed(&ask->ino, a->ino);
	sm_store_relaxed(&ask->page, a->page);
	sm_store_relaxed(&ask->pages, a->pages);
	/* ORD ask: releases what is asked for. */
	sm_store(&own->word[a->place], ask_word(a->number, 0, a->backing, DAXFS_ASKED));
	ring(&a->fs->pool);
	return 0;
}

static int post_again(void *arg)
{
	struct asking *a = arg;
	struct sm_asks *own = asks_of(&a->fs->pool, a->fs->host);

	if (!own)
		return -ENXIO;
	if (a->question) { /* ORD ask: what is asked for was released before (A6). If it was answered, that stays. */
		sm_cas(&own->word[a->place], a->word, ask_word(a->number, 0, a->backing, DAXFS_ASKED));
		ring(&a->fs->pool);
		return 0;
	}
	a->number = next_number(a->fs, a->number);
	/* ORD ask: releases what is asked for, which has not changed. */
	sm_store(&own->word[a->place], ask_word(a->number, 0, a->backing, DAXFS_ASKED));
	ring(&a->fs->pool);
	return 0;
}

static int look(void *arg)
{
	struct asking *a = arg;
	const struct sm_asks *own = asks_of(&a->fs->pool, a->fs->host);

	if (!own)
		return -ENXIO;
	/* ORD ask: acquires the names that the server made (A6); pages have words of their own. */
	a->word = sm_load(&own->word[a->place]);
	return 0;
}

static int withdraw(void *arg)
{
	const struct asking *a = arg;
	struct sm_asks *own = asks_of(&a->fs->pool, a->fs->host);

	if (own)
		sm_store_relaxed(&own->word[a->place], ask_word(a->number, 0, 0, DAXFS_ASK_NONE));
	return 0;
}

/* 1: no answer yet; 0: what was wanted may be there; -errno. */
static int judge(const struct asking *a)
{
	unsigned error = ask_error(a->word);

	if (ask_state(a->word) != DAXFS_ASK_DONE || ask_number(a->word) != a->number)
		return 1;
	return error == EAGAIN ? 1 : -(int)error;
}

/* Until it is answered, or has waited long enough. For a while there may be no room, as others fill. */
static int wait_for_answer(struct asking *a)
{
	const unsigned looks = a->fs->asks->looks, again = a->fs->asks->again, full = looks / (GIVE_UP_MS / FULL_MS);
	int rc = 1;

	for (unsigned i = 1; rc > 0 && i <= looks; i++) {
		sm_nap(NAP_US);
		rc = fs_guarded(a->fs, look, a);
		if (rc == 0)
			rc = judge(a);
		if (rc == -ENOSPC && i < full)
			rc = 1;
		if (rc > 0 && (i % again == 0 || ask_state(a->word) == DAXFS_ASK_DONE)) {
			rc = fs_guarded(a->fs, is_served, a);
			rc = rc > 0 ? fs_guarded(a->fs, post_again, a) : rc < 0 ? rc : -ENXIO;
			rc = rc < 0 ? rc : 1;
		}
	}
	return rc > 0 ? -ETIMEDOUT : rc;
}

/* A place, for which threads wait while all are taken. */
static unsigned take_place(struct cache_asks *asks)
{
	unsigned place = 0;

	pthread_mutex_lock(&asks->lock);
	while (asks->busy == (1u << DAXFS_ASKS) - 1)
		pthread_cond_wait(&asks->freed, &asks->lock);
	while (asks->busy >> place & 1)
		place++;
	asks->busy |= 1u << place;
	pthread_mutex_unlock(&asks->lock);
	return place;
}

static void give_place(struct cache_asks *asks, unsigned place)
{
	pthread_mutex_lock(&asks->lock);
	asks->busy &= ~(1u << place);
	pthread_cond_signal(&asks->freed);
	pthread_mutex_unlock(&asks->lock);
}

static int ask(struct asking *a)
{
	struct daxfs *fs = a->fs;
	int was, rc;

	if (a->backing >= DAXFS_BACKINGS || fs_guarded(fs, is_served, a) <= 0)
		return -ENXIO;
	cache_count(fs, FIGURE_WAITS, 1);
	was = process_cancel_off();
	a->place = take_place(fs->asks);
	rc = fs_guarded(fs, post, a);
	if (rc == 0)
		rc = wait_for_answer(a);
	fs_guarded(fs, withdraw, a);
	give_place(fs->asks, a->place);
	process_cancel_restore(was);
	return rc;
}

int cache_ask(struct daxfs *fs, uint64_t source, daxfs_ino ino, uint64_t page, unsigned pages)
{
	struct asking a = {
		.fs = fs, .backing = (unsigned)(source >> 56) - 1, .ino = ino, .page = page, .pages = pages
	};

	return ask(&a);
}

int cache_ask_question(struct daxfs *fs, unsigned backing, daxfs_ino ino, uint64_t page)
{
	struct asking a = { .fs = fs, .backing = backing, .ino = ino, .page = page, .pages = 1, .question = true };
	int rc = ask(&a);

	return rc == -EISDIR || rc == -EOPNOTSUPP ? -ENXIO : rc; /* it serves pages alone */
}
