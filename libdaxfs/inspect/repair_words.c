/* SPDX-License-Identifier: Apache-2.0 */
/* repair_words.c - the repairs that many findings share: see repair.h. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "index/filemap.h"
#include "inspect/repair.h"
#include "space/space.h"
#include "sync/member.h"

/* -- saying --------------------------------------------------------------------- */

static void say(struct check *c, const char *what, const struct place *at, const char *format, va_list ap)
{
	char line[512];
	int n = snprintf(line, sizeof(line), "%s: ", what);

	if (at)
		n += check_place(line + n, sizeof(line) - (size_t)n, at);
	if (at)
		n += snprintf(line + n, sizeof(line) - (size_t)n, ": ");
	vsnprintf(line + n, sizeof(line) - (size_t)n, format, ap);
	c->report(c->context, line);
}

bool repair_do(struct check *c, const struct place *at, const char *format, ...)
{
	va_list ap;

	if (!c->fix)
		return false;
	c->fix->done++;
	c->fix->out->repairs++;
	if (c->report) {
		va_start(ap, format);
		say(c, c->fix->dry ? "would" : "did", at, format, ap);
		va_end(ap);
	}
	return !c->fix->dry;
}

void repair_lost(struct check *c, const char *format, ...)
{
	va_list ap;

	if (!c->fix)
		return;
	c->fix->out->losses++;
	if (c->report) {
		va_start(ap, format);
		say(c, "lost", NULL, format, ap);
		va_end(ap);
	}
}

/* -- storing -------------------------------------------------------------------- */

/* The check reads by pointers to const: the same place, to be written. */
static void *writable(struct check *c, const void *at)
{
	return pool_at(c->fix->pool, pool_offset(c->pool, at));
}

void repair_plain(struct check *c, const sm_u64 *word, uint64_t value)
{
	sm_u64 *w = writable(c, word);

	/* ORD repair: nobody else looks; on its own it makes one finding less, see repair.h. */
	sm_store(w, value);
	sm_flush(&c->fix->pool->shm, w, sizeof(*w));
}

void repair_word(struct check *c, const sm_u64 *word, enum daxfs_word_class class, uint64_t payload)
{
	repair_plain(c, word, word_next(sm_load(word), class, payload));
}

void repair_bytes(struct check *c, const void *at, const void *bytes, size_t len)
{
	void *p = writable(c, at);

	sm_write(p, bytes, len);
	sm_flush(&c->fix->pool->shm, p, len);
}

void repair_zero(struct check *c, const void *at, size_t len)
{
	void *p = writable(c, at);

	sm_zero(p, len);
	sm_flush(&c->fix->pool->shm, p, len);
}

/* -- words ---------------------------------------------------------------------- */

bool repair_cut(struct check *c, const sm_u64 *word, const struct place *at)
{
	if (!repair_do(c, at, "names nothing"))
		return false;
	repair_word(c, word, DAXFS_W_LINK, 0);
	return true;
}

/* What a person knows is the file. */
static void say_value_lost(struct check *c, const struct place *at)
{
	if (at->of)
		repair_lost(c, "inode %" PRIu64 ": what slot %d of page %" PRIu64 " led to", at->of, at->slot,
			    at->index);
	else
		repair_lost(c, "%s %" PRIu64 " %s: its value", at->what, at->index, at->field);
}

void repair_mark(struct check *c, const sm_u64 *word, enum daxfs_word_class class, const struct place *at)
{
	uint64_t w = sm_load(word), status, value = check_value(c, word, class);

	if (!inspect_mark(c->pool, word, w, &status) && !inspect_claim(c->pool, word, w, &status)) {
		/* Its value was in a record that is no more. An inode in use is alive until its names are counted. */
		if (class == DAXFS_W_NLINK)
			value = nlink_payload(DAXFS_LIFE_ALIVE, 0);
		if (repair_do(c, at, "has no value, and is to be found out"))
			repair_word(c, word, class, value);
		say_value_lost(c, at);
	} else if (repair_do(c, at, "has the value its record decided for")) {
		repair_word(c, word, class, value);
	}
}

/* -- objects -------------------------------------------------------------------- */

void repair_state(struct check *c, enum daxfs_type type, uint64_t index, enum daxfs_use use, const struct place *at)
{
	const sm_u64 *word = &c->pool->state[type][index];
	uint64_t s = sm_load(word), txid = state_of(s) == DAXFS_LIVE || state_of(s) == DAXFS_PRIVATE ? txid_of(s) : 0;

	if (repair_do(c, at, "what it names is in use"))
		repair_plain(c, word, state_make(DAXFS_LIVE, use, txid));
}

void repair_free(struct check *c, enum daxfs_type type, uint64_t index, const struct place *at)
{
	bool lost = space_lost_object(c->pool, type, index);

	if (repair_do(c, at, lost ? "in quarantine" : "free"))
		repair_plain(c, &c->pool->state[type][index], lost ? state_make(DAXFS_LIVE, DAXFS_USE_BAD, 0) : 0);
}

