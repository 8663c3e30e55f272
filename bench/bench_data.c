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

static void spec_name(struct data_spec *spec, const struct workload *w)
{
	static const char *const op[] = { "read", "write", "first", "append" };

	snprintf(spec->name, sizeof(spec->name), "%s-%s-%s-%s-%u%s-%s", op[spec->op],
		 spec->random ? "random" : "sequential", block_name(spec->block), spec->shared ? "shared" : "private",
		 w->workers, w->processes ? "hosts" : "threads", spec->span >= L ? "L" : "S");
}

/* What is being measured on: made when the first workload that is wanted needs it. */
struct scene {
	struct rig rig;
	bool open;
	unsigned files;
	uint64_t pool, span;
};

static void prepare(struct scene *scene)
{
	if (scene->open)
		return;
	rig_open(&scene->rig, scene->pool, scene->files * scene->span, false);
	data_files(&scene->rig, scene->files, scene->span, scene->span <= S ? scene->files * scene->span : 0);
	scene->open = true;
}

static void one(struct scene *scene, struct data_spec spec, unsigned workers, bool hosts)
{
	struct workload w = {
		.name = spec.name, .workers = workers, .processes = hosts, .bytes = spec.block,
		.open = data_open, .close = data_close, .arg = &spec,
	};

	spec.span = scene->span;
	/* A contended lock of tmpfs puts its writers to sleep. */
	w.pairs = workers > cpus() || (spec.shared && spec.op != DATA_READ);
	w.warm = !w.pairs && spec.span <= S && spec.op != DATA_FIRST;
	spec_name(&spec, &w);
	if (!bench_wants(w.name))
		return;
	prepare(scene);
	if (spec.op == DATA_FIRST)
		w.ops_max = (unsigned)(spec.span / spec.block);
	data_jobs(&spec, &scene->rig, &w);
	measure(&w, &scene->rig);
}

static const uint64_t sizes[] = { 4 * KIB, 64 * KIB, MIB };

static void private_files(struct scene *scene, enum data_op op, bool random, unsigned workers)
{
	for (unsigned i = 0; i < 3; i++)
		one(scene, (struct data_spec){ .op = op, .block = sizes[i], .random = random }, workers, false);
}

static void small(struct scene *scene)
{
	const struct data_spec shared = { .op = DATA_WRITE, .block = 4 * KIB, .random = true, .shared = true };

	for (unsigned workers = 1; workers <= 2; workers++)
		private_files(scene, DATA_READ, true, workers);
	private_files(scene, DATA_READ, false, 1);
	for (unsigned workers = 1; workers <= 2; workers++)
		private_files(scene, DATA_WRITE, true, workers);
	private_files(scene, DATA_WRITE, false, 1);
	one(scene, shared, 2, false);
	one(scene, shared, 4, false);
	private_files(scene, DATA_FIRST, false, 1);
}

static void large(struct scene *scene)
{
	for (unsigned workers = 1; workers <= 2; workers++)
		private_files(scene, DATA_READ, true, workers);
	for (unsigned workers = 1; workers <= 2; workers++)
		private_files(scene, DATA_WRITE, true, workers);
}

void bench_data(void)
{
	struct scene s = { .files = 4, .pool = 768 * MIB, .span = S };
	struct scene l = { .files = 2, .pool = 1792 * MIB, .span = L };

	small(&s);
	if (s.open)
		rig_close(&s.rig);
	large(&l);
	if (l.open)
		rig_close(&l.rig);
}
