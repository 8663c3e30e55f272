/* SPDX-License-Identifier: Apache-2.0 */
/*
 * interleave_death.c - see interleave.h: one of two hosts dies, and what comes of it.
 *
 * What a death leaves is known by its digest before anything is done: the digest
 * of memory is an exclusive or over lines, so what the loss of a unit does to it
 * is reckoned once a crash, and each subset costs a few exclusive ors. Only what
 * was not there before is played.
 *
 * With opt->every all is played that this saves, and every loss is done to look
 * at what it leaves: which states are judged must not depend on it.
 */
#include "exhaustive/interleave_inside.h"

#include <inttypes.h>

#include "machine/arena.h"

#define RANDOMS 8u
#define UNITS_MAX 256u

#define RECOVERIES (1u << 16)

/* Where host 2 recovered first: what it found and what it left. The newest of those whose digests meet. */
struct recovery {
	uint64_t before, after;
};

struct crash {
	unsigned dead;
	uint64_t rest, rest_early; /* digests of all but memory: here, and when the dead host was recovered */
	uint64_t bytes, all;       /* memory as it is; what the loss of all units does to it */
	bool over, midway;         /* the other one has ended; it is in the middle of something */
};

/* All that decides how it goes on after a death, but memory: caches do not matter any more. */
static uint64_t digest_rest(const struct interleave *w, unsigned dead, const struct run *run)
{
	return interleave_fold(interleave_fold_run(dead, run), history_digest(&w->history));
}

/* Memory, and DRAM of host 2 if it will be used and is not as in the beginning. */
static uint64_t digest_image(const struct interleave *w)
{
	return interleave_fold(w->candidate, memory_digest_bytes());
}

/* Was the survivor here before? */
static bool was_here(struct interleave *w, const struct run *run)
{
	return !visited_add(&w->wrecks, interleave_fold(digest_rest(w, w->path.dead, run), digest_image(w)));
}

/*
 * What follows was played before: stop. Two survivors that were told the same come
 * to the same place where memory becomes the same: no need to look before that, but
 * where the other host may die later, with this one stopped.
 */
static void survivor_step(void *context, struct run *run, const struct seam_event *event)
{
	struct interleave *w = context;
	bool shared = footprint_note(&w->touches, run->host, event);

	if (!shared && w->looked_changes == seam_changes())
		return;
	w->looked_changes = seam_changes();
	w->known = was_here(w, run);
	if (w->known)
		run->pause_at = run->steps;
}

/* What recovery touches, the dead host touches. */
static void recovery_step(void *context, struct run *run, const struct seam_event *event)
{
	struct interleave *w = context;

	(void)run;
	footprint_note(&w->touches, w->path.dead, event);
}

/* The other goes on to its end, or to where what follows is known. */
static bool survive(struct interleave *w, struct run *run)
{
	char text[256];

	w->known = false;
	w->looked_changes = seam_changes();
	run->hook = survivor_step;
	run->steps_max = run->steps + STEPS_MAX;
	if (run->end != RUN_PAUSED)
		return true;
	run_until(run, 0);
	if (run->end == RUN_BROKEN) {
		snprintf(text, sizeof(text), "host %u going on: %s", run->host, run->err);
		interleave_violation(w, text);
		return false;
	}
	return !w->known && !was_here(w, run);
}

static long call_recover(void *arg)
{
	struct daxfs_recovery report;

	return daxfs_recover(world.fs[2], *(unsigned *)arg, &report);
}

static struct recovery *recovery_of(const struct interleave *w, uint64_t before)
{
	return &w->recovery[(before >> 7) % RECOVERIES];
}

static bool recover_early(struct interleave *w)
{
	uint64_t before = interleave_fold(w->path.dead, memory_digest_bytes());
	struct run run;
	char text[256];
	bool ok = true;

	w->path.early = true;
	if (!world_fence(w->path.dead, 2))
		return true;
	run_start(&run, 2, call_recover, &w->path.dead);
	run.hook = recovery_step;
	run.context = w;
	run.steps_max = STEPS_MAX;
	run_until(&run, 0);
	if (run.end != RUN_RETURNED || run.result) {
		snprintf(text, sizeof(text), "recovery by host 2: %ld %s", run.result, run.err);
		interleave_violation(w, text);
		ok = false;
	}
	run_free(&run);
	w->history.recovered = 1 + w->path.dead;
	w->candidate = aftermath_by(1u << w->path.dead) == 2 ? arena_digest(2) : 0;
	*recovery_of(w, before) = (struct recovery){ before, digest_image(w) };
	return ok;
}

