/* SPDX-License-Identifier: Apache-2.0 */
/* copy_tree.c - names, attributes and links of a tree that changes: see copy_tree.h. */
#include "daxfsctl/copy_tree.h"

#include <errno.h>
#include <limits.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "daxfs/cache.h"

#define REPLACED_MAX 16u /* times that a name leads to something new between two looks */

struct walk {
	struct copy_tree *c;
	void *linked; /* tree of struct linked */
	char path[PATH_MAX];
};

/* An inode of several names. */
struct linked {
	daxfs_ino ino, copy;
};

struct names {
	char **name;
	size_t n, room;
	bool failed;
};

/* -- a directory's names ---------------------------------------------------------------- */

static bool add_name(void *context, const char *name, daxfs_ino ino, unsigned dt_type, uint64_t next)
{
	struct names *l = context;
	char **more;

	(void)ino;
	(void)dt_type;
	(void)next;
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return true;
	if (l->n == l->room) {
		l->room = l->room ? 2 * l->room : 64;
		more = reallocarray(l->name, l->room, sizeof(*more));
		l->failed = !more;
		if (!more)
			return false;
		l->name = more;
	}
	l->name[l->n] = strdup(name);
	l->failed = !l->name[l->n];
	l->n += !l->failed;
	return !l->failed;
}

static void free_names(struct names *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->name[i]);
	free(l->name);
}

/* -- inodes of several names -------------------------------------------------------------- */

