/* SPDX-License-Identifier: Apache-2.0 */
/*
 * histories.c - the outside checker: random operations on the mounts of several hosts, and whether
 * one order of them explains every answer.
 *
 *	histories work  --mount DIR --log DIR --host N --gen N [--procs N] [--seed N] --began NS --until NS
 *	histories look  --mount DIR --log DIR --until NS --began NS
 *	histories judge --log DIR
 *	histories --self-test
 *
 * `work`: one host's workers, until the time or death. `look`: through one mount, at all cells of a
 * run that is over. `judge`: prints figures; exit status 1 with violations. What is
 * done is in cell_work.c, what may be answered in cell.c, how it is decided in linear.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

#include "cell_judge.h"
#include "cell_work.h"
#include "oplog.h"

struct arguments {
	struct cell_job job;
	const char *mount;
	unsigned procs;
};

static int usage(void)
{
	fprintf(stderr, "usage: histories work|look|judge --log DIR [--mount DIR] [--host N] [--gen N] [--procs N] "
			"[--seed N] [--began NS] [--until NS]\n       histories --self-test\n");
	return 2;
}

static bool take(struct arguments *a, const char *key, const char *value)
{
	uint64_t n = strtoull(value, NULL, 10);

	if (!strcmp(key, "--mount"))
		a->mount = value;
	else if (!strcmp(key, "--log"))
		a->job.log = value;
	else if (!strcmp(key, "--host"))
		a->job.host = (unsigned)n;
	else if (!strcmp(key, "--gen"))
		a->job.gen = (unsigned)n;
	else if (!strcmp(key, "--procs"))
		a->procs = (unsigned)n;
	else if (!strcmp(key, "--seed"))
		a->job.seed = n;
	else if (!strcmp(key, "--began"))
		a->job.began = n;
	else if (!strcmp(key, "--until"))
		a->job.until = n;
	else
		return false;
	return true;
}

static int fail(const char *what, int error)
{
	fprintf(stderr, "histories: %s: %s\n", what, strerror(error));
	return 1;
}

static int open_top(struct arguments *a)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/cells", a->mount ? a->mount : ".");
	if (mkdir(path, 0755) && errno != EEXIST)
		return -errno;
	a->job.top = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return a->job.top < 0 ? -errno : 0;
}

static int work(struct arguments *a)
{
	int rc = open_top(a), status, failed = 0;

	if (rc)
		return fail("cannot open the cells", -rc);
	for (unsigned i = 0; i < a->procs; i++) {
		pid_t pid = fork();

		if (pid < 0)
			return fail("cannot fork", errno);
		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			rc = cell_work(&a->job, CELL_WORKERS * a->job.host + i);
			_exit(rc ? fail("a worker gave up", -rc) : 0);
		}
	}
	while (wait(&status) > 0)
		failed |= status;
	return failed ? 1 : 0;
}

static int look(struct arguments *a)
{
	int rc = open_top(a);

	a->job.cells = (uint32_t)((a->job.until - a->job.began) / CELL_TURN_NS + 1) * CELL_AT_ONCE;
	a->job.host = CELL_HOSTS - 1;
	if (rc == 0)
		rc = cell_look(&a->job, CELL_WORKERS * a->job.host);
	return rc ? fail("the last look", -rc) : 0;
}

static int judge(const char *dir)
{
	struct cell_tally t;
	int rc = cell_judge_all(dir, &t);

	if (rc)
		return fail(dir, -rc);
	printf("cells=%" PRIu64 " ops=%" PRIu64 " unanswered=%" PRIu64 " deaths=%" PRIu64 " refused=%" PRIu64
	       " overflows=%" PRIu64 " states=%" PRIu64 " violations=%" PRIu64 "\n",
	       t.cells, t.ops, t.unanswered, t.deaths, t.refused, t.overflows, t.states, t.violations);
	return t.violations || !t.cells;
}

int main(int argc, char **argv)
{
	struct arguments a = { .procs = 2 };
	const char *what = argc > 1 ? argv[1] : "";

	if (!strcmp(what, "--self-test"))
		return cell_selftest() != 0;
	for (int i = 2; i + 1 < argc; i += 2)
		if (!take(&a, argv[i], argv[i + 1]))
			return usage();
	if (!a.job.log || a.procs > CELL_WORKERS || a.job.host >= CELL_HOSTS)
		return usage();
	if (!strcmp(what, "work"))
		return work(&a);
	if (!strcmp(what, "look"))
		return look(&a);
	return strcmp(what, "judge") ? usage() : judge(a.job.log);
}
