/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_fabricd_monitor.c - polls of a real pool with real agents: a host dies and
 * is recovered, managers replace each other, the pool goes away and comes back.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "unit/fabricd_real.h"
#include "daxfs/format.h"

#define ALL3 7u

static void become_primary(struct real *r, unsigned beating)
{
	real_polls(r, TIMING_WINDOW_POLLS + 2, beating);
	assert_int_equal(r->watch.decide.role, DECIDE_PRIMARY);
	assert_null(decide_waits(&r->watch.decide));
}

/* Poll until the host is in that state; agents end between polls. */
static void until(struct real *r, unsigned host, enum daxfs_host_state state, unsigned beating)
{
	for (unsigned i = 0; real_view(r, host).state != state; i++) {
		assert_true(i < 100);
		real_polls(r, 1, beating);
		real_agents(r);
	}
}

struct story {
	char text[1024];
};

/* "ALIVE SUSPECT ..." of host 1, each with its reason, and by whom. */
static bool tell(void *context, const struct daxfs_event *e)
{
	struct story *story = context;
	size_t at = strlen(story->text);
	char reason[96];

	if (e->kind == DAXFS_EVENT_STATE && e->host == 1)
		snprintf(story->text + at, sizeof(story->text) - at, "%s %s %u by %d %s%s\n",
			 daxfs_host_state_name(e->state), e->name, e->generation, e->by,
			 daxfs_reason_text(e->reason, 0, reason, sizeof(reason)),
			 strncmp(e->text, "by ", 3) == 0 ? ", proved" : "");
	return true;
}

/* What the pool remembers of it, whoever asks, and when. */
static void expect_story(struct real *r)
{
	struct story story = { "" };

	assert_true(watch_events(&r->watch, 0, tell, &story) > 0);
	assert_string_equal(story.text, "ALIVE host1 0 by -1 joined\n"
					"SUSPECT host1 0 by -1 heartbeat late 0 ms\n"
					"FENCING host1 0 by -1 heartbeat lost 0 ms\n"
					"FENCED host1 1 by -1 heartbeat lost 0 ms, proved\n"
					"RECOVERING host1 1 by 0 heartbeat lost 0 ms\n"
					"RECOVERED host1 1 by 0 recovered\n"
					"ALIVE host1 1 by -1 joined\n");
}

static void a_host_dies_and_is_recovered(void **state)
{
	struct daxfs_recovery recovery[2];
	struct daxfs_host_view v;
	struct real r;

	(void)state;
	real_start(&r);
	for (unsigned i = 0; i < 3; i++)
		real_join(&r, i);
	become_primary(&r, ALL3);
	real_polls(&r, 30, ALL3);
	for (unsigned i = 0; i < 3; i++) {
		v = real_view(&r, i);
		assert_int_equal(v.state, DAXFS_HOST_ALIVE);
		assert_int_equal(v.manager_epoch, r.watch.decide.epoch);
	}
	v = real_view(&r, 1);
	until(&r, 1, DAXFS_HOST_SUSPECT, 5);
	until(&r, 1, DAXFS_HOST_FENCING, 5);
	until(&r, 1, DAXFS_HOST_FENCED, 5);
	assert_int_equal(real_view(&r, 1).generation, v.generation + 1);
	assert_int_equal(daxfs_beat(r.host[1]), -ESTALE);
	until(&r, 1, DAXFS_HOST_RECOVERING, 5);
	v = real_view(&r, 1);
	assert_int_equal(v.recoverer, 0);
	assert_int_equal(v.reason, DAXFS_REASON_BEAT_LOST);
	assert_int_equal(daxfs_recover_assigned(r.host[0], recovery, 2), 1);
	assert_int_equal(real_view(&r, 1).state, DAXFS_HOST_RECOVERED);
	assert_false(r.watch.events.recovered);
	until(&r, 1, DAXFS_HOST_FREE, 5);
	assert_true(r.watch.events.recovered);
	assert_int_equal(r.watch.events.newest.host, 1);
	assert_int_equal(r.watch.events.newest.generation, v.generation - 1);
	daxfs_leave(r.host[1]); /* -ESTALE, and lets it join again */
	real_join(&r, 1);
	real_polls(&r, 30, ALL3);
	assert_int_equal(real_view(&r, 1).state, DAXFS_HOST_ALIVE);
	expect_story(&r);
	real_stop(&r);
}

