/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_format.c - the freeze test of format.h.
 *
 * Every size, offset and constant of the shared format once more, as numbers. A pool outlives the program that
 * made it: whoever changes a number here changes the format, and must raise DAXFS_VERSION or add a feature bit, and
 * say so in the changelog of format.h. Its names that are missing here, and whether daxfs(5) says the same, are asked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daxfs/format.h"
#include "source.h"

struct field {
	const char *name;
	size_t offset, size;         /* as compiled */
	size_t offset_was, size_was; /* as frozen */
};

struct constant {
	const char *name;
	uint64_t value, was;
};

#define FIELD(type, field, offset, size)                                                                               \
	{                                                                                                              \
#type "." #field, offsetof(struct type, field), sizeof(((struct type *)0)->field), offset, size        \
	}
#define CONSTANT(name, was)                                                                                            \
	{                                                                                                              \
#name, name, was                                                                                       \
	}

static const struct field fields[] = {
	FIELD(sm_region, offset, 0x000, 0x008),
	FIELD(sm_region, elem_size, 0x008, 0x008),
	FIELD(sm_region, count, 0x010, 0x008),
	FIELD(sm_region_hdr, magic, 0x000, 0x008),
	FIELD(sm_region_hdr, version, 0x008, 0x004),
	FIELD(sm_region_hdr, crc, 0x00c, 0x004),
	FIELD(sm_region_hdr, elem_size, 0x010, 0x008),
	FIELD(sm_region_hdr, count, 0x018, 0x008),
	FIELD(sm_region_hdr, uuid, 0x020, 0x010),
	FIELD(sm_region_hdr, reserved, 0x030, 0x010),
	FIELD(sm_super, magic, 0x000, 0x008),
	FIELD(sm_super, version, 0x008, 0x004),
	FIELD(sm_super, crc, 0x00c, 0x004),
	FIELD(sm_super, compat, 0x010, 0x008),
	FIELD(sm_super, ro_compat, 0x018, 0x008),
	FIELD(sm_super, incompat, 0x020, 0x008),
	FIELD(sm_super, uuid, 0x028, 0x010),
	FIELD(sm_super, name, 0x038, 0x020),
	FIELD(sm_super, size, 0x058, 0x008),
	FIELD(sm_super, domain, 0x060, 0x004),
	FIELD(sm_super, hosts, 0x064, 0x004),
	FIELD(sm_super, lanes_per_host, 0x068, 0x004),
	FIELD(sm_super, opens_per_host, 0x06c, 0x004),
	FIELD(sm_super, heartbeat_ms, 0x070, 0x004),
	FIELD(sm_super, n_regions, 0x074, 0x004),
	FIELD(sm_super, hash_key, 0x078, 0x010),
	FIELD(sm_super, created_ns, 0x088, 0x008),
	FIELD(sm_super, lease_ms, 0x090, 0x004),
	FIELD(sm_super, reserved1, 0x094, 0x004),
	FIELD(sm_super, reserved2, 0x098, 0x008),
	FIELD(sm_super, region, 0x0a0, 0x300),
	FIELD(sm_manager, word, 0x000, 0x008),
	FIELD(sm_manager, beat, 0x008, 0x008),
	FIELD(sm_manager, epoch, 0x010, 0x008),
	FIELD(sm_manager, tree, 0x018, 0x008),
	FIELD(sm_manager, repair, 0x020, 0x008),
	FIELD(sm_manager, machine, 0x028, 0x010),
	FIELD(sm_manager, standby, 0x038, 0x008),
	FIELD(sm_manager, standby_machine, 0x040, 0x010),
	FIELD(sm_manager, reserved, 0x050, 0x030),
	FIELD(sm_host, word, 0x000, 0x008),
	FIELD(sm_host, reason, 0x008, 0x008),
	FIELD(sm_host, fence_ms, 0x010, 0x008),
	FIELD(sm_host, toll, 0x018, 0x008),
	FIELD(sm_host, reserved0, 0x020, 0x020),
	FIELD(sm_host, beat, 0x040, 0x008),
	FIELD(sm_host, process, 0x048, 0x008),
	FIELD(sm_host, lanes, 0x050, 0x008),
	FIELD(sm_host, records, 0x058, 0x008),
	FIELD(sm_host, owned, 0x060, 0x008),
	FIELD(sm_host, pins, 0x068, 0x008),
	FIELD(sm_host, tenancy, 0x070, 0x008),
	FIELD(sm_host, pids, 0x078, 0x008),
	FIELD(sm_host, name, 0x080, 0x020),
	FIELD(sm_host, machine, 0x0a0, 0x010),
	FIELD(sm_host, boot, 0x0b0, 0x010),
	FIELD(sm_host, rec_ns, 0x0c0, 0x008),
	FIELD(sm_host, rec_done, 0x0c8, 0x008),
	FIELD(sm_host, rec_undone, 0x0d0, 0x008),
	FIELD(sm_host, rec_objects, 0x0d8, 0x008),
	FIELD(sm_host, rec_opens, 0x0e0, 0x008),
	FIELD(sm_host, rec_files, 0x0e8, 0x008),
	FIELD(sm_host, reserved3, 0x0f0, 0x010),
	FIELD(sm_member, manager, 0x000, 0x080),
	FIELD(sm_member, host, 0x080, 0x4000),
	FIELD(sm_lobby, word, 0x000, 0x008),
	FIELD(sm_lobby, process, 0x008, 0x008),
	FIELD(sm_lobby, pids, 0x010, 0x008),
	FIELD(sm_lobby, check, 0x018, 0x008),
	FIELD(sm_lobby, reserved, 0x020, 0x020),
	FIELD(sm_lobby, name, 0x040, 0x020),
	FIELD(sm_lobby, machine, 0x060, 0x010),
	FIELD(sm_lobby, boot, 0x070, 0x010),
	FIELD(sm_record_word, addr, 0x000, 0x008),
	FIELD(sm_record_word, before, 0x008, 0x008),
	FIELD(sm_record_word, after, 0x010, 0x008),
	FIELD(sm_record_retire, object, 0x000, 0x008),
	FIELD(sm_record_retire, txid, 0x008, 0x008),
	FIELD(sm_lane, status, 0x000, 0x008),
	FIELD(sm_lane, owner, 0x008, 0x008),
	FIELD(sm_lane, todo, 0x010, 0x008),
	FIELD(sm_lane, n_words, 0x018, 0x008),
	FIELD(sm_lane, n_allocs, 0x020, 0x008),
	FIELD(sm_lane, n_retires, 0x028, 0x008),
	FIELD(sm_lane, used, 0x030, 0x010),
	FIELD(sm_lane, low, 0x040, 0x008),
	FIELD(sm_lane, high, 0x048, 0x008),
	FIELD(sm_lane, delta, 0x050, 0x008),
	FIELD(sm_lane, leases, 0x058, 0x010),
	FIELD(sm_lane, reserved1, 0x068, 0x018),
	FIELD(sm_lane, words, 0x080, 0x900),
	FIELD(sm_lane, allocs, 0x980, 0x300),
	FIELD(sm_lane, retires, 0xc80, 0x600),
	FIELD(sm_lane, claim, 0x1280, 0x020),
	FIELD(sm_lane, reserved2, 0x12a0, 0x160),
	FIELD(sm_inode, size, 0x000, 0x008),
	FIELD(sm_inode, trunc, 0x008, 0x008),
	FIELD(sm_inode, nlink, 0x010, 0x008),
	FIELD(sm_inode, openers, 0x018, 0x010),
	FIELD(sm_inode, mode, 0x028, 0x008),
	FIELD(sm_inode, uid, 0x030, 0x008),
	FIELD(sm_inode, gid, 0x038, 0x008),
	FIELD(sm_inode, parent, 0x040, 0x008),
	FIELD(sm_inode, dir_root, 0x048, 0x008),
	FIELD(sm_inode, direct, 0x050, 0x040),
	FIELD(sm_inode, indirect, 0x090, 0x020),
	FIELD(sm_inode, atime, 0x0b0, 0x008),
	FIELD(sm_inode, mtime, 0x0b8, 0x008),
	FIELD(sm_inode, ctime, 0x0c0, 0x008),
	FIELD(sm_inode, btime, 0x0c8, 0x008),
	FIELD(sm_inode, i_generation, 0x0d0, 0x008),
	FIELD(sm_inode, rdev, 0x0d8, 0x008),
	FIELD(sm_inode, locks, 0x0e0, 0x008),
	FIELD(sm_inode, xattrs, 0x0e8, 0x008),
	FIELD(sm_inode, leases, 0x0f0, 0x008),
	FIELD(sm_inode, writers, 0x0f8, 0x008),
	FIELD(sm_holder, term, 0x000, 0x008),
	FIELD(sm_holder, reserved, 0x008, 0x038),
	FIELD(sm_holder, request, 0x040, 0x0c0),
	FIELD(sm_dirent, hash, 0x000, 0x008),
	FIELD(sm_dirent, handle, 0x008, 0x008),
	FIELD(sm_dirent, type, 0x010, 0x001),
	FIELD(sm_dirent, len, 0x011, 0x001),
	FIELD(sm_dirent, twin, 0x012, 0x001),
	FIELD(sm_dirent, pad, 0x013, 0x005),
	FIELD(sm_dirent, name, 0x018, 0x100),
	FIELD(sm_dirent, reserved, 0x118, 0x028),
	FIELD(sm_node, slot, 0x000, 0x1000),
	FIELD(sm_lock, start, 0x000, 0x008),
	FIELD(sm_lock, end, 0x008, 0x008),
	FIELD(sm_lock, owner, 0x010, 0x008),
	FIELD(sm_lock, pid, 0x018, 0x004),
	FIELD(sm_lock, host, 0x01c, 0x001),
	FIELD(sm_lock, type, 0x01d, 0x001),
	FIELD(sm_lock, kind, 0x01e, 0x001),
	FIELD(sm_lock, pad, 0x01f, 0x001),
	FIELD(sm_locks, live, 0x000, 0x020),
	FIELD(sm_locks, inode, 0x020, 0x008),
	FIELD(sm_locks, count, 0x028, 0x004),
	FIELD(sm_locks, crc, 0x02c, 0x004),
	FIELD(sm_locks, reserved, 0x030, 0x010),
	FIELD(sm_locks, lock, 0x040, 0xfc0),
	FIELD(sm_xattrs, inode, 0x000, 0x008),
	FIELD(sm_xattrs, used, 0x008, 0x004),
	FIELD(sm_xattrs, crc, 0x00c, 0x004),
	FIELD(sm_xattrs, reserved, 0x010, 0x010),
	FIELD(sm_xattrs, list, 0x020, 0xfe0),
	FIELD(sm_trouble, changes, 0x000, 0x008),
	FIELD(sm_trouble, missed, 0x008, 0x008),
	FIELD(sm_trouble, reserved, 0x010, 0x030),
	FIELD(sm_trouble, bad, 0x040, 0x2000),
	FIELD(sm_trouble, file, 0x2040, 0x2000),
	FIELD(sm_event, number, 0x000, 0x008),
	FIELD(sm_event, check, 0x008, 0x008),
	FIELD(sm_event, wall_ns, 0x010, 0x008),
	FIELD(sm_event, mono_ns, 0x018, 0x008),
	FIELD(sm_event, what, 0x020, 0x008),
	FIELD(sm_event, who, 0x028, 0x008),
	FIELD(sm_event, machine, 0x030, 0x010),
	FIELD(sm_event, figures, 0x040, 0x008),
	FIELD(sm_event, value, 0x048, 0x008),
	FIELD(sm_event, reserved, 0x050, 0x010),
	FIELD(sm_event, name, 0x060, 0x020),
	FIELD(sm_event, text, 0x080, 0x040),
};

