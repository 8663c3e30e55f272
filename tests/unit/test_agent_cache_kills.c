/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_cache_kills.c - hosts and agents that die while they fill, evict and write back, through real mounts.
 *
 * Each round kills one host, or the process that serves on it, while both hosts write and all three read more than the
 * cache may have: in the middle of a read of storage or behind it, when it makes room, when half of a write has
 * reached storage, before or behind a sync, or anywhere. The calls of storage are wrapped, so that the thread which
 * comes to that place stops there until it is killed. A host that dies takes with it what it wrote to storage and had
 * not synced, as the client of a network file system does: the wrappers keep what was synced.
 *
 * Then: what was acknowledged is in the pool, what was synced in storage; whoever asks has all of it there, and storage
 * and pool are equal; each page can be read, and none is left claimed or dirty. DAXFS_KILLS says how many rounds;
 * figures are printed. Bytes that are written are counters that only grow, so each block tells which write it is of.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#define STORAGE_OPTIONS "size=32m,nr_inodes=300"
#define CACHE_MAX (1 << 20)
#include "agent_cold.h"
#include "agent_tree.h"
#include "storage_calls.h"
#include "fs/cache.h"

#define BLOCK 3000u /* bytes: its blocks begin and end within pages */
#define BLOCKS 64u
#define SPACE (BLOCK * BLOCKS)
#define HALF 2048u /* of a page: what of it is on stable storage is whole, in any order */
#define READ_PAGES 16u
#define ROUNDS 7u
#define KILLS_MAX 2000u
#define STUCK_MS 30000 /* so long nothing is read */
#define FILES 2        /* that are written */

enum stop { IN_WRITE, IN_READ, BEFORE_SYNC, IN_EVICTION, AFTER_SYNC, AFTER_READ, ANYWHERE, STOPS };

static const char *const stop_name[STOPS] = {
	[IN_WRITE] = "within a write-back",
	[IN_READ] = "within a fill",
	[BEFORE_SYNC] = "before a sync",
	[IN_EVICTION] = "within an eviction",
	[AFTER_SYNC] = "behind a sync",
	[AFTER_READ] = "behind the read of a fill",
	[ANYWHERE] = "anywhere",
};

/* a file as stable storage has it: of two copies the one that is whole */
struct safe {
	atomic_ullong number;
	atomic_uint which, writer; /* 1 + the host that has written since */
	uint8_t bytes[2][SPACE];
};

/* between the test and its agents */
static struct {
	atomic_int stop, host, hit;
	atomic_ullong offset; /* of the fill that was stopped */
	struct safe safe[FILES];
} * shared;

/* -- storage, as agents call it ----------------------------------------------------------------- */

static bool is_to_stop(enum stop at)
{
	int none = 0;

	return atomic_load(&shared->stop) == (int)at && atomic_load(&shared->host) == tree_host &&
	       atomic_compare_exchange_strong(&shared->hit, &none, 1);
}

static void stop_here(void)
{
	for (;;)
		pause();
}

static struct safe *safe_of(int fd)
{
	struct stat st;

	if (fstat(fd, &st) == 0)
		for (int i = 0; i < FILES; i++)
			if (atomic_load(&shared->safe[i].number) == st.st_ino)
				return &shared->safe[i];
	return NULL;
}

ssize_t __wrap_storage_read(int root, const char *path, void *buf, size_t len, uint64_t offset,
			    struct storage_entry *now)
{
	ssize_t rc;

	if (path[0] == 'c' && is_to_stop(IN_READ)) {
		atomic_store(&shared->offset, offset);
		stop_here();
	}
	rc = __real_storage_read(root, path, buf, len, offset, now);
	if (path[0] == 'c' && is_to_stop(AFTER_READ)) {
		atomic_store(&shared->offset, offset);
		stop_here();
	}
	return rc;
}

int __wrap_storage_write(int fd, const void *buf, size_t len, uint64_t offset)
{
	struct safe *safe = safe_of(fd);

	if (safe)
		atomic_store(&safe->writer, 1u + (unsigned)tree_host);
	if (is_to_stop(IN_WRITE)) {
		__real_storage_write(fd, buf, len / 2, offset);
		stop_here();
	}
	return __real_storage_write(fd, buf, len, offset);
}

