/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_check_trouble.c - the check on pools whose memory is listed as failed, on lists that make no sense, and on
 * summaries that deny what is free. What tests of real errors find, too, is found here each by itself.
 */
#include "check_fixture.h"
#include "findings.h"
#include "sync/summary.h"

/* A page is lost, as far as the list says, and this process knows the list. */
static void lose(struct fixture *s, const void *p)
{
	assert_int_equal(trouble_add_page(s->pool, pool_offset(s->pool, p)), 1);
}

static void lost_directory(struct fixture *s)
{
	lose(s, pool_page(s->pool, link_index(sm_load(&fixture_inode(s, s->dir)->dir_root))));
	fixture_want(s, "out-of-reach: pool 0: ");
}

static void lost_page(struct fixture *s)
{
	lose(s, pool_page(s->pool, fixture_direct(s, s->small, 0)));
	fixture_want(s, "lost-bytes: inode %llu direct[0]", (unsigned long long)s->small);
}

static void lost_record(struct fixture *s)
{
	fixture_host(s, 1, DAXFS_HOST_FENCED);
	sm_store(&fixture_inode(s, s->small)->uid, mark_make(2, 3, 77));
	lose(s, &s->pool->lanes[2]);
	fixture_want(s, "lost-mark: inode %llu uid: marked by lane 2", (unsigned long long)s->small);
}

static void list_makes_no_sense(struct fixture *s)
{
	sm_store(&s->pool->trouble->bad[7], 0x5123);
	fixture_want(s, "bad-trouble: trouble 0 bad[7]: 0x5123");
}

static void to_repair(struct fixture *s)
{
	sm_store(&s->pool->trouble->file[7],
		 handle_make(sm_load(&fixture_inode(s, s->victim)->i_generation), s->victim));
	fixture_want(s, "to-repair: inode %llu", (unsigned long long)s->victim);
}

/* What one of them loses the next must not believe to be lost: the count goes on. */
static void each_is_found(void **state)
{
	void (*const make[])(struct fixture * s) = { lost_directory, lost_page, lost_record, list_makes_no_sense,
						     to_repair };
	struct fixture *s = calloc(1, sizeof(*s));

	(void)state;
	assert_non_null(s);
	fixture_start(s);
	for (unsigned i = 0; i < sizeof(make) / sizeof(make[0]); i++) {
		fixture_restore(s);
		sm_store(&s->pool->trouble->changes, 100 * (i + 1));
		trouble_sync(s->pool);
		assert_int_equal(fixture_check(s), 0);
		make[i](s);
		fixture_check(s);
		if (!fixture_said(s, s->want))
			fail_msg("\"%s\" is not said", s->want);
	}
	fixture_restore(s);
	sm_store(&s->pool->trouble->changes, 1000);
	trouble_sync(s->pool);
	fixture_stop(s);
	free(s);
}

/* -- summaries --------------------------------------------------------------------- */

static void note_denied(void *context, const char *line)
{
	const char **want = context;

	finding_seen(line);
	if (!strncmp(line, *want, strlen(*want)))
		*want = "";
}

static void expect_denied(struct pod *pod, const char *want)
{
	struct daxfs_check check;

	assert_int_equal(check_pool(fs_pool(pod->fs[0]), note_denied, &want, &check), 0);
	assert_string_equal(want, "");
}

/* The words of a pool of two levels: a group closed over a free page; the word above closed over an open one. */
static void denials_are_found(void **state)
{
	struct pool_summary *pages;
	struct pod pod;

	(void)state;
	pod_start(&pod, 8 << 20);
	pages = &fs_pool_writable(pod.fs[0])->summary[DAXFS_T_PAGE];
	assert_int_equal(pages->levels, 2);
	sm_store(&pages->word[0][0], (uint64_t)DAXFS_GROUP_NOTHING << DAXFS_GROUP_BITS);
	expect_denied(&pod, "denied: group 0: of type 0 says that nothing is free, but ");
	sm_store(&pages->word[0][0], 0);
	sm_store(&pages->word[1][0], (uint64_t)DAXFS_GROUP_NOTHING << DAXFS_GROUP_BITS);
	expect_denied(&pod, "denied: group 0: of type 0, level 1, is closed (0x8000000000000000), but 0 below is open");
	sm_store(&pages->word[1][0], 0);
	pod_stop(&pod);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_is_found),
		cmocka_unit_test(denials_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
