/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache_dpc.c - one cache of a pod beside a cache a host, by the loads that DPC (arXiv 2604.19494) was measured with,
 * as far as they are public: docs/CACHE.md has what of that is known, from where, and what each figure is.
 *
 * A page stands for 8 MB. Each host has 16 threads, and 28 of its 32 GB for pages: the rest is its system's and its
 * programs'. Alone, a host has a CLOCK of its own in that (or one that draws lots: "random"); together, four hosts
 * have a pool of all of it, but for a share that each keeps for copies of its own (daxfs_local_open). An operation
 * of a load:
 *
 *   rocksdb    a page of 60 GB, by lot, and 5 us of the program's own
 *   deepseek   the next page of 30 GB, which all threads of a host read in order, round and round
 *   diskann    four pages of 40 GB, by lot, read at once, and 20 us of the program's own
 *   webserver  a file of 16 KiB of 32 GB of them, by lot: opened, read; each tenth time 16 KiB more of the host's log
 *   fileserver a file of 128 KiB of 32 GB of them, by lot: opened, and read as a whole or written as a whole
 *
 * By reads alone, an open costs nothing, and what a host writes is local. With coherence, as of a mount of Virtiofs
 * that shows files of other hosts when they are opened: an open asks the server, a write goes through to it, and
 * whoever opens a file that another host wrote has none of its pages any more. The pod pays what its files cost always.
 *
 * Whoever writes waits while storage has a tenth of a host's pages still to write. Time is counted: cache_model.h.
 * Loads, charges and goals were fixed before the first run; docs/CACHE.md says what was mended after it.
 */
#include <math.h>

#include "cache_model.h"
#include "cache_pod.h"

#define GB_PAGES 128u /* a page stands for 8 MB */
#define THREADS 16u   /* of a host */
#define HOST_PAGES (28 * GB_PAGES)
#define STEP_PAGES 32u  /* of one operation, at most */
#define AHEAD_PAGES 64u /* a reader in order is ahead, alone as in the pod */
#define LOG_PAGES 64u   /* of each host, round and round */
#define LOG_EVERY 10u
#define READ_PAGES 200000u /* by all hosts: to warm up, and then again with the clock */

/* ns. Four SSDs of 200,000 reads a second each: assumed, at the upper end of what SAS has. */
#define COST_REQUEST 1250.0
/* Alone: an open that asks the server, half of a write; a write of 4 KiB by Virtiofs, "about 100 us" (a summary). */
#define COST_OPEN_ALONE 50e3
#define COST_WRITE_ALONE 100e3
/* In the pod: ten lines of names and inodes; six of the record. */
#define COST_OPEN_POD 1500.0
#define COST_WRITE_POD 1000.0
/* Who writes waits for storage while a tenth of a host's pages are still to be written. */
#define DIRTY_NS (HOST_PAGES / 10 * COST_STORAGE_QUEUE)
#define CXL_PAGE_OF_FOUR 128.0 /* 8 GB/s for each of four hosts, where COST_CXL_QUEUE is 16 for all */

enum kind { BY_LOT, IN_ORDER, AT_ONCE, WEB, FILES };

static const struct load {
	const char *name;
	enum kind kind;
	uint32_t pages, file; /* in all; of each file, 0: one */
	double own;           /* ns of the program's, an operation */
} loads[] = {
	{ "rocksdb", BY_LOT, 60 * GB_PAGES, 0, 5e3 },   { "deepseek", IN_ORDER, 30 * GB_PAGES, 0, 0 },
	{ "diskann", AT_ONCE, 40 * GB_PAGES, 0, 20e3 }, { "webserver", WEB, 32 * GB_PAGES, 4, 0 },
	{ "fileserver", FILES, 32 * GB_PAGES, 32, 0 },
};
#define LOADS (sizeof(loads) / sizeof(loads[0]))

/* one operation: pages of one file that follow each other, or some anywhere */
struct step {
	uint32_t page[STEP_PAGES], file;
	unsigned n;
	bool opens, writes, logs;
};

/* what is drawn; the same for whoever serves it */
struct draws {
	const struct load *load;
	unsigned hosts;
	uint64_t rng, n;
	uint32_t next[POD_HOSTS], log[POD_HOSTS];
};

