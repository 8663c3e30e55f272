/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify_tree.c - the whole round as a tree, whatever the logs say: every inode has
 * as many links as names, and is of one kind; every directory can be listed,
 * and no name twice.
 */
#include "verify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct inode_seen {
	uint64_t ino;
	uint64_t links, names;
	mode_t mode;
	char path[OPLOG_NAME];
};

struct seen {
	struct inode_seen *at;
	size_t n, space;
};

static struct inode_seen *next(struct seen *s)
{
	if (s->n == s->space) {
		s->space = s->space ? 2 * s->space : 1024;
		s->at = realloc(s->at, s->space * sizeof(*s->at));
		if (!s->at)
			give_up("out of memory");
	}
	return &s->at[s->n++];
}

struct walk {
	struct verify *v;
	struct seen seen;
	const char *dir;
};

static void visit(void *arg, const char *name)
{
	struct walk *w = arg, sub = { .v = w->v };
	struct inode_seen *i;
	char path[512];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", w->dir, name);
	if (fstatat(w->v->root, path, &st, AT_SYMLINK_NOFOLLOW)) {
		bad(w->v, "%s: is listed but cannot be looked up: %s", path, strerror(errno));
		return;
	}
	i = next(&w->seen);
	*i = (struct inode_seen){ .ino = st.st_ino, .links = st.st_nlink, .names = 1, .mode = st.st_mode };
	snprintf(i->path, sizeof(i->path), "%.79s", path);
	if (!S_ISDIR(st.st_mode))
		return;
	sub.dir = path;
	sub.seen = w->seen;
	each_entry(w->v, path, visit, &sub);
	w->seen = sub.seen;
}

static int by_ino(const void *a, const void *b)
{
	const struct inode_seen *x = a, *y = b;

	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	return strcmp(x->path, y->path);
}

static void check_inode(struct verify *v, const struct inode_seen *i, size_t names)
{
	for (size_t k = 1; k < names; k++) {
		if (i[k].mode != i->mode)
			bad(v, "inode %llu is two things: %s and %s", (unsigned long long)i->ino, i->path, i[k].path);
		if (!strcmp(i[k].path, i[k - 1].path))
			bad(v, "%s is listed twice", i->path);
	}
	if (S_ISDIR(i->mode) ? names != 1 : i->links != names)
		bad(v, "inode %llu (%s) has %zu names and a link count of %llu", (unsigned long long)i->ino, i->path,
		    names, (unsigned long long)i->links);
}

void check_tree(struct verify *v)
{
	struct walk w = { .v = v, .dir = "." };
	size_t end;

	each_entry(v, ".", visit, &w);
	qsort(w.seen.at, w.seen.n, sizeof(*w.seen.at), by_ino);
	for (size_t i = 0; i < w.seen.n; i = end) {
		for (end = i + 1; end < w.seen.n && w.seen.at[end].ino == w.seen.at[i].ino; end++)
			;
		check_inode(v, &w.seen.at[i], end - i);
	}
	free(w.seen.at);
}
