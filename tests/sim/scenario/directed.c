/* SPDX-License-Identifier: Apache-2.0 */
/*
 * directed.c - three hosts, told whose turn it is.
 *
 * Some mistakes of reclamation need four or five turns of three hosts, which no
 * drawing of lots finds. A story says who goes when, and between which steps a
 * host may be stopped; every choice of stops is played:
 *
 *   H        host H does its next command
 *   H~FUNC:C ... and is stopped before a step in that function, each in turn: c a CAS, l a
 *            load; with a number, only the first so many of them
 *   H.       it goes on to the end of that command, or to a stop: H.~FUNC:C
 *   H!       it dies where it is, nothing lost; H*: all is lost that it had not written back
 *   H?       fabricd revokes it, but it does not know yet
 *   Hr~FUNC:C fabricd has host 0 recovered by host H, which is stopped
 *
 * The verb `evil` writes a page of a user who has bad luck or bad intentions:
 * in the place where a stopped host is about to do a CAS it holds just what that
 * CAS expects. If the page lies where that host believes its word to be, it will
 * change the user's data. Nothing but reclamation keeps pages apart in time.
 *
 * The first `evil` of a story finds no page, and its looking for one moves the
 * epoch on, so that who enters afterwards does not protect what was retired before.
 *
 * With opt->weak each choice of stops is told again in a weak memory (weak.h), several times.
 *
 * In the end the state must be that of the commands that succeeded, one after the
 * other, in some order, which gives the same answers. A story whose last stop is never
 * reached is a failure: it has come to test nothing.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

#include "machine/arena.h"
#include "sim.h"
#include "machine/weak.h"

#define STOPS_MAX 4u
#define POLICIES 8u /* of a weak memory, for each choice of stops */
#define TURNS_MAX 16u

/* A full pool but for the root node of directory d, once it is removed, and the index node of f, when it is cut. */
#define FULL "mkdir d;mkdir e;create d/x;create f;write f 36864 4096 1;create g;write g 0 4096 2;create h;fill h "

/* Where f has no page yet; so many pages are free. */
#define NEW "mkdir d;create f;create g;write g 0 4096 2;create k;write k 0 8192 1;create h;fill h "