static unsigned step_pages(const struct load *load)
{
	return load->file ? load->file : load->kind == AT_ONCE ? 4 : 1;
}

static void draw(struct draws *d, unsigned thread, struct step *s)
{
	const struct load *load = d->load;
	uint32_t files = load->file ? load->pages / load->file : 1, *next = &d->next[thread % d->hosts];

	*s = (struct step){ .n = step_pages(load), .opens = load->file };
	s->file = load->file ? (uint32_t)random_below(&d->rng, files) : 0;
	for (unsigned i = 0; i < s->n; i++)
		s->page[i] = load->file ? s->file * load->file + i : (uint32_t)random_below(&d->rng, load->pages);
	if (load->kind == IN_ORDER)
		*next = (s->page[0] = *next) + 1 == load->pages ? 0 : *next + 1;
	s->writes = load->kind == FILES && random_below(&d->rng, 2);
	s->logs = load->kind == WEB && ++d->n % LOG_EVERY == 0;
}

/* -- alone: each host its own cache ---------------------------------------------------------------- */

struct alone {
	struct model m;
	struct draws draws;
	struct clock_cache cache[POD_HOSTS];
	bool coherent;
	uint32_t *version, *seen; /* of each file; by each host */
};

static void alone_open(struct alone *a, const struct load *load, unsigned hosts, bool coherent, bool random)
{
	uint32_t files = load->file ? load->pages / load->file : 1;

	*a = (struct alone){
		.m = { .threads = hosts * THREADS, .hosts = hosts, .request = COST_REQUEST, .dirty_ns = DIRTY_NS },
		.draws = { .load = load, .hosts = hosts, .rng = 99 },
		.coherent = coherent,
		.version = calloc(files, sizeof(uint32_t)),
		.seen = calloc((size_t)files * hosts, sizeof(uint32_t)),
	};
	if (!a->version || !a->seen)
		bench_fail("cache: no memory");
	for (unsigned i = 0; i < hosts; i++) {
		clock_open(&a->cache[i], HOST_PAGES, load->pages + LOG_PAGES);
		a->cache[i].lot = random ? 4711 + i : 0;
	}
}

static void alone_close(struct alone *a)
{
	for (unsigned i = 0; i < a->draws.hosts; i++)
		clock_close(&a->cache[i]);
	free(a->version);
	free(a->seen);
}

/* Files that others wrote are read anew. */
static void alone_see(struct alone *a, unsigned host, const struct step *s)
{
	uint32_t *seen = &a->seen[s->file * a->draws.hosts + host];

	if (*seen != a->version[s->file])
		for (unsigned i = 0; i < s->n; i++)
			clock_drop(&a->cache[host], s->page[i]);
	*seen = a->version[s->file];
}

static void alone_read(struct alone *a, unsigned host, const struct step *s, struct model_cost *cost)
{
	unsigned ahead = a->draws.load->kind == IN_ORDER ? AHEAD_PAGES : 1, missed = 0;
	struct clock_cache *c = &a->cache[host];

	for (unsigned i = 0; i < s->n; i++) {
		if (clock_read(c, s->page[i]))
			continue;
		missed++;
		for (unsigned k = 1; k < ahead; k++)
			clock_read(c, (s->page[i] + k) % a->draws.load->pages);
	}
	cost->requests += s->opens ? missed > 0 : missed;
	cost->stored += (uint64_t)missed * ahead;
	cost->own += COST_READ * s->n;
}

/* Pages of the file, or of the host's log, which lies behind all files. */
static void alone_write(struct alone *a, unsigned host, const struct step *s, bool log, struct model_cost *cost)
{
	for (unsigned i = 0; i < s->n; i++)
		clock_read(&a->cache[host], log ? a->draws.load->pages + a->draws.log[host]++ % LOG_PAGES : s->page[i]);
	cost->own += COST_READ * s->n + (a->coherent ? COST_WRITE_ALONE : 0);
	cost->behind += s->n;
	if (a->coherent && !log)
		a->seen[s->file * a->draws.hosts + host] = ++a->version[s->file];
}

