/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache_flat.c - what it costs to fill a page in the place of another one, in pools from 64 MiB to 400 GB.
 *
 * The words of each page are real (25 bytes of the pool's tables, and an eighth of a page of the index for each 64
 * pages of the file), the bytes of cached pages are not: the same 64 MiB of memory lie in the place of all of them.
 * So the pool's file is sparse, and what mkfs does to have its memory at once is left out, here alone. The index of
 * the file is made before that, with storage that fails; where the pool's file has no bytes after it there are no
 * nodes, and none come later. The bytes are of no page in particular, so nobody looks at them.
 *
 * Sizes take turns, each turn times all; the time is that of the thread's processor. Beside it is what a line of the
 * tables takes by itself, each known by the one before: what the machine makes of looks that are the same.
 */
#include "cache_pod.h"

#include <sys/mman.h>

#define ALIAS_BYTES (64 * MIB)
#define HUGE_BYTES (2 * MIB)
#define SIZES 5u
#define FILE_PARTS 4u /* the file is so many times as long as the pool */
#define NODE_PAGES 512u
#define TURNS 9u
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

/* a pool whose pages have no memory of their own */
struct flat {
	uint64_t pages, rng;
	struct pod pod;
	struct daxfs_storage storage;
	bool failing; /* it has only errors */
	const uint8_t *tables;
	uint64_t table_bytes;
	double ns[TURNS], ratio[TURNS], line_ns[TURNS], count_ms[TURNS];
};

static bool sparse; /* the file that is made next has no bytes but those that are written */

int __real_posix_fallocate(int fd, off_t at, off_t len);
int __wrap_posix_fallocate(int fd, off_t at, off_t len);
int __wrap_posix_fallocate(int fd, off_t at, off_t len)
{
	return sparse ? 0 : __real_posix_fallocate(fd, at, len);
}

/* Nor is memory asked for by looking at it. */
int __real_madvise(void *at, size_t len, int advice);
int __wrap_madvise(void *at, size_t len, int advice);
int __wrap_madvise(void *at, size_t len, int advice)
{
	return sparse ? 0 : __real_madvise(at, len, advice);
}

static ssize_t read_nothing(void *context, daxfs_ino ino, uint64_t file, void *buf, size_t len, uint64_t offset)
{
	struct flat *f = context;

	(void)ino;
	if (f->failing)
		return -EIO;
	f->pod.disk.pages += (len + PAGE - 1) / PAGE;
	for (size_t at = 0; at < len; at += PAGE) /* zeros would need no page */
		memcpy((uint8_t *)buf + at, &(uint64_t){ (offset + at) << 8 | file }, sizeof(uint64_t));
	return (ssize_t)len;
}

/* -- memory ------------------------------------------------------------------------------- */

static uint8_t *huge_up(uint8_t *at)
{
	return (uint8_t *)(((uintptr_t)at + HUGE_BYTES - 1) / HUGE_BYTES * HUGE_BYTES);
}

/* Where each host has the file from its beginning on. */
static void find_bases(const char *path, uint8_t *base[TRACE_HOSTS])
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long start, offset;
	char line[512];
	unsigned n = 0;

	while (maps && n < TRACE_HOSTS && fgets(line, sizeof(line), maps))
		if (strstr(line, path) && sscanf(line, "%lx-%*x %*s %lx", &start, &offset) == 2 && offset == 0)
			base[n++] = (uint8_t *)start;
	if (maps)
		fclose(maps);
	if (n < TRACE_HOSTS)
		bench_fail("cache: %s is not mapped", path);
}

/* Whole huge pages between the two have the same memory again and again. */
static void alias(int memory, uint8_t *from, uint8_t *to)
{
	for (; from < to; from += ALIAS_BYTES) {
		size_t left = (size_t)(to - from), len = left < ALIAS_BYTES ? left : ALIAS_BYTES;

		if (mmap(from, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, memory, 0) == MAP_FAILED)
			bench_fail("cache: mapping: %s", strerror(errno));
	}
}

