/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_repair.c - repair of a pool that nobody uses (inspect/repair_run.c): any
 * damage of metadata is repaired, and what then reads otherwise was spoken of; it is
 * refused while anybody might use the pool, and nobody joins before it has ended.
 * Each kind of damage by itself: the tests of the check, which all repair as well.
 */
#include <errno.h>

#include "repair_fixture.h"

static uint64_t next(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return *seed >> 33;
}

/* -- any damage ------------------------------------------------------------------ */

#define POOLS 100u /* or as many as the environment says, from the seed that it gives */

/* A byte of metadata: mostly of what is in use. */
static uint64_t target(const struct fixture *s, uint64_t *seed)
{
	unsigned id = (unsigned)(next(seed) % DAXFS_REGIONS);
	const struct sm_region *r = &s->pool->super.region[id];
	uint64_t at = next(seed) % (r->elem_size * r->count), page;

	if (id != DAXFS_R_PAGES)
		return r->offset + DAXFS_PAGE_SIZE + (next(seed) % 3 ? at % 4096 : at);
	do {
		page = next(seed) % s->pool->objects[DAXFS_T_PAGE];
	} while (use_of(sm_load(&s->pool->state[DAXFS_T_PAGE][page])) != DAXFS_USE_NODE);
	return r->offset + DAXFS_PAGE_SIZE + page * DAXFS_PAGE_SIZE + at % DAXFS_PAGE_SIZE;
}

static char flips[1000]; /* for people */

static const char *place_of(const struct fixture *s, uint64_t at, unsigned bit)
{
	static char text[64];

	for (unsigned id = DAXFS_REGIONS; id-- > 0;) {
		const struct sm_region *r = &s->pool->super.region[id];
		uint64_t in = at - r->offset - DAXFS_PAGE_SIZE;

		if (at < r->offset)
			continue;
		snprintf(text, sizeof(text), "region %u [%llu] + %#llx bit %u;", id,
			 (unsigned long long)(in / r->elem_size), (unsigned long long)(in % r->elem_size), bit);
		break;
	}
	return text;
}

static void damage(struct fixture *s, uint64_t *seed)
{
	unsigned n = 1 + (unsigned)(next(seed) % 8);

	fixture_restore(s);
	flips[0] = '\0';
	while (n--) {
		uint64_t at = target(s, seed);
		unsigned bit = (unsigned)(next(seed) % 8);

		((uint8_t *)s->pod.base)[at] ^= (uint8_t)(1u << bit);
		snprintf(flips + strlen(flips), sizeof(flips) - strlen(flips), " %s", place_of(s, at, bit));
	}
	fixture_end_tenants(s);
}

static unsigned must(int rc, int want, const char *what)
{
	if (rc != want)
		print_message("  %s: %d\n", what, rc);
	return rc != want;
}

/* It can be worked with: names are made and removed in every directory, and it leaves no trace. */
static unsigned use_it(struct fixture *s, struct picture *now)
{
	const struct daxfs_cred root = { 0, 0 };
	struct daxfs *fs = s->pod.fs[0];
	struct daxfs_attr attr;
	struct daxfs_error err;
	unsigned wrong = 0;

	if (daxfs_join(fs, 0, "uses", &err)) {
		print_message("  %s\n", err.text);
		return 1;
	}
	picture_take(fs, now);
	wrong += must(daxfs_mknod(fs, DAXFS_ROOT, "a new name", S_IFREG | 0644, 0, root, false, &attr), 0, "mknod");
	wrong += must((int)daxfs_write(fs, attr.ino, "xyz", 3, 5000, 0), 3, "write");
	wrong += must(daxfs_unlink(fs, DAXFS_ROOT, "a new name"), 0, "unlink");
	wrong += must(daxfs_leave(fs), 0, "leave");
	return wrong;
}

static unsigned try_one(struct fixture *s, void *image, uint64_t seed)
{
	struct picture *seen = calloc(2, sizeof(*seen));
	struct repaired r;
	unsigned wrong = 0;

	damage(s, &seed);
	memcpy(image, s->pod.base, SCENE_BYTES);
	fixture_picture_damaged(s, image, &seen[0]);
	wrong += repair_scene(&s->pod, false, &r) != 0 || r.result.left || fixture_check(s);
	if (!wrong && !fixture_recover_all(s))
		wrong += 2;
	if (!wrong)
		wrong += use_it(s, &seen[1]) + (seen[0].n ? picture_unsaid(s->before, &seen[0], &seen[1], &r) : 0);
	if (!wrong)
		wrong += fixture_check(s) != 0;
	for (unsigned i = 0; wrong && i < s->lines; i++)
		print_message("  left: %s\n", s->line[i]);
	for (unsigned i = 0; wrong && i < r.lines; i++)
		print_message("  %s\n", r.line[i]);
	repaired_free(&r);
	free(seen);
	return wrong;
}

