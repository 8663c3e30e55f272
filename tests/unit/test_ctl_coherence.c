/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_ctl_coherence.c - the test of coherence between hosts: passed where memory is coherent, failed where it is not.
 *
 * Memory that is not coherent is two files here, one for each host, as two caches that each hold all lines. A process
 * between them (the mixer) carries over what the hosts meet by, as a cache would that drops those lines when told to,
 * and of the rest what a case says: nothing, the word, the word and the lines, or all of that now and then.
 */
#include "ctl_run.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "daxfs/format.h"
#include "daxfs/inspect.h"

#define POOL_BYTES (16u << 20)
#define ROUNDS 60
#define INCREMENTS 2000
#define NOW_AND_THEN 7

struct place {
	char dir[64], pool[2][96];
	struct ctl_run r;
};

static void setup(struct place *p)
{
	memset(p, 0, sizeof(*p));
	strcpy(p->dir, "/dev/shm/daxfs-coherence-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	for (int i = 0; i < 2; i++)
		snprintf(p->pool[i], sizeof(p->pool[i]), "%s/pool%d", p->dir, i);
	ctl_run(&p->r, "mkfs %s --size 16M --hosts 3", p->pool[0]);
	ctl_expect(&p->r, CTL_OK, "gpf");
}

static void teardown(struct place *p)
{
	ctl_run_end(&p->r);
	unlink(p->pool[0]);
	unlink(p->pool[1]);
	assert_int_equal(rmdir(p->dir), 0);
}

/* -- one host, a process ------------------------------------------------------------ */

static pid_t take_part(const char *pool, unsigned host, unsigned hosts)
{
	struct ctl_run r = { 0 };
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	ctl_run(&r, "selftest %s --json --hosts %u --host %u --rounds %d --increments %d", pool, hosts, host, ROUNDS,
		INCREMENTS);
	if (r.code != CTL_OK && r.code != CTL_PROBLEMS)
		fprintf(stderr, "host %u: %s\n", host, r.err);
	_exit(r.code);
}

static int end_of(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* -- two caches ------------------------------------------------------------------------ */

enum carried { NOTHING, WORD, WORD_AND_LINES, ALL_NOW_AND_THEN };

struct copy {
	struct sm_tester *tester;
	uint64_t *word, *lines;
};

static struct copy map_copy(const char *path)
{
	int fd = open(path, O_RDWR);
	uint8_t *base = mmap(NULL, POOL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	const struct sm_super *super = (void *)base;
	uint8_t *lanes;

	assert_true(fd >= 0 && base != MAP_FAILED);
	close(fd);
	lanes = base + super->region[DAXFS_R_LANES].offset;
	return (struct copy){
		.tester = (void *)(base + super->region[DAXFS_R_OPEN_TABLE].offset + DAXFS_TESTERS_AT),
		.word = (void *)(lanes + DAXFS_TEST_WORD_AT),
		.lines = (void *)(lanes + DAXFS_TEST_LINES_AT),
	};
}

static uint64_t load(const void *p)
{
	return __atomic_load_n((const uint64_t *)p, __ATOMIC_SEQ_CST);
}

static void store(void *p, uint64_t v)
{
	__atomic_store_n((uint64_t *)p, v, __ATOMIC_SEQ_CST);
}

/* Rounds only grow. */
static void merge(uint64_t *a, uint64_t *b, size_t words)
{
	for (size_t i = 0; i < words; i++) {
		uint64_t in_a = load(&a[i]), in_b = load(&b[i]);

		if (in_a < in_b)
			store(&a[i], in_b);
		else if (in_b < in_a)
			store(&b[i], in_a);
	}
}

/* A line as it is: what is published last is read first. */
static void take_line(const struct sm_tester *from, uint64_t line[8])
{
	line[0] = load(&from->run);
	line[2] = load(&from->phase);
	line[1] = load(&from->nonce);
	line[3] = load(&from->machine);
	for (int i = 0; i < 4; i++)
		line[4 + i] = load(&from->figure[i]);
}

static void put_line(struct sm_tester *to, const uint64_t line[8])
{
	for (int i = 0; i < 4; i++)
		store(&to->figure[i], line[4 + i]);
	store(&to->machine, line[3]);
	store(&to->nonce, line[1]);
	store(&to->phase, line[2]);
	store(&to->run, line[0]);
}

/*
 * What a host has said it did is in the other copy before the other host hears of it, if it is carried at all:
 * now and then is in some of their phases, however fast this process is beside them.
 */
static void mix(struct copy *a, struct copy *b, enum carried carried)
{
	const size_t lines = (DAXFS_SCRATCH_OFFSET - DAXFS_TEST_LINES_AT) / 8;
	uint64_t first[8], second[8];

	take_line(&a->tester[0], first);
	take_line(&b->tester[1], second);
	if (carried == WORD || carried == WORD_AND_LINES ||
	    (carried == ALL_NOW_AND_THEN && (first[2] + second[2]) % NOW_AND_THEN == 0)) {
		if (carried != WORD)
			merge(a->lines, b->lines, lines);
		merge(a->word, b->word, 1);
	}
	put_line(&b->tester[0], first);
	put_line(&a->tester[1], second);
}

static pid_t mixer(const struct place *p, enum carried carried)
{
	struct copy a, b;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	a = map_copy(p->pool[0]);
	b = map_copy(p->pool[1]);
	for (;;) {
		mix(&a, &b, carried);
		sched_yield();
	}
}

static void copy_pool(const struct place *p)
{
	char *bytes = malloc(POOL_BYTES);
	FILE *in = fopen(p->pool[0], "r"), *out = fopen(p->pool[1], "w");

	assert_true(bytes && in && out);
	assert_int_equal(fread(bytes, 1, POOL_BYTES, in), POOL_BYTES);
	assert_int_equal(fwrite(bytes, 1, POOL_BYTES, out), POOL_BYTES);
	fclose(in);
	assert_int_equal(fclose(out), 0);
	free(bytes);
}

static struct daxfs_coherence proof_of(const char *pool)
{
	struct daxfs_coherence found;
	struct daxfs_error err;
	struct daxfs *fs;

	assert_int_equal(daxfs_open(pool, DAXFS_READ_ONLY, &fs, &err), 0);
	assert_int_equal(daxfs_coherence_proof(fs, &found), 0);
	daxfs_close(fs);
	return found;
}

/* Two hosts, each with a copy of its own; what host 0 recorded. */
static struct daxfs_coherence two_copies(struct place *p, enum carried carried)
{
	pid_t host[2], between;
	int status;

	copy_pool(p);
	between = mixer(p, carried);
	for (unsigned i = 0; i < 2; i++)
		host[i] = take_part(p->pool[i], i, 2);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(end_of(host[i]), CTL_PROBLEMS);
	kill(between, SIGKILL);
	assert_int_equal(waitpid(between, &status, 0), between);
	return proof_of(p->pool[0]);
}

/* -- tests ------------------------------------------------------------------------------- */

static void one_memory_is_coherent(void **unused)
{
	struct daxfs_coherence c;
	struct place p;
	pid_t host[3];

	(void)unused;
	setup(&p);
	ctl_run(&p.r, "status %s --json", p.pool[0]);
	ctl_expect_json(&p.r, "\"coherence\": null");
	for (unsigned i = 3; i-- > 0;)
		host[i] = take_part(p.pool[0], i, 3);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(end_of(host[i]), CTL_OK);
	c = proof_of(p.pool[0]);
	assert_true(c.coherent && c.hosts == 3 && c.machines == 1 && c.rounds == ROUNDS && c.wall_ns);
	ctl_run(&p.r, "status %s", p.pool[0]);
	ctl_expect(&p.r, CTL_OK, "by 3 hosts on 1 machine, 60 rounds: coherent");
	ctl_run(&p.r, "status %s --json", p.pool[0]);
	ctl_expect_json(&p.r, "\"coherent\": true");
	ctl_run(&p.r, "check %s", p.pool[0]);
	ctl_expect(&p.r, CTL_OK, "clean");
	teardown(&p);
}

static void caches_that_keep_all(void **unused)
{
	struct daxfs_coherence c;
	struct place p;

	(void)unused;
	setup(&p);
	c = two_copies(&p, NOTHING);
	assert_true(!c.coherent && c.stale_words >= ROUNDS && c.stale_copies >= ROUNDS);
	assert_int_equal(c.lost, INCREMENTS);
	ctl_run(&p.r, "status %s", p.pool[0]);
	ctl_expect(&p.r, CTL_OK, "DEGRADED: memory is not coherent");
	ctl_run(&p.r, "status %s --json", p.pool[0]);
	ctl_expect_json(&p.r, "\"not-coherent\"");
	teardown(&p);
}

static void only_copies_are_stale(void **unused)
{
	struct daxfs_coherence c;
	struct place p;

	(void)unused;
	setup(&p);
	c = two_copies(&p, WORD);
	assert_int_equal(c.stale_words, 0);
	assert_true(!c.coherent && c.stale_copies >= ROUNDS);
	teardown(&p);
}

static void only_increments_are_lost(void **unused)
{
	struct daxfs_coherence c;
	struct place p;

	(void)unused;
	setup(&p);
	c = two_copies(&p, WORD_AND_LINES);
	assert_int_equal(c.stale_words, 0);
	assert_int_equal(c.stale_copies, 0);
	assert_true(!c.coherent);
	assert_int_equal(c.lost, INCREMENTS);
	teardown(&p);
}

static void caches_that_drop_lines_now_and_then(void **unused)
{
	struct daxfs_coherence c;
	struct place p;

	(void)unused;
	setup(&p);
	c = two_copies(&p, ALL_NOW_AND_THEN);
	assert_true(!c.coherent && c.stale_words && c.stale_copies);
	teardown(&p);
}

/* -- what is refused ------------------------------------------------------------------------ */

static struct daxfs *open_writable(const struct place *p)
{
	struct daxfs_error err;
	struct daxfs *fs;

	assert_int_equal(daxfs_open(p->pool[0], DAXFS_READ_WRITE, &fs, &err), 0);
	return fs;
}

/* Options of a later version, of which one is set. */
static void refuse_later(struct daxfs *fs)
{
	struct {
		struct daxfs_coherence_options now;
		uint64_t later;
	} o = { .now = { .struct_size = sizeof(o), .hosts = 2, .rounds = 1, .increments = 1 }, .later = 1 };
	struct daxfs_coherence found;
	struct daxfs_error err;

	assert_int_equal(daxfs_coherence_test(fs, &o.now, &found, &err), -E2BIG);
	o.now.struct_size = 0;
	assert_int_equal(daxfs_coherence_test(fs, &o.now, &found, &err), -EINVAL);
}

static void refusals(void **unused)
{
	struct daxfs_coherence_options o = {
		.struct_size = sizeof(o), .host = 0, .hosts = 2, .rounds = 1, .increments = 1, .wait_ms = 1
	};
	struct daxfs_coherence found;
	struct daxfs_error err;
	struct daxfs *fs;
	struct place p;

	(void)unused;
	setup(&p);
	fs = open_writable(&p);
	refuse_later(fs);
	assert_int_equal(daxfs_coherence_proof(fs, &found), -ENODATA);
	assert_int_equal(daxfs_coherence_test(fs, &o, &found, &err), -ETIMEDOUT);
	assert_non_null(strstr(err.text, "host 1 of 2 did not come"));
	o.host = 1; /* the run of above is over: it is not joined */
	assert_int_equal(daxfs_coherence_test(fs, &o, &found, &err), -ETIMEDOUT);
	assert_non_null(strstr(err.text, "host 0 of 2 did not come"));
	o.host = 2;
	assert_int_equal(daxfs_coherence_test(fs, &o, &found, &err), -EINVAL);
	daxfs_close(fs);
	assert_int_equal(daxfs_open(p.pool[0], DAXFS_READ_ONLY, &fs, &err), 0);
	o.host = 0;
	assert_int_equal(daxfs_coherence_test(fs, &o, &found, &err), -EROFS);
	daxfs_close(fs);
	ctl_run(&p.r, "selftest %s --host 1", p.pool[0]);
	ctl_expect(&p.r, CTL_USAGE, "--hosts N");
	teardown(&p);
}

static void *second_of_its_number(void *arg)
{
	struct daxfs_coherence_options o = {
		.struct_size = sizeof(o), .host = 1, .hosts = 2, .rounds = 1, .increments = 1, .wait_ms = 60000
	};
	struct daxfs_coherence found;
	struct daxfs_error err;

	return (void *)(intptr_t)daxfs_coherence_test(arg, &o, &found, &err);
}

/* Host 0 is played by the test, and so is another one with the number 1, that writes the line after it. */
static void one_number_for_two(void **unused)
{
	struct daxfs *fs;
	struct copy copy;
	pthread_t thread;
	struct place p;
	void *rc;

	(void)unused;
	setup(&p);
	fs = open_writable(&p);
	copy = map_copy(p.pool[0]);
	store(&copy.tester[0].figure[0], 2);
	store(&copy.tester[0].figure[1], 1);
	store(&copy.tester[0].run, 5);
	assert_int_equal(pthread_create(&thread, NULL, second_of_its_number, fs), 0);
	while (load(&copy.tester[1].run) != 5 || load(&copy.tester[1].phase) != 1)
		sched_yield();
	store(&copy.tester[1].nonce, 1);
	store(&copy.tester[0].phase, 1);
	assert_int_equal(pthread_join(thread, &rc), 0);
	assert_int_equal((intptr_t)rc, -EBUSY);
	daxfs_close(fs);
	teardown(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_memory_is_coherent),
		cmocka_unit_test(caches_that_keep_all),
		cmocka_unit_test(only_copies_are_stale),
		cmocka_unit_test(only_increments_are_lost),
		cmocka_unit_test(caches_that_drop_lines_now_and_then),
		cmocka_unit_test(refusals),
		cmocka_unit_test(one_number_for_two),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