int __wrap_storage_sync(int fd, const struct timespec *mtime, struct storage_entry *now)
{
	struct safe *safe = safe_of(fd);
	int rc;

	if (is_to_stop(BEFORE_SYNC))
		stop_here();
	rc = __real_storage_sync(fd, mtime, now);
	if (rc == 0 && safe) {
		unsigned other = !atomic_load(&safe->which);
		char path[32];
		int in;

		/* The descriptor is for writing alone. */
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		in = open(path, O_RDONLY | O_CLOEXEC);
		if (in < 0 || pread(in, safe->bytes[other], SPACE, 0) < 0)
			abort();
		close(in);
		atomic_store(&safe->which, other);
		atomic_store(&safe->writer, 0);
	}
	if (is_to_stop(AFTER_SYNC))
		stop_here();
	return rc;
}

/* It holds a lane here, and goes on: it is killed in what follows. */
int __real_cache_make_room(struct daxfs *fs, struct lane *lane, unsigned n);
int __wrap_cache_make_room(struct daxfs *fs, struct lane *lane, unsigned n);
int __wrap_cache_make_room(struct daxfs *fs, struct lane *lane, unsigned n)
{
	is_to_stop(IN_EVICTION);
	return __real_cache_make_room(fs, lane, n);
}

/* -- work ------------------------------------------------------------------------------------------- */

struct work {
	struct tree *t;
	int host;
	unsigned round, random;
	atomic_bool stop;
	atomic_uint wrong; /* pages that were read and are others */
	uint32_t tried[BLOCKS], acknowledged[BLOCKS], synced[BLOCKS];
};

static unsigned draw(unsigned *random, unsigned n)
{
	return (*random = *random * 1103515245 + 12345) / 65536 % n;
}

static const char *path_of(const struct work *w, char kind, char *path)
{
	sprintf(path, "data/%c%u", kind, w->round);
	if (kind == 'w')
		sprintf(path, "data/w%u-%d", w->round, w->host);
	return path;
}

/* In storage. */
static const char *name_of(const struct work *w, char kind, char *path)
{
	return in(w->t, path_of(w, kind, path) + strlen("data/"));
}

static void fill_block(uint8_t *block, uint32_t value)
{
	for (size_t i = 0; i < BLOCK; i += sizeof(value))
		memcpy(block + i, &value, sizeof(value));
}

/* One value in all of the block, or fail. */
static uint32_t value_of(const uint8_t *block)
{
	uint32_t value, other;

	memcpy(&value, block, sizeof(value));
	for (size_t i = 0; i < BLOCK; i += sizeof(other)) {
		memcpy(&other, block + i, sizeof(other));
		assert_int_equal(other, value);
	}
	return value;
}

static void *write_and_sync(void *arg)
{
	struct work *w = arg;
	uint8_t block[BLOCK];
	char path[64];
	int fd = open(at(&w->t->pod, w->host, path_of(w, 'w', path)), O_RDWR | O_CLOEXEC);

	for (uint32_t value = 1; fd >= 0 && !atomic_load(&w->stop); value++) {
		unsigned i = draw(&w->random, BLOCKS);

		w->tried[i] = value;
		fill_block(block, value);
		if (pwrite(fd, block, BLOCK, (off_t)i * BLOCK) != BLOCK)
			break;
		w->acknowledged[i] = value;
		if (value % 13 == 0 && fsync(fd) == 0) /* a process that begins has not found the storage yet */
			memcpy(w->synced, w->acknowledged, sizeof(w->synced));
	}
	if (fd >= 0)
		close(fd);
	return NULL;
}

/* Past the kernel's pages, from anywhere on for a while. */
static void *read_cold(void *arg)
{
	struct work *w = arg;
	char path[64];
	int fd = open(at(&w->t->pod, w->host, path_of(w, 'c', path)), O_RDONLY | O_DIRECT | O_CLOEXEC);
	uint8_t *bytes = aligned_alloc(PAGE, READ_PAGES * PAGE);
	uint64_t page = 0;

	while (fd >= 0 && bytes && !atomic_load(&w->stop)) {
		unsigned n = 1 + draw(&w->random, READ_PAGES);

		if (draw(&w->random, 8) == 0 || page + n > COLD_PAGES)
			page = draw(&w->random, COLD_PAGES - READ_PAGES);
		if (pread(fd, bytes, (size_t)n * PAGE, (off_t)(page * PAGE)) != (ssize_t)n * PAGE) {
			usleep(1000); /* its host dies; who lives is asked for each page at the end */
			continue;
		}
		atomic_fetch_add(&w->wrong, count_wrong(bytes, w->round, page, n));
		page += n;
	}
	if (fd >= 0)
		close(fd);
	free(bytes);
	return NULL;
}

