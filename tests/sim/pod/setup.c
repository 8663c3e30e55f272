/* SPDX-License-Identifier: Apache-2.0 */
/*
 * setup.c - what a seed draws, and the new pool.
 *
 * Each seed has its own sizes, habits and mix of operations, so that some do
 * often what others never do (swarm testing, Groce et al., ISSTA 2012).
 */
#include "machine/arena.h"
#include "pod/store.h"

#define POOL_MIN (600u << 10)
#define POOL_MAX (3u << 20)
#define PAGES_MIN 24u
#define GROUPS_MIN 96u /* pages of a pool with extents in it, some of which are to be in the way of others */
#define STEPS_A_BEAT_MAX 600u

/* -- drawing ------------------------------------------------------------------------- */

static void draw_weights(struct rng *r)
{
	static const unsigned choices[] = { 0, 1, 3, 8 };

	for (unsigned i = 0; i < DO_KINDS; i++)
		pod.weight[i] = choices[rng_below(r, 4)];
	pod.weight[DO_MKNOD] += 3;
	pod.weight[DO_MKDIR] += 1;
	pod.weight[DO_WRITE] += 2;
	pod.weight[DO_VIEW] += 1;
	pod.weight[DO_LOOKUP] += 1;
}

/*
 * Few pages that serve again at once, under few names that all want: those of
 * directories that come and go, or of files that are overwritten and looked at.
 */
static void draw_churn(struct rng *r)
{
	static const enum op_kind dirs[] = { DO_MKNOD, DO_MKDIR, DO_UNLINK, DO_RMDIR };
	static const enum op_kind files[] = { DO_WRITE, DO_SETATTR, DO_VIEW, DO_READ };
	const enum op_kind *kinds = rng_chance(r, 2) ? dirs : files;

	for (unsigned i = 0; i < DO_KINDS; i++)
		pod.weight[i] = rng_chance(r, 6);
	for (unsigned i = 0; i < 4; i++)
		pod.weight[kinds[i]] = 4 + (unsigned)rng_below(r, 6);
	pod.weight[DO_MKNOD] += 1;
	pod.names = 2 + (unsigned)rng_below(r, 3);
	pod.pages = PAGES_MIN + rng_below(r, PAGES_MIN);
	pod.hot = true;
	pod.roles = kinds == files && !rng_chance(r, 4);
	if (!pod.roles)
		return;
	/* Nobody but the dead host is to keep pages from serving again; and that for long. */
	pod.naps = 0;
	pod.focus = 0;
	pod.fence_ns = 38 * HEARTBEAT_NS;
	pod.step_ns = HEARTBEAT_NS / (STEPS_A_BEAT_MAX * (pod.machines + 2) / 4);
}

/* Few files, in pieces of 64 KiB, in a pool that is full of them or nearly so. */
static void draw_groups(void)
{
	struct rng r = rng_stream(pod.seed, STREAM_GROUPS, 0);

	pod.groups = !pod.roles && rng_chance(&r, 4);
	if (!pod.groups)
		return;
	pod.pages = GROUPS_MIN + rng_below(&r, GROUPS_MIN << rng_below(&r, 2));
	pod.size = POOL_MIN + (pod.pages + GROUPS_MIN) * DAXFS_PAGE_SIZE;
	pod.hot = !rng_chance(&r, 4);
	pod.sparse = false;
	for (unsigned i = 0; i < DO_KINDS; i++)
		pod.weight[i] = pod.weight[i] && rng_chance(&r, 2);
	pod.weight[DO_MKNOD] = 1;
	pod.weight[DO_WRITE] = 8;
	pod.weight[DO_READ] = pod.weight[DO_VIEW] = 1;
	pod.weight[DO_SETATTR] = (unsigned)rng_below(&r, 4);
	pod.weight[DO_DRAFT] = (unsigned)rng_below(&r, 3);
	pod.ops_left = pod.ops_left / 2 + 1;
}

