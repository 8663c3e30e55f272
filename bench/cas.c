/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cas.c - is compare-and-swap between two hosts accurate, and how often is one try enough?
 *
 * Two processes, each a host of its own. One counter (the pool's scratch word): both
 * increment it, in a tight loop and at the pace of 4 KiB writes; the sum must be
 * exact. One bucket: both create the same names in the same order, so that they meet in
 * the same words of the directory; each name must be won exactly once.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daxfs/inspect.h"
#include "bench.h"

static const struct daxfs_cred cred;

#define CAS_TIGHT 1000000u /* increments of a host in a round */
#define CAS_PACED 100000u
#define CAS_BLOCK (4 * KIB)

/* of two processes, in memory they share */
struct tally {
	atomic_uint ready;
	atomic_uint_fast64_t increments, first;
};

/* One process's share of increments; paced: each beside a 4 KiB write of its own. */
static void increment(struct daxfs *fs, unsigned id, unsigned n, bool paced, struct tally *tally)
{
	static const uint8_t block[CAS_BLOCK];
	struct daxfs_selftest one;
	struct daxfs_attr file;
	uint64_t first = 0;
	char name[16];

	run_on(id);
	snprintf(name, sizeof(name), "cas%u", id);
	if (daxfs_lookup(fs, DAXFS_ROOT, name, &file) &&
	    daxfs_mknod(fs, DAXFS_ROOT, name, S_IFREG | 0600, 0, cred, false, &file))
		bench_fail("cas: cannot create %s", name);
	atomic_fetch_add(&tally->ready, 1);
	while (atomic_load(&tally->ready) < 2)
		continue;
	for (unsigned i = 0; i < n; i++) {
		if (paced && daxfs_write(fs, file.ino, block, CAS_BLOCK, i % 256 * CAS_BLOCK, 0) != CAS_BLOCK)
			bench_fail("cas: write failed");
		if (daxfs_selftest(fs, 1, &one))
			bench_fail("cas: selftest failed");
		first += one.tries == 1;
	}
	atomic_fetch_add(&tally->increments, n);
	atomic_fetch_add(&tally->first, first);
}

/* One round of both; how many percent of the increments needed one try. */
static double one_round(const struct rig *rig, unsigned n, bool paced, struct tally *tally)
{
	int status;
	pid_t pid;

	*tally = (struct tally){ 0 };
	pid = fork();
	if (pid == 0) {
		struct daxfs *fs = rig_join(rig, 1);

		increment(fs, 1, n, paced, tally);
		daxfs_close(fs);
		_exit(0);
	}
	increment(rig->fs, 0, n, paced, tally);
	if (waitpid(pid, &status, 0) != pid || status || tally->increments != 2ull * n)
		bench_fail("cas: the other host failed");
	return 100.0 * (double)tally->first / (double)tally->increments;
}

/* The median of rounds: in one in which the hosts had the CPU in turn they did not meet. */
static void cas_counter(const struct rig *rig, const char *name, unsigned n, bool paced)
{
	struct tally *tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct daxfs_selftest before, after;
	struct spread spread;
	double share[ROUNDS];
	char lost[64];

	daxfs_selftest(rig->fs, 0, &before);
	for (unsigned i = 0; i < ROUNDS; i++)
		share[i] = one_round(rig, n, paced, tally);
	daxfs_selftest(rig->fs, 0, &after);
	spread = spread_of(share, ROUNDS);
	out_figure(name, spread.median, "% at the first try", &spread);
	snprintf(lost, sizeof(lost), "%s-lost", name);
	out_figure(lost, (double)(before.value + 2ull * ROUNDS * n) - (double)after.value, "updates lost", NULL);
	munmap(tally, sizeof(*tally));
}

#define BUCKET_NAMES 20000u

/* Both hosts create the same names in the same order: of each, exactly one may succeed. */
static void create_same(struct daxfs *fs, unsigned id, struct tally *tally)
{
	struct daxfs_attr attr;
	uint64_t won = 0;
	char name[16];

	run_on(id);
	atomic_fetch_add(&tally->ready, 1);
	while (atomic_load(&tally->ready) < 2)
		continue;
	for (unsigned i = 0; i < BUCKET_NAMES; i++) {
		int rc;

		snprintf(name, sizeof(name), "same%u", i);
		rc = daxfs_mknod(fs, DAXFS_ROOT, name, S_IFREG | 0600, 0, cred, false, &attr);
		if (rc && rc != -EEXIST)
			bench_fail("cas: create %s: %s", name, strerror(-rc));
		won += rc == 0;
	}
	atomic_fetch_add(&tally->increments, won);
}

static void cas_bucket(const struct rig *rig)
{
	struct tally *tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct daxfs *fs = rig_join(rig, 1);

		create_same(fs, 1, tally);
		daxfs_close(fs);
		_exit(0);
	}
	create_same(rig->fs, 0, tally);
	waitpid(pid, &status, 0);
	out_figure("cas-bucket-lost", (double)BUCKET_NAMES - (double)tally->increments, "names won by none or both",
		   NULL);
	munmap(tally, sizeof(*tally));
}

#define PASSES 4000u /* of a round: so short that most are undisturbed on any machine */
#define PASS_ROUNDS 40u
#define PASS_SPINS 4000u

static void pass(atomic_uint *line, unsigned own)
{
	run_on(own);
	for (unsigned i = 0; i < PASSES; i++) {
		for (unsigned n = 0; atomic_load_explicit(line, memory_order_acquire) != 2 * i + own; n++) {
			if (n < PASS_SPINS)
				__builtin_ia32_pause();
			else
				sched_yield(); /* the other has no CPU at the moment */
		}
		atomic_store_explicit(line, 2 * i + own + 1, memory_order_release);
	}
}

/* What it takes to get a line that another CPU has just written: the unit of all sharing. */
static void line_transfer(void)
{
	atomic_uint *line = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	double ns[PASS_ROUNDS];
	struct spread spread;
	int status;

	for (unsigned i = 0; i < PASS_ROUNDS; i++) {
		uint64_t began;
		pid_t pid;

		atomic_store(line, 0);
		pid = fork();
		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			pass(line, 1);
			_exit(0);
		}
		began = now_ns();
		pass(line, 0);
		ns[i] = (double)(now_ns() - began) / (2.0 * PASSES);
		waitpid(pid, &status, 0);
	}
	spread = spread_of(ns, PASS_ROUNDS);
	out_figure("cas-line-transfer", ns[0], "ns for a line that another CPU has written (the least disturbed round)",
		   &spread);
	munmap(line, 4096);
}

void bench_cas(void)
{
	struct rig rig;

	if (!bench_wants("cas"))
		return;
	rig_open(&rig, &(struct rig_options){ .pool = 1 * GIB, .plain = true });
	cas_counter(&rig, "cas-counter-tight", CAS_TIGHT, false);
	cas_counter(&rig, "cas-counter-paced", CAS_PACED, true);
	cas_bucket(&rig);
	if (cpus() > 1)
		line_transfer();
	run_on(ANY_CPU);
	rig_close(&rig);
}
