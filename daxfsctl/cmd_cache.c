/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_cache.c - daxfsctl cache: what the hosts count of files of storage, by host and in all. Looks only. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "daxfsctl/cache_figures.h"
#include "daxfsctl/ctl.h"
#include "daxfsctl/json.h"

#define HOSTS_MAX 64u /* of a pool at most */

static void add_figures(struct json *j, const struct daxfs_cache_stats *stats)
{
	for (unsigned i = 0; i < CACHE_FIGURES; i++)
		json_add_number(j, cache_figure[i].name, cache_figure_of(stats, i));
}

static void show_json(struct ctl *ctl, const struct daxfs_cache_stats *stats, unsigned hosts,
		      const struct daxfs_cache_stats *total)
{
	struct json j;

	json_begin(&j, ctl->out);
	json_add_schema(&j, "cache");
	json_open_array(&j, "hosts");
	for (unsigned host = 0; host < hosts; host++) {
		json_open_object(&j, NULL);
		json_add_number(&j, "host", host);
		add_figures(&j, &stats[host]);
		json_close(&j);
	}
	json_close(&j);
	json_open_object(&j, "total");
	add_figures(&j, total);
	json_finish(&j);
}

static void line(struct ctl *ctl, const char *which, const struct daxfs_cache_stats *stats)
{
	fprintf(ctl->out, "%-6s", which);
	for (unsigned i = 0; i < CACHE_FIGURES; i++)
		fprintf(ctl->out, " %12" PRIu64, cache_figure_of(stats, i));
	fputc('\n', ctl->out);
}

static void show_text(struct ctl *ctl, const struct daxfs_cache_stats *stats, unsigned hosts,
		      const struct daxfs_cache_stats *total)
{
	static const struct daxfs_cache_stats none;
	char which[16];

	fprintf(ctl->out, "%-6s", "host");
	for (unsigned i = 0; i < CACHE_FIGURES; i++)
		fprintf(ctl->out, " %12s", cache_figure[i].name);
	fputc('\n', ctl->out);
	for (unsigned host = 0; host < hosts; host++) {
		snprintf(which, sizeof(which), "%u", host);
		if (memcmp(&stats[host], &none, sizeof(none)) != 0)
			line(ctl, which, &stats[host]);
	}
	line(ctl, "total", total);
}

/* Of every slot; one whose memory failed is told as zeros. */
static void show(struct ctl *ctl, struct daxfs *fs)
{
	struct daxfs_cache_stats stats[HOSTS_MAX] = { 0 }, total = { 0 };
	struct daxfs_geometry g;

	daxfs_geometry(fs, &g);
	if (g.hosts > HOSTS_MAX)
		g.hosts = HOSTS_MAX;
	for (unsigned host = 0; host < g.hosts; host++) {
		daxfs_cache_stats_of(fs, host, &stats[host]);
		total.hits += stats[host].hits;
		total.misses += stats[host].misses;
		total.reads += stats[host].reads;
		total.filled += stats[host].filled;
		total.waits += stats[host].waits;
		total.taken_over += stats[host].taken_over;
		total.dropped += stats[host].dropped;
	}
	(ctl->json ? show_json : show_text)(ctl, stats, g.hosts, &total);
}

int cmd_cache(struct ctl *ctl, int argc, char **argv)
{
	struct daxfs_error err = { .text = "" };
	int code = ctl_parse(ctl, argc, argv, NULL, 0, 1, 1, "cache POOL"), rc;
	struct daxfs *fs;

	if (code)
		return code;
	rc = daxfs_open(ctl->words[0], DAXFS_READ_ONLY, &fs, &err);
	if (rc)
		return ctl_fail_error(ctl, rc, &err);
	show(ctl, fs);
	daxfs_close(fs);
	return CTL_OK;
}
