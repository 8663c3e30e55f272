/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache.c - the cache in front of storage: which pages it keeps, what a hit, a fill and a victim cost.
 *
 * The product does all of it, in a real pool of its own for each figure; storage is a function here, which says the
 * number of each page, waits as long as a disk of some bandwidth would where that is asked for, and counts. Hit
 * ratios are those of storage: one less pages that were read for each page that was asked for, so that a page
 * that was read ahead for nothing counts as a miss. Other policies have the same trace (policies.c).
 */
#include "cache_pod.h"

#define POOL_SPARE (6 * MIB) /* for what is not pages */

void cache_must(long rc, const char *what)
{
	if (rc < 0)
		bench_fail("cache: %s: %s", what, strerror((int)-rc));
}

static void wait_for_disk(struct disk *disk, uint64_t pages)
{
	uint64_t now = now_ns(), until;

	pthread_mutex_lock(&disk->lock);
	until = disk->free_ns = (disk->free_ns > now ? disk->free_ns : now) + pages * disk->ns_per_page;
	pthread_mutex_unlock(&disk->lock);
	nanosleep(&(struct timespec){ (time_t)((until - now) / 1000000000), (long)((until - now) % 1000000000) }, NULL);
}

/* Each page begins with its number, and the file's. */
static ssize_t disk_read(void *context, daxfs_ino ino, uint64_t file, void *buf, size_t len, uint64_t offset)
{
	struct disk *disk = context;
	uint64_t pages = (len + PAGE - 1) / PAGE;

	(void)ino;
	atomic_fetch_add(&disk->pages, pages);
	atomic_fetch_add(&disk->reads, 1);
	if (disk->ns_per_page)
		wait_for_disk(disk, pages);
	for (uint64_t i = 0; i < pages; i++)
		memcpy((uint8_t *)buf + i * PAGE, &(uint64_t){ (offset / PAGE + i) << 8 | file }, sizeof(uint64_t));
	return (ssize_t)len;
}

void cache_check_page(const uint8_t *page, uint64_t number, uint64_t file)
{
	uint64_t is;

	memcpy(&is, page, sizeof(is));
	if (is != (number << 8 | file))
		bench_fail("cache: page %llu of file %llu is another one", (unsigned long long)number,
			   (unsigned long long)file);
}

/* A pool of its own, of so many pages and some for what there is besides. */
void cache_pod_open(const struct rig *rig, struct pod *pod, uint64_t pages, const struct daxfs_mkfs_options *wanted)
{
	struct daxfs_mkfs_options options = *wanted;
	struct daxfs_error err;
	const struct daxfs_storage storage = {
		.struct_size = sizeof(storage),
		.read = disk_read,
		.context = &pod->disk,
		.patience_ms = PATIENCE_MS,
	};

	options.hosts = options.hosts ? options.hosts : TRACE_HOSTS;
	*pod = (struct pod){ .hosts = options.hosts, .disk = { .lock = PTHREAD_MUTEX_INITIALIZER } };
	options.struct_size = sizeof(options);
	options.size = POOL_SPARE + pages * (PAGE + 32);
	options.inodes = options.inodes ? options.inodes : 64;
	options.force = true;
	snprintf(pod->path, sizeof(pod->path), "%s/cache-%llu", rig->dir, (unsigned long long)pages);
	unlink(pod->path);
	if (daxfs_mkfs(pod->path, &options, &err))
		bench_fail("%s", err.text);
	for (unsigned i = 0; i < pod->hosts; i++) {
		if (daxfs_open(pod->path, DAXFS_READ_WRITE, &pod->fs[i], &err) || daxfs_join(pod->fs[i], i, NULL, &err))
			bench_fail("%s", err.text);
		cache_must(daxfs_backing_attach(pod->fs[i], 0, &storage), "attach");
	}
}

void cache_writable(struct pod *pod, int (*write)(void *, daxfs_ino, uint64_t, const void *, size_t, uint64_t),
		    int (*resize)(void *, daxfs_ino, uint64_t, uint64_t, bool),
		    int (*sync)(void *, daxfs_ino, uint64_t, uint64_t *))
{
	const struct daxfs_storage storage = {
		.struct_size = sizeof(storage),
		.read = disk_read,
		.context = &pod->disk,
		.patience_ms = PATIENCE_MS,
		.write = write,
		.resize = resize,
		.sync = sync,
	};

	for (unsigned i = 0; i < pod->hosts; i++) {
		cache_must(daxfs_backing_detach(pod->fs[i], 0), "detach");
		cache_must(daxfs_backing_attach(pod->fs[i], 0, &storage), "attach");
	}
}

