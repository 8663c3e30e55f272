/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_peek.c - storage that answers from memory is looked at by the threads that serve the mount
 * (backing_peek.c): as long as nothing changes there, no other thread is asked, even if that one would wait for ever;
 * and whatever changes is seen by the next look, for revalidate-ms is 0.
 */
#include "agent_stored.h"

#include <dirent.h>

#define SIZE 65536u
#define AGAIN 20
#define SETTLE_S 30 /* for the clock to go past the second in which a directory changed */

/* between the test and its agents, which are its children: looks of host A that may wait; is any storage near? */
static struct {
	atomic_uint looks, lists;
	atomic_bool hold, far;
	atomic_char missed; /* the next look of a serving thread in the pool for a name of that letter finds none */
} * looks;

int __real_daxfs_lookup_leased(struct daxfs *fs, daxfs_ino parent, const char *name, struct daxfs_attr *attr,
			       struct daxfs_lease *lease);
int __wrap_daxfs_lookup_leased(struct daxfs *fs, daxfs_ino parent, const char *name, struct daxfs_attr *attr,
			       struct daxfs_lease *lease);
int __wrap_daxfs_lookup_leased(struct daxfs *fs, daxfs_ino parent, const char *name, struct daxfs_attr *attr,
			       struct daxfs_lease *lease)
{
	int error = __real_daxfs_lookup_leased(fs, parent, name, attr, lease);
	char letter = name[0];

	if (looks && letter && !name[1] && atomic_compare_exchange_strong(&looks->missed, &letter, '\0'))
		return -ENOENT;
	return error;
}

int __wrap_storage_look(int root, const char *path, struct storage_entry *out)
{
	if (looks && watched_host == A) {
		atomic_fetch_add(&looks->looks, 1);
		while (atomic_load(&looks->hold))
			usleep(1000);
	}
	return __real_storage_look(root, path, out);
}

int __wrap_storage_list(int root, const char *path, int (*each)(void *context, const char *name), void *context)
{
	if (looks && watched_host == A)
		atomic_fetch_add(&looks->lists, 1);
	return __real_storage_list(root, path, each, context);
}

bool __wrap_storage_is_near(int root)
{
	return !atomic_load(&looks->far) && __real_storage_is_near(root);
}

ssize_t __wrap_storage_read(int root, const char *path, void *buf, size_t len, uint64_t offset,
			    struct storage_entry *now)
{
	return stored_read(root, path, buf, len, offset, now);
}

static struct stored *begin(void **state, bool far)
{
	struct stored *t = *state;

