/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify_data.c - block files and append files.
 *
 * Block writes are all or nothing and happen at one moment, so the final
 * content must be the last of one order of all that happened: acknowledged
 * ones, and pending ones of which anything was ever seen. The order is built
 * from its end: a write may be last if no remaining one began after it ended,
 * and on each of its blocks either it is what is there or what is there has
 * already been placed after it. A write that tore, or two that overlap and each
 * won somewhere, or one lost, leaves nothing that may be last.
 */
#include "verify.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bfile {
	struct verify *v;
	const char *path;
	const struct op **ops; /* writes and reads, by start */
	size_t n;
	size_t *by_id;   /* indexes of ops, by id */
	bool *placed;    /* per op: happened and is in the order, or never happened */
	uint64_t *final; /* per block: op id, 0 a hole */
	size_t blocks;
};

static bool of_file(const struct op *op, const void *arg)
{
	return (op->kind == OP_BLOCK_WRITE || op->kind == OP_BLOCK_READ) && !strcmp(op->name[0], arg);
}

static bool covers(const struct op *w, uint64_t block)
{
	return w->kind == OP_BLOCK_WRITE && block >= w->b && block - w->b < w->c;
}

/* Which of the file's operations has this id; n if none. */
static size_t index_of(const struct bfile *f, uint64_t id)
{
	size_t low = 0, high = f->n, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (f->ops[f->by_id[mid]]->id < id)
			low = mid + 1;
		else
			high = mid;
	}
	return low < f->n && f->ops[f->by_id[low]]->id == id ? f->by_id[low] : f->n;
}

static const struct op *writer_of(const struct bfile *f, uint64_t id, uint64_t block)
{
	size_t i = index_of(f, id);

	return i < f->n && covers(f->ops[i], block) ? f->ops[i] : NULL;
}

static int compare_ids(const void *a, const void *b, void *arg)
{
	const struct bfile *f = arg;
	uint64_t x = f->ops[*(const size_t *)a]->id, y = f->ops[*(const size_t *)b]->id;

	return x < y ? -1 : x > y;
}

static void index_ids(struct bfile *f)
{
	f->by_id = get_memory(f->n, sizeof(*f->by_id));
	for (size_t i = 0; i < f->n; i++)
		f->by_id[i] = i;
	qsort_r(f->by_id, f->n, sizeof(*f->by_id), compare_ids, f);
}

static uint32_t file_id(const struct verify *v, const char *path)
{
	char full[OPLOG_NAME + 32];

	snprintf(full, sizeof(full), "%s/%s", v->round, path);
	return path_id(full);
}

/* What each block holds; false when the file cannot be judged further. */
static bool load_blocks(struct bfile *f)
{
	size_t size = 0;
	int error;
	uint8_t *data = slurp(f->v, f->path, &size, &error);
	const char *err;
	struct stamp s;
	uint64_t before = f->v->violations;

	if (!data && error != -ENOENT)
		bad(f->v, "%s: cannot read: %s", f->path, strerror(-error));
	if (size % CHAOS_BLOCK)
		bad(f->v, "%s: size %zu is not a whole number of blocks", f->path, size);
	f->blocks = size / CHAOS_BLOCK;
	f->final = get_memory(f->blocks, sizeof(*f->final));
	for (size_t i = 0; i < f->blocks; i++) {
		if (is_zero(data + i * CHAOS_BLOCK, CHAOS_BLOCK))
			continue;
		err = block_check(data + i * CHAOS_BLOCK, file_id(f->v, f->path), i, &s);
		if (err)
			bad(f->v, "%s block %zu: %s", f->path, i, err);
		else
			f->final[i] = s.op;
		f->v->blocks++;
	}
	free(data);
	return f->v->violations == before;
}

static bool seen_anywhere(const struct bfile *f, const struct op *w)
{
	for (uint64_t b = w->b; b < w->b + w->c && b < f->blocks; b++)
		if (f->final[b] == w->id)
			return true;
	for (size_t i = 0; i < f->n; i++)
		if (f->ops[i]->kind == OP_BLOCK_READ && !op_pending(f->ops[i]) && f->ops[i]->c == w->id)
			return true;
	return false;
}

static bool happened(const struct bfile *f, const struct op *w)
{
	return op_pending(w) ? seen_anywhere(f, w) : w->result >= 0;
}