static const struct constant sizes[] = {
	{ "sm_region", sizeof(struct sm_region), 0x018 },
	{ "sm_region_hdr", sizeof(struct sm_region_hdr), 0x040 },
	{ "sm_super", sizeof(struct sm_super), 0x3a0 },
	{ "sm_manager", sizeof(struct sm_manager), 0x080 },
	{ "sm_host", sizeof(struct sm_host), 0x100 },
	{ "sm_member", sizeof(struct sm_member), 0x4080 },
	{ "sm_lobby", sizeof(struct sm_lobby), 0x080 },
	{ "sm_record_word", sizeof(struct sm_record_word), 0x018 },
	{ "sm_record_retire", sizeof(struct sm_record_retire), 0x010 },
	{ "sm_lane", sizeof(struct sm_lane), 0x1400 },
	{ "sm_inode", sizeof(struct sm_inode), 0x100 },
	{ "sm_holder", sizeof(struct sm_holder), 0x100 },
	{ "sm_dirent", sizeof(struct sm_dirent), 0x140 },
	{ "sm_node", sizeof(struct sm_node), 0x1000 },
	{ "sm_lock", sizeof(struct sm_lock), 0x020 },
	{ "sm_locks", sizeof(struct sm_locks), 0x1000 },
	{ "sm_xattrs", sizeof(struct sm_xattrs), 0x1000 },
	{ "sm_trouble", sizeof(struct sm_trouble), 0x4040 },
	{ "sm_event", sizeof(struct sm_event), 0x0c0 },
	{ "sm_u64", sizeof(sm_u64), 0x008 },
};

