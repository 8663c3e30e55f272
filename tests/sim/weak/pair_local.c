/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pair_local.c - the two sides of the pair local-again: see pair.c, and L2 of fs/local.h.
 *
 * The pool is full but for two pages, so a page comes back after some writes; one that finds none is none. The reader
 * makes a copy of what it reads twice, and has one of the first contents when it begins.
 */
#include "weak/pair_local.h"

#include "fs/local.h"
#include "machine/world.h"

#define WRITES 8u
#define READS 80u /* while all of those are done: a read is some steps, a write is ten times as many */

static daxfs_ino file;

static int put(unsigned host, unsigned what)
{
	uint8_t page[DAXFS_PAGE_SIZE];

	memset(page, (int)what, sizeof(page));
	return daxfs_write(world.fs[host], file, page, sizeof(page), 0, 0) == (ssize_t)sizeof(page) ? 0 : -1;
}

/* What all of it is; -1: an error, or parts of two writes. */
static long get(void)
{
	uint8_t page[DAXFS_PAGE_SIZE];

	if (daxfs_read(world.fs[0], file, page, sizeof(page), 0) != (ssize_t)sizeof(page))
		return -1;
	return memcmp(page, page + 1, sizeof(page) - 1) ? -1 : page[0];
}

static long make(void *arg)
{
	struct daxfs_attr attr;
	uint64_t pages = 0;

	(void)arg;
	if (daxfs_mknod(world.fs[0], DAXFS_ROOT, "f", 0100600, 0, (struct daxfs_cred){ 0 }, false, &attr))
		return -1;
	file = attr.ino;
	if (put(0, 1) || daxfs_mknod(world.fs[0], DAXFS_ROOT, "g", 0100600, 0, (struct daxfs_cred){ 0 }, false, &attr))
		return -1;
	while (daxfs_write(world.fs[0], attr.ino, "g", 1, pages * DAXFS_PAGE_SIZE, 0) == 1)
		pages++;
	attr.size = (pages - 2) * DAXFS_PAGE_SIZE;
	if (daxfs_setattr(world.fs[0], attr.ino, DAXFS_SET_SIZE, &attr, NULL) || local_open(world.fs[0], 1u << 16))
		return -1;
	return get() + get() + get() - 3;
}

bool local_setup(void)
{
	long rc = -1;

	return run_all(0, make, NULL, &rc, NULL) == RUN_RETURNED && rc == 0;
}

/* How many were done. */
long local_writes(void *arg)
{
	long done = 0;

	(void)arg;
	for (unsigned i = 0; i < WRITES; i++)
		done += put(1, 2 + i) == 0;
	return done;
}

/* How often it was wrong, or older than before. */
long local_reads(void *arg)
{
	long last = 1, back = 0;

	(void)arg;
	for (unsigned i = 0; i < READS; i++) {
		long is = get();

		back += is < last;
		last = is;
	}
	return back;
}

bool local_went_back(const struct run *run)
{
	return run[0].result || run[1].result < 3;
}
