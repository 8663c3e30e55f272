/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_mem_format.c - an empty filesystem, word for word, over dirty memory;
 * and attaching to it.
 */
#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "test_mem_util.h"

static struct pool attached(void *base)
{
	struct daxfs_error err = { .text = "" };
	struct pool pool;

	if (pool_attach(base, UTIL_POOL_BYTES, &pool, &err))
		fail_msg("%s", err.text);
	return pool;
}

static void check_zero(const void *p, uint64_t len, const char *what)
{
	const uint8_t *bytes = p;

	for (uint64_t i = 0; i < len; i++)
		if (bytes[i])
			fail_msg("%s: byte %llu is 0x%02x", what, (unsigned long long)i, bytes[i]);
}

static void test_tables_are_empty(void **state)
{
	void *base = util_pool();
	struct pool pool = attached(base);
	unsigned used[DAXFS_TYPES] = { 1, 2, 0 };

	(void)state;
	for (unsigned t = 0; t < DAXFS_TYPES; t++) {
		check_zero(pool.state[t] + used[t], (pool.objects[t] - used[t]) * 8, "state");
		check_zero(pool.birth[t] + used[t], (pool.objects[t] - used[t]) * 8, "birth");
	}
	check_zero(pool.count, pool.objects[DAXFS_T_PAGE] * 8, "count");
	assert_int_equal(sm_load(&pool.lanes[0].used[0]), 1);
	assert_int_equal(sm_load(&pool.lanes[0].used[1]), 2ull << 32);
	sm_store(&pool.lanes[0].used[0], 0);
	sm_store(&pool.lanes[0].used[1], 0);
	check_zero(pool.lanes, pool.lanes_total * sizeof(struct sm_lane), "lanes");
	check_zero(pool.open_table, 2 * 4096 * 8, "opens");
	check_zero(pool.member->host, sizeof(pool.member->host), "hosts");
	check_zero(pool.inodes, sizeof(struct sm_inode), "inode 0");
	check_zero(pool.inodes + 2, (pool.objects[DAXFS_T_INODE] - 2) * sizeof(struct sm_inode), "inodes");
	check_zero(pool.dirents, pool.objects[DAXFS_T_DIRENT] * sizeof(struct sm_dirent), "dirents");
	check_zero(pool.pages, DAXFS_PAGE_SIZE, "node of the root");
	for (unsigned id = 0; id < DAXFS_REGIONS; id++)
		check_zero(pool_at(&pool, pool.super.region[id].offset + 64), DAXFS_PAGE_SIZE - 64, "header page");
	check_zero((uint8_t *)base + sizeof(struct sm_super), 4096 - sizeof(struct sm_super), "superblock page");
	free(base);
}

static void test_root(void **state)
{
	void *base = util_pool();
	struct pool pool = attached(base);
	struct sm_inode *root = &pool.inodes[1];
	struct timespec ts;
	uint64_t now;

	(void)state;
	clock_gettime(CLOCK_REALTIME, &ts); /* as mkfs does: time() is a tick behind, and may be in the second before */
	now = (uint64_t)ts.tv_sec;
	assert_int_equal(sm_load(&pool.state[DAXFS_T_PAGE][0]), 2ull << 61 | 2ull << 56);
	assert_int_equal(sm_load(&pool.birth[DAXFS_T_PAGE][0]), 1);
	assert_int_equal(sm_load(&pool.state[DAXFS_T_INODE][0]), 2ull << 61);
	assert_int_equal(sm_load(&pool.state[DAXFS_T_INODE][1]), 2ull << 61 | 3ull << 56);
	assert_int_equal(sm_load(&pool.birth[DAXFS_T_INODE][1]), 1);
	assert_int_equal(sm_load(&root->size), 0);
	assert_int_equal(sm_load(&root->nlink), 1ull << 32 | 1);
	assert_int_equal(sm_load(&root->mode), S_IFDIR | 0755);
	assert_int_equal(sm_load(&root->uid) | sm_load(&root->gid) | sm_load(&root->openers[0]), 0);
	assert_int_equal(sm_load(&root->parent), 4ull << 32 | 1);
	assert_int_equal(sm_load(&root->dir_root), 2ull << 32);
	assert_int_equal(sm_load(&root->i_generation), 0);
	check_zero(root->direct, sizeof(root->direct) + sizeof(root->indirect), "root's pages");
	assert_in_range(sm_load(&root->btime) / 1000000000, now - 60, now);
	assert_int_equal(sm_load(&root->atime), sm_load(&root->btime));
	assert_int_equal(sm_load(&root->mtime), sm_load(&root->btime));
	assert_int_equal(sm_load(&root->ctime), sm_load(&root->btime));
	assert_int_equal(sm_load(&pool.member->manager.epoch), 1);
	assert_int_equal(sm_load(&pool.member->manager.word) | sm_load(&pool.member->manager.tree), 0);
	free(base);
}

