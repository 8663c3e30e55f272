/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_cache_room.c - files of storage that are larger than the pool, and files of the pool that
 * need the room; hints that are wrong; pages that are seen where they lie; and damage.
 */
#include <stdlib.h>

#include "cache_fixture.h"
#include "fs/heat.h"

/* A file several times as large as the pool is read to its end, again and again, by all hosts. */
static void test_larger_than_the_pool(void **state)
{
	struct fixture s;

	(void)state;
	fixture_start(&s, 4 << 20, 4000 * PAGE, PATIENCE_MS);
	for (unsigned i = 0; i < 3; i++)
		for (uint64_t at = 0; at < s.size; at += 64 * PAGE + 11)
			expect(&s, (i + (unsigned)(at / PAGE)) % POD_HOSTS, at, 64 * PAGE + 11);
	fixture_stop(&s);
}

/* Files get the room that cached pages take, all of it; and give it back to them. */
static void test_files_first(void **state)
{
	struct fixture s;
	struct daxfs_statfs before, full;
	uint8_t page[PAGE];
	daxfs_ino file;
	uint64_t n = 0;

	(void)state;
	memset(page, 'p', PAGE);
	fixture_start(&s, 4 << 20, 4000 * PAGE, PATIENCE_MS);
	file = pod_create(s.pod.fs[0], DAXFS_ROOT, "g");
	assert_int_equal(daxfs_statfs(s.pod.fs[0], &before), 0);
	for (uint64_t at = 0; at < s.size; at += 64 * PAGE)
		expect(&s, 1, at, 64 * PAGE);
	assert_int_equal(daxfs_statfs(s.pod.fs[0], &full), 0);
	assert_true(full.pages.live > before.pages.live + 100);
	while (daxfs_write(s.pod.fs[0], file, page, PAGE, n * PAGE, 0) == PAGE)
		n++;
	assert_true(n + 24 > before.pages.free); /* but for nodes, of both */
	expect(&s, 2, 0, 64 * PAGE);             /* there is no room, and it is read all the same */
	assert_int_equal(daxfs_unlink(s.pod.fs[0], DAXFS_ROOT, "g"), 0);
	expect(&s, 2, 0, 64 * PAGE);
	assert_int_equal(link_kind(word_of(&s, 0)), DAXFS_CLEAN);
	fixture_stop(&s);
}

static uint64_t grow(struct daxfs *fs, daxfs_ino file, uint64_t n)
{
	uint8_t page[PAGE];

	memset(page, 'p', PAGE);
	while (daxfs_write(fs, file, page, PAGE, n * PAGE, 0) == PAGE)
		n++;
	return n;
}

static bool is_bare(struct fixture *s)
{
	return cache_is_bare(s->pod.fs[0], heat_mark(s->pool));
}

/* Who is refused looks for cached pages until a round met none; then not before another host has filled some. */
static void test_refused_without_a_look(void **state)
{
	struct daxfs_attr attr = { 0 };
	struct fixture s;
	daxfs_ino file;
	uint64_t n, most;

	(void)state;
	fixture_start(&s, 4 << 20, 4000 * PAGE, PATIENCE_MS);
	assert_true(is_bare(&s)); /* nothing was ever cached */
	expect(&s, 1, 0, 64 * PAGE);
	assert_false(is_bare(&s));
	file = pod_create(s.pod.fs[0], DAXFS_ROOT, "g");
	most = grow(s.pod.fs[0], file, 0);
	assert_int_equal(grow(s.pod.fs[0], file, most), most);
	assert_true(is_bare(&s));
	n = most - 200;
	attr.size = n * PAGE;
	assert_int_equal(daxfs_setattr(s.pod.fs[0], file, DAXFS_SET_SIZE, &attr, &attr), 0);
	expect(&s, 1, 64 * PAGE, 64 * PAGE);
	assert_int_not_equal(heat_cached(s.pool), 0);
	assert_false(is_bare(&s));
	assert_in_range(grow(s.pod.fs[0], file, n), most - 8, most + 8); /* all that was cached; but for nodes */
	assert_int_equal(daxfs_unlink(s.pod.fs[0], DAXFS_ROOT, "g"), 0);
	fixture_stop(&s);
}

