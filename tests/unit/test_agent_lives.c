/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_lives.c - the process that serves a mount is killed again and again, and programs
 * notice nothing but a pause: no error, nothing lost, nothing done twice.
 *
 * LIVES says how many kills (20).
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/file.h>

#include "daxfs/inspect.h"
#include "manager.h"
#include "test_agent_pod.h"

#define WRITERS 3u
#define LINE 12
#define BLOCK 4000
#define LARGE (700 * 1024)

/* -- a writer that checks -------------------------------------------------------------- */

struct writer {
	const char *dir;
	unsigned id;
	atomic_bool *stop;
	char log[256]; /* its path */
	uint64_t rounds, longest_ms;
	char wrong[128]; /* empty: all was right */
};

#define must(w, call)                                                                                                  \
	do {                                                                                                           \
		if (!(call)) {                                                                                         \
			snprintf((w)->wrong, sizeof((w)->wrong), "round %llu, line %d, %s: " #call,                    \
				 (unsigned long long)(w)->rounds, __LINE__, strerror(errno));                          \
			return false;                                                                                  \
		}                                                                                                      \
	} while (0)

static bool use_file(struct writer *w, const char *name, const char *buf)
{
	int fd = open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
	char other[256], back[BLOCK];
	struct stat st;

	must(w, fd >= 0);
	must(w, write(fd, buf, BLOCK) == BLOCK);
	snprintf(other, sizeof(other), "%.200s.b", name);
	must(w, rename(name, other) == 0);
	must(w, link(other, name) == 0);
	must(w, fstat(fd, &st) == 0 && st.st_nlink == 2 && st.st_size == BLOCK);
	must(w, unlink(other) == 0);
	must(w, unlink(name) == 0);
	must(w, pread(fd, back, BLOCK, 0) == BLOCK && memcmp(back, buf, BLOCK) == 0); /* it has no name now */
	must(w, ftruncate(fd, 10) == 0);
	must(w, pwrite(fd, "x", 1, 20) == 1);
	must(w, fstat(fd, &st) == 0 && st.st_size == 21);
	must(w, close(fd) == 0);
	return true;
}

static bool use_directory(struct writer *w, const char *name)
{
	char below[256], target[8];

	snprintf(below, sizeof(below), "%.200s/s", name);
	must(w, mkdir(name, 0700) == 0);
	must(w, symlink("target", below) == 0);
	must(w, readlink(below, target, sizeof(target)) == 6);
	must(w, unlink(below) == 0);
	must(w, rmdir(name) == 0);
	return true;
}

static bool append(struct writer *w, int log, int large, const char *much)
{
	char line[24];

	snprintf(line, sizeof(line), "%011llu\n", (unsigned long long)w->rounds);
	must(w, write(log, line, LINE) == LINE);
	if (w->rounds % 16 == 0) {
		must(w, write(large, much, LARGE) == LARGE); /* several records */
		must(w, lseek(large, 0, SEEK_END) == LARGE);
		must(w, ftruncate(large, 0) == 0);
	}
	return true;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static bool round_of(struct writer *w, int log, int large, const char *much)
{
	char name[256];

	snprintf(name, sizeof(name), "%s/%u.%llu", w->dir, w->id, (unsigned long long)w->rounds);
	return append(w, log, large, much) && use_file(w, name, much) && use_directory(w, name);
}

static void *writer_main(void *arg)
{
	struct writer *w = arg;
	char path[256], *much = malloc(LARGE);
	int log = open(w->log, O_WRONLY | O_CREAT | O_APPEND, 0600), large;

	snprintf(path, sizeof(path), "%s/large%u", w->dir, w->id);
	large = open(path, O_RDWR | O_CREAT | O_APPEND, 0600);
	memset(much, 'a' + (int)w->id, LARGE);
	while (!atomic_load(w->stop) && !w->wrong[0]) {
		uint64_t since = now_ms();

		if (round_of(w, log, large, much))
			w->rounds++;
		if (now_ms() - since > w->longest_ms)
			w->longest_ms = now_ms() - since;
	}
	close(log);
	close(large);
	free(much);
	return NULL;
}

/* Each line once, in order, as the other host sees it. */
static void expect_log(const struct pod *pod, const struct writer *w)
{
	char line[LINE + 1], want[24];
	int fd = open(at(pod, B, strrchr(w->log, '/') + 1), O_RDONLY);

	assert_true(fd >= 0);
	for (uint64_t i = 0; i < w->rounds; i++) {
		snprintf(want, sizeof(want), "%011llu\n", (unsigned long long)i);
		assert_int_equal(read(fd, line, LINE), LINE);
		assert_memory_equal(line, want, LINE);
	}
	assert_int_equal(read(fd, line, LINE), 0);
	close(fd);
}

static void test_killed_under_writers(void **state)
{
	struct pod *pod = *state;
	int kills = getenv("LIVES") ? atoi(getenv("LIVES")) : 20;
	struct writer writers[WRITERS];
	pthread_t thread[WRITERS];
	atomic_bool stop = false;
	uint64_t rounds = 0, longest_ms = 0;

	if (!pod_possible())
		skip();
	pod_start(pod, A);
	pod_start(pod, B);
	memset(writers, 0, sizeof(writers));
	for (unsigned i = 0; i < WRITERS; i++) {
		writers[i] = (struct writer){ .dir = pod->mount[A], .id = i, .stop = &stop };
		snprintf(writers[i].log, sizeof(writers[i].log), "%s/log%u", pod->mount[A], i);
		pthread_create(&thread[i], NULL, writer_main, &writers[i]);
	}
	srand((unsigned)getpid());
	for (int i = 0; i < kills; i++) {
		usleep((useconds_t)(250000 + rand() % 200000));
		pod_kill_server(pod, A);
	}
	usleep(200000);
	atomic_store(&stop, true);
	for (unsigned i = 0; i < WRITERS; i++) {
		pthread_join(thread[i], NULL);
		if (writers[i].wrong[0])
			fail_msg("writer %u: %s", i, writers[i].wrong);
		expect_log(pod, &writers[i]);
		rounds += writers[i].rounds;
		longest_ms = writers[i].longest_ms > longest_ms ? writers[i].longest_ms : longest_ms;
	}
	print_message("%d kills, %llu rounds of 17 operations, the longest took %llu ms\n", kills,
		      (unsigned long long)rounds, (unsigned long long)longest_ms);
	pod_leave_clean(pod);
}

/* -- what lives on ------------------------------------------------------------------------- */

static int lock_range(int fd, int command, short type)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_len = 10 };

	return fcntl(fd, command, &lock);
}

