/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_storm.c - somebody scribbles over the pool while hosts work on it and one
 * recovers another: operations fail, and nothing else happens. No crash, no
 * access outside of the pool, no call that does not return.
 *
 * The pool lies between stretches of address space that nobody may touch. Time
 * is cut into rounds: a fresh pool, hosts, a storm of some strength, and an end
 * at which every thread must come back. STORM_SEED=N STORM_SECONDS=N for more;
 * threads make a run of a seed differ from the next one in detail.
 */
#include <pthread.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "hang.h"
#include "pod.h"

#define SPACE (1ull << 30)
#define POOL_BYTES (2ull << 20)
#define HOSTS 4u /* 0 and 1 work, 2 recovers, 3 is always dead */
#define WORKERS 3u
#define ROUND_MS 150u

enum storm_state { RUNNING, OVER };

struct storm {
	uint8_t *base;
	struct pool pool;
	struct daxfs *fs[3];
	struct {
		unsigned seed;
		uint64_t pause_ns;
	} wind;
	int state; /* enum storm_state, by atomics */
	unsigned long operations, failures, changes, recoveries;
};

struct worker {
	struct storm *s;
	unsigned id, seed;
};

static bool over(struct storm *s)
{
	return __atomic_load_n(&s->state, __ATOMIC_RELAXED) == OVER;
}

static void count(unsigned long *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

/* Not cmocka's: those are for one thread. */
static void demand(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "storm: %s\n", what);
	abort();
}

static void pause_ns(uint64_t ns)
{
	nanosleep(&(struct timespec){ .tv_nsec = (long)ns }, NULL);
}

/* -- the wind ------------------------------------------------------------------- */

static sm_u64 *any_word(unsigned *seed, void *p, size_t bytes)
{
	return (sm_u64 *)p + (unsigned)rand_r(seed) % (bytes / sizeof(sm_u64));
}

/* A word of the metadata; membership is spared, or nobody would do anything. */
static sm_u64 *pick_word(struct storm *s, unsigned *seed)
{
	const struct pool *p = &s->pool;
	unsigned type = (unsigned)rand_r(seed) % DAXFS_TYPES, few = 48;
	struct sm_lane *lane = &p->lanes[(unsigned)rand_r(seed) % p->lanes_total];

	switch (rand_r(seed) % 10) {
	case 0: return any_word(seed, lane, offsetof(struct sm_lane, words));
	case 1: return &lane->words[rand_r(seed) % 24];
	case 2: return any_word(seed, lane, sizeof(*lane));
	case 3: return any_word(seed, p->state[type], few * sizeof(sm_u64));
	case 4: return any_word(seed, p->count, few * sizeof(sm_u64));
	case 5: return any_word(seed, p->birth[type], few * sizeof(sm_u64));
	case 6:
	case 7: return any_word(seed, p->inodes, few * sizeof(struct sm_inode));
	case 8: return any_word(seed, p->dirents, few * sizeof(struct sm_dirent));
	default: return any_word(seed, p->pages, few * DAXFS_PAGE_SIZE);
	}
}

static uint64_t a_mark(struct storm *s, unsigned *seed)
{
	unsigned lane = (unsigned)rand_r(seed) % s->pool.lanes_total;

	return mark_make(lane, (unsigned)rand_r(seed) % 8, status_seq(sm_load(&s->pool.lanes[lane].status)));
}

static void scribble(struct storm *s, unsigned *seed)
{
	sm_u64 *word = pick_word(s, seed);

	switch (rand_r(seed) % 5) {
	case 0: sm_store(word, a_mark(s, seed)); break;
	case 1: sm_store(word, sm_load(pick_word(s, seed))); break;
	case 2:
		sm_store(word, word_next(sm_load(word), DAXFS_W_LINK,
					 link_payload((enum daxfs_link_kind)(rand_r(seed) % 6),
						      (unsigned)rand_r(seed) % 64)));
		break;
	default: sm_store(word, sm_load(word) ^ 1ull << rand_r(seed) % 64); break;
	}
	count(&s->changes);
}

/* A record of some lane, as it is now, becomes one of the dead host. */
static void leave_record(struct storm *s, unsigned *seed)
{
	unsigned per_host = s->pool.super.lanes_per_host;
	sm_u64 *from = &s->pool.lanes[(unsigned)rand_r(seed) % (2 * per_host)].status;
	sm_u64 *to = &s->pool.lanes[3 * per_host + (unsigned)rand_r(seed) % per_host].status;

	for (unsigned i = 0; i < sizeof(struct sm_lane) / sizeof(sm_u64); i++)
		sm_store(&to[i], sm_load(&from[i]));
}

