/* SPDX-License-Identifier: Apache-2.0 */
/* test_readdir.c - reading directories and symbolic links (fs/readdir.c). */
#include <dirent.h>
#include <unistd.h>

#include "hang.h"
#include "rig.h"

#define NAMES 200u

struct seen {
	unsigned n, stop_at;   /* entries so far; 0: no limit */
	unsigned times[NAMES]; /* each "nI" was seen */
	uint64_t next;         /* cookie after the last one */
	daxfs_ino self, parent;
	bool ascending;
};

static bool note(void *context, const char *name, daxfs_ino ino, unsigned type, uint64_t next)
{
	struct seen *s = context;

	if (s->stop_at && s->n == s->stop_at)
		return false;
	s->ascending &= next > s->next;
	s->n++;
	s->next = next;
	if (!strcmp(name, ".")) {
		s->self = ino;
		assert_int_equal(type, DT_DIR);
	} else if (!strcmp(name, "..")) {
		s->parent = ino;
		assert_int_equal(type, DT_DIR);
	} else {
		unsigned i = (unsigned)atoi(name + 1);

		assert_true(name[0] == 'n' && i < NAMES);
		assert_int_equal(type, i % 3 ? DT_REG : DT_DIR);
		s->times[i]++;
	}
	return true;
}

struct fixture {
	struct pod pod;
	daxfs_ino dir;
};

static void add(struct fixture *s, unsigned i)
{
	char name[16];

	snprintf(name, sizeof(name), "n%u", i);
	if (i % 3)
		pod_create(s->pod.fs[i % POD_HOSTS], s->dir, name);
	else
		pod_mkdir(s->pod.fs[i % POD_HOSTS], s->dir, name);
}

static void del(struct fixture *s, unsigned i)
{
	char name[16];

	snprintf(name, sizeof(name), "n%u", i);
	assert_int_equal(i % 3 ? daxfs_unlink(s->pod.fs[0], s->dir, name) : daxfs_rmdir(s->pod.fs[0], s->dir, name), 0);
}

static void fixture_start(struct fixture *s, unsigned names)
{
	alarm(HANG_S);
	pod_start(&s->pod, 8 << 20);
	s->dir = pod_mkdir(s->pod.fs[0], DAXFS_ROOT, "d");
	for (unsigned i = 0; i < names; i++)
		add(s, i);
}

static int list(struct fixture *s, uint64_t cookie, struct seen *seen)
{
	seen->ascending = true;
	return daxfs_readdir(s->pod.fs[1], s->dir, cookie, note, seen);
}

/* Sizes around the batch in which entries are collected. */
static void every_size(void **state)
{
	const unsigned sizes[] = { 0, 1, 31, 32, 33, 63, 64, 65, NAMES };
	struct fixture s;
	unsigned made = 0;

	(void)state;
	fixture_start(&s, 0);
	for (unsigned k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
		struct seen seen = { .n = 0 };

		for (; made < sizes[k]; made++)
			add(&s, made);
		assert_int_equal(list(&s, 0, &seen), 0);
		assert_int_equal(seen.n, made + 2);
		assert_true(seen.ascending);
		assert_int_equal(seen.self, s.dir);
		assert_int_equal(seen.parent, DAXFS_ROOT);
		for (unsigned i = 0; i < NAMES; i++)
			assert_int_equal(seen.times[i], i < made);
	}
	pod_stop(&s.pod);
}

/* Stopped after each entry and continued there: everything once. */
static void in_pieces_of(struct fixture *s, unsigned piece)
{
	struct seen seen = { .n = 0 };
	unsigned before;

	do {
		before = seen.n;
		seen.stop_at = before + piece;
		assert_int_equal(list(s, seen.next, &seen), 0);
		assert_true(seen.n <= before + piece);
	} while (seen.n > before);
	assert_int_equal(seen.n, NAMES + 2);
	for (unsigned i = 0; i < NAMES; i++)
		assert_int_equal(seen.times[i], 1);
}

