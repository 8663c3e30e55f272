/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_threads.c - real threads of several hosts on one pool: conflicts are
 * resolved by helping, nothing is lost, nothing leaks.
 */
#include <pthread.h>
#include <unistd.h>

#include "hang.h"
#include "pod.h"

#define THREADS 6
#define ROUNDS 4000

struct worker {
	struct pod *pod;
	unsigned id;
	daxfs_ino dir, file, log;
	unsigned created, appended;
	int error;
};

static struct daxfs *host_of(const struct worker *w)
{
	return w->pod->fs[w->id % POD_HOSTS];
}

static void run_threads(struct worker *workers, void *(*fn)(void *))
{
	pthread_t thread[THREADS];

	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, fn, &workers[i]), 0);
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(thread[i], NULL);
		assert_int_equal(workers[i].error, 0);
	}
}

static void expect(struct worker *w, long rc, long also)
{
	if (rc < 0 && rc != also && !w->error)
		w->error = (int)rc;
}

/* All threads fight for the same few names, one log and one page. */
static void *fight(void *arg)
{
	struct worker *w = arg;
	struct daxfs *fs = host_of(w);
	unsigned seed = w->id + 1;
	char a[16], b[16];
	uint64_t page[512];

	for (unsigned i = 0; i < ROUNDS && !w->error; i++) {
		int rc;

		snprintf(a, sizeof(a), "n%u", (unsigned)rand_r(&seed) % 8);
		snprintf(b, sizeof(b), "n%u", (unsigned)rand_r(&seed) % 8);
		rc = daxfs_mknod(fs, w->dir, a, S_IFREG | 0644, 0, pod_root, false, NULL);
		w->created += rc == 0;
		expect(w, rc, -EEXIST);
		expect(w, daxfs_rename(fs, w->dir, a, w->dir, b, i % 5 ? 0 : DAXFS_RENAME_EXCHANGE), -ENOENT);
		expect(w, daxfs_unlink(fs, w->dir, b), -ENOENT);
		for (unsigned k = 0; k < 512; k++)
			page[k] = (uint64_t)w->id << 32 | i;
		expect(w, daxfs_write(fs, w->file, page, sizeof(page), 0, 0), 0);
		page[1] = w->id;
		rc = (int)daxfs_write(fs, w->log, page, 16, 0, DAXFS_APPEND);
		w->appended += rc == 16;
		expect(w, rc, 0);
		if (daxfs_read(fs, w->file, page, sizeof(page), 0) != sizeof(page))
			w->error = -EIO;
		for (unsigned k = 1; k < 512; k++)
			if (page[k] != page[0]) /* a torn page */
				w->error = -EILSEQ;
	}
	return NULL;
}

static void everybody_wins_sometimes(void **state)
{
	struct pod pod;
	struct worker w[THREADS] = { 0 };
	daxfs_ino dir, file, log;
	uint64_t record[2], last[THREADS] = { 0 }, seen = 0;

	(void)state;
	alarm(HANG_S);
	pod_start_with(&pod, 16 << 20, (struct daxfs_mkfs_options){ .inodes = 512, .lanes = 2 });
	dir = pod_mkdir(pod.fs[0], DAXFS_ROOT, "d");
	file = pod_create(pod.fs[0], DAXFS_ROOT, "f");
	log = pod_create(pod.fs[0], DAXFS_ROOT, "log");
	for (unsigned i = 0; i < THREADS; i++)
		w[i] = (struct worker){ .pod = &pod, .id = i, .dir = dir, .file = file, .log = log };
	run_threads(w, fight);
	pod_check(&pod);
	while (daxfs_read(pod.fs[0], log, record, 16, 16 * seen) == 16) {
		assert_true(record[1] < THREADS);
		assert_true((record[0] & 0xffffffff) + 1 > last[record[1]]); /* in the writer's order */
		last[record[1]] = (record[0] & 0xffffffff) + 1;
		seen++;
	}
	for (unsigned i = 0; i < THREADS; i++) {
		assert_true(w[i].created > 0);
		assert_int_equal(w[i].appended, ROUNDS);
	}
	assert_int_equal(seen, THREADS * ROUNDS);
	pod_stop(&pod);
}