static const struct constant constants[] = {
	CONSTANT(DAXFS_MAGIC, 0x3153465841445043ull),
	CONSTANT(DAXFS_REGION_MAGIC, 0x4e47455258414400ull),
	CONSTANT(DAXFS_VERSION, 4),
	CONSTANT(DAXFS_PAGE_SIZE, 4096),
	CONSTANT(DAXFS_PAGE_SHIFT, 12),
	CONSTANT(DAXFS_LINE, 64),
	CONSTANT(DAXFS_HOSTS_MAX, 64),
	CONSTANT(DAXFS_LANES_MAX, 1024),
	CONSTANT(DAXFS_NAME_MAX, 255),
	CONSTANT(DAXFS_SYMLINK_MAX, 4095),
	CONSTANT(DAXFS_FILE_MAX, 0x40000000000ull),
	CONSTANT(DAXFS_NLINK_MAX, 0x7fffffffull),
	CONSTANT(DAXFS_OBJECTS_MAX, 0x100000000ull),
	CONSTANT(DAXFS_MARK, 0x8000000000000000ull),
	CONSTANT(DAXFS_LANE_BITS, 12),
	CONSTANT(DAXFS_WIDX_BITS, 7),
	CONSTANT(DAXFS_SEQ_BITS, 43),
	CONSTANT(DAXFS_SEQ_MASK, 0x7ffffffffffull),
	CONSTANT(DAXFS_MARK_HELPED, 0x80000000000ull),
	CONSTANT(DAXFS_WIDX_CLAIM, 127),
	CONSTANT(DAXFS_SIZE_PRUNE, 0x80000000000ull),
	CONSTANT(DAXFS_SIZE_MASK, 0x7ffffffffffull),
	CONSTANT(DAXFS_COUNT_FROZEN, 0x10000ull),
	CONSTANT(DAXFS_SCRATCH_OFFSET, 4032),
	CONSTANT(DAXFS_LOBBY_OFFSET, 0x80),
	CONSTANT(DAXFS_LOBBY_PLACES, 31),
	CONSTANT(DAXFS_RECORD_WORDS, 96),
	CONSTANT(DAXFS_RECORD_ALLOCS, 96),
	CONSTANT(DAXFS_RECORD_RETIRES, 96),
	CONSTANT(DAXFS_DIRECT, 8),
	CONSTANT(DAXFS_INDIRECT, 4),
	CONSTANT(DAXFS_NODE_SLOTS, 512),
	CONSTANT(DAXFS_ROOT_INO, 1),
	CONSTANT(DAXFS_LOCKS_MAX, 126),
	CONSTANT(DAXFS_LOCK_WORDS, 4),
	CONSTANT(DAXFS_XATTR_NAME_MAX, 255),
	CONSTANT(DAXFS_XATTR_LIST, 4064),
	CONSTANT(DAXFS_HASH_BITS, 54),
	CONSTANT(DAXFS_HASH_LEVELS, 6),
	CONSTANT(DAXFS_LINK_BITS, 37),
	CONSTANT(DAXFS_SIZE_BITS, 44),
	CONSTANT(DAXFS_NLINK_BITS, 34),
	CONSTANT(DAXFS_OPENERS_BITS, 32),
	CONSTANT(DAXFS_COUNT_BITS, 17),
	CONSTANT(DAXFS_ATTR_BITS, 32),
	CONSTANT(DAXFS_TICK_BITS, 0),
	CONSTANT(DAXFS_LOCKS_BITS, 32),
	CONSTANT(DAXFS_NAME_BITS, 43),
	CONSTANT(DAXFS_HINT_SHIFT, 37),
	CONSTANT(DAXFS_HINT_BITS, 6),
	CONSTANT(DAXFS_RUN_MAX, 6),
	CONSTANT(DAXFS_BUCKET_BITS, 6),
	CONSTANT(DAXFS_BUCKET_SLOTS, 8),
	CONSTANT(DAXFS_W_NONE, 0),
	CONSTANT(DAXFS_W_LINK, 1),
	CONSTANT(DAXFS_W_SIZE, 2),
	CONSTANT(DAXFS_W_NLINK, 3),
	CONSTANT(DAXFS_W_OPENERS, 4),
	CONSTANT(DAXFS_W_COUNT, 5),
	CONSTANT(DAXFS_W_ATTR, 6),
	CONSTANT(DAXFS_W_LOCKS, 7),
	CONSTANT(DAXFS_W_TICK, 8),
	CONSTANT(DAXFS_W_NAME, 9),
	CONSTANT(DAXFS_WORD_CLASSES, 10),
	CONSTANT(DAXFS_ABSENT, 0),
	CONSTANT(DAXFS_DATA, 1),
	CONSTANT(DAXFS_NODE, 2),
	CONSTANT(DAXFS_DIRENT, 3),
	CONSTANT(DAXFS_INODE, 4),
	CONSTANT(DAXFS_LOCKS, 5),
	CONSTANT(DAXFS_EXTENT, 6),
	CONSTANT(DAXFS_LEAF, 7),
	CONSTANT(DAXFS_XATTR, 8),
	CONSTANT(DAXFS_CLEAN, 9),
	CONSTANT(DAXFS_FILLING, 10),
	CONSTANT(DAXFS_VOID, 11),
	CONSTANT(DAXFS_LIFE_NONE, 0),
	CONSTANT(DAXFS_LIFE_ALIVE, 1),
	CONSTANT(DAXFS_LIFE_ORPHAN, 2),
	CONSTANT(DAXFS_LIFE_DEAD, 3),
	CONSTANT(DAXFS_FREE, 0),
	CONSTANT(DAXFS_PRIVATE, 1),
	CONSTANT(DAXFS_LIVE, 2),
	CONSTANT(DAXFS_RETIRED, 3),
	CONSTANT(DAXFS_USE_NONE, 0),
	CONSTANT(DAXFS_USE_DATA, 1),
	CONSTANT(DAXFS_USE_NODE, 2),
	CONSTANT(DAXFS_USE_INODE, 3),
	CONSTANT(DAXFS_USE_DIRENT, 4),
	CONSTANT(DAXFS_USE_LOCKS, 5),
	CONSTANT(DAXFS_USE_EXTENT, 6),
	CONSTANT(DAXFS_USE_TAIL, 7),
	CONSTANT(DAXFS_USE_KEPT, 8),
	CONSTANT(DAXFS_USE_BAD, 9),
	CONSTANT(DAXFS_USE_XATTR, 10),
	CONSTANT(DAXFS_USE_CACHED, 11),
	CONSTANT(DAXFS_BAD_MAX, 1024),
	CONSTANT(DAXFS_REPAIR_MAX, 1024),
	CONSTANT(DAXFS_REPAIR_NONE, 1ull << 32),
	CONSTANT(DAXFS_BAD_LISTED, 1),
	CONSTANT(DAXFS_BAD_REPAIRED, 2),
	CONSTANT(DAXFS_EXTENT_PAGES, 16),
	CONSTANT(DAXFS_GROUP, 512),
	CONSTANT(DAXFS_GROUP_BITS, 62),
	CONSTANT(DAXFS_GROUP_OPEN, 0),
	CONSTANT(DAXFS_GROUP_LOOKING, 1),
	CONSTANT(DAXFS_GROUP_NOTHING, 2),
	CONSTANT(DAXFS_GROUP_WAITING, 3),
	CONSTANT(DAXFS_TIME_FAR, 1ull << 63),
	CONSTANT(DAXFS_TIME_STEP_NS, 100),
	CONSTANT(DAXFS_T_PAGE, 0),
	CONSTANT(DAXFS_T_INODE, 1),
	CONSTANT(DAXFS_T_DIRENT, 2),
	CONSTANT(DAXFS_TYPES, 3),
	CONSTANT(DAXFS_R_MEMBER, 0),
	CONSTANT(DAXFS_R_LANES, 1),
	CONSTANT(DAXFS_R_OPEN_TABLE, 2),
	CONSTANT(DAXFS_R_STATE0, 3),
	CONSTANT(DAXFS_R_STATE1, 4),
	CONSTANT(DAXFS_R_STATE2, 5),
	CONSTANT(DAXFS_R_BIRTH0, 6),
	CONSTANT(DAXFS_R_BIRTH1, 7),
	CONSTANT(DAXFS_R_BIRTH2, 8),
	CONSTANT(DAXFS_R_COUNT, 9),
	CONSTANT(DAXFS_R_INODES, 10),
	CONSTANT(DAXFS_R_DIRENTS, 11),
	CONSTANT(DAXFS_R_TROUBLE, 12),
	CONSTANT(DAXFS_R_LEASES, 13),
	CONSTANT(DAXFS_R_PAGES, 14),
	CONSTANT(DAXFS_R_SUMMARY, 15),
	CONSTANT(DAXFS_R_EVENTS, 16),
	CONSTANT(DAXFS_REGIONS, 17),
	CONSTANT(DAXFS_REGIONS_LEAST, 16),
	CONSTANT(DAXFS_COMPAT_EVENTS, 1),
	CONSTANT(DAXFS_EVENTS_OFFSET, 64),
	CONSTANT(DAXFS_EVENTS_MIN, 16),
	CONSTANT(DAXFS_EVENTS_MAX, 2048),
	CONSTANT(DAXFS_EVENTS_PAGES, 64),
	CONSTANT(DAXFS_TERM_VOID, 0),
	CONSTANT(DAXFS_TERM_GRANTING, 1),
	CONSTANT(DAXFS_TERM_ACCUSED, 2),
	CONSTANT(DAXFS_REGIONS_MAX, 32),
	CONSTANT(DAXFS_INCOMPAT_CACHE, 1),
	CONSTANT(DAXFS_DOMAIN_GPF, 0),
	CONSTANT(DAXFS_DOMAIN_WB, 1),
	CONSTANT(DAXFS_IDLE, 0),
	CONSTANT(DAXFS_PREPARE, 1),
	CONSTANT(DAXFS_UNDECIDED, 2),
	CONSTANT(DAXFS_COMMITTED, 3),
	CONSTANT(DAXFS_ABORTED, 4),
	CONSTANT(DAXFS_SINGLE, 5),
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void test_fields(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(fields); i++) {
		const struct field *f = &fields[i];

		if (f->offset != f->offset_was || f->size != f->size_was)
			fail_msg("%s is at 0x%zx with 0x%zx bytes; frozen at 0x%zx with 0x%zx", f->name, f->offset,
				 f->size, f->offset_was, f->size_was);
	}
}

