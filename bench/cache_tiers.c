/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache_tiers.c - local memory in front of the pool, and a pool in front of storage: two experiments of others.
 *
 * The first is of "Storage cluster for persistency, CXL pools for caching" (HCDS'25): two hosts of twelve threads read
 * 72 GB in twelve files, the hottest of which are in each host's local memory, 32 GB, and the others in CXL. Here a
 * page stands for 2 MB. A share that somebody has fixed, beside the library's copies of what it finds hot, of the same
 * memory (daxfs/local.h).
 *
 * The second asks what DPC (arXiv 2604.19494) asks: one cache of all hosts' memory, beside a cache a host, in front of
 * storage. These loads are our own; those of the paper, as far as they are public, are in cache_dpc.c.
 *
 * Time is counted, not taken: cache_model.h.
 */
#include <math.h>

#include "cache_model.h"
#include "cache_pod.h"

#define FILES 12u
#define FILE_PAGES 3072u
#define SET_PAGES (FILES * FILE_PAGES)
#define LOCAL_PAGES (SET_PAGES * 4 / 9) /* 32 of 72 GB */
#define WARM_READS 1000000u
#define READS 400000u

struct figures {
	uint64_t local, promoted;
};

static struct figures figures_of(struct daxfs *fs)
{
	struct daxfs_cache_stats stats;

	daxfs_cache_stats(fs, &stats);
	return (struct figures){ stats.local, stats.promoted };
}

static void keep_local(struct daxfs *fs, uint64_t pages)
{
	const struct daxfs_local_options options = { sizeof(options), pages * PAGE };

	cache_must(daxfs_local_open(fs, &options), "local");
}

/* A read by the library; what it was, on the thread's clock. Pages begin at 1 (cache.c). */
static void read_page(struct model *m, unsigned thread, struct pod *pod, uint32_t page)
{
	struct daxfs *fs = pod->fs[thread % m->hosts];
	uint64_t stored = atomic_load(&pod->disk.pages), is;
	struct figures before = figures_of(fs), after;
	uint8_t buf[PAGE];

	cache_must(daxfs_read(fs, pod->file[0], buf, PAGE, (page + 1ull) * PAGE), "read");
	memcpy(&is, buf, sizeof(is));
	if (is >> 8 != page + 1)
		bench_fail("cache: page %u is another one", page);
	after = figures_of(fs);
	stored = atomic_load(&pod->disk.pages) - stored;
	model_look(m, thread, page);
	if (stored) /* it has them in its own memory, then */
		model_storage(m, thread, stored);
	if (stored || after.local > before.local)
		model_local(m, thread);
	else
		model_cxl(m, thread);
	if (after.promoted > before.promoted)
		m->at[thread] += COST_COPY;
}

/* -- shares of local memory ---------------------------------------------------------------- */

struct files {
	double upto[FILES];
	uint64_t rng;
};

static struct files files_by(double a)
{
	struct files f = { .rng = 4242 };
	double sum = 0;

	for (unsigned i = 0; i < FILES; i++)
		f.upto[i] = sum += 1 / pow(i + 1, a);
	return f;
}

static uint32_t draw_page(struct files *f)
{
	double at = (double)random_below(&f->rng, 1u << 30) / (1u << 30) * f->upto[FILES - 1];
	uint32_t file = 0;

	while (file < FILES - 1 && f->upto[file] <= at)
		file++;
	return file * FILE_PAGES + (uint32_t)random_below(&f->rng, FILE_PAGES);
}

static struct model hosts_and_threads(void)
{
	return (struct model){ .threads = 24, .hosts = 2 };
}

static double rate(const struct model *m, double began, unsigned reads)
{
	return reads * (double)PAGE / (model_now(m) - began);
}

/* GB/s with the hottest so many files in local memory, as far as they fit. */
static double fixed_share(unsigned files, double a, unsigned warm, unsigned reads)
{
	struct model m = hosts_and_threads();
	struct clock_cache cache[2];
	struct files f = files_by(a);
	double began = 0;

	for (unsigned i = 0; i < 2; i++)
		clock_open(&cache[i], LOCAL_PAGES, SET_PAGES);
	for (unsigned i = 0; i < warm + reads; i++) {
		unsigned thread = model_next(&m);
		uint32_t page = draw_page(&f);

		if (i == warm)
			began = model_now(&m);
		if (page >= files * FILE_PAGES)
			model_cxl(&m, thread);
		else if (!clock_read(&cache[thread % 2], page))
			m.at[thread] += COST_GUEST + COST_READ;
		else
			model_local(&m, thread);
	}
	for (unsigned i = 0; i < 2; i++)
		clock_close(&cache[i]);
	return rate(&m, began, reads);
}

/* The same of what the library does by itself. *hits: how much of it was read from copies. */
static double automatic(const struct rig *rig, double a, unsigned warm, unsigned reads, double *hits)
{
	const struct daxfs_mkfs_options options = { .cache_max = 0 };
	struct model m = hosts_and_threads();
	struct files f = files_by(a);
	uint64_t local = 0;
	double began = 0;
	uint8_t buf[PAGE];
	struct pod pod;

	cache_pod_open(rig, &pod, SET_PAGES * 5 / 4, &options);
	cache_file_add(&pod, 0, SET_PAGES + 1, 2);
	for (uint64_t p = 0; p <= SET_PAGES; p++)
		cache_must(daxfs_read(pod.fs[2], pod.file[0], buf, PAGE, p * PAGE), "read");
	for (unsigned i = 0; i < 2; i++)
		keep_local(pod.fs[i], LOCAL_PAGES);
	for (unsigned i = 0; i < warm + reads; i++) {
		if (i == warm) {
			began = model_now(&m);
			local = figures_of(pod.fs[0]).local + figures_of(pod.fs[1]).local;
		}
		read_page(&m, model_next(&m), &pod, draw_page(&f));
	}
	*hits = (double)(figures_of(pod.fs[0]).local + figures_of(pod.fs[1]).local - local) / reads;
	cache_file_close(&pod, 0, 2);
	cache_pod_close(&pod);
	return rate(&m, began, reads);
}

static void out_named(const char *name, const char *what, double value, const char *unit)
{
	char text[96];

	snprintf(text, sizeof(text), "%s-%s", name, what);
	out_figure(text, value, unit, NULL);
}

static void measure_shares(const struct rig *rig, const char *name, double a)
{
	unsigned by = bench_args()->quick ? 50 : 1;
	double best = 0, ours, hits;

	if (!bench_wants(name))
		return;
	for (unsigned files = 0; files <= FILES; files++) {
		double gb_s = fixed_share(files, a, WARM_READS / by, READS / by);
		char what[16];

		snprintf(what, sizeof(what), "%02u-of-12", files);
		out_named(name, what, gb_s, "GB/s with so many files in local memory; time is counted");
		best = gb_s > best ? gb_s : best;
	}
	ours = automatic(rig, a, WARM_READS / by, READS / by, &hits);
	out_named(name, "automatic", ours, "GB/s with copies of what is hot");
	out_named(name, "automatic-hits", hits, "of the reads");
	out_named(name, "automatic-share", ours / best, "of the best that somebody can fix");
}

/* -- a cache of the pod, or one a host ---------------------------------------------------------- */

#define HOST_PAGES 4096u /* of memory a host has for it; of the pod's a fourth is the hosts' own */
#define POD_PAGES (HOST_PAGES * 3 * 3 / 4)
#define OWN_PAGES (HOST_PAGES / 4)
#define POD_THREADS 12u

enum order { BY_LOT, IN_ORDER };

static const struct load {
	const char *name;
	enum order order;
	double a; /* exponent; 0: all alike */
	uint32_t pages;
} loads[] = {
	{ "fits", BY_LOT, 0, 3072 },       { "uniform", BY_LOT, 0, 8192 },    { "uniform-over", BY_LOT, 0, 16384 },
	{ "zipf0.8", BY_LOT, 0.8, 16384 }, { "zipf1.0", BY_LOT, 1.0, 16384 }, { "zipf1.2", BY_LOT, 1.2, 16384 },
	{ "in-order", IN_ORDER, 0, 8192 },
};

struct draws {
	const struct load *load;
	double *upto;
	uint64_t rng;
	uint32_t next[3]; /* in order, of each host */
};

static struct draws draws_by(const struct load *load)
{
	struct draws d = { .load = load, .upto = malloc(load->pages * sizeof(double)), .rng = 99 };
	double sum = 0;

	if (!d.upto)
		bench_fail("cache: no memory");
	for (uint32_t i = 0; i < load->pages; i++)
		d.upto[i] = sum += 1 / pow(i + 1, load->a);
	return d;
}

static uint32_t draw(struct draws *d, unsigned thread)
{
	uint32_t low = 0, high = d->load->pages - 1, page = d->next[thread % 3];
	double at;

	if (d->load->order == IN_ORDER) {
		d->next[thread % 3] = (page + 1) % d->load->pages;
		return page;
	}
	at = (double)random_below(&d->rng, 1u << 30) / (1u << 30) * d->upto[high];
	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (d->upto[middle] <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return (uint32_t)(low * 2654435761ull % d->load->pages); /* popular ones are not neighbours */
}

/* ns for a read with a cache a host; a reader in order is ahead by 64 pages, as ours. */
static double cache_a_host(const struct load *load, unsigned warm, unsigned reads)
{
	struct model m = { .threads = POD_THREADS, .hosts = 3 };
	struct draws d = draws_by(load);
	struct clock_cache cache[3];
	double began = 0;

	for (unsigned i = 0; i < 3; i++)
		clock_open(&cache[i], HOST_PAGES, load->pages);
	for (unsigned i = 0; i < warm + reads; i++) {
		unsigned thread = model_next(&m), ahead = load->order == IN_ORDER ? 64 : 1;
		uint32_t page = draw(&d, thread);

		if (i == warm)
			began = model_now(&m);
		if (!clock_read(&cache[thread % 3], page)) {
			for (unsigned k = 1; k < ahead; k++)
				clock_read(&cache[thread % 3], (page + k) % load->pages);
			model_storage(&m, thread, ahead);
		}
		model_local(&m, thread);
	}
	for (unsigned i = 0; i < 3; i++)
		clock_close(&cache[i]);
	free(d.upto);
	return (model_now(&m) - began) * POD_THREADS / reads;
}

static double cache_of_pod(const struct rig *rig, const struct load *load, unsigned warm, unsigned reads)
{
	const struct daxfs_mkfs_options options = { .cache_max = (uint64_t)POD_PAGES * PAGE };
	struct model m = { .threads = POD_THREADS, .hosts = 3 };
	struct draws d = draws_by(load);
	double began = 0;
	struct pod pod;

	cache_pod_open(rig, &pod, POD_PAGES + load->pages / 128, &options);
	cache_file_add(&pod, 0, load->pages + 1, 3);
	for (unsigned i = 0; i < 3; i++)
		keep_local(pod.fs[i], OWN_PAGES);
	for (unsigned i = 0; i < warm + reads; i++) {
		unsigned thread = model_next(&m);

		if (i == warm)
			began = model_now(&m);
		read_page(&m, thread, &pod, draw(&d, thread));
	}
	cache_file_close(&pod, 0, 3);
	cache_pod_close(&pod);
	free(d.upto);
	return (model_now(&m) - began) * POD_THREADS / reads;
}

static void measure_pod(const struct rig *rig)
{
	unsigned n = sizeof(loads) / sizeof(loads[0]), by = bench_args()->quick ? 20 : 1;
	double product = 1;

	if (!bench_wants("cache-pod"))
		return;
	for (unsigned i = 0; i < n; i++) {
		double alone = cache_a_host(&loads[i], 200000 / by, 200000 / by);
		double together = cache_of_pod(rig, &loads[i], 200000 / by, 200000 / by);
		char name[64];

		snprintf(name, sizeof(name), "cache-pod-%s", loads[i].name);
		out_named(name, "alone", alone / 1000, "us for 4 KiB with a cache a host; time is counted");
		out_named(name, "together", together / 1000, "us with one of the pod");
		out_named(name, "speedup", alone / together, "times as fast");
		product *= alone / together;
	}
	out_figure("cache-pod-geomean", pow(product, 1.0 / n), "times as fast, of all these", NULL);
}

bool bench_cache_tiers_wanted(void)
{
	return bench_wants("cache-share-uniform") || bench_wants("cache-share-zipf1.2") ||
	       bench_wants("cache-share-zipf1.5") || bench_wants("cache-pod");
}

void bench_cache_tiers(const struct rig *rig)
{
	measure_shares(rig, "cache-share-uniform", 0);
	measure_shares(rig, "cache-share-zipf1.2", 1.2);
	measure_shares(rig, "cache-share-zipf1.5", 1.5);
	measure_pod(rig);
}
