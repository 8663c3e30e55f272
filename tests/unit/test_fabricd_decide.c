/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_fabricd_decide.c - a host dies, is cut off and recovered, in order
 * and in time, whatever its agent does.
 */
#include "unit/fabricd_pod.h"

/* -- one host dies ------------------------------------------------------------ */

static void death_in_order_and_time(void **state)
{
	struct pod pod;

	(void)state;
	start(&pod, 4, 3);
	pod.beats[1] = false;
	polls(&pod, TIMING_SUSPECT_POLLS - 1);
	assert_int_equal(state_of(&pod, 1), DAXFS_HOST_ALIVE);
	polls(&pod, 1);
	assert_int_equal(state_of(&pod, 1), DAXFS_HOST_SUSPECT);
	assert_int_equal(pod.last_move[1].reason, DAXFS_REASON_BEAT_LATE);
	assert_int_equal(pod.last_move[1].ms, TIMING_SUSPECT_POLLS * H);
	polls(&pod, TIMING_FENCING_POLLS - TIMING_SUSPECT_POLLS - 1);
	assert_int_equal(state_of(&pod, 1), DAXFS_HOST_SUSPECT);
	polls(&pod, 1);
	assert_int_equal(state_of(&pod, 1), DAXFS_HOST_FENCING);
	assert_int_equal(pod.last_move[1].reason, DAXFS_REASON_BEAT_LOST);
	assert_int_equal(pod.last_move[1].ms, TIMING_FENCING_POLLS * H);
	assert_int_equal(pod.offs[1], 0);
	polls(&pod, 1);
	assert_int_equal(pod.offs[1], 1);
	polls(&pod, 1);
	assert_int_equal(pod.statuses[1], 1);
	polls(&pod, TIMING_FROZEN_POLLS - 1);
	assert_int_equal(state_of(&pod, 1), DAXFS_HOST_FENCING);
	polls(&pod, 1);
	assert_int_equal(state_of(&pod, 1), DAXFS_HOST_FENCED);
	assert_int_equal(pod.in.view[1].generation, 2);
	assert_int_equal(pod.last_move[1].fence_ms, 14);
	assert_true(pod.off[1]);
	assert_int_equal(pod.last_move[1].reason, DAXFS_REASON_BEAT_LOST);
	polls(&pod, 1);
	assert_int_equal(state_of(&pod, 1), DAXFS_HOST_RECOVERING);
	assert_int_equal(pod.in.view[1].recoverer, 0);
	assert_int_equal(pod.last_move[1].reason, DAXFS_REASON_BEAT_LOST);
	polls(&pod, 100);
	assert_int_equal(state_of(&pod, 1), DAXFS_HOST_RECOVERING);
	pod.in.view[1].state = DAXFS_HOST_RECOVERED;
	polls(&pod, 1);
	assert_int_equal(state_of(&pod, 1), DAXFS_HOST_FREE);
	assert_int_equal(pod.moves, 5);
	assert_int_equal(state_of(&pod, 0), DAXFS_HOST_ALIVE);
	assert_int_equal(state_of(&pod, 2), DAXFS_HOST_ALIVE);
}

static void suspect_beats_again(void **state)
{
	struct pod pod;

	(void)state;
	start(&pod, 3, 3);
	pod.beats[2] = false;
	polls(&pod, TIMING_FENCING_POLLS - 1);
	assert_int_equal(state_of(&pod, 2), DAXFS_HOST_SUSPECT);
	pod.beats[2] = true;
	polls(&pod, 1);
	assert_int_equal(state_of(&pod, 2), DAXFS_HOST_ALIVE);
	assert_int_equal(pod.last_move[2].reason, DAXFS_REASON_BEAT_RESUMED);
	polls(&pod, 100);
	assert_int_equal(pod.moves, 2);
}

