/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_lock.c - locks of several hosts on one file (fs/lock.c): against a model
 * that knows of every byte who has locked it how; who lets go when; what needs
 * space and what does not. Damage: test_lock_check.c.
 */
#include <pthread.h>
#include <sched.h>

#include "lock_fixture.h"
#include "inspect/inspect.h"

static int whole(struct fixture *s, unsigned host, uint64_t owner, enum daxfs_lock_type type)
{
	struct daxfs_lock lock = { .owner = owner, .type = type, .kind = DAXFS_LOCK_FLOCK };

	return daxfs_lock(s->pod.fs[host], s->ino, &lock);
}

/* The locks in force, as a tool without a lane sees them. */
static void look(struct fixture *s, struct lockset *set)
{
	uint64_t w = locks_word(s);
	const char *wrong;

	set->n = 0;
	if (link_kind(w) == DAXFS_ABSENT)
		return;
	wrong = inspect_locks(rig_pool(&s->pod), handle_index(s->ino), w, set);
	if (wrong)
		fail_msg("%s", wrong);
}

static unsigned count(struct fixture *s)
{
	struct sm_lock room[DAXFS_LOCKS_MAX];
	struct lockset set = { 0, room };

	look(s, &set);
	return set.n;
}

/* -- semantics ------------------------------------------------------------------- */

/* Bytes 0..BYTES-2 as they are; BYTES-1 stands for all others. */
#define BYTES 24
#define OWNERS 2 /* a host */
#define STEPS 30000

struct model {
	uint8_t type[2][POD_HOSTS][OWNERS][BYTES];
};

static struct daxfs_lock random_lock(unsigned *seed)
{
	unsigned a = (unsigned)rand_r(seed) % BYTES, b = (unsigned)rand_r(seed) % BYTES;
	struct daxfs_lock lock = {
		.start = a < b ? a : b,
		.end = a < b ? b : a,
		.owner = (unsigned)rand_r(seed) % OWNERS,
		.type = (enum daxfs_lock_type)((unsigned)rand_r(seed) % 3),
		.kind = rand_r(seed) % 8 ? DAXFS_LOCK_POSIX : DAXFS_LOCK_FLOCK,
	};

	if (lock.end == BYTES - 1)
		lock.end = END;
	return lock;
}

static unsigned last_byte(const struct daxfs_lock *lock)
{
	return lock->end == END ? BYTES - 1 : (unsigned)lock->end;
}

static bool model_refuses(const struct model *m, unsigned host, const struct daxfs_lock *lock)
{
	bool flock = lock->kind == DAXFS_LOCK_FLOCK;

	for (unsigned h = 0; h < POD_HOSTS; h++)
		for (unsigned o = 0; o < OWNERS; o++)
			for (unsigned i = flock ? 0 : (unsigned)lock->start; i <= (flock ? 0 : last_byte(lock)); i++) {
				uint8_t type = m->type[lock->kind][h][o][i];

				if ((h != host || o != lock->owner) && type && lock->type &&
				    (type == W || lock->type == W))
					return true;
			}
	return false;
}

static void model_set(struct model *m, unsigned host, const struct daxfs_lock *lock)
{
	bool flock = lock->kind == DAXFS_LOCK_FLOCK;

	for (unsigned i = flock ? 0 : (unsigned)lock->start; i <= (flock ? BYTES - 1 : last_byte(lock)); i++)
		m->type[lock->kind][host][lock->owner][i] = (uint8_t)lock->type;
}

/* The pool has exactly the model's locks: as few as can say it, in order. */
static void expect_model(struct fixture *s, const struct model *m)
{
	struct model got;
	struct sm_lock room[DAXFS_LOCKS_MAX];
	struct lockset set = { 0, room };

	look(s, &set);
	memset(&got, 0, sizeof(got));
	for (unsigned i = 0; i < set.n; i++) {
		const struct sm_lock *l = &set.lock[i];
		struct daxfs_lock lock = { .start = l->start,
					   .end = l->end,
					   .owner = l->owner,
					   .type = (enum daxfs_lock_type)l->type,
					   .kind = (enum daxfs_lock_kind)l->kind };
		uint8_t *type = got.type[l->kind][l->host][l->owner];

		assert_true(l->owner < OWNERS && l->pid == 100u + l->host);
		assert_true(!type[l->start] && !type[last_byte(&lock)]);
		assert_true(l->start == 0 || type[l->start - 1] != l->type); /* would be one lock */
		if (i)
			assert_true(l[-1].kind < l->kind || (l[-1].kind == l->kind && l[-1].start <= l->start));
		model_set(&got, l->host, &lock);
	}
	assert_memory_equal(&got, m, sizeof(got));
	assert_int_equal(link_kind(locks_word(s)), set.n ? DAXFS_LOCKS : DAXFS_ABSENT);
}

