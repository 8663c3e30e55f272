/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pair_names.c - the two sides of the pair ask-names: see pair.c, and A6 of fs/cache_ask.c.
 *
 * Storage has a name in each of two directories, and the pool has it once a host that has the storage has listed
 * them. A host without asks for the one and then, by the same place, for the other: where it is told that a directory
 * was listed, it finds the name.
 */
#include "weak/pair_names.h"

#include <errno.h>
#include <sys/stat.h>

#include "daxfs/cache.h"
#include "fs/cache.h"
#include "machine/world.h"

#define LOOKS 1500u /* for an answer, */
#define AGAIN 400u  /* ... and so many before it is asked again */
#define SERVES 600u

static daxfs_ino dir[2];

static ssize_t no_bytes(void *context, daxfs_ino ino, uint64_t file, void *buf, size_t len, uint64_t offset)
{
	(void)context, (void)ino, (void)file, (void)buf, (void)len, (void)offset;
	return -EIO;
}

static int list(void *context, daxfs_ino ino)
{
	const struct daxfs_attr attr = { .mode = S_IFREG | 0644, .size = 1 };
	int rc = daxfs_import(world.fs[1], ino, "there", &attr, 0, 9, NULL);

	(void)context;
	return rc == -EEXIST ? 0 : rc;
}

static long make(void *arg)
{
	const struct daxfs_attr attr = { .mode = S_IFDIR | 0755 };
	const struct daxfs_storage storage = { .struct_size = sizeof(storage), .read = no_bytes, .list = list };
	struct daxfs_attr out;
	struct daxfs_ask ask;
	long rc = daxfs_backing_detach(world.fs[1], 0);

	(void)arg;
	if (rc == 0)
		rc = daxfs_backing_attach(world.fs[1], 0, &storage);
	for (unsigned i = 0; rc == 0 && i < 2; i++) {
		rc = daxfs_import(world.fs[1], DAXFS_ROOT, i ? "b" : "a", &attr, 0, 7 + i, &out);
		dir[i] = out.ino;
	}
	return rc ? rc : daxfs_asked(world.fs[1], 0, &ask); /* others rely on it from here on */
}

bool names_setup(void)
{
	long rc = -1;

	return run_all(1, make, NULL, &rc, NULL) == RUN_RETURNED && rc == 0;
}

/* How many names are missing that had to be there. */
long names_ask(void *arg)
{
	struct daxfs_attr attr;
	long missing = 0;

	(void)arg;
	cache_ask_patience(world.fs[0], LOOKS, AGAIN);
	for (unsigned i = 0; i < 2; i++)
		if (daxfs_ask_names(world.fs[0], dir[i]) == 0)
			missing += daxfs_lookup(world.fs[0], dir[i], "there", &attr) != 0;
	return missing;
}

long names_serve(void *arg)
{
	struct daxfs_ask ask;

	(void)arg;
	for (unsigned i = 0; i < SERVES; i++)
		if (daxfs_asked(world.fs[1], 0, &ask) == 1)
			daxfs_serve(world.fs[1], &ask);
	return 0;
}

bool names_missed(const struct run *run)
{
	return run[0].result != 0;
}