/* A host that said that it would be silent has that much longer; a beat ends it, and it is not lost count of. */
static void away_as_announced(void **state)
{
	struct pod pod;

	(void)state;
	start(&pod, 3, 3);
	pod.in.view[1].away_ms = 20 * H;
	pod.beats[1] = false;
	polls(&pod, 20 + TIMING_SUSPECT_POLLS - 1);
	assert_int_equal(pod.moves, 0);
	pod.beats[1] = true;
	polls(&pod, 1);
	assert_int_equal(pod.moves, 0);
	pod.beats[1] = false; /* it may be away again for as long, until it takes that back */
	polls(&pod, 20 + TIMING_SUSPECT_POLLS);
	assert_int_equal(state_of(&pod, 1), DAXFS_HOST_SUSPECT);
	polls(&pod, TIMING_FENCING_POLLS - TIMING_SUSPECT_POLLS - 1);
	assert_int_equal(state_of(&pod, 1), DAXFS_HOST_SUSPECT);
	polls(&pod, 1);
	assert_int_equal(state_of(&pod, 1), DAXFS_HOST_FENCING);
}

/* Others are not waited for because of it. */
static void away_is_of_one_host(void **state)
{
	struct pod pod;

	(void)state;
	start(&pod, 3, 3);
	pod.in.view[1].away_ms = 20 * H;
	pod.beats[1] = pod.beats[2] = false;
	polls(&pod, TIMING_FENCING_POLLS);
	assert_int_equal(state_of(&pod, 1), DAXFS_HOST_ALIVE);
	assert_int_equal(state_of(&pod, 2), DAXFS_HOST_FENCING);
}

/* The network between managers and hosts plays no part: beats in memory do. */
static void beating_hosts_are_left_alone(void **state)
{
	struct pod pod;

	(void)state;
	start(&pod, 64, 64);
	polls(&pod, 1000);
	assert_int_equal(pod.moves, 0);
}

/* -- the fence ------------------------------------------------------------------ */

static void failed_agent_is_retried_ever_more_slowly(void **state)
{
	struct pod pod;
	unsigned last = 0, gap = 0;

	(void)state;
	start(&pod, 3, 3);
	pod.bad_agents = true;
	pod.beats[1] = false;
	for (unsigned poll = 1; poll < 2000; poll++) {
		unsigned before = pod.offs[1];

		polls(&pod, 1);
		assert_int_not_equal(state_of(&pod, 1), DAXFS_HOST_FENCED);
		if (pod.offs[1] == before)
			continue;
		assert_true(last == 0 || poll - last >= gap);
		gap = last ? poll - last : 0;
		last = poll;
	}
	assert_int_equal(pod.last_move[1].reason, DAXFS_REASON_FENCE_FAILED);
	assert_true(pod.offs[1] > 5 && pod.offs[1] < 25);
	assert_true(gap >= TIMING_RETRY_POLLS_MAX);
	assert_int_equal(pod.statuses[1], 0);
	pod.bad_agents = false;
	polls(&pod, TIMING_RETRY_POLLS_MAX + 20);
	assert_int_equal(state_of(&pod, 1), DAXFS_HOST_RECOVERING);
}

static void hung_agent_never_fences(void **state)
{
	struct pod pod;

	(void)state;
	start(&pod, 3, 3);
	pod.deaf_agents = true;
	pod.beats[1] = false;
	polls(&pod, 5000);
	assert_int_equal(state_of(&pod, 1), DAXFS_HOST_FENCING);
	assert_int_equal(pod.offs[1], 1);
}

static void status_on_is_a_failure(void **state)
{
	struct pod pod;

	(void)state;
	agent_is_deaf(&pod, 1);
	pod.in.result[1] = RESULT_OFF_DONE;
	polls(&pod, 1);
	assert_int_equal(pod.statuses[1], 1);
	pod.in.result[1] = RESULT_STATUS_ON;
	polls(&pod, 1);
	assert_int_equal(pod.last_move[1].reason, DAXFS_REASON_FENCE_FAILED);
	polls(&pod, TIMING_RETRY_POLLS + 1);
	assert_int_equal(pod.offs[1], 2);
}

