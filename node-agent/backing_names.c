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
 * Storage may differ because a program of the pod has changed names, too (backing_change.c): that is settled first,
 * and paths are found anew; only what differs then has somebody else done.
 *
 * A file that is dirty, or is being written back, is known by its number alone: what was written here wins. It is not
 * forgotten, nor is what it is in, whatever storage says (backing_write.c).
 * Any other file that changed is another file: its name is forgotten and imported anew, and its pages go with the
 * last of its readers. For a moment the pool has no name: a host that cannot read the storage asks. To forget, a host
 * locks the directory and looks again: so what another host has just made is not taken for what an old look did not
 * see. If storage has the same file under that name, it locks the file, too: who sets its attributes has that locked
 * until the stamp is of these, and may have come by another name. Where a dead host has the lock, what the pool has is
 * served, until it is recovered. To import needs no lock: a name that is gone again by then is forgotten by the next
 * look. A crash leaves a name that is not there, or one that is old: the next look makes it right.
 */
#include "node-agent/backing_change.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/log.h"

#define LOOKS 8u      /* at a name that others change meanwhile */
#define DEPTH_MAX 256 /* of a tree that is forgotten */
#define LOCK_MS 500   /* for whoever changes names of the directory */
#define FULL_MS 10000 /* for room that others take */
#define NOT_LOCKED BACKING_NOT_LOCKED

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

/* what the pool has of something that was imported */
struct known {
	struct storage_entry entry;
	bool dirty;
	uint64_t stamp; /* of a file, as storage said last; 0: not known but by its attributes */
};

static int known(struct backing *b, daxfs_ino ino, struct known *out)
{
	struct daxfs_source source = { .file = 0 };
	int rc = daxfs_getattr(b->fs, ino, &out->entry.attr);

	if (rc == 0)
		rc = daxfs_source(b->fs, ino, &source);
	out->entry.file = source.file;
	out->dirty = source.dirty;
	out->stamp = source.stamp;
	return rc;
}

/* Is it what it was? */
static bool is_same(const struct known *was, const struct storage_entry *now)
{
	if (!S_ISREG(was->entry.attr.mode) || !S_ISREG(now->attr.mode) || (!was->dirty && !was->stamp))
		return storage_same(&was->entry, now);
	return was->entry.file == now->file && (was->dirty || storage_stamp_is(was->stamp, now));
}

bool backing_is_as(struct backing *b, daxfs_ino ino, const struct storage_entry *now)
{
	struct known was;

	return known(b, ino, &was) == 0 && is_same(&was, now);
}

/* Our own kernel may keep what others were made to forget. */
static void tell(struct backing *b, daxfs_ino ino)
{
	b->told->changed(b->told->context, ino);
}

/* -- forgetting ------------------------------------------------------------------------ */

int backing_is_empty(struct backing *b, daxfs_ino dir)
{
	struct name_list names = { 0 };
	int rc = name_list_of_pool(b->fs, dir, &names);

	if (rc == 0 && names.n)
		rc = -ENOTEMPTY;
	name_list_free(&names);
	return rc;
}

/* Would something be lost that storage has not? */
static bool is_dirty(struct backing *b, daxfs_ino ino)
{
	struct daxfs_source source;

	return daxfs_source(b->fs, ino, &source) == 0 && source.dirty;
}

/* With all below it; -EBUSY: but what is dirty. Others may import there meanwhile: then it stays, and is looked at
 * again. */
static int forget(struct backing *b, daxfs_ino parent, const char *name, daxfs_ino ino, unsigned depth)
{
	struct name_list below = { 0 };
	int rc = daxfs_forget(b->fs, parent, name, ino);

	if (rc == -ENOTEMPTY && depth < DEPTH_MAX) {
		rc = name_list_of_pool(b->fs, ino, &below);
		for (size_t i = 0; rc == 0 && i < below.n; i++)
			rc = forget(b, ino, below.name[i].text, below.name[i].ino, depth + 1);
		name_list_free(&below);
		if (rc == 0)
			rc = daxfs_forget(b->fs, parent, name, ino);
	}
	if (rc == -EBUSY)
		log_warn("backing %s: %s is gone from storage, or another one there, but was written here: kept",
			 b->config->name, name);
	if (rc == 0)
		backing_unnumber(b, ino);
	backing_unnote(b, ino);
	tell(b, ino);
	return rc == -ENOENT || rc == -ESTALE ? 0 : rc;
}

