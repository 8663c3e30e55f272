/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_fabricd_decide_table.c - every combination of facts has exactly one row,
 * and what the rows say keeps the rules that no edit of the table may break.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fabricd/decide_table.h"

typedef void (*visit)(const struct decide_facts *f, enum decide_verdict verdict);

static unsigned for_all_facts(visit visit_one)
{
	static const unsigned sizes[8] = { DAXFS_HOST_STATES, BEATS, ORDERS, FENCES, PROOFS, RECOVERERS, TOLLS, HEIRS };
	unsigned total = 1;

	for (unsigned i = 0; i < 8; i++)
		total *= sizes[i];
	for (unsigned n = 0; n < total; n++) {
		unsigned value[8], rest = n;

		for (unsigned i = 0; i < 8; i++) {
			value[i] = rest % sizes[i];
			rest /= sizes[i];
		}
		struct decide_facts f = {
			.state = (enum daxfs_host_state)value[0],
			.beat = (enum decide_beat)value[1],
			.order = (enum decide_order)value[2],
			.fence = (enum decide_fence)value[3],
			.proof = (enum decide_proof)value[4],
			.recoverer = (enum decide_recoverer)value[5],
			.toll = (enum decide_toll)value[6],
			.candidate = (enum decide_heir)value[7],
		};

		visit_one(&f, decide_verdict(&f));
	}
	return total;
}

static void one_row(const struct decide_facts *f, enum decide_verdict verdict)
{
	(void)verdict;
	if (decide_rows(f) != 1)
		print_error("state %u beat %u order %u fence %u proof %u recoverer %u toll %u candidate %u: "
			    "%u rows\n",
			    f->state, f->beat, f->order, f->fence, f->proof, f->recoverer, f->toll, f->candidate,
			    decide_rows(f));
	assert_int_equal(decide_rows(f), 1);
}

static void every_input_has_one_row(void **state)
{
	(void)state;
	assert_int_equal(for_all_facts(one_row), 8 * 5 * 3 * 9 * 3 * 3 * 3 * 2);
}

/* Dead only by proof: FENCED needs a counter that stood still after it. */
static void fenced_needs_proof(const struct decide_facts *f, enum decide_verdict verdict)
{
	if (verdict == VERDICT_FENCED)
		assert_true(f->state == DAXFS_HOST_FENCING && f->fence == FENCE_FROZEN);
	if (f->state == DAXFS_HOST_FENCING && f->fence == FENCE_FROZEN && f->order != ORDER_FENCE &&
	    f->proof != PROOF_OVER)
		assert_int_equal(verdict, VERDICT_FENCED);
	/* What its own machine tells is stronger than any agent, and nothing else makes it so. */
	assert_int_equal(verdict == VERDICT_OVER, f->state == DAXFS_HOST_FENCING && f->proof == PROOF_OVER);
}

/* No agent cuts off the machine that the manager runs on, nor machines that may be booting, unless ordered. */
static void some_are_not_cut_off(const struct decide_facts *f, enum decide_verdict verdict)
{
	if (f->proof != PROOF_NONE || f->fence == FENCE_HELD)
		assert_int_not_equal(verdict, VERDICT_AGENT_OFF);
	if (verdict == VERDICT_OWN_MACHINE)
		assert_true(f->state == DAXFS_HOST_FENCING && f->proof == PROOF_HERE);
	if (f->state == DAXFS_HOST_FENCING && f->fence == FENCE_HELD && f->order == ORDER_FENCE &&
	    f->proof != PROOF_OVER)
		assert_int_equal(verdict, VERDICT_RETRY_NOW);
}

static void beating_hosts_live(const struct decide_facts *f, enum decide_verdict verdict)
{
	bool to_fencing = verdict == VERDICT_LOST || verdict == VERDICT_FENCE_ORDERED || verdict == VERDICT_CONFIRM;

	if (f->beat == BEAT_MOVED && f->order != ORDER_FENCE)
		assert_false(to_fencing || verdict == VERDICT_SUSPECT);
	/* Nor may one die that said that it would be silent; and it is not taken for dead on the operator's word. */
	if (f->beat == BEAT_AWAY && f->state == DAXFS_HOST_ALIVE && f->order != ORDER_FENCE)
		assert_int_equal(verdict, f->order == ORDER_CONFIRM ? VERDICT_REFUSE : VERDICT_NOTHING);
	if (verdict == VERDICT_LOST)
		assert_true(f->beat == BEAT_LOST && f->state != DAXFS_HOST_ALIVE);
	if (verdict == VERDICT_CONFIRM)
		assert_true(f->order == ORDER_CONFIRM && f->beat != BEAT_MOVED);
	if (verdict == VERDICT_FENCE_ORDERED)
		assert_int_equal(f->order, ORDER_FENCE);
}

static void agents_run_for_fencing_only(const struct decide_facts *f, enum decide_verdict verdict)
{
	if (verdict == VERDICT_AGENT_OFF || verdict == VERDICT_AGENT_STATUS)
		assert_true(f->state == DAXFS_HOST_FENCING && f->order == ORDER_NONE);
	if (verdict == VERDICT_AGENT_STATUS)
		assert_int_equal(f->fence, FENCE_OFF_DONE);
	if (verdict == VERDICT_AGENT_OFF)
		assert_int_equal(f->fence, FENCE_IDLE);
}

static void recoveries_move_only_from_the_gone(const struct decide_facts *f, enum decide_verdict verdict)
{
	if (verdict == VERDICT_ASSIGN)
		assert_true(f->state == DAXFS_HOST_FENCED && f->candidate == HEIR_READY);
	if (verdict == VERDICT_REASSIGN)
		assert_true(f->state == DAXFS_HOST_RECOVERING && f->recoverer == RECOVERER_GONE &&
			    f->candidate == HEIR_READY && f->toll == TOLL_LOW);
	/* A death is remembered before the next one is sent. */
	if (f->state == DAXFS_HOST_RECOVERING)
		assert_int_equal(verdict == VERDICT_COUNT, f->recoverer == RECOVERER_DIED);
	if (verdict == VERDICT_RELEASE)
		assert_int_equal(f->state, DAXFS_HOST_RECOVERED);
}

/* No host is stuck: from each state some facts lead on. */
static unsigned leads_on[DAXFS_HOST_STATES];

static void count_leads(const struct decide_facts *f, enum decide_verdict verdict)
{
	leads_on[f->state] |= verdict != VERDICT_NOTHING && verdict != VERDICT_REFUSE;
}

static void rules_hold(void **state)
{
	(void)state;
	for_all_facts(fenced_needs_proof);
	for_all_facts(some_are_not_cut_off);
	for_all_facts(beating_hosts_live);
	for_all_facts(agents_run_for_fencing_only);
	for_all_facts(recoveries_move_only_from_the_gone);
	for_all_facts(count_leads);
	assert_false(leads_on[DAXFS_HOST_FREE]);
	for (unsigned s = DAXFS_HOST_JOINING; s < DAXFS_HOST_STATES; s++)
		assert_true(leads_on[s]);
}

static void nonsense_decides_nothing(void **state)
{
	struct decide_facts f = { .state = (enum daxfs_host_state)15 };

	(void)state;
	assert_int_equal(decide_rows(&f), 0);
	assert_int_equal(decide_verdict(&f), VERDICT_NOTHING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_input_has_one_row),
		cmocka_unit_test(rules_hold),
		cmocka_unit_test(nonsense_decides_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
