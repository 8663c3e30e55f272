/* SPDX-License-Identifier: Apache-2.0 */
/* model.c - see model.h. Errors in the order in which Linux finds them. */
#include "model.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "payload.h"
#include "verify.h"

/* what a path leads to */
struct place {
	struct mnode *dir;
	char name[16];
	struct mnode *node; /* NULL: no such name in dir */
};

static struct mnode *node_new(mode_t mode)
{
	struct mnode *n = get_memory(1, sizeof(*n));

	n->mode = mode;
	return n;
}

static void node_put(struct mnode *n)
{
	if (n->nlink || n->holds)
		return;
	for (size_t i = 0; i < n->n; i++) {
		n->entries[i].node->nlink--;
		node_put(n->entries[i].node);
	}
	free(n->entries);
	free(n->data);
	free(n);
}

void model_init(struct model *m, uint32_t pattern)
{
	memset(m, 0, sizeof(*m));
	m->root = node_new(S_IFDIR | 0755);
	m->root->nlink = 1;
	m->pattern = pattern;
}

void model_free(struct model *m)
{
	for (int i = 0; i < MODEL_SLOTS; i++)
		if (m->held[i]) {
			m->held[i]->holds--;
			node_put(m->held[i]);
		}
	m->root->nlink = 0;
	node_put(m->root);
}

static struct mentry *find(struct mnode *dir, const char *name)
{
	for (size_t i = 0; i < dir->n; i++)
		if (!strcmp(dir->entries[i].name, name))
			return &dir->entries[i];
	return NULL;
}

static void put_name(struct mnode *dir, const char *name, struct mnode *node)
{
	dir->entries = realloc(dir->entries, (dir->n + 1) * sizeof(*dir->entries));
	if (!dir->entries)
		give_up("out of memory");
	snprintf(dir->entries[dir->n].name, sizeof(dir->entries[dir->n].name), "%s", name);
	dir->entries[dir->n++].node = node;
	node->nlink++;
}

static void take_name(struct mnode *dir, const char *name)
{
	struct mentry *e = find(dir, name);
	struct mnode *node = e->node;

	*e = dir->entries[--dir->n];
	node->nlink--;
	node_put(node);
}

/* All paths start with "own/". Symbolic links of this tree lead nowhere. */
static int walk(struct model *m, const char *path, struct place *out)
{
	struct mnode *at = m->root;
	struct mentry *e;
	const char *slash;

	for (path += strlen("own/");; path = slash + 1) {
		if (!S_ISDIR(at->mode))
			return S_ISLNK(at->mode) ? -ENOENT : -ENOTDIR;
		slash = strchrnul(path, '/');
		snprintf(out->name, sizeof(out->name), "%.*s", (int)(slash - path), path);
		e = find(at, out->name);
		out->dir = at;
		out->node = e ? e->node : NULL;
		if (!*slash)
			return 0;
		if (!e)
			return -ENOENT;
		at = e->node;
	}
}

/* As open(2) without O_CREAT but with O_NOFOLLOW, for reading or writing data. */
static int open_data(struct model *m, const char *path, struct mnode **out)
{
	struct place p;
	int error = walk(m, path, &p);

	if (error)
		return error;
	if (!p.node)
		return -ENOENT;
	if (S_ISLNK(p.node->mode))
		return -ELOOP;
	if (S_ISDIR(p.node->mode))
		return -EISDIR;
	*out = p.node;
	return 0;
}

static void set_size(struct mnode *n, size_t size)
{
	n->data = realloc(n->data, size + 1);
	if (!n->data)
		give_up("out of memory");
	if (size > n->size)
		memset(n->data + n->size, 0, size - n->size);
	n->size = size;
}

static int write_data(struct model *m, struct mnode *n, const struct op *op, uint64_t offset)
{
	if (offset + op->b > n->size)
		set_size(n, offset + op->b);
	pattern_fill(n->data + offset, op->b, m->pattern, op->id, 0);
	return (int)op->b;
}

