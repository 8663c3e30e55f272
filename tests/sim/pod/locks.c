/* SPDX-License-Identifier: Apache-2.0 */
/* locks.c - see pod/locks.h. Single-threaded; the rows are a static table. */
#include "pod/locks.h"

#include <errno.h>
#include <string.h>

#include "machine/arena.h"
#include "pod/judge.h"

#define ROWS_MAX 2048u

/* what one owner has of one file */
static struct row {
	uint64_t ino;
	unsigned slot, owner, kind;
	uint8_t sure[LOCK_CELLS];  /* enum daxfs_lock_type */
	uint8_t maybe[LOCK_CELLS]; /* bits of them */
} rows[ROWS_MAX];
static unsigned n_rows;

void locks_reset(void)
{
	n_rows = 0;
}

static struct row *row_of(const struct op *op)
{
	unsigned i = 0;

	while (i < n_rows && (rows[i].ino != op->ino || rows[i].slot != op->host || rows[i].owner != op->uid ||
			      rows[i].kind != op->flags))
		i++;
	if (i == ROWS_MAX)
		arena_die("more locks than the simulator remembers");
	if (i == n_rows)
		rows[n_rows++] = (struct row){ .ino = op->ino, .slot = op->host, .owner = op->uid, .kind = op->flags };
	return &rows[i];
}

static bool other(const struct row *row, const struct op *op)
{
	return row->ino == op->ino && row->kind == op->flags && (row->slot != op->host || row->owner != op->uid);
}

/* Is another owner in the way, for sure or perhaps? */
static bool in_the_way(const struct op *op, bool sure)
{
	unsigned types = op->set == DAXFS_LOCK_WRITE  ? 1u << DAXFS_LOCK_READ | 1u << DAXFS_LOCK_WRITE
			 : op->set == DAXFS_LOCK_READ ? 1u << DAXFS_LOCK_WRITE
						      : 0;

	for (unsigned i = 0; i < n_rows; i++)
		for (uint64_t c = op->offset; other(&rows[i], op) && c <= op->len; c++)
			if (types & (sure ? 1u << rows[i].sure[c] : rows[i].maybe[c]))
				return true;
	return false;
}

static void begin_lock(struct pending *p)
{
	struct row *row = row_of(&p->op);

	memcpy(p->lock_sure, row->sure, LOCK_CELLS);
	memcpy(p->lock_maybe, row->maybe, LOCK_CELLS);
	for (uint64_t c = p->op.offset; c <= p->op.len; c++) {
		if (row->sure[c] > p->op.set)
			row->sure[c] = (uint8_t)p->op.set;
		row->maybe[c] |= (uint8_t)(1u << p->op.set);
	}
	p->refusable = in_the_way(&p->op, false);
	pendings_see_lock();
}

void locks_begin(struct pending *p)
{
	if (p->op.kind == DO_LOCK)
		begin_lock(p);
	for (unsigned i = 0; p->op.kind == DO_RELEASE && i < n_rows; i++)
		if (rows[i].slot == p->slot && rows[i].ino == p->op.ino)
			memset(rows[i].sure, 0, LOCK_CELLS);
}

bool locks_refusable(const struct op *op)
{
	return in_the_way(op, false);
}

const char *locks_end(const struct pending *p, long rc)
{
	struct row *row = row_of(&p->op);

	if (rc == -ESTALE)
		return NULL;
	if (rc) { /* nothing has changed */
		memcpy(row->sure, p->lock_sure, LOCK_CELLS);
		memcpy(row->maybe, p->lock_maybe, LOCK_CELLS);
		return rc == -EAGAIN && !p->refusable ? "refused, and nobody was in the way" : NULL;
	}
	pod.tallies->locks += p->op.set != DAXFS_UNLOCK;
	for (uint64_t c = p->op.offset; c <= p->op.len; c++) {
		row->sure[c] = (uint8_t)p->op.set;
		row->maybe[c] = (uint8_t)(p->op.set ? 1u << p->op.set : 0);
	}
	return in_the_way(&p->op, true) ? "locked, and another one has it" : NULL;
}

static void end_rows(unsigned slot, uint64_t ino, bool sure_only)
{
	for (unsigned i = n_rows; i-- > 0;) {
		if (rows[i].slot != slot || (ino && rows[i].ino != ino))
			continue;
		memset(rows[i].sure, 0, LOCK_CELLS);
		if (!sure_only)
			rows[i] = rows[--n_rows];
	}
}

void locks_released(unsigned slot, uint64_t ino)
{
	end_rows(slot, ino, false);
}

void locks_ending(unsigned slot)
{
	end_rows(slot, 0, true);
}

void locks_ended(unsigned slot)
{
	end_rows(slot, 0, false);
}
