/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_stored.c - data of files of storage that a kernel keeps: while hosts write them, storage changes behind
 * the pool, pages go from the pool, and storage fails. What happens while it does not answer: test_agent_stored_hang.c
 *
 * PAGES_LOOKS in the environment says how many looks test_load takes, PAGES_KILLS how many kills.
 */
#include "agent_stored.h"

#define SIZE 65536u
#define ROUNDS 100

ssize_t __wrap_storage_read(int root, const char *path, void *buf, size_t len, uint64_t offset,
			    struct storage_entry *now)
{
	return stored_read(root, path, buf, len, offset, now);
}

static struct stored *begin(void **state, unsigned lease_ms)
{
	struct stored *t = stored_begin(state, lease_ms);

	fill(in(t, 0, "f"), O_CREAT, 'a', SIZE);
	keep(t, A, "data/f", 'a', SIZE);
	return t;
}

static void write_back(const struct stored *t, int host, const char *name)
{
	int fd = open_as(at(&t->pod, host, name), O_RDONLY);

	assert_int_equal(fsync(fd), 0);
	close(fd);
}

/* All that was written is in storage, and not in the pool. */
static void evict(const struct stored *t, int host, const char *name)
{
	write_back(t, host, name);
	drop_from_pool(t, name);
}

/* -- kept ------------------------------------------------------------------------------------- */

/* A host without the storage keeps it, too. */
static void test_kept(void **state)
{
	struct stored *t = begin(state, LONG_MS);

	keep(t, B, "data/f", 'a', SIZE);
	keep(t, C, "data/f", 'a', SIZE);
	for (int host = A; host <= C; host++) {
		unsigned before = requests(host);

		for (int i = 0; i < 100; i++)
			expect(at(&t->pod, host, "data/f"), 'a', SIZE);
		assert_int_equal(requests(host), before);
	}
	drop_from_pool(t, "data/f"); /* the kernel has it, whatever becomes of the pool's */
	for (int host = A; host <= C; host++)
		expect(at(&t->pod, host, "data/f"), 'a', SIZE);
}

/* What the pool has not, the kernel does not read by its cache. */
static void test_cold(void **state)
{
	struct stored *t = stored_begin(state, LONG_MS);
	unsigned before;
	int fd;

	fill(in(t, 0, "cold"), O_CREAT, 'c', SIZE);
	fd = open_as(at(&t->pod, A, "data/cold"), O_RDONLY);
	for (int i = 0; i < 3; i++) {
		before = requests(A);
		expect_fd(fd, 'c', SIZE);
		assert_true(requests(A) > before);
	}
	close(fd);
	keep(t, A, "data/cold", 'c', SIZE);
}

/* -- changed ------------------------------------------------------------------------------------ */

static void test_changed(void **state)
{
	struct stored *t = begin(state, LONG_MS);
	int reader = open_as(at(&t->pod, A, "data/f"), O_RDONLY);

	for (int i = 0; i < ROUNDS; i++) {
		char letter = (char)('b' + i % 20);
		int host = i % 3 ? B : A;

		fill(at(&t->pod, host, "data/f"), 0, letter, SIZE);
		if (i % 7 == 0)
			evict(t, host, "data/f");
		expect_fd(reader, letter, SIZE);
		expect(at(&t->pod, A, "data/f"), letter, SIZE);
		if (i % 20 == 19) { /* what this host has written it keeps once nobody here has it open */
			close(reader);
			keep(t, A, "data/f", letter, SIZE);
			reader = open_as(at(&t->pod, A, "data/f"), O_RDONLY);
		}
	}
	close(reader);
}

/*
 * Longer, and the last page is in storage alone, when who has it open cached comes to know; and shorter, which the
 * kernel learns by a read that may have zeros behind the end.
 */
static void test_size(void **state)
{
	struct stored *t = begin(state, LONG_MS);
	int reader = open_as(at(&t->pod, A, "data/f"), O_RDONLY);
	size_t size = SIZE;
	char last;

	expect_fd(reader, 'a', size);
	for (int i = 0; i < 10; i++) {
		fill(at(&t->pod, B, "data/f"), O_APPEND, 'a', 5000);
		size += 5000;
		if (i % 2 == 0)
			evict(t, B, "data/f");
		expect_fd(reader, 'a', size);
	}
	for (int i = 0; i < 10; i++) {
		size -= 7000;
		assert_int_equal(truncate(at(&t->pod, i % 2 ? A : B, "data/f"), (off_t)size), 0);
		if (i % 3 == 0)
			evict(t, B, "data/f");
		assert_int_equal(pread(reader, &last, 1, (off_t)size - 1), 1);
		assert_int_equal(last, 'a');
		expect_fd(reader, 'a', size);
	}
	close(reader);
}

