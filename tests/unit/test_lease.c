/* SPDX-License-Identifier: Apache-2.0 */
/* test_lease.c - answers that a host may keep: granted, given back, run out. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

#include "lease_fixture.h"

static struct sm_inode *inode_of(struct pod *pod, daxfs_ino ino)
{
	return &fs_pool(pod->fs[0])->inodes[handle_index(ino)];
}

static enum daxfs_term term_of(struct pod *pod, unsigned host)
{
	return term_state(sm_load(&fs_pool(pod->fs[0])->holders[host].term));
}

static void test_granted(void **state)
{
	struct daxfs_lease lease;
	struct daxfs_attr attr;
	struct pod pod;
	daxfs_ino ino;

	(void)state;
	start(&pod, LONG_MS, true);
	ino = pod_create(pod.fs[0], DAXFS_ROOT, "f");
	assert_int_equal(ask(&pod, "f", &attr, &lease), 0);
	assert_true(lease.names_ns && lease.attr_ns);
	assert_int_equal(sm_load(&inode_of(&pod, ino)->leases), 1);
	assert_int_equal(sm_load(&inode_of(&pod, DAXFS_ROOT)->leases), 1);
	assert_int_equal(ask(&pod, "g", &attr, &lease), -ENOENT);
	assert_true(lease.names_ns && !lease.attr_ns);
	assert_int_equal(ask(&pod, ".", &attr, &lease), 0);
	assert_true(!lease.names_ns && !lease.attr_ns);
	stop(&pod);
}

/* Not by who does not answer recalls, and in no pool without leases. */
static void test_not_granted(void **state)
{
	struct daxfs_lease lease;
	struct daxfs_attr attr;
	struct pod pod;
	daxfs_ino ino;

	(void)state;
	start(&pod, LONG_MS, false);
	ino = pod_create(pod.fs[0], DAXFS_ROOT, "f");
	assert_int_equal(ask(&pod, "f", &attr, &lease), 0);
	assert_true(!lease.names_ns && !lease.attr_ns);
	assert_int_equal(sm_load(&inode_of(&pod, ino)->leases), 0);
	stop(&pod);
	start(&pod, 0, false);
	assert_int_equal(daxfs_lease_start(pod.fs[0], NULL, NULL), -EOPNOTSUPP);
	assert_int_equal(ask(&pod, "f", &attr, &lease), -ENOENT);
	assert_true(!lease.names_ns);
	stop(&pod);
}

/* What somebody else may write at any time nobody is granted; the last close ends that. */
static void test_written_elsewhere(void **state)
{
	struct daxfs_lease lease;
	struct daxfs_attr attr;
	struct pod pod;
	daxfs_ino ino;
	sm_u64 *word;

	(void)state;
	start(&pod, LONG_MS, true);
	ino = pod_create(pod.fs[0], DAXFS_ROOT, "f");
	assert_int_equal(daxfs_file_open(pod.fs[1], ino), 0);
	assert_int_equal(daxfs_write(pod.fs[1], ino, "hello", 5, 0, 0), 5);
	assert_int_equal(sm_load(&inode_of(&pod, ino)->writers), 2);
	assert_int_equal(ask(&pod, "f", &attr, &lease), 0);
	assert_true(lease.names_ns && !lease.attr_ns);
	assert_int_equal(sm_load(&inode_of(&pod, ino)->leases), 0);
	assert_int_equal(daxfs_file_close(pod.fs[1], ino), 0);
	assert_int_equal(ask(&pod, "f", &attr, &lease), 0);
	assert_true(lease.names_ns && lease.attr_ns);
	assert_int_equal(attr.size, 5);
	/* Nor what is being cut off: its pages are still to go. */
	word = &inode_of(&pod, ino)->size;
	sm_store(word, word_next(sm_load(word), DAXFS_W_SIZE, 5 | DAXFS_SIZE_PRUNE));
	assert_int_equal(ask(&pod, "f", &attr, &lease), 0);
	assert_true(lease.names_ns && !lease.attr_ns);
	sm_store(word, word_next(sm_load(word), DAXFS_W_SIZE, 5));
	stop(&pod);
}

/* -- recalled ---------------------------------------------------------------------- */

struct change {
	struct pod *pod;
	pthread_t thread;
	int (*call)(struct daxfs *fs, daxfs_ino ino);
	daxfs_ino ino;
	atomic_bool done;
	atomic_bool answered; /* the answer under way has been given */
	unsigned drops;
	bool names;
};

