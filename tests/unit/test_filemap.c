/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_filemap.c - which word names page p: at every border, built by hand; what
 * collecting for removal finds; garbage in link words (index/filemap.c).
 */

#include "file_fixture.h"

#define S1 512ull
#define S2 (S1 * S1)
#define S3 (S1 * S2)
#define S4 (S1 * S3)
#define B1 8ull /* first page under each indirect word */
#define B2 S1
#define B3 S2
#define B4 S3
#define LAST (DAXFS_FILE_MAX / DAXFS_PAGE_SIZE - 1)

static const uint64_t borders[] = {
	0,
	1,
	7,
	B1,
	B1 + 1,
	B2 - 1,
	B2,
	B2 + 511,
	B2 + 512,
	B3 - 1,
	B3,
	B3 + S2 - 1,
	B3 + S2,
	B4 - 1,
	B4,
	B4 + 1,
	B4 + S3 - 1,
	B4 + S3,
	B4 + S3 + S2 + S1 + 1,
	LAST - 1,
	LAST,
};
#define BORDERS (sizeof(borders) / sizeof(borders[0]))

static void fixture_stop(struct fixture *s)
{
	s->lane->txn.fault = false;
	rig_exit(s->pod.fs[1], s->lane);
	assert_int_equal(daxfs_unlink(s->pod.fs[2], DAXFS_ROOT, "f"), 0);
	assert_int_equal(pod_check(&s->pod).usage.pages.live, 1);
	pod_stop(&s->pod);
}

/* The shape in map.h, by division: height of the root word, its index, the digits. */
static unsigned shape(uint64_t p, uint64_t *word, uint64_t digit[4])
{
	static const uint64_t span[5] = { 1, S1, S2, S3, S4 };
	unsigned height = p < B1 ? 0 : p < B2 ? 1 : p < B3 ? 2 : p < B4 ? 3 : 4;

	*word = height ? height - 1 : p;
	for (unsigned i = 0; i < height; i++)
		digit[i] = p / span[height - 1 - i] % 512;
	return height;
}

/* Walk to page p, giving every missing node a page; the words on the way are as drawn. */
static void walk(struct fixture *s, uint64_t p)
{
	uint64_t word, digit[4], page;
	unsigned height = shape(p, &word, digit);
	sm_u64 *at = height ? &s->sm->indirect[word] : &s->sm->direct[word];
	struct map_pos pos;
	int rc = map_find(s->lane, s->sm, p, &pos);

	record_begin(s->lane, OP_WRITE);
	for (unsigned i = 0; i < height; i++) {
		assert_int_equal(rc, -ENOENT);
		assert_ptr_equal(pos.slot, at);
		assert_int_equal(pos.height, height - i);
		assert_int_equal(pos.word, sm_load(at));
		assert_int_equal(space_take(s->lane, DAXFS_T_PAGE, DAXFS_USE_NODE, 1, &page), 0);
		memset(pool_page(s->pool, page), 0, DAXFS_PAGE_SIZE);
		sm_store(at, word_next(sm_load(at), DAXFS_W_LINK, link_payload(DAXFS_NODE, page)));
		rc = map_below(s->lane, page, &pos);
		at = &map_node(s->pool, page)->slot[digit[i]];
	}
	assert_int_equal(rc, 0);
	assert_ptr_equal(pos.slot, at);
	assert_int_equal(pos.height, 0);
	assert_int_equal(map_find(s->lane, s->sm, p, &pos), 0); /* and now from the top */
	assert_ptr_equal(pos.slot, at);
	for (unsigned i = 0; i < DAXFS_INDIRECT; i++)
		sm_store(&s->sm->indirect[i], word_next(sm_load(&s->sm->indirect[i]), DAXFS_W_LINK, 0));
	record_abort(s->lane, 0);
}

static void every_border(void **state)
{
	struct fixture s;

	(void)state;
	fixture_start(&s);
	assert_true(LAST < S4);
	for (unsigned i = 0; i < BORDERS; i++)
		walk(&s, borders[i]);
	fixture_stop(&s);
}

/* -- through files -------------------------------------------------------------------- */

static void write_page(struct fixture *s, uint64_t p)
{
	uint64_t value = p + 1;

	assert_int_equal(daxfs_write(s->pod.fs[0], s->ino, &value, sizeof(value), p * DAXFS_PAGE_SIZE, 0), 8);
}

