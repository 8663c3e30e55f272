/* SPDX-License-Identifier: Apache-2.0 */
/*
 * repair.c - what is left to repair, as a list.
 *
 * Pages of the region whose memory failed, and files that nobody could finish, are in the pool's
 * trouble region (mem/trouble.c); lanes that rest are seen from themselves. Reads only, each
 * load under a guard: what cannot be read is passed over.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "daxfs/inspect.h"
#include "fs/fs.h"
#include "inspect/inspect.h"
#include "mem/guard.h"
#include "mem/layout.h"
#include "sync/member.h"

/* -- what a page holds ---------------------------------------------------------- */

static void elements(const char *what, const struct sm_region *r, uint64_t at, char *buf, size_t size)
{
	uint64_t first = at / r->elem_size, last = (at + DAXFS_PAGE_SIZE - 1) / r->elem_size;

	if (last >= r->count)
		last = r->count - 1;
	if (first == last)
		snprintf(buf, size, "%s %" PRIu64, what, first);
	else
		snprintf(buf, size, "%s %" PRIu64 " to %" PRIu64, what, first, last);
}

void inspect_page_text(const struct pool *pool, uint64_t offset, char *buf, size_t size)
{
	static const char *const name[DAXFS_REGIONS] = {
		"membership",
		"lanes",
		"open files",
		"states of pages",
		"states of inodes",
		"states of entries",
		"births of pages",
		"births of inodes",
		"births of entries",
		"counts of pages",
		"inodes",
		"entries",
		"list of trouble",
		"leases",
		"page",
		"summary of what is free",
		"events",
		"heat",
		"asks",
	};

	snprintf(buf, size, "%s", offset < DAXFS_PAGE_SIZE ? "superblock" : "second superblock");
	for (unsigned id = 0; id < super_regions(&pool->super); id++) {
		const struct sm_region *r = &pool->super.region[id];

		if (offset < r->offset)
			continue;
		if (offset < r->offset + DAXFS_PAGE_SIZE)
			snprintf(buf, size, "header of region %u", id);
		else if (r->count > 1 && offset - r->offset - DAXFS_PAGE_SIZE < r->count * r->elem_size)
			elements(name[id], r, offset - r->offset - DAXFS_PAGE_SIZE, buf, size);
		else
			snprintf(buf, size, "%s", name[id]);
	}
}

/* -- the list ----------------------------------------------------------------------- */

struct listing {
	struct pool *pool;
	daxfs_repair_fill fill;
	void *context;
	unsigned at; /* in the order of the list */
	int n;
	bool stop;
};

static void hand_out(struct listing *l, enum daxfs_repair_kind kind, uint64_t subject)
{
	struct daxfs_repair item = { .kind = kind, .subject = subject };

	if (kind == DAXFS_REPAIR_PAGE)
		inspect_page_text(l->pool, subject, item.what, sizeof(item.what));
	else if (kind == DAXFS_REPAIR_FILE)
		snprintf(item.what, sizeof(item.what), "inode %" PRIu64, subject & UINT32_MAX);
	else
		snprintf(item.what, sizeof(item.what), "lane %" PRIu64, subject);
	l->n++;
	l->stop = l->fill && !l->fill(l->context, &item);
}

static void look_page(struct listing *l, unsigned i)
{
	uint64_t entry = sm_load(&l->pool->trouble->bad[i]);

	if ((entry & (DAXFS_PAGE_SIZE - 1)) == DAXFS_BAD_LISTED && entry < l->pool->shm.size)
		hand_out(l, DAXFS_REPAIR_PAGE, entry - DAXFS_BAD_LISTED);
}

static void look_file(struct listing *l, unsigned i)
{
	uint64_t entry = sm_load(&l->pool->trouble->file[i]);

	if (entry && entry != DAXFS_REPAIR_NONE)
		hand_out(l, DAXFS_REPAIR_FILE, entry);
}

/* One of a slot without a tenant; others are their host's matter. */
static void look_lane(struct listing *l, unsigned id)
{
	struct host_word word;
	sm_u64 *host = &l->pool->member->host[id / l->pool->super.lanes_per_host].word;

	if (host_word_unpack(sm_load(host), &word) ||
	    (word.state != DAXFS_HOST_FREE && word.state != DAXFS_HOST_RECOVERED))
		return;
	if (lane_lost(l->pool, id) || status_state(sm_load(&l->pool->lanes[id].status)) != DAXFS_IDLE)
		hand_out(l, DAXFS_REPAIR_LANE, id);
}

static int go_on(void *arg)
{
	struct listing *l = arg;
	const unsigned files = DAXFS_BAD_MAX, lanes = files + DAXFS_REPAIR_MAX, end = lanes + l->pool->lanes_total;

	while (l->at < end && !l->stop) {
		unsigned at = l->at++;

		if (at < files)
			look_page(l, at);
		else if (at < lanes)
			look_file(l, at - files);
		else
			look_lane(l, at - lanes);
	}
	return 0;
}

int daxfs_repair_list(struct daxfs *fs, daxfs_repair_fill fill, void *context)
{
	struct listing l = { .pool = fs_pool_writable(fs), .fill = fill, .context = context };
	struct shm_guard guard = shm_guard_of(&l.pool->shm);

	trouble_sync(l.pool);
	do {
		guard.hit = false;
		shm_guard_run(&guard, go_on, &l);
	} while (guard.hit);
	return l.n;
}

int daxfs_repair_done(struct daxfs *fs, enum daxfs_repair_kind kind, uint64_t subject)
{
	struct pool *pool = fs_pool_writable(fs);

	switch (kind) {
	case DAXFS_REPAIR_PAGE: return subject < pool->shm.size ? trouble_end_page(pool, subject) : -ENOENT;
	case DAXFS_REPAIR_FILE: return trouble_end_file(pool, subject);
	default: return -EINVAL; /* a lane is in order when its record is */
	}
}