static void *change_main(void *arg)
{
	struct change *c = arg;

	assert_int_equal(c->call(c->pod->fs[1], c->ino), 0);
	atomic_store(&c->done, true);
	return NULL;
}

static void change_start(struct change *c)
{
	assert_int_equal(pthread_create(&c->thread, NULL, change_main, c), 0);
}

/* The kernel forgets; until it has, the change is not to be seen by anybody. */
static bool drop(void *context, daxfs_ino ino, bool names)
{
	struct change *c = context;
	struct daxfs_attr attr;

	(void)ino;
	assert_false(atomic_load(&c->done));
	assert_true(atomic_load(&c->answered));
	assert_int_equal(daxfs_lookup(c->pod->fs[2], DAXFS_ROOT, "f", &attr), 0);
	assert_int_equal(attr.size, 0);
	assert_int_equal(attr.mode & 07777, 0644);
	c->drops++;
	c->names |= names;
	return true;
}

static void serve_until_done(struct change *c)
{
	while (!atomic_load(&c->done)) {
		daxfs_beat(c->pod->fs[0]);
		if (!daxfs_lease_poll(c->pod->fs[0], drop, c))
			sched_yield();
	}
	pthread_join(c->thread, NULL);
}

static int remove_f(struct daxfs *fs, daxfs_ino ino)
{
	(void)ino;
	return daxfs_unlink(fs, DAXFS_ROOT, "f");
}

static int set_mode(struct daxfs *fs, daxfs_ino ino)
{
	struct daxfs_attr in = { .mode = 0600 }, out;

	return daxfs_setattr(fs, ino, DAXFS_SET_MODE, &in, &out);
}

static int write_some(struct daxfs *fs, daxfs_ino ino)
{
	return daxfs_write(fs, ino, "x", 1, 0, 0) == 1 ? 0 : -EIO;
}

static int open_and_write(struct daxfs *fs, daxfs_ino ino)
{
	int rc = daxfs_file_open(fs, ino);

	rc = rc ? rc : write_some(fs, ino);
	return rc ? rc : daxfs_file_close(fs, ino);
}

static int draft(struct daxfs *fs, daxfs_ino ino)
{
	struct daxfs_draft *d;
	void *page;
	int rc;

	do {
		rc = daxfs_draft_begin(fs, ino, 0, DAXFS_PAGE_SIZE, &page, &d);
		memset(page, 7, DAXFS_PAGE_SIZE);
		rc = rc ? rc : daxfs_draft_commit(d);
	} while (rc == -EAGAIN);
	return rc;
}

static void test_recalled(void **state)
{
	int (*const calls[])(struct daxfs * fs, daxfs_ino ino) = { remove_f, set_mode, write_some, open_and_write,
								   draft };

	(void)state;
	for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		struct change c = { .call = calls[i], .answered = true };
		struct daxfs_lease lease;
		struct daxfs_attr attr;
		struct pod pod;

		start(&pod, LONG_MS, true);
		c.pod = &pod;
		c.ino = pod_create(pod.fs[2], DAXFS_ROOT, "f");
		assert_int_equal(ask(&pod, "f", &attr, &lease), 0);
		assert_true(lease.names_ns && lease.attr_ns);
		change_start(&c);
		serve_until_done(&c);
		assert_true(c.drops >= 1);
		assert_int_equal(c.names, calls[i] == remove_f);
		assert_int_equal(sm_load(&inode_of(&pod, c.ino)->leases) & 1, 0);
		stop(&pod);
	}
}

/* An answer that is under way when it is recalled arrives before the kernel forgets. */
static void test_under_way(void **state)
{
	struct change c = { .call = remove_f };
	struct daxfs_answer answer;
	struct daxfs_lease lease;
	struct daxfs_attr attr;
	struct pod pod;

	(void)state;
	start(&pod, LONG_MS, true);
	c.pod = &pod;
	pod_create(pod.fs[2], DAXFS_ROOT, "f");
	daxfs_beat(pod.fs[0]);
	daxfs_answer_begin(pod.fs[0], &answer);
	assert_int_equal(daxfs_lookup_leased(pod.fs[0], DAXFS_ROOT, "f", &attr, &lease), 0);
	assert_true(lease.names_ns);
	change_start(&c);
	/* It asks; nobody polls meanwhile, so it waits. */
	while (!sm_load(&fs_pool(pod.fs[0])->holders[0].request[0]))
		sched_yield();
	assert_false(atomic_load(&c.done));
	atomic_store(&c.answered, true);
	assert_true(daxfs_answer_end(pod.fs[0], &answer));
	serve_until_done(&c);
	stop(&pod);
}