static void check_constants(const struct constant *c, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (c[i].value != c[i].was)
			fail_msg("%s is 0x%llx; frozen as 0x%llx", c[i].name, (unsigned long long)c[i].value,
				 (unsigned long long)c[i].was);
}

static void test_sizes(void **state)
{
	(void)state;
	check_constants(sizes, COUNT(sizes));
}

static void test_constants(void **state)
{
	(void)state;
	check_constants(constants, COUNT(constants));
}

/* Fields of each struct follow one another without a hole that nobody named. */
static void test_no_holes(void **state)
{
	size_t at = 0, next_size = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(fields); i++) {
		if (fields[i].offset == 0 && i > 0) {
			assert_int_equal(at, sizes[next_size].value);
			next_size++;
			at = 0;
		}
		assert_int_equal(fields[i].offset, at);
		at += fields[i].size;
	}
	assert_int_equal(at, sizes[next_size].value);
	assert_int_equal(next_size + 2, COUNT(sizes)); /* all but the sm_u64 */
}

/* The bytes on the medium, not only the numbers: a big-endian build must fail. */
static void test_byte_order(void **state)
{
	const uint64_t magic = DAXFS_MAGIC;

	(void)state;
	assert_memory_equal(&magic, "CPDAXFS1", 8);
}

/* The parts of a mark fill the word exactly. */
static void test_mark(void **state)
{
	uint64_t lanes = (uint64_t)((1u << DAXFS_LANE_BITS) - 1) << 51, words = 127ull << 44;

	(void)state;
	assert_true(DAXFS_RECORD_WORDS <= 128);
	assert_int_equal(DAXFS_MARK ^ lanes ^ words ^ DAXFS_MARK_HELPED ^ DAXFS_SEQ_MASK, UINT64_MAX);
	assert_int_equal(DAXFS_MARK + lanes + words + DAXFS_MARK_HELPED + DAXFS_SEQ_MASK, UINT64_MAX);
}

