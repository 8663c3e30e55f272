/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cell_judge_all.c - all cells of a run, with the deaths that the harness caused.
 *
 * `deaths` in the directory of the logs has a line "HOST GEN KILLED OVER" each: before it was
 * killed, and after it was seen to be recovered, in ns of CLOCK_MONOTONIC. What a host had
 * asked for without an answer happened before it was over, or never does: a dead
 * host whose operation shows later is refuted. What its kernel or its agent said while
 * they were dying (EIO, ENOTCONN) is no answer.
 */
#include "cell_judge.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEATHS_MAX 512u
#define SHOW_NS 3000000u

struct run {
	struct cell_history h;
	struct cell_death death[DEATHS_MAX];
	unsigned n_deaths;
	struct cell_op made[DEATHS_MAX]; /* deaths as operations of the cell at hand */
	struct cell_op **ops;            /* of the cell at hand */
	uint64_t *ends;
	struct cell_tally *tally;
};

static int load_deaths(struct run *run, const char *dir)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/deaths", dir);
	f = fopen(path, "r");
	for (struct cell_death *d = run->death; f && run->n_deaths < DEATHS_MAX; d++) {
		if (fscanf(f, "%u %u %" SCNu64 " %" SCNu64, &d->host, &d->gen, &d->killed, &d->over) != 4)
			break;
		run->n_deaths++;
	}
	if (f)
		fclose(f);
	return 0;
}

static const struct cell_death *death_of(const struct run *run, size_t i)
{
	for (unsigned k = 0; k < run->n_deaths; k++)
		if (run->death[k].host == run->h.op[i].host && run->death[k].gen == run->h.gen[i])
			return &run->death[k];
	return NULL;
}

/* -- what is judged --------------------------------------------------------------- */

static bool is_answer(const struct cell_op *op)
{
	switch (-op->result) {
	case ENOENT:
	case EEXIST:
	case EISDIR:
	case ENOTDIR:
	case ENOTEMPTY: return true;
	case EINVAL: return op->kind == CELL_RENAME;
	case EAGAIN: return op->kind == CELL_LOCK;
	default: return op->result >= 0;
	}
}

/*
 * The kernel's own refusals: of a name whose directory another host has moved below what it leads to
 * (ELOOP), or that leads to something else each time it asks (ESTALE). Nothing happened.
 */
static bool is_refusal(const struct cell_op *op)
{
	return op->result == -ESTALE || op->result == -ELOOP;
}

/* It lived when it last asked or was answered, however early the harness set out to kill it. */
static void tighten(struct run *run)
{
	for (size_t i = 0; i < run->h.count; i++)
		for (unsigned k = 0; k < run->n_deaths; k++) {
			struct cell_death *d = &run->death[k];
			const struct cell_op *op = &run->h.op[i];

			if (d->host == op->host && d->gen == run->h.gen[i] && is_answer(op) && op->t1 > d->killed)
				d->killed = op->t1;
		}
}

static void bad(struct run *run, const struct cell_op *op, const char *what)
{
	run->tally->violations++;
	printf("cell %u: %s by host %u worker %u, result %d: %s\n", op->cell, cell_kind_name(op->kind), op->host,
	       op->worker, op->result, what);
}

static bool puts_at(const struct cell_op *op, uint64_t dir, unsigned name)
{
	if (op->result < 0 || (op->kind != CELL_RENAME && op->kind != CELL_LINK))
		return false;
	return (op->dir2 == dir && op->name2 == name) ||
	       (op->kind == CELL_RENAME && op->a && op->dir == dir && op->name == name);
}

/*
 * The kernel asks for the source of a move, then for the target; if both are the same file, it says 0 and does
 * nothing. So it does if somebody put the file from the one to the other between the two questions, though it
 * was never at both. Such a move may have done nothing; others are few, and are seen to be done.
 */
