/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_fabricd_decide_doubt.c - what the manager must not believe: its own
 * pauses, unreadable pools, mass silence, operators in error, its own epoch.
 */
#include "unit/fabricd_pod.h"

/* -- the manager doubts itself --------------------------------------------------- */

static void own_pause_is_not_silence_of_hosts(void **state)
{
	struct pod pod;

	(void)state;
	start(&pod, 3, 3);
	for (unsigned i = 0; i < 50; i++) {
		memset(pod.beats, 0, sizeof(pod.beats)); /* stale lines */
		poll_after(&pod, 60 * H);
		for (unsigned h = 0; h < 3; h++)
			pod.beats[h] = true;
		polls(&pod, 2);
	}
	assert_int_equal(pod.moves, 0);
	assert_int_equal(pod.d.late_polls, 50);
}

/* Late at every poll: it never gathers the counts to kill anybody. */
static void always_late_decides_nothing(void **state)
{
	struct pod pod;

	(void)state;
	start(&pod, 3, 3);
	pod.beats[1] = false;
	for (unsigned i = 0; i < 200; i++)
		poll_after(&pod, TIMING_LATE_POLLS * H + 1);
	assert_int_equal(pod.moves, 0);
	polls(&pod, TIMING_FENCING_POLLS);
	assert_int_equal(state_of(&pod, 1), DAXFS_HOST_FENCING);
}

static void late_poll_restarts_the_proof_too(void **state)
{
	struct pod pod;

	(void)state;
	start(&pod, 3, 3);
	pod.beats[1] = false;
	while (pod.statuses[1] == 0)
		polls(&pod, 1);
	polls(&pod, TIMING_FROZEN_POLLS - 1);
	poll_after(&pod, 10 * H);
	assert_int_equal(state_of(&pod, 1), DAXFS_HOST_FENCING);
	polls(&pod, TIMING_FROZEN_POLLS - 1);
	assert_int_equal(state_of(&pod, 1), DAXFS_HOST_FENCED);
}

static void unreadable_pool_decides_nothing(void **state)
{
	struct pod pod;
	unsigned beaten;

	(void)state;
	start(&pod, 3, 3);
	memset(pod.beats, 0, sizeof(pod.beats));
	pod.in.readable = false;
	beaten = pod.beaten;
	polls(&pod, 200);
	assert_int_equal(pod.moves, 0);
	assert_int_equal(pod.beaten, beaten);
	assert_non_null(decide_waits(&pod.d));
	pod.in.readable = true;
	for (unsigned h = 0; h < 3; h++)
		pod.beats[h] = true;
	polls(&pod, 50);
	assert_int_equal(pod.moves, 0);
}

/* An agent that ends while the pool cannot be read has still ended. */
static void reports_are_kept_while_unreadable(void **state)
{
	struct pod pod;

	(void)state;
	agent_is_deaf(&pod, 1);
	pod.in.readable = false;
	pod.in.result[1] = RESULT_OFF_DONE;
	polls(&pod, 5);
	pod.in.readable = true;
	polls(&pod, 1);
	assert_int_equal(pod.statuses[1], 1);
}

static void senseless_word_is_left_alone(void **state)
{
	struct pod pod;

	(void)state;
	start(&pod, 3, 3);
	pod.beats[1] = false;
	pod.in.sensible[1] = false;
	pod.in.view[1].manager_epoch = 77;
	polls(&pod, 200);
	assert_int_equal(pod.moves, 0);
	assert_int_equal(pod.stamps, 3);
	pod.beats[2] = false;
	polls(&pod, TIMING_FENCING_POLLS);
	assert_int_equal(state_of(&pod, 2), DAXFS_HOST_FENCING);
}

static void mass_silence_waits_a_window(void **state)
{
	struct pod pod;

	(void)state;
	start(&pod, 3, 3);
	memset(pod.beats, 0, sizeof(pod.beats));
	polls(&pod, TIMING_SUSPECT_POLLS + TIMING_WINDOW_POLLS - 1);
	assert_int_equal(pod.moves, 0);
	assert_non_null(decide_waits(&pod.d));
	polls(&pod, 1);
	assert_int_equal(state_of(&pod, 0), DAXFS_HOST_SUSPECT);
	polls(&pod, 1);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(state_of(&pod, i), DAXFS_HOST_FENCING);
	polls(&pod, 100);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(state_of(&pod, i), DAXFS_HOST_FENCED);
}

