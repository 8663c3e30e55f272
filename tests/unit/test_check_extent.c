/* SPDX-License-Identifier: Apache-2.0 */
/* test_check_extent.c - the check on sixteen pages as one object, at rest and in flight: see test_check.c. */
#include "check_fixture.h"
#include "index/filemap.h"
#include "rig.h"

#define GROUP DAXFS_EXTENT_PAGES

/* -- at rest ---------------------------------------------------------------------- */

/* The word of page p of the wide file, and the node that it is in. */
static sm_u64 *word_of(struct fixture *s, unsigned p, uint64_t *node)
{
	*node = link_index(sm_load(&fixture_inode(s, s->wide)->indirect[0]));
	return &map_node(s->pool, *node)->slot[p];
}

static uint64_t extent_at(struct fixture *s, unsigned p)
{
	uint64_t node, w = sm_load(word_of(s, p, &node));

	assert_int_equal(link_kind(w), DAXFS_EXTENT);
	return link_index(w);
}

/* The one that was replaced. */
static uint64_t at_rest(struct fixture *s)
{
	for (uint64_t i = 0; i < s->pool->objects[DAXFS_T_PAGE]; i++) {
		uint64_t state = sm_load(fixture_state(s, DAXFS_T_PAGE, i));

		if (state_of(state) == DAXFS_RETIRED && use_of(state) == DAXFS_USE_EXTENT)
			return i;
	}
	fail_msg("no extent at rest");
	return 0;
}

/* Put a word in place of that of page p: the damage is said of that. */
static void put_word(struct fixture *s, unsigned p, enum daxfs_link_kind kind, uint64_t index, const char *code)
{
	uint64_t node;

	fixture_set(word_of(s, p, &node), DAXFS_W_LINK, link_payload(kind, index));
	fixture_want(s, "%s: page %llu slot[%u]", code, (unsigned long long)node, p);
}

static void put_state(struct fixture *s, uint64_t page, enum daxfs_state state, enum daxfs_use use)
{
	sm_store(fixture_state(s, DAXFS_T_PAGE, page), state == DAXFS_FREE ? 0 : state_make(state, use, 1));
	sm_store(&s->pool->birth[DAXFS_T_PAGE][page], 1);
}

/* A state of the first extent, which its word names. */
static void put_linked(struct fixture *s, unsigned nth, enum daxfs_state state, enum daxfs_use use, const char *code)
{
	uint64_t node;

	put_state(s, extent_at(s, GROUP) + nth, state, use);
	word_of(s, GROUP, &node);
	fixture_want(s, "%s: page %llu slot[%u]", code, (unsigned long long)node, GROUP);
}

static void begins_anywhere(struct fixture *s)
{
	put_word(s, GROUP, DAXFS_EXTENT, extent_at(s, GROUP) + 1, "bad-extent");
}

static void ends_past_the_pool(struct fixture *s)
{
	uint64_t pages = s->pool->objects[DAXFS_T_PAGE];

	assert_int_not_equal(pages % GROUP, 0);
	put_word(s, GROUP, DAXFS_EXTENT, pages - pages % GROUP, "bad-extent");
}

static void not_at_a_head(struct fixture *s)
{
	put_word(s, GROUP + 3, DAXFS_EXTENT, at_rest(s), "bad-extent");
}

static void among_the_first(struct fixture *s)
{
	fixture_set(&fixture_inode(s, s->wide)->direct[0], DAXFS_W_LINK, link_payload(DAXFS_EXTENT, at_rest(s)));
	fixture_want(s, "bad-extent: inode %llu direct[0]", (unsigned long long)s->wide);
}

static void file_ends_in_it(struct fixture *s)
{
	uint64_t node;

	fixture_set(&fixture_inode(s, s->wide)->size, DAXFS_W_SIZE, (2 * GROUP + 5) * DAXFS_PAGE_SIZE);
	word_of(s, 2 * GROUP, &node);
	fixture_want(s, "past-end: page %llu slot[%u]", (unsigned long long)node, 2 * GROUP);
}

static void file_ends_before_it(struct fixture *s)
{
	uint64_t node;

	fixture_set(&fixture_inode(s, s->wide)->size, DAXFS_W_SIZE, 2 * GROUP * DAXFS_PAGE_SIZE);
	word_of(s, 2 * GROUP, &node);
	fixture_want(s, "past-end: page %llu slot[%u]", (unsigned long long)node, 2 * GROUP);
}

