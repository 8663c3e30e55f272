/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_walk.c - how the check says what it finds, and how it follows words.
 *
 * Invariant: a shared index is compared with the pool's limits before it is
 * used, and an object is entered once, so the work is bounded by the size of
 * the pool whatever it holds. Calls no pass of the check: they call it.
 */
#include "inspect/check_walk.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "inspect/repair.h"
#include "sync/lane.h"

const char *const check_type_name[DAXFS_TYPES] = { "page", "inode", "dirent" };

int check_place(char *buf, size_t size, const struct place *at)
{
	if (!at->field)
		return snprintf(buf, size, "%s %" PRIu64, at->what, at->index);
	if (at->slot < 0)
		return snprintf(buf, size, "%s %" PRIu64 " %s", at->what, at->index, at->field);
	return snprintf(buf, size, "%s %" PRIu64 " %s[%d]", at->what, at->index, at->field, at->slot);
}

void check_problem(struct check *c, const char *code, const struct place *at, const char *format, ...)
{
	char line[256], place[80];
	va_list ap;
	int n;

	c->out->problems++;
	if (!c->report)
		return;
	check_place(place, sizeof(place), at);
	n = snprintf(line, sizeof(line), "%s: %s: ", code, place);
	va_start(ap, format);
	vsnprintf(line + n, sizeof(line) - (size_t)n, format, ap);
	va_end(ap);
	c->report(c->context, line);
}

/* -- objects and the words that name them ----------------------------------- */

bool check_unknown(const struct check *c, const sm_u64 *word)
{
	uint64_t w;

	if (!pool_troubled(c->pool))
		return false;
	if (pool_lost(c->pool, word, sizeof(*word)))
		return true;
	w = sm_load(word);
	return word_is_mark(w) && mark_lane(w) < c->pool->lanes_total && lane_lost(c->pool, mark_lane(w));
}

void check_mark(struct check *c, const sm_u64 *word, enum daxfs_word_class class, const struct place *at)
{
	uint64_t w, status;
	const sm_u64 *entry;

	if (pool_lost(c->pool, word, sizeof(*word)))
		return;
	w = sm_load(word);
	if (!word_is_mark(w))
		return;
	if (check_unknown(c, word)) {
		check_problem(c, "lost-mark", at, "marked by lane %u, whose record is lost", mark_lane(w));
		c->blind++;
		return;
	}
	entry = inspect_mark(c->pool, word, w, &status);
	if (!entry && !inspect_claim(c->pool, word, w, &status))
		check_problem(c, "orphan-mark", at, "marked by lane %u operation %" PRIu64 ", which has no such record",
			      mark_lane(w), mark_seq(w));
	else if (entry && address_class(sm_load_relaxed(entry)) != class)
		check_problem(c, "bad-record", at, "lane %u takes it for a word of another class", mark_lane(w));
	else if (!check_lane_owned(c, mark_lane(w)))
		check_problem(c, "dead-mark", at, "still marked by lane %u, whose host slot nobody owns", mark_lane(w));
	else
		return;
	repair_mark(c, word, class, at);
}

bool check_in_flight(const struct check *c, uint64_t txid, unsigned statuses)
{
	uint64_t status;

	if (txid_lane(txid) < c->pool->lanes_total && lane_lost(c->pool, txid_lane(txid)))
		return true; /* for all that can be said */
	if (!check_lane_owned(c, txid_lane(txid)))
		return false;
	status = sm_load(&c->pool->lanes[txid_lane(txid)].status);
	return status_seq(status) == txid_seq(txid) && status_state(status) < DAXFS_STATUSES &&
	       (statuses >> status_state(status) & 1);
}

void check_state(struct check *c, enum daxfs_type type, uint64_t index, enum daxfs_use use, const struct place *at)
{
	bool sane = true;
	uint64_t s;

	if (pool_lost(c->pool, &c->pool->state[type][index], sizeof(sm_u64)))
		return;
	s = sm_load(&c->pool->state[type][index]);
	switch (state_of(s)) {
	case DAXFS_FREE:
		check_problem(c, "free-in-use", at, "names %s %" PRIu64 ", which is FREE", check_type_name[type],
			      index);
		repair_state(c, type, index, use, at);
		return;
	case DAXFS_RETIRED:
		check_problem(c, "retired-in-use", at, "names %s %" PRIu64 ", which is RETIRED", check_type_name[type],
			      index);
		repair_state(c, type, index, use, at);
		return;
	case DAXFS_PRIVATE:
		if (use == DAXFS_USE_TAIL && use_of(s) == DAXFS_USE_KEPT && check_in_flight(c, txid_of(s), CHECK_ANY))
			return; /* its extent is about to be broken up */
		sane = check_in_flight(c, txid_of(s), CHECK_COMMITTED);
		if (!sane)
			check_problem(c, "private-in-use", at,
				      "names %s %" PRIu64 ", which is PRIVATE to operation %" PRIu64
				      " of lane %u, not committed",
				      check_type_name[type], index, txid_seq(txid_of(s)), txid_lane(txid_of(s)));
		break;
	case DAXFS_LIVE: break;
	default:
		repair_state(c, type, index, use, at); /* a finding of check_states */
		return;
	}
	if (use_of(s) != (unsigned)use && !(use == DAXFS_USE_DATA && use_of(s) == DAXFS_USE_KEPT)) {
		check_problem(c, "bad-use", at, "names %s %" PRIu64 " as use %u, its state says use %u",
			      check_type_name[type], index, (unsigned)use, use_of(s));
		sane = false;
	}
	if (!sane)
		repair_state(c, type, index, use, at);
}

bool check_reach(struct check *c, enum daxfs_type type, uint64_t index, enum daxfs_use use, const struct place *at)
{
	if (index >= c->pool->objects[type]) {
		check_problem(c, "bad-index", at, "names %s %" PRIu64 ", the pool has %" PRIu64, check_type_name[type],
			      index, c->pool->objects[type]);
		return false;
	}
	if (check_is(c, type, index, CHECK_REACHED)) {
		check_problem(c, "double-use", at, "names %s %" PRIu64 ", which something else names too",
			      check_type_name[type], index);
		return false;
	}
	c->notes[type][index] |= CHECK_REACHED;
	c->out->pages_used += type == DAXFS_T_PAGE;
	check_state(c, type, index, use, at);
	return true;
}
