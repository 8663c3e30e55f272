/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_names_room.c - a tree of storage with more names than the pool has inodes, through real mounts.
 *
 * 2,000 files in 40 directories, and 512 inodes. All are listed and read, by two hosts that have the storage and one
 * that has not, at once and again; and meanwhile the pool's own tree takes new files.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "agent_storage.h"

#define DIRS 40
#define FILES 50 /* of each */
#define INODES 512
#define OWN 16 /* files of the pool, half of what names of storage leave */

static int setup_small(void **state)
{
	struct tree *t = calloc(1, sizeof(*t));
	const struct daxfs_mkfs_options options = {
		.struct_size = sizeof(options), .name = "pod", .size = 32 << 20, .hosts = 4, .inodes = INODES
	};

	*state = t;
	if (!pod_possible())
		return 0;
	pod_make_of(&t->pod, &options);
	start_all(t, 0);
	return 0;
}

static const char *name_of(unsigned d, unsigned f)
{
	static _Thread_local char name[4][64];
	static _Thread_local unsigned next;
	char *p = name[next++ % 4];

	snprintf(p, sizeof(name[0]), f == FILES ? "data/d%u" : "data/d%u/f%u", d, f);
	return p;
}

static void make_storage(const struct tree *t)
{
	for (unsigned d = 0; d < DIRS; d++) {
		assert_int_equal(mkdir(in(t, name_of(d, FILES) + 5), 0755), 0);
		for (unsigned f = 0; f < FILES; f++)
			put(in(t, name_of(d, f) + 5), name_of(d, f));
	}
}

struct walker {
	const struct tree *t;
	int host;
	unsigned listed, read;
	char wrong[200]; /* the first thing that was */
};

static void wrong(struct walker *w, const char *what, const char *name)
{
	if (!w->wrong[0])
		snprintf(w->wrong, sizeof(w->wrong), "host %d: %s %s: %s", w->host, what, name, strerror(errno));
}

static void read_one(struct walker *w, const char *name)
{
	char text[80] = "";
	int fd = open(at(&w->t->pod, w->host, name), O_RDONLY);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		wrong(w, "read", name);
	else if (strcmp(text, name) != 0)
		wrong(w, "bytes of", name);
	w->read++;
	if (fd >= 0)
		close(fd);
}

static void list_one(struct walker *w, const char *name, unsigned expected)
{
	DIR *dir = opendir(at(&w->t->pod, w->host, name));
	unsigned n = 0;

	if (!dir) {
		wrong(w, "list", name);
		return;
	}
	for (struct dirent *e; (e = readdir(dir));)
		n += e->d_name[0] != '.';
	closedir(dir);
	if (n != expected)
		wrong(w, "a listing that leaves names out of", name);
	w->listed += n;
}

/* To the first thing that is wrong: it says enough, and who finds no room has waited for it for long. */
static void *walk(void *context)
{
	struct walker *w = context;
	unsigned step = w->host == C ? 10 : 1; /* it asks for each, which takes a while */

	list_one(w, "data", DIRS);
	for (unsigned i = 0; i < DIRS && !w->wrong[0]; i++) {
		unsigned d = (i + 13 * (unsigned)w->host) % DIRS; /* not all at the same place */

		list_one(w, name_of(d, FILES), FILES);
		for (unsigned f = 0; f < FILES && !w->wrong[0]; f += step)
			read_one(w, name_of(d, f));
	}
	return NULL;
}

static void run_walks(const struct tree *t, const int *hosts, unsigned n)
{
	struct walker w[3];
	pthread_t thread[3];

	alarm(HANG_S);
	for (unsigned i = 0; i < n; i++) {
		w[i] = (struct walker){ .t = t, .host = hosts[i] };
		assert_int_equal(pthread_create(&thread[i], NULL, walk, &w[i]), 0);
	}
	for (unsigned i = 0; i < n; i++)
		pthread_join(thread[i], NULL);
	alarm(0);
	for (unsigned i = 0; i < n; i++) {
		if (w[i].wrong[0])
			fail_msg("%s", w[i].wrong);
		assert_int_equal(w[i].listed, DIRS + DIRS * FILES);
		assert_int_equal(w[i].read, DIRS * FILES / (w[i].host == C ? 10 : 1));
	}
}

static void create_own(const struct tree *t, const char *prefix)
{
	char name[32];

	for (unsigned i = 0; i < OWN; i++) {
		snprintf(name, sizeof(name), "%s%u", prefix, i);
		put(at(&t->pod, (int)(i % 3), name), "own");
	}
	for (unsigned i = 0; i < OWN; i++) {
		snprintf(name, sizeof(name), "%s%u", prefix, i);
		assert_int_equal(unlink(at(&t->pod, A, name)), 0);
	}
}

static void test_larger_than_the_pool(void **state)
{
	struct tree *t = *state;

	if (!pod_possible())
		skip();
	make_storage(t);
	for (int host = A; host <= C; host++) {
		run_walks(t, &host, 1);
		create_own(t, "own");
	}
	run_walks(t, (const int[]){ A, B, C }, 3);
	create_own(t, "again");
}

