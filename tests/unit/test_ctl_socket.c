/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_ctl_socket.c - which fabricd daxfsctl asks when it is told none, beside the sockets of those that were killed.
 *
 * The last test has real fabricds and their own place for sockets: it needs root, for a /run of its own, and is skipped
 * where that, or fabricd, is not to be had.
 */
#include "ctl_run.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include "common/listener.h"
#include "daxfsctl/find_socket.h"
#include "hang.h"

/* -- sockets alone ----------------------------------------------------------------------------- */

struct place {
	char dir[64], pattern[96], got[128];
	struct daxfs_error err;
};

static void place_make(struct place *p)
{
	memset(p, 0, sizeof(*p));
	strcpy(p->dir, "/tmp/daxfs-test-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->pattern, sizeof(p->pattern), "%s/fabricd-*.sock", p->dir);
}

static void place_end(const struct place *p, const char *const *names)
{
	char path[108];

	for (; *names; names++) {
		snprintf(path, sizeof(path), "%s/%s", p->dir, *names);
		unlink(path);
	}
	assert_int_equal(rmdir(p->dir), 0);
}

/* Somebody listens; closing the descriptor leaves what a process that is killed leaves. */
static int listens(const struct place *p, const char *name)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s/%s", p->dir, name);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static int found(struct place *p)
{
	p->got[0] = p->err.text[0] = '\0';
	return find_socket(p->pattern, p->got, sizeof(p->got), &p->err);
}

static void the_dead_do_not_count(void **unused)
{
	static const char *const names[] = { "fabricd-a.sock", "fabricd-b.sock", "fabricd-c.sock", NULL };
	struct place p;
	int a, b, c;

	(void)unused;
	place_make(&p);
	assert_int_equal(found(&p), -ENOENT);
	assert_non_null(strstr(p.err.text, p.pattern));
	a = listens(&p, names[0]);
	b = listens(&p, names[1]);
	c = listens(&p, names[2]);
	close(a);
	assert_int_equal(found(&p), -ENOTUNIQ);
	assert_non_null(strstr(p.err.text, "2 fabricds on this machine"));
	assert_non_null(strstr(p.err.text, names[1])); /* one that can be chosen */
	close(c);
	assert_int_equal(found(&p), 0);
	assert_non_null(strstr(p.got, names[1]));
	close(b);
	assert_int_equal(found(&p), -ENOENT);
	assert_non_null(strstr(p.err.text, "nobody listens at "));
	assert_null(strchr(p.err.text, '\n'));
	place_end(&p, names);
}

/* A listener whose queue is full does not answer, and is there. */
static void the_busy_count(void **unused)
{
	static const char *const names[] = { "fabricd-a.sock", "fabricd-b.sock", NULL };
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int waiting[8], listener;
	struct place p;

	(void)unused;
	place_make(&p);
	close(listens(&p, names[0]));
	listener = listens(&p, names[1]);
	snprintf(at.sun_path, sizeof(at.sun_path), "%s/%s", p.dir, names[1]);
	for (unsigned i = 0; i < 8; i++) {
		waiting[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (connect(waiting[i], (struct sockaddr *)&at, sizeof(at)))
			assert_int_equal(errno, EAGAIN);
	}
	assert_int_equal(found(&p), 0);
	assert_non_null(strstr(p.got, names[1]));
	for (unsigned i = 0; i < 8; i++)
		close(waiting[i]);
	close(listener);
	place_end(&p, names);
}

static void what_a_probe_says(void **unused)
{
	char longest[200];
	bool nobody = false;

	(void)unused;
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(listener_probe(longest, &nobody), -ENAMETOOLONG);
	assert_int_equal(listener_probe("/nowhere/at-all", &nobody), 0);
	assert_true(nobody);
}

/* -- fabricds ---------------------------------------------------------------------------------- */

static char pools[] = "/dev/shm/daxfs-ctl-XXXXXX";

struct pair {
	struct {
		char pool[96], socket[64];
	} of[2];
	pid_t fabricd[2];
	struct ctl_run r;
};

static bool own_run(void)
{
	return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("run", "/run", "tmpfs", 0, "mode=755") == 0;
}

static void make_pool(struct pair *p, unsigned i)
{
	snprintf(p->of[i].pool, sizeof(p->of[i].pool), "%s/pool%u", pools, i);
	snprintf(p->of[i].socket, sizeof(p->of[i].socket), "/run/daxfs/fabricd-pool%u.sock", i);
	ctl_run(&p->r, "mkfs %s --size 16M --name pool%u --hosts 2 --lanes 2 --heartbeat-ms 1000", p->of[i].pool, i);
	ctl_expect(&p->r, CTL_OK, "pool");
}

static void start(struct pair *p, unsigned i, const char *program)
{
	time_t begun = time(NULL);

	p->fabricd[i] = fork();
	assert_true(p->fabricd[i] >= 0);
	if (p->fabricd[i] == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
		execl(program, program, "--pool", p->of[i].pool, "--no-realtime", (char *)NULL);
		_exit(127);
	}
	do {
		usleep(5000);
		ctl_run(&p->r, "hosts --socket %s", p->of[i].socket);
	} while (p->r.code != CTL_OK && time(NULL) - begun < HANG_S);
	ctl_expect(&p->r, CTL_OK, " free\n");
}

static void kill_nine(struct pair *p, unsigned i)
{
	kill(p->fabricd[i], SIGKILL);
	assert_int_equal(waitpid(p->fabricd[i], NULL, 0), p->fabricd[i]);
	assert_int_equal(access(p->of[i].socket, F_OK), 0); /* else nothing is shown here */
}

/* status, what a host_cmds.c asks, and what event_log.c asks. */
static void all_ask(struct pair *p, int code, const char *words)
{
	static const char *const commands[] = { "status", "metrics", "events", "fence-test --host 0" };

	for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		ctl_run(&p->r, "%s", commands[i]);
		if (code != CTL_OK)
			ctl_expect(&p->r, code, words);
		else if (strstr(p->r.err, "fabricds on this machine"))
			fail_msg("%s: %s", commands[i], p->r.err);
	}
	ctl_run(&p->r, "status");
	ctl_expect(&p->r, code, words);
}

/* The exit status of a fabricd that is told to expect that pool. */
static int expects(const struct pair *p, const char *program, const char *uuid)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
		execl(program, program, "--pool", p->of[0].pool, "--pool-uuid", uuid, (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void of_two_one_was_killed(void **unused)
{
	char program[PATH_MAX + 32];
	struct pair p = { .fabricd = { 0 } };

	(void)unused;
	if (!fabricd_path(program, sizeof(program)) || !own_run()) {
		print_message("skipped: no %s, or no /run of its own (root)\n", program);
		skip();
	}
	assert_non_null(mkdtemp(pools));
	for (unsigned i = 0; i < 2; i++) {
		make_pool(&p, i);
		start(&p, i, program);
	}
	all_ask(&p, CTL_ERROR, "2 fabricds on this machine");
	kill_nine(&p, 0);
	all_ask(&p, CTL_OK, "pool pool1 ");
	kill_nine(&p, 1);
	all_ask(&p, CTL_ERROR, "nobody listens at /run/daxfs/fabricd-pool");
	start(&p, 0, program); /* in the place of the dead one */
	all_ask(&p, CTL_OK, "pool pool0 ");
	kill_nine(&p, 0);
	assert_int_equal(expects(&p, program, "00000000-0000-4000-8000-000000000000"), 4);
	all_ask(&p, CTL_ERROR, "nobody listens at ");
	for (unsigned i = 0; i < 2; i++)
		unlink(p.of[i].pool);
	assert_int_equal(rmdir(pools), 0);
	ctl_run_end(&p.r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_dead_do_not_count),
		cmocka_unit_test(the_busy_count),
		cmocka_unit_test(what_a_probe_says),
		cmocka_unit_test(of_two_one_was_killed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