/* Writers and truncators of one file; extents must stay whole. */
static void *cut_and_write(void *arg)
{
	struct worker *w = arg;
	struct daxfs *fs = host_of(w);
	unsigned seed = w->id + 77;
	uint8_t *buf = malloc(70000);

	for (unsigned i = 0; i < ROUNDS / 4 && !w->error; i++) {
		struct daxfs_attr in = { .size = (unsigned)rand_r(&seed) % 3000000 };
		uint64_t offset = (unsigned)rand_r(&seed) % 3000000;

		memset(buf, 1 + (int)w->id, 70000);
		if (i % 4 == 0)
			expect(w, daxfs_setattr(fs, w->file, DAXFS_SET_SIZE, &in, NULL), 0);
		else
			expect(w, daxfs_write(fs, w->file, buf, (unsigned)rand_r(&seed) % 70000, offset, 0), 0);
	}
	free(buf);
	return NULL;
}

static void truncation_under_fire(void **state)
{
	struct pod pod;
	struct worker w[THREADS] = { 0 };
	daxfs_ino file;

	(void)state;
	alarm(HANG_S);
	pod_start_with(&pod, 32 << 20, (struct daxfs_mkfs_options){ .inodes = 64 });
	file = pod_create(pod.fs[0], DAXFS_ROOT, "f");
	for (unsigned i = 0; i < THREADS; i++)
		w[i] = (struct worker){ .pod = &pod, .id = i, .file = file };
	run_threads(w, cut_and_write);
	pod_check(&pod);
	assert_int_equal(daxfs_unlink(pod.fs[0], DAXFS_ROOT, "f"), 0);
	assert_int_equal(pod_check(&pod).usage.pages.live, 1);
	pod_stop(&pod);
}

/* A shared directory grows and shrinks; nodes come and go under everyone. */
static void *grow_and_shrink(void *arg)
{
	struct worker *w = arg;
	struct daxfs *fs = host_of(w);
	char name[32];

	for (unsigned round = 0; round < 4 && !w->error; round++) {
		for (unsigned i = 0; i < 300; i++) {
			snprintf(name, sizeof(name), "t%u.%u", w->id, i);
			expect(w, daxfs_mknod(fs, w->dir, name, S_IFREG | 0644, 0, pod_root, false, NULL), 0);
		}
		for (unsigned i = 0; i < 300; i++) {
			snprintf(name, sizeof(name), "t%u.%u", w->id, i);
			expect(w, pod_lookup(fs, w->dir, name, NULL), 0);
			expect(w, daxfs_unlink(fs, w->dir, name), 0);
		}
	}
	return NULL;
}

static void directory_breathes(void **state)
{
	struct pod pod;
	struct worker w[THREADS] = { 0 };
	daxfs_ino dir;

	(void)state;
	alarm(HANG_S);
	pod_start_with(&pod, 32 << 20, (struct daxfs_mkfs_options){ .inodes = 4096 });
	dir = pod_mkdir(pod.fs[0], DAXFS_ROOT, "d");
	for (unsigned i = 0; i < THREADS; i++)
		w[i] = (struct worker){ .pod = &pod, .id = i, .dir = dir };
	run_threads(w, grow_and_shrink);
	pod_check(&pod);
	assert_int_equal(daxfs_rmdir(pod.fs[1], DAXFS_ROOT, "d"), 0);
	assert_int_equal(pod_check(&pod).usage.pages.live, 1);
	pod_stop(&pod);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everybody_wins_sometimes),
		cmocka_unit_test(truncation_under_fire),
		cmocka_unit_test(directory_breathes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