void interleave_lay_to_rest(struct interleave *w, unsigned dead, struct fate fate, bool early)
{
	w->path.dead = dead;
	w->path.fate = fate;
	w->candidate = 0;
	world_lose(dead, fate);
	if (early && !recover_early(w))
		return;
	if (early && was_here(w, &w->run[1 - dead]) && !w->opt->every)
		return;
	if (survive(w, &w->run[1 - dead]))
		interleave_finish(w, 1u << dead);
}

static void play(struct interleave *w, unsigned dead, struct fate fate, bool early)
{
	interleave_keep(w);
	interleave_lay_to_rest(w, dead, fate, early);
	interleave_go_back(w);
	interleave_drop(w);
}

/* Done to look at what it leaves. */
static uint64_t digest_after(unsigned dead, struct fate fate)
{
	uint64_t bytes;

	memory_mark();
	memory_lose(dead, fate);
	bytes = memory_digest_bytes();
	memory_rewind();
	memory_drop();
	return bytes;
}

/* Does the death leave what was played before? */
static bool late_is_known(struct interleave *w, const struct crash *crash, uint64_t bytes)
{
	if (crash->over)
		return visited_has(&w->ends, interleave_fold(crash->rest, bytes));
	return !visited_add(&w->wrecks, interleave_fold(crash->rest, interleave_fold(0, bytes)));
}

/* Does recovery lead to what was played before, for all that is known? */
static bool early_is_known(const struct interleave *w, const struct crash *crash, uint64_t bytes)
{
	uint64_t before = interleave_fold(crash->dead, bytes);
	const struct recovery *recovery = recovery_of(w, before);

	return recovery->before == before &&
	       visited_has(&w->wrecks, interleave_fold(crash->rest_early, recovery->after));
}

/* `loss`: what it does to the digest of memory. */
static void die(struct interleave *w, const struct crash *crash, struct fate fate, uint64_t loss)
{
	uint64_t bytes = w->opt->every ? digest_after(crash->dead, fate) : crash->bytes ^ loss;

	w->tally.deaths++;
	if (interleave_exhausted(w))
		return;
	if (w->opt->every || !late_is_known(w, crash, bytes))
		play(w, crash->dead, fate, false);
	if (crash->midway && (w->opt->every || !early_is_known(w, crash, bytes)))
		play(w, crash->dead, fate, true);
}

static void lose_units(struct interleave *w, const struct crash *crash, const struct memory_unit *unit, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint64_t kept = crash->all ^ unit[i].loss;

		die(w, crash, (struct fate){ .kind = FATE_DROP_UNIT, .n = unit[i].first }, unit[i].loss);
		die(w, crash, (struct fate){ FATE_KEEP_UNITS, unit[i].first, unit[i].first }, kept);
		for (unsigned k = i + 1; k < n; k++) {
			struct fate both = { FATE_KEEP_UNITS, unit[i].first, unit[k].first };

			die(w, crash, both, kept ^ unit[k].loss);
		}
	}
}

static struct crash crash_of(struct interleave *w, unsigned dead)
{
	const struct run *other = &w->run[1 - dead];
	struct crash crash = {
		.dead = dead,
		.bytes = memory_digest_bytes(),
		.over = other->end == RUN_RETURNED,
		.midway = other->end == RUN_PAUSED && other->steps > 0,
	};
	unsigned recovered = w->history.recovered;

	crash.rest = crash.over ? interleave_digest_end(w, 1u << dead) : digest_rest(w, dead, other);
	w->history.recovered = 1 + dead;
	crash.rest_early = digest_rest(w, dead, other);
	w->history.recovered = recovered;
	return crash;
}

void interleave_crash(struct interleave *w, unsigned host)
{
	struct memory_unit unit[UNITS_MAX];
	unsigned n = world.wb ? memory_units(host, unit, UNITS_MAX) : 0;
	struct crash crash = crash_of(w, host);

	for (unsigned i = 0; i < n; i++)
		crash.all ^= unit[i].loss;
	die(w, &crash, (struct fate){ .kind = FATE_KEEP_ALL }, 0);
	if (n)
		die(w, &crash, (struct fate){ .kind = FATE_DROP_ALL }, crash.all);
	lose_units(w, &crash, unit, n);
	for (uint64_t i = 1; n && i <= RANDOMS; i++) {
		struct fate fate = { .kind = FATE_RANDOM, .n = i };

		die(w, &crash, fate, memory_loss(host, fate));
	}
}

void interleave_forget_deaths(struct interleave *w)
{
	w->recovery = arena_host_realloc(w->recovery, RECOVERIES * sizeof(*w->recovery));
	memset(w->recovery, 0, RECOVERIES * sizeof(*w->recovery));
	visited_clear(&w->crashes);
	visited_clear(&w->wrecks);
}
