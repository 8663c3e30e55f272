/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache_ahead.c - reading ahead: how many pages are read of storage for each that is asked for, and how many requests
 * wait, by how a file is read. In a cache of a tenth of it, through one host, a page at a time.
 */
#include "cache_pod.h"

#define PAGES 20000u
#define CACHED (PAGES / 10)
#define REQUESTS 60000u

struct reader {
	const char *name;
	unsigned run, stride; /* pages of a run, which begins at random; 0: of all, in order */
	unsigned streams;     /* that take turns, each in a part of its own */
	bool strays;          /* each second request is at random */
};

static const struct reader readers[] = {
	{ "whole", 0, 1, 1, false },        { "runs-8", 8, 1, 1, false },    { "runs-32", 32, 1, 1, false },
	{ "runs-200", 200, 1, 1, false },   { "strided-4", 0, 4, 1, false }, { "strided-101", 0, 101, 1, false },
	{ "random", 1, 1, 1, false },       { "streams-2", 0, 1, 2, false }, { "streams-4", 0, 1, 4, false },
	{ "stream-strays", 0, 1, 1, true },
};

static uint64_t draw(uint64_t *random, uint64_t n)
{
	*random = *random * 6364136223846793005ull + 1442695040888963407ull;
	return (*random >> 33) % n;
}

/* The next page of a stream: at[k], which goes on. Pages begin at 1 (cache.c, replay). */
static uint64_t next_page(const struct reader *r, uint64_t *at, unsigned *left, unsigned k, uint64_t *random)
{
	uint64_t part = PAGES / r->streams;

	if (r->run && !(*left)--) {
		*at = draw(random, part - r->run);
		*left = r->run - 1;
	}
	*at += r->stride;
	return 1 + k * part + *at % part;
}

static void read_ahead_by(const struct rig *rig, const struct reader *r)
{
	const struct daxfs_mkfs_options options = { .cache_max = (uint64_t)CACHED * PAGE };
	uint64_t at[4] = { 0 }, random = 7;
	struct daxfs_cache_stats stats;
	unsigned left[4] = { 0 };
	uint8_t page[PAGE];
	char name[64];
	struct pod pod;

	cache_pod_open(rig, &pod, CACHED + PAGES / 256u, &options);
	cache_file_add(&pod, 0, PAGES + 1, 1);
	for (unsigned i = 0; i < REQUESTS; i++) {
		unsigned k = i % r->streams;
		uint64_t number = r->strays && i % 2 ? 1 + draw(&random, PAGES)
						     : next_page(r, &at[k], &left[k], k, &random);

		cache_must(daxfs_read(pod.fs[0], pod.file[0], page, PAGE, number * PAGE), "read");
	}
	daxfs_cache_stats(pod.fs[0], &stats);
	snprintf(name, sizeof(name), "cache-ahead-%s", r->name);
	out_figure(name, (double)pod.disk.pages / REQUESTS, "pages of storage for each that was asked for", NULL);
	snprintf(name, sizeof(name), "cache-ahead-%s-waits", r->name);
	out_figure(name, (double)stats.misses / REQUESTS, "of the requests waited for storage", NULL);
	cache_file_close(&pod, 0, 1);
	cache_pod_close(&pod);
}

bool bench_cache_ahead_wanted(void)
{
	return bench_wants("cache-ahead");
}

void bench_cache_ahead(const struct rig *rig)
{
	if (!bench_cache_ahead_wanted())
		return;
	for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++)
		read_ahead_by(rig, &readers[i]);
}
