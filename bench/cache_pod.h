/* SPDX-License-Identifier: Apache-2.0 */
/* cache_pod.h - a pool of its own for a figure of the cache, hosts that have joined it, and storage behind it. */
#ifndef BENCH_CACHE_POD_H
#define BENCH_CACHE_POD_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "daxfs/cache.h"
#include "trace.h"

#define PAGE 4096u
#define READ_BYTES (256 * KIB)
#define PATIENCE_MS 60000u
#define POD_HOSTS 4u /* at most */

/* a disk: pages in order, one read at a time */
struct disk {
	pthread_mutex_t lock;
	uint64_t ns_per_page; /* 0: no time at all */
	uint64_t free_ns;     /* when it will have done what it was asked */
	atomic_ullong pages;  /* read, */
	atomic_ullong reads;  /* ... in so many requests */
	uint64_t written;     /* pages */
};

struct pod {
	char path[128];
	unsigned hosts;
	struct daxfs *fs[POD_HOSTS];
	daxfs_ino file[TRACE_FILES];
	struct disk disk;
};

/* Of so many pages, and some for what there is besides. Of `wanted` hosts, or TRACE_HOSTS; as many join. */
void cache_pod_open(const struct rig *rig, struct pod *pod, uint64_t pages, const struct daxfs_mkfs_options *wanted);
void cache_pod_close(struct pod *pod);
/* Such a file, by its number: for those who have more than TRACE_FILES. */
daxfs_ino cache_file_make(struct pod *pod, unsigned n, uint64_t pages, unsigned hosts);
/* File n, of so many pages, opened by so many hosts. */
void cache_file_add(struct pod *pod, unsigned n, uint64_t pages, unsigned hosts);
void cache_file_close(struct pod *pod, unsigned n, unsigned hosts);
void cache_must(long rc, const char *what);
/* All hosts can write its files to storage. */
void cache_writable(struct pod *pod, int (*write)(void *, daxfs_ino, uint64_t, const void *, size_t, uint64_t),
		    int (*resize)(void *, daxfs_ino, uint64_t, uint64_t, bool),
		    int (*sync)(void *, daxfs_ino, uint64_t, uint64_t *));
/* Are these the bytes of that page of the file that storage knows by `file`? */
void cache_check_page(const uint8_t *page, uint64_t number, uint64_t file);
/* What goes through to a file of tmpfs (cache_file.c). */
void bench_cache_file(const struct rig *rig);
/* What a fill costs in pools of up to 100 million pages (cache_flat.c). */
void bench_cache_flat(const struct rig *rig);
/* What is nearer than the pool, and further away (cache_tiers.c). */
void bench_cache_tiers(const struct rig *rig);
bool bench_cache_tiers_wanted(void);
/* A pod beside hosts that are alone, by loads that DPC was measured with (cache_dpc.c). */
void bench_cache_dpc(const struct rig *rig);
bool bench_cache_dpc_wanted(void);
/* Hosts that begin the same file some time apart (cache_apart.c). */
void bench_cache_apart(const struct rig *rig);
bool bench_cache_apart_wanted(void);
/* How much is read ahead (cache_ahead.c). */
void bench_cache_ahead(const struct rig *rig);
bool bench_cache_ahead_wanted(void);

#endif