/* The agent lies: off, and yet it beats. */
static void off_but_beating_is_not_dead(void **state)
{
	struct pod pod;

	(void)state;
	start(&pod, 3, 3);
	pod.in.order[1] = ORDER_FENCE;
	polls(&pod, 400);
	assert_int_equal(state_of(&pod, 1), DAXFS_HOST_FENCING);
	assert_int_equal(pod.last_move[1].reason, DAXFS_REASON_STILL_BEATING);
	assert_true(pod.offs[1] > 2);
	pod.beats[1] = false;
	polls(&pod, TIMING_RETRY_POLLS_MAX + 20);
	assert_int_equal(state_of(&pod, 1), DAXFS_HOST_RECOVERING);
	assert_int_equal(pod.last_move[1].reason, DAXFS_REASON_OPERATOR_FENCE);
}

/* One beat among the polls that should find it frozen, at each of them. */
static void one_beat_after_the_proof_spoils_it(void **state)
{
	(void)state;
	for (unsigned at = 1; at < TIMING_FROZEN_POLLS; at++) {
		struct pod pod;

		start(&pod, 3, 3);
		pod.beats[1] = false;
		while (pod.statuses[1] == 0)
			polls(&pod, 1);
		polls(&pod, at);
		assert_int_equal(state_of(&pod, 1), DAXFS_HOST_FENCING);
		pod.in.view[1].beat++;
		polls(&pod, 1);
		assert_int_equal(state_of(&pod, 1), DAXFS_HOST_FENCING);
		assert_int_equal(pod.last_move[1].reason, DAXFS_REASON_STILL_BEATING);
		polls(&pod, TIMING_RETRY_POLLS + 20);
		assert_int_equal(pod.offs[1], 2);
		assert_int_equal(pod.in.view[1].generation, 2);
	}
}

/* A beat between the last poll and the end of the agent is no contradiction. */
static void last_beat_before_the_end_is_fine(void **state)
{
	struct pod pod;

	(void)state;
	start(&pod, 3, 3);
	pod.in.order[1] = ORDER_FENCE;
	while (pod.statuses[1] == 0)
		polls(&pod, 1);
	polls(&pod, 1); /* it beat until now */
	pod.beats[1] = false;
	polls(&pod, TIMING_FROZEN_POLLS + 1);
	assert_int_equal(pod.offs[1], 1);
	assert_int_equal(state_of(&pod, 1), DAXFS_HOST_RECOVERING);
}

/* A joiner that died before it wrote its name must not have the former tenant fenced. */
static void a_stale_name_is_not_fenced(void **state)
{
	struct pod pod;

	(void)state;
	start(&pod, 3, 2);
	snprintf(pod.in.view[2].name, sizeof(pod.in.view[2].name), "former");
	pod.in.view[2].tenancy = 1;
	pod.in.view[2].generation = 1; /* the former one's has ended */
	polls(&pod, 3);
	pod.in.view[2].state = DAXFS_HOST_JOINING;
	polls(&pod, TIMING_JOIN_POLLS + 50);
	assert_int_equal(state_of(&pod, 2), DAXFS_HOST_FENCING);
	assert_int_equal(pod.last_move[2].reason, DAXFS_REASON_FENCE_FAILED);
	assert_int_equal(pod.offs[2], 0);
	pod.in.order[2] = ORDER_CONFIRM;
	polls(&pod, TIMING_FROZEN_POLLS + 3);
	assert_int_equal(state_of(&pod, 2), DAXFS_HOST_RECOVERING);
}

static void joining_is_timed_out(void **state)
{
	struct pod pod;

	(void)state;
	start(&pod, 3, 2);
	host_is(&pod, 2, DAXFS_HOST_JOINING);
	pod.beats[2] = true; /* beating does not make it join */
	polls(&pod, TIMING_JOIN_POLLS);
	assert_int_equal(state_of(&pod, 2), DAXFS_HOST_JOINING);
	polls(&pod, 1);
	assert_int_equal(state_of(&pod, 2), DAXFS_HOST_FENCING);
	pod.beats[2] = false;
	polls(&pod, 10);
	assert_int_equal(pod.offs[2], 1);
	assert_int_equal(state_of(&pod, 2), DAXFS_HOST_RECOVERING);
}

