/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_cache_spare.c - what fills leave of the pool, how seldom that is added up, files that grow while others fill,
 * and how often cached pages are counted.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "cache_fixture.h"
#include "fs/heat.h"
#include "mem/clock.h"

#define FILE_PAGES 12000u
#define POOL_BYTES (16u << 20)
#define RUN 64u /* pages of a fill at most */

static atomic_uint sums; /* times that what is left was added up */

uint64_t __real_space_left(const struct pool *pool);
uint64_t __wrap_space_left(const struct pool *pool);
uint64_t __wrap_space_left(const struct pool *pool)
{
	atomic_fetch_add(&sums, 1);
	return __real_space_left(pool);
}

static atomic_uint counts; /* times that cached pages were counted by their bytes */
static uint64_t counting_ns, counted_at;

void __real_heat_recount(struct daxfs *fs);
void __wrap_heat_recount(struct daxfs *fs);
void __wrap_heat_recount(struct daxfs *fs)
{
	uint64_t start = monotonic_ns();

	if (atomic_fetch_add(&counts, 1) == 0)
		nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL); /* a pool of some hundred GiB */
	__real_heat_recount(fs);
	counted_at = monotonic_ns();
	counting_ns = counted_at - start;
}

static uint64_t draw(uint64_t *seed, uint64_t n)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (*seed >> 33) % n;
}

/* What the file's pages need that are not there: fills of so many pages at a time, by all hosts in turn. */
static void fill_on(struct fixture *s, unsigned times, unsigned run, uint64_t *seed)
{
	for (unsigned i = 0; i < times; i++)
		expect(s, i % POD_HOSTS, draw(seed, FILE_PAGES - run) * PAGE, run * PAGE);
}

/* What is left while fills of so many pages go on: from the least to the most, but for a record of each host. */
static void expect_left(const struct fixture *s, unsigned run)
{
	uint64_t least = space_reserve(s->pool), most = (least + run) * 5 / 4, slack = POD_HOSTS * run + 16,
		 left = __real_space_left(s->pool);

	if (left + slack < least || left > most + slack)
		fail_msg("%u pages at a time: %llu are left, not %llu to %llu", run, (unsigned long long)left,
			 (unsigned long long)least, (unsigned long long)most);
}

/* Once the pool is full, however large the fills are. */
static void test_what_is_left(void **state)
{
	const unsigned runs[] = { 1, RUN, 1, 8 };
	struct fixture s;
	uint64_t seed = 3;

	(void)state;
	fixture_start(&s, POOL_BYTES, FILE_PAGES * PAGE, PATIENCE_MS);
	for (uint64_t at = 0; at < s.size; at += RUN * PAGE) {
		expect(&s, 1, at, RUN * PAGE);
		if (__real_space_left(s.pool) + RUN < space_reserve(s.pool))
			fail_msg("%llu are left", (unsigned long long)__real_space_left(s.pool));
	}
	for (unsigned k = 0; k < sizeof(runs) / sizeof(runs[0]); k++) {
		fill_on(&s, 600, runs[k], &seed); /* from what it was */
		for (unsigned i = 0; i < 400; i++) {
			fill_on(&s, 1 + i % POD_HOSTS, runs[k], &seed);
			expect_left(&s, runs[k]);
		}
	}
	for (unsigned i = 0; i < 2 * FILE_PAGES / RUN; i++) { /* in order no page is there yet */
		expect(&s, i / 8 % POD_HOSTS, i % (FILE_PAGES / RUN) * RUN * PAGE, RUN * PAGE);
		expect_left(&s, RUN);
	}
	fixture_stop(&s);
}

/* A file takes room, and gives it back; nobody believes anything of before. */
static void come_and_go(struct fixture *s, uint64_t pages, uint64_t *seed)
{
	daxfs_ino file = pod_create(s->pod.fs[0], DAXFS_ROOT, "g");
	uint8_t page[PAGE];

	memset(page, 'p', PAGE);
	for (uint64_t i = 0; i < pages; i++)
		assert_int_equal(daxfs_write(s->pod.fs[0], file, page, PAGE, i * PAGE, 0), PAGE);
	fill_on(s, 300, 1, seed);
	assert_int_equal(daxfs_unlink(s->pod.fs[0], DAXFS_ROOT, "g"), 0);
	for (unsigned i = 0; i < POD_HOSTS; i++)
		atomic_store(cache_room(s->pod.fs[i]), 0);
}

/* One host fills n pages that were not there. */
static void fill_by(struct fixture *s, unsigned host, int64_t n, uint64_t *seed)
{
	for (int64_t end = filled(s) + n; filled(s) < end;)
		expect(s, host, draw(seed, FILE_PAGES) * PAGE, PAGE);
}

/* Each host knows of the same room that a file gave back, and none of what the others take of it. All of them together
 * take no more than that, in whatever order. */
static void test_room_again(void **state)
{
	struct fixture s;
	uint64_t seed = 5;

	(void)state;
	fixture_start(&s, POOL_BYTES, FILE_PAGES * PAGE, PATIENCE_MS);
	for (uint64_t at = 0; at < s.size; at += RUN * PAGE)
		expect(&s, 1, at, RUN * PAGE);
	for (unsigned round = 0; round < 3; round++) {
		come_and_go(&s, 200, &seed);
		fill_by(&s, 1, 1, &seed);
		fill_by(&s, 2, 1, &seed);
		for (unsigned i = 0; i < 3; i++) {
			fill_by(&s, i, i ? 100 : 400, &seed);
			if (__real_space_left(s.pool) + POD_HOSTS * 2 < space_reserve(s.pool))
				fail_msg("after host %u: %llu are left", i,
					 (unsigned long long)__real_space_left(s.pool));
		}
	}
	fixture_stop(&s);
}