static void in_pieces(void **state)
{
	struct fixture s;

	(void)state;
	fixture_start(&s, NAMES);
	in_pieces_of(&s, 1);
	in_pieces_of(&s, 2);
	in_pieces_of(&s, 31);
	in_pieces_of(&s, 32);
	in_pieces_of(&s, 33);
	pod_stop(&s.pod);
}

/* Names come and go between the pieces; those that stay are seen exactly once. */
static void while_others_come_and_go(void **state)
{
	struct fixture s;
	struct seen seen = { .n = 0 };
	unsigned before, round = 0;

	(void)state;
	fixture_start(&s, NAMES / 2);
	do {
		before = seen.n;
		seen.stop_at = before + 3;
		assert_int_equal(list(&s, seen.next, &seen), 0);
		for (unsigned i = NAMES / 2; i < NAMES; i++) {
			if (round % 2 == 0)
				add(&s, i);
			else
				del(&s, i);
		}
		round++;
	} while (seen.n > before);
	for (unsigned i = 0; i < NAMES / 2; i++)
		assert_int_equal(seen.times[i], 1);
	for (unsigned i = NAMES / 2; i < NAMES; i++)
		assert_true(seen.times[i] <= 1);
	pod_stop(&s.pod);
}

/* The cookie of an entry that was removed leads to the next one. */
static void removed_under_the_cookie(void **state)
{
	struct fixture s;
	struct seen seen = { .n = 0 }, rest = { .n = 0 };

	(void)state;
	fixture_start(&s, 50);
	seen.stop_at = 20;
	assert_int_equal(list(&s, 0, &seen), 0);
	for (unsigned i = 0; i < 50; i++)
		if (seen.times[i])
			del(&s, i);
	assert_int_equal(list(&s, seen.next, &rest), 0);
	assert_int_equal(rest.n, 50 + 2 - 20);
	assert_int_equal(list(&s, rest.next, &rest), 0); /* the end stays the end */
	assert_int_equal(rest.n, 50 + 2 - 20);
	assert_int_equal(list(&s, UINT64_MAX, &rest), 0);
	assert_int_equal(rest.n, 50 + 2 - 20);
	pod_stop(&s.pod);
}

/* ".." follows the directory, and the root is its own. */
static void parents(void **state)
{
	struct fixture s;
	struct seen seen = { .n = 0 };
	daxfs_ino other;

	(void)state;
	fixture_start(&s, 0);
	other = pod_mkdir(s.pod.fs[2], DAXFS_ROOT, "e");
	assert_int_equal(daxfs_rename(s.pod.fs[2], DAXFS_ROOT, "d", other, "n3", 0), 0);
	assert_int_equal(list(&s, 0, &seen), 0);
	assert_int_equal(seen.parent, other);
	assert_int_equal(daxfs_readdir(s.pod.fs[1], other, 0, note, &seen), 0);
	assert_int_equal(seen.parent, DAXFS_ROOT);
	seen.stop_at = seen.n + 2;
	assert_int_equal(daxfs_readdir(s.pod.fs[1], DAXFS_ROOT, 0, note, &seen), 0);
	assert_int_equal(seen.self, DAXFS_ROOT);
	assert_int_equal(seen.parent, DAXFS_ROOT);
	pod_stop(&s.pod);
}

static void not_a_directory(void **state)
{
	struct fixture s;
	struct seen seen = { .n = 0 };
	daxfs_ino file;

	(void)state;
	fixture_start(&s, 2);
	assert_int_equal(pod_lookup(s.pod.fs[0], s.dir, "n1", &file), 0);
	assert_int_equal(daxfs_readdir(s.pod.fs[1], file, 0, note, &seen), -ENOTDIR);
	assert_int_equal(daxfs_readdir(s.pod.fs[1], UINT64_MAX, 0, note, &seen), -ESTALE);
	del(&s, 0);
	del(&s, 1);
	assert_int_equal(daxfs_rmdir(s.pod.fs[0], DAXFS_ROOT, "d"), 0);
	assert_int_equal(list(&s, 0, &seen), -ESTALE);
	assert_int_equal(seen.n, 0);
	pod_stop(&s.pod);
}

