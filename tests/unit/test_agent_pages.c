/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_pages.c - data that a kernel keeps, while this host and the other one change it.
 *
 * The file is on A's side opened before and after, cached; on the other it is changed in ways that attributes do
 * not tell: of the same size, with the time of modification put back. test_load does that all at once, on both.
 *
 * PAGES_LOOKS in the environment says how many looks it takes, PAGES_KILLS how many kills: more, for the long run.
 */
#include "test_agent_watch.h"

#include <pthread.h>

#define ROUNDS 200
#define SIZE 8192u

static unsigned reads(int host)
{
	return atomic_load(&watch->host[host].requests[FUSE_READ]);
}

/* One letter, all over. */
static void fill(int fd, char letter)
{
	char buf[SIZE];

	memset(buf, letter, sizeof(buf));
	assert_int_equal(pwrite(fd, buf, sizeof(buf), 0), sizeof(buf));
}

static void make(const char *path, char letter)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_true(fd >= 0);
	fill(fd, letter);
	assert_int_equal(close(fd), 0);
}

/* In place, and nothing but the data tells. */
static void change(const char *path, char letter)
{
	struct stat st = stat_of(path);
	const struct timespec times[2] = { st.st_atim, st.st_mtim };
	int fd = open(path, O_WRONLY);

	assert_true(fd >= 0);
	fill(fd, letter);
	assert_int_equal(futimens(fd, times), 0);
	assert_int_equal(close(fd), 0);
}

static void expect_fd(int fd, char letter)
{
	char buf[SIZE];

	memset(buf, 0, sizeof(buf));
	assert_int_equal(pread(fd, buf, sizeof(buf), 0), sizeof(buf));
	for (unsigned i = 0; i < sizeof(buf); i += 512)
		if (buf[i] != letter)
			fail_msg("byte %u is '%c', not '%c'", i, buf[i], letter);
}

static int open_read(const char *path)
{
	int fd = open(path, O_RDONLY);

	if (fd < 0)
		fail_msg("%s: %s", path, strerror(errno));
	return fd;
}

static void expect(const char *path, char letter)
{
	int fd = open_read(path);

	expect_fd(fd, letter);
	close(fd);
}

/* Read a file on A until its kernel has it. */
static void keep(const struct pod *pod, const char *name, char letter)
{
	for (unsigned i = 0; i < NOT_GRANTED; i++) {
		unsigned before = reads(A);

		expect(at(pod, A, name), letter);
		if (reads(A) == before)
			return;
	}
	fail_msg("data of %s is not kept", name);
}

static struct pod *begin(void **state, unsigned lease_ms)
{
	struct pod *pod = watch_begin(state, lease_ms);

	watch_again(pod, A, KERNEL_KEEPS_ALL);
	watch_again(pod, B, KERNEL_KEEPS_ALL);
	make(at(pod, B, "f"), 'a');
	keep(pod, "f", 'a');
	return pod;
}

/* -- kept ---------------------------------------------------------------------------- */

static void test_kept(void **state)
{
	struct pod *pod = begin(state, LONG_MS);
	unsigned before = reads(A);

	for (int i = 0; i < 100; i++)
		expect(at(pod, A, "f"), 'a');
	assert_int_equal(reads(A), before);
}

/* A close ends the locks of a process, also by a descriptor of what is kept, while another one has the file open. */
static void test_locks_end(void **state)
{
	struct pod *pod = begin(state, LONG_MS);
	const struct flock lock = { .l_type = F_RDLCK }, other = { .l_type = F_WRLCK };
	int fd = open_read(at(pod, A, "f")), same = dup(fd), writer = open(at(pod, B, "f"), O_RDWR);
	unsigned before = reads(A);

	expect_fd(fd, 'a');
	assert_int_equal(reads(A), before);
	assert_int_equal(fcntl(fd, F_SETLK, &lock), 0);
	expect_error(fcntl(writer, F_SETLK, &other), EAGAIN);
	close(same);
	assert_int_equal(fcntl(writer, F_SETLK, &other), 0);
	close(writer);
	close(fd);
}

