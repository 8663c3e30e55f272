/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_member.c - the host word and its table of moves, every pair of states; and
 * what is made of senseless words.
 */
#include "member_fixture.h"

/* -- the table -------------------------------------------------------------------------- */

/* '.' not legal, 'o' legal, '+' legal and ends the generation. Columns are in the order of rows. */
static const char *const table[DAXFS_HOST_STATES] = {
	/*              F J A S f F R R */
	/* FREE */ ". o . . . . . .",
	/* JOINING */ "o . o . o . . .",
	/* ALIVE */ "+ . . o o . . .",
	/* SUSPECT */ ". . o . o . . .",
	/* FENCING */ ". . . . o + . .",
	/* FENCED */ ". o . . . . o .",
	/* RECOVERING */ ". o . . . . o o",
	/* RECOVERED */ "o o . . . . . .",
};

static void try_pair(struct fixture *f, unsigned from, unsigned to)
{
	char legal = table[from][2 * to];
	struct host_word w = in_state(to);
	uint64_t before = host_word_pack(in_state(from));

	w.recoverer = to == DAXFS_HOST_RECOVERING ? 0 : -1;
	set_word(f, 0, in_state(from));
	w.generation = 7 + (legal != '+'); /* the wrong one */
	assert_int_equal(member_move(&f->pool, 0, before, w), -EINVAL);
	assert_int_equal(word(f, 0), before);
	w.generation = 7 + (legal == '+');
	assert_int_equal(member_move(&f->pool, 0, before, w), legal == '.' ? -EINVAL : 0);
	assert_int_equal(word(f, 0), legal == '.' ? before : host_word_pack(w));
}

static void test_every_pair(void **state)
{
	for (unsigned from = 0; from < DAXFS_HOST_STATES; from++) {
		for (unsigned to = 0; to < DAXFS_HOST_STATES; to++) {
			assert_int_equal(member_move_legal(from, to), table[from][2 * to] != '.');
			assert_int_equal(member_move_ends_generation(from, to), table[from][2 * to] == '+');
			try_pair(*state, from, to);
		}
	}
	for (unsigned other = DAXFS_HOST_STATES; other < 40; other++) {
		assert_false(member_move_legal(0, other));
		assert_false(member_move_legal(other, 1));
	}
}

/* A word that is no longer what was seen, in any of its parts. */
static void test_stale_facts(void **state)
{
	struct fixture *f = *state;
	struct host_word w = in_state(DAXFS_HOST_ALIVE), to = in_state(DAXFS_HOST_SUSPECT);
	uint64_t seen = host_word_pack(w);

	w.epoch++;
	set_word(f, 0, w);
	assert_int_equal(member_move(&f->pool, 0, seen, to), -EAGAIN);
	w.epoch--;
	w.generation++;
	set_word(f, 0, w);
	assert_int_equal(member_move(&f->pool, 0, seen, to), -EAGAIN);
	w.generation--;
	w.state = DAXFS_HOST_FENCING;
	set_word(f, 0, w);
	assert_int_equal(member_move(&f->pool, 0, seen, to), -EAGAIN);
	assert_int_equal(word(f, 0), host_word_pack(w));
}

static void test_recoverers(void **state)
{
	struct fixture *f = *state;
	struct host_word fenced = in_state(DAXFS_HOST_FENCED), to = in_state(DAXFS_HOST_RECOVERING);
	uint64_t seen = host_word_pack(fenced);

	set_word(f, 0, fenced);
	to.recoverer = -1;
	assert_int_equal(member_move(&f->pool, 0, seen, to), -EINVAL);
	to.recoverer = 2; /* this pool has hosts 0 and 1 */
	assert_int_equal(member_move(&f->pool, 0, seen, to), -EINVAL);
	to.recoverer = 1;
	assert_int_equal(member_move(&f->pool, 0, seen, to), 0);
	seen = word(f, 0);
	assert_int_equal(member_move(&f->pool, 0, seen, to), -EINVAL); /* not to the same one again */
	to.recoverer = 0;
	assert_int_equal(member_move(&f->pool, 0, seen, to), 0);
	seen = word(f, 0);
	to.state = DAXFS_HOST_RECOVERED; /* and a recoverer nobody took out */
	assert_int_equal(member_move(&f->pool, 0, seen, to), 0);
	assert_int_equal(view(f, 0).recoverer, -1);
}

