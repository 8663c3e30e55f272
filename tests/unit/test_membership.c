/* SPDX-License-Identifier: Apache-2.0 */
/* test_membership.c - becoming and ceasing to be a host; beats and progress (fs/membership.c). */
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "hang.h"
#include "rig.h"

struct fixture {
	struct pod pod;
	struct pool *pool;
	struct daxfs *fs; /* of nobody yet */
	struct daxfs_error err;
};

/* Host 0 has left, so slot 0 is free. */
static void fixture_start(struct fixture *s)
{
	alarm(HANG_S);
	pod_start(&s->pod, 4 << 20);
	s->pool = rig_pool(&s->pod);
	assert_int_equal(daxfs_leave(s->pod.fs[0]), 0);
	assert_int_equal(fs_attach(s->pod.base, s->pod.size, &s->fs, &s->err), 0);
}

static void fixture_stop(struct fixture *s)
{
	daxfs_close(s->fs);
	pod_stop(&s->pod);
}

static struct host_word word_of(struct fixture *s, unsigned host)
{
	struct host_word w;

	assert_int_equal(host_word_unpack(sm_load(&s->pool->member->host[host].word), &w), 0);
	return w;
}

static void set_state(struct fixture *s, unsigned host, enum daxfs_host_state state)
{
	struct host_word w = word_of(s, host);

	w.state = state;
	w.recoverer = state == DAXFS_HOST_RECOVERING ? 1 : -1;
	sm_store(&s->pool->member->host[host].word, host_word_pack(w));
}

static void joined(void **state)
{
	struct fixture s;
	struct sm_host *host;
	uint64_t tenancy;
	char name[32];

	(void)state;
	fixture_start(&s);
	host = &s.pool->member->host[0];
	tenancy = sm_load(&host->tenancy);
	assert_int_equal(daxfs_join(s.fs, 0, "a name of more than thirty-one characters", &s.err), -ENAMETOOLONG);
	assert_int_equal(word_of(&s, 0).state, DAXFS_HOST_FREE);
	assert_int_equal(daxfs_join(s.fs, 0, "a name of just thirty-one bytes", &s.err), 0);
	assert_int_equal(word_of(&s, 0).state, DAXFS_HOST_ALIVE);
	memcpy(name, host->name, sizeof(name));
	assert_string_equal(name, "a name of just thirty-one bytes");
	assert_int_equal(sm_load(&host->process), getpid());
	assert_int_not_equal(sm_load(&host->tenancy), tenancy); /* another tenant */
	assert_int_equal((uint32_t)sm_load(&host->reason), DAXFS_REASON_JOINED);
	assert_int_equal(daxfs_join(s.fs, 0, "x", &s.err), -EALREADY);
	assert_int_equal(daxfs_leave(s.fs), 0);
	assert_int_equal(daxfs_join(s.fs, 0, NULL, &s.err), 0); /* a name is not needed */
	assert_int_equal(sm_load(&host->name[0]), 0);
	fixture_stop(&s);
}

static void wrong_hosts(void **state)
{
	const unsigned wrong[] = { POD_HOSTS, POD_HOSTS + 1, DAXFS_HOSTS_MAX, UINT32_MAX };
	struct fixture s;
	uint64_t before[DAXFS_HOSTS_MAX];

	(void)state;
	fixture_start(&s);
	for (unsigned i = 0; i < DAXFS_HOSTS_MAX; i++)
		before[i] = sm_load(&s.pool->member->host[i].word);
	for (unsigned i = 0; i < 4; i++) {
		s.err.text[0] = '\0';
		assert_int_equal(daxfs_join(s.fs, wrong[i], "x", &s.err), -EINVAL);
		assert_non_null(strstr(s.err.text, "0 to 2")); /* says what would be right */
	}
	for (unsigned i = 0; i < DAXFS_HOSTS_MAX; i++)
		assert_int_equal(sm_load(&s.pool->member->host[i].word), before[i]);
	fixture_stop(&s);
}