static const struct story {
	const char *name, *setup, *script[HOSTS], *turns;
} stories[] = {
	/* A helper comes after the page of a word that is done was retired, and its record's owner ends. */
	{ "adopt",
	  FULL "0",
	  { "rename d/x e/y", "unlink e/y", "rmdir d;evil g;evil g" },
	  "0~resolve_entry:c 2 2 1~resolve_entry:c 0. 2 1." },
	/* The same, while somebody looks at the announcements of both. */
	{ "two-looks",
	  FULL "0",
	  { "unlink e/y", "rename d/x e/y", "rmdir d;evil g;evil g" },
	  "1~resolve_entry:c 2 2 2~look:l40 0~resolve_entry:c 1. 2. 0." },
	/* The helper is the one who recovers the owner. */
	{ "withdraw",
	  FULL "0",
	  { "rename d/x e/y", "", "rmdir d;evil g;evil g" },
	  "0~resolve_entry:c 0! 2 2 1r~resolve_entry:c 2 1." },
	/* A host that was declared dead, and is not yet off, wakes up before its CAS. */
	{ "revoked",
	  FULL "1",
	  { "write f 36864 4096 3", "", "trunc f 0;evil g;evil g;evil g" },
	  "0~swap_single:c 0? 2 2 2 2 0." },
	/* A helper reads a record while its owner is in the next one. */
	{ "late-helper",
	  FULL "0",
	  { "rename d/x e/y;rename e/y d/z", "unlink e/y", "" },
	  "0~mark_word:c 1~record_entry_read:l 0. 0~mark_word:c 1. 0." },
	/* What a helper reads to take a mark off is of a later record, about a node that was made since it came: the
	 * page of k, which it protects, makes whoever looks for room move the epoch on. */
	{ "resolved-late",
	  "mkdir d;mkdir e;create d/x;create e/z;create f;create g;write g 0 4096 2;create k;write k 0 4096 1;"
	  "create h;fill h 2",
	  { "rename d/x e/y;write f 36864 4096 3;punch f 36864 4096", "unlink e/y",
	    "trunc k 0;write g 0 262144 2;trunc f 0;evil g;evil g;evil g" },
	  "0~resolve_entry:c1 1~record_entry_read:l30 0. 2 2 0 0 1.~resolve_entry:c 2 2 2 2 1." },
	/* A helper is about to mark a word of a record that is aborted meanwhile. */
	{ "undone",
	  FULL "0;create e/y",
	  { "rename d/x e/y", "unlink d/x", "exchange e/y f" },
	  "0~mark_word:c 1~mark_word:c 2 0.~record_begin:s 1. 0." },
	/* An object is retired by one while the other makes it LIVE. */
	{ "settling",
	  FULL "2",
	  { "write f 36864 4096 3", "write f 36864 4096 4", "" },
	  "0~finalize_allocs:c 1~finalize_retires:c 0. 1." },
	/* The inode that a record retired is somebody else's when its IDLE is lost, and it is settled again. An
	 * inode, no page: whoever looks for the last page counts what lanes have, and so reads the line of IDLE. */
	{ "idle-lost",
	  "create k;create a;create b;create c;create d;create e;create f;create g;create h;create i;create j;create l;"
	  "create m;create n",
	  { "unlink k", "", "create x" },
	  "0~give_back:d 2 0*" },
	/* A node was made in the very epoch in which a host enters and finds it: none of it is used again meanwhile. */
	{ "born-now",
	  NEW "4",
	  { "write f 36864 4096 1", "trunc f 32768", "trunc f 0;evil g;evil g;evil g" },
	  "0 1~mark_word:c 2 2 2 2 1." },
	/* The epoch that a dead host moved to, and made a node in, is not lost: the node would be younger than now. */
	{ "epoch-lost",
	  NEW "0;trunc k 0",
	  { "write f 36864 4096 1", "trunc f 32768", "trunc f 0;evil g;evil g;evil g" },
	  "0 0* 1r 1~mark_word:c 2 2 2 2 1." },
	/* A lock given up is not there again when a host that is changing the page beside it dies with its caches. */
	{ "lock-given-up",
	  "create f;hold f;1:hold f;2:hold f;lock f 0 9 2;1:lock f 20 29 2",
	  { "lock f 0 9 0", "lock f 40 49 2", "lock f 0 9 2;lock f 0 9 0" },
	  "1~mark_word:c 0 2 1* 2" },
	/* A host that takes the rest of a long truncation sleeps, and 64 pages are written where it is about to. */
	{ "slept-on",
	  "mkdir d;create d/f;write d/f 0 262144 1;write d/f 262144 65536 2",
	  { "trunc d/f 4096", "trunc d/f 5000;write d/f 4096 262144 3;write d/f 266240 12288 4", "" },
	  "0~mark_word:c40 1 1 1 0." },
	/* Two come by a record in flight; the second meets what the first puts into its words before it marks them. */
	{ "claim-met",
	  FULL "0;create e/y",
	  { "rename d/x e/y", "unlink d/x", "exchange e/y f" },
	  "0~mark_word:c 1~claim_read:l 2 1. 0." },
	/* Whoever has entered and found a page reads it, and not what it is used for next. */
	{ "entered",
	  "create k;write k 0 4096 3;" FULL "1",
	  { "read g", "write g 0 4096 6;write k 0 4096 7", "" },
	  "0~view_copy:r 1 1 0." },
	/* The group that a truncation ends in is broken up while it looks, and an extent again when it goes on. */
	{ "cut-again",
	  "mkdir d;create d/f;draft d/f 65536 65536 1",
	  { "trunc d/f 69632", "write d/f 81920 4096 4;write d/f 65536 65536 5", "" },
	  "0~epoch_load:l20 1 0.~epoch_load:l30 1 0." },
};

#define STORIES (sizeof(stories) / sizeof(stories[0]))

struct turn {
	unsigned host;
	char what;     /* of the list above; 'n': the next command */
	char stop[24]; /* function, or "" */
	char call;     /* and the first letter of the seam call */
	uint64_t most; /* places */
};

