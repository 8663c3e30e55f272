/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_replay.c - damaged records of two dead hosts: recovery by another host
 * ends, and where it says that it is done, nothing of them is in flight.
 */
#include "sync/member.h"
#include "work.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

const unsigned item_kinds = PLACES_LANES | 1u << PLACE_OPEN;

static void expect_settled(struct daxfs *fs, unsigned host)
{
	struct daxfs_inflight flight;
	struct host_word word;

	demand(daxfs_inflight(fs, host, &flight) == 0, "hosts of this pool");
	if (host_word_unpack(sm_load(&fs_host(fs, host)->word), &word) || word.state != DAXFS_HOST_RECOVERED)
		return;
	/* Lanes whose records make no sense rest, and are listed. */
	demand(!flight.opens && flight.lanes == flight.records &&
		       flight.lanes <= (unsigned)daxfs_repair_list(fs, NULL, NULL),
	       "RECOVERED hosts have nothing in flight but what is listed for repair");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fixture *s = fixture_get();
	struct item item[ITEMS_MAX];
	struct daxfs *fs;
	unsigned n;

	if (!size)
		return 0;
	fixture_restore(s, data[0] & 0x7f);
	n = items_read(data, size, item_kinds, item);
	for (unsigned i = 0; i < n; i++)
		alter(s, &item[i]);
	fs = work_begin(s);
	demand(fs, "pools with good heads can be opened");
	for (unsigned host = 1; host < 3; host++) {
		work_recover(fs, host);
		expect_settled(fs, host);
	}
	if (data[0] & 0x80)
		work_walk(fs);
	work_end(fs);
	return 0;
}
