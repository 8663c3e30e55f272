/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backing_names.c - names and bytes of a backing, made in the pool what they are in storage.
 *
 * The pool has a name of a tree because some host has looked at it. What changed in storage since is noticed
 *   at each open of a file, by the host that opens it;
 *   at a lookup or opening of a directory, if this host has looked longer than revalidate-ms ago;
 *   at each read of bytes that are not in the pool: that fails with ESTALE, and so does all that is read of that file.
 * What nobody looks at is not noticed; nor is a change that leaves number, size, mtime and ctime as they were.
 *
 * A file that changed is another file: its name is forgotten and imported anew, and its pages go with the
 * last of its readers. For a moment hosts that cannot read the storage find no name. Two hosts that do the same at
 * once meet at the name: -EEXIST, -ESTALE, and both look again. A crash leaves a name that is not there, or one
 * that is old: the next look makes it right.
 */
#include "node-agent/backing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/log.h"

#define LOOKS 8u      /* at a name that others change meanwhile */
#define DEPTH_MAX 256 /* of a tree that is forgotten */

/* Storage fails: said once, until it fails otherwise. */
static void say(struct backing *b, int error)
{
	bool again;

	pthread_mutex_lock(&b->lock);
	again = b->said == error;
	b->said = error;
	pthread_mutex_unlock(&b->lock);
	if (!again && error)
		log_warn("backing %s: storage says: %s", b->config->name, strerror(-error));
}

/* Is there nothing that the pool can have under a path that was answered so? */
static bool is_absent(int rc)
{
	return rc == -ENOENT || rc == -ENOTDIR || rc == -ELOOP || rc == -EXDEV || rc == -EOPNOTSUPP;
}

/* What the pool has of something that was imported. */
static int known(struct backing *b, daxfs_ino ino, struct storage_entry *out)
{
	struct daxfs_source source = { .file = 0 };
	int rc = daxfs_getattr(b->fs, ino, &out->attr);

	if (rc == 0)
		rc = daxfs_source(b->fs, ino, &source);
	out->file = source.file;
	return rc;
}

/* Our own kernel may keep what others were made to forget. */
static void tell(struct backing *b, daxfs_ino ino)
{
	b->told->changed(b->told->context, ino);
}

/* -- forgetting ------------------------------------------------------------------------ */

struct names {
	struct name {
		daxfs_ino ino;
		char *text;
	} * name;
	size_t n, room;
	bool failed;
};

static int names_add(struct names *names, const char *text, daxfs_ino ino)
{
	size_t room = names->room ? 2 * names->room : 64;
	struct name *more = names->name;

	if (names->n == names->room) {
		more = realloc(names->name, room * sizeof(*more));
		if (!more)
			return -ENOMEM;
		names->name = more;
		names->room = room;
	}
	more[names->n] = (struct name){ ino, strdup(text) };
	return more[names->n].text ? (names->n++, 0) : -ENOMEM;
}

static void names_free(struct names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->name[i].text);
	free(names->name);
}

static bool add_of_pool(void *context, const char *name, daxfs_ino ino, unsigned type, uint64_t next)
{
	struct names *names = context;

	(void)type, (void)next;
	if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && names_add(names, name, ino))
		names->failed = true;
	return !names->failed;
}

static int names_of_pool(struct backing *b, daxfs_ino dir, struct names *names)
{
	int rc = daxfs_readdir(b->fs, dir, 0, add_of_pool, names);

	return rc ? rc : names->failed ? -ENOMEM : 0;
}

/* With all below it. Others may import there meanwhile: then it stays, and is looked at again. */
static int forget(struct backing *b, daxfs_ino parent, const char *name, daxfs_ino ino, unsigned depth)
{
	struct names below = { 0 };
	int rc = daxfs_forget(b->fs, parent, name, ino);

	if (rc == -ENOTEMPTY && depth < DEPTH_MAX) {
		rc = names_of_pool(b, ino, &below);
		for (size_t i = 0; rc == 0 && i < below.n; i++)
			rc = forget(b, ino, below.name[i].text, below.name[i].ino, depth + 1);
		names_free(&below);
		if (rc == 0)
			rc = daxfs_forget(b->fs, parent, name, ino);
	}
	backing_unnote(b, ino);
	tell(b, ino);
	return rc == -ENOENT || rc == -ESTALE ? 0 : rc;
}

