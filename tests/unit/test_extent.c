/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_extent.c - sixteen pages as one object (space/extent.c) under one word
 * (index/filemap.h): made, replaced, broken up by what is written or cut of it, dissolved
 * when single pages run out, and its bytes right all along.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "hang.h"
#include "rig.h"

#define PAGE DAXFS_PAGE_SIZE
#define GROUP (DAXFS_EXTENT_PAGES * PAGE)
#define SPAN (12 * GROUP)

struct fixture {
	struct pod pod;
	struct pool *pool;
	daxfs_ino ino;
	struct sm_inode *sm;
	struct lane *lane; /* of host 1, to look at words */
	uint8_t *is;       /* what the file should have */
	uint64_t size;
};

static void fixture_start(struct fixture *s)
{
	alarm(HANG_S);
	pod_start(&s->pod, 16 << 20);
	s->pool = rig_pool(&s->pod);
	s->ino = pod_create(s->pod.fs[0], DAXFS_ROOT, "f");
	s->sm = &s->pool->inodes[handle_index(s->ino)];
	s->is = calloc(1, SPAN);
	s->size = 0;
	assert_non_null(s->is);
}

static void fixture_stop(struct fixture *s)
{
	struct daxfs_check check;

	assert_int_equal(daxfs_unlink(s->pod.fs[2], DAXFS_ROOT, "f"), 0);
	check = pod_check(&s->pod);
	assert_int_equal(check.usage.pages.live, 1);
	assert_int_equal(check.usage.pages.private_, 0);
	free(s->is);
	pod_stop(&s->pod);
}

static void put_times(struct fixture *s, unsigned host, uint64_t from, uint64_t len, unsigned times)
{
	static unsigned n;

	n++;
	for (uint64_t i = from; i < from + len; i++)
		s->is[i] = (uint8_t)(n + i / 7 + i / PAGE);
	for (unsigned i = 0; i < times; i++)
		assert_int_equal(daxfs_write(s->pod.fs[host], s->ino, s->is + from, len, from, 0), (ssize_t)len);
	if (from + len > s->size)
		s->size = from + len;
}

/* The second time a group makes an extent. */
static void put(struct fixture *s, unsigned host, uint64_t from, uint64_t len)
{
	put_times(s, host, from, len, 2);
}

static void cut(struct fixture *s, uint64_t size)
{
	struct daxfs_attr attr = { .size = size };

	assert_int_equal(daxfs_setattr(s->pod.fs[1], s->ino, DAXFS_SET_SIZE, &attr, NULL), 0);
	if (size < s->size)
		memset(s->is + size, 0, s->size - size);
	s->size = size;
}

/* Every byte, read at once, in odd pieces, and in place. */
static void expect(struct fixture *s)
{
	uint8_t *out = malloc(SPAN);
	struct daxfs_view *view;

	assert_int_equal(daxfs_read(s->pod.fs[2], s->ino, out, SPAN, 0), (ssize_t)s->size);
	assert_memory_equal(out, s->is, s->size);
	for (uint64_t at = 0; at < s->size; at += 9999) {
		uint64_t n = s->size - at < 9999 ? s->size - at : 9999;

		assert_int_equal(daxfs_read(s->pod.fs[1], s->ino, out, 9999, at), (ssize_t)n);
		assert_memory_equal(out, s->is + at, n);
	}
	assert_int_equal(daxfs_view_open(s->pod.fs[1], &view), 0);
	for (uint64_t at = 0; at < s->size;) {
		const void *p;
		ssize_t n = daxfs_view_read(view, s->ino, at, &p);

		assert_true(n > 0);
		assert_memory_equal(p, s->is + at, (size_t)n);
		at += (uint64_t)n;
	}
	daxfs_view_close(view);
	pod_check(&s->pod);
	free(out);
}

/* What holds page p; 0: a hole. */
static enum daxfs_link_kind held(struct fixture *s, uint64_t p, uint64_t *page)
{
	struct lane *lane = rig_enter(s->pod.fs[1]);
	struct map_look look = { .page = MAP_HOLE };
	struct map_pos pos;