/* -- symbolic links --------------------------------------------------------------- */

static daxfs_ino symlink_of(struct fixture *s, const char *name, size_t len, char *target)
{
	struct daxfs_attr attr;

	memset(target, 'a', len);
	target[len] = '\0';
	assert_int_equal(daxfs_symlink(s->pod.fs[0], DAXFS_ROOT, name, target, pod_root, &attr), 0);
	assert_int_equal(attr.size, len);
	return attr.ino;
}

static void targets(void **state)
{
	static char target[DAXFS_SYMLINK_MAX + 2], buf[DAXFS_SYMLINK_MAX + 2];
	const size_t lengths[] = { 1, 2, 255, 4094, DAXFS_SYMLINK_MAX };
	struct fixture s;

	(void)state;
	fixture_start(&s, 0);
	for (unsigned i = 0; i < 5; i++) {
		char name[8];
		daxfs_ino ino;

		snprintf(name, sizeof(name), "s%u", i);
		ino = symlink_of(&s, name, lengths[i], target);
		memset(buf, 'z', sizeof(buf));
		assert_int_equal(daxfs_readlink(s.pod.fs[2], ino, buf, lengths[i] + 1), 0);
		assert_string_equal(buf, target);
		assert_int_equal(daxfs_readlink(s.pod.fs[2], ino, buf, lengths[i]), -ERANGE);
		assert_int_equal(daxfs_readlink(s.pod.fs[2], ino, buf, 0), -ERANGE);
		assert_int_equal(daxfs_readlink(s.pod.fs[2], ino, buf, 4096), 0);
	}
	memset(target, 'a', DAXFS_SYMLINK_MAX + 1);
	assert_int_equal(daxfs_symlink(s.pod.fs[0], DAXFS_ROOT, "long", target, pod_root, NULL), -ENAMETOOLONG);
	assert_int_equal(daxfs_readlink(s.pod.fs[2], s.dir, buf, sizeof(buf)), -EINVAL);
	assert_int_equal(daxfs_readlink(s.pod.fs[2], pod_create(s.pod.fs[0], DAXFS_ROOT, "f"), buf, 4096), -EINVAL);
	pod_stop(&s.pod);
}

static void senseless_targets(void **state)
{
	struct fixture s;
	char target[16], buf[4096];
	daxfs_ino ino;
	sm_u64 *page, *size;
	uint64_t was;

	(void)state;
	fixture_start(&s, 0);
	ino = symlink_of(&s, "s", 9, target);
	page = &rig_pool(&s.pod)->inodes[handle_index(ino)].direct[0];
	size = &rig_pool(&s.pod)->inodes[handle_index(ino)].size;
	was = sm_load(page);
	sm_store(page, link_payload(DAXFS_NODE, 1));
	assert_int_equal(daxfs_readlink(s.pod.fs[1], ino, buf, sizeof(buf)), -EIO);
	sm_store(page, link_payload(DAXFS_DATA, UINT32_MAX));
	assert_int_equal(daxfs_readlink(s.pod.fs[1], ino, buf, sizeof(buf)), -EIO);
	sm_store(page, was);
	was = sm_load(size);
	sm_store(size, DAXFS_SYMLINK_MAX + 1);
	assert_int_equal(daxfs_readlink(s.pod.fs[1], ino, buf, sizeof(buf)), -EIO);
	sm_store(size, was);
	assert_int_equal(daxfs_readlink(s.pod.fs[1], ino, buf, sizeof(buf)), 0);
	assert_int_equal(daxfs_unlink(s.pod.fs[2], DAXFS_ROOT, "s"), 0);
	assert_int_equal(daxfs_readlink(s.pod.fs[1], ino, buf, sizeof(buf)), -ESTALE);
	pod_stop(&s.pod);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_size),
		cmocka_unit_test(in_pieces),
		cmocka_unit_test(while_others_come_and_go),
		cmocka_unit_test(removed_under_the_cookie),
		cmocka_unit_test(parents),
		cmocka_unit_test(not_a_directory),
		cmocka_unit_test(targets),
		cmocka_unit_test(senseless_targets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
