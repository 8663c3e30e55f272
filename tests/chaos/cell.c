/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cell.c - see cell.h. Private memory, single-threaded, without any cleverness.
 *
 * Some answers are the kernel's own, from what it saw of a name a moment before
 * it asked for another: they are true of each name at some moment of the call, not
 * of both at one. So an error of a move is judged by the name that it is about:
 *   ENOENT      the source is missing (of an exchange either), or a directory is gone
 *   EEXIST      the target is there
 *   EISDIR, ENOTDIR, ENOTEMPTY   the target is such
 *   EINVAL      nothing: who is above whom the kernel knows from before
 * A move that did nothing although it says that it happened: see cell_judge_all.c.
 */
#include "cell.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define NOREPLACE 1u /* of renameat2 */
#define EXCHANGE 2u
#define NOWHERE CELL_NODES

enum { NONE = 0, FILE_ = 1, DIR_ = 2 };

static const char *const names[CELL_KINDS] = {
	[CELL_NONE] = "none",     [CELL_CREATE] = "create",     [CELL_MKDIR] = "mkdir",   [CELL_UNLINK] = "unlink",
	[CELL_RMDIR] = "rmdir",   [CELL_RENAME] = "rename",     [CELL_LINK] = "link",     [CELL_LOOKUP] = "lookup",
	[CELL_OPEN] = "open",     [CELL_OPENDIR] = "opendir",   [CELL_ATTR] = "attr",     [CELL_WRITE] = "write",
	[CELL_APPEND] = "append", [CELL_TRUNCATE] = "truncate", [CELL_READ] = "read",     [CELL_READ_ALL] = "read-all",
	[CELL_CLOSE] = "close",   [CELL_LOCK] = "lock",         [CELL_UNLOCK] = "unlock", [CELL_VISIT] = "visit",
	[CELL_DEATH] = "death",
};

const char *cell_kind_name(unsigned kind)
{
	return kind < CELL_KINDS ? names[kind] : "?";
}

void cell_init(struct cell *cell, uint64_t root)
{
	memset(cell, 0, sizeof(*cell));
	cell->node[0].type = DIR_;
	cell->node[0].ino = root;
}

/* -- nodes ------------------------------------------------------------------------ */

static unsigned find(const struct cell *cell, uint64_t ino)
{
	unsigned i = 0;

	while (i < CELL_NODES && (!cell->node[i].type || cell->node[i].ino != ino))
		i++;
	return ino ? i : NOWHERE;
}

/* A directory that is still there. */
static struct cell_node *dir_of(struct cell *cell, uint64_t ino)
{
	unsigned i = find(cell, ino);

	return i < CELL_NODES && cell->node[i].type == DIR_ ? &cell->node[i] : NULL;
}

static struct cell_node *file_of(struct cell *cell, uint64_t ino)
{
	unsigned i = find(cell, ino);

	return i < CELL_NODES && cell->node[i].type == FILE_ ? &cell->node[i] : NULL;
}

static unsigned add(struct cell *cell, unsigned type)
{
	unsigned i = 1;

	while (i < CELL_NODES && cell->node[i].type)
		i++;
	if (i == CELL_NODES) {
		cell->overflow = 1;
		return 0;
	}
	memset(&cell->node[i], 0, sizeof(cell->node[i]));
	cell->node[i].type = (uint8_t)type;
	cell->node[i].links = 1;
	return i;
}

static bool opened(const struct cell_node *node)
{
	bool any = false;

	for (unsigned host = 0; host < CELL_HOSTS; host++)
		any |= node->opens[host] != 0;
	return any;
}

static void drop_if_gone(struct cell_node *node)
{
	if (node->type == FILE_ && !node->links && !opened(node))
		memset(node, 0, sizeof(*node));
}

static bool empty(const struct cell_node *dir)
{
	bool any = false;

	for (unsigned i = 0; i < CELL_NAMES; i++)
		any |= dir->entry[i] != 0;
	return !any;
}

/* A name leads nowhere any more, and what it led to may be gone. */
static void forget(struct cell *cell, struct cell_node *dir, unsigned name)
{
	struct cell_node *node = &cell->node[dir->entry[name]];

	dir->entry[name] = 0;
	if (node->type == DIR_) {
		memset(node, 0, sizeof(*node));
		return;
	}
	node->links--;
	drop_if_gone(node);
}