static void alone_step(struct alone *a, unsigned thread)
{
	struct model_cost cost = { .own = a->draws.load->own };
	unsigned host = thread % a->draws.hosts;
	struct step s;

	draw(&a->draws, thread, &s);
	if (s.opens && a->coherent)
		cost.own += COST_OPEN_ALONE;
	if (s.opens && a->coherent && !s.writes)
		alone_see(a, host, &s);
	if (s.writes)
		alone_write(a, host, &s, false, &cost);
	else
		alone_read(a, host, &s, &cost);
	if (s.logs)
		alone_write(a, host, &s, true, &cost);
	model_pay(&a->m, thread, &cost);
}

/* Operations a second. */
static double alone(const struct load *load, unsigned hosts, bool coherent, bool random)
{
	unsigned n = READ_PAGES / step_pages(load) / (bench_args()->quick ? 20 : 1);
	struct alone a;
	double began = 0;

	alone_open(&a, load, hosts, coherent, random);
	for (unsigned i = 0; i < 2 * n; i++) {
		if (i == n)
			began = model_now(&a.m);
		alone_step(&a, model_next(&a.m));
	}
	alone_close(&a);
	return n / (model_now(&a.m) - began) * 1e9;
}

/* -- together: a pool ------------------------------------------------------------------------------- */

struct together {
	struct model m;
	struct draws draws;
	struct pod pod;
	daxfs_ino *file; /* then the hosts' logs */
	uint32_t files;
};

static int disk_write(void *context, daxfs_ino ino, uint64_t file, const void *buf, size_t len, uint64_t offset)
{
	struct disk *disk = context;

	(void)ino, (void)file, (void)buf, (void)offset;
	disk->written += len / PAGE;
	return 0;
}

static int disk_resize(void *context, daxfs_ino ino, uint64_t file, uint64_t size, bool exact)
{
	(void)context, (void)ino, (void)file, (void)size, (void)exact;
	return 0;
}

static int disk_sync(void *context, daxfs_ino ino, uint64_t file, uint64_t *stamp)
{
	(void)context, (void)ino, (void)file;
	*stamp = 1;
	return 0;
}

static void local_open(struct together *t, unsigned own)
{
	const struct daxfs_local_options options = { sizeof(options), (uint64_t)own * PAGE };

	for (unsigned i = 0; own && i < t->pod.hosts; i++)
		cache_must(daxfs_local_open(t->pod.fs[i], &options), "local");
}

/* own: pages of its memory that each host keeps for copies. */
static void together_open(const struct rig *rig, struct together *t, const struct load *load, unsigned hosts,
			  unsigned own, double cxl_page)
{
	uint64_t pages = (uint64_t)hosts * (HOST_PAGES - own);
	const struct daxfs_mkfs_options options = { .hosts = hosts, .inodes = 2048, .cache_max = pages * PAGE };

	*t = (struct together){
		.m = { .threads = hosts * THREADS,
		       .hosts = hosts,
		       .request = COST_REQUEST,
		       .dirty_ns = DIRTY_NS,
		       .cxl_page = cxl_page },
		.draws = { .load = load, .hosts = hosts, .rng = 99 },
		.files = load->file ? load->pages / load->file : 1,
	};
	cache_pod_open(rig, &t->pod, pages + load->pages / 128 + 1024, &options);
	cache_writable(&t->pod, disk_write, disk_resize, disk_sync);
	t->file = malloc((t->files + hosts) * sizeof(*t->file));
	if (!t->file)
		bench_fail("cache: no memory");
	for (unsigned i = 0; i < t->files + hosts; i++) {
		uint32_t of_file = i >= t->files ? LOG_PAGES : load->file ? load->file : load->pages;

		t->file[i] = cache_file_make(&t->pod, i, of_file, load->file ? 0 : hosts);
	}
	local_open(t, own);
}

static void together_close(struct together *t)
{
	for (unsigned i = 0; !t->draws.load->file && i < t->files + t->pod.hosts; i++)
		for (unsigned k = 0; k < t->pod.hosts; k++)
			daxfs_file_close(t->pod.fs[k], t->file[i]);
	cache_pod_close(&t->pod);
	free(t->file);
}

/* Some pages that follow each other, of a file: as storage has them, or as they were written, which is the same. */
static void pod_read(struct together *t, unsigned host, uint32_t file, uint32_t first, unsigned n)
{
	uint8_t buf[STEP_PAGES * PAGE];

	cache_must(daxfs_read(t->pod.fs[host], t->file[file], buf, n * PAGE, (uint64_t)first * PAGE), "read");
	for (unsigned i = 0; i < n; i++)
		cache_check_page(buf + (size_t)i * PAGE, first + i, file + 1);
}

