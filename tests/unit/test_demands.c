/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_demands.c - which words each operation has in its record: those it changes, and those that it
 * only demands to be as they were. What is missing here is a race that hardly any test meets, so
 * the record itself is looked at: it stays in its lane when it is over. See the tables of ARCHITECTURE.md.
 */
#include "daxfs/cache.h"
#include "index/dirtrie.h"
#include "rig.h"

#define ROOM 400u

/* Names are spread by their first letter: under a hash with a random key two may meet, and then lie in a leaf. */
uint64_t __wrap_trie_hash(const struct pool *pool, const char *name, size_t len);
uint64_t __wrap_trie_hash(const struct pool *pool, const char *name, size_t len)
{
	(void)pool;
	return (uint64_t)name[0] << (DAXFS_HASH_BITS - TRIE_BITS) | len;
}

struct fixture {
	struct pod pod;
	daxfs_ino d, e, f, s, t; /* directories d and e; file d/f; directories d/s, e/t */
};

static void fixture_start(struct fixture *s)
{
	/* One lane: the last record is there. */
	pod_start_with(&s->pod, 4 << 20, (struct daxfs_mkfs_options){ .inodes = 512, .lanes = 1 });
	s->d = pod_mkdir(s->pod.fs[1], DAXFS_ROOT, "d");
	s->e = pod_mkdir(s->pod.fs[1], DAXFS_ROOT, "e");
	s->f = pod_create(s->pod.fs[1], s->d, "f");
	s->s = pod_mkdir(s->pod.fs[1], s->d, "s");
	s->t = pod_mkdir(s->pod.fs[1], s->e, "t");
}

static const char *field_name(uint64_t offset)
{
	switch (offset) {
	case offsetof(struct sm_inode, size): return "size";
	case offsetof(struct sm_inode, trunc): return "trunc";
	case offsetof(struct sm_inode, nlink): return "nlink";
	case offsetof(struct sm_inode, openers[0]): return "openers";
	case offsetof(struct sm_inode, mode): return "mode";
	case offsetof(struct sm_inode, uid): return "uid";
	case offsetof(struct sm_inode, gid): return "gid";
	case offsetof(struct sm_inode, parent): return "parent";
	case offsetof(struct sm_inode, dir_root): return "root";
	case offsetof(struct sm_inode, locks): return "locks";
	case offsetof(struct sm_inode, xattrs): return "xattrs";
	default: return offset >= offsetof(struct sm_inode, direct) ? "page" : "?";
	}
}

/* What a word of the pool is, as "d.parent", "count", "slot" (of a node) or "tree". */
static void describe(const struct fixture *s, const struct pool *pool, const sm_u64 *word, char *buf, size_t size)
{
	const uint8_t *at = (const uint8_t *)word, *inodes = (const uint8_t *)pool->inodes;
	uint64_t index = (uint64_t)(at - inodes) / sizeof(struct sm_inode);
	const struct {
		daxfs_ino ino;
		char name;
	} known[] = {
		{ s->d, 'd' }, { s->e, 'e' }, { s->f, 'f' }, { s->s, 's' }, { s->t, 't' },
	};
	char name = '?';

	if (word == &pool->member->manager.tree) {
		snprintf(buf, size, "tree");
	} else if (at >= inodes && index < pool->objects[DAXFS_T_INODE]) {
		for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			if (handle_index(known[i].ino) == index)
				name = known[i].name;
		snprintf(buf, size, "%c.%s", name, field_name((uint64_t)(at - inodes) % sizeof(struct sm_inode)));
	} else if (at >= pool->pages) {
		snprintf(buf, size, "slot");
	} else {
		snprintf(buf, size, "count");
	}
}

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* The words of the last record of host 0, which was of this operation, in order of the alphabet. */
static void words_of(const struct fixture *s, unsigned operation, char *out)
{
	const struct pool *pool = fs_pool(s->pod.fs[0]);
	char text[DAXFS_RECORD_WORDS][20];
	const struct sm_lane *last = &pool->lanes[0];
	uint64_t n;

	assert_int_equal(status_operation(sm_load(&last->status)), operation);
	n = sm_load(&last->n_words);
	for (unsigned i = 0; i < n; i++) {
		uint64_t offset = sm_load(&last->words[3 * i]) & ((1ull << 56) - 1);

		describe(s, pool, (const sm_u64 *)(const void *)(pool->shm.base + offset), text[i], sizeof(text[i]));
	}
	qsort(text, n, sizeof(text[0]), by_text);
	for (unsigned i = 0; i < n; i++)
		out += snprintf(out, 22, "%s%s", i ? " " : "", text[i]);
}

