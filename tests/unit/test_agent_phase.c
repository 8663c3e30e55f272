/* SPDX-License-Identifier: Apache-2.0 */
/* test_agent_phase.c - which steps the life of an agent makes (node-agent/phase.h). */
#include "node-agent/phase.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ROUNDS 200

/* Rows: from; columns: to. */
static const char *const table[AGENT_PHASES] = {
	[AGENT_STARTING] = ".xx.....", [AGENT_WAITING] = "..x.....",    [AGENT_JOINED] = "...x....",
	[AGENT_BEATING] = "....x...",  [AGENT_RECOVERING] = ".....x..", [AGENT_MOUNTING] = "....x.xx",
	[AGENT_SERVING] = ".......x",  [AGENT_ENDED] = "........",
};

static void test_every_step(void **state)
{
	(void)state;
	for (unsigned from = 0; from < AGENT_PHASES; from++)
		for (unsigned to = 0; to < AGENT_PHASES; to++) {
			bool made = table[from][to] == 'x';
			agent_phase_word word = (enum agent_phase)from;

			assert_int_equal(agent_phase_move(&word, (enum agent_phase)to), made);
			assert_int_equal(atomic_load(&word), made ? to : from);
		}
}

struct race {
	agent_phase_word word;
	bool served;
};

static void *serve(void *arg)
{
	struct race *r = arg;

	r->served = agent_phase_move(&r->word, AGENT_SERVING);
	return NULL;
}

/* The kernel shakes hands while somebody unmounts: whichever is first, the mount has ended. */
static void test_ended_at_once(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct race r = { .word = AGENT_MOUNTING };
		pthread_t thread;

		assert_int_equal(pthread_create(&thread, NULL, serve, &r), 0);
		assert_true(agent_phase_move(&r.word, AGENT_ENDED));
		assert_int_equal(pthread_join(thread, NULL), 0);
		assert_int_equal(atomic_load(&r.word), AGENT_ENDED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_step),
		cmocka_unit_test(test_ended_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