/* -- format.h has no names but these, daxfs(5) the same numbers ------------------- */

static const struct constant *constant_of(const char *name, size_t len)
{
	for (size_t i = 0; i < COUNT(constants); i++)
		if (strlen(constants[i].name) == len && strncmp(constants[i].name, name, len) == 0)
			return &constants[i];
	return NULL;
}

/* Every constant of format.h: a macro without arguments, or a member of an enum. */
static void test_all_constants(void **state)
{
	char *line, *text = source_read("include/daxfs/format.h");

	(void)state;
	if (!text)
		skip();
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		const char *name = strncmp(line, "#define ", 8) == 0 ? line + 8 : line[0] == '\t' ? line + 1 : "";
		size_t len = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");

		if (strncmp(name, "DAXFS_", 6) != 0 || strchr("([", name[len]) || !name[len])
			continue;
		if (!constant_of(name, len))
			fail_msg("format.h has %.*s, which is not frozen here", (int)len, name);
	}
}

/* The page goes on here with this row; next is what follows it. */
static const char *row(const char *at, const char *want)
{
	if (strncmp(at, want, strlen(want)) != 0)
		fail_msg("daxfs(5) should go on with the row \"%s...\", not with \"%.40s\"", want, at);
	return strchr(at, '\n') + 1;
}

