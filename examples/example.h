/* SPDX-License-Identifier: Apache-2.0 */
/*
 * example.h - what the examples share: a pool to play with, and an end that says what went wrong.
 *
 * Not a part of the library: a program of yours handles errors in its own way.
 */
#ifndef DAXFS_EXAMPLE_H
#define DAXFS_EXAMPLE_H

#include <daxfs/daxfs.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ends the program unless a call succeeded: it returned 0 or, if it counts, a count. */
static inline long long must(long long rc, const char *call)
{
	if (rc < 0) {
		fprintf(stderr, "%s: %s\n", call, strerror((int)-rc));
		exit(1);
	}
	return rc;
}
#define MUST(call) must(call, #call)

/* Ends the program, with the library's own words, if there are any. */
static inline void must_say(int rc, const struct daxfs_error *err)
{
	if (rc) {
		fprintf(stderr, "%s\n", err->text);
		exit(1);
	}
}

/* A new pool of 64 MiB for two hosts at the path that the command line names. */
static inline const char *make_pool(int argc, char **argv)
{
	struct daxfs_mkfs_options options = {
		.struct_size = sizeof(options), .name = "example", .size = 64u << 20, .hosts = 4, .lanes = 4
	};
	struct daxfs_error err;
	int rc;

	if (argc != 2) {
		fprintf(stderr, "usage: %s POOL    (a new file, best in /dev/shm)\n", argv[0]);
		exit(2);
	}
	rc = daxfs_mkfs(argv[1], &options, &err); /* options.force is not set: nothing that is there is lost */
	if (rc == -EEXIST) {
		fprintf(stderr, "%s is not empty: name a new file, or remove it first\n", argv[1]);
		exit(1);
	}
	must_say(rc, &err);
	return argv[1];
}

/* Map the pool and join it as one of its hosts. */
static inline struct daxfs *join_pool(const char *path, unsigned host, const char *name)
{
	struct daxfs_error err;
	struct daxfs *fs;

	must_say(daxfs_open(path, DAXFS_READ_WRITE, &fs, &err), &err);
	must_say(daxfs_join(fs, host, name, &err), &err);
	return fs;
}

#endif
