/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache_apart.c - three hosts that read the same file, each a second after the one before, from storage of some speed:
 * how often each page is read from there, by the policies of the pool and by others.
 *
 * 1 GiB of file, a cache of a twentieth. Whoever finds its pages is faster than storage, and catches up; whether it
 * comes near enough depends on what storage reads in that second, beside what the cache keeps. So time is part of it,
 * and it is counted, of all policies alike: the host that is furthest behind reads its next 64 pages; a page that is
 * there takes half a microsecond, one that is not waits for storage, which serves one after the other, and so does
 * one that another host has asked for. Nothing else takes any time. The pool's policies are the product, with its
 * reading ahead, which here makes no difference: all hosts read as much at once as it does.
 */
#include "cache_pod.h"

#define HIT_NS 500.0
#define CACHED_PART 20u
#define READ_PAGES ((unsigned)(READ_BYTES / PAGE))

struct apart {
	uint64_t pages;
	double page_ns, free_ns; /* storage: a page; when it will have done what it was asked */
	double *ready;           /* when each page was read, or will have been */
	uint64_t reads;
	double now; /* of the host that reads */
	struct pod pod;
	struct policy *policy; /* NULL: the pool's */
};

static void store_read(struct apart *a, uint64_t page)
{
	a->free_ns = (a->free_ns > a->now ? a->free_ns : a->now) + a->page_ns;
	a->ready[page] = a->free_ns;
	a->reads++;
}

static ssize_t apart_read(void *context, daxfs_ino ino, uint64_t file, void *buf, size_t len, uint64_t offset)
{
	struct apart *a = context;

	(void)ino;
	for (size_t at = 0; at < len; at += PAGE) {
		uint64_t page = (offset + at) / PAGE;

		store_read(a, page);
		memcpy((uint8_t *)buf + at, &(uint64_t){ page << 8 | file }, sizeof(uint64_t));
	}
	return (ssize_t)len;
}

static void pool_open(const struct rig *rig, struct apart *a, enum daxfs_cache_policy_name name)
{
	const struct daxfs_mkfs_options options = { .cache_policy = name, .cache_max = a->pages / CACHED_PART * PAGE };
	const struct daxfs_storage storage = {
		.struct_size = sizeof(storage),
		.read = apart_read,
		.context = a,
		.patience_ms = PATIENCE_MS,
	};

	cache_pod_open(rig, &a->pod, a->pages / CACHED_PART + a->pages / 256, &options);
	for (unsigned i = 0; i < a->pod.hosts; i++) {
		cache_must(daxfs_backing_detach(a->pod.fs[i], 0), "detach");
		cache_must(daxfs_backing_attach(a->pod.fs[i], 0, &storage), "attach");
	}
	cache_file_add(&a->pod, 0, a->pages, a->pod.hosts);
}

/* The next pages of a host: when it has them. */
static double read_some(struct apart *a, unsigned host, uint64_t first)
{
	uint8_t buf[READ_BYTES];
	double done = a->now;

	if (!a->policy)
		cache_must(daxfs_read(a->pod.fs[host], a->pod.file[0], buf, READ_BYTES, first * PAGE), "read");
	for (unsigned i = 0; i < READ_PAGES; i++) {
		if (!a->policy)
			cache_check_page(buf + (size_t)i * PAGE, first + i, 1);
		else if (!policy_read(a->policy, (uint32_t)(first + i)))
			store_read(a, first + i);
		done = a->ready[first + i] > done ? a->ready[first + i] : done;
	}
	return done + HIT_NS * READ_PAGES;
}

/* Reads of storage for each page. */
static double run(struct apart *a, double lag_ns)
{
	double at[TRACE_HOSTS];
	uint64_t next[TRACE_HOSTS] = { 0 };

	for (unsigned i = 0; i < TRACE_HOSTS; i++)
		at[i] = i * lag_ns;
	for (uint64_t left = TRACE_HOSTS * (a->pages / READ_PAGES); left--;) {
		unsigned host = TRACE_HOSTS;

		for (unsigned i = 0; i < TRACE_HOSTS; i++)
			if (next[i] < a->pages && (host == TRACE_HOSTS || at[i] < at[host]))
				host = i;
		a->now = at[host];
		at[host] = read_some(a, host, next[host]);
		next[host] += READ_PAGES;
	}
	return (double)a->reads / (double)a->pages;
}

/* policy: of the pool's, then of the others. */
static double reads_by(const struct rig *rig, unsigned policy, unsigned mib_s)
{
	bool quick = bench_args()->quick;
	struct apart *a = calloc(1, sizeof(*a));
	double reads;

	if (!a)
		bench_fail("cache: no memory");
	a->pages = (quick ? 64 * MIB : GIB) / PAGE;
	a->page_ns = PAGE * 1e9 / (mib_s * (double)MIB);
	a->ready = calloc(a->pages, sizeof(*a->ready));
	if (!a->ready)
		bench_fail("cache: no memory");
	if (policy > DAXFS_CACHE_CLOCK)
		a->policy = policy_open(policy - DAXFS_CACHE_CLOCK - 1, (uint32_t)a->pages,
					(uint32_t)(a->pages / CACHED_PART));
	else
		pool_open(rig, a, policy);
	reads = run(a, quick ? 1e9 / 16 : 1e9);
	if (a->policy) {
		policy_close(a->policy);
	} else {
		cache_file_close(&a->pod, 0, a->pod.hosts);
		cache_pod_close(&a->pod);
	}
	free(a->ready);
	free(a);
	return reads;
}

bool bench_cache_apart_wanted(void)
{
	return bench_wants("cache-apart");
}

void bench_cache_apart(const struct rig *rig)
{
	static const char *const names[] = { "heat", "mh-clock", "lru", "sieve", "s3-fifo" };
	static const unsigned speeds[] = { 24, 50, 100, 200 };
	char name[48];

	if (!bench_cache_apart_wanted())
		return;
	for (unsigned i = 0; i < sizeof(speeds) / sizeof(speeds[0]); i++)
		for (unsigned k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
			snprintf(name, sizeof(name), "cache-apart-%03u-%s", speeds[i], names[k]);
			out_figure(name, reads_by(rig, k, speeds[i]),
				   "reads of storage for each page: 3 hosts 1 s apart, so many MiB/s", NULL);
		}
}
