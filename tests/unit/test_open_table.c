/* SPDX-License-Identifier: Apache-2.0 */
/* test_open_table.c - files held open: counts, bits, the shared table, threads (fs/open_table.c). */
#include <pthread.h>
#include <unistd.h>

#include "hang.h"
#include "rig.h"

#define OPENS 20u

static void small_pod(struct pod *pod, unsigned lanes)
{
	alarm(HANG_S);
	pod_start_with(pod, 8 << 20, (struct daxfs_mkfs_options){ .inodes = 512, .lanes = lanes, .opens = OPENS });
}

/* How often a handle is listed by a host. */
static unsigned listed(struct pod *pod, unsigned host, daxfs_ino ino)
{
	const struct pool *pool = rig_pool(pod);
	unsigned n = 0;

	for (unsigned i = 0; i < pool->super.opens_per_host; i++)
		n += sm_load(&pool->open_table[host * pool->super.opens_per_host + i]) == ino;
	return n;
}

static uint64_t openers(struct pod *pod, daxfs_ino ino)
{
	return word_payload(sm_load(&rig_pool(pod)->inodes[handle_index(ino)].openers[0]), DAXFS_W_OPENERS);
}

static void held_and_released(void **state)
{
	struct pod pod;
	daxfs_ino ino;
	uint64_t word;

	(void)state;
	small_pod(&pod, 2);
	ino = pod_create(pod.fs[0], DAXFS_ROOT, "f");
	assert_int_equal(daxfs_file_close(pod.fs[0], ino), -EBADF);
	assert_int_equal(daxfs_file_open(pod.fs[0], ino), 0);
	assert_int_equal(openers(&pod, ino), 1);
	assert_int_equal(listed(&pod, 0, ino), 1);
	word = sm_load(&rig_pool(&pod)->inodes[handle_index(ino)].openers[0]);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(daxfs_file_open(pod.fs[0], ino), 0);
	/* Only the first one touched the pool. */
	assert_int_equal(sm_load(&rig_pool(&pod)->inodes[handle_index(ino)].openers[0]), word);
	assert_int_equal(listed(&pod, 0, ino), 1);
	assert_int_equal(open_table_count(pod.fs[0]), 1);
	assert_int_equal(daxfs_file_open(pod.fs[2], ino), 0);
	assert_int_equal(openers(&pod, ino), 5);
	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(openers(&pod, ino), 5);
		assert_int_equal(daxfs_file_close(pod.fs[0], ino), 0);
	}
	assert_int_equal(openers(&pod, ino), 4);
	assert_int_equal(listed(&pod, 0, ino), 0);
	assert_int_equal(daxfs_file_close(pod.fs[0], ino), -EBADF);
	assert_int_equal(daxfs_file_close(pod.fs[2], ino), 0);
	assert_int_equal(openers(&pod, ino), 0);
	pod_stop(&pod);
}

/* The file lives until the last holder of any host; who did not hold it comes too late. */
static void nameless(void **state)
{
	struct pod pod;
	struct daxfs_attr attr;
	daxfs_ino ino;
	char c = 'x';

	(void)state;
	small_pod(&pod, 2);
	ino = pod_create(pod.fs[0], DAXFS_ROOT, "f");
	assert_int_equal(daxfs_file_open(pod.fs[0], ino), 0);
	assert_int_equal(daxfs_file_open(pod.fs[1], ino), 0);
	assert_int_equal(daxfs_unlink(pod.fs[2], DAXFS_ROOT, "f"), 0);
	assert_int_equal(daxfs_file_open(pod.fs[2], ino), -ESTALE);
	assert_int_equal(listed(&pod, 2, ino), 0);
	assert_int_equal(daxfs_file_open(pod.fs[0], ino), 0); /* who has it can have it again */
	assert_int_equal(daxfs_file_close(pod.fs[0], ino), 0);
	assert_int_equal(daxfs_file_close(pod.fs[0], ino), 0);
	assert_int_equal(daxfs_write(pod.fs[1], ino, &c, 1, 0, 0), 1);
	assert_int_equal(daxfs_getattr(pod.fs[2], ino, &attr), 0);
	assert_int_equal(attr.nlink, 0);
	assert_int_equal(daxfs_file_close(pod.fs[1], ino), 0);
	assert_int_equal(daxfs_getattr(pod.fs[1], ino, &attr), -ESTALE);
	assert_int_equal(daxfs_file_open(pod.fs[1], ino), -ESTALE);
	assert_int_equal(daxfs_file_open(pod.fs[1], 0), -ESTALE);
	assert_int_equal(daxfs_file_open(pod.fs[1], UINT64_MAX), -ESTALE);
	assert_int_equal(pod_check(&pod).usage.pages.live, 1);
	pod_stop(&pod);
}

