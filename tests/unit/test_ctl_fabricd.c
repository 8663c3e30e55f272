/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_ctl_fabricd.c - daxfsctl and a real fabricd, over its socket.
 *
 * The hosts are children that map the pool; the fence agent is a script that
 * kills the one it is told to. Waits for states with a deadline, never for time.
 * Skipped where there is no fabricd beside the tests.
 */
#include "ctl_run.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "daxfs/daxfs.h"
#include "hang.h"

struct pod {
	char dir[64], pool[96], socket[96], agent[96];
	pid_t fabricd, host[2];
	struct ctl_run r;
};

/* -- processes ---------------------------------------------------------------------- */

static void host_main(const char *pool, unsigned host)
{
	struct daxfs_error err;
	struct daxfs *fs;
	char name[16];

	snprintf(name, sizeof(name), "host%u", host);
	if (daxfs_open(pool, DAXFS_READ_WRITE, &fs, &err) || daxfs_join(fs, host, name, &err))
		_exit(1);
	for (;;) {
		struct daxfs_recovery report[4];

		if (daxfs_beat(fs))
			_exit(0); /* declared dead */
		daxfs_recover_assigned(fs, report, 4);
		usleep(2000);
	}
}

static void start_host(struct pod *p, unsigned host)
{
	char path[128];
	FILE *file;

	p->host[host] = fork();
	assert_true(p->host[host] >= 0);
	if (p->host[host] == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		host_main(p->pool, host);
	}
	snprintf(path, sizeof(path), "%s/host%u.pid", p->dir, host);
	file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file, "%d\n", (int)p->host[host]);
	fclose(file);
}

static void end(pid_t *pid)
{
	if (*pid <= 0)
		return;
	kill(*pid, SIGKILL);
	waitpid(*pid, NULL, 0);
	*pid = 0;
}

static void start_fabricd(struct pod *p, const char *program)
{
	p->fabricd = fork();
	assert_true(p->fabricd >= 0);
	if (p->fabricd > 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
	execl(program, program, "--pool", p->pool, "--socket", p->socket, "--fence-agent", p->agent, (char *)NULL);
	_exit(127);
}

/* off kills the process whose pid is in DIR/PLUG.pid; status asks whether it is there. */
static void write_agent(struct pod *p)
{
	FILE *file = fopen(p->agent, "w");

	assert_non_null(file);
	fprintf(file,
		"#!/bin/sh\n"
		"while IFS= read -r line; do\n"
		"case $line in action=*) action=${line#*=};; plug=*) plug=${line#*=};; esac\n"
		"done\n"
		"[ \"$action\" = monitor ] && exit\n"
		"pid=$(cat %s/$plug.pid) || exit 1\n"
		"case $action in\n"
		"off) kill -KILL $pid;;\n"
		"status) grep -q '^State:.[ZX]' /proc/$pid/status 2>/dev/null && exit 2\n"
		"[ -e /proc/$pid ] || exit 2;;\n"
		"esac\n",
		p->dir);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(p->agent, 0700), 0);
}

/* -- waiting ------------------------------------------------------------------------ */

/* Run a status line until its output has those words. */
static void until(struct pod *p, const char *what, const char *words)
{
	time_t start = time(NULL);

	do {
		ctl_run(&p->r, "%s --socket %s", what, p->socket);
		if (p->r.code == CTL_OK && strstr(p->r.out, words))
			return;
		usleep(5000);
	} while (time(NULL) - start < HANG_S);
	fail_msg("\"%s\" never said \"%s\": %s%s", what, words, p->r.out, p->r.err);
}