struct poller {
	struct change *c;
	atomic_int polled;
};

static void *poll_once(void *arg)
{
	struct poller *p = arg;

	while (!daxfs_lease_poll(p->c->pod->fs[0], drop, p->c))
		sched_yield();
	atomic_store(&p->polled, 1);
	return NULL;
}

/* The same when it is polled: the poll waits for the answer. drop() says if it does not. */
static void test_poll_waits(void **state)
{
	struct change c = { .call = remove_f };
	struct poller p = { .c = &c };
	struct daxfs_answer answer;
	struct daxfs_lease lease;
	struct daxfs_attr attr;
	struct pod pod;
	pthread_t thread;

	(void)state;
	start(&pod, LONG_MS, true);
	c.pod = &pod;
	pod_create(pod.fs[2], DAXFS_ROOT, "f");
	daxfs_beat(pod.fs[0]);
	daxfs_answer_begin(pod.fs[0], &answer);
	assert_int_equal(daxfs_lookup_leased(pod.fs[0], DAXFS_ROOT, "f", &attr, &lease), 0);
	change_start(&c);
	assert_int_equal(pthread_create(&thread, NULL, poll_once, &p), 0);
	while (!atomic_load(&pod.fs[0]->lease.phase)) /* it has begun to wait */
		sched_yield();
	usleep(1000); /* room for what should not happen */
	atomic_store(&c.answered, true);
	daxfs_answer_end(pod.fs[0], &answer);
	pthread_join(thread, NULL);
	serve_until_done(&c);
	stop(&pod);
}

static void test_late_answer(void **state)
{
	struct daxfs_answer answer;
	struct pod pod;

	(void)state;
	start(&pod, LONG_MS, true);
	daxfs_answer_begin(pod.fs[0], &answer);
	answer.begun_ns -= LONG_MS / 4 * 1000000ull;
	assert_false(daxfs_answer_end(pod.fs[0], &answer));
	stop(&pod);
}

/* -- silence ---------------------------------------------------------------------------- */

/* A host that is silent is waited for once; when it comes back, it grants under another number. */
static void test_silent(void **state)
{
	struct daxfs_lease lease = { 0 };
	struct daxfs_attr attr;
	struct pod pod;
	uint64_t term;

	(void)state;
	start(&pod, SHORT_MS, true);
	pod_create(pod.fs[2], DAXFS_ROOT, "f");
	while (!lease.attr_ns)
		assert_int_equal(ask(&pod, "f", &attr, &lease), 0);
	term = sm_load(&fs_pool(pod.fs[0])->holders[0].term);
	assert_int_equal(daxfs_unlink(pod.fs[1], DAXFS_ROOT, "f"), 0);
	assert_int_equal(term_of(&pod, 0), DAXFS_TERM_VOID);
	assert_int_equal(ask(&pod, "f", &attr, &lease), -ENOENT);
	while (!lease.names_ns)
		assert_int_equal(ask(&pod, "f", &attr, &lease), -ENOENT);
	assert_int_equal(sm_load(&fs_pool(pod.fs[0])->holders[0].term) >> 2, (term >> 2) + 1);
	assert_int_equal(term_of(&pod, 0), DAXFS_TERM_GRANTING);
	stop(&pod);
}

/* Others that beat find out without anybody waiting; who beats itself is not found silent. */
static void test_silence_noticed(void **state)
{
	struct pod pod;
	uint64_t since;

	(void)state;
	start(&pod, SHORT_MS, true);
	while (term_of(&pod, 0) != DAXFS_TERM_VOID)
		daxfs_beat(pod.fs[1]);
	stop(&pod);
	start(&pod, LONG_MS, true);
	for (since = lease_clock(); lease_clock() - since < LONG_MS * 100ull;) /* a ten-thousandth of that time */
		daxfs_beat(pod.fs[1]);
	assert_int_equal(term_of(&pod, 0), DAXFS_TERM_GRANTING);
	stop(&pod);
}