	if (map_find(lane, s->sm, p, &pos) == 0)
		map_look(lane, pos.slot, p, &look);
	rig_exit(s->pod.fs[1], lane);
	*page = look.page;
	return look.page == MAP_HOLE ? DAXFS_ABSENT : look.extent ? DAXFS_EXTENT : DAXFS_DATA;
}

static void expect_kind(struct fixture *s, uint64_t first, uint64_t n, enum daxfs_link_kind kind)
{
	uint64_t page, head;

	for (uint64_t p = first; p < first + n; p++) {
		assert_int_equal(held(s, p, &page), kind);
		if (kind != DAXFS_EXTENT)
			continue;
		held(s, p - p % DAXFS_EXTENT_PAGES, &head);
		assert_int_equal(head % DAXFS_EXTENT_PAGES, 0);
		assert_int_equal(page, head + p % DAXFS_EXTENT_PAGES);
	}
}

/* Which writes make extents: groups that are written whole once more, but not the first. */
static void made(void **state)
{
	struct fixture s;
	uint64_t before, after;

	(void)state;
	fixture_start(&s);
	put_times(&s, 0, 0, 3 * GROUP, 1);
	expect_kind(&s, 0, 48, DAXFS_DATA);
	put(&s, 0, 0, 3 * GROUP);
	expect_kind(&s, 0, 16, DAXFS_DATA);
	expect_kind(&s, 16, 32, DAXFS_EXTENT);
	put(&s, 1, 3 * GROUP + 100, 2 * GROUP); /* only the middle one is whole */
	expect_kind(&s, 48, 16, DAXFS_DATA);
	expect_kind(&s, 64, 16, DAXFS_EXTENT);
	expect_kind(&s, 80, 1, DAXFS_DATA);
	held(&s, 64, &before);
	put(&s, 2, 4 * GROUP, GROUP); /* replaced as a whole */
	expect_kind(&s, 64, 16, DAXFS_EXTENT);
	held(&s, 64, &after);
	assert_true(before != after);
	put(&s, 0, 3 * GROUP, GROUP); /* single pages, then an extent */
	expect_kind(&s, 48, 16, DAXFS_EXTENT);
	put(&s, 1, 9 * GROUP, GROUP); /* behind a hole */
	expect_kind(&s, 6 * 16, 3 * 16, DAXFS_ABSENT);
	expect_kind(&s, 9 * 16, 16, DAXFS_EXTENT);
	put(&s, 1, 7 * GROUP + 5 * PAGE, 10); /* a page in a hole, then all of it */
	put(&s, 1, 7 * GROUP, GROUP);
	expect_kind(&s, 7 * 16, 16, DAXFS_EXTENT);
	expect(&s);
	fixture_stop(&s);
}

/* Any part of an extent written: all its pages are single, the other bytes what they were. */
static void broken_up(void **state)
{
	static const struct {
		uint64_t from, len;
	} part[] = {
		{ 0, 1 },         { GROUP - 1, 1 },     { 5 * PAGE, PAGE },
		{ 0, PAGE },      { 15 * PAGE, PAGE },  { 7 * PAGE + 9, 3 * PAGE },
		{ 1, GROUP - 1 }, { 0, GROUP - 1 },     { 8 * PAGE, GROUP },
		{ GROUP - 3, 6 }, { 3, 4 * GROUP - 6 }, { PAGE - 1, 4 * GROUP },
	};
	struct fixture s;

	(void)state;
	fixture_start(&s);
	for (unsigned i = 0; i < sizeof(part) / sizeof(part[0]); i++) {
		uint64_t first = part[i].from / GROUP, last = (part[i].from + part[i].len - 1) / GROUP;

		put(&s, 0, GROUP, 6 * GROUP);
		expect_kind(&s, 16, 6 * 16, DAXFS_EXTENT);
		put(&s, i % 3, GROUP + part[i].from, part[i].len);
		for (uint64_t g = 0; g < 6; g++) {
			bool whole = g * GROUP >= part[i].from && (g + 1) * GROUP <= part[i].from + part[i].len;

			expect_kind(&s, 16 + 16 * g, 16, g < first || g > last || whole ? DAXFS_EXTENT : DAXFS_DATA);
		}
		expect(&s);
	}
	fixture_stop(&s);
}

