/* SPDX-License-Identifier: Apache-2.0 */
/* meaning.c - what each operation means: errors that apply, and effects. */
#include "pod/meaning.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "daxfs/daxfs.h"

static const int known_errors[] = {
	-ESTALE, -ENOTDIR, -EEXIST, -ENOENT, -EPERM, -EISDIR, -ENOTEMPTY, -EINVAL, -EBADF,
};

unsigned model_error_bit(int rc)
{
	for (unsigned i = 0; i < sizeof(known_errors) / sizeof(known_errors[0]); i++)
		if (known_errors[i] == rc)
			return 1u << i;
	return 0;
}

/* -- texts ------------------------------------------------------------------------- */

const char *op_kind_name(enum op_kind kind)
{
	static const char *const names[DO_KINDS] = {
		"mknod", "mkdir",   "symlink", "link",    "unlink", "rmdir", "rename",  "setattr",  "write", "draft",
		"hold",  "release", "lookup",  "getattr", "read",   "view",  "readdir", "readlink", "fsync", "lock",
	};

	return names[kind];
}

void op_text(const struct op *op, char *buf, unsigned size)
{
	const char *kind = op_kind_name(op->kind);
	unsigned long long p = op->parent[0], q = op->parent[1], i = op->ino, off = op->offset, len = op->len,
			   tag = op->tag;

	switch (op->kind) {
	case DO_RENAME:
		snprintf(buf, size, "rename%s %llx/%s to %llx/%s",
			 op->flags == DAXFS_RENAME_EXCHANGE ? " exchange"
			 : op->flags                        ? " noreplace"
							    : "",
			 p, model_name[op->name[0]], q, model_name[op->name[1]]);
		break;
	case DO_LINK: snprintf(buf, size, "link %llx to %llx/%s", i, p, model_name[op->name[0]]); break;
	case DO_LOCK:
		snprintf(buf, size, "%s%s %llx cells %llu to %llu by %u", op->flags ? "flock " : "",
			 op->set == DAXFS_UNLOCK      ? "unlock"
			 : op->set == DAXFS_LOCK_READ ? "lock to read"
						      : "lock to write",
			 i, off, len, op->uid);
		break;
	case DO_WRITE:
	case DO_DRAFT:
	case DO_READ:
	case DO_VIEW:
		snprintf(buf, size, "%s%s %llx at %llu len %llu tag %llu", kind, op->flags ? " append" : "", i, off,
			 len, tag);
		break;
	case DO_SETATTR:
		snprintf(buf, size, "setattr %llx set %x mode %o uid %u gid %u size %llu", i, op->set, op->mode,
			 op->uid, op->gid, len);
		break;
	default:
		if (op->parent[0])
			snprintf(buf, size, "%s %llx/%s%s", kind, p, model_name[op->name[0]], op->flags ? " held" : "");
		else
			snprintf(buf, size, "%s %llx", kind, i);
	}
}

/* -- errors that apply now ------------------------------------------------------------ */

static unsigned bit_if(bool applies, int rc)
{
	return applies ? model_error_bit(rc) : 0;
}

/* Of a directory handle; *dir is NULL if there is none. One that was removed has no names. */
static unsigned errors_of_dir(uint64_t handle, struct minode **dir)
{
	struct minode *m = model_find(handle);

	*dir = minode_exists(m) && S_ISDIR(m->mode) ? m : NULL;
	return bit_if(!minode_exists(m), -ESTALE) | bit_if(!m || !m->nlink, -ENOENT) |
	       bit_if(minode_exists(m) && !*dir, -ENOTDIR);
}

/* Of a listing: of a directory that was removed, and is open, that is what it says. */
static unsigned errors_of_listing(uint64_t handle)
{
	struct minode *dir;
	unsigned errors = errors_of_dir(handle, &dir);

	return dir && !dir->nlink ? model_error_bit(-ESTALE) : errors;
}

static struct minode *child(const struct minode *dir, unsigned name)
{
	return dir && dir->entry[name] ? &model.inode[dir->entry[name] - 1] : NULL;
}

static bool empty(const struct minode *dir)
{
	for (unsigned i = 0; i < MODEL_NAMES; i++)
		if (dir->entry[i])
			return false;
	return true;
}

