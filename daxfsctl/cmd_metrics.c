/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_metrics.c - daxfsctl metrics: a snapshot for Prometheus, in its text format.
 *
 * For the textfile collector of node_exporter, or any exporter that runs a command. The
 * names and labels here are an interface: they are in daxfsctl(8), and alerts stand on them.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/pool_uuid.h"
#include "daxfsctl/cache_figures.h"
#include "daxfsctl/health.h"
#include "daxfsctl/show.h"
#include "daxfsctl/text.h"

#define NS_PER_S 1e9
#define MS_PER_S 1e3

struct metrics {
	FILE *out;
	const struct snapshot *s;
	char pool[80]; /* pool="NAME", escaped */
};

/* name="value", as the format wants it: \, " and line ends escaped, no byte that is not ASCII. */
static const char *label(const char *name, const char *value, char *buf, size_t size)
{
	size_t at = (size_t)snprintf(buf, size, "%s=\"", name);

	for (; *value && at + 4 < size; value++) {
		if (*value == '\\' || *value == '"')
			buf[at++] = '\\';
		buf[at++] = (unsigned char)*value < ' ' || (unsigned char)*value > '~' ? '_' : *value;
	}
	snprintf(buf + at, size - at, "\"");
	return buf;
}

static void head(const struct metrics *m, const char *name, const char *help)
{
	fprintf(m->out, "# HELP daxfs_%s %s\n# TYPE daxfs_%s gauge\n", name, help, name);
}

static void one(const struct metrics *m, const char *name, const char *help, double value)
{
	head(m, name, help);
	fprintf(m->out, "daxfs_%s{%s} %.9g\n", name, m->pool, value);
}

static void pool(const struct metrics *m)
{
	const struct daxfs_geometry *g = &m->s->geometry;
	char uuid[POOL_UUID_TEXT_BYTES];

	head(m, "pool_info", "the pool: always 1");
	fprintf(m->out, "daxfs_pool_info{%s,uuid=\"%s\",format=\"%u\",domain=\"%s\"} 1\n", m->pool,
		pool_uuid_text(g->uuid, uuid, sizeof(uuid)), g->version, g->wb ? "wb" : "gpf");
	one(m, "pool_size_bytes", "size of the pool", (double)g->size);
	one(m, "lease_seconds", "how long a change may wait for a dead host's kernel; 0: no leases", g->lease_ms / 1e3);
	one(m, "healthy", "1: status says HEALTHY", health_good(m->s));
	one(m, "fabricd_primary_up", "1: a primary fabricd answered, or its beat moves",
	    m->s->fabricd == FABRICD_PRIMARY);
	one(m, "manager_epoch", "grows with each new primary", m->s->manager.epoch);
}

/* How many there are of each code; one that is seen for the first time makes a series of its own. */
static void conditions(const struct metrics *m)
{
	const struct snapshot *s = m->s;
	char code[64];

	head(m, "conditions", "why the pod is degraded: how many of each code");
	for (unsigned i = 0; i < s->n_conditions; i++) {
		bool first = true;

		for (unsigned k = 0; k < i; k++)
			first &= strcmp(s->condition[k].code, s->condition[i].code) != 0;
		if (first)
			fprintf(m->out, "daxfs_conditions{%s,%s} %u\n", m->pool,
				label("code", s->condition[i].code, code, sizeof(code)),
				condition_count(s, s->condition[i].code));
	}
	one(m, "fabricd_late_polls", "polls of the fabricd that answered which came late", (double)s->late_polls);
}

static void usage_of(const struct metrics *m, const char *what, const struct daxfs_usage *u)
{
	const struct {
		const char *state;
		uint64_t n;
	} row[] = { { "free", u->free }, { "live", u->live }, { "quarantined", u->quarantined } };

	for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		fprintf(m->out, "daxfs_objects{%s,type=\"%s\",state=\"%s\"} %" PRIu64 "\n", m->pool, what, row[i].state,
			row[i].n);
}

static void usage(const struct metrics *m)
{
	if (!m->s->have_usage)
		return;
	head(m, "objects", "pages, inodes and names of the pool, by state");
	usage_of(m, "page", &m->s->usage.pages);
	usage_of(m, "inode", &m->s->usage.inodes);
	usage_of(m, "dirent", &m->s->usage.dirents);
	one(m, "reserved_pages", "of the free ones, kept for overwrites and deletes", (double)m->s->usage.reserved);
}

static void repairs(const struct metrics *m)
{
	static const char *const kind[DAXFS_REPAIR_KINDS] = { "page", "file", "lane" };

	if (!m->s->have_usage)
		return;
	head(m, "to_repair", "memory that failed, removed files and lanes that wait for daxfsctl repair");
	for (unsigned i = 0; i < DAXFS_REPAIR_KINDS; i++)
		fprintf(m->out, "daxfs_to_repair{%s,kind=\"%s\"} %u\n", m->pool, kind[i], m->s->to_repair[i]);
}

/* -- hosts ------------------------------------------------------------------- */

