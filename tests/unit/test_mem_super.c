/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_mem_super.c - each rule of a valid superblock and region header, broken.
 */
#include <errno.h>

#include "test_mem_util.h"

static struct sm_super good;

static int setup(void **state)
{
	void *base = util_pool();

	(void)state;
	super_load(base, 0, &good);
	free(base);
	return 0;
}

static unsigned broken_rule(const struct sm_super *s, uint64_t region_size)
{
	const struct super_flaw *flaw = super_invalid(s, region_size);

	if (flaw)
		assert_true(flaw->error < 0 && flaw->reason[0]);
	return flaw ? flaw->rule : 0;
}

static void test_good(void **state)
{
	(void)state;
	assert_int_equal(broken_rule(&good, UTIL_POOL_BYTES), 0);
	assert_int_equal(broken_rule(&good, UINT64_MAX), 0);
}

/* Rules 1 and 2: any single bit. */
static void test_each_bit(void **state)
{
	struct sm_super s = good;
	uint8_t *bytes = (uint8_t *)&s;

	(void)state;
	for (unsigned bit = 0; bit < sizeof(s) * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(broken_rule(&s, UTIL_POOL_BYTES), bit < 64 ? 1 : 2);
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

/* of one field, under a right checksum */
struct change {
	const char *what;
	size_t offset, size;
	uint64_t value;
	unsigned rule; /* it breaks; 0: none */
};

#define FIELD(field) #field, offsetof(struct sm_super, field), sizeof(((struct sm_super *)0)->field)
#define LAST_NAME_BYTE "name[31]", offsetof(struct sm_super, name) + 31, 1

static const struct change changes[] = {
	{ FIELD(version), 0, 3 },
	{ FIELD(version), 1, 3 },
	{ FIELD(compat), UINT64_MAX, 0 },
	{ FIELD(ro_compat), UINT64_MAX, 0 },
	{ FIELD(incompat), DAXFS_INCOMPAT_CACHE, 0 },
	{ FIELD(incompat), 0, 0 },
	{ FIELD(incompat), DAXFS_INCOMPAT_LINKS, 0 },
	{ FIELD(incompat), 4, 4 },
	{ FIELD(incompat), 1ull << 63, 4 },
	{ FIELD(size), UTIL_POOL_BYTES + 1, 5 },
	{ FIELD(size), UINT64_MAX, 5 },
	{ FIELD(size), UTIL_POOL_BYTES - 4096 * 5, 6 }, /* the pages no longer fit */
	{ FIELD(size), 0, 6 },
	{ FIELD(n_regions), 0, 6 },
	{ FIELD(n_regions), DAXFS_REGIONS - 1, 6 },
	{ FIELD(n_regions), DAXFS_REGIONS + 1, 6 }, /* an entry of zeros */
	{ FIELD(n_regions), DAXFS_REGIONS_MAX + 1, 6 },
	{ FIELD(n_regions), UINT32_MAX, 6 },
	{ FIELD(region[0].offset), 0, 6 },
	{ FIELD(region[0].offset), 4096, 6 },
	{ FIELD(region[0].offset), 8193, 6 },
	{ FIELD(region[0].offset), 1ull << 40, 6 },
	{ FIELD(region[1].offset), 8192, 6 }, /* on top of region 0 */
	{ FIELD(region[13].offset), UINT64_MAX - 4095, 6 },
	{ FIELD(region[13].offset), UTIL_POOL_BYTES, 6 },
	{ FIELD(region[0].elem_size), 8, 6 },
	{ FIELD(region[3].elem_size), 0, 6 },
	{ FIELD(region[10].elem_size), UINT64_MAX, 6 },
	{ FIELD(region[13].count), 1ull << 32, 6 },
	{ FIELD(region[13].count), UINT64_MAX, 6 },
	{ FIELD(region[13].count), UINT64_MAX / 4096 + 2, 6 }, /* product overflows to a small number */
	{ FIELD(region[0].count), 0, 7 },
	{ FIELD(region[1].count), 3, 7 },
	{ FIELD(region[2].count), 1, 7 },
	{ FIELD(region[4].count), 31, 7 },
	{ FIELD(region[8].count), 1, 7 },
	{ FIELD(region[9].count), 1, 7 },
	{ FIELD(region[12].count), 0, 7 },
	{ FIELD(region[13].count), 1, 7 }, /* its state table has more */
	{ FIELD(hosts), 0, 7 },
	{ FIELD(hosts), 3, 7 },
	{ FIELD(hosts), 65, 7 },
	{ FIELD(hosts), UINT32_MAX, 7 },
	{ FIELD(lanes_per_host), 0, 7 },
	{ FIELD(lanes_per_host), 0x80000001, 7 }, /* times 2 overflows 32 bits to 2 */
	{ FIELD(opens_per_host), 0, 7 },
	{ FIELD(opens_per_host), UINT32_MAX, 7 },
	{ FIELD(heartbeat_ms), 0, 7 },
	{ FIELD(heartbeat_ms), 10001, 7 },
	{ FIELD(heartbeat_ms), 10000, 0 },
	{ FIELD(domain), 1, 0 },
	{ FIELD(domain), 2, 7 },
	{ LAST_NAME_BYTE, 'x', 7 },
};

static void test_each_rule(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		const struct change *c = &changes[i];
		struct sm_super s = good;
		unsigned rule;

		memcpy((uint8_t *)&s + c->offset, &c->value, c->size);
		util_seal(&s);
		rule = broken_rule(&s, UTIL_POOL_BYTES);
		if (rule != c->rule)
			fail_msg("%s = %llu: rule %u, not %u", c->what, (unsigned long long)c->value, rule, c->rule);
	}
}

/* A later feature may add a region that this program need not know: within the pool, and in order. */
static void test_unknown_region(void **state)
{
	struct sm_super s = good;
	struct sm_region *extra = &s.region[DAXFS_REGIONS];

	(void)state;
	s.n_regions = DAXFS_REGIONS + 1;
	*extra = (struct sm_region){ .offset = s.size - DAXFS_PAGE_SIZE, .elem_size = 8, .count = 0 };
	s.region[DAXFS_R_PAGES].count--;
	s.region[DAXFS_R_STATE0].count--;
	s.region[DAXFS_R_BIRTH0].count--;
	s.region[DAXFS_R_COUNT].count--;
	s.region[DAXFS_R_SUMMARY].offset -= DAXFS_PAGE_SIZE;
	s.region[DAXFS_R_EVENTS].offset -= DAXFS_PAGE_SIZE;
	s.region[DAXFS_R_HEAT].offset -= DAXFS_PAGE_SIZE;
	s.region[DAXFS_R_HEAT].count--;
	s.region[DAXFS_R_ASKS].offset -= DAXFS_PAGE_SIZE;
	util_seal(&s);
	assert_int_equal(broken_rule(&s, UTIL_POOL_BYTES), 0);
	extra->count = 1;
	util_seal(&s);
	assert_int_equal(broken_rule(&s, UTIL_POOL_BYTES), 6); /* past the end */
	extra->count = DAXFS_OBJECTS_MAX;
	extra->elem_size = 1ull << 32;
	util_seal(&s);
	assert_int_equal(broken_rule(&s, UTIL_POOL_BYTES), 6); /* the product overflows */
}

/* Earlier rules win: a foreign version is reported as one, whatever else it changed. */
static void test_order_of_rules(void **state)
{
	struct sm_super s = good;

	(void)state;
	s.hosts = 0;
	util_seal(&s);
	assert_int_equal(broken_rule(&s, UTIL_POOL_BYTES), 7);
	s.region[5].offset = 1;
	util_seal(&s);
	assert_int_equal(broken_rule(&s, UTIL_POOL_BYTES), 6);
	assert_int_equal(broken_rule(&s, UTIL_POOL_BYTES - 1), 5);
	s.incompat = 4;
	util_seal(&s);
	assert_int_equal(broken_rule(&s, UTIL_POOL_BYTES - 1), 4);
	s.version = 9;
	util_seal(&s);
	assert_int_equal(broken_rule(&s, UTIL_POOL_BYTES - 1), 3);
	s.version = 10;
	assert_int_equal(broken_rule(&s, UTIL_POOL_BYTES - 1), 2);
	s.magic++;
	assert_int_equal(broken_rule(&s, UTIL_POOL_BYTES - 1), 1);
}

/* No tables but empty ones: consistent with each other, yet no filesystem. */
static void test_no_objects(void **state)
{
	static const unsigned tables[DAXFS_TYPES][4] = {
		{ DAXFS_R_STATE0, DAXFS_R_BIRTH0, DAXFS_R_COUNT, DAXFS_R_PAGES },
		{ DAXFS_R_STATE1, DAXFS_R_BIRTH1, DAXFS_R_INODES, DAXFS_R_INODES },
		{ DAXFS_R_STATE2, DAXFS_R_BIRTH2, DAXFS_R_DIRENTS, DAXFS_R_DIRENTS },
	};

	(void)state;
	for (unsigned type = 0; type < DAXFS_TYPES; type++) {
		struct sm_super s = good;

		for (unsigned i = 0; i < 4; i++)
			s.region[tables[type][i]].count = type == DAXFS_T_INODE;
		util_seal(&s);
		assert_int_equal(broken_rule(&s, UTIL_POOL_BYTES), 7);
	}
}

static void test_no_opens(void **state)
{
	struct sm_super s = good;

	(void)state;
	s.opens_per_host = 0;
	s.region[DAXFS_R_OPEN_TABLE].count = 0;
	util_seal(&s);
	assert_int_equal(broken_rule(&s, UTIL_POOL_BYTES), 7);
}

/* A pool that was made before there were events is as good; one that says it has them has them. */
static void test_without_events(void **state)
{
	struct sm_super s = good;

	(void)state;
	s.n_regions = DAXFS_REGIONS_LEAST;
	util_seal(&s);
	assert_int_equal(broken_rule(&s, UTIL_POOL_BYTES), 6);
	s.compat &= ~DAXFS_COMPAT_EVENTS;
	util_seal(&s);
	assert_int_equal(broken_rule(&s, UTIL_POOL_BYTES), 6); /* the same of heat */
	s.compat &= ~DAXFS_COMPAT_HEAT;
	util_seal(&s);
	assert_int_equal(broken_rule(&s, UTIL_POOL_BYTES), 6); /* and of asks */
	s.compat &= ~DAXFS_COMPAT_ASKS;
	util_seal(&s);
	assert_int_equal(broken_rule(&s, UTIL_POOL_BYTES), 0);
	s.n_regions--;
	util_seal(&s);
	assert_int_equal(broken_rule(&s, UTIL_POOL_BYTES), 6);
}

/* The last byte of the last region is the last a pool may have. */
static void test_exact_end(void **state)
{
	struct sm_super s = good;

	(void)state;
	s.size = region_end(&s.region[DAXFS_REGIONS - 1]);
	util_seal(&s);
	assert_int_equal(broken_rule(&s, s.size), 0);
	s.size--;
	util_seal(&s);
	assert_int_equal(broken_rule(&s, s.size), 6);
}

/* -- two copies ------------------------------------------------------------------ */

static void test_either_copy_serves(void **state)
{
	struct daxfs_error err = { .text = "" };
	struct sm_super out;

	(void)state;
	for (unsigned copy = 0; copy < 2; copy++) {
		uint8_t *base = util_pool();

		for (unsigned at = 0; at < sizeof(struct sm_super); at += 13) {
			base[copy * DAXFS_PAGE_SIZE + at] ^= 0x10;
			memset(&out, 0, sizeof(out));
			assert_int_equal(super_read(base, UTIL_POOL_BYTES, &out, &err), 0);
			assert_memory_equal(&out, util_super(base, !copy), sizeof(out));
			assert_true(super_present(base));
		}
		free(base);
	}
}

static void read_both(void (*edit)(struct sm_super *s), int error, const char *words)
{
	struct sm_super out = { .hosts = 77 };
	struct daxfs_error err = { .text = "" };
	void *base = util_pool();

	for (unsigned copy = 0; copy < 2; copy++) {
		edit(util_super(base, copy));
		util_seal(util_super(base, copy));
	}
	util_refused(super_read(base, UTIL_POOL_BYTES, &out, &err), error, &err, words);
	assert_int_equal(out.hosts, 77); /* out-parameters only on success */
	free(base);
}

static void no_magic(struct sm_super *s)
{
	s->magic = 0;
}

static void other_version(struct sm_super *s)
{
	s->version = 12;
}

static void other_feature(struct sm_super *s)
{
	s->incompat = 0x20;
}

static void too_large(struct sm_super *s)
{
	s->size *= 2;
}

static void misplaced(struct sm_super *s)
{
	s->region[2].offset += 8;
}

static void too_many(struct sm_super *s)
{
	s->hosts = 100;
}

static void test_words(void **state)
{
	(void)state;
	read_both(no_magic, -EINVAL, "not a daxfs pool: ");
	read_both(other_version, -EPROTONOSUPPORT, "format version 12, this program 4");
	read_both(other_feature, -EPROTONOSUPPORT, "features 0x20");
	read_both(too_large, -ENODATA, "pool has 4194304 bytes, its file or device only 2097152");
	read_both(misplaced, -EUCLEAN, "a region");
	read_both(too_many, -EUCLEAN, "limits");
}

/* The copy that keeps more rules explains: one flipped bit does not hide what the other says. */
static void test_better_copy_explains(void **state)
{
	struct daxfs_error err = { .text = "" };
	struct sm_super out;

	(void)state;
	for (unsigned copy = 0; copy < 2; copy++) {
		uint8_t *base = util_pool();

		util_super(base, copy)->version = DAXFS_VERSION + 1;
		util_seal(util_super(base, copy));
		util_super(base, !copy)->uuid[3] ^= 1;
		util_refused(super_read(base, UTIL_POOL_BYTES, &out, &err), -EPROTONOSUPPORT, &err, "format version 5");
		util_super(base, copy)->name[0] ^= 1;
		util_refused(super_read(base, UTIL_POOL_BYTES, &out, &err), -EUCLEAN, &err, "both superblocks");
		assert_true(super_present(base));
		util_super(base, copy)->magic = 0;
		assert_true(super_present(base));
		util_super(base, !copy)->magic = 0;
		assert_false(super_present(base));
		free(base);
	}
}

/* -- region headers ---------------------------------------------------------------- */

static void test_headers(void **state)
{
	(void)state;
	for (unsigned id = 0; id < DAXFS_REGIONS; id++) {
		struct sm_region_hdr hdr;
		struct sm_super other = good;

		region_hdr_make(&good, id, &hdr);
		assert_null(region_hdr_invalid(&good, id, &hdr));
		assert_string_equal(region_hdr_invalid(&good, (id + 1) % DAXFS_REGIONS, &hdr), "no magic number");
		other.uuid[15] ^= 1;
		assert_string_equal(region_hdr_invalid(&other, id, &hdr), "part of another pool");
		other = good;
		other.region[id].count++;
		assert_string_equal(region_hdr_invalid(&other, id, &hdr), "another size than the superblock says");
		hdr.version++;
		assert_string_equal(region_hdr_invalid(&good, id, &hdr), "wrong checksum");
		hdr.crc = 0;
		hdr.crc = crc32c(0, &hdr, sizeof(hdr));
		assert_string_equal(region_hdr_invalid(&good, id, &hdr), "another format version");
	}
}

static void test_header_bits(void **state)
{
	struct sm_region_hdr hdr;
	uint8_t *bytes = (uint8_t *)&hdr;

	(void)state;
	region_hdr_make(&good, DAXFS_R_INODES, &hdr);
	for (unsigned bit = 0; bit < sizeof(hdr) * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_string_equal(region_hdr_invalid(&good, DAXFS_R_INODES, &hdr),
				    bit < 64 ? "no magic number" : "wrong checksum");
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

static void test_geometry(void **state)
{
	struct daxfs_geometry g;

	(void)state;
	super_geometry(&good, &g);
	assert_string_equal(g.name, "unit");
	assert_memory_equal(g.uuid, good.uuid, 16);
	assert_int_equal(g.size, UTIL_POOL_BYTES);
	assert_int_equal(g.version, DAXFS_VERSION);
	assert_int_equal(g.hosts, 2);
	assert_int_equal(g.lanes_per_host, 2);
	assert_int_equal(g.opens_per_host, 4096);
	assert_int_equal(g.heartbeat_ms, 50);
	assert_false(g.wb);
	assert_int_equal(g.pages, good.region[DAXFS_R_PAGES].count);
	assert_int_equal(g.inodes, 32);
	assert_int_equal(g.dirents, 32 + 8 + 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),           cmocka_unit_test(test_each_bit),
		cmocka_unit_test(test_each_rule),      cmocka_unit_test(test_unknown_region),
		cmocka_unit_test(test_without_events), cmocka_unit_test(test_order_of_rules),
		cmocka_unit_test(test_no_objects),     cmocka_unit_test(test_no_opens),
		cmocka_unit_test(test_exact_end),      cmocka_unit_test(test_either_copy_serves),
		cmocka_unit_test(test_words),          cmocka_unit_test(test_better_copy_explains),
		cmocka_unit_test(test_headers),        cmocka_unit_test(test_header_bits),
		cmocka_unit_test(test_geometry),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