/* The last place that is free is found wherever the file's stripe begins to look. */
static void last_place(void **state)
{
	enum { APART = 64 }; /* inodes, and they are of another stripe */
	struct pod pod;
	daxfs_ino ino[OPENS], other = 0;
	char name[16];

	(void)state;
	small_pod(&pod, 2);
	for (unsigned i = 0; i < OPENS; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		ino[i] = pod_create(pod.fs[0], DAXFS_ROOT, name);
		assert_int_equal(daxfs_file_open(pod.fs[0], ino[i]), 0);
	}
	for (unsigned i = 0; handle_index(other) < handle_index(ino[OPENS - 1]) + APART; i++) {
		snprintf(name, sizeof(name), "g%u", i);
		other = pod_create(pod.fs[0], DAXFS_ROOT, name);
	}
	for (unsigned i = OPENS; i-- > 0;) { /* the place before that at which the last one was */
		assert_int_equal(daxfs_file_close(pod.fs[0], ino[i]), 0);
		assert_int_equal(daxfs_file_open(pod.fs[0], other), 0);
		assert_int_equal(daxfs_file_close(pod.fs[0], other), 0);
		assert_int_equal(daxfs_file_open(pod.fs[0], ino[i]), 0);
	}
	for (unsigned i = 0; i < OPENS; i++)
		assert_int_equal(daxfs_file_close(pod.fs[0], ino[i]), 0);
	pod_stop(&pod);
}

/* -ENFILE, and every place is usable again afterwards. */
static void table_full(void **state)
{
	struct pod pod;
	struct daxfs_attr attr;
	daxfs_ino ino[OPENS + 1];
	char name[16];

	(void)state;
	small_pod(&pod, 2);
	for (unsigned i = 0; i <= OPENS; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		ino[i] = pod_create(pod.fs[0], DAXFS_ROOT, name);
	}
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < OPENS; i++)
			assert_int_equal(daxfs_file_open(pod.fs[0], ino[i]), 0);
		assert_int_equal(daxfs_file_open(pod.fs[0], ino[OPENS]), -ENFILE);
		assert_int_equal(openers(&pod, ino[OPENS]), 0);
		assert_int_equal(daxfs_file_open(pod.fs[0], ino[3]), 0); /* held already: no new place */
		assert_int_equal(daxfs_file_close(pod.fs[0], ino[3]), 0);
		assert_int_equal(daxfs_mknod(pod.fs[0], DAXFS_ROOT, "new", S_IFREG, 0, pod_root, true, &attr), -ENFILE);
		assert_int_equal(pod_lookup(pod.fs[0], DAXFS_ROOT, "new", NULL), -ENOENT);
		assert_int_equal(daxfs_file_open(pod.fs[1], ino[OPENS]), 0); /* another host has its own */
		assert_int_equal(daxfs_file_close(pod.fs[1], ino[OPENS]), 0);
		for (unsigned i = 0; i < OPENS; i++)
			assert_int_equal(daxfs_file_close(pod.fs[0], ino[i]), 0);
	}
	pod_stop(&pod);
}

static void created_open(void **state)
{
	struct pod pod;
	struct daxfs_attr attr, other;

	(void)state;
	small_pod(&pod, 2);
	assert_int_equal(daxfs_mknod(pod.fs[1], DAXFS_ROOT, "f", S_IFREG | 0600, 0, pod_root, true, &attr), 0);
	assert_int_equal(openers(&pod, attr.ino), 2);
	assert_int_equal(listed(&pod, 1, attr.ino), 1);
	assert_int_equal(daxfs_mknod(pod.fs[1], DAXFS_ROOT, "f", S_IFREG | 0600, 0, pod_root, true, &other), -EEXIST);
	assert_int_equal(open_table_count(pod.fs[1]), 1);
	assert_int_equal(daxfs_file_open(pod.fs[1], attr.ino), 0);
	assert_int_equal(daxfs_file_close(pod.fs[1], attr.ino), 0);
	assert_int_equal(daxfs_unlink(pod.fs[0], DAXFS_ROOT, "f"), 0);
	assert_int_equal(daxfs_getattr(pod.fs[0], attr.ino, &other), 0);
	assert_int_equal(daxfs_file_close(pod.fs[1], attr.ino), 0);
	assert_int_equal(daxfs_getattr(pod.fs[0], attr.ino, &other), -ESTALE);
	assert_int_equal(daxfs_file_close(pod.fs[1], attr.ino), -EBADF);
	pod_stop(&pod);
}

