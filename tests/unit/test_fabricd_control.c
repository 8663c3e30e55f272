/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_fabricd_control.c - the control socket on a real pool: a client thread
 * asks while this one runs the event loop. Also the socket file's life.
 */
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "unit/fabricd_real.h"
#include "fabricd/control.h"
#include "fabricd/timing.h"
#include "fabricd/unix_listen.h"
#include "proto/framing.h"

struct fixture {
	struct real r;
	struct control control;
	char path[96];
	ev_async finished;
	pthread_t thread;
	void (*ask)(const char *path);
};

static void on_finished(struct ev_loop *loop, ev_async *w, int revents)
{
	(void)w;
	(void)revents;
	ev_break(loop, EVBREAK_ALL);
}

static void *client(void *arg)
{
	struct fixture *s = arg;

	s->ask(s->path);
	ev_async_send(s->r.loop, &s->finished);
	return NULL;
}

static void open_scene(struct fixture *s)
{
	struct daxfs_error err = { "" };

	real_start(&s->r);
	snprintf(s->path, sizeof(s->path), "%s/s", s->r.dir);
	if (control_open(&s->control, s->r.loop, &s->r.watch, s->path, LISTEN_OWNER, &err))
		fail_msg("%s", err.text);
}

/* Assertions of the client thread end the process: they are plain checks. */
static void ask(struct fixture *s, void (*what)(const char *path))
{
	s->ask = what;
	ev_async_init(&s->finished, on_finished);
	ev_async_start(s->r.loop, &s->finished);
	assert_int_equal(pthread_create(&s->thread, NULL, client, s), 0);
	ev_run(s->r.loop, 0);
	pthread_join(s->thread, NULL);
	ev_async_stop(s->r.loop, &s->finished);
}

static void close_scene(struct fixture *s)
{
	control_close(&s->control);
	assert_int_equal(access(s->path, F_OK), -1);
	real_stop(&s->r);
}

#define CHECK(condition)                                                                                               \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

enum verb { STATUS, FENCE, CONFIRM, RECOVER, EVENTS, PING, NOTHING };

static int call(const char *path, enum verb verb, unsigned host, Fabric__Response **out, struct daxfs_error *err)
{
	Fabric__Request request;
	Fabric__Status status;
	Fabric__Fence fence;
	Fabric__ConfirmDead confirm;
	Fabric__Recover recover;
	Fabric__Events events;
	Fabric__Ping ping;

	fabric__request__init(&request);
	fabric__status__init(&status);
	fabric__fence__init(&fence);
	fabric__confirm_dead__init(&confirm);
	fabric__recover__init(&recover);
	fabric__ping__init(&ping);
	fence.host = confirm.host = recover.host = host;
	if (verb == STATUS) {
		request.verb_case = FABRIC__REQUEST__VERB_STATUS;
		request.status = &status;
	} else if (verb == FENCE) {
		request.verb_case = FABRIC__REQUEST__VERB_FENCE;
		request.fence = &fence;
	} else if (verb == CONFIRM) {
		request.verb_case = FABRIC__REQUEST__VERB_CONFIRM_DEAD;
		request.confirm_dead = &confirm;
	} else if (verb == RECOVER) {
		request.verb_case = FABRIC__REQUEST__VERB_RECOVER;
		request.recover = &recover;
	} else if (verb == EVENTS) {
		fabric__events__init(&events);
		request.verb_case = FABRIC__REQUEST__VERB_EVENTS;
		request.events = &events;
	} else if (verb == PING) {
		request.verb_case = FABRIC__REQUEST__VERB_PING;
		request.ping = &ping;
	}
	return fabric_call(path, &request, out, err);
}

static int order(const char *path, enum verb verb, unsigned host)
{
	struct daxfs_error err = { "" };
	Fabric__Response *response;
	int rc = call(path, verb, host, &response, &err);

	CHECK(rc == 0 || strlen(err.text) > 0);
	if (rc == 0)
		fabric__response__free_unpacked(response, NULL);
	return rc;
}

/* -- status ------------------------------------------------------------------- */

static void check_manager(const Fabric__Manager *m)
{
	CHECK(m && m->epoch == 1 && m->role == FABRIC__ROLE__PRIMARY);
	CHECK(m->self_pid == (uint32_t)getpid() && m->pid == m->self_pid);
	CHECK(strcmp(m->fence_agent, "agent") == 0);
	CHECK(m->deciding && m->note[0] == '\0' && m->polls > 0 && m->late_polls == 0);
}