/*
 * A machine that was cut off has no kernel: who recovers its host waits for nothing, nor does anybody after that. It
 * counts for the tenant that was cut off, and not where its process alone has ended.
 */
static void test_cut_off(void **state)
{
	(void)state;
	for (int off = 0; off < 3; off++) {
		struct daxfs_lease lease = { 0 };
		struct daxfs_recovery report;
		struct daxfs_attr attr;
		struct pod pod;

		start(&pod, LONG_MS, true);
		pod_create(pod.fs[2], DAXFS_ROOT, "f");
		while (!lease.attr_ns)
			assert_int_equal(ask(&pod, "f", &attr, &lease), 0);
		pod_fence(&pod, 0);
		sm_store(&fs_pool_writable(pod.fs[1])->member->host[0].fence_ms,
			 off ? (uint64_t)(pod.fs[0]->generation + off - 1) << 40 | 7 : 7);
		assert_int_equal(daxfs_recover(pod.fs[1], 0, &report), 0);
		assert_int_equal(term_of(&pod, 0), off == 2 ? DAXFS_TERM_VOID : DAXFS_TERM_GRANTING);
		if (off == 2)
			assert_int_equal(daxfs_unlink(pod.fs[1], DAXFS_ROOT, "f"), 0);
		stop(&pod);
	}
}

/* The next tenant of a slot answers for what the former one granted, but not before that has run out. */
static void test_next_tenant(void **state)
{
	struct daxfs_lease lease = { 0 };
	struct daxfs_recovery report;
	struct daxfs_error err;
	struct daxfs_attr attr;
	struct change c = { .answered = true };
	struct pod pod;

	(void)state;
	start(&pod, LONG_MS, true);
	c.pod = &pod;
	pod_create(pod.fs[2], DAXFS_ROOT, "f");
	assert_int_equal(ask(&pod, "f", &attr, &lease), 0);
	pod_fence(&pod, 0);
	assert_int_equal(daxfs_recover(pod.fs[1], 0, &report), 0);
	daxfs_close(pod.fs[0]);
	assert_int_equal(fs_attach(pod.base, pod.size, &pod.fs[0], &err), 0);
	assert_int_equal(daxfs_join(pod.fs[0], 0, "next", &err), 0);
	assert_int_equal(daxfs_lease_start(pod.fs[0], NULL, NULL), 0);
	lease_ask(fs_pool_writable(pod.fs[1]), 0, DAXFS_ROOT);
	assert_int_equal(ask(&pod, "f", &attr, &lease), 0);
	assert_true(!lease.names_ns && !lease.attr_ns);
	assert_int_equal(daxfs_lease_poll(pod.fs[0], drop, &c), 0);
	pod.fs[0]->lease.inherited_ns = 1; /* the time has come */
	assert_int_equal(daxfs_lease_poll(pod.fs[0], drop, &c), 1);
	assert_int_equal(c.drops, 0);
	stop(&pod);
}

/* One that does not grant has them made void. */
static void test_tenant_without_leases(void **state)
{
	struct daxfs_recovery report;
	struct daxfs_error err;
	struct pod pod;

	(void)state;
	start(&pod, SHORT_MS, true);
	pod_fence(&pod, 0);
	assert_int_equal(daxfs_recover(pod.fs[1], 0, &report), 0);
	daxfs_close(pod.fs[0]);
	assert_int_equal(fs_attach(pod.base, pod.size, &pod.fs[0], &err), 0);
	assert_int_equal(daxfs_join(pod.fs[0], 0, "next", &err), 0);
	while (term_of(&pod, 0) != DAXFS_TERM_VOID)
		daxfs_beat(pod.fs[0]);
	stop(&pod);
}

/* -- all together ------------------------------------------------------------------------ */

#define NAMES 8u
#define LOOKS 20000u

/* A name that host 1 makes and removes: `begun` and `done` count its changes; it is there after odd ones. */
struct name {
	atomic_uint begun, done;
	/* what the kernel of host 0 believes */
	pthread_mutex_t lock;
	uint64_t until;
	bool there;
};

struct storm {
	struct pod pod;
	struct name name[NAMES];
	atomic_bool stop, stop_serving; /* last: who changes may wait for it */
	atomic_uint recalls;
};

