/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify_names.c - contested names, directories and tokens: every result and the
 * final state must come from one order of the operations on that name.
 *
 * A pending rename is judged by its source: the source is a name of one thread,
 * so that it is gone says that the rename happened, and then the target must
 * show it (never neither); that it is there says that it did not, and then the
 * target must not show it (never both).
 */
#include "verify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Name state: inode number, 0 absent; or this | index of a creator that died before it could say. */
#define UNKNOWN_INO (1ull << 63)

/* operations on one name, and room for the final look */
struct hist {
	char name[OPLOG_NAME];
	struct op *ops;
	const struct op **list;
	size_t n, space;
};

static void hist_add(struct hist *h, const struct op *op)
{
	if (h->n == h->space) {
		h->space = h->space ? 2 * h->space : 32;
		h->ops = realloc(h->ops, h->space * sizeof(*h->ops));
		if (!h->ops)
			give_up("out of memory");
	}
	h->ops[h->n++] = *op;
}

static const struct op *const *hist_list(struct hist *h)
{
	h->list = get_memory(h->n, sizeof(const struct op *));
	for (size_t i = 0; i < h->n; i++)
		h->list[i] = &h->ops[i];
	return h->list;
}

static void hist_final(struct hist *h, int result, uint64_t value)
{
	struct op op = { .kind = OP_NAME_STAT, .t0 = TIME_FINAL, .t1 = TIME_FINAL + 1, .result = result, .b = value };

	hist_add(h, &op);
}

/* histories by name: open hashing, doubled when half full */
struct table {
	struct hist **at;
	size_t count, space;
};

static struct hist **table_slot(struct table *t, const char *name)
{
	size_t i = path_id(name) & (t->space - 1);

	while (t->at[i] && strcmp(t->at[i]->name, name))
		i = (i + 1) & (t->space - 1);
	return &t->at[i];
}

static void table_grow(struct table *t)
{
	struct table old = *t;

	t->space = old.space ? 2 * old.space : 256;
	t->at = get_memory(t->space, sizeof(*t->at));
	for (size_t i = 0; i < old.space; i++)
		if (old.at[i])
			*table_slot(t, old.at[i]->name) = old.at[i];
	free(old.at);
}

static struct hist *table_get(struct table *t, const char *name)
{
	struct hist **slot;

	if (2 * t->count >= t->space)
		table_grow(t);
	slot = table_slot(t, name);
	if (!*slot) {
		*slot = get_memory(1, sizeof(**slot));
		snprintf((*slot)->name, OPLOG_NAME, "%s", name);
		t->count++;
	}
	return *slot;
}

static void table_free(struct table *t)
{
	for (size_t i = 0; i < t->space; i++)
		if (t->at[i]) {
			free(t->at[i]->ops);
			free(t->at[i]->list);
			free(t->at[i]);
		}
	free(t->at);
}

/* -- names ------------------------------------------------------------------ */

static bool creates(const struct op *op)
{
	return op->kind >= OP_NAME_CREATE && op->kind <= OP_NAME_REPLACE;
}

static uint64_t created_state(const struct op *op)
{
	return op->b ? op->b : UNKNOWN_INO | op->id;
}

static bool name_step(uint64_t state, const struct op *op, uint64_t *next)
{
	bool ok = op_pending(op) || op->result >= 0;

	*next = state;
	switch (op->kind) {
	case OP_NAME_REPLACE: *next = created_state(op); return true;
	case OP_NAME_UNLINK: *next = 0; return ok ? state : op->result != -ENOENT || !state;
	case OP_NAME_STAT:
		if (op_pending(op))
			return true;
		if (!ok)
			return op->result != -ENOENT || !state;
		return state == op->b || (op->c && state & UNKNOWN_INO);
	default:
		if (!ok)
			return op->result != -EEXIST || state;
		*next = created_state(op);
		return !state;
	}
}

/* Looks that saw an inode which no acknowledged creator had: some dead host's. */
static void mark_unaccounted(struct hist *h)
{
	for (size_t i = 0; i < h->n; i++) {
		bool known = h->ops[i].kind != OP_NAME_STAT;

		for (size_t k = 0; k < h->n && !known; k++)
			known = creates(&h->ops[k]) && h->ops[k].b == h->ops[i].b;
		h->ops[i].c = !known;
	}
}

