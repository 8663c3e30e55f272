/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_features.c - features that are switched on while hosts work: only what all of them know.
 *
 * The pool is one that an older version has made, which did not know the feature `cache`. Hosts of that
 * version are this one's with less in `knows`. What comes at the same moment is the simulator's: pair join-enable.
 */
#include "member_fixture.h"

#include <sys/stat.h>

#include "daxfs/cache.h"
#include "daxfs/host.h"
#include "daxfs/resume.h"
#include "fs/fs.h"
#include "hang.h"
#include "sync/features.h"

#define UNKNOWN_INCOMPAT (1ull << 9)
#define UNKNOWN_COMPAT (1ull << (DAXFS_COMPAT_SHIFT + 9))

static void older(struct sm_super *s)
{
	s->incompat = 0;
}

static struct fixture *older_pool(void **state)
{
	struct fixture *f = *state;

	alarm(HANG_S);
	util_edit(&f->file, older);
	daxfs_member_close(f->m);
	assert_int_equal(daxfs_member_open(f->file.path, true, &f->m, &(struct daxfs_error){ "" }), 0);
	return f;
}

static struct daxfs *host(struct fixture *f, bool knows_it)
{
	struct daxfs_error err = { "" };
	struct daxfs *fs;

	assert_int_equal(daxfs_open(f->file.path, DAXFS_READ_WRITE, &fs, &err), 0);
	if (!knows_it)
		fs->pool.knows &= ~(uint32_t)DAXFS_INCOMPAT_CACHE;
	return fs;
}

static struct daxfs *joined(struct fixture *f, unsigned id, const char *name, bool knows_it)
{
	struct daxfs_error err = { "" };
	struct daxfs *fs = host(f, knows_it);

	if (daxfs_join(fs, id, name, &err))
		fail_msg("%s", err.text);
	return fs;
}

static void gone(struct daxfs *fs)
{
	assert_int_equal(daxfs_leave(fs), 0);
	daxfs_close(fs);
}

static void refuse(struct fixture *f, const char *name, int error, const char *words)
{
	struct daxfs_error err = { "" };

	util_refused(daxfs_member_enable(f->m, name, &err), error, &err, words);
}

static void enable(struct fixture *f)
{
	struct daxfs_error err = { "" };

	if (daxfs_member_enable(f->m, "cache", &err))
		fail_msg("%s", err.text);
}

static struct daxfs_feature feature(const struct fixture *f, const char *name)
{
	struct daxfs_feature out;

	for (unsigned n = 0; daxfs_member_feature(f->m, n, &out) == 0; n++)
		if (out.name ? name && strcmp(out.name, name) == 0 : !name)
			return out;
	fail_msg("there is no feature %s", name ? name : "without a name");
	return out;
}

static int import(struct daxfs *fs)
{
	struct daxfs_attr attr = { .mode = S_IFDIR | 0755 }, out;

	return daxfs_import(fs, DAXFS_ROOT, "storage", &attr, 0, 7, &out);
}

/* Another feature: names of storage lead to one file each. */
static void expect_one_name(struct daxfs *fs)
{
	const struct daxfs_attr file = { .mode = S_IFREG | 0644 };
	struct daxfs_attr out;

	assert_int_equal(daxfs_import(fs, DAXFS_ROOT, "file", &file, 0, 8, &out), 0);
	assert_int_equal(daxfs_has_links(fs), 0);
	assert_int_equal(daxfs_import_name(fs, DAXFS_ROOT, "other", out.ino, NULL), -EOPNOTSUPP);
}

static void once_all_know_it(void **state)
{
	struct fixture *f = older_pool(state);
	struct daxfs *old = joined(f, 0, "old", false), *new = joined(f, 1, "new", true);

	assert_false(feature(f, "cache").on);
	assert_int_equal(import(new), -EOPNOTSUPP);
	refuse(f, "cache", -EBUSY, "host 0 (old) does not know the feature cache: upgrade its agent first");
	gone(old);
	old = joined(f, 0, "old", true);
	enable(f);
	assert_true(feature(f, "cache").on);
	assert_int_equal(import(new), 0); /* it is used by hosts that were there before */
	expect_one_name(new);
	enable(f);
	gone(old);
	gone(new);
}

static void who_may_live_counts(void **state)
{
	struct fixture *f = older_pool(state);
	struct host_word word = in_state(0);

	for (unsigned s = 0; s < DAXFS_HOST_STATES; s++) {
		bool counts = s == DAXFS_HOST_JOINING || s == DAXFS_HOST_ALIVE || s == DAXFS_HOST_SUSPECT ||
			      s == DAXFS_HOST_FENCING;

		word = in_state(s);
		word.recoverer = s == DAXFS_HOST_RECOVERING ? 1 : -1;
		set_word(f, 0, word);
		sm_store(&f->pool.member->manager.features, 0);
		if (counts)
			refuse(f, "cache", -EBUSY, "host 0");
		else
			enable(f);
		/* What a former tenant knew is nothing; what this one knows counts. */
		sm_store(&f->pool.member->manager.features, 0);
		sm_store(&f->pool.member->host[0].knows, (uint64_t)(word.generation - 1) << 40 | super_knows());
		if (counts)
			refuse(f, "cache", -EBUSY, "host 0");
		sm_store(&f->pool.member->host[0].knows, (uint64_t)word.generation << 40 | super_knows());
		enable(f);
		sm_store(&f->pool.member->host[0].knows, 0);
	}
	sm_store(&f->pool.member->manager.features, 0);
	sm_store(&f->pool.member->host[0].word, UINT64_MAX);
	refuse(f, "cache", -EIO, "host slot 0 makes no sense");
}