static bool pod_start(struct pod *p)
{
	char program[PATH_MAX + 32];

	if (!fabricd_path(program, sizeof(program))) {
		print_message("skipped: there is no %s\n", program);
		return false;
	}
	memset(p, 0, sizeof(*p));
	strcpy(p->dir, "/dev/shm/daxfs-ctl-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->pool, sizeof(p->pool), "%s/pool", p->dir);
	snprintf(p->socket, sizeof(p->socket), "%s/socket", p->dir);
	snprintf(p->agent, sizeof(p->agent), "%s/agent", p->dir);
	write_agent(p);
	ctl_run(&p->r, "mkfs %s --size 16M --name unit --hosts 2 --lanes 2 --heartbeat-ms 100", p->pool);
	ctl_expect(&p->r, CTL_OK, "pool unit");
	start_fabricd(p, program);
	for (unsigned i = 0; i < 2; i++)
		start_host(p, i);
	until(p, "status", "HEALTHY");
	until(p, "status", "\n 1 host1  ALIVE ");
	return true;
}

static void pod_stop(struct pod *p)
{
	char path[128];

	end(&p->fabricd);
	for (unsigned i = 0; i < 2; i++) {
		end(&p->host[i]);
		snprintf(path, sizeof(path), "%s/host%u.pid", p->dir, i);
		unlink(path);
	}
	unlink(p->pool);
	unlink(p->socket);
	unlink(p->agent);
	assert_int_equal(rmdir(p->dir), 0);
	ctl_run_end(&p->r);
}

/* -- tests -------------------------------------------------------------------------- */

static void status_by_socket(struct pod *p)
{
	ctl_run(&p->r, "--socket %s status", p->socket);
	ctl_expect(&p->r, CTL_OK, "(primary)");
	assert_non_null(strstr(p->r.out, "pages 1% (0.0/")); /* it mapped the pool that fabricd named */
	ctl_run(&p->r, "status %s --socket %s --json", p->pool, p->socket);
	ctl_expect(&p->r, CTL_OK, "\"role\": \"primary\"");
	ctl_expect_json(&p->r, "\"fence_agent\": \"agent\"");
	ctl_run(&p->r, "hosts --socket %s", p->socket);
	ctl_expect(&p->r, CTL_OK, " free\n");
}

static void fence_tested(struct pod *p)
{
	ctl_run(&p->r, "fence-test --socket %s --host 1", p->socket);
	ctl_expect(&p->r, CTL_OK, "host 1 (host1): agent: on");
	ctl_run(&p->r, "fence-test --socket %s --host 2", p->socket);
	assert_int_equal(p->r.code, CTL_ERROR);
	ctl_run(&p->r, "status --socket %s", p->socket);
	ctl_expect(&p->r, CTL_OK, " 1 host1  ALIVE "); /* nobody was cut off */
}

/* In any case; by fabricd's being at work where that has beaten before the host has, in the time in which both do. */
static void direct_refused(struct pod *p)
{
	time_t start = time(NULL);

	do {
		ctl_run(&p->r, "confirm-dead %s --direct 1", p->pool);
		assert_int_equal(p->r.code, CTL_REFUSED);
	} while (!strstr(p->r.err, "is at work") && time(NULL) - start < HANG_S);
	ctl_expect(&p->r, CTL_REFUSED, "is at work");
}

static void orders_refused(struct pod *p)
{
	ctl_run(&p->r, "fence --socket %s --host 2", p->socket);
	ctl_expect(&p->r, CTL_REFUSED, "host 2");
	ctl_run(&p->r, "recover --socket %s --host 0", p->socket);
	ctl_expect(&p->r, CTL_REFUSED, "fence it first");
	ctl_run(&p->r, "confirm-dead --socket %s 40 --json", p->socket);
	assert_int_equal(p->r.code, CTL_USAGE);
	ctl_expect_json(&p->r, "\"exit\": 16");
	direct_refused(p);
}

static void fenced_and_recovered(struct pod *p)
{
	ctl_run(&p->r, "fence --socket %s --host 1 --wait %d", p->socket, HANG_S);
	ctl_expect(&p->r, CTL_OK, "host 1 is ");
	/* fabricd assigns the recovery by itself: whoever comes first. */
	ctl_run(&p->r, "recover --socket %s --host 1 --wait %d --json", p->socket, HANG_S);
	ctl_expect(&p->r, CTL_OK, "");
	ctl_expect_json(&p->r, "\"host\": 1");
	until(p, "status", "last recovery ");
	until(p, "status", "HEALTHY");
	end(&p->host[1]);
	ctl_run(&p->r, "check %s", p->pool);
	ctl_expect(&p->r, CTL_OK, "clean");
}

/* What was done to host 1, asked of fabricd and of the pool. */
static void remembered(struct pod *p)
{
	ctl_run(&p->r, "events --socket %s", p->socket);
	ctl_expect(&p->r, CTL_OK, "fabricd is primary with epoch 1");
	assert_non_null(strstr(p->r.out, "host 1 (host1) generation 1 FENCED: fenced by operator; by agent in "));
	assert_non_null(strstr(p->r.out, "host 1 (host1) generation 1 RECOVERED: recovered, by host 0;"));
	ctl_run(&p->r, "events %s --json --since 1", p->pool);
	ctl_expect(&p->r, CTL_OK, "\"schema\": \"daxfs-events-1\"");
	ctl_expect_json(&p->r, "\"state\": \"FENCING\"");
	ctl_run(&p->r, "show host1 --postmortem --socket %s", p->socket);
	ctl_expect(&p->r, CTL_OK, "host 1 (host1) generation 0\n");
	for (const char *const *part =
		     (const char *const[]){ "joined", "beats before", "last heartbeat", "declared dead",
					    "proof of exclusion", "recovery assigned", "recovered", NULL };
	     *part; part++)
		if (!strstr(p->r.out, *part) || strstr(p->r.out, "none is recorded"))
			fail_msg("\"%s\" is not told: %s", *part, p->r.out);
	ctl_run(&p->r, "show 1 %s --postmortem --json", p->pool);
	ctl_expect_json(&p->r, "\"proof_of_exclusion\": {");
	ctl_run(&p->r, "show 1 --socket %s", p->socket);
	ctl_expect(&p->r, CTL_OK, "RECOVERED");
	ctl_run(&p->r, "show 0 %s --postmortem", p->pool);
	ctl_expect(&p->r, CTL_REFUSED, "no death of it is recorded");
	ctl_run(&p->r, "show nobody %s", p->pool);
	ctl_expect(&p->r, CTL_USAGE, "no such host");
	ctl_run(&p->r, "events --follow --wait 0 --json --socket %s", p->socket);
	ctl_expect(&p->r, CTL_OK, "\"schema\": \"daxfs-event-1\"");
	assert_true(strchr(p->r.out, '\n')[1] == '{'); /* an object a line */
}

/* A host that lives is not removed; one that is gone, and whose agent fails, is by the operator's word. */
static void removed(struct pod *p)
{
	ctl_run(&p->r, "remove --host 0 --socket %s", p->socket);
	ctl_expect(&p->r, CTL_REFUSED, "stop its node-agent");
	start_host(p, 1);
	until(p, "status", " 1 host1  ALIVE ");
	unlink(p->agent); /* nothing proves what comes */
	end(&p->host[1]);
	until(p, "status", " 1 host1  FENCING ");
	ctl_run(&p->r, "remove --host 1 --wait %d --socket %s --json", HANG_S, p->socket);
	ctl_expect(&p->r, CTL_OK, "\"host\": 1");
	until(p, "remove --host 1", "its slot is free");
}

static void stopped_fabricd(struct pod *p)
{
	kill(p->fabricd, SIGSTOP);
	ctl_run(&p->r, "status --socket %s", p->socket);
	ctl_expect(&p->r, CTL_ERROR, "did not answer");
	kill(p->fabricd, SIGCONT);
	until(p, "status", "(primary)");
}

static void a_pod(void **unused)
{
	struct pod p;

	(void)unused;
	if (!pod_start(&p))
		skip();
	status_by_socket(&p);
	fence_tested(&p);
	orders_refused(&p);
	fenced_and_recovered(&p);
	remembered(&p);
	stopped_fabricd(&p);
	removed(&p);
	pod_stop(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pod),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