/* All silent, then all back within the window: nobody was touched. */
static void mass_silence_that_ends_costs_nobody(void **state)
{
	struct pod pod;

	(void)state;
	start(&pod, 3, 3);
	memset(pod.beats, 0, sizeof(pod.beats));
	polls(&pod, TIMING_SUSPECT_POLLS + TIMING_WINDOW_POLLS - 1);
	for (unsigned h = 0; h < 3; h++)
		pod.beats[h] = true;
	polls(&pod, 100);
	assert_int_equal(pod.moves, 0);
}

static void the_only_host_is_not_a_mass(void **state)
{
	struct pod pod;

	(void)state;
	start(&pod, 3, 1);
	pod.beats[0] = false;
	polls(&pod, TIMING_FENCING_POLLS);
	assert_int_equal(state_of(&pod, 0), DAXFS_HOST_FENCING);
}

/* -- the operator ------------------------------------------------------------------ */

static void operator_fences_a_live_host(void **state)
{
	struct pod pod;

	(void)state;
	start(&pod, 3, 3);
	assert_null(decide_refuses(&pod.d, 1, ORDER_FENCE));
	pod.in.order[1] = ORDER_FENCE;
	polls(&pod, 1);
	assert_int_equal(state_of(&pod, 1), DAXFS_HOST_FENCING);
	assert_int_equal(pod.last_move[1].reason, DAXFS_REASON_OPERATOR_FENCE);
	while (pod.statuses[1] == 0)
		polls(&pod, 1);
	pod.beats[1] = false;
	polls(&pod, 10);
	assert_int_equal(state_of(&pod, 1), DAXFS_HOST_RECOVERING);
	assert_non_null(decide_refuses(&pod.d, 1, ORDER_FENCE));
}

/* An order is for a tenant of a slot, not for the next one. */
static void an_order_dies_with_its_tenant(void **state)
{
	struct pod pod;

	(void)state;
	start(&pod, 3, 3);
	memset(pod.beats, 0, sizeof(pod.beats));
	polls(&pod, TIMING_SUSPECT_POLLS + 2); /* waiting: the order is only noted */
	pod.in.order[1] = ORDER_FENCE;
	polls(&pod, 1);
	assert_int_equal(pod.moves, 0);
	host_is(&pod, 1, DAXFS_HOST_FREE);
	pod.in.view[1].generation++;
	polls(&pod, 1);
	host_is(&pod, 1, DAXFS_HOST_JOINING);
	polls(&pod, 1);
	host_is(&pod, 1, DAXFS_HOST_ALIVE);
	pod.beats[0] = pod.beats[2] = true;
	polls(&pod, 50);
	assert_int_equal(state_of(&pod, 1), DAXFS_HOST_ALIVE);
	assert_int_equal(pod.offs[1], 0);
}

static void confirm_dead_is_refused_for_the_living(void **state)
{
	struct pod pod;

	(void)state;
	start(&pod, 3, 3);
	assert_non_null(decide_refuses(&pod.d, 1, ORDER_CONFIRM));
	pod.in.order[1] = ORDER_CONFIRM;
	polls(&pod, 100);
	assert_int_equal(pod.refused[1], 1);
	assert_int_equal(pod.moves, 0);
}

static void confirm_dead_skips_the_agent(void **state)
{
	struct pod pod;

	(void)state;
	agent_is_deaf(&pod, 5);
	assert_null(decide_refuses(&pod.d, 1, ORDER_CONFIRM));
	pod.in.order[1] = ORDER_CONFIRM;
	polls(&pod, 1);
	assert_int_equal(pod.stops[1], 1);
	polls(&pod, TIMING_FROZEN_POLLS);
	assert_int_equal(state_of(&pod, 1), DAXFS_HOST_FENCED);
	assert_int_equal(pod.last_move[1].reason, DAXFS_REASON_OPERATOR_CONFIRM);
	assert_int_equal(pod.last_move[1].fence_ms, 0);
	assert_true(pod.off[1]);
	assert_int_equal(pod.statuses[1], 0);
}

