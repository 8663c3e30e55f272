/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_fabricd_decide_own.c - what the manager knows by itself: hosts of its own machine, of
 * former boots; and a pod that lost power as a whole.
 */
#include "fabricd_pod.h"

#define HOLD 100u

/* Host 1 dies; kin: what it is to the manager's machine. Polls until it is judged, and the proof is looked at. */
static void dies(struct pod *pod, enum daxfs_kin kin)
{
	start(pod, 3, 3);
	pod->in.kin[1] = kin;
	pod->beats[1] = false;
	polls(pod, TIMING_FENCING_POLLS);
	assert_int_equal(state_of(pod, 1), DAXFS_HOST_FENCING);
	polls(pod, TIMING_FROZEN_POLLS + 2);
}

static void what_is_over_needs_no_agent(void **state)
{
	const enum daxfs_kin over[] = { DAXFS_KIN_REBOOTED, DAXFS_KIN_ENDED };
	const enum daxfs_reason reasons[] = { DAXFS_REASON_REBOOTED, DAXFS_REASON_ENDED };
	struct pod pod;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		dies(&pod, over[i]);
		assert_true(state_of(&pod, 1) > DAXFS_HOST_FENCING);
		assert_int_equal(pod.in.view[1].generation, 2);
		assert_int_equal(pod.offs[1] + pod.statuses[1], 0);
		assert_int_equal(pod.in.view[1].reason, reasons[i]);
		assert_int_equal(pod.off[1], over[i] == DAXFS_KIN_REBOOTED);
	}
}

/* The host moves its word itself: a new process of its machine has proved the old one over. */
static void proves_itself(struct pod *pod, unsigned host)
{
	host_is(pod, host, DAXFS_HOST_FENCED);
	pod->in.view[host].generation++;
	pod->in.view[host].reason = DAXFS_REASON_ENDED;
}

/* An agent is at it, and would switch off a machine that is back: stopped, and undone, once. */
static void an_agent_is_overtaken(void **state)
{
	struct pod pod;

	(void)state;
	agent_is_deaf(&pod, 2);
	proves_itself(&pod, 1);
	polls(&pod, 20);
	assert_int_equal(pod.overs[1], 1);
	assert_int_equal(pod.overs[0] + pod.overs[2], 0);
	assert_int_equal(pod.offs[1], 1);
	/* By a proof that the manager has seen itself. */
	agent_is_deaf(&pod, 2);
	pod.in.kin[1] = DAXFS_KIN_ENDED;
	polls(&pod, 20);
	assert_int_equal(pod.overs[1], 1);
}

/* The agent has switched it off; before the poll that would say so, the word was moved. */
static void an_agent_that_was_done_is_overtaken(void **state)
{
	struct pod pod;

	(void)state;
	start(&pod, 3, 3);
	pod.beats[1] = false;
	polls(&pod, TIMING_FENCING_POLLS);
	while (!pod.offs[1])
		polls(&pod, 1);
	proves_itself(&pod, 1);
	polls(&pod, 20);
	assert_int_equal(pod.overs[1], 1);
}

/* One that cut it off is not, nor one whose host the operator took for dead. */
static void an_agent_that_was_first_is_not_overtaken(void **state)
{
	struct pod pod;

	(void)state;
	start(&pod, 3, 3);
	pod.beats[1] = false;
	polls(&pod, TIMING_FENCING_POLLS + TIMING_FROZEN_POLLS + 20);
	assert_true(state_of(&pod, 1) != DAXFS_HOST_FENCING);
	assert_int_equal(pod.offs[1], 1);
	assert_int_equal(pod.overs[1], 0);
	agent_is_deaf(&pod, 2);
	pod.in.order[1] = ORDER_CONFIRM;
	polls(&pod, TIMING_FROZEN_POLLS + 20);
	assert_true(state_of(&pod, 1) != DAXFS_HOST_FENCING);
	assert_int_equal(pod.stops[1], 1);
	assert_int_equal(pod.overs[1], 0);
}

