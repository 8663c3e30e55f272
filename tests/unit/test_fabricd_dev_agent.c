/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_fabricd_dev_agent.c - deploy/fence_daxfs_dev: every action, on a
 * directory that looks like cgroups, and on real ones where there are some
 * (cgroup v2, root; skipped otherwise). Runs from the top of the tree.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define AGENT "deploy/fence_daxfs_dev"

struct root {
	char dir[256];
	char out[2048]; /* of the last run */
};

/* Runs the agent with these lines on its stdin; its exit status. */
static int run(struct root *r, const char *action, const char *plug)
{
	char command[700];
	size_t len = 0, n;
	FILE *pipe;

	snprintf(command, sizeof(command),
		 "printf 'action=%s\\n# note\\nplug=%s\\nunknown=x\\ncgroup_root=%s' | " AGENT " 2>&1", action, plug,
		 r->dir);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	while ((n = fread(r->out + len, 1, sizeof(r->out) - 1 - len, pipe)) > 0)
		len += n;
	r->out[len] = '\0';
	return WEXITSTATUS(pclose(pipe));
}

static void put(const struct root *r, const char *host, const char *file, const char *text)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", r->dir, host);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/%s/%s", r->dir, host, file);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static int open_root(void **state)
{
	struct root *r = calloc(1, sizeof(*r));

	if (!r)
		return -1;
	strcpy(r->dir, "/tmp/daxfs-test-XXXXXX");
	if (!mkdtemp(r->dir))
		return -1;
	*state = r;
	return 0;
}

static int close_root(void **state)
{
	struct root *r = *state;
	char command[300];

	snprintf(command, sizeof(command), "rm -r %s", r->dir);
	if (system(command))
		return -1;
	free(r);
	return 0;
}

static void status_is_what_the_cgroup_says(void **state)
{
	struct root *r = *state;

	put(r, "full", "cgroup.events", "populated 1\nfrozen 0\n");
	put(r, "empty", "cgroup.events", "populated 0\nfrozen 0\n");
	put(r, "odd", "cgroup.events", "something else\n");
	assert_int_equal(run(r, "status", "full"), 0);
	assert_int_equal(run(r, "status", "empty"), 2);
	assert_int_equal(run(r, "status", "missing"), 1); /* nobody knows it */
	assert_int_equal(run(r, "status", "odd"), 1);     /* not known to be off */
	assert_int_equal(run(r, "list", ""), 0);
	assert_string_equal(r->out, "empty,\nfull,\nodd,\n");
	assert_int_equal(run(r, "monitor", ""), 0);
}

static void off_of_what_is_off_succeeds(void **state)
{
	struct root *r = *state;

	put(r, "empty", "cgroup.events", "populated 0\n");
	assert_int_equal(run(r, "off", "empty"), 0);
	assert_int_equal(run(r, "off", "missing"), 1);
	assert_int_equal(run(r, "on", "new"), 0);
	assert_int_equal(run(r, "on", "new"), 0);
}

/* A name is not a path, and a wrong root proves nothing. */
static void nonsense_is_refused(void **state)
{
	static const char *const plugs[] = { "", "..", "../x", "a/b", ".hidden", "a b", "a;b" };
	struct root *r = *state;

	for (unsigned i = 0; i < sizeof(plugs) / sizeof(*plugs); i++) {
		assert_int_equal(run(r, "off", plugs[i]), 1);
		assert_int_equal(run(r, "status", plugs[i]), 1);
	}
	assert_int_equal(run(r, "explode", "host1"), 1);
	assert_non_null(strstr(r->out, "explode"));
	rmdir(r->dir);
	assert_int_equal(run(r, "off", "host1"), 1);
	assert_int_equal(run(r, "status", "host1"), 1);
	assert_int_equal(run(r, "monitor", ""), 1);
	assert_int_equal(mkdir(r->dir, 0700), 0);
}