static double state_alive(const struct snapshot_host *h)
{
	return h->readable && h->view.state == DAXFS_HOST_ALIVE;
}

static double readable(const struct snapshot_host *h)
{
	return h->readable;
}

static double generation(const struct snapshot_host *h)
{
	return h->view.generation;
}

/* Time without a heartbeat, as far as the snapshot has seen. */
static double silence(const struct snapshot_host *h)
{
	return h->beat == BEAT_WITHIN || h->beat == BEAT_UNKNOWN ? 0 : (double)h->beat_ms / MS_PER_S;
}

static double lanes(const struct snapshot_host *h)
{
	return h->view.lanes;
}

static double records(const struct snapshot_host *h)
{
	return h->view.records;
}

static double deaths(const struct snapshot_host *h)
{
	return h->view.deaths;
}

static double recovery(const struct snapshot_host *h)
{
	return (double)h->view.last.ns / NS_PER_S;
}

static const struct {
	const char *name, *help;
	double (*of)(const struct snapshot_host *h);
} of_hosts[] = {
	{ "host_alive", "1: ALIVE", state_alive },
	{ "host_readable", "0: the slot makes no sense", readable },
	{ "host_generation", "grows with each tenancy of the slot", generation },
	{ "host_silence_seconds", "time since the heartbeat moved, 0 when it does", silence },
	{ "host_lanes", "lanes in an operation", lanes },
	{ "host_records", "records in flight", records },
	{ "host_recoverer_deaths", "hosts that died while they recovered this one", deaths },
	{ "host_last_recovery_seconds", "how long the last recovery of the slot took", recovery },
};

static void label_host(const struct metrics *m, const struct snapshot_host *h, char *buf, size_t size)
{
	char name[80];

	snprintf(buf, size, "%s,host=\"%u\",%s", m->pool, h->view.id,
		 label("name", h->readable ? h->view.name : "", name, sizeof(name)));
}

/* One line for each state, so that an alert can ask for how long it has been that one. */
static void states(const struct metrics *m, const struct snapshot_host *h)
{
	char labels[256];

	label_host(m, h, labels, sizeof(labels));
	for (unsigned state = 0; state < DAXFS_HOST_STATES; state++)
		fprintf(m->out, "daxfs_host_state{%s,state=\"%s\"} %d\n", labels, daxfs_host_state_name(state),
			h->readable && (unsigned)h->view.state == state);
}

static void hosts(const struct metrics *m)
{
	char labels[256];

	head(m, "host_state", "1 for the state that a slot is in");
	for (unsigned i = 0; i < m->s->n_hosts; i++)
		if (health_shown(&m->s->host[i]))
			states(m, &m->s->host[i]);
	for (unsigned n = 0; n < sizeof(of_hosts) / sizeof(of_hosts[0]); n++) {
		head(m, of_hosts[n].name, of_hosts[n].help);
		for (unsigned i = 0; i < m->s->n_hosts; i++) {
			const struct snapshot_host *h = &m->s->host[i];

			if (!health_shown(h))
				continue;
			label_host(m, h, labels, sizeof(labels));
			fprintf(m->out, "daxfs_%s{%s} %.9g\n", of_hosts[n].name, labels, of_hosts[n].of(h));
		}
	}
}

/* What hosts count of files of storage. The pool is looked at, whoever answered for the rest. */
static void cache(const struct metrics *m)
{
	struct daxfs_cache_stats stats;
	struct daxfs_error err;
	struct daxfs *fs;
	char labels[256];

	if (daxfs_open(m->s->path, DAXFS_READ_ONLY, &fs, &err))
		return;
	head(m, "cache", "what a host counted of files of storage since the pool was made");
	for (unsigned i = 0; i < m->s->n_hosts; i++) {
		if (!health_shown(&m->s->host[i]) || daxfs_cache_stats_of(fs, m->s->host[i].view.id, &stats))
			continue;
		label_host(m, &m->s->host[i], labels, sizeof(labels));
		for (unsigned n = 0; n < CACHE_FIGURES; n++)
			fprintf(m->out, "daxfs_cache{%s,figure=\"%s\"} %" PRIu64 "\n", labels, cache_figure[n].name,
				cache_figure_of(&stats, n));
	}
	daxfs_close(fs);
}

int cmd_metrics(struct ctl *ctl, int argc, char **argv)
{
	int code = ctl_parse(ctl, argc, argv, NULL, 0, 0, 1, "metrics [POOL]");
	struct snapshot *s = calloc(1, sizeof(*s));
	struct metrics m = { .out = ctl->out, .s = s };

	if (code == CTL_OK && !s)
		code = ctl_fail(ctl, CTL_ERROR, "out of memory");
	if (code == CTL_OK)
		code = snapshot_take(ctl, s);
	if (code == CTL_OK) {
		label("pool", s->geometry.name, m.pool, sizeof(m.pool));
		pool(&m);
		conditions(&m);
		usage(&m);
		repairs(&m);
		hosts(&m);
		cache(&m);
	}
	free(s);
	return code;
}
