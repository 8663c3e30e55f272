/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_fabricd_health.c - why a pod is DEGRADED, on which host, since when; on a real pool.
 *
 * Polls are made one after the other; no test waits for time.
 */
#include "common/log.h"
#include "fabricd_real.h"

static const struct health_condition *condition(struct real *r, enum health_code code, int host)
{
	const struct health *h = &r->watch.health;

	for (unsigned i = 0; i < h->n; i++)
		if (h->condition[i].code == code && h->condition[i].host == host)
			return &h->condition[i];
	return NULL;
}

static void polls(struct real *r, unsigned n, unsigned beating)
{
	while (n--) {
		real_polls(r, 1, beating);
		health_poll(&r->watch.health, &r->watch);
	}
}

static void become_primary(struct real *r, unsigned beating)
{
	polls(r, TIMING_MANAGER_POLLS + TIMING_WINDOW_POLLS + 2, beating);
	assert_int_equal(r->watch.decide.role, DECIDE_PRIMARY);
}

struct tally {
	unsigned degraded, healthy;
	char last[64];
};

static bool count(void *context, const struct daxfs_event *e)
{
	struct tally *t = context;

	t->degraded += e->kind == DAXFS_EVENT_DEGRADED;
	t->healthy += e->kind == DAXFS_EVENT_HEALTHY;
	if (e->kind == DAXFS_EVENT_DEGRADED || e->kind == DAXFS_EVENT_HEALTHY)
		strcpy(t->last, e->text);
	return true;
}

static struct tally recorded(struct real *r)
{
	struct tally t = { 0 };

	assert_true(watch_events(&r->watch, 0, count, &t) >= 0);
	return t;
}

static void a_pod_that_is_well(void **state)
{
	struct real r;

	(void)state;
	real_start(&r);
	for (unsigned i = 0; i < 2; i++)
		real_join(&r, i);
	become_primary(&r, 3);
	assert_int_equal(r.watch.health.n, 0);
	assert_int_equal(recorded(&r).degraded, 0);
	real_stop(&r);
}

/* Absent until it joins: said once, and once that it is over; since the first poll that missed it. */
static void an_expected_host_is_absent(void **state)
{
	const struct health_condition *c;
	uint64_t since_ns;
	struct tally t;
	struct real r;

	(void)state;
	real_start(&r);
	strcpy(r.options.expected[r.options.n_expected++], "host0");
	strcpy(r.options.expected[r.options.n_expected++], "host1");
	real_join(&r, 0);
	become_primary(&r, 1);
	c = condition(&r, HEALTH_HOST_ABSENT, -1);
	assert_non_null(c);
	assert_string_equal(c->text, "expected host host1 is absent");
	assert_int_equal(r.watch.health.n, 1);
	since_ns = c->since_ns;
	assert_true(since_ns > 0);
	polls(&r, 3, 1);
	assert_true(condition(&r, HEALTH_HOST_ABSENT, -1)->since_ns == since_ns);
	real_join(&r, 1);
	polls(&r, 1, 3);
	assert_int_equal(r.watch.health.n, 0);
	t = recorded(&r);
	assert_int_equal(t.healthy, 1);
	assert_string_equal(t.last, "expected host host1 is absent");
	assert_int_equal(daxfs_leave(r.host[1]), 0);
	polls(&r, 2, 1);
	assert_int_equal(r.watch.health.n, 1);
	assert_int_equal(recorded(&r).degraded, t.degraded + 1);
	real_stop(&r);
}

/* A host on its way out is one condition after the other, each since it was entered. */
static void a_host_dies(void **state)
{
	static const enum health_code codes[] = { HEALTH_HOST_SUSPECT, HEALTH_HOST_FENCING, HEALTH_HOST_FENCED };
	static const enum daxfs_host_state states[] = { DAXFS_HOST_SUSPECT, DAXFS_HOST_FENCING, DAXFS_HOST_FENCED };
	struct real r;

	(void)state;
	real_start(&r);
	real_join(&r, 1); /* alone: nobody recovers it */
	become_primary(&r, 2);
	for (unsigned k = 0; k < 3; k++) {
		for (unsigned i = 0; real_view(&r, 1).state != states[k]; i++) {
			assert_true(i < 100);
			polls(&r, 1, 0);
			real_agents(&r);
		}
		polls(&r, 1, 0); /* sees what it did */
		if (real_view(&r, 1).state != states[k])
			continue; /* further on already */
		assert_non_null(condition(&r, codes[k], 1));
		assert_int_equal(r.watch.health.n, 1);
	}
	assert_non_null(strstr(condition(&r, HEALTH_HOST_FENCED, 1)->text, "host 1 (host1) is FENCED: heartbeat lost"));
	assert_int_equal(recorded(&r).degraded, 0); /* its states are events themselves */
	real_stop(&r);
}

struct found {
	unsigned host;
	enum daxfs_host_state state;
	uint64_t wall_ns;
};

static bool find_state(void *context, const struct daxfs_event *e)
{
	struct found *f = context;

	if (e->kind == DAXFS_EVENT_STATE && e->host == (int)f->host && e->state == f->state)
		f->wall_ns = e->wall_ns;
	return true;
}

/* A fabricd that is started later knows since when from the pool's events. */
static void since_before_fabricd(void **state)
{
	struct found found = { .host = 1, .state = DAXFS_HOST_FENCED };
	struct health later = { .n = 0 };
	struct real r;

	(void)state;
	real_start(&r);
	real_join(&r, 1);
	become_primary(&r, 2);
	for (unsigned i = 0; real_view(&r, 1).state != DAXFS_HOST_FENCED; i++) {
		assert_true(i < 100);
		polls(&r, 1, 0);
		real_agents(&r);
	}
	polls(&r, 1, 0);
	assert_true(watch_events(&r.watch, 0, find_state, &found) > 0);
	health_poll(&later, &r.watch);
	assert_int_equal(later.n, 1);
	assert_int_equal(later.condition[0].code, HEALTH_HOST_FENCED);
	assert_true(later.condition[0].since_ns == found.wall_ns);
	real_stop(&r);
}

