/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cell_selftest.c - is the outside checker to be believed?
 *
 * A pretended system of a few workers does random operations on one cell, each at a
 * moment between its start and its end, with hosts that die. Sound, its histories must be
 * explained, all of them. Then it makes one kind of mistake, now and then, as a filesystem
 * might: each kind must be refuted within HISTORIES histories.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cell_judge.h"

#define HISTORIES 200u
#define OPS_MAX 160u
#define WORKERS 6u
#define HOSTS 3u
#define ROOT 1u
#define NOREPLACE 1u
#define EXCHANGE 2u

enum mistake {
	SOUND,
	STALE_READ, /* of a slot: what was there before */
	TORN_READ,
	LOST_APPEND, /* said to have happened */
	APPEND_OVER, /* at an old end: over what another one appended */
	LOST_CUT,
	RENAME_BOTH,    /* the old name stays */
	RENAME_NEITHER, /* the new name does not come */
	RESURRECTED,    /* a name that was removed is there again */
	TWO_WINNERS,    /* of exclusive creation */
	REMOVED_FULL,   /* a directory that is not empty */
	CYCLE,          /* a directory into itself */
	UNLISTED,       /* a name that is there is not found */
	ANOTHER_FILE,   /* a name leads to a number that it never had */
	HALF_EXCHANGE,
	LOCK_TWICE,
	LOCK_OUTLIVES,  /* its host */
	LOCK_REFUSED,   /* though nobody has it */
	GONE_TOO_EARLY, /* an open file without a name */
	LATE_DEAD,      /* an operation of a dead host shows after it was recovered */
	WRONG_LINKS,
	MISTAKES
};

static const char *const names[MISTAKES] = {
	"sound",
	"stale read",
	"torn read",
	"lost append",
	"append over another",
	"lost truncation",
	"rename that shows both",
	"rename that shows neither",
	"resurrected name",
	"two winners",
	"full directory removed",
	"cycle",
	"name not found",
	"name of another file",
	"half an exchange",
	"lock given twice",
	"lock outlives its host",
	"lock refused though free",
	"open file gone",
	"dead host's operation comes late",
	"wrong link count",
};

struct pretence {
	enum mistake mistake;
	uint64_t dice, clock, next_ino;
	struct cell cell;
	uint32_t last[CELL_SLOTS]; /* values that slots had before, of any file */
	struct cell_op op[OPS_MAX + 2];
	uint64_t ends[OPS_MAX + 2];
	unsigned n;
	struct cell_op *now[WORKERS]; /* in progress */
	bool done[WORKERS];           /* it has taken effect */
	uint64_t open[WORKERS];
	bool locked[WORKERS];
	int dead;            /* host */
	struct cell_op late; /* of the dead one, to come */
};

static uint32_t draw(struct pretence *p, uint32_t n)
{
	p->dice = p->dice * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)((p->dice >> 33) % n);
}

static struct cell_node *node_of(struct cell *cell, uint64_t ino)
{
	for (unsigned i = 0; i < CELL_NODES; i++)
		if (cell->node[i].type && cell->node[i].ino == ino)
			return &cell->node[i];
	return NULL;
}

/* -- the system ------------------------------------------------------------------------ */

/* A try with an answer: the cell changes only if it is a right one. */
static bool tried(struct cell *cell, struct cell_op *op, int result)
{
	struct cell copy = *cell;

	op->result = result;
	op->t1 = 1; /* answered */
	if (!cell_apply(&copy, op))
		return false;
	*cell = copy;
	return true;
}

static uint64_t any_ino(struct pretence *p, unsigned type)
{
	for (unsigned i = 0; i < 40; i++) {
		const struct cell_node *node = &p->cell.node[draw(p, CELL_NODES)];

		if (node->type == type && node->ino)
			return node->ino;
	}
	return ROOT;
}

/* What a read sees, and who is looked up. */
static void observe(struct pretence *p, struct cell_op *op)
{
	struct cell_node *node = node_of(
		&p->cell,
		op->kind == CELL_LOOKUP || op->kind == CELL_OPEN || op->kind == CELL_OPENDIR ? op->dir : op->ino);
	unsigned to = node && op->name < CELL_NAMES ? node->entry[op->name] : 0;

	switch (op->kind) {
	case CELL_LOOKUP:
	case CELL_OPEN:
	case CELL_OPENDIR:
		op->ino = to ? p->cell.node[to].ino : 0;
		op->a = to && p->cell.node[to].type == 2;
		break;
	case CELL_ATTR:
		op->a = node ? node->links : 0;
		op->b = node ? node->slots : 0;
		break;
	case CELL_READ: op->b = node && op->a < node->slots ? node->slot[op->a] : 0; break;
	case CELL_READ_ALL:
		op->a = node ? node->slots : 0;
		if (node)
			memcpy(op->all, node->slot, sizeof(op->all));
	}
}

