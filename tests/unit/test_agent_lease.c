/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_lease.c - what the kernels of two mounts keep, and forget before the other changes it.
 *
 * An answer that is on its way is stopped at each of the two places where it can be old when it arrives: between
 * the look at the pool and the write to the connection (test_agent_watch.h), and between that and the
 * kernel's taking it: the page that a listing is copied to is missing, and userfaultfd says when it comes.
 */
#include "test_agent_watch.h"

#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>

#define ROOM_US 200000 /* for what should not happen */

/* -- kept ---------------------------------------------------------------------------- */

/* The second time nobody is asked: for what is there, and for what is not. */
static void test_kept(void **state)
{
	struct pod *pod = watch_begin(state, LONG_MS);
	unsigned before;

	assert_int_equal(mkdir(at(pod, B, "d"), 0755), 0);
	put(at(pod, B, "d/f"), "text");
	warm(pod, "d/f");
	warm(pod, "d/none");
	before = watch_all(A);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(stat_of(at(pod, A, "d/f")).st_size, 4);
		expect_error(access(at(pod, A, "d/none"), F_OK), ENOENT);
	}
	assert_int_equal(watch_all(A), before);
}

/* As on kernels that cannot be told to forget names: what is open shows its attributes, and names are looked up. */
static void test_attributes_alone(void **state)
{
	struct pod *pod = watch_begin(state, LONG_MS);
	unsigned before;
	struct stat st;
	int fd;

	watch_again(pod, A, KERNEL_KEEPS_ATTRIBUTES);
	put(at(pod, B, "f"), "text");
	fd = open(at(pod, A, "f"), O_RDONLY);
	for (unsigned i = 0; i < NOT_GRANTED; i++) {
		before = watch_all(A);
		assert_int_equal(fstat(fd, &st), 0);
		if (watch_all(A) == before)
			break;
	}
	assert_int_equal(watch_all(A), before);
	assert_int_equal(chmod(at(pod, B, "f"), 0600), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	close(fd);
	before = atomic_load(&watch->host[A].requests[FUSE_LOOKUP]);
	stat_of(at(pod, A, "f"));
	assert_int_equal(atomic_load(&watch->host[A].requests[FUSE_LOOKUP]), before + 1);
	assert_int_equal(unlink(at(pod, B, "f")), 0);
	expect_error(stat(at(pod, A, "f"), &st), ENOENT);
}

static void test_not_kept(void **state)
{
	struct pod *pod = *state;
	unsigned before;

	if (!pod_possible())
		skip();
	if (!watch)
		watch_start();
	memset(watch, 0, sizeof(*watch));
	pod_make(pod);
	watch_pod_start(pod, A);
	put(at(pod, A, "f"), "text");
	before = watch_all(A);
	for (int i = 0; i < 10; i++)
		stat_of(at(pod, A, "f"));
	assert_true(watch_all(A) >= before + 10);
}

/* -- changed by the other host ---------------------------------------------------------- */

static void test_names(void **state)
{
	struct pod *pod = watch_begin(state, LONG_MS);
	ino_t ino;

	assert_int_equal(mkdir(at(pod, B, "d"), 0755), 0);
	assert_int_equal(mkdir(at(pod, B, "e"), 0755), 0);
	warm(pod, "d/f");
	put(at(pod, B, "d/f"), "one");
	assert_int_equal(stat_of(at(pod, A, "d/f")).st_size, 3);
	warm(pod, "d/f");
	put(at(pod, B, "d/g"), "three");
	assert_int_equal(rename(at(pod, B, "d/g"), at(pod, B, "d/f")), 0);
	assert_int_equal(stat_of(at(pod, A, "d/f")).st_size, 5);
	warm(pod, "d/f");
	warm(pod, "e/f");
	ino = stat_of(at(pod, A, "d/f")).st_ino;
	assert_int_equal(rename(at(pod, B, "d/f"), at(pod, B, "e/f")), 0);
	expect_gone(pod, A, "d/f");
	assert_int_equal(stat_of(at(pod, A, "e/f")).st_ino, ino);
	warm(pod, "e/f");
	assert_int_equal(unlink(at(pod, B, "e/f")), 0);
	expect_gone(pod, A, "e/f");
	warm(pod, "d");
	assert_int_equal(rmdir(at(pod, B, "d")), 0);
	expect_gone(pod, A, "d");
	assert_int_equal(symlink("e", at(pod, B, "d")), 0);
	assert_int_equal(stat_of(at(pod, A, "d")).st_ino, stat_of(at(pod, A, "e")).st_ino);
}

static void change(const struct pod *pod, unsigned what)
{
	const struct timespec times[2] = { { 1, 2 }, { 3, 4 } };
	const char *f = at(pod, B, "d/f");
	int fd = -1;

	switch (what) {
	case 0: assert_int_equal(chmod(f, 0600), 0); break;
	case 1: assert_int_equal(chown(f, 1234, 1234), 0); break;
	case 2: assert_int_equal(truncate(f, 100000), 0); break;
	case 3: assert_int_equal(utimensat(AT_FDCWD, f, times, 0), 0); break;
	case 4: assert_int_equal(link(f, at(pod, B, "d/g")), 0); break;
	case 5: assert_int_equal(unlink(at(pod, B, "d/g")), 0); break;
	case 6: assert_int_equal(setxattr(f, "user.a", "b", 1, 0), 0); break;
	case 7: put(f, "another text"); break;
	case 8:
		fd = open(f, O_WRONLY | O_APPEND);
		assert_int_equal(write(fd, "more", 4), 4);
		break;
	case 9:
		fd = open(f, O_WRONLY);
		assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), 0);
		break;
	default: fail();
	}
	if (fd >= 0)
		close(fd);
}