/* That is not added up for each page. */
static void test_seldom_added_up(void **state)
{
	const unsigned fills = 3000;
	struct fixture s;
	uint64_t seed = 4;
	unsigned before;

	(void)state;
	fixture_start(&s, POOL_BYTES, FILE_PAGES * PAGE, PATIENCE_MS);
	for (uint64_t at = 0; at < s.size; at += RUN * PAGE)
		expect(&s, 1, at, RUN * PAGE);
	before = atomic_load(&sums);
	fill_on(&s, fills, 1, &seed);
	assert_true(atomic_load(&sums) - before < fills / 8);
	assert_true(atomic_load(&sums) > before);
	fixture_stop(&s);
}

/* -- files and fills at once --------------------------------------------------------- */

struct filler {
	struct fixture *s;
	unsigned host;
	atomic_bool *stop;
	pthread_t thread;
};

static void *fill_till_stopped(void *arg)
{
	const struct filler *f = arg;
	uint64_t seed = f->host;
	uint8_t *buf = malloc(RUN * PAGE);

	for (unsigned i = 0; !atomic_load(f->stop); i++) {
		unsigned run = i % 3 ? 1 : RUN;

		if (daxfs_read(f->s->pod.fs[f->host], f->s->ino, buf, run * PAGE,
			       draw(&seed, FILE_PAGES - run) * PAGE) != (ssize_t)(run * PAGE))
			abort();
	}
	free(buf);
	return NULL;
}

static uint64_t cached(const struct pool *pool)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < pool->objects[DAXFS_T_PAGE]; i++) {
		uint64_t state = sm_load(&pool->state[DAXFS_T_PAGE][i]);

		n += state_of(state) == DAXFS_LIVE && use_of(state) == DAXFS_USE_CACHED;
	}
	return n;
}

/* A file gets all there is but the reserve, while two hosts fill as fast as they can. */
static void files_first(uint64_t pool_bytes)
{
	atomic_bool stop = false;
	struct daxfs_statfs before;
	struct filler filler[2];
	struct fixture s;
	uint8_t page[PAGE];
	daxfs_ino file;
	uint64_t n = 0;
	ssize_t rc;

	memset(page, 'p', PAGE);
	fixture_start(&s, pool_bytes, FILE_PAGES * PAGE, PATIENCE_MS);
	file = pod_create(s.pod.fs[0], DAXFS_ROOT, "g");
	assert_int_equal(daxfs_statfs(s.pod.fs[0], &before), 0);
	for (unsigned i = 0; i < 2; i++) {
		filler[i] = (struct filler){ .s = &s, .host = 1 + i, .stop = &stop };
		assert_int_equal(pthread_create(&filler[i].thread, NULL, fill_till_stopped, &filler[i]), 0);
	}
	while ((rc = daxfs_write(s.pod.fs[0], file, page, PAGE, n * PAGE, 0)) == PAGE)
		n++;
	assert_int_equal(rc, -ENOSPC);
	atomic_store(&stop, true);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(filler[i].thread, NULL);
	/* All but nodes, of both files, and what both have in flight. */
	if (n + space_reserve(s.pool) + 2 * RUN + FILE_PAGES / 256 < before.pages.free)
		fail_msg("%llu pages of %llu, of which %llu are kept: %llu are cached", (unsigned long long)n,
			 (unsigned long long)before.pages.free, (unsigned long long)space_reserve(s.pool),
			 (unsigned long long)cached(s.pool));
	assert_int_equal(daxfs_unlink(s.pod.fs[0], DAXFS_ROOT, "g"), 0);
	fixture_stop(&s);
}

static void test_files_first(void **state)
{
	(void)state;
	files_first(POOL_BYTES);
	files_first(4u << 20);
}

/* -- counting ------------------------------------------------------------------------- */

/* Where it takes long to count cached pages, that is done so much the less often. */
static void test_counting_takes_its_share(void **state)
{
	struct fixture s;
	uint64_t first = 0, took = 0;

	(void)state;
	alarm(HANG_S);
	s = (struct fixture){ .size = 4000 * PAGE };
	pod_start_with(&s.pod, POOL_BYTES,
		       (struct daxfs_mkfs_options){ .inodes = 512, .lanes = 4, .cache_max = 200 * PAGE });
	s.pool = rig_pool(&s.pod);
	for (unsigned i = 0; i < POD_HOSTS; i++)
		storage_attach(&s.storage[i], s.pod.fs[i], BACKING, PATIENCE_MS);
	s.ino = storage_import(s.pod.fs[0], "f", BACKING, FILE_NUMBER, s.size);
	for (uint64_t at = 0; at < 300; at++)
		expect(&s, 0, at * PAGE, PAGE);
	atomic_store(&counts, 0);
	for (uint64_t at = 1000; atomic_load(&counts) < 2; at = at < 3999 ? at + 1 : 1000) {
		if (atomic_load(&counts) == 1 && first != counted_at)
			first = counted_at, took = counting_ns;
		if (heat_cached(s.pool) <= 200)
			heat_count(s.pod.fs[1], 1024); /* of a host that died then */
		expect(&s, 0, at * PAGE, PAGE);
	}
	assert_true(counted_at - counting_ns - first > 16 * took);
	fixture_stop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_left),
		cmocka_unit_test(test_room_again),
		cmocka_unit_test(test_seldom_added_up),
		cmocka_unit_test(test_files_first),
		cmocka_unit_test(test_counting_takes_its_share),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