static void take_effect_soundly(struct pretence *p, struct cell_op *op)
{
	static const int results[] = { 0, 1, -ENOENT, -EEXIST, -EISDIR, -ENOTDIR, -ENOTEMPTY, -EAGAIN, -EINVAL };
	const struct cell_node *file = node_of(&p->cell, op->ino);
	unsigned i = 0;

	observe(p, op);
	if (op->kind == CELL_READ && file && op->a < file->slots)
		i = 1;
	while (i < sizeof(results) / sizeof(results[0]) && !tried(&p->cell, op, results[i]))
		i++;
	if (i == sizeof(results) / sizeof(results[0])) {
		op->result = 0; /* after a mistake nothing need be right */
		if (p->mistake == SOUND)
			printf("self-test: %s: no answer is right\n", cell_kind_name(op->kind));
	}
	if (op->kind == CELL_CREATE && op->result == -EEXIST)
		op->ino = 0;
}

/* -- and its mistakes ------------------------------------------------------------------- */

static void mistake_of_names(struct pretence *p, struct cell_op *op, struct cell *before)
{
	struct cell_node *dir = node_of(&p->cell, op->dir), *dir2 = node_of(&p->cell, op->dir2);
	const struct cell_node *was = node_of(before, op->dir);
	unsigned old = was ? was->entry[op->name] : 0;

	if (!dir || op->result < 0 || !old)
		return;
	if (p->mistake == RENAME_BOTH && op->kind == CELL_RENAME && !op->a && dir2 &&
	    (dir != dir2 || op->name != op->name2))
		dir->entry[op->name] = (uint8_t)old;
	if (p->mistake == RENAME_NEITHER && op->kind == CELL_RENAME && dir2 && !(op->a & EXCHANGE))
		dir2->entry[op->name2] = 0;
	if (p->mistake == HALF_EXCHANGE && op->kind == CELL_RENAME && dir2 && op->a & EXCHANGE)
		dir->entry[op->name] = (uint8_t)old;
	if (p->mistake == RESURRECTED && op->kind == CELL_UNLINK)
		p->cell = *before;
}

static void mistake_of_files(struct pretence *p, struct cell_op *op, const struct cell *before)
{
	struct cell_node *file = node_of(&p->cell, op->ino);

	if (!file || op->result < 0)
		return;
	if (p->mistake == STALE_READ && op->kind == CELL_READ && op->result == 1)
		op->b = p->last[op->a];
	if (p->mistake == TORN_READ && op->kind == CELL_READ && op->result == 1)
		op->b = CELL_TORN;
	if (p->mistake == LOST_APPEND && op->kind == CELL_APPEND)
		p->cell = *before;
	if (p->mistake == APPEND_OVER && op->kind == CELL_APPEND && file->slots > 1) {
		file->slot[file->slots - 2] = op->b;
		file->slot[--file->slots] = 0;
	}
	if (p->mistake == LOST_CUT && op->kind == CELL_TRUNCATE)
		p->cell = *before;
	if (p->mistake == WRONG_LINKS && op->kind == CELL_ATTR)
		op->a++;
	if (p->mistake == GONE_TOO_EARLY && op->kind == CELL_READ && !file->links)
		op->result = 0;
}

