/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_poison.c - memory that fails under every operation and every recovery.
 *
 * A page of the pool fails at the n-th access to it, for every page that an operation touches
 * and every n up to some (DAXFS_ACCESSES, 3), then ever more rarely: the page is out of reach of the host's mapping,
 * each access is let through alone, and the n-th finds the page of an empty file. Whatever the operation
 * was about, its caller gets an answer, the process lives, no lane is lost, files that do not lie
 * in that page are read and written by other hosts, and the host can be recovered.
 */
#include <sched.h>

#include "daxfs/cache.h"
#include "findings.h"
#include "mem/guard.h"
#include "poison_world.h"

/* -- what it concerns ------------------------------------------------------------------ */

static bool lies_in(const struct world *w, const void *p, size_t len)
{
	uint64_t from = pool_offset(w->pool, p);

	return from < trap.offset + 4096 && from + len > trap.offset;
}

/* What a host needs for all that it does. */
static bool concerns_host(const struct world *w, unsigned host)
{
	return lies_in(w, w->pool->member, sizeof(*w->pool->member)) ||
	       lies_in(w, &w->pool->lanes[2 * host], 2 * sizeof(struct sm_lane));
}

/* What the other file needs to be read by host 2. */
static bool concerns_other(const struct world *w)
{
	const struct sm_inode *sm = &w->pool->inodes[handle_index(w->other)];
	unsigned lane = 2 * w->pool->super.lanes_per_host;

	return lies_in(w, w->pool->member, sizeof(*w->pool->member)) || lies_in(w, sm, sizeof(*sm)) ||
	       lies_in(w, &w->pool->state[DAXFS_T_INODE][handle_index(w->other)], 8) ||
	       lies_in(w, pool_page(w->pool, link_index(sm_load(&sm->direct[0]))), 4096) ||
	       lies_in(w, &w->pool->lanes[lane], 2 * sizeof(struct sm_lane));
}

static void expect_other_reads(struct world *w)
{
	char buf[8];

	assert_int_equal(daxfs_read(w->p.pod.fs[2], w->other, buf, sizeof(buf), 0), 5);
	assert_memory_equal(buf, "other", 5);
}

/* No lane is busy, and none is broken but for memory of its own that failed. */
static void expect_lanes(struct world *w, unsigned host)
{
	struct daxfs *fs = w->p.pod.fs[host];

	fs_retry_broken(fs);
	for (unsigned i = 0; i < fs->n_slots; i++) {
		const struct sm_lane *lane = &w->pool->lanes[fs->slots[i].lane.id];

		if (lies_in(w, lane, sizeof(*lane)) || lies_in(w, w->pool->member, sizeof(*w->pool->member)))
			continue;
		assert_false(atomic_load(&fs->slots[i].busy));
		assert_int_equal(status_state(sm_load(&lane->status)), DAXFS_IDLE);
		assert_int_equal(sm_load(&lane->low), 0);
		assert_int_equal(sm_load(&lane->todo), 0);
	}
}

static bool end_page(void *context, const struct daxfs_repair *item)
{
	(void)context;
	if (item->kind == DAXFS_REPAIR_PAGE)
		assert_int_equal(item->subject, trap.offset); /* nothing else is listed */
	return true;
}

/* Stopped where they were, the lanes of host 1 are mended, as after a load that failed. */
static void wake(struct world *w)
{
	struct lane *lanes[] = { w->claimer, w->sleeper };

	for (unsigned i = 0; i < 2; i++) {
		if (!lanes[i])
			continue;
		lanes[i]->txn.fault = w->recoverer == 1; /* or it was recovered with its host */
		fs_put_lane(w->p.pod.fs[1], lanes[i]);
	}
}

/* A thread of host 0 that was stopped in helping has left no claim. */
static void expect_no_claim(const struct world *w, const sm_u64 *word)
{
	uint64_t now = sm_load(word);

	if (word_is_claim(now) && mark_lane(now) < 2 &&
	    !lies_in(w, &w->pool->lanes[mark_lane(now)], sizeof(struct sm_lane)))
		fail_msg("a claim is left: %#llx", (unsigned long long)now);
}

