/* SPDX-License-Identifier: Apache-2.0 */
/* test_agent_estate.c - open files: their numbers, which the kernel keeps for as long as it likes, and their heirs. */
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hang.h"
#include "node-agent/config.h"
#include "node-agent/estate.h"
#include "pod.h"

#define BYTES (8u << 20)
#define PART (4u << 20) /* of the body of an estate: in it is all that has been touched */

/* A place is used again, its number is not: who comes late with the old one finds nothing, and closes nothing. */
static void a_number_is_of_one_file(void **state)
{
	struct daxfs_error err;
	struct estate e;
	uint64_t first, second;

	(void)state;
	if (estate_create(&e, &err))
		skip(); /* no /dev/fuse */
	first = estate_file_new(&e);
	assert_int_not_equal(first, 0);
	estate_file_set(&e, first, 5);
	assert_int_equal(estate_file(&e, first), 5);
	estate_file_free(&e, first);
	second = estate_file_new(&e);
	assert_int_not_equal(second, first);
	estate_file_set(&e, second, 7);
	estate_file_free(&e, first);
	assert_int_equal(estate_file(&e, second), 7);
	assert_int_not_equal(estate_file_new(&e), second);
	estate_close(&e);
}

/* -- what a program of another version left ----------------------------------------------- */

#define CONFIG_AT 40 /* in the memory: up to here and from behind the settings on nothing changes */

