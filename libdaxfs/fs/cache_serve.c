/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache_serve.c - a host that has the storage serves what others ask (cache_ask.c): pages, names of a directory, a
 * look at a file. And the questions about names and files that a host without it asks.
 *
 * What an ask is, who changes its word, and what the death of either leaves: see there.
 */
#include <errno.h>
#include <sys/stat.h>

#include "fs/asks.h"
#include "fs/cache.h"
#include "mem/process.h"

/* -- questions ------------------------------------------------------------------------ */

static int ask_question(struct daxfs *fs, daxfs_ino ino, uint64_t page)
{
	struct daxfs_source source = { .backing = 0 };
	int rc = daxfs_source(fs, ino, &source);

	return rc ? rc : cache_ask_question(fs, source.backing, ino, page);
}

static int ask_of_dir(struct daxfs *fs, daxfs_ino dir, uint64_t page)
{
	struct daxfs_attr attr = { .mode = 0 };
	int rc = fs_ready(fs);

	if (rc == 0)
		rc = daxfs_getattr(fs, dir, &attr);
	if (rc == 0 && (attr.mode & S_IFMT) != S_IFDIR)
		rc = -ENOTDIR;
	return rc ? rc : ask_question(fs, dir, page);
}

int daxfs_ask_names(struct daxfs *fs, daxfs_ino dir)
{
	return ask_of_dir(fs, dir, 0);
}

int daxfs_ask_name(struct daxfs *fs, daxfs_ino dir, const char *name)
{
	struct trie_name key;
	int rc = name_init(&fs->pool, name, &key);

	rc = rc ? (rc == -EEXIST ? -EINVAL : rc) : ask_of_dir(fs, dir, DAXFS_ASK_NAME | key.hash);
	return rc == -EEXIST ? 1 : rc;
}

uint64_t daxfs_name_key(struct daxfs *fs, const char *name)
{
	struct trie_name key;

	return name_init(&fs->pool, name, &key) ? UINT64_MAX : key.hash;
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
	out->number = ask_number(w);
	out->backing = ask_backing(w);
	out->ino = sm_load_relaxed(&ask->ino);
	out->page = sm_load_relaxed(&ask->page);
	out->pages = (unsigned)sm_load_relaxed(&ask->pages);
	/* ORD ask: what was loaded is of that number, or this fails. */
	return sm_cas(&asks->word[place], w, ask_word(ask_number(w), 0, ask_backing(w), DAXFS_ASK_TAKEN));
}

/* 1: *out; 0: nothing, with the bell as it was before. */
static int find_ask(void *arg)
{
	struct taking *t = arg;
	const struct pool *pool = &t->fs->pool;
	const sm_u64 *bell = asks_bell(pool);

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
			if (ask_state(w) == DAXFS_ASKED && ask_backing(w) == t->backing && take(asks, place, w, t->out))
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

static int ask_storage(const struct daxfs_storage *storage, const struct daxfs_ask *ask)
{
	int (*how)(void *context, daxfs_ino ino) = is_look(ask) ? storage->look : storage->list;

	if (!is_look(ask) && ask->page & DAXFS_ASK_NAME && storage->find) {
		int rc = storage->find(storage->context, ask->ino, ask->page & ~DAXFS_ASK_NAME);

		return rc ? rc : -EEXIST; /* which who lists all does not say */
	}
	return how ? how(storage->context, ask->ino) : -EOPNOTSUPP;
}

static int look_there(struct daxfs *fs, const struct daxfs_ask *ask)
{
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
	rc = ask_storage(&storage, ask);
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