static void ask_status(const char *path)
{
	struct daxfs_error err = { "" };
	Fabric__Response *response;

	CHECK(call(path, STATUS, 0, &response, &err) == 0);
	check_manager(response->manager);
	CHECK(response->pool && strcmp(response->pool->name, "testpool") == 0);
	CHECK(response->pool->hosts == REAL_HOSTS && response->pool->heartbeat_ms == 10000);
	CHECK(response->pool->uuid.len == 16 && response->pool->pages > 0);
	CHECK(response->n_hosts == REAL_HOSTS && !response->last_recovery);
	for (unsigned i = 0; i < REAL_HOSTS; i++) {
		const Fabric__Host *h = response->hosts[i];
		bool joined = i < 2;

		CHECK(h->id == i && h->readable && h->recoverer == -1);
		CHECK(h->state == (unsigned)(joined ? DAXFS_HOST_ALIVE : DAXFS_HOST_FREE));
		CHECK((h->beat > 0) == joined && (h->pid == (uint32_t)getpid()) == joined);
		CHECK(h->reason == (unsigned)(joined ? DAXFS_REASON_JOINED : DAXFS_REASON_NONE));
		CHECK(!joined || (h->name[4] == (char)('0' + i) && h->tenancy != 0));
	}
	fabric__response__free_unpacked(response, NULL);
	CHECK(order(path, PING, 0) == 0);
}

static void status_shows_everything(void **state)
{
	struct fixture s;

	(void)state;
	open_scene(&s);
	real_join(&s.r, 0);
	real_join(&s.r, 1);
	real_polls(&s.r, TIMING_WINDOW_POLLS + 2, 3);
	ask(&s, ask_status);
	close_scene(&s);
}

/* -- orders ------------------------------------------------------------------- */

static void ask_backup(const char *path)
{
	CHECK(order(path, FENCE, 0) == -EREMOTE);
	CHECK(order(path, CONFIRM, 0) == -EREMOTE);
	CHECK(order(path, RECOVER, 0) == -EREMOTE);
	CHECK(order(path, STATUS, 0) == 0);
}

static void ask_refusals(const char *path)
{
	CHECK(order(path, FENCE, REAL_HOSTS) == -EINVAL);
	CHECK(order(path, FENCE, UINT32_MAX) == -EINVAL);
	CHECK(order(path, CONFIRM, REAL_HOSTS) == -EINVAL);
	CHECK(order(path, RECOVER, REAL_HOSTS) == -EINVAL);
	CHECK(order(path, FENCE, 3) == -EBUSY);   /* free */
	CHECK(order(path, CONFIRM, 1) == -EBUSY); /* beats */
	CHECK(order(path, RECOVER, 1) == -EBUSY); /* alive */
	CHECK(order(path, RECOVER, 3) == 0);      /* nothing to do */
	CHECK(order(path, NOTHING, 0) == -EOPNOTSUPP);
	CHECK(order(path, FENCE, 1) == 0);
}

static void ask_about_the_dead(const char *path)
{
	CHECK(order(path, FENCE, 1) == -EBUSY); /* fenced already */
	CHECK(order(path, CONFIRM, 1) == -EBUSY);
	CHECK(order(path, RECOVER, 1) == -EBUSY); /* host 0 is at it */
}

static void ask_recover_alone(const char *path)
{
	CHECK(order(path, RECOVER, 0) == -EAGAIN); /* nobody is left */
}

static void fence_order_is_carried_out(struct fixture *s)
{
	for (unsigned i = 0; real_view(&s->r, 1).state != DAXFS_HOST_RECOVERING; i++) {
		assert_true(i < 50);
		real_polls(&s->r, 1, 1);
		real_agents(&s->r);
	}
	assert_int_equal(real_view(&s->r, 1).reason, DAXFS_REASON_OPERATOR_FENCE);
	assert_int_equal(real_view(&s->r, 1).recoverer, 0);
	real_polls(&s->r, 1, 1);
}

static void orders_are_checked_and_carried_out(void **state)
{
	struct fixture s;

	(void)state;
	open_scene(&s);
	real_join(&s.r, 0);
	real_join(&s.r, 1);
	watch_poll(&s.r.watch);
	decide_deposed(&s.r.watch.decide);
	ask(&s, ask_backup);
	real_polls(&s.r, TIMING_MANAGER_POLLS + TIMING_WINDOW_POLLS + 2, 3);
	ask(&s, ask_refusals);
	fence_order_is_carried_out(&s);
	ask(&s, ask_about_the_dead);
	for (unsigned i = 0; real_view(&s.r, 0).state != DAXFS_HOST_FENCED; i++) {
		assert_true(i < 50);
		real_polls(&s.r, 1, 0);
		real_agents(&s.r);
	}
	real_polls(&s.r, 1, 0);
	ask(&s, ask_recover_alone);
	close_scene(&s);
}

/* -- bad clients ---------------------------------------------------------------- */

static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(address.sun_path, path);
	CHECK(fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0);
	return fd;
}

