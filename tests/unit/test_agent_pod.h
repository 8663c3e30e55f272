/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_pod.h - a pod of real agents for tests: a pool in /dev/shm, one
 * child process per host that runs the agent's own agent_run(), real mounts. A child
 * of that serves: pod_server().
 *
 * Needs root and /dev/fuse; pod_possible() says so and the tests are skipped.
 * An agent is up when it says READY=1 to the socket it finds in NOTIFY_SOCKET.
 */
#ifndef TEST_AGENT_POD_H
#define TEST_AGENT_POD_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "daxfs/inspect.h"
#include "daxfs/member.h"
#include "node-agent/agent.h"
#include "node-agent/mountpoint.h"
#include "hang.h"

#define POD_HOSTS 3
#define POD_WAIT_MS (HANG_S * 1000)
#define POD_BYTES (64u << 20)

struct pod {
	char dir[64]; /* of everything below */
	char pool[96];
	char mount[POD_HOSTS][96];
	char log[POD_HOSTS][96]; /* stderr of the agent */
	pid_t agent[POD_HOSTS];  /* 0: not running */
	int notify;              /* socket */
	char notify_path[96];
	/* Takes one message. NULL: nobody wants it. */
	void (*hear)(struct pod *pod, void *manager);
	void *manager;
};

static inline bool pod_possible(void)
{
	if (geteuid() == 0 && access("/dev/fuse", R_OK | W_OK) == 0)
		return true;
	print_message("skipped: mounting needs root and /dev/fuse\n");
	return false;
}

static inline void pod_listen(struct pod *pod)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };

	snprintf(pod->notify_path, sizeof(pod->notify_path), "%s/notify", pod->dir);
	memcpy(at.sun_path, pod->notify_path, strlen(pod->notify_path) + 1);
	pod->notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(pod->notify >= 0);
	assert_int_equal(bind(pod->notify, (struct sockaddr *)&at, sizeof(at)), 0);
}

static inline void pod_make_of(struct pod *pod, const struct daxfs_mkfs_options *options)
{
	struct daxfs_error err = { .text = "" };

	memset(pod, 0, sizeof(*pod));
	strcpy(pod->dir, "/dev/shm/test_agent.XXXXXX");
	assert_non_null(mkdtemp(pod->dir));
	snprintf(pod->pool, sizeof(pod->pool), "%s/pool", pod->dir);
	if (daxfs_mkfs(pod->pool, options, &err) != 0)
		fail_msg("mkfs: %s", err.text);
	for (int i = 0; i < POD_HOSTS; i++) {
		snprintf(pod->mount[i], sizeof(pod->mount[i]), "%s/mnt%d", pod->dir, i);
		snprintf(pod->log[i], sizeof(pod->log[i]), "%s/log%d", pod->dir, i);
		assert_int_equal(mkdir(pod->mount[i], 0755), 0);
	}
	pod_listen(pod);
}

static inline void pod_make_leased(struct pod *pod, unsigned lease_ms)
{
	const struct daxfs_mkfs_options options = {
		.struct_size = sizeof(options), .name = "pod", .size = POD_BYTES, .hosts = 4, .lease_ms = lease_ms
	};

	pod_make_of(pod, &options);
}

static inline void pod_make(struct pod *pod)
{
	pod_make_leased(pod, 0);
}

/* Where a host's ids are. Without pod_identify() they are not known. */
static inline void pod_identity(const struct pod *pod, int host, char *machine, char *boot)
{
	snprintf(machine, 128, "%s/machine%d", pod->dir, host);
	snprintf(boot, 128, "%s/boot%d", pod->dir, host);
}

static inline void pod_write_id(const char *path, unsigned id)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fprintf(file, "%032x\n", id);
	assert_int_equal(fclose(file), 0);
}

/* From its next start on: the host is a machine of its own, in that boot of it. */
static inline void pod_identify(const struct pod *pod, int host, unsigned machine, unsigned boot)
{
	char machine_file[128], boot_file[128];

	pod_identity(pod, host, machine_file, boot_file);
	pod_write_id(machine_file, machine);
	pod_write_id(boot_file, boot);
}

static inline void pod_forget_ids(const struct pod *pod, int host)
{
	char machine_file[128], boot_file[128];

	pod_identity(pod, host, machine_file, boot_file);
	unlink(machine_file);
	unlink(boot_file);
}

static inline void pod_config(const struct pod *pod, int host, struct config *config)
{
	config_defaults(config);
	strcpy(config->pool, pod->pool);
	strcpy(config->mount, pod->mount[host]);
	snprintf(config->name, sizeof(config->name), "host%d", host);
	pod_identity(pod, host, config->machine_file, config->boot_file);
	config->host = host;
}