static void word_beside_it(struct fixture *s)
{
	uint64_t page = fixture_find(s, DAXFS_T_PAGE, DAXFS_FREE), node;

	put_state(s, page, DAXFS_LIVE, DAXFS_USE_DATA);
	put_word(s, GROUP + 5, DAXFS_DATA, page, "");
	word_of(s, GROUP, &node);
	fixture_want(s, "double-use: page %llu slot[%u]", (unsigned long long)node, GROUP);
}

static void named_twice(struct fixture *s)
{
	put_word(s, 2 * GROUP, DAXFS_EXTENT, extent_at(s, GROUP), "double-use");
}

static void page_of_it_named(struct fixture *s)
{
	put_word(s, 3 * GROUP, DAXFS_DATA, extent_at(s, GROUP) + 9, "double-use");
}

static void page_free(struct fixture *s)
{
	put_linked(s, 5, DAXFS_FREE, DAXFS_USE_NONE, "free-in-use");
}

static void page_retired(struct fixture *s)
{
	put_linked(s, 15, DAXFS_RETIRED, DAXFS_USE_NONE, "retired-in-use");
}

static void page_private(struct fixture *s)
{
	put_linked(s, 1, DAXFS_PRIVATE, DAXFS_USE_TAIL, "private-in-use");
}

static void page_single(struct fixture *s)
{
	put_linked(s, 8, DAXFS_LIVE, DAXFS_USE_DATA, "bad-use");
}

static void page_kept_by_nobody(struct fixture *s)
{
	put_linked(s, 8, DAXFS_PRIVATE, DAXFS_USE_KEPT, "private-in-use");
}

static void page_kept_and_in_it(struct fixture *s)
{
	put_linked(s, 8, DAXFS_LIVE, DAXFS_USE_KEPT, "bad-use");
}

static void head_single(struct fixture *s)
{
	put_linked(s, 0, DAXFS_LIVE, DAXFS_USE_DATA, "bad-use");
}

static void head_a_tail(struct fixture *s)
{
	put_linked(s, 0, DAXFS_LIVE, DAXFS_USE_TAIL, "bad-use");
}

static void head_retired(struct fixture *s)
{
	put_linked(s, 0, DAXFS_RETIRED, DAXFS_USE_EXTENT, "retired-in-use");
}

static void nobody_names_it(struct fixture *s)
{
	uint64_t head = extent_at(s, GROUP);

	put_word(s, GROUP, DAXFS_ABSENT, 0, "");
	fixture_want(s, "leak: page %llu", (unsigned long long)head);
}

static void tail_at_a_heads_place(struct fixture *s)
{
	uint64_t head = at_rest(s);

	put_state(s, head, DAXFS_LIVE, DAXFS_USE_TAIL);
	fixture_want(s, "leak: page %llu", (unsigned long long)head);
}

static void unused_word_used(struct fixture *s)
{
	put_word(s, DAXFS_DIRECT - 1, DAXFS_DATA, fixture_find(s, DAXFS_T_PAGE, DAXFS_FREE), "out-of-place");
}

static void unused_node_used(struct fixture *s)
{
	uint64_t node = link_index(sm_load(&fixture_inode(s, s->big)->indirect[1]));

	fixture_set(&map_node(s->pool, node)->slot[0], DAXFS_W_LINK, link_payload(DAXFS_NODE, node));
	fixture_want(s, "out-of-place: page %llu slot[0]", (unsigned long long)node);
}

static void every_damage_is_found(void **state)
{
	static const struct damage damages[] = {
		DAMAGE(begins_anywhere, 0),  DAMAGE(ends_past_the_pool, 0),    DAMAGE(not_at_a_head, 0),
		DAMAGE(among_the_first, 1),  DAMAGE(file_ends_in_it, 0),       DAMAGE(file_ends_before_it, 0),
		DAMAGE(word_beside_it, 1),   DAMAGE(named_twice, 0),           DAMAGE(page_of_it_named, 0),
		DAMAGE(page_free, 0),        DAMAGE(page_retired, 0),          DAMAGE(page_private, 1),
		DAMAGE(page_single, 0),      DAMAGE(page_kept_by_nobody, 2),   DAMAGE(page_kept_and_in_it, 0),
		DAMAGE(head_single, 1),      DAMAGE(head_a_tail, 1),           DAMAGE(head_retired, 1),
		DAMAGE(nobody_names_it, 1),  DAMAGE(tail_at_a_heads_place, 1), DAMAGE(unused_word_used, 1),
		DAMAGE(unused_node_used, 1),
	};

	(void)state;
	fixture_damages(damages, sizeof(damages) / sizeof(damages[0]));
}

/* -- in flight ---------------------------------------------------------------------- */

