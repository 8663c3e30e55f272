/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_lane.c - lanes and open tables: what is in flight, and what was left.
 *
 * In a slot with an owner (anything between JOINING and RECOVERING) a record, an
 * announcement or a todo is work that the owner or recovery ends; here it is
 * only judged for sense and noted, so that the passes over objects know what is
 * excused. In a FREE or RECOVERED slot the same is left over: nobody will end it.
 */
#include <inttypes.h>

#include "inspect/repair.h"
#include "sync/member.h"

static const struct place *lane_place(struct place *at, unsigned lane, const char *field, int slot)
{
	*at = (struct place){ "lane", lane, field, slot, 0 };
	return at;
}

/* -- records ------------------------------------------------------------------ */

/* Words: of a known class, inside the pool, aligned, in strictly rising order, with values for values. */
static void check_words(struct check *c, unsigned id, const struct sm_lane *lane)
{
	uint64_t n = sm_load(&lane->n_words), last = 0;
	struct place at;

	for (unsigned i = 0; i < n && i < DAXFS_RECORD_WORDS; i++) {
		uint64_t addr = sm_load_relaxed(&lane->words[3 * i]), offset = address_offset(addr);
		uint64_t values = sm_load_relaxed(&lane->words[3 * i + 1]) | sm_load_relaxed(&lane->words[3 * i + 2]);

		if (!word_class_known(address_class(addr)) || offset % 8 || offset > c->pool->shm.size - 8 ||
		    offset <= last || word_is_mark(values))
			check_problem(c, "bad-record", lane_place(&at, id, "words", (int)i),
				      "%#" PRIx64 " is no word of this pool, or out of order", addr);
		last = offset;
	}
}

static bool object_exists(const struct check *c, uint64_t object)
{
	return object_type(object) < DAXFS_TYPES && object_index(object) < c->pool->objects[object_type(object)];
}

static void check_allocs(struct check *c, unsigned id, const struct sm_lane *lane)
{
	uint64_t n = sm_load(&lane->n_allocs);
	struct place at;

	for (unsigned i = 0; i < n && i < DAXFS_RECORD_ALLOCS; i++)
		if (!object_exists(c, sm_load_relaxed(&lane->allocs[i])))
			check_problem(c, "bad-record", lane_place(&at, id, "allocs", (int)i),
				      "%#" PRIx64 " is no object of this pool", sm_load_relaxed(&lane->allocs[i]));
}

/* Objects that a commit unlinked stay LIVE until its owner finalizes them: note them if it will. */
static void check_retires(struct check *c, unsigned id, const struct sm_lane *lane, bool finalizes)
{
	uint64_t n = sm_load(&lane->n_retires);
	struct place at;

	for (unsigned i = 0; i < n && i < DAXFS_RECORD_RETIRES; i++) {
		uint64_t object = sm_load_relaxed(&lane->retires[2 * i]);
		uint64_t txid = sm_load_relaxed(&lane->retires[2 * i + 1]), s;
		unsigned type = object_type(object);

		if (!object_exists(c, object)) {
			check_problem(c, "bad-record", lane_place(&at, id, "retires", (int)i),
				      "%#" PRIx64 " is no object of this pool", object);
			continue;
		}
		if (pool_lost(c->pool, &c->pool->state[type][object_index(object)], sizeof(sm_u64)))
			continue;
		s = sm_load(&c->pool->state[type][object_index(object)]);
		if (finalizes && (s & DAXFS_USE_TXID_MASK) == (txid & DAXFS_USE_TXID_MASK))
			c->notes[type][object_index(object)] |= CHECK_RETIRING;
	}
}

static void check_record(struct check *c, unsigned id, const struct sm_lane *lane, uint64_t status)
{
	const struct place *at = PLACE("lane", id);

	if (sm_load(&lane->n_allocs) > DAXFS_RECORD_ALLOCS)
		check_problem(c, "bad-record", at, "%" PRIu64 " allocations, room for %u", sm_load(&lane->n_allocs),
			      DAXFS_RECORD_ALLOCS);
	if (status_state(status) == DAXFS_PREPARE)
		return; /* the rest is being written, and allocations are named before they are chosen */
	if (sm_load(&lane->n_words) > DAXFS_RECORD_WORDS || sm_load(&lane->n_retires) > DAXFS_RECORD_RETIRES)
		check_problem(c, "bad-record", at, "%" PRIu64 " words and %" PRIu64 " retirements, room for %u and %u",
			      sm_load(&lane->n_words), sm_load(&lane->n_retires), DAXFS_RECORD_WORDS,
			      DAXFS_RECORD_RETIRES);
	check_words(c, id, lane);
	check_allocs(c, id, lane);
	check_retires(c, id, lane, (CHECK_COMMITTED >> status_state(status) & 1) && check_lane_owned(c, id));
}

/* -- lanes -------------------------------------------------------------------- */

