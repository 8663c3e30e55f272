/* SPDX-License-Identifier: Apache-2.0 */
/* store.c - see pod/store.h: what a seed draws, the files, and who has the storage. */
#include "pod/store.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/cache.h"
#include "fs/fs.h"
#include "machine/arena.h"

#define PIECES_MAX 8192u
#define SIZE_MAX_PAGES 12u
#define PAGES_LEAST 40u
#define ASK_LOOKS 60u /* for an answer, */
#define ASK_AGAIN 12u /* ... and so many before it is asked again */
#define NAP_TIMES 100u

bool store_wanted;
struct store store;
static struct backing backings_of[MACHINES_MAX];

/* -- what a seed draws ------------------------------------------------------------------ */

static void draw_weights(void)
{
	static const struct {
		enum op_kind kind;
		unsigned weight;
	} weights[] = {
		{ DO_READ, 8 },    { DO_WRITE, 7 }, { DO_SETATTR, 2 }, { DO_FSYNC, 4 },
		{ DO_GETATTR, 1 }, { DO_MKNOD, 2 }, { DO_UNLINK, 1 },  { DO_LOOKUP, 1 },
		{ DO_HOLD, 1 },    { DO_LOCK, 1 },  { DO_RELEASE, 1 },
	};

	memset(pod.weight, 0, sizeof(pod.weight));
	for (unsigned i = 0; i < sizeof(weights) / sizeof(weights[0]); i++)
		pod.weight[weights[i].kind] = weights[i].weight;
}

void store_draw(void)
{
	static const unsigned rates[] = { 0, 0, 100, 30, 8 }, slow[] = { 0, 40, 8, 3 },
			      patience[] = { 0, 5, 100, 1000 };
	struct rng r = rng_stream(pod.seed, STREAM_STORE, 0);

	pod.stored = true;
	pod.groups = pod.roles = pod.sparse = false;
	pod.machines = 2 + (unsigned)rng_below(&r, 3);
	pod.workers = STORE_FLUSHER + 1;
	pod.lanes = pod.workers + 1;
	pod.names = 3 + (unsigned)rng_below(&r, STORE_NAMES - 2);
	pod.pages = PAGES_LEAST + rng_below(&r, PAGES_LEAST << rng_below(&r, 2));
	pod.size = 3u << 20;
	pod.ops_left = 40 + rng_below(&r, 300);
	draw_weights();
	store.error_rate = rates[rng_below(&r, 5)];
	store.slow_rate = slow[rng_below(&r, 4)];
	store.patience_ms = patience[rng_below(&r, 4)];
	store.cached = rng_chance(&r, 2);
	store.dirty_max = 8192ull << rng_below(&r, 4);
	store.hang_ns = store.away_ns = store.burst_ns = store.errors = 0;
	for (unsigned m = 0; m < MACHINES_MAX; m++)
		store.without[m] = m && rng_chance(&r, 3);
	for (unsigned i = 0; i < STORE_FILES; i++)
		store.size[i] = rng_below(&r, SIZE_MAX_PAGES * DAXFS_PAGE_SIZE);
	store.r = rng_stream(pod.seed, STREAM_STORE, 1);
}

/* -- files ------------------------------------------------------------------------------- */

static void base(unsigned file, uint64_t sector, uint8_t *out)
{
	uint64_t at = sector * DISK_SECTOR, page = at / DAXFS_PAGE_SIZE;

	if (MODEL_STORED_HOLE(page))
		memset(out, 0, DISK_SECTOR);
	else
		model_fill(out, model_stored_tag(file, page), at % DAXFS_PAGE_SIZE, DISK_SECTOR);
}

static long import_files(struct daxfs *fs)
{
	struct daxfs_attr attr = { .mode = S_IFDIR | 0755, .uid = 10, .gid = 20 }, made;
	long rc = daxfs_import(fs, DAXFS_ROOT, model_name[STORE_NAME], &attr, STORE_BACKING, STORE_FILE - 1, &made);

	store.tree = made.ino;
	attr.mode = S_IFREG | 0644;
	for (unsigned i = 0; rc == 0 && i < STORE_FILES; i++) {
		attr.size = store.size[i];
		rc = daxfs_import(fs, store.tree, model_name[i], &attr, STORE_BACKING, STORE_FILE + i, &made);
		store.file[i] = made.ino;
	}
	return rc;
}

/* By a host that is there for nothing else. */
static long call_make(void *arg)
{
	struct daxfs *fs = NULL;
	long rc = fs_attach(memory_base(), pod.size, &fs, arg);

	if (rc == 0)
		rc = daxfs_join(fs, 0, "maker", arg);
	if (rc == 0)
		rc = import_files(fs);
	return rc ? rc : daxfs_leave(fs);
}

void store_make(void)
{
	struct daxfs_error err = { .text = "" };
	char broken[160] = "";
	long rc = 0;

	if (run_all(0, call_make, &err, &rc, broken) != RUN_RETURNED || rc) {
		fprintf(stderr, "daxfs-sim: cannot make files of storage: %ld %s %s\n", rc, err.text, broken);
		arena_die("no files");
	}
	memory_quiesce();
	disk_reset(&store.disk, PIECES_MAX, base, rng_next(&store.r));
	for (unsigned i = 0; i < STORE_FILES; i++)
		store.disk.base_size[i] = store.size[i];
}