/* Run an agent; its lines go to the log of `log`. Dies with the test. */
static inline pid_t pod_spawn(struct pod *pod, const struct config *config, int log)
{
	pid_t pid = fork();
	int fd;

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fd = open(pod->log[log], O_WRONLY | O_CREAT | O_APPEND, 0644);
	dup2(fd, STDERR_FILENO);
	close(fd);
	setenv("NOTIFY_SOCKET", pod->notify_path, 1);
	_exit(agent_run(config));
}

static inline void pod_show_log(const struct pod *pod, int log)
{
	char text[4096];
	int fd = open(pod->log[log], O_RDONLY);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;

	text[n > 0 ? n : 0] = '\0';
	print_message("log of host %d:\n%s", log, text);
	if (fd >= 0)
		close(fd);
}

static inline bool pod_log_says(const struct pod *pod, int log, const char *what)
{
	char text[8192];
	int fd = open(pod->log[log], O_RDONLY);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;

	text[n > 0 ? n : 0] = '\0';
	if (fd >= 0)
		close(fd);
	return strstr(text, what) != NULL;
}

static inline bool pod_ended(pid_t pid)
{
	siginfo_t info = { .si_pid = 0 };

	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}

/* One message of an agent says READY=1? */
static inline bool pod_hears_ready(struct pod *pod)
{
	char text[512];
	ssize_t n = recv(pod->notify, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return strstr(text, "READY=1") != NULL;
}

static inline void pod_wait_ready(struct pod *pod, int host)
{
	struct pollfd in = { .fd = pod->notify, .events = POLLIN };

	for (int ms = 0; ms < POD_WAIT_MS && !pod_ended(pod->agent[host]); ms += 100)
		while (poll(&in, 1, 100) == 1)
			if (pod_hears_ready(pod))
				return;
	pod_show_log(pod, host);
	fail_msg("agent %d is not ready", host);
}

/* As pod_wait_ready, of several that start at once. */
static inline void pod_wait_all_ready(struct pod *pod, int n)
{
	struct pollfd in = { .fd = pod->notify, .events = POLLIN };

	for (int ms = 0; ms < POD_WAIT_MS && n > 0; ms += 100)
		while (n > 0 && poll(&in, 1, 100) == 1)
			n -= pod_hears_ready(pod);
	if (n == 0)
		return;
	for (int i = 0; i < POD_HOSTS; i++)
		pod_show_log(pod, i);
	fail_msg("%d agents are not ready", n);
}

static inline void pod_start(struct pod *pod, int host)
{
	struct config config;

	pod_config(pod, host, &config);
	pod->agent[host] = pod_spawn(pod, &config, host);
	pod_wait_ready(pod, host);
}

/* What agents gave to the service manager is in messages, and keeps their connections until those are read. */
static inline void pod_let_go(struct pod *pod)
{
	char text[512];

	while (recv(pod->notify, text, sizeof(text), MSG_DONTWAIT) >= 0)
		;
}

/* Exit status, or minus the signal it died of. */
static inline int pod_reap(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* Of an agent. Its messages are taken until then: the socket holds ten, and the next one would wait. */
static inline int pod_end(struct pod *pod, pid_t pid)
{
	struct pollfd in = { .fd = pod->notify, .events = POLLIN };

	while (!pod_ended(pid)) {
		if (poll(&in, 1, 10) != 1)
			continue;
		if (pod->hear)
			pod->hear(pod, pod->manager);
		else
			pod_let_go(pod);
	}
	return pod_reap(pid);
}

static inline int pod_stop(struct pod *pod, int host, int signal)
{
	pid_t pid = pod->agent[host];

	assert_true(pid > 0);
	pod->agent[host] = 0;
	kill(pid, signal);
	if (signal == SIGKILL)
		pod_let_go(pod);
	return pod_end(pod, pid);
}

/* The process that serves, child of the agent. */
static inline pid_t pod_server(const struct pod *pod, int host)
{
	char path[64];
	int pid = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pod->agent[host], (int)pod->agent[host]);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (fscanf(file, "%d", &pid) != 1)
		pid = 0;
	fclose(file);
	return pid;
}

static inline bool task_is_stopped(const char *task)
{
	char path[320], text[512];
	FILE *file;
	size_t n;

	snprintf(path, sizeof(path), "%.300s/stat", task);
	file = fopen(path, "re");
	if (!file)
		return true; /* it has ended */
	n = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[n] = '\0';
	return strstr(text, ") T ") != NULL;
}

/* Stop a process. The signal is one thread's to take: until it runs, the others go on. */
static inline void pod_freeze(pid_t pid)
{
	char path[64], task[320];
	bool stopped = false;

	assert_true(pid > 0);
	assert_int_equal(kill(pid, SIGSTOP), 0);
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	for (int ms = 0; !stopped; ms++) {
		DIR *tasks = opendir(path);
		struct dirent *entry;

		assert_true(tasks && ms < POD_WAIT_MS);
		stopped = true;
		while (stopped && (entry = readdir(tasks)) != NULL) {
			snprintf(task, sizeof(task), "%s/%.200s", path, entry->d_name);
			stopped = entry->d_name[0] == '.' || task_is_stopped(task);
		}
		closedir(tasks);
		usleep(1000);
	}
}

/* Kill what serves, and wait until there is another one. */
static inline void pod_kill_server(const struct pod *pod, int host)
{
	pid_t pid = pod_server(pod, host);

	assert_true(pid > 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	for (int ms = 0; pod_server(pod, host) == pid || pod_server(pod, host) == 0; ms++) {
		assert_true(ms < POD_WAIT_MS);
		usleep(1000);
	}
}

static inline bool pod_mounted(const struct pod *pod, int host)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char line[2048];
	bool mounted = false;

	assert_non_null(file);
	while (!mounted && fgets(line, sizeof(line), file))
		mounted = mountpoint_line_is(line, pod->mount[host]);
	fclose(file);
	return mounted;
}

/* The pool has no problem that the check could find. */
static inline void pod_expect_clean(const struct pod *pod)
{
	struct daxfs_error err = { .text = "" };
	struct daxfs_check check;
	struct daxfs *fs;

	assert_int_equal(daxfs_open(pod->pool, DAXFS_READ_ONLY, &fs, &err), 0);
	assert_int_equal(daxfs_check(fs, NULL, NULL, &check), 0);
	assert_int_equal(check.problems, 0);
	daxfs_close(fs);
}

/* All hosts that are there leave, and what they leave has no problem. */
static inline void pod_leave_clean(struct pod *pod)
{
	for (int i = 0; i < POD_HOSTS; i++)
		if (pod->agent[i])
			assert_int_equal(pod_stop(pod, i, SIGTERM), AGENT_EXIT_OK);
	pod_expect_clean(pod);
}

static inline void pod_destroy(struct pod *pod)
{
	for (int i = 0; i < POD_HOSTS; i++) {
		if (pod->agent[i])
			pod_stop(pod, i, SIGKILL);
		while (pod_mounted(pod, i) && umount2(pod->mount[i], MNT_DETACH) == 0)
			;
		mountpoint_seal(pod->mount[i], false);
		rmdir(pod->mount[i]);
		unlink(pod->log[i]);
		pod_forget_ids(pod, i);
	}
	close(pod->notify);
	unlink(pod->notify_path);
	unlink(pod->pool);
	rmdir(pod->dir);
}

/* An agent that does not get far: its status, and a line that says why. */
static inline void pod_refused(struct pod *pod, const struct config *config, int status, const char *line)
{
	int log = POD_HOSTS - 1;

	unlink(pod->log[log]);
	assert_int_equal(pod_end(pod, pod_spawn(pod, config, log)), status);
	if (!pod_log_says(pod, log, line)) {
		pod_show_log(pod, log);
		fail_msg("did not say '%s'", line);
	}
}

/* For a group or for each test: *state is a pod, made where that is possible. */
static inline int pod_setup(void **state)
{
	struct pod *pod = calloc(1, sizeof(*pod));

	if (!pod)
		return -1;
	*state = pod;
	if (pod_possible())
		pod_make(pod);
	return 0;
}

static inline int pod_teardown(void **state)
{
	struct pod *pod = *state;

	if (pod->dir[0])
		pod_destroy(pod);
	free(pod);
	return 0;
}

/* -- files on the mounts ------------------------------------------------------ */

#define A 0
#define B 1

/* A path, from a ring so that several may be in use. */
static inline const char *below(const char *directory, const char *name)
{
	static _Thread_local char path[8][512];
	static _Thread_local unsigned next;
	char *p = path[next++ % 8];

	snprintf(p, sizeof(path[0]), "%s/%s", directory, name);
	return p;
}

static inline const char *at(const struct pod *pod, int host, const char *name)
{
	return below(pod->mount[host], name);
}

static inline void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(close(fd), 0);
}

static inline void expect_text(const char *path, const char *text)
{
	char buf[256];
	int fd = open(path, O_RDONLY);
	ssize_t n;

	if (fd < 0)
		fail_msg("%s: %s", path, strerror(errno));
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	assert_true(n >= 0);
	buf[n] = '\0';
	assert_string_equal(buf, text);
}

#define expect_error(call, error)                                                                                      \
	do {                                                                                                           \
		errno = 0;                                                                                             \
		assert_int_equal((call), -1);                                                                          \
		assert_int_equal(errno, (error));                                                                      \
	} while (0)

/* Test functions. First: the agents of all that follow. (A setup that fails would not be undone.) */
static inline void pod_start_both(void **state)
{
	if (!pod_possible())
		skip();
	pod_start(*state, A);
	pod_start(*state, B);
}

/* Last: after all that, they leave as they should. */
static inline void pod_stop_both(void **state)
{
	if (!pod_possible())
		skip();
	assert_int_equal(pod_stop(*state, A, SIGTERM), AGENT_EXIT_OK);
	assert_int_equal(pod_stop(*state, B, SIGTERM), AGENT_EXIT_OK);
}

#endif