void pod_draw(void)
{
	static const unsigned means[] = { 2, 5, 15, 50, 200, 1000 }, lazy[] = { 2, 4, 16, 64 },
			      naps[] = { 0, 3, 10, 40 };
	static const unsigned steps_a_beat[] = { 40, 100, 250, STEPS_A_BEAT_MAX };
	static const unsigned overtakings[] = { 1, 4, 16, UINT32_MAX }, rates[] = { 2, 8, 40, 200 };
	struct rng r = rng_stream(pod.seed, STREAM_SETUP, 0);

	pod.wb = rng_chance(&r, 2);
	pod.machines = 2 + (unsigned)rng_below(&r, rng_chance(&r, 3) ? MACHINES_MAX - 1 : 3);
	pod.workers = rng_chance(&r, 8) ? 3 : 1 + (unsigned)rng_below(&r, 2);
	pod.lanes = pod.workers + 1;
	pod.spare = 1 + (unsigned)rng_below(&r, SPARE_MAX);
	pod.size = rng_chance(&r, 3) ? POOL_MIN : POOL_MIN + rng_below(&r, POOL_MAX - POOL_MIN) / 4096 * 4096;
	pod.pages = rng_chance(&r, 2) ? PAGES_MIN + rng_below(&r, PAGES_MIN << rng_below(&r, 3)) : 0;
	pod.bias = (enum bias)rng_below(&r, BIASES);
	pod.turn_mean = means[rng_below(&r, 6)];
	pod.naps = naps[rng_below(&r, 4)];
	pod.lazy_timers = lazy[rng_below(&r, 4)];
	pod.overtakings = overtakings[rng_below(&r, 4)];
	pod.focus = rng_chance(&r, 3) ? 0 : rng_next(&r) | 1;
	pod.focus_rate = rates[rng_below(&r, 4)];
	pod.step_ns = HEARTBEAT_NS / (steps_a_beat[rng_below(&r, 4)] * (pod.machines + 2) / 4);
	pod.fence_ns = HEARTBEAT_NS * (rng_chance(&r, 3) ? 2 : rng_chance(&r, 2) ? 12 : 38);
	pod.recover_ns = HEARTBEAT_NS * (rng_chance(&r, 3) ? 25 : 1);
	pod.identified = pod.seed % 4 != 3;
	pod.at_home = pod.seed % 4 == 1;
	pod.think_ns = rng_chance(&r, 2) ? 1 : HEARTBEAT_NS >> rng_below(&r, 6);
	pod.ops_left = 50 + rng_below(&r, rng_chance(&r, 4) ? 2000 : 600);
	pod.hot = rng_chance(&r, 2);
	pod.sparse = rng_chance(&r, 3);
	if (pod.limits.ops && pod.limits.ops < pod.ops_left)
		pod.ops_left = pod.limits.ops;
	pod.names = rng_chance(&r, 3) ? 3 : MODEL_NAMES;
	draw_weights(&r);
	if (rng_chance(&r, 4))
		draw_churn(&r);
	draw_groups();
	if (store_wanted)
		store_draw();
	pod.turns = rng_stream(pod.seed, STREAM_TURNS, 0);
	pod.life = rng_stream(pod.seed, STREAM_LIFE, 0);
	pod.fences = rng_stream(pod.seed, STREAM_FENCES, 0);
	faults_plan();
}

/* -- making the pool ------------------------------------------------------------------- */

static uint64_t clock_ns(void)
{
	return 1700000000000000000ull + pod.now_ns;
}

static int pid(void)
{
	const struct actor *a = pod.current;

	if (!a)
		return 1;
	return a->kind == ACTOR_MANAGER ? (int)(10000 + managers_started() * MANAGERS + a->machine)
					: (int)(100 * (a->machine + 1) + pod.machine[a->machine].lives);
}

static long call_format(void *arg)
{
	const struct daxfs_mkfs_options options = {
		.name = "pod",
		.inodes = 24 + pod.machines * 6,
		.hosts = pod.machines + pod.spare,
		.lanes = pod.lanes,
		.opens = 16,
		.wb = pod.wb,
	};
	int rc = pool_format(memory_base(), pod.size, &options, arg);

	return rc ? rc : pool_attach(memory_base(), pod.size, &pod.pool, arg);
}

static void format(void)
{
	struct daxfs_error err = { .text = "" };
	char broken[160] = "";
	long rc = 0;

	memory_reset(pod.wb);
	arena_reset();
	if (run_all(OBSERVER_CACHE, call_format, &err, &rc, broken) != RUN_RETURNED || rc) {
		fprintf(stderr, "daxfs-sim: cannot format the pool: %s %s\n", err.text, broken);
		arena_die("no pool");
	}
	memory_quiesce();
}

void pod_make(void)
{
	if (!memory_size() && !memory_open(POOL_MAX))
		arena_die("no memory for the pool");
	arena_surround(clock_ns, pid, actor_yield);
	format();
	if (pod.pages && pod.pool.objects[DAXFS_T_PAGE] > pod.pages) {
		pod.size -= (pod.pool.objects[DAXFS_T_PAGE] - pod.pages) * DAXFS_PAGE_SIZE;
		format();
	}
	if (pod.stored)
		store_make();
}
