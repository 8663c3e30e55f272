/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world_storage.c - storage of scenarios: backing 0, which nobody writes, and backing 1, whose files are on a disk
 * (disk.h) that tears and reorders what is not synced.
 *
 * Each call to the disk is a step, before which its host can die or be paused; scripts make storage lose its power
 * (`power`), between two steps of others, and so does the end of each run. What a host had written and not synced then
 * is an error of its next sync, and what has become of it is a matter of luck, which follows from all that happened.
 */
#include "machine/world.h"

#include <errno.h>
#include <string.h>

#include "daxfs/cache.h"
#include "machine/disk.h"

#define PIECES_MAX 1024u
#define FIRST 104u /* file in storage that is file 0 of the disk */
#define MARKS_MAX 16u

static struct disk disk, kept[MARKS_MAX];
static bool used;

/* Before anything else is done there. */
static void step(void)
{
	used = true;
	sm_load_relaxed(&world.pool.member->manager.word);
}

/* -- what files have ------------------------------------------------------------------- */

/* Each third page is zeros. */
static uint8_t byte_of(uint64_t file, uint64_t at)
{
	uint64_t page = at / DAXFS_PAGE_SIZE;

	return page % 3 == 2 ? 0 : (uint8_t)(1 + (file * 31 + page * 7 + at / 64) % 251);
}

static void base(unsigned file, uint64_t sector, uint8_t *out)
{
	for (unsigned i = 0; i < DISK_SECTOR; i++)
		out[i] = byte_of(FIRST + file, sector * DISK_SECTOR + i);
}

static ssize_t base_read(void *context, daxfs_ino ino, uint64_t file, void *buf, size_t len, uint64_t offset)
{
	unsigned spoilt = world.spoilt[(uintptr_t)context];

	(void)ino;
	for (size_t i = 0; i < len; i++)
		((uint8_t *)buf)[i] = byte_of(file, offset + i);
	return spoilt == 1 ? -ENETDOWN : spoilt == 2 ? (ssize_t)len - 1 : (ssize_t)len;
}

/* What there is in a directory is as it was. */
static int base_list(void *context, daxfs_ino dir)
{
	unsigned host = (unsigned)(uintptr_t)context;
	struct daxfs_attr attr;
	int rc = daxfs_getattr(world.fs[host], dir, &attr);

	world.listed += rc == 0;
	return rc ? rc : world.spoilt[host] ? -ENETDOWN : 0;
}

/* -- the disk ---------------------------------------------------------------------------- */

static unsigned file_of(uint64_t file)
{
	return (unsigned)(file - FIRST) % DISK_FILES;
}

/* Zeros where the file ends: it is dirty, if it ends sooner than the pool says. */
static ssize_t read_disk(void *context, daxfs_ino ino, uint64_t file, void *buf, size_t len, uint64_t offset)
{
	unsigned host = (unsigned)(uintptr_t)context, spoilt = world.spoilt[host];
	size_t n;

	(void)ino;
	step();
	n = disk_read(&disk, host, file_of(file), buf, len, offset);
	memset((uint8_t *)buf + n, 0, len - n);
	return spoilt == 1 ? -ENETDOWN : spoilt == 2 ? (ssize_t)len - 1 : (ssize_t)len;
}

static unsigned begin_change(void *context)
{
	unsigned host = (unsigned)(uintptr_t)context;

	step();
	if (!world.unsynced[host])
		world.power[host] = disk.power;
	world.unsynced[host] = true;
	seam_changed();
	return host;
}

static int write_disk(void *context, daxfs_ino ino, uint64_t file, const void *buf, size_t len, uint64_t offset)
{
	unsigned host = begin_change(context);

	(void)ino;
	disk_write(&disk, host, file_of(file), buf, world.spoilt[host] ? len / 2 : len, offset);
	disk_wander(&disk);
	return world.spoilt[host] ? -ENOSPC : 0;
}

static int resize_disk(void *context, daxfs_ino ino, uint64_t file, uint64_t size, bool exact)
{
	unsigned host = begin_change(context);
	uint64_t now = disk_size(&disk, host, file_of(file));

	(void)ino;
	if (!world.spoilt[host] && now != size && (exact || now > size))
		disk_resize(&disk, host, file_of(file), size);
	return world.spoilt[host] ? -ENOSPC : 0;
}

static int sync_disk(void *context, daxfs_ino ino, uint64_t file, uint64_t *stamp)
{
	unsigned host = begin_change(context);
	bool lost = world.power[host] != disk.power || world.spoilt[host];

	(void)ino;
	*stamp = 1;
	world.unsynced[host] = false;
	if (lost)
		disk_sync_failed(&disk, host, file_of(file));
	else
		disk_sync(&disk, host, file_of(file));
	return lost ? -EIO : 0;
}

/* -- of the world --------------------------------------------------------------------------- */

int world_storage_attach(unsigned host)
{
	struct daxfs_storage storage = {
		.struct_size = sizeof(storage),
		.read = base_read,
		.context = (void *)(uintptr_t)host,
		.list = base_list,
	};
	int rc = daxfs_backing_attach(world.fs[host], 0, &storage);

	storage.read = read_disk;
	storage.write = write_disk;
	storage.resize = resize_disk;
	storage.sync = sync_disk;
	return rc ? rc : daxfs_backing_attach(world.fs[host], 1, &storage);
}

void world_storage_reset(void)
{
	used = false;
	disk_reset(&disk, PIECES_MAX, base, 1);
	for (unsigned i = 0; i < DISK_FILES; i++)
		disk.base_size[i] = UINT64_MAX;
}

void world_storage_mark(unsigned nth)
{
	disk_copy(&kept[nth], &disk);
}

void world_storage_rewind(unsigned nth)
{
	disk_copy(&disk, &kept[nth]);
}

/* Its kernel goes on, or is gone, too. */
void world_storage_lose(unsigned host, struct fate fate)
{
	disk.random += seam_changes() * 4 + fate.kind * 0x9e3779b97f4a7c15ull + fate.n * 0xbf58476d1ce4e5b9ull;
	world.unsynced[host] = false;
	if (world.off[host] || disk.random >> 9 & 1)
		disk_lose_host(&disk, host);
	else
		disk_close(&disk, host, DISK_ALL);
}

void world_storage_fence(unsigned host)
{
	disk_fence(&disk, host);
}

void world_storage_power(void)
{
	disk.random += seam_changes();
	disk_lose_power(&disk);
	seam_changed();
}

bool world_storage_used(void)
{
	return used;
}

unsigned world_storage_powers(void)
{
	return disk.power;
}