/* No claim is left but of a lane that is lost, no mark but of a record that is, or that such a claim was for. */
static void expect_left(const struct world *w, const sm_u64 *word)
{
	uint64_t now = sm_load(word);

	if (!word_is_mark(now) || lies_in(w, &w->pool->lanes[mark_lane(now)], sizeof(struct sm_lane)))
		return;
	assert_false(word_is_claim(now));
	for (unsigned i = 0; i < 4; i++)
		if (lies_in(w, &w->pool->lanes[i], sizeof(struct sm_lane)))
			return;
	fail_msg("a mark is left: %#llx", (unsigned long long)now);
}

static void expect_words(const struct world *w, void (*expect)(const struct world *w, const sm_u64 *word))
{
	for (unsigned i = 0; i < 2 && w->sleeper; i++) {
		const sm_u64 *word = pool_at(w->pool, pool_offset(w->sleeper->pool, w->word[i]));
		const sm_u64 *state = &w->pool->state[DAXFS_T_INODE][handle_index(w->pair[i])];

		if (!lies_in(w, word, sizeof(*word)) && !lies_in(w, state, sizeof(*state)))
			expect(w, word);
	}
}

/* -- operations ---------------------------------------------------------------------------- */

static int op_create(struct world *w)
{
	struct daxfs_attr attr;

	return daxfs_mknod(w->p.pod.fs[0], w->dir, "new", S_IFREG | 0644, 0, pod_root, false, &attr);
}

static int op_create_open(struct world *w)
{
	struct daxfs_attr attr;

	return daxfs_mknod(w->p.pod.fs[0], w->dir, "new", S_IFREG | 0644, 0, pod_root, true, &attr);
}

static int op_mkdir(struct world *w)
{
	struct daxfs_attr attr;

	return daxfs_mkdir(w->p.pod.fs[0], w->dir, "new", 0755, pod_root, &attr);
}

static int op_symlink(struct world *w)
{
	struct daxfs_attr attr;

	return daxfs_symlink(w->p.pod.fs[0], w->dir, "new", "target", pod_root, &attr);
}

static int op_unlink(struct world *w)
{
	return daxfs_unlink(w->p.pod.fs[0], w->dir, "big");
}

static int op_rename(struct world *w)
{
	return daxfs_rename(w->p.pod.fs[0], w->dir, "file", w->dir, "victim", 0);
}

static int op_overwrite(struct world *w)
{
	return (int)daxfs_write(w->p.pod.fs[0], w->file, bytes, 100, 50, 0);
}

static int op_append(struct world *w)
{
	return (int)daxfs_write(w->p.pod.fs[0], w->file, bytes, 9000, 0, DAXFS_APPEND);
}

static int op_write_big(struct world *w)
{
	return (int)daxfs_write(w->p.pod.fs[0], w->big, bytes, 70000, 60000, 0);
}

static int op_read(struct world *w)
{
	static char buf[90000];

	return (int)daxfs_read(w->p.pod.fs[0], w->big, buf, sizeof(buf), 0);
}

static int op_truncate(struct world *w)
{
	struct daxfs_attr want = { .size = 5000 }, attr;

	return daxfs_setattr(w->p.pod.fs[0], w->big, DAXFS_SET_SIZE, &want, &attr);
}

static int op_hold(struct world *w)
{
	int rc = daxfs_file_open(w->p.pod.fs[0], w->file);

	return rc ? rc : daxfs_file_close(w->p.pod.fs[0], w->file);
}

static int op_orphan(struct world *w)
{
	int rc = daxfs_file_open(w->p.pod.fs[0], w->file), rc2;

	if (rc)
		return rc;
	rc = daxfs_unlink(w->p.pod.fs[0], w->dir, "file");
	rc2 = daxfs_file_close(w->p.pod.fs[0], w->file);
	return rc ? rc : rc2;
}