/* Unless it is asked for. */
static void test_not_kept(void **state)
{
	struct pod *pod = watch_begin(state, LONG_MS);
	unsigned before;

	make(at(pod, B, "f"), 'a');
	warm(pod, "f");
	for (int i = 0; i < 10; i++) {
		before = reads(A);
		expect(at(pod, A, "f"), 'a');
		assert_true(reads(A) > before);
	}
}

/* -- changed by the other host ---------------------------------------------------------- */

static void test_changed(void **state)
{
	struct pod *pod = begin(state, LONG_MS);

	for (int i = 0; i < ROUNDS; i++) {
		char letter = (char)('b' + i % 20);

		change(at(pod, B, "f"), letter);
		expect(at(pod, A, "f"), letter);
		if (i % 20 == 0)
			keep(pod, "f", letter);
	}
}

/* A look at the name makes attributes known again, and they are as before: nothing but the open tells of new data. */
static void test_known_again(void **state)
{
	struct pod *pod = begin(state, LONG_MS);

	for (char letter = 'b'; letter <= 'f'; letter++) {
		change(at(pod, B, "f"), letter);
		warm(pod, "f");
		expect(at(pod, A, "f"), letter);
		keep(pod, "f", letter);
	}
}

/* What is open cached sees what somebody writes who came later, and stays. */
static void test_open_before(void **state)
{
	struct pod *pod = begin(state, LONG_MS);
	int reader = open_read(at(pod, A, "f")), writer;
	unsigned before = reads(A);

	expect_fd(reader, 'a');
	assert_int_equal(reads(A), before);
	writer = open(at(pod, B, "f"), O_RDWR);
	for (int i = 0; i < ROUNDS; i++) {
		fill(writer, (char)('b' + i % 20));
		expect_fd(reader, (char)('b' + i % 20));
	}
	close(writer);
	for (int i = 0; i < 10; i++) {
		change(at(pod, B, "f"), (char)('k' + i));
		expect_fd(reader, (char)('k' + i));
	}
	close(reader);
	keep(pod, "f", 't');
}

static void test_cut(void **state)
{
	struct pod *pod = begin(state, LONG_MS);
	int reader = open_read(at(pod, A, "f"));
	char c = 'x';

	expect_fd(reader, 'a');
	for (int host = A; host <= B; host++) {
		assert_int_equal(truncate(at(pod, host, "f"), 0), 0);
		assert_int_equal(pread(reader, &c, 1, 0), 0);
		assert_int_equal(truncate(at(pod, host, "f"), SIZE), 0);
		expect_fd(reader, 0);
		make(at(pod, host, "f"), 'c');
		expect_fd(reader, 'c');
	}
	close(reader);
}

/* -- changed by this host ------------------------------------------------------------------ */

static void test_own(void **state)
{
	struct pod *pod = begin(state, LONG_MS);
	int reader = open_read(at(pod, A, "f")), writer = open(at(pod, A, "f"), O_RDWR);

	for (int i = 0; i < ROUNDS; i++) {
		fill(writer, (char)('b' + i % 20));
		expect_fd(reader, (char)('b' + i % 20));
		expect(at(pod, A, "f"), (char)('b' + i % 20));
	}
	close(writer);
	change(at(pod, A, "f"), 'z');
	expect_fd(reader, 'z');
	close(reader);
	keep(pod, "f", 'z');
	change(at(pod, A, "f"), 'y');
	expect(at(pod, A, "f"), 'y');
}

/* Mappings: of what is cached, and of a file that is open for writing beside it. */
static void test_mapped(void **state)
{
	struct pod *pod = begin(state, LONG_MS);
	int reader = open_read(at(pod, A, "f")), writer = open(at(pod, A, "f"), O_RDWR);
	char *seen = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, reader, 0), *mine;

	assert_true(seen != MAP_FAILED);
	assert_int_equal(seen[SIZE - 1], 'a');
	mine = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, writer, 0);
	assert_true(mine != MAP_FAILED);
	memset(mine, 'm', SIZE);
	assert_int_equal(seen[SIZE - 1], 'm');
	expect_fd(reader, 'm');
	assert_int_equal(msync(mine, SIZE, MS_SYNC), 0);
	expect(at(pod, B, "f"), 'm');
	expect_fd(reader, 'm');
	munmap(mine, SIZE);
	close(writer);
	change(at(pod, B, "f"), 'n');
	expect_fd(reader, 'n');
	assert_int_equal(seen[0], 'n');
	munmap(seen, SIZE);
	close(reader);
}

