/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service_manager.h - what an agent sees of systemd, for tests: it hears READY=1 and WATCHDOG=1, keeps descriptors
 * (FDSTORE) and hands them to the next start, and says over a bus which job it has for the service.
 *
 * The bus is libsystemd's own, in a thread; the rest is done by the test itself.
 */
#ifndef TEST_SERVICE_MANAGER_H
#define TEST_SERVICE_MANAGER_H

#include <pthread.h>
#include <stdatomic.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>

#include "test_agent_pod.h"

#define KEPT_MAX 32
#define NAME_MAX_LEN 32

struct service_manager {
	char bus_path[128];
	int listener;
	pthread_t thread;
	const char *_Atomic job; /* NULL: none */
	int kept[KEPT_MAX];
	char name[KEPT_MAX][NAME_MAX_LEN];
	unsigned n;
	unsigned fed; /* WATCHDOG=1 since the last start */
};

/* -- the bus ------------------------------------------------------------------------ */

static inline int bus_answer(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	struct service_manager *sm = arg;
	const char *interface, *property, *job = atomic_load(&sm->job);

	(void)error;
	if (sd_bus_message_is_method_call(m, NULL, "Hello"))
		return sd_bus_reply_method_return(m, "s", ":1.1");
	if (sd_bus_message_is_method_call(m, NULL, "GetUnitByPID"))
		return sd_bus_reply_method_return(m, "o", "/unit");
	if (!sd_bus_message_is_method_call(m, NULL, "Get") || sd_bus_message_read(m, "ss", &interface, &property) < 0)
		return 0;
	if (!strcmp(property, "Job"))
		return sd_bus_reply_method_return(m, "v", "(uo)", job ? 7u : 0u, job ? "/job/7" : "/");
	return sd_bus_reply_method_return(m, "v", "s", job ? job : "stop");
}

static inline void bus_serve(struct service_manager *sm, int fd)
{
	sd_id128_t id = { .bytes = { 1 } };
	sd_bus *bus;
	int rc;

	assert_true(sd_bus_new(&bus) >= 0 && sd_bus_set_fd(bus, fd, fd) >= 0 && sd_bus_set_server(bus, 1, id) >= 0);
	assert_true(sd_bus_set_anonymous(bus, 1) >= 0 && sd_bus_set_trusted(bus, 1) >= 0);
	assert_true(sd_bus_add_filter(bus, NULL, bus_answer, sm) >= 0 && sd_bus_start(bus) >= 0);
	do {
		rc = sd_bus_process(bus, NULL);
		if (rc == 0)
			rc = sd_bus_wait(bus, UINT64_MAX);
	} while (rc >= 0);
	sd_bus_unref(bus);
}

static inline void *bus_main(void *arg)
{
	struct service_manager *sm = arg;
	int fd;

	while ((fd = accept(sm->listener, NULL, NULL)) >= 0)
		bus_serve(sm, fd);
	return NULL;
}

/* -- descriptors ----------------------------------------------------------------------- */

static inline void service_manager_drop(struct service_manager *sm, const char *name)
{
	unsigned n = 0;

	for (unsigned i = 0; i < sm->n; i++) {
		if (!name || !strcmp(sm->name[i], name)) {
			close(sm->kept[i]);
			continue;
		}
		sm->kept[n] = sm->kept[i];
		memmove(sm->name[n++], sm->name[i], NAME_MAX_LEN);
	}
	sm->n = n;
}

static inline void service_manager_stop(struct service_manager *sm)
{
	shutdown(sm->listener, SHUT_RDWR);
	pthread_join(sm->thread, NULL);
	close(sm->listener);
	unlink(sm->bus_path);
	service_manager_drop(sm, NULL);
}

