/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_cache.c - daxfsctl cache: what the hosts count of files of storage, by host and in all, once or again and again;
 * and where the pages of one file are. The first looks only; the second joins in a free host slot.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/clock.h"
#include "daxfsctl/cache_figures.h"
#include "daxfsctl/ctl.h"
#include "daxfsctl/guest.h"
#include "daxfsctl/json.h"

#define HOSTS_MAX (CTL_HOSTS_MAX + 1) /* with the spare slot */
#define WATCH_MS 1000
#define HEAD_LINES 20u /* of rates between two heads */
#define PAGE 4096.0

/* -- of hosts ----------------------------------------------------------------------------- */

struct figures {
	unsigned hosts;
	struct daxfs_cache_stats host[HOSTS_MAX], total;
};

/* Of every slot; one whose memory failed is told as zeros. Of ages the total is the greatest. */
static void take(struct daxfs *fs, struct figures *f)
{
	struct daxfs_geometry g;

	daxfs_geometry(fs, &g);
	*f = (struct figures){ .hosts = g.hosts < HOSTS_MAX ? g.hosts : HOSTS_MAX };
	for (unsigned host = 0; host < f->hosts; host++) {
		daxfs_cache_stats_of(fs, host, &f->host[host]);
		f->total.cached += f->host[host].cached;
		for (unsigned i = 0; i < CACHE_FIGURES; i++) {
			uint64_t *sum = cache_figure_in(&f->total, i), n = cache_figure_of(&f->host[host], i);

			if (cache_figure[i].at != offsetof(struct daxfs_cache_stats, dirty_age_ms))
				*sum += n;
			else if (n > *sum)
				*sum = n;
		}
	}
}

static void add_figures(struct json *j, const struct daxfs_cache_stats *stats)
{
	for (unsigned i = 0; i < CACHE_FIGURES; i++)
		json_add_number(j, cache_figure[i].name, cache_figure_of(stats, i));
}

static void show_json(struct ctl *ctl, const struct figures *f, bool line)
{
	struct json j;

	if (line)
		json_begin_line(&j, ctl->out);
	else
		json_begin(&j, ctl->out);
	json_add_schema(&j, "cache");
	json_open_array(&j, "hosts");
	for (unsigned host = 0; host < f->hosts; host++) {
		json_open_object(&j, NULL);
		json_add_number(&j, "host", host);
		add_figures(&j, &f->host[host]);
		json_close(&j);
	}
	json_close(&j);
	json_open_object(&j, "total");
	add_figures(&j, &f->total);
	json_add_number(&j, "cached", f->total.cached > 0 ? (uint64_t)f->total.cached : 0);
	json_finish(&j);
}

static bool has_figures(const struct daxfs_cache_stats *stats)
{
	static const struct daxfs_cache_stats none;

	return memcmp(stats, &none, sizeof(none)) != 0;
}

/* A line a figure, a column a host. */
static void show_text(struct ctl *ctl, const struct figures *f)
{
	fprintf(ctl->out, "%-16s", "");
	for (unsigned host = 0; host < f->hosts; host++)
		if (has_figures(&f->host[host]))
			fprintf(ctl->out, "      host %-2u", host);
	fprintf(ctl->out, " %12s\n", "total");
	for (unsigned i = 0; i < CACHE_FIGURES; i++) {
		fprintf(ctl->out, "%-16s", cache_figure[i].name);
		for (unsigned host = 0; host < f->hosts; host++)
			if (has_figures(&f->host[host]))
				fprintf(ctl->out, " %12" PRIu64, cache_figure_of(&f->host[host], i));
		fprintf(ctl->out, " %12" PRIu64 "\n", cache_figure_of(&f->total, i));
	}
	fprintf(ctl->out, "%" PRId64 " pages are cached\n", f->total.cached > 0 ? f->total.cached : 0);
}

/* What came within so long, each second. */
static void show_rates(struct ctl *ctl, const struct daxfs_cache_stats *was, const struct daxfs_cache_stats *is,
		       double seconds)
{
	double hits = (double)(is->hits - was->hits), reads = (double)(is->reads - was->reads);

	fprintf(ctl->out, "%12.0f %6.1f %12.1f %12.0f %12.1f %12.1f %12.1f\n", hits / seconds,
		hits > 0 ? 100 * (hits > reads ? hits - reads : 0) / hits : 0.0, reads * PAGE / 1e6 / seconds,
		(double)(is->dropped - was->dropped) / seconds,
		(double)(is->written - was->written) * PAGE / 1e6 / seconds, (double)is->dirty_bytes / 1e6,
		(double)is->dirty_age_ms / 1e3);
}

static int watch(struct ctl *ctl, struct daxfs *fs, const struct arg_number *wait)
{
	int64_t began = clock_ms(), at = began;
	struct figures now, was = { 0 };
	unsigned lines = 0;

	take(fs, &was);
	if (ctl->json)
		show_json(ctl, &was, true);
	while (!fflush(ctl->out) && !(wait->given && clock_ms() - began >= (int64_t)wait->value * 1000)) {
		clock_nap_ms(WATCH_MS);
		take(fs, &now);
		if (ctl->json) {
			show_json(ctl, &now, true);
			continue;
		}
		if (lines++ % HEAD_LINES == 0)
			fprintf(ctl->out, "%12s %6s %12s %12s %12s %12s %12s\n", "hits/s", "hit %", "read MB/s",
				"evictions/s", "back MB/s", "dirty MB", "oldest s");
		show_rates(ctl, &was.total, &now.total, (double)(clock_ms() - at) / 1e3);
		at = clock_ms();
		was = now;
	}
	return CTL_OK;
}