void cache_pod_close(struct pod *pod)
{
	for (unsigned i = 0; i < pod->hosts; i++)
		daxfs_close(pod->fs[i]);
	unlink(pod->path);
}

daxfs_ino cache_file_make(struct pod *pod, unsigned n, uint64_t pages, unsigned hosts)
{
	struct daxfs_attr attr = { .mode = S_IFREG | 0444, .size = pages * PAGE }, out;
	char name[16];

	snprintf(name, sizeof(name), "file%u", n);
	cache_must(daxfs_import(pod->fs[0], DAXFS_ROOT, name, &attr, 0, n + 1, &out), "import");
	for (unsigned i = 0; i < hosts; i++)
		cache_must(daxfs_file_open(pod->fs[i], out.ino), "open");
	return out.ino;
}

void cache_file_add(struct pod *pod, unsigned n, uint64_t pages, unsigned hosts)
{
	pod->file[n] = cache_file_make(pod, n, pages, hosts);
}

void cache_file_close(struct pod *pod, unsigned n, unsigned hosts)
{
	for (unsigned i = 0; i < hosts; i++)
		daxfs_file_close(pod->fs[i], pod->file[n]);
}

/* -- which pages it keeps ------------------------------------------------------------ */

static bool demand_only; /* nothing is read but what is asked for */

unsigned __real_cache_window(struct daxfs *fs, daxfs_ino ino, uint64_t page, uint64_t want, bool *stream);
unsigned __wrap_cache_window(struct daxfs *fs, daxfs_ino ino, uint64_t page, uint64_t want, bool *stream);
unsigned __wrap_cache_window(struct daxfs *fs, daxfs_ino ino, uint64_t page, uint64_t want, bool *stream)
{
	unsigned n = __real_cache_window(fs, ino, page, want, stream);

	return demand_only && n > want ? (unsigned)want : n;
}

/* Pages begin at 1: whoever reads the first page of a file is taken for one who will read it to its end.
 * *found: the share of the requests that did not wait for storage, whatever was read ahead. */
static double replay(const struct rig *rig, const struct trace *t, uint32_t cache, enum daxfs_cache_policy_name policy,
		     double *found)
{
	const struct daxfs_mkfs_options options = { .cache_policy = policy, .cache_max = (uint64_t)cache * PAGE };
	struct daxfs_cache_stats stats;
	struct pod pod;
	uint8_t page[PAGE];

	cache_pod_open(rig, &pod, cache + t->pages / 256u, &options);
	for (unsigned i = 0; i < TRACE_FILES && t->file[i]; i++)
		cache_file_add(&pod, i, t->file[i] + 1ull, t->hosts[i]);
	for (uint64_t i = 0; i < t->n; i++) {
		unsigned file = t->at[i].page >= t->file[0];
		uint64_t number = t->at[i].page - (file ? t->file[0] : 0) + 1;

		cache_must(daxfs_read(pod.fs[t->at[i].host], pod.file[file], page, PAGE, number * PAGE), "read");
		cache_check_page(page, number, file + 1);
	}
	*found = 1;
	for (unsigned i = 0; i < TRACE_HOSTS; i++) {
		daxfs_cache_stats(pod.fs[i], &stats);
		*found -= (double)stats.misses / (double)t->n;
	}
	for (unsigned i = 0; i < TRACE_FILES && t->file[i]; i++)
		cache_file_close(&pod, i, t->hosts[i]);
	cache_pod_close(&pod);
	return 1 - (double)pod.disk.pages / (double)t->n;
}

static const struct column {
	const char *name;
	enum trace_kind kind;
	double a;
	unsigned lag;
} columns[] = {
	{ "zipf0.8", TRACE_ZIPF, 0.8, 0 },     { "zipf1.0", TRACE_ZIPF, 1.0, 0 },     { "zipf1.2", TRACE_ZIPF, 1.2, 0 },
	{ "zipf-scan", TRACE_SCAN, 1.0, 0 },   { "loop", TRACE_LOOP, 0, 0 },          { "hosts", TRACE_HOSTS3, 0, 100 },
	{ "hosts-far", TRACE_HOSTS3, 0, 400 }, { "hosts-zipf", TRACE_MIXED, 0, 100 }, { "shift", TRACE_SHIFT, 1.0, 0 },
	{ "block", TRACE_BLOCK, 0.7, 0 },      { "build", TRACE_BUILD, 0, 0 },        { "gli", TRACE_FILE, 0, 0 },
};
#define CACHE_LEAST 64u /* pages that cache-max may be */
static const unsigned percents[] = { 1, 5, 10, 25, 50 };