static void the_clean_leave_is_no_death(void **state)
{
	struct real r;

	(void)state;
	real_start(&r);
	for (unsigned i = 0; i < 2; i++)
		real_join(&r, i);
	become_primary(&r, 3);
	assert_int_equal(daxfs_leave(r.host[1]), 0);
	real_polls(&r, 30, 1);
	assert_int_equal(real_view(&r, 1).state, DAXFS_HOST_FREE);
	assert_int_equal(real_view(&r, 0).state, DAXFS_HOST_ALIVE);
	assert_null(r.agents.first);
	real_stop(&r);
}

/* Two managers in one pool: the second takes over, the first finds out. */
static void a_stale_primary_changes_nothing(void **state)
{
	struct real r, other;
	struct daxfs_error err;
	unsigned long long word;

	(void)state;
	real_start(&r);
	for (unsigned i = 0; i < 3; i++)
		real_join(&r, i);
	become_primary(&r, ALL3);
	memset(&other, 0, sizeof(other));
	other.options = r.options;
	agents_init(&other.agents, r.loop, &other.options, watch_agent_done, &other.watch);
	assert_int_equal(watch_open(&other.watch, &other.options, &other.agents, &err), 0);
	memcpy(other.host, r.host, sizeof(other.host));
	real_polls(&other, TIMING_MANAGER_POLLS + TIMING_WINDOW_POLLS + 2, ALL3);
	assert_int_equal(other.watch.decide.role, DECIDE_PRIMARY);
	assert_int_equal(other.watch.decide.epoch, r.watch.decide.epoch + 1);

	/* What the first decided before it noticed fails at the pool. */
	word = real_view(&r, 1).word;
	assert_int_equal(daxfs_member_move(r.watch.member, &r.watch.in.view[1], DAXFS_HOST_SUSPECT, -1,
					   r.watch.decide.epoch, DAXFS_REASON_BEAT_LATE, 1),
			 -ESTALE);
	watch_order(&r.watch, 1, ORDER_FENCE);
	real_polls(&r, 1, 0);
	assert_int_equal(r.watch.decide.role, DECIDE_BACKUP);
	assert_int_equal(real_view(&r, 1).word, word);
	for (unsigned i = 0; i < 30; i++) { /* and as a backup it leaves the primary alone */
		real_polls(&other, 1, ALL3);
		real_polls(&r, 1, 0);
	}
	assert_int_equal(r.watch.decide.role, DECIDE_BACKUP);
	assert_int_equal(real_view(&r, 1).state, DAXFS_HOST_ALIVE);
	watch_close(&other.watch);
	real_stop(&r);
}

static void a_pool_that_goes_away_decides_nothing(void **state)
{
	char saved[128], command[400];
	struct real r;

	(void)state;
	real_start(&r);
	for (unsigned i = 0; i < 3; i++)
		real_join(&r, i);
	become_primary(&r, ALL3);
	snprintf(saved, sizeof(saved), "%s.saved", r.pool);
	snprintf(command, sizeof(command), "cp --sparse=always %s %s", r.pool, saved);
	assert_int_equal(system(command), 0);
	assert_int_equal(truncate(r.pool, 0), 0);
	real_polls(&r, 100, 0); /* every load is a SIGBUS */
	assert_false(r.watch.in.readable);
	assert_non_null(decide_waits(&r.watch.decide));
	snprintf(command, sizeof(command), "cat %s >%s && rm %s", saved, r.pool, saved);
	assert_int_equal(system(command), 0);
	real_polls(&r, 30, ALL3);
	assert_true(r.watch.in.readable);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(real_view(&r, i).state, DAXFS_HOST_ALIVE);
	assert_int_equal(r.watch.decide.role, DECIDE_PRIMARY);
	real_stop(&r);
}