/* Open files, working directories, locks, and who waits for one. */
static void test_lives_on(void **state)
{
	struct pod *pod = *state;
	char text[8];
	int fd, other;
	pid_t pid;

	if (!pod_possible())
		skip();
	pod_start(pod, A);
	pod_start(pod, B);
	assert_int_equal(mkdir(at(pod, A, "dir"), 0700), 0);
	fd = open(at(pod, A, "dir/file"), O_RDWR | O_CREAT, 0600);
	assert_int_equal(write(fd, "kept", 4), 4);
	assert_int_equal(lock_range(fd, F_SETLK, F_WRLCK), 0);
	other = open(at(pod, B, "dir/file"), O_RDWR);
	pid = fork();
	if (pid == 0) { /* waits on the host that is killed, by another open file */
		int waits = open(at(pod, A, "dir/file"), O_RDWR);

		if (chdir(at(pod, A, "dir")) != 0 || lock_range(waits, F_SETLKW, F_WRLCK) != 0)
			_exit(1);
		_exit(access("file", F_OK) == 0 ? 0 : 2);
	}
	usleep(100000);
	for (int i = 0; i < 3; i++) {
		pod_kill_server(pod, A);
		expect_error(lock_range(other, F_SETLK, F_RDLCK), EAGAIN);
		assert_int_equal(pread(fd, text, sizeof(text), 0), 4);
		assert_memory_equal(text, "kept", 4);
	}
	assert_int_equal(lock_range(fd, F_SETLK, F_UNLCK), 0);
	assert_int_equal(pod_reap(pid), 0);
	close(fd);
	close(other);
	assert_int_equal(pod_stop(pod, A, SIGTERM), AGENT_EXIT_OK);
	assert_int_equal(pod_stop(pod, B, SIGTERM), AGENT_EXIT_OK);
}

/* -- what does not --------------------------------------------------------------------------- */

static void test_gives_up(void **state)
{
	struct pod *pod = *state;
	pid_t agent, server;

	if (!pod_possible())
		skip();
	pod_start(pod, A);
	put(at(pod, A, "file"), "it serves");
	agent = pod->agent[A];
	for (int i = 0; i < 100000 && !pod_ended(agent); i++) {
		server = pod_server(pod, A);
		if (server > 0)
			kill(server, SIGKILL);
	}
	pod->agent[A] = 0;
	assert_int_equal(pod_end(pod, agent), AGENT_EXIT_FAILED);
	if (!pod_log_says(pod, A, "giving up")) {
		pod_show_log(pod, A);
		fail_msg("did not give up");
	}
	assert_false(pod_mounted(pod, A));
}

/* Declared dead while nobody serves: the next process does not go on. */
static void test_too_late(void **state)
{
	struct pod *pod = *state;
	struct manager m;
	pid_t agent;
	int status;

	if (!pod_possible())
		skip();
	manager_open(&m, pod->pool);
	pod_start(pod, A);
	put(at(pod, A, "file"), "it serves");
	agent = pod->agent[A];
	kill(agent, SIGSTOP);
	assert_int_equal(waitpid(agent, &status, WUNTRACED), agent);
	kill(pod_server(pod, A), SIGKILL);
	manager_fence(&m, A);
	kill(agent, SIGCONT);
	pod->agent[A] = 0;
	assert_int_equal(pod_end(pod, agent), AGENT_EXIT_DEAD);
	assert_true(pod_log_says(pod, A, "declared dead"));
	assert_false(pod_mounted(pod, A));
	daxfs_member_close(m.member);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_killed_under_writers, pod_setup, pod_teardown),
		cmocka_unit_test_setup_teardown(test_lives_on, pod_setup, pod_teardown),
		cmocka_unit_test_setup_teardown(test_gives_up, pod_setup, pod_teardown),
		cmocka_unit_test_setup_teardown(test_too_late, pod_setup, pod_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
