/* SPDX-License-Identifier: Apache-2.0 */
/* summary.c - opening, closing and walking the words over groups of states: see summary.h. */
#include "sync/summary.h"

#define FAN DAXFS_GROUP

static uint64_t word_make(enum daxfs_group_kind kind, uint64_t rest)
{
	return (uint64_t)kind << DAXFS_GROUP_BITS | rest;
}

/* What is lost with its memory is open. */
static uint64_t load_word(const struct pool *pool, const sm_u64 *word)
{
	return pool_lost(pool, word, sizeof(*word)) ? 0 : sm_load(word);
}

static unsigned kind_of(uint64_t w)
{
	return (unsigned)(w >> DAXFS_GROUP_BITS);
}

void summary_open(const struct pool *pool, enum daxfs_type type, uint64_t index)
{
	const struct pool_summary *s = &pool->summary[type];

	for (unsigned level = 0; level < s->levels; level++) {
		sm_u64 *word = &s->word[level][index /= FAN];

		if (__builtin_expect(load_word(pool, word) == 0, 1))
			continue;
		/* ORD open: after the state is changed, and the level below is open; the fence
		 * pairs with look. Crash before: the record that names the object is not IDLE (S3). */
		sm_store(word, 0);
		sm_flush(&pool->shm, word, sizeof(*word));
		sm_fence();
	}
}

static bool closed(const struct epoch_guard *guard, uint64_t w, bool *waiting)
{
	if (kind_of(w) == DAXFS_GROUP_NOTHING)
		return true;
	if (kind_of(w) != DAXFS_GROUP_WAITING || (w & DAXFS_EPOCH_MASK) != guard->scan.oldest)
		return false;
	*waiting = true;
	return true;
}

bool summary_closed(const struct epoch_guard *guard, enum daxfs_type type, uint64_t group, bool *waiting)
{
	return closed(guard, load_word(guard->pool, &guard->pool->summary[type].word[0][group]), waiting);
}

static uint64_t look(struct lane *lane, sm_u64 *word)
{
	uint64_t tag = word_make(DAXFS_GROUP_LOOKING,
				 (uint64_t)lane->id << DAXFS_SEQ_BITS | (++lane->alloc.looks & DAXFS_SEQ_MASK));

	if (pool_lost(lane->pool, word, sizeof(*word)))
		return 0;
	/* ORD look: before what is below is loaded; pairs with open. Crash: LOOKING stays, and is open. */
	if (!sm_cas(word, sm_load(word), tag))
		return 0;
	sm_fence_after_cas();
	return tag;
}

static void conclude(struct lane *lane, sm_u64 *word, uint64_t tag, struct summary_verdict verdict)
{
	if (!tag || verdict.open)
		return;
	/* ORD close: after all below was loaded. Fails if anything below was opened since (S2). */
	sm_cas(word, tag,
	       verdict.waiting ? word_make(DAXFS_GROUP_WAITING, lane->epoch.scan.oldest)
			       : word_make(DAXFS_GROUP_NOTHING, 0));
}

uint64_t summary_look(struct lane *lane, enum daxfs_type type, uint64_t group)
{
	return look(lane, &lane->pool->summary[type].word[0][group]);
}

void summary_conclude(struct lane *lane, enum daxfs_type type, uint64_t group, uint64_t tag,
		      struct summary_verdict verdict)
{
	conclude(lane, &lane->pool->summary[type].word[0][group], tag, verdict);
}

/* Where the block of words under one word of the next level ends. */
static uint64_t block_end(const struct pool_summary *s, unsigned level, uint64_t at)
{
	uint64_t end = (at / FAN + 1) * FAN;

	return end < s->count[level] ? end : s->count[level];
}

/* All words of a block were seen closed: close the one above, if they still are. */
static void close_above(struct lane *lane, const struct pool_summary *s, unsigned level, uint64_t at)
{
	sm_u64 *word = &s->word[level + 1][at / FAN];
	struct summary_verdict verdict = { .open = false };
	uint64_t tag = look(lane, word);

	for (uint64_t end = block_end(s, level, at); !verdict.open && at < end; at++)
		verdict.open = !closed(&lane->epoch, load_word(lane->pool, &s->word[level][at]), &verdict.waiting);
	conclude(lane, word, tag, verdict);
}

/* The first open word of a block, from `at` on; the end of the block: none. */
static uint64_t first_open(struct lane *lane, const struct pool_summary *s, unsigned level, uint64_t at, bool *waiting)
{
	uint64_t begin = at, end = block_end(s, level, at);

	while (at < end && closed(&lane->epoch, load_word(lane->pool, &s->word[level][at]), waiting))
		at++;
	if (at == end && begin < end && begin % FAN == 0 && level + 1 < s->levels)
		close_above(lane, s, level, begin);
	return at;
}

uint64_t summary_next(struct lane *lane, enum daxfs_type type, uint64_t group, bool *waiting)
{
	const struct pool_summary *s = &lane->pool->summary[type];
	unsigned top = s->levels - 1, level = 0;
	uint64_t at = group;

	if (closed(&lane->epoch, load_word(lane->pool, s->word[top]), waiting))
		return s->count[0];
	while (at < s->count[level]) {
		uint64_t end = block_end(s, level, at);

		at = first_open(lane, s, level, at, waiting);
		if (at < end && level == 0)
			return at;
		if (at < end) { /* in there */
			level--;
			at *= FAN;
		} else if (level < top) { /* behind this block */
			level++;
			at = (end + FAN - 1) / FAN;
		}
		lane_moved(lane);
	}
	return s->count[0];
}