/* What stays of an extent stays where it is, but for the first page, and is a page like any other. */
static void kept(void **state)
{
	struct fixture s;
	uint64_t head, first, page;

	(void)state;
	fixture_start(&s);
	put(&s, 0, GROUP, GROUP);
	held(&s, 16, &head);
	put(&s, 1, GROUP + 5 * PAGE + 7, 2 * PAGE);
	held(&s, 16, &first);
	assert_true(first < head || first >= head + 16);
	for (unsigned i = 1; i < 16; i++) {
		held(&s, 16 + i, &page);
		assert_int_equal(page == head + i, i < 5 || i > 7);
		if (page == head + i)
			assert_int_equal(rig_state(s.pool, DAXFS_T_PAGE, page) >> 56, DAXFS_LIVE << 5 | DAXFS_USE_KEPT);
	}
	expect(&s);
	for (unsigned n = 0; n < 100; n++) /* nobody takes what was the extent as one */
		put(&s, n % 3, 2 * GROUP, GROUP);
	expect(&s);
	put(&s, 2, GROUP + PAGE, PAGE);
	assert_int_equal(state_of(rig_state(s.pool, DAXFS_T_PAGE, head + 1)), DAXFS_RETIRED);
	cut(&s, GROUP + 3 * PAGE); /* among them */
	expect(&s);
	fixture_stop(&s);
}

/* Somebody who is breaking up an extent, and does not go on, is in nobody's way. */
static void kept_by_two(void **state)
{
	struct fixture s;
	struct space_batch batch;
	struct lane *lane;
	uint64_t head, page;

	(void)state;
	fixture_start(&s);
	put(&s, 0, GROUP, GROUP);
	held(&s, 16, &head);
	lane = rig_enter(s.pod.fs[0]);
	record_begin(lane, OP_WRITE);
	space_begin(&batch, DAXFS_T_PAGE);
	for (unsigned i = 1; i < 9; i++)
		assert_true(space_keep(lane, &batch, head + i));
	assert_int_equal(space_claim(lane, &batch), 0);
	expect(&s);
	put(&s, 1, GROUP + 12 * PAGE, PAGE);
	for (unsigned i = 1; i < 16; i++) {
		held(&s, 16 + i, &page);
		assert_int_equal(page == head + i, i >= 9 && i != 12);
	}
	expect(&s);
	assert_int_equal(record_abort(lane, 0), 0);
	for (unsigned i = 1; i < 9; i++)
		assert_int_equal(rig_state(s.pool, DAXFS_T_PAGE, head + i),
				 state_make(DAXFS_LIVE, DAXFS_USE_TAIL, txid_make(lane->id, lane->seq)));
	rig_exit(s.pod.fs[0], lane);
	expect(&s);
	fixture_stop(&s);
}

/* Who found a page in the extent sees it unchanged, though it is kept, replaced, and the pages there are used up. */
static void kept_and_seen(void **state)
{
	struct daxfs_view *view;
	const void *page;
	uint8_t *was;
	struct fixture s;

	(void)state;
	fixture_start(&s);
	put(&s, 0, GROUP, GROUP);
	assert_int_equal(daxfs_view_open(s.pod.fs[0], &view), 0);
	assert_int_equal(daxfs_view_read(view, s.ino, GROUP + PAGE, &page), GROUP - PAGE);
	was = malloc(GROUP - PAGE);
	memcpy(was, page, GROUP - PAGE);
	for (unsigned n = 0; n < 100; n++) /* epochs pass */
		put(&s, 1, n % DAXFS_EXTENT_PAGES * PAGE, PAGE / 2);
	put(&s, 1, GROUP + 5 * PAGE, PAGE);
	put(&s, 1, GROUP, 5 * PAGE);
	put(&s, 1, GROUP + 6 * PAGE, 10 * PAGE - 1);
	for (uint64_t n = 0; n < 2 * s.pool->objects[DAXFS_T_PAGE]; n++)
		put(&s, 1, n % DAXFS_EXTENT_PAGES * PAGE, PAGE);
	assert_memory_equal(page, was, GROUP - PAGE);
	daxfs_view_close(view);
	free(was);
	expect(&s);
	fixture_stop(&s);
}

