/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_calls.c - node-agent/storage.h, on a simulated disk: what the agent's flusher calls, and the library to read.
 *
 * Each call may take long, while others go on, and its process die; do a part of what it is to do; and fail. A
 * descriptor that was opened before storage lost its power gives errors, as one does whose writes were lost.
 * Names do not change here: of what the agent does with them there is nothing but the paths.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "node-agent/backing_change.h"
#include "pod/store.h"

#define FD_FIRST (1 << 20) /* no descriptor of this process */
#define READS 8u
#define SLOW_BEATS 6u /* a slow call takes up to 2^5 heartbeats */

int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_nanosleep(const struct timespec *time, struct timespec *left);

static struct descriptor {
	bool used;
	unsigned power; /* of the disk, when it was opened */
} descriptors[MACHINES_MAX][STORE_FILES];

void store_calls_reset(void)
{
	memset(descriptors, 0, sizeof(descriptors));
}

void store_calls_forget(unsigned machine)
{
	memset(descriptors[machine], 0, sizeof(descriptors[machine]));
}

/* -- time, and errors ------------------------------------------------------------------- */

static void pass_time(void)
{
	struct actor *a = actor_current();

	if (!a || pod.liveness)
		return;
	if (rng_chance(&store.r, 3))
		disk_wander(&store.disk);
	while (store.hang_ns > pod.now_ns)
		actor_sleep(a, store.hang_ns);
	if (rng_chance(&store.r, store.slow_rate))
		actor_sleep(a, pod.now_ns + rng_below(&store.r, HEARTBEAT_NS << rng_below(&store.r, SLOW_BEATS)));
}

static int fail(int error)
{
	store.errors++;
	pod.tallies->storage_errors++;
	trace_line("  storage says %d", error);
	return error;
}

/* 0, or it fails. */
static int call(int error)
{
	pass_time();
	if (!actor_current() || pod.liveness)
		return 0;
	if (store.away_ns > pod.now_ns || (store.burst_ns > pod.now_ns && rng_chance(&store.r, 2)) ||
	    rng_chance(&store.r, store.error_rate))
		return fail(store.away_ns > pod.now_ns || rng_chance(&store.r, 2) ? -EIO : error);
	return 0;
}

int __wrap_nanosleep(const struct timespec *time, struct timespec *left)
{
	struct actor *a = actor_current();

	(void)left;
	if (!a)
		return 0;
	/* For a lock that the dead have until they are recovered: that is not to be said to last too long. */
	a->run.steps_max += 2000;
	actor_sleep(a, pod.now_ns + (uint64_t)time->tv_sec * 1000000000 + (uint64_t)time->tv_nsec);
	return 0;
}

/* -- descriptors ---------------------------------------------------------------------------- */

static bool decode(int fd, unsigned *machine, unsigned *file)
{
	*machine = (unsigned)(fd - FD_FIRST) / STORE_FILES;
	*file = (unsigned)(fd - FD_FIRST) % STORE_FILES;
	return fd >= FD_FIRST && *machine < MACHINES_MAX;
}

static unsigned cache_of(unsigned machine)
{
	return store.cached ? machine : DISK_NOBODY;
}

int __wrap_close(int fd)
{
	unsigned machine, file;

	if (!decode(fd, &machine, &file))
		return __real_close(fd);
	descriptors[machine][file].used = false;
	disk_close(&store.disk, cache_of(machine), file);
	return 0;
}

static int use(int fd, unsigned *machine, unsigned *file, int error)
{
	int rc;

	if (!decode(fd, machine, file) || !descriptors[*machine][*file].used)
		return -EBADF;
	rc = call(error);
	if (rc == 0 && descriptors[*machine][*file].power != store.disk.power)
		rc = fail(-EIO);
	return rc;
}

/* What it is now, as its machine sees it. */
static void entry(unsigned machine, unsigned file, struct storage_entry *out)
{
	*out = (struct storage_entry){
		.attr = { .mode = S_IFREG | 0644, .uid = 10, .gid = 20 },
		.file = STORE_FILE + file,
		.links = 1,
	};
	out->attr.size = disk_size(&store.disk, cache_of(machine), file);
	out->attr.mtime.tv_sec = (time_t)store.disk.changes;
}