static bool is_dir(const struct minode *m)
{
	return m && S_ISDIR(m->mode);
}

/* Is `dir` the directory `top` or below it? */
static bool below(const struct minode *dir, const struct minode *top)
{
	while (dir != top && dir != &model.inode[0])
		dir = &model.inode[dir->parent];
	return dir == top;
}

static struct answer ask_make(const struct op *op)
{
	struct minode *dir;
	unsigned errors = errors_of_dir(op->parent[0], &dir);

	return (struct answer){ .errors = errors | bit_if(child(dir, op->name[0]), -EEXIST) };
}

static struct answer ask_link(const struct op *op)
{
	const struct minode *m = model_find(op->ino);
	struct answer a = ask_make(op);

	a.errors |= bit_if(!minode_exists(m), -ESTALE) | bit_if(is_dir(m), -EPERM);
	a.errors |= bit_if(!m || !m->nlink, -ENOENT); /* both are true of what is gone */
	return a;
}

static struct answer ask_remove(const struct op *op)
{
	struct minode *dir;
	unsigned errors = errors_of_dir(op->parent[0], &dir);
	const struct minode *m = child(dir, op->name[0]);
	bool rmdir = op->kind == DO_RMDIR;

	errors |= bit_if(dir && !m, -ENOENT) | bit_if(!rmdir && is_dir(m), -EISDIR);
	errors |= bit_if(rmdir && m && !is_dir(m), -ENOTDIR) | bit_if(rmdir && is_dir(m) && !empty(m), -ENOTEMPTY);
	return (struct answer){ .errors = errors };
}

static struct answer ask_rename(const struct op *op)
{
	bool exchange = op->flags == DAXFS_RENAME_EXCHANGE, noreplace = op->flags == DAXFS_RENAME_NOREPLACE;
	struct minode *dir[2], *from, *to;
	struct answer a = { .errors = errors_of_dir(op->parent[0], &dir[0]) };

	a.errors |= errors_of_dir(op->parent[1], &dir[1]);
	from = child(dir[0], op->name[0]);
	to = child(dir[1], op->name[1]);
	a.errors |= bit_if(dir[0] && !from, -ENOENT) | bit_if(exchange && dir[1] && !to, -ENOENT);
	a.errors |= bit_if(noreplace && to, -EEXIST);
	if (!from || !dir[1])
		return a;
	if (to == from && !noreplace && (!exchange || (dir[0] == dir[1] && op->name[0] == op->name[1]))) {
		a.nothing = true;
		return a;
	}
	a.errors |= bit_if(is_dir(from) && below(dir[1], from), -EINVAL);
	a.errors |= bit_if(exchange && is_dir(to) && below(dir[0], to), -EINVAL);
	if (exchange)
		return a;
	a.errors |= bit_if(to && is_dir(from) && !is_dir(to), -ENOTDIR) | bit_if(!is_dir(from) && is_dir(to), -EISDIR);
	a.errors |= bit_if(is_dir(to) && !empty(to), -ENOTEMPTY);
	return a;
}

static struct answer ask_file(const struct op *op)
{
	const struct minode *m = model_find(op->ino);
	bool there = minode_exists(m), resizes = op->kind == DO_SETATTR && op->set & DAXFS_SET_SIZE;
	bool writes = op->kind == DO_WRITE || op->kind == DO_DRAFT, reads = op->kind == DO_READ || op->kind == DO_VIEW;
	bool data = writes || reads || resizes;

	return (struct answer){
		.errors = bit_if(!there, -ESTALE) | bit_if(there && data && is_dir(m), -EISDIR) |
			  bit_if(there && data && S_ISLNK(m->mode), -EINVAL),
	};
}

static struct answer ask_read(const struct op *op)
{
	static uint8_t bytes[MODEL_IO_MAX];
	static uint64_t block[MODEL_BLOCKS];
	struct answer a = ask_file(op);

	if (!a.errors)
		a.n_blocks = blocks_digest(bytes, op->offset, model_read(op->ino, op->offset, op->len, bytes), block,
					   &a.digest);
	a.block = block;
	return a;
}

static struct answer ask_lookup(const struct op *op)
{
	struct model_attr attr;
	struct minode *dir;
	struct answer a = { .errors = errors_of_dir(op->parent[0], &dir) };
	const struct minode *m = child(dir, op->name[0]);