static void like_the_model(void **state)
{
	struct fixture s;
	struct model m;
	unsigned seed = (unsigned)getpid(), refused = 0;

	(void)state;
	print_message("seed %u\n", seed);
	fixture_start(&s, 64);
	memset(&m, 0, sizeof(m));
	for (unsigned i = 0; i < STEPS; i++) {
		unsigned host = (unsigned)rand_r(&seed) % POD_HOSTS;
		struct daxfs_lock lock = random_lock(&seed), found;
		bool refuse = model_refuses(&m, host, &lock);

		lock.pid = 100 + host;
		assert_int_equal(daxfs_lock_get(s.pod.fs[host], s.ino, &lock, &found), 0);
		assert_int_equal(found.type != U, refuse);
		if (refuse)
			assert_true(m.type[found.kind][found.host][found.owner][found.start] == found.type);
		assert_int_equal(daxfs_lock(s.pod.fs[host], s.ino, &lock), refuse ? -EAGAIN : 0);
		if (!refuse)
			model_set(&m, host, &lock);
		expect_model(&s, &m);
		refused += refuse;
	}
	assert_in_range(refused, STEPS / 20, STEPS - STEPS / 5);
	pod_stop(&s.pod);
}

/* What is asked for again, or not there, changes no word and takes no page. */
static void nothing_to_do(void **state)
{
	struct fixture s;
	uint64_t w;
	sm_u64 *word;

	(void)state;
	fixture_start(&s, 64);
	word = &rig_pool(&s.pod)->inodes[handle_index(s.ino)].locks;
	w = sm_load(word);
	assert_int_equal(range(&s, 0, 1, U, 0, END), 0);
	assert_true(sm_load(word) == w);
	assert_int_equal(range(&s, 0, 1, W, 10, 20), 0);
	w = sm_load(word);
	assert_int_equal(range(&s, 0, 1, W, 12, 20), 0);
	assert_int_equal(range(&s, 0, 1, U, 0, 9), 0);
	assert_int_equal(range(&s, 0, 2, U, 0, END), 0);
	assert_true(sm_load(word) == w);
	assert_int_equal(range(&s, 0, 1, U, 0, END), 0);
	pod_stop(&s.pod);
}

static void refused_arguments(void **state)
{
	struct fixture s;
	struct daxfs_lock lock = { .end = 5, .type = W }, out;

	(void)state;
	fixture_start(&s, 64);
	assert_int_equal(range(&s, 0, 1, W, 5, 4), -EINVAL);
	assert_int_equal(range(&s, 0, 1, W, 0, END + 1), -EINVAL);
	assert_int_equal(range(&s, 0, 1, (enum daxfs_lock_type)3, 0, 1), -EINVAL);
	lock.kind = DAXFS_LOCK_MAP; /* of type W */
	assert_int_equal(daxfs_lock(s.pod.fs[0], s.ino, &lock), -EINVAL);
	lock.kind = (enum daxfs_lock_kind)3;
	assert_int_equal(daxfs_lock(s.pod.fs[0], s.ino, &lock), -EINVAL);
	assert_int_equal(daxfs_lock_get(s.pod.fs[0], s.ino, &lock, &out), -EINVAL);
	lock.kind = DAXFS_LOCK_POSIX;
	assert_int_equal(daxfs_lock(s.pod.fs[0], s.ino + (1ull << 32), &lock), -ESTALE);
	assert_int_equal(daxfs_file_close(s.pod.fs[0], s.ino), 0);
	assert_int_equal(range(&s, 0, 1, R, 0, 1), -EBADF); /* who does not hold does not lock */
	assert_int_equal(range(&s, 0, 1, U, 0, 1), -EBADF);
	assert_int_equal(daxfs_lock_get(s.pod.fs[0], s.ino, &lock, &out), 0); /* but may ask */
	pod_stop(&s.pod);
}

/* -- mappings --------------------------------------------------------------------- */