/* Send bytes, read one response and the end. */
static int raw(const char *path, const void *bytes, size_t len)
{
	uint8_t in[4096];
	size_t have = 0, used = 0;
	struct fabric_decoder d;
	Fabric__Response *response;
	int fd = connect_to(path), error;
	ssize_t n;

	CHECK(send(fd, bytes, len, MSG_NOSIGNAL) == (ssize_t)len);
	shutdown(fd, SHUT_WR);
	while ((n = recv(fd, in + have, sizeof(in) - have, 0)) > 0)
		have += (size_t)n;
	close(fd);
	if (have == 0)
		return 0;
	fabric_decoder_init(&d);
	CHECK(fabric_decoder_feed(&d, in, have, &used) == 0 && fabric_decoder_ready(&d));
	response = fabric__response__unpack(NULL, d.body_len, d.body);
	CHECK(response);
	error = response->error;
	fabric__response__free_unpacked(response, NULL);
	fabric_decoder_fini(&d);
	return error;
}

static void ask_badly(const char *path)
{
	static const uint8_t too_long[] = { 255, 255, 255, 255 }, garbage[] = { 3, 0, 0, 0, 255, 255, 255 };
	static const uint8_t empty[] = { 0, 0, 0, 0 }, half[] = { 100, 0, 0, 0, 1 }, header[] = { 1, 0 };

	CHECK(raw(path, too_long, sizeof(too_long)) == EPROTO);
	CHECK(raw(path, garbage, sizeof(garbage)) == EPROTO);
	CHECK(raw(path, empty, sizeof(empty)) == EOPNOTSUPP);
	CHECK(raw(path, half, sizeof(half)) == 0);
	CHECK(raw(path, header, sizeof(header)) == 0);
	CHECK(order(path, STATUS, 0) == 0);
}

/* Many requests at once, answered in order; far more than socket buffers hold. */
static void ask_in_a_row(const char *path)
{
	static const uint8_t ping[] = { 2, 0, 0, 0, 0x2a, 0 };
	enum { PINGS = 20000 };
	uint8_t *bytes = malloc(PINGS * sizeof(ping)), in[4096];
	size_t sent = 0, got = 0;
	int fd = connect_to(path);
	ssize_t n;

	CHECK(bytes);
	for (unsigned i = 0; i < PINGS; i++)
		memcpy(bytes + i * sizeof(ping), ping, sizeof(ping));
	while (got < PINGS * 4u) {
		n = send(fd, bytes + sent, PINGS * sizeof(ping) - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0)
			sent += (size_t)n;
		n = recv(fd, in, sizeof(in), MSG_DONTWAIT);
		CHECK(n != 0);
		for (ssize_t i = 0; i < n; i++)
			CHECK(in[i] == 0); /* an empty response: no error */
		if (n > 0)
			got += (size_t)n;
	}
	CHECK(got == PINGS * 4u && sent == PINGS * sizeof(ping));
	free(bytes);
	close(fd);
}

/* Idle clients are dropped, so that others get their turn. */
static void ask_behind_idle_ones(const char *path)
{
	int idle[CONTROL_CLIENTS_MAX + 4];
	char byte;

	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX + 4; i++)
		idle[i] = connect_to(path);
	CHECK(order(path, STATUS, 0) == 0);
	CHECK(recv(idle[0], &byte, 1, 0) == 0);
	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX + 4; i++)
		close(idle[i]);
}

static void bad_clients_harm_nobody(void **state)
{
	struct fixture s;

	(void)state;
	open_scene(&s);
	watch_poll(&s.r.watch);
	ask(&s, ask_badly);
	ask(&s, ask_in_a_row);
	ask(&s, ask_behind_idle_ones);
	ask(&s, ask_badly);
	close_scene(&s);
}

/* -- guests ------------------------------------------------------------------------ */

#define SOME_GROUP 12345
#define NOBODY 65534

/* Of this thread alone: glibc's would change all of them. */
static void become_guest(void)
{
	CHECK(syscall(SYS_setresgid, SOME_GROUP, SOME_GROUP, SOME_GROUP) == 0);
	CHECK(syscall(SYS_setresuid, NOBODY, NOBODY, NOBODY) == 0);
}

static void look_as_guest(const char *path)
{
	become_guest();
	CHECK(order(path, STATUS, 0) == 0);
	CHECK(order(path, PING, 0) == 0);
	CHECK(order(path, EVENTS, 0) == 0);
	CHECK(order(path, FENCE, 0) == -EPERM);
	CHECK(order(path, CONFIRM, 0) == -EPERM);
	CHECK(order(path, RECOVER, 0) == -EPERM);
}

static int held[CONTROL_CLIENTS_MAX];

/* As many as there are places for everybody, and no request on any: the last ones are closed at once. */
static void take_places(const char *path)
{
	char byte;

	become_guest();
	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++)
		held[i] = connect_to(path);
	for (unsigned i = CONTROL_GUESTS_MAX; i < CONTROL_CLIENTS_MAX; i++)
		CHECK(recv(held[i], &byte, 1, 0) == 0);
}