/* The last write on each of w's blocks is w itself or already placed after it. */
static bool may_follow_rest(const struct bfile *f, const struct op *w, const size_t *final_at)
{
	for (uint64_t b = w->b; b < w->b + w->c; b++) {
		if (b >= f->blocks || final_at[b] == f->n)
			return false; /* happened, and nothing is there */
		if (f->final[b] != w->id && !f->placed[final_at[b]])
			return false;
	}
	return true;
}

static void report_stuck(struct bfile *f, uint64_t latest)
{
	char who[64];

	for (size_t i = 0; i < f->n; i++)
		if (!f->placed[i] && f->ops[i]->t1 >= latest)
			bad(f->v, "%s: write of blocks %llu+%llu by %s%s is not wholly there nor wholly overwritten",
			    f->path, (unsigned long long)f->ops[i]->b, (unsigned long long)f->ops[i]->c,
			    op_text(f->ops[i]->id, who), op_pending(f->ops[i]) ? " (not acknowledged)" : "");
}

static void place_all(struct bfile *f, const size_t *final_at)
{
	size_t top = f->n, i;
	uint64_t latest;

	for (;;) {
		while (top && f->placed[top - 1])
			top--;
		if (!top)
			return;
		latest = f->ops[top - 1]->t0; /* ops are by start: no remaining one starts later */
		for (i = top; i; i--)
			if (!f->placed[i - 1] && f->ops[i - 1]->t1 >= latest &&
			    may_follow_rest(f, f->ops[i - 1], final_at))
				break;
		if (!i) {
			report_stuck(f, latest);
			return;
		}
		f->placed[i - 1] = true;
	}
}

static void check_order(struct bfile *f)
{
	size_t *final_at = get_memory(f->blocks, sizeof(*final_at));
	bool sound = true;
	uint64_t end = 0;
	char who[64];

	for (size_t i = 0; i < f->n; i++) {
		const struct op *w = f->ops[i];

		f->placed[i] = w->kind != OP_BLOCK_WRITE || !happened(f, w);
		if (!f->placed[i] && w->b + w->c > end)
			end = w->b + w->c;
		if (w->kind == OP_BLOCK_WRITE && !op_pending(w) && w->result >= 0 &&
		    (uint64_t)w->result != w->c * CHAOS_BLOCK)
			bad(f->v, "%s: short write by %s: %d", f->path, op_text(w->id, who), w->result);
	}
	for (size_t b = 0; b < f->blocks; b++) {
		final_at[b] = f->final[b] ? index_of(f, f->final[b]) : f->n;
		if (f->final[b] && !writer_of(f, f->final[b], b)) {
			bad(f->v, "%s block %zu: written by %s, who never meant to", f->path, b,
			    op_text(f->final[b], who));
			sound = false;
		}
	}
	if (end != f->blocks)
		bad(f->v, "%s: has %zu blocks, writes reach to %llu", f->path, f->blocks, (unsigned long long)end);
	if (sound)
		place_all(f, final_at);
	free(final_at);
}

/* A read may not see a write that began after it, nor one overwritten before it began. */
static void check_read(struct bfile *f, const struct op *r)
{
	const struct op *w = r->c ? writer_of(f, r->c, r->b) : NULL;
	char who[64], whom[64];

	if (r->c && (!w || w->t0 > r->t1)) {
		bad(f->v, "%s block %llu: %s read what %s had not begun to write", f->path, (unsigned long long)r->b,
		    op_text(r->id, who), op_text(r->c, whom));
		return;
	}
	for (size_t i = 0; i < f->n && f->ops[i]->t0 < r->t0; i++) {
		const struct op *later = f->ops[i];

		if (!covers(later, r->b) || later->t1 >= r->t0 || later->result < 0 || (w && later->t0 <= w->t1))
			continue;
		bad(f->v, "%s block %llu: %s read the old content %s after %s had overwritten it", f->path,
		    (unsigned long long)r->b, op_text(r->id, who), w ? "of its last writer" : "(a hole)",
		    op_text(later->id, whom));
		return;
	}
}

static void check_file(struct verify *v, const char *path)
{
	struct bfile f = { .v = v, .path = path };

	f.ops = select_ops(v, of_file, path, &f.n);
	f.placed = get_memory(f.n, sizeof(*f.placed));
	index_ids(&f);
	if (load_blocks(&f))
		check_order(&f);
	for (size_t i = 0; i < f.n; i++)
		if (f.ops[i]->kind == OP_BLOCK_READ && !op_pending(f.ops[i]) && f.ops[i]->result >= 0)
			check_read(&f, f.ops[i]);
	free(f.ops);
	free(f.by_id);
	free(f.placed);
	free(f.final);
}