/* The file ends in an extent: what stays is single pages, what follows is gone, for good. */
static void cut_off(void **state)
{
	static const uint64_t keep[] = { 0, 1, PAGE - 1, PAGE, PAGE + 1, 9 * PAGE, GROUP - PAGE, GROUP - 1 };
	struct fixture s;

	(void)state;
	fixture_start(&s);
	for (unsigned i = 0; i < sizeof(keep) / sizeof(keep[0]); i++) {
		uint64_t pages = (keep[i] + PAGE - 1) / PAGE;

		put(&s, 0, 0, 5 * GROUP);
		cut(&s, 2 * GROUP + keep[i]);
		expect_kind(&s, 16, 16, DAXFS_EXTENT);
		expect_kind(&s, 32, pages, DAXFS_DATA);
		expect_kind(&s, 32 + pages, 48 - pages, DAXFS_ABSENT);
		expect(&s);
		cut(&s, 5 * GROUP); /* longer again: zeros */
		expect(&s);
	}
	cut(&s, 0);
	fixture_stop(&s);
}

/* Extents at rest are taken apart when single pages run out, and no page is lost or had twice. */
static void dissolved(void **state)
{
	struct fixture s;
	uint64_t one = 1, n = 0;
	ssize_t rc;

	(void)state;
	fixture_start(&s);
	for (unsigned i = 0; i < 40; i++)
		put(&s, i % 3, GROUP, 8 * GROUP);
	cut(&s, 0);
	while ((rc = daxfs_write(s.pod.fs[n % 3], s.ino, &one, 8, (n + 1) * PAGE - 8, 0)) == 8)
		n++;
	assert_int_equal(rc, -ENOSPC);
	/* All but the reserve, and a few that the nodes and the last attempt needed. */
	assert_true(n + space_reserve(s.pool) > s.pool->objects[DAXFS_T_PAGE] * 95 / 100);
	pod_check(&s.pod);
	cut(&s, 0);
	put(&s, 1, GROUP, 8 * GROUP); /* and put together again */
	expect_kind(&s, 16, 8 * 16, DAXFS_EXTENT);
	expect(&s);
	fixture_stop(&s);
}

static unsigned at_rest(struct fixture *s)
{
	const struct pool *pool = rig_pool(&s->pod);
	unsigned n = 0;

	for (uint64_t i = 0; i < pool->objects[DAXFS_T_PAGE]; i += DAXFS_EXTENT_PAGES) {
		uint64_t state = sm_load(&pool->state[DAXFS_T_PAGE][i]);

		n += state_of(state) == DAXFS_RETIRED && use_of(state) == DAXFS_USE_EXTENT;
	}
	return n;
}

/* When nothing is free but extents at rest, a write takes as many pages as they have, not only their heads. */
static void dissolved_at_once(void **state)
{
	struct fixture s;
	struct daxfs_statfs left;
	struct daxfs_view *view;
	daxfs_ino rest;
	ssize_t rc;

	(void)state;
	fixture_start(&s);
	put(&s, 0, GROUP, 4 * GROUP);
	rest = pod_create(s.pod.fs[0], DAXFS_ROOT, "rest");
	while ((rc = daxfs_write(s.pod.fs[0], rest, s.is, PAGE, 0, DAXFS_APPEND)) == PAGE)
		;
	assert_int_equal(rc, -ENOSPC);
	cut(&s, 0);
	assert_int_equal(daxfs_statfs(s.pod.fs[0], &left), 0);
	assert_true(left.pages.free + left.pages.retired >= 4 * DAXFS_EXTENT_PAGES);
	assert_int_equal(at_rest(&s), 4);
	/* What is free beside them is used up by overwriting what a view still shows: that may use the reserve, too. */
	epoch_advance(&s.pod.fs[1]->slots[0].lane.epoch);
	assert_int_equal(daxfs_view_open(s.pod.fs[2], &view), 0);
	for (uint64_t at = 0; at_rest(&s) == 4; at += PAGE)
		assert_int_equal(daxfs_write(s.pod.fs[1], rest, s.is, PAGE, at, 0), PAGE);
	for (unsigned i = 1; i < DAXFS_EXTENT_PAGES; i++) /* the rest of the first one */
		assert_int_equal(daxfs_write(s.pod.fs[1], rest, s.is, PAGE, 0, 0), PAGE);
	assert_int_equal(at_rest(&s), 3);
	assert_int_equal(daxfs_write(s.pod.fs[1], rest, s.is, GROUP - PAGE, 0, 0), GROUP - PAGE);
	assert_int_equal(at_rest(&s), 2);
	daxfs_view_close(view);
	put_times(&s, 1, 0, GROUP - PAGE, 1);
	expect(&s);
	assert_int_equal(daxfs_unlink(s.pod.fs[0], DAXFS_ROOT, "rest"), 0);
	fixture_stop(&s);
}

