/* SPDX-License-Identifier: Apache-2.0 */
/*
 * extent.c - what happens to extents, counted: a run that forms none, or never takes
 * one apart, says nothing about them. States tell of their pages, committed words of files.
 */
#include "pod/pod.h"
#include "sync/lane.h"

static const char *const names[EXTENT_EVENTS] = {
	"formed", "used-again", "dissolved", "tail-taken", "tail-kept",
	"undone", "replaced",   "broken-up", "cut-into",   "removed",
};

const char *extent_event_name(enum extent_event event)
{
	return names[event];
}

uint64_t extent_page(uint64_t page)
{
	uint64_t state = peek_word(&pod.pool.state[DAXFS_T_PAGE][page]), head;

	if (state_of(state) != DAXFS_LIVE || use_of(state) != DAXFS_USE_TAIL)
		return state;
	head = peek_word(&pod.pool.state[DAXFS_T_PAGE][page - page % DAXFS_EXTENT_PAGES]);
	return use_of(head) == DAXFS_USE_EXTENT ? head : 0;
}

static bool is_extent(uint64_t state, enum daxfs_state is)
{
	return state_of(state) == (unsigned)is && use_of(state) == DAXFS_USE_EXTENT;
}

void extent_state(uint64_t offset, uint64_t before, uint64_t after)
{
	uint64_t first = memory_offset(pod.pool.state[DAXFS_T_PAGE]), *n = pod.tallies->extent;
	bool taken = state_of(after) == DAXFS_PRIVATE;

	if (offset < first || offset - first >= pod.pool.objects[DAXFS_T_PAGE] * sizeof(sm_u64))
		return;
	n[EXTENT_FORMED] += is_extent(after, DAXFS_PRIVATE) && !is_extent(before, DAXFS_RETIRED);
	n[EXTENT_AGAIN] += is_extent(after, DAXFS_PRIVATE) && is_extent(before, DAXFS_RETIRED);
	n[EXTENT_DISSOLVED] += taken && use_of(after) != DAXFS_USE_EXTENT && is_extent(before, DAXFS_RETIRED);
	n[EXTENT_TAIL_TAKEN] += taken && use_of(after) < DAXFS_USE_EXTENT && use_of(before) == DAXFS_USE_TAIL;
	n[EXTENT_TAIL_KEPT] += taken && use_of(after) == DAXFS_USE_KEPT;
	n[EXTENT_UNDONE] += is_extent(before, DAXFS_PRIVATE) && after == 0;
}

/* Has the group whose head is at offset single pages after that record: any, all? */
static bool has_pages(const struct sm_lane *lane, uint64_t offset, bool *all)
{
	unsigned data = 0;

	for (unsigned i = 0; i < peek_word(&lane->n_words) && i < DAXFS_RECORD_WORDS; i++) {
		uint64_t at = address_offset(peek_word(&lane->words[3 * i]));

		data += at >= offset && at < offset + DAXFS_EXTENT_PAGES * sizeof(sm_u64) &&
			link_kind(peek_word(&lane->words[3 * i + 2])) == DAXFS_DATA;
	}
	*all = data == DAXFS_EXTENT_PAGES;
	return data;
}

void extent_commit(unsigned id)
{
	const struct sm_lane *lane = &pod.pool.lanes[id];
	uint64_t *n = pod.tallies->extent;

	for (unsigned i = 0; i < peek_word(&lane->n_words) && i < DAXFS_RECORD_WORDS; i++) {
		uint64_t addr = peek_word(&lane->words[3 * i]), after = peek_word(&lane->words[3 * i + 2]);
		bool all;

		if (address_class(addr) != DAXFS_W_LINK ||
		    link_kind(peek_word(&lane->words[3 * i + 1])) != DAXFS_EXTENT)
			continue;
		if (link_kind(after) == DAXFS_EXTENT)
			n[EXTENT_REPLACED]++;
		else if (!has_pages(lane, address_offset(addr), &all))
			n[EXTENT_REMOVED]++;
		else
			n[all ? EXTENT_BROKEN_UP : EXTENT_CUT_INTO]++;
	}
}