static void ask_for_status(const char *path)
{
	CHECK(order(path, STATUS, 0) == 0);
	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++)
		close(held[i]);
}

static void be_shut_out(const char *path)
{
	become_guest();
	CHECK(order(path, STATUS, 0) == -EACCES);
}

static void guests_look_and_change_nothing(void **state)
{
	struct daxfs_error err = { "" };
	struct fixture s;
	struct stat st;

	(void)state;
	if (geteuid() != 0)
		skip();
	open_scene(&s);
	assert_int_equal(chmod(s.r.dir, 0755), 0);
	watch_poll(&s.r.watch);
	ask(&s, be_shut_out);
	control_close(&s.control);
	assert_int_equal(control_open(&s.control, s.r.loop, &s.r.watch, s.path, SOME_GROUP, &err), 0);
	assert_int_equal(stat(s.path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	assert_int_equal(st.st_gid, SOME_GROUP);
	ask(&s, look_as_guest);
	ask(&s, take_places);
	ask(&s, ask_for_status);
	close_scene(&s);
}

/* One that sends a byte now and then has its deadline all the same. */
static void drip(const char *path)
{
	int fd = connect_to(path);
	char size[4] = { 0, 0, 1, 0 };

	CHECK(send(fd, size, sizeof(size), MSG_NOSIGNAL) == sizeof(size));
	while (send(fd, "x", 1, MSG_NOSIGNAL) == 1)
		usleep(TIMING_CLIENT_MS * 1000 / 100);
	close(fd);
}

static void dripping_is_no_way_to_stay(void **state)
{
	struct fixture s;

	(void)state;
	open_scene(&s);
	ask(&s, drip);
	close_scene(&s);
}

/* -- the socket file ---------------------------------------------------------------- */

static void socket_file_is_private_and_replaced_when_stale(void **state)
{
	struct daxfs_error err = { "" };
	char dir[] = "/tmp/daxfs-test-XXXXXX", path[64], longer[200];
	struct stat st;
	int a, b;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/s", dir);
	assert_int_equal(listen_at(path, LISTEN_OWNER, &a, &err), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(listen_at(path, LISTEN_OWNER, &b, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, path));
	close(a); /* as if it had died: the file stays */
	assert_int_equal(listen_at(path, LISTEN_OWNER, &b, &err), 0);
	close(b);
	unlink(path);
	real_write(path, "precious", 0600);
	assert_int_equal(listen_at(path, LISTEN_OWNER, &b, &err), -EEXIST);
	assert_int_equal(access(path, F_OK), 0);
	unlink(path);
	rmdir(dir);
	assert_int_equal(listen_at(path, LISTEN_OWNER, &b, &err), -ENOENT);
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(listen_at(longer, LISTEN_OWNER, &b, &err), -ENAMETOOLONG);
}

/* In a process of its own, which has not the right to change owners: the unit takes it away. */
static int listen_without_chown(const char *path, const gid_t *groups, size_t n, const char *says)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2];
	struct daxfs_error err = { "" };
	int fd, rc, status;
	pid_t child = fork();

	if (child == 0) {
		CHECK(setgroups(n, groups) == 0);
		CHECK(syscall(SYS_capget, &header, caps) == 0);
		caps[CAP_TO_INDEX(CAP_CHOWN)].effective &= ~CAP_TO_MASK(CAP_CHOWN);
		caps[CAP_TO_INDEX(CAP_FSETID)].effective &= ~CAP_TO_MASK(CAP_FSETID);
		CHECK(syscall(SYS_capset, &header, caps) == 0);
		rc = listen_at(path, SOME_GROUP, &fd, &err);
		CHECK(strstr(err.text, says) && !strchr(err.text, '\n'));
		_exit(-rc);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return -WEXITSTATUS(status);
}

static void a_member_gives_it_to_the_group(void **state)
{
	const gid_t groups[] = { SOME_GROUP };
	char dir[] = "/tmp/daxfs-test-XXXXXX", path[64];
	struct stat st;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/s", dir);
	assert_int_equal(listen_without_chown(path, NULL, 0, "SupplementaryGroups="), -EPERM);
	assert_int_equal(listen_without_chown(path, groups, 1, ""), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	assert_int_equal(st.st_gid, SOME_GROUP);
	unlink(path);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(status_shows_everything),
		cmocka_unit_test(orders_are_checked_and_carried_out),
		cmocka_unit_test(bad_clients_harm_nobody),
		cmocka_unit_test(guests_look_and_change_nothing),
		cmocka_unit_test(dripping_is_no_way_to_stay),
		cmocka_unit_test(socket_file_is_private_and_replaced_when_stale),
		cmocka_unit_test(a_member_gives_it_to_the_group),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