static void test_attributes(void **state)
{
	struct pod *pod = watch_begin(state, LONG_MS);

	assert_int_equal(mkdir(at(pod, B, "d"), 0755), 0);
	put(at(pod, B, "d/f"), "text");
	for (unsigned what = 0; what < 10; what++) {
		warm(pod, "d/f");
		warm(pod, "d");
		change(pod, what);
		expect_same(pod, "d/f");
		expect_same(pod, "d");
	}
}

/* What is open shows what others do to it, by its own name or none. */
static void test_open(void **state)
{
	struct pod *pod = watch_begin(state, LONG_MS);
	struct stat st;
	int fd;

	put(at(pod, B, "f"), "text");
	assert_int_equal(link(at(pod, B, "f"), at(pod, B, "g")), 0);
	fd = open(at(pod, A, "f"), O_RDONLY);
	warm(pod, "f");
	warm(pod, "g");
	assert_int_equal(unlink(at(pod, B, "f")), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_nlink, 1);
	warm(pod, "g");
	put(at(pod, B, "h"), "");
	assert_int_equal(rename(at(pod, B, "h"), at(pod, B, "g")), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_nlink, 0);
	close(fd);
}

/* -- changed by this host ------------------------------------------------------------------ */

/* A name that has moved here is of a directory of which there is no lease. */
static void test_moved_here(void **state)
{
	struct pod *pod = watch_begin(state, LONG_MS);

	assert_int_equal(mkdir(at(pod, B, "d"), 0755), 0);
	assert_int_equal(mkdir(at(pod, B, "e"), 0755), 0);
	put(at(pod, B, "d/f"), "text");
	recall_often(pod, "e");
	warm(pod, "d/f");
	assert_int_equal(rename(at(pod, A, "d/f"), at(pod, A, "e/f")), 0);
	assert_int_equal(rename(at(pod, B, "e/f"), at(pod, B, "e/g")), 0);
	expect_gone(pod, A, "e/f");
}

static void test_links_here(void **state)
{
	struct pod *pod = watch_begin(state, LONG_MS);
	struct stat st;
	int fd;

	put(at(pod, A, "f"), "text");
	warm(pod, "f");
	assert_int_equal(link(at(pod, A, "f"), at(pod, A, "g")), 0);
	assert_int_equal(stat_of(at(pod, A, "f")).st_nlink, 2);
	warm(pod, "g");
	warm(pod, "f");
	put(at(pod, A, "h"), "");
	assert_int_equal(rename(at(pod, A, "h"), at(pod, A, "g")), 0);
	expect_same(pod, "f");
	assert_int_equal(stat_of(at(pod, A, "f")).st_nlink, 1);
	warm(pod, "f");
	fd = open(at(pod, A, "f"), O_RDONLY);
	assert_int_equal(unlink(at(pod, A, "f")), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_nlink, 0);
	close(fd);
}

/* -- answers on their way -------------------------------------------------------------------- */

struct call {
	const struct pod *pod;
	int (*change)(const struct pod *pod);
	atomic_bool done;
	pthread_t thread;
};

static void *call_main(void *context)
{
	struct call *c = context;

	assert_int_equal(c->change(c->pod), 0);
	atomic_store(&c->done, true);
	return NULL;
}