/* Call check once for each different name[0] among operations of these kinds. */
static void each_file(struct verify *v, enum op_kind low, enum op_kind high,
		      void (*check)(struct verify *v, const char *path))
{
	const char **done = get_memory(1024, sizeof(*done));
	size_t n = 0, k;

	for (size_t i = 0; i < v->log.count; i++) {
		const struct op *op = &v->log.ops[i];

		if (op->kind < low || op->kind > high)
			continue;
		for (k = 0; k < n && strcmp(done[k], op->name[0]); k++)
			;
		if (k < n)
			continue;
		if (n == 1024)
			give_up("more than 1024 files");
		done[n++] = op->name[0];
		check(v, op->name[0]);
	}
	free(done);
}

void check_blocks(struct verify *v)
{
	each_file(v, OP_BLOCK_WRITE, OP_BLOCK_READ, check_file);
}

/* -- append files ------------------------------------------------------------ */

struct appended {
	const struct op *op;
	size_t count;
	uint64_t at;
};

static int by_id(const void *a, const void *b)
{
	const struct appended *x = a, *y = b;

	return x->op->id < y->op->id ? -1 : x->op->id > y->op->id;
}

static struct appended *find(struct appended *all, size_t n, uint64_t id)
{
	struct op key = { .id = id };
	struct appended probe = { .op = &key };

	return bsearch(&probe, all, n, sizeof(*all), by_id);
}

static bool is_append(const struct op *op, const void *arg)
{
	return op->kind == OP_APPEND && !strcmp(op->name[0], arg);
}

/* Records in file order: each whole, meant, and after everything that ended before it began. */
static void walk_records(struct verify *v, const char *path, const uint8_t *data, size_t size, struct appended *all,
			 size_t n)
{
	uint32_t file = file_id(v, path);
	uint64_t latest_start = 0;
	struct append_hdr h;
	struct appended *a;
	const char *err;
	char who[64];

	for (size_t at = 0; at < size; at += h.len) {
		err = append_check(data + at, size - at, file, &h);
		if (err) {
			bad(v, "%s at byte %zu of %zu: %s", path, at, size, err);
			return;
		}
		v->records++;
		a = find(all, n, h.op);
		if (!a || a->op->b != h.len) {
			bad(v, "%s at byte %zu: a record that %s never meant to append", path, at, op_text(h.op, who));
			continue;
		}
		a->count++;
		a->at = at;
		if (a->op->t1 < latest_start)
			bad(v, "%s at byte %zu: record of %s comes after one whose append began later", path, at,
			    op_text(h.op, who));
		if (a->op->t0 > latest_start)
			latest_start = a->op->t0;
	}
}

static void check_append_file(struct verify *v, const char *path)
{
	const struct op **ops;
	struct appended *all;
	size_t n, size = 0;
	uint8_t *data;
	char who[64];
	int error;

	ops = select_ops(v, is_append, path, &n);
	all = get_memory(n, sizeof(*all));
	for (size_t i = 0; i < n; i++)
		all[i].op = ops[i];
	qsort(all, n, sizeof(*all), by_id);
	data = slurp(v, path, &size, &error);
	if (!data && error != -ENOENT)
		bad(v, "%s: cannot read: %s", path, strerror(-error));
	else
		walk_records(v, path, data, size, all, n);
	for (size_t i = 0; i < n; i++) {
		const struct op *op = all[i].op;
		bool acked = !op_pending(op) && op->result >= 0;

		if (acked && (uint64_t)op->result != op->b)
			bad(v, "%s: short append by %s: %d of %llu", path, op_text(op->id, who), op->result,
			    (unsigned long long)op->b);
		if (all[i].count > 1 || (acked && !all[i].count) || (!acked && !op_pending(op) && all[i].count))
			bad(v, "%s: record of %s (%s) is there %zu times", path, op_text(op->id, who),
			    acked            ? "acknowledged"
			    : op_pending(op) ? "pending"
					     : "refused",
			    all[i].count);
	}
	free(ops);
	free(all);
	free(data);
}

void check_appends(struct verify *v)
{
	each_file(v, OP_APPEND, OP_APPEND, check_append_file);
}