static int map(struct fixture *s, unsigned host)
{
	struct daxfs_lock lock = { .kind = DAXFS_LOCK_MAP, .type = R, .owner = 7 };

	return daxfs_lock(s->pod.fs[host], s->ino, &lock);
}

/* Without locks mappings are in nobody's way; then locks of any kind are refused: each has a foreign one. */
static void mappings_without_locks(void **state)
{
	struct fixture s;

	(void)state;
	fixture_start(&s, 64);
	assert_int_equal(map(&s, 0), 0);
	assert_int_equal(map(&s, 1), 0);
	assert_int_equal(map(&s, 0), 0);
	assert_int_equal(count(&s), 2);
	for (unsigned host = 0; host < POD_HOSTS; host++) {
		assert_int_equal(range(&s, host, 1, R, 5, 5), -EAGAIN);
		assert_int_equal(whole(&s, host, 1, R), -EAGAIN);
		assert_int_equal(range(&s, host, 1, U, 0, END), 0);
	}
	pod_check(&s.pod);
	pod_stop(&s.pod);
}

/* One host's mapping and locks keep out the locks and mappings of others, until it closes the file. */
static void a_mapping_keeps_locks_out(void **state)
{
	struct daxfs_lock lock = { .start = 3, .end = 3, .owner = 1, .type = R }, found;
	struct fixture s;

	(void)state;
	fixture_start(&s, 64);
	assert_int_equal(range(&s, 0, 1, R, 0, 9), 0);
	assert_int_equal(map(&s, 0), 0);
	assert_int_equal(range(&s, 0, 2, R, 0, 9), 0);
	assert_int_equal(range(&s, 0, 1, U, 0, 9), 0);
	assert_int_equal(range(&s, 1, 1, R, 20, 20), -EAGAIN);
	assert_int_equal(whole(&s, 1, 1, R), -EAGAIN);
	assert_int_equal(map(&s, 1), -EAGAIN);
	assert_int_equal(daxfs_lock_get(s.pod.fs[1], s.ino, &lock, &found), 0);
	assert_int_equal(found.kind, DAXFS_LOCK_MAP);
	assert_int_equal(found.host, 0);
	pod_check(&s.pod);
	assert_int_equal(daxfs_file_close(s.pod.fs[0], s.ino), 0);
	assert_int_equal(link_kind(locks_word(&s)), DAXFS_ABSENT);
	assert_int_equal(range(&s, 1, 1, R, 20, 20), 0);
	assert_int_equal(map(&s, 1), 0);
	pod_stop(&s.pod);
}

/* Both had a lock before either mapped: the first to map goes on, the other's locks stay, but it cannot map. */
static void the_first_mapping_wins(void **state)
{
	struct daxfs_recovery report;
	struct fixture s;

	(void)state;
	fixture_start(&s, 64);
	assert_int_equal(range(&s, 0, 1, R, 0, 9), 0);
	assert_int_equal(range(&s, 1, 1, R, 0, 9), 0);
	assert_int_equal(map(&s, 1), 0);
	assert_int_equal(map(&s, 0), -EAGAIN);
	assert_int_equal(range(&s, 0, 1, R, 10, 19), -EAGAIN);
	assert_int_equal(range(&s, 1, 2, R, 10, 19), 0);
	assert_int_equal(range(&s, 0, 1, U, 0, 9), 0);
	pod_check(&s.pod);
	pod_fence(&s.pod, 1); /* a dead host's mapping stays until it is recovered, as its locks do */
	assert_int_equal(range(&s, 0, 1, R, 30, 39), -EAGAIN);
	assert_int_equal(daxfs_recover(s.pod.fs[2], 1, &report), 0);
	assert_int_equal(range(&s, 0, 1, R, 30, 39), 0);
	assert_int_equal(map(&s, 0), 0);
	pod_stop(&s.pod);
}

/* -- letting go ------------------------------------------------------------------- */