static void out_hits(const char *column, unsigned percent, const char *policy, double hits)
{
	char name[80];

	snprintf(name, sizeof(name), "cache-hits-%s-%02u-%s", column, percent, policy);
	out_figure(name, hits, "of the requests", NULL);
}

static double without_ahead(const struct rig *rig, const struct trace *t, uint32_t cache)
{
	double hits, found;

	demand_only = true;
	hits = replay(rig, t, cache, DAXFS_CACHE_HEAT, &found);
	demand_only = false;
	return hits;
}

static void out_points(const char *what, const struct column *c, unsigned percent, double points)
{
	char name[80];

	snprintf(name, sizeof(name), "%s-%s-%02u", what, c->name, percent);
	out_figure(name, 100 * points, "points", NULL);
}

static void measure_cell(const struct rig *rig, const struct column *c, const struct trace *t, unsigned percent)
{
	uint32_t share = t->distinct / 100 * percent, cache = share < CACHE_LEAST ? CACHE_LEAST : share;
	double found, ours = replay(rig, t, cache, DAXFS_CACHE_HEAT, &found), demand = without_ahead(rig, t, cache);
	double s3fifo = policy_hits(POLICY_S3FIFO, t, cache);
	char name[80];

	out_hits(c->name, percent, "heat", ours);
	out_hits(c->name, percent, "heat-found", found);
	out_hits(c->name, percent, "heat-demand", demand);
	out_hits(c->name, percent, "mh-clock", replay(rig, t, cache, DAXFS_CACHE_CLOCK, &found));
	out_hits(c->name, percent, "lru", policy_hits(POLICY_LRU, t, cache));
	out_hits(c->name, percent, "sieve", policy_hits(POLICY_SIEVE, t, cache));
	out_hits(c->name, percent, "s3-fifo", s3fifo);
	out_hits(c->name, percent, "optimum", policy_optimum(t, cache));
	out_points("cache-over-s3-fifo", c, percent, ours - s3fifo);
	out_points("cache-demand-over-s3-fifo", c, percent, demand - s3fifo);
	if (c->kind == TRACE_HOSTS3) {
		snprintf(name, sizeof(name), "cache-reads-%s-%02u", c->name, percent);
		out_figure(name, (1 - ours) * TRACE_HOSTS, "reads of storage for each page and round", NULL);
	}
}

/* NULL: there is no such trace here. */
static struct trace *trace_of(const struct column *c)
{
	const struct bench_args *args = bench_args();
	const char *why = "no memory";
	struct trace *t;

	if (c->kind == TRACE_FILE)
		t = trace_lirs(args->trace, &why);
	else if (c->kind == TRACE_BUILD)
		t = trace_build();
	else
		t = trace_make(c->kind, c->a, c->lag, args->seed, args->quick);
	if (!t && c->kind != TRACE_FILE)
		bench_fail("cache: %s", why);
	if (!t)
		printf("cache-hits-%s: skipped: --trace %s: %s\n", c->name, args->trace ? args->trace : "FILE", why);
	return t;
}

static void measure_hits(const struct rig *rig)
{
	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
		char name[48];
		struct trace *t;

		snprintf(name, sizeof(name), "cache-hits-%s", columns[i].name);
		t = bench_wants(name) ? trace_of(&columns[i]) : NULL;
		for (size_t k = 0; t && k < sizeof(percents) / sizeof(percents[0]); k++)
			measure_cell(rig, &columns[i], t, percents[k]);
		trace_free(t);
	}
}

/* -- hosts that read one file, in real time --------------------------------------------- */

struct reader {
	struct pod *pod;
	unsigned host;
	uint64_t pages, start_ns;
	pthread_t thread;
};

static void *read_file(void *arg)
{
	const struct reader *r = arg;
	uint8_t *buf = malloc(READ_BYTES);

	if (!buf)
		bench_fail("cache: no memory");
	while (now_ns() < r->start_ns)
		nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
	for (uint64_t at = 0; at < r->pages * PAGE; at += READ_BYTES) {
		cache_must(daxfs_read(r->pod->fs[r->host], r->pod->file[0], buf, READ_BYTES, at), "read");
		cache_check_page(buf, at / PAGE, 1);
	}
	free(buf);
	return NULL;
}