/* A slow join leaves no silence behind for the host that joined. */
static void counts_begin_with_the_tenant(void **state)
{
	struct pod pod;

	(void)state;
	start(&pod, 3, 2);
	host_is(&pod, 2, DAXFS_HOST_JOINING);
	polls(&pod, TIMING_JOIN_POLLS - 1);
	host_is(&pod, 2, DAXFS_HOST_ALIVE);
	pod.beats[2] = false;
	polls(&pod, TIMING_SUSPECT_POLLS);
	assert_int_equal(pod.moves, 0);
	pod.beats[2] = true;
	polls(&pod, 50);
	assert_int_equal(pod.moves, 0);
}

/* A host that joined between two polls did not keep the silence of the empty slot. */
static void quick_join_is_not_silence(void **state)
{
	struct pod pod;

	(void)state;
	start(&pod, 3, 2);
	polls(&pod, 100);
	host_is(&pod, 2, DAXFS_HOST_ALIVE); /* nobody saw it JOINING */
	pod.beats[2] = false;
	polls(&pod, TIMING_SUSPECT_POLLS);
	assert_int_equal(pod.moves, 0);
	pod.beats[2] = true;
	polls(&pod, 50);
	assert_int_equal(pod.moves, 0);
}

/* So did one that left and was followed by the next, in the next generation or under a new tenancy. */
static void quick_successor_is_not_silence(void **state)
{
	struct pod pod;

	(void)state;
	start(&pod, 3, 3);
	pod.beats[2] = false;
	polls(&pod, TIMING_SUSPECT_POLLS - 1);
	pod.in.view[2].tenancy++;
	polls(&pod, TIMING_SUSPECT_POLLS);
	assert_int_equal(pod.moves, 0);
}

/* -- recovery ------------------------------------------------------------------- */

static void dies(struct pod *pod, unsigned host)
{
	pod->beats[host] = false;
	for (unsigned i = 0; i < 100 && state_of(pod, host) < DAXFS_HOST_FENCED; i++)
		polls(pod, 1);
	polls(pod, 1);
}

/* The second death of a slot is proven like the first: nothing of that counts. */
static void each_tenant_is_fenced_for_itself(void **state)
{
	struct pod pod;

	(void)state;
	start(&pod, 3, 3);
	dies(&pod, 1);
	assert_int_equal(pod.offs[1], 1);
	host_is(&pod, 1, DAXFS_HOST_JOINING);
	polls(&pod, 1);
	host_is(&pod, 1, DAXFS_HOST_ALIVE);
	polls(&pod, 10);
	pod.deaf_agents = true;
	pod.beats[1] = false;
	polls(&pod, 200);
	assert_int_equal(pod.offs[1], 2);
	assert_int_equal(state_of(&pod, 1), DAXFS_HOST_FENCING);
	assert_int_equal(pod.in.view[1].generation, 2);
}

/* A host that has just fallen silent itself is no candidate, though not yet SUSPECT. */
static void the_overdue_do_not_recover(void **state)
{
	struct pod pod;

	(void)state;
	start(&pod, 3, 3);
	pod.beats[0] = false;
	polls(&pod, TIMING_SUSPECT_POLLS - 1);
	host_is(&pod, 2, DAXFS_HOST_FENCED);
	polls(&pod, 1);
	assert_int_equal(state_of(&pod, 0), DAXFS_HOST_SUSPECT);
	assert_int_equal(state_of(&pod, 2), DAXFS_HOST_RECOVERING);
	assert_int_equal(pod.in.view[2].recoverer, 1);
}

/* Nor is one that the operator has just ordered off, though it beats. */
static void the_ordered_off_do_not_recover(void **state)
{
	struct pod pod;

	(void)state;
	start(&pod, 3, 3);
	polls(&pod, 3);
	host_is(&pod, 2, DAXFS_HOST_FENCED);
	pod.in.order[0] = ORDER_FENCE;
	polls(&pod, 1);
	assert_int_equal(state_of(&pod, 2), DAXFS_HOST_RECOVERING);
	assert_int_equal(pod.in.view[2].recoverer, 1);
}

