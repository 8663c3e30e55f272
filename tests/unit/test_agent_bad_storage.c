/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_bad_storage.c - storage that is not as one would like it, through real mounts: symbolic links in a circle,
 * names that it refuses, handles that are stale, files that shrink or vanish while they are mapped, and files that are
 * much longer than they take.
 *
 * This kernel has no file system that refuses names for their bytes (vfat, ext4 with strict case folding): what such a
 * one says is put in its place.
 */
#include <pthread.h>
#include <sys/mman.h>

#include "agent_tree.h"
#include "node-agent/backing_change.h"
#include "storage_calls.h"

#define SIZE (1u << 20)
#define FAR (5ull << 30)

/* between the test and its agents: what storage says of names with a colon, and of all there is; 0: nothing; it is to
 * take its time to say that attributes are set, and does */
static struct {
	atomic_int refused, stale, slow, waits;
	atomic_int locks; /* that B asked for, of a file that it reads, or whose name it changes */
} * says;

static int refusal(const char *name)
{
	return strchr(name, ':') ? -atomic_load(&says->refused) : 0;
}

int __wrap_storage_make(int root, const struct storage_dir *dir, const char *name, const struct daxfs_attr *attr,
			const char *target, struct storage_entry *out)
{
	int rc = refusal(name);

	return rc ? rc : __real_storage_make(root, dir, name, attr, target, out);
}

int __wrap_storage_rename(int root, const struct storage_dir *from, const char *name, uint64_t file,
			  const struct storage_dir *to, const char *new_name, bool replace,
			  struct storage_entry *replaced)
{
	int rc = refusal(new_name);

	return rc ? rc : __real_storage_rename(root, from, name, file, to, new_name, replace, replaced);
}

int __wrap_storage_link(int root, const char *path, uint64_t file, const struct storage_dir *dir, const char *name,
			struct storage_entry *out)
{
	int rc = refusal(name);

	return rc ? rc : __real_storage_link(root, path, file, dir, name, out);
}

int __wrap_storage_look(int root, const char *path, struct storage_entry *out)
{
	const char *name = strrchr(path, '/');
	int rc = refusal(name ? name + 1 : path);

	rc = rc ? rc : -atomic_load(&says->stale);
	return rc ? rc : __real_storage_look(root, path, out);
}

ssize_t __wrap_storage_read(int root, const char *path, void *buf, size_t len, uint64_t offset,
			    struct storage_entry *now)
{
	int rc = -atomic_load(&says->stale);

	return rc ? rc : __real_storage_read(root, path, buf, len, offset, now);
}

int __wrap_storage_open_file(int root, const char *path, uint64_t file)
{
	int rc = -atomic_load(&says->stale);

	return rc ? rc : __real_storage_open_file(root, path, file);
}

int __wrap_storage_set(int root, const char *path, uint64_t file, unsigned set, const struct daxfs_attr *attr)
{
	int rc = __real_storage_set(root, path, file, set, attr);

	while (atomic_load(&says->slow)) {
		atomic_store(&says->waits, 1);
		usleep(1000);
	}
	return rc;
}

int __real_backing_lock_names(struct backing *b, struct name_locks *out, const daxfs_ino dir[], unsigned n,
			      unsigned patience_ms);
int __wrap_backing_lock_names(struct backing *b, struct name_locks *out, const daxfs_ino dir[], unsigned n,
			      unsigned patience_ms);
int __wrap_backing_lock_names(struct backing *b, struct name_locks *out, const daxfs_ino dir[], unsigned n,
			      unsigned patience_ms)
{
	if (tree_host == B && (n == 1 || (n == 4 && dir[2])))
		atomic_fetch_add(&says->locks, 1);
	return __real_backing_lock_names(b, out, dir, n, patience_ms);
}

/* -- names ---------------------------------------------------------------------------------------- */

