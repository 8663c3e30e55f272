/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_steal.c - a guest that its hypervisor stops lengthens the pool's heartbeat; nobody else does.
 *
 * The watch of the heartbeat is the real one, and so is the pool; what the kernel says of stolen time and of waits for
 * a processor is in a proc of the test's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "daxfs/events.h"
#include "fake_root.h"
#include "node-agent/beat_watch.h"

#define TID 4711
#define MS_OF_JIFFY (1000u / (unsigned)sysconf(_SC_CLK_TCK))

struct fixture {
	struct fake_root root;
	char pool[64];
	struct daxfs_member *m;
	struct beat beat;
	struct beat_watch watch;
	uint64_t stolen_ms, waited_ms;
};

static void say_proc(struct fixture *f)
{
	char file[64];

	fake_root_put(&f->root, "/proc/stat", "cpu  7 6 5 4 3 2 1 %llu 0 0\ncpu0 7 6 5 4 3 2 1 9 0 0\n",
		      (unsigned long long)(f->stolen_ms / MS_OF_JIFFY));
	snprintf(file, sizeof(file), "/proc/self/task/%d/schedstat", TID);
	fake_root_put(&f->root, file, "123456789 %llu 42\n", (unsigned long long)f->waited_ms * 1000000ull);
}

static void make_pool(struct fixture *f, unsigned beat_ms, unsigned lease_ms)
{
	struct daxfs_mkfs_options options = {
		.struct_size = sizeof(options),
		.size = 16u << 20,
		.hosts = 3,
		.lanes = 2,
		.heartbeat_ms = beat_ms,
		.lease_ms = lease_ms,
	};
	struct daxfs_error err;
	int fd;

	strcpy(f->pool, "/dev/shm/daxfs-steal-XXXXXX");
	fd = mkstemp(f->pool);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(daxfs_mkfs(f->pool, &options, &err), 0);
	assert_int_equal(daxfs_member_open(f->pool, true, &f->m, &err), 0);
}

static void begin(struct fixture *f, bool guest, unsigned beat_ms, unsigned lease_ms)
{
	memset(f, 0, sizeof(*f));
	make_pool(f, beat_ms, lease_ms);
	fake_root_make(&f->root);
	fake_root_put(&f->root, "/proc/cpuinfo", "flags\t\t: fpu%s\n", guest ? " hypervisor" : "");
	say_proc(f);
	f->beat.period_ms = beat_ms;
	f->beat.tid = TID;
	f->watch.beat = &f->beat;
	f->watch.root = f->root.path;
	f->watch.lengthen = (struct lengthen){ .pool = f->pool, .host = 1 };
	beat_watch_begin(&f->watch, 0);
}

static void end(struct fixture *f)
{
	daxfs_member_close(f->m);
	unlink(f->pool);
	fake_root_end(&f->root);
}

/* A heartbeat is late, of which that was stolen, and that waited for; the watch looks. The heartbeat in force then. */
static unsigned after_late(struct fixture *f, unsigned late_ms, unsigned stolen_ms, unsigned waited_ms)
{
	struct daxfs_timing t;

	f->stolen_ms += stolen_ms;
	f->waited_ms += waited_ms;
	say_proc(f);
	atomic_store(&f->beat.late_ms, late_ms);
	beat_watch_look(&f->watch);
	daxfs_member_timing(f->m, &t);
	atomic_store(&f->beat.period_ms, t.beat_ms);
	assert_true(t.beat_ms <= t.judged_ms);
	return t.beat_ms;
}

static bool keep_heartbeat(void *context, const struct daxfs_event *e)
{
	struct daxfs_event *last = context;

	if (e->kind == DAXFS_EVENT_HEARTBEAT)
		*last = *e;
	return true;
}

static struct daxfs_event last_change(struct fixture *f)
{
	struct daxfs_event e = { .number = 0 };

	assert_true(daxfs_event_list(f->m, 0, keep_heartbeat, &e) >= 0);
	return e;
}

/* -- the numbers of the kernel -------------------------------------------------------- */

static void what_proc_says(void **unused)
{
	struct fixture f;

	(void)unused;
	begin(&f, true, 50, 2000);
	f.stolen_ms = 1230, f.waited_ms = 77;
	say_proc(&f);
	assert_int_equal(steal_ms(f.root.path), 1230);
	assert_int_equal(steal_waited_ms(f.root.path, TID), 77);
	assert_int_equal(steal_waited_ms(f.root.path, TID + 1), 0);
	fake_root_put(&f.root, "/proc/stat", "cpu  1 2 3 4\n");
	assert_int_equal(steal_ms(f.root.path), 0);
	fake_root_put(&f.root, "/proc/stat", "c");
	assert_int_equal(steal_ms(f.root.path), 0);
	end(&f);
	/* Those of this machine can be read at least. */
	steal_ms("");
	steal_waited_ms("", getpid());
}