int backing_forget(struct backing *b, daxfs_ino parent, const char *name, daxfs_ino ino)
{
	return forget(b, parent, name, ino, 0);
}

/* -- one name ---------------------------------------------------------------------------- */

int backing_import_one(struct backing *b, daxfs_ino parent, const char *name, const char *target,
		       const struct storage_entry *e, struct daxfs_attr *out)
{
	int rc = target ? daxfs_import_link(b->fs, parent, name, target, &e->attr, b->number, e->file, out)
			: daxfs_import(b->fs, parent, name, &e->attr, b->number, e->file, out);

	if (rc == 0 && S_ISREG(e->attr.mode))
		daxfs_restamp(b->fs, out->ino, 0, storage_stamp(e)); /* else it is known by its attributes */
	return rc;
}

int backing_import(struct backing *b, daxfs_ino parent, const char *name, const char *target,
		   const struct storage_entry *e, struct daxfs_attr *out)
{
	int rc = backing_may_join(b, e) ? backing_import_many(b, parent, name, target, e, out)
					: backing_import_one(b, parent, name, target, e, out);

	if (rc == 0) {
		backing_note(b, out->ino, parent, name, true);
		backing_note_links(b, out->ino, e->links);
		tell(b, 0);
	}
	return rc;
}

/* Is what a path leads to, without its last name, the directory that the pool means? */
static bool is_in(struct backing *b, daxfs_ino parent, const char *path)
{
	const char *end = strrchr(path, '/');
	size_t len = end ? (size_t)(end - path) : 0;
	struct daxfs_source source;
	struct storage_entry now;
	char dir[PATH_MAX];

	memcpy(dir, path, len);
	dir[len] = '\0';
	return storage_look(b->fd, dir, &now) == 0 && daxfs_source(b->fs, parent, &source) == 0 &&
	       now.file == source.file;
}

/* -EAGAIN: the directory is elsewhere by now. */
static int import(struct backing *b, daxfs_ino parent, const char *name, const char *path,
		  const struct storage_entry *e)
{
	char target[PATH_MAX];
	struct daxfs_attr out = { .ino = 0 };
	bool link = S_ISLNK(e->attr.mode);
	int rc = link ? storage_readlink(b->fd, path, target, sizeof(target)) : 0;

	if (rc == 0 && !is_in(b, parent, path))
		return -EAGAIN;
	return rc ? rc : backing_import(b, parent, name, link ? target : NULL, e, &out);
}

bool backing_same_attributes(const struct daxfs_attr *a, const struct daxfs_attr *b)
{
	return a->mode == b->mode && a->uid == b->uid && a->gid == b->gid && a->mtime.tv_sec == b->mtime.tv_sec &&
	       a->mtime.tv_nsec == b->mtime.tv_nsec;
}

static int refresh(struct backing *b, daxfs_ino dir, const struct storage_entry *was, const struct storage_entry *now)
{
	int rc;

	if (backing_same_attributes(&was->attr, &now->attr))
		return 0;
	rc = daxfs_import_again(b->fs, dir, &now->attr);
	tell(b, dir);
	return rc;
}

/* Storage differs: has a program of the pod done that, so that it is to be looked at again, by another path perhaps? */
static bool was_us(struct backing *b, daxfs_ino parent, const char *name, const char *path)
{
	char now[PATH_MAX];

	if (backing_settle(b))
		return true;
	return backing_path_of(b, parent, name, now, sizeof(now)) != 0 || strcmp(now, path) != 0;
}

/* Is that name being made, by who has the locks? What is there has not its owner yet, and its stamp will change. */
static bool is_being_made(struct backing *b, daxfs_ino parent, const char *name)
{
	struct backing_intents all;
	bool found = false;

	backing_intents(b, &all);
	for (unsigned i = 0; i < all.n && !found; i++) {
		const struct backing_change *c = &all.change[i];

		found = c->op == BACKING_MAKE && c->dir == parent && strcmp(c->name, name) == 0;
	}
	free(all.change);
	return found;
}