static int op_lock(struct world *w)
{
	struct daxfs_lock lock = { .end = 9, .owner = 1, .pid = 1, .type = DAXFS_LOCK_WRITE };
	int rc = daxfs_file_open(w->p.pod.fs[0], w->file), rc2;

	if (rc)
		return rc;
	rc = daxfs_lock(w->p.pod.fs[0], w->file, &lock);
	rc2 = daxfs_file_close(w->p.pod.fs[0], w->file);
	return rc ? rc : rc2;
}

static bool count_entry(void *context, const char *name, daxfs_ino ino, unsigned type, uint64_t next)
{
	(void)name, (void)ino, (void)type, (void)next;
	++*(int *)context;
	return true;
}

static int op_readdir(struct world *w)
{
	int n = 0, rc = daxfs_readdir(w->p.pod.fs[0], w->dir, 0, count_entry, &n);

	return rc ? rc : n;
}

static int op_view(struct world *w)
{
	struct daxfs_view *view;
	const void *at;
	ssize_t n = 0;
	int rc = daxfs_view_open(w->p.pod.fs[0], &view);

	for (uint64_t offset = 0; rc == 0 && offset < 80000; offset += (uint64_t)n) {
		n = daxfs_view_read(view, w->big, offset, &at);
		if (n <= 0)
			break;
		rc = n < 0 ? (int)n : 0;
	}
	if (rc == 0)
		daxfs_view_close(view);
	return rc ? rc : n < 0 ? (int)n : 1;
}

static int fill_pages(void *context)
{
	void **page = context;

	memset(page[0], 'd', 4096);
	memset(page[1], 'd', 4096);
	return 0;
}

static int op_draft(struct world *w)
{
	struct daxfs_draft *draft;
	void *page[2];
	int rc = daxfs_draft_begin(w->p.pod.fs[0], w->file, 0, 8192, page, &draft);

	if (rc)
		return rc;
	rc = daxfs_guard(w->p.pod.fs[0], fill_pages, page);
	if (rc == 0)
		return daxfs_draft_commit(draft);
	daxfs_draft_abort(draft);
	return rc;
}

/* A file of storage, with a node; what of it is cached. */
#define STORED_BYTES (12 * 4096)

static daxfs_ino stored_file;

static ssize_t read_stored(void *context, daxfs_ino ino, uint64_t file, void *buf, size_t len, uint64_t offset)
{
	(void)context, (void)ino, (void)file, (void)offset;
	memset(buf, 's', len);
	return (ssize_t)len;
}

static int op_fill(struct world *w)
{
	static char buf[STORED_BYTES], want[STORED_BYTES];
	ssize_t n = daxfs_read(w->p.pod.fs[0], stored_file, buf, sizeof(buf), 0);

	memset(want, 's', sizeof(want));
	if (n > 0)
		assert_memory_equal(buf, want, (size_t)n);
	return n < 0 ? (int)n : 1; /* it may be short of what is behind memory that failed */
}

static int op_drop(struct world *w)
{
	int64_t n = daxfs_cache_drop(w->p.pod.fs[0], stored_file, 0, STORED_BYTES);

	return n < 0 ? (int)n : 1;
}

static void store(struct world *w)
{
	const struct daxfs_storage storage = { .struct_size = sizeof(storage), .read = read_stored };
	const struct daxfs_attr attr = { .mode = 0644, .size = STORED_BYTES };
	struct daxfs_attr out;

	assert_int_equal(daxfs_backing_attach(w->p.pod.fs[0], 0, &storage), 0);
	assert_int_equal(daxfs_import(w->p.pod.fs[2], w->dir, "stored", &attr, 0, 1, &out), 0);
	stored_file = out.ino;
}

static void store_cached(struct world *w)
{
	store(w);
	assert_int_equal(op_fill(w), 1);
}

static int op_beat(struct world *w)
{
	return daxfs_beat(w->p.pod.fs[0]);
}

static int op_statfs(struct world *w)
{
	struct daxfs_statfs usage;

	return daxfs_statfs(w->p.pod.fs[0], &usage);
}

