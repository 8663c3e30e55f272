/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify_own.c - threads' own trees: replay each log into the model, compare every
 * result on the way and the whole tree at the end. If the thread died inside an
 * operation there are two legal ends: with it and without it; nothing between.
 */
#include "verify.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model.h"

/* of one tree; remembers the first difference */
struct compare {
	struct verify *v;
	char first[512];
	size_t differences;
	uint64_t files;
};

static void differs(struct compare *c, const char *path, const char *what, uint64_t is, uint64_t must)
{
	if (!c->differences++)
		snprintf(c->first, sizeof(c->first), "%s: %s is %llu, must be %llu", path, what, (unsigned long long)is,
			 (unsigned long long)must);
}

static void compare_data(struct compare *c, const char *path, const struct mnode *n)
{
	size_t size = 0, i = 0;
	int error;
	uint8_t *data = slurp(c->v, path, &size, &error);

	if (!data) {
		differs(c, path, "errno of read", (uint64_t)-error, 0);
		return;
	}
	if (size != n->size) {
		differs(c, path, "size", size, n->size);
	} else if (size && memcmp(data, n->data, size)) {
		while (data[i] == n->data[i])
			i++;
		differs(c, path, "first wrong byte", i, size);
	}
	free(data);
}

static void compare_link(struct compare *c, const char *path, const struct mnode *n)
{
	char target[OPLOG_NAME];
	ssize_t len = readlinkat(c->v->root, path, target, sizeof(target));

	if (len != (ssize_t)n->size || memcmp(target, n->data, n->size))
		differs(c, path, "symlink target length or text", (uint64_t)len, n->size);
}

static void compare_node(struct compare *c, const char *path, const struct mnode *n);

static size_t count_entries(struct compare *c, const char *path)
{
	int fd = openat(c->v->root, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	size_t n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n - 2;
}

static void compare_dir(struct compare *c, const char *path, const struct mnode *n)
{
	char sub[512];
	size_t count = count_entries(c, path);

	if (count != n->n)
		differs(c, path, "number of names", count, n->n);
	for (size_t i = 0; i < n->n; i++) {
		snprintf(sub, sizeof(sub), "%s/%s", path, n->entries[i].name);
		compare_node(c, sub, n->entries[i].node);
	}
}

static void compare_node(struct compare *c, const char *path, const struct mnode *n)
{
	struct stat st;

	if (fstatat(c->v->root, path, &st, AT_SYMLINK_NOFOLLOW)) {
		differs(c, path, "errno of stat", (uint64_t)errno, 0);
		return;
	}
	c->files++;
	if (st.st_mode != n->mode)
		differs(c, path, "mode", st.st_mode, n->mode);
	if (n->ino && st.st_ino != n->ino)
		differs(c, path, "inode", st.st_ino, n->ino);
	if (!S_ISDIR(n->mode) && st.st_nlink != n->nlink)
		differs(c, path, "link count", st.st_nlink, n->nlink);
	if ((st.st_mode & S_IFMT) != (n->mode & S_IFMT))
		return;
	if (S_ISDIR(n->mode))
		compare_dir(c, path, n);
	else if (S_ISLNK(n->mode))
		compare_link(c, path, n);
	else
		compare_data(c, path, n);
}

static void compare_tree(struct compare *c, const struct model *m, const char *own)
{
	char path[OPLOG_NAME];
	struct stat st;

	snprintf(path, sizeof(path), "own/%s", own);
	if (m->root->n)
		compare_node(c, path, m->root->entries[0].node);
	else if (!fstatat(c->v->root, path, &st, AT_SYMLINK_NOFOLLOW))
		differs(c, path, "existence", 1, 0);
}

static void judge(struct verify *v, struct model *m, const char *own, const struct op *pending)
{
	struct compare without = { .v = v }, with = { .v = v };
	char err[256], who[64];

	compare_tree(&without, m, own);
	v->own_files += without.files;
	if (!without.differences)
		return;
	if (!pending) {
		bad(v, "%s (%zu differences)", without.first, without.differences);
		return;
	}
	model_apply(m, pending, err, sizeof(err));
	compare_tree(&with, m, own);
	if (with.differences)
		bad(v, "%s %s %s by %s was in flight and is neither done nor undone; as undone: %s; as done: %s",
		    op_name(pending->kind), pending->name[0], pending->name[1], op_text(pending->id, who),
		    without.first, with.first);
}

static bool of_thread(const struct op *op, const void *arg)
{
	return op->kind >= OP_OWN_MKDIR && op->id >> 32 == *(const uint64_t *)arg >> 32;
}

static void replay(struct verify *v, uint64_t id)
{
	const struct op **ops, *pending = NULL;
	char own[OPLOG_NAME], full[OPLOG_NAME], err[256], who[64];
	struct model m;
	size_t n;
	int must;

	snprintf(own, sizeof(own), "h%ug%ut%u", (unsigned)(id >> 56), (unsigned)(id >> 40 & 0xffff),
		 (unsigned)(id >> 32 & 0xff));
	snprintf(full, sizeof(full), "%s/%.60s", v->round, own);
	model_init(&m, path_id(full));
	ops = select_ops(v, of_thread, &id, &n);
	for (size_t i = 0; i < n; i++) {
		if (op_pending(ops[i])) {
			pending = ops[i];
			break;
		}
		must = model_apply(&m, ops[i], err, sizeof(err));
		if (must == ops[i]->result && !*err)
			continue;
		bad(v, "%s %s %s (a=%llu b=%llu) by %s returned %d, must return %d%s%s", op_name(ops[i]->kind),
		    ops[i]->name[0], ops[i]->name[1], (unsigned long long)ops[i]->a, (unsigned long long)ops[i]->b,
		    op_text(ops[i]->id, who), ops[i]->result, must, *err ? ": " : "", err);
		if (must != ops[i]->result)
			goto out; /* model and tree have parted */
	}
	judge(v, &m, own, pending);
out:
	free(ops);
	model_free(&m);
}

struct trees {
	struct verify *v;
	char known[1024][24];
	size_t n;
};

static void known_tree(void *arg, const char *name)
{
	struct trees *t = arg;

	for (size_t i = 0; i < t->n; i++)
		if (!strcmp(t->known[i], name))
			return;
	bad(t->v, "own/%s: a name that nobody made", name);
}

void check_own(struct verify *v)
{
	struct trees *t = get_memory(1, sizeof(*t));

	t->v = v;
	for (size_t i = 0; i < v->log.count; i++) {
		const struct op *op = &v->log.ops[i];

		if (op->kind != OP_OWN_MKDIR || (uint32_t)op->id != 1)
			continue;
		if (t->n == 1024)
			give_up("more than 1024 threads");
		snprintf(t->known[t->n++], sizeof(t->known[0]), "%.20s", op->name[0] + strlen("own/"));
		replay(v, op->id);
	}
	each_entry(v, "own", known_tree, t);
	free(t);
}