static void dead_recoverer_is_replaced(void **state)
{
	struct pod pod;

	(void)state;
	start(&pod, 4, 4);
	dies(&pod, 2);
	assert_int_equal(pod.in.view[2].recoverer, 0);
	pod.beats[0] = false;
	while (state_of(&pod, 0) < DAXFS_HOST_FENCED) {
		assert_int_equal(pod.in.view[2].recoverer, 0); /* suspect, fencing: not yet */
		polls(&pod, 1);
	}
	polls(&pod, 1); /* counted, */
	assert_int_equal(pod.in.view[2].deaths, 1);
	polls(&pod, 1); /* then replaced */
	assert_int_equal(state_of(&pod, 2), DAXFS_HOST_RECOVERING);
	assert_int_equal(pod.in.view[2].recoverer, 1);
	assert_int_equal(pod.last_move[2].reason, DAXFS_REASON_RECOVERER_DIED);
	assert_int_equal(pod.in.view[0].recoverer, 1);
	dies(&pod, 1);
	polls(&pod, 1);
	assert_int_equal(pod.in.view[0].recoverer, 3); /* one died of it: at once */
	assert_int_equal(pod.in.view[2].recoverer, 1); /* two: later */
	polls(&pod, TIMING_REST_POLLS);
	assert_int_equal(pod.in.view[2].recoverer, 3);
	assert_int_equal(pod.in.view[1].recoverer, 3);
}

static void recoverer_that_left_is_replaced(void **state)
{
	struct pod pod;

	(void)state;
	start(&pod, 3, 3);
	dies(&pod, 2);
	assert_int_equal(pod.in.view[2].recoverer, 0);
	host_is(&pod, 0, DAXFS_HOST_FREE);
	pod.in.view[0].generation++;
	pod.in.view[0].reason = DAXFS_REASON_LEFT;
	polls(&pod, 1);
	assert_int_equal(pod.in.view[2].recoverer, 1);
	assert_int_equal(pod.counts[2], 0); /* it did not die of it */
}

/* It left and came back between two polls: the new tenant was not named. */
static void recoverer_that_came_back_is_named_anew(void **state)
{
	struct pod pod;

	(void)state;
	start(&pod, 3, 3);
	dies(&pod, 2);
	assert_int_equal(pod.in.view[2].recoverer, 0);
	pod.in.view[0].generation++;
	host_is(&pod, 0, DAXFS_HOST_ALIVE);
	polls(&pod, 2);
	assert_int_equal(pod.in.view[2].recoverer, 0);
	assert_int_equal(pod.in.view[2].recoverer_generation, pod.in.view[0].generation);
	assert_int_equal(pod.last_move[2].reason, DAXFS_REASON_RECOVERER_DIED);
}

/* -- a host that its recoverers die of --------------------------------------------- */

/* Its recoverers die, one after the other, until nobody is assigned. The manager may be another each time. */
static void recoverers_die(struct pod *pod, bool another_manager)
{
	start(pod, 6, 6);
	dies(pod, 5);
	for (unsigned i = 0; i < DAXFS_RECOVERERS_MAX; i++) {
		assert_int_equal(pod->in.view[5].recoverer, i);
		assert_int_equal(pod->in.view[5].deaths, i);
		pod->beats[i] = false;
		while (state_of(pod, i) < DAXFS_HOST_FENCED)
			polls(pod, 1);
		if (another_manager) {
			decide_init(&pod->d, 6, H);
			polls(pod, 3 * TIMING_WINDOW_POLLS);
		}
		polls(pod, TIMING_REST_POLLS + 2);
	}
}