static mode_t type_made(const struct op *op)
{
	return op->kind == OP_NAME_MKDIR ? S_IFDIR : op->kind == OP_NAME_SYMLINK ? S_IFLNK : S_IFREG;
}

static void check_type(struct verify *v, const struct hist *h, const struct stat *st)
{
	for (size_t i = 0; i < h->n; i++) {
		const struct op *op = &h->ops[i];

		if (creates(op) && (op_pending(op) || op->result >= 0) && (!op->b || op->b == st->st_ino) &&
		    type_made(op) == (st->st_mode & S_IFMT))
			return;
	}
	bad(v, "%s: is of type %o, which nobody made", h->name, st->st_mode & S_IFMT);
}

static void check_name(struct verify *v, struct hist *h)
{
	struct stat st;

	v->names++;
	if (!fstatat(v->root, h->name, &st, AT_SYMLINK_NOFOLLOW)) {
		check_type(v, h, &st);
		hist_final(h, 0, st.st_ino);
	} else if (errno == ENOENT) {
		hist_final(h, -ENOENT, 0);
	} else {
		bad(v, "%s: cannot stat: %s", h->name, strerror(errno));
		return;
	}
	mark_unaccounted(h);
	check_history(v, h->name, hist_list(h), h->n, 0, name_step);
}

/* A rename: on the target as it is, on the source as a removal. */
static void add_replace(struct verify *v, struct table *t, const struct op *op)
{
	struct op target = *op, source = *op;
	struct stat st;
	bool there;

	if (op_pending(op)) {
		there = !fstatat(v->root, op->name[1], &st, AT_SYMLINK_NOFOLLOW);
		if (there)
			return;
		target.t1 = source.t1 = TIME_FINAL - 1;
	}
	source.kind = OP_NAME_UNLINK;
	if (target.result >= 0)
		hist_add(table_get(t, op->name[0]), &target);
	hist_add(table_get(t, op->name[1]), &source);
}

struct leftovers {
	struct verify *v;
	struct table *t;
	const char *dir;
};

static void known_name(void *arg, const char *name)
{
	struct leftovers *l = arg;
	char path[OPLOG_NAME + 256];

	snprintf(path, sizeof(path), "%s/%s", l->dir, name);
	if (strlen(path) >= OPLOG_NAME || !*table_slot(l->t, path))
		bad(l->v, "%s: a name that nobody made", path);
}

void check_names(struct verify *v)
{
	static const char *const dirs[] = { "names", "excl", "tmp" };
	struct table t = { 0 };

	table_grow(&t);
	for (size_t i = 0; i < v->log.count; i++) {
		const struct op *op = &v->log.ops[i];

		if (op->kind == OP_NAME_REPLACE)
			add_replace(v, &t, op);
		else if (op->kind >= OP_NAME_CREATE && op->kind <= OP_NAME_STAT)
			hist_add(table_get(&t, op->name[0]), op);
	}
	for (size_t i = 0; i < t.space; i++)
		if (t.at[i])
			check_name(v, t.at[i]);
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		each_entry(v, dirs[i], known_name, &(struct leftovers){ v, &t, dirs[i] });
	table_free(&t);
}

/* -- directories: bit 0 exists, bit n + 1 has entry n ------------------------ */

static uint64_t entry_bit(const char *entry)
{
	const char *c = strrchr(entry, 'c');

	return c ? 2ull << strtoul(c + 1, NULL, 10) : 0;
}

static bool dir_step(uint64_t state, const struct op *op, uint64_t *next)
{
	bool ok = op_pending(op) || op->result >= 0, there = state & 1;
	uint64_t bit = op->kind == OP_DIR_ADD || op->kind == OP_DIR_DROP ? entry_bit(op->name[1]) : 0;

	*next = state;
	switch (op->kind) {
	case OP_DIR_MAKE: *next = 1; return ok ? !there : op->result != -EEXIST || (*next = state, there);
	case OP_DIR_REMOVE:
		if (!ok)
			return op->result == -ENOENT ? !there : op->result != -ENOTEMPTY || state > 1;
		*next = 0;
		return state == 1;
	case OP_DIR_ADD:
		if (!ok)
			return op->result == -EEXIST ? state & bit : op->result != -ENOENT || !there;
		*next = state | bit;
		return there && !(state & bit);
	case OP_DIR_DROP:
		if (!ok)
			return op->result != -ENOENT || !(state & bit);
		*next = state & ~bit;
		return state & bit;
	default: return state == op->b;
	}
}