/* In huge pages, as the library would have it; best effort, as there. */
static void collapse(uint8_t *from, uint8_t *to)
{
	if (from < to)
		(void)__real_madvise(from, (size_t)(to - from), MADV_COLLAPSE);
}

static int alias_memory(void)
{
	int fd = memfd_create("pages", MFD_CLOEXEC);
	uint8_t *room = mmap(NULL, ALIAS_BYTES + HUGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (fd < 0 || room == MAP_FAILED || ftruncate(fd, ALIAS_BYTES))
		bench_fail("cache: no memory: %s", strerror(errno));
	alias(fd, huge_up(room), huge_up(room) + ALIAS_BYTES);
	memset(huge_up(room), 0, ALIAS_BYTES);
	collapse(huge_up(room), huge_up(room) + ALIAS_BYTES);
	munmap(room, ALIAS_BYTES + HUGE_BYTES);
	return fd;
}

/* Pages of [from, to) of the file that have no bytes there get the same memory, in one host's mapping. */
static void alias_holes(int fd, int memory, uint8_t *base, off_t from, off_t to)
{
	uint8_t *done = base;
	off_t hole;

	while (from < to && (hole = lseek(fd, from, SEEK_HOLE)) >= 0 && hole < to) {
		uint8_t *begin = huge_up(base + hole), *end;

		from = lseek(fd, hole, SEEK_DATA);
		from = from < 0 || from > to ? to : from;
		end = huge_up(base + from + 1) - HUGE_BYTES;
		if (begin >= end)
			continue;
		collapse(done, begin);
		alias(memory, begin, end);
		done = end;
	}
	collapse(done, huge_up(base + lseek(fd, 0, SEEK_END)) - HUGE_BYTES);
}

/* Wherever the pages begin: so much in the middle of the pool is pages. */
static void alias_pages(struct flat *f)
{
	const struct pod *pod = &f->pod;
	int fd = open(pod->path, O_RDONLY | O_CLOEXEC), memory = alias_memory();
	uint8_t *base[TRACE_HOSTS];
	struct daxfs_geometry geometry;
	off_t end;

	if (fd < 0)
		bench_fail("cache: opening the pool: %s", strerror(errno));
	daxfs_geometry(pod->fs[0], &geometry);
	end = (off_t)(geometry.pages * PAGE);
	find_bases(pod->path, base);
	f->tables = base[0];
	f->table_bytes = geometry.size - geometry.pages * PAGE;
	for (unsigned i = 0; i < TRACE_HOSTS; i++)
		alias_holes(fd, memory, base[i], (off_t)geometry.size - end, end);
	close(memory);
	close(fd);
}

/* -- a pool ------------------------------------------------------------------------------- */

static void read_page(struct flat *f, uint64_t number)
{
	uint8_t page[PAGE];
	ssize_t rc = daxfs_read(f->pod.fs[0], f->pod.file[0], page, PAGE, number * PAGE);

	if (rc != PAGE && !(f->failing && rc == -EIO))
		cache_must(rc < 0 ? rc : -EIO, "read");
}

/* The file's index is all there before pages are: the last page of each node. */
static void make_index(struct flat *f)
{
	f->failing = true;
	for (uint64_t at = NODE_PAGES - 1; at < FILE_PARTS * f->pages; at += NODE_PAGES)
		read_page(f, at);
	f->failing = false;
}

/* In order, until it is full. */
static void fill_all(struct flat *f)
{
	uint8_t *buf = malloc(READ_BYTES);

	if (!buf)
		bench_fail("cache: no memory");
	for (uint64_t at = 0; at < f->pages * 9 / 8 * PAGE; at += READ_BYTES)
		cache_must(daxfs_read(f->pod.fs[0], f->pod.file[0], buf, READ_BYTES, at), "read");
	free(buf);
}

static void open_flat(const struct rig *rig, struct flat *f, uint64_t pages)
{
	const struct daxfs_mkfs_options options = { .cache_max = 0 };
	const struct daxfs_storage storage = {
		.struct_size = sizeof(storage),
		.read = read_nothing,
		.context = f,
		.patience_ms = PATIENCE_MS,
	};

	*f = (struct flat){ .pages = pages, .rng = 4711, .storage = storage };
	sparse = true;
	cache_pod_open(rig, &f->pod, pages, &options);
	cache_must(daxfs_backing_detach(f->pod.fs[0], 0), "detach");
	cache_must(daxfs_backing_attach(f->pod.fs[0], 0, &f->storage), "attach");
	cache_file_add(&f->pod, 0, FILE_PARTS * pages, 1);
	make_index(f);
	alias_pages(f);
	sparse = false;
	fill_all(f);
}

/* Pages one by one at random. */
static double fill_some(struct flat *f, unsigned n)
{
	uint64_t before = f->pod.disk.pages, start = cpu_ns();

	for (unsigned i = 0; i < n; i++)
		read_page(f, 1 + random_below(&f->rng, FILE_PARTS * f->pages - 1));
	return (double)(cpu_ns() - start) / (double)(f->pod.disk.pages - before);
}

/* A line of the tables by lot. */
static double load_lines(struct flat *f, unsigned n)
{
	uint64_t start = cpu_ns(), last = 0;

	for (unsigned i = 0; i < n; i++) {
		const uint8_t *at = f->tables + random_below(&f->rng, f->table_bytes / 64 - (last & 1)) * 64;

		last = __atomic_load_n((const uint64_t *)(const void *)at, __ATOMIC_RELAXED);
	}
	return (double)(cpu_ns() - start) / n;
}

/* What counting the cached pages anew takes: a host that attaches a backing does. */
static double count_again(struct flat *f)
{
	uint64_t start = cpu_ns();

	cache_must(daxfs_backing_detach(f->pod.fs[0], 0), "detach");
	cache_must(daxfs_backing_attach(f->pod.fs[0], 0, &f->storage), "attach");
	return (double)(cpu_ns() - start) / 1e6;
}

static void out_pages(const char *what, uint64_t pages, double *v, const char *unit)
{
	struct spread s = spread_of(v, TURNS);
	char name[64];

	snprintf(name, sizeof(name), "cache-flat-%s%llu-pages", what, (unsigned long long)pages);
	out_figure(name, s.median, unit, &s);
}

static void report(struct flat *f, bool smallest)
{
	out_pages("", f->pages, f->ns, "ns of the processor to fill a page in the place of another one");
	if (!smallest)
		out_pages("ratio-", f->pages, f->ratio, "times what that takes in the smallest pool");
	out_pages("line-", f->pages, f->line_ns, "ns of the processor to load a line of its tables by lot");
	out_pages("count-", f->pages, f->count_ms, "ms of the processor to count cached pages anew");
}

static void take_turn(struct flat *flat, unsigned n, unsigned turn)
{
	unsigned fills = bench_args()->quick ? 2000 : 30000;

	for (unsigned i = 0; i < n; i++) {
		flat[i].ns[turn] = fill_some(&flat[i], fills);
		flat[i].ratio[turn] = flat[i].ns[turn] / flat[0].ns[turn];
	}
	for (unsigned i = 0; i < n; i++) {
		flat[i].line_ns[turn] = load_lines(&flat[i], 10 * fills);
		flat[i].count_ms[turn] = count_again(&flat[i]);
	}
}

void bench_cache_flat(const struct rig *rig)
{
	static const uint64_t sizes[SIZES] = { 16384, 262144, 4194304, 16777216, 100000000 };
	static struct flat flat[SIZES];
	unsigned n = bench_args()->quick ? 2 : SIZES;

	if (!bench_wants("cache-flat"))
		return;
	for (unsigned i = 0; i < n; i++)
		open_flat(rig, &flat[i], sizes[i]);
	for (unsigned turn = 0; turn < TURNS; turn++)
		take_turn(flat, n, turn);
	for (unsigned i = 0; i < n; i++) {
		report(&flat[i], i == 0);
		cache_file_close(&flat[i].pod, 0, 1);
		cache_pod_close(&flat[i].pod);
	}
}