/* -- one name ---------------------------------------------------------------------------- */

static int import(struct backing *b, daxfs_ino parent, const char *name, const char *path,
		  const struct storage_entry *e)
{
	char target[PATH_MAX];
	struct daxfs_attr out = { .ino = 0 };
	int rc;

	if (S_ISLNK(e->attr.mode)) {
		rc = storage_readlink(b->fd, path, target, sizeof(target));
		if (rc == 0)
			rc = daxfs_import_link(b->fs, parent, name, target, &e->attr, b->number, e->file, &out);
	} else {
		rc = daxfs_import(b->fs, parent, name, &e->attr, b->number, e->file, &out);
	}
	if (rc == 0) {
		backing_note(b, out.ino, parent, name, true);
		tell(b, 0);
	}
	return rc;
}

static int refresh(struct backing *b, daxfs_ino dir, const struct storage_entry *was, const struct storage_entry *now)
{
	const struct daxfs_attr *a = &was->attr, *n = &now->attr;
	int rc;

	if (a->mode == n->mode && a->uid == n->uid && a->gid == n->gid && a->mtime.tv_sec == n->mtime.tv_sec &&
	    a->mtime.tv_nsec == n->mtime.tv_nsec)
		return 0;
	rc = daxfs_import_again(b->fs, dir, n);
	tell(b, dir);
	return rc;
}

/* Make a name of the pool what storage says: 0, -ENOENT, -EAGAIN: somebody else was at it. */
static int make_so(struct backing *b, daxfs_ino parent, const char *name, const char *path, int there,
		   const struct storage_entry *now)
{
	struct storage_entry was;
	struct daxfs_attr attr;
	int rc = daxfs_lookup(b->fs, parent, name, &attr);

	if (rc == -ENOENT) {
		rc = is_absent(there) ? -ENOENT : import(b, parent, name, path, now);
		return rc == -EEXIST ? -EAGAIN : rc;
	}
	if (rc == 0)
		rc = known(b, attr.ino, &was);
	if (rc)
		return rc == -ESTALE ? -EAGAIN : rc;
	if (there == 0 && storage_same(&was, now)) {
		backing_note(b, attr.ino, parent, name, true);
		return S_ISDIR(attr.mode) ? refresh(b, attr.ino, &was, now) : 0;
	}
	rc = forget(b, parent, name, attr.ino, 0);
	return rc ? rc : -EAGAIN;
}

int backing_look(struct backing *b, daxfs_ino parent, const char *name)
{
	struct storage_entry now;
	char path[PATH_MAX];
	int rc = -EAGAIN, there;

	for (unsigned i = 0; rc == -EAGAIN && i < LOOKS; i++) {
		rc = backing_path_of(b, parent, name, path, sizeof(path));
		if (rc)
			return rc == -ESTALE ? -ENOENT : rc;
		there = storage_look(b->fd, path, &now);
		say(b, there && !is_absent(there) ? there : 0);
		if (there && !is_absent(there))
			return there;
		rc = make_so(b, parent, name, path, there, &now);
	}
	return rc == -EAGAIN ? -ESTALE : rc;
}

int backing_look_at(struct backing *b, daxfs_ino ino)
{
	struct storage_entry was, now;
	struct backing_note note;
	char path[PATH_MAX];
	int rc = known(b, ino, &was);

	if (rc == 0)
		rc = backing_path(b, ino, path, sizeof(path));
	if (rc || ino == b->root)
		return rc;
	rc = storage_look(b->fd, path, &now);
	say(b, rc && !is_absent(rc) ? rc : 0);
	if (rc && !is_absent(rc))
		return rc;
	if (!backing_find_note(b, ino, &note) || !note.parent)
		return -ESTALE; /* another one took its place in the table: the kernel comes again */
	if (rc == 0 && storage_same(&was, &now)) {
		backing_note(b, ino, note.parent, note.name, true);
		return 0;
	}
	backing_unnote(b, ino); /* its path may be what is old */
	rc = backing_look(b, note.parent, note.name);
	return rc == 0 || rc == -ENOENT ? -ESTALE : rc;
}