static const char *after(const char *page, const char *heading)
{
	const char *at = strstr(page, heading);

	if (!at)
		fail_msg("daxfs(5) lacks \"%s\"", heading);
	return at + strlen(heading);
}

/* Every struct, every field, in order and no others. */
static void test_page_structs(void **state)
{
	const char *page = source_read("deploy/man/daxfs.5"), *at = NULL;
	char text[128];
	size_t next = 0;

	(void)state;
	if (!page)
		skip();
	for (size_t i = 0; i < COUNT(fields); i++) {
		if (fields[i].offset == 0) {
			if (at)
				row(at, ".TE\n");
			snprintf(text, sizeof(text), ".SS %s (%llu bytes)\n", sizes[next].name,
				 (unsigned long long)sizes[next].value);
			at = after(after(page, text), "\nl r l l.\n");
			next++;
		}
		snprintf(text, sizeof(text), "%03zx\t%zu\t%s\t", fields[i].offset, fields[i].size,
			 strchr(fields[i].name, '.') + 1);
		at = row(at, text);
	}
	row(at, ".TE\n");
}

static void test_page_constants(void **state)
{
	const char *page = source_read("deploy/man/daxfs.5"), *at;
	char text[128];

	(void)state;
	if (!page)
		skip();
	at = after(after(page, "\n.SH NUMBERS\n"), "\nl l l.\n");
	for (size_t i = 0; i < COUNT(constants); i++) {
		unsigned long long value = constants[i].value;

		snprintf(text, sizeof(text), value >> 32 ? "0x%llx\t%s\t" : "%llu\t%s\t", value, constants[i].name);
		at = row(at, text);
	}
	row(at, ".TE\n");
}

