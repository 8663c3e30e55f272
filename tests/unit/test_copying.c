/* SPDX-License-Identifier: Apache-2.0 */
/* test_copying.c - which way the bytes of a large write go (fs/copying.c). */
#include "fs/copying.h"
#include "pod.h"

#define LARGE (64u << 10)

/* One copy that takes so many ticks: did it go around the caches? */
static bool copy(const struct shm *shm, struct copy_speed *speed, bool warm, uint64_t ordinary, uint64_t streaming)
{
	struct copying copying;

	copying_begin(shm, speed, LARGE, warm, &copying);
	copying.began = sm_ticks() - (copying.streams ? streaming : ordinary);
	copying_end(&copying);
	return copying.streams;
}

static unsigned streamed(const struct shm *shm, struct copy_speed *speed, unsigned n, bool warm, uint64_t ordinary,
			 uint64_t streaming)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < n; i++)
		sum += copy(shm, speed, warm, ordinary, streaming);
	return sum;
}

/* Each way is tried, then the faster one is taken, and the other now and then; each kind of place by itself. */
static void the_faster_way(void **state)
{
	struct shm shm = { .wb = false };
	struct copy_speed speed = { .copies = 0 };

	(void)state;
	streamed(&shm, &speed, 8, false, 900000000, 100000000);
	assert_in_range(streamed(&shm, &speed, 320, false, 900000000, 100000000), 300, 319);
	streamed(&shm, &speed, 8, true, 100000000, 900000000);
	assert_in_range(streamed(&shm, &speed, 320, true, 100000000, 900000000), 1, 20);
	/* What was faster may become slower: that is noticed, by and by. */
	streamed(&shm, &speed, 1000, true, 900000000, 100000000);
	assert_in_range(streamed(&shm, &speed, 320, true, 900000000, 100000000), 300, 319);
	assert_in_range(streamed(&shm, &speed, 320, false, 900000000, 100000000), 300, 319);
}

static void what_is_not_chosen(void **state)
{
	struct shm shm = { .wb = false };
	struct copy_speed speed = { .copies = 0 };
	struct copying copying;

	(void)state;
	copying_begin(&shm, &speed, 4096, true, &copying);
	assert_false(copying.streams);
	copying_end(&copying);
	copying_begin(&shm, &speed, 0, true, &copying);
	copying_end(&copying);
	shm.wb = true;
	for (unsigned i = 0; i < 100; i++) {
		copying_begin(&shm, &speed, i * 4096, i % 2, &copying);
		assert_true(copying.streams);
		copying_end(&copying);
	}
	assert_int_equal(speed.ticks[0][0] | speed.ticks[0][1] | speed.ticks[1][0] | speed.ticks[1][1], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_faster_way),
		cmocka_unit_test(what_is_not_chosen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