static bool may_be_nothing(const struct run *run, const struct cell_op *move, size_t first, size_t end)
{
	bool may = false;

	for (size_t i = first; move->kind == CELL_RENAME && move->result == 0 && i < end && !may; i++) {
		const struct cell_op *op = &run->h.op[i];

		may = op != move && op->t0 <= move->t1 && (!op->t1 || op->t1 >= move->t0) &&
		      puts_at(op, move->dir2, move->name2);
	}
	return may;
}

static bool removes_dir(const struct cell_op *op, uint64_t *dir, unsigned *name)
{
	*dir = op->kind == CELL_RMDIR ? op->dir : op->dir2;
	*name = op->kind == CELL_RMDIR ? op->name : op->name2;
	return op->result == 0 && (op->kind == CELL_RMDIR || (op->kind == CELL_RENAME && !op->a));
}

/*
 * The kernel of a host that removes or replaces a directory by its name takes the one that it found there a
 * moment before for dead, and says ENOENT of all names in it from then on. If another host had put another one
 * there meanwhile, that is a mistake, which no filesystem can keep it from. From when on it may be so, in this cell?
 */
static uint64_t deluded_since(const struct run *run, unsigned host, size_t first, size_t end)
{
	uint64_t dir, since = UINT64_MAX;
	unsigned name;

	for (size_t i = first; i < end && since == UINT64_MAX; i++) {
		const struct cell_op *remover = &run->h.op[i];

		if (remover->host != host || !removes_dir(remover, &dir, &name))
			continue;
		for (size_t k = first; k < end && run->h.op[k].t0 <= remover->t1; k++) {
			const struct cell_op *op = &run->h.op[k];

			if (op->host != host && op->t1 >= remover->t0 && op->kind == CELL_RENAME && op->result == 0 &&
			    ((op->dir == dir && op->name == name) || (op->dir2 == dir && op->name2 == name)))
				since = remover->t0;
		}
	}
	return since;
}

/* False: not for the history. */
static bool admit(struct run *run, size_t i, uint64_t root, const uint64_t *deluded)
{
	struct cell_op *op = &run->h.op[i];
	const struct cell_death *death = death_of(run, i);

	if (op->kind == CELL_VISIT)
		return false;
	run->tally->ops++;
	if (death && op->t1 >= death->killed && !is_answer(op))
		op->t1 = 0;
	if (cell_unanswered(op)) {
		op->result = 0;
		run->tally->unanswered++;
		return !cell_looks(op) && op->kind != CELL_OPEN;
	}
	if (is_answer(op) && !(op->result == -ENOENT && op->t1 > deluded[op->host] &&
			       (op->dir != root || (op->dir2 && op->dir2 != root))))
		return true;
	run->tally->refused++;
	if (!is_refusal(op) && !is_answer(op))
		bad(run, op, strerror(-op->result));
	return false;
}

/* -- one cell ---------------------------------------------------------------------------- */

static void show(struct cell_op *const *ops, size_t n, const struct cell_op *err)
{
	for (size_t i = 0; i < n; i++) {
		const struct cell_op *o = ops[i];

		if ((o->t1 && o->t1 + SHOW_NS < err->t0) || o->t0 > err->t1)
			continue;
		printf("  %s h%u w%02u %-8s dir %" PRIx64 " %c", o == err ? ">" : " ", o->host, o->worker,
		       cell_kind_name(o->kind), o->dir, 'a' + o->name);
		printf(" -> %" PRIx64 " %c ino %" PRIx64 " a %u b %x result %d [%lld, %lld] us\n", o->dir2,
		       'a' + o->name2, o->ino, o->a, o->b, o->result, ((long long)o->t0 - (long long)err->t0) / 1000,
		       o->t1 ? ((long long)o->t1 - (long long)err->t0) / 1000 : -1LL);
	}
}

