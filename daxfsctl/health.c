/* SPDX-License-Identifier: Apache-2.0 */
/*
 * health.c - see health.h.
 *
 * DEGRADED, while the pod works on: a host is not what it should be, or nobody
 * would notice if one died; memory of the pool failed, or something waits to be
 * repaired; what was written is not in storage for long. A slot that is FREE or RECOVERED is fine. A pool that no host
 * uses needs no fabricd: without one it is UNUSED, which is no reason to wake anybody, and a note says what to start
 * before the hosts.
 */
#include "daxfsctl/health.h"

#include <string.h>

#include "daxfsctl/text.h"

#define UNWRITTEN_MS 60000u

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

/* Would nobody notice a host that dies? NULL: as far as is known somebody would. */
static const char *unwatched(const struct snapshot *s)
{
	return s->fabricd == FABRICD_NONE     ? "no fabricd has run"
	       : s->fabricd == FABRICD_SILENT ? "fabricd does not beat"
					      : NULL;
}

static void unwatched_text(const struct snapshot *s, char *buf, size_t size)
{
	snprintf(buf, size, "%s: nobody would notice that a host died; on two machines: systemctl %s fabricd@%.31s",
		 unwatched(s), s->fabricd == FABRICD_NONE ? "enable --now" : "restart", s->geometry.name);
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
	char text[200], number[32];

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
	if (condition_count(s, "host-absent")) {
		snprintf(text, sizeof(text), "%s absent",
			 text_count(condition_count(s, "host-absent"), "expected host", number, sizeof(number)));
		add(buf, size, text);
	}
	if (condition_count(s, "polls-late"))
		add(buf, size, "fabricd polls late");
	if (in_use(s) && unwatched(s))
		add(buf, size, unwatched(s));
}

/* Agents write back what is 5 s old: storage fails, or does not answer, or is much too slow. */
static bool writes_nothing_back(const struct snapshot_host *h)
{
	return h->readable && h->view.state == DAXFS_HOST_ALIVE && h->unwritten &&
	       (h->write_error || h->unwritten_ms > UNWRITTEN_MS);
}

static void add_unwritten(struct snapshot *s, unsigned i)
{
	const struct snapshot_host *h = &s->host[i];

	condition_add(s, "not-written-back", (int)i, 0,
		      "host %u (%.31s): storage has not what was written %llu s ago, of backing %.31s: %.48s", i,
		      h->view.name, (unsigned long long)h->unwritten_ms / 1000,
		      h->unwritten_of[0] ? h->unwritten_of : "?",
		      h->write_error ? strerror(h->write_error) : "it does not answer, or is slow");
}

static void complain_of_storage(const struct snapshot *s, char *buf, size_t size)
{
	char n[32], text[96];
	unsigned late = 0;

	for (unsigned i = 0; i < s->n_hosts; i++)
		late += writes_nothing_back(&s->host[i]);
	if (!late)
		return;
	snprintf(text, sizeof(text), "%s with bytes that storage does not get", text_count(late, "host", n, sizeof(n)));
	add(buf, size, text);
}

static bool not_coherent(const struct snapshot *s)
{
	return s->have_proof && !s->proof.coherent;
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
	complain_of_storage(s, buf, size);
	if (not_coherent(s))
		add(buf, size, "memory is not coherent");
}

/* What only who asks can see. */
void health_conditions(struct snapshot *s)
{
	char text[200] = "";

	for (unsigned i = 0; i < s->n_hosts; i++)
		if (silent(&s->host[i]))
			condition_add(s, "host-silent", (int)i, 0, "host %u (%.31s) does not beat", i,
				      s->host[i].view.name);
	for (unsigned i = 0; i < s->n_hosts; i++)
		if (writes_nothing_back(&s->host[i]))
			add_unwritten(s, i);
	if (s->answered_by && !s->deciding && s->fabricd == FABRICD_PRIMARY)
		condition_add(s, "not-deciding", -1, 0, "fabricd decides nothing: %.80s", s->note);
	if (in_use(s) && unwatched(s)) {
		unwatched_text(s, text, sizeof(text));
		condition_add(s, s->fabricd == FABRICD_NONE ? "no-fabricd" : "fabricd-silent", -1, 0, "%s", text);
	}
	if (not_coherent(s))
		condition_add(s, "not-coherent", -1, s->proof.wall_ns,
			      "memory is not coherent between hosts, said selftest: stop all but one");
	text[0] = '\0';
	complain_of_repairs(s, text, sizeof(text));
	if (text[0])
		condition_add(s, "to-repair", -1, 0, "%.110s", text);
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
	if (text[0])
		snprintf(buf, size, "DEGRADED: %s", text);
	else if (unwatched(s))
		snprintf(buf, size, "UNUSED: %s", unwatched(s));
	else
		snprintf(buf, size, "HEALTHY");
	return buf;
}

const char *health_note(const struct snapshot *s, char *buf, size_t size)
{
	buf[0] = '\0';
	if (!in_use(s) && unwatched(s))
		unwatched_text(s, buf, size);
	return buf;
}

static bool is_on(const struct snapshot_host *h, const uint8_t machine[16])
{
	static const uint8_t nowhere[16];

	return h->readable && daxfs_host_may_live(&h->view) && memcmp(machine, nowhere, sizeof(nowhere)) &&
	       memcmp(h->view.who.machine, machine, sizeof(nowhere)) == 0;
}

/*
 * " on host 0 alpha", if a host of the pool is on that machine; " on the machine of hosts 0, 2", if several
 * are: agents, or a daxfsctl that is there for a moment. Else nothing.
 */
static const char *on_host(const struct snapshot *s, const uint8_t machine[16], char *buf, size_t size)
{
	unsigned n = 0, first = 0;
	size_t at;

	buf[0] = '\0';
	for (unsigned i = 0; i < s->n_hosts; i++) {
		if (!is_on(&s->host[i], machine))
			continue;
		at = strlen(buf);
		if (n++ == 0)
			first = i;
		snprintf(buf + at, size - at, "%s%u", at ? ", " : " on the machine of hosts ", i);
	}
	if (n == 1)
		snprintf(buf, size, " on host %u %s", first, s->host[first].view.name);
	return buf;
}

const char *health_fabricd(const struct snapshot *s, char *buf, size_t size)
{
	char host[64];

	switch (s->fabricd) {
	case FABRICD_NONE: snprintf(buf, size, "no fabricd"); break;
	case FABRICD_BACKUP:
		snprintf(buf, size, "fabricd pid %u (backup of %u%s)", s->answered_by, s->manager.pid,
			 on_host(s, s->manager.machine, host, sizeof(host)));
		break;
	default:
		snprintf(buf, size, "fabricd pid %u (%s%s)", s->manager.pid,
			 s->fabricd == FABRICD_PRIMARY  ? "primary"
			 : s->fabricd == FABRICD_SILENT ? "silent"
							: "not asked",
			 on_host(s, s->manager.machine, host, sizeof(host)));
		if (s->backup_seen && strlen(buf) + 1 < size)
			snprintf(buf + strlen(buf) - 1, size - strlen(buf) + 1, ", backup%s)",
				 on_host(s, s->manager.standby_machine, host, sizeof(host)));
		break;
	}
	return buf;
}

bool health_shown(const struct snapshot_host *h)
{
	return !h->readable || h->view.state != DAXFS_HOST_FREE;
}