/* What others make of storage is noticed when a file is opened; what is open stays as far as it is kept. */
static void test_behind(void **state)
{
	struct stored *t = begin(state, LONG_MS);

	for (int i = 0; i < ROUNDS; i++) {
		char letter = (char)('b' + i % 20);
		int reader = open_as(at(&t->pod, A, "data/f"), O_RDONLY);

		fill(in(t, 0, "new"), O_CREAT | O_TRUNC, letter, SIZE + (unsigned)i);
		assert_int_equal(rename(in(t, 0, "new"), in(t, 0, "f")), 0);
		expect(at(&t->pod, i % 2 ? A : B, "data/f"), letter, SIZE + (unsigned)i);
		expect(at(&t->pod, i % 2 ? B : A, "data/f"), letter, SIZE + (unsigned)i);
		if (i == 0)
			expect_fd(reader, 'a', SIZE);
		close(reader);
		keep(t, A, "data/f", letter, SIZE + (unsigned)i);
	}
}

/* -- storage fails ---------------------------------------------------------------------------------- */

#define BIG (1u << 20)

/* An error is an error: no zeros, and no shorter file; what is there can be read, and all of it later. */
static void test_error(void **state)
{
	struct stored *t = stored_begin(state, LONG_MS);
	static char buf[BIG];
	int fd;

	fill(in(t, 0, "bad"), O_CREAT, 'b', BIG);
	expect(at(&t->pod, A, "data/bad"), 'b', BIG);
	fd = open_as(at(&t->pod, A, "data/bad"), O_RDONLY);
	drop_behind(t, "data/bad", BIG / 2 + PAGE); /* a read of the kernel begins with what is there */
	snprintf(reads->path, sizeof(reads->path), "bad");
	atomic_store(&reads->fail_from, BIG / 2 + PAGE);
	for (unsigned at = 0; at < BIG; at += PAGE) {
		ssize_t n = pread(fd, buf, 16 * PAGE, at);

		for (ssize_t i = 0; i < n; i++)
			assert_int_equal(buf[i], 'b');
		if (n < 0) {
			if (errno != EIO || at + 64 * PAGE <= BIG / 2)
				fail_msg("at %u: %s", at, strerror(errno));
		}
		assert_true(n != 0);
	}
	assert_true(stat_of(at(&t->pod, A, "data/bad")).st_size == BIG);
	expect_error((int)pread(fd, buf, PAGE, BIG - PAGE), EIO);
	assert_int_equal(pread(fd, buf, PAGE, 0), PAGE);
	assert_int_equal(lseek(fd, 0, SEEK_END), BIG);
	atomic_store(&reads->fail_from, UINT64_MAX);
	expect_fd(fd, 'b', BIG);
	close(fd);
	keep(t, A, "data/bad", 'b', BIG);
}

/* -- all at once --------------------------------------------------------------------------------- */

#define FILES 8u /* of each kind: written by hosts; replaced behind the pool */
#define LOOKS 6000u
#define THREADS 2u /* of each host */

/* Files that begin with the number of their last change: what a read gives was there between its begin and its end. */
struct load {
	struct stored *t;
	struct {
		pthread_mutex_t lock; /* of who changes it */
		atomic_ullong begun, done;
	} file[2 * FILES];
	atomic_uint looks, stale, gone;
	unsigned wanted;
};

struct looker {
	struct load *load;
	int host, held[FILES]; /* those that are not replaced: opened once, and for good */
	unsigned seed;
	pthread_t thread;
};

static const char *load_name(unsigned file, char name[16])
{
	snprintf(name, 16, "n%u", file);
	return name;
}

static const char *load_path(const struct load *l, int host, unsigned file)
{
	char name[16];

	snprintf(name, sizeof(name), "data/n%u", file);
	return at(&l->t->pod, host, name);
}

static void put_number(const char *path, int flags, unsigned long long number)
{
	unsigned long long page[PAGE / sizeof(number)] = { number };
	int fd = open_as(path, O_WRONLY | flags);

	assert_int_equal(write(fd, page, sizeof(page)), sizeof(page));
	assert_int_equal(close(fd), 0);
}

static void load_replace(struct load *l, unsigned file, unsigned long long number)
{
	char name[16], new[16];

	snprintf(new, sizeof(new), ".new%u", file);
	put_number(in(l->t, 0, new), O_CREAT | O_TRUNC, number);
	assert_int_equal(rename(in(l->t, 0, new), in(l->t, 0, load_name(file, name))), 0);
}