/* The last release of a host ends all its locks of the file, in the record that clears its bit, and no other's. */
static void the_last_release_unlocks(void **state)
{
	struct fixture s;
	struct sm_lock room[DAXFS_LOCKS_MAX];
	struct lockset set = { 0, room };

	(void)state;
	fixture_start(&s, 64);
	assert_int_equal(daxfs_file_open(s.pod.fs[0], s.ino), 0);
	assert_int_equal(range(&s, 0, 1, W, 0, 9), 0);
	assert_int_equal(range(&s, 0, 2, W, 10, 19), 0);
	assert_int_equal(range(&s, 1, 1, W, 20, 29), 0);
	assert_int_equal(whole(&s, 0, 3, R), 0);
	assert_int_equal(whole(&s, 2, 3, R), 0);
	assert_int_equal(daxfs_file_close(s.pod.fs[0], s.ino), 0);
	assert_int_equal(count(&s), 5);
	assert_int_equal(daxfs_file_close(s.pod.fs[0], s.ino), 0);
	look(&s, &set);
	assert_int_equal(set.n, 2);
	assert_int_equal(set.lock[0].host, 1);
	assert_int_equal(set.lock[1].host, 2);
	pod_check(&s.pod);
	assert_int_equal(daxfs_file_close(s.pod.fs[1], s.ino), 0);
	assert_int_equal(daxfs_leave(s.pod.fs[2]), 0);
	assert_int_equal(link_kind(locks_word(&s)), DAXFS_ABSENT);
	pod_stop(&s.pod);
}

/* A dead host's locks keep others out until it is recovered, and no longer; the living keep theirs. */
static void recovery_unlocks(void **state)
{
	struct fixture s;
	struct daxfs_recovery report;
	struct daxfs_lock lock = { .start = 0, .end = 9, .owner = 5, .type = R }, found;

	(void)state;
	fixture_start(&s, 64);
	assert_int_equal(range(&s, 0, 1, W, 0, 9), 0);
	assert_int_equal(whole(&s, 0, 1, W), 0);
	assert_int_equal(range(&s, 1, 1, W, 20, 29), 0);
	pod_fence(&s.pod, 0);
	assert_int_equal(range(&s, 0, 1, U, 0, 9), -ESTALE);
	assert_int_equal(range(&s, 1, 1, R, 5, 5), -EAGAIN);
	assert_int_equal(whole(&s, 2, 1, R), -EAGAIN);
	assert_int_equal(daxfs_lock_get(s.pod.fs[2], s.ino, &lock, &found), 0);
	assert_int_equal(found.type, W);
	assert_int_equal(found.host, 0);
	assert_int_equal(found.pid, 100);
	pod_check(&s.pod);
	assert_int_equal(daxfs_recover(s.pod.fs[2], 0, &report), 0);
	assert_int_equal(range(&s, 1, 1, R, 5, 5), 0);
	assert_int_equal(whole(&s, 2, 1, R), 0);
	assert_int_equal(range(&s, 2, 1, R, 20, 20), -EAGAIN);
	assert_int_equal(range(&s, 2, 1, R, 0, 19), 0);
	assert_int_equal(count(&s), 4);
	pod_stop(&s.pod);
}

/* Nameless, locked, held by the dead alone: recovery frees all of it. */
static void nameless_and_locked(void **state)
{
	struct fixture s;
	struct daxfs_recovery report;
	struct daxfs_attr attr;
	uint64_t pages;

	(void)state;
	fixture_start(&s, 64);
	pages = pod_check(&s.pod).usage.pages.live;
	assert_int_equal(range(&s, 0, 1, W, 0, 9), 0);
	assert_int_equal(pod_check(&s.pod).usage.pages.live, pages + 1);
	assert_int_equal(daxfs_unlink(s.pod.fs[1], DAXFS_ROOT, "f"), 0);
	assert_int_equal(daxfs_file_close(s.pod.fs[1], s.ino), 0);
	assert_int_equal(daxfs_file_close(s.pod.fs[2], s.ino), 0);
	pod_fence(&s.pod, 0);
	assert_int_equal(daxfs_recover(s.pod.fs[2], 0, &report), 0);
	assert_int_equal(daxfs_getattr(s.pod.fs[1], s.ino, &attr), -ESTALE);
	assert_int_equal(pod_check(&s.pod).usage.pages.live, pages);
	pod_stop(&s.pod);
}