bool storage_stamp_is(uint64_t stamp, const struct storage_entry *now)
{
	return stamp == storage_stamp(now);
}

uint64_t storage_stamp(const struct storage_entry *e)
{
	return (uint64_t)e->attr.mtime.tv_sec << 1 | 1;
}

static int file_at(const char *path)
{
	unsigned file;

	return sscanf(path, "f%u", &file) == 1 && file < STORE_FILES ? (int)file : -1;
}

int storage_look(int root, const char *path, struct storage_entry *out)
{
	int file = file_at(path), rc = call(-ENETDOWN);

	if (rc == 0 && file < 0)
		rc = -ENOENT;
	if (rc == 0)
		entry((unsigned)root, (unsigned)file, out);
	return rc;
}

int storage_open_file(int root, const char *path, uint64_t number)
{
	int file = file_at(path), rc = call(-ENETDOWN);

	if (rc)
		return rc;
	if (file < 0 || number != STORE_FILE + (unsigned)file)
		return -ESTALE;
	descriptors[root][file] = (struct descriptor){ true, store.disk.power };
	return FD_FIRST + root * (int)STORE_FILES + file;
}

/* A part of it, and then the rest, or no more. */
int storage_write(int fd, const void *buf, size_t len, uint64_t offset)
{
	unsigned machine, file;
	int rc = use(fd, &machine, &file, -ENOSPC);
	size_t part = len;

	if (rc == 0 && store.slow_rate)
		part = 1 + rng_below(&store.r, len);
	if (rc == -EBADF || (rc && rng_chance(&store.r, 2)))
		return rc;
	if (rc)
		part = rng_below(&store.r, len);
	trace_line("  STORAGE machine %u writes file %u at %llu len %zu of %zu", machine, file,
		   (unsigned long long)offset, part, len);
	disk_write(&store.disk, cache_of(machine), file, buf, part, offset);
	if (rc || part == len)
		return rc;
	rc = use(fd, &machine, &file, -ENOSPC);
	if (rc == 0)
		disk_write(&store.disk, cache_of(machine), file, (const uint8_t *)buf + part, len - part,
			   offset + part);
	return rc;
}

int storage_resize(int fd, uint64_t size, bool exact)
{
	unsigned machine, file;
	uint64_t now;
	int rc = use(fd, &machine, &file, -ENOSPC);

	if (rc)
		return rc;
	now = disk_size(&store.disk, cache_of(machine), file);
	trace_line("  STORAGE machine %u resizes file %u from %llu to %llu%s", machine, file, (unsigned long long)now,
		   (unsigned long long)size, exact ? "" : " at most");
	if (now != size && (exact || now > size))
		disk_resize(&store.disk, cache_of(machine), file, size);
	return 0;
}

int storage_sync(int fd, const struct timespec *mtime, struct storage_entry *now)
{
	unsigned machine, file;
	int rc = use(fd, &machine, &file, -EIO);

	(void)mtime;
	if (rc && rc != -EBADF)
		disk_sync_failed(&store.disk, cache_of(machine), file);
	if (rc)
		return rc;
	trace_line("  STORAGE machine %u syncs file %u", machine, file);
	disk_sync(&store.disk, cache_of(machine), file);
	entry(machine, file, now);
	return 0;
}

int storage_fsync(int root, const char *path, uint64_t number)
{
	int file = file_at(path), rc = call(-EIO);

	if (file < 0 || number != STORE_FILE + (unsigned)file)
		return -ESTALE;
	if (rc)
		disk_sync_failed(&store.disk, cache_of((unsigned)root), (unsigned)file);
	else
		disk_sync(&store.disk, cache_of((unsigned)root), (unsigned)file);
	return rc;
}

int storage_set(int root, const char *path, uint64_t file, unsigned set, const struct daxfs_attr *attr)
{
	(void)root, (void)path, (void)file, (void)set, (void)attr;
	return -EROFS; /* nobody does, here */
}