#define ASSERT_WORDS(s, operation, want)                                                                               \
	do {                                                                                                           \
		char words[ROOM * 5] = "";                                                                             \
		words_of(s, operation, words);                                                                         \
		assert_string_equal(words, want);                                                                      \
	} while (0)

static void names(void **state)
{
	struct fixture s;
	struct daxfs *fs;

	(void)state;
	fixture_start(&s);
	fs = s.pod.fs[0];
	pod_create(fs, s.d, "new");
	ASSERT_WORDS(&s, OP_CREATE, "count slot");
	assert_int_equal(daxfs_link(fs, s.f, s.e, "g", NULL), 0);
	ASSERT_WORDS(&s, OP_LINK, "count f.nlink slot");
	assert_int_equal(daxfs_unlink(fs, s.e, "g"), 0);
	ASSERT_WORDS(&s, OP_UNLINK, "count f.nlink slot");
	assert_int_equal(daxfs_rename(fs, s.d, "f", s.d, "g", 0), 0);
	ASSERT_WORDS(&s, OP_RENAME, "count slot slot");
	assert_int_equal(daxfs_rename(fs, s.d, "g", s.e, "f", 0), 0);
	ASSERT_WORDS(&s, OP_RENAME, "count count slot slot");
	assert_int_equal(daxfs_rename(fs, s.d, "s", s.e, "s", 0), 0);
	ASSERT_WORDS(&s, OP_RENAME, "count count s.parent slot slot tree");
	assert_int_equal(daxfs_rename(fs, s.e, "s", s.d, "s", 0), 0);
	assert_int_equal(daxfs_rename(fs, s.d, "s", s.e, "f", DAXFS_RENAME_EXCHANGE), 0);
	ASSERT_WORDS(&s, OP_EXCHANGE, "s.parent slot slot tree");
	assert_int_equal(daxfs_rename(fs, s.e, "f", s.d, "s", DAXFS_RENAME_EXCHANGE), 0);
	assert_int_equal(daxfs_rename(fs, s.d, "s", s.e, "t", DAXFS_RENAME_EXCHANGE), 0);
	ASSERT_WORDS(&s, OP_EXCHANGE, "s.parent slot slot t.parent tree");
	pod_stop(&s.pod);
}

/* The last name of a file: with all that says that nobody needs it any more, if nobody does. */
static void last_names(void **state)
{
	struct fixture s;
	struct daxfs *fs;

	(void)state;
	fixture_start(&s);
	fs = s.pod.fs[0];
	assert_int_equal(daxfs_unlink(fs, s.d, "f"), 0);
	ASSERT_WORDS(&s, OP_UNLINK, "count f.nlink f.openers f.size slot");
	s.f = pod_create(fs, s.d, "f");
	assert_int_equal(daxfs_write(fs, s.f, "x", 1, 0, 0), 1);
	assert_int_equal(daxfs_unlink(fs, s.d, "f"), 0);
	ASSERT_WORDS(&s, OP_UNLINK, "count f.nlink f.openers f.page f.size f.trunc slot");
	s.f = pod_create(fs, s.d, "f");
	assert_int_equal(daxfs_file_open(s.pod.fs[1], s.f), 0);
	assert_int_equal(daxfs_unlink(fs, s.d, "f"), 0);
	ASSERT_WORDS(&s, OP_UNLINK, "count f.nlink slot");
	assert_int_equal(daxfs_file_close(s.pod.fs[1], s.f), 0);
	s.f = pod_create(fs, s.d, "f");
	pod_create(fs, s.e, "g");
	assert_int_equal(daxfs_rename(fs, s.e, "g", s.d, "f", 0), 0);
	ASSERT_WORDS(&s, OP_RENAME, "count f.nlink f.openers f.size slot slot");
	assert_int_equal(daxfs_rmdir(fs, s.d, "s"), 0); /* what is left of it, in its second record */
	ASSERT_WORDS(&s, OP_ORPHAN, "s.nlink s.openers s.root s.size");
	pod_stop(&s.pod);
}

