/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_cache_poison.c - memory of cached pages that fails: what storage has is read again; what it has not is an error,
 * to readers and to who writes it back.
 */
#include "cache_fixture.h"
#include "findings.h"
#include "poison.h"

#define PAGES 12u
#define WRITABLE 4u

struct trouble {
	struct poison p;
	struct storage storage[POD_HOSTS];
	struct pool *pool;
	daxfs_ino ino;
	unsigned written; /* bytes */
	unsigned failed;  /* pages */
};

static int take_bytes(void *context, daxfs_ino ino, uint64_t file, const void *buf, size_t len, uint64_t offset)
{
	struct trouble *t = ((struct storage *)context)->context;

	(void)ino, (void)file, (void)buf, (void)offset;
	t->written += (unsigned)len;
	return 0;
}

static int take_size(void *context, daxfs_ino ino, uint64_t file, uint64_t size, bool exact)
{
	(void)context, (void)ino, (void)file, (void)size, (void)exact;
	return 0;
}

static int take_sync(void *context, daxfs_ino ino, uint64_t file, uint64_t *stamp)
{
	(void)context, (void)ino, (void)file;
	*stamp = 1;
	return 0;
}

static void start(struct trouble *t, unsigned backing)
{
	alarm(HANG_S);
	*t = (struct trouble){ .written = 0 };
	poison_start(&t->p, 2u << 20, false);
	t->pool = fs_pool_writable(t->p.pod.fs[0]);
	for (unsigned i = 0; i < POD_HOSTS; i++) {
		struct daxfs_storage storage = {
			.struct_size = sizeof(storage),
			.read = storage_read,
			.context = &t->storage[i],
			.patience_ms = PATIENCE_MS,
		};

		t->storage[i].context = t;
		if (backing == WRITABLE) {
			storage.write = take_bytes;
			storage.resize = take_size;
			storage.sync = take_sync;
		}
		assert_int_equal(daxfs_backing_attach(t->p.pod.fs[i], backing, &storage), 0);
	}
	t->ino = storage_import(t->p.pod.fs[0], "f", backing, FILE_NUMBER, PAGES * PAGE);
	storage_expect(&t->storage[0], t->p.pod.fs[1], t->ino, FILE_NUMBER, 0, PAGES * PAGE, PAGES * PAGE);
}

/* What the word of a page names. */
static uint64_t page_of(struct trouble *t, uint64_t page, unsigned kind)
{
	struct lane *lane = rig_enter(t->p.pod.fs[1]);
	struct map_pos pos;
	uint64_t w;

	assert_int_equal(map_find(lane, &t->pool->inodes[handle_index(t->ino)], page, &pos), 0);
	w = word_load(lane, pos.slot);
	rig_exit(t->p.pod.fs[1], lane);
	assert_int_equal(link_kind(w), kind);
	return link_index(w);
}

static uint64_t fails(struct trouble *t, uint64_t page, unsigned kind)
{
	uint64_t at = page_of(t, page, kind);

	t->failed++;
	poison_all(&t->p, pool_offset(t->pool, pool_page(t->pool, at)), true);
	return at;
}

static void expect_page(struct trouble *t, unsigned host, uint64_t page)
{
	storage_expect(&t->storage[0], t->p.pod.fs[host], t->ino, FILE_NUMBER, page * PAGE, PAGE, PAGES * PAGE);
}

static unsigned reads(const struct trouble *t)
{
	return t->storage[0].reads + t->storage[1].reads + t->storage[2].reads;
}

/* The check names the memory that failed, as it does until that is repaired, and nothing else. */
static void note_line(void *context, const char *line)
{
	unsigned *lost = context;

	finding_seen(line);
	if (strncmp(line, "bad-memory:", strlen("bad-memory:")) != 0)
		fail_msg("%s", line);
	++*lost;
}

static void stop(struct trouble *t)
{
	struct daxfs_check check;
	unsigned lost = 0;

	trouble_sync(t->pool);
	assert_int_equal(check_pool(t->pool, note_line, &lost, &check), 0);
	assert_int_equal(lost, t->failed);
	poison_stop(&t->p);
}

