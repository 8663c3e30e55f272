/* SPDX-License-Identifier: Apache-2.0 */
/* dump_lane.c - lanes and the records in them. Read only. */
#include <inttypes.h>

#include "inspect/dump.h"
#include "sync/lane.h"

static void dump_words(const struct dump *d, unsigned id, const struct sm_lane *lane)
{
	char place[INSPECT_TEXT], before[INSPECT_TEXT], after[INSPECT_TEXT];
	uint64_t n = sm_load(&lane->n_words);

	for (unsigned i = 0; i < n && i < DAXFS_RECORD_WORDS; i++) {
		uint64_t addr = sm_load_relaxed(&lane->words[3 * i]), offset = address_offset(addr);
		uint64_t from = sm_load_relaxed(&lane->words[3 * i + 1]), to = sm_load_relaxed(&lane->words[3 * i + 2]);
		enum daxfs_word_class class = address_class(addr);

		inspect_place_text(d->pool, offset, place, sizeof(place));
		inspect_value_text(word_payload(from, class), class, before, sizeof(before));
		inspect_value_text(word_payload(to, class), class, after, sizeof(after));
		DUMP(d,
		     "lane=%u word=%u offset=%#" PRIx64 " class=%u before=%#" PRIx64 " after=%#" PRIx64
		     " place=\"%s\" from=\"%s\" to=\"%s\"",
		     id, i, offset, (unsigned)class, from, to, place, before, after);
	}
}

static void dump_objects(const struct dump *d, unsigned id, const struct sm_lane *lane, bool retires)
{
	uint64_t n = sm_load(&lane->n_allocs);
	char text[INSPECT_TEXT];

	for (unsigned i = 0; i < n && i < DAXFS_RECORD_ALLOCS; i++) {
		inspect_object_text(d->pool, sm_load_relaxed(&lane->allocs[i]), text, sizeof(text));
		DUMP(d, "lane=%u alloc=%u object=\"%s\"", id, i, text);
	}
	n = retires ? sm_load(&lane->n_retires) : 0;
	for (unsigned i = 0; i < n && i < DAXFS_RECORD_RETIRES; i++) {
		inspect_object_text(d->pool, sm_load_relaxed(&lane->retires[2 * i]), text, sizeof(text));
		DUMP(d, "lane=%u retire=%u object=\"%s\" txid=%#" PRIx64, id, i, text,
		     sm_load_relaxed(&lane->retires[2 * i + 1]));
	}
}

void dump_lanes(const struct dump *d)
{
	for (unsigned id = 0; id < d->pool->lanes_total; id++) {
		const struct sm_lane *lane = &d->pool->lanes[id];
		uint64_t status = sm_load(&lane->status), owner = sm_load(&lane->owner), todo = sm_load(&lane->todo);

		DUMP(d,
		     "lane=%u host=%u owner=%u/%u status=%s operation=%s seq=%" PRIu64 " todo=%" PRIu64 "/%" PRIu64
		     " low=%" PRIu64 " high=%" PRIu64,
		     id, id / d->pool->super.lanes_per_host, (unsigned)owner, (unsigned)(owner >> 32),
		     inspect_status_name(status_state(status)), record_operation_name(status_operation(status)),
		     status_seq(status), handle_index(todo), handle_generation(todo), sm_load(&lane->low),
		     sm_load(&lane->high));
		if (inspect_has_record(status))
			dump_words(d, id, lane);
		if (status_state(status) != DAXFS_IDLE)
			dump_objects(d, id, lane, inspect_has_record(status));
	}
}