static bool has_page(struct fixture *s, uint64_t p)
{
	struct map_pos pos;
	int rc = map_find(s->lane, s->sm, p, &pos);
	uint64_t w;

	if (rc)
		assert_int_equal(rc, -ENOENT);
	w = rc ? 0 : word_load(s->lane, pos.slot);
	if (link_kind(w) == DAXFS_ABSENT)
		return false;
	assert_int_equal(link_kind(w), DAXFS_DATA);
	/* The right page, not just some page. */
	assert_int_equal(*(uint64_t *)(void *)pool_page(s->pool, link_index(w)), p + 1);
	return true;
}

/* Remove everything from page `first` on as pruning does; returns the words removed. */
static uint64_t cut(struct fixture *s, uint64_t first)
{
	struct map_batch batch;
	uint64_t removed = 0;

	do {
		lane_renew(s->lane);
		record_begin(s->lane, OP_PRUNE);
		map_collect(s->lane, s->sm, first, &batch);
		assert_true(batch.n <= MAP_BATCH);
		for (unsigned i = 0; i < batch.n; i++)
			for (unsigned k = 0; k < i; k++)
				assert_ptr_not_equal(batch.item[i].slot, batch.item[k].slot);
		prune_stage(s->lane, &batch);
		assert_int_equal(record_commit(s->lane), 0);
		removed += batch.n;
	} while (batch.n);
	return removed;
}

static uint64_t pages_of(struct fixture *s)
{
	uint64_t pages;

	assert_true(map_pages(s->lane, s->sm, UINT64_MAX, &pages));
	return pages;
}

/* All border pages, cut at each border in turn: those from there on go, no other. */
static void collect_from_any_border(void **state)
{
	struct fixture s;

	(void)state;
	fixture_start(&s);
	for (unsigned at = 0; at < BORDERS; at++) {
		for (unsigned i = 0; i < BORDERS; i++)
			write_page(&s, borders[i]);
		assert_true(cut(&s, borders[at]) > 0);
		for (unsigned i = 0; i < BORDERS; i++)
			assert_int_equal(has_page(&s, borders[i]), i < at);
		assert_int_equal(cut(&s, borders[at]), 0); /* nothing is left */
	}
	cut(&s, 0);
	assert_int_equal(pages_of(&s), 0); /* nodes and all */
	fixture_stop(&s);
}

/* Just after a page, and in the middle of nowhere. */
static void collect_between(void **state)
{
	struct fixture s;

	(void)state;
	fixture_start(&s);
	for (unsigned at = 0; at + 1 < BORDERS; at++) {
		for (unsigned i = 0; i < BORDERS; i++)
			write_page(&s, borders[i]);
		cut(&s, borders[at] + 1);
		for (unsigned i = 0; i < BORDERS; i++)
			assert_int_equal(has_page(&s, borders[i]), i <= at);
	}
	cut(&s, LAST + 1);
	assert_true(has_page(&s, borders[0]));
	cut(&s, 0);
	fixture_stop(&s);
}

/* More than fits a batch: each is full but the last, and right by itself. */
static void collect_in_batches(void **state)
{
	struct fixture s;
	struct map_batch batch;
	uint64_t pages;

	(void)state;
	fixture_start(&s);
	for (uint64_t p = 0; p < 700; p++)
		write_page(&s, p);
	pages = pages_of(&s);
	assert_int_equal(pages, 700 + 1 + 1 + 1); /* nodes: one of height 1; one of height 2 and one under it */
	assert_false(map_pages(s.lane, s.sm, 18, &pages));
	assert_int_equal(pages, 8 + 1 + 1); /* 8 pages, a node, 8 words unused, a page */
	record_begin(s.lane, OP_PRUNE);
	map_collect(s.lane, s.sm, 100, &batch);
	assert_int_equal(batch.n, MAP_BATCH);
	for (unsigned i = 0; i < batch.n; i++) /* in order, from the first one on */
		assert_int_equal(*(uint64_t *)(void *)pool_page(s.pool, link_index(batch.item[i].word)), 100 + i + 1);
	record_abort(s.lane, 0);
	assert_int_equal(cut(&s, 100), 600 + 2); /* the first node stays: it has pages before 100 */
	for (uint64_t p = 0; p < 700; p++)
		assert_int_equal(has_page(&s, p), p < 100);
	assert_int_equal(cut(&s, 0), 100 + 1);
	fixture_stop(&s);
}

