/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_beat.c - the heartbeat thread on a real pool: it beats, it stops
 * while a lane is stuck, and it notices that its host was declared dead.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "daxfs/member.h"
#include "fs/fs.h"
#include "node-agent/beat.h"
#include "hang.h"

#define PERIOD_MS 10
#define WAIT_MS (HANG_S * 1000)

struct fixture {
	char path[64];
	struct daxfs *fs;
	struct daxfs_member *member;
	struct beat beat;
	atomic_int deaths;
};

static void on_dead(void *context)
{
	struct fixture *f = context;

	atomic_fetch_add(&f->deaths, 1);
}

static int setup(void **state)
{
	struct daxfs_mkfs_options options = {
		.struct_size = sizeof(options), .size = 16u << 20, .hosts = 2, .lanes = 2, .heartbeat_ms = PERIOD_MS
	};
	struct fixture *f = calloc(1, sizeof(*f));
	struct daxfs_error err;
	int fd;

	if (!f)
		return -1;
	*state = f;
	strcpy(f->path, "/tmp/test_agent_beat.XXXXXX");
	fd = mkstemp(f->path);
	close(fd);
	unlink(f->path);
	if (fd < 0 || daxfs_mkfs(f->path, &options, &err) != 0 ||
	    daxfs_open(f->path, DAXFS_READ_WRITE, &f->fs, &err) != 0 ||
	    daxfs_member_open(f->path, true, &f->member, &err) != 0 || daxfs_join(f->fs, 0, "host0", &err) != 0)
		return -1;
	f->beat = (struct beat){
		.fs = f->fs,
		.period_ms = PERIOD_MS,
		.stuck_ms = 20 * PERIOD_MS,
		.realtime = true,
		.dead = on_dead,
		.context = f,
	};
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	daxfs_member_close(f->member);
	daxfs_close(f->fs);
	unlink(f->path);
	free(f);
	return 0;
}

static struct daxfs_host_view see(const struct fixture *f)
{
	struct daxfs_host_view view;

	assert_int_equal(daxfs_member_host(f->member, 0, &view), 0);
	return view;
}

static void sleep_ms(long ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

/* Wait until what the pool shows has advanced by n beats. */
static void await_beats(const struct fixture *f, uint64_t n)
{
	uint64_t from = see(f).beat;

	for (int ms = 0; see(f).beat < from + n; ms += PERIOD_MS) {
		if (ms > WAIT_MS)
			fail_msg("it does not beat");
		sleep_ms(PERIOD_MS);
	}
}

static void start(struct fixture *f)
{
	int error;

	assert_int_equal(beat_start(&f->beat, &error), 0);
	assert_true(error == 0 || error == -EPERM || error == -ENOMEM); /* not everybody may */
}

static void test_beats_in_the_pool(void **state)
{
	struct fixture *f = *state;
	uint64_t last;

	start(f);
	await_beats(f, 10);
	beat_stop(&f->beat);
	last = see(f).beat;
	assert_true(atomic_load(&f->beat.beats) == last);
	sleep_ms(5 * PERIOD_MS);
	assert_true(see(f).beat == last);
	assert_int_equal(atomic_load(&f->deaths), 0);
}

static void test_stuck_lane_stops_it(void **state)
{
	struct fixture *f = *state;
	struct lane *stuck;
	uint64_t last;

	start(f);
	await_beats(f, 2);
	stuck = fs_take_lane(f->fs);
	for (int ms = 0; !atomic_load(&f->beat.withheld); ms += PERIOD_MS) {
		assert_true(ms < WAIT_MS);
		sleep_ms(PERIOD_MS);
	}
	last = see(f).beat;
	sleep_ms(10 * PERIOD_MS);
	assert_true(see(f).beat == last);
	fs_put_lane(f->fs, stuck);
	await_beats(f, 2);
	assert_false(atomic_load(&f->beat.withheld));
	beat_stop(&f->beat);
}

static void move(struct fixture *f, enum daxfs_host_state to, uint32_t epoch)
{
	struct daxfs_host_view view = see(f);

	assert_int_equal(daxfs_member_move(f->member, &view, to, -1, epoch, DAXFS_REASON_BEAT_LOST, 1), 0);
}

static void test_death_is_noticed_once(void **state)
{
	struct fixture *f = *state;
	struct daxfs_manager_view manager;
	uint32_t epoch;
	uint64_t last;

	start(f);
	await_beats(f, 2);
	daxfs_member_manager(f->member, &manager);
	assert_int_equal(daxfs_member_claim(f->member, &manager, &epoch), 0);
	move(f, DAXFS_HOST_SUSPECT, epoch);
	await_beats(f, 2); /* late is not dead */
	assert_int_equal(atomic_load(&f->deaths), 0);
	move(f, DAXFS_HOST_FENCING, epoch);
	for (int ms = 0; !atomic_load(&f->deaths); ms += PERIOD_MS) {
		assert_true(ms < WAIT_MS);
		sleep_ms(PERIOD_MS);
	}
	last = see(f).beat;
	sleep_ms(5 * PERIOD_MS);
	assert_true(see(f).beat == last);
	assert_int_equal(atomic_load(&f->deaths), 1);
	beat_stop(&f->beat);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_beats_in_the_pool, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stuck_lane_stops_it, setup, teardown),
		cmocka_unit_test_setup_teardown(test_death_is_noticed_once, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
