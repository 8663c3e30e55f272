/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_read.c - a large read is answered from where its bytes lie, and gives each write wholly or not at all.
 *
 * The agents of a test are its children, and look for bytes by this program's daxfs_view_read(): the reader is
 * stopped in one such look after the other, and another host writes over all that is read.
 */
#include "test_agent_pod.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "daxfs/view.h"

#define BYTES (64 * 1024) /* in pages that lie apart */
#define PAGE 4096

/* between the test and its agents: which look stops, counted from the begin of a read */
static struct {
	atomic_uint done, stop_at;
	atomic_bool stopped, go_on;
} * looks;

ssize_t __real_daxfs_view_read(struct daxfs_view *view, daxfs_ino ino, uint64_t offset, const void **out);
ssize_t __wrap_daxfs_view_read(struct daxfs_view *view, daxfs_ino ino, uint64_t offset, const void **out);
ssize_t __wrap_daxfs_view_read(struct daxfs_view *view, daxfs_ino ino, uint64_t offset, const void **out)
{
	if (atomic_fetch_add(&looks->done, 1) + 1 == atomic_load(&looks->stop_at)) {
		atomic_store(&looks->stopped, true);
		while (!atomic_load(&looks->go_on))
			usleep(100);
	}
	return __real_daxfs_view_read(view, ino, offset, out);
}

struct reader {
	int fd;
	char bytes[BYTES];
	ssize_t n;
	atomic_bool done;
};

static void *read_main(void *context)
{
	struct reader *r = context;

	r->n = pread(r->fd, r->bytes, BYTES, 0);
	atomic_store(&r->done, true);
	return NULL;
}

/* Page by page, and not in their order: no two of them lie together. */
static void write_apart(int fd, char letter)
{
	char page[PAGE];

	memset(page, letter, PAGE);
	for (unsigned i = 0; i < BYTES / PAGE; i++)
		assert_int_equal(pwrite(fd, page, PAGE, (i * 5 % (BYTES / PAGE)) * PAGE), PAGE);
}

static void write_whole(int fd, char letter)
{
	char bytes[BYTES];

	memset(bytes, letter, BYTES);
	assert_int_equal(pwrite(fd, bytes, BYTES, 0), BYTES);
}

/* All is 'a'; the reader stops in that look, and all becomes 'b'. False: it has not looked so often. */
static bool overwritten_in(struct reader *r, int fd, unsigned look)
{
	pthread_t thread;
	bool stopped;

	write_apart(fd, 'a');
	atomic_store(&looks->done, 0);
	atomic_store(&looks->stop_at, look);
	atomic_store(&looks->stopped, false);
	atomic_store(&looks->go_on, false);
	atomic_store(&r->done, false);
	assert_int_equal(pthread_create(&thread, NULL, read_main, r), 0);
	while (!atomic_load(&looks->stopped) && !atomic_load(&r->done))
		usleep(100);
	stopped = atomic_load(&looks->stopped);
	if (stopped)
		write_whole(fd, 'b');
	atomic_store(&looks->go_on, true);
	pthread_join(thread, NULL);
	assert_int_equal(r->n, BYTES);
	assert_true(r->bytes[0] == 'a' || (stopped && r->bytes[0] == 'b'));
	assert_memory_equal(r->bytes, r->bytes + 1, BYTES - 1);
	return stopped;
}

static void test_overwritten_in_each_look(void **state)
{
	struct pod *pod = *state;
	struct reader r;
	unsigned n = 0;
	int fd;

	if (!pod_possible())
		skip();
	fd = open(at(pod, A, "whole"), O_RDWR | O_CREAT, 0600);
	r.fd = open(at(pod, B, "whole"), O_RDWR);
	assert_true(fd >= 0 && r.fd >= 0);
	alarm(HANG_S);
	while (overwritten_in(&r, fd, n + 1))
		n++;
	alarm(0);
	assert_true(n >= BYTES / PAGE + 2); /* or the bytes lay together, or nobody looked twice */
	close(fd);
	close(r.fd);
}

static int setup(void **state)
{
	looks = mmap(NULL, sizeof(*looks), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return looks == MAP_FAILED ? -1 : pod_setup(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pod_start_both),
		cmocka_unit_test(test_overwritten_in_each_look),
		cmocka_unit_test(pod_stop_both),
	};

	return cmocka_run_group_tests(tests, setup, pod_teardown);
}