/* One message: what it keeps or drops. True: READY=1. */
static inline bool service_manager_hear(struct service_manager *sm, struct pod *pod)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(KEPT_MAX * sizeof(int))];
	} control;
	char text[512], *name;
	struct iovec part = { text, sizeof(text) - 1 };
	struct msghdr m = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};
	ssize_t n = recvmsg(pod->notify, &m, MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = n >= 0 ? CMSG_FIRSTHDR(&m) : NULL;
	unsigned fds = c ? (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int)) : 0;

	text[n > 0 ? n : 0] = '\0';
	sm->fed += strstr(text, "WATCHDOG=1") != NULL;
	name = strstr(text, "FDNAME=");
	if (strstr(text, "FDSTOREREMOVE=1") && name)
		service_manager_drop(sm, name + strlen("FDNAME="));
	for (unsigned i = 0; i < fds; i++) {
		int fd;

		memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
		if (!name || !strstr(text, "FDSTORE=1") || sm->n == KEPT_MAX) {
			close(fd);
			continue;
		}
		sm->kept[sm->n] = fd;
		snprintf(sm->name[sm->n++], NAME_MAX_LEN, "%s", name + strlen("FDNAME="));
	}
	return strstr(text, "READY=1") != NULL;
}

static inline void service_manager_told(struct pod *pod, void *sm)
{
	service_manager_hear(sm, pod);
}

static inline void service_manager_start(struct service_manager *sm, struct pod *pod)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };

	memset(sm, 0, sizeof(*sm));
	pod->hear = service_manager_told;
	pod->manager = sm;
	snprintf(sm->bus_path, sizeof(sm->bus_path), "%s/bus", pod->dir);
	assert_in_range(snprintf(at.sun_path, sizeof(at.sun_path), "%s", sm->bus_path), 1, sizeof(at.sun_path) - 1);
	sm->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(sm->listener, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(sm->listener, 4), 0);
	assert_int_equal(pthread_create(&sm->thread, NULL, bus_main, sm), 0);
}

static inline void service_manager_hear_all(struct service_manager *sm, struct pod *pod)
{
	struct pollfd in = { .fd = pod->notify, .events = POLLIN };

	while (poll(&in, 1, 0) == 1)
		service_manager_hear(sm, pod);
}

/* In the new process: what is kept, from SD_LISTEN_FDS_START on, in the reverse of the order it came in. */
static inline void service_manager_hand_over(const struct service_manager *sm)
{
	char number[16], names[KEPT_MAX * NAME_MAX_LEN] = "";

	for (unsigned i = 0; i < sm->n; i++) /* out of the way first */
		fcntl(sm->kept[i], F_DUPFD, 200 + (int)i);
	for (unsigned i = 0; i < sm->n; i++) {
		dup2(200 + (int)(sm->n - 1 - i), SD_LISTEN_FDS_START + (int)i);
		strcat(strcat(names, i ? ":" : ""), sm->name[sm->n - 1 - i]);
	}
	for (unsigned i = 0; i < sm->n; i++)
		close(200 + (int)i);
	snprintf(number, sizeof(number), "%d", (int)getpid());
	setenv("LISTEN_PID", number, 1);
	snprintf(number, sizeof(number), "%u", sm->n);
	setenv("LISTEN_FDS", number, 1);
	setenv("LISTEN_FDNAMES", names, 1);
}

/* Start the program with a config file and wait until it is ready. */
static inline void service_manager_run(struct service_manager *sm, struct pod *pod, int host, const char *config)
{
	char bus[160], number[16];
	struct pollfd in = { .fd = pod->notify, .events = POLLIN };
	pid_t pid = fork();
	int fd;

	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		fd = open(pod->log[host], O_WRONLY | O_CREAT | O_APPEND, 0644);
		dup2(fd, STDERR_FILENO);
		setenv("NOTIFY_SOCKET", pod->notify_path, 1);
		snprintf(bus, sizeof(bus), "unix:path=%s", sm->bus_path);
		setenv("DBUS_SYSTEM_BUS_ADDRESS", bus, 1);
		snprintf(number, sizeof(number), "%d", (int)getpid());
		setenv("WATCHDOG_PID", number, 1);
		setenv("WATCHDOG_USEC", "200000", 1);
		if (sm->n)
			service_manager_hand_over(sm);
		execl("build/bin/daxfs-node-agent", "daxfs-node-agent", "--config", config, NULL);
		_exit(127);
	}
	pod->agent[host] = pid;
	sm->fed = 0;
	for (int ms = 0; ms < POD_WAIT_MS && !pod_ended(pid); ms += 100)
		while (poll(&in, 1, 100) == 1)
			if (service_manager_hear(sm, pod))
				return;
	pod_show_log(pod, host);
	fail_msg("agent %d is not ready", host);
}

#endif