/* -- a directory --------------------------------------------------------------------------- */

static int add_of_storage(void *context, const char *name)
{
	return names_add(context, name, 0);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->text, ((const struct name *)b)->text);
}

/* Look at a name that one side has and the other one has not. What cannot be here is left out. */
static int look_at_odd(struct backing *b, daxfs_ino dir, const char *name)
{
	int rc = backing_look(b, dir, name);

	return rc == -ENOENT || rc == -ENAMETOOLONG ? 0 : rc;
}

static int compare(struct backing *b, daxfs_ino dir, const struct names *here, const struct names *there)
{
	size_t i = 0, j = 0;
	int rc = 0, order;

	while (rc == 0 && (i < here->n || j < there->n)) {
		order = i == here->n ? 1 : j == there->n ? -1 : by_text(&here->name[i], &there->name[j]);
		if (order)
			rc = look_at_odd(b, dir, order < 0 ? here->name[i].text : there->name[j].text);
		i += order <= 0;
		j += order >= 0;
	}
	return rc;
}

static void sort(struct names *names)
{
	if (names->n)
		qsort(names->name, names->n, sizeof(*names->name), by_text);
}

static int list(struct backing *b, daxfs_ino dir, const char *path)
{
	struct names here = { 0 }, there = { 0 };
	int rc = storage_list(b->fd, path, add_of_storage, &there);

	if (rc == 0)
		rc = names_of_pool(b, dir, &here);
	sort(&here);
	sort(&there);
	if (rc == 0)
		rc = compare(b, dir, &here, &there);
	names_free(&here);
	names_free(&there);
	return rc;
}

/* Has it the names that it had when we listed it? */
static bool is_unchanged(struct backing *b, daxfs_ino dir, const struct daxfs_attr *now)
{
	struct backing_note note;

	return backing_find_note(b, dir, &note) && note.listed_ns && note.settled &&
	       note.mtime.tv_sec == now->mtime.tv_sec && note.mtime.tv_nsec == now->mtime.tv_nsec &&
	       note.ctime.tv_sec == now->ctime.tv_sec && note.ctime.tv_nsec == now->ctime.tv_nsec;
}

int backing_list(struct backing *b, daxfs_ino dir)
{
	struct storage_entry was, now;
	char path[PATH_MAX];
	int rc = known(b, dir, &was);

	if (rc == 0)
		rc = backing_path(b, dir, path, sizeof(path));
	if (rc == 0)
		rc = storage_look(b->fd, path, &now);
	if (rc == 0 && !storage_same(&was, &now))
		rc = -ESTALE; /* another one has its name */
	if (rc == 0)
		rc = refresh(b, dir, &was, &now);
	if (rc == 0 && !is_unchanged(b, dir, &now.attr))
		rc = list(b, dir, path);
	if (rc == 0)
		backing_note_list(b, dir, &now.attr); /* as it was before it was listed */
	say(b, is_absent(rc) || rc == -ESTALE ? 0 : rc);
	return is_absent(rc) ? -ESTALE : rc;
}

/* -- bytes ------------------------------------------------------------------------------------ */

ssize_t backing_read(void *context, daxfs_ino ino, uint64_t file, void *buf, size_t len, uint64_t offset)
{
	struct backing *b = context;
	struct storage_entry was;
	char path[PATH_MAX];
	ssize_t n = known(b, ino, &was);

	(void)file;
	if (n == 0)
		n = backing_path(b, ino, path, sizeof(path));
	if (n == 0)
		n = storage_read(b->fd, path, &was, buf, len, offset);
	if (n == -ESTALE)
		backing_unnote(b, ino);
	say(b, n < 0 && n != -ESTALE ? (int)n : 0);
	return n;
}