/* A file of zeros, which is safe. */
static void put_zeros(const struct work *w)
{
	struct safe *safe = &shared->safe[w->host];
	char path[64];
	struct stat st;
	int fd = open(name_of(w, 'w', path), O_WRONLY | O_CREAT | O_EXCL, 0644);

	memset(safe->bytes, 0, sizeof(safe->bytes));
	assert_int_equal(write(fd, safe->bytes[0], SPACE), SPACE);
	assert_int_equal(fstat(fd, &st), 0);
	atomic_store(&safe->writer, 0);
	atomic_store(&safe->number, st.st_ino);
	close(fd);
}

/* -- what must hold -------------------------------------------------------------------------------- */

/* Blocks of the file are no older than that. Storage has whole pages at a time, not whole writes. */
static void expect_blocks(const struct work *w, const char *path, const uint32_t *least, bool whole)
{
	uint8_t block[BLOCK];
	int fd = open(path, O_RDONLY);

	assert_true(fd >= 0);
	for (unsigned i = 0; i < BLOCKS; i++) {
		assert_int_equal(pread(fd, block, BLOCK, (off_t)i * BLOCK), BLOCK);
		if (whole)
			value_of(block);
		for (size_t at = 0; at < BLOCK; at += sizeof(uint32_t)) {
			uint32_t value;

			memcpy(&value, block + at, sizeof(value));
			assert_in_range(value, least[i], w->tried[i]);
		}
	}
	close(fd);
}

static void expect_cold(const struct work *w, int host)
{
	uint8_t *bytes = aligned_alloc(PAGE, READ_PAGES * PAGE);
	char path[64];
	int fd = open(at(&w->t->pod, host, path_of(w, 'c', path)), O_RDONLY | O_DIRECT);

	assert_true(bytes && fd >= 0);
	for (uint64_t page = 0; page < COLD_PAGES; page += READ_PAGES) {
		size_t n = COLD_PAGES - page < READ_PAGES ? COLD_PAGES - page : READ_PAGES;

		if (pread(fd, bytes, n * PAGE, (off_t)(page * PAGE)) != (ssize_t)(n * PAGE))
			fail_msg("host %d cannot read page %llu: %s", host, (unsigned long long)page, strerror(errno));
		assert_int_equal(count_wrong(bytes, w->round, page, (unsigned)n), 0);
	}
	close(fd);
	free(bytes);
}

static void expect_equal(const struct work *w, int host)
{
	static uint8_t here[SPACE], there[SPACE];
	char path[64];
	int fd = open(at(&w->t->pod, host, path_of(w, 'w', path)), O_RDONLY);

	assert_int_equal(read(fd, here, SPACE), SPACE);
	close(fd);
	fd = open(name_of(w, 'w', path), O_RDONLY);
	assert_int_equal(read(fd, there, SPACE), SPACE);
	close(fd);
	assert_memory_equal(here, there, SPACE);
}

/* Nobody works: no page is dirty, and none stays claimed: what others asked for may still be read. */
static void expect_at_rest(struct daxfs *fs, const struct work *w, char kind)
{
	struct daxfs_attr dir, attr;
	struct daxfs_cached seen;
	char path[64];

	assert_int_equal(daxfs_beat(fs), 0);
	assert_int_equal(daxfs_lookup(fs, DAXFS_ROOT, "data", &dir), 0);
	assert_int_equal(daxfs_lookup(fs, dir.ino, path_of(w, kind, path) + strlen("data/"), &attr), 0);
	for (int ms = 0; daxfs_cached(fs, attr.ino, &seen) == 0 && seen.filling; ms++) {
		if (ms > STUCK_MS)
			fail_msg("%u pages of %s stay claimed", (unsigned)seen.filling, path);
		usleep(1000);
	}
	assert_int_equal(seen.dirty, 0);
	assert_int_equal(seen.lost, 0);
}

/* -- a round ----------------------------------------------------------------------------------------- */