/* Only a tenant that works is named, and by its generation. */
static void test_recoverer_generation(void **state)
{
	struct fixture *f = *state;
	struct daxfs_host_view v;
	struct host_word candidate;

	for (unsigned st = 0; st < DAXFS_HOST_STATES; st++) {
		bool works = st == DAXFS_HOST_ALIVE || st == DAXFS_HOST_SUSPECT;

		candidate = in_state(st);
		candidate.generation = 0x5120 + st;
		set_word(f, 0, candidate);
		set_word(f, 1, in_state(DAXFS_HOST_FENCED));
		v = view(f, 1);
		assert_int_equal(daxfs_member_move(f->m, &v, DAXFS_HOST_RECOVERING, 0, f->epoch, 0, 0),
				 works ? 0 : -EAGAIN);
		v = view(f, 1);
		assert_int_equal(v.recoverer, works ? 0 : -1);
		assert_int_equal(v.recoverer_generation, works ? 0x120 + st : 0);
	}
	/* The same slot, another tenant: another recoverer. */
	set_word(f, 1, (struct host_word){ 8, DAXFS_HOST_RECOVERING, 0, 0x121, { 0, 0 }, 0 });
	candidate = in_state(DAXFS_HOST_ALIVE);
	candidate.generation = 0x5122;
	set_word(f, 0, candidate);
	v = view(f, 1);
	assert_int_equal(daxfs_member_move(f->m, &v, DAXFS_HOST_RECOVERING, 0, f->epoch, 0, 0), 0);
	assert_int_equal(view(f, 1).recoverer_generation, 0x122);
	v = view(f, 1);
	assert_int_equal(daxfs_member_move(f->m, &v, DAXFS_HOST_RECOVERING, 0, f->epoch, 0, 0), -EINVAL);
}

/* 24 bits of generations, then the slot is refused rather than reused. */
static void test_last_generation(void **state)
{
	struct fixture *f = *state;
	struct host_word w = in_state(DAXFS_HOST_FENCING), to = in_state(DAXFS_HOST_FENCED);

	w.generation = 0xfffffe;
	to.generation = 0xffffff;
	set_word(f, 0, w);
	assert_int_equal(member_move(&f->pool, 0, host_word_pack(w), to), 0);
	assert_int_equal(view(f, 0).generation, 0xffffff);
	w.generation = 0xffffff;
	to.generation = 1;
	set_word(f, 0, w);
	assert_int_equal(member_move(&f->pool, 0, host_word_pack(w), to), -EINVAL);
	to.generation = 0x1000000; /* after the last one comes 0 again */
	assert_int_equal(member_move(&f->pool, 0, host_word_pack(w), to), 0);
	assert_int_equal(view(f, 0).generation, 0);
	assert_int_equal(view(f, 0).state, DAXFS_HOST_FENCED);
}

/* -- the word ------------------------------------------------------------------------------ */

static void test_layout(void **state)
{
	struct host_word w = { 0xabcdef, DAXFS_HOST_RECOVERING, 63, 0x123, { 0, 0 }, 0x4567 }, back;
	struct host_word sits = { 0xabcdef, DAXFS_HOST_JOINING, -1, 0, { 31, 0x123 }, 0x4567 };

	(void)state;
	assert_int_equal(host_word_pack(w), 0xabcdef6401234567ull);
	assert_int_equal(host_word_unpack(0xabcdef6401234567ull, &back), 0);
	assert_int_equal(back.generation, 0xabcdef);
	assert_int_equal(back.state, DAXFS_HOST_RECOVERING);
	assert_int_equal(back.recoverer, 63);
	assert_int_equal(back.recoverer_generation, 0x123);
	assert_int_equal(back.epoch, 0x4567);
	assert_int_equal(host_word_pack(sits), 0xabcdef11f1234567ull);
	assert_int_equal(host_word_unpack(0xabcdef11f1234567ull, &back), 0);
	assert_int_equal(back.seat.place, 31);
	assert_int_equal(back.seat.ticket, 0x123);
	assert_int_equal(back.recoverer, -1);
	assert_int_equal(host_word_unpack(0, &back), 0);
	assert_int_equal(back.state, DAXFS_HOST_FREE);
	assert_int_equal(back.recoverer, -1);
}

