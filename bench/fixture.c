/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fixture.c - what is measured on: a pool, tmpfs files and raw memory, side by side.
 *
 * All are files in /dev/shm, so all are the same kind of memory. The pool and the
 * raw region are mapped and faulted in before anything is timed, and the raw region
 * is mapped with huge pages exactly if the pool is: it is the limit of what the
 * library could do with its own mapping. A second tmpfs with huge=always is
 * mounted beside it where that is allowed.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#define HUGE_BYTES (2 * MIB)

static struct rig *current; /* what rig_cleanup has to remove */

/* Call f for each mapping of path in this process. */
static void each_mapping(const char *path, void (*f)(uintptr_t start, size_t len, void *arg), void *arg)
{
	char line[512];
	FILE *maps = fopen("/proc/self/maps", "re");

	while (maps && fgets(line, sizeof(line), maps)) {
		unsigned long start, end;

		if (strstr(line, path) && sscanf(line, "%lx-%lx", &start, &end) == 2)
			f(start, end - start, arg);
	}
	if (maps)
		fclose(maps);
}

static void populate(uintptr_t start, size_t len, void *arg)
{
	(void)arg;
	if (madvise((void *)start, len, MADV_POPULATE_WRITE))
		bench_fail("cannot populate %zu bytes: %s (is there enough memory?)", len, strerror(errno));
}

void rig_populate(const char *path)
{
	each_mapping(path, populate, NULL);
}

uint64_t rig_huge_kib(const char *path)
{
	char line[512];
	FILE *smaps = fopen("/proc/self/smaps", "re");
	unsigned long long kib, sum = 0;
	bool inside = false;

	while (smaps && fgets(line, sizeof(line), smaps)) {
		if (strchr(line, '-') && strchr(line, '/'))
			inside = strstr(line, path);
		else if (inside && sscanf(line, "ShmemPmdMapped: %llu", &kib) == 1)
			sum += kib;
	}
	if (smaps)
		fclose(smaps);
	return sum;
}

struct daxfs *rig_join(const struct rig *rig, unsigned host)
{
	struct daxfs_error err;
	struct daxfs *fs;

	if (daxfs_open(rig->pool, DAXFS_READ_WRITE, &fs, &err) || daxfs_join(fs, host, NULL, &err))
		bench_fail("%s", err.text);
	rig_populate(rig->pool);
	return fs;
}

static void raw_open(struct rig *rig, uint64_t size)
{
	int fd = open(rig->raw_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	uint8_t *room = mmap(NULL, size + HUGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (fd < 0 || room == MAP_FAILED || posix_fallocate(fd, 0, (off_t)size))
		bench_fail("cannot make %s", rig->raw_path);
	room = (uint8_t *)(((uintptr_t)room + HUGE_BYTES - 1) / HUGE_BYTES * HUGE_BYTES);
	rig->raw = mmap(room, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
	if (rig->raw == MAP_FAILED)
		bench_fail("cannot map %s: %s", rig->raw_path, strerror(errno));
	close(fd);
	rig->raw_size = size;
	rig_populate(rig->raw_path);
	if (rig_huge_kib(rig->pool) && madvise(rig->raw, size, MADV_COLLAPSE))
		bench_fail("the pool has huge pages, the raw region cannot have them: %s", strerror(errno));
}

/*
 * In a mount namespace of our own: nothing is left mounted, however this process ends. One for
 * all rigs: with the last process in a namespace go its mounts, and then /proc/self/smaps
 * has no more than the ends of the paths of what was mapped there.
 */
static bool own_namespace(void)
{
	static bool tried, have;

	if (!tried)
		have = unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
	tried = true;
	return have;
}

static void mount_huge(struct rig *rig)
{
	mkdir(rig->huge, 0700);
	if (!own_namespace())
		return;
	rig->huge_mounted = mount("bench", rig->huge, "tmpfs", MS_NOSUID, "huge=always,size=8g") == 0;
}

void rig_open(struct rig *rig, const struct rig_options *want)
{
	const struct daxfs_mkfs_options options = {
		.struct_size = sizeof(options),
		.name = "bench",
		.size = want->pool,
		.inodes = want->inodes,
		.lanes = want->lanes,
		.wb = want->wb,
	};
	struct daxfs_error err;

	memset(rig, 0, sizeof(*rig));
	strcpy(rig->dir, "/dev/shm/daxfs-bench.XXXXXX");
	if (!mkdtemp(rig->dir))
		bench_fail("cannot make a directory in /dev/shm: %s", strerror(errno));
	snprintf(rig->pool, sizeof(rig->pool), "%s/pool", rig->dir);
	snprintf(rig->raw_path, sizeof(rig->raw_path), "%s/raw", rig->dir);
	snprintf(rig->huge, sizeof(rig->huge), "%s/huge", rig->dir);
	current = rig;
	if (daxfs_mkfs(rig->pool, &options, &err))
		bench_fail("%s", err.text);
	rig->fs = rig_join(rig, 0);
	if (want->raw)
		raw_open(rig, want->raw);
	if (!want->plain)
		mount_huge(rig);
	out_mapping(rig);
}

int rig_tmpfs(const struct rig *rig, bool huge, const char *name, int flags)
{
	char path[160];
	int fd;

	if (huge && !rig->huge_mounted)
		return -1;
	snprintf(path, sizeof(path), "%s/%s", huge ? rig->huge : rig->dir, name);
	fd = open(path, flags | O_CLOEXEC, 0600);
	if (fd < 0)
		bench_fail("%s: %s", path, strerror(errno));
	return fd;
}

void rig_cleanup(void)
{
	char command[128];

	if (!current)
		return;
	if (current->huge_mounted)
		umount2(current->huge, MNT_DETACH);
	snprintf(command, sizeof(command), "rm -rf %s", current->dir);
	if (system(command))
		fprintf(stderr, "bench: %s is left\n", current->dir);
	current = NULL;
}

void rig_close(struct rig *rig)
{
	daxfs_close(rig->fs);
	if (rig->raw)
		munmap(rig->raw, rig->raw_size);
	rig_cleanup();
}
