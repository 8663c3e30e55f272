/* SPDX-License-Identifier: Apache-2.0 */
/*
 * health.c - see health.h.
 *
 * DEGRADED, while the pod works on: a host is not what it should be, or nobody
 * would notice if one died; memory of the pool failed, or something waits to be
 * repaired. A slot that is FREE or RECOVERED is fine; a pool that no host uses needs
 * no fabricd.
 */
#include "daxfsctl/health.h"

#include <string.h>

#include "daxfsctl/text.h"

static const char *const ailing[DAXFS_HOST_STATES] = {
	[DAXFS_HOST_SUSPECT] = "suspect",
	[DAXFS_HOST_FENCING] = "fencing",
	[DAXFS_HOST_FENCED] = "fenced",
	[DAXFS_HOST_RECOVERING] = "recovering",
};

static void add(char *buf, size_t size, const char *text)
{
	size_t at = strlen(buf);

	snprintf(buf + at, size - at, "%s%s", at ? ", " : "", text);
}

static unsigned count(const struct snapshot *s, unsigned state)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->n_hosts; i++)
		n += s->host[i].readable && (unsigned)s->host[i].view.state == state;
	return n;
}

static unsigned in_use(const struct snapshot *s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->n_hosts; i++)
		n += snapshot_in_use(&s->host[i]);
	return n;
}

/* States that are only right with a heartbeat. */
static bool silent(const struct snapshot_host *h)
{
	return h->readable && h->beat == BEAT_NOT_WITHIN &&
	       (h->view.state == DAXFS_HOST_JOINING || h->view.state == DAXFS_HOST_ALIVE);
}

static void complain_of_hosts(const struct snapshot *s, char *buf, size_t size)
{
	char n[32], text[64];
	unsigned damaged = 0, quiet = 0, given_up = 0;

	for (unsigned i = 0; i < s->n_hosts; i++) {
		given_up += s->host[i].readable && s->host[i].view.deaths >= DAXFS_RECOVERERS_MAX;
		damaged += !s->host[i].readable;
		quiet += silent(&s->host[i]);
	}
	for (unsigned state = DAXFS_HOST_STATES; state-- > 0;) {
		if (!ailing[state] || !count(s, state))
			continue;
		snprintf(text, sizeof(text), "%s %s", text_count(count(s, state), "host", n, sizeof(n)), ailing[state]);
		add(buf, size, text);
	}
	if (given_up) {
		snprintf(text, sizeof(text), "recovery of %s given up", text_count(given_up, "host", n, sizeof(n)));
		add(buf, size, text);
	}
	if (quiet) {
		snprintf(text, sizeof(text), "%s without heartbeat", text_count(quiet, "host", n, sizeof(n)));
		add(buf, size, text);
	}
	if (damaged) {
		snprintf(text, sizeof(text), "%s damaged", text_count(damaged, "host slot", n, sizeof(n)));
		add(buf, size, text);
	}
}

static void complain_of_fabricd(const struct snapshot *s, char *buf, size_t size)
{
	char text[200];

	if (s->answered_by && !s->deciding && s->fabricd == FABRICD_PRIMARY) {
		snprintf(text, sizeof(text), "fabricd decides nothing (%s)", s->note[0] ? s->note : "no reason given");
		add(buf, size, text);
	}
	if (s->fence_broken[0]) {
		snprintf(text, sizeof(text), "fence agent does not work (%s)", s->fence_broken);
		add(buf, size, text);
	}
	if (s->answered_by && s->fabricd == FABRICD_PRIMARY && s->backup_expected && !s->backup_seen)
		add(buf, size, "no backup fabricd on another machine");
	if (!in_use(s))
		return;
	if (s->fabricd == FABRICD_NONE)
		add(buf, size, "no fabricd has run");
	if (s->fabricd == FABRICD_SILENT)
		add(buf, size, "fabricd does not beat");
}

static void complain_of_repairs(const struct snapshot *s, char *buf, size_t size)
{
	const unsigned *n = s->to_repair;
	char text[96], number[32];

	if (n[DAXFS_REPAIR_PAGE]) {
		snprintf(text, sizeof(text), "%s of memory failed",
			 text_count(n[DAXFS_REPAIR_PAGE], "page", number, sizeof(number)));
		add(buf, size, text);
	}
	if (n[DAXFS_REPAIR_FILE]) {
		snprintf(text, sizeof(text), "%s to repair",
			 text_count(n[DAXFS_REPAIR_FILE], "removed file", number, sizeof(number)));
		add(buf, size, text);
	}
	if (n[DAXFS_REPAIR_LANE]) {
		snprintf(text, sizeof(text), "%s to repair",
			 text_count(n[DAXFS_REPAIR_LANE], "lane", number, sizeof(number)));
		add(buf, size, text);
	}
}

static void complaints(const struct snapshot *s, char *buf, size_t size)
{
	buf[0] = '\0';
	complain_of_hosts(s, buf, size);
	complain_of_fabricd(s, buf, size);
	complain_of_repairs(s, buf, size);
}

bool health_good(const struct snapshot *s)
{
	char buf[256];

	complaints(s, buf, sizeof(buf));
	return buf[0] == '\0';
}

const char *health_text(const struct snapshot *s, char *buf, size_t size)
{
	char text[224];

	complaints(s, text, sizeof(text));
	snprintf(buf, size, "%s%s", text[0] ? "DEGRADED: " : "HEALTHY", text);
	return buf;
}

const char *health_fabricd(const struct snapshot *s, char *buf, size_t size)
{
	switch (s->fabricd) {
	case FABRICD_NONE: snprintf(buf, size, "no fabricd"); break;
	case FABRICD_BACKUP:
		snprintf(buf, size, "fabricd pid %u (backup of %u)", s->answered_by, s->manager.pid);
		break;
	default:
		snprintf(buf, size, "fabricd pid %u (%s)", s->manager.pid,
			 s->fabricd == FABRICD_PRIMARY  ? "primary"
			 : s->fabricd == FABRICD_SILENT ? "silent"
							: "not asked");
		break;
	}
	return buf;
}

bool health_shown(const struct snapshot_host *h)
{
	return !h->readable || h->view.state != DAXFS_HOST_FREE;
}