static int op_help(struct world *w)
{
	struct daxfs_attr want = { .mode = 0640 };

	return daxfs_setattr(w->p.pod.fs[0], w->pair[0], DAXFS_SET_MODE, &want, NULL);
}

static int op_help_claimed(struct world *w)
{
	struct daxfs_attr want = { .mode = 0640 };

	return daxfs_setattr(w->p.pod.fs[0], w->pair[1], DAXFS_SET_MODE, &want, NULL);
}

static int op_help_size(struct world *w)
{
	struct daxfs_attr want = { .size = 5000 };

	return daxfs_setattr(w->p.pod.fs[0], w->pair[0], DAXFS_SET_SIZE, &want, NULL);
}

/* As an agent does it: again, if it did not succeed. */
static int op_recover(struct world *w)
{
	struct daxfs_recovery report;
	struct host_word word;
	int rc = daxfs_recover(w->p.pod.fs[0], 1, &report);

	if (rc == 0 || !trap.failed || concerns_host(w, 0))
		return rc;
	rc = daxfs_recover(w->p.pod.fs[0], 1, &report);
	assert_int_equal(rc, 0);
	assert_int_equal(host_word_unpack(sm_load(&w->pool->member->host[1].word), &word), 0);
	assert_int_equal(word.state, DAXFS_HOST_RECOVERED);
	return -EIO;
}

static const struct operation {
	const char *name;
	int (*run)(struct world *w);
	void (*before)(struct world *w);
	unsigned accesses; /* at least: what is looked for shows at a later one */
} operations[] = {
	{ "create", op_create, NULL, 0 },
	{ "create open", op_create_open, NULL, 0 },
	{ "mkdir", op_mkdir, NULL, 0 },
	{ "symlink", op_symlink, NULL, 0 },
	{ "unlink", op_unlink, NULL, 0 },
	{ "rename", op_rename, NULL, 0 },
	{ "overwrite", op_overwrite, NULL, 0 },
	{ "append", op_append, NULL, 0 },
	{ "write big", op_write_big, NULL, 0 },
	{ "read", op_read, NULL, 0 },
	{ "truncate", op_truncate, NULL, 0 },
	{ "hold", op_hold, NULL, 0 },
	{ "orphan", op_orphan, NULL, 0 },
	{ "lock", op_lock, NULL, 0 },
	{ "readdir", op_readdir, NULL, 0 },
	{ "view", op_view, NULL, 0 },
	{ "draft", op_draft, NULL, 0 },
	{ "fill", op_fill, store, 0 },
	{ "cached", op_fill, store_cached, 0 },
	{ "drop", op_drop, store_cached, 0 },
	{ "beat", op_beat, NULL, 0 },
	{ "statfs", op_statfs, NULL, 0 },
	{ "help", op_help, hang_marked, 0 },
	{ "help size", op_help_size, hang_marked_size, 24 },
	{ "meet claim", op_help, hang_claimed, 0 },
	{ "help claimed", op_help_claimed, hang_claimed, 0 },
	{ "recover", op_recover, die, 0 },
	{ "recover early", op_recover, die_early, 0 },
};

/* -- the tests ------------------------------------------------------------------------------- */

static struct {
	unsigned worlds, failed, eio, clean, unclean;
} figures;

/* A finding: the page, what may be below it, files that are to be repaired, marks of a record in it.
 * All else would be damage done. */
static void judge_finding(void *context, const char *line)
{
	static const char *const fine[] = { "bad-memory: ", "lost-bytes: ", "out-of-reach: ", "to-repair: ",
					    "lost-mark: " };
	unsigned *wrong = context;

	finding_seen(line);
	for (unsigned i = 0; i < sizeof(fine) / sizeof(fine[0]); i++)
		if (!strncmp(line, fine[i], strlen(fine[i])))
			return;
	++*wrong;
	fprintf(stderr, "  %s\n", line);
}