struct entries {
	struct verify *v;
	const char *dir;
	uint64_t bits;
};

static void take_entry(void *arg, const char *name)
{
	struct entries *e = arg;

	if (name[0] != 'c')
		bad(e->v, "%s/%s: a name that nobody made", e->dir, name);
	e->bits |= entry_bit(name);
}

void check_dirs(struct verify *v)
{
	struct table t = { 0 };
	struct stat st;

	table_grow(&t);
	for (size_t i = 0; i < v->log.count; i++)
		if (v->log.ops[i].kind >= OP_DIR_MAKE && v->log.ops[i].kind <= OP_DIR_DROP)
			hist_add(table_get(&t, v->log.ops[i].name[0]), &v->log.ops[i]);
	for (size_t i = 0; i < t.space; i++) {
		struct hist *h = t.at[i];
		struct entries e = { v, h ? h->name : NULL, 1 };

		if (!h)
			continue;
		v->names++;
		if (fstatat(v->root, h->name, &st, AT_SYMLINK_NOFOLLOW))
			e.bits = 0;
		else
			each_entry(v, h->name, take_entry, &e);
		hist_final(h, 0, e.bits);
		check_history(v, h->name, hist_list(h), h->n, 0, dir_step);
	}
	each_entry(v, "dirs", known_name, &(struct leftovers){ v, &t, "dirs" });
	table_free(&t);
}

/* -- tokens: the state is the one name that the file has ---------------------- */

static bool token_step(uint64_t state, const struct op *op, uint64_t *next)
{
	*next = state;
	if (op->kind == OP_NAME_STAT)
		return state == op->b;
	if (op->kind == OP_TOKEN_MAKE) {
		*next = path_id(op->name[0]);
		return !state;
	}
	if (!op_pending(op) && op->result < 0)
		return op->result != -ENOENT || state != path_id(op->name[0]);
	*next = path_id(op->name[1]);
	return state == path_id(op->name[0]);
}

struct found {
	struct verify *v;
	const char *dir;
	struct table *t;
	char last[OPLOG_NAME];
	uint64_t token, count;
};

static void find_name(void *arg, const char *name)
{
	struct found *f = arg;
	unsigned long token = name[0] == 'k' ? strtoul(name + 1, NULL, 10) : 99999;
	char key[OPLOG_NAME];

	snprintf(key, sizeof(key), "token %lu", token);
	if (!*table_slot(f->t, key))
		bad(f->v, "%s/%s: a name that nobody made", f->dir, name);
	if (token == f->token) {
		f->count++;
		snprintf(f->last, sizeof(f->last), "%s/%.50s", f->dir, name);
	}
}

static void check_token(struct verify *v, struct table *t, struct hist *h)
{
	struct found f = { .v = v, .t = t, .token = h->ops[0].a };
	uint64_t ino = h->ops[0].b;
	struct stat st;

	for (f.dir = "tok/0"; f.dir; f.dir = strcmp(f.dir, "tok/0") ? NULL : "tok/1")
		each_entry(v, f.dir, find_name, &f);
	v->names++;
	if (f.count != 1) {
		bad(v, "%s: a file that is only ever renamed has %llu names, e.g. %s", h->name,
		    (unsigned long long)f.count, f.count ? f.last : "none");
		return;
	}
	if (fstatat(v->root, f.last, &st, AT_SYMLINK_NOFOLLOW) || (ino && st.st_ino != ino) || st.st_nlink != 1)
		bad(v, "%s: %s is not the file that was made", h->name, f.last);
	hist_final(h, 0, path_id(f.last));
	check_history(v, h->name, hist_list(h), h->n, 0, token_step);
}

void check_tokens(struct verify *v)
{
	char key[OPLOG_NAME];
	struct table t = { 0 };

	table_grow(&t);
	for (size_t i = 0; i < v->log.count; i++) {
		const struct op *op = &v->log.ops[i];

		if (op->kind != OP_TOKEN_MAKE && op->kind != OP_TOKEN_MOVE)
			continue;
		snprintf(key, sizeof(key), "token %llu", (unsigned long long)op->a);
		hist_add(table_get(&t, key), op);
	}
	for (size_t i = 0; i < t.space; i++)
		if (t.at[i])
			check_token(v, &t, t.at[i]);
	table_free(&t);
}