static void causes(void **unused)
{
	static const struct {
		struct lateness l;
		enum late_cause cause;
	} row[] = {
		/* late, stolen, waited, guest, continued */
		{ { 300, 280, 0, true, false }, LATE_STOLEN }, { { 300, 151, 300, true, false }, LATE_STOLEN },
		{ { 300, 150, 0, true, false }, LATE_UNSEEN }, { { 300, 0, 150, true, false }, LATE_UNSEEN },
		{ { 300, 0, 151, true, false }, LATE_LOAD },   { { 300, 0, 0, false, false }, LATE_LOAD },
		{ { 300, 0, 0, true, true }, LATE_SIGNAL },    { { 300, 280, 0, true, true }, LATE_SIGNAL },
	};

	(void)unused;
	for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		assert_int_equal(late_cause(&row[i].l), row[i].cause);
}

static void how_long_it_is_made(void **unused)
{
	(void)unused;
	assert_int_equal(steal_heartbeat_ms(25, 2000), 13);
	assert_int_equal(steal_heartbeat_ms(300, 2000), 150);
	assert_int_equal(steal_heartbeat_ms(400, 0), 200);
	assert_int_equal(steal_heartbeat_ms(90000, 2000), 200); /* whatever was seen: declared dead within 2 s */
	assert_int_equal(steal_heartbeat_ms(90000, 400), 100);
}

/* -- on a pool ------------------------------------------------------------------------- */

static void a_guest_that_is_stopped(void **unused)
{
	struct daxfs_event e;
	struct fixture f;
	char text[320];

	(void)unused;
	begin(&f, true, 50, 2000);
	assert_int_equal(after_late(&f, 200, 200, 0), 50); /* four heartbeats: nobody has suspected it */
	assert_int_equal(last_change(&f).number, 0);
	assert_int_equal(after_late(&f, 300, 300, 300), 150);
	e = last_change(&f);
	assert_true(e.host == 1 && e.value == 150 && e.ms == 300);
	assert_non_null(strstr(daxfs_event_text(&e, text, sizeof(text)),
			       "made the heartbeat 150 ms; was 50 ms; its hypervisor stopped it for 300 ms"));
	assert_int_equal(after_late(&f, 590, 0, 0), 150);
	assert_int_equal(after_late(&f, 650, 0, 0), 200); /* not said to be stolen, and waited for by nobody */
	assert_int_equal(after_late(&f, 5000, 0, 0), 200);
	assert_int_equal(last_change(&f).value, 200);
	end(&f);
}

static void for_no_other_reason(void **unused)
{
	struct fixture f;

	(void)unused;
	begin(&f, true, 50, 2000);
	assert_int_equal(after_late(&f, 300, 0, 290), 50); /* load */
	beat_watch_continued(&f.watch);
	assert_int_equal(after_late(&f, 300, 0, 0), 50); /* SIGSTOP */
	f.watch.lengthen.pool = NULL;
	assert_int_equal(after_late(&f, 300, 300, 0), 50); /* hosts of one machine */
	end(&f);
	begin(&f, false, 50, 2000);
	assert_int_equal(after_late(&f, 300, 0, 0), 50); /* no guest */
	assert_int_equal(after_late(&f, 300, 300, 0), 50);
	end(&f);
}

static void within_what_leases_allow(void **unused)
{
	struct fixture f;

	(void)unused;
	begin(&f, true, 50, 400);
	assert_int_equal(after_late(&f, 350, 350, 0), 100);
	end(&f);
}

/* What the operator sets stays: longer, and shorter, too. */
static void the_operator_has_the_last_word(void **unused)
{
	struct daxfs_error err;
	struct fixture f;

	(void)unused;
	begin(&f, true, 50, 4000);
	assert_int_equal(after_late(&f, 300, 300, 0), 150);
	assert_int_equal(daxfs_member_heartbeat(f.m, 1000, &err), 0);
	assert_int_equal(after_late(&f, 4500, 4500, 0), 1000);
	assert_int_equal(daxfs_member_heartbeat(f.m, 60, &err), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(after_late(&f, 4500, 4500, 0), 60);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_proc_says),
		cmocka_unit_test(causes),
		cmocka_unit_test(how_long_it_is_made),
		cmocka_unit_test(a_guest_that_is_stopped),
		cmocka_unit_test(for_no_other_reason),
		cmocka_unit_test(within_what_leases_allow),
		cmocka_unit_test(the_operator_has_the_last_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