static void pod_write(struct together *t, unsigned host, uint32_t file, uint32_t first, unsigned n)
{
	uint8_t buf[STEP_PAGES * PAGE] = { 0 };
	daxfs_ino ino = t->file[file];

	for (unsigned i = 0; i < n; i++)
		memcpy(buf + (size_t)i * PAGE, &(uint64_t){ (uint64_t)(first + i) << 8 | (file + 1) }, 8);
	cache_must(daxfs_write(t->pod.fs[host], ino, buf, n * PAGE, (uint64_t)first * PAGE, 0), "write");
	cache_must(daxfs_write_back(t->pod.fs[host], ino), "write back");
}

static void together_read(struct together *t, unsigned thread, const struct step *s, struct model_cost *cost)
{
	unsigned host = thread % t->draws.hosts;
	struct disk *disk = &t->pod.disk;
	uint64_t pages = atomic_load(&disk->pages), requests = atomic_load(&disk->reads), local;
	struct daxfs_cache_stats before, after;

	daxfs_cache_stats(t->pod.fs[host], &before);
	for (unsigned i = 0; i < (s->opens ? 1 : s->n); i++)
		pod_read(t, host, s->file, s->opens ? 0 : s->page[i], s->opens ? s->n : 1);
	daxfs_cache_stats(t->pod.fs[host], &after);
	pages = atomic_load(&disk->pages) - pages;
	local = after.local - before.local;
	cost->requests += atomic_load(&disk->reads) - requests;
	cost->stored += pages;
	cost->moved += pages + s->n - local; /* what was read of storage was written to the pool */
	for (unsigned i = 0; i < s->n; i++)
		cost->own += COST_READ + model_look_ns(&t->m, thread, s->page[i]);
	cost->own += COST_CXL * (double)(s->n - local) + COST_COPY * (double)(after.promoted - before.promoted);
}

static void together_write(struct together *t, unsigned thread, const struct step *s, bool log, struct model_cost *cost)
{
	unsigned host = thread % t->draws.hosts;
	uint32_t at = log ? t->draws.log[host] % LOG_PAGES : 0;
	uint64_t written = t->pod.disk.written;

	pod_write(t, host, log ? t->files + host : s->file, at, s->n);
	t->draws.log[host] += log ? s->n : 0;
	written = t->pod.disk.written - written;
	cost->behind += written;
	cost->moved += s->n + written; /* storage's writer reads them */
	cost->own += COST_WRITE_POD + (COST_READ + COST_CXL) * s->n;
	for (unsigned i = 0; i < s->n; i++)
		cost->own += model_look_ns(&t->m, thread,
					   log ? t->draws.load->pages + host * LOG_PAGES + at + i : s->page[i]);
}

static void together_step(struct together *t, unsigned thread)
{
	struct model_cost cost = { .own = t->draws.load->own };
	unsigned host = thread % t->draws.hosts;
	struct step s;

	draw(&t->draws, thread, &s);
	if (s.opens) {
		cost.own += COST_OPEN_POD;
		cache_must(daxfs_file_open(t->pod.fs[host], t->file[s.file]), "open");
	}
	if (s.writes)
		together_write(t, thread, &s, false, &cost);
	else
		together_read(t, thread, &s, &cost);
	if (s.opens)
		daxfs_file_close(t->pod.fs[host], t->file[s.file]);
	if (s.logs)
		together_write(t, thread, &s, true, &cost);
	model_pay(&t->m, thread, &cost);
}

static double together(const struct rig *rig, const struct load *load, unsigned hosts, unsigned own, double cxl_page)
{
	unsigned n = READ_PAGES / step_pages(load) / (bench_args()->quick ? 20 : 1);
	struct together *t = malloc(sizeof(*t));
	double began = 0, ended;

	if (!t)
		bench_fail("cache: no memory");
	together_open(rig, t, load, hosts, own, cxl_page);
	for (unsigned i = 0; i < 2 * n; i++) {
		if (i == n)
			began = model_now(&t->m);
		together_step(t, model_next(&t->m));
	}
	ended = model_now(&t->m);
	together_close(t);
	free(t);
	return n / (ended - began) * 1e9;
}