static void load_change(struct load *l, int host, unsigned file, unsigned dice)
{
	unsigned long long next;

	pthread_mutex_lock(&l->file[file].lock);
	next = atomic_load(&l->file[file].done) + 1;
	atomic_store(&l->file[file].begun, next);
	if (file >= FILES)
		load_replace(l, file, next);
	else
		put_number(load_path(l, host, file), 0, next);
	atomic_store(&l->file[file].done, next);
	if (file < FILES && dice % 4 == 0) { /* it is written back */
		int fd = open_as(load_path(l, host, file), O_RDONLY);

		assert_int_equal(fsync(fd), 0);
		close(fd);
	}
	pthread_mutex_unlock(&l->file[file].lock);
}

static void load_look(struct load *l, struct looker *me, unsigned file, bool anew)
{
	unsigned long long least = atomic_load(&l->file[file].done), most, seen = 0;
	int fd = anew ? open(load_path(l, me->host, file), O_RDONLY) : me->held[file];
	ssize_t n = fd >= 0 ? pread(fd, &seen, sizeof(seen), 0) : -1;

	most = atomic_load(&l->file[file].begun);
	if (n < 0 && errno == ESTALE && file >= FILES && most > least) { /* replaced again as it was opened */
		atomic_fetch_add(&l->gone, 1);
	} else if (n != sizeof(seen) || seen < least || seen > most) {
		print_message("host %d, file %u: %zd (%s) %llu, which is not from %llu to %llu\n", me->host, file, n,
			      n < 0 ? strerror(errno) : "", seen, least, most);
		atomic_fetch_add(&l->stale, 1);
	}
	if (anew && fd >= 0)
		close(fd);
}

static void *load_main(void *context)
{
	struct looker *me = context;
	struct load *l = me->load;

	for (unsigned i = 0; i < FILES; i++)
		me->held[i] = open_as(load_path(l, me->host, i), O_RDONLY);
	while (atomic_fetch_add(&l->looks, 1) < l->wanted) {
		unsigned dice = (unsigned)rand_r(&me->seed), file = dice / 64 % (2 * FILES);

		if (dice % 64 == 0)
			load_change(l, me->host, file, dice / 8192);
		else
			load_look(l, me, file, file >= FILES || dice % 2);
	}
	for (unsigned i = 0; i < FILES; i++)
		close(me->held[i]);
	return NULL;
}

/* A process that serves A is killed each time that so many looks were made, and pages go from the pool. */
static void load_disturb(struct load *l, unsigned kills)
{
	char name[32];

	for (unsigned i = 1; i <= kills; i++) {
		while (atomic_load(&l->looks) < l->wanted / (kills + 1) * i)
			usleep(1000);
		pod_kill_server(&l->t->pod, A);
		snprintf(name, sizeof(name), "data/n%u", i % FILES);
		do /* somebody may write in between */
			write_back(l->t, B, name);
		while (drop_clean(l->t, name, 0, 0) <= 0);
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
	char name[16];

	l = (struct load){ .t = stored_begin(state, SHORT_MS), .wanted = from_environment("PAGES_LOOKS", LOOKS) };
	for (unsigned i = 0; i < 2 * FILES; i++) {
		pthread_mutex_init(&l.file[i].lock, NULL);
		put_number(in(l.t, 0, load_name(i, name)), O_CREAT, 0);
	}
	for (unsigned i = 0; i < 2 * THREADS; i++) {
		looker[i] = (struct looker){ .load = &l, .host = i % 2 ? A : B, .seed = i + 1 };
		assert_int_equal(pthread_create(&looker[i].thread, NULL, load_main, &looker[i]), 0);
	}
	load_disturb(&l, from_environment("PAGES_KILLS", 2));
	for (unsigned i = 0; i < 2 * THREADS; i++)
		pthread_join(looker[i].thread, NULL);
	print_message("%u looks, %u reads asked of A: %u stale, %u of what was replaced meanwhile\n", l.wanted,
		      requests(A), atomic_load(&l.stale), atomic_load(&l.gone));
	assert_int_equal(atomic_load(&l.stale), 0);
}

#define STORED_TEST(test) cmocka_unit_test_setup_teardown(test, stored_setup, stored_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORED_TEST(test_kept),   STORED_TEST(test_cold),  STORED_TEST(test_changed), STORED_TEST(test_size),
		STORED_TEST(test_behind), STORED_TEST(test_error), STORED_TEST(test_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