static void after_the_third_nobody_is_assigned(void **state)
{
	struct pod pod;

	(void)state;
	for (int another = 0; another < 2; another++) {
		recoverers_die(&pod, another);
		assert_int_equal(pod.in.view[5].deaths, DAXFS_RECOVERERS_MAX);
		assert_int_equal(pod.counts[5], DAXFS_RECOVERERS_MAX); /* each once, whoever managed */
		polls(&pod, 1000);
		assert_int_equal(pod.in.view[5].recoverer, 2);
		assert_int_equal(decide_toll(&pod.d, 5), TOLL_HIGH);
		assert_int_equal(state_of(&pod, 3), DAXFS_HOST_ALIVE);
		assert_int_equal(pod.in.view[0].recoverer, 3); /* the hosts that died of it are recovered */
		pod.in.view[5].deaths = 0;                     /* the operator, again */
		polls(&pod, 1);
		assert_int_equal(pod.in.view[5].recoverer, 3);
	}
}

/* late: a manager whose poll is late now and then, on a machine that is short of time, waits no longer. */
static void wait_for_the_third(bool late)
{
	struct pod pod;

	start(&pod, 6, 6);
	dies(&pod, 5);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(pod.in.view[5].recoverer, i);
		dies(&pod, i);
		polls(&pod, 1);
	}
	assert_int_equal(pod.in.view[5].deaths, 2);
	for (unsigned n = 1; pod.in.view[5].recoverer == 1; n++) {
		poll_after(&pod, late && n % 10 == 0 ? (TIMING_LATE_POLLS + 1) * H : H);
		assert_true(n <= TIMING_REST_POLLS);
		assert_true(pod.in.view[5].recoverer == 1 || n == TIMING_REST_POLLS);
	}
	assert_int_equal(pod.in.view[5].recoverer, 2);
}

static void the_third_waits(void **state)
{
	(void)state;
	wait_for_the_third(false);
	wait_for_the_third(true);
}

static void next_to_join_recovers_when_nobody_is_left(void **state)
{
	struct pod pod;

	(void)state;
	start(&pod, 3, 2);
	dies(&pod, 1);
	assert_int_equal(pod.in.view[1].recoverer, 0);
	dies(&pod, 0);
	polls(&pod, 200);
	assert_int_equal(state_of(&pod, 0), DAXFS_HOST_FENCED);
	assert_int_equal(state_of(&pod, 1), DAXFS_HOST_RECOVERING);
	host_is(&pod, 2, DAXFS_HOST_JOINING);
	polls(&pod, 3);
	assert_int_equal(state_of(&pod, 0), DAXFS_HOST_FENCED);
	host_is(&pod, 2, DAXFS_HOST_ALIVE);
	polls(&pod, 1);
	assert_int_equal(pod.in.view[0].recoverer, 2);
	assert_int_equal(pod.in.view[1].recoverer, 2);
	assert_int_equal(state_of(&pod, 0), DAXFS_HOST_RECOVERING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(death_in_order_and_time),
		cmocka_unit_test(suspect_beats_again),
		cmocka_unit_test(away_as_announced),
		cmocka_unit_test(away_is_of_one_host),
		cmocka_unit_test(beating_hosts_are_left_alone),
		cmocka_unit_test(failed_agent_is_retried_ever_more_slowly),
		cmocka_unit_test(hung_agent_never_fences),
		cmocka_unit_test(status_on_is_a_failure),
		cmocka_unit_test(off_but_beating_is_not_dead),
		cmocka_unit_test(one_beat_after_the_proof_spoils_it),
		cmocka_unit_test(last_beat_before_the_end_is_fine),
		cmocka_unit_test(a_stale_name_is_not_fenced),
		cmocka_unit_test(joining_is_timed_out),
		cmocka_unit_test(counts_begin_with_the_tenant),
		cmocka_unit_test(quick_join_is_not_silence),
		cmocka_unit_test(quick_successor_is_not_silence),
		cmocka_unit_test(each_tenant_is_fenced_for_itself),
		cmocka_unit_test(the_overdue_do_not_recover),
		cmocka_unit_test(the_ordered_off_do_not_recover),
		cmocka_unit_test(dead_recoverer_is_replaced),
		cmocka_unit_test(recoverer_that_left_is_replaced),
		cmocka_unit_test(after_the_third_nobody_is_assigned),
		cmocka_unit_test(the_third_waits),
		cmocka_unit_test(recoverer_that_came_back_is_named_anew),
		cmocka_unit_test(next_to_join_recovers_when_nobody_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
