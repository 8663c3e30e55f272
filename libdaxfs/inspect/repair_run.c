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
#include <inttypes.h>

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

/* On the list, and it can be loaded again, and nobody would take what it holds for bytes of a file? */
static bool is_back(const struct pool *pool, uint64_t entry)
{
	struct failed page = { pool, entry - DAXFS_BAD_LISTED };
	struct shm_guard guard = shm_guard_of(&pool->shm);

	if ((entry & (DAXFS_PAGE_SIZE - 1)) != DAXFS_BAD_LISTED || entry >= pool->shm.size ||
	    holds_bytes(pool, page.offset))
		return false;
	shm_guard_run(&guard, load_page, &page);
	return !guard.hit;
}

struct passes_call {
	struct daxfs *fs;
	struct repair *fix;
	uint64_t id;
	daxfs_report report;
	void *context;
	struct daxfs_check *check; /* the last */
	struct daxfs_error *err;
};

/*
 * What is back comes off the list: whatever it holds now, the check tells sense from nonsense there.
 * A dry run only says so.
 */
static unsigned take_off_list(const struct passes_call *call)
{
	struct pool *pool = &call->fs->pool;
	char text[INSPECT_TEXT];
	unsigned n = 0;

	for (unsigned i = 0; i < DAXFS_BAD_MAX; i++) {
		uint64_t entry = trouble_entry(pool, i), offset = entry - DAXFS_BAD_LISTED;

		if (!is_back(pool, entry) || (!call->fix->dry && trouble_end_page(pool, offset)))
			continue;
		n++;
		call->fix->out->problems++;
		call->fix->out->repairs++;
		inspect_page_text(pool, offset, text, sizeof(text));
		if (call->report)
			inspect_line(call->report, call->context,
				     "%s: offset %#" PRIx64 " (%s): can be loaded again, off the list",
				     call->fix->dry ? "would" : "did", offset, text);
	}
	return n;
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

static int run_passes(const struct passes_call *call)
{
	int rc;

	take_off_list(call);
	do
		rc = passes(call->fs, call->fix, call->id, call->report, call->context);
	while (rc == 0 && !call->fix->dry && take_off_list(call)); /* what a file held until then */
	return rc;
}

static int repair_all(void *arg)
{
	const struct passes_call *call = arg;
	bool dry = call->fix->dry;
	int rc = dry ? 0 : repair_begin(call->fs, call->id, call->err);

	if (rc)
		return rc;
	rc = run_passes(call);
	if (rc)
		return daxfs_error_set(call->err, rc, "%s",
				       rc == -ECANCELED ? "another repair has begun: let that one end"
							: "out of memory");
	if (!dry)
		set_repair(&call->fs->pool, 0);
	if (!dry && call->fix->found)
		repair_found(call->fs, call->report, call->context, call->fix->out);
	rc = check_pool(&call->fs->pool, dry ? NULL : call->report, call->context, call->check);
	return rc ? daxfs_error_set(call->err, rc, "out of memory") : 0;
}

int daxfs_repair(struct daxfs *fs, bool dry_run, daxfs_report report, void *context, struct daxfs_repaired *out,
		 struct daxfs_error *err)
{
	struct daxfs_repaired result = { 0 };
	struct daxfs_check check = { 0 };
	struct repair fix = { .pool = &fs->pool, .dry = dry_run, .out = &result };
	struct passes_call call = { fs, &fix, fs_now() | 1, report, context, &check, err };
	struct shm_guard guard = shm_guard_of(&fs->pool.shm);
	int rc;

	if (fs->joined)
		return daxfs_error_set(err, -EBUSY, "joined as host %u: leave first", fs->host);
	if (!dry_run && !fs->pool.writable)
		return daxfs_error_set(err, -EROFS, "the pool is mapped read-only; open it for writing to repair it");
	rc = fs_look_on(fs, &guard, repair_all, &call); /* what fails is listed, and gone around */
	if (guard.hit)
		return daxfs_error_set(err, -EIO,
				       "memory failed at offset %#llx, without which nothing can be repaired",
				       (unsigned long long)guard.offset);
	if (rc)
		return rc;
	result.left = check.problems;
	*out = result;
	return 0;
}
