/* SPDX-License-Identifier: Apache-2.0 */
/* test_lobby.c - who a host is: the lobby, identities, what a host that joins ends (sync/lobby.c, fs/predecessor.c). */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hang.h"
#include "mem/process.h"
#include "rig.h"

struct fixture {
	struct pod pod;
	struct pool *pool;
	struct daxfs *fs; /* of nobody yet; slot 0 is free */
	struct daxfs_error err;
	uint64_t now_ns;
};

static struct fixture *clock_of;      /* in the place of the clock */
static bool gone;                     /* what the kernel would say of any process */
static bool (*on_gone)(uint32_t pid); /* or this */
static void (*on_introduce)(void);    /* before who joins is introduced in its slot */

int __wrap_clock_gettime(clockid_t id, struct timespec *ts);
bool __wrap_process_gone(uint32_t pid, uint32_t began, uint32_t pids);
int __real_clock_gettime(clockid_t id, struct timespec *ts);
bool __real_process_gone(uint32_t pid, uint32_t began, uint32_t pids);
ssize_t __wrap_getrandom(void *buf, size_t len, unsigned flags);
ssize_t __real_getrandom(void *buf, size_t len, unsigned flags);

int __wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
	if (id != CLOCK_MONOTONIC || !clock_of)
		return __real_clock_gettime(id, ts);
	*ts = (struct timespec){ .tv_sec = (time_t)(clock_of->now_ns / 1000000000ull),
				 .tv_nsec = (long)(clock_of->now_ns % 1000000000ull) };
	return 0;
}

bool __wrap_process_gone(uint32_t pid, uint32_t began, uint32_t pids)
{
	(void)began;
	(void)pids;
	return on_gone ? on_gone(pid) : gone;
}

ssize_t __wrap_getrandom(void *buf, size_t len, unsigned flags)
{
	if (on_introduce)
		on_introduce();
	return __real_getrandom(buf, len, flags);
}

static void fixture_start(struct fixture *s)
{
	alarm(HANG_S);
	memset(s, 0, sizeof(*s));
	pod_start(&s->pod, 4 << 20);
	s->pool = rig_pool(&s->pod);
	assert_int_equal(daxfs_leave(s->pod.fs[0]), 0);
	assert_int_equal(fs_attach(s->pod.base, s->pod.size, &s->fs, &s->err), 0);
	s->now_ns = 1000000000ull;
	clock_of = s;
	gone = false;
	on_gone = NULL;
	on_introduce = NULL;
}

static void fixture_stop(struct fixture *s)
{
	clock_of = NULL;
	on_gone = NULL;
	on_introduce = NULL;
	daxfs_close(s->fs);
	pod_stop(&s->pod);
}

static struct daxfs_identity identity(uint8_t machine, uint8_t boot, uint32_t pid)
{
	return (struct daxfs_identity){ .machine = { machine }, .boot = { boot }, .pid = pid, .began = 7, .pids = 9 };
}

static struct daxfs_host_view look(struct fixture *s, unsigned host)
{
	struct daxfs_host_view v;

	assert_int_equal(member_look(s->pool, host, &v), 0);
	return v;
}

/* -- the lobby -------------------------------------------------------------------- */

static struct sm_lobby *place_words(struct pool *pool, unsigned place)
{
	uint8_t *header = (uint8_t *)pool->member - DAXFS_PAGE_SIZE;

	return (struct sm_lobby *)(void *)(header + DAXFS_LOBBY_OFFSET) + (place - 1);
}