/* The same memory with settings that are so much longer, or shorter (then their end is lost). */
static int with_other_settings(const struct estate *e, long more)
{
	size_t config = sizeof(struct config), body = e->size - CONFIG_AT - config;
	int fd = memfd_create("other-version", MFD_CLOEXEC);
	char *to, *from = (char *)e->head;

	assert_int_equal(ftruncate(fd, (off_t)((long)e->size + more)), 0);
	to = mmap(NULL, (size_t)((long)e->size + more), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(to != MAP_FAILED);
	memcpy(to, from, CONFIG_AT + (more < 0 ? config + (size_t)more : config));
	memcpy(to + CONFIG_AT + (long)config + more, from + CONFIG_AT + config, body < PART ? body : PART);
	munmap(to, (size_t)((long)e->size + more));
	return fd;
}

static void settings_of_another_version(void **state)
{
	static const long more[] = { -16, -8, 0, 8, 4096 };
	static struct config config, other;
	struct daxfs_error err;
	struct estate e, next;
	uint64_t fh;

	(void)state;
	if (estate_create(&e, &err))
		skip(); /* no /dev/fuse */
	config_defaults(&config);
	strcpy(config.pool, "/dev/shm/pool");
	config.host = 3;
	config.dirty_max = 7;
	estate_place(&e, &config, "/mnt/somewhere");
	fh = estate_file_new(&e);
	estate_file_set(&e, fh, 5);
	for (unsigned i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
		int fd = with_other_settings(&e, more[i]);

		assert_int_equal(estate_inherit(&next, fd, dup(0), &err), 0);
		assert_string_equal(estate_mountpoint(&next), "/mnt/somewhere");
		assert_int_equal(estate_file(&next, fh), 5);
		assert_true(estate_is_of(&next, &config));
		other = config;
		other.dirty_max = 8; /* is compared where both say it */
		assert_int_equal(estate_is_of(&next, &other), more[i] != 0);
		other.host = 4;
		assert_false(estate_is_of(&next, &other));
		munmap(next.head, next.size);
		close(next.fd);
		close(next.fuse_fd);
	}
	estate_close(&e);
}

/* Neither too short for a body, nor longer than any settings are, nor without its magic number. */
static void what_is_no_estate(void **state)
{
	struct daxfs_error err;
	struct estate e, next;
	int fd;

	(void)state;
	if (estate_create(&e, &err))
		skip(); /* no /dev/fuse */
	fd = memfd_create("other", MFD_CLOEXEC);
	for (unsigned i = 0; i < 4; i++) {
		const off_t size[] = { 0, (off_t)(e.size - sizeof(struct config)), (off_t)e.size + (2 << 20),
				       (off_t)e.size };

		assert_int_equal(ftruncate(fd, size[i]), 0);
		assert_int_equal(estate_inherit(&next, fd, 0, &err), -EINVAL);
		assert_non_null(strstr(err.text, "not of this version"));
	}
	close(fd);
	estate_close(&e);
}

/* -- a life that ends within requests to create a file --------------------------------- */

/* what the kernel was told of such a request, or would have been */
struct asked {
	uint64_t fh;
	daxfs_ino ino;
};

struct deceased {
	struct daxfs *fs;
	struct estate *estate;
	uint64_t unique;
};

/* A request that nobody ends, up to what it asks of the library. */
static struct estate_request *begin(struct deceased *d, struct asked *a)
{
	struct estate_request *r = estate_begin(d->estate, ++d->unique, false);

	a->fh = r->fh = estate_file_new(d->estate);
	return r;
}

static void make(struct deceased *d, struct asked *a, const char *name)
{
	struct estate_request *r = begin(d, a);
	struct daxfs_attr attr;

	if (daxfs_receipt_use(d->fs, &r->receipt) ||
	    daxfs_mknod(d->fs, DAXFS_ROOT, name, S_IFREG | 0600, 0, pod_root, true, &attr))
		_exit(2);
	daxfs_receipt_use(d->fs, NULL);
	a->ino = attr.ino;
}

/* The kernel has its answer, and closes the file before the request is out of the journal. */
static void answer_and_close(struct deceased *d, const struct asked *a)
{
	estate_file_set(d->estate, a->fh, a->ino);
	if (daxfs_file_close(d->fs, a->ino))
		_exit(3);
	estate_file_free(d->estate, a->fh);
}

enum { UNMADE, MADE, CLOSED };
static const char *const names[] = { "unmade", "made", "closed" };

static void first_life(void *base, struct estate *e, struct asked *asked)
{
	struct deceased d = { .estate = e };
	struct daxfs_error err;

	if (fs_attach(base, BYTES, &d.fs, &err) || daxfs_join(d.fs, 0, "first", &err) || estate_enter(e))
		_exit(1);
	estate_mounted(e, daxfs_tenancy(d.fs));
	begin(&d, &asked[UNMADE]);
	make(&d, &asked[MADE], names[MADE]);
	make(&d, &asked[CLOSED], names[CLOSED]);
	answer_and_close(&d, &asked[CLOSED]);
	_exit(0);
}

/* Its name was all that kept it. */
static bool goes_with_its_name(struct daxfs *fs, unsigned file, daxfs_ino ino)
{
	struct daxfs_attr attr;

	assert_int_equal(daxfs_unlink(fs, DAXFS_ROOT, names[file]), 0);
	return daxfs_getattr(fs, ino, &attr) != 0;
}

/* What was made and not answered the next life holds for the kernel. What was answered and closed it does not. */
static void what_was_made_is_held(void **state)
{
	struct daxfs_mkfs_options options = { .size = BYTES, .hosts = POD_HOSTS, .lanes = 4, .inodes = 512 };
	struct asked *asked = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct pod pod = { .size = BYTES };
	struct daxfs_error err;
	struct estate e;
	int status;
	pid_t pid;

	(void)state;
	if (estate_create(&e, &err))
		skip(); /* no /dev/fuse */
	alarm(HANG_S);
	pod.base = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(pod.base != MAP_FAILED && asked != MAP_FAILED);
	assert_int_equal(pool_format(pod.base, BYTES, &options, &err), 0);
	pid = fork();
	if (pid == 0)
		first_life(pod.base, &e, asked);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);

	assert_int_equal(fs_attach(pod.base, BYTES, &pod.fs[0], &err), 0);
	assert_int_equal(estate_enter(&e), 0);
	if (estate_take_over(&e, pod.fs[0], 0, &err))
		fail_msg("%s", err.text);
	assert_int_equal(estate_file(&e, asked[UNMADE].fh), 0);
	assert_int_equal(estate_file(&e, asked[MADE].fh), asked[MADE].ino);
	assert_false(goes_with_its_name(pod.fs[0], MADE, asked[MADE].ino));
	assert_int_equal(estate_file(&e, asked[CLOSED].fh), 0);
	assert_true(goes_with_its_name(pod.fs[0], CLOSED, asked[CLOSED].ino));

	assert_int_equal(daxfs_leave(pod.fs[0]), 0);
	pod_check(&pod);
	daxfs_close(pod.fs[0]);
	estate_close(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_number_is_of_one_file),
		cmocka_unit_test(settings_of_another_version),
		cmocka_unit_test(what_is_no_estate),
		cmocka_unit_test(what_was_made_is_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
