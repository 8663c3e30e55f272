/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_rseq.c - stores that are made only while the host lives (mem/rseq.h): what they store, and when they do not.
 *
 * A signal plays the pause in which the host is declared dead: it comes at any instruction, in the middle of
 * sequences, too. tests/chaos/zombie.c asks the same of whole processes.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>

#include <cmocka.h>

#include "mem/guard.h"

#define MASK 0xff00ull
#define LIVE 0x1200ull
#define DEAD 0x1300ull
#define BYTES 70000u /* several pieces of a copy */
#define PAUSES 2000u
#define PAUSE_US 200

static sm_u64 word; /* of the host */
static struct shm shm;
static uint8_t memory[BYTES + 128], source[BYTES + 128], wanted[BYTES + 128];

static void begin(void)
{
	sm_store(&word, LIVE | 0x34); /* what the mask leaves out may be anything */
	if (!shm_life_begin(&shm.life, &word, MASK, LIVE))
		skip();
	for (size_t i = 0; i < sizeof(source); i++)
		source[i] = (uint8_t)(i * 7 + i / 256);
}

/* -- copies ---------------------------------------------------------------------- */

struct copy {
	size_t to, from, len;
};

static int copy_each_way(void *arg)
{
	const struct copy *c = arg;

	sm_write(memory + c->to, source + c->from, c->len);
	memcpy(wanted + c->to, source + c->from, c->len);
	if (memcmp(memory, wanted, sizeof(memory)))
		return 1;
	sm_zero(memory + c->to, c->len);
	memset(wanted + c->to, 0, c->len);
	if (memcmp(memory, wanted, sizeof(memory)))
		return 2;
	sm_write_stream(memory + c->to, source + c->from, c->len);
	sm_stream_end();
	memcpy(wanted + c->to, source + c->from, c->len);
	return memcmp(memory, wanted, sizeof(memory)) ? 3 : 0;
}

/* Any length, from any place to any: those bytes, and no others. */
static void copies_are_right(void **state)
{
	static const size_t lens[] = { 0,   1,   7,    8,    9,     63,    64,    65,    100,  255,
				       256, 257, 4095, 4096, 16384, 16385, 40000, 65536, BYTES };
	struct shm_guard guard = shm_guard_of(&shm);

	(void)state;
	begin();
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++)
		for (size_t at = 0; at < 64; at += 5) {
			struct copy c = { .to = at, .from = (at * 3) % 64, .len = lens[i] };

			assert_int_equal(shm_guard_run(&guard, copy_each_way, &c), 0);
		}
}

/* -- words ------------------------------------------------------------------------- */

static int change_words(void *arg)
{
	sm_u64 *p = arg;
	sm_u8 *byte = (sm_u8 *)(void *)(p + 1);
	uint64_t seen = 6;

	sm_store(p, 5);
	if (sm_cas_value(p, &seen, 7) || seen != 5 || !sm_cas(p, 5, 8) || sm_load(p) != 8)
		return 1;
	sm_store_relaxed(p, 9);
	sm_store_byte(byte, 3);
	return sm_load(p) == 9 && sm_peek_byte(byte) == 3 && sm_peek_byte(byte + 1) == 0 ? 0 : 2;
}

static void words_are_right(void **state)
{
	sm_u64 words[2] = { 0 };
	struct shm_guard guard = shm_guard_of(&shm);

	(void)state;
	begin();
	assert_int_equal(shm_guard_run(&guard, change_words, words), 0);
}

/* -- of the dead --------------------------------------------------------------------- */

static int store(void *arg)
{
	sm_store(arg, 1);
	return 0;
}

static int store_byte(void *arg)
{
	sm_store_byte(arg, 1);
	return 0;
}

static int swap(void *arg)
{
	return !sm_cas(arg, 0, 1);
}

static int write_some(void *arg)
{
	sm_write(arg, source + 1, 100);
	return 0;
}

static int write_much(void *arg)
{
	sm_write(arg, source + 1, BYTES);
	return 0;
}

static int stream(void *arg)
{
	sm_write_stream(arg, source + 1, BYTES);
	return 0;
}

static int zero(void *arg)
{
	sm_zero(arg, BYTES);
	return 0;
}

static int (*const each[])(void *arg) = { store, store_byte, swap, write_some, write_much, stream, zero };