static void places(void **state)
{
	const struct daxfs_identity me = identity(1, 2, 3);
	struct lobby_seat seat[DAXFS_LOBBY_PLACES], late;
	struct card card = card_make("me", &me), found;
	struct fixture s;
	char name[32];
	struct daxfs_identity who;

	(void)state;
	fixture_start(&s);
	for (unsigned i = 0; i < DAXFS_LOBBY_PLACES; i++) {
		seat[i] = lobby_enter(s.pool, 5, &card);
		assert_int_equal(seat[i].place, (5 + i) % DAXFS_LOBBY_PLACES + 1);
		assert_true(lobby_holds(s.pool, seat[i]));
	}
	assert_true(lobby_read(s.pool, seat[0], &found));
	card_show(&found, name, &who);
	assert_string_equal(name, "me");
	assert_memory_equal(&who, &me, sizeof(me));
	/* Full: nobody is known to need a place, so the first is taken over, under another ticket. */
	card = card_make("late", &me);
	late = lobby_enter(s.pool, 5, &card);
	assert_int_equal(late.place, seat[0].place);
	assert_int_not_equal(late.ticket, seat[0].ticket);
	assert_false(lobby_holds(s.pool, seat[0]));
	assert_false(lobby_read(s.pool, seat[0], &found));
	lobby_leave(s.pool, seat[0]); /* no longer ours: nothing happens */
	assert_true(lobby_holds(s.pool, late));
	/* One that a slot names is not taken over. */
	sm_store(&s.pool->member->host[0].word,
		 host_word_pack((struct host_word){ .state = DAXFS_HOST_FENCING, .recoverer = -1, .seat = late }));
	assert_int_equal(lobby_enter(s.pool, 5, &card).place, seat[1].place);
	lobby_leave(s.pool, late);
	assert_false(lobby_holds(s.pool, late));
	assert_true(lobby_read(s.pool, late, &found));          /* until somebody else writes there */
	sm_store(&place_words(s.pool, late.place)->name[3], 1); /* who was slow, say */
	assert_false(lobby_read(s.pool, late, &found));
	sm_store(&s.pool->member->host[0].word, 0);
	fixture_stop(&s);
}

static void wrong_places(void **state)
{
	const struct lobby_seat wrong[] = { { 0, 0 }, { DAXFS_LOBBY_PLACES + 1, 0 }, { 200, 4095 }, { 1, 0 } };
	struct card card;
	struct fixture s;

	(void)state;
	fixture_start(&s);
	for (unsigned i = 0; i < 4; i++)
		assert_false(lobby_read(s.pool, wrong[i], &card));
	fixture_stop(&s);
}

/* A host that dies just after it has taken its slot: its name and identity are known, not its predecessor's. */
static void dies_before_it_is_introduced(void **state)
{
	const struct daxfs_identity me = identity(1, 2, 3);
	struct card card = card_make("dies", &me);
	struct daxfs_host_view v;
	struct fixture s;
	struct host_word word = { .state = DAXFS_HOST_JOINING, .generation = 1, .recoverer = -1 };

	(void)state;
	fixture_start(&s);
	v = look(&s, 0);
	assert_string_equal(v.name, "unit0"); /* who left */
	assert_false(daxfs_host_introduced(&v));
	word.seat = lobby_enter(s.pool, 0, &card);
	sm_store(&s.pool->member->host[0].word, host_word_pack(word));
	v = look(&s, 0);
	assert_true(daxfs_host_introduced(&v) && v.in_lobby);
	assert_string_equal(v.name, "dies");
	assert_memory_equal(&v.who, &me, sizeof(me));
	/* In FENCING, too. */
	assert_int_equal(member_move(s.pool, 0, host_word_pack(word),
				     (struct host_word){ .generation = 1, .state = DAXFS_HOST_FENCING }),
			 0);
	v = look(&s, 0);
	assert_string_equal(v.name, "dies");
	assert_true(daxfs_host_introduced(&v));
	/* And another machine's successor may end it, or its own. */
	gone = true;
	assert_int_equal(daxfs_join_as(s.fs, 0, "next", &me, &s.err), -EBUSY);
	s.now_ns += 500000000ull;
	assert_int_equal(daxfs_join_as(s.fs, 0, "next", &me, &s.err), -EBUSY);
	assert_int_equal(look(&s, 0).state, DAXFS_HOST_FENCED);
	assert_int_equal(look(&s, 0).reason, DAXFS_REASON_ENDED);
	assert_int_equal(look(&s, 0).generation, 2);
	fixture_stop(&s);
}

static struct daxfs_host_view seen_joining;

static void see_joining(void)
{
	seen_joining = look(clock_of, 0);
}

/* While it joins the slot names its place; then the slot says who has it, and the place in the lobby is free again. */
static void joined(void **state)
{
	const struct daxfs_identity me = identity(1, 2, 3);
	struct card card = card_make("x", NULL);
	struct daxfs_host_view v;
	struct fixture s;

	(void)state;
	fixture_start(&s);
	on_introduce = see_joining;
	assert_int_equal(daxfs_join_as(s.fs, 0, "me", &me, &s.err), 0);
	assert_int_equal(seen_joining.state, DAXFS_HOST_JOINING);
	assert_true(daxfs_host_introduced(&seen_joining) && seen_joining.in_lobby);
	assert_string_equal(seen_joining.name, "me");
	v = look(&s, 0);
	assert_true(daxfs_host_introduced(&v) && !v.in_lobby);
	assert_string_equal(v.name, "me");
	assert_memory_equal(&v.who, &me, sizeof(me));
	assert_int_equal(v.pid, 3);
	for (unsigned i = 0; i < DAXFS_LOBBY_PLACES; i++) /* none of them is taken over */
		assert_int_equal(lobby_enter(s.pool, 0, &card).place, i + 1);
	fixture_stop(&s);
}