/* Node i was seen to be `ino`. */
static bool is(struct cell *cell, unsigned i, uint64_t ino)
{
	if (cell->node[i].ino)
		return cell->node[i].ino == ino;
	if (find(cell, ino) < CELL_NODES)
		return false;
	cell->node[i].ino = ino;
	return true;
}

static bool below(const struct cell *cell, unsigned dir, unsigned sought)
{
	bool found = dir == sought;

	for (unsigned i = 0; !found && cell->node[dir].type == DIR_ && i < CELL_NAMES; i++)
		found = cell->node[dir].entry[i] && below(cell, cell->node[dir].entry[i], sought);
	return found;
}

/* -- order ------------------------------------------------------------------------ */

struct order {
	const struct cell *from;
	struct cell *to;
	unsigned n;
	uint8_t at[CELL_NODES]; /* new number + 1 of an old one */
};

static uint8_t place(struct order *o, unsigned old)
{
	if (o->at[old])
		return (uint8_t)(o->at[old] - 1);
	o->at[old] = (uint8_t)(o->n + 1);
	o->to->node[o->n] = o->from->node[old];
	return (uint8_t)o->n++;
}

/* Files without a name, by number; one without either is nobody's. */
static void place_nameless(struct order *o)
{
	unsigned least;

	do {
		least = NOWHERE;
		for (unsigned i = 1; i < CELL_NODES; i++)
			if (o->from->node[i].type && !o->at[i] && o->from->node[i].ino &&
			    (least == NOWHERE || o->from->node[i].ino < o->from->node[least].ino))
				least = i;
		if (least < NOWHERE)
			place(o, least);
	} while (least < NOWHERE);
}

void cell_order(struct cell *cell)
{
	static struct cell from;
	struct order o = { .from = &from, .to = cell };

	memcpy(&from, cell, sizeof(from));
	memset(cell->node, 0, sizeof(cell->node));
	place(&o, 0);
	for (unsigned i = 0; i < o.n; i++)
		for (unsigned name = 0; cell->node[i].type == DIR_ && name < CELL_NAMES; name++)
			if (cell->node[i].entry[name])
				cell->node[i].entry[name] = place(&o, cell->node[i].entry[name]);
	place_nameless(&o);
}

/* -- names ------------------------------------------------------------------------- */

static bool create(struct cell *cell, const struct cell_op *op, unsigned type)
{
	struct cell_node *dir = dir_of(cell, op->dir);
	unsigned node;

	if (op->result == -ENOENT)
		return !dir;
	if (op->result == -EEXIST)
		return dir && dir->entry[op->name];
	if (!dir || dir->entry[op->name] || (op->ino && find(cell, op->ino) < CELL_NODES))
		return false;
	node = add(cell, type);
	dir->entry[op->name] = (uint8_t)node;
	cell->node[node].ino = op->ino;
	if (type == FILE_)
		cell->node[node].opens[op->host]++;
	return true;
}

static bool remove_name(struct cell *cell, const struct cell_op *op, unsigned type)
{
	struct cell_node *dir = dir_of(cell, op->dir);
	unsigned node = dir ? dir->entry[op->name] : 0;

	switch (op->result) {
	case -ENOENT: return !node;
	case -EISDIR:
	case -ENOTDIR: return node && cell->node[node].type != type;
	case -ENOTEMPTY: return node && cell->node[node].type == DIR_ && !empty(&cell->node[node]);
	default:
		if (!node || cell->node[node].type != type || (type == DIR_ && !empty(&cell->node[node])))
			return false;
		forget(cell, dir, op->name);
		return true;
	}
}

static bool rename_refused(const struct cell *cell, const struct cell_op *op, unsigned from, unsigned to)
{
	const struct cell_node *there = &cell->node[to];

	switch (op->result) {
	case -ENOENT: return !from || (!to && op->a & EXCHANGE) || find(cell, op->dir2) == NOWHERE;
	case -EEXIST: return to;
	case -EISDIR: return to && there->type == DIR_;
	case -ENOTDIR: return to && there->type == FILE_;
	case -ENOTEMPTY: return to && there->type == DIR_ && (!empty(there) || below(cell, to, find(cell, op->dir)));
	default: return true; /* EINVAL: see the head */
	}
}