/* Put a word into the pool behind everybody's back. */
static void scribble(const struct real *r, unsigned host, uint64_t word)
{
	struct sm_super super;
	int fd = open(r->pool, O_RDWR);
	off_t at;

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &super, sizeof(super), 0), sizeof(super));
	at = (off_t)(super.region[DAXFS_R_MEMBER].offset + DAXFS_PAGE_SIZE + offsetof(struct sm_member, host) +
		     host * sizeof(struct sm_host));
	assert_int_equal(pwrite(fd, &word, sizeof(word), at), sizeof(word));
	close(fd);
}

static void a_senseless_word_is_left_alone(void **state)
{
	const uint64_t word = 15ull << 36 | 7;
	struct real r;

	(void)state;
	real_start(&r);
	for (unsigned i = 0; i < 3; i++)
		real_join(&r, i);
	become_primary(&r, ALL3);
	scribble(&r, 3, word);
	real_polls(&r, 50, ALL3);
	assert_false(r.watch.in.sensible[3]);
	assert_true(r.watch.in.sensible[0]);
	assert_int_equal(real_view(&r, 0).state, DAXFS_HOST_ALIVE);
	until(&r, 1, DAXFS_HOST_RECOVERING, 5); /* the others are judged */
	real_stop(&r);
}

static void scribble_manager(const struct real *r, uint64_t word)
{
	struct sm_super super;
	int fd = open(r->pool, O_RDWR);

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &super, sizeof(super), 0), sizeof(super));
	assert_int_equal(
		pwrite(fd, &word, sizeof(word), (off_t)(super.region[DAXFS_R_MEMBER].offset + DAXFS_PAGE_SIZE)),
		sizeof(word));
	close(fd);
}

/* Somebody writes an epoch of his own: the primary steps down, and claims again when nobody beats for that. */
static void a_forged_epoch_does_not_stop_the_managers(void **state)
{
	const uint32_t epochs[] = { UINT32_MAX, 0, 1000, 1 };
	struct real r;

	(void)state;
	real_start(&r);
	for (unsigned i = 0; i < 3; i++)
		real_join(&r, i);
	for (unsigned i = 0; i < 4; i++) {
		become_primary(&r, ALL3);
		scribble_manager(&r, (uint64_t)epochs[i] << 32 | 1);
		real_polls(&r, 2, ALL3);
		if (epochs[i]) /* 0: nobody is, so it is claimed at once */
			assert_int_equal(r.watch.decide.role, DECIDE_BACKUP);
		real_polls(&r, TIMING_MANAGER_POLLS + TIMING_WINDOW_POLLS + 4, ALL3);
		assert_int_equal(r.watch.decide.role, DECIDE_PRIMARY);
	}
	until(&r, 1, DAXFS_HOST_RECOVERING, 5); /* and it manages */
	real_stop(&r);
}

/* Where fabricd has mapped that byte of the pool: its mapping is the small one. */
static void *mapped(const struct real *r, uint64_t at)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long from, to, offset;
	char line[400], *found = NULL;

	assert_non_null(maps);
	while (!found && fgets(line, sizeof(line), maps))
		if (strstr(line, r->pool) && sscanf(line, "%lx-%lx %*s %lx", &from, &to, &offset) == 3 &&
		    to - from < 1 << 20 && offset <= at && at < offset + (to - from))
			found = (char *)from + (at - offset);
	fclose(maps);
	assert_non_null(found);
	return found;
}

/* One page of the members' region cannot be read: of the hosts in it nothing is decided, the others are judged. */
static void a_bad_page_costs_the_hosts_in_it(void **state)
{
	int empty = memfd_create("empty", 0), fd;
	struct sm_super super;
	struct real r;
	void *page;

	(void)state;
	real_start_slots(&r, 20);
	for (unsigned i = 0; i < 3; i++)
		real_join(&r, i);
	become_primary(&r, ALL3);
	fd = open(r.pool, O_RDONLY);
	assert_int_equal(pread(fd, &super, sizeof(super), 0), sizeof(super));
	close(fd);
	/* The second page of the lines: slots 15 (in part) to 19. A load there is a SIGBUS from now on. */
	page = mapped(&r, super.region[DAXFS_R_MEMBER].offset + 2 * DAXFS_PAGE_SIZE);
	assert_ptr_equal(mmap(page, DAXFS_PAGE_SIZE, PROT_READ, MAP_SHARED | MAP_FIXED, empty, 0), page);
	real_polls(&r, 2, ALL3);
	assert_true(r.watch.in.readable);
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(r.watch.in.sensible[i], i < 15);
	until(&r, 1, DAXFS_HOST_RECOVERING, 5);
	close(empty);
	real_stop(&r);
}