/* -- names ------------------------------------------------------------------------ */

static void names_are_one_hosts(void **state)
{
	const enum daxfs_host_state over[] = { DAXFS_HOST_FREE, DAXFS_HOST_FENCED, DAXFS_HOST_RECOVERED };
	struct fixture s;
	uint64_t was;

	(void)state;
	fixture_start(&s);
	was = sm_load(&s.pool->member->host[1].word);
	assert_int_equal(daxfs_join(s.fs, 0, "unit1", &s.err), -EEXIST);
	assert_non_null(strstr(s.err.text, "host 1 has the name unit1"));
	assert_int_equal(look(&s, 0).state, DAXFS_HOST_FREE);
	for (unsigned i = 0; i < 3; i++) {
		sm_store(&s.pool->member->host[1].word,
			 host_word_pack((struct host_word){ .state = over[i], .recoverer = -1 }));
		assert_int_equal(daxfs_join(s.fs, 0, "unit1", &s.err), 0);
		assert_int_equal(daxfs_leave(s.fs), 0);
	}
	sm_store(&s.pool->member->host[1].word, was);
	fixture_stop(&s);
}

/* -- predecessors -------------------------------------------------------------------- */

/* Slot 1 is of that identity. */
static void has(struct fixture *s, unsigned host, const struct daxfs_identity *who)
{
	struct card card = card_make(NULL, who);
	struct sm_host *h = &s->pool->member->host[host];

	for (unsigned i = 0; i < 2; i++) {
		sm_store(&h->machine[i], card.machine[i]);
		sm_store(&h->boot[i], card.boot[i]);
	}
	sm_store(&h->process, card.process);
	sm_store(&h->pids, card.pids);
}

static void recovered(struct fixture *s, unsigned host)
{
	struct daxfs_recovery report;

	assert_int_equal(daxfs_recover(s->pod.fs[2], host, &report), 0);
}

/* Host 1 stands still for 10 heartbeats, and not a millisecond less, from the look before on. */
static void over_after_watching(struct fixture *s, const struct daxfs_identity *me, enum daxfs_reason reason)
{
	s->now_ns += 499000000ull;
	assert_int_equal(daxfs_join_as(s->fs, 0, "me", me, &s->err), -EBUSY);
	assert_int_equal(look(s, 1).state, DAXFS_HOST_ALIVE);
	s->now_ns += 1000000ull;
	assert_int_equal(daxfs_join_as(s->fs, 0, "me", me, &s->err), 0);
	assert_int_equal(look(s, 1).state, DAXFS_HOST_FENCED);
	assert_int_equal(look(s, 1).reason, reason);
	recovered(s, 1);
}

/* In whatever slot its machine was. What lives is left alone. */
static void processes_that_have_ended(void **state)
{
	const struct daxfs_identity old = identity(1, 2, 3), me = identity(1, 2, 4);
	struct fixture s;

	(void)state;
	fixture_start(&s);
	has(&s, 1, &old);
	assert_int_equal(daxfs_join_as(s.fs, 0, "me", &me, &s.err), 0);
	assert_int_equal(look(&s, 1).state, DAXFS_HOST_ALIVE);
	assert_int_equal(daxfs_leave(s.fs), 0);
	gone = true;
	assert_int_equal(daxfs_join_as(s.fs, 0, "me", &me, &s.err), -EBUSY);
	assert_non_null(strstr(s.err.text, "of a former process"));
	s.now_ns += 500000000ull;
	assert_int_equal(daxfs_beat(s.pod.fs[1]), 0); /* not over yet, or gone on with */
	assert_int_equal(daxfs_join_as(s.fs, 0, "me", &me, &s.err), -EBUSY);
	over_after_watching(&s, &me, DAXFS_REASON_ENDED);
	fixture_stop(&s);
}