/* A stamp that is another one, of the same file, has left the ctime open. */
void backing_keep(struct backing *b, daxfs_ino ino, daxfs_ino parent, const char *name, const struct storage_entry *now)
{
	backing_note(b, ino, parent, name, true);
	backing_note_links(b, ino, now->links);
	backing_stamp_as(b, ino, now);
}

/* May whoever has these locked forget it? Not while somebody sets its attributes, by that name or another one. */
static bool may_forget(const struct name_locks *locks, daxfs_ino ino, const struct known *was, int there,
		       const struct storage_entry *now)
{
	return locks && (there || was->entry.file != now->file || backing_has_locked(locks, ino));
}

/* Make a name of the pool what storage says: 0, -ENOENT, -EAGAIN: look again; NOT_LOCKED: to forget it, or to find it
 * made. */
static int make_so(struct backing *b, daxfs_ino parent, const char *name, const char *path, int there,
		   const struct storage_entry *now, const struct name_locks *locks)
{
	struct known was;
	struct daxfs_attr attr;
	int rc = daxfs_lookup(b->fs, parent, name, &attr);

	if (rc == -ENOENT && is_absent(there))
		return -ENOENT;
	if (rc == -ENOENT) {
		if (!locks && is_being_made(b, parent, name))
			return NOT_LOCKED;
		rc = was_us(b, parent, name, path) ? -EAGAIN : import(b, parent, name, path, now);
		return rc == -EEXIST ? -EAGAIN : rc;
	}
	if (rc == 0)
		rc = known(b, attr.ino, &was);
	if (rc)
		return rc == -ESTALE ? -EAGAIN : rc;
	if (there == 0 && is_same(&was, now) && (was.dirty || backing_is_the_one(b, attr.ino, now))) {
		backing_keep(b, attr.ino, parent, name, now);
		return S_ISDIR(attr.mode) ? refresh(b, attr.ino, &was.entry, now) : 0;
	}
	if (was_us(b, parent, name, path))
		return -EAGAIN;
	if (!may_forget(locks, attr.ino, &was, there, now))
		return NOT_LOCKED;
	rc = forget(b, parent, name, attr.ino, 0);
	return rc == -EBUSY ? 0 : rc ? rc : -EAGAIN;
}

static int look(struct backing *b, daxfs_ino parent, const char *name, const struct name_locks *locks)
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
		rc = make_so(b, parent, name, path, there, &now, locks);
	}
	return rc == -EAGAIN ? -ESTALE : rc;
}

int backing_look_locked(struct backing *b, daxfs_ino parent, const char *name, const struct name_locks *locks)
{
	return look(b, parent, name, locks);
}

static int look_unlocked(struct backing *b, daxfs_ino parent, const char *name)
{
	struct name_locks locks;
	int rc = look(b, parent, name, NULL);

	for (unsigned i = 0; rc == NOT_LOCKED && i < LOOKS; i++) {
		struct daxfs_attr attr = { .ino = 0 };

		daxfs_lookup(b->fs, parent, name, &attr);
		if (backing_lock_names(b, &locks, (daxfs_ino[]){ parent, attr.ino }, 2, LOCK_MS))
			return 0; /* as the pool has it */
		rc = look(b, parent, name, &locks);
		backing_unlock_names(b, &locks);
	}
	return rc == NOT_LOCKED ? -ESTALE : rc; /* it leads to another one each time */
}

int backing_look(struct backing *b, daxfs_ino parent, const char *name)
{
	const int64_t until = clock_ns() + (int64_t)FULL_MS * 1000000;
	int rc = look_unlocked(b, parent, name);

	/* Other hosts may be faster to take the room. */
	while (rc == -ENOSPC && clock_ns() < until && backing_give_back(b, parent))
		rc = look_unlocked(b, parent, name);
	return rc;
}

static bool leads_to(struct backing *b, daxfs_ino parent, const char *name, daxfs_ino ino)
{
	struct daxfs_attr attr;

	return daxfs_lookup(b->fs, parent, name, &attr) == 0 && attr.ino == ino;
}

