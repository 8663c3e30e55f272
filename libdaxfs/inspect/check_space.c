/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_space.c - what is counted and summed up about states, against the states.
 *
 * Both are exact but for what is in flight: an object that a record in flight names may be
 * free under a closed word (S1 of sync/summary.h), and the numbers of objects in use hold
 * only while no record is in flight (A1 of sync/account.h).
 */
#include <inttypes.h>

#include "inspect/check_walk.h"
#include "inspect/repair.h"
#include "space/space.h"
#include "sync/account.h"
#include "sync/slots.h"
#include "sync/summary.h"

static bool is_in(uint64_t object, unsigned type, uint64_t group)
{
	return object_type(object) == type && object_index(object) / DAXFS_GROUP == group;
}

/* Does a record that somebody will still finalize name an object of this group? */
static bool is_named(const struct check *c, unsigned type, uint64_t group)
{
	for (unsigned id = 0; id < c->pool->lanes_total; id++) {
		const struct sm_lane *lane = &c->pool->lanes[id];
		uint64_t allocs, retires, object;

		if (lane_lost(c->pool, id))
			return true; /* nobody can say */
		if (status_state(sm_load(&lane->status)) == DAXFS_IDLE || !check_lane_owned(c, id))
			continue;
		allocs = sm_load(&lane->n_allocs);
		retires = sm_load(&lane->n_retires);
		for (unsigned i = 0; i < DAXFS_RECORD_ALLOCS && i < allocs + retires; i++) {
			object = sm_load_relaxed(&lane->allocs[i]);
			if (i < allocs && is_in(object, type, group))
				return true;
			object = sm_load_relaxed(&lane->retires[2 * i]);
			if (i < retires && is_in(object, type, group))
				return true;
		}
	}
	return false;
}

/* May an object be had, or in time, although its word is closed? */
static bool is_denied(const struct pool *pool, unsigned type, uint64_t index, uint64_t word)
{
	uint64_t s, birth, head;

	if (space_lost_object(pool, (enum daxfs_type)type, index) || object_worn(pool, (enum daxfs_type)type, index))
		return false;
	s = sm_load(&pool->state[type][index]);
	birth = sm_load_relaxed(&pool->birth[type][index]);
	if (state_of(s) == DAXFS_FREE)
		return s == 0;
	if (state_of(s) == DAXFS_RETIRED)
		return word >> DAXFS_GROUP_BITS == DAXFS_GROUP_NOTHING ||
		       !summary_waits(word & DAXFS_EPOCH_MASK, birth, s & DAXFS_EPOCH_MASK);
	if (state_of(s) != DAXFS_LIVE || use_of(s) != DAXFS_USE_TAIL || type != DAXFS_T_PAGE)
		return false;
	head = sm_load(&pool->state[type][index - index % DAXFS_EXTENT_PAGES]);
	return index % DAXFS_EXTENT_PAGES && use_of(head) != DAXFS_USE_EXTENT;
}

static bool is_closed(uint64_t w)
{
	return w >> DAXFS_GROUP_BITS == DAXFS_GROUP_NOTHING || w >> DAXFS_GROUP_BITS == DAXFS_GROUP_WAITING;
}

static void open_word(struct check *c, const struct place *at, const sm_u64 *word)
{
	if (repair_do(c, at, "opened"))
		repair_plain(c, word, 0);
}

/* What a word, closed, says of the states of a group: its own, or the one above it. */
static void check_group(struct check *c, unsigned type, uint64_t group, uint64_t word, const sm_u64 *from)
{
	uint64_t end = (group + 1) * DAXFS_GROUP, n = c->pool->objects[type];

	for (uint64_t i = group * DAXFS_GROUP; i < end && i < n; i++) {
		if (!is_denied(c->pool, type, i, word) || is_named(c, type, group))
			continue;
		check_problem(c, "denied", PLACE("group", group),
			      "of type %u says that nothing is free, but %" PRIu64 " is (state %#" PRIx64 ")", type, i,
			      sm_load(&c->pool->state[type][i]));
		open_word(c, PLACE("group", group), from);
		return;
	}
}

/* Closed until epoch O is over, while somebody looks for what is below under a later epoch, or did and found some:
 * under O it is as closed as before. */
static bool is_later_look(uint64_t above, uint64_t below)
{
	return above >> DAXFS_GROUP_BITS == DAXFS_GROUP_WAITING && below >> DAXFS_GROUP_BITS == DAXFS_GROUP_LOOKING;
}