static bool exchange(struct cell *cell, struct cell_node *dir, struct cell_node *dir2, const struct cell_op *op)
{
	uint8_t from = dir->entry[op->name], to = dir2->entry[op->name2];

	if (!to || below(cell, from, (unsigned)(dir2 - cell->node)) || below(cell, to, (unsigned)(dir - cell->node)))
		return false;
	dir->entry[op->name] = to;
	dir2->entry[op->name2] = from;
	return true;
}

static bool may_replace(const struct cell *cell, unsigned from, unsigned to)
{
	const struct cell_node *there = &cell->node[to];

	return !to || (there->type == cell->node[from].type && (there->type == FILE_ || empty(there)));
}

static bool move(struct cell *cell, const struct cell_op *op)
{
	struct cell_node *dir = dir_of(cell, op->dir), *dir2 = dir_of(cell, op->dir2);
	unsigned from = dir ? dir->entry[op->name] : 0, to = dir2 ? dir2->entry[op->name2] : 0;

	if (op->result < 0)
		return rename_refused(cell, op, from, to);
	if (!from || !dir2)
		return false;
	if (op->a & EXCHANGE)
		return exchange(cell, dir, dir2, op);
	if (from == to)
		return !(op->a & NOREPLACE);
	if ((to && op->a & NOREPLACE) || !may_replace(cell, from, to) ||
	    below(cell, from, (unsigned)(dir2 - cell->node)))
		return false;
	if (to)
		forget(cell, dir2, op->name2);
	dir->entry[op->name] = 0;
	dir2->entry[op->name2] = (uint8_t)from;
	return true;
}

static bool link_file(struct cell *cell, const struct cell_op *op)
{
	struct cell_node *dir = dir_of(cell, op->dir2), *file = file_of(cell, op->ino);

	if (op->result == -ENOENT)
		return !dir || !file || !file->links;
	if (op->result == -EEXIST)
		return dir && dir->entry[op->name2];
	if (!dir || !file || !file->links || dir->entry[op->name2])
		return false;
	dir->entry[op->name2] = (uint8_t)(file - cell->node);
	file->links++;
	return true;
}

/* A name that is looked up, or opened (type): of nothing else is an error said than what it is. */
static bool find_name(struct cell *cell, const struct cell_op *op, unsigned type)
{
	struct cell_node *dir = dir_of(cell, op->dir);
	unsigned node = dir ? dir->entry[op->name] : 0;

	if (cell_unanswered(op))
		return true; /* nobody has it open: its host is dead */
	if (op->result == -ENOENT)
		return !node;
	if (!node)
		return false;
	if (op->result < 0)
		return cell->node[node].type != type;
	if (cell->node[node].type != (type ? type : op->a ? DIR_ : FILE_) || !is(cell, node, op->ino))
		return false;
	if (type == FILE_)
		cell->node[node].opens[op->host]++;
	return true;
}

/* -- files --------------------------------------------------------------------------- */

static bool fill(struct cell *cell, struct cell_node *file, unsigned slot, uint32_t token)
{
	if (slot >= CELL_SLOTS) {
		cell->overflow = 1;
		return true;
	}
	if (slot >= file->slots)
		file->slots = (uint8_t)(slot + 1);
	file->slot[slot] = token;
	return true;
}

static void cut(struct cell_node *file, unsigned slots)
{
	for (unsigned i = slots; i < file->slots; i++)
		file->slot[i] = 0;
	file->slots = (uint8_t)slots;
}

static bool read_all(const struct cell_node *file, const struct cell_op *op)
{
	return op->a == file->slots && !memcmp(op->all, file->slot, sizeof(file->slot));
}

static bool attributes(const struct cell_node *file, const struct cell_op *op)
{
	if (!file)
		return op->a == 0; /* nobody holds it open for its size to matter */
	return op->a == file->links && op->b == file->slots;
}

static bool close_file(struct cell *cell, const struct cell_op *op)
{
	struct cell_node *file = file_of(cell, op->ino);

	if (!file || !file->opens[op->host])
		return false;
	file->opens[op->host]--;
	drop_if_gone(file);
	return true;
}