static void test_circles(void **state)
{
	struct storage_entry entry;
	struct tree *t = *state;
	char target[16] = "";
	struct stat st;
	int fd;

	if (!pod_possible())
		skip();
	assert_int_equal(symlink("b", in(t, "a")), 0);
	assert_int_equal(symlink("a", in(t, "b")), 0);
	assert_int_equal(symlink(".", in(t, "here")), 0);
	put(in(t, "f"), "f");
	for (int host = A; host <= C; host++) {
		expect_error(open(at(&t->pod, host, "data/a"), O_RDONLY), ELOOP);
		expect_error(open(at(&t->pod, host, "data/b/x"), O_RDONLY), ELOOP);
		assert_int_equal(lstat(at(&t->pod, host, "data/a"), &st), 0);
		assert_true(S_ISLNK(st.st_mode));
		assert_int_equal(readlink(at(&t->pod, host, "data/a"), target, sizeof(target)), 1);
		expect_text(at(&t->pod, host, "data/here/here/here/f"), "f");
	}
	expect_error(open(at(&t->pod, A, "data/a"), O_WRONLY | O_CREAT, 0600), ELOOP);
	assert_int_equal(storage_open(in(t, "a"), &fd, &entry), -ELOOP); /* the path of a backing */
	for (const char *const *name = (const char *const[]){ "a", "b", "here", "f", NULL }; *name; name++) {
		char path[32];

		snprintf(path, sizeof(path), "data/%s", *name);
		assert_int_equal(unlink(at(&t->pod, B, path)), 0);
	}
}

static unsigned names_in(const char *path)
{
	DIR *dir = opendir(path);
	unsigned n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void test_names_refused(void **state)
{
	struct tree *t = *state;

	if (!pod_possible())
		skip();
	put(in(t, "f"), "f");
	for (int host = A; host <= B; host++) {
		int error = host == A ? EINVAL : EILSEQ;

		atomic_store(&says->refused, error);
		expect_error(open(at(&t->pod, host, "data/a:b"), O_RDWR | O_CREAT, 0600), error);
		expect_error(open(at(&t->pod, host, "data/a:b"), O_RDONLY), error);
		expect_error(mkdir(at(&t->pod, host, "data/a:b"), 0700), error);
		expect_error(symlink("f", at(&t->pod, host, "data/a:b")), error);
		expect_error(rename(at(&t->pod, host, "data/f"), at(&t->pod, host, "data/a:b")), error);
		expect_error(link(at(&t->pod, host, "data/f"), at(&t->pod, host, "data/a:b")), error);
		expect_text(at(&t->pod, !host, "data/f"), "f");
		assert_int_equal(names_in(at(&t->pod, host, "data")), 3);
		close(make_file(at(&t->pod, host, "data/fine"), "fine"));
		assert_int_equal(unlink(at(&t->pod, !host, "data/fine")), 0);
	}
	atomic_store(&says->refused, 0);
	close(make_file(at(&t->pod, A, "data/a:b"), "not refused"));
	assert_int_equal(unlink(at(&t->pod, B, "data/a:b")), 0);
	assert_int_equal(unlink(at(&t->pod, B, "data/f")), 0);
}

/* As long as a name and a path may be, and longer: there is one error, at once, and what is above it goes on. */
static void test_too_long(void **state)
{
	struct tree *t = *state;
	char name[300] = "";
	unsigned depth = 0;
	int dir, next, fd;

	if (!pod_possible())
		skip();
	memset(name, 'n', 256);
	dir = open(at(&t->pod, A, "data"), O_RDONLY | O_DIRECTORY);
	expect_error(mkdirat(dir, name, 0700), ENAMETOOLONG);
	expect_error(openat(dir, name, O_RDWR | O_CREAT, 0600), ENAMETOOLONG);
	name[255] = '\0';
	while (mkdirat(dir, name, 0700) == 0) {
		next = openat(dir, name, O_RDONLY | O_DIRECTORY);
		assert_true(next >= 0);
		close(dir);
		dir = next;
		depth++;
	}
	assert_int_equal(errno, ENAMETOOLONG);
	assert_int_equal(depth, PATH_MAX / 256);
	expect_error(openat(dir, "short", O_RDWR | O_CREAT, 0600), ENAMETOOLONG);
	fd = openat(dir, "../short", O_RDWR | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "deep", 4), 4);
	assert_int_equal(fsync(fd), 0);
	close(fd);
	assert_int_equal(unlinkat(dir, "../short", 0), 0);
	close(dir);
	while (depth--) {
		dir = open(at(&t->pod, B, "data"), O_RDONLY | O_DIRECTORY);
		for (unsigned i = 0; i < depth; i++) {
			next = openat(dir, name, O_RDONLY | O_DIRECTORY);
			assert_true(next >= 0);
			close(dir);
			dir = next;
		}
		assert_int_equal(unlinkat(dir, name, AT_REMOVEDIR), 0);
		close(dir);
	}
	assert_int_equal(names_in(in(t, ".")), 2);
}

/* -- bytes ---------------------------------------------------------------------------------------- */