/* A host that leaves lets go of everything, and finishes what only it kept alive. */
static void leaving_releases(void **state)
{
	struct pod pod;
	struct daxfs_error err;
	struct daxfs_attr attr;
	daxfs_ino kept, gone;

	(void)state;
	small_pod(&pod, 2);
	kept = pod_create(pod.fs[1], DAXFS_ROOT, "kept");
	gone = pod_create(pod.fs[1], DAXFS_ROOT, "gone");
	assert_int_equal(daxfs_file_open(pod.fs[0], kept), 0);
	assert_int_equal(daxfs_file_open(pod.fs[0], gone), 0);
	assert_int_equal(daxfs_file_open(pod.fs[0], gone), 0);
	assert_int_equal(daxfs_unlink(pod.fs[1], DAXFS_ROOT, "gone"), 0);
	assert_int_equal(daxfs_leave(pod.fs[0]), 0);
	assert_int_equal(daxfs_getattr(pod.fs[1], gone, &attr), -ESTALE);
	assert_int_equal(openers(&pod, kept), 0);
	assert_int_equal(listed(&pod, 0, kept) + listed(&pod, 0, gone), 0);
	assert_int_equal(daxfs_file_open(pod.fs[0], kept), -ESTALE);
	assert_int_equal(daxfs_file_close(pod.fs[0], kept), -ESTALE);
	assert_int_equal(daxfs_join(pod.fs[0], 0, "again", &err), 0);
	assert_int_equal(daxfs_file_close(pod.fs[0], kept), -EBADF); /* the new tenant holds nothing */
	pod_stop(&pod);
}

/* A revoked host changes no bit and leaves its list to recovery. */
static void the_revoked_leave_their_list(void **state)
{
	struct pod pod;
	struct daxfs_recovery report;
	daxfs_ino ino;

	(void)state;
	small_pod(&pod, 2);
	ino = pod_create(pod.fs[1], DAXFS_ROOT, "f");
	assert_int_equal(daxfs_file_open(pod.fs[0], ino), 0);
	pod_fence(&pod, 0);
	assert_int_equal(daxfs_file_close(pod.fs[0], ino), -ESTALE);
	assert_int_equal(openers(&pod, ino), 1);
	assert_int_equal(listed(&pod, 0, ino), 1);
	assert_int_equal(daxfs_recover(pod.fs[1], 0, &report), 0);
	assert_int_equal(report.opens, 1);
	assert_int_equal(openers(&pod, ino), 0);
	pod_stop(&pod);
}

/* A bit that could not be cleared: the file stays listed, and recovery clears it. */
static void not_released_stays_listed(void **state)
{
	struct pod pod;
	struct daxfs_recovery report;
	daxfs_ino ino;
	sm_u64 *word;
	uint64_t was;

	(void)state;
	small_pod(&pod, 2);
	ino = pod_create(pod.fs[1], DAXFS_ROOT, "f");
	assert_int_equal(daxfs_file_open(pod.fs[0], ino), 0);
	word = &rig_pool(&pod)->inodes[handle_index(ino)].openers[0];
	was = sm_load(word);
	sm_store(word, mark_make(0, 0, 1));
	assert_int_equal(daxfs_file_close(pod.fs[0], ino), -EIO);
	assert_int_equal(listed(&pod, 0, ino), 1);
	sm_store(word, was);
	pod_fence(&pod, 0);
	assert_int_equal(daxfs_recover(pod.fs[1], 0, &report), 0);
	assert_int_equal(openers(&pod, ino), 0);
	assert_int_equal(listed(&pod, 0, ino), 0);
	pod_stop(&pod);
}