/* A record of a lock stopped before its decision: whoever wants the word ends it, and it happened. */
static void others_finish_it(void **state)
{
	struct fixture s;
	struct lane *lane;
	struct sm_inode *sm;
	sm_u64 *live;
	uint64_t w;

	(void)state;
	fixture_start(&s, 64);
	assert_int_equal(range(&s, 0, 1, W, 0, 9), 0);
	assert_int_equal(range(&s, 0, 2, W, 20, 29), 0);
	sm = &rig_pool(&s.pod)->inodes[handle_index(s.ino)];
	live = &((struct sm_locks *)(void *)pool_page(rig_pool(&s.pod), link_index(locks_word(&s))))->live[0];
	lane = rig_enter(s.pod.fs[0]);
	record_begin(lane, OP_LOCK); /* gives up the first */
	w = sm_load(&sm->locks);
	txn_word(&lane->txn, &sm->locks, DAXFS_W_LINK, w, word_payload(w, DAXFS_W_LINK));
	txn_word(&lane->txn, live, DAXFS_W_LOCKS, sm_load(live), 2);
	rig_undecided(lane);
	rig_mark(lane, 0);
	assert_int_equal(range(&s, 1, 1, R, 0, 9), 0);
	assert_int_equal(range(&s, 1, 1, R, 15, 25), -EAGAIN);
	assert_int_equal(rig_status_of(lane), DAXFS_COMMITTED);
	rig_status(lane, DAXFS_IDLE);
	rig_exit(s.pod.fs[0], lane);
	pod_stop(&s.pod);
}

/* -- space -------------------------------------------------------------------------- */

static void a_full_page(void **state)
{
	struct fixture s;

	(void)state;
	fixture_start(&s, 64);
	for (unsigned i = 0; i < DAXFS_LOCKS_MAX; i++)
		assert_int_equal(range(&s, i % 3, 1, W, 10 * i, 10 * i + 4), 0);
	assert_int_equal(range(&s, 0, 1, W, 7, 7), -ENOLCK);
	assert_int_equal(range(&s, 0, 1, U, 1, 1), -ENOLCK); /* would be two */
	assert_int_equal(count(&s), DAXFS_LOCKS_MAX);
	assert_int_equal(range(&s, 0, 1, W, 5, 5), 0); /* grows one */
	assert_int_equal(range(&s, 2, 1, U, 0, END), 0);
	assert_int_equal(count(&s), DAXFS_LOCKS_MAX * 2 / 3);
	assert_int_equal(range(&s, 0, 1, W, 7, 7), 0);
	pod_stop(&s.pod);
}

/* Append until it fails. */
static int fill(struct daxfs *fs, daxfs_ino ino)
{
	char page[DAXFS_PAGE_SIZE] = "x";
	ssize_t n;

	do
		n = daxfs_write(fs, ino, page, sizeof(page), 0, DAXFS_APPEND);
	while (n > 0);
	return (int)n;
}

/* With no page left nothing can be locked, but all be given up: by hand, by closing, by recovery. */
static void a_full_pool(void **state)
{
	struct fixture s;
	struct daxfs_recovery report;
	daxfs_ino filler[2];

	(void)state;
	fixture_start(&s, 64);
	filler[0] = pod_create(s.pod.fs[1], DAXFS_ROOT, "large");
	filler[1] = pod_create(s.pod.fs[1], DAXFS_ROOT, "small"); /* needs no index for the last page */
	for (unsigned host = 0; host < POD_HOSTS; host++)
		for (unsigned i = 0; i < 4; i++)
			assert_int_equal(range(&s, host, i, W, 100 * host + 10 * i, 100 * host + 10 * i + 4), 0);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(fill(s.pod.fs[1], filler[i]), -ENOSPC);
	assert_int_equal(range(&s, 1, 9, W, 50, 60), -ENOLCK);
	assert_int_equal(range(&s, 1, 2, U, 121, 121), -ENOLCK); /* part of one */
	assert_int_equal(range(&s, 1, 2, U, 120, 124), 0);
	assert_int_equal(range(&s, 2, 0, U, 0, END), 0);
	assert_int_equal(daxfs_file_close(s.pod.fs[2], s.ino), 0);
	pod_fence(&s.pod, 0);
	assert_int_equal(daxfs_recover(s.pod.fs[2], 0, &report), 0);
	assert_int_equal(count(&s), 3);
	pod_check(&s.pod);
	assert_int_equal(daxfs_file_close(s.pod.fs[1], s.ino), 0);
	assert_int_equal(link_kind(locks_word(&s)), DAXFS_ABSENT);
	pod_stop(&s.pod);
}

/* -- threads ---------------------------------------------------------------------------- */

#define THREADS 6
#define ROUNDS 1500
#define CLOSES 120000

struct worker {
	struct fixture *s;
	unsigned id;
	unsigned *inside; /* of each slot: who is there */
	unsigned granted;
	int error;
};