/* A slot is free in FREE and in RECOVERED and in no other state. */
static void busy_slots(void **state)
{
	struct fixture s;
	uint64_t was;

	(void)state;
	fixture_start(&s);
	was = sm_load(&s.pool->member->host[0].word);
	for (unsigned st = 0; st < DAXFS_HOST_STATES; st++) {
		bool ok = st == DAXFS_HOST_FREE || st == DAXFS_HOST_RECOVERED;
		uint64_t word;

		set_state(&s, 0, (enum daxfs_host_state)st);
		word = sm_load(&s.pool->member->host[0].word);
		s.err.text[0] = '\0';
		assert_int_equal(daxfs_join(s.fs, 0, "x", &s.err), ok ? 0 : -EBUSY);
		if (ok) {
			assert_int_equal(daxfs_leave(s.fs), 0);
		} else {
			assert_non_null(strstr(s.err.text, daxfs_host_state_name((enum daxfs_host_state)st)));
			assert_int_equal(sm_load(&s.pool->member->host[0].word), word); /* untouched */
		}
	}
	sm_store(&s.pool->member->host[0].word, 15ull << 36);
	assert_int_equal(daxfs_join(s.fs, 0, "x", &s.err), -EIO);
	sm_store(&s.pool->member->host[0].word, was);
	assert_int_equal(daxfs_join(s.fs, 0, "x", &s.err), 0);
	assert_int_equal(daxfs_join(s.pod.fs[0], 0, "second", &s.err), -EBUSY);
	fixture_stop(&s);
}

/* What a tenant must not have left: join refuses, and the slot is free again after. */
/* What a join finds in a free slot goes to recovery, and then the slot can be joined. */
static void leftovers(void **state)
{
	struct fixture s;
	sm_u64 *left[4];
	const char *said[4] = { "record", "unfinished", "epoch", "open" };

	(void)state;
	fixture_start(&s);
	left[0] = &s.pool->lanes[3].status; /* the last lane of host 0 */
	left[1] = &s.pool->lanes[2].todo;
	left[2] = &s.pool->lanes[1].low;
	left[3] = &s.pool->open_table[s.pool->super.opens_per_host - 1];
	for (unsigned i = 0; i < 4; i++) {
		uint32_t generation = word_of(&s, 0).generation;
		struct daxfs_recovery report;

		sm_store(left[i], sm_load(left[i]) + 1); /* status: IDLE + 1 is PREPARE */
		assert_int_equal(daxfs_join(s.fs, 0, "x", &s.err), -EBUSY);
		assert_non_null(strstr(s.err.text, said[i]));
		assert_int_equal(word_of(&s, 0).state, DAXFS_HOST_FENCED);
		assert_int_equal(word_of(&s, 0).generation, generation + 1);
		assert_int_equal((uint32_t)sm_load(&s.pool->member->host[0].reason), DAXFS_REASON_LEFTOVERS);
		assert_int_equal(daxfs_mkdir(s.fs, DAXFS_ROOT, "d", 0755, pod_root, NULL), -ESTALE);
		assert_int_equal(daxfs_recover(s.pod.fs[1], 0, &report), 0);
		assert_int_equal(daxfs_join(s.fs, 0, "x", &s.err), 0);
		assert_int_equal(daxfs_leave(s.fs), 0);
	}
	/* The same beside, of another host, is none of its business. */
	sm_store(&s.pool->lanes[4].low, 1);
	assert_int_equal(daxfs_join(s.fs, 0, "x", &s.err), 0);
	sm_store(&s.pool->lanes[4].low, 0);
	fixture_stop(&s);
}

static int finish_file(struct daxfs *fs, struct lane *lane, void *arg)
{
	(void)fs;
	return inode_finish(lane, *(uint64_t *)arg);
}

