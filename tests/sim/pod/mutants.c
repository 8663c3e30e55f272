/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mutants.c - would a pod notice? Plants one mistake at a time, in the seam
 * alone: just after a store or CAS of one function, what it stored becomes
 * something else, before anybody can look; or a load finds something else; or a
 * write-back is not done; or a fence does not cut off. The code under test is
 * that of the product.
 *
 * The canary is one that any run must notice, or the harness is broken.
 */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "pod/pod.h"
#include "sim.h"
#include "sync/member.h"
#include "sync/word.h"

enum twist {
	TWIST_UNDO,         /* as if not stored */
	TWIST_ZERO,         /* zero instead */
	TWIST_SAME_VERSION, /* what a record undoes keeps its version */
	TWIST_ONE_WORD,     /* of the words of a record, all but the first are not resolved */
	TWIST_GENERATION,   /* FENCED without a new generation */
	TWIST_REVOKE,       /* announcements of a host are dropped when it is to be fenced */
	TWIST_WITHDRAW,     /* the same, when it is FENCED */
	TWIST_TOLL,         /* a recoverer that died is named, and not counted */
	TWIST_EPOCH,        /* a manager finds its own epoch in force, whatever is */
	TWIST_NO_PERSIST,   /* the nth write-back of the function is not done */
	TWIST_NO_CUT,       /* fence agents say off and do nothing if the host is silent */
};

static const struct mutant {
	const char *name, *func; /* "file:function" for write-backs */
	char call;               /* first letter of the seam call, 0: any */
	enum twist twist;
	unsigned nth, within; /* so many seeds it must be noticed; 0: see daxfs-sim --op reuse-clash */
} mutants_of_pod[] = {
	{ "canary", "resolve_entry", 'c', TWIST_UNDO, 0, 50 },
	{ "help-without-resolving", "resolve_entry", 'c', TWIST_ONE_WORD, 0, 50 },
	{ "abort-keeps-version", "resolve_entry", 'c', TWIST_SAME_VERSION, 0, 50 },
	{ "no-announcement", "epoch_enter", 's', TWIST_ZERO, 0, 50 },
	{ "no-adoption", "epoch_adopt", 's', TWIST_UNDO, 0, 0 },
	{ "freed-not-retired", "finalize_retires", 'c', TWIST_ZERO, 0, 50 },
	{ "retired-not", "finalize_retires", 'c', TWIST_UNDO, 0, 50 },
	{ "private-for-ever", "finalize_allocs", 'c', TWIST_UNDO, 0, 50 },
	{ "taken-unnamed", "record_intended", 's', TWIST_ZERO, 0, 50 },
	{ "no-todo", "lane_todo", 's', TWIST_ZERO, 0, 50 },
	{ "open-unlisted", "find_place", 'c', TWIST_ZERO, 0, 50 },
	{ "generation-kept", "swap_word", 'c', TWIST_GENERATION, 0, 50 },
	{ "reuse-before-fenced", "swap_word", 'c', TWIST_REVOKE, 0, 3000 },
	{ "withdrawn-early", "swap_word", 'c', TWIST_WITHDRAW, 0, 0 },
	{ "stale-manager", "member.c", 'l', TWIST_EPOCH, 0, 50 },
	{ "death-not-remembered", "swap_toll", 'c', TWIST_UNDO, 0, 50 },
	{ "death-not-counted", "swap_toll", 'c', TWIST_TOLL, 0, 1000 },
	{ "fence-blind", NULL, 0, TWIST_NO_CUT, 0, 50 },
	{ "body-not-written-back", "record.c:record_write", 'p', TWIST_NO_PERSIST, 1, 50 },
	{ "undecided-not-written-back", "record.c:publish", 'p', TWIST_NO_PERSIST, 0, 50 },
	{ "decision-not-written-back", "record.c:finish", 'p', TWIST_NO_PERSIST, 0, 50 },
};

static struct planting {
	const struct mutant *mutant;
	bool pending, load;
	unsigned host;
	uint64_t offset, before, after;
	struct sm_site *site;
} planting;

/* -- twisting --------------------------------------------------------------------------- */

static void put(unsigned host, uint64_t offset, uint64_t v)
{
	memory_store(host, offset, &v, sizeof(v));
}

/* Does the host word get into this state? */
static bool gets(uint64_t before, uint64_t after, enum daxfs_host_state state)
{
	struct host_word from, to;

	return host_word_unpack(before, &from) == 0 && host_word_unpack(after, &to) == 0 && from.state != state &&
	       to.state == state;
}

static void withdraw(uint64_t offset)
{
	unsigned slot = (unsigned)((offset - memory_offset(&pod.pool.member->host[0])) / sizeof(struct sm_host));

	for (unsigned i = 0; i < pod.lanes; i++)
		put(OBSERVER_CACHE, memory_offset(&pod.pool.lanes[slot * pod.lanes + i].low), 0);
}