static void former_boots(void **state)
{
	const struct daxfs_identity old = identity(1, 2, 3), me = identity(1, 5, 4), other = identity(2, 5, 4);
	struct fixture s;

	(void)state;
	fixture_start(&s);
	has(&s, 1, &old);
	assert_int_equal(daxfs_join_as(s.fs, 0, "me", &other, &s.err), 0); /* of another machine: not its business */
	assert_int_equal(daxfs_leave(s.fs), 0);
	assert_int_equal(daxfs_join_as(s.fs, 0, "me", NULL, &s.err), 0);
	assert_int_equal(daxfs_leave(s.fs), 0);
	assert_int_equal(look(&s, 1).state, DAXFS_HOST_ALIVE);
	assert_int_equal(daxfs_join_as(s.fs, 0, "me", &me, &s.err), -EBUSY);
	assert_non_null(strstr(s.err.text, "watching"));
	over_after_watching(&s, &me, DAXFS_REASON_REBOOTED);
	fixture_stop(&s);
}

static void clones(void **state)
{
	const struct daxfs_identity old = identity(1, 2, 3), me = identity(1, 5, 4);
	struct fixture s;

	(void)state;
	fixture_start(&s);
	has(&s, 1, &old);
	assert_int_equal(daxfs_join_as(s.fs, 0, "me", &me, &s.err), -EBUSY);
	s.now_ns += 1000000000ull;
	assert_int_equal(daxfs_beat(s.pod.fs[1]), 0);
	assert_int_equal(daxfs_join_as(s.fs, 0, "me", &me, &s.err), -EEXIST);
	assert_non_null(strstr(s.err.text, "cloned"));
	assert_int_equal(look(&s, 1).state, DAXFS_HOST_ALIVE);
	assert_int_equal(look(&s, 0).state, DAXFS_HOST_FREE);
	fixture_stop(&s);
}

#define SUCCESSOR 99u

/* A successor puts itself in the place of the process that has ended, while the kernel is asked about that. */
static bool succeeded(uint32_t pid)
{
	sm_store(&clock_of->pool->member->host[1].process, SUCCESSOR);
	return pid != SUCCESSOR;
}

static void a_successor_is_seen(void **state)
{
	const struct daxfs_identity old = identity(1, 2, 8), me = identity(1, 2, 4);
	struct daxfs_host_view v;
	struct fixture s;

	(void)state;
	fixture_start(&s);
	has(&s, 1, &old);
	v = look(&s, 1);
	on_gone = succeeded;
	assert_int_equal(member_end(s.pool, &v, &me), -EAGAIN);
	assert_int_equal(look(&s, 1).state, DAXFS_HOST_FENCING); /* not FENCED: the successor may run */
	assert_int_equal(look(&s, 1).generation, v.generation);
	on_gone = NULL;
	gone = true;
	v = look(&s, 1);
	assert_int_equal(member_end(s.pool, &v, &me), 0);
	recovered(&s, 1);
	fixture_stop(&s);
}

static void one_process_goes_on(void **state)
{
	const struct daxfs_identity old = identity(1, 2, 8);
	const uint64_t ended = 7ull << 32 | 8, next = 9ull << 32 | 10, third = 9ull << 32 | 11;
	struct daxfs_host_view v;
	struct fixture s;

	(void)state;
	fixture_start(&s);
	has(&s, 1, &old);
	v = look(&s, 1);
	assert_int_equal(member_succeed(s.pool, 1, v.tenancy, ended, next), 0);
	assert_int_equal(member_succeed(s.pool, 1, v.tenancy, ended, third), -EAGAIN); /* the first one has it */
	assert_int_equal(look(&s, 1).who.pid, 10);
	assert_int_equal(look(&s, 1).state, DAXFS_HOST_ALIVE);
	assert_int_equal(member_succeed(s.pool, 1, v.tenancy + 1, next, third), -ESTALE);
	sm_store(&s.pool->member->host[1].process, ended);
	assert_int_equal(member_move(s.pool, 1, v.word,
				     (struct host_word){ .generation = v.generation, .state = DAXFS_HOST_FENCING }),
			 0);
	assert_int_equal(member_succeed(s.pool, 1, v.tenancy, ended, next), -ESTALE);
	gone = true;
	v = look(&s, 1);
	assert_int_equal(member_end(s.pool, &v, &old), 0);
	recovered(&s, 1);
	fixture_stop(&s);
}

/* -- what the kernel says ---------------------------------------------------------------- */