static void call_start(struct call *c)
{
	assert_int_equal(pthread_create(&c->thread, NULL, call_main, c), 0);
}

static int make_private(const struct pod *pod)
{
	return chmod(at(pod, B, "d/f"), 0600);
}

static int unlink_f(const struct pod *pod)
{
	return unlink(at(pod, B, "d/f"));
}

static void *look_main(void *context)
{
	struct stat st;

	stat(at(context, A, "d/f"), &st);
	return NULL;
}

static void *list_main(void *context)
{
	char path[512], buf[4096];
	int fd;

	snprintf(path, sizeof(path), "%s", at(context, A, "d"));
	fd = open(path, O_RDONLY | O_DIRECTORY);
	while (syscall(SYS_getdents64, fd, buf, sizeof(buf)) > 0)
		;
	close(fd);
	return NULL;
}

/* Whoever changes what is answered waits for the answer, and so does nobody believe an old one. */
static void stop_answer(struct pod *pod, unsigned opcode, void *(*ask)(void *))
{
	struct call c = { .pod = pod, .change = make_private };
	pthread_t asker;

	watch_hold(opcode);
	assert_int_equal(pthread_create(&asker, NULL, ask, pod), 0);
	watch_wait_held();
	call_start(&c);
	usleep(ROOM_US);
	assert_false(atomic_load(&c.done));
	watch_release();
	pthread_join(asker, NULL);
	pthread_join(c.thread, NULL);
	assert_int_equal(stat_of(at(pod, A, "d/f")).st_mode & 0777, 0600);
}

/* An answer that meets a change of this host itself. */
static void test_own_change(void **state)
{
	struct pod *pod = watch_begin(state, LONG_MS);
	pthread_t asker;

	assert_int_equal(mkdir(at(pod, A, "d"), 0755), 0);
	put(at(pod, A, "d/f"), "text");
	warm(pod, "d/f");
	assert_int_equal(setxattr(at(pod, A, "d/f"), "user.a", "a", 1, 0), 0); /* the ctime is to be asked for */
	watch_hold(FUSE_GETATTR);
	assert_int_equal(pthread_create(&asker, NULL, look_main, pod), 0);
	watch_wait_held();
	usleep(ROOM_US); /* so that the clock has moved on */
	assert_int_equal(setxattr(at(pod, A, "d/f"), "user.a", "b", 1, 0), 0);
	watch_release();
	pthread_join(asker, NULL);
	expect_same(pod, "d/f");
}

/* A working directory that is moved by another host: right below, and where it is once its new name is looked at. */
static void test_moved_working_directory(void **state)
{
	struct pod *pod = watch_begin(state, LONG_MS);
	char path[PATH_MAX];

	assert_int_equal(mkdir(at(pod, A, "old"), 0755), 0);
	assert_int_equal(mkdir(at(pod, A, "new"), 0755), 0);
	assert_int_equal(mkdir(at(pod, A, "old/d"), 0755), 0);
	put(at(pod, A, "new/sibling"), "text");
	put(at(pod, A, "old/d/f"), "text");
	warm(pod, "old/d/f");
	assert_int_equal(chdir(at(pod, A, "old/d")), 0);
	assert_int_equal(rename(at(pod, B, "old/d"), at(pod, B, "new/d")), 0);
	put(at(pod, B, "new/d/g"), "more");
	assert_true(stat_of("f").st_size == 4 && stat_of("g").st_size == 4);
	expect_gone(pod, A, "old/d");
	stat_of(at(pod, A, "new/d"));
	stat_of("../sibling");
	assert_non_null(getcwd(path, sizeof(path)));
	assert_string_equal(path, at(pod, A, "new/d"));
	assert_int_equal(chdir("/"), 0);
}

static void test_lookup_stopped(void **state)
{
	struct pod *pod = watch_begin(state, LONG_MS);

	new_names(pod);
	warm(pod, "d");
	stop_answer(pod, FUSE_LOOKUP, look_main);
}

static void test_getattr_stopped(void **state)
{
	struct pod *pod = watch_begin(state, LONG_MS);

	new_names(pod);
	warm(pod, "d/f");
	assert_int_equal(chmod(at(pod, A, "d/f"), 0644), 0); /* the attributes are to be asked for, the name is not */
	stop_answer(pod, FUSE_GETATTR, look_main);
}