/* Its counter moves: another machine has this one's id. To cut off or to declare dead would hit the wrong one. */
static void no_proof_of_one_that_beats(void **state)
{
	struct pod pod;

	(void)state;
	start(&pod, 3, 3);
	pod.in.kin[1] = DAXFS_KIN_REBOOTED;
	pod.in.order[1] = ORDER_FENCE;
	polls(&pod, 40);
	assert_int_equal(state_of(&pod, 1), DAXFS_HOST_FENCING);
	assert_int_equal(pod.offs[1], 0);
	pod.beats[1] = false;
	polls(&pod, TIMING_FROZEN_POLLS + 2);
	assert_true(state_of(&pod, 1) > DAXFS_HOST_FENCING);
}

/* The agent of the tenant that the manager's own machine has is not run; a proof that comes later is enough. */
static void own_machine_is_not_cut_off(void **state)
{
	struct pod pod;

	(void)state;
	dies(&pod, DAXFS_KIN_HERE);
	polls(&pod, 400);
	assert_int_equal(state_of(&pod, 1), DAXFS_HOST_FENCING);
	assert_int_equal(pod.in.view[1].reason, DAXFS_REASON_OWN_MACHINE);
	assert_int_equal(pod.offs[1], 0);
	assert_int_equal(pod.yields, 0); /* to whom? */
	pod.in.kin[1] = DAXFS_KIN_ENDED;
	polls(&pod, 2);
	assert_true(state_of(&pod, 1) > DAXFS_HOST_FENCING);
	assert_int_equal(pod.in.view[1].reason, DAXFS_REASON_ENDED);
}

static void polls_with_peer(struct pod *pod, unsigned n)
{
	while (n--) {
		pod->in.manager.standby++;
		poll_after(pod, H);
	}
}

/* A backup on another machine is given the time to become primary; and only one that is there. */
static void the_peer_cuts_it_off(void **state)
{
	struct pod pod;
	uint64_t beats;

	(void)state;
	start(&pod, 3, 3);
	pod.in.peer = true;
	pod.in.kin[1] = DAXFS_KIN_HERE;
	pod.beats[1] = false;
	polls_with_peer(&pod, TIMING_FENCING_POLLS + 4);
	assert_int_equal(pod.yields, 1);
	assert_int_equal(pod.d.role, DECIDE_BACKUP);
	beats = pod.in.manager.beat;
	polls_with_peer(&pod, TIMING_MANAGER_POLLS + 2);
	assert_int_equal(pod.in.manager.beat, beats);
	assert_int_equal(pod.claims, 1);
	pod.in.manager.epoch++; /* it claims; this one is a backup like any other */
	pod.in.manager.pid = 2;
	for (unsigned i = 0; i < 100; i++) {
		pod.in.manager.beat++;
		poll_after(&pod, H);
	}
	assert_int_equal(pod.claims, 1);
	polls(&pod, TIMING_MANAGER_POLLS + 1);
	assert_int_equal(pod.claims, 2);
}

static void nobody_takes_over(void **state)
{
	struct pod pod;

	(void)state;
	start(&pod, 3, 3);
	pod.in.peer = true;
	pod.in.kin[1] = DAXFS_KIN_HERE;
	pod.beats[1] = false;
	polls_with_peer(&pod, TIMING_FENCING_POLLS + 4);
	assert_int_equal(pod.yields, 1);
	polls(&pod, TIMING_YIELD_POLLS + 2);
	assert_int_equal(pod.d.role, DECIDE_PRIMARY);
	polls(&pod, 400);
	assert_int_equal(pod.yields, 1);
	pod.in.manager.standby++;
	pod.in.peer = false; /* on this very machine: no help */
	polls_with_peer(&pod, 400);
	assert_int_equal(pod.yields, 1);
	assert_int_equal(pod.offs[1], 0);
}

/* -- the whole pod is silent ------------------------------------------------------ */