static void older_versions_cannot_join(void **state)
{
	struct fixture *f = older_pool(state);
	struct daxfs_error err = { "" };
	struct daxfs *old = host(f, false);

	enable(f);
	util_refused(daxfs_join(old, 0, "old", &err), -EPROTONOSUPPORT, &err, "features 0x1 unknown to this program");
	assert_int_equal(view(f, 0).state, DAXFS_HOST_FREE);
	daxfs_close(old);
	gone(joined(f, 0, "new", true));
}

/* A process that goes on with a slot may be of an older version than that before it. */
static void nor_go_on(void **state)
{
	struct fixture *f = older_pool(state);
	struct daxfs *of[] = { joined(f, 0, "host", true), host(f, false), host(f, true), host(f, false) };
	uint64_t tenancy = daxfs_tenancy(of[0]);
	struct daxfs_error err = { "" };

	assert_int_equal(daxfs_resume(of[1], 0, tenancy, NULL, 0, &err), 0);
	refuse(f, "cache", -EBUSY, "host 0 (host)");
	assert_int_equal(daxfs_resume(of[2], 0, tenancy, NULL, 0, &err), 0);
	enable(f);
	util_refused(daxfs_resume(of[3], 0, tenancy, NULL, 0, &err), -EPROTONOSUPPORT, &err, "use a newer one");
	for (unsigned i = 0; i < 4; i++)
		daxfs_close(of[i]); /* the first one leaves; the others are too late */
}

static void what_cannot_be(void **state)
{
	struct fixture *f = older_pool(state);
	struct daxfs_error err = { "" };
	struct daxfs_member *m;

	refuse(f, "colour", -EINVAL, "colour: no such feature");
	assert_true(feature(f, "heat").on && feature(f, "heat").by_mkfs && !feature(f, "heat").incompat);
	assert_int_equal(daxfs_member_enable(f->m, "heat", &err), 0);
	assert_int_equal(daxfs_member_open(f->file.path, false, &m, &err), 0);
	util_refused(daxfs_member_enable(m, "cache", &err), -EROFS, &err, "read-only");
	daxfs_member_close(m);
}

static void no_heat(struct sm_super *s)
{
	s->compat &= ~DAXFS_COMPAT_HEAT;
}

static void room_is_made_by_mkfs(void **state)
{
	struct fixture *f;

	util_edit(&((struct fixture *)*state)->file, no_heat);
	f = older_pool(state);
	assert_true(!feature(f, "heat").on && feature(f, "heat").by_mkfs);
	refuse(f, "heat", -EINVAL, "room that only mkfs makes");
}

/* Of a later version: each door says so, but for compat features. */
static void a_later_version_s(void **state)
{
	struct fixture *f = older_pool(state);
	sm_u64 *word = &f->pool.member->manager.features;
	struct daxfs_error err = { "" };
	struct daxfs_member *m;
	struct daxfs *fs;
	struct pool pool;

	sm_store(word, UNKNOWN_COMPAT);
	assert_int_equal(daxfs_member_speaks(f->m, &err), 0);
	assert_true(feature(f, NULL).on && !feature(f, NULL).incompat && feature(f, NULL).bit == 25);
	gone(joined(f, 0, "host", true));
	assert_int_equal((uint32_t)sm_load(word), UNKNOWN_COMPAT); /* left alone */
	sm_store(word, UNKNOWN_INCOMPAT);
	util_refused(daxfs_open(f->file.path, DAXFS_READ_ONLY, &fs, &err), -EPROTONOSUPPORT, &err, "features 0x200");
	util_refused(daxfs_open(f->file.path, DAXFS_REPAIR, &fs, &err), -EPROTONOSUPPORT, &err, "use a newer one");
	util_refused(daxfs_member_open(f->file.path, false, &m, &err), -EPROTONOSUPPORT, &err, "features 0x200");
	util_refused(pool_attach(f->pool.shm.base, f->pool.shm.size, &pool, &err), -EPROTONOSUPPORT, &err, "0x200");
	/* Those that have looked before it was switched on. */
	util_refused(daxfs_member_speaks(f->m, &err), -EPROTONOSUPPORT, &err, "features 0x200");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_POOL(once_all_know_it),  WITH_POOL(who_may_live_counts), WITH_POOL(older_versions_cannot_join),
		WITH_POOL(nor_go_on),         WITH_POOL(what_cannot_be),      WITH_POOL(room_is_made_by_mkfs),
		WITH_POOL(a_later_version_s),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
