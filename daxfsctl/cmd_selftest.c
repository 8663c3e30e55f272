/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_selftest.c - daxfsctl selftest: is 64-bit compare-and-swap atomic on the
 * memory of this pool?
 *
 * Processes that map the pool each for itself increment one word by
 * compare-and-swap, all starting together; the word must have grown by the exact
 * sum. Every update of the filesystem rests on this. With --hosts it is the test
 * between hosts: cmd_coherence.c.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daxfsctl/coherence.h"

#define PROCESSES_MAX 256u
#define MAP_MS 10000
#define WAIT_S 60u
#define ROUNDS 1000u

struct selftest {
	const char *path;
	unsigned processes;
	uint64_t increments; /* each */
	uint64_t before, after, made, tries;
	unsigned failed;
};

static int value_of(const char *path, uint64_t *value, struct daxfs_error *err)
{
	struct daxfs_selftest result = { 0 };
	struct daxfs *fs;
	int rc = daxfs_open(path, DAXFS_READ_ONLY, &fs, err);

	if (rc)
		return rc;
	rc = daxfs_selftest(fs, 0, &result);
	daxfs_close(fs);
	*value = result.value;
	return rc;
}

/* Child: map, say so, wait for the start, work, report. Never returns. */
static void work(const struct selftest *t, int start, int report)
{
	struct daxfs_selftest result = { 0 };
	struct daxfs_error err = { .text = "" };
	struct daxfs *fs;
	char byte;
	int rc;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	rc = daxfs_open(t->path, DAXFS_READ_WRITE, &fs, &err);
	if (write(report, &result, sizeof(result)) != sizeof(result) || rc)
		_exit(1);
	if (read(start, &byte, 1) != 0) /* the start is the end of the file */
		_exit(2);
	if (daxfs_selftest(fs, t->increments, &result))
		_exit(3);
	_exit(write(report, &result, sizeof(result)) == sizeof(result) ? 0 : 4);
}

static unsigned spawn(const struct selftest *t, pid_t *pid, const int start[2], const int report[2])
{
	unsigned n = 0;

	for (; n < t->processes; n++) {
		pid[n] = fork();
		if (pid[n] < 0)
			break;
		if (pid[n] == 0) {
			close(start[1]);
			close(report[0]);
			work(t, start[0], report[1]);
		}
	}
	return n;
}

/* Until every child has mapped the pool or failed to; one that was killed costs the timeout. */
static void await_mapped(unsigned n, int report)
{
	struct pollfd in = { .fd = report, .events = POLLIN };
	struct daxfs_selftest ready;

	for (unsigned i = 0; i < n; i++)
		if (poll(&in, 1, MAP_MS) != 1 || read(report, &ready, sizeof(ready)) != sizeof(ready))
			return;
}

static void gather(struct selftest *t, const pid_t *pid, unsigned n, int report)
{
	struct daxfs_selftest result;

	while (read(report, &result, sizeof(result)) == sizeof(result)) {
		t->made += result.increments;
		t->tries += result.tries;
	}
	for (unsigned i = 0; i < n; i++) {
		int status = -1;

		while (waitpid(pid[i], &status, 0) < 0 && errno == EINTR)
			;
		t->failed += status != 0;
	}
}

/* 0, or -errno when not all processes could be started. */
static int race(struct selftest *t)
{
	pid_t pid[PROCESSES_MAX];
	int start[2], report[2], rc = 0;
	unsigned n;

	if (pipe(start))
		return -errno;
	if (pipe(report)) {
		rc = -errno;
		close(start[0]);
		close(start[1]);
		return rc;
	}
	n = spawn(t, pid, start, report);
	if (n < t->processes)
		rc = -EAGAIN;
	close(start[0]);
	close(report[1]);
	await_mapped(n, report[0]);
	close(start[1]); /* go */
	gather(t, pid, n, report[0]);
	close(report[0]);
	return rc;
}

static int run(struct ctl *ctl, struct selftest *t)
{
	struct daxfs_error err = { .text = "" };
	int rc = value_of(t->path, &t->before, &err);

	if (rc)
		return ctl_fail_error(ctl, rc, &err);
	fflush(ctl->out);
	rc = race(t);
	if (rc)
		return ctl_fail(ctl, CTL_ERROR, "selftest: processes cannot be started: %s", strerror(-rc));
	rc = value_of(t->path, &t->after, &err);
	return rc ? ctl_fail_error(ctl, rc, &err) : CTL_OK;
}