/* Read again, once, by whoever meets it, and the page that failed is none of the file's, or anybody's. */
static void test_read_again(void **state)
{
	static const unsigned pages[] = { 2, 10 }; /* of the inode; of a node */
	struct trouble t;

	(void)state;
	start(&t, BACKING);
	for (unsigned i = 0; i < 2; i++) {
		unsigned before = reads(&t);
		uint64_t was = fails(&t, pages[i], DAXFS_CLEAN);

		expect_page(&t, 0, pages[i]);
		assert_int_equal(reads(&t), before + 1);
		expect_page(&t, 1, pages[i]);
		storage_expect(&t.storage[0], t.p.pod.fs[2], t.ino, FILE_NUMBER, 0, PAGES * PAGE, PAGES * PAGE);
		assert_int_equal(reads(&t), before + 1);
		assert_int_not_equal(page_of(&t, pages[i], DAXFS_CLEAN), was);
	}
	stop(&t);
}

/* More memory fails behind the record of a claim: the read fails, and what it claimed is nobody's again. */
static void test_claim_given_back(void **state)
{
	struct daxfs_cached seen;
	struct trouble t;
	uint64_t was;
	char byte;

	(void)state;
	start(&t, BACKING);
	was = fails(&t, 2, DAXFS_CLEAN);
	poison_all(&t.p, pool_offset(t.pool, &t.pool->heat.at[was]), true);
	t.failed++;
	assert_int_equal(daxfs_read(t.p.pod.fs[0], t.ino, &byte, 1, 2 * PAGE), -EIO);
	assert_int_equal(daxfs_cached(t.p.pod.fs[0], t.ino, &seen), 0);
	assert_int_equal(seen.filling, 0);
	expect_page(&t, 1, 2);
	stop(&t);
}

/* All of them at once, in one read. */
static void test_all(void **state)
{
	struct trouble t;

	(void)state;
	start(&t, BACKING);
	for (unsigned page = 0; page < PAGES; page++)
		if (page % 5 != 4) /* zeros have no page */
			fails(&t, page, DAXFS_CLEAN);
	storage_expect(&t.storage[0], t.p.pod.fs[0], t.ino, FILE_NUMBER, 0, PAGES * PAGE, PAGES * PAGE);
	stop(&t);
}

/* Neighbours that are known to be lost before any is read: each is claimed by itself, for a claim retires one page. */
static void test_known(void **state)
{
	struct trouble t;

	(void)state;
	start(&t, BACKING);
	for (unsigned page = 1; page < 4; page++) {
		uint64_t at = fails(&t, page, DAXFS_CLEAN);

		assert_int_equal(trouble_add_page(t.pool, pool_offset(t.pool, pool_page(t.pool, at))), 1);
	}
	storage_expect(&t.storage[0], t.p.pod.fs[0], t.ino, FILE_NUMBER, 0, PAGES * PAGE, PAGES * PAGE);
	stop(&t);
}

/* Where storage must not be read it is not there; an error of storage is one. */
static void test_not_read(void **state)
{
	struct daxfs_view *view;
	struct trouble t;
	const void *at;
	char byte;

	(void)state;
	start(&t, BACKING);
	fails(&t, 3, DAXFS_CLEAN);
	assert_int_equal(daxfs_read_cached(t.p.pod.fs[0], t.ino, &byte, 1, 3 * PAGE), -ENODATA);
	assert_int_equal(daxfs_view_open(t.p.pod.fs[1], &view), 0);
	trouble_sync(fs_pool_writable(t.p.pod.fs[1]));
	assert_int_equal(daxfs_view_read(view, t.ino, 3 * PAGE, &at), -ENODATA);
	daxfs_view_close(view);
	t.storage[2].error = -ENETDOWN;
	assert_int_equal(daxfs_read(t.p.pod.fs[2], t.ino, &byte, 1, 3 * PAGE), -ENETDOWN);
	expect_page(&t, 0, 3);
	stop(&t);
}

/* A host without the storage has it read again by one that has, which has not met it yet. */
static void *serve(void *context)
{
	struct trouble *t = context;
	struct daxfs_ask ask;

	while (daxfs_asked(t->p.pod.fs[1], BACKING, &ask) != 1)
		usleep(100);
	assert_int_equal(daxfs_serve(t->p.pod.fs[1], &ask), 0);
	return NULL;
}