static void check_leftovers(struct check *c, unsigned id, const struct sm_lane *lane, unsigned state)
{
	const struct place *at = PLACE("lane", id);

	if (state != DAXFS_IDLE)
		check_problem(c, "dead-record", at, "%s, but nobody owns its host slot", inspect_status_name(state));
	if (sm_load(&lane->todo))
		check_problem(c, "dead-todo", at, "is to finish inode %" PRIu64 ", but nobody owns its host slot",
			      handle_index(sm_load(&lane->todo)));
	if (sm_load(&lane->low))
		check_problem(c, "dead-epoch", at, "holds back epochs from %" PRIu64 ", but nobody owns its host slot",
			      sm_load(&lane->low));
}

/* While a host is ALIVE its lanes name it and its generation. */
static void check_owner(struct check *c, unsigned id, const struct sm_lane *lane)
{
	unsigned host = id / c->pool->super.lanes_per_host;
	uint64_t owner = sm_load(&lane->owner);
	struct host_word word;

	if (pool_lost(c->pool, &c->pool->member->host[host].word, sizeof(sm_u64)) ||
	    host_word_unpack(sm_load(&c->pool->member->host[host].word), &word) || word.state != DAXFS_HOST_ALIVE)
		return;
	if (owner != ((uint64_t)word.generation << 32 | host))
		check_problem(c, "bad-owner", PLACE("lane", id),
			      "names host %u generation %u, the slot is of host %u generation %u", (unsigned)owner,
			      (unsigned)(owner >> 32), host, word.generation);
}

void check_note_todo(struct check *c, uint64_t handle)
{
	uint64_t index = handle_index(handle);

	if (handle && index < c->pool->objects[DAXFS_T_INODE] &&
	    !check_blind(c, &c->pool->inodes[index], sizeof(struct sm_inode)) &&
	    (sm_load(&c->pool->inodes[index].i_generation) & 0xffffffffull) == handle_generation(handle))
		c->notes[DAXFS_T_INODE][index] |= CHECK_TODO;
}

static void check_lane(struct check *c, unsigned id)
{
	const struct sm_lane *lane = &c->pool->lanes[id];
	uint64_t status;
	unsigned state;

	if (check_blind(c, lane, sizeof(*lane)))
		return;
	status = sm_load(&lane->status);
	state = status_state(status);
	if (!check_status_sane(status)) {
		check_problem(c, "bad-status", PLACE("lane", id), "status word %#" PRIx64 " makes no sense", status);
		return;
	}
	if (state != DAXFS_IDLE)
		check_record(c, id, lane, status);
	if (!check_lane_owned(c, id)) {
		check_leftovers(c, id, lane, state);
		return;
	}
	check_owner(c, id, lane);
	check_note_todo(c, sm_load(&lane->todo));
}

void check_lanes(struct check *c)
{
	for (unsigned id = 0; id < c->pool->lanes_total; id++)
		check_lane(c, id);
}

/* -- open tables -------------------------------------------------------------- */

static void repair_open(struct check *c, unsigned host, unsigned slot, const struct place *at)
{
	if (repair_do(c, at, "holds nothing open"))
		repair_plain(c, &c->pool->open_table[(uint64_t)host * c->pool->super.opens_per_host + slot], 0);
}

/*
 * A handle is listed before its bit is set and unlisted after it is cleared, so
 * in a slot with an owner a listed handle without a bit, or of an inode that is
 * gone, is in flight. check_inodes looks for bits without a listing.
 */
static void check_open(struct check *c, unsigned host, unsigned slot, uint64_t handle)
{
	const struct place *at = PLACE_FIELD("host", host, "opens", (int)slot);
	uint64_t index = handle_index(handle);

	if (index == 0 || index >= c->pool->objects[DAXFS_T_INODE]) {
		check_problem(c, "bad-open", at, "%#" PRIx64 " is no handle of this pool", handle);
		repair_open(c, host, slot, at);
		return;
	}
	if (!check_host_owned(c, host)) {
		check_problem(c, "dead-open", at, "holds inode %" PRIu64 " open, but nobody owns the host slot", index);
		repair_open(c, host, slot, at);
	}
	if (check_blind(c, &c->pool->inodes[index], sizeof(struct sm_inode)))
		return;
	if ((sm_load(&c->pool->inodes[index].i_generation) & 0xffffffffull) == handle_generation(handle))
		c->listed[index] |= 1ull << host;
}

void check_opens(struct check *c)
{
	unsigned per_host = c->pool->super.opens_per_host;

	for (unsigned host = 0; host < c->pool->super.hosts; host++)
		for (unsigned slot = 0; slot < per_host; slot++) {
			const sm_u64 *open = &c->pool->open_table[(uint64_t)host * per_host + slot];
			uint64_t handle = check_blind(c, open, sizeof(*open)) ? 0 : sm_load(open);

			if (handle)
				check_open(c, host, slot, handle);
		}
}