static void test_page_regions(void **state)
{
	static const struct constant regions[] = {
		{ "member", sizeof(struct sm_member), DAXFS_R_MEMBER },
		{ "lanes", sizeof(struct sm_lane), DAXFS_R_LANES },
		{ "opens", 8, DAXFS_R_OPEN_TABLE },
		{ "states", 8, DAXFS_R_STATE0 },
		{ "states", 8, DAXFS_R_STATE1 },
		{ "states", 8, DAXFS_R_STATE2 },
		{ "births", 8, DAXFS_R_BIRTH0 },
		{ "births", 8, DAXFS_R_BIRTH1 },
		{ "births", 8, DAXFS_R_BIRTH2 },
		{ "counts", 8, DAXFS_R_COUNT },
		{ "inodes", sizeof(struct sm_inode), DAXFS_R_INODES },
		{ "dirents", sizeof(struct sm_dirent), DAXFS_R_DIRENTS },
		{ "trouble", sizeof(struct sm_trouble), DAXFS_R_TROUBLE },
		{ "leases", sizeof(struct sm_holder), DAXFS_R_LEASES },
		{ "pages", DAXFS_PAGE_SIZE, DAXFS_R_PAGES },
		{ "summary", 8, DAXFS_R_SUMMARY },
		{ "events", sizeof(struct sm_event), DAXFS_R_EVENTS },
	};
	const char *page = source_read("deploy/man/daxfs.5"), *at;
	char text[128];

	(void)state;
	if (!page)
		skip();
	assert_int_equal(COUNT(regions), DAXFS_REGIONS);
	at = after(page, "\tbytes\tregion\tholds\n");
	for (size_t i = 0; i < COUNT(regions); i++) {
		snprintf(text, sizeof(text), "%llu\t%llu\t%s\t", (unsigned long long)regions[i].was,
			 (unsigned long long)regions[i].value, regions[i].name);
		at = row(at, text);
	}
	row(at, ".TE\n");
}

