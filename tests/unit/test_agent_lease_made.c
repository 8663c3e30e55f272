/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_lease_made.c - the kernel keeps the attributes of a file that it has just made, and takes no old ones.
 *
 * Of an answer to a creation the kernel takes everything, whatever it was told to forget since (kernel_made.h). So that
 * answer is held up, in the agent, or by a processor on which its thread does not come to run, and the file changed.
 * The kernel lets nobody look into a directory in which it makes a file; so another name of it is in another one.
 */
#include "test_agent_watch.h"

#include "agent_late.h"

#define ROOM_US 100000 /* for what should not happen */

#define F "d/f"
#define G "e/g" /* the same, by another name */

/* What the agent does next with what it has made. */
void __real_estate_file_set(struct estate *e, uint64_t fh, daxfs_ino ino);
void __wrap_estate_file_set(struct estate *e, uint64_t fh, daxfs_ino ino);

void __wrap_estate_file_set(struct estate *e, uint64_t fh, daxfs_ino ino)
{
	if (watch)
		stop_here(WATCH_MADE);
	__real_estate_file_set(e, fh, ino);
}

/* a thread that makes F on A */
struct maker {
	const struct pod *pod;
	bool stays; /* it asks for nothing more, until it is done; it sleeps */
	bool spins; /* .. or runs */
	atomic_bool made, done;
	int cpu, fd;
	pthread_t thread;
};

static void *make_main(void *context)
{
	struct maker *m = context;

	run_on(m->cpu);
	m->fd = open(at(m->pod, A, F), O_WRONLY | O_CREAT, 0644);
	atomic_store(&m->made, true);
	while (m->stays && !atomic_load(&m->done))
		if (!m->spins)
			usleep(1000);
	if (!m->stays)
		close(m->fd);
	return NULL;
}

static void maker_begin(struct maker *m)
{
	assert_int_equal(pthread_create(&m->thread, NULL, make_main, m), 0);
}

static void maker_end(struct maker *m)
{
	atomic_store(&m->done, true);
	pthread_join(m->thread, NULL);
	assert_true(m->fd >= 0);
	if (m->stays)
		close(m->fd);
}

/* a thread that changes it, by a name that it has */
struct changer {
	const struct pod *pod;
	int host;
	const char *name;
	void (*change)(const struct pod *pod, int host, const char *name);
	atomic_bool done;
	pthread_t thread;
};

static void change_mode(const struct pod *pod, int host, const char *name)
{
	assert_int_equal(chmod(at(pod, host, name), 0600), 0);
}

static void change_size(const struct pod *pod, int host, const char *name)
{
	int fd = open(at(pod, host, name), O_WRONLY);

	assert_int_equal(write(fd, "text", 4), 4);
	close(fd);
}

static void change_links(const struct pod *pod, int host, const char *name)
{
	assert_int_equal(link(at(pod, host, name), at(pod, host, "e/h")), 0);
}

static void *change_main(void *context)
{
	struct changer *c = context;

	c->change(c->pod, c->host, c->name);
	atomic_store(&c->done, true);
	return NULL;
}

static void changer_begin(struct changer *c)
{
	assert_int_equal(pthread_create(&c->thread, NULL, change_main, c), 0);
}

static struct pod *begin(void **state)
{
	struct pod *pod = watch_begin(state, LONG_MS);

	assert_int_equal(mkdir(at(pod, B, "d"), 0755), 0);
	assert_int_equal(mkdir(at(pod, B, "e"), 0755), 0);
	warm(pod, "d/none");
	return pod;
}

/* F is there, and not told to anybody; then it has another name. */
static void made_and_linked(const struct pod *pod, struct maker *maker)
{
	watch_hold_at(FUSE_CREATE, WATCH_MADE);
	maker_begin(maker);
	watch_wait_held();
	assert_int_equal(link(at(pod, B, F), at(pod, B, G)), 0);
}

/* -- kept -------------------------------------------------------------------------------------- */