static void *blow(void *arg)
{
	struct storm *s = arg;
	unsigned seed = s->wind.seed;

	while (!over(s)) {
		if (rand_r(&seed) % 64 == 0)
			leave_record(s, &seed);
		scribble(s, &seed);
		pause_ns(s->wind.pause_ns);
	}
	return NULL;
}

/* -- work ----------------------------------------------------------------------- */

static void done(struct storm *s, long rc, long most)
{
	demand(rc <= most && rc >= -4095, "an answer that is neither a count nor an errno");
	count(&s->operations);
	if (rc < 0)
		count(&s->failures);
}

static bool see(void *context, const char *name, daxfs_ino ino, unsigned type, uint64_t next)
{
	daxfs_ino *seen = context;

	(void)next;
	(void)type;
	demand(strlen(name) <= DAXFS_NAME_MAX, "a name of more than 255 bytes");
	if (*seen == DAXFS_ROOT || *name == 'd')
		*seen = ino;
	return true;
}

static void on_names(struct worker *w, struct daxfs *fs, daxfs_ino dir)
{
	struct daxfs_attr attr;
	char a[8], b[8];

	snprintf(a, sizeof(a), "%c%u", "fd"[rand_r(&w->seed) % 2], (unsigned)rand_r(&w->seed) % 6);
	snprintf(b, sizeof(b), "%c%u", "fd"[rand_r(&w->seed) % 2], (unsigned)rand_r(&w->seed) % 6);
	switch (rand_r(&w->seed) % 8) {
	case 0:
	case 1:
		done(w->s, daxfs_mknod(fs, dir, a, S_IFREG | 0644, 0, pod_root, rand_r(&w->seed) % 4 == 0, &attr), 0);
		break;
	case 2: done(w->s, daxfs_mkdir(fs, dir, a, 0755, pod_root, &attr), 0); break;
	case 3: done(w->s, daxfs_unlink(fs, dir, a), 0); break;
	case 4: done(w->s, daxfs_rmdir(fs, dir, a), 0); break;
	case 5: done(w->s, daxfs_rename(fs, dir, a, DAXFS_ROOT, b, (unsigned)rand_r(&w->seed) % 3), 0); break;
	case 6: done(w->s, daxfs_symlink(fs, dir, a, b, pod_root, &attr), 0); break;
	default: done(w->s, daxfs_lookup(fs, dir, a, &attr), 0); break;
	}
}

static void on_content(struct worker *w, struct daxfs *fs, daxfs_ino ino)
{
	struct daxfs_attr attr = { .size = (unsigned)rand_r(&w->seed) % 100000, .mode = 0644 };
	struct daxfs_lock lock = { .start = (unsigned)rand_r(&w->seed) % 10,
				   .end = 20,
				   .owner = w->id,
				   .type = (enum daxfs_lock_type)(rand_r(&w->seed) % 3) };
	uint8_t bytes[3 * DAXFS_PAGE_SIZE] = { 0 };
	size_t len = (size_t)rand_r(&w->seed) % sizeof(bytes);

	switch (rand_r(&w->seed) % 8) {
	case 0: done(w->s, daxfs_setattr(fs, ino, DAXFS_SET_SIZE | DAXFS_SET_MODE, &attr, &attr), 0); break;
	case 1: done(w->s, daxfs_write(fs, ino, bytes, len, attr.size, DAXFS_APPEND), (long)len); break;
	case 2:
	case 3: done(w->s, daxfs_write(fs, ino, bytes, len, attr.size * 40, 0), (long)len); break;
	case 4: done(w->s, daxfs_file_open(fs, ino), 0); break;
	case 5: done(w->s, daxfs_file_close(fs, ino), 0); break;
	case 6: done(w->s, daxfs_lock(fs, ino, &lock), 0); break;
	default: done(w->s, daxfs_read(fs, ino, bytes, len, attr.size), (long)len); break;
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct daxfs *fs = w->s->fs[w->id % 2];

	while (!over(w->s)) {
		daxfs_ino dir = DAXFS_ROOT, ino = DAXFS_ROOT;

		if (rand_r(&w->seed) % 4 == 0)
			done(w->s, daxfs_readdir(fs, DAXFS_ROOT, 0, see, &dir), 0);
		on_names(w, fs, dir);
		done(w->s, daxfs_readdir(fs, dir, (uint64_t)rand_r(&w->seed) << 33, see, &ino), 0);
		for (unsigned i = 0; i < 4; i++)
			on_content(w, fs, ino);
		if (w->id < 2)
			done(w->s, daxfs_beat(fs), 0);
	}
	return NULL;
}

/* Host 3 is dead again and again. */
static void *recover(void *arg)
{
	struct storm *s = arg;
	struct host_word dead = { .state = DAXFS_HOST_FENCED, .recoverer = -1 };
	struct daxfs_recovery report;
	struct daxfs_check check;

	while (!over(s)) {
		dead.generation++;
		sm_store(&s->pool.member->host[3].word, host_word_pack(dead));
		done(s, daxfs_recover(s->fs[2], 3, &report), 0);
		done(s, daxfs_check(s->fs[2], NULL, NULL, &check), 0);
		count(&s->recoveries);
	}
	return NULL;
}

/* -- rounds --------------------------------------------------------------------- */

static void join(pthread_t thread, const char *who)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += HANG_S;
	if (pthread_timedjoin_np(thread, NULL, &until)) {
		fprintf(stderr, "storm: %s does not come back\n", who);
		abort();
	}
}

