/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_progress.c - long work is not taken for a stuck worker, nor does it keep others.
 *
 * Scaled down: a beat comes with every record that is begun, and a worker that has stood
 * still for three of them is stuck. A file of a hundred batches then is to that limit what
 * one of many terabytes, at the same speed, is to ten seconds.
 */
#include <pthread.h>
#include <time.h>

#include "rig.h"

#define STUCK_BEATS 3u
#define BATCHES 100u
#define PAGES (BATCHES * MAP_BATCH)
#define POOL_BYTES ((uint64_t)48 << 20)

static struct watch {
	struct pod *pod;
	struct daxfs *beats; /* whose worker is watched */
	unsigned looks, stuck;
	void (*at_prune)(struct watch *w); /* looks at something in the middle of the work */
	daxfs_ino other;
	unsigned pruning, bad;
} watch;

void __real_record_begin(struct lane *lane, enum record_operation operation);
void __wrap_record_begin(struct lane *lane, enum record_operation operation);

void __wrap_record_begin(struct lane *lane, enum record_operation operation)
{
	if (watch.beats) {
		watch.looks++;
		watch.stuck += !daxfs_progressing(watch.beats, STUCK_BEATS);
	}
	if (operation == OP_PRUNE && watch.pruning++ == BATCHES / 2 && watch.at_prune)
		watch.at_prune(&watch);
	__real_record_begin(lane, operation);
}

static void watch_start(struct pod *pod, struct daxfs *fs, void (*at_prune)(struct watch *w))
{
	watch = (struct watch){ .pod = pod, .beats = fs, .at_prune = at_prune };
}

/* The work was long, and the heart beat all along. */
static void watch_stop(void)
{
	watch.beats = NULL;
	assert_true(watch.looks > BATCHES);
	assert_int_equal(watch.stuck, 0);
	assert_int_equal(watch.bad, 0);
}

static daxfs_ino large(struct daxfs *fs, const char *name)
{
	daxfs_ino ino = pod_create(fs, DAXFS_ROOT, name);
	static uint8_t buf[16 * DAXFS_PAGE_SIZE];

	for (uint64_t at = 0; at < (uint64_t)PAGES * DAXFS_PAGE_SIZE; at += sizeof(buf))
		assert_int_equal(daxfs_write(fs, ino, buf, sizeof(buf), at, 0), sizeof(buf));
	return ino;
}

static uint64_t free_pages(struct daxfs *fs)
{
	struct daxfs_statfs st;

	assert_int_equal(daxfs_statfs(fs, &st), 0);
	return st.pages.free + st.pages.retired;
}

static void unlinked(void **state)
{
	struct pod pod;
	uint64_t before;

	(void)state;
	pod_start(&pod, POOL_BYTES);
	before = free_pages(pod.fs[0]);
	large(pod.fs[0], "f");
	watch_start(&pod, pod.fs[0], NULL);
	assert_int_equal(daxfs_unlink(pod.fs[0], DAXFS_ROOT, "f"), 0);
	watch_stop();
	assert_int_equal(free_pages(pod.fs[0]), before);
	pod_check(&pod);
	pod_stop(&pod);
}

static void truncated(void **state)
{
	struct daxfs_attr attr = { .size = 1 };
	struct pod pod;
	daxfs_ino ino;

	(void)state;
	pod_start(&pod, POOL_BYTES);
	ino = large(pod.fs[0], "f");
	watch_start(&pod, pod.fs[0], NULL);
	assert_int_equal(daxfs_setattr(pod.fs[0], ino, DAXFS_SET_SIZE, &attr, NULL), 0);
	watch_stop();
	pod_check(&pod);
	pod_stop(&pod);
}

static void *hold_other(void *arg)
{
	struct watch *w = arg;
	int rc = daxfs_file_open(w->pod->fs[0], w->other);

	return (void *)(intptr_t)rc;
}

/* A file whose hold is in the same part of the table can be held meanwhile. */
static void holds_other(struct watch *w)
{
	struct daxfs *watched = w->beats;
	struct timespec until;
	pthread_t thread;
	void *rc;

	w->beats = NULL; /* this operation is not the one that is watched */
	w->pruning++;
	assert_int_equal(pthread_create(&thread, NULL, hold_other, w), 0);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 20; /* far more than it takes, on any machine */
	if (pthread_timedjoin_np(thread, &rc, &until))
		fail_msg("whoever opens another file waits for the end of a large one");
	w->bad += rc != NULL;
	w->beats = watched;
}

static void released(void **state)
{
	struct pod pod;
	daxfs_ino ino, other;
	uint64_t before;

	(void)state;
	pod_start(&pod, POOL_BYTES);
	other = pod_create(pod.fs[0], DAXFS_ROOT, "other");
	/* In one pool of 512 the two names meet in a slot of the directory, and get a leaf that stays. */
	pod_create(pod.fs[0], DAXFS_ROOT, "f");
	assert_int_equal(daxfs_unlink(pod.fs[0], DAXFS_ROOT, "f"), 0);
	before = free_pages(pod.fs[0]);
	ino = large(pod.fs[0], "f");
	assert_int_equal(daxfs_file_open(pod.fs[0], ino), 0);
	assert_int_equal(daxfs_unlink(pod.fs[0], DAXFS_ROOT, "f"), 0);
	watch_start(&pod, pod.fs[0], holds_other);
	watch.other = other;
	assert_int_equal(daxfs_file_close(pod.fs[0], ino), 0);
	watch_stop();
	assert_int_equal(free_pages(pod.fs[0]), before);
	assert_int_equal(daxfs_file_close(pod.fs[0], other), 0);
	pod_check(&pod);
	pod_stop(&pod);
}

/* In the middle of a recovery the dead hold nothing back any more, and the recoverer nothing
 * that was retired a few batches ago. */
static void holds_nothing_back(struct watch *w)
{
	struct pool *pool = fs_pool_writable(w->beats);
	uint64_t epoch = sm_load(&pool->member->manager.epoch);
	unsigned per_host = pool->super.lanes_per_host;

	for (unsigned i = 0; i < pool->lanes_total; i++) {
		uint64_t low = sm_load(&pool->lanes[i].low);

		w->bad += i < per_host && low;
		w->bad += low && low < epoch;
	}
}

/* The epoch moves with every record here, as it does where others work. */
static void move_epoch(struct watch *w)
{
	struct pool *pool = fs_pool_writable(w->beats);
	sm_u64 *epoch = &pool->member->manager.epoch;

	holds_nothing_back(w);
	sm_store(epoch, sm_load(epoch) + 1);
	w->pruning = BATCHES / 2; /* again at the next one, too */
}

static void recovered(void **state)
{
	struct daxfs_recovery report;
	struct pod pod;
	struct lane *lane;
	daxfs_ino ino;

	(void)state;
	pod_start(&pod, POOL_BYTES);
	ino = large(pod.fs[0], "f");
	assert_int_equal(daxfs_file_open(pod.fs[0], ino), 0);
	assert_int_equal(daxfs_unlink(pod.fs[0], DAXFS_ROOT, "f"), 0);
	lane = rig_enter(pod.fs[0]); /* and dies there */
	pod_fence(&pod, 0);
	watch_start(&pod, pod.fs[1], move_epoch);
	assert_int_equal(daxfs_recover(pod.fs[1], 0, &report), 0);
	watch_stop();
	assert_int_equal(report.opens, 1);
	fs_put_lane(pod.fs[0], lane);
	pod_check(&pod);
	pod_stop(&pod);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unlinked),
		cmocka_unit_test(truncated),
		cmocka_unit_test(released),
		cmocka_unit_test(recovered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