static void test_superblocks(void **state)
{
	uint8_t *base = util_pool();
	const struct sm_super *s = util_super(base, 0);

	(void)state;
	assert_memory_equal(base, base + DAXFS_PAGE_SIZE, sizeof(*s));
	assert_string_equal(s->name, "unit");
	assert_int_equal(s->uuid[6] >> 4, 4); /* RFC 4122: version 4, variant 10 */
	assert_int_equal(s->uuid[8] >> 6, 2);
	assert_int_equal(s->compat, DAXFS_COMPAT_EVENTS | DAXFS_COMPAT_HEAT | DAXFS_COMPAT_ASKS);
	assert_int_equal(s->ro_compat, 0);
	assert_int_equal(s->incompat, DAXFS_INCOMPAT_CACHE | DAXFS_INCOMPAT_LINKS);
	assert_int_equal(s->n_regions, DAXFS_REGIONS);
	assert_true(s->hash_key[0] && s->hash_key[1]);
	free(base);
}

/* Every pool has its own uuid and its own secret. */
static void test_unlike_any_other(void **state)
{
	uint8_t *a = util_pool(), *b = util_pool();

	(void)state;
	assert_memory_not_equal(util_super(a, 0)->uuid, util_super(b, 0)->uuid, 16);
	assert_int_not_equal(util_super(a, 0)->hash_key[0], util_super(b, 0)->hash_key[0]);
	assert_int_not_equal(util_super(a, 0)->hash_key[1], util_super(b, 0)->hash_key[1]);
	free(a);
	free(b);
}

static void test_wb(void **state)
{
	struct daxfs_mkfs_options options = util_options;
	void *base = util_memory(UTIL_POOL_BYTES);
	struct daxfs_error err;

	(void)state;
	options.wb = true;
	assert_int_equal(pool_format(base, UTIL_POOL_BYTES, &options, &err), 0);
	assert_true(attached(base).shm.wb);
	options.wb = false;
	assert_int_equal(pool_format(base, UTIL_POOL_BYTES, &options, &err), 0);
	assert_false(attached(base).shm.wb);
	free(base);
}

static void format_refused(void *base, uint64_t size, struct daxfs_mkfs_options o, int error, const char *words)
{
	uint8_t *before = util_memory(UTIL_POOL_BYTES);
	struct daxfs_error err = { .text = "" };

	memcpy(before, base, UTIL_POOL_BYTES);
	util_refused(pool_format(base, size, &o, &err), error, &err, words);
	assert_memory_equal(before, base, UTIL_POOL_BYTES);
	free(before);
}

/* What is refused has changed nothing: the pool that was there is still whole. */
static void test_refused(void **state)
{
	void *base = util_pool();

	(void)state;
	format_refused(base, 4096, util_options, -EINVAL, "too small");
	format_refused(base, UTIL_POOL_BYTES, (struct daxfs_mkfs_options){ .hosts = 65 }, -EINVAL, "65 hosts");
	format_refused(base, UTIL_POOL_BYTES, (struct daxfs_mkfs_options){ .name = "" }, -EINVAL, "name");
	format_refused(base, UTIL_POOL_BYTES, (struct daxfs_mkfs_options){ .name = "a b" }, -EINVAL, "name");
	format_refused(base, UTIL_POOL_BYTES, (struct daxfs_mkfs_options){ .name = "\033[2J" }, -EINVAL, "name");
	format_refused(base, UTIL_POOL_BYTES, (struct daxfs_mkfs_options){ .name = "12345678901234567890123456789012" },
		       -EINVAL, "32 bytes");
	attached(base);
	free(base);
}

/* -- death in the middle ------------------------------------------------------------- */

