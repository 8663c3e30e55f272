/* SPDX-License-Identifier: Apache-2.0 */
/* cache_figures.h - what a host tells of files of storage, by the names that people and tools see. */
#ifndef DAXFSCTL_CACHE_FIGURES_H
#define DAXFSCTL_CACHE_FIGURES_H

#include <stddef.h>

#include "daxfs/cache.h"

static const struct {
	const char *name;
	size_t at;
} cache_figure[] = {
	{ "hits", offsetof(struct daxfs_cache_stats, hits) },
	{ "misses", offsetof(struct daxfs_cache_stats, misses) },
	{ "reads", offsetof(struct daxfs_cache_stats, reads) },
	{ "fills", offsetof(struct daxfs_cache_stats, filled) },
	{ "waits", offsetof(struct daxfs_cache_stats, waits) },
	{ "takeovers", offsetof(struct daxfs_cache_stats, taken_over) },
	{ "evictions", offsetof(struct daxfs_cache_stats, dropped) },
};
#define CACHE_FIGURES (sizeof(cache_figure) / sizeof(cache_figure[0]))

static inline uint64_t cache_figure_of(const struct daxfs_cache_stats *stats, size_t i)
{
	return *(const uint64_t *)(const void *)((const char *)stats + cache_figure[i].at);
}

#endif