static int show_hosts_of(struct ctl *ctl, bool again, const struct arg_number *wait)
{
	struct daxfs_error err = { .text = "" };
	int code = CTL_OK, rc;
	struct figures now;
	struct daxfs *fs;

	rc = daxfs_open(ctl->words[0], DAXFS_READ_ONLY, &fs, &err);
	if (rc)
		return ctl_fail_error(ctl, rc, &err);
	if (again) {
		code = watch(ctl, fs, wait);
	} else {
		take(fs, &now);
		if (ctl->json)
			show_json(ctl, &now, false);
		else
			show_text(ctl, &now);
	}
	daxfs_close(fs);
	return code;
}

/* -- of a file ------------------------------------------------------------------------------ */

/* By its path in the pool. */
static int find_file(struct daxfs *fs, const char *path, daxfs_ino *out)
{
	struct daxfs_attr attr = { .ino = DAXFS_ROOT };
	char name[256];
	int rc = 0;

	while (rc == 0 && *(path += strspn(path, "/"))) {
		size_t n = strcspn(path, "/");

		if (n >= sizeof(name))
			return -ENAMETOOLONG;
		memcpy(name, path, n);
		name[n] = '\0';
		path += n;
		rc = daxfs_lookup(fs, attr.ino, name, &attr);
	}
	*out = attr.ino;
	return rc;
}

static void show_file_json(struct ctl *ctl, const char *path, const struct daxfs_cached *c)
{
	static const char *const used[] = { "used_once", "used_twice", "used_three_times", "used_more" };
	struct json j;

	json_begin(&j, ctl->out);
	json_add_schema(&j, "cache-file");
	json_add_text(&j, "file", path);
	json_add_number(&j, "pages", c->pages);
	json_add_number(&j, "clean", c->clean);
	json_add_number(&j, "dirty", c->dirty);
	json_add_number(&j, "zeros", c->zeros);
	json_add_number(&j, "filling", c->filling);
	json_add_number(&j, "lost", c->lost);
	json_open_object(&j, "heat");
	json_add_number(&j, "ahead", c->ahead);
	json_add_number(&j, "scanned", c->scanned);
	for (unsigned i = 0; i < 4; i++)
		json_add_number(&j, used[i], c->used[i]);
	json_finish(&j);
}

static void show_file(struct ctl *ctl, const char *path, const struct daxfs_cached *c)
{
	uint64_t here = c->clean + c->dirty + c->zeros;

	fprintf(ctl->out,
		"%s: %" PRIu64 " of %" PRIu64 " pages (%.1f %%) need no read of storage\n"
		"  clean %" PRIu64 ", dirty %" PRIu64 ", zeros %" PRIu64 ", being read %" PRIu64
		", in memory that failed %" PRIu64 "\n"
		"  of the clean: read ahead %" PRIu64 ", in order %" PRIu64 ", used once %" PRIu64 ", twice %" PRIu64
		", three times %" PRIu64 ", more often %" PRIu64 "\n",
		path, here, c->pages, c->pages ? 100.0 * (double)here / (double)c->pages : 0.0, c->clean, c->dirty,
		c->zeros, c->filling, c->lost, c->ahead, c->scanned, c->used[0], c->used[1], c->used[2], c->used[3]);
}

static int look_at_file(struct ctl *ctl, struct daxfs *fs, const char *path)
{
	struct daxfs_cached cached;
	daxfs_ino ino;
	int rc = find_file(fs, path, &ino);

	if (rc == 0)
		rc = daxfs_cached(fs, ino, &cached);
	if (rc == -EINVAL || rc == -EISDIR)
		return ctl_fail(ctl, CTL_REFUSED, "%s: not a file of storage", path);
	if (rc)
		return ctl_fail(ctl, ctl_exit_of(rc), "%s: %s (a path within the pool)", path, strerror(-rc));
	(ctl->json ? show_file_json : show_file)(ctl, path, &cached);
	return CTL_OK;
}

static int show_file_of(struct ctl *ctl, const char *path)
{
	struct daxfs_error err = { .text = "" };
	struct guest guest;
	struct daxfs *fs;
	int rc = daxfs_open(ctl->words[0], DAXFS_READ_WRITE, &fs, &err), code;

	if (rc)
		return ctl_fail_error(ctl, rc, &err);
	rc = guest_come(&guest, fs, "cache", &err);
	code = rc ? ctl_fail_error(ctl, rc, &err) : look_at_file(ctl, fs, path);
	if (rc == 0)
		guest_go(&guest);
	daxfs_close(fs);
	return code;
}

int cmd_cache(struct ctl *ctl, int argc, char **argv)
{
	struct arg_number wait = { 0 };
	bool again = false;
	const struct arg table[] = {
		{ "watch", ARG_FLAG, &again, 0 },
		{ "wait", ARG_NUMBER, &wait, 86400 },
	};
	int code = ctl_parse(ctl, argc, argv, table, 2, 1, 2, "cache POOL [FILE | --watch [--wait SECONDS]]");

	if (code)
		return code;
	if (ctl->n_words == 2 && again)
		return ctl_fail(ctl, CTL_USAGE, "--watch is of hosts: leave the file out");
	return ctl->n_words == 2 ? show_file_of(ctl, ctl->words[1]) : show_hosts_of(ctl, again, &wait);
}
