/* SPDX-License-Identifier: Apache-2.0 */
/* test_copying.c - which way the bytes of a large write go (fs/copying.c). */
#include "fs/copying.h"
#include "pod.h"

#define LARGE (64u << 10)

#define TRIAL (1u << 10) /* copies, in which a way is tried */
#define REST (32u << 10) /* from the end of a trial to the next one */

/* how long a copy takes; of an ordinary one also while streaming ones have emptied the caches */
struct speed {
	uint64_t ordinary, emptied, streaming;
	unsigned lost_every; /* of so many copies, the processor is lost in one */
};

/* A processor: how far back the last copies that streamed are. */
static unsigned since_stream;
static unsigned copies;

/* One copy: did it go around the caches? */
static bool copy(const struct shm *shm, struct copy_speed *speed, bool warm, const struct speed *s)
{
	struct copying copying;
	uint64_t took;

	copying_begin(shm, speed, LARGE, warm, &copying);
	since_stream = copying.streams ? 0 : since_stream + 1;
	took = copying.streams ? s->streaming : since_stream < TRIAL / 2 ? s->emptied : s->ordinary;
	if (s->lost_every && ++copies % s->lost_every == 0)
		took *= 300;
	copying.began = sm_ticks() - took;
	copying_end(&copying);
	return copying.streams;
}

static unsigned streamed(const struct shm *shm, struct copy_speed *speed, unsigned n, bool warm, const struct speed *s)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < n; i++)
		sum += copy(shm, speed, warm, s);
	return sum;
}

static const struct speed ordinary_wins = { 100000000, 100000000, 900000000, 0 };
static const struct speed streaming_wins = { 900000000, 900000000, 100000000, 0 };

/* Each way is tried, then the faster one is taken, and the other now and then; each kind of place by itself. */
static void the_faster_way(void **state)
{
	struct shm shm = { .wb = false };
	struct copy_speed speed = { 0 };
	const unsigned n = REST + TRIAL;

	(void)state;
	assert_int_equal(streamed(&shm, &speed, 2 * TRIAL, false, &streaming_wins), TRIAL);
	assert_int_equal(streamed(&shm, &speed, n, false, &streaming_wins), REST);
	streamed(&shm, &speed, 2 * TRIAL, true, &ordinary_wins);
	assert_int_equal(streamed(&shm, &speed, n, true, &ordinary_wins), TRIAL);
	/* What was faster may become slower: the next trial notices. */
	streamed(&shm, &speed, n, true, &streaming_wins);
	assert_int_equal(streamed(&shm, &speed, n, true, &streaming_wins), REST);
	assert_int_equal(streamed(&shm, &speed, n, false, &streaming_wins), REST);
}

/* Ordinary copies are the faster way, but for those that come behind streaming ones: one by one they never win. */
static void a_trial_outlasts_what_the_other_way_left(void **state)
{
	const struct speed s = { 100000000, 900000000, 300000000, 0 };
	struct shm shm = { .wb = false };
	struct copy_speed speed = { 0 };

	(void)state;
	streamed(&shm, &speed, 2 * TRIAL, true, &streaming_wins);
	assert_int_equal(streamed(&shm, &speed, 100, true, &s), 100);
	streamed(&shm, &speed, REST + TRIAL, true, &s);
	assert_int_equal(streamed(&shm, &speed, 100, true, &s), 0);
}

/* On a busy machine some copies take a turn of somebody else, too: that says nothing of either way. */
static void a_lost_turn_decides_nothing(void **state)
{
	const struct speed s = { 10000000, 10000000, 12000000, 53 };
	struct shm shm = { .wb = false };
	struct copy_speed speed = { 0 };

	(void)state;
	streamed(&shm, &speed, 2 * TRIAL, true, &s);
	for (unsigned i = 0; i < 40; i++)
		assert_int_equal(streamed(&shm, &speed, REST + TRIAL, true, &s), TRIAL);
}

static void what_is_not_chosen(void **state)
{
	struct shm shm = { .wb = false };
	struct copy_speed speed = { 0 };
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
	assert_int_equal(speed.ways[0].bytes | speed.ways[1].bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_faster_way),
		cmocka_unit_test(a_trial_outlasts_what_the_other_way_left),
		cmocka_unit_test(a_lost_turn_decides_nothing),
		cmocka_unit_test(what_is_not_chosen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