/* A page that nothing named in this pass, and that is no part of an extent. */
static bool find_page(struct check *c, uint64_t *page)
{
	for (uint64_t i = c->fix->next_page; i < c->pool->objects[DAXFS_T_PAGE]; i++) {
		uint64_t s;
		bool rests;

		if (space_lost_object(c->pool, DAXFS_T_PAGE, i))
			continue;
		s = sm_load(&c->pool->state[DAXFS_T_PAGE][i]);
		rests = state_of(s) == DAXFS_RETIRED && use_of(s) == DAXFS_USE_NONE;
		if ((s && !rests) || check_is(c, DAXFS_T_PAGE, i, CHECK_REACHED))
			continue;
		c->fix->next_page = i + 1;
		*page = i;
		return true;
	}
	return false;
}

/* Crash before the last store: a page that nothing names. */
void repair_root(struct check *c, uint64_t inode, const struct place *at)
{
	uint64_t page;

	if (!c->fix || !find_page(c, &page) || !repair_do(c, at, "names an empty node"))
		return;
	repair_zero(c, pool_page(c->pool, page), DAXFS_PAGE_SIZE);
	repair_word(c, &c->pool->count[page], DAXFS_W_COUNT, 0);
	repair_plain(c, &c->pool->birth[DAXFS_T_PAGE][page], c->epoch);
	repair_plain(c, &c->pool->state[DAXFS_T_PAGE][page], state_make(DAXFS_LIVE, DAXFS_USE_NODE, 0));
	repair_word(c, &c->pool->inodes[inode].dir_root, DAXFS_W_LINK, link_payload(DAXFS_NODE, page));
	c->notes[DAXFS_T_PAGE][page] |= CHECK_REACHED;
	repair_lost(c, "directory inode %" PRIu64 ": all its names", inode);
}

/* -- lanes and hosts ------------------------------------------------------------- */

/* No operation may ever have a number again: the largest that a state or the status of the lane knows. */
static uint64_t last_seq(struct check *c, unsigned lane)
{
	uint64_t status = sm_load(&c->pool->lanes[lane].status), last = 0;

	if (check_status_sane(status))
		return status_seq(status);
	for (unsigned type = 0; type < DAXFS_TYPES; type++)
		for (uint64_t i = 0; i < c->pool->objects[type]; i++) {
			uint64_t s = sm_load(&c->pool->state[type][i]);
			bool named = state_of(s) == DAXFS_LIVE || state_of(s) == DAXFS_PRIVATE;

			if (named && txid_lane(txid_of(s)) == lane && txid_seq(txid_of(s)) > last)
				last = txid_seq(txid_of(s));
		}
	return last + 1;
}

static void repair_lane(struct check *c, unsigned id)
{
	const struct sm_lane *lane = &c->pool->lanes[id];
	uint64_t status = sm_load(&lane->status);

	if ((status_state(status) != DAXFS_IDLE || !check_status_sane(status)) &&
	    repair_do(c, PLACE("lane", id), "idle"))
		repair_plain(c, &lane->status, status_make(last_seq(c, id), 0, DAXFS_IDLE));
	if (sm_load(&lane->todo) && repair_do(c, PLACE("lane", id), "has nothing to finish"))
		repair_plain(c, &lane->todo, 0);
	if (sm_load(&lane->low) && repair_do(c, PLACE("lane", id), "announces no epoch"))
		repair_plain(c, &lane->low, 0);
}

void repair_lanes(struct check *c)
{
	for (unsigned id = 0; id < c->pool->lanes_total; id++)
		if (!check_lane_owned(c, id))
			repair_lane(c, id);
}

/* What its lanes and its last tenant say of its generations; the next one has not been. */
static uint32_t next_generation(struct check *c, unsigned host)
{
	unsigned per_host = c->pool->super.lanes_per_host;
	uint64_t last = sm_load(&c->pool->member->host[host].tenancy) >> 40;

	for (unsigned i = 0; i < per_host; i++) {
		uint64_t owner = sm_load(&c->pool->lanes[host * per_host + i].owner);

		if ((uint32_t)owner == host && owner >> 32 > last && owner >> 32 < HOST_GENERATION_MAX)
			last = owner >> 32;
	}
	return (uint32_t)(last < HOST_GENERATION_MAX ? last + 1 : HOST_GENERATION_MAX);
}

void repair_host(struct check *c, unsigned host, const struct place *at)
{
	struct host_word word = {
		.generation = next_generation(c, host),
		.state = DAXFS_HOST_FREE,
		.recoverer = -1,
	};

	if (repair_do(c, at, "FREE, generation %u", word.generation))
		repair_plain(c, &c->pool->member->host[host].word, host_word_pack(word));
}

void repair_epoch(struct check *c, const struct place *at)
{
	uint64_t last = 0;

	for (unsigned type = 0; type < DAXFS_TYPES; type++)
		for (uint64_t i = 0; i < c->pool->objects[type]; i++) {
			uint64_t birth = sm_load(&c->pool->birth[type][i]), s = sm_load(&c->pool->state[type][i]);

			last = birth > last && birth <= DAXFS_EPOCH_MASK / 2 ? birth : last;
			if (state_of(s) == DAXFS_RETIRED && (s & DAXFS_EPOCH_MASK) > last &&
			    (s & DAXFS_EPOCH_MASK) <= DAXFS_EPOCH_MASK / 2)
				last = s & DAXFS_EPOCH_MASK;
		}
	if (!repair_do(c, at, "%" PRIu64, last + 1))
		return;
	repair_plain(c, &c->pool->member->manager.epoch, last + 1);
	c->epoch = last + 1;
}