static void processes(void **state)
{
	struct daxfs_identity me, child;
	struct daxfs_error err;
	int fd[2];
	pid_t pid;

	(void)state;
	if (daxfs_identity_here(NULL, NULL, &me, &err))
		skip(); /* a machine without an id */
	assert_int_equal(me.pid, getpid());
	assert_false(__real_process_gone(me.pid, me.began, me.pids));
	assert_true(__real_process_gone(me.pid, me.began + 1, me.pids)); /* the number came round */
	assert_false(
		__real_process_gone(me.pid, me.began + 1, me.pids + 1)); /* of another namespace: nobody can tell */
	assert_false(__real_process_gone(me.pid, 0, me.pids));
	assert_false(__real_process_gone(0, me.began, me.pids));
	assert_int_equal(pipe(fd), 0);
	pid = fork();
	if (pid == 0) {
		if (daxfs_identity_here(NULL, NULL, &child, &err) || write(fd[1], &child, sizeof(child)) < 0)
			_exit(1);
		pause();
	}
	assert_int_equal(read(fd[0], &child, sizeof(child)), sizeof(child));
	assert_false(__real_process_gone(child.pid, child.began, child.pids));
	kill(pid, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)pid, NULL, WEXITED | WNOWAIT), 0);
	assert_true(__real_process_gone(child.pid, child.began, child.pids)); /* not reaped yet */
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(__real_process_gone(child.pid, child.began, child.pids));
	close(fd[0]);
	close(fd[1]);
}

static void ids(void **state)
{
	const char *bad[] = { "", "12345", "0123456789abcdef0123456789abcdefff", "0123456789abcdef0123456789abcdeg\n" };
	char path[] = "/tmp/daxfs-id-XXXXXX";
	struct daxfs_identity a, b;
	struct daxfs_error err;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(pwrite(fd, bad[i], strlen(bad[i]), 0), strlen(bad[i]));
		assert_int_equal(daxfs_identity_here(path, path, &a, &err), -EINVAL);
		assert_non_null(strstr(err.text, path));
	}
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(pwrite(fd, "01234567-89ab-cdef-0123-456789abcdef\n", 37, 0), 37);
	assert_int_equal(daxfs_identity_here(path, path, &a, &err), 0);
	assert_int_equal(a.boot[0], 0x01);
	assert_int_equal(a.boot[15], 0xef);
	assert_memory_not_equal(a.machine, a.boot, 16); /* not shown around */
	assert_int_equal(daxfs_identity_here(path, path, &b, &err), 0);
	assert_memory_equal(&a, &b, sizeof(a));
	close(fd);
	unlink(path);
	assert_int_equal(daxfs_identity_here(path, NULL, &a, &err), -ENOENT);
}

static void kin(void **state)
{
	const struct daxfs_identity me = identity(1, 2, 3), nobody = { .pid = 5 };
	struct daxfs_identity other;

	(void)state;
	gone = false;
	assert_int_equal(daxfs_identity_kin(&me, &nobody), DAXFS_KIN_NONE);
	assert_int_equal(daxfs_identity_kin(&nobody, &nobody), DAXFS_KIN_NONE);
	assert_int_equal(daxfs_identity_kin(&nobody, &me), DAXFS_KIN_NONE);
	other = identity(2, 2, 3);
	assert_int_equal(daxfs_identity_kin(&me, &other), DAXFS_KIN_NONE);
	other = identity(1, 0, 3); /* a boot that is not known is not another one */
	assert_int_equal(daxfs_identity_kin(&me, &other), DAXFS_KIN_NONE);
	other = identity(1, 3, 3);
	assert_int_equal(daxfs_identity_kin(&me, &other), DAXFS_KIN_REBOOTED);
	assert_int_equal(daxfs_identity_kin(&me, &me), DAXFS_KIN_HERE);
	gone = true;
	assert_int_equal(daxfs_identity_kin(&me, &me), DAXFS_KIN_ENDED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(places),
		cmocka_unit_test(wrong_places),
		cmocka_unit_test(dies_before_it_is_introduced),
		cmocka_unit_test(joined),
		cmocka_unit_test(names_are_one_hosts),
		cmocka_unit_test(processes_that_have_ended),
		cmocka_unit_test(former_boots),
		cmocka_unit_test(clones),
		cmocka_unit_test(a_successor_is_seen),
		cmocka_unit_test(one_process_goes_on),
		cmocka_unit_test(processes),
		cmocka_unit_test(ids),
		cmocka_unit_test(kin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