/* Every state and every recoverer, with a recoverer_generation or none: sensible ones come back the same. */
static void test_all_words(void **state)
{
	unsigned sensible = 0;

	(void)state;
	for (uint64_t mid = 0; mid < 1 << 13; mid++) {
		uint64_t recoverer_generation = mid >> 12 ? 0xabc : 0;
		uint64_t v = 0x123456ull << 40 | (mid & 0xfff) << 28 | recoverer_generation << 16 | 0xdef0;
		unsigned st = (unsigned)(mid >> 8) & 15, recoverer = mid & 255;
		bool sits = st == DAXFS_HOST_JOINING || st == DAXFS_HOST_FENCING;
		bool ok = st == 6 ? recoverer >= 1 && recoverer <= 64 : st <= 7 && !recoverer && !recoverer_generation;
		struct host_word w = { .epoch = 1 };

		ok |= sits && recoverer >= 1 && recoverer <= DAXFS_LOBBY_PLACES;
		assert_int_equal(host_word_unpack(v, &w), ok ? 0 : -EIO);
		assert_int_equal(ok ? host_word_pack(w) : 1, ok ? v : w.epoch);
		sensible += ok;
	}
	assert_int_equal(sensible, 7 + 2 * 64 + 2 * 2 * DAXFS_LOBBY_PLACES);
}

static void test_senseless(void **state)
{
	struct fixture *f = *state;
	struct daxfs_host_view v = { .id = 77 };
	uint64_t bad = 9ull << 36;

	sm_store(&f->pool.member->host[1].word, bad);
	assert_int_equal(daxfs_member_host(f->m, 1, &v), -EIO);
	assert_int_equal(v.id, 77);
	assert_int_equal(member_move(&f->pool, 1, bad, in_state(DAXFS_HOST_JOINING)), -EIO);
	v = (struct daxfs_host_view){ .id = 1, .word = bad };
	assert_int_equal(daxfs_member_move(f->m, &v, DAXFS_HOST_FENCING, -1, f->epoch, 0, 0), -EIO);
	assert_int_equal(daxfs_member_stamp(f->m, &v, f->epoch), -EIO);
	assert_int_equal(word(f, 1), bad);
}

static void test_no_such_host(void **state)
{
	struct fixture *f = *state;
	struct daxfs_host_view v = view(f, 0);

	assert_int_equal(daxfs_member_host(f->m, 2, &v), -EINVAL);
	v.id = 2;
	assert_int_equal(daxfs_member_move(f->m, &v, DAXFS_HOST_JOINING, -1, f->epoch, 0, 0), -EINVAL);
	assert_int_equal(daxfs_member_stamp(f->m, &v, f->epoch), -EINVAL);
	assert_int_equal(member_move(&f->pool, 2, 0, in_state(DAXFS_HOST_JOINING)), -EINVAL);
	daxfs_member_fence_took(f->m, &v, true, 5);
	assert_int_equal(sm_load(&f->pool.member->host[2].fence_ms), 0);
}

/* -- a host's life as the manager moves it ----------------------------------------------------- */

static void move(struct fixture *f, enum daxfs_host_state to, int recoverer, enum daxfs_reason reason, uint32_t ms)
{
	struct daxfs_host_view v = view(f, 1);

	assert_int_equal(daxfs_member_move(f->m, &v, to, recoverer, f->epoch, reason, ms), 0);
	v = view(f, 1);
	assert_int_equal(v.state, to);
	assert_int_equal(v.recoverer, recoverer);
	assert_int_equal(v.reason, reason);
	assert_int_equal(v.reason_ms, ms);
	assert_int_equal(v.manager_epoch, f->epoch);
}

static void test_death_and_return(void **state)
{
	struct fixture *f = *state;

	set_word(f, 1, (struct host_word){ .generation = 4, .state = DAXFS_HOST_ALIVE, .recoverer = -1 });
	move(f, DAXFS_HOST_SUSPECT, -1, DAXFS_REASON_BEAT_LATE, 120);
	move(f, DAXFS_HOST_ALIVE, -1, DAXFS_REASON_BEAT_RESUMED, 0);
	move(f, DAXFS_HOST_SUSPECT, -1, DAXFS_REASON_BEAT_LATE, 130);
	move(f, DAXFS_HOST_FENCING, -1, DAXFS_REASON_BEAT_LOST, 512);
	move(f, DAXFS_HOST_FENCING, -1, DAXFS_REASON_FENCE_FAILED, 0);
	assert_int_equal(view(f, 1).generation, 4);
	move(f, DAXFS_HOST_FENCED, -1, DAXFS_REASON_OPERATOR_CONFIRM, 0);
	assert_int_equal(view(f, 1).generation, 5);
	set_word(f, 0, in_state(DAXFS_HOST_ALIVE));
	move(f, DAXFS_HOST_RECOVERING, 0, DAXFS_REASON_NONE, 0);
	set_word(f, 0, (struct host_word){ .generation = 8, .state = DAXFS_HOST_ALIVE, .recoverer = -1 });
	move(f, DAXFS_HOST_RECOVERING, 0, DAXFS_REASON_RECOVERER_DIED, 0);
	move(f, DAXFS_HOST_RECOVERED, -1, DAXFS_REASON_RECOVERY_DONE, 0);
	move(f, DAXFS_HOST_FREE, -1, DAXFS_REASON_NONE, 0);
	assert_int_equal(view(f, 1).generation, 5);
}

