/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_data.c - which data workloads there are.
 *
 * S: 16 MiB a worker, which stays in the caches; L: 512 MiB, which does not.
 * Reads come first, while the files are as they were filled, so that each block
 * read is known; then writes; then first writes, which cut the files.
 */
#include <string.h>

#include "data.h"

#define S (16 * MIB)
#define L (512 * MIB)

static const char *block_name(uint64_t block)
{
	return block >= MIB ? "1m" : block >= 64 * KIB ? "64k" : block >= 4 * KIB ? "4k" : "256";
}

static void spec_name(struct data_spec *spec, const struct workload *w, bool wb)
{
	static const char *const op[] = { "read", "write", "first", "append", "zerocopy-read", "draft-write" };

	snprintf(spec->name, sizeof(spec->name), "%s%s-%s-%s-%s-%u%s-%s", wb ? "wb-" : "", op[spec->op],
		 spec->random ? "random" : "sequential", block_name(spec->block), spec->shared ? "shared" : "private",
		 w->workers, w->processes ? "hosts" : "threads", spec->span >= L ? "L" : "S");
}

/* What is being measured on: made when the first workload that is wanted needs it. */
struct fixture {
	struct rig rig;
	bool open, wb;
	unsigned files;
	uint64_t pool, span;
};

static void prepare(struct fixture *scene)
{
	if (scene->open)
		return;
	rig_open(&scene->rig, &(struct rig_options){
				      .pool = scene->pool,
				      .raw = scene->files * scene->span,
				      .wb = scene->wb,
			      });
	data_files(&scene->rig, scene->files, scene->span, scene->span <= S ? scene->files * scene->span : 0);
	scene->open = true;
}

static void one(struct fixture *scene, struct data_spec spec, unsigned workers, bool hosts)
{
	struct workload w = {
		.name = spec.name,
		.workers = workers,
		.processes = hosts,
		.bytes = spec.block,
		.open = data_open,
		.close = data_close,
		.arg = &spec,
	};

	spec.span = scene->span;
	/* A contended lock of tmpfs puts its writers to sleep. */
	w.pairs = workers > cpus() || (workers > 1 && spec.shared && spec.op != DATA_READ);
	w.warm = !w.pairs && spec.span <= S && spec.op != DATA_FIRST && spec.op != DATA_APPEND;
	spec_name(&spec, &w, scene->wb);
	if (!bench_wants(w.name))
		return;
	prepare(scene);
	if (spec.op == DATA_FIRST)
		w.ops_max = (unsigned)(spec.span / spec.block);
	if (spec.op == DATA_APPEND)
		w.ops_max = APPENDS_MAX;
	data_jobs(&spec, &scene->rig, &w);
	measure(&w, &scene->rig);
}

static const uint64_t sizes[] = { 4 * KIB, 64 * KIB, MIB };

static void each_size(struct fixture *scene, struct data_spec spec, unsigned workers, bool hosts)
{
	for (unsigned i = 0; i < 3; i++) {
		spec.block = sizes[i];
		one(scene, spec, workers, hosts);
	}
}

/* Without copying, on one thread and on two. */
static void in_place(struct fixture *scene, enum data_op op, uint64_t block)
{
	const struct data_spec spec = { .op = op, .random = true, .block = block };

	one(scene, spec, 1, false);
	one(scene, spec, 2, false);
}

static void small(struct fixture *scene)
{
	const struct data_spec read = { .op = DATA_READ, .random = true };
	const struct data_spec write = { .op = DATA_WRITE, .random = true };
	const struct data_spec read_on = { .op = DATA_READ }, write_on = { .op = DATA_WRITE };
	const struct data_spec read_4k = { .op = DATA_READ, .random = true, .block = 4 * KIB };
	const struct data_spec write_4k = { .op = DATA_WRITE, .random = true, .block = 4 * KIB };
	struct data_spec shared = { .op = DATA_READ, .random = true, .shared = true, .block = 4 * KIB };

	each_size(scene, read, 1, false);
	each_size(scene, read, 2, false);
	each_size(scene, read_on, 1, false);
	one(scene, read_4k, 4, false);
	one(scene, read_4k, 2, true);
	one(scene, read_4k, 4, true);
	one(scene, shared, 2, false);
	in_place(scene, DATA_VIEW, 4 * KIB);
	each_size(scene, write, 1, false);
	each_size(scene, write, 2, false);
	each_size(scene, write_on, 1, false);
	one(scene, write_4k, 4, false);
	one(scene, write_4k, 2, true);
	one(scene, write_4k, 4, true);
	shared.op = DATA_WRITE;
	one(scene, shared, 2, false);
	one(scene, shared, 4, false);
	one(scene, shared, 2, true);
	one(scene, shared, 4, true);
	shared.block = 64 * KIB;
	one(scene, shared, 2, false);
	shared.block = MIB;
	one(scene, shared, 2, false);
	in_place(scene, DATA_DRAFT, 4 * KIB);
	in_place(scene, DATA_DRAFT, 64 * KIB);
	each_size(scene, (struct data_spec){ .op = DATA_FIRST }, 1, false);
	shared = (struct data_spec){ .op = DATA_APPEND, .shared = true, .block = 256 };
	one(scene, shared, 1, false);
	one(scene, shared, 2, true);
	one(scene, shared, 4, true);
}

static void large(struct fixture *scene)
{
	for (unsigned workers = 1; workers <= 2; workers++)
		each_size(scene, (struct data_spec){ .op = DATA_READ, .random = true }, workers, false);
	in_place(scene, DATA_VIEW, 4 * KIB);
	for (unsigned workers = 1; workers <= 2; workers++)
		each_size(scene, (struct data_spec){ .op = DATA_WRITE, .random = true }, workers, false);
}

/* Explicit write-back before everything that is published. */
static void written_back(struct fixture *scene)
{
	one(scene, (struct data_spec){ .op = DATA_WRITE, .random = true, .block = 4 * KIB }, 1, false);
}

void bench_data(void)
{
	struct fixture s = { .files = 4, .pool = 768 * MIB, .span = S };
	struct fixture l = { .files = 2, .pool = 1792 * MIB, .span = L };
	struct fixture wb_s = { .files = 1, .pool = 256 * MIB, .span = S, .wb = true };
	struct fixture wb_l = { .files = 1, .pool = 1024 * MIB, .span = L, .wb = true };
	struct fixture *const scenes[] = { &s, &l, &wb_s, &wb_l };

	for (unsigned i = 0; i < 4; i++) {
		if (scenes[i]->wb)
			written_back(scenes[i]);
		else if (scenes[i]->span == S)
			small(scenes[i]);
		else
			large(scenes[i]);
		if (scenes[i]->open)
			rig_close(&scenes[i]->rig);
	}
}
