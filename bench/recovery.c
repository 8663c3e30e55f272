/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recovery.c - how long recovery takes, against what was in flight and against the
 * size of the pool.
 *
 * The victim is a process that joins as host 1 and overwrites 256 KiB at a time (the
 * longest record there is) from a number of threads, each in a lane, until SIGKILL
 * takes it at some instruction. Nobody runs fabricd here: the host's word is
 * moved to FENCED through member.h as a manager would, and what is timed is
 * the recovery alone. After the last one the pool is checked.
 */
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "daxfs/inspect.h"
#include "daxfs/member.h"

#define VICTIM 1u
#define DEATHS 11u
#define LANES_MAX 16u
#define PIECE (256 * KIB)
#define FILE_PIECES 16u
#define WRITES_FIRST 20u /* of each thread, before it may die */

struct victim {
	struct daxfs *fs;
	unsigned id;
	atomic_uint *writes; /* shared with the parent */
};

static void *write_for_ever(void *arg)
{
	static const uint8_t piece[PIECE];
	struct victim *v = arg;
	struct daxfs_attr attr;
	uint64_t rng = v->id + 1;
	char name[16];

	snprintf(name, sizeof(name), "victim%u", v->id);
	if (daxfs_lookup(v->fs, DAXFS_ROOT, name, &attr) &&
	    daxfs_mknod(v->fs, DAXFS_ROOT, name, S_IFREG | 0600, 0, (struct daxfs_cred){ 0 }, false, &attr))
		bench_fail("recovery: cannot create %s", name);
	for (;;) {
		uint64_t at = random_below(&rng, FILE_PIECES) * PIECE;

		if (daxfs_write(v->fs, attr.ino, piece, PIECE, at, 0) != (ssize_t)PIECE)
			bench_fail("recovery: victim cannot write");
		atomic_fetch_add(v->writes, 1);
	}
	return NULL;
}

static _Noreturn void be_victim(const struct rig *rig, unsigned threads, atomic_uint *writes)
{
	struct victim victim[LANES_MAX];
	struct daxfs *fs;
	pthread_t thread;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fs = rig_join(rig, VICTIM);
	for (unsigned i = 0; i < threads; i++) {
		victim[i] = (struct victim){ fs, i, &writes[i] };
		if (pthread_create(&thread, NULL, write_for_ever, &victim[i]))
			bench_fail("recovery: cannot start a thread");
	}
	for (;;)
		pause();
}

/* Kill a host whose threads all write. */
static void die(const struct rig *rig, unsigned threads)
{
	atomic_uint *writes = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid = fork();
	int status;

	if (pid == 0)
		be_victim(rig, threads, writes);
	for (unsigned i = 0; i < threads; i++)
		while (atomic_load(&writes[i]) < WRITES_FIRST)
			if (waitpid(pid, &status, WNOHANG) == pid)
				bench_fail("recovery: the victim died by itself");
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	munmap(writes, 4096);
}

static void move(struct daxfs_member *m, enum daxfs_host_state to, uint32_t epoch)
{
	struct daxfs_host_view view;
	int rc = daxfs_member_host(m, VICTIM, &view);

	if (rc == 0)
		rc = daxfs_member_move(m, &view, to, -1, epoch, DAXFS_REASON_OPERATOR_FENCE, 0);
	if (rc)
		bench_fail("recovery: cannot move the victim to %s: %s", daxfs_host_state_name(to), strerror(-rc));
}

/* What a manager does once it is certain. */
static void fence(const struct rig *rig)
{
	struct daxfs_manager_view manager;
	struct daxfs_member *m;
	struct daxfs_error err;
	uint32_t epoch;

	if (daxfs_member_open(rig->pool, true, &m, &err))
		bench_fail("%s", err.text);
	daxfs_member_manager(m, &manager);
	if (daxfs_member_claim(m, &manager, &epoch))
		bench_fail("recovery: cannot become manager");
	move(m, DAXFS_HOST_FENCING, epoch);
	move(m, DAXFS_HOST_FENCED, epoch);
	daxfs_member_close(m);
}

struct deaths {
	double ms[DEATHS], records[DEATHS], objects[DEATHS];
	double per_object_ns[DEATHS];
};

static void one_death(const struct rig *rig, unsigned threads, struct deaths *out, unsigned i)
{
	struct daxfs_recovery report;
	struct daxfs_inflight inflight;

	die(rig, threads);
	fence(rig);
	if (daxfs_inflight(rig->fs, VICTIM, &inflight) || daxfs_recover(rig->fs, VICTIM, &report))
		bench_fail("recovery: cannot recover");
	out->ms[i] = (double)report.ns / 1e6;
	out->records[i] = inflight.records;
	out->objects[i] = (double)report.objects;
	out->per_object_ns[i] = (double)report.ns / (double)(report.objects ? report.objects : 1);
}

static void figure(const char *name, const char *what, double *v, const char *unit)
{
	struct spread s = spread_of(v, DEATHS);
	char full[80];

	snprintf(full, sizeof(full), "%s%s", name, what);
	out_figure(full, s.median, unit, &s);
}

static void must_be_sound(struct rig *rig)
{
	struct daxfs_check check;

	if (daxfs_check(rig->fs, NULL, NULL, &check) || check.problems)
		bench_fail("recovery: daxfs_check finds problems");
}

static void deaths(uint64_t pool, const unsigned *lanes, unsigned n)
{
	struct rig rig;
	struct deaths d;
	char name[64];

	rig_open(&rig, &(struct rig_options){ .pool = pool, .lanes = LANES_MAX, .plain = true });
	for (unsigned l = 0; l < n; l++) {
		for (unsigned i = 0; i < DEATHS; i++)
			one_death(&rig, lanes[l], &d, i);
		snprintf(name, sizeof(name), "recovery-%ulanes-%llum", lanes[l], (unsigned long long)(pool / MIB));
		figure(name, "", d.ms, "ms");
		figure(name, "-records", d.records, "records in flight");
		figure(name, "-objects", d.objects, "objects finalized");
		figure(name, "-object", d.per_object_ns, "ns an object");
	}
	must_be_sound(&rig);
	rig_close(&rig);
}

void bench_recovery(void)
{
	static const unsigned all[] = { 1, 4, 16 };

	if (!bench_wants("recovery"))
		return;
	deaths(256 * MIB, all, 3);
	deaths(1 * GIB, all, 3);
	deaths(4 * GIB, all, 3);
}