static struct teller {
	const struct story *story;
	struct turn turn[TURNS_MAX];
	unsigned n_turns, n_stops;
	struct script script[HOSTS];
	unsigned next[HOSTS]; /* command */
	struct command_call call[HOSTS];
	struct run run[HOSTS];
	unsigned dead;
	/* what is played */
	uint64_t choice[STOPS_MAX], seen; /* the n-th place to stop, for each; of the run at work */
	const struct turn *now;
	unsigned level;
	struct told {
		unsigned host;
		bool done;                 /* and succeeded; or nobody can tell */
		char answer[RESULT_BYTES]; /* "": nobody heard it */
	} told[SCRIPT_MAX];                /* the commands in the order in which they began */
	unsigned n_told, current[HOSTS];
	uint64_t played, violations;
	bool quiet;
	unsigned policy; /* of a weak memory, + 1; 0: none */
} teller;

/* -- telling --------------------------------------------------------------------- */

static void parse_turns(struct teller *t)
{
	const char *at = t->story->turns;

	for (t->n_turns = t->n_stops = 0; *at; at += strspn(at, " ")) {
		struct turn *turn = &t->turn[t->n_turns++];
		size_t len = strcspn(at, " ");
		const char *tilde = memchr(at, '~', len);
		char most[4] = "";

		if (t->n_turns == TURNS_MAX || at[0] < '0' || at[0] >= '0' + (int)HOSTS)
			arena_die("a story makes no sense");
		*turn = (struct turn){ .host = (unsigned)(at[0] - '0'), .what = len > 1 && at[1] != '~' ? at[1] : 'n' };
		if (tilde)
			sscanf(tilde, "~%23[^: ]:%c%3[0-9]", turn->stop, &turn->call, most);
		turn->most = strtoul(most, NULL, 10);
		t->n_stops += tilde != NULL;
		at += len;
	}
}

/* What a user would have to write where this CAS is going to be. */
static void take_note(const struct seam_event *event)
{
	uint64_t pages = world.pool.super.region[DAXFS_R_PAGES].offset;

	if (!strcmp(event->site->call, "cas") && event->offset >= pages)
		memcpy(script_evil + event->offset % DAXFS_PAGE_SIZE, &event->expected, sizeof(event->expected));
}

static void before_step(void *context, struct run *run, const struct seam_event *event)
{
	struct teller *t = context;

	if (strcmp(event->site->func, t->now->stop) || event->site->call[0] != t->now->call ||
	    ++t->seen != t->choice[t->level] || (t->now->most && t->seen > t->now->most))
		return;
	run->pause_at = event->step;
	run->site->crashes++;
	take_note(event);
}

static long call_recover(void *arg)
{
	struct daxfs_recovery report;

	return daxfs_recover(world.fs[((struct command_call *)arg)->host], 0, &report);
}

static void forget(struct run *run)
{
	if (run->fiber)
		run_free(run);
	run->fiber = NULL;
}

static void begin(struct teller *t, const struct turn *turn)
{
	struct run *run = &t->run[turn->host];

	if (turn->what == 'r') {
		world_fence(0, turn->host);
	} else {
		t->call[turn->host].command = &t->script[turn->host].command[t->next[turn->host]++];
		t->current[turn->host] = t->n_told;
		t->told[t->n_told].host = turn->host;
		t->told[t->n_told].answer[0] = '\0';
		t->told[t->n_told++].done = true;
	}
	forget(run);
	run_start(run, turn->host, turn->what == 'r' ? call_recover : script_call, &t->call[turn->host]);
	run->hook = before_step;
	run->context = t;
}