static bool expect_recoverable(struct world *w)
{
	struct daxfs_recovery report;
	struct host_word word;

	if (concerns_host(w, w->recoverer))
		return false; /* nobody can do that, or not this host */
	pod_fence(&w->p.pod, 0);
	assert_int_equal(daxfs_recover(w->p.pod.fs[w->recoverer], 0, &report), 0);
	assert_int_equal(host_word_unpack(sm_load(&w->pool->member->host[0].word), &word), 0);
	assert_int_equal(word.state, DAXFS_HOST_RECOVERED);
	return true;
}

static void expect_whole(struct world *w)
{
	struct daxfs_check check;
	unsigned wrong = 0;

	assert_int_equal(daxfs_check(w->p.pod.fs[2], judge_finding, &wrong, &check), 0);
	assert_int_equal(wrong, 0);
}

/* True: the page was touched so often. */
static bool fail_at(const struct operation *op, uint64_t offset, unsigned nth, int good)
{
	struct world w;
	bool failed;
	int rc;

	world_start(&w, nth % 2);
	if (op->before)
		op->before(&w);
	trap_set(&w.p, offset, nth);
	rc = op->run(&w);
	trap_clear();
	failed = trap.failed;
	figures.worlds++;
	if (!failed) {
		assert_int_equal(rc, good);
		wake(&w);
		poison_stop(&w.p);
		return false;
	}
	figures.failed++;
	figures.eio += rc == -EIO;
	if (rc != good && rc != -EIO && rc != -ENOSPC)
		fail_msg("%s: page %#llx failed at access %u: returned %d", op->name, (unsigned long long)offset, nth,
			 rc);
	if (!concerns_other(&w))
		expect_other_reads(&w);
	if (!lies_in(&w, w.pool->member, sizeof(*w.pool->member)))
		assert_true(daxfs_repair_list(w.p.pod.fs[2], end_page, &w) >= 1);
	expect_lanes(&w, 0);
	expect_words(&w, expect_no_claim);
	wake(&w);
	if (expect_recoverable(&w)) {
		expect_whole(&w);
		expect_words(&w, expect_left);
	}
	poison_all(&w.p, offset, false);
	expect_lanes(&w, 0);
	daxfs_repair_done(w.p.pod.fs[2], DAXFS_REPAIR_PAGE, offset);
	expect_other_reads(&w);
	poison_stop(&w.p);
	return true;
}

static void fail_everywhere(const struct operation *op)
{
	const char *given = getenv("DAXFS_ACCESSES");
	unsigned accesses = given ? (unsigned)strtoul(given, NULL, 10) : 3;
	struct world w;
	int good;

	accesses = accesses < op->accesses ? op->accesses : accesses;
	world_start(&w, false);
	if (op->before)
		op->before(&w);
	trap_note(&w.p);
	good = op->run(&w);
	trap_noted();
	assert_true(good >= 0);
	wake(&w);
	poison_stop(&w.p);
	for (uint64_t offset = 0; offset < POOL; offset += 4096)
		for (unsigned n = 1; trap.touched[offset / 4096] && fail_at(op, offset, n, good);
		     n = n < accesses ? n + 1 : 4 * n)
			;
}

/* Lanes are taken by processor: the same pages each time, of host 0 the first, which shares none with host 1's. */
static void take_first_lane(void)
{
	cpu_set_t all, one;
	int cpu = 0;

	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	while (cpu < CPU_SETSIZE && !CPU_ISSET(cpu, &all))
		cpu += 2;
	if (cpu >= CPU_SETSIZE)
		return; /* there is none: the second, then */
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	sched_setaffinity(0, sizeof(one), &one);
}

static void every_operation(void **state)
{
	(void)state;
	take_first_lane();
	trap_install();
	for (unsigned i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
		memset(&figures, 0, sizeof(figures));
		fail_everywhere(&operations[i]);
		print_message("%-12s %5u worlds, memory failed in %5u, EIO in %5u\n", operations[i].name,
			      figures.worlds, figures.failed, figures.eio);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_operation),
	};

	(void)argc;
	trap_without_sequences(argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