/* Parts and wholes at random, from three hosts. */
static void at_random(void **state)
{
	struct fixture s;

	(void)state;
	srand(7);
	fixture_start(&s);
	for (unsigned i = 0; i < 600; i++) {
		uint64_t from = (uint64_t)rand() % (8 * GROUP), len = 1 + (uint64_t)rand() % (4 * GROUP);

		if (rand() % 2)
			from -= from % GROUP;
		if (rand() % 2)
			len += GROUP - len % GROUP;
		if (rand() % 3 == 0)
			len = 1 + len % (2 * PAGE);
		if (rand() % 8 == 0)
			cut(&s, from);
		else
			put(&s, i % 3, from, len < SPAN - from ? len : SPAN - from);
		if (i % 20 == 0)
			expect(&s);
	}
	expect(&s);
	fixture_stop(&s);
}

/* A draft of whole groups, and one of parts. */
static void drafted(void **state)
{
	struct fixture s;
	struct daxfs_draft *draft;
	void *page[64];

	(void)state;
	fixture_start(&s);
	put(&s, 0, GROUP, 4 * GROUP);
	for (unsigned part = 0; part < 2; part++) {
		uint64_t from = 2 * GROUP + part * PAGE, len = 2 * GROUP - 3 * part * PAGE;

		assert_int_equal(daxfs_draft_begin(s.pod.fs[1], s.ino, from, len, page, &draft), 0);
		for (uint64_t i = 0; i < len / PAGE; i++) {
			memset(s.is + from + i * PAGE, (int)(50 * part + i), PAGE);
			memset(page[i], (int)(50 * part + i), PAGE);
		}
		assert_int_equal(daxfs_draft_commit(draft), 0);
		expect_kind(&s, 32, 32, part ? DAXFS_DATA : DAXFS_EXTENT);
		expect(&s);
	}
	fixture_stop(&s);
}

/* A record of one word that replaces the extent of group 1 by a new one, sealed, its word as it was. */
static struct lane *sealed(struct fixture *s, sm_u64 **word, uint64_t *head)
{
	struct lane *lane = rig_enter(s->pod.fs[0]);
	struct space_batch batch;
	struct map_pos pos;
	uint64_t was;
	uint32_t age;

	assert_int_equal(map_find(lane, s->sm, DAXFS_EXTENT_PAGES, &pos), 0);
	was = sm_load(pos.slot);
	record_begin(lane, OP_WRITE);
	space_begin(&batch, DAXFS_T_PAGE);
	assert_true(space_find_extent(lane, &batch, head, &age));
	assert_int_equal(batch.n, DAXFS_EXTENT_PAGES);
	assert_int_equal(space_claim(lane, &batch), 0);
	txn_word(&lane->txn, pos.slot, DAXFS_W_LINK, was, link_payload(DAXFS_EXTENT, *head));
	record_retire(lane, DAXFS_T_PAGE, link_index(was));
	rig_undecided(lane);
	rig_status(lane, DAXFS_SINGLE);
	*word = pos.slot;
	return lane;
}

static void finalize(struct fixture *s, const struct lane *owner)
{
	struct lane *by = rig_enter(s->pod.fs[1]);
	struct record_tally tally = { 0 };

	record_recover(by, owner->id, &tally);
	assert_int_equal(tally.finished + tally.rolled_back, 1);
	rig_exit(s->pod.fs[1], by);
}