static void test_asked(void **state)
{
	struct daxfs_ask ask;
	struct trouble t;
	pthread_t server;

	(void)state;
	start(&t, BACKING);
	assert_int_equal(daxfs_backing_detach(t.p.pod.fs[2], BACKING), 0);
	assert_int_equal(daxfs_asked(t.p.pod.fs[1], BACKING, &ask), 0);
	fails(&t, 3, DAXFS_CLEAN);
	assert_int_equal(pthread_create(&server, NULL, serve, &t), 0);
	expect_page(&t, 2, 3);
	pthread_join(server, NULL);
	stop(&t);
}

/* A part of it is written: the rest is what storage has. */
static void test_written(void **state)
{
	uint8_t want[PAGE], got[PAGE];
	struct trouble t;

	(void)state;
	start(&t, WRITABLE);
	fails(&t, 3, DAXFS_CLEAN);
	assert_int_equal(daxfs_write(t.p.pod.fs[0], t.ino, "new", 3, 3 * PAGE + 100, 0), 3);
	storage_bytes(&t.storage[0], FILE_NUMBER, 3 * PAGE, want, PAGE);
	memcpy(want + 100, "new", 3);
	assert_int_equal(daxfs_read(t.p.pod.fs[1], t.ino, got, PAGE, 3 * PAGE), PAGE);
	assert_memory_equal(got, want, PAGE);
	/* What storage has not is lost: said to readers, and to who writes back; the rest is written. */
	assert_int_equal(daxfs_write(t.p.pod.fs[0], t.ino, "new", 3, 5 * PAGE, 0), 3);
	fails(&t, 3, DAXFS_DATA);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(daxfs_read(t.p.pod.fs[1], t.ino, got, PAGE, 3 * PAGE), -EIO);
		assert_int_equal(daxfs_write_back(t.p.pod.fs[2], t.ino), -EIO);
	}
	assert_int_equal(t.written, PAGE);
	page_of(&t, 3, DAXFS_DATA);
	poison_stop(&t.p);
}

/* Where the pages are, which is said of those that failed, too. */
static void test_looked_at(void **state)
{
	struct daxfs_cached seen;
	struct daxfs_attr attr;
	struct daxfs *fs;
	struct trouble t;

	(void)state;
	start(&t, WRITABLE);
	fs = t.p.pod.fs[0];
	assert_int_equal(daxfs_cached(fs, t.ino, &seen), 0);
	assert_true(seen.pages == PAGES && seen.clean == 10 && seen.zeros == 2 && !seen.dirty && !seen.filling);
	assert_int_equal(seen.ahead + seen.scanned + seen.used[0] + seen.used[1] + seen.used[2] + seen.used[3], 10);
	assert_int_equal(daxfs_write(fs, t.ino, "new", 3, 2 * PAGE, 0), 3);
	assert_int_equal(daxfs_cached(t.p.pod.fs[1], t.ino, &seen), 0);
	assert_true(seen.clean == 9 && seen.dirty == 1 && !seen.lost);
	assert_int_equal(daxfs_write_back(fs, t.ino), 0);
	fails(&t, 3, DAXFS_CLEAN);
	assert_int_equal(daxfs_read_cached(fs, t.ino, &(char){ 0 }, 1, 3 * PAGE), -ENODATA);
	assert_int_equal(daxfs_cached(fs, t.ino, &seen), 0);
	assert_true(seen.clean == 10 && !seen.dirty && seen.lost == 1);
	assert_int_equal(daxfs_cache_drop(fs, t.ino, 0, UINT64_MAX), 12);
	assert_int_equal(daxfs_cached(fs, t.ino, &seen), 0);
	assert_true(seen.pages == PAGES && !seen.clean && !seen.zeros);
	assert_int_equal(daxfs_mknod(fs, DAXFS_ROOT, "own", S_IFREG | 0600, 0, pod_root, false, &attr), 0);
	assert_int_equal(daxfs_cached(fs, attr.ino, &seen), -EINVAL);
	assert_int_equal(daxfs_unlink(fs, DAXFS_ROOT, "own"), 0);
	assert_int_equal(daxfs_cached(fs, attr.ino, &seen), -ESTALE);
	stop(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_again),       cmocka_unit_test(test_all),
		cmocka_unit_test(test_not_read),         cmocka_unit_test(test_asked),
		cmocka_unit_test(test_written),          cmocka_unit_test(test_looked_at),
		cmocka_unit_test(test_claim_given_back), cmocka_unit_test(test_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