/* What is refused for want of an inode gets none by giving cached pages back. */
static void test_inodes_cost_no_page(void **state)
{
	struct daxfs_statfs before, after;
	struct fixture s;
	char name[16];
	unsigned n = 0;

	(void)state;
	fixture_start(&s, 4 << 20, 4000 * PAGE, PATIENCE_MS);
	for (;; n++) {
		struct daxfs_attr attr;

		snprintf(name, sizeof(name), "i%u", n);
		if (daxfs_mknod(s.pod.fs[0], DAXFS_ROOT, name, S_IFREG | 0600, 0, pod_root, false, &attr))
			break;
	}
	expect(&s, 1, 0, 64 * PAGE);
	assert_int_equal(daxfs_statfs(s.pod.fs[0], &before), 0);
	for (unsigned i = 0; i < 20; i++) {
		struct daxfs_attr attr;

		assert_int_equal(
			daxfs_mknod(s.pod.fs[0], DAXFS_ROOT, "none", S_IFREG | 0600, 0, pod_root, false, &attr),
			-ENOSPC);
	}
	assert_int_equal(daxfs_statfs(s.pod.fs[0], &after), 0);
	assert_int_equal(after.pages.live, before.pages.live);
	while (n--) {
		snprintf(name, sizeof(name), "i%u", n);
		assert_int_equal(daxfs_unlink(s.pod.fs[0], DAXFS_ROOT, name), 0);
	}
	fixture_stop(&s);
}

/* A victim is found by a hint. One that is wrong costs nothing but a victim. */
static void test_wrong_hints(void **state)
{
	struct fixture s;
	struct lane *lane;
	uint64_t page[8], wrong[8];
	uint8_t bytes[PAGE];
	daxfs_ino file;

	(void)state;
	fixture_start(&s, 8 << 20, 600 * PAGE, PATIENCE_MS);
	file = pod_create(s.pod.fs[0], DAXFS_ROOT, "g");
	expect(&s, 0, 0, 4 * PAGE);
	expect(&s, 0, 515 * PAGE, 4 * PAGE);
	for (unsigned i = 0; i < 8; i++)
		page[i] = link_index(word_of(&s, (i < 4 ? i : 511 + i)));
	/* A page of a user that looks like links to what is cached. */
	for (unsigned i = 0; i < PAGE / 8; i++)
		memcpy(bytes + 8 * (size_t)i, &(uint64_t){ link_payload(DAXFS_CLEAN, page[4]) }, 8);
	assert_int_equal(daxfs_write(s.pod.fs[0], file, bytes, PAGE, 0, 0), PAGE);
	wrong[0] = UINT64_MAX & ~DAXFS_MARK;
	wrong[1] = 5;
	wrong[2] = pool_offset(s.pool, &s.pool->inodes[handle_index(s.ino)].size) / 8;
	wrong[3] = 0;
	wrong[4] = (uint64_t)(pool_page(s.pool, link_index(sm_load(&s.pool->inodes[handle_index(file)].direct[0]))) -
			      s.pool->shm.base) /
		   8;
	wrong[5] = pool_offset(s.pool, &s.pool->inodes[handle_index(s.ino)].direct[0]) / 8; /* names another page */
	wrong[6] = pool_offset(s.pool, &s.pool->count[page[6]]) / 8;
	wrong[7] = s.pool->shm.size / 8;
	for (unsigned i = 0; i < 8; i++)
		sm_store(&s.pool->count[page[i]], wrong[i]);
	lane = rig_enter(s.pod.fs[2]);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(cache_give_back(s.pod.fs[2], lane, 1000), i == 0 ? 7 + 4 - 8 : 0); /* but zeros */
	assert_false(lane->txn.fault);
	rig_exit(s.pod.fs[2], lane);
	expect(&s, 1, 0, 4 * PAGE);
	assert_int_equal(daxfs_read(s.pod.fs[0], file, bytes, 8, 0), 8);
	assert_memory_equal(bytes, bytes + 8, 8);
	assert_true(daxfs_cache_drop(s.pod.fs[1], s.ino, 0, UINT64_MAX) > 0);
	assert_int_equal(daxfs_unlink(s.pod.fs[0], DAXFS_ROOT, "g"), 0);
	fixture_stop(&s);
}

/* -- views ------------------------------------------------------------------------------- */

static void test_view(void **state)
{
	struct daxfs_view *view;
	struct fixture s;
	uint8_t want[PAGE];
	const void *at;

	(void)state;
	fixture_start(&s, 8 << 20, 40 * PAGE, PATIENCE_MS);
	assert_int_equal(daxfs_view_open(s.pod.fs[1], &view), 0);
	/* It shows what is in the pool, and never reads storage: it is announced meanwhile. */
	assert_int_equal(daxfs_view_read(view, s.ino, 0, &at), -ENODATA);
	assert_int_equal(pages_read(&s), 0);
	expect(&s, 2, 0, 40 * PAGE);
	for (uint64_t page = 0; page < 40; page++) {
		assert_int_equal(daxfs_view_read(view, s.ino, page * PAGE, &at), PAGE);
		storage_bytes(&s.storage[1], FILE_NUMBER, page * PAGE, want, PAGE);
		assert_memory_equal(at, want, PAGE);
	}
	assert_int_equal(daxfs_view_read(view, s.ino, 40 * PAGE, &at), 0);
	assert_int_equal(pages_read(&s), 40);
	/* What it shows stays, though it is dropped. */
	assert_int_equal(daxfs_view_read(view, s.ino, 0, &at), PAGE);
	assert_int_equal(daxfs_cache_drop(s.pod.fs[0], s.ino, 0, UINT64_MAX), 40);
	storage_bytes(&s.storage[1], FILE_NUMBER, 0, want, PAGE);
	assert_memory_equal(at, want, PAGE);
	assert_int_equal(daxfs_view_read(view, s.ino, 0, &at), -ENODATA);
	assert_int_equal(pages_read(&s), 40);
	daxfs_view_close(view);
	fixture_stop(&s);
}