static void mistake_of_answers(struct pretence *p, struct cell_op *op, const struct cell *before)
{
	struct cell_node *dir = node_of(&p->cell, op->dir);
	unsigned to = dir && op->name < CELL_NAMES ? dir->entry[op->name] : 0;

	if (p->mistake == TWO_WINNERS && op->kind == CELL_CREATE && op->result == -EEXIST) {
		op->result = 0;
		op->ino = ++p->next_ino;
	}
	if (p->mistake == REMOVED_FULL && op->kind == CELL_RMDIR && op->result == -ENOTEMPTY && to) {
		op->result = 0;
		dir->entry[op->name] = 0;
	}
	if (p->mistake == CYCLE && op->kind == CELL_RENAME && op->result == -EINVAL)
		op->result = 0;
	if (p->mistake == UNLISTED && op->kind == CELL_LOOKUP && op->result == 0)
		op->result = -ENOENT;
	if (p->mistake == ANOTHER_FILE && op->kind == CELL_LOOKUP && op->result == 0)
		op->ino += 1000;
	if (p->mistake == LOCK_TWICE && op->kind == CELL_LOCK)
		op->result = 0;
	if (p->mistake == LOCK_REFUSED && op->kind == CELL_LOCK && op->result == 0) {
		op->result = -EAGAIN;
		p->cell = *before;
	}
}

static void take_effect(struct pretence *p, struct cell_op *op)
{
	struct cell before = p->cell;
	const struct cell_node *file;

	take_effect_soundly(p, op);
	file = node_of(&before, op->ino);
	if (file && (op->kind == CELL_WRITE || op->kind == CELL_APPEND))
		memcpy(p->last, file->slot, sizeof(p->last));
	if (p->mistake == SOUND || draw(p, 3))
		return;
	mistake_of_names(p, op, &before);
	mistake_of_files(p, op, &before);
	mistake_of_answers(p, op, &before);
}

/* -- a history ----------------------------------------------------------------------------- */

static enum cell_kind any_kind(struct pretence *p, unsigned worker)
{
	static const uint8_t on_files[] = { CELL_ATTR, CELL_WRITE, CELL_APPEND,   CELL_TRUNCATE,
					    CELL_READ, CELL_READ,  CELL_READ_ALL, CELL_LINK };
	static const uint8_t on_names[] = { CELL_MKDIR,  CELL_UNLINK, CELL_RMDIR, CELL_RENAME,
					    CELL_RENAME, CELL_LOOKUP, CELL_LOOKUP };

	if (draw(p, 8) == 0)
		return p->locked[worker] ? CELL_UNLOCK : CELL_LOCK;
	if (draw(p, 2))
		return on_names[draw(p, sizeof(on_names))];
	if (p->open[worker])
		return draw(p, 8) ? on_files[draw(p, sizeof(on_files))] : CELL_CLOSE;
	return draw(p, 2) ? CELL_CREATE : CELL_OPEN;
}

static void begin(struct pretence *p, unsigned worker)
{
	struct cell_op *op = &p->op[p->n];

	*op = (struct cell_op){
		.kind = (uint8_t)any_kind(p, worker),
		.host = (uint8_t)(worker % HOSTS),
		.worker = (uint8_t)worker,
		.dir = any_ino(p, 2),
		.dir2 = any_ino(p, 2),
		.name = (uint8_t)draw(p, CELL_NAMES),
		.name2 = (uint8_t)draw(p, CELL_NAMES),
		.ino = p->open[worker],
		.a = draw(p, 3),
		.b = p->n + 1,
		.t0 = ++p->clock,
	};
	if (op->kind == CELL_CREATE || op->kind == CELL_MKDIR)
		op->ino = ++p->next_ino;
	if (op->kind == CELL_RENAME)
		op->a = draw(p, 4) ? 0 : 1 + draw(p, 2);
	if (op->kind == CELL_LOCK)
		op->a = 1 + draw(p, 2);
	p->ends[p->n++] = LINEAR_NEVER;
	p->now[worker] = op;
	p->done[worker] = false;
}

static void answer(struct pretence *p, unsigned worker)
{
	struct cell_op *op = p->now[worker];

	op->t1 = ++p->clock;
	p->now[worker] = NULL;
	if (op->kind == CELL_CREATE || op->kind == CELL_OPEN)
		p->open[worker] = op->result == 0 ? op->ino : 0;
	if (op->kind == CELL_CLOSE)
		p->open[worker] = 0;
	if (op->result == 0 && (op->kind == CELL_LOCK || op->kind == CELL_UNLOCK))
		p->locked[worker] = op->kind == CELL_LOCK;
}