static void confirm_dead_still_needs_a_frozen_counter(void **state)
{
	struct pod pod;

	(void)state;
	agent_is_deaf(&pod, 2);
	pod.in.order[1] = ORDER_CONFIRM;
	polls(&pod, 2);
	pod.in.view[1].beat++;
	polls(&pod, 1);
	assert_int_equal(state_of(&pod, 1), DAXFS_HOST_FENCING);
	assert_int_equal(pod.last_move[1].reason, DAXFS_REASON_STILL_BEATING);
	polls(&pod, 100);
	assert_int_equal(state_of(&pod, 1), DAXFS_HOST_FENCING);
	assert_int_equal(pod.in.view[1].generation, 1);
	assert_int_equal(pod.offs[1], 2); /* back to the agent */
}

static void operator_does_not_wait_for_the_next_attempt(void **state)
{
	struct pod pod;

	(void)state;
	start(&pod, 3, 3);
	pod.bad_agents = true;
	pod.beats[1] = false;
	polls(&pod, 500);
	pod.bad_agents = false;
	while (pod.d.host[1].phase != PHASE_WAITING || pod.d.host[1].pause < 50)
		polls(&pod, 1);
	pod.in.order[1] = ORDER_FENCE;
	polls(&pod, TIMING_FROZEN_POLLS + 5);
	assert_int_equal(state_of(&pod, 1), DAXFS_HOST_RECOVERING);
}

/* -- two managers --------------------------------------------------------------------- */

static void backup_takes_over_and_waits_a_window(void **state)
{
	struct pod pod;

	(void)state;
	memset(&pod, 0, sizeof(pod));
	decide_init(&pod.d, 2, H);
	pod.in.readable = true;
	pod.in.now_ms = 1;
	pod.in.manager = (struct daxfs_manager_view){ .epoch = 7, .pid = 99, .beat = 1 };
	for (unsigned i = 0; i < 2; i++) {
		pod.in.view[i] = (struct daxfs_host_view){ .id = i, .generation = 1, .manager_epoch = 7 };
		pod.in.sensible[i] = true;
		host_is(&pod, i, DAXFS_HOST_ALIVE);
	}
	for (unsigned i = 0; i < 100; i++) {
		pod.in.manager.beat++;
		polls(&pod, 1);
	}
	assert_int_equal(pod.claims + pod.moves + pod.stamps + pod.beaten, 0);
	pod.beats[1] = false; /* the primary and a host die together */
	polls(&pod, TIMING_MANAGER_POLLS - 1);
	assert_int_equal(pod.claims, 0);
	polls(&pod, 1);
	assert_int_equal(pod.claims, 1);
	assert_int_equal(pod.in.manager.epoch, 8);
	polls(&pod, 1);
	assert_int_equal(pod.stamps, 2);
	polls(&pod, TIMING_WINDOW_POLLS - 1);
	assert_int_equal(pod.moves, 0);
	polls(&pod, 2);
	assert_int_equal(state_of(&pod, 1), DAXFS_HOST_FENCING);
	assert_int_equal(state_of(&pod, 0), DAXFS_HOST_ALIVE);
}

static void late_backup_does_not_take_over(void **state)
{
	struct pod pod;

	(void)state;
	memset(&pod, 0, sizeof(pod));
	decide_init(&pod.d, 0, H);
	pod.in.readable = true;
	pod.in.manager = (struct daxfs_manager_view){ .epoch = 7, .pid = 99, .beat = 1 };
	for (unsigned i = 0; i < 100; i++)
		poll_after(&pod, 10 * H);
	assert_int_equal(pod.claims, 0);
}

static void stale_primary_steps_down(void **state)
{
	struct pod pod;
	unsigned beaten;

	(void)state;
	start(&pod, 3, 3);
	pod.beats[1] = false;
	polls(&pod, TIMING_FENCING_POLLS - 1);
	pod.in.manager.epoch++;
	beaten = pod.beaten;
	polls(&pod, 1);
	assert_int_equal(pod.steps_down, 1);
	assert_int_equal(pod.beaten, beaten);
	assert_int_equal(state_of(&pod, 1), DAXFS_HOST_SUSPECT);
	assert_int_equal(pod.d.role, DECIDE_BACKUP);
	for (unsigned i = 0; i < 50; i++) {
		pod.in.manager.beat++;
		polls(&pod, 1);
	}
	assert_int_equal(pod.moves, 1);
	assert_int_equal(pod.claims, 1);
}