/* Each page of a file, read by several readers of each host: how often storage was read for it. */
static double read_together(const struct rig *rig, struct daxfs_mkfs_options options, uint64_t pages, unsigned readers,
			    double mib_s, double lag_s)
{
	struct reader reader[6] = { { .pod = NULL } };
	uint64_t start = now_ns(), room = options.cache_max ? options.cache_max / PAGE : pages;
	struct pod pod;

	cache_pod_open(rig, &pod, room + pages / 256, &options);
	pod.disk.ns_per_page = mib_s > 0 ? (uint64_t)(PAGE * 1e9 / (mib_s * MIB)) : 0;
	cache_file_add(&pod, 0, pages, TRACE_HOSTS);
	for (unsigned i = 0; i < readers; i++) {
		unsigned host = i % TRACE_HOSTS;

		reader[i] = (struct reader){ &pod, host, pages, start + (uint64_t)(lag_s * 1e9 * host), 0 };
		if (pthread_create(&reader[i].thread, NULL, read_file, &reader[i]))
			bench_fail("cache: no thread");
	}
	for (unsigned i = 0; i < readers; i++)
		pthread_join(reader[i].thread, NULL);
	cache_file_close(&pod, 0, TRACE_HOSTS);
	cache_pod_close(&pod);
	return (double)pod.disk.pages / (double)pages;
}

/* A second apart at a cache of a twentieth. Whoever finds what it reads in the pool is faster than storage, and catches
 * up; whether it does depends on what storage reads in that second, beside what the cache keeps. */
static void measure_together(const struct rig *rig)
{
	bool quick = bench_args()->quick;
	uint64_t pages = (quick ? 64 * MIB : GIB) / PAGE;
	struct daxfs_mkfs_options options = { .cache_max = 0 };
	double scale = quick ? 16 : 1;

	if (bench_wants("cache-reads-cold"))
		out_figure("cache-reads-cold", read_together(rig, options, pages, 6, 0, 0),
			   "reads of storage for each page: 6 readers on 3 hosts, 1 GiB, all at once", NULL);
	if (!bench_wants("cache-reads-seconds"))
		return;
	options.cache_max = pages * PAGE / 20;
	for (unsigned policy = 0; policy < 2; policy++) {
		options.cache_policy = policy;
		out_figure(policy ? "cache-reads-seconds-mh-clock" : "cache-reads-seconds-heat",
			   read_together(rig, options, pages, 3, 24, 1 / scale),
			   "... 3 hosts 1 s apart, storage of 24 MiB/s, cache of 5 %", NULL);
	}
	options.cache_policy = DAXFS_CACHE_HEAT;
	out_figure("cache-reads-seconds-beyond", read_together(rig, options, pages, 3, 100, 1 / scale),
		   "... of 100 MiB/s: in a second more than the cache keeps", NULL);
}

/* -- costs ---------------------------------------------------------------------------- */

#define HIT_PAGES 8192u /* 32 MiB: more than a cache of the processor has to itself */
#define HITS 200000u

struct hitter {
	struct pod *pod;
	unsigned host;
	double ns;
	pthread_t thread;
};

static void *hit(void *arg)
{
	struct hitter *h = arg;
	uint8_t page[PAGE];
	uint64_t rng = 77 + h->host, start = now_ns();
	unsigned n = bench_args()->quick ? HITS / 20 : HITS;

	for (unsigned i = 0; i < n; i++) {
		uint64_t number = random_below(&rng, HIT_PAGES);

		cache_must(daxfs_read(h->pod->fs[h->host], h->pod->file[0], page, PAGE, number * PAGE), "read");
		cache_check_page(page, number, 1);
	}
	h->ns = (double)(now_ns() - start) / n;
	return NULL;
}

static double hit_by(struct pod *pod, unsigned hosts)
{
	struct hitter h[TRACE_HOSTS];
	double ns = 0;

	for (unsigned i = 0; i < hosts; i++) {
		h[i] = (struct hitter){ .pod = pod, .host = i };
		if (pthread_create(&h[i].thread, NULL, hit, &h[i]))
			bench_fail("cache: no thread");
	}
	for (unsigned i = 0; i < hosts; i++) {
		pthread_join(h[i].thread, NULL);
		ns += h[i].ns / hosts;
	}
	return ns;
}

static double copy_pages(const uint8_t *from)
{
	uint8_t page[PAGE];
	uint64_t rng = 77, start = now_ns(), sum = 0;
	unsigned n = bench_args()->quick ? HITS / 20 : HITS;

	for (unsigned i = 0; i < n; i++) {
		memcpy(page, from + random_below(&rng, HIT_PAGES) * PAGE, PAGE);
		__asm__("" ::"r"(page) : "memory");
		sum += page[i % PAGE];
	}
	__asm__("" ::"r"(sum));
	return (double)(now_ns() - start) / n;
}