/* A host dies in the middle: what it asked for happens, or not; then it is recovered. */
static void die(struct pretence *p, unsigned host)
{
	struct cell_op death = { .kind = CELL_DEATH, .host = (uint8_t)host, .a = 0, .t0 = ++p->clock, .t1 = 1 };
	unsigned from = p->n;

	for (unsigned w = host; w < WORKERS; w += HOSTS) {
		struct cell_op *op = p->now[w];

		death.a |= 1u << w;
		if (op && !p->done[w] && draw(p, 2))
			take_effect_soundly(p, op);
		else if (op && !p->done[w] && p->mistake == LATE_DEAD && !cell_looks(op))
			p->late = *op;
		if (op) {
			op->t1 = 0;
			op->result = 0;
			op->ino = op->kind == CELL_CREATE ? 0 : op->ino; /* directories are used without a look */
		}
		p->now[w] = NULL;
		p->open[w] = 0;
		p->locked[w] = false;
	}
	if (p->mistake != LOCK_OUTLIVES)
		cell_apply(&p->cell, &death);
	p->clock++;
	for (unsigned i = 0; i < from; i++)
		if (p->op[i].host == host && cell_unanswered(&p->op[i]))
			p->ends[i] = p->clock;
	death.t1 = p->clock++;
	p->op[p->n] = death;
	p->ends[p->n++] = LINEAR_NEVER;
	p->dead = (int)host;
}

static void turn(struct pretence *p)
{
	unsigned w = draw(p, WORKERS);

	if (p->dead == (int)(w % HOSTS))
		return;
	if (p->n == OPS_MAX / 2 && p->dead < 0) {
		die(p, w % HOSTS);
	} else if (!p->now[w]) {
		begin(p, w);
	} else if (!p->done[w]) {
		take_effect(p, p->now[w]);
		p->done[w] = true;
	} else {
		answer(p, w);
	}
	if (p->late.kind && p->n > OPS_MAX / 2 + 12) {
		take_effect_soundly(p, &p->late);
		p->late.kind = CELL_NONE;
	}
}

/* Files made by a dead host have no number yet: its first looker gives it one, in the system as well. */
static void give_numbers(struct pretence *p)
{
	for (unsigned i = 1; i < CELL_NODES; i++)
		if (p->cell.node[i].type && !p->cell.node[i].ino)
			p->cell.node[i].ino = ++p->next_ino;
}

static enum linear_verdict one_history(enum mistake mistake, uint64_t seed, const struct cell_op **err)
{
	static struct pretence p;
	static struct cell_op *ops[OPS_MAX + 2];
	struct cell_tally tally = { 0 };
	size_t n = 0;

	p = (struct pretence){ .mistake = mistake, .dice = seed * 7919 + mistake, .next_ino = 10, .dead = -1 };
	cell_init(&p.cell, ROOT);
	while (p.n < OPS_MAX && !p.cell.overflow) {
		turn(&p);
		give_numbers(&p);
	}
	for (unsigned w = 0; w < WORKERS; w++)
		if (p.now[w])
			p.now[w]->t1 = 0; /* nobody waited for the answer */
	for (unsigned i = 0; i < p.n; i++) {
		if (cell_unanswered(&p.op[i])) {
			p.op[i].result = 0;
			if (cell_looks(&p.op[i]) || p.op[i].kind == CELL_OPEN)
				continue;
		}
		p.ends[n] = p.ends[i];
		ops[n++] = &p.op[i];
	}
	return cell_judge(ops, p.ends, n, ROOT, &tally, err);
}

static bool believable(enum mistake mistake)
{
	const struct cell_op *err = NULL;

	for (unsigned seed = 1; seed <= HISTORIES; seed++) {
		enum linear_verdict verdict = one_history(mistake, seed, &err);

		if (mistake != SOUND && verdict == LINEAR_IMPOSSIBLE)
			return true;
		if (mistake == SOUND && verdict != LINEAR_OK) {
			printf("self-test: a sound history is not believed: seed %u, verdict %d, at %s\n", seed,
			       verdict, err ? cell_kind_name(err->kind) : "-");
			return false;
		}
	}
	if (mistake != SOUND)
		printf("self-test: %s: not refuted in %u histories\n", names[mistake], HISTORIES);
	return mistake == SOUND;
}

unsigned cell_selftest(void)
{
	unsigned wrong = 0;

	for (unsigned mistake = SOUND; mistake < MISTAKES; mistake++)
		wrong += !believable((enum mistake)mistake);
	printf("self-test: %u sound histories, %u kinds of mistakes, %u judged wrong\n", HISTORIES, MISTAKES - 1,
	       wrong);
	return wrong;
}