/* A fence begun by another manager is begun again, for its first reason. */
static void new_primary_finishes_a_fence(void **state)
{
	struct pod pod;

	(void)state;
	start(&pod, 3, 2);
	decide_deposed(&pod.d);
	host_is(&pod, 1, DAXFS_HOST_FENCING);
	pod.in.view[1].reason = DAXFS_REASON_FENCE_FAILED;
	pod.in.view[1].reason_ms = 512;
	polls(&pod, TIMING_MANAGER_POLLS + 1);
	assert_int_equal(pod.claims, 2);
	assert_int_equal(pod.offs[1], 0);
	polls(&pod, TIMING_WINDOW_POLLS + 10);
	assert_int_equal(pod.offs[1], 1);
	assert_int_equal(state_of(&pod, 1), DAXFS_HOST_RECOVERING);
	assert_int_equal(pod.last_move[1].reason, DAXFS_REASON_BEAT_LOST);
	assert_int_equal(pod.last_move[1].ms, 512);
}

/* -- anything at all ---------------------------------------------------------------------- */

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

/*
 * Random beats, deaths, agents that lie, fail and hang, pauses and orders. A
 * host that beat at every poll and that nobody ordered away is never touched;
 * FENCED never comes within TIMING_FROZEN_POLLS polls of a beat.
 */
static void rules_hold_in_any_history(void **state)
{
	uint32_t seed = 20260101;

	(void)state;
	print_message("seed %u\n", seed);
	for (unsigned run = 0; run < 200; run++) {
		struct pod pod;
		unsigned since_beat[4] = { 0 }, fenced = 0;
		bool innocent[4] = { true, true, true, true };

		start(&pod, 4, 4);
		for (unsigned poll = 0; poll < 400; poll++) {
			unsigned i = next_random(&seed) % 4, dice = next_random(&seed) % 64;
			enum daxfs_host_state before[4];

			if (dice == 0)
				pod.beats[i] = false;
			else if (dice < 3)
				pod.beats[i] = true;
			else if (dice == 3)
				pod.in.order[i] = 1 + next_random(&seed) % 2;
			else if (dice == 4)
				pod.bad_agents = !pod.bad_agents;
			else if (dice == 5 && state_of(&pod, i) == DAXFS_HOST_RECOVERING)
				pod.in.view[i].state = DAXFS_HOST_RECOVERED;
			for (unsigned h = 0; h < 4; h++) {
				before[h] = state_of(&pod, h);
				since_beat[h] = pod.beats[h] ? 0 : since_beat[h] + 1;
				if (!pod.beats[h] || pod.in.order[h] == ORDER_FENCE)
					innocent[h] = false;
			}
			poll_after(&pod, next_random(&seed) % 32 ? H : 20 * H);
			for (unsigned h = 0; h < 4; h++) {
				if (innocent[h])
					assert_int_equal(state_of(&pod, h), DAXFS_HOST_ALIVE);
				if (state_of(&pod, h) != DAXFS_HOST_FENCED || before[h] == DAXFS_HOST_FENCED)
					continue;
				fenced++;
				assert_int_equal(before[h], DAXFS_HOST_FENCING);
				assert_true(since_beat[h] >= TIMING_FROZEN_POLLS);
			}
		}
		if (run % 50 == 0)
			print_message("run %u: %u fenced, %u moves\n", run, fenced, pod.moves);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_pause_is_not_silence_of_hosts),
		cmocka_unit_test(always_late_decides_nothing),
		cmocka_unit_test(late_poll_restarts_the_proof_too),
		cmocka_unit_test(unreadable_pool_decides_nothing),
		cmocka_unit_test(reports_are_kept_while_unreadable),
		cmocka_unit_test(senseless_word_is_left_alone),
		cmocka_unit_test(mass_silence_waits_a_window),
		cmocka_unit_test(mass_silence_that_ends_costs_nobody),
		cmocka_unit_test(the_only_host_is_not_a_mass),
		cmocka_unit_test(operator_fences_a_live_host),
		cmocka_unit_test(an_order_dies_with_its_tenant),
		cmocka_unit_test(confirm_dead_is_refused_for_the_living),
		cmocka_unit_test(confirm_dead_skips_the_agent),
		cmocka_unit_test(confirm_dead_still_needs_a_frozen_counter),
		cmocka_unit_test(operator_does_not_wait_for_the_next_attempt),
		cmocka_unit_test(backup_takes_over_and_waits_a_window),
		cmocka_unit_test(late_backup_does_not_take_over),
		cmocka_unit_test(stale_primary_steps_down),
		cmocka_unit_test(new_primary_finishes_a_fence),
		cmocka_unit_test(rules_hold_in_any_history),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
