/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_poison.c - memory that fails under every operation and every recovery.
 *
 * A page of the pool fails at the n-th access to it, for every page that an operation touches
 * and every n up to some, then ever more rarely: the page is out of reach of the host's mapping,
 * each access is let through alone, and the n-th finds the page of an empty file. Whatever the operation
 * was about, its caller gets an answer, the process lives, no lane is lost, files that do not lie
 * in that page are read and written by other hosts, and the host can be recovered.
 */
#include "poison.h"

#include <sched.h>
#include <signal.h>
#include <ucontext.h>

#include "mem/guard.h"

#define POOL (720u << 10)
#define STEP (1ull << 8) /* trap flag of the processor */
#define FILLERS 18u      /* so that inodes lie in two pages */

/* -- the n-th access ---------------------------------------------------------------- */

static struct {
	struct poison *p;
	uint64_t offset;     /* of the page */
	unsigned left, seen; /* accesses until it fails; that there were */
	bool failed;
	bool note; /* instead: which pages there are accesses to */
	bool touched[POOL / 4096];
} trap;

static void protect(int prot)
{
	mprotect((char *)trap.p->map[0] + trap.offset, 4096, prot);
}

static void on_access(int number, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	uint64_t offset = (uint64_t)((char *)info->si_addr - (char *)trap.p->map[0]);

	if (trap.note && offset < POOL) {
		trap.touched[offset / 4096] = true;
		mprotect((char *)trap.p->map[0] + offset / 4096 * 4096, 4096, PROT_READ | PROT_WRITE);
		return;
	}
	if (offset - trap.offset >= 4096)
		signal(number, SIG_DFL); /* something else */
	trap.seen++;
	if (--trap.left) {
		protect(PROT_READ | PROT_WRITE);
		uc->uc_mcontext.gregs[REG_EFL] |= STEP;
	} else {
		trap.failed = true;
		for (unsigned i = 0; i < POD_HOSTS; i++)
			mmap((char *)trap.p->map[i] + trap.offset, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			     trap.p->empty, 0);
	}
}

static void on_step(int number, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	(void)number, (void)info;
	uc->uc_mcontext.gregs[REG_EFL] &= ~STEP;
	protect(PROT_NONE);
}

static void trap_install(void)
{
	struct sigaction action = { .sa_sigaction = on_access, .sa_flags = SA_SIGINFO | SA_NODEFER };

	sigaction(SIGSEGV, &action, NULL);
	action.sa_sigaction = on_step;
	sigaction(SIGTRAP, &action, NULL);
}

static void trap_set(struct poison *p, uint64_t offset, unsigned nth)
{
	trap.p = p;
	trap.offset = offset;
	trap.left = nth;
	trap.seen = 0;
	trap.failed = false;
	protect(PROT_NONE);
}

/* Note the pages that are touched from here on. */
static void trap_note(struct poison *p)
{
	trap.p = p;
	trap.note = true;
	memset(trap.touched, 0, sizeof(trap.touched));
	mprotect(p->map[0], POOL, PROT_NONE);
}

static void trap_noted(void)
{
	trap.note = false;
	mprotect(trap.p->map[0], POOL, PROT_READ | PROT_WRITE);
}

static void trap_clear(void)
{
	if (!trap.failed)
		protect(PROT_READ | PROT_WRITE);
}

/* -- a world --------------------------------------------------------------------------- */

struct world {
	struct poison p;
	daxfs_ino dir, file, big, other;
	struct pool *pool; /* as host 2 sees it, which does nothing but look */
};

static char bytes[256 << 10];