static void any_damage(void **unused)
{
	struct fixture *s = calloc(1, sizeof(*s));
	const char *given = getenv("DAXFS_SEED"), *many = getenv("POOLS");
	uint64_t seed = given ? strtoull(given, NULL, 0) : 1, pools = many ? strtoull(many, NULL, 0) : POOLS;
	void *image = malloc(SCENE_BYTES);
	unsigned wrong = 0;

	(void)unused;
	fixture_start(s);
	for (uint64_t i = 0; i < pools && !wrong; i++, seed++) {
		wrong = try_one(s, image, seed);
		if (wrong)
			print_message("DAXFS_SEED=%llu:%s\n", (unsigned long long)seed, flips);
	}
	fixture_stop(s);
	free(image);
	free(s);
	assert_int_equal(wrong, 0);
}

/* -- nobody else -------------------------------------------------------------------- */

static void refused_while_in_use(void **unused)
{
	struct fixture *s = calloc(1, sizeof(*s));
	struct daxfs_repaired out;
	struct daxfs_error err;
	void *image = malloc(SCENE_BYTES);

	(void)unused;
	fixture_start(s);
	for (unsigned state = DAXFS_HOST_JOINING; state < DAXFS_HOST_RECOVERED; state++) {
		fixture_restore(s);
		fixture_host(s, 1, (enum daxfs_host_state)state);
		memcpy(image, s->pod.base, SCENE_BYTES);
		assert_int_equal(daxfs_repair(s->pod.fs[0], false, NULL, NULL, &out, &err), -EBUSY);
		assert_non_null(strstr(err.text, "host 1"));
		assert_memory_equal(image, s->pod.base, SCENE_BYTES);
		assert_int_equal(daxfs_repair(s->pod.fs[0], true, NULL, NULL, &out, &err), 0); /* looks */
	}
	fixture_restore(s);
	assert_int_equal(daxfs_join(s->pod.fs[0], 0, "x", &err), 0);
	assert_int_equal(daxfs_repair(s->pod.fs[0], false, NULL, NULL, &out, &err), -EBUSY);
	assert_int_equal(daxfs_leave(s->pod.fs[0]), 0);
	fixture_stop(s);
	free(image);
	free(s);
}

/* The repair was interrupted: nobody joins, and the next one ends it. */
static void nobody_joins_before_it_ends(void **unused)
{
	struct fixture *s = calloc(1, sizeof(*s));
	struct daxfs_repaired out;
	struct host_word w;
	struct daxfs_error err;

	(void)unused;
	fixture_start(s);
	sm_store(&s->pool->member->manager.repair, 1);
	assert_int_equal(daxfs_join(s->pod.fs[0], 0, "x", &err), -EUCLEAN);
	assert_non_null(strstr(err.text, "repair"));
	assert_int_equal(host_word_unpack(sm_load(&s->pool->member->host[0].word), &w), 0);
	assert_int_equal(w.state, DAXFS_HOST_FREE);
	assert_int_equal(daxfs_repair(s->pod.fs[0], false, NULL, NULL, &out, &err), 0);
	assert_int_equal(out.left, 0);
	assert_int_equal(daxfs_join(s->pod.fs[0], 0, "x", &err), 0);
	assert_int_equal(daxfs_leave(s->pod.fs[0]), 0);
	fixture_stop(s);
	free(s);
}

/* A lane whose status makes no sense gets numbers that no object has known from it. */
static void numbers_are_not_used_again(void **unused)
{
	struct fixture *s = calloc(1, sizeof(*s));
	struct repaired r;
	uint64_t last = 0;
	unsigned lane;

	(void)unused;
	fixture_start(s);
	lane = txid_lane(txid_of(sm_load(fixture_state(s, DAXFS_T_INODE, s->small)))); /* one that made something */
	for (unsigned type = 0; type < DAXFS_TYPES; type++)
		for (uint64_t i = 0; i < s->pool->objects[type]; i++) {
			uint64_t w = sm_load(&s->pool->state[type][i]);

			if (state_of(w) == DAXFS_LIVE && txid_lane(txid_of(w)) == lane && txid_seq(txid_of(w)) > last)
				last = txid_seq(txid_of(w));
		}
	assert_true(last > 0);
	for (int way = 0; way < 2; way++) {
		fixture_restore(s);
		sm_store(&s->pool->lanes[lane].status, way ? 1ull << 63 : 77); /* a number too large; no status */
		assert_int_equal(repair_scene(&s->pod, false, &r), 0);
		assert_int_equal(r.result.left, 0);
		assert_true(status_seq(sm_load(&s->pool->lanes[lane].status)) > last);
		assert_true(status_seq(sm_load(&s->pool->lanes[lane].status)) < last + 1000);
		repaired_free(&r);
	}
	fixture_stop(s);
	free(s);
}