/* -- threads of one host ------------------------------------------------------------- */

#define THREADS 4
#define ROUNDS 2000

struct worker {
	struct daxfs *fs;
	unsigned id;
	daxfs_ino ino; /* a file that stays */
	int error;
};

/* Create open, hold and let go, all over the stripes: with one lane for all. */
static void *open_and_close(void *arg)
{
	struct worker *w = arg;
	struct daxfs_attr attr;
	char name[16];

	for (unsigned i = 0; i < ROUNDS && !w->error; i++) {
		int rc = daxfs_file_open(w->fs, w->ino);

		snprintf(name, sizeof(name), "t%u", w->id);
		if (rc == 0)
			rc = daxfs_mknod(w->fs, DAXFS_ROOT, name, S_IFREG, 0, pod_root, true, &attr);
		if (rc == 0)
			rc = daxfs_unlink(w->fs, DAXFS_ROOT, name);
		if (rc == 0)
			rc = daxfs_getattr(w->fs, attr.ino, &attr);
		if (rc == 0)
			rc = daxfs_file_close(w->fs, attr.ino);
		if (rc == 0)
			rc = daxfs_file_close(w->fs, w->ino);
		w->error = rc;
	}
	return NULL;
}

static void run(struct worker *w, void *(*fn)(void *))
{
	pthread_t thread[THREADS];

	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, fn, &w[i]), 0);
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(thread[i], NULL);
		assert_int_equal(w[i].error, 0);
	}
}

static void more_threads_than_lanes(void **state)
{
	struct pod pod;
	struct worker w[THREADS];
	daxfs_ino ino;

	(void)state;
	small_pod(&pod, 1);
	ino = pod_create(pod.fs[0], DAXFS_ROOT, "f");
	for (unsigned i = 0; i < THREADS; i++)
		w[i] = (struct worker){ .fs = pod.fs[0], .id = i, .ino = ino };
	run(w, open_and_close);
	assert_int_equal(openers(&pod, ino), 0);
	assert_int_equal(open_table_count(pod.fs[0]), 0);
	pod_stop(&pod);
}

/* One thread creates a file open and lets it go at the end of a round; others of
 * the same host find it by name, hold it and let it go. The creator's hold lasts. */
static void *find_and_hold(void *arg)
{
	struct worker *w = arg;
	struct daxfs_attr attr;

	for (unsigned i = 0; i < ROUNDS && !w->error; i++) {
		if (w->id == 0) {
			int rc = daxfs_mknod(w->fs, DAXFS_ROOT, "x", S_IFREG, 0, pod_root, true, &attr);
			daxfs_ino ino = attr.ino;

			if (rc == 0)
				rc = daxfs_unlink(w->fs, DAXFS_ROOT, "x");
			if (rc == 0)
				rc = daxfs_getattr(w->fs, ino, &attr); /* held, so it is there */
			w->error = rc ? rc : daxfs_file_close(w->fs, ino);
		} else if (pod_lookup(w->fs, DAXFS_ROOT, "x", &attr.ino) == 0 &&
			   daxfs_file_open(w->fs, attr.ino) == 0) {
			w->error = daxfs_file_close(w->fs, attr.ino);
		}
	}
	return NULL;
}

static void a_creators_hold_lasts(void **state)
{
	struct pod pod;
	struct worker w[THREADS];
	uint64_t inodes;

	(void)state;
	small_pod(&pod, 4);
	inodes = pod_check(&pod).usage.inodes.live;
	for (unsigned i = 0; i < THREADS; i++)
		w[i] = (struct worker){ .fs = pod.fs[0], .id = i };
	run(w, find_and_hold);
	assert_int_equal(open_table_count(pod.fs[0]), 0);
	assert_int_equal(pod_check(&pod).usage.inodes.live, inodes);
	pod_stop(&pod);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(held_and_released),
		cmocka_unit_test(nameless),
		cmocka_unit_test(last_place),
		cmocka_unit_test(table_full),
		cmocka_unit_test(created_open),
		cmocka_unit_test(leaving_releases),
		cmocka_unit_test(the_revoked_leave_their_list),
		cmocka_unit_test(not_released_stays_listed),
		cmocka_unit_test(more_threads_than_lanes),
		cmocka_unit_test(a_creators_hold_lasts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