static void metadata_names_every_action(void **state)
{
	static const char *const parts[] = { "<resource-agent name=\"fence_daxfs_dev\"",
					     "<parameter name=\"plug\"",
					     "<parameter name=\"cgroup_root\"",
					     "<action name=\"off\"",
					     "<action name=\"on\"",
					     "<action name=\"status\"",
					     "<action name=\"monitor\"",
					     "<action name=\"list\"",
					     "<action name=\"metadata\"",
					     "</resource-agent>" };
	struct root *r = *state;

	assert_int_equal(run(r, "metadata", ""), 0);
	assert_int_equal(strncmp(r->out, "<?xml ", 6), 0);
	for (unsigned i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		assert_non_null(strstr(r->out, parts[i]));
}

/* -- real cgroups ------------------------------------------------------------ */

static bool make_real_root(struct root *r)
{
	FILE *pipe = popen("findmnt -n -t cgroup2 -o TARGET | head -n 1 | tr -d '\\n'", "r");
	char kill_file[400], mount[100] = "";
	bool usable;

	if (!pipe)
		return false;
	if (!fgets(mount, sizeof(mount), pipe))
		mount[0] = '\0';
	pclose(pipe);
	if (!mount[0] || geteuid() != 0)
		return false;
	snprintf(r->dir, sizeof(r->dir), "%s/daxfs-test-%d", mount, (int)getpid());
	if (mkdir(r->dir, 0755))
		return false;
	snprintf(kill_file, sizeof(kill_file), "%s/cgroup.kill", r->dir);
	usable = access(kill_file, W_OK) == 0;
	if (!usable)
		rmdir(r->dir);
	return usable;
}

/* A child in the cgroup, that has a child in it. */
static pid_t start_host(const struct root *r, const char *host)
{
	char path[512], pid[16];
	pid_t child = fork();

	assert_true(child >= 0);
	if (child > 0)
		return child;
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	snprintf(path, sizeof(path), "%s/%s", r->dir, host);
	put(r, host, "cgroup.procs", pid);
	execl("/bin/sh", "sh", "-c", "trap '' TERM; sleep 1000 & sleep 1000; sleep 1000", (char *)NULL);
	_exit(127);
}

static void off_kills_everything_in_the_cgroup(void **state)
{
	struct root r = { .dir = "" };
	char path[512];
	pid_t a, b;
	int status;

	(void)state;
	if (!make_real_root(&r)) {
		print_message("skipped: needs root and cgroup v2 with cgroup.kill\n");
		skip();
	}
	assert_int_equal(run(&r, "on", "hosta"), 0);
	assert_int_equal(run(&r, "on", "hostb"), 0);
	a = start_host(&r, "hosta");
	b = start_host(&r, "hostb");
	for (unsigned i = 0; run(&r, "status", "hosta") != 0 || run(&r, "status", "hostb") != 0; i++)
		assert_true(i < 500);
	assert_int_equal(run(&r, "off", "hosta"), 0);
	assert_int_equal(run(&r, "status", "hosta"), 2);
	assert_int_equal(run(&r, "status", "hostb"), 0); /* the neighbour lives */
	assert_int_equal(waitpid(a, &status, 0), a);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_int_equal(run(&r, "off", "hosta"), 0);
	assert_int_equal(run(&r, "off", "hostb"), 0);
	assert_int_equal(waitpid(b, &status, 0), b);
	snprintf(path, sizeof(path), "%s/hosta", r.dir);
	assert_int_equal(rmdir(path), 0);
	snprintf(path, sizeof(path), "%s/hostb", r.dir);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(rmdir(r.dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(status_is_what_the_cgroup_says, open_root, close_root),
		cmocka_unit_test_setup_teardown(off_of_what_is_off_succeeds, open_root, close_root),
		cmocka_unit_test_setup_teardown(nonsense_is_refused, open_root, close_root),
		cmocka_unit_test_setup_teardown(metadata_names_every_action, open_root, close_root),
		cmocka_unit_test(off_kills_everything_in_the_cgroup),
	};

	if (access(AGENT, X_OK)) {
		fprintf(stderr, "skipped: %s is not here; run from the top of the tree\n", AGENT);
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