/* What was read, by its checksum. */
static int read_data(const struct mnode *n, const struct op *op, uint64_t offset, char *err, size_t size)
{
	size_t len = offset >= n->size ? 0 : n->size - offset;
	static const uint8_t zero;

	if (len > op->b)
		len = op->b;
	if (!op_pending(op) && op->result == (int)len && op->c != crc32c(0, len ? n->data + offset : &zero, len))
		snprintf(err, size, "read %zu bytes at %llu of %zu, and they are not what was written", len,
			 (unsigned long long)offset, n->size);
	return (int)len;
}

static int do_content(struct model *m, const struct op *op, char *err, size_t size)
{
	struct mnode *n = NULL;
	int error = open_data(m, op->name[0], &n);

	if (error)
		return error;
	switch (op->kind) {
	case OP_OWN_WRITE: return write_data(m, n, op, op->a);
	case OP_OWN_APPEND: return write_data(m, n, op, n->size);
	case OP_OWN_READ: return read_data(n, op, op->a, err, size);
	default: set_size(n, op->a); return 0;
	}
}

static int do_held(struct model *m, const struct op *op, char *err, size_t size)
{
	struct mnode **slot = &m->held[op->a % MODEL_SLOTS], *n = NULL;
	int error;

	switch (op->kind) {
	case OP_OWN_HOLD:
		error = open_data(m, op->name[0], &n);
		if (error)
			return error;
		n->holds++;
		*slot = n;
		return 0;
	case OP_OWN_HELD_WRITE: return write_data(m, *slot, op, op->c);
	case OP_OWN_HELD_READ: return read_data(*slot, op, 0, err, size);
	default:
		(*slot)->holds--;
		node_put(*slot);
		*slot = NULL;
		return 0;
	}
}

static int do_make(struct model *m, const struct op *op)
{
	struct place p;
	struct mnode *n;
	int error = walk(m, op->name[0], &p);

	if (error)
		return error;
	if (p.node)
		return -EEXIST;
	n = node_new(op->kind == OP_OWN_MKDIR     ? S_IFDIR | 0755
		     : op->kind == OP_OWN_SYMLINK ? S_IFLNK | 0777
						  : S_IFREG | 0644);
	n->ino = op->b;
	if (op->kind == OP_OWN_SYMLINK) {
		set_size(n, strlen(op->name[1]));
		memcpy(n->data, op->name[1], n->size);
	}
	put_name(p.dir, p.name, n);
	return 0;
}

static int do_remove(struct model *m, const struct op *op)
{
	struct place p;
	int error = walk(m, op->name[0], &p);

	if (error)
		return error;
	if (!p.node)
		return -ENOENT;
	if (op->kind == OP_OWN_UNLINK && S_ISDIR(p.node->mode))
		return -EISDIR;
	if (op->kind == OP_OWN_RMDIR && !S_ISDIR(p.node->mode))
		return -ENOTDIR;
	if (op->kind == OP_OWN_RMDIR && p.node->n)
		return -ENOTEMPTY;
	take_name(p.dir, p.name);
	return 0;
}

static int do_link(struct model *m, const struct op *op)
{
	struct place from, to;
	int error = walk(m, op->name[0], &from);

	if (!error && !from.node)
		error = -ENOENT;
	if (!error)
		error = walk(m, op->name[1], &to);
	if (error)
		return error;
	if (to.node)
		return -EEXIST;
	if (S_ISDIR(from.node->mode))
		return -EPERM;
	put_name(to.dir, to.name, from.node);
	return 0;
}

static bool inside(const struct mnode *dir, const struct mnode *n)
{
	if (dir == n)
		return true;
	for (size_t i = 0; i < dir->n; i++)
		if (S_ISDIR(dir->entries[i].node->mode) && inside(dir->entries[i].node, n))
			return true;
	return false;
}

/* Why a rename of `from` to `to` is refused; 0 if it is not. */
static int rename_refused(const struct place *from, const struct place *to, unsigned flags)
{
	bool exchange = flags & RENAME_EXCHANGE;

	if (!from->node)
		return -ENOENT;
	if (flags & RENAME_NOREPLACE && to->node)
		return -EEXIST;
	if (exchange && !to->node)
		return -ENOENT;
	if (S_ISDIR(from->node->mode) && inside(from->node, to->dir))
		return -EINVAL;
	if (to->node && S_ISDIR(to->node->mode) && inside(to->node, from->dir))
		return exchange ? -EINVAL : -ENOTEMPTY;
	if (!to->node || exchange || to->node == from->node)
		return 0;
	if (S_ISDIR(from->node->mode) != S_ISDIR(to->node->mode))
		return S_ISDIR(from->node->mode) ? -ENOTDIR : -EISDIR;
	return to->node->n ? -ENOTEMPTY : 0;
}