/* A word above is closed no longer than all that it is over. */
static void check_above(struct check *c, unsigned type, unsigned level, uint64_t at, uint64_t word)
{
	const struct pool_summary *s = &c->pool->summary[type];
	uint64_t end = (at + 1) * DAXFS_GROUP, below;

	for (uint64_t i = at * DAXFS_GROUP; i < end && i < s->count[level - 1]; i++) {
		if (pool_lost(c->pool, &s->word[level - 1][i], sizeof(sm_u64)))
			continue;
		below = sm_load(&s->word[level - 1][i]);
		if (is_later_look(word, below)) {
			if (level == 1)
				check_group(c, type, i, word, &s->word[level][at]);
			continue;
		}
		if (!is_closed(below))
			check_problem(c, "denied", PLACE("group", at),
				      "of type %u, level %u, is closed (%#" PRIx64 "), but %" PRIu64 " below is open",
				      type, level, word, i);
		if (!is_closed(below)) {
			open_word(c, PLACE("group", at), &s->word[level][at]);
			return;
		}
	}
}

void check_summary(struct check *c)
{
	for (unsigned type = 0; type < DAXFS_TYPES; type++) {
		const struct pool_summary *s = &c->pool->summary[type];

		for (unsigned level = 0; level < s->levels; level++)
			for (uint64_t i = 0; i < s->count[level]; i++) {
				bool lost = pool_lost(c->pool, &s->word[level][i], sizeof(sm_u64));
				uint64_t word = lost ? 0 : sm_load(&s->word[level][i]);

				if (is_closed(word) && level)
					check_above(c, type, level, i, word);
				else if (is_closed(word))
					check_group(c, type, i, word, &s->word[level][i]);
			}
	}
}

static bool all_idle(const struct pool *pool)
{
	for (unsigned id = 0; id < pool->lanes_total; id++)
		if (lane_lost(pool, id) || status_state(sm_load(&pool->lanes[id].status)) != DAXFS_IDLE)
			return false;
	return true;
}

/* The first lane's share makes the sum what it should be. */
static void count_anew(struct check *c, const uint64_t more[DAXFS_TYPES])
{
	const struct sm_lane *lane = &c->pool->lanes[0];
	uint64_t used[2];

	account_adjusted(lane, more, used);
	if (!repair_do(c, PLACE("lane", 0), "its share of what is in use is counted anew"))
		return;
	for (unsigned i = 0; i < 2; i++)
		repair_plain(c, &lane->used[i], used[i]);
}

/* A lane at rest has told of its last record; else it would not tell of the next. */
static void check_told(struct check *c, unsigned id)
{
	const struct sm_lane *lane = &c->pool->lanes[id];
	uint64_t status = sm_load(&lane->status);

	for (unsigned i = 0; i < 2 && status_state(status) == DAXFS_IDLE; i++) {
		if (account_told(lane, i, status_seq(status)))
			continue;
		check_problem(c, "bad-used", PLACE("lane", id),
			      "word %u of its share of what is in use is not that of its last operation", i);
		if (repair_do(c, PLACE("lane", id), "it is now"))
			repair_plain(c, &lane->used[i], sm_load(&lane->used[i]) ^ 1ull << 63);
	}
}

/* Who takes the slot would add it. */
static void check_none(struct check *c, unsigned id)
{
	const struct sm_lane *lane = &c->pool->lanes[id];

	if (slot_counts(c->pool, id / c->pool->super.lanes_per_host) || account_none(lane))
		return;
	check_problem(c, "bad-used", PLACE("lane", id), "it counts, and nobody was ever in its slot");
	if (!repair_do(c, PLACE("lane", id), "it counts nothing"))
		return;
	for (unsigned i = 0; i < 2; i++)
		repair_plain(c, &lane->used[i], 0);
}

void check_counters(struct check *c)
{
	const struct daxfs_statfs *u = &c->out->usage;
	const uint64_t live[DAXFS_TYPES] = { u->pages.live, u->inodes.live, u->dirents.live };
	uint64_t used[DAXFS_TYPES], more[DAXFS_TYPES];

	c->out->usage.reserved = space_reserve(c->pool);
	for (unsigned id = 0; id < c->pool->lanes_total; id++)
		if (!lane_lost(c->pool, id)) {
			check_none(c, id);
			check_told(c, id);
		}
	if (c->out->problems || pool_troubled(c->pool) || !all_idle(c->pool))
		return; /* another finding may be the reason, or memory that cannot be looked at */
	if (!account_missing(c->pool, live, more))
		return;
	account_sum(c->pool, used);
	for (unsigned type = 0; type < DAXFS_TYPES; type++)
		if (more[type])
			check_problem(c, "bad-used", PLACE("type", type),
				      "%" PRIu64 " objects are counted as in use, %" PRIu64 " are", used[type],
				      live[type]);
	count_anew(c, more);
}
