/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_resume.c - processes that are killed anywhere, each of which goes on with the membership of the one
 * before. Every operation is asked for until it is done, and done once: receipts tell.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hang.h"
#include "mem/identity.h"
#include "mem/process.h"
#include "pod.h"
#include "sync/member.h"

#define BYTES (32u << 20)
#define THREADS 2u
#define KILLS 150u
#define LINE 64u
#define LARGE (DAXFS_ATOMIC_WRITE_MAX + DAXFS_ATOMIC_WRITE_MAX / 2)

/* what outlives the processes */
struct outside {
	uint64_t tenancy, resumed, redone, failures;
	daxfs_ino held; /* a file without a name, and open */
	struct stream {
		uint64_t at; /* twice the next operation; odd: begun, its receipt is valid */
		daxfs_ino log, large;
		struct daxfs_receipt receipt;
	} stream[THREADS];
};

struct worker {
	struct daxfs *fs;
	struct outside *out;
	struct stream *s;
	unsigned id;
};

static void name_of(char *name, const struct worker *w, char kind, uint64_t n)
{
	sprintf(name, "%c%u.%llu", kind, w->id, (unsigned long long)n);
}

static bool is_there(const struct worker *w, char kind, uint64_t n)
{
	struct daxfs_attr attr;
	char name[32];

	name_of(name, w, kind, n);
	return daxfs_lookup(w->fs, DAXFS_ROOT, name, &attr) == 0;
}

static uint64_t size_of(const struct worker *w, daxfs_ino ino)
{
	struct daxfs_attr attr;

	return daxfs_getattr(w->fs, ino, &attr) ? UINT64_MAX : attr.size;
}

/* -- operations ---------------------------------------------------------------------- */

#define ROUND 6u /* operations: create, append, rename, append much, truncate, unlink */

static int append(const struct worker *w, daxfs_ino ino, size_t len, uint64_t n)
{
	static _Thread_local uint8_t buf[LARGE];
	uint64_t done = daxfs_receipt_done(&w->s->receipt);
	ssize_t rc;

	memset(buf, (int)(n & 127) + 1, len);
	rc = daxfs_write(w->fs, ino, buf, len - done, 0, DAXFS_APPEND);
	return rc == (ssize_t)(len - done) ? 0 : rc < 0 ? (int)rc : -EIO;
}

static int operate(const struct worker *w, uint64_t n)
{
	struct daxfs_attr attr = { .size = 0 };
	char from[32], to[32];

	name_of(from, w, 'f', n / ROUND);
	name_of(to, w, 'g', n / ROUND);
	switch (n % ROUND) {
	case 0: return daxfs_mknod(w->fs, DAXFS_ROOT, from, S_IFREG | 0600, 0, pod_root, false, &attr);
	case 1: return append(w, w->s->log, LINE, n);
	case 2: return daxfs_rename(w->fs, DAXFS_ROOT, from, DAXFS_ROOT, to, 0);
	case 3: return append(w, w->s->large, LARGE, n);
	case 4: return daxfs_setattr(w->fs, w->s->large, DAXFS_SET_SIZE, &attr, &attr);
	default: return daxfs_unlink(w->fs, DAXFS_ROOT, to);
	}
}

/* How much of operation n is done, as the pool shows it. */
static uint64_t seen(const struct worker *w, uint64_t n)
{
	switch (n % ROUND) {
	case 0: return is_there(w, 'f', n / ROUND);
	case 1: return size_of(w, w->s->log) == (n / ROUND + 1) * LINE ? LINE : 0;
	case 2: return is_there(w, 'g', n / ROUND);
	case 3: return size_of(w, w->s->large);
	case 4: return size_of(w, w->s->large) == 0;
	default: return !is_there(w, 'g', n / ROUND);
	}
}

static uint64_t whole(uint64_t n)
{
	return n % ROUND == 1 ? LINE : n % ROUND == 3 ? LARGE : 1;
}

/* -- a process ------------------------------------------------------------------------- */