/* -- death, and stops -------------------------------------------------------------------------- */

/* Of a host that does not answer the lease runs out, and what it keeps is not read after it goes on. */
static void test_stopped(void **state)
{
	struct pod *pod = begin(state, SHORT_MS);
	int reader = open_read(at(pod, A, "f"));
	pid_t server = pod_server(pod, A);

	expect_fd(reader, 'a');
	pod_freeze(server);
	change(at(pod, B, "f"), 'b');
	assert_int_equal(kill(server, SIGCONT), 0);
	expect_fd(reader, 'b');
	expect(at(pod, A, "f"), 'b');
	close(reader);
}

/* The next life does not know what the kernel has of what is open, nor who was told to keep it. */
static void test_next_life(void **state)
{
	struct pod *pod = begin(state, LONG_MS);
	int reader = open_read(at(pod, A, "f"));

	expect_fd(reader, 'a');
	for (int i = 0; i < 3; i++) {
		pod_kill_server(pod, A);
		expect_fd(reader, (char)('a' + 2 * i));
		change(at(pod, i == 1 ? A : B, "f"), (char)('b' + 2 * i));
		expect_fd(reader, (char)('b' + 2 * i));
		change(at(pod, i == 1 ? A : B, "f"), (char)('c' + 2 * i));
		expect(at(pod, A, "f"), (char)('c' + 2 * i));
		expect_fd(reader, (char)('c' + 2 * i));
	}
	close(reader);
	keep(pod, "f", 'g');
}

static void *read_all(void *context)
{
	char buf[SIZE];

	return (void *)(intptr_t)(pread(*(int *)context, buf, sizeof(buf), 0) == SIZE);
}

static void expect_read(pthread_t thread)
{
	void *all;

	pthread_join(thread, &all);
	assert_non_null(all);
}

/* Killed while pages are dropped that it is about to answer a read of: the next life answers. */
static void test_killed_dropping(void **state)
{
	struct pod *pod = begin(state, LONG_MS);
	int reader = open_read(at(pod, A, "f"));
	pthread_t first, second;

	expect_fd(reader, 'a');
	change(at(pod, B, "f"), 'b');
	watch_hold(FUSE_READ);
	assert_int_equal(pthread_create(&first, NULL, read_all, &reader), 0);
	watch_wait_held();
	change(at(pod, B, "f"), 'c');
	assert_int_equal(pthread_create(&second, NULL, read_all, &reader), 0);
	usleep(100000); /* if it has not come to wait yet, the test shows less */
	pod_kill_server(pod, A);
	watch_release();
	expect_read(first);
	expect_read(second);
	expect_fd(reader, 'c');
	close(reader);
}

static pid_t dropper_of(pid_t server)
{
	char path[64];
	int pid = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)server, (int)server);
	file = fopen(path, "re");
	if (file && fscanf(file, "%d", &pid) != 1)
		pid = 0;
	if (file)
		fclose(file);
	return pid;
}

/* Without the process that drops pages the agent does not go on, but its next life does. */
static void test_no_dropper(void **state)
{
	struct pod *pod = begin(state, LONG_MS);
	int reader = open_read(at(pod, A, "f"));
	pid_t dropper = dropper_of(pod_server(pod, A));

	assert_true(dropper > 0);
	assert_int_equal(kill(dropper, SIGKILL), 0);
	change(at(pod, B, "f"), 'b');
	expect_fd(reader, 'b');
	close(reader);
}

/* -- all at once --------------------------------------------------------------------------------- */

#define FILES 16u
#define LOOKS 20000u
#define THREADS 2u /* of each host */

/* Files that begin with the number of their last change: what a read gives was there between its begin and its end. */
struct load {
	struct pod *pod;
	struct {
		pthread_mutex_t lock; /* of who changes it */
		atomic_ullong begun, done;
	} file[FILES];
	atomic_uint looks, stale;
	unsigned wanted;
};

struct looker {
	struct load *load;
	int host, held[FILES]; /* opened once, and for good */
	unsigned seed;
	pthread_t thread;
};

static const char *load_name(const struct load *l, int host, unsigned file)
{
	char name[16];

	snprintf(name, sizeof(name), "n%u", file);
	return at(l->pod, host, name);
}