static void make_long(const struct tree *t, const char *name, char letter)
{
	char *bytes = malloc(SIZE);
	int fd = open(in(t, name), O_WRONLY | O_CREAT | O_TRUNC, 0644);

	memset(bytes, letter, SIZE);
	assert_int_equal(write(fd, bytes, SIZE), SIZE);
	close(fd);
	free(bytes);
}

/* As a server of NFS says it, of all that it has, until it is there again. */
static void test_stale(void **state)
{
	struct tree *t = *state;
	char byte, text[8] = "";
	int fd, dirty;

	if (!pod_possible())
		skip();
	make_long(t, "s", 's');
	put(in(t, "other"), "other");
	fd = open(at(&t->pod, A, "data/s"), O_RDONLY);
	assert_int_equal(pread(fd, &byte, 1, 0), 1);
	dirty = make_file(at(&t->pod, A, "data/dirty"), "dirty");
	atomic_store(&says->stale, ESTALE);
	assert_int_equal(pread(fd, &byte, 1, 0), 1); /* it is in the pool */
	expect_error(pread(fd, &byte, 1, SIZE - 1), ESTALE);
	expect_error(open(at(&t->pod, B, "data/other"), O_RDONLY), ESTALE);
	expect_error(mkdir(at(&t->pod, B, "data/new"), 0700), ESTALE);
	expect_error(fsync(dirty), ESTALE);
	assert_int_equal(pread(dirty, text, 5, 0), 5);
	assert_string_equal(text, "dirty");
	put(at(&t->pod, B, "own"), "own");
	expect_text(at(&t->pod, A, "own"), "own");
	atomic_store(&says->stale, 0);
	assert_int_equal(fsync(dirty), 0);
	expect_text(in(t, "dirty"), "dirty");
	assert_int_equal(pread(fd, &byte, 1, SIZE - 1), 1);
	assert_int_equal(byte, 's');
	expect_text(at(&t->pod, B, "data/other"), "other");
	close(fd);
	close(dirty);
	assert_int_equal(unlink(at(&t->pod, A, "own")), 0);
	for (const char *const *name = (const char *const[]){ "s", "other", "dirty", NULL }; *name; name++)
		assert_int_equal(unlink(in(t, *name)), 0);
}

struct setter {
	int fd, rc;
};

static void *set_mode(void *arg)
{
	struct setter *s = arg;

	s->rc = fchmod(s->fd, 0604);
	return NULL;
}

/* Its mode has changed in storage, and will not in the pool until `slow` is over. */
static void start_setter(pthread_t *thread, struct setter *s)
{
	atomic_store(&says->waits, 0);
	atomic_store(&says->slow, 1);
	alarm(HANG_S);
	assert_int_equal(pthread_create(thread, NULL, set_mode, s), 0);
	while (!atomic_load(&says->waits))
		usleep(1000);
}

/* Another host looks at a file whose mode has changed in storage, and not yet in the pool: it is the same file, and who
 * has it open writes that. By either of its names. */
static void test_slow_to_set(void **state)
{
	struct tree *t = *state;
	struct setter s;
	pthread_t thread;
	struct stat st;

	if (!pod_possible())
		skip();
	assert_int_equal(mkdir(at(&t->pod, A, "data/d"), 0755), 0);
	for (int round = 0; round < 2; round++) {
		const char *name = round ? "data/d/other" : "data/set";

		s = (struct setter){ .fd = open(at(&t->pod, A, "data/set"), O_RDWR | O_CREAT, 0600) };
		assert_true(s.fd >= 0);
		if (round)
			assert_int_equal(link(at(&t->pod, A, "data/set"), at(&t->pod, A, name)), 0);
		assert_int_equal(ftruncate(s.fd, 0), 0);
		assert_int_equal(fsync(s.fd), 0);
		start_setter(&thread, &s);
		assert_int_equal(stat(at(&t->pod, B, name), &st), 0);
		atomic_store(&says->slow, 0);
		pthread_join(thread, NULL);
		alarm(0);
		assert_int_equal(s.rc, 0);
		assert_int_equal(write(s.fd, "written", 7), 7);
		assert_int_equal(fsync(s.fd), 0);
		expect_text(in(t, "set"), "written");
		expect_text(at(&t->pod, B, name), "written");
		assert_int_equal(stat(at(&t->pod, B, name), &st), 0);
		assert_int_equal(st.st_mode, S_IFREG | 0604);
		assert_int_equal(fchmod(s.fd, 0600), 0);
		close(s.fd);
	}
	assert_int_equal(unlink(at(&t->pod, B, "data/set")), 0);
	assert_int_equal(unlink(at(&t->pod, B, "data/d/other")), 0);
	assert_int_equal(rmdir(at(&t->pod, B, "data/d")), 0);
}