static int show(struct ctl *ctl, const struct selftest *t)
{
	uint64_t want = t->processes * t->increments, grown = t->after - t->before;
	bool exact = !t->failed && grown == want && t->made == want;
	double first = t->tries ? 100.0 * (double)t->made / (double)t->tries : 0;
	bool met = t->tries > t->made;
	struct json j;

	if (ctl->json) {
		json_begin(&j, ctl->out);
		json_add_bool(&j, "exact", exact);
		json_add_number(&j, "processes", t->processes);
		json_add_number(&j, "increments_each", t->increments);
		json_add_number(&j, "expected", want);
		json_add_number(&j, "grown", grown);
		json_add_number(&j, "succeeded", t->made);
		json_add_number(&j, "tries", t->tries);
		json_add_real(&j, "first_try_percent", first);
		json_add_number(&j, "collisions", t->tries - t->made);
		json_add_number(&j, "processes_failed", t->failed);
		json_finish(&j);
	} else {
		fprintf(ctl->out,
			"selftest: %u processes x %" PRIu64 " increments: the word grew by %" PRIu64 " of %" PRIu64
			": %s; %.3f%% succeeded at the first try, %" PRIu64 " met another\n",
			t->processes, t->increments, grown, want, exact ? "exact" : "WRONG", first, t->tries - t->made);
		if (t->failed)
			fprintf(ctl->out, "selftest: %u processes could not map the pool for writing, or died\n",
				t->failed);
		else if (exact && t->processes > 1 && !met)
			fprintf(ctl->out,
				"selftest: the processes never met: this says nothing; give more --increments\n");
		else if (!exact)
			fprintf(ctl->out,
				"selftest: do not use this memory between hosts (or another selftest ran too)\n");
	}
	return exact ? CTL_OK : CTL_PROBLEMS;
}

struct between {
	struct arg_number hosts, host, rounds, wait;
};

static int test_between(struct ctl *ctl, const struct between *b, uint64_t increments)
{
	struct daxfs_coherence_options options = {
		.struct_size = sizeof(options),
		.hosts = (unsigned)b->hosts.value,
		.host = (unsigned)b->host.value,
		.rounds = b->rounds.value,
		.increments = increments,
		.wait_ms = (unsigned)b->wait.value * 1000,
	};

	if (!b->hosts.given || !b->host.given)
		return ctl_fail(ctl, CTL_USAGE,
				"selftest between hosts: on each of N hosts give --hosts N and its --host, 0 to N - 1");
	return coherence_test(ctl, ctl->words[0], &options);
}

int cmd_selftest(struct ctl *ctl, int argc, char **argv)
{
	struct arg_number processes = { 4, false }, increments = { 1000000, false };
	struct between b = { .rounds = { ROUNDS, false }, .wait = { WAIT_S, false } };
	const struct arg table[] = {
		{ "processes", ARG_NUMBER, &processes, PROCESSES_MAX },
		{ "increments", ARG_NUMBER, &increments, 1ull << 40 },
		{ "hosts", ARG_NUMBER, &b.hosts, UINT32_MAX },
		{ "host", ARG_NUMBER, &b.host, UINT32_MAX },
		{ "rounds", ARG_NUMBER, &b.rounds, 1ull << 40 },
		{ "wait", ARG_NUMBER, &b.wait, 86400 },
	};
	struct selftest t = { .path = NULL };
	int code = ctl_parse(ctl, argc, argv, table, sizeof(table) / sizeof(table[0]), 1, 1,
			     "selftest POOL [--processes N] [--increments N], or --hosts N --host I [--rounds N]");

	if (code)
		return code;
	if (b.hosts.given || b.host.given)
		return test_between(ctl, &b, increments.value);
	if (!processes.value || !increments.value)
		return ctl_fail(ctl, CTL_USAGE, "selftest: nothing to do with 0 processes or increments");
	t.path = ctl->words[0];
	t.processes = (unsigned)processes.value;
	t.increments = increments.value;
	code = run(ctl, &t);
	return code ? code : show(ctl, &t);
}