/* Format in a child that dies at its first store into the page at offset. */
static void format_and_die_at(uint8_t *base, uint64_t offset)
{
	struct daxfs_error err;
	int status;
	pid_t child = fork();

	if (child == 0) {
		signal(SIGSEGV, SIG_DFL);
		if (mprotect(base + offset, DAXFS_PAGE_SIZE, PROT_READ))
			_exit(1);
		_exit(pool_format(base, UTIL_POOL_BYTES, &util_options, &err) ? 2 : 3);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

/*
 * Over an existing pool: until its second superblock is erased it is still what
 * it was, and from then on until the first new superblock there is none.
 */
static void test_death_in_the_middle(void **state)
{
	uint8_t *base = mmap(NULL, UTIL_POOL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct daxfs_error err = { .text = "" };
	struct sm_super before;
	struct pool pool;

	(void)state;
	assert_ptr_not_equal(base, MAP_FAILED);
	assert_int_equal(pool_format(base, UTIL_POOL_BYTES, &util_options, &err), 0);
	before = *util_super(base, 0);
	for (unsigned copy = 0; copy < 2; copy++) {
		format_and_die_at(base, copy * DAXFS_PAGE_SIZE);
		pool = attached(base);
		assert_memory_equal(pool.super.uuid, before.uuid, 16);
	}
	for (unsigned id = 0; id < DAXFS_REGIONS; id++) {
		assert_int_equal(pool_format(base, UTIL_POOL_BYTES, &util_options, &err), 0);
		format_and_die_at(base, before.region[id].offset);
		util_refused(pool_attach(base, UTIL_POOL_BYTES, &pool, &err), -EINVAL, &err, "not a daxfs pool: ");
	}
	munmap(base, UTIL_POOL_BYTES);
}

static void test_default_options(void **state)
{
	void *base = util_memory(UTIL_POOL_BYTES);
	struct daxfs_error err;
	struct pool pool;

	(void)state;
	assert_int_equal(pool_format(base, UTIL_POOL_BYTES, NULL, &err), 0);
	pool = attached(base);
	assert_string_equal(pool.super.name, "daxfs");
	assert_int_equal(pool.super.hosts, 8);
	assert_int_equal(pool.lanes_total, 64);
	free(base);
}

/* -- attaching --------------------------------------------------------------------- */

static void test_attached_fields(void **state)
{
	uint8_t *base = util_pool();
	struct pool pool = attached(base);

	(void)state;
	assert_ptr_equal(pool.shm.base, base);
	assert_int_equal(pool.shm.size, UTIL_POOL_BYTES);
	assert_int_equal(pool.fd, -1);
	assert_false(pool.owns_map);
	assert_true(pool.writable);
	assert_int_equal(pool.lanes_total, 4);
	assert_ptr_equal(pool.member, base + 8192 + 4096);
	assert_int_equal(pool_offset(&pool, pool.pages), pool.super.region[DAXFS_R_PAGES].offset + 4096);
	assert_ptr_equal(pool_page(&pool, pool.objects[DAXFS_T_PAGE]),
			 base + region_end(&pool.super.region[DAXFS_R_PAGES]));
	assert_true(region_end(&pool.super.region[DAXFS_REGIONS - 1]) <= UTIL_POOL_BYTES);
	pool_unmap(&pool); /* memory that is not ours stays */
	attached(base);
	free(base);
}

/* Any byte of any region's header. */
static void test_header_damage(void **state)
{
	struct pool pool = { .lanes_total = 77 };
	uint8_t *base = util_pool();
	struct daxfs_error err = { .text = "" };

	(void)state;
	for (unsigned id = 0; id < DAXFS_REGIONS; id++) {
		for (unsigned i = 0; i < sizeof(struct sm_region_hdr); i++) {
			uint8_t *byte = base + util_super(base, 0)->region[id].offset + i;

			*byte ^= 0x80;
			util_refused(pool_attach(base, UTIL_POOL_BYTES, &pool, &err), -EUCLEAN, &err, region_name(id));
			*byte ^= 0x80;
		}
	}
	assert_int_equal(pool.lanes_total, 77);
	attached(base);
	free(base);
}

static void test_attach_refused(void **state)
{
	uint8_t *base = util_pool(), *rubbish = util_memory(UTIL_POOL_BYTES);
	struct daxfs_error err = { .text = "" };
	struct pool pool;

	(void)state;
	util_refused(pool_attach(base, 0, &pool, &err), -EINVAL, &err, "not a daxfs pool: ");
	util_refused(pool_attach(base, 8191, &pool, &err), -EINVAL, &err, "not a daxfs pool: ");
	util_refused(pool_attach(base, 8192, &pool, &err), -ENODATA, &err, "only 8192");
	util_refused(pool_attach(base, UTIL_POOL_BYTES - 1, &pool, &err), -ENODATA, &err, "only 2097151");
	util_refused(pool_attach(rubbish, UTIL_POOL_BYTES, &pool, &err), -EINVAL, &err, "not a daxfs pool: ");
	assert_int_equal(pool_attach(base, UINT64_MAX, &pool, NULL), 0);
	assert_int_equal(pool_attach(rubbish, UTIL_POOL_BYTES, &pool, NULL), -EINVAL); /* nobody asks why */
	free(base);
	free(rubbish);
}

/* Features that an old program may only read. */
static void test_read_only_feature(void **state)
{
	uint8_t *base = util_pool();

	(void)state;
	for (unsigned copy = 0; copy < 2; copy++) {
		util_super(base, copy)->ro_compat = 2;
		util_seal(util_super(base, copy));
	}
	assert_false(attached(base).writable);
	free(base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables_are_empty),
		cmocka_unit_test(test_root),
		cmocka_unit_test(test_superblocks),
		cmocka_unit_test(test_unlike_any_other),
		cmocka_unit_test(test_wb),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_death_in_the_middle),
		cmocka_unit_test(test_default_options),
		cmocka_unit_test(test_attached_fields),
		cmocka_unit_test(test_header_damage),
		cmocka_unit_test(test_attach_refused),
		cmocka_unit_test(test_read_only_feature),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