	if (!looks)
		looks = mmap(NULL, sizeof(*looks), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(looks != MAP_FAILED);
	atomic_store(&looks->hold, false);
	atomic_store(&looks->far, far);
	t->keeps = KERNEL_KEEPS_NAMES;
	stored_begin(state, LONG_MS);
	assert_int_equal(mkdir(in(t, 0, "d"), 0755), 0);
	fill(in(t, 0, "d/f"), O_CREAT, 'a', SIZE);
	expect(at(&t->pod, A, "data/d/f"), 'a', SIZE);
	return t;
}

static unsigned names_in(const struct stored *t, const char *dir, const char *wanted)
{
	DIR *d = opendir(at(&t->pod, A, dir));
	struct dirent *e;
	unsigned n = 0;

	assert_non_null(d);
	while ((e = readdir(d)))
		n += !wanted || strcmp(e->d_name, wanted) == 0;
	closedir(d);
	return n;
}

/* List a directory until that asks its storage for no names. */
static void settle(const struct stored *t, const char *dir)
{
	unsigned before;
	time_t begin = time(NULL);

	do {
		before = atomic_load(&looks->lists);
		names_in(t, dir, NULL);
		assert_true(time(NULL) - begin < SETTLE_S);
	} while (atomic_load(&looks->lists) != before);
}

static void look_at_all(const struct stored *t)
{
	struct stat st;

	expect(at(&t->pod, A, "data/d/f"), 'a', SIZE);
	assert_int_equal(stat(at(&t->pod, A, "data/d"), &st), 0);
	assert_int_equal(names_in(t, "data/d", "f"), 1);
}

/* -- nothing changes --------------------------------------------------------------------------------- */

static void test_same(void **state)
{
	struct stored *t = begin(state, false);
	unsigned before;

	if (!__real_storage_is_near(open_as(t->storage[0], O_PATH)))
		skip();
	settle(t, "data/d");
	look_at_all(t);
	before = atomic_load(&looks->looks);
	atomic_store(&looks->hold, true); /* whoever asks would wait for ever */
	alarm(HANG_S);
	for (int i = 0; i < AGAIN; i++)
		look_at_all(t);
	alarm(0);
	assert_int_equal(atomic_load(&looks->looks), before);
	atomic_store(&looks->hold, false);
}

/* Storage that may not answer is never looked at so. */
static void test_far(void **state)
{
	struct stored *t = begin(state, true);

	for (int i = 0; i < AGAIN; i++) {
		unsigned before = atomic_load(&looks->looks);

		look_at_all(t);
		assert_true(atomic_load(&looks->looks) >= before + 3);
	}
}

/* So often have threads of a process gone to sleep. */
static unsigned long sleeps_of(pid_t pid)
{
	char path[64], line[128];
	unsigned long all = 0, one;
	struct dirent *task;
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	tasks = opendir(path);
	assert_non_null(tasks);
	while ((task = readdir(tasks))) {
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%d/task/%.16s/status", (int)pid, task->d_name);
		f = task->d_name[0] == '.' ? NULL : fopen(path, "re");
		while (f && fgets(line, sizeof(line), f))
			all += sscanf(line, "voluntary_ctxt_switches: %lu", &one) == 1 ? one : 0;
		if (f)
			fclose(f);
	}
	closedir(tasks);
	return all;
}

/* A request that is handed to a thread of the backing wakes that one, and not all of them. */
static void test_one_wakes(void **state)
{
	struct stored *t = begin(state, true);
	pid_t server = pod_server(&t->pod, A);
	unsigned long least = ULONG_MAX; /* other threads of it have their own reasons */

	for (int i = 0; i < AGAIN; i++) {
		unsigned long before = sleeps_of(server), n;

		for (int k = 0; k < AGAIN; k++)
			close(open_as(at(&t->pod, A, "data/d/f"), O_RDONLY));
		n = sleeps_of(server) - before;
		least = n < least ? n : least;
	}
	print_message("%lu times asleep in %d opens\n", least, AGAIN);
	assert_true(least < 20 * AGAIN);
}

/* A look that finds the same file closes a stamp that left the ctime open: the next change of that is to be seen. */
static void test_open_stamp(void **state)
{
	struct stored *t = begin(state, false);
	struct daxfs *fs = as_admin(t);
	struct daxfs_source was, source;
	struct daxfs_attr attr;

	assert_int_equal(daxfs_lookup(fs, DAXFS_ROOT, "data", &attr), 0);
	assert_int_equal(daxfs_lookup(fs, attr.ino, "d", &attr), 0);
	assert_int_equal(daxfs_lookup(fs, attr.ino, "f", &attr), 0);
	assert_int_equal(daxfs_source(fs, attr.ino, &was), 0);
	assert_int_equal(daxfs_restamp(fs, attr.ino, was.stamp, storage_stamp_open(was.stamp)), 0);
	expect(at(&t->pod, A, "data/d/f"), 'a', SIZE);
	assert_int_equal(daxfs_source(fs, attr.ino, &source), 0);
	assert_true(source.stamp == was.stamp);
	end_admin(fs);
}

/* -- what changes -------------------------------------------------------------------------------------- */

static void test_bytes(void **state)
{
	struct stored *t = begin(state, false);

	for (int i = 0; i < AGAIN; i++) {
		char letter = (char)('b' + i);

		if (i % 2) {
			fill(in(t, 0, ".new"), O_CREAT | O_TRUNC, letter, SIZE);
			assert_int_equal(rename(in(t, 0, ".new"), in(t, 0, "d/f")), 0);
		} else {
			fill(in(t, 0, "d/f"), O_TRUNC, letter, SIZE);
		}
		expect(at(&t->pod, A, "data/d/f"), letter, SIZE);
		expect(at(&t->pod, A, "data/d/f"), letter, SIZE);
	}
}

static void test_directory(void **state)
{
	struct stored *t = begin(state, false);
	struct stat st;

	for (unsigned i = 0; i < AGAIN; i++) {
		char name[16], path[32];

		snprintf(name, sizeof(name), "n%u", i);
		snprintf(path, sizeof(path), "d/%s", name);
		assert_int_equal(names_in(t, "data/d", name), 0);
		fill(in(t, 0, path), O_CREAT, 'n', 100);
		assert_int_equal(names_in(t, "data/d", name), 1);
		assert_int_equal(chmod(in(t, 0, "d"), 0700 + i % 8), 0);
		assert_int_equal(stat(at(&t->pod, A, "data/d"), &st), 0);
		assert_int_equal(st.st_mode & 07777, 0700 + i % 8);
	}
	settle(t, "data/d");
	fill(in(t, 0, "d/last"), O_CREAT, 'n', 100);
	assert_int_equal(names_in(t, "data/d", "last"), 1);
	settle(t, "data/d");
	assert_int_equal(unlink(in(t, 0, "d/last")), 0);
	assert_int_equal(names_in(t, "data/d", "last"), 0);
}

/*
 * A name that is forgotten between two looks and found again by somebody else, as when another takes its place, was
 * never gone from storage: no program is told so, with the storage or without.
 */
static void test_missed(void **state)
{
	struct stored *t = begin(state, false);
	struct stat st;

	atomic_store(&looks->missed, 'f');
	assert_int_equal(stat(at(&t->pod, A, "data/d/f"), &st), 0);
	assert_int_equal(atomic_load(&looks->missed), '\0');
	atomic_store(&looks->missed, 'd');
	assert_int_equal(stat(at(&t->pod, C, "data/d"), &st), 0);
	assert_int_equal(atomic_load(&looks->missed), '\0');
}

/* A name that is gone leads nowhere, though the file has another one that is as it was. */
static void test_names(void **state)
{
	static const char *const name[] = { "d/f", "d/g" };
	struct stored *t = begin(state, false);
	char there[2][160], here[2][160];
	struct stat st, other;

	for (int i = 0; i < 2; i++) {
		snprintf(there[i], sizeof(there[i]), "%s", in(t, 0, name[i]));
		snprintf(here[i], sizeof(here[i]), "%s/%s", at(&t->pod, A, "data"), name[i]);
	}
	for (int i = 0; i < AGAIN; i++) {
		int old = i % 2, new = !old;

		assert_int_equal(link(there[old], there[new]), 0);
		assert_int_equal(stat(here[old], &st), 0);
		assert_int_equal(stat(here[new], &other), 0);
		assert_int_equal(other.st_ino, st.st_ino);
		assert_int_equal(other.st_nlink, 2);
		assert_int_equal(unlink(there[old]), 0);
		assert_int_equal(stat(here[new], &st), 0);
		errno = 0;
		assert_int_equal(stat(here[old], &st), -1);
		assert_int_equal(errno, ENOENT);
	}
}

#define PEEK_TEST(test) cmocka_unit_test_setup_teardown(test, stored_setup, peek_teardown)

static int peek_teardown(void **state)
{
	if (looks)
		atomic_store(&looks->hold, false);
	return stored_teardown(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PEEK_TEST(test_same),  PEEK_TEST(test_far),       PEEK_TEST(test_one_wakes), PEEK_TEST(test_open_stamp),
		PEEK_TEST(test_bytes), PEEK_TEST(test_directory), PEEK_TEST(test_names),     PEEK_TEST(test_missed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
