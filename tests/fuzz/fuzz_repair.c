/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_repair.c - any damage is repaired: the tenants of a pool are over, with whatever
 * they had in flight; it is damaged; after the repair the check is clean, a second one
 * finds nothing to do, and the pool can be worked with and stays clean.
 */
#include <stdio.h>
#include <stdlib.h>

#include "sync/member.h"
#include "work.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Another geometry is another pool: what it says is there may be anything. */
const unsigned item_kinds = ITEMS_ALL & ~(1u << ITEM_OPERATION | 1u << PLACE_GEOMETRY);

/* Those that make sense have left; the others are for the repair. */
static void end_tenants(struct fixture *s)
{
	for (unsigned host = 0; host < SCENE_HOSTS; host++) {
		sm_u64 *word = &s->pool.member->host[host].word;
		struct host_word w;

		if (host_word_unpack(sm_load(word), &w))
			continue;
		w.state = DAXFS_HOST_FREE;
		w.recoverer = -1;
		w.recoverer_generation = 0;
		sm_store(word, host_word_pack(w));
	}
}

/* With FUZZ_VERBOSE in the environment, all that is said. */
static void say(void *context, const char *line)
{
	(void)context;
	if (getenv("FUZZ_VERBOSE"))
		fprintf(stderr, "%s\n", line);
}

static bool repair(struct fixture *s, struct daxfs_repaired *out)
{
	struct daxfs_error err = { .text = "" };
	struct daxfs *fs;
	int rc = daxfs_open(s->path, DAXFS_REPAIR, &fs, &err);

	if (rc)
		return false; /* both superblocks: there is no pool */
	rc = daxfs_repair(fs, false, say, NULL, out, &err);
	demand(rc == 0, "a pool that nobody uses can be repaired");
	demand(out->left == 0, "after a repair the check is clean");
	daxfs_close(fs);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fixture *s = fixture_get();
	struct item item[ITEMS_MAX];
	struct daxfs_repaired out;
	struct daxfs_check check;
	struct daxfs *fs;
	unsigned n;

	if (!size)
		return 0;
	fixture_restore(s, data[0] & 0x7f);
	n = items_read(data, size, item_kinds, item);
	for (unsigned i = 0; i < n; i++)
		alter(s, &item[i]);
	end_tenants(s);
	if (!repair(s, &out))
		return 0;
	repair(s, &out);
	demand(out.problems == 0 && out.repairs == 0, "a repaired pool needs no repair");
	fs = work_begin(s);
	demand(fs != NULL, "a repaired pool can be joined");
	if (!fs)
		return 0;
	work_walk(fs);
	work_clear(fs);
	demand(daxfs_check(fs, NULL, NULL, &check) == 0 && check.problems == 0, "a repaired pool stays clean");
	work_end(fs);
	return 0;
}