/* "\nhosts\t64\n" and its like. */
static void test_page_limits(void **state)
{
	static const struct constant limits[] = {
		{ "\nhosts\t%llu\n", DAXFS_HOSTS_MAX, 0 },
		{ "\nlanes in a pool\t%llu\n", DAXFS_LANES_MAX, 0 },
		{ "\nname\t%llu bytes\n", DAXFS_NAME_MAX, 0 },
		{ "\ntarget of a symbolic link\t%llu bytes\n", DAXFS_SYMLINK_MAX, 0 },
		{ "\nfile\t%llu TiB\n", DAXFS_FILE_MAX >> 40, 0 },
		{ "\nnames of one file\t%llu\n", DAXFS_NLINK_MAX, 0 },
		{ "\nnames of one hash in a directory\t%llu\n", DAXFS_BUCKET_SLOTS, 0 },
		{ "\nlocks of one file\t%llu\n", DAXFS_LOCKS_MAX, 0 },
		{ "format of a DaxFS pool, version %llu\n", DAXFS_VERSION, 0 },
		{ "\nAn inode has 8 direct links to pages and %llu to index nodes", DAXFS_INDIRECT, 0 },
	};
	const char *page = source_read("deploy/man/daxfs.5");
	char text[128];

	(void)state;
	if (!page)
		skip();
	for (size_t i = 0; i < COUNT(limits); i++) {
		snprintf(text, sizeof(text), limits[i].name, (unsigned long long)limits[i].value);
		after(page, text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_constants),  cmocka_unit_test(test_page_structs),
		cmocka_unit_test(test_page_constants), cmocka_unit_test(test_page_regions),
		cmocka_unit_test(test_page_limits),    cmocka_unit_test(test_fields),
		cmocka_unit_test(test_sizes),          cmocka_unit_test(test_constants),
		cmocka_unit_test(test_no_holes),       cmocka_unit_test(test_byte_order),
		cmocka_unit_test(test_mark),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