/* What uses the backing is not counted. */
void backing_put(struct backing *b)
{
	b->users--;
}

/* -- names --------------------------------------------------------------------------------------- */

int backing_path(struct backing *b, daxfs_ino ino, char *path, size_t size)
{
	int file = store_file(ino);

	(void)b;
	if (file < 0)
		return -ESTALE;
	snprintf(path, size, "f%d", file);
	return 0;
}

bool backing_path_is(struct backing *b, daxfs_ino ino, const char *path)
{
	(void)b;
	return file_at(path) == store_file(ino);
}

/* A file has one name here, which it keeps. */
bool backing_is_elsewhere(struct backing *b, daxfs_ino ino, const char *path)
{
	return !backing_path_is(b, ino, path);
}

bool backing_is_many(struct backing *b, const struct storage_entry *e)
{
	(void)b, (void)e;
	return false;
}

int backing_number(struct backing *b, uint64_t file, daxfs_ino ino)
{
	(void)b, (void)file, (void)ino;
	return 0;
}

void backing_unnote(struct backing *b, daxfs_ino ino)
{
	(void)b, (void)ino;
}

/* Nobody changes names, or sets attributes. */
int backing_place(struct backing *b, daxfs_ino ino, struct backing_note *out)
{
	(void)b, (void)ino;
	*out = (struct backing_note){ 0 };
	return 0;
}

int backing_lock_names(struct backing *b, struct name_locks *out, const daxfs_ino dir[], unsigned n,
		       unsigned patience_ms)
{
	(void)b, (void)out, (void)dir, (void)n, (void)patience_ms;
	return 0;
}

void backing_unlock_names(struct backing *b, struct name_locks *l)
{
	(void)b, (void)l;
}

bool backing_stamp_again(struct backing *b, daxfs_ino ino)
{
	(void)b, (void)ino;
	return false;
}

/* -- to read --------------------------------------------------------------------------------------- */

/* In two goes, so that what is written meanwhile is seen in part. */
static ssize_t read_parts(unsigned machine, unsigned file, uint8_t *buf, size_t len, uint64_t offset)
{
	size_t part = store.slow_rate ? 1 + rng_below(&store.r, len) : len, n;
	int rc = call(-ENETDOWN);

	if (rc)
		return rc;
	n = disk_read(&store.disk, cache_of(machine), file, buf, part, offset);
	if (n < part || part == len)
		return (ssize_t)n;
	rc = call(-ENETDOWN);
	if (rc)
		return rc;
	return (ssize_t)(n + disk_read(&store.disk, cache_of(machine), file, buf + n, len - n, offset + n));
}

/* As read_once of node-agent/backing_names.c: bytes that storage has not are zeros if the file is dirty. */
static ssize_t read_once(struct backing *b, daxfs_ino ino, uint8_t *buf, size_t len, uint64_t offset)
{
	struct daxfs_source was, again;
	int rc = daxfs_source(b->fs, ino, &was);
	ssize_t n = rc ? rc : read_parts(store_machine(b), (unsigned)store_file(ino), buf, len, offset);

	if (n < 0)
		return n;
	if (was.dirty) {
		memset(buf + n, 0, len - (size_t)n);
		return (ssize_t)len;
	}
	rc = daxfs_source(b->fs, ino, &again);
	if (rc || again.dirty || again.stamp != was.stamp)
		return rc ? rc : -EAGAIN;
	if (rng_chance(&store.r, store.error_rate) && !pod.liveness && actor_current()) {
		fail(-EIO); /* what the library is to make of a read that is short */
		return n / 2;
	}
	return n;
}

ssize_t store_read(void *context, daxfs_ino ino, uint64_t file, void *buf, size_t len, uint64_t offset)
{
	ssize_t n = -EAGAIN;

	(void)file;
	for (unsigned i = 0; n == -EAGAIN && i < READS; i++)
		n = read_once(context, ino, buf, len, offset);
	return n == -EAGAIN ? fail(-ESTALE) : n;
}