/* A manager comes up and finds three hosts that do not beat. */
static void find_dead(struct pod *pod, unsigned hold)
{
	memset(pod, 0, sizeof(*pod));
	decide_init(&pod->d, 3, H);
	pod->d.hold_polls = hold;
	pod->in.readable = true;
	pod->in.now_ms = 1000000;
	for (unsigned i = 0; i < 3; i++) {
		pod->in.view[i] = (struct daxfs_host_view){ .id = i, .generation = 1, .recoverer = -1 };
		pod->in.sensible[i] = true;
		host_is(pod, i, DAXFS_HOST_ALIVE);
		pod->beats[i] = false;
	}
	pod->in.kin[0] = DAXFS_KIN_REBOOTED; /* this machine's own */
	polls(pod, 40);
}

static void power_failure_of_all(void **state)
{
	struct pod pod;

	(void)state;
	find_dead(&pod, HOLD);
	assert_int_equal(state_of(&pod, 0), DAXFS_HOST_FENCED); /* nobody is there to recover it */
	assert_int_equal(state_of(&pod, 1), DAXFS_HOST_FENCING);
	assert_int_equal(state_of(&pod, 2), DAXFS_HOST_FENCING);
	/* Host 0 joins again, from the spare slot or its own, and beats: the others are still left alone. */
	pod.in.view[0].generation = 2;
	host_is(&pod, 0, DAXFS_HOST_ALIVE);
	polls(&pod, 20);
	/* Host 1 has booted, and says so itself. */
	pod.in.view[1].generation = 2;
	host_is(&pod, 1, DAXFS_HOST_FENCED);
	polls(&pod, 4);
	assert_int_equal(state_of(&pod, 1), DAXFS_HOST_RECOVERING);
	assert_int_equal(pod.offs[1] + pod.offs[2], 0);
	/* Host 2 never comes: in the end it is cut off. */
	polls(&pod, HOLD);
	assert_int_equal(pod.offs[2], 1);
	polls(&pod, TIMING_FROZEN_POLLS + 6);
	assert_true(state_of(&pod, 2) > DAXFS_HOST_FENCING);
}

static void the_operator_need_not_wait(void **state)
{
	struct pod pod;

	(void)state;
	find_dead(&pod, HOLD);
	pod.in.order[1] = ORDER_FENCE;
	pod.in.order[2] = ORDER_CONFIRM;
	polls(&pod, 20);
	assert_int_equal(pod.offs[1], 1);
	assert_int_equal(pod.offs[2], 0);
	assert_int_equal(state_of(&pod, 1), DAXFS_HOST_FENCED);
	assert_int_equal(state_of(&pod, 2), DAXFS_HOST_FENCED);
}

static void without_a_wait_all_are_cut_off(void **state)
{
	struct pod pod;

	(void)state;
	find_dead(&pod, 0);
	assert_true(pod.offs[1] == 1 && pod.offs[2] == 1);
}

/* One host of several, or the last one that was there and was seen alive, is cut off at once. */
static void single_deaths_are_not_held(void **state)
{
	struct pod pod;

	(void)state;
	start(&pod, 3, 3);
	pod.d.hold_polls = HOLD;
	pod.beats[2] = false;
	polls(&pod, 20);
	assert_int_equal(pod.offs[2], 1);
	start(&pod, 3, 1);
	pod.d.hold_polls = HOLD;
	pod.beats[0] = false;
	polls(&pod, 20);
	assert_int_equal(pod.offs[0], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_over_needs_no_agent),
		cmocka_unit_test(no_proof_of_one_that_beats),
		cmocka_unit_test(own_machine_is_not_cut_off),
		cmocka_unit_test(the_peer_cuts_it_off),
		cmocka_unit_test(nobody_takes_over),
		cmocka_unit_test(power_failure_of_all),
		cmocka_unit_test(the_operator_need_not_wait),
		cmocka_unit_test(without_a_wait_all_are_cut_off),
		cmocka_unit_test(single_deaths_are_not_held),
		cmocka_unit_test(an_agent_is_overtaken),
		cmocka_unit_test(an_agent_that_was_done_is_overtaken),
		cmocka_unit_test(an_agent_that_was_first_is_not_overtaken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