/* Neither is asked for: the attributes by the descriptor, the name. What was recalled is not granted for a moment. */
static void test_kept(void **state)
{
	struct pod *pod = watch_begin(state, LONG_MS);
	bool kept = false;
	struct stat st;

	for (unsigned i = 0; !kept && i < 1000; i++) {
		unsigned all, lookups;
		char name[16];
		int fd;

		snprintf(name, sizeof(name), "f%u", i);
		fd = open(at(pod, A, name), O_WRONLY | O_CREAT | O_EXCL, 0640);
		all = watch_all(A);
		assert_int_equal(fstat(fd, &st), 0);
		kept = watch_all(A) == all;
		assert_int_equal(st.st_mode, S_IFREG | 0640);
		lookups = atomic_load(&watch->host[A].requests[FUSE_LOOKUP]);
		assert_int_equal(stat_of(at(pod, A, name)).st_ino, st.st_ino);
		kept = kept && atomic_load(&watch->host[A].requests[FUSE_LOOKUP]) == lookups;
		assert_int_equal(write(fd, "text", 4), 4);
		assert_int_equal(fstat(fd, &st), 0);
		assert_int_equal(st.st_size, 4);
		close(fd);
	}
	assert_true(kept);
}

/* -- taken late, and changed by the other host ---------------------------------------------------- */

/*
 * From where the answer is about to be written: it is, and the other host tries to change the file before it is taken.
 * (A thread that is kept from running gets a processor all the same, now and then: then it has been taken.)
 */
static void changed_before_taken(struct maker *maker, bool killed)
{
	struct changer changer = { .pod = maker->pod, .host = B, .name = F, .change = change_mode };
	struct hog hog = { 0 };
	bool early;

	watch_wait_held();
	hog_begin(&hog);
	watch_release();
	watch_wait_went();
	if (killed)
		pod_kill_server(maker->pod, A);
	changer_begin(&changer);
	usleep(ROOM_US);
	early = atomic_load(&changer.done) && !atomic_load(&maker->made);
	if (!hog_end(&hog))
		early = false;
	maker_end(maker);
	pthread_join(changer.thread, NULL);
	assert_false(early);
	expect_same(maker->pod, F);
}

static void test_taken_late(void **state)
{
	struct maker maker = { .cpu = LATE_CPU };

	if (!late_possible())
		skip();
	maker.pod = begin(state);
	watch_hold(FUSE_CREATE);
	maker_begin(&maker);
	changed_before_taken(&maker, false);
}

/* The next process knows of it, also of one that the kernel has found by another name. */
static void test_taken_later_still(void **state)
{
	struct maker maker = { .cpu = LATE_CPU };

	if (!late_possible())
		skip();
	maker.pod = begin(state);
	made_and_linked(maker.pod, &maker);
	watch_hold(FUSE_CREATE);
	watch_wait_held();
	stat_of(at(maker.pod, A, G));
	changed_before_taken(&maker, true);
}

/* -- found before it is taken, and changed here ----------------------------------------------------- */

static void found_here(void **state, void (*change)(const struct pod *pod, int host, const char *name))
{
	struct pod *pod = begin(state);
	struct maker maker = { .pod = pod };
	struct changer changer = { .pod = pod, .host = A, .name = G, .change = change };
	bool early;

	made_and_linked(pod, &maker);
	watch_hold(FUSE_CREATE);
	watch_wait_held();
	stat_of(at(pod, A, G));
	changer_begin(&changer);
	usleep(ROOM_US);
	early = atomic_load(&changer.done);
	watch_release();
	maker_end(&maker);
	pthread_join(changer.thread, NULL);
	assert_false(early);
	expect_same(pod, G);
}

static void test_mode_changed_here(void **state)
{
	found_here(state, change_mode);
}

static void test_written_here(void **state)
{
	found_here(state, change_size);
}

static void test_linked_here(void **state)
{
	found_here(state, change_links);
}