/* A failed move leaves the reason of the last that happened. */
static void test_reason_only_with_a_move(void **state)
{
	struct fixture *f = *state;
	struct daxfs_host_view v;

	set_word(f, 1, in_state(DAXFS_HOST_ALIVE));
	v = view(f, 1);
	move(f, DAXFS_HOST_SUSPECT, -1, DAXFS_REASON_BEAT_LATE, 9);
	assert_int_equal(daxfs_member_move(f->m, &v, DAXFS_HOST_FENCING, -1, f->epoch, DAXFS_REASON_BEAT_LOST, 10),
			 -EAGAIN);
	v = view(f, 1);
	assert_int_equal(daxfs_member_move(f->m, &v, DAXFS_HOST_FENCED, -1, f->epoch, DAXFS_REASON_BEAT_LOST, 10),
			 -EINVAL);
	assert_int_equal(view(f, 1).reason, DAXFS_REASON_BEAT_LATE);
	assert_int_equal(view(f, 1).reason_ms, 9);
}

static void test_view(void **state)
{
	struct fixture *f = *state;
	struct sm_host *h = &f->pool.member->host[1];
	sm_u64 *figures[] = { &h->beat,        &h->tenancy,   &h->process,  &h->lanes,    &h->records,
			      &h->owned,       &h->pins,      &h->rec_ns,   &h->rec_done, &h->rec_undone,
			      &h->rec_objects, &h->rec_opens, &h->rec_files };
	struct daxfs_host_view v;

	for (unsigned i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
		sm_store(figures[i], 100 + i);
	memcpy(h->name, "host\001 \033[31mone", 15);
	memset(&h->name[3], 'z', 8); /* no end */
	sm_store(&h->reason, 1ull << 32 | 500);
	daxfs_member_fence_took(f->m, &(struct daxfs_host_view){ .id = 1, .generation = 3 }, true, 18);
	v = view(f, 1);
	assert_int_equal(v.id, 1);
	assert_int_equal(v.beat, 100);
	assert_int_equal(v.tenancy, 101);
	assert_int_equal(v.pid, 102);
	assert_int_equal(v.lanes, 103);
	assert_int_equal(v.records, 104);
	assert_int_equal(v.owned, 105);
	assert_int_equal(v.pins, 106);
	assert_int_equal(v.last.host, 1);
	assert_int_equal(v.last.ns, 107);
	assert_int_equal(v.last.finished, 108);
	assert_int_equal(v.last.rolled_back, 109);
	assert_int_equal(v.last.objects, 110);
	assert_int_equal(v.last.opens, 111);
	assert_int_equal(v.last.files, 112);
	assert_int_equal(v.fence_ms, 18);
	assert_int_equal(sm_load(&h->fence_ms) >> 40, 4); /* cut off since that generation */
	assert_int_equal(v.reason, DAXFS_REASON_NONE);    /* not one we know */
	assert_string_equal(v.name, "host? ?[31mone");
	memset(h->name, 'z', 32);
	assert_string_equal(view(f, 1).name, "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz");
}

/* -- the rest --------------------------------------------------------------------------------------- */

static void test_read_only(void **state)
{
	struct fixture *f = *state;
	struct daxfs_manager_view manager;
	struct daxfs_host_view v;
	struct daxfs_member *m;
	struct daxfs_error err;
	uint32_t epoch;

	assert_int_equal(daxfs_member_open(f->file.path, false, &m, &err), 0);
	daxfs_member_manager(m, &manager);
	assert_int_equal(daxfs_member_host(m, 0, &v), 0);
	assert_int_equal(daxfs_member_claim(m, &manager, &epoch), -EROFS);
	assert_int_equal(daxfs_member_manager_beat(m, f->epoch), -EROFS);
	assert_int_equal(daxfs_member_stamp(m, &v, f->epoch), -EROFS);
	assert_int_equal(daxfs_member_move(m, &v, DAXFS_HOST_JOINING, -1, f->epoch, 0, 0), -EROFS);
	daxfs_member_fence_took(m, &v, true, 1); /* nothing, and no fault */
	daxfs_member_close(m);
	daxfs_member_close(NULL);
}

static void test_open(void **state)
{
	struct fixture *f = *state;
	struct daxfs_member *m = (void *)f;
	struct daxfs_geometry g;
	struct daxfs_error err = { .text = "" };

	util_refused(daxfs_member_open("/dev/null", true, &m, &err), -ENODEV, &err, "device-DAX");
	assert_ptr_equal(m, f);
	daxfs_member_geometry(f->m, &g);
	assert_int_equal(g.hosts, 2);
	assert_string_equal(g.name, "unit");
}

static void test_state_names(void **state)
{
	(void)state;
	assert_string_equal(daxfs_host_state_name(DAXFS_HOST_FREE), "FREE");
	assert_string_equal(daxfs_host_state_name(DAXFS_HOST_JOINING), "JOINING");
	assert_string_equal(daxfs_host_state_name(DAXFS_HOST_ALIVE), "ALIVE");
	assert_string_equal(daxfs_host_state_name(DAXFS_HOST_SUSPECT), "SUSPECT");
	assert_string_equal(daxfs_host_state_name(DAXFS_HOST_FENCING), "FENCING");
	assert_string_equal(daxfs_host_state_name(DAXFS_HOST_FENCED), "FENCED");
	assert_string_equal(daxfs_host_state_name(DAXFS_HOST_RECOVERING), "RECOVERING");
	assert_string_equal(daxfs_host_state_name(DAXFS_HOST_RECOVERED), "RECOVERED");
	assert_string_equal(daxfs_host_state_name(DAXFS_HOST_STATES), "?");
	assert_string_equal(daxfs_host_state_name((enum daxfs_host_state) - 1), "?");
}

static void test_reasons(void **state)
{
	static const char *const texts[DAXFS_REASONS + 1] = {
		"-",
		"joined",
		"left",
		"heartbeat late 512 ms",
		"heartbeat resumed",
		"heartbeat lost 512 ms",
		"fenced by operator",
		"confirmed dead by operator",
		"fence agent failed, retrying",
		"still beating after fence",
		"recoverer died",
		"recovered",
		"joined a slot that was not empty",
		"rebooted",
		"process ended",
		"on the manager's machine: for another manager to cut off",
		"unknown reason 16",
	};
	char buf[96], small[6];

	(void)state;
	for (unsigned r = 0; r <= DAXFS_REASONS; r++) {
		assert_ptr_equal(daxfs_reason_text((enum daxfs_reason)r, 512, buf, sizeof(buf)), buf);
		assert_string_equal(buf, texts[r]);
	}
	assert_string_equal(daxfs_reason_text(DAXFS_REASON_BEAT_LOST, UINT32_MAX, small, sizeof(small)), "heart");
}

/* A new manager's stamp spoils no move of the host's own; any other change does. */
static void test_own_moves_survive_a_stamp(void **state)
{
	struct fixture *f = *state;
	struct host_word to = in_state(DAXFS_HOST_ALIVE), other;
	uint64_t seen;

	set_word(f, 1, in_state(DAXFS_HOST_JOINING));
	seen = word(f, 1);
	other = in_state(DAXFS_HOST_JOINING);
	other.epoch = 4;
	set_word(f, 1, other);
	assert_int_equal(member_move(&f->pool, 1, seen, to), -EAGAIN);
	assert_int_equal(member_move_own(&f->pool, 1, seen, to), 0);
	to.epoch = 4;
	assert_int_equal(word(f, 1), host_word_pack(to)); /* of the new manager */
	set_word(f, 1, in_state(DAXFS_HOST_FENCING));
	assert_int_equal(member_move_own(&f->pool, 1, seen, to), -EAGAIN);
	other.generation++;
	set_word(f, 1, other);
	assert_int_equal(member_move_own(&f->pool, 1, seen, to), -EAGAIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_POOL(test_every_pair),
		WITH_POOL(test_stale_facts),
		WITH_POOL(test_recoverers),
		WITH_POOL(test_recoverer_generation),
		WITH_POOL(test_last_generation),
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_all_words),
		WITH_POOL(test_senseless),
		WITH_POOL(test_no_such_host),
		WITH_POOL(test_death_and_return),
		WITH_POOL(test_reason_only_with_a_move),
		WITH_POOL(test_view),
		WITH_POOL(test_read_only),
		WITH_POOL(test_open),
		cmocka_unit_test(test_state_names),
		cmocka_unit_test(test_reasons),
		WITH_POOL(test_own_moves_survive_a_stamp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