struct scene {
	struct tree *t;
	struct daxfs *fs; /* of one who looks */
	unsigned kills[STOPS], hosts, n_flush, n_fill;
	int64_t flush_ns[KILLS_MAX], fill_ns[KILLS_MAX]; /* from the proof of a death on */
};

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Of what the host wrote to storage and did not sync each half of a page stays or goes, by lot. */
static void forget_unsynced(const struct work *w, int victim)
{
	struct safe *safe = &shared->safe[w->host];
	const uint8_t *stable = safe->bytes[atomic_load(&safe->which)];
	static uint8_t bytes[SPACE];
	unsigned random = w->random;
	char path[64];
	int fd;

	if (atomic_load(&safe->writer) != 1u + (unsigned)victim)
		return;
	fd = open(name_of(w, 'w', path), O_RDWR);
	memcpy(bytes, stable, SPACE);
	assert_true(pread(fd, bytes, SPACE, 0) >= 0);
	for (size_t i = 0; i < SPACE; i += HALF)
		if (draw(&random, 2))
			memcpy(bytes + i, stable + i, HALF < SPACE - i ? HALF : SPACE - i);
	assert_int_equal(pwrite(fd, bytes, SPACE, 0), SPACE);
	close(fd);
	atomic_store(&safe->writer, 0);
}

static void await_hit(enum stop stop, unsigned *random)
{
	alarm(HANG_S);
	while (stop != ANYWHERE && !atomic_load(&shared->hit))
		usleep(50);
	alarm(0);
	if (draw(random, 2) || stop == ANYWHERE)
		usleep(draw(random, stop == ANYWHERE ? 100000 : 2000));
	atomic_store(&shared->stop, -1);
}

static void sync_through(const struct work *w, int host)
{
	char path[64];
	int fd = open(at(&w->t->pod, host, path_of(w, 'w', path)), O_RDONLY);

	assert_true(fd >= 0);
	while (fsync(fd) != 0) {
		assert_true(errno == ENXIO || errno == ENOTCONN); /* its new process has not found the storage yet */
		usleep(20000);
	}
	close(fd);
}

/* The pages of the fill that was stopped. */
static void take_over_fill(struct scene *x, const struct work *w, int host, int64_t since_ns)
{
	uint64_t page = atomic_load(&shared->offset) / PAGE;
	uint8_t *bytes = aligned_alloc(PAGE, PAGE);
	char path[64];
	int fd = open(at(&w->t->pod, host, path_of(w, 'c', path)), O_RDONLY | O_DIRECT);

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, bytes, PAGE, (off_t)(page * PAGE)), PAGE);
	assert_int_equal(count_wrong(bytes, w->round, page, 1), 0);
	x->fill_ns[x->n_fill++] = now_ns() - since_ns;
	close(fd);
	free(bytes);
}

static int64_t kill_whole(struct scene *x, const struct work *w, int victim, int survivor)
{
	int64_t proved;

	kill_host(x->t, victim);
	for (int i = 0; i < FILES; i++)
		forget_unsynced(&w[i], victim);
	manager_fence(&x->t->manager, (unsigned)victim);
	proved = now_ns();
	manager_move(&x->t->manager, (unsigned)victim, DAXFS_HOST_RECOVERING, survivor);
	x->hosts++;
	return proved;
}

static void expect_nothing_lost(const struct work *w, int host)
{
	char path[64];

	expect_blocks(w, at(&w->t->pod, host, path_of(w, 'w', path)), w->acknowledged, true);
	expect_blocks(w, name_of(w, 'w', path), w->synced, false);
}

static void end_files(struct work *w, int host)
{
	char path[64];

	for (int i = 0; i < FILES; i++)
		assert_int_equal(unlink(at(&w->t->pod, host, path_of(&w[i], 'w', path))), 0);
	assert_int_equal(unlink(at(&w->t->pod, host, path_of(w, 'c', path))), 0);
}

/* Everybody reads, and those that can write; one is killed. w: of the hosts. */
static void play(struct scene *x, struct work *w, enum stop stop, int victim, bool whole)
{
	const int survivor = !victim;
	pthread_t reader[POD_HOSTS], writer[FILES];
	int64_t proved;
	char path[64];

	for (int i = 0; i < POD_HOSTS; i++)
		assert_int_equal(pthread_create(&reader[i], NULL, read_cold, &w[i]), 0);
	for (int i = 0; i < FILES; i++)
		assert_int_equal(pthread_create(&writer[i], NULL, write_and_sync, &w[i]), 0);
	await_hit(stop, &w->random);
	proved = now_ns();
	if (whole)
		proved = kill_whole(x, w, victim, survivor);
	else
		pod_kill_server(&x->t->pod, victim);
	if (whole && (stop == IN_READ || stop == AFTER_READ))
		take_over_fill(x, w, survivor, proved);
	if (!whole)
		usleep(20000); /* the next process has some of the work */
	for (int i = 0; i < POD_HOSTS; i++)
		atomic_store(&w[i].stop, true);
	pthread_join(writer[victim], NULL);
	expect_nothing_lost(&w[victim], survivor);
	sync_through(&w[victim], survivor);
	if (whole)
		x->flush_ns[x->n_flush++] = now_ns() - proved;
	expect_blocks(&w[victim], name_of(&w[victim], 'w', path), w[victim].acknowledged, true);
	pthread_join(writer[survivor], NULL);
	for (int i = 0; i < POD_HOSTS; i++)
		pthread_join(reader[i], NULL);
}