	a.errors |= bit_if(dir && !m, -ENOENT);
	if (m && model_attr(m->handle, &attr))
		a.digest = attr_digest(&attr);
	return a;
}

static struct answer ask_getattr(const struct op *op)
{
	struct model_attr attr;
	struct answer a = ask_file(op);

	if (model_attr(op->ino, &attr))
		a.digest = attr_digest(&attr);
	return a;
}

static struct answer ask_readlink(const struct op *op)
{
	const struct minode *m = model_find(op->ino);
	struct answer a = { .errors = bit_if(!minode_exists(m), -ESTALE) };
	char target[64];

	if (a.errors)
		return a;
	a.errors |= bit_if(!S_ISLNK(m->mode), -EINVAL);
	model_target(m->tag, target);
	a.digest = bytes_digest((const uint8_t *)target, strlen(target));
	return a;
}

static struct answer ask_hold(const struct op *op)
{
	const struct minode *m = model_find(op->ino);
	bool ours = m && m->holders >> op->host & 1;

	return (struct answer){ .errors = bit_if(!m || (!m->nlink && !ours), -ESTALE), .nothing = ours };
}

struct answer model_ask(const struct op *op)
{

	switch (op->kind) {
	case DO_MKNOD:
	case DO_MKDIR:
	case DO_SYMLINK: return ask_make(op);
	case DO_LINK: return ask_link(op);
	case DO_UNLINK:
	case DO_RMDIR: return ask_remove(op);
	case DO_RENAME: return ask_rename(op);
	case DO_SETATTR:
	case DO_WRITE:
	case DO_DRAFT: return ask_file(op);
	case DO_READ:
	case DO_VIEW: return ask_read(op);
	case DO_HOLD: return ask_hold(op);
	case DO_LOOKUP: return ask_lookup(op);
	case DO_GETATTR: return ask_getattr(op);
	case DO_READLINK: return ask_readlink(op);
	case DO_READDIR: return (struct answer){ .errors = errors_of_listing(op->parent[0]) };
	default: return (struct answer){ .nothing = true };
	}
}

uint64_t model_version(const struct op *op)
{
	bool depends = op->kind == DO_READ || op->kind == DO_VIEW || op->kind == DO_GETATTR;
	const struct minode *m = depends ? model_find(op->ino) : NULL;

	return m ? m->version : 0;
}

/* -- effects ----------------------------------------------------------------------------- */

static void touch(struct minode *m)
{
	m->version = ++model.clock;
}

static unsigned place(const struct minode *m)
{
	return (unsigned)(m - model.inode);
}

/* One name less. */
static void drop_name(struct minode *m)
{
	m->nlink--;
	touch(m);
	if (!minode_exists(m))
		minode_cut(m, 0);
}

/* It begins as storage has it. */
static void fill_stored(struct minode *m, unsigned file, uint64_t size)
{
	m->stored = true;
	m->size = size;
	for (uint64_t page = 0; page * MODEL_BLOCK < size; page++) {
		uint64_t left = size - page * MODEL_BLOCK;

		if (!MODEL_STORED_HOLE(page))
			minode_write(m, model_stored_tag(file, page), page * MODEL_BLOCK,
				     left < MODEL_BLOCK ? left : MODEL_BLOCK);
	}
}

static void apply_make(const struct op *op, const struct commit *c)
{
	uint32_t type = op->kind == DO_MKDIR ? S_IFDIR : op->kind == DO_SYMLINK ? S_IFLNK : S_IFREG;
	struct minode *dir = model_find(op->parent[0]);
	struct minode *m = model_new(c->handle, type | (op->kind == DO_SYMLINK ? 0777 : op->mode));
	char target[64];

	m->uid = op->uid;
	m->gid = op->gid;
	m->parent = place(dir);
	if (op->kind == DO_SYMLINK) {
		m->tag = op->tag;
		model_target(op->tag, target);
		m->size = strlen(target);
	}
	if (op->kind == DO_MKNOD && op->flags)
		m->holders = 1ull << op->host;
	if (op->kind == DO_MKNOD && op->set)
		fill_stored(m, op->set - 1, op->len);
	dir->entry[op->name[0]] = place(m) + 1;
}