/* The same reads of a cached file and of raw memory, in turn; and by two hosts. */
static void measure_hit(const struct rig *rig)
{
	const struct daxfs_mkfs_options options = { .cache_max = 0 };
	double one[ROUNDS], share[ROUNDS], two[ROUNDS];
	struct spread s;
	struct pod pod;

	if (!bench_wants("cache-hit-cost"))
		return;
	cache_pod_open(rig, &pod, HIT_PAGES * 5 / 4, &options);
	cache_file_add(&pod, 0, HIT_PAGES, 2);
	for (unsigned i = 0; i < 3; i++)
		hit_by(&pod, 2);
	for (unsigned i = 0; i < ROUNDS; i++) {
		one[i] = hit_by(&pod, 1);
		share[i] = copy_pages(rig->raw) / one[i];
		two[i] = hit_by(&pod, 2);
	}
	cache_file_close(&pod, 0, 2);
	cache_pod_close(&pod);
	s = spread_of(one, ROUNDS);
	out_figure("cache-hit-cost", s.median, "ns for 4 KiB", &s);
	s = spread_of(share, ROUNDS);
	out_figure("cache-hit-cost-share", s.median, "of it a memcpy takes", &s);
	s = spread_of(two, ROUNDS);
	out_figure("cache-hit-cost-two-hosts", s.median, "ns, two hosts at once", &s);
}

/* Pages of a file four times as large as the pool, one by one at random: each takes a page from another one. */
static double turn_over(struct pod *pod, uint64_t pages, unsigned n, uint64_t *rng)
{
	uint64_t start = now_ns(), before = pod->disk.pages;
	uint8_t page[PAGE];

	for (unsigned i = 0; i < n; i++) {
		uint64_t number = 1 + random_below(rng, pages - 1);

		cache_must(daxfs_read(pod->fs[0], pod->file[0], page, PAGE, number * PAGE), "read");
		cache_check_page(page, number, 1);
	}
	return (double)(now_ns() - start) / (double)(pod->disk.pages - before);
}

static void measure_flat(const struct rig *rig)
{
	const struct daxfs_mkfs_options options = { .cache_max = 0 };
	unsigned last = bench_args()->quick ? 1 : 4, n = bench_args()->quick ? 2000 : 30000;

	if (!bench_wants("cache-fill"))
		return;
	for (unsigned i = 0; i < last; i++) {
		uint64_t pages = 16384ull << 2 * i, rng = 4711;
		double ns[ROUNDS];
		uint8_t buf[PAGE];
		struct spread s;
		struct pod pod;
		char name[64];

		snprintf(name, sizeof(name), "cache-fill-cost-%llu-pages", (unsigned long long)pages);
		cache_pod_open(rig, &pod, pages, &options);
		cache_file_add(&pod, 0, 4 * pages, 1);
		for (uint64_t at = 0; at < 2 * pages; at++) /* in order, until it is full */
			cache_must(daxfs_read(pod.fs[0], pod.file[0], buf, PAGE, at * PAGE), "read");
		for (unsigned k = 0; k < ROUNDS; k++)
			ns[k] = turn_over(&pod, 4 * pages, n, &rng);
		cache_file_close(&pod, 0, 1);
		cache_pod_close(&pod);
		s = spread_of(ns, ROUNDS);
		out_figure(name, s.median,
			   "ns to fill a page in the place of another one, of storage that takes no time", &s);
	}
}

static const char *const others[] = { "cache-reads-cold", "cache-reads-seconds", "cache-hit-cost",
				      "cache-fill",       "cache-write-back",    "cache-flat" };

static bool anything_wanted(void)
{
	char name[48];
	bool any = bench_cache_tiers_wanted() || bench_cache_ahead_wanted() || bench_cache_dpc_wanted() ||
		   bench_cache_apart_wanted();

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		any |= bench_wants(others[i]);
	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
		snprintf(name, sizeof(name), "cache-hits-%s", columns[i].name);
		any |= bench_wants(name);
	}
	return any;
}

void bench_cache(void)
{
	struct rig rig;

	if (!anything_wanted())
		return;
	rig_open(&rig, &(struct rig_options){ .pool = 16 * MIB, .raw = HIT_PAGES * (uint64_t)PAGE, .plain = true });
	measure_hits(&rig);
	measure_together(&rig);
	measure_hit(&rig);
	bench_cache_file(&rig);
	measure_flat(&rig);
	bench_cache_flat(&rig);
	bench_cache_ahead(&rig);
	bench_cache_tiers(&rig);
	bench_cache_dpc(&rig);
	bench_cache_apart(&rig);
	rig_close(&rig);
}