static int look_at(struct backing *b, daxfs_ino ino)
{
	struct storage_entry now;
	struct known was;
	struct backing_note note;
	char path[PATH_MAX];
	int rc = known(b, ino, &was);

	if (rc == 0)
		rc = backing_path(b, ino, path, sizeof(path));
	if (rc || ino == b->root)
		return rc;
	rc = backing_place(b, ino, &note); /* kept here: in the table its directory may take its place */
	if (rc)
		return rc;
	rc = storage_look(b->fd, path, &now);
	say(b, rc && !is_absent(rc) ? rc : 0);
	if (rc && !is_absent(rc))
		return rc;
	if ((rc || !is_same(&was, &now)) && (backing_settle(b) || !backing_path_is(b, ino, path)))
		return -EAGAIN;
	if (rc == 0 && is_same(&was, &now)) {
		backing_keep(b, ino, note.parent, note.name, &now);
		return 0;
	}
	backing_unnote(b, ino); /* its path may be what is old */
	rc = backing_look(b, note.parent, note.name);
	if (rc == 0 && (is_dirty(b, ino) || leads_to(b, note.parent, note.name, ino)))
		return 0; /* ours; or its attributes were just being set */
	return rc == 0 || rc == -ENOENT ? -ESTALE : rc;
}

int backing_look_at(struct backing *b, daxfs_ino ino)
{
	int rc = -EAGAIN;

	for (unsigned i = 0; rc == -EAGAIN && i < LOOKS; i++)
		rc = look_at(b, ino);
	return rc == -EAGAIN ? -ESTALE : rc;
}

/* -- a directory --------------------------------------------------------------------------- */

static int add_of_storage(void *context, const char *name)
{
	return name_list_add(context, name, 0, false);
}

/* Look at a name that one side has and the other one has not. What cannot be here is left out. */
static int look_at_odd(struct backing *b, daxfs_ino dir, const char *name)
{
	int rc = backing_look(b, dir, name);

	return rc == -ENOENT || rc == -ENAMETOOLONG ? 0 : rc;
}

struct finding {
	struct backing *b;
	uint64_t key;
	struct name_list found;
	size_t n; /* names that storage has */
};

static int add_of_key(void *context, const char *name)
{
	struct finding *f = context;

	f->n++;
	return daxfs_name_key(f->b->fs, name) == f->key ? name_list_add(&f->found, name, 0, false) : 0;
}

/* For who cannot look at a name by itself, and says only its key. A host that asks for one will soon ask for others. */
int backing_find(struct backing *b, daxfs_ino dir, uint64_t key)
{
	struct finding f = { .b = b, .key = key };
	char path[PATH_MAX];
	int rc = backing_path(b, dir, path, sizeof(path)), found = -ENOENT;

	if (rc == 0)
		rc = storage_list(b->fd, path, add_of_key, &f);
	say(b, is_absent(rc) ? 0 : rc);
	if (rc == 0 && backing_are_few(b, f.n))
		rc = backing_list(b, dir);
	for (size_t i = 0; rc == 0 && i < f.found.n; i++) {
		int look = backing_look(b, dir, f.found.name[i].text);

		if (look != -ENOENT)
			found = look;
	}
	name_list_free(&f.found);
	return is_absent(rc) ? -ESTALE : rc ? rc : found;
}

static int compare(struct backing *b, daxfs_ino dir, const struct name_list *here, const struct name_list *there)
{
	size_t i = 0, j = 0;
	int rc = 0, order;

	while (rc == 0 && (i < here->n || j < there->n)) {
		order = i == here->n ? 1 : j == there->n ? -1 : strcmp(here->name[i].text, there->name[j].text);
		if (order)
			rc = look_at_odd(b, dir, order < 0 ? here->name[i].text : there->name[j].text);
		i += order <= 0;
		j += order >= 0;
	}
	return rc;
}