/*
 * It decided to start a fence agent, and slept. Meanwhile another manager has the
 * host fenced: the agent would cut off whoever has its name now.
 */
static void a_deposed_manager_starts_no_agent(void **state)
{
	struct daxfs_manager_view seen;
	struct decide_action off = { .kind = DECIDE_AGENT_OFF, .host = 1, .recoverer = -1 };
	struct daxfs_host_view v;
	struct real r;
	uint32_t epoch;

	(void)state;
	real_start(&r);
	for (unsigned i = 0; i < 3; i++)
		real_join(&r, i);
	become_primary(&r, ALL3);
	watch_order(&r.watch, 1, ORDER_FENCE);
	real_polls(&r, 1, ALL3); /* FENCING; the next poll would start the agent */
	v = real_view(&r, 1);
	assert_int_equal(v.state, DAXFS_HOST_FENCING);
	r.watch.in.view[1] = v; /* as that poll sees it */
	daxfs_member_manager(r.watch.member, &seen);
	assert_int_equal(daxfs_member_claim(r.watch.member, &seen, &epoch), 0);
	watch_act(&r.watch, &off);
	assert_null(r.agents.first);
	assert_int_equal(r.watch.decide.role, DECIDE_BACKUP);
	/* Nor one that is primary, for a host that is another tenant by now. */
	daxfs_member_manager(r.watch.member, &seen);
	decide_claimed(&r.watch.decide, epoch);
	assert_int_equal(daxfs_member_stamp(r.watch.member, &v, epoch), 0);
	watch_act(&r.watch, &off);
	assert_null(r.agents.first);
	assert_int_equal(r.watch.decide.role, DECIDE_PRIMARY);
	r.watch.in.view[1] = real_view(&r, 1);
	watch_act(&r.watch, &off);
	assert_non_null(r.agents.first);
	real_agents(&r);
	real_stop(&r);
}

static void not_a_pool(void **state)
{
	struct daxfs_error err = { "" };
	struct options options;
	struct agents agents;
	struct watch watch;

	(void)state;
	options_defaults(&options);
	strcpy(options.pool, "/dev/null");
	agents_init(&agents, ev_default_loop(EVFLAG_AUTO), &options, watch_agent_done, &watch);
	assert_true(watch_open(&watch, &options, &agents, &err) < 0);
	assert_true(strlen(err.text) > 0);
	strcpy(options.pool, "/nonexistent/pool");
	assert_int_equal(watch_open(&watch, &options, &agents, &err), -ENOENT);
}

static void the_summary_counts_states(void **state)
{
	char text[256], tiny[8];
	struct real r;

	(void)state;
	real_start(&r);
	real_join(&r, 0);
	real_join(&r, 2);
	become_primary(&r, 5);
	watch_summary(&r.watch, text, sizeof(text));
	assert_string_equal(text, "primary of pool testpool, epoch 1: 2 ALIVE");
	watch_summary(&r.watch, tiny, sizeof(tiny));
	assert_string_equal(tiny, "primary");
	real_stop(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_host_dies_and_is_recovered),
		cmocka_unit_test(the_clean_leave_is_no_death),
		cmocka_unit_test(a_stale_primary_changes_nothing),
		cmocka_unit_test(a_pool_that_goes_away_decides_nothing),
		cmocka_unit_test(a_senseless_word_is_left_alone),
		cmocka_unit_test(a_forged_epoch_does_not_stop_the_managers),
		cmocka_unit_test(a_bad_page_costs_the_hosts_in_it),
		cmocka_unit_test(a_deposed_manager_starts_no_agent),
		cmocka_unit_test(not_a_pool),
		cmocka_unit_test(the_summary_counts_states),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