static int by_ino(const void *a, const void *b)
{
	const struct linked *x = a, *y = b;

	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

static const struct linked *find_linked(const struct walk *w, daxfs_ino ino)
{
	struct linked key = { .ino = ino }, **found = tfind(&key, &w->linked, by_ino);

	return found ? *found : NULL;
}

static int note_linked(struct walk *w, daxfs_ino ino, daxfs_ino copy)
{
	struct linked *l = malloc(sizeof(*l));

	if (!l)
		return -ENOMEM;
	*l = (struct linked){ ino, copy };
	return tsearch(l, &w->linked, by_ino) ? 0 : -ENOMEM;
}

/* -- one inode ---------------------------------------------------------------------------- */

static int copy_xattrs(const struct copy_tree *c, daxfs_ino ino, daxfs_ino copy)
{
	char list[4096], value[4096];
	ssize_t n = daxfs_xattr_list(c->from, ino, list, sizeof(list));
	ssize_t len;
	int rc = n < 0 ? (int)n : 0;

	for (char *name = list; rc == 0 && name < list + n; name += strlen(name) + 1) {
		len = daxfs_xattr_get(c->from, ino, name, value, sizeof(value));
		if (len >= 0)
			rc = daxfs_xattr_set(c->to, copy, name, value, (size_t)len, 0);
		else if (len != -ENODATA) /* removed since */
			rc = (int)len;
	}
	return rc;
}

/* Last: what is made in it, or written, changes its times. */
static int copy_attributes(const struct copy_tree *c, const struct daxfs_attr *attr, daxfs_ino copy)
{
	struct daxfs_attr out;

	return daxfs_setattr(c->to, copy,
			     DAXFS_SET_MODE | DAXFS_SET_UID | DAXFS_SET_GID | DAXFS_SET_ATIME | DAXFS_SET_MTIME, attr,
			     &out);
}

static int make_symlink(const struct copy_tree *c, const struct daxfs_attr *attr, daxfs_ino parent, const char *name,
			struct daxfs_attr *out)
{
	struct daxfs_cred cred = { attr->uid, attr->gid };
	char target[PATH_MAX];
	int rc = daxfs_readlink(c->from, attr->ino, target, sizeof(target));

	return rc ? rc : daxfs_symlink(c->to, parent, name, target, cred, out);
}

static int make(const struct copy_tree *c, const struct daxfs_attr *attr, daxfs_ino parent, const char *name,
		struct daxfs_attr *out)
{
	struct daxfs_cred cred = { attr->uid, attr->gid };

	if (S_ISLNK(attr->mode))
		return make_symlink(c, attr, parent, name, out);
	if (S_ISDIR(attr->mode))
		return daxfs_mkdir(c->to, parent, name, attr->mode & 07777, cred, out);
	return daxfs_mknod(c->to, parent, name, attr->mode, attr->rdev, cred, false, out);
}

static int copy_bytes(struct walk *w, const struct daxfs_attr *attr, daxfs_ino copy)
{
	struct copy_tree *c = w->c;
	int rc = copy_file(c->from, attr->ino, c->to, copy, &c->bytes);

	if (rc == 0) {
		c->pieces++;
		if (c->in_pieces)
			c->in_pieces(c->context, w->path);
	}
	c->files += rc >= 0;
	return rc < 0 ? rc : 0;
}

static int copy_directory(struct walk *w, daxfs_ino ino, daxfs_ino copy);

static int fill(struct walk *w, const struct daxfs_attr *attr, daxfs_ino copy)
{
	if (S_ISREG(attr->mode))
		return copy_bytes(w, attr, copy);
	if (S_ISDIR(attr->mode))
		return copy_directory(w, attr->ino, copy);
	w->c->others++;
	return 0;
}

static int copy_inode(struct walk *w, const struct daxfs_attr *attr, daxfs_ino parent, const char *name)
{
	const struct linked *known = S_ISDIR(attr->mode) ? NULL : find_linked(w, attr->ino);
	struct daxfs_attr out;
	int rc;

	if (known)
		return daxfs_link(w->c->to, known->copy, parent, name, &out);
	rc = make(w->c, attr, parent, name, &out);
	if (rc == 0)
		rc = fill(w, attr, out.ino);
	if (rc == 0)
		rc = copy_xattrs(w->c, attr->ino, out.ino);
	if (rc == 0)
		rc = copy_attributes(w->c, attr, out.ino);
	if (rc == 0 && attr->nlink > 1 && !S_ISDIR(attr->mode))
		rc = note_linked(w, attr->ino, out.ino);
	return rc;
}

/* -- the tree ------------------------------------------------------------------------------- */

/* Held, so that it stays while it is copied. -ENOENT: the name is gone. */
static int look_up(const struct copy_tree *c, daxfs_ino dir, const char *name, struct daxfs_attr *out)
{
	int rc = -ESTALE;

	for (unsigned tries = 0; rc == -ESTALE && tries < REPLACED_MAX; tries++) {
		rc = daxfs_lookup(c->from, dir, name, out);
		if (rc == -ESTALE)
			return -ENOENT; /* the directory */
		if (rc == 0 && !S_ISLNK(out->mode))
			rc = daxfs_file_open(c->from, out->ino);
	}
	return rc;
}

static int copy_name(struct walk *w, daxfs_ino dir, daxfs_ino copy, const char *name)
{
	struct daxfs_source source;
	struct daxfs_attr attr;
	int rc = look_up(w->c, dir, name, &attr);

	if (rc)
		return rc == -ENOENT ? 0 : rc;
	if (daxfs_source(w->c->from, attr.ino, &source) == 0)
		w->c->storage++;
	else
		rc = copy_inode(w, &attr, copy, name);
	if (!S_ISLNK(attr.mode))
		daxfs_file_close(w->c->from, attr.ino);
	else if (rc == -ESTALE) /* a symbolic link that was removed in the middle of it */
		rc = daxfs_unlink(w->c->to, copy, name) == -ENOENT ? 0 : rc;
	return rc;
}

static size_t enter(struct walk *w, const char *name)
{
	size_t len = strlen(w->path);

	snprintf(w->path + len, sizeof(w->path) - len, "/%s", name);
	return len;
}

static int copy_directory(struct walk *w, daxfs_ino ino, daxfs_ino copy)
{
	struct names names = { 0 };
	int rc = daxfs_readdir(w->c->from, ino, 0, add_name, &names);
	size_t len;

	if (names.failed)
		rc = -ENOMEM;
	if (rc == -ESTALE)
		rc = 0; /* removed meanwhile */
	for (size_t i = 0; rc == 0 && i < names.n; i++) {
		len = enter(w, names.name[i]);
		rc = copy_name(w, ino, copy, names.name[i]);
		if (rc == 0)
			w->path[len] = '\0'; /* else it says where */
	}
	free_names(&names);
	w->c->directories += rc == 0;
	return rc;
}

int copy_tree(struct copy_tree *c, struct daxfs_error *err)
{
	struct walk *w = calloc(1, sizeof(*w));
	struct daxfs_attr attr;
	int rc;

	if (!w)
		return daxfs_error_set(err, -ENOMEM, "out of memory");
	w->c = c;
	rc = copy_directory(w, DAXFS_ROOT, DAXFS_ROOT);
	if (rc == 0)
		rc = copy_xattrs(c, DAXFS_ROOT, DAXFS_ROOT);
	if (rc == 0)
		rc = daxfs_getattr(c->from, DAXFS_ROOT, &attr);
	if (rc == 0)
		rc = copy_attributes(c, &attr, DAXFS_ROOT);
	if (rc)
		daxfs_error_set(err, rc, "%.160s cannot be copied: %s", w->path[0] ? w->path : "/", strerror(-rc));
	tdestroy(w->linked, free);
	free(w);
	return rc;
}