/* -- damage ------------------------------------------------------------------------------ */

struct finding {
	char text[200];
	unsigned n;
};

static void note_first(void *context, const char *line)
{
	struct finding *f = context;

	if (f->n++ == 0)
		snprintf(f->text, sizeof(f->text), "%s", line);
}

/* A link of a file's page that says what it may not. */
static void damaged(struct fixture *s, sm_u64 *word, uint64_t payload, const char *code)
{
	uint64_t was = sm_load(word);
	struct finding f = { .n = 0 };
	struct daxfs_check check;

	sm_store(word, payload);
	assert_int_equal(check_pool(s->pool, note_first, &f, &check), 0);
	assert_true(check.problems > 0);
	assert_memory_equal(f.text, code, strlen(code));
	sm_store(word, was);
}

static void test_damage(void **state)
{
	struct fixture s;
	sm_u64 *word, *plain;
	uint64_t clean;
	daxfs_ino other;
	uint8_t byte = 1;

	(void)state;
	fixture_start(&s, 8 << 20, 6 * PAGE, PATIENCE_MS);
	other = pod_create(s.pod.fs[0], DAXFS_ROOT, "g");
	assert_int_equal(daxfs_write(s.pod.fs[0], other, &byte, 1, 2 * PAGE, 0), 1);
	expect(&s, 0, 0, 6 * PAGE);
	word = s.pool->inodes[handle_index(s.ino)].direct;
	plain = s.pool->inodes[handle_index(other)].direct;
	clean = link_index(sm_load(&word[0]));
	pod_check(&s.pod);
	damaged(&s, &word[0], link_payload(DAXFS_DATA, clean), "bad-stored");
	damaged(&s, &word[4], link_payload(DAXFS_EXTENT, 16), "bad-kind");
	damaged(&s, &word[4], link_payload(DAXFS_VOID, 5), "bad-kind");
	damaged(&s, &word[4], link_payload(DAXFS_CLEAN, clean), "double-use");
	damaged(&s, &word[4], link_payload(DAXFS_CLEAN, UINT32_MAX), "bad-index");
	damaged(&s, &word[4], filling_payload(POD_HOSTS, 1, 0), "bad-kind");
	damaged(&s, &word[4], filling_payload(0, 1, 0) | 1ull << 36, "bad-kind");
	damaged(&s, &word[6], link_payload(DAXFS_VOID, 0), "past-end");
	damaged(&s, &word[6], filling_payload(0, 1, 0), "past-end");
	damaged(&s, &plain[0], link_payload(DAXFS_VOID, 0), "bad-kind");
	damaged(&s, &plain[0], filling_payload(0, 1, 0), "bad-kind");
	damaged(&s, &plain[2], link_payload(DAXFS_CLEAN, link_index(sm_load(&plain[2]))), "bad-kind");
	damaged(&s, &s.pool->state[DAXFS_T_PAGE][clean], state_make(DAXFS_LIVE, DAXFS_USE_DATA, 0), "bad-use");
	/* A reader of what makes no sense gets an error, and others go on. */
	sm_store(&word[4], link_payload(DAXFS_DIRENT, 1));
	assert_int_equal(daxfs_read(s.pod.fs[0], s.ino, &byte, 1, 4 * PAGE), -EIO);
	sm_store(&word[4], filling_payload(63, 7, 0)); /* of a host that there is not: nobody's */
	expect(&s, 1, 0, 6 * PAGE);
	assert_int_equal(daxfs_unlink(s.pod.fs[0], DAXFS_ROOT, "g"), 0);
	fixture_stop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_larger_than_the_pool),
		cmocka_unit_test(test_files_first),
		cmocka_unit_test(test_refused_without_a_look),
		cmocka_unit_test(test_inodes_cost_no_page),
		cmocka_unit_test(test_wrong_hints),
		cmocka_unit_test(test_view),
		cmocka_unit_test(test_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