/* What is open stays, and so does what is written beside it. */
static void test_open_files_stay(void **state)
{
	struct tree *t = *state;
	const int host = A;
	char text[80];
	int fd[4];

	if (!pod_possible())
		skip();
	for (unsigned i = 0; i < 4; i++) {
		fd[i] = open(at(&t->pod, i % 2 ? A : B, name_of(i, 7)), O_RDONLY);
		assert_true(fd[i] >= 0);
	}
	run_walks(t, &host, 1);
	for (unsigned i = 0; i < 4; i++) {
		memset(text, 0, sizeof(text));
		assert_true(pread(fd[i], text, sizeof(text) - 1, 0) > 0);
		assert_string_equal(text, name_of(i, 7));
		close(fd[i]);
	}
}

/* A directory of storage with twice as many names as the pool has inodes. */
static void make_large(const struct tree *t)
{
	char name[32];

	assert_int_equal(mkdir(in(t, "large"), 0755), 0);
	for (unsigned i = 0; i < 2 * INODES; i++) {
		snprintf(name, sizeof(name), "large/%u", i);
		put(in(t, name), "one of many");
	}
}

/* One directory that is larger than the pool: an error that says so, and nobody is stuck. Its names can be had. */
static void test_too_large(void **state)
{
	struct tree *t = *state;
	char name[32];

	if (!pod_possible())
		skip();
	make_large(t);
	alarm(HANG_S);
	assert_null(opendir(at(&t->pod, A, "data/large")));
	assert_int_equal(errno, ENOSPC);
	wait_log(t, A, "no room for its names");
	for (unsigned i = 0; i < 2 * INODES; i += 5) {
		snprintf(name, sizeof(name), "data/large/%u", i);
		expect_text(at(&t->pod, i % 2 ? A : B, name), "one of many");
	}
	alarm(0);
	create_own(t, "beside");
	remove_tree(in(t, "large"));
	run_walks(t, (const int[]){ C }, 1);
}

/* The same in the topmost directory, which agents have open for its locks; beside what is open there, and a listing. */
static void test_too_large_at_the_top(void **state)
{
	struct tree *t = *state;
	char name[32], text[80] = "";
	DIR *dir;
	int fd;

	if (!pod_possible())
		skip();
	for (unsigned i = 0; i < 2 * INODES; i++) {
		snprintf(name, sizeof(name), "top%u", i);
		put(in(t, name), name);
	}
	alarm(HANG_S);
	fd = open(at(&t->pod, A, "data/top7"), O_RDONLY);
	assert_true(fd >= 0);
	for (unsigned i = 0; i < 2 * INODES; i++) {
		snprintf(name, sizeof(name), "data/top%u", i);
		expect_text(at(&t->pod, i % 2 ? A : B, name), name + 5);
	}
	assert_true(pread(fd, text, sizeof(text) - 1, 0) > 0);
	assert_string_equal(text, "top7");
	close(fd);
	assert_null(opendir(at(&t->pod, B, "data")));
	assert_int_equal(errno, ENOSPC);
	create_own(t, "beside");
	for (unsigned i = 0; i < 2 * INODES; i++) {
		snprintf(name, sizeof(name), "top%u", i);
		assert_int_equal(unlink(in(t, name)), 0);
	}
	dir = opendir(at(&t->pod, B, "data")); /* what is listed stays meanwhile */
	assert_non_null(dir);
	run_walks(t, (const int[]){ A }, 1);
	for (unsigned n = 0; n < DIRS; n += readdir(dir)->d_name[0] == 'd')
		;
	closedir(dir);
	alarm(0);
}

/* Has this host a stale handle for whoever asks: its lookups hold what they find for a while (lookup_pin.h). */
struct racer {
	const struct tree *t;
	int stale, host;
	atomic_bool over;
};

static void *race(void *context)
{
	struct racer *r = context;
	struct stat st;

	while (!atomic_load(&r->over)) {
		fstat(r->stale, &st);
		stat(at(&r->t->pod, r->host, "data/large/7"), &st);
	}
	return NULL;
}

/* A host that meets stale handles all the time, as it does where there is no room, leaves names to be given back. */
static void test_races_leave_room(void **state)
{
	struct tree *t = *state;
	struct racer r = { .t = t, .host = B };
	pthread_t thread;
	struct stat st;
	char name[32];

	if (!pod_possible())
		skip();
	make_large(t);
	put(at(&t->pod, A, "gone"), "");
	r.stale = open(at(&t->pod, B, "gone"), O_PATH);
	assert_int_equal(unlink(at(&t->pod, A, "gone")), 0);
	assert_int_equal(fstat(r.stale, &st), -1);
	assert_int_equal(errno, ESTALE);
	alarm(HANG_S);
	assert_int_equal(pthread_create(&thread, NULL, race, &r), 0);
	for (unsigned i = 0; i < 2 * INODES; i++) {
		snprintf(name, sizeof(name), "data/large/%u", i);
		expect_text(at(&t->pod, A, name), "one of many");
	}
	atomic_store(&r.over, true);
	pthread_join(thread, NULL);
	alarm(0);
	close(r.stale);
	remove_tree(in(t, "large"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_larger_than_the_pool),
		cmocka_unit_test(test_open_files_stay),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_too_large_at_the_top),
		cmocka_unit_test(test_races_leave_room),
	};

	return cmocka_run_group_tests(tests, setup_small, teardown);
}