enum other { RENAMES, REPLACES, REMOVES, LINKS, READS, OTHERS };

/* what B does with d/other, which is another name of the file */
struct other_way {
	enum other what;
	char other[256], beside[256], new[256];
	int fd, error; /* the second: errno, or 0 */
	atomic_bool done;
};

static void *go_other_way(void *arg)
{
	struct other_way *o = arg;
	char byte;
	int rc = 0;

	switch (o->what) {
	case RENAMES: rc = rename(o->other, o->beside); break;
	case REPLACES: rc = rename(o->new, o->other); break;
	case REMOVES: rc = unlink(o->other); break;
	case LINKS: rc = link(o->other, o->beside); break;
	default: rc = pread(o->fd, &byte, 1, 0) == 1 ? 0 : -1; break;
	}
	o->error = rc ? errno : 0;
	atomic_store(&o->done, true);
	return NULL;
}

static void other_way_begin(struct other_way *o, const struct tree *t, enum other what)
{
	*o = (struct other_way){ .what = what };
	assert_int_equal(mkdir(in(t, "d"), 0755), 0);
	put(in(t, "set"), "hello");
	put(in(t, "d/new"), "another");
	assert_int_equal(link(in(t, "set"), in(t, "d/other")), 0);
	snprintf(o->other, sizeof(o->other), "%s", at(&t->pod, B, "data/d/other"));
	snprintf(o->beside, sizeof(o->beside), "%s", at(&t->pod, B, "data/d/beside"));
	snprintf(o->new, sizeof(o->new), "%s", at(&t->pod, B, "data/d/new"));
	o->fd = open(o->other, O_RDONLY);
	assert_true(o->fd >= 0);
}

static void other_way_end(struct other_way *o, const struct tree *t)
{
	assert_int_equal(o->error, 0);
	close(o->fd);
	for (const char *const *name = (const char *const[]){ "set", "d/other", "d/beside", "d/new", NULL }; *name;
	     name++)
		unlink(in(t, *name));
	assert_int_equal(rmdir(in(t, "d")), 0);
}

/* While the mode of a file has changed in storage, and not yet in the pool, B changes or reads it by a name in another
 * directory: it waits, and who has it open writes that. */
static void test_slow_to_set_elsewhere(void **state)
{
	struct tree *t = *state;
	struct other_way o;
	struct setter s;
	pthread_t thread, other;
	uint64_t number;

	if (!pod_possible())
		skip();
	for (enum other what = 0; what < OTHERS; what++) {
		other_way_begin(&o, t, what);
		s = (struct setter){ .fd = open(at(&t->pod, A, "data/set"), O_RDWR) };
		assert_true(s.fd >= 0);
		number = number_of(at(&t->pod, A, "data/set"));
		start_setter(&thread, &s);
		atomic_store(&says->locks, 0);
		assert_int_equal(pthread_create(&other, NULL, go_other_way, &o), 0);
		while (!atomic_load(&o.done) && !atomic_load(&says->locks))
			usleep(1000);
		atomic_store(&says->slow, 0);
		pthread_join(thread, NULL);
		pthread_join(other, NULL);
		alarm(0);
		assert_int_equal(s.rc, 0);
		assert_int_equal(pwrite(s.fd, "J", 1, 0), 1);
		assert_int_equal(fsync(s.fd), 0);
		expect_text(in(t, "set"), "Jello");
		expect_text(at(&t->pod, B, "data/set"), "Jello");
		assert_int_equal(number_of(at(&t->pod, B, "data/set")), number);
		close(s.fd);
		other_way_end(&o, t);
	}
}

/* Is the byte there, or what would be SIGBUS, and to the kernel is EFAULT? */
static bool has_byte(const char *byte, char letter)
{
	char got = 0;
	int ends[2];
	bool there;

	assert_int_equal(pipe(ends), 0);
	there = write(ends[1], byte, 1) == 1;
	if (there)
		assert_int_equal(read(ends[0], &got, 1), 1);
	else
		assert_int_equal(errno, EFAULT);
	close(ends[0]);
	close(ends[1]);
	assert_true(!there || got == letter);
	return there;
}

