/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_trouble.c - what memory lost, as findings.
 *
 * What lies in a page that is listed as bad (mem/trouble.c) is not looked at, and nothing is said of it but
 * that; what only such a page leads to is counted, not named.
 */
#include <inttypes.h>

#include "inspect/repair.h"

/* An entry that nobody would find, or that is none. */
static void check_senseless(struct check *c, const sm_u64 *place, unsigned i, uint64_t entry)
{
	const struct place *at = PLACE_FIELD("trouble", 0, "bad", (int)i);

	check_problem(c, "bad-trouble", at, "%#" PRIx64 " makes no sense", entry);
	if (repair_do(c, at, "nothing"))
		repair_plain(c, place, DAXFS_BAD_REPAIRED);
}

/* As this process knows it, which has met more than the pool's list says if it only reads. */
static void check_pages(struct check *c)
{
	char text[INSPECT_TEXT];

	for (unsigned i = 0; i < DAXFS_BAD_MAX; i++) {
		uint64_t entry = trouble_entry(c->pool, i), page = entry & ~(DAXFS_PAGE_SIZE - 1ull);

		if (entry - page != DAXFS_BAD_LISTED || page >= c->pool->super.size ||
		    !pool_lost(c->pool, pool_at(c->pool, page), 1))
			continue;
		inspect_page_text(c->pool, page, text, sizeof(text));
		check_problem(c, "bad-memory", PLACE("offset", page), "%s: lost until it is repaired", text);
	}
}

static void check_list(struct check *c)
{
	for (unsigned i = 0; i < DAXFS_BAD_MAX; i++) {
		const sm_u64 *place = &c->pool->trouble->bad[i];
		uint64_t entry = pool_lost(c->pool, place, sizeof(*place)) ? 0 : sm_load(place);
		uint64_t page = entry & ~(DAXFS_PAGE_SIZE - 1ull);

		if (!entry || entry - page == DAXFS_BAD_REPAIRED)
			continue;
		if (entry - page != DAXFS_BAD_LISTED || page >= c->pool->super.size ||
		    !pool_lost(c->pool, pool_at(c->pool, page), 1))
			check_senseless(c, place, i, entry);
	}
}

/* Half taken apart, or without a name, they may be; that is said once. */
void check_repairs(struct check *c)
{
	for (unsigned i = 0; i < DAXFS_REPAIR_MAX; i++) {
		const sm_u64 *place = &c->pool->trouble->file[i];
		uint64_t handle = pool_lost(c->pool, place, sizeof(*place)) ? 0 : sm_load(place);

		if (!handle || handle == DAXFS_REPAIR_NONE)
			continue;
		check_problem(c, "to-repair", PLACE("inode", handle_index(handle)),
			      "could not be finished; what it has is in use for good");
		/* Off the list it is a finding like any other. */
		if (repair_do(c, PLACE("inode", handle_index(handle)), "off the list"))
			repair_plain(c, place, DAXFS_REPAIR_NONE);
		else
			check_note_todo(c, handle);
	}
}

void check_trouble(struct check *c)
{
	check_pages(c);
	check_list(c);
	if (c->below)
		check_problem(c, "out-of-reach", PLACE("pool", 0),
			      "%" PRIu64 " objects in use that only bad memory may lead to", c->below);
}
