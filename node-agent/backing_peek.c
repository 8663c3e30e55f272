/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backing_peek.c - looks at storage that wait for nothing, so that a thread that serves the mount may take them.
 *
 * A look is handed to a thread of the backing because storage may not answer. To hand it over, and the request back,
 * costs several times what a local file system takes to answer from memory. So that is tried first: a path by what
 * the kernel has of it in memory alone (RESOLVE_CACHED), in file systems whose stat(2) waits for nothing. Only "it
 * is as the pool has it" counts. Whatever else is found, or if the path is not known without a search, is as if nothing
 * had been: the thread of the backing looks, and does what is to be done (backing_names.c). A look that says so is
 * noted as its look would be.
 *
 * Any thread; nothing is shared but the notes. Crash: nothing is left.
 */
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "node-agent/backing.h"

/* Where the pool has it, and what storage has there, if that is the same. */
static bool peek(struct backing *b, daxfs_ino ino, struct backing_note *place, struct storage_entry *now)
{
	char path[PATH_MAX];

	*place = (struct backing_note){ .ino = 0 };
	return b->near && backing_noted_path(b, ino, place, path, sizeof(path)) &&
	       storage_peek(b->fd, path, now) == 0 && backing_is_as(b, ino, now);
}

/* Of a directory, which is the same one: are its attributes, too? */
static bool has_attributes(struct backing *b, daxfs_ino dir, const struct daxfs_attr *now)
{
	struct daxfs_attr is;

	return daxfs_getattr(b->fs, dir, &is) == 0 && backing_same_attributes(&is, now);
}

/* A file of several names is told by all of them. */
bool backing_is_still(struct backing *b, daxfs_ino ino)
{
	struct backing_note place;
	struct storage_entry now;

	if (!peek(b, ino, &place, &now) || !place.parent)
		return false;
	if (S_ISDIR(now.attr.mode) ? !has_attributes(b, ino, &now.attr) : now.links != 1)
		return false;
	backing_keep(b, ino, place.parent, place.name, &now);
	return true;
}

bool backing_is_still_at(struct backing *b, daxfs_ino parent, const char *name, daxfs_ino ino)
{
	struct backing_note note;

	return backing_find_note(b, ino, &note) && note.parent == parent && strcmp(note.name, name) == 0 &&
	       backing_is_still(b, ino);
}

bool backing_is_still_listed(struct backing *b, daxfs_ino dir)
{
	struct daxfs_source source; /* as it is before the look */
	struct backing_note place;
	struct storage_entry now;

	if (daxfs_source(b->fs, dir, &source) || !peek(b, dir, &place, &now) || !S_ISDIR(now.attr.mode) ||
	    !has_attributes(b, dir, &now.attr) || !backing_was_listed(b, dir, &now.attr, source.stamp))
		return false;
	backing_note_list(b, dir, &now.attr, source.stamp);
	return true;
}