/* Behind the pool, under a mapping and a reader of both hosts: what is cached stays, the rest is an error. */
static void test_shrinks(void **state)
{
	struct tree *t = *state;
	char byte, *mapped[2];
	int fd[2];

	if (!pod_possible())
		skip();
	for (int round = 0; round < 2; round++) {
		make_long(t, "m", 'm');
		for (int host = A; host <= B; host++) {
			fd[host] = open(at(&t->pod, host, "data/m"), O_RDONLY);
			mapped[host] = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd[host], 0);
			assert_true(mapped[host] != MAP_FAILED);
			assert_int_equal(madvise(mapped[host], SIZE, MADV_RANDOM), 0);
			assert_true(has_byte(&mapped[host][0], 'm'));
		}
		assert_int_equal(round ? unlink(in(t, "m")) : truncate(in(t, "m"), 4096), 0);
		for (int host = A; host <= B; host++) {
			assert_true(has_byte(&mapped[host][0], 'm'));
			assert_false(has_byte(&mapped[host][SIZE - 1], 'm'));
			expect_error(pread(fd[host], &byte, 1, SIZE - 1), ESTALE);
		}
		put(in(t, "beside"), "beside");
		expect_text(at(&t->pod, B, "data/beside"), "beside");
		if (round) {
			expect_error(open(at(&t->pod, A, "data/m"), O_RDONLY), ENOENT);
		} else {
			struct stat st;

			assert_int_equal(stat(at(&t->pod, A, "data/m"), &st), 0);
			assert_int_equal(st.st_size, 4096);
		}
		for (int host = A; host <= B; host++) {
			munmap(mapped[host], SIZE);
			close(fd[host]);
		}
	}
	assert_int_equal(unlink(in(t, "beside")), 0);
}

/* A file of 5 GiB in storage of 6 MiB and a pool that is no larger, found there, and made here. */
static void test_sparse(void **state)
{
	const off_t at_offset[] = { 0, 4096, FAR / 2 - 1, FAR / 2, (4ll << 30) - 1, (4ll << 30) + 4096, FAR - 4 };
	struct tree *t = *state;
	struct stat st;
	char text[8];
	int fd, there;

	if (!pod_possible())
		skip();
	fd = open(in(t, "found"), O_RDWR | O_CREAT, 0644);
	assert_int_equal(ftruncate(fd, FAR), 0);
	assert_int_equal(pwrite(fd, "half", 4, FAR / 2), 4);
	assert_int_equal(pwrite(fd, "last", 4, FAR - 4), 4);
	close(fd);
	fd = open(at(&t->pod, A, "data/made"), O_RDWR | O_CREAT, 0644);
	assert_int_equal(ftruncate(fd, FAR), 0);
	assert_int_equal(pwrite(fd, "half", 4, FAR / 2), 4);
	assert_int_equal(pwrite(fd, "last", 4, FAR - 4), 4);
	assert_int_equal(fsync(fd), 0);
	close(fd);
	for (int i = 0; i < 4; i++) {
		const char *name = i % 2 ? "data/made" : "data/found";

		fd = open(at(&t->pod, i / 2 ? B : A, name), O_RDONLY);
		there = open(in(t, name + 5), O_RDONLY);
		assert_int_equal(fstat(fd, &st), 0);
		assert_int_equal(st.st_size, FAR);
		for (size_t j = 0; j < sizeof(at_offset) / sizeof(at_offset[0]); j++) {
			char want[8];

			assert_int_equal(pread(there, want, 4, at_offset[j]), 4);
			assert_int_equal(pread(fd, text, 4, at_offset[j]), 4);
			assert_memory_equal(text, want, 4);
		}
		close(fd);
		/* Holes that are read stay holes there, and what is written back is what was written. */
		assert_int_equal(fstat(there, &st), 0);
		assert_int_equal(st.st_size, FAR);
		assert_true(st.st_blocks <= 2 * 65536 / 512);
		close(there);
	}
	assert_int_equal(pread(open(in(t, "made"), O_RDONLY), text, 4, FAR / 2), 4);
	assert_memory_equal(text, "half", 4);
	assert_int_equal(unlink(at(&t->pod, B, "data/made")), 0);
	assert_int_equal(unlink(at(&t->pod, A, "data/found")), 0);
}

static int setup_saying(void **state)
{
	says = mmap(NULL, sizeof(*says), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(says != MAP_FAILED);
	return setup(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_circles),     cmocka_unit_test(test_names_refused),
		cmocka_unit_test(test_too_long),    cmocka_unit_test(test_stale),
		cmocka_unit_test(test_slow_to_set), cmocka_unit_test(test_slow_to_set_elsewhere),
		cmocka_unit_test(test_shrinks),     cmocka_unit_test(test_sparse),
		cmocka_unit_test(tree_test_stop),
	};

	return cmocka_run_group_tests(tests, setup_saying, teardown);
}