/* Whoever lets go of it lists it as a file to repair; that is no reason to stay. */
static void leaving_with_a_file_that_is_damaged(void **state)
{
	char bytes[2 * DAXFS_PAGE_SIZE];
	struct fixture s;
	struct daxfs *fs;
	sm_u64 *link;
	uint64_t was;
	daxfs_ino file;

	(void)state;
	fixture_start(&s);
	fs = s.pod.fs[1];
	file = pod_create(fs, DAXFS_ROOT, "f");
	memset(bytes, 'x', sizeof(bytes));
	assert_int_equal(daxfs_write(fs, file, bytes, sizeof(bytes), 0, 0), sizeof(bytes));
	assert_int_equal(daxfs_file_open(fs, file), 0);
	assert_int_equal(daxfs_unlink(fs, DAXFS_ROOT, "f"), 0);
	link = &s.pool->inodes[(uint32_t)file].direct[1];
	was = sm_load(link);
	sm_store(link, was ^ 2ull << 32); /* one bit: a kind that no file has there */
	assert_int_equal(daxfs_file_close(fs, file), 0);
	assert_int_equal(daxfs_repair_list(fs, NULL, NULL), 1);
	assert_int_equal(daxfs_leave(fs), 0);
	assert_int_equal(daxfs_join(fs, 1, "again", &s.err), 0);
	sm_store(link, was);
	assert_int_equal(fs_run(fs, finish_file, &file), 0);
	assert_int_equal(daxfs_repair_done(fs, DAXFS_REPAIR_FILE, file), 0);
	assert_int_equal(daxfs_repair_done(fs, DAXFS_REPAIR_FILE, file), -ENOENT);
	assert_int_equal(daxfs_repair_list(fs, NULL, NULL), 0);
	fixture_stop(&s);
}

/* A file that cannot be closed is still open: the slot is not free before that is finalized. */
static void leaving_with_a_file_that_is_listed(void **state)
{
	struct daxfs_recovery report;
	struct fixture s;
	struct daxfs *fs;
	daxfs_ino file;

	(void)state;
	fixture_start(&s);
	fs = s.pod.fs[1];
	file = pod_create(fs, DAXFS_ROOT, "f");
	sm_store(&s.pool->open_table[s.pool->super.opens_per_host + 3], file);
	assert_int_equal(daxfs_leave(fs), -EIO);
	assert_int_equal(word_of(&s, 1).state, DAXFS_HOST_ALIVE);
	assert_int_equal(daxfs_beat(fs), -ESTALE); /* so it will be fenced */
	set_state(&s, 1, DAXFS_HOST_FENCED);
	assert_int_equal(daxfs_join(s.fs, 0, "x", &s.err), 0);
	assert_int_equal(daxfs_recover(s.fs, 1, &report), 0);
	assert_int_equal(report.opens + report.files, 1); /* no bit any more, but a lane names it */
	assert_int_equal(daxfs_join(fs, 1, "again", &s.err), 0);
	fixture_stop(&s);
}

struct stamper {
	struct fixture *s;
	atomic_bool stop;
};

/* A new manager every moment: each stamps the host's word. */
static void *stamp(void *arg)
{
	struct stamper *st = arg;
	sm_u64 *word = &st->s->pool->member->host[0].word;

	while (!atomic_load(&st->stop)) {
		uint64_t w = sm_load(word);

		sm_cas(word, w, (w & ~0xffffull) | ((w + 1) & 0xffff));
	}
	return NULL;
}

static void joining_while_managers_change(void **state)
{
	struct fixture s;
	struct stamper st = { .s = &s };
	struct daxfs_recovery report;
	pthread_t thread;

	(void)state;
	fixture_start(&s);
	assert_int_equal(pthread_create(&thread, NULL, stamp, &st), 0);
	for (unsigned i = 0; i < 300; i++) {
		assert_int_equal(daxfs_join(s.fs, 0, "x", &s.err), 0);
		assert_int_equal(daxfs_leave(s.fs), 0);
	}
	atomic_store(&st.stop, true);
	pthread_join(thread, NULL);
	set_state(&s, 0, DAXFS_HOST_FENCED);
	assert_int_equal(daxfs_recover(s.pod.fs[1], 0, &report), 0);
	fixture_stop(&s);
}

/* Each leave ends a generation; sequences of lanes go on from where they were. */
static void generations(void **state)
{
	struct fixture s;
	uint32_t first;
	uint64_t seq = 0;

	(void)state;
	fixture_start(&s);
	first = word_of(&s, 0).generation;
	for (uint32_t i = 0; i < 5; i++) {
		struct lane *lane;

		assert_int_equal(daxfs_join(s.fs, 0, "x", &s.err), 0);
		assert_int_equal(word_of(&s, 0).generation, first + i);
		lane = &s.fs->slots[0].lane;
		assert_int_equal(lane->generation, first + i);
		assert_int_equal(sm_load(&lane->sm->owner), (uint64_t)(first + i) << 32);
		assert_true(lane->seq >= seq);
		record_begin(lane, OP_WRITE);
		assert_int_equal(record_commit(lane), 0);
		assert_true(lane->seq > seq);
		seq = lane->seq;
		assert_int_equal(daxfs_leave(s.fs), 0);
		assert_int_equal(word_of(&s, 0).state, DAXFS_HOST_FREE);
		assert_int_equal(word_of(&s, 0).generation, first + i + 1);
		assert_int_equal(daxfs_leave(s.fs), -ESTALE);
	}
	fixture_stop(&s);
}