static void expect_all_well(struct scene *x, struct work *w, int survivor, bool whole)
{
	for (int i = 0; i < POD_HOSTS; i++) {
		assert_int_equal(atomic_load(&w[i].wrong), 0);
		if (i != !survivor || !whole)
			expect_cold(&w[i], i);
	}
	for (int i = 0; i < FILES; i++) {
		sync_through(&w[i], survivor);
		expect_nothing_lost(&w[i], survivor);
		expect_equal(&w[i], survivor);
		expect_at_rest(x->fs, &w[i], 'w');
	}
	expect_at_rest(x->fs, w, 'c');
}

static void one_round(struct scene *x, unsigned round)
{
	static struct work w[POD_HOSTS];
	const enum stop stop = round % STOPS;
	const int victim = round / STOPS % 2 ? A : B;
	const bool whole = round % 3 != 2;
	char path[64];

	for (int i = 0; i < POD_HOSTS; i++)
		w[i] = (struct work){ .t = x->t, .host = i, .round = round, .random = round * 7919 + (unsigned)i };
	put_cold(name_of(w, 'c', path), round);
	for (int i = 0; i < FILES; i++)
		put_zeros(&w[i]);
	atomic_store(&shared->hit, 0);
	atomic_store(&shared->host, victim);
	atomic_store(&shared->stop, (int)stop);
	play(x, w, stop, victim, whole);
	expect_all_well(x, w, !victim, whole);
	end_files(w, !victim);
	x->kills[stop]++;
	if (whole)
		start(x->t, victim);
}

/* -- all of them ---------------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void report(const char *what, int64_t *ns, unsigned n)
{
	if (!n)
		return;
	qsort(ns, n, sizeof(*ns), compare);
	print_message("%s: p50 %.1f ms, p99 %.1f ms, most %.1f ms (%u)\n", what, (double)ns[n / 2] / 1e6,
		      (double)ns[n * 99 / 100] / 1e6, (double)ns[n - 1] / 1e6, n);
}

static void test_kills(void **state)
{
	struct tree *t = *state;
	const char *more = getenv("DAXFS_KILLS");
	unsigned rounds = more ? (unsigned)atoi(more) : ROUNDS, n = 0;
	struct scene *x = calloc(1, sizeof(*x));
	struct daxfs_error err = { .text = "" };

	if (!pod_possible()) {
		free(x);
		skip();
	}
	x->t = t;
	assert_int_equal(daxfs_open(t->pod.pool, DAXFS_READ_WRITE, &x->fs, &err), 0);
	assert_int_equal(daxfs_join(x->fs, 3, "looks", &err), 0);
	for (; n < rounds && n < KILLS_MAX; n++) {
		print_message("round %u: %s\n", n, stop_name[n % STOPS]);
		one_round(x, n);
	}
	assert_int_equal(daxfs_leave(x->fs), 0);
	daxfs_close(x->fs);
	print_message(
		"%u kills, %u of them of hosts, %u while they wrote back: nothing acknowledged or synced is lost, "
		"no page is left claimed or dirty\n",
		n, x->hosts, x->kills[IN_WRITE] + x->kills[BEFORE_SYNC] + x->kills[AFTER_SYNC]);
	report("from the proof of a death to a sync of what it left dirty", x->flush_ns, x->n_flush);
	report("from there to the bytes of a page that it was filling", x->fill_ns, x->n_fill);
	pod_leave_clean(&t->pod);
	free(x);
}

static int setup_hosts(void **state)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(shared != MAP_FAILED);
	atomic_store(&shared->stop, -1);
	return setup(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kills),
	};

	return cmocka_run_group_tests(tests, setup_hosts, teardown);
}
