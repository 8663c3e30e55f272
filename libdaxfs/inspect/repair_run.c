/* SPDX-License-Identifier: Apache-2.0 */
/*
 * repair_run.c - the repair of a whole pool that nobody uses.
 *
 * Passes of the check, each of which repairs what it finds (repair.h), until one finds
 * nothing to do. Then what was found without a name gets one (repair_found.c).
 *
 * Nobody else: the repair word of the manager's line is set, and then no slot may have
 * an owner; a host that joins takes its slot first and looks at that word then. So one
 * of them sees the other, and gives up:
 *
 *   repair                          join
 *   repair word = 1                 slot 0: FREE -> JOINING
 *   fence                           fence
 *   slot 0 is JOINING: not now      repair word is 1: slot 0 -> FREE
 *
 * Crash: the word stays, and no host joins a pool that is half repaired; the next
 * repair goes on and clears it. Two repairs at once: the word tells them apart, and the
 * one that was first stops.
 */
#include <errno.h>

#include "fs/fs.h"
#include "inspect/repair.h"
#include "inspect/repair_found.h"
#include "mem/guard.h"
#include "sync/member.h"

#define PASSES_MAX 40u

static sm_u64 *repair_mark_of(struct pool *pool)
{
	return &pool->member->manager.repair;
}

static void set_repair(struct pool *pool, uint64_t v)
{
	sm_drain(&pool->shm);
	/* ORD repair word: set before anything is looked at, cleared after all is written back. */
	sm_store(repair_mark_of(pool), v);
	sm_flush(&pool->shm, repair_mark_of(pool), sizeof(sm_u64));
	sm_drain(&pool->shm);
	sm_fence();
}

/* A host that has not left, or is not recovered; -1: none. One whose word makes no sense is nobody. */
static int tenant(const struct pool *pool, enum daxfs_host_state *state)
{
	for (unsigned host = 0; host < pool->super.hosts; host++) {
		struct host_word word;

		if (host_word_unpack(sm_load(&pool->member->host[host].word), &word) || word.state == DAXFS_HOST_FREE ||
		    word.state == DAXFS_HOST_RECOVERED)
			continue;
		*state = word.state;
		return (int)host;
	}
	return -1;
}

int repair_begin(struct daxfs *fs, uint64_t id, struct daxfs_error *err)
{
	struct pool *pool = &fs->pool;
	uint64_t before = sm_load(repair_mark_of(pool));
	enum daxfs_host_state state;
	int host;

	set_repair(pool, id);
	host = tenant(pool, &state);
	if (host < 0)
		return 0;
	set_repair(pool, before);
	return daxfs_error_set(err, -EBUSY,
			       "host %d is %s: stop all agents and let what died be recovered, then repair", host,
			       daxfs_host_state_name(state));
}

/* -- memory that failed ------------------------------------------------------------ */

struct failed {
	const struct pool *pool;
	uint64_t offset;
};

static int load_page(void *arg)
{
	const struct failed *page = arg;

	for (uint64_t at = 0; at < DAXFS_PAGE_SIZE; at += DAXFS_LINE)
		sm_load_relaxed(pool_at(page->pool, page->offset + at));
	return 0;
}

/* Bytes of a file, or those that could be: they are lost whatever can be loaded there now, for nobody could tell. */
static bool holds_bytes(const struct pool *pool, uint64_t offset)
{
	uint64_t page = (offset - pool_offset(pool, pool->pages)) / DAXFS_PAGE_SIZE, s;

	if (offset < pool_offset(pool, pool->pages) || page >= pool->objects[DAXFS_T_PAGE] ||
	    pool_lost(pool, &pool->state[DAXFS_T_PAGE][page], sizeof(sm_u64)))
		return false;
	s = sm_load(&pool->state[DAXFS_T_PAGE][page]);
	return state_of(s) != DAXFS_FREE && state_of(s) != DAXFS_RETIRED && use_of(s) != DAXFS_USE_NODE &&
	       use_of(s) != DAXFS_USE_LOCKS && use_of(s) != DAXFS_USE_XATTR && use_of(s) != DAXFS_USE_BAD;
}

/* What can be loaded again comes off the list: whatever it holds now, the check tells sense from nonsense there. */
static void take_off_list(struct pool *pool)
{
	for (unsigned i = 0; i < DAXFS_BAD_MAX; i++) {
		uint64_t entry = trouble_entry(pool, i);
		struct failed page = { pool, entry - DAXFS_BAD_LISTED };
		struct shm_guard guard = shm_guard_of(&pool->shm);

		if ((entry & (DAXFS_PAGE_SIZE - 1)) != DAXFS_BAD_LISTED || entry >= pool->shm.size ||
		    holds_bytes(pool, page.offset))
			continue;
		shm_guard_run(&guard, load_page, &page);
		if (!guard.hit)
			trouble_end_page(pool, page.offset);
	}
}

static int passes(struct daxfs *fs, struct repair *fix, uint64_t id, daxfs_report report, void *context)
{
	struct daxfs_check result;
	unsigned n = 0;
	int rc;

	do {
		fix->done = fix->found = fix->next_page = 0;
		rc = check_pass(&fs->pool, fix, report, context, &result);
		if (rc)
			return rc;
		fix->out->problems += n == 0 ? result.problems : 0;
		if (fix->dry)
			return 0;
		sm_drain(&fs->pool.shm);
		if (sm_load(repair_mark_of(&fs->pool)) != id)
			return -ECANCELED; /* another one has begun */
	} while (fix->done && ++n < PASSES_MAX);
	return 0;
}

struct passes_call {
	struct daxfs *fs;
	struct repair *fix;
	uint64_t id;
	daxfs_report report;
	void *context;
};

static int run_passes(void *arg)
{
	const struct passes_call *call = arg;

	if (!call->fix->dry)
		take_off_list(&call->fs->pool);
	return passes(call->fs, call->fix, call->id, call->report, call->context);
}

int daxfs_repair(struct daxfs *fs, bool dry_run, daxfs_report report, void *context, struct daxfs_repaired *out,
		 struct daxfs_error *err)
{
	struct daxfs_repaired result = { 0 };
	struct repair fix = { .pool = &fs->pool, .dry = dry_run, .out = &result };
	uint64_t id = fs_now() | 1;
	struct shm_guard guard = shm_guard_of(&fs->pool.shm);
	struct daxfs_check check;
	int rc = 0;

	if (fs->joined)
		return daxfs_error_set(err, -EBUSY, "joined as host %u: leave first", fs->host);
	if (!dry_run && !fs->pool.writable)
		return daxfs_error_set(err, -EROFS, "the pool is mapped read-only; open it for writing to repair it");
	if (!dry_run)
		rc = repair_begin(fs, id, err);
	if (rc)
		return rc;
	rc = shm_guard_run(&guard, run_passes, &(struct passes_call){ fs, &fix, id, report, context });
	if (guard.hit) {
		trouble_add_page(&fs->pool, guard.offset);
		return daxfs_error_set(err, -EIO,
				       "memory failed at offset %#llx, which is listed now: run the repair again",
				       (unsigned long long)guard.offset);
	}
	if (rc)
		return daxfs_error_set(err, rc, "%s",
				       rc == -ECANCELED ? "another repair has begun: let that one end"
							: "out of memory");
	if (!dry_run)
		set_repair(&fs->pool, 0);
	if (!dry_run && fix.found)
		repair_found(fs, report, context, &result);
	rc = check_pool(&fs->pool, dry_run ? NULL : report, context, &check);
	if (rc)
		return daxfs_error_set(err, rc, "out of memory");
	result.left = check.problems;
	*out = result;
	return 0;
}