static void leaving_while_suspect(void **state)
{
	struct fixture s;
	uint32_t generation;

	(void)state;
	fixture_start(&s);
	generation = word_of(&s, 1).generation;
	set_state(&s, 1, DAXFS_HOST_SUSPECT);
	assert_int_equal(daxfs_mkdir(s.pod.fs[1], DAXFS_ROOT, "d", 0755, pod_root, NULL), 0); /* late is not dead */
	assert_int_equal(daxfs_leave(s.pod.fs[1]), 0);
	assert_int_equal(word_of(&s, 1).state, DAXFS_HOST_FREE);
	assert_int_equal(word_of(&s, 1).generation, generation + 1);
	fixture_stop(&s);
}

/* A revoked host cannot leave: what becomes of its slot is not its business. */
static void leaving_too_late(void **state)
{
	struct fixture s;
	uint64_t word;

	(void)state;
	fixture_start(&s);
	set_state(&s, 1, DAXFS_HOST_FENCING);
	word = sm_load(&s.pool->member->host[1].word);
	assert_int_equal(daxfs_beat(s.pod.fs[1]), -ESTALE);
	assert_int_equal(daxfs_leave(s.pod.fs[1]), -ESTALE);
	assert_int_equal(sm_load(&s.pool->member->host[1].word), word);
	/* Nor one whose slot has the next tenant. */
	sm_store(&s.pool->member->host[2].word, sm_load(&s.pool->member->host[2].word) + (1ull << 40));
	word = sm_load(&s.pool->member->host[2].word);
	assert_int_equal(daxfs_leave(s.pod.fs[2]), -ESTALE);
	assert_int_equal(sm_load(&s.pool->member->host[2].word), word);
	for (unsigned i = 0; i < 4; i++) /* as that tenant would have it */
		sm_store(&s.pool->lanes[8 + i].owner, sm_load(&s.pool->lanes[8 + i].owner) + (1ull << 32));
	fixture_stop(&s);
}

/* Nothing that a revoked host calls changes a byte of the pool, where stores are checked. */
static void the_revoked_store_nothing(void **state)
{
	struct fixture s;
	struct shm_life there = { .mask = 0 };
	struct daxfs_attr attr;
	struct daxfs *fs;
	daxfs_ino ino;
	bool checked;
	void *copy;

	(void)state;
	fixture_start(&s);
	fs = s.pod.fs[1];
	checked = shm_life_begin(&there, &s.pool->member->host[1].word, 1, 1);
	assert_int_equal(daxfs_stores_checked(fs), checked);
	ino = pod_create(fs, DAXFS_ROOT, "f");
	assert_int_equal(daxfs_file_open(fs, ino), 0);
	set_state(&s, 1, DAXFS_HOST_FENCING);
	copy = malloc(s.pod.size);
	memcpy(copy, s.pod.base, s.pod.size);
	assert_int_equal(daxfs_mkdir(fs, DAXFS_ROOT, "d", 0755, pod_root, NULL), -ESTALE);
	assert_int_equal(daxfs_write(fs, ino, "x", 1, 0, false), -ESTALE);
	assert_int_equal(daxfs_getattr(fs, ino, &attr), -ESTALE);
	assert_int_equal(daxfs_file_close(fs, ino), -ESTALE);
	assert_int_equal(daxfs_beat(fs), -ESTALE);
	if (checked)
		assert_memory_equal(copy, s.pod.base, s.pod.size);
	assert_int_equal(daxfs_leave(fs), -ESTALE);
	assert_false(daxfs_stores_checked(fs));
	free(copy);
	fixture_stop(&s);
}