/* The deaths of hosts that were in the cell. */
static size_t add_deaths(struct run *run, size_t first, size_t end, size_t n)
{
	for (unsigned k = 0; k < run->n_deaths; k++) {
		const struct cell_death *d = &run->death[k];
		bool was = false;

		for (size_t i = first; i < end && !was; i++)
			was = run->h.op[i].host == d->host && run->h.gen[i] == d->gen;
		if (!was)
			continue;
		run->made[k] = (struct cell_op){
			.kind = CELL_DEATH,
			.host = (uint8_t)d->host,
			.t0 = d->killed,
			.t1 = d->over,
			.a = CELL_WORKERS_OF(d->host),
			.cell = run->h.op[first].cell,
		};
		run->ops[n++] = &run->made[k];
		run->tally->deaths++;
	}
	return n;
}

static void judge_cell(struct run *run, size_t first, size_t end)
{
	const struct cell_op *err = NULL;
	uint64_t root = 0, deluded[CELL_HOSTS];
	size_t n = 0;

	for (unsigned host = 0; host < CELL_HOSTS; host++)
		deluded[host] = deluded_since(run, host, first, end);
	for (size_t i = first; i < end; i++) {
		const struct cell_death *death = death_of(run, i);

		if (run->h.op[i].kind == CELL_VISIT && !root)
			root = run->h.op[i].ino;
		if (!admit(run, i, root, deluded))
			continue;
		run->h.op[i].nothing = may_be_nothing(run, &run->h.op[i], first, end);
		run->ends[n] = death ? death->over : LINEAR_NEVER;
		run->ops[n++] = &run->h.op[i];
	}
	n = add_deaths(run, first, end, n);
	run->tally->cells++;
	switch (cell_judge(run->ops, run->ends, n, root, run->tally, &err)) {
	case LINEAR_OK: return;
	case LINEAR_TOO_WIDE: bad(run, run->ops[0], "too much at once to decide"); return;
	case LINEAR_IMPOSSIBLE:
		bad(run, err, "no order explains it");
		if (run->tally->violations <= 3)
			show(run->ops, n, err);
	}
}

/* -- all cells ------------------------------------------------------------------------------ */

struct indexed {
	struct cell_op op;
	uint32_t gen;
};

static int by_cell(const void *a, const void *b)
{
	const struct indexed *x = a, *y = b;

	if (x->op.cell != y->op.cell)
		return x->op.cell < y->op.cell ? -1 : 1;
	return x->op.t0 < y->op.t0 ? -1 : x->op.t0 > y->op.t0;
}

static int sort(struct cell_history *h)
{
	struct indexed *all = malloc((h->count + 1) * sizeof(*all));

	if (!all)
		return -ENOMEM;
	for (size_t i = 0; i < h->count; i++)
		all[i] = (struct indexed){ h->op[i], h->gen[i] };
	qsort(all, h->count, sizeof(*all), by_cell);
	for (size_t i = 0; i < h->count; i++) {
		h->op[i] = all[i].op;
		h->gen[i] = all[i].gen;
	}
	free(all);
	return 0;
}

int cell_judge_all(const char *dir, struct cell_tally *tally)
{
	static struct run run;
	int rc = cell_log_load(dir, &run.h);
	size_t end;

	*tally = (struct cell_tally){ 0 };
	run.tally = tally;
	run.ops = malloc((run.h.count + DEATHS_MAX) * sizeof(struct cell_op *));
	run.ends = malloc((run.h.count + DEATHS_MAX) * sizeof(uint64_t));
	if (rc == 0)
		rc = run.ops && run.ends ? load_deaths(&run, dir) : -ENOMEM;
	if (rc == 0)
		rc = sort(&run.h);
	if (rc == 0)
		tighten(&run);
	for (size_t first = 0; rc == 0 && first < run.h.count; first = end) {
		for (end = first; end < run.h.count && run.h.op[end].cell == run.h.op[first].cell;)
			end++;
		judge_cell(&run, first, end);
	}
	return rc;
}