/* After what the last one left: the receipt says what the pool shows. */
static void go_on(struct worker *w)
{
	struct stream *s = w->s;

	if (!(s->at & 1))
		return;
	if (daxfs_receipt_done(&s->receipt) != seen(w, s->at / 2)) {
		fprintf(stderr, "operation %llu of %u: receipt %llu, seen %llu\n", (unsigned long long)s->at / 2, w->id,
			(unsigned long long)daxfs_receipt_done(&s->receipt), (unsigned long long)seen(w, s->at / 2));
		w->out->failures++;
	}
	w->out->redone++;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct stream *s = w->s;

	for (;;) {
		if (!(s->at & 1)) {
			memset(&s->receipt, 0, sizeof(s->receipt));
			__atomic_store_n(&s->at, s->at + 1, __ATOMIC_RELEASE);
		}
		daxfs_receipt_use(w->fs, &s->receipt);
		if (daxfs_receipt_done(&s->receipt) < whole(s->at / 2) && operate(w, s->at / 2) != 0)
			__atomic_fetch_add(&w->out->failures, 1, __ATOMIC_RELAXED);
		daxfs_receipt_use(w->fs, NULL);
		__atomic_store_n(&s->at, s->at + 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void take_over(struct daxfs *fs, struct outside *out, struct worker *workers)
{
	struct daxfs_receipt *receipts[THREADS] = { &out->stream[0].receipt, &out->stream[1].receipt };
	struct daxfs_error err = { .text = "" };

	if (daxfs_resume(fs, 0, out->tenancy, receipts, THREADS, &err)) {
		fprintf(stderr, "%s\n", err.text);
		_exit(1);
	}
	if (daxfs_file_open(fs, out->held) || daxfs_resume_end(fs))
		_exit(2);
	for (unsigned i = 0; i < THREADS; i++)
		go_on(&workers[i]);
}

static void live(void *base, struct outside *out)
{
	struct worker workers[THREADS];
	struct daxfs_error err;
	pthread_t thread;
	struct daxfs *fs;

	if (fs_attach(base, BYTES, &fs, &err))
		_exit(3);
	for (unsigned i = 0; i < THREADS; i++)
		workers[i] = (struct worker){ fs, out, &out->stream[i], i };
	take_over(fs, out, workers);
	__atomic_fetch_add(&out->resumed, 1, __ATOMIC_RELAXED);
	for (unsigned i = 1; i < THREADS; i++)
		pthread_create(&thread, NULL, work, &workers[i]);
	work(&workers[0]);
}

/* -- the test ------------------------------------------------------------------------- */

static void first_life(void *base, struct outside *out)
{
	struct daxfs_error err;
	struct daxfs *fs;
	char name[32];

	if (fs_attach(base, BYTES, &fs, &err) || daxfs_join(fs, 0, "first", &err))
		_exit(1);
	for (unsigned i = 0; i < THREADS; i++) {
		sprintf(name, "log%u", i);
		out->stream[i].log = pod_create(fs, DAXFS_ROOT, name);
		sprintf(name, "large%u", i);
		out->stream[i].large = pod_create(fs, DAXFS_ROOT, name);
	}
	out->held = pod_create(fs, DAXFS_ROOT, "held");
	if (daxfs_file_open(fs, out->held) || daxfs_write(fs, out->held, "kept", 4, 0, 0) != 4 ||
	    daxfs_unlink(fs, DAXFS_ROOT, "held"))
		_exit(2);
	out->tenancy = daxfs_tenancy(fs);
	_exit(0);
}

static int end_of(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static pid_t start(void *base, struct outside *out, void (*life)(void *, struct outside *))
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		life(base, out);
		_exit(9);
	}
	return pid;
}

/* Every line of a log once, and in order. */
static void expect_log(struct daxfs *fs, const struct stream *s)
{
	uint64_t lines = (s->at / 2 + ROUND - 2) / ROUND + (s->at & 1 && s->at / 2 % ROUND == 1);
	struct daxfs_attr attr;
	uint8_t line[LINE];

	assert_int_equal(daxfs_getattr(fs, s->log, &attr), 0);
	assert_in_range(attr.size / LINE, lines - 1, lines);
	for (uint64_t i = 0; i < attr.size / LINE; i++) {
		assert_int_equal(daxfs_read(fs, s->log, line, LINE, i * LINE), LINE);
		assert_int_equal(line[0], ((i * ROUND + 1) & 127) + 1);
		assert_int_equal(line[LINE - 1], line[0]);
	}
}

static void killed_anywhere(void **state)
{
	struct pod pod = { .size = BYTES };
	struct daxfs_mkfs_options options = { .size = BYTES, .hosts = POD_HOSTS, .lanes = 4, .inodes = 512 };
	struct daxfs_error err;
	struct outside *out = mmap(NULL, sizeof(*out), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char text[4];

	(void)state;
	alarm(HANG_S);
	pod.base = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(pod.base != MAP_FAILED && out != MAP_FAILED);
	assert_int_equal(pool_format(pod.base, BYTES, &options, &err), 0);
	assert_int_equal(end_of(start(pod.base, out, first_life)), 0);
	srand((unsigned)getpid());
	for (unsigned i = 0; i < KILLS; i++) {
		uint64_t lives = out->resumed; /* before it begins */
		pid_t pid = start(pod.base, out, live);
		struct timespec t = { .tv_nsec = rand() % 2000000 };
		bool at_work = rand() % 8; /* else while it takes over */

		while (at_work && __atomic_load_n(&out->resumed, __ATOMIC_RELAXED) == lives && !kill(pid, 0) &&
		       waitpid(pid, NULL, WNOHANG) == 0)
			usleep(50);
		nanosleep(&t, NULL);
		kill(pid, SIGKILL);
		assert_int_equal(end_of(pid), -SIGKILL);
	}
	assert_int_equal(fs_attach(pod.base, BYTES, &pod.fs[0], &err), 0);
	assert_int_equal(daxfs_resume(pod.fs[0], 0, out->tenancy, NULL, 0, &err), 0);
	assert_int_equal(daxfs_file_open(pod.fs[0], out->held), 0);
	assert_int_equal(daxfs_resume_end(pod.fs[0]), 0);
	assert_int_equal(daxfs_read(pod.fs[0], out->held, text, 4, 0), 4);
	assert_memory_equal(text, "kept", 4);
	for (unsigned i = 0; i < THREADS; i++)
		expect_log(pod.fs[0], &out->stream[i]);
	print_message("%llu operations, %llu in progress when killed\n",
		      (unsigned long long)(out->stream[0].at + out->stream[1].at) / 2, (unsigned long long)out->redone);
	assert_int_equal(out->failures, 0);
	assert_true(out->redone > KILLS / 10);
	pod_check(&pod);
	assert_int_equal(daxfs_leave(pod.fs[0]), 0);
	pod_check(&pod);
	daxfs_close(pod.fs[0]);
}

/* A slot that was declared dead is not gone on with, nor another tenant's: nothing is stored into it any more. */
static void too_late(void **state)
{
	struct daxfs_error err;
	struct sm_host before;
	struct daxfs *next;
	uint64_t tenancy;
	struct pod pod;

	(void)state;
	pod_start(&pod, 4 << 20);
	tenancy = daxfs_tenancy(pod.fs[0]);
	assert_true(tenancy != 0);
	assert_int_equal(fs_attach(pod.base, pod.size, &next, &err), 0);
	assert_true(daxfs_tenancy(next) == 0);
	assert_int_equal(daxfs_resume(next, 0, tenancy + 1, NULL, 0, &err), -ESTALE);
	assert_int_equal(daxfs_resume(next, POD_HOSTS, tenancy, NULL, 0, &err), -EINVAL);
	pod_fence(&pod, 0);
	memcpy(&before, fs_host(next, 0), sizeof(before));
	assert_int_equal(daxfs_resume(next, 0, tenancy, NULL, 0, &err), -ESTALE);
	assert_memory_equal(&before, fs_host(next, 0), sizeof(before));
	assert_int_equal(daxfs_resume_end(next), -ESTALE);
	daxfs_close(next);
	pod_stop(&pod);
}

/* Files are made until a lane has made two, for its first record has none before it: what its status is then. */
static uint64_t last_of_a_lane(struct daxfs *fs, unsigned *lane)
{
	uint64_t status = 0;
	char name[16];

	for (unsigned n = 0; !(status & DAXFS_STATUS_HAPPENED) || status_seq(status) < 2; n++) {
		if (n % fs->pool.super.lanes_per_host == 0) {
			snprintf(name, sizeof(name), "f%u", n);
			pod_create(fs, DAXFS_ROOT, name);
		}
		*lane = n % fs->pool.super.lanes_per_host;
		status = sm_load(&fs->pool.lanes[*lane].status);
	}
	return status;
}

/* The last record of a lane happened. So says the receipt of its request, and no other of that lane. */
static void of_the_last_record_alone(void **state)
{
	struct daxfs_receipt last = { .step[0].upto = 1 }, before = { .step[0].upto = 1 };
	struct daxfs_receipt *receipts[] = { &last, &before };
	struct daxfs_error err;
	struct daxfs *next;
	unsigned lane = 0;
	uint64_t status;
	struct pod pod;

	(void)state;
	pod_start(&pod, 4 << 20);
	status = last_of_a_lane(pod.fs[0], &lane);
	last.step[0].txid = txid_make(lane, status_seq(status));
	before.step[0].txid = txid_make(lane, status_seq(status) - 1);
	assert_int_equal(fs_attach(pod.base, pod.size, &next, &err), 0);
	if (daxfs_resume(next, 0, daxfs_tenancy(pod.fs[0]), receipts, 2, &err))
		fail_msg("%s", err.text);
	assert_int_equal(daxfs_receipt_done(&last), 1);
	assert_int_equal(daxfs_receipt_done(&before), 0);
	assert_int_equal(daxfs_resume_end(next), 0);
	daxfs_close(next);
	pod_stop(&pod);
}

/* What a host says of its silence is its own, bounded, and taken back by whoever goes on. */
static void away(void **state)
{
	struct daxfs_host_view v;
	struct daxfs_error err;
	struct daxfs *next;
	struct sm_host *slot;
	uint64_t tenancy;
	struct pod pod;

	(void)state;
	pod_start(&pod, 4 << 20);
	slot = &pod.fs[0]->pool.member->host[0];
	tenancy = daxfs_tenancy(pod.fs[0]);
	daxfs_away(pod.fs[0], 700);
	assert_int_equal(member_look(&pod.fs[0]->pool, 0, &v), 0);
	assert_int_equal(v.away_ms, 700);
	sm_store(&slot->away, sm_load(&slot->away) + (1ull << 40)); /* another generation's */
	assert_int_equal(member_look(&pod.fs[0]->pool, 0, &v), 0);
	assert_int_equal(v.away_ms, 0);
	sm_store(&slot->away, (uint64_t)v.generation << 40 | 0xffffffffffull);
	assert_int_equal(member_look(&pod.fs[0]->pool, 0, &v), 0);
	assert_int_equal(v.away_ms, DAXFS_AWAY_MAX_MS);
	assert_int_equal(fs_attach(pod.base, pod.size, &next, &err), 0);
	daxfs_away(next, 700); /* it has not joined: nothing */
	if (daxfs_resume(next, 0, tenancy, NULL, 0, &err))
		fail_msg("%s", err.text);
	assert_int_equal(member_look(&pod.fs[0]->pool, 0, &v), 0);
	assert_int_equal(v.away_ms, 0);
	assert_int_equal(daxfs_resume_end(next), 0);
	daxfs_close(next);
	pod_stop(&pod);
}

/* The process that joined has ended: this one is named now, before anybody could take its end for this one's. */
static void the_successor_is_named(void **state)
{
	struct daxfs_identity mine = { .pid = 0 }, gone;
	struct daxfs_host_view v;
	struct daxfs_error err;
	struct daxfs *next;
	struct sm_host *slot;
	uint64_t tenancy;
	struct pod pod;
	pid_t child = fork();

	(void)state;
	if (child == 0)
		_exit(0);
	if (daxfs_identity_here(NULL, "/proc/sys/kernel/random/boot_id", &mine, &err))
		skip(); /* this machine has no id */
	gone = mine;
	gone.pid = (uint32_t)child;
	gone.began = process_began(gone.pid);
	assert_int_equal(end_of(child), 0);
	pod_start(&pod, 4 << 20);
	slot = &pod.fs[0]->pool.member->host[0];
	card_store(CARD_WORDS(slot), &(struct card){ .process = identity_process(&gone), .pids = gone.pids });
	memcpy(&slot->machine, mine.machine, sizeof(mine.machine));
	memcpy(&slot->boot, mine.boot, sizeof(mine.boot));
	tenancy = daxfs_tenancy(pod.fs[0]);
	assert_int_equal(member_look(&pod.fs[0]->pool, 0, &v), 0);
	assert_int_equal(daxfs_identity_kin(&mine, &v.who), DAXFS_KIN_ENDED);
	assert_int_equal(fs_attach(pod.base, pod.size, &next, &err), 0);
	if (daxfs_resume(next, 0, tenancy, NULL, 0, &err))
		fail_msg("%s", err.text);
	assert_int_equal(member_look(&pod.fs[0]->pool, 0, &v), 0);
	assert_int_equal(v.who.pid, getpid());
	assert_int_equal(daxfs_identity_kin(&mine, &v.who), DAXFS_KIN_HERE); /* its counter may stand still */
	assert_int_equal(daxfs_resume_end(next), 0);
	assert_int_equal(member_look(&pod.fs[0]->pool, 0, &v), 0);
	assert_int_equal(v.who.pid, getpid());
	daxfs_close(next);
	pod_stop(&pod);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(killed_anywhere),          cmocka_unit_test(too_late),
		cmocka_unit_test(of_the_last_record_alone), cmocka_unit_test(away),
		cmocka_unit_test(the_successor_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