static bool storm_drop(void *context, daxfs_ino ino, bool names)
{
	struct storm *s = context;

	(void)ino;
	for (unsigned i = 0; names && i < NAMES; i++) {
		pthread_mutex_lock(&s->name[i].lock);
		s->name[i].until = 0;
		pthread_mutex_unlock(&s->name[i].lock);
	}
	atomic_fetch_add(&s->recalls, 1);
	return true;
}

static void *storm_serve(void *arg)
{
	struct storm *s = arg;

	while (!atomic_load(&s->stop_serving)) {
		daxfs_beat(s->pod.fs[0]);
		if (!daxfs_lease_poll(s->pod.fs[0], storm_drop, s))
			sched_yield();
	}
	return NULL;
}

static void *storm_change(void *arg)
{
	struct storm *s = arg;

	for (unsigned n = 0; !atomic_load(&s->stop); n++) {
		struct name *name = &s->name[n % NAMES];
		char text[8];

		snprintf(text, sizeof(text), "n%u", n % NAMES);
		atomic_fetch_add(&name->begun, 1);
		if (atomic_load(&name->done) % 2)
			assert_int_equal(daxfs_unlink(s->pod.fs[1], DAXFS_ROOT, text), 0);
		else
			pod_create(s->pod.fs[1], DAXFS_ROOT, text);
		atomic_fetch_add(&name->done, 1);
		usleep(n % 16 ? 0 : 9000); /* so that leases are granted again */
	}
	return NULL;
}

/* What a program on host 0 is told. */
static bool storm_ask(struct storm *s, unsigned i, unsigned *kept)
{
	struct name *name = &s->name[i];
	struct daxfs_answer answer;
	struct daxfs_lease lease;
	struct daxfs_attr attr;
	char text[8];
	bool there;

	pthread_mutex_lock(&name->lock);
	there = name->there;
	if (name->until > lease_clock()) {
		(*kept)++;
		pthread_mutex_unlock(&name->lock);
		return there;
	}
	pthread_mutex_unlock(&name->lock);
	snprintf(text, sizeof(text), "n%u", i);
	daxfs_answer_begin(s->pod.fs[0], &answer);
	there = daxfs_lookup_leased(s->pod.fs[0], DAXFS_ROOT, text, &attr, &lease) == 0;
	pthread_mutex_lock(&name->lock);
	name->there = there;
	name->until = lease.names_ns ? lease_clock() + lease.names_ns : 0;
	pthread_mutex_unlock(&name->lock);
	if (!daxfs_answer_end(s->pod.fs[0], &answer))
		name->until = 0;
	return there;
}

/* No answer is older than what had been done when it was asked for, kept or not. */
static void test_storm(void **state)
{
	static struct storm s;
	pthread_t serve, change;
	unsigned kept = 0, sure = 0;

	(void)state;
	start(&s.pod, LONG_MS, true);
	for (unsigned i = 0; i < NAMES; i++)
		pthread_mutex_init(&s.name[i].lock, NULL);
	pthread_create(&serve, NULL, storm_serve, &s);
	pthread_create(&change, NULL, storm_change, &s);
	for (unsigned n = 0; n < LOOKS || !kept || !atomic_load(&s.recalls); n++) {
		struct name *name = &s.name[n % NAMES];
		unsigned done = atomic_load(&name->done);
		bool there = storm_ask(&s, n % NAMES, &kept);

		if (atomic_load(&name->begun) != done)
			continue; /* it may be either */
		sure++;
		assert_int_equal(there, done % 2);
	}
	atomic_store(&s.stop, true);
	pthread_join(change, NULL);
	atomic_store(&s.stop_serving, true);
	pthread_join(serve, NULL);
	assert_true(sure);
	stop(&s.pod);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* First: threads of the others rely on it. */
		cmocka_unit_test(test_silent),      cmocka_unit_test(test_silence_noticed),
		cmocka_unit_test(test_cut_off),     cmocka_unit_test(test_granted),
		cmocka_unit_test(test_not_granted), cmocka_unit_test(test_written_elsewhere),
		cmocka_unit_test(test_recalled),    cmocka_unit_test(test_under_way),
		cmocka_unit_test(test_poll_waits),  cmocka_unit_test(test_late_answer),
		cmocka_unit_test(test_next_tenant), cmocka_unit_test(test_tenant_without_leases),
		cmocka_unit_test(test_storm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