/* Each way to store ends its call in -ESTALE, and changes nothing. */
static void the_dead_store_nothing(void **state)
{
	struct shm_guard guard = shm_guard_of(&shm);

	(void)state;
	begin();
	for (size_t i = 0; i < sizeof(each) / sizeof(each[0]); i++) {
		memset(memory, 0, sizeof(memory));
		memset(memory + 8, 0xee, BYTES);
		memcpy(wanted, memory, sizeof(memory));
		sm_store(&word, DEAD);
		assert_int_equal(shm_guard_run(&guard, each[i], memory), -ESTALE);
		assert_false(guard.hit);
		assert_memory_equal(memory, wanted, sizeof(memory));
		sm_store(&word, LIVE);
		assert_int_equal(shm_guard_run(&guard, each[i], memory), 0);
		assert_true(each[i] == zero || memcmp(memory, wanted, sizeof(memory)));
	}
}

static int call_inner(void *arg)
{
	struct shm plain = { .base = NULL };
	struct shm_guard inner = shm_guard_of(&plain);
	int rc = shm_guard_run(&inner, store, arg); /* asks nothing */

	sm_store(arg, 2); /* asks again */
	return rc;
}

/* What is asked is a matter of the guard that is innermost; outside of guards, and after the end, it is nothing. */
static void guards_ask(void **state)
{
	struct shm_guard guard = shm_guard_of(&shm);
	sm_u64 target = { 0 };

	(void)state;
	begin();
	sm_store(&word, DEAD);
	sm_store(&target, 7);
	assert_int_equal(sm_load(&target), 7);
	assert_int_equal(shm_guard_run(&guard, call_inner, &target), -ESTALE);
	assert_int_equal(sm_load(&target), 1);
	shm_life_end(&shm.life);
	assert_int_equal(shm_guard_run(&guard, call_inner, &target), 0);
	assert_int_equal(sm_load(&target), 2);
}

/* Nothing is stored either while nobody can read whether the host lives; that is not taken for its death. */
static void a_word_that_fails(void **state)
{
	FILE *empty = tmpfile();
	void *lost = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(empty), 0);
	struct shm all = { .base = lost, .size = 4096 };
	struct shm_guard guard = shm_guard_of(&all);
	sm_u64 target = { 0 };

	(void)state;
	begin();
	shm_guard_install();
	shm_life_begin(&all.life, lost, MASK, LIVE);
	assert_int_equal(shm_guard_run(&guard, store, &target), -EIO);
	assert_true(guard.hit);
	assert_int_equal(guard.offset, 0);
	assert_int_equal(sm_load(&target), 0);
	munmap(lost, 4096);
	fclose(empty);
}

/* -- a pause ------------------------------------------------------------------------- */

static sm_u64 counter, swapped;
static uint8_t block[8192];
static uint64_t found[2];
static uint8_t found_block[sizeof(block)];

/* Declared dead; what is there now must be what stays. */
static void pause_and_die(int number)
{
	(void)number;
	word = (sm_u64){ DEAD };
	found[0] = sm_load(&counter);
	found[1] = sm_load(&swapped);
	memcpy(found_block, block, sizeof(block));
}

static int store_for_ever(void *arg)
{
	const struct itimerval soon = { .it_value.tv_usec = PAUSE_US };

	(void)arg;
	setitimer(ITIMER_REAL, &soon, NULL);
	for (uint64_t i = 1; i; i++) {
		for (unsigned k = 0; k < 50; k++)
			sm_store(&counter, i * 64 + k);
		sm_cas(&swapped, i - 1, i);
		memset(source, (int)i, sizeof(block));
		sm_write(block, source, i % 2 ? sizeof(block) : 200);
		sm_write_stream(block, source, sizeof(block));
	}
	return 0;
}

static void nothing_is_stored_after_a_pause(void **state)
{
	const struct sigaction action = { .sa_handler = pause_and_die };
	struct shm_guard guard = shm_guard_of(&shm);

	(void)state;
	begin();
	sigaction(SIGALRM, &action, NULL);
	for (unsigned i = 0; i < PAUSES; i++) {
		sm_store(&word, LIVE);
		sm_store(&swapped, 0);
		assert_int_equal(shm_guard_run(&guard, store_for_ever, NULL), -ESTALE);
		assert_int_equal(sm_load(&counter), found[0]);
		assert_int_equal(sm_load(&swapped), found[1]);
		assert_memory_equal(block, found_block, sizeof(block));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copies_are_right),       cmocka_unit_test(words_are_right),
		cmocka_unit_test(the_dead_store_nothing), cmocka_unit_test(guards_ask),
		cmocka_unit_test(a_word_that_fails),      cmocka_unit_test(nothing_is_stored_after_a_pause),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