static void world_start(struct world *w, bool wb)
{
	struct daxfs *fs;
	char name[16];

	poison_start(&w->p, POOL, wb);
	fs = w->p.pod.fs[0];
	w->pool = fs_pool_writable(w->p.pod.fs[2]);
	w->dir = pod_mkdir(fs, DAXFS_ROOT, "dir");
	w->file = pod_create(fs, w->dir, "file");
	w->big = pod_create(fs, w->dir, "big");
	assert_int_equal(daxfs_write(fs, w->file, bytes, 6000, 0, 0), 6000);
	assert_int_equal(daxfs_write(fs, w->big, bytes, 20 * 4096, 0, 0), 20 * 4096);
	pod_create(fs, w->dir, "victim");
	for (unsigned i = 0; i < FILLERS; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		w->other = pod_create(w->p.pod.fs[2], DAXFS_ROOT, name);
	}
	assert_int_equal(daxfs_write(w->p.pod.fs[2], w->other, "other", 5, 0, 0), 5);
}

static bool lies_in(const struct world *w, const void *p, size_t len)
{
	uint64_t from = pool_offset(w->pool, p);

	return from < trap.offset + 4096 && from + len > trap.offset;
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

static int op_beat(struct world *w)
{
	return daxfs_beat(w->p.pod.fs[0]);
}

static int op_statfs(struct world *w)
{
	struct daxfs_statfs usage;

	return daxfs_statfs(w->p.pod.fs[0], &usage);
}

static const struct operation {
	const char *name;
	int (*run)(struct world *w);
} operations[] = {
	{ "create", op_create },       { "create open", op_create_open },
	{ "mkdir", op_mkdir },         { "symlink", op_symlink },
	{ "unlink", op_unlink },       { "rename", op_rename },
	{ "overwrite", op_overwrite }, { "append", op_append },
	{ "write big", op_write_big }, { "read", op_read },
	{ "truncate", op_truncate },   { "hold", op_hold },
	{ "orphan", op_orphan },       { "lock", op_lock },
	{ "readdir", op_readdir },     { "view", op_view },
	{ "draft", op_draft },         { "beat", op_beat },
	{ "statfs", op_statfs },
};

/* -- the tests ------------------------------------------------------------------------------- */

static struct {
	unsigned worlds, failed, eio, clean, unclean;
} figures;

/* A finding: the page, what may be below it, files that are to be repaired, marks of a record in it.
 * All else would be damage done. */
static void judge_finding(void *context, const char *line)
{
	static const char *const fine[] = { "bad-memory: ", "out-of-reach: ", "to-repair: ", "lost-mark: " };
	unsigned *wrong = context;

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

	if (lies_in(w, w->pool->member, sizeof(*w->pool->member)) ||
	    lies_in(w, &w->pool->lanes[2], 2 * sizeof(struct sm_lane)))
		return false; /* nobody can do that, or not host 1 */
	pod_fence(&w->p.pod, 0);
	assert_int_equal(daxfs_recover(w->p.pod.fs[1], 0, &report), 0);
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
	trap_set(&w.p, offset, nth);
	rc = op->run(&w);
	trap_clear();
	failed = trap.failed;
	figures.worlds++;
	if (!failed) {
		assert_int_equal(rc, good);
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
	if (expect_recoverable(&w))
		expect_whole(&w);
	poison_all(&w.p, offset, false);
	expect_lanes(&w, 0);
	daxfs_repair_done(w.p.pod.fs[2], DAXFS_REPAIR_PAGE, offset);
	expect_other_reads(&w);
	poison_stop(&w.p);
	return true;
}

static void fail_everywhere(const struct operation *op)
{
	struct world w;
	int good;

	world_start(&w, false);
	trap_note(&w.p);
	good = op->run(&w);
	trap_noted();
	assert_true(good >= 0);
	poison_stop(&w.p);
	for (uint64_t offset = 0; offset < POOL; offset += 4096)
		for (unsigned n = 1; trap.touched[offset / 4096] && fail_at(op, offset, n, good); n += n < 24 ? 1 : n)
			;
}

static void every_operation(void **state)
{
	cpu_set_t one;

	(void)state;
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one); /* lanes are taken by processor: the same pages each time */
	trap_install();
	for (unsigned i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
		memset(&figures, 0, sizeof(figures));
		fail_everywhere(&operations[i]);
		print_message("%-12s %5u worlds, memory failed in %5u, EIO in %5u\n", operations[i].name,
			      figures.worlds, figures.failed, figures.eio);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_operation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