static void contents(void **state)
{
	struct daxfs_attr in = { .mode = 0600, .uid = 3, .gid = 4, .size = 60000 };
	char bytes[3 * DAXFS_PAGE_SIZE] = "";
	struct fixture s;
	struct daxfs *fs;

	(void)state;
	fixture_start(&s);
	fs = s.pod.fs[0];
	assert_int_equal(daxfs_setattr(fs, s.f, DAXFS_SET_MODE | DAXFS_SET_UID | DAXFS_SET_GID, &in, NULL), 0);
	ASSERT_WORDS(&s, OP_SETATTR, "f.gid f.mode f.uid");
	assert_int_equal(daxfs_setattr(fs, s.f, DAXFS_SET_SIZE, &in, NULL), 0);
	ASSERT_WORDS(&s, OP_SETATTR, "f.size");
	assert_int_equal(daxfs_write(fs, s.f, bytes, sizeof(bytes), 0, 0), sizeof(bytes));
	ASSERT_WORDS(&s, OP_WRITE, "f.page f.page f.page f.trunc");
	assert_int_equal(daxfs_write(fs, s.f, bytes, 5000, 100, 0), 5000);
	ASSERT_WORDS(&s, OP_WRITE, "f.page f.page");
	assert_int_equal(daxfs_write(fs, s.f, bytes, 10, 0, DAXFS_APPEND), 10);
	ASSERT_WORDS(&s, OP_WRITE, "f.page f.size");
	in.size = 5000;
	assert_int_equal(daxfs_setattr(fs, s.f, DAXFS_SET_SIZE, &in, NULL), 0);
	ASSERT_WORDS(&s, OP_SETATTR, "f.page f.page f.page f.size f.trunc slot");
	pod_stop(&s.pod);
}

/* A batch of a long truncation that is not the last one: seen when the next one meets a word that makes no sense. */
static void batches(void **state)
{
	char bytes[50 * DAXFS_PAGE_SIZE] = "", words[ROOM * 5] = "";
	struct daxfs_attr in = { .size = 4096 };
	uint64_t node, good;
	struct fixture s;
	struct daxfs *fs;
	sm_u64 *word;

	(void)state;
	fixture_start(&s);
	fs = s.pod.fs[0];
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(daxfs_write(fs, s.f, bytes, sizeof(bytes), 0, DAXFS_APPEND), sizeof(bytes));
	node = link_index(sm_load(&rig_pool(&s.pod)->inodes[handle_index(s.f)].indirect[0]));
	word = (sm_u64 *)(void *)pool_page(rig_pool(&s.pod), node) + 200;
	good = sm_load(word);
	sm_store(word, good | (uint64_t)31 << 32); /* no such kind of link */
	assert_int_equal(daxfs_setattr(fs, s.f, DAXFS_SET_SIZE, &in, NULL), -EIO);
	words_of(&s, OP_PRUNE, words);
	assert_memory_equal(words, "f.size slot slot slot", 21);
	sm_store(word, good);
	assert_int_equal(daxfs_setattr(fs, s.f, DAXFS_SET_SIZE, &in, NULL), 0);
	assert_int_equal(daxfs_repair_done(fs, DAXFS_REPAIR_FILE, s.f), 0); /* whoever met it listed it */
	pod_stop(&s.pod);
}

