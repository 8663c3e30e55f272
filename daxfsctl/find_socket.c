/* SPDX-License-Identifier: Apache-2.0 */
/*
 * find_socket.c - see find_socket.h.
 *
 * A fabricd that is killed leaves its socket's file behind until the next one of that pool replaces it. Such a file
 * counts for nothing: beside one that lives it is no reason to ask which of the two is meant.
 */
#include "daxfsctl/find_socket.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>

#include "common/listener.h"

struct found {
	unsigned live;
	const char *first; /* of those that live */
	const char *dead;  /* one that does not */
};

/* One that cannot be asked is there: who means it is told why when it is asked in earnest. */
static void sort_out(const glob_t *files, struct found *f)
{
	for (size_t i = 0; i < files->gl_pathc; i++) {
		const char *path = files->gl_pathv[i];
		bool nobody;

		if (listener_probe(path, &nobody) == 0 && nobody)
			f->dead = path;
		else if (f->live++ == 0)
			f->first = path;
	}
}

static int fail_none(const char *pattern, const char *dead, struct daxfs_error *err)
{
	if (dead)
		return daxfs_error_set(err, -ENOENT,
				       "no fabricd on this machine any more (nobody listens at %.80s): start it, or "
				       "give --socket, or POOL where a command takes it",
				       dead);
	return daxfs_error_set(
		err, -ENOENT,
		"no fabricd on this machine (%s): start it, or give --socket, or POOL where a command takes it",
		pattern);
}

int find_socket(const char *pattern, char *out, size_t size, struct daxfs_error *err)
{
	struct found f = { 0 };
	glob_t files = { 0 };
	int rc = 0;

	if (glob(pattern, 0, NULL, &files) == 0)
		sort_out(&files, &f);
	if (f.live == 0)
		rc = fail_none(pattern, f.dead, err);
	else if (f.live > 1)
		rc = daxfs_error_set(err, -ENOTUNIQ, "%u fabricds on this machine: choose one by --socket, like %.80s",
				     f.live, f.first);
	else
		snprintf(out, size, "%s", f.first);
	globfree(&files);
	return rc;
}