/* Then nothing of it is kept, and nobody waits. */
static void test_found_at_once(void **state)
{
	struct pod *pod = begin(state);
	struct maker maker = { .pod = pod };

	made_and_linked(pod, &maker);
	stat_of(at(pod, A, G));
	watch_hold(FUSE_CREATE);
	watch_wait_held();
	change_mode(pod, A, G);
	watch_release();
	maker_end(&maker);
	expect_same(pod, G);
}

/* Another host was faster, and this kernel has found that file meanwhile. */
static void test_made_by_another(void **state)
{
	struct pod *pod = begin(state);
	struct maker maker = { .pod = pod };

	watch_hold_at(FUSE_CREATE, WATCH_READ);
	maker_begin(&maker);
	watch_wait_held();
	put(at(pod, B, F), "text");
	assert_int_equal(link(at(pod, B, F), at(pod, B, G)), 0);
	stat_of(at(pod, A, G));
	watch_hold(FUSE_CREATE);
	watch_wait_held();
	change_mode(pod, A, G);
	watch_release();
	maker_end(&maker);
	expect_same(pod, G);
}

/* -- nobody waits for who asks for nothing more ----------------------------------------------------- */

/* The time that an answer has to arrive is a quarter of a minute here. */
static void changed_soon(struct pod *pod, struct maker *maker, void (*between)(struct maker *maker))
{
	struct timespec from, to;

	maker_begin(maker);
	while (!atomic_load(&maker->made))
		sched_yield();
	between(maker);
	clock_gettime(CLOCK_MONOTONIC, &from);
	change_mode(pod, B, F);
	clock_gettime(CLOCK_MONOTONIC, &to);
	assert_in_range(to.tv_sec - from.tv_sec, 0, LONG_MS / 1000 / 8);
}

static void ask_about_it(struct maker *maker)
{
	assert_int_equal(fchmod(maker->fd, 0640), 0);
}

static void test_asked_about(void **state)
{
	struct pod *pod = begin(state);
	struct maker maker = { .pod = pod, .stays = true, .spins = true };

	changed_soon(pod, &maker, ask_about_it);
	maker_end(&maker);
	expect_same(pod, F);
}

static void let_it_sleep(struct maker *maker)
{
	(void)maker;
}

static void test_asleep(void **state)
{
	struct pod *pod = begin(state);
	struct maker maker = { .pod = pod, .stays = true };

	changed_soon(pod, &maker, let_it_sleep);
	maker_end(&maker);
	expect_same(pod, F);
}

static void end_thread(struct maker *maker)
{
	atomic_store(&maker->done, true);
	pthread_join(maker->thread, NULL);
}

static void test_thread_is_no_more(void **state)
{
	struct pod *pod = begin(state);
	struct maker maker = { .pod = pod, .stays = true, .spins = true };

	changed_soon(pod, &maker, end_thread);
	close(maker.fd);
	expect_same(pod, F);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_kept, watch_setup, pod_teardown),
		cmocka_unit_test_setup_teardown(test_taken_late, watch_setup, pod_teardown),
		cmocka_unit_test_setup_teardown(test_taken_later_still, watch_setup, pod_teardown),
		cmocka_unit_test_setup_teardown(test_mode_changed_here, watch_setup, pod_teardown),
		cmocka_unit_test_setup_teardown(test_written_here, watch_setup, pod_teardown),
		cmocka_unit_test_setup_teardown(test_linked_here, watch_setup, pod_teardown),
		cmocka_unit_test_setup_teardown(test_found_at_once, watch_setup, pod_teardown),
		cmocka_unit_test_setup_teardown(test_made_by_another, watch_setup, pod_teardown),
		cmocka_unit_test_setup_teardown(test_asked_about, watch_setup, pod_teardown),
		cmocka_unit_test_setup_teardown(test_asleep, watch_setup, pod_teardown),
		cmocka_unit_test_setup_teardown(test_thread_is_no_more, watch_setup, pod_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
