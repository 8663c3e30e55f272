/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.c - the check of a pool: the public call, its passes, and the last of them: states against what was reached.
 *
 * Memory: one allocation of a few bytes an object. Concurrency: reads only; beside running hosts it may see
 * a change half done and report it, so findings on a pool in use are to be confirmed by a second run.
 */
#include "inspect/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "fs/fs.h"
#include "inspect/check_walk.h"
#include "inspect/repair.h"
#include "mem/process.h"
#include "space/space.h"

/* -- states against what was reached ------------------------------------------ */

/*
 * A host that took a reusable object and lost its caches can leave, in a wb
 * pool, the new birth beside the old retirement: as reusable as it was before.
 */
static bool epochs_in_order(const struct check *c, uint64_t birth, uint64_t retired)
{
	return retired <= c->epoch && (birth <= retired || c->pool->shm.wb);
}

/*
 * Likewise (wb) an allocation lost with a cache may keep its previous, earlier birth
 * epoch; that only delays its reuse.
 */
static bool birth_sane(const struct check *c, uint64_t s, uint64_t birth)
{
	return birth <= c->epoch && (birth || (c->pool->shm.wb && state_of(s) == DAXFS_RETIRED));
}

static void check_epochs(struct check *c, enum daxfs_type type, uint64_t index, uint64_t s)
{
	uint64_t birth, retired = s & DAXFS_EPOCH_MASK;
	const struct place *at = PLACE(check_type_name[type], index);

	if (pool_lost(c->pool, &c->pool->birth[type][index], sizeof(sm_u64)))
		return;
	birth = sm_load_relaxed(&c->pool->birth[type][index]);
	if (!birth_sane(c, s, birth)) {
		check_problem(c, "bad-epoch", at, "born in epoch %" PRIu64 ", now is %" PRIu64, birth, c->epoch);
		if (repair_do(c, at, "born now"))
			repair_plain(c, &c->pool->birth[type][index], c->epoch);
	} else if (state_of(s) == DAXFS_RETIRED && !epochs_in_order(c, birth, retired)) {
		check_problem(c, "bad-epoch", at, "born in epoch %" PRIu64 ", retired in %" PRIu64 ", now is %" PRIu64,
			      birth, retired, c->epoch);
		if (repair_do(c, at, "retired now"))
			repair_plain(c, &c->pool->state[type][index], (s & ~DAXFS_EPOCH_MASK) | c->epoch);
	}
}

/* Of an extent, or of one that is no more: either way its head says what it is. */
static bool is_tail(enum daxfs_type type, uint64_t index, uint64_t s)
{
	return type == DAXFS_T_PAGE && use_of(s) == DAXFS_USE_TAIL && index % DAXFS_EXTENT_PAGES;
}

static void check_unreached(struct check *c, enum daxfs_type type, uint64_t index, uint64_t s)
{
	const struct place *at = PLACE(check_type_name[type], index);

	if (state_of(s) == DAXFS_LIVE && use_of(s) == DAXFS_USE_BAD &&
	    (!c->fix || space_lost_object(c->pool, type, index)))
		return; /* in quarantine */
	if (c->blind && state_of(s) != DAXFS_FREE && state_of(s) != DAXFS_RETIRED) {
		c->below++; /* of something that cannot be read, for all that can be said */
		return;
	}
	if (state_of(s) == DAXFS_LIVE && !is_tail(type, index, s) && !check_is(c, type, index, CHECK_RETIRING)) {
		check_problem(c, "leak", at, "state LIVE but not reachable");
		repair_free(c, type, index, at);
	}
	if (state_of(s) == DAXFS_PRIVATE && !check_in_flight(c, txid_of(s), CHECK_ANY)) {
		check_problem(c, "private-leak", at, "PRIVATE to operation %" PRIu64 " of lane %u, which is over",
			      txid_seq(txid_of(s)), txid_lane(txid_of(s)));
		repair_free(c, type, index, at);
	}
}

static void check_object(struct check *c, enum daxfs_type type, uint64_t index)
{
	uint64_t s;

	if (pool_lost(c->pool, &c->pool->state[type][index], sizeof(sm_u64)))
		return;
	s = sm_load(&c->pool->state[type][index]);
	if (state_of(s) > DAXFS_RETIRED || (state_of(s) == DAXFS_FREE && s != 0)) {
		check_problem(c, "bad-state", PLACE(check_type_name[type], index),
			      "state word %#" PRIx64 " makes no sense", s);
		if (!check_is(c, type, index, CHECK_REACHED))
			repair_free(c, type, index, PLACE(check_type_name[type], index));
		return;
	}
	if ((state_of(s) == DAXFS_LIVE && !is_tail(type, index, s) && use_of(s) != DAXFS_USE_BAD) ||
	    state_of(s) == DAXFS_RETIRED)
		check_epochs(c, type, index, s);
	if (!check_is(c, type, index, CHECK_REACHED))
		check_unreached(c, type, index, s);
}