/* A beat moves the counter and publishes what is in flight. */
static void beats(void **state)
{
	struct fixture s;
	struct sm_host *host;
	struct lane *lane;
	uint64_t beat, page;
	daxfs_ino ino;

	(void)state;
	fixture_start(&s);
	host = &s.pool->member->host[1];
	beat = sm_load(&host->beat);
	for (unsigned i = 1; i < 4; i++) {
		assert_int_equal(daxfs_beat(s.pod.fs[1]), 0);
		assert_int_equal(sm_load(&host->beat), beat + i);
	}
	assert_int_equal(sm_load(&host->lanes) + sm_load(&host->records) + sm_load(&host->owned), 0);
	ino = pod_create(s.pod.fs[1], DAXFS_ROOT, "f");
	assert_int_equal(daxfs_file_open(s.pod.fs[1], ino), 0);
	lane = rig_enter(s.pod.fs[1]);
	record_begin(lane, OP_WRITE);
	assert_int_equal(space_take(lane, DAXFS_T_PAGE, DAXFS_USE_DATA, 1, &page), 0);
	assert_int_equal(daxfs_beat(s.pod.fs[1]), 0);
	assert_int_equal(sm_load(&host->lanes), 1);
	assert_int_equal(sm_load(&host->records), 1);
	assert_int_equal(sm_load(&host->owned), 1);
	assert_int_equal(sm_load(&host->pins), 1);
	record_abort(lane, 0);
	rig_exit(s.pod.fs[1], lane);
	assert_int_equal(daxfs_file_close(s.pod.fs[1], ino), 0);
	assert_int_equal(daxfs_beat(s.pod.fs[1]), 0);
	assert_int_equal(sm_load(&host->lanes) + sm_load(&host->records) + sm_load(&host->pins), 0);
	assert_int_equal(daxfs_beat(s.fs), -ESTALE); /* not a host */
	fixture_stop(&s);
}

/* Progress is missed when one call stays in one lane for so many looks, and its work does not go on. */
static void progress(void **state)
{
	struct fixture s;
	struct daxfs *fs;
	struct daxfs_attr attr;
	struct lane *lane;

	(void)state;
	fixture_start(&s);
	fs = s.pod.fs[1];
	for (unsigned i = 0; i < 10; i++)
		assert_true(daxfs_progressing(fs, 3)); /* idle */
	lane = fs_take_lane(fs);
	daxfs_progressing(fs, 3);
	assert_true(daxfs_progressing(fs, 3));
	for (unsigned i = 0; i < 3; i++)
		daxfs_progressing(fs, 3);
	assert_false(daxfs_progressing(fs, 3));
	/* Other lanes moving on do not hide it. */
	assert_int_equal(daxfs_getattr(fs, DAXFS_ROOT, &attr), 0);
	assert_false(daxfs_progressing(fs, 3));
	fs_put_lane(fs, lane);
	assert_true(daxfs_progressing(fs, 3));
	/* Busy at each look, but with another call each time. */
	for (unsigned i = 0; i < 10; i++) {
		for (unsigned k = 0; k < 40; k++)
			assert_int_equal(daxfs_getattr(fs, DAXFS_ROOT, &attr), 0);
		lane = fs_take_lane(fs);
		lane_moved(lane);
		assert_true(daxfs_progressing(fs, 3));
		fs_put_lane(fs, lane);
	}
	fixture_stop(&s);
}

/* Who is no host makes no progress that could be missed. */
static void progress_of_nobody(void **state)
{
	struct fixture s;

	(void)state;
	fixture_start(&s);
	assert_true(daxfs_progressing(s.fs, 1));
	assert_true(daxfs_progressing(s.pod.fs[0], 1)); /* has left */
	fixture_stop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(joined),
		cmocka_unit_test(wrong_hosts),
		cmocka_unit_test(busy_slots),
		cmocka_unit_test(leaving_with_a_file_that_is_damaged),
		cmocka_unit_test(leaving_with_a_file_that_is_listed),
		cmocka_unit_test(joining_while_managers_change),
		cmocka_unit_test(leftovers),
		cmocka_unit_test(generations),
		cmocka_unit_test(leaving_while_suspect),
		cmocka_unit_test(leaving_too_late),
		cmocka_unit_test(the_revoked_store_nothing),
		cmocka_unit_test(beats),
		cmocka_unit_test(progress),
		cmocka_unit_test(progress_of_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