/* A sound pool stays as it is, to the last byte but for nothing. */
static void nothing_to_repair(void **unused)
{
	struct fixture *s = calloc(1, sizeof(*s));
	struct repaired r;

	(void)unused;
	fixture_start(s);
	assert_int_equal(repair_scene(&s->pod, false, &r), 0);
	assert_int_equal(r.lines, 0);
	assert_int_equal(r.result.repairs, 0);
	assert_memory_equal(s->pristine, s->pod.base, SCENE_BYTES);
	repaired_free(&r);
	fixture_stop(s);
	free(s);
}

/* -- one file, in use ----------------------------------------------------------------- */

/* Removed, and damaged so that nobody can finish it, while another host works. */
static void one_file_in_use(void **unused)
{
	const struct daxfs_cred root = { 0, 0 };
	struct fixture *s = calloc(1, sizeof(*s));
	struct picture *before = calloc(2, sizeof(*before));
	struct repaired said = { .line = calloc(REPAIR_LINES, sizeof(said.line[0])) };
	struct daxfs *fs, *other;
	struct daxfs_attr attr;
	struct daxfs_error err;
	struct daxfs_recovery report;
	struct sm_inode *sm;
	daxfs_ino big;
	uint64_t node;

	(void)unused;
	fixture_start(s);
	fs = s->pod.fs[0];
	other = s->pod.fs[1];
	assert_int_equal(daxfs_join(fs, 0, "repairs", &err), 0);
	assert_int_equal(daxfs_join(other, 1, "works", &err), 0);
	sm = fixture_inode(s, s->big);
	node = link_index(sm_load(&sm->indirect[0]));
	fixture_set(&sm->direct[3], DAXFS_W_LINK, link_payload(DAXFS_INODE, 7));
	fixture_set(&sm->direct[4], DAXFS_W_LINK,
		    link_payload(DAXFS_DATA, fixture_direct(s, s->small, 0))); /* another's */
	fixture_set(&map_node(s->pool, node)->slot[5], DAXFS_W_LINK, link_payload(DAXFS_DATA, 0xfffffff0u));
	sm_store(&map_node(s->pool, node)->slot[6], mark_make(1, 3, 77));
	assert_int_equal(daxfs_repair_item(fs, s->big, NULL, NULL, &err), -EBUSY); /* it has a name */
	big = handle_make(sm_load(&sm->i_generation), s->big);
	assert_int_equal(daxfs_file_open(other, big), 0);
	assert_int_equal(daxfs_unlink(fs, DAXFS_ROOT, "big"), 0);
	assert_int_equal(daxfs_repair_item(fs, s->big, NULL, NULL, &err), -EBUSY); /* it is open */
	daxfs_file_close(other, big);                                              /* it cannot be finished */
	assert_int_equal(daxfs_lookup(fs, DAXFS_ROOT, "big", &attr), -ENOENT);
	picture_take(other, &before[0]);
	assert_int_equal(daxfs_repair_item(fs, s->big, NULL, NULL, &err), 0);
	picture_take(other, &before[1]);
	assert_int_equal(before[0].n, before[1].n);
	assert_int_equal(picture_unsaid(&before[0], &before[0], &before[1], &said), 0); /* small has its page */
	assert_int_equal(state_of(sm_load(fixture_state(s, DAXFS_T_INODE, s->big))), DAXFS_RETIRED);
	assert_int_equal(daxfs_repair_item(fs, s->big, NULL, NULL, &err), -EBUSY); /* gone */
	assert_int_equal(daxfs_repair_item(fs, s->small, NULL, NULL, &err), -EBUSY);
	assert_int_equal(daxfs_repair_item(fs, DAXFS_ROOT_INO, NULL, NULL, &err), -EBUSY);
	assert_int_equal(daxfs_repair_item(fs, 1ull << 40, NULL, NULL, &err), -EBUSY);
	/* Held by a host: not now. */
	assert_int_equal(daxfs_mknod(other, DAXFS_ROOT, "held", S_IFREG | 0644, 0, root, true, &attr), 0);
	assert_int_equal(daxfs_unlink(other, DAXFS_ROOT, "held"), 0);
	assert_int_equal(daxfs_repair_item(fs, handle_index(attr.ino), NULL, NULL, &err), -EBUSY);
	assert_non_null(strstr(err.text, "open"));
	assert_int_equal(daxfs_file_close(other, attr.ino), 0);
	if (daxfs_leave(other)) { /* it still lists the file: recovery does not stumble over it any more */
		fixture_host(s, 1, DAXFS_HOST_FENCED);
		assert_int_equal(daxfs_recover(fs, 1, &report), 0);
	}
	assert_int_equal(daxfs_leave(fs), 0);
	assert_int_equal(fixture_check(s), 0); /* nothing was below what was cut */
	fixture_stop(s);
	free(said.line);
	free(before);
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_to_repair),    cmocka_unit_test(numbers_are_not_used_again),
		cmocka_unit_test(any_damage),           cmocka_unit_test(one_file_in_use),
		cmocka_unit_test(refused_while_in_use), cmocka_unit_test(nobody_joins_before_it_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