static int do_rename(struct model *m, const struct op *op)
{
	struct place from, to;
	struct mnode *moved;
	int error = walk(m, op->name[0], &from);

	if (!error)
		error = walk(m, op->name[1], &to);
	if (!error)
		error = rename_refused(&from, &to, (unsigned)op->a);
	if (error || from.node == to.node)
		return error;
	if (op->a & RENAME_EXCHANGE) {
		find(from.dir, from.name)->node = to.node;
		find(to.dir, to.name)->node = from.node;
		return 0;
	}
	moved = from.node;
	moved->holds++;
	if (to.node)
		take_name(to.dir, to.name);
	take_name(from.dir, from.name);
	put_name(to.dir, to.name, moved);
	moved->holds--;
	return 0;
}

static int do_chmod(struct model *m, const struct op *op)
{
	struct place p;
	int error = walk(m, op->name[0], &p);

	if (error)
		return error;
	if (!p.node || S_ISLNK(p.node->mode))
		return -ENOENT;
	p.node->mode = (p.node->mode & S_IFMT) | (mode_t)op->a;
	return 0;
}

static int do_stat(struct model *m, const struct op *op, char *err, size_t size)
{
	struct place p;
	int error = walk(m, op->name[0], &p);
	struct mnode *n;
	uint64_t links;

	if (error)
		return error;
	if (!p.node)
		return -ENOENT;
	n = p.node;
	links = (uint64_t)n->mode << 32 | (S_ISDIR(n->mode) ? 0 : n->nlink);
	if (op_pending(op) || op->result)
		return 0;
	if ((S_ISREG(n->mode) && op->a != n->size) || (n->ino && op->b != n->ino) || op->c != links)
		snprintf(err, size, "saw size %llu inode %llu mode %o links %u, must be %zu %llu %o %u",
			 (unsigned long long)op->a, (unsigned long long)op->b, (unsigned)(op->c >> 32), (unsigned)op->c,
			 n->size, (unsigned long long)n->ino, n->mode, n->nlink);
	return 0;
}

static int do_list(struct model *m, const struct op *op, char *err, size_t size)
{
	struct place p;
	uint64_t sum = 0;
	int error = walk(m, op->name[0], &p);

	if (error)
		return error;
	if (!p.node)
		return -ENOENT;
	if (!S_ISDIR(p.node->mode))
		return -ENOTDIR;
	for (size_t i = 0; i < p.node->n; i++)
		sum += path_id(p.node->entries[i].name);
	if (!op_pending(op) && !op->result && (op->a != p.node->n || op->c != sum))
		snprintf(err, size, "listed %llu names, must be %zu%s", (unsigned long long)op->a, p.node->n,
			 op->a == p.node->n ? " others" : "");
	return 0;
}

int model_apply(struct model *m, const struct op *op, char *err, size_t size)
{
	*err = '\0';
	switch (op->kind) {
	case OP_OWN_MKDIR:
	case OP_OWN_CREATE:
	case OP_OWN_SYMLINK: return do_make(m, op);
	case OP_OWN_RMDIR:
	case OP_OWN_UNLINK: return do_remove(m, op);
	case OP_OWN_RENAME: return do_rename(m, op);
	case OP_OWN_LINK: return do_link(m, op);
	case OP_OWN_CHMOD: return do_chmod(m, op);
	case OP_OWN_STAT: return do_stat(m, op, err, size);
	case OP_OWN_LIST: return do_list(m, op, err, size);
	case OP_OWN_HOLD:
	case OP_OWN_HELD_READ:
	case OP_OWN_HELD_WRITE:
	case OP_OWN_RELEASE: return do_held(m, op, err, size);
	default: return do_content(m, op, err, size);
	}
}
