/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache_ask.c - a host without the storage asks those that have it to read, and to look at names and files.
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
 * (DAXFS_ASK_LOOK). The two are questions, and DONE is their answer.
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
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "fs/cache.h"
#include "mem/process.h"
#include "sync/member.h"

#define NAP_US 200u
#define LOOKS_PER_MS (1000u / NAP_US)
#define GIVE_UP_MS 30000u
#define AGAIN_MS 1000u
#define FULL_MS 1000u
#define COUNT_BITS 28u /* of a number */

struct cache_asks {
	pthread_mutex_t lock;           /* of the places; never held over the pool */
	pthread_cond_t freed;           /* a place */
	unsigned busy;                  /* places, a bit each */
	uint64_t heard[DAXFS_BACKINGS]; /* of the one thread that takes them: the bell, when there were none; + 1 */
	unsigned looks, again;
	struct answering *answering; /* what this process is about */
	/* without the lock */
	atomic_ullong serves[DAXFS_BACKINGS / 64 + 1];
	atomic_uint next; /* host, at which the next look begins */
};

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

/* A host's, or NULL: the pool has none, or that memory has failed. */
static struct sm_asks *asks_of(const struct pool *pool, unsigned host)
{
	struct sm_asks *asks = pool->asks.host ? &pool->asks.host[host] : NULL;

	return asks && !pool_lost(pool, asks, sizeof(*asks)) ? asks : NULL;
}

static sm_u64 *bell_of(const struct pool *pool)
{
	sm_u64 *bell = pool->asks.bell;

	return bell && !pool_lost(pool, bell, sizeof(*bell)) ? bell : NULL;
}

static uint64_t ask_word(uint64_t number, unsigned error, unsigned backing, enum daxfs_ask_state state)
{
	return number << 32 | (uint64_t)error << 16 | backing << 8 | state;
}

static uint64_t number_of(uint64_t w)
{
	return w >> 32;
}

static unsigned error_of(uint64_t w)
{
	return w >> 16 & 0xfff;
}

static unsigned backing_of(uint64_t w)
{
	return w >> 8 & 0xff;
}

static enum daxfs_ask_state state_of_ask(uint64_t w)
{
	return w & 3;
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
	sm_u64 *bell = bell_of(pool);
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
	a->number = next_number(a->fs, number_of(sm_load_relaxed(&own->word[a->place])));
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
	unsigned error = error_of(a->word);