static int list(struct backing *b, daxfs_ino dir, const char *path)
{
	struct name_list here = { 0 }, there = { 0 };
	int rc = storage_list(b->fd, path, add_of_storage, &there);

	if (rc == 0)
		rc = name_list_of_pool(b->fs, dir, &here);
	name_list_sort(&here);
	name_list_sort(&there);
	if (rc == 0)
		rc = compare(b, dir, &here, &there);
	name_list_free(&here);
	name_list_free(&there);
	return rc;
}

static int list_once(struct backing *b, daxfs_ino dir)
{
	struct storage_entry now;
	struct known was;
	char path[PATH_MAX];
	int rc = known(b, dir, &was);

	if (rc == 0)
		rc = backing_path(b, dir, path, sizeof(path));
	if (rc == 0)
		rc = storage_look(b->fd, path, &now);
	if (rc == 0 && !is_same(&was, &now))
		rc = -ESTALE; /* another one has its name */
	if ((is_absent(rc) || rc == -ESTALE) && dir != b->root && (backing_settle(b) || !backing_path_is(b, dir, path)))
		return -EAGAIN;
	if (rc == 0)
		rc = refresh(b, dir, &was.entry, &now);
	if (rc == 0 && !backing_was_listed(b, dir, &now.attr, was.stamp))
		rc = list(b, dir, path);
	if (rc == 0)
		backing_note_list(b, dir, &now.attr, was.stamp); /* as it was before it was listed */
	say(b, is_absent(rc) || rc == -ESTALE ? 0 : rc);
	return is_absent(rc) ? -ESTALE : rc;
}

int backing_list(struct backing *b, daxfs_ino dir)
{
	int rc = -EAGAIN;

	for (unsigned i = 0; rc == -EAGAIN && i < LOOKS; i++)
		rc = list_once(b, dir);
	return rc == -EAGAIN ? -ESTALE : rc;
}

/* -- bytes ------------------------------------------------------------------------------------ */

/* Whoever is about to set the attributes of a file has it locked until its stamp is of these. */
static void await_setter(struct backing *b, daxfs_ino ino)
{
	struct name_locks locks;

	if (backing_lock_names(b, &locks, &ino, 1, LOCK_MS) == 0)
		backing_unlock_names(b, &locks);
}

/*
 * Bytes that storage has not are zeros if the file is dirty: then somebody made it longer, and nothing else is known of
 * it but its number. It may have been written back while we read: then it is known by another stamp.
 */
static ssize_t read_once(struct backing *b, daxfs_ino ino, void *buf, size_t len, uint64_t offset)
{
	struct storage_entry now;
	struct known was, again;
	char path[PATH_MAX];
	ssize_t n = known(b, ino, &was);

	path[0] = '\0';
	if (n == 0)
		n = backing_path(b, ino, path, sizeof(path));
	if (n == 0)
		n = storage_read(b->fd, path, buf, len, offset, &now);
	if (n == -ESTALE && backing_is_elsewhere(b, ino, path))
		return -EAGAIN;
	if (n >= 0 || n == -ESTALE) /* in storage another one may have its number by now, if it has gone from there */
		n = backing_path_is(b, ino, path) ? n : -EAGAIN;
	if (n < 0)
		return n;
	if (!is_same(&was, &now)) {
		if (backing_settle(b))
			return -EAGAIN; /* another name of it has come or gone, of which this host was not told yet */
		if (was.entry.file == now.file)
			await_setter(b, ino);
		if (known(b, ino, &again))
			return -ESTALE;
		return again.dirty != was.dirty || again.stamp != was.stamp ? -EAGAIN : -ESTALE;
	}
	if (was.dirty && (size_t)n < len) {
		memset((uint8_t *)buf + n, 0, len - (size_t)n);
		n = (ssize_t)len;
	}
	return n;
}

ssize_t backing_read(void *context, daxfs_ino ino, uint64_t file, void *buf, size_t len, uint64_t offset)
{
	struct backing *b = context;
	ssize_t n = -EAGAIN;

	(void)file;
	for (unsigned i = 0; n == -EAGAIN && i < LOOKS; i++)
		n = read_once(b, ino, buf, len, offset);
	if (n == -EAGAIN)
		n = -ESTALE;
	if (n == -ESTALE)
		backing_unnote(b, ino);
	say(b, n < 0 && n != -ESTALE ? (int)n : 0);
	return n;
}
