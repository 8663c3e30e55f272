/* SPDX-License-Identifier: Apache-2.0 */
/* cache_figures.h - what a host tells of files of storage, by the names that people and tools see. */
#ifndef DAXFSCTL_CACHE_FIGURES_H
#define DAXFSCTL_CACHE_FIGURES_H

#include <stdbool.h>
#include <stddef.h>

#include "daxfs/cache.h"

static const struct {
	const char *name;
	size_t at;
	bool now; /* as it is now: it may become less */
} cache_figure[] = {
	{ "hits", offsetof(struct daxfs_cache_stats, hits), false },
	{ "misses", offsetof(struct daxfs_cache_stats, misses), false },
	{ "reads", offsetof(struct daxfs_cache_stats, reads), false },
	{ "fills", offsetof(struct daxfs_cache_stats, filled), false },
	{ "waits", offsetof(struct daxfs_cache_stats, waits), false },
	{ "takeovers", offsetof(struct daxfs_cache_stats, taken_over), false },
	{ "evictions", offsetof(struct daxfs_cache_stats, dropped), false },
	{ "evictions_young", offsetof(struct daxfs_cache_stats, dropped_young), false },
	{ "evictions_old", offsetof(struct daxfs_cache_stats, dropped_old), false },
	{ "bypasses", offsetof(struct daxfs_cache_stats, past), false },
	{ "no_room", offsetof(struct daxfs_cache_stats, no_room), false },
	{ "ahead_used", offsetof(struct daxfs_cache_stats, ahead_used), false },
	{ "ahead_wasted", offsetof(struct daxfs_cache_stats, ahead_wasted), false },
	{ "errors", offsetof(struct daxfs_cache_stats, errors), false },
	{ "written_back", offsetof(struct daxfs_cache_stats, written), false },
	{ "local_hits", offsetof(struct daxfs_cache_stats, local), false },
	{ "promotions", offsetof(struct daxfs_cache_stats, promoted), false },
	{ "demotions", offsetof(struct daxfs_cache_stats, demoted), false },
	{ "dirty_bytes", offsetof(struct daxfs_cache_stats, dirty_bytes), true },
	{ "dirty_age_ms", offsetof(struct daxfs_cache_stats, dirty_age_ms), true },
};
#define CACHE_FIGURES (sizeof(cache_figure) / sizeof(cache_figure[0]))

static inline uint64_t *cache_figure_in(struct daxfs_cache_stats *stats, size_t i)
{
	return (uint64_t *)(void *)((char *)stats + cache_figure[i].at);
}

static inline uint64_t cache_figure_of(const struct daxfs_cache_stats *stats, size_t i)
{
	return *(const uint64_t *)(const void *)((const char *)stats + cache_figure[i].at);
}

#endif