static void extended_attributes(void **state)
{
	struct fixture s;
	struct daxfs *fs;

	(void)state;
	fixture_start(&s);
	fs = s.pod.fs[0];
	assert_int_equal(daxfs_xattr_set(fs, s.f, "user.a", "1", 1, 0), 0);
	ASSERT_WORDS(&s, OP_XATTR, "f.nlink f.xattrs");
	assert_int_equal(daxfs_xattr_set(fs, s.f, "user.b", "2", 1, 0), 0);
	ASSERT_WORDS(&s, OP_XATTR, "f.nlink f.xattrs");
	assert_int_equal(daxfs_xattr_remove(fs, s.f, "user.a"), 0);
	ASSERT_WORDS(&s, OP_XATTR, "f.nlink f.xattrs");
	assert_int_equal(daxfs_xattr_remove(fs, s.f, "user.b"), 0);
	ASSERT_WORDS(&s, OP_XATTR, "f.nlink f.xattrs");
	assert_int_equal(daxfs_xattr_set(fs, s.f, "user.a", "1", 1, 0), 0);
	assert_int_equal(daxfs_unlink(fs, s.d, "f"), 0);
	ASSERT_WORDS(&s, OP_UNLINK, "count f.nlink f.openers f.size f.xattrs slot");
	pod_stop(&s.pod);
}

static void open_files(void **state)
{
	struct daxfs_lock lock = { .end = 9, .type = DAXFS_LOCK_WRITE, .owner = 1 };
	struct fixture s;
	struct daxfs *fs;

	(void)state;
	fixture_start(&s);
	fs = s.pod.fs[0];
	assert_int_equal(daxfs_file_open(fs, s.f), 0);
	ASSERT_WORDS(&s, OP_OPEN, "f.nlink f.openers");
	assert_int_equal(daxfs_lock(fs, s.f, &lock), 0);
	ASSERT_WORDS(&s, OP_LOCK, "f.locks f.openers");
	lock.start = lock.end = 100;
	assert_int_equal(daxfs_lock(fs, s.f, &lock), 0);
	ASSERT_WORDS(&s, OP_LOCK, "f.locks f.openers");
	lock.type = DAXFS_UNLOCK;
	assert_int_equal(daxfs_lock(fs, s.f, &lock), 0); /* its bit goes; the page must still be the file's */
	ASSERT_WORDS(&s, OP_LOCK, "f.locks f.openers slot");
	assert_int_equal(daxfs_file_close(fs, s.f), 0);
	ASSERT_WORDS(&s, OP_CLOSE, "f.locks f.openers");
	assert_int_equal(daxfs_file_open(fs, s.f), 0);
	assert_int_equal(daxfs_file_close(fs, s.f), 0);
	ASSERT_WORDS(&s, OP_CLOSE, "f.openers");
	pod_stop(&s.pod);
}

/* That nobody has open what is given back, nor the directory, which has another stamp from then on. */
static void given_back(void **state)
{
	const struct daxfs_attr dir = { .mode = S_IFDIR | 0755 }, file = { .mode = S_IFREG | 0644, .size = 9000 };
	struct daxfs_attr out;
	struct fixture s;
	struct daxfs *fs;

	(void)state;
	fixture_start(&s);
	fs = s.pod.fs[0];
	assert_int_equal(daxfs_import(fs, DAXFS_ROOT, "x", &dir, 0, 1, &out), 0);
	s.d = out.ino;
	assert_int_equal(daxfs_import(fs, s.d, "f", &file, 0, 2, &out), 0);
	s.f = out.ino;
	assert_int_equal(daxfs_import(fs, s.d, "s", &dir, 0, 3, &out), 0);
	s.s = out.ino;
	assert_int_equal(daxfs_give_back(fs, s.d, "f", s.f, true), 0);
	ASSERT_WORDS(&s, OP_UNLINK, "count d.openers d.trunc f.nlink f.openers f.root f.size f.trunc slot");
	assert_int_equal(daxfs_give_back(fs, s.d, "s", s.s, true), 0);
	pod_stop(&s.pod);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),      cmocka_unit_test(last_names), cmocka_unit_test(contents),
		cmocka_unit_test(batches),    cmocka_unit_test(open_files), cmocka_unit_test(extended_attributes),
		cmocka_unit_test(given_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