/*
 * Its recoverer found that a record did not happen, and died, and with its cache the end of the
 * extent's head was lost; not so that of its tails. Meanwhile somebody replaced what the word
 * named, so for the next recoverer the record was overtaken, and the extent is at rest: its
 * tails must not have been anybody's meanwhile without the head saying so.
 */
static void undone_then_overtaken(void **state)
{
	struct fixture s;
	struct lane *lane;
	sm_u64 *word;
	uint64_t head, private_head;

	(void)state;
	fixture_start(&s);
	put(&s, 1, GROUP, GROUP);
	lane = sealed(&s, &word, &head);
	private_head = rig_state(s.pool, DAXFS_T_PAGE, head);
	finalize(&s, lane);
	assert_int_equal(rig_state(s.pool, DAXFS_T_PAGE, head), 0);
	for (unsigned i = 1; i < DAXFS_EXTENT_PAGES; i++)
		assert_int_equal(use_of(rig_state(s.pool, DAXFS_T_PAGE, head + i)), DAXFS_USE_TAIL);
	pod_check(&s.pod);
	put(&s, 1, GROUP, GROUP);
	sm_store(&s.pool->state[DAXFS_T_PAGE][head], private_head);
	rig_status(lane, DAXFS_SINGLE);
	finalize(&s, lane);
	assert_int_equal(state_of(rig_state(s.pool, DAXFS_T_PAGE, head)), DAXFS_RETIRED);
	assert_int_equal(use_of(rig_state(s.pool, DAXFS_T_PAGE, head)), DAXFS_USE_EXTENT);
	rig_exit(s.pod.fs[0], lane);
	expect(&s);
	fixture_stop(&s);
}

/* An extent word that makes no sense is an error for whoever meets it, and found by the check. */
static void senseless(void **state)
{
	struct fixture s;
	struct map_pos pos;
	struct lane *lane;
	uint64_t was, total, byte = 0;
	struct daxfs_attr inside = { .size = GROUP + 3 * PAGE + 5 };

	(void)state;
	fixture_start(&s);
	put(&s, 0, GROUP, 2 * GROUP);
	total = s.pool->objects[DAXFS_T_PAGE];
	lane = rig_enter(s.pod.fs[1]);
	assert_int_equal(map_find(lane, s.sm, 16, &pos), 0);
	rig_exit(s.pod.fs[1], lane);
	was = sm_load(pos.slot);
	for (unsigned i = 0; i < 3; i++) {
		const uint64_t bad[] = { total - total % 16 + 16, link_index(was) + 1, UINT32_MAX };

		sm_store(pos.slot, link_payload(DAXFS_EXTENT, bad[i]));
		assert_int_equal(daxfs_read(s.pod.fs[0], s.ino, &byte, 1, GROUP + 5 * PAGE), -EIO);
		assert_int_equal(daxfs_read(s.pod.fs[0], s.ino, &byte, 1, GROUP), -EIO);
		assert_int_equal(daxfs_write(s.pod.fs[0], s.ino, &byte, 1, GROUP + 5 * PAGE, 0), -EIO);
		assert_int_equal(daxfs_write(s.pod.fs[0], s.ino, s.is, GROUP, GROUP, 0), -EIO);
	}
	sm_store(pos.slot, was);
	sm_store(pos.slot + 3, was); /* an extent where none can be */
	assert_int_equal(daxfs_read(s.pod.fs[0], s.ino, &byte, 1, GROUP + 3 * PAGE), -EIO);
	sm_store(pos.slot + 3, link_payload(DAXFS_DATA, link_index(was) + 3)); /* a page beside it */
	assert_int_equal(daxfs_setattr(s.pod.fs[0], s.ino, DAXFS_SET_SIZE, &inside, NULL), -EIO);
	sm_store(pos.slot + 3, 0);
	expect(&s);
	fixture_stop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(made),
		cmocka_unit_test(broken_up),
		cmocka_unit_test(kept),
		cmocka_unit_test(kept_by_two),
		cmocka_unit_test(kept_and_seen),
		cmocka_unit_test(cut_off),
		cmocka_unit_test(dissolved),
		cmocka_unit_test(dissolved_at_once),
		cmocka_unit_test(at_random),
		cmocka_unit_test(drafted),
		cmocka_unit_test(undone_then_overtaken),
		cmocka_unit_test(senseless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