static void violation(struct teller *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void violation(struct teller *t, const char *format, ...)
{
	va_list args;

	t->violations++;
	if (t->quiet)
		return;
	printf("VIOLATION story %s: ", t->story->name);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
}

static void note_answer(struct told *told, const struct command_call *call)
{
	told->done = call->result[0] != '-';
	memcpy(told->answer, call->result, sizeof(told->answer));
}

static bool told_to_stop(struct teller *t, const struct turn *turn)
{
	t->now = turn;
	t->seen = 0;
	run_until(&t->run[turn->host], 0);
	if (t->run[turn->host].end == RUN_BROKEN)
		violation(t, "host %u: %s", turn->host, t->run[turn->host].err);
	if (t->run[turn->host].end == RUN_PAUSED)
		return true;
	if (turn->what != 'r' && !(t->dead & 1u << turn->host))
		note_answer(&t->told[t->current[turn->host]], &t->call[turn->host]);
	return false;
}

static void leave(struct teller *t, const struct turn *turn)
{
	t->dead |= 1u << turn->host;
	if (turn->what == '?')
		world_revoke(turn->host);
	else
		world_lose(turn->host, (struct fate){ .kind = turn->what == '*' ? FATE_DROP_ALL : FATE_KEEP_ALL });
}

/* False: a stop was not reached, at t->level. */
static bool tell(struct teller *t)
{
	t->level = t->n_told = 0;
	t->dead = 0;
	memset(t->next, 0, sizeof(t->next));
	memset(script_evil, 0, sizeof(script_evil));
	for (unsigned i = 0; i < t->n_turns; i++) {
		const struct turn *turn = &t->turn[i];

		if (strchr("!*?", turn->what)) {
			leave(t, turn);
			continue;
		}
		if (turn->what != '.')
			begin(t, turn);
		if (told_to_stop(t, turn) != (turn->stop[0] != '\0'))
			return false;
		t->level += turn->stop[0] != '\0';
	}
	return true;
}

/* -- judging ----------------------------------------------------------------------- */

static bool look(struct teller *t, struct state *out)
{
	char err[1200];

	for (unsigned host = 0; host < HOSTS; host++)
		if (t->dead & 1u << host)
			world_lose(host, (struct fate){ .kind = FATE_KEEP_ALL });
	if (aftermath(t->dead, out, err, sizeof(err)))
		return true;
	violation(t, "%s", err);
	return false;
}

static void print_place(const struct teller *t)
{
	if (t->quiet)
		return;
	printf("  turns %s, stopped at", t->story->turns);
	for (unsigned i = 0; i < t->n_stops; i++)
		printf(" %" PRIu64, t->choice[i]);
	if (t->policy)
		printf(", policy %u", t->policy - 1);
	printf("\n  replay: daxfs-sim %s--story %s\n", t->policy ? "--weak " : "", t->story->name);
}

/* The commands that succeeded, in an order of hosts that respects each host's own: is all read as it was? */
static bool replay(struct teller *t, const unsigned *order)
{
	bool same = true;

	unsigned each[HOSTS] = { 0 };

	world_rewind();
	for (unsigned n = 0; n < t->n_told; n++) {
		unsigned host = order[n], nth = 0;
		struct command_call call = { .command = &t->script[host].command[each[host]], .host = host };

		for (unsigned of_host = 0; nth < t->n_told; nth++)
			if (t->told[nth].host == host && of_host++ == each[host])
				break;
		each[host]++;
		if (!t->told[nth].done)
			continue;
		run_all(host, script_call, &call, NULL, NULL);
		same &= !t->told[nth].answer[0] || !strcmp(t->told[nth].answer, call.result);
	}
	return same;
}

/* Does some order, from its n-th place on, lead to this state? */
static bool explained(struct teller *t, const struct state *got, unsigned *order, unsigned n, unsigned *left)
{
	static struct state want;
	bool found = false;

	if (n == t->n_told) {
		found = replay(t, order);
		return look(t, &want) && found && state_text_equal(got, &want);
	}
	for (unsigned host = 0; host < HOSTS && !found; host++) {
		if (!left[host])
			continue;
		left[host]--;
		order[n] = host;
		found = explained(t, got, order, n + 1, left);
		left[host]++;
	}
	return found;
}

static void judge(struct teller *t)
{
	static struct state got;
	unsigned order[SCRIPT_MAX], left[HOSTS];

	t->played++;
	memcpy(left, t->next, sizeof(left));
	for (unsigned n = 0; n < t->n_told; n++)
		order[n] = t->told[n].host;
	if (!look(t, &got)) {
		print_place(t);
		return;
	}
	/* As they began: so it nearly always is. */
	if (explained(t, &got, order, t->n_told, left) || explained(t, &got, order, 0, left))
		return;
	violation(t, "no order of what was done explains\n%s", got.text);
	print_place(t);
}

/* -- all of them --------------------------------------------------------------------- */

static void prepare(struct teller *t, const struct story *story, bool wb, bool quiet)
{
	*t = (struct teller){ .story = story, .quiet = quiet };
	world_make(wb, true, false, 7);
	script_setup(story->setup);
	for (unsigned host = 0; host < HOSTS; host++) {
		script_parse(&t->script[host], story->script[host]);
		script_prepare(&t->script[host], host);
		t->call[host].host = host;
	}
	parse_turns(t);
	for (unsigned i = 0; i < STOPS_MAX; i++)
		t->choice[i] = 1;
	memory_quiesce();
	world_mark();
}

static void rewind_all(struct teller *t)
{
	for (unsigned host = 0; host < HOSTS; host++)
		forget(&t->run[host]);
	world_rewind();
}

#define OF_HOSTS (2 * (HOSTS + 1)) /* policies that hide all of a host, or of everybody */

/* The n-th of a run that leaves out orders: first whole hosts, then by lot; else by lot, but for the first. */
static struct weak_policy policy_of(const struct options *opt, unsigned n)
{
	struct weak_policy policy = { .n = opt->seed * 4096 + n, .patience = 100 };

	if (opt->orders && n <= OF_HOSTS) {
		policy.hide = n % 2 ? HIDE_OTHERS : HIDE_SOME;
		policy.of = 1u << n / 2 % (HOSTS + 1) & 7u;
		policy.density = 256;
	} else {
		policy.hide = n == 1 ? HIDE_ALL : HIDE_SOME;
		policy.density = 16u << n % 4;
	}
	return policy;
}

/* The same stops once more, in a weak memory. Who sees something late may go another way, and reach none. */
static void tell_weakly(struct teller *t, const struct options *opt)
{
	unsigned policies = opt->orders ? OF_HOSTS + 2 * POLICIES : POLICIES;

	for (t->policy = 1; t->policy <= policies && !(t->violations && opt->first_only); t->policy++) {
		const struct weak_policy policy = policy_of(opt, t->policy);
		bool whole;

		weak_begin(&policy);
		whole = tell(t);
		weak_end();
		if (whole)
			judge(t);
		rewind_all(t);
	}
	t->policy = 0;
}

static void explore_story(struct teller *t, const struct options *opt)
{
	unsigned level;

	seam_trace(opt->trace ? stdout : NULL, 7);
	do {
		bool whole = tell(t);

		level = whole ? t->n_stops - 1 : t->level - 1; /* which choice is over; none: UINT_MAX */
		if (whole && !opt->orders)
			judge(t);
		rewind_all(t);
		if (whole && opt->weak)
			tell_weakly(t, opt);
		for (unsigned i = level + 1; i < STOPS_MAX; i++)
			t->choice[i] = 1;
		if (level < STOPS_MAX)
			t->choice[level]++;
	} while (level < STOPS_MAX && !(t->violations && (opt->first_only || t->violations > 4)));
	seam_trace(NULL, 0);
	world_drop();
}

const char *story_name(unsigned n)
{
	return n < STORIES ? stories[n].name : NULL;
}

unsigned stories_tell(const struct options *opt)
{
	unsigned failed = 0, tried = 0;

	for (unsigned i = 0; i < 2 * STORIES; i++) {
		const struct story *story = &stories[i / 2];

		if ((opt->story && strcmp(opt->story, story->name)) || !(i % 2 ? opt->wb : opt->gpf))
			continue;
		prepare(&teller, story, i % 2, opt->quiet);
		explore_story(&teller, opt);
		if (!teller.played && !opt->quiet)
			printf("story %s: its stops are never reached: it tests nothing\n", story->name);
		if (!opt->quiet)
			printf("story %-17s %-3s %" PRIu64 " states, %" PRIu64 " violations\n", story->name,
			       i % 2 ? "wb" : "gpf", teller.played, teller.violations);
		failed += teller.violations || !(teller.played || opt->orders);
		tried++;
	}
	return tried ? failed : 1;
}