	if (state_of_ask(a->word) != DAXFS_ASK_DONE || number_of(a->word) != a->number)
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
		if (rc > 0 && (i % again == 0 || state_of_ask(a->word) == DAXFS_ASK_DONE)) {
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

/* 0, or what those said who were asked. */
static int ask_question(struct daxfs *fs, daxfs_ino ino, uint64_t page)
{
	struct asking a = { .fs = fs, .ino = ino, .page = page, .pages = 1, .question = true };
	struct daxfs_source source = { .backing = 0 };
	int rc = daxfs_source(fs, ino, &source);

	if (rc)
		return rc;
	a.backing = source.backing;
	rc = ask(&a);
	return rc == -EISDIR || rc == -EOPNOTSUPP ? -ENXIO : rc; /* it serves pages alone */
}

int daxfs_ask_names(struct daxfs *fs, daxfs_ino dir)
{
	struct daxfs_attr attr = { .mode = 0 };
	int rc = fs_ready(fs);

	if (rc == 0)
		rc = daxfs_getattr(fs, dir, &attr);
	if (rc == 0 && (attr.mode & S_IFMT) != S_IFDIR)
		rc = -ENOTDIR;
	return rc ? rc : ask_question(fs, dir, 0);
}

int daxfs_ask_look(struct daxfs *fs, daxfs_ino ino)
{
	int rc = fs_ready(fs);

	return rc ? rc : ask_question(fs, ino, DAXFS_ASK_LOOK);
}

/* -- serving ------------------------------------------------------------------------------ */

struct taking {
	struct daxfs *fs;
	unsigned backing, from; /* host to begin with */
	uint64_t bell;
	struct daxfs_ask *out;
};

static bool take(struct sm_asks *asks, unsigned place, uint64_t w, struct daxfs_ask *out)
{
	const struct sm_ask *ask = &asks->ask[place];

	out->place = place;
	out->number = number_of(w);
	out->backing = backing_of(w);
	out->ino = sm_load_relaxed(&ask->ino);
	out->page = sm_load_relaxed(&ask->page);
	out->pages = (unsigned)sm_load_relaxed(&ask->pages);
	/* ORD ask: what was loaded is of that number, or this fails. */
	return sm_cas(&asks->word[place], w, ask_word(number_of(w), 0, backing_of(w), DAXFS_ASK_TAKEN));
}

/* 1: *out; 0: nothing, with the bell as it was before. */
static int find_ask(void *arg)
{
	struct taking *t = arg;
	const struct pool *pool = &t->fs->pool;
	const sm_u64 *bell = bell_of(pool);

	/* ORD ask: acquires the asks of those who rang. */
	t->bell = bell ? sm_load(bell) : 0;
	if (!bell || t->bell + 1 == t->fs->asks->heard[t->backing])
		return 0;
	for (unsigned k = 0; k < pool->super.hosts; k++) {
		unsigned host = (t->from + k) % pool->super.hosts;
		struct sm_asks *asks = host == t->fs->host ? NULL : asks_of(pool, host);

		for (unsigned place = 0; asks && place < DAXFS_ASKS; place++) {
			uint64_t w = sm_load(&asks->word[place]);

			t->out->host = host;
			if (state_of_ask(w) == DAXFS_ASKED && backing_of(w) == t->backing &&
			    take(asks, place, w, t->out))
				return 1;
		}
	}
	return 0;
}

/* The pod is told which backings are served. */
static int tell(void *arg)
{
	struct daxfs *fs = arg;
	struct sm_asks *own = asks_of(&fs->pool, fs->host);

	for (unsigned i = 0; own && i < sizeof(own->serves) / sizeof(own->serves[0]); i++) {
		uint64_t now = atomic_load_explicit(&fs->asks->serves[i], memory_order_relaxed);

		if (sm_load_relaxed(&own->serves[i]) != now)
			sm_store_relaxed(&own->serves[i], now);
	}
	return 0;
}

void asks_tell(struct daxfs *fs)
{
	tell(fs);
}

/* True: it was not that before. */
static bool set_serves(struct daxfs *fs, unsigned backing, bool on)
{
	atomic_ullong *word = &fs->asks->serves[backing / 64];
	uint64_t bit = 1ull << backing % 64, was = on ? atomic_fetch_or(word, bit) : atomic_fetch_and(word, ~bit);

	return !(was & bit) == on;
}

void asks_unserve(struct daxfs *fs, unsigned backing)
{
	if (backing < DAXFS_BACKINGS && set_serves(fs, backing, false) && fs->joined)
		fs_guarded(fs, tell, fs);
}

int daxfs_asked(struct daxfs *fs, unsigned backing, struct daxfs_ask *out)
{
	struct taking t = { .fs = fs, .backing = backing, .out = out };
	int rc = fs_ready(fs);

	if (rc == 0 && !cache_attached(fs, backing))
		rc = -ENXIO;
	if (rc)
		return rc;
	if (set_serves(fs, backing, true))
		fs_guarded(fs, tell, fs);
	t.from = atomic_fetch_add(&fs->asks->next, 1) % fs->pool.super.hosts;
	rc = fs_guarded(fs, find_ask, &t);
	if (rc == 0)
		fs->asks->heard[backing] = t.bell + 1;
	return rc > 0 ? 1 : 0;
}

struct answer {
	struct daxfs *fs;
	const struct daxfs_ask *ask;
	int error;
};

static int say_done(void *arg)
{
	const struct answer *a = arg;
	struct sm_asks *asks = asks_of(&a->fs->pool, a->ask->host);

	/* ORD ask: names what was taken, and releases the names that were made for it; a page's own word is what
	 * publishes that. One that was declared dead says nothing: its errors are of its own state. */
	if (asks && lane_alive(&a->fs->slots[0].lane))
		sm_cas(&asks->word[a->ask->place], ask_word(a->ask->number, 0, a->ask->backing, DAXFS_ASK_TAKEN),
		       ask_word(a->ask->number, (unsigned)-a->error, a->ask->backing, DAXFS_ASK_DONE));
	return 0;
}

static int serve_pages(struct daxfs *fs, const struct daxfs_ask *ask)
{
	unsigned pages = ask->pages < CACHE_PAGES ? ask->pages : CACHE_PAGES;

	for (unsigned n = 0; n < pages;) {
		int rc = cache_provide(fs, ask->ino, ask->page + n, pages - n);

		if (rc < 0)
			return n ? 0 : rc; /* the first ones are there, which are all that may be wanted */
		n += (unsigned)rc;
	}
	return 0;
}

/* a question that a thread of this process answers, on its stack */
struct answering {
	const struct daxfs_ask *ask;
	struct answering *next;
};

/* False: a thread is at the same ask already, which will be its answer. */
static bool answering_begin(struct cache_asks *asks, struct answering *mine)
{
	bool mine_alone = true;

	pthread_mutex_lock(&asks->lock);
	for (const struct answering *a = asks->answering; a; a = a->next)
		mine_alone &= a->ask->host != mine->ask->host || a->ask->place != mine->ask->place ||
			      a->ask->number != mine->ask->number;
	if (mine_alone) {
		mine->next = asks->answering;
		asks->answering = mine;
	}
	pthread_mutex_unlock(&asks->lock);
	return mine_alone;
}

static void answering_end(struct cache_asks *asks, const struct answering *mine)
{
	struct answering **at = &asks->answering;

	pthread_mutex_lock(&asks->lock);
	while (*at != mine)
		at = &(*at)->next;
	*at = mine->next;
	pthread_mutex_unlock(&asks->lock);
}

static bool is_look(const struct daxfs_ask *ask)
{
	return ask->page == DAXFS_ASK_LOOK;
}

static int look_there(struct daxfs *fs, const struct daxfs_ask *ask)
{
	int (*how)(void *context, daxfs_ino ino);
	const uint64_t of = (uint64_t)(ask->backing + 1) << 56;
	struct daxfs_source source;
	struct daxfs_storage storage;
	int rc = daxfs_source(fs, ask->ino, &source);

	if (rc == 0 && source.backing != ask->backing)
		rc = -EINVAL;
	if (rc == 0)
		rc = cache_storage_get(fs, of, &storage);
	if (rc)
		return rc;
	how = is_look(ask) ? storage.look : storage.list;
	rc = how ? how(storage.context, ask->ino) : -EOPNOTSUPP;
	cache_storage_put(fs, of);
	return rc;
}

static int serve_question(struct daxfs *fs, const struct daxfs_ask *ask)
{
	struct answering mine = { ask, NULL };
	int was, rc;

	was = process_cancel_off(); /* cancelled there, the thread would leave what is on its stack */
	rc = answering_begin(fs->asks, &mine) ? 0 : -EALREADY;
	if (rc == 0) {
		rc = look_there(fs, ask);
		answering_end(fs->asks, &mine);
	}
	process_cancel_restore(was);
	return rc;
}

static bool is_question(struct daxfs *fs, const struct daxfs_ask *ask)
{
	struct daxfs_attr attr;

	return is_look(ask) || (daxfs_getattr(fs, ask->ino, &attr) == 0 && (attr.mode & S_IFMT) == S_IFDIR);
}

int daxfs_serve(struct daxfs *fs, const struct daxfs_ask *ask)
{
	struct answer answer = { fs, ask, fs_ready(fs) };

	if (answer.error)
		return answer.error;
	trouble_sync(&fs->pool); /* what has failed for who asks is not there */
	if (ask->host >= fs->pool.super.hosts || ask->place >= DAXFS_ASKS)
		return -EINVAL;
	answer.error = is_question(fs, ask) ? serve_question(fs, ask) : serve_pages(fs, ask);
	if (answer.error != -EALREADY)
		fs_guarded(fs, say_done, &answer);
	return answer.error;
}