static void check_states(struct check *c)
{
	for (unsigned type = 0; type < DAXFS_TYPES; type++)
		for (uint64_t i = 0; i < c->pool->objects[type]; i++)
			check_object(c, (enum daxfs_type)type, i);
}

/* free + live + private + retired + quarantined == total, and every LIVE page was reached or is being retired. */
static void check_accounts(struct check *c)
{
	struct daxfs_usage *usage[DAXFS_TYPES] = { &c->out->usage.pages, &c->out->usage.inodes,
						   &c->out->usage.dirents };
	uint64_t nodes;

	for (unsigned type = 0; type < DAXFS_TYPES; type++) {
		struct daxfs_usage *u = usage[type];

		space_usage(c->pool, (enum daxfs_type)type, u, &nodes);
		if (type == DAXFS_T_PAGE)
			c->out->usage.nodes = nodes;
		if (u->free + u->live + u->private_ + u->retired + u->quarantined != u->total)
			check_problem(c, "bad-total", PLACE("type", type),
				      "%" PRIu64 " free + %" PRIu64 " live + %" PRIu64 " private + %" PRIu64
				      " retired + %" PRIu64 " in quarantine are not %" PRIu64 " %ss",
				      u->free, u->live, u->private_, u->retired, u->quarantined, u->total,
				      check_type_name[type]);
	}
}

/* -- all of it ---------------------------------------------------------------- */

int check_setup(struct check *c)
{
	const struct pool *pool = c->pool;
	uint64_t inodes = pool->objects[DAXFS_T_INODE];
	uint8_t *p;

	c->memory = p = calloc(1, inodes * 16 + pool->objects[DAXFS_T_PAGE] + inodes + pool->objects[DAXFS_T_DIRENT]);
	if (!p)
		return -ENOMEM;
	c->listed = (uint64_t *)(void *)p;
	c->names = (uint32_t *)(void *)(p + inodes * 8);
	c->queue = c->names + inodes;
	c->notes[DAXFS_T_PAGE] = p + inodes * 16;
	c->notes[DAXFS_T_INODE] = c->notes[DAXFS_T_PAGE] + pool->objects[DAXFS_T_PAGE];
	c->notes[DAXFS_T_DIRENT] = c->notes[DAXFS_T_INODE] + inodes;
	if (pool_lost(pool, &pool->member->manager, sizeof(struct sm_manager)))
		return -EIO; /* nothing can be judged */
	c->epoch = sm_load(&pool->member->manager.epoch);
	return 0;
}

int check_pass(const struct pool *pool, struct repair *fix, daxfs_report report, void *context, struct daxfs_check *out)
{
	struct daxfs_check result = { 0 };
	struct check c = { .pool = pool, .fix = fix, .report = report, .context = context, .out = &result };
	int rc = check_setup(&c);

	if (rc) {
		free(c.memory);
		return rc;
	}
	check_headers(&c);
	check_members(&c);
	check_lanes(&c);
	check_opens(&c);
	check_repairs(&c);
	check_marks(&c);
	check_tree(&c);
	check_orphans(&c);
	if (fix)
		check_found(&c);
	check_inodes(&c);
	check_states(&c);
	check_accounts(&c);
	check_counters(&c);
	check_summary(&c);
	check_trouble(&c);
	if (fix)
		repair_lanes(&c);
	free(c.memory);
	*out = result;
	return 0;
}

int check_pool(const struct pool *pool, daxfs_report report, void *context, struct daxfs_check *out)
{
	return check_pass(pool, NULL, report, context, out);
}

/* -- the public call ---------------------------------------------------------- */

struct check_call {
	struct daxfs *fs;
	daxfs_report report;
	void *context;
	struct daxfs_check *out;
	unsigned begun;
};

/* One load of each 4 KiB: what cannot be read is known before anything is said. */
static int touch_all(void *arg)
{
	const struct check_call *call = arg;
	const struct pool *pool = fs_pool(call->fs);

	for (uint64_t at = 0; at < pool->super.size; at += DAXFS_PAGE_SIZE)
		if (!pool_lost(pool, pool_at(pool, at), sizeof(sm_u64)))
			sm_load_relaxed(pool_at(pool, at));
	return 0;
}

static int check_all(void *arg)
{
	struct check_call *call = arg;

	if (call->begun++)
		inspect_line(call->report, call->context, "memory failed meanwhile: all is checked again");
	return check_pool(fs_pool(call->fs), call->report, call->context, call->out);
}

int daxfs_check(struct daxfs *fs, daxfs_report report, void *context, struct daxfs_check *out)
{
	struct check_call call = { fs, report, context, out, 0 };
	int was, rc;

	if (!*fs->here)
		return -ECHILD;
	was = process_cancel_off();
	trouble_sync(fs_pool_writable(fs));
	rc = fs_look(fs, touch_all, &call);
	if (rc == 0)
		rc = fs_look(fs, check_all, &call);
	process_cancel_restore(was);
	return rc;
}
