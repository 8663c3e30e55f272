/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_head.c - superblocks, region headers, membership.
 *
 * The pool was attached by one valid superblock; the check tells that the other
 * copy, or a header damaged since, is not what it was. All judged on private
 * copies by mem/super.h, the rules that attaching uses.
 */
#include <inttypes.h>

#include "mem/layout.h"
#include "mem/super.h"
#include "inspect/repair.h"
#include "sync/member.h"

static void check_super(struct check *c, unsigned copy)
{
	const struct super_flaw *flaw;
	struct sm_super s;

	if (pool_lost(c->pool, pool_at(c->pool, copy * DAXFS_PAGE_SIZE), sizeof(s)))
		return;
	super_load(c->pool->shm.base, copy, &s);
	flaw = super_invalid(&s, c->pool->shm.size);
	if (!flaw && memcmp(&s, &c->pool->super, sizeof(s)) == 0)
		return;
	check_problem(c, "bad-super", PLACE("superblock", copy), "%s",
		      flaw ? flaw->reason : "not the one this pool was opened with");
	/* Crash in it: the other copy is there. */
	if (repair_do(c, PLACE("superblock", copy), "written anew, from the other copy"))
		repair_bytes(c, c->pool->shm.base + copy * DAXFS_PAGE_SIZE, &c->pool->super, sizeof(s));
}

void check_headers(struct check *c)
{
	for (unsigned copy = 0; copy < 2; copy++)
		check_super(c, copy);
	for (unsigned id = 0; id < super_regions(&c->pool->super); id++) {
		struct sm_region_hdr hdr;
		const char *flaw;

		if (pool_lost(c->pool, pool_at(c->pool, c->pool->super.region[id].offset), sizeof(hdr)))
			continue;
		sm_read(&hdr, pool_at(c->pool, c->pool->super.region[id].offset), sizeof(hdr));
		flaw = region_hdr_invalid(&c->pool->super, id, &hdr);
		if (!flaw)
			continue;
		check_problem(c, "bad-header", PLACE("region", id), "header of %s: %s", region_name(id), flaw);
		region_hdr_make(&c->pool->super, id, &hdr);
		if (repair_do(c, PLACE("region", id), "header written anew"))
			repair_bytes(c, c->pool->shm.base + c->pool->super.region[id].offset, &hdr, sizeof(hdr));
	}
}

/* A slot has an owner until it is FREE or RECOVERED; one whose word makes no sense may have. */
static void check_host(struct check *c, unsigned host)
{
	const sm_u64 *p = &c->pool->member->host[host].word;
	struct host_word word;
	uint64_t v;

	if (pool_lost(c->pool, p, sizeof(*p))) {
		c->owned |= 1ull << host;
		return;
	}
	v = sm_load(p);
	if (host_word_unpack(v, &word) || word.recoverer >= (int)c->pool->super.hosts) {
		check_problem(c, "bad-host", PLACE("host", host), "word %#" PRIx64 " makes no sense", v);
		c->owned |= c->fix ? 0 : 1ull << host; /* in a repair: nobody uses the pool */
		repair_host(c, host, PLACE("host", host));
	} else if (word.state != DAXFS_HOST_FREE && word.state != DAXFS_HOST_RECOVERED) {
		c->owned |= 1ull << host;
	}
}

void check_members(struct check *c)
{
	const struct sm_manager *manager = &c->pool->member->manager;

	for (unsigned host = 0; host < c->pool->super.hosts; host++)
		check_host(c, host);
	for (unsigned host = c->pool->super.hosts; host < DAXFS_HOSTS_MAX; host++)
		if (!pool_lost(c->pool, &c->pool->member->host[host].word, sizeof(sm_u64)) &&
		    sm_load(&c->pool->member->host[host].word)) {
			check_problem(c, "bad-host", PLACE("host", host), "in use, but the pool has only %u hosts",
				      c->pool->super.hosts);
			if (repair_do(c, PLACE("host", host), "nobody's"))
				repair_plain(c, &c->pool->member->host[host].word, 0);
		}
	if (c->epoch == 0 || c->epoch > DAXFS_EPOCH_MASK) {
		check_problem(c, "bad-epoch", PLACE_FIELD("manager", 0, "epoch", -1), "%" PRIu64 " is no epoch",
			      c->epoch);
		repair_epoch(c, PLACE_FIELD("manager", 0, "epoch", -1));
	}
	check_mark(c, &manager->tree, DAXFS_W_TICK, PLACE_FIELD("manager", 0, "tree", -1));
}