/* of a group that becomes an extent, on host 1 */
struct flight {
	struct fixture s;
	struct lane *lane;
	struct space_batch batch;
	sm_u64 *word;
	uint64_t head;
};

static void clean(struct flight *f)
{
	if (fixture_check(&f->s))
		fail_msg("in flight, but: %s", f->s.line[0]);
}

/* Sixteen free pages are named. */
static void flight_start(struct flight *f)
{
	struct daxfs_error err;
	uint64_t node;
	uint32_t age;

	fixture_start(&f->s);
	if (daxfs_join(f->s.pod.fs[1], 1, "flyer", &err))
		fail_msg("%s", err.text);
	f->word = word_of(&f->s, GROUP, &node);
	f->lane = rig_enter(f->s.pod.fs[1]);
	record_begin(f->lane, OP_WRITE);
	space_begin(&f->batch, DAXFS_T_PAGE);
	assert_true(space_find_extent(f->lane, &f->batch, &f->head, &age));
	assert_int_equal(f->batch.n, GROUP);
}

/* They are taken, and about to replace the first extent of the file. */
static void flight_up(struct flight *f)
{
	uint64_t was = sm_load(f->word);

	assert_int_equal(space_claim(f->lane, &f->batch), 0);
	txn_word(&f->lane->txn, f->word, DAXFS_W_LINK, was, link_payload(DAXFS_EXTENT, f->head));
	record_retire(f->lane, DAXFS_T_PAGE, link_index(was));
	rig_undecided(f->lane);
	rig_status(f->lane, DAXFS_SINGLE);
}

static void flight_land(struct flight *f)
{
	struct record_tally tally = { 0 };

	record_recover(f->lane, f->lane->id, &tally);
	rig_exit(f->s.pod.fs[1], f->lane);
	clean(f);
	assert_int_equal(daxfs_leave(f->s.pod.fs[1]), 0);
	clean(f);
	fixture_stop(&f->s);
	free(f);
}

static void forming_is_clean(void **state)
{
	struct flight *f = calloc(1, sizeof(*f));

	(void)state;
	assert_non_null(f);
	flight_start(f);
	for (unsigned i = 0; i < GROUP; i++) { /* taken one by one */
		clean(f);
		f->batch.n = i + 1;
		assert_int_equal(space_claim(f->lane, &f->batch), 0);
	}
	flight_up(f);
	clean(f);
	assert_int_equal(f->s.check.usage.pages.private_, GROUP);
	sm_store(f->word, f->lane->txn.words[0].after);
	clean(f);
	flight_land(f);
}

/* Replaced before its pages are finalized: they say PRIVATE under a head at rest. */
static void overtaken_is_clean(void **state)
{
	struct flight *f = calloc(1, sizeof(*f));
	sm_u64 *used;

	(void)state;
	assert_non_null(f);
	flight_start(f);
	flight_up(f);
	sm_store(fixture_state(&f->s, DAXFS_T_PAGE, link_index(sm_load(f->word))),
		 state_make(DAXFS_RETIRED, DAXFS_USE_EXTENT, sm_load(&f->s.pool->member->manager.epoch)));
	put_word(&f->s, GROUP, DAXFS_ABSENT, 0, "");
	put_state(&f->s, f->head, DAXFS_RETIRED, DAXFS_USE_EXTENT);
	used = &f->s.pool->lanes[0].used[0]; /* whoever replaced it counted that */
	sm_store(used, ((sm_load(used) - GROUP) & ~(1ull << 63)) | (sm_load(used) & 1ull << 63));
	clean(f);
	flight_land(f);
}

static void count_tails(void *context, const char *line)
{
	*(unsigned *)context += strstr(line, "PRIVATE -> LIVE, as its extent says") != NULL;
}

/* Nobody is left who would finish it: each page that was taken is a leak, until it is recovered. */
static void left_in_flight(void **state)
{
	struct flight *f = calloc(1, sizeof(*f));
	unsigned tails = 0;

	(void)state;
	assert_non_null(f);
	flight_start(f);
	flight_up(f);
	fixture_host(&f->s, 1, DAXFS_HOST_FREE);
	fixture_check(&f->s);
	assert_true(fixture_said(&f->s, "private-leak: page "));
	fixture_host(&f->s, 1, DAXFS_HOST_ALIVE);
	clean(f);
	assert_int_equal(daxfs_recover_dry_run(f->s.pod.fs[0], 1, count_tails, &tails), 0);
	assert_int_equal(tails, GROUP - 1);
	flight_land(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_damage_is_found),
		cmocka_unit_test(forming_is_clean),
		cmocka_unit_test(overtaken_is_clean),
		cmocka_unit_test(left_in_flight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