static void open_pod(struct storm *s)
{
	const struct daxfs_mkfs_options options = { .hosts = HOSTS, .lanes = 4, .inodes = 64, .opens = 16 };
	struct daxfs_error err;

	memset(s->base, 0, POOL_BYTES);
	if (pool_format(s->base, POOL_BYTES, &options, &err))
		fail_msg("%s", err.text);
	for (unsigned i = 0; i < 3; i++) {
		const char *const names[] = { "wind", "rain", "hail" };

		if (fs_attach(s->base, POOL_BYTES, &s->fs[i], &err) || daxfs_join(s->fs[i], i, names[i], &err))
			fail_msg("%s", err.text);
	}
	s->pool = *fs_pool(s->fs[0]);
}

static void one_round(struct storm *s, unsigned seed)
{
	static const uint64_t pauses[] = { 2000, 100000, 1000000, 5000000 };
	struct worker worker[WORKERS];
	pthread_t thread[WORKERS], wind, recoverer;

	open_pod(s);
	s->state = RUNNING;
	s->wind.seed = seed;
	s->wind.pause_ns = pauses[seed % 4];
	for (unsigned i = 0; i < WORKERS; i++) {
		worker[i] = (struct worker){ s, i, seed * 7 + i };
		assert_int_equal(pthread_create(&thread[i], NULL, work, &worker[i]), 0);
	}
	assert_int_equal(pthread_create(&recoverer, NULL, recover, s), 0);
	assert_int_equal(pthread_create(&wind, NULL, blow, s), 0);
	pause_ns(ROUND_MS * 1000000ull);
	__atomic_store_n(&s->state, OVER, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < WORKERS; i++)
		join(thread[i], "a worker");
	join(recoverer, "the recoverer");
	join(wind, "the wind");
	alarm(HANG_S);
	for (unsigned i = 0; i < 3; i++)
		daxfs_close(s->fs[i]);
	alarm(0);
}

static unsigned long setting(const char *name, unsigned long otherwise)
{
	const char *value = getenv(name);

	return value ? strtoul(value, NULL, 10) : otherwise;
}

static void storm(void **state)
{
	unsigned seed = (unsigned)setting("STORM_SEED", 1), rounds = 0;
	time_t until = time(NULL) + (time_t)setting("STORM_SECONDS", 6);
	struct storm s = { .state = OVER };
	uint8_t *space = mmap(NULL, 2 * SPACE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	(void)state;
	assert_ptr_not_equal(space, MAP_FAILED);
	s.base = space + SPACE;
	assert_int_equal(mprotect(s.base, POOL_BYTES, PROT_READ | PROT_WRITE), 0);
	for (; time(NULL) < until; rounds++) {
		printf("seed %u\n", seed);
		fflush(stdout);
		one_round(&s, seed++);
	}
	munmap(space, 2 * SPACE);
	printf("%u rounds, %lu changes, %lu operations, %lu of them failed, %lu recoveries\n", rounds, s.changes,
	       s.operations, s.failures, s.recoveries);
	/* Both must happen, or nothing was tried. */
	assert_true(s.failures > 0 && s.failures < s.operations && s.recoveries > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(storm) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