/* What the word holds instead of `after`. */
static uint64_t twisted(void)
{
	const struct sm_lane *record = &pod.pool.lanes[mark_lane(planting.before) % pod.pool.lanes_total];
	struct host_word word;

	switch (planting.mutant->twist) {
	case TWIST_UNDO: return planting.before;
	case TWIST_ZERO: return 0;
	case TWIST_SAME_VERSION:
		return status_state(peek_word(&record->status)) == DAXFS_ABORTED
			       ? peek_word(&record->words[3 * mark_widx(planting.before) + 1])
			       : planting.after;
	case TWIST_ONE_WORD: return mark_widx(planting.before) ? planting.before : planting.after;
	case TWIST_GENERATION:
		if (!gets(planting.before, planting.after, DAXFS_HOST_FENCED) ||
		    host_word_unpack(planting.after, &word))
			return planting.after;
		word.generation--;
		return host_word_pack(word);
	case TWIST_REVOKE:
	case TWIST_WITHDRAW:
		if (gets(planting.before, planting.after,
			 planting.mutant->twist == TWIST_REVOKE ? DAXFS_HOST_FENCING : DAXFS_HOST_FENCED))
			withdraw(planting.offset);
		return planting.after;
	case TWIST_TOLL: return planting.after & ~(15ull << 36);
	default: return planting.after;
	}
}

void mutants_after(void)
{
	if (!planting.pending)
		return;
	planting.pending = false;
	if (planting.load)
		put(planting.host, planting.offset, planting.before);
	else if (peek(planting.offset) == planting.after && twisted() != planting.after)
		put(planting.host, planting.offset, twisted());
}

/* A primary looks which epoch is in force. */
static bool deceived(const struct actor *a, const struct seam_event *event)
{
	return a->kind == ACTOR_MANAGER && manager_primary(a->machine) &&
	       event->offset == memory_offset(&pod.pool.member->manager.word);
}

void mutants_before(const struct actor *a, const struct seam_event *event)
{
	const struct mutant *m = planting.mutant;
	uint64_t epoch;

	if (!m || !m->func || event->site->call[0] != m->call || m->twist == TWIST_NO_PERSIST)
		return;
	planting.load = m->twist == TWIST_EPOCH;
	if (planting.load ? !deceived(a, event) : strcmp(event->site->func, m->func) != 0)
		return;
	planting.pending = true;
	planting.host = a->run.host;
	planting.offset = event->offset;
	planting.before = peek(event->offset);
	planting.after = event->value;
	if (planting.load) {
		epoch = manager_epoch(a->machine);
		put(a->run.host, event->offset, epoch << 32 | (uint32_t)planting.before);
	}
}

bool mutants_no_cut(void)
{
	return planting.mutant && planting.mutant->twist == TWIST_NO_CUT;
}

/* -- running ---------------------------------------------------------------------------------- */

/* The nth write-back of the function. */
static const struct sm_site *write_back(const struct mutant *m)
{
	const char *function = strchr(m->func, ':') + 1;
	size_t file = (size_t)(function - m->func) - 1;
	unsigned n = 0;

	for (const struct sm_site *site = sites_next(NULL); site; site = sites_next(site)) {
		const char *base = strrchr(site->file, '/') + 1;

		if (!strncmp(base, m->func, file) && !strcmp(site->func, function) && !strcmp(site->call, "persist") &&
		    n++ == m->nth)
			return site;
	}
	return NULL;
}

static void plant(const struct mutant *m)
{
	planting = (struct planting){ .mutant = m };
	seam_break_site(m && m->twist == TWIST_NO_PERSIST ? write_back(m) : NULL);
}

/* Seeds until it is noticed, 0: not within max. */
static uint64_t noticed(const struct mutant *m, uint64_t seed, uint64_t max)
{
	const struct limits limits = { .turns = UINT64_MAX, .faults = UINT64_MAX };
	struct tallies ignored = { 0 };
	uint64_t n = 0;
	bool ok = true;

	plant(m);
	while (ok && n < max)
		ok = pod_run(seed + n++, &limits, &ignored);
	plant(NULL);
	return ok ? 0 : n;
}

bool mutants_canary(uint64_t seed)
{
	return noticed(&mutants_of_pod[0], seed, 3) != 0;
}

unsigned mutants_run(const char *name, uint64_t seed, uint64_t seeds)
{
	unsigned n = sizeof(mutants_of_pod) / sizeof(mutants_of_pod[0]), tried = 0, missed = 0;

	for (unsigned i = 0; i < n; i++) {
		const struct mutant *m = &mutants_of_pod[i];
		clock_t start = clock();
		uint64_t max = seeds ? seeds : m->within, took;

		if (name ? strcmp(name, m->name) != 0 : !max)
			continue;
		took = noticed(m, seed, max);
		tried++;
		missed += !took;
		if (took)
			printf("%-28s noticed by %" PRIu64 ". seed of %" PRIu64 ", %.1f s: %.120s\n", m->name, took,
			       max, (double)(clock() - start) / CLOCKS_PER_SEC, pod.violation);
		else
			printf("%-28s NOT NOTICED in %" PRIu64 " seeds\n", m->name, max);
		fflush(stdout);
	}
	printf("%u mutants of the seam, %u not noticed\n", tried, missed);
	return missed + !tried;
}