/* -- figures ---------------------------------------------------------------------------------------- */

/* what is compared: operations a second of each load */
enum against { READS, COHERENT, ONE_HOST, AGAINSTS };
static const struct {
	const char *name, *unit;
	unsigned hosts;
	bool coherent;
} against[AGAINSTS] = {
	{ "reads", "4 hosts in a pod beside 4 hosts alone, by reads alone", 4, false },
	{ "coherent", "4 hosts in a pod beside 4 hosts alone, with coherence", 4, true },
	{ "one-host", "4 hosts in a pod beside one host alone, with coherence", 1, true },
};

static const struct {
	const char *name;
	unsigned own; /* pages */
} shares[] = { { "0", 0 }, { "1-8", HOST_PAGES / 8 }, { "1-4", HOST_PAGES / 4 } };
#define SHARES (sizeof(shares) / sizeof(shares[0]))

enum pod_kind { FOUR, FOUR_FASTER, TWO, POD_KINDS };
static const struct {
	const char *name;
	unsigned hosts;
	double cxl_page;
} pods[POD_KINDS] = { { "", 4, 0 }, { "-cxl-32", 4, CXL_PAGE_OF_FOUR }, { "-2hosts", 2, 0 } };

static double clock_rate[LOADS][AGAINSTS], best_rate[LOADS][AGAINSTS], pod_rate[LOADS][SHARES][POD_KINDS];

static void out_rate(const struct load *load, const char *what, const char *how, double rate)
{
	char name[96];

	snprintf(name, sizeof(name), "cache-dpc-%s-%s%s", load->name, what, how);
	out_figure(name, rate / 1e3, "thousand operations a second; time is counted", NULL);
}

static void measure_load(const struct rig *rig, unsigned i)
{
	const struct load *load = &loads[i];

	for (unsigned k = 0; k < AGAINSTS; k++) {
		double by_clock = alone(load, against[k].hosts, against[k].coherent, false);
		double by_lot = alone(load, against[k].hosts, against[k].coherent, true);

		out_rate(load, "alone-", against[k].name, by_clock);
		out_rate(load, "alone-random-", against[k].name, by_lot);
		clock_rate[i][k] = by_clock;
		best_rate[i][k] = by_lot > by_clock ? by_lot : by_clock;
	}
	for (unsigned k = 0; k < SHARES * POD_KINDS; k++) {
		unsigned share = k / POD_KINDS, kind = k % POD_KINDS;
		char what[32];

		snprintf(what, sizeof(what), "pod-own-%s", shares[share].name);
		pod_rate[i][share][kind] = together(rig, load, pods[kind].hosts, shares[share].own,
						    pods[kind].cxl_page);
		out_rate(load, what, pods[kind].name, pod_rate[i][share][kind]);
	}
}

/* Of all loads, of one kind of pod with such a share. */
static void out_geomean(unsigned share, enum pod_kind kind, enum against k, bool best)
{
	double product = 1;
	char name[96];

	for (unsigned i = 0; i < LOADS; i++)
		product *= pod_rate[i][share][kind] / (best ? best_rate : clock_rate)[i][k];
	snprintf(name, sizeof(name), "cache-dpc-geomean-%s-own-%s%s%s", against[k].name, shares[share].name,
		 pods[kind].name, best ? "-best" : "");
	out_figure(name, pow(product, 1.0 / LOADS),
		   kind == TWO ? "2 hosts in a pod beside one host alone" : against[k].unit, NULL);
}

bool bench_cache_dpc_wanted(void)
{
	return bench_wants("cache-dpc");
}

void bench_cache_dpc(const struct rig *rig)
{
	if (!bench_cache_dpc_wanted())
		return;
	for (unsigned i = 0; i < LOADS; i++)
		measure_load(rig, i);
	for (unsigned n = 0; n < SHARES * 2; n++) {
		for (unsigned k = 0; k < AGAINSTS * 2; k++)
			out_geomean(n / 2, k / AGAINSTS, k % AGAINSTS, n % 2);
		out_geomean(n / 2, TWO, ONE_HOST, n % 2);
	}
}