static void apply_link(const struct op *op)
{
	struct minode *m = model_find(op->ino);

	m->nlink++;
	touch(m);
	model_find(op->parent[0])->entry[op->name[0]] = place(m) + 1;
}

static void apply_remove(const struct op *op)
{
	struct minode *dir = model_find(op->parent[0]);
	struct minode *m = child(dir, op->name[0]);

	dir->entry[op->name[0]] = 0;
	drop_name(m);
}

static void apply_rename(const struct op *op)
{
	struct minode *dir[2] = { model_find(op->parent[0]), model_find(op->parent[1]) };
	struct minode *from = child(dir[0], op->name[0]), *to = child(dir[1], op->name[1]);
	bool exchange = op->flags == DAXFS_RENAME_EXCHANGE;

	dir[0]->entry[op->name[0]] = exchange ? place(to) + 1 : 0;
	dir[1]->entry[op->name[1]] = place(from) + 1;
	if (is_dir(from))
		from->parent = place(dir[1]);
	if (exchange && is_dir(to))
		to->parent = place(dir[0]);
	if (to && !exchange)
		drop_name(to);
}

static void apply_setattr(const struct op *op)
{
	struct minode *m = model_find(op->ino);

	touch(m);
	if (op->set & DAXFS_SET_MODE)
		m->mode = (m->mode & S_IFMT) | op->mode;
	if (op->set & DAXFS_SET_UID)
		m->uid = op->uid;
	if (op->set & DAXFS_SET_GID)
		m->gid = op->gid;
	if (!(op->set & DAXFS_SET_SIZE))
		return;
	if (op->len < m->size)
		minode_cut(m, op->len);
	m->size = op->len;
}

/*
 * A write without the size word was found to be inside the file. If the file
 * has been cut since, the write came before that: what is left of it is inside.
 */
static const char *apply_write(const struct op *op, const struct commit *c, bool cut)
{
	struct minode *m = model_find(op->ino);
	uint64_t offset = op->flags ? m->size : op->offset, end = offset + op->len;

	touch(m);
	if (!c->sizes && end > m->size) {
		if (!cut || op->flags)
			return "a write past the end without the size word";
		end = m->size;
	}
	if (c->sizes && end <= m->size)
		return "a write inside the file changed its size";
	if (end > offset)
		minode_write(m, op->tag, offset, end - offset);
	if (end > m->size)
		m->size = end;
	return NULL;
}

static const char *apply_hold(const struct op *op, const struct commit *c)
{
	struct minode *m = model_find(op->ino);
	uint64_t bit = 1ull << c->host;

	if (!m)
		return "of an inode that never was";
	if (!(m->holders & bit) != !c->drop)
		return c->drop ? "released what was not held" : "held what was held";
	if (!c->drop && !m->nlink)
		return "held what has no name";
	m->holders ^= bit;
	touch(m);
	if (!minode_exists(m))
		minode_cut(m, 0);
	return NULL;
}

const char *meaning_apply(const struct op *op, const struct commit *c, bool vanished)
{
	static char err[96];
	struct answer a = model_ask(op);

	if (op->kind == DO_HOLD || op->kind == DO_RELEASE)
		return apply_hold(op, c);
	if (vanished && a.errors == model_error_bit(-ESTALE) &&
	    (op->kind == DO_SETATTR || op->kind == DO_WRITE || op->kind == DO_DRAFT))
		return NULL; /* it came just before, and nobody can look any more */
	if (a.errors || a.nothing) {
		snprintf(err, sizeof(err), "it must fail or do nothing (errors %x)", a.errors);
		return err;
	}
	switch (op->kind) {
	case DO_MKNOD:
	case DO_MKDIR:
	case DO_SYMLINK: apply_make(op, c); break;
	case DO_LINK: apply_link(op); break;
	case DO_UNLINK:
	case DO_RMDIR: apply_remove(op); break;
	case DO_RENAME: apply_rename(op); break;
	case DO_SETATTR: apply_setattr(op); break;
	case DO_WRITE:
	case DO_DRAFT: return apply_write(op, c, vanished);
	default: return "it changes nothing by its nature";
	}
	return NULL;
}