static void test_listing_stopped(void **state)
{
	struct pod *pod = watch_begin(state, LONG_MS);

	new_names(pod);
	stop_answer(pod, FUSE_READDIRPLUS, list_main);
}

struct fault {
	int fd; /* userfaultfd */
	char *page;
	const struct pod *pod;
	atomic_bool closed;
	pthread_t lister;
};

static void *list_into_nowhere(void *context)
{
	struct fault *f = context;
	int fd = open(at(f->pod, A, "d"), O_RDONLY | O_DIRECTORY);

	while (syscall(SYS_getdents64, fd, f->page, 4096) > 0)
		;
	close(fd);
	return NULL;
}

static bool fault_open(struct fault *f)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register region = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	f->fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	if (f->fd < 0 || ioctl(f->fd, UFFDIO_API, &api) < 0)
		return false;
	f->page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(f->page != MAP_FAILED);
	region.range.start = (uintptr_t)f->page;
	region.range.len = 4096;
	return ioctl(f->fd, UFFDIO_REGISTER, &region) == 0;
}

/* The listing has arrived, and nothing of it has been taken. */
static void fault_wait(struct fault *f)
{
	struct uffd_msg event;

	assert_int_equal(pthread_create(&f->lister, NULL, list_into_nowhere, f), 0);
	assert_int_equal(syscall(SYS_read, f->fd, &event, sizeof(event)), sizeof(event));
	assert_int_equal(event.event, UFFD_EVENT_PAGEFAULT);
}

static void fault_end(struct fault *f)
{
	struct uffdio_zeropage zero = { .range = { (uintptr_t)f->page, 4096 } };

	assert_int_equal(ioctl(f->fd, UFFDIO_ZEROPAGE, &zero), 0);
	pthread_join(f->lister, NULL);
	munmap(f->page, 4096);
	close(f->fd);
}

static void stop_in_kernel(struct pod *pod, int (*what)(const struct pod *pod))
{
	struct call c = { .pod = pod, .change = what };
	struct fault f = { .pod = pod };

	if (!fault_open(&f))
		skip();
	fault_wait(&f);
	call_start(&c);
	usleep(ROOM_US);
	assert_false(atomic_load(&c.done));
	fault_end(&f);
	pthread_join(c.thread, NULL);
}

/* The inode is known by another name, so that only the listing is waited for. */
static void test_listed_names_taken_late(void **state)
{
	struct pod *pod = watch_begin(state, LONG_MS);

	new_names(pod);
	assert_int_equal(link(at(pod, B, "d/f"), at(pod, B, "g")), 0);
	warm(pod, "g");
	stop_in_kernel(pod, unlink_f);
	expect_gone(pod, A, "d/f");
}

static void test_listed_attributes_taken_late(void **state)
{
	struct pod *pod = watch_begin(state, LONG_MS);

	new_names(pod);
	stop_in_kernel(pod, make_private);
	assert_int_equal(stat_of(at(pod, A, "d/f")).st_mode & 0777, 0600);
}

/* Two hosts that make names in one directory wait for one another no longer than that takes. */
static void *make_names(void *context)
{
	const struct call *c = context;

	for (int i = 0; i < 200; i++) {
		char name[32];
		struct stat st;

		snprintf(name, sizeof(name), "d/%s%d", c->change == unlink_f ? "x" : "y", i);
		put(at(c->pod, c->change == unlink_f ? A : B, name), "");
		stat(at(c->pod, c->change == unlink_f ? B : A, name), &st);
	}
	return NULL;
}

static void test_both_make(void **state)
{
	struct pod *pod = watch_begin(state, LONG_MS);
	struct call a = { .pod = pod, .change = unlink_f }, b = { .pod = pod, .change = make_private };

	new_names(pod);
	warm(pod, "d/f");
	pthread_create(&a.thread, NULL, make_names, &a);
	pthread_create(&b.thread, NULL, make_names, &b);
	pthread_join(a.thread, NULL);
	pthread_join(b.thread, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, watch_setup, pod_teardown)
		TEST(test_kept),
		TEST(test_attributes_alone),
		TEST(test_not_kept),
		TEST(test_names),
		TEST(test_attributes),
		TEST(test_open),
		TEST(test_moved_here),
		TEST(test_links_here),
		TEST(test_own_change),
		TEST(test_moved_working_directory),
		TEST(test_lookup_stopped),
		TEST(test_getattr_stopped),
		TEST(test_listing_stopped),
		TEST(test_listed_names_taken_late),
		TEST(test_listed_attributes_taken_late),
		TEST(test_both_make),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