static void no_backup(void **state)
{
	struct real r;

	(void)state;
	real_start(&r);
	r.options.expect_backup = true;
	real_join(&r, 0);
	become_primary(&r, 1);
	assert_non_null(condition(&r, HEALTH_NO_BACKUP, -1));
	daxfs_member_standby(r.watch.member, (const uint8_t[16]){ 77 });
	polls(&r, 1, 1);
	assert_null(condition(&r, HEALTH_NO_BACKUP, -1));
	real_stop(&r);
}

static unsigned fill_log(char *text, size_t size, int fd)
{
	ssize_t n = read(fd, text, size - 1);
	unsigned lines = 0;

	text[n > 0 ? n : 0] = '\0';
	for (const char *c = text; *c; c++)
		lines += *c == '\n';
	return lines;
}

/* Once at a half, once at three quarters, and when it beats again; nothing of those that are well. */
static void gaps_are_warned_of(void **state)
{
	char text[8192];
	struct real r;
	int fd[2], kept;

	(void)state;
	real_start(&r);
	for (unsigned i = 0; i < 2; i++)
		real_join(&r, i);
	become_primary(&r, 3);
	gaps_poll(&r.watch.gaps, &r.watch);
	assert_int_equal(pipe(fd), 0);
	kept = dup(STDERR_FILENO);
	dup2(fd[1], STDERR_FILENO);
	log_start("fabricd", 1000);
	for (unsigned i = 0; i < TIMING_FENCING_POLLS - 1; i++) {
		real_polls(&r, 1, 1);
		gaps_poll(&r.watch.gaps, &r.watch);
	}
	real_polls(&r, 1, 3);
	gaps_poll(&r.watch.gaps, &r.watch);
	dup2(kept, STDERR_FILENO);
	close(kept);
	close(fd[1]);
	assert_true(fill_log(text, sizeof(text), fd[0]) >= 3);
	close(fd[0]);
	assert_non_null(strstr(text, "host 1 (host1) has not beaten for "));
	assert_non_null(strstr(text, "over 50 % of the 100000 ms after which it is declared dead"));
	assert_non_null(strstr(text, "over 75 % of the 100000 ms"));
	assert_null(strstr(strstr(text, "over 75 %") + 1, "over 75 %"));
	assert_non_null(strstr(text, "host 1 (host1) beats again, after "));
	assert_null(strstr(text, "host 0 (host0) has"));
	assert_int_equal(r.watch.gaps.host[1].percent, 0);
	real_stop(&r);
}

/* A host that beats after so many ms is looked at then, and once more before. */
static void beat_after(struct watch *w, struct gaps *gaps, unsigned ms)
{
	w->in.now_ms += ms / 2;
	gaps_poll(gaps, w);
	w->in.now_ms += ms - ms / 2;
	w->in.view[0].beat++;
	gaps_poll(gaps, w);
}

/* The last eight times between two beats of this tenant, for the event of its end. */
static void last_beats_are_kept(void **state)
{
	struct watch *w = calloc(1, sizeof(*w));
	struct gaps gaps = { .host = { { .percent = 0 } } };
	char text[64];

	(void)state;
	decide_init(&w->decide, 1, 50);
	w->geometry.heartbeat_ms = 50;
	w->in.readable = w->in.sensible[0] = true;
	w->in.view[0] = (struct daxfs_host_view){ .state = DAXFS_HOST_ALIVE, .tenancy = 7, .beat = 1000 };
	gaps_poll(&gaps, w);
	beat_after(w, &gaps, 30); /* it had beaten some time before it was first seen */
	assert_string_equal(gaps_text(&gaps, 0, text, sizeof(text)), "");
	beat_after(w, &gaps, 51);
	assert_string_equal(gaps_text(&gaps, 0, text, sizeof(text)), "beats 51 ms apart");
	for (unsigned ms = 101; ms <= 107; ms++)
		beat_after(w, &gaps, ms);
	assert_string_equal(gaps_text(&gaps, 0, text, sizeof(text)), "beats 51 101 102 103 104 105 106 107 ms apart");
	beat_after(w, &gaps, 9999);
	w->in.now_ms += 700; /* its silence is none of them */
	gaps_poll(&gaps, w);
	assert_string_equal(gaps_text(&gaps, 0, text, sizeof(text)), "beats 101 102 103 104 105 106 107 9999 ms apart");
	w->in.view[0].tenancy = 8;
	beat_after(w, &gaps, 40);
	assert_string_equal(gaps_text(&gaps, 0, text, sizeof(text)), "");
	free(w);
}

static void every_code_has_a_name(void **state)
{
	(void)state;
	for (unsigned code = 0; code < HEALTH_CODES; code++)
		assert_true(strlen(health_name((enum health_code)code)) > 3 &&
			    strlen(health_name((enum health_code)code)) < 24);
	assert_string_equal(health_name(HEALTH_CODES), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pod_that_is_well), cmocka_unit_test(an_expected_host_is_absent),
		cmocka_unit_test(a_host_dies),        cmocka_unit_test(since_before_fabricd),
		cmocka_unit_test(no_backup),          cmocka_unit_test(every_code_has_a_name),
		cmocka_unit_test(gaps_are_warned_of), cmocka_unit_test(last_beats_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