static bool on_file(struct cell *cell, const struct cell_op *op)
{
	struct cell_node *file = file_of(cell, op->ino);

	if (op->kind == CELL_ATTR)
		return cell_unanswered(op) || attributes(file, op);
	if (!file)
		return false;
	switch (op->kind) {
	case CELL_WRITE: return fill(cell, file, op->a, op->b);
	case CELL_APPEND: return fill(cell, file, file->slots, op->b);
	case CELL_TRUNCATE: cut(file, op->a); return true;
	case CELL_READ:
		if (cell_unanswered(op))
			return true;
		return op->result == 0 ? op->a >= file->slots : op->a < file->slots && op->b == file->slot[op->a];
	default: return cell_unanswered(op) || read_all(file, op);
	}
}

/* -- the lock, and death ---------------------------------------------------------------- */

static bool lock(struct cell *cell, const struct cell_op *op)
{
	uint32_t me = 1u << op->worker, others = (op->a == 2 ? cell->shared | cell->exclusive : cell->exclusive) & ~me;

	if (op->result == -EAGAIN)
		return others;
	if (others)
		return false;
	*(op->a == 2 ? &cell->exclusive : &cell->shared) |= me;
	return true;
}

static bool unlock(struct cell *cell, const struct cell_op *op)
{
	cell->shared &= ~(1u << op->worker);
	cell->exclusive &= ~(1u << op->worker);
	return true;
}

/* a: the workers of the host */
static bool death(struct cell *cell, const struct cell_op *op)
{
	cell->shared &= ~op->a;
	cell->exclusive &= ~op->a;
	for (unsigned i = 0; i < CELL_NODES; i++) {
		cell->node[i].opens[op->host] = 0;
		drop_if_gone(&cell->node[i]);
	}
	return true;
}

/* -- all ---------------------------------------------------------------------------------- */

static bool change(struct cell *cell, const struct cell_op *op)
{
	switch (op->kind) {
	case CELL_CREATE: return create(cell, op, FILE_);
	case CELL_MKDIR: return create(cell, op, DIR_);
	case CELL_UNLINK: return remove_name(cell, op, FILE_);
	case CELL_RMDIR: return remove_name(cell, op, DIR_);
	case CELL_RENAME: return move(cell, op);
	case CELL_LINK: return link_file(cell, op);
	case CELL_LOOKUP: return find_name(cell, op, NONE);
	case CELL_OPEN: return find_name(cell, op, FILE_);
	case CELL_OPENDIR: return find_name(cell, op, DIR_);
	case CELL_CLOSE: return close_file(cell, op);
	case CELL_LOCK: return lock(cell, op);
	case CELL_UNLOCK: return unlock(cell, op);
	case CELL_DEATH: return death(cell, op);
	default: return on_file(cell, op);
	}
}

/* What may be answered at all, but for success. */
static bool may_fail(const struct cell_op *op)
{
	switch (op->kind) {
	case CELL_CREATE:
	case CELL_MKDIR:
	case CELL_LINK: return op->result == -EEXIST || op->result == -ENOENT;
	case CELL_UNLINK: return op->result == -ENOENT || op->result == -EISDIR;
	case CELL_RMDIR: return op->result == -ENOENT || op->result == -ENOTDIR || op->result == -ENOTEMPTY;
	case CELL_RENAME:
		return op->result == -ENOENT || op->result == -EEXIST || op->result == -EISDIR ||
		       op->result == -ENOTDIR || op->result == -ENOTEMPTY || op->result == -EINVAL;
	case CELL_LOOKUP: return op->result == -ENOENT;
	case CELL_OPEN: return op->result == -ENOENT || op->result == -EISDIR;
	case CELL_OPENDIR: return op->result == -ENOENT || op->result == -ENOTDIR;
	case CELL_LOCK: return op->result == -EAGAIN;
	default: return false;
	}
}

bool cell_apply(struct cell *cell, const struct cell_op *op)
{
	if (op->result < 0 && !may_fail(op))
		return false;
	return cell->overflow || change(cell, op);
}

bool cell_looks(const struct cell_op *op)
{
	if (op->result < 0)
		return true;
	switch (op->kind) {
	case CELL_LOOKUP:
	case CELL_OPENDIR:
	case CELL_ATTR:
	case CELL_READ:
	case CELL_READ_ALL: return true;
	default: return false;
	}
}