/* Take one of a few ranges for oneself, look whether one is alone in it, let go. */
static void *exclude(void *arg)
{
	struct worker *w = arg;
	unsigned host = w->id % POD_HOSTS, seed = w->id + 1;

	for (unsigned i = 0; i < ROUNDS && !w->error; i++) {
		unsigned slot = (unsigned)rand_r(&seed) % 3;
		int rc;

		while ((rc = range(w->s, host, w->id, W, 10 * slot, 10 * slot + 9)) == -EAGAIN)
			sched_yield();
		if (rc == 0) {
			unsigned before = __atomic_exchange_n(&w->inside[slot], w->id + 1, __ATOMIC_RELAXED);
			unsigned after = __atomic_exchange_n(&w->inside[slot], 0, __ATOMIC_RELAXED);

			rc = before || after != w->id + 1 ? -EUCLEAN : range(w->s, host, w->id, U, 0, END);
		}
		w->error = rc;
	}
	return NULL;
}

static void run_threads(struct fixture *s, struct worker *worker, unsigned n, void *(*fn)(void *))
{
	pthread_t thread[THREADS];
	unsigned inside[3] = { 0 };

	for (unsigned i = 0; i < n; i++) {
		worker[i] = (struct worker){ .s = s, .id = i, .inside = inside };
		assert_int_equal(pthread_create(&thread[i], NULL, fn, &worker[i]), 0);
	}
	for (unsigned i = 0; i < n; i++) {
		pthread_join(thread[i], NULL);
		assert_int_equal(worker[i].error, 0);
	}
}

static void threads_exclude_one_another(void **state)
{
	struct fixture s;
	struct worker worker[THREADS];

	(void)state;
	fixture_start(&s, 64);
	run_threads(&s, worker, THREADS, exclude);
	assert_int_equal(count(&s), 0);
	pod_stop(&s.pod);
}

/*
 * One thread opens and closes, another of its host locks: whenever the first has
 * closed, no lock is there, and none comes.
 */
static void *close_and_look(void *arg)
{
	struct worker *w = arg;
	struct daxfs *fs = w->s->pod.fs[0];
	struct daxfs_lock all = { .end = END, .type = W }, found;

	for (unsigned i = 0; i < CLOSES && !w->error; i++) {
		int rc = daxfs_file_open(fs, w->s->ino);

		if (rc == 0)
			rc = daxfs_file_close(fs, w->s->ino);
		for (unsigned k = 0; rc == 0 && k < 3; k++) {
			rc = daxfs_lock_get(w->s->pod.fs[1], w->s->ino, &all, &found);
			rc = rc ? rc : found.type == U ? 0 : -EUCLEAN;
		}
		w->error = rc;
	}
	__atomic_store_n(&w->inside[0], 1, __ATOMIC_RELAXED);
	return NULL;
}

static void *lock_or_close(void *arg)
{
	struct worker *w = arg;

	if (w->id == 0)
		return close_and_look(arg);
	while (!w->error && !__atomic_load_n(&w->inside[0], __ATOMIC_RELAXED)) {
		int rc = range(w->s, 0, w->id, W, 10 * w->id, 10 * w->id + w->granted % 10);

		w->error = rc == -EBADF ? 0 : rc;
		w->granted += rc == 0;
	}
	return NULL;
}

static void no_lock_outlives_its_holder(void **state)
{
	struct fixture s;
	struct worker worker[2];

	(void)state;
	fixture_start(&s, 64);
	assert_int_equal(daxfs_file_close(s.pod.fs[0], s.ino), 0);
	run_threads(&s, worker, 2, lock_or_close);
	print_message("%u locks were granted\n", worker[1].granted);
	assert_int_equal(count(&s), 0);
	pod_stop(&s.pod);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(like_the_model),
		cmocka_unit_test(nothing_to_do),
		cmocka_unit_test(refused_arguments),
		cmocka_unit_test(mappings_without_locks),
		cmocka_unit_test(a_mapping_keeps_locks_out),
		cmocka_unit_test(the_first_mapping_wins),
		cmocka_unit_test(the_last_release_unlocks),
		cmocka_unit_test(recovery_unlocks),
		cmocka_unit_test(nameless_and_locked),
		cmocka_unit_test(others_finish_it),
		cmocka_unit_test(a_full_page),
		cmocka_unit_test(a_full_pool),
		cmocka_unit_test(threads_exclude_one_another),
		cmocka_unit_test(no_lock_outlives_its_holder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
