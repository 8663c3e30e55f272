/* SPDX-License-Identifier: Apache-2.0 */
/* test_lock_check.c - damaged pages of locks: what refuses them, and what the check says of them. */
#include "findings.h"
#include "lock_fixture.h"

struct damage {
	const char *name, *finding;
	void (*make)(struct fixture *s, struct sm_inode *sm, struct sm_locks *page);
};

static void bad_crc(struct fixture *s, struct sm_inode *sm, struct sm_locks *page)
{
	(void)s, (void)sm;
	page->lock[0].end++;
}

static void bad_count(struct fixture *s, struct sm_inode *sm, struct sm_locks *page)
{
	(void)s, (void)sm;
	page->count = UINT32_MAX;
}

static void other_inode(struct fixture *s, struct sm_inode *sm, struct sm_locks *page)
{
	(void)s, (void)sm;
	page->inode++;
	page->crc = locks_page_crc(page);
}

static void backwards(struct fixture *s, struct sm_inode *sm, struct sm_locks *page)
{
	(void)s, (void)sm;
	page->lock[0].start = page->lock[0].end + 1;
	page->crc = locks_page_crc(page);
}

/* Splitting each of so many would need twice the room. */
static void one_owner_twice(struct fixture *s, struct sm_inode *sm, struct sm_locks *page)
{
	(void)s, (void)sm;
	for (unsigned i = 1; i < DAXFS_LOCKS_MAX; i++)
		page->lock[i] = page->lock[0];
	page->count = DAXFS_LOCKS_MAX;
	for (unsigned i = 0; i < DAXFS_LOCK_WORDS; i++)
		sm_store(&page->live[i], i < 3 ? UINT32_MAX : (1u << (DAXFS_LOCKS_MAX - 96)) - 1);
	page->crc = locks_page_crc(page);
}

static void out_of_order(struct fixture *s, struct sm_inode *sm, struct sm_locks *page)
{
	(void)s, (void)sm;
	page->lock[1] = page->lock[0];
	page->lock[0].start = page->lock[1].end + 10;
	page->lock[0].end = page->lock[1].end + 19;
	page->count = 2;
	sm_store(&page->live[0], 3);
	page->crc = locks_page_crc(page);
}

/* An owner's second lock lies in its first, and another owner's is between them. */
static void one_owner_apart(struct fixture *s, struct sm_inode *sm, struct sm_locks *page)
{
	(void)s, (void)sm;
	page->lock[0].type = DAXFS_LOCK_READ;
	page->lock[0].end = 99;
	page->lock[1] = page->lock[2] = page->lock[0];
	page->lock[1].start = 10;
	page->lock[1].owner++;
	page->lock[2].start = 20;
	page->count = 3;
	sm_store(&page->live[0], 7);
	page->crc = locks_page_crc(page);
}

static void bad_kind(struct fixture *s, struct sm_inode *sm, struct sm_locks *page)
{
	(void)s;
	sm_store(&sm->locks, link_payload(DAXFS_DATA, link_index(sm_load(&sm->locks))));
	(void)page;
}

static void beyond_the_pool(struct fixture *s, struct sm_inode *sm, struct sm_locks *page)
{
	(void)s, (void)page;
	sm_store(&sm->locks, link_payload(DAXFS_LOCKS, UINT32_MAX));
}

static void orphan_mark(struct fixture *s, struct sm_inode *sm, struct sm_locks *page)
{
	(void)s, (void)sm;
	sm_store(&page->live[0], mark_make(1, 0, 77777));
}

static const struct damage damages[] = {
	{ "checksum", "bad-locks", bad_crc },   { "count", "bad-locks", bad_count },
	{ "inode", "bad-locks", other_inode },  { "range", "bad-locks", backwards },
	{ "kind", "bad-locks", bad_kind },      { "index", "bad-locks", beyond_the_pool },
	{ "mark", "orphan-mark", orphan_mark }, { "overlap", "bad-locks", one_owner_twice },
	{ "order", "bad-locks", out_of_order }, { "apart", "bad-locks", one_owner_apart },
};

static void note_finding(void *context, const char *line)
{
	const char **want = context; /* finding, found */

	finding_seen(line);
	if (!strncmp(line, want[0], strlen(want[0])) && line[strlen(want[0])] == ':')
		want[1] = want[0];
}

static bool check_says(struct fixture *s, const char *finding)
{
	const char *want[2] = { finding, NULL };
	struct daxfs_check check;

	assert_int_equal(check_pool(fs_pool(s->pod.fs[0]), note_finding, want, &check), 0);
	return want[1];
}

/* Nobody believes a page that makes no sense: EIO for what needs it, data is as it was. */
static void damaged_pages(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		struct fixture s;
		struct sm_inode *sm;
		struct sm_locks *page, copy;
		struct daxfs_lock lock = { .end = 5, .type = R }, out;
		uint64_t word;

		fixture_start(&s, 64);
		assert_int_equal(range(&s, 0, 1, W, 0, 9), 0);
		sm = &rig_pool(&s.pod)->inodes[handle_index(s.ino)];
		page = (struct sm_locks *)(void *)pool_page(rig_pool(&s.pod), link_index(locks_word(&s)));
		memcpy(&copy, page, sizeof(copy));
		word = sm_load(&sm->locks);
		damages[i].make(&s, sm, page);
		if (!check_says(&s, damages[i].finding))
			fail_msg("%s: not found", damages[i].name);
		assert_int_equal(range(&s, 1, 1, R, 0, 9), -EIO);
		assert_int_equal(daxfs_lock_get(s.pod.fs[1], s.ino, &lock, &out), -EIO);
		assert_int_equal(daxfs_write(s.pod.fs[1], s.ino, "abc", 3, 0, 0), 3);
		memcpy(page, &copy, sizeof(copy));
		sm_store(&sm->locks, word);
		assert_int_equal(range(&s, 1, 1, R, 0, 9), -EAGAIN);
		pod_stop(&s.pod);
	}
}

/* What the check alone sees: a lock of who does not hold, two in each other's way, a bit without a lock, none. */
static void damage_the_check_finds(void **state)
{
	struct fixture s;
	struct sm_inode *sm;
	struct sm_locks *page;
	uint64_t openers;

	(void)state;
	fixture_start(&s, 64);
	assert_int_equal(range(&s, 0, 1, W, 0, 9), 0);
	assert_int_equal(range(&s, 1, 1, W, 10, 19), 0);
	sm = &rig_pool(&s.pod)->inodes[handle_index(s.ino)];
	page = (struct sm_locks *)(void *)pool_page(rig_pool(&s.pod), link_index(locks_word(&s)));
	pod_check(&s.pod);
	openers = sm_load(&sm->openers[0]);
	sm_store(&sm->openers[0], openers & ~2ull);
	assert_true(check_says(&s, "stray-lock"));
	sm_store(&sm->openers[0], openers);
	page->lock[1].start = 9;
	page->crc = locks_page_crc(page);
	assert_true(check_says(&s, "double-lock"));
	page->lock[1].start = 10;
	page->lock[1].host = 40;
	page->crc = locks_page_crc(page);
	assert_true(check_says(&s, "bad-lock"));
	page->lock[1].host = 1;
	page->crc = locks_page_crc(page);
	sm_store(&page->live[3], 1);
	assert_true(check_says(&s, "bad-locks"));
	sm_store(&page->live[3], 0);
	sm_store(&page->live[0], 0);
	assert_true(check_says(&s, "bad-locks"));
	sm_store(&page->live[0], 3);
	pod_stop(&s.pod);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(damaged_pages),
		cmocka_unit_test(damage_the_check_finds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