static void model_has(const struct op *op, uint64_t handle)
{
	struct commit c = { .handle = handle };
	unsigned ignored;
	const char *err = model_commit(op, &c, false, &ignored);

	if (err)
		pod_violation("the model does not take a file of storage: %s", err);
	model_tell(handle);
}

static void nap(unsigned us)
{
	struct actor *a = actor_current();

	if (a)
		actor_sleep(a, pod.now_ns + us * 1000ull * NAP_TIMES);
}

void store_begin(void)
{
	struct op op = { .kind = DO_MKDIR, .parent = { DAXFS_ROOT }, .name = { STORE_NAME }, .mode = 0755 };

	op.uid = 10;
	op.gid = 20;
	model_has(&op, store.tree);
	for (unsigned i = 0; i < STORE_FILES; i++) {
		op = (struct op){ .kind = DO_MKNOD, .parent = { store.tree }, .name = { i }, .mode = 0644 };
		op.uid = 10;
		op.gid = 20;
		op.set = i + 1;
		op.len = store.size[i];
		model_has(&op, store.file[i]);
	}
	seam_set_nap(nap);
	for (unsigned m = 0; m < MACHINES_MAX; m++)
		backings_of[m].attached = false;
	store_calls_reset();
	store_check_reset();
}

int store_file(uint64_t ino)
{
	for (unsigned i = 0; pod.stored && i < STORE_FILES; i++)
		if (store.file[i] == ino)
			return (int)i;
	return -1;
}

/* -- who has the storage ------------------------------------------------------------------- */

struct backing *store_backing(unsigned machine)
{
	struct backing *b = &backings_of[machine];

	return pod.stored && b->attached ? b : NULL;
}

unsigned store_machine(const struct backing *b)
{
	return (unsigned)(b - backings_of);
}

void store_start(unsigned machine, struct daxfs *fs)
{
	static const struct backing_config config = { .name = "store" };
	struct backing *b = &backings_of[machine];

	memset(b, 0, sizeof(*b));
	b->config = &config;
	b->fs = fs;
	b->number = STORE_BACKING;
	b->root = store.tree;
	b->fd = (int)machine;
	b->out = -1;
	b->writable = true;
	b->dirty_max = store.dirty_max;
	cache_ask_patience(fs, ASK_LOOKS, ASK_AGAIN);
	pthread_mutex_init(&b->lock, NULL);
	pthread_mutex_init(&b->flushing, NULL);
	pthread_cond_init(&b->changed, NULL);
}

/* As the agent does. False: not now. */
static bool attach(struct backing *b)
{
	const struct daxfs_storage storage = {
		.struct_size = sizeof(storage),
		.read = store_read,
		.context = b,
		.patience_ms = store.patience_ms,
		.write = backing_out_write,
		.resize = backing_out_resize,
		.sync = backing_out_sync,
	};

	if (daxfs_file_open(b->fs, b->root))
		return false;
	backing_release_left_turn(b);
	if (daxfs_backing_attach(b->fs, STORE_BACKING, &storage))
		return false;
	b->attached = true;
	return true;
}

static void detach(struct backing *b)
{
	b->attached = false;
	daxfs_backing_detach(b->fs, STORE_BACKING);
	daxfs_file_close(b->fs, b->root);
}

void store_flusher(struct actor *a)
{
	struct machine *m = &pod.machine[a->machine];
	struct backing *b = &backings_of[a->machine];

	if (store.without[a->machine])
		return;
	while (!attach(b) && !b->stop)
		actor_sleep(a, pod.now_ns + HEARTBEAT_NS);
	if (!b->attached)
		return;
	backing_flusher(b);
	if (m->leave)
		detach(b);
}

void store_tick(unsigned machine)
{
	struct backing *b = &backings_of[machine];
	bool done = true;

	for (unsigned i = 0; i < STORE_FLUSHER; i++)
		done &= actor_of(ACTOR_WORKER, machine, i)->done;
	b->stop |= done;
}

void store_process_ended(unsigned machine)
{
	backings_of[machine].attached = false;
	store_calls_forget(machine);
	disk_close(&store.disk, machine, DISK_ALL); /* its kernel goes on */
}

void store_machine_off(unsigned machine)
{
	disk_lose_host(&store.disk, machine);
}

void store_fenced(unsigned machine)
{
	disk_fence(&store.disk, machine);
}

/* -- faults ----------------------------------------------------------------------------------- */

void store_strike(enum fault_kind kind, struct rng *r)
{
	uint64_t until = pod.now_ns + rng_below(r, 40 * HEARTBEAT_NS);

	if (kind == FAULT_STORAGE_HANG)
		store.hang_ns = until;
	if (kind == FAULT_STORAGE_ERRORS)
		store.burst_ns = until;
	if (kind != FAULT_STORAGE_POWER)
		return;
	disk_lose_power(&store.disk);
	store.away_ns = rng_chance(r, 2) ? until : 0;
	store_check("after storage lost its power");
}

void store_faults_stop(void)
{
	store.hang_ns = store.away_ns = store.burst_ns = 0;
	store.error_rate = store.slow_rate = 0;
}