/* -- garbage ------------------------------------------------------------------------------ */

/* With `bad` in *slot, nothing that goes through it succeeds or strays. */
static void expect_eio(struct fixture *s, sm_u64 *slot, uint64_t bad, uint64_t p)
{
	uint64_t was = sm_load(slot), value = 0;
	struct map_pos pos;
	struct map_batch batch;
	int rc;

	sm_store(slot, bad);
	rc = map_find(s->lane, s->sm, p, &pos);
	assert_true(rc == -EIO || (rc == 0 && pos.slot == slot)); /* the last word is for the caller to judge */
	assert_int_equal(s->lane->txn.fault, rc == -EIO);
	s->lane->txn.fault = false;
	map_collect(s->lane, s->sm, 0, &batch);
	assert_true(s->lane->txn.fault);
	s->lane->txn.fault = false;
	map_pages(s->lane, s->sm, 100000, &value); /* it need not complain */
	s->lane->txn.fault = false;
	assert_int_equal(daxfs_read(s->pod.fs[2], s->ino, &value, 8, p * DAXFS_PAGE_SIZE), -EIO);
	assert_int_equal(daxfs_write(s->pod.fs[2], s->ino, &value, 8, p * DAXFS_PAGE_SIZE, 0), -EIO);
	sm_store(slot, was);
	assert_int_equal(daxfs_read(s->pod.fs[2], s->ino, &value, 8, p * DAXFS_PAGE_SIZE), 8);
	assert_int_equal(value, p + 1);
}

/* The words on the way to a page: every one of them. */
static unsigned path_to(struct fixture *s, uint64_t p, sm_u64 *slot[5])
{
	uint64_t word, digit[4];
	unsigned height = shape(p, &word, digit);

	slot[0] = height ? &s->sm->indirect[word] : &s->sm->direct[word];
	for (unsigned i = 0; i < height; i++)
		slot[i + 1] = &map_node(s->pool, link_index(sm_load(slot[i])))->slot[digit[i]];
	return height;
}

static void senseless_words(void **state)
{
	static const uint64_t at[] = { 3, B1 + 5, B2 + S1 + 1, B3 + S2, LAST };
	struct fixture s;
	uint64_t total;

	(void)state;
	fixture_start(&s);
	total = s.pool->objects[DAXFS_T_PAGE];
	for (unsigned i = 0; i < 5; i++) {
		sm_u64 *slot[5];
		unsigned height;

		write_page(&s, at[i]);
		height = path_to(&s, at[i], slot);
		for (unsigned k = 0; k <= height; k++) {
			uint64_t index = link_index(sm_load(slot[k]));
			enum daxfs_link_kind right = k < height ? DAXFS_NODE : DAXFS_DATA;

			for (unsigned kind = 1; kind < 8; kind++)
				if (kind != right)
					expect_eio(&s, slot[k], link_payload((enum daxfs_link_kind)kind, index), at[i]);
			expect_eio(&s, slot[k], link_payload(right, total), at[i]); /* just past the last page */
			expect_eio(&s, slot[k], link_payload(right, UINT32_MAX), at[i]);
			expect_eio(&s, slot[k], UINT64_MAX, at[i]); /* a mark of nobody */
		}
	}
	fixture_stop(&s);
}

/* A node that names itself: heights end the walk, kinds tell. */
static void node_in_itself(void **state)
{
	struct fixture s;
	struct map_batch batch;
	struct map_pos pos;
	uint64_t was;
	sm_u64 *slot[5];

	(void)state;
	fixture_start(&s);
	write_page(&s, LAST);
	path_to(&s, LAST, slot);
	was = sm_load(slot[1]);
	sm_store(slot[1], sm_load(slot[0]));
	map_find(s.lane, s.sm, LAST, &pos);
	s.lane->txn.fault = false;
	map_collect(s.lane, s.sm, 0, &batch);
	assert_true(s.lane->txn.fault);
	s.lane->txn.fault = false;
	map_pages(s.lane, s.sm, 100000, &(uint64_t){ 0 });
	sm_store(slot[1], was);
	assert_true(has_page(&s, LAST));
	fixture_stop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_border),    cmocka_unit_test(collect_from_any_border),
		cmocka_unit_test(collect_between), cmocka_unit_test(collect_in_batches),
		cmocka_unit_test(senseless_words), cmocka_unit_test(node_in_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