/* Of the same size, and half of the time with the former time. */
static void load_change(struct load *l, int host, unsigned file, bool hide)
{
	const char *path = load_name(l, host, file);
	unsigned long long next;
	struct timespec times[2];
	struct stat st;
	int fd;

	pthread_mutex_lock(&l->file[file].lock);
	st = stat_of(path);
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	next = atomic_load(&l->file[file].done) + 1;
	atomic_store(&l->file[file].begun, next);
	fd = open(path, O_WRONLY);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, &next, sizeof(next), 0), sizeof(next));
	atomic_store(&l->file[file].done, next);
	if (hide)
		assert_int_equal(futimens(fd, times), 0);
	assert_int_equal(close(fd), 0);
	pthread_mutex_unlock(&l->file[file].lock);
}

static void load_look(struct load *l, struct looker *me, unsigned file, bool anew)
{
	int fd = anew ? open_read(load_name(l, me->host, file)) : me->held[file];
	unsigned long long least = atomic_load(&l->file[file].done), most, seen = 0;

	assert_int_equal(pread(fd, &seen, sizeof(seen), 0), sizeof(seen));
	most = atomic_load(&l->file[file].begun);
	if (seen < least || seen > most) {
		print_message("host %d, file %u: %llu, which is not from %llu to %llu\n", me->host, file, seen, least,
			      most);
		atomic_fetch_add(&l->stale, 1);
	}
	if (anew)
		close(fd);
}

static void *load_main(void *context)
{
	struct looker *me = context;
	struct load *l = me->load;

	for (unsigned i = 0; i < FILES; i++)
		me->held[i] = open_read(load_name(l, me->host, i));
	while (atomic_fetch_add(&l->looks, 1) < l->wanted) {
		unsigned dice = (unsigned)rand_r(&me->seed), file = dice / 64 % FILES;

		if (dice % 64 == 0)
			load_change(l, me->host, file, dice / 8192 % 2);
		else
			load_look(l, me, file, dice % 2);
	}
	for (unsigned i = 0; i < FILES; i++)
		close(me->held[i]);
	return NULL;
}

/* A process that serves A is killed each time that so many looks were made. */
static void load_kill(struct load *l, unsigned kills)
{
	for (unsigned i = 1; i <= kills; i++) {
		while (atomic_load(&l->looks) < l->wanted / (kills + 1) * i)
			usleep(1000);
		pod_kill_server(l->pod, A);
	}
}

static unsigned from_environment(const char *name, unsigned otherwise)
{
	return getenv(name) ? (unsigned)strtoul(getenv(name), NULL, 10) : otherwise;
}

static void test_load(void **state)
{
	static struct load l;
	static struct looker looker[2 * THREADS];

	l = (struct load){ .pod = begin(state, SHORT_MS), .wanted = from_environment("PAGES_LOOKS", LOOKS) };
	for (unsigned i = 0; i < FILES; i++) {
		pthread_mutex_init(&l.file[i].lock, NULL);
		make(load_name(&l, B, i), 0);
	}
	for (unsigned i = 0; i < 2 * THREADS; i++) {
		looker[i] = (struct looker){ .load = &l, .host = i % 2 ? A : B, .seed = i + 1 };
		assert_int_equal(pthread_create(&looker[i].thread, NULL, load_main, &looker[i]), 0);
	}
	load_kill(&l, from_environment("PAGES_KILLS", 1));
	for (unsigned i = 0; i < 2 * THREADS; i++)
		pthread_join(looker[i].thread, NULL);
	assert_int_equal(atomic_load(&l.stale), 0);
}

#define PAGES_TEST(test) cmocka_unit_test_setup_teardown(test, watch_setup, pod_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAGES_TEST(test_kept),       PAGES_TEST(test_locks_end),   PAGES_TEST(test_not_kept),
		PAGES_TEST(test_changed),    PAGES_TEST(test_known_again), PAGES_TEST(test_open_before),
		PAGES_TEST(test_cut),        PAGES_TEST(test_own),         PAGES_TEST(test_mapped),
		PAGES_TEST(test_stopped),    PAGES_TEST(test_next_life),   PAGES_TEST(test_killed_dropping),
		PAGES_TEST(test_no_dropper), PAGES_TEST(test_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
