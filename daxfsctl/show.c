/* SPDX-License-Identifier: Apache-2.0 */
/* show.c - see show.h. */
#include "daxfsctl/show.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daxfsctl/coherence.h"
#include "daxfsctl/event_log.h"
#include "daxfsctl/health.h"
#include "daxfsctl/json.h"
#include "daxfsctl/text.h"

/* -- the parts of a line -------------------------------------------------------- */

/* A long time is told in seconds. */
static const char *beat_text(const struct snapshot_host *h, char *buf, size_t size)
{
	static const char *const sign[] = { "", "", "<", ">" };
	bool seconds = h->beat_ms >= 10000;

	if (h->beat == BEAT_UNKNOWN || !snapshot_in_use(h))
		return "-";
	snprintf(buf, size, "%s%" PRIu64 " %s", sign[h->beat], seconds ? h->beat_ms / 1000 : h->beat_ms,
		 seconds ? "s" : "ms");
	return buf;
}

/* Nothing of a host that is well; the cause of its state otherwise, and how it was cut off. */
static const char *reason_text(const struct snapshot *s, const struct snapshot_host *h, char *buf, size_t size)
{
	const struct daxfs_host_view *v = &h->view;
	char cause[96];
	size_t at;

	if (!h->readable)
		return "its slot makes no sense; run daxfsctl check";
	if (v->state == DAXFS_HOST_RECOVERING && v->deaths) {
		at = (size_t)snprintf(buf, size, "%u host%s died while recovering it", v->deaths,
				      v->deaths == 1 ? "" : "s");
		if (v->deaths >= DAXFS_RECOVERERS_MAX && at < size)
			snprintf(buf + at, size - at, ": nobody is assigned; check, then recover --again --host %u",
				 v->id);
		return buf;
	}
	if (v->reason == DAXFS_REASON_NONE || v->reason == DAXFS_REASON_JOINED ||
	    v->reason == DAXFS_REASON_BEAT_RESUMED)
		return "-";
	at = (size_t)snprintf(buf, size, "%s", daxfs_reason_text(v->reason, v->reason_ms, cause, sizeof(cause)));
	if (v->state == DAXFS_HOST_FENCING && h->said[0] && at < size)
		snprintf(buf + at, size - at, ": %s", h->said);
	if (v->state >= DAXFS_HOST_FENCED && v->fence_ms && at < size)
		snprintf(buf + at, size - at, "; fenced%s%s %u ms", s->fence_agent[0] ? " by " : "", s->fence_agent,
			 v->fence_ms);
	return buf;
}

static const char *state_text(const struct snapshot_host *h)
{
	return h->readable ? daxfs_host_state_name(h->view.state) : "DAMAGED";
}

static const char *name_text(const struct snapshot_host *h)
{
	return h->readable && h->view.name[0] ? h->view.name : "-";
}

/* -- text ----------------------------------------------------------------------- */

static void show_head(FILE *out, const struct snapshot *s)
{
	const struct daxfs_geometry *g = &s->geometry;
	char id[16], fabricd[96], health[256], leases[32] = "";

	if (g->lease_ms)
		snprintf(leases, sizeof(leases), "  leases %u ms", g->lease_ms);
	fprintf(out, "pool %s %s  format %u  %s%s  epoch %" PRIu64 "   %s   %s\n", g->name, text_id(g, id, sizeof(id)),
		g->version, g->wb ? "wb" : "gpf", leases, s->manager.reclaim_epoch,
		health_fabricd(s, fabricd, sizeof(fabricd)), health_text(s, health, sizeof(health)));
}

struct widths {
	int name, state, beat;
};

static int wider(int width, const char *text)
{
	int n = (int)strlen(text);

	return n > width ? n : width;
}

static struct widths measure(const struct snapshot *s, bool (*shown)(const struct snapshot_host *h))
{
	struct widths w = { 5, 10, 6 };
	char beat[32];

	for (unsigned i = 0; i < s->n_hosts; i++) {
		if (!shown(&s->host[i]))
			continue;
		w.name = wider(w.name, name_text(&s->host[i]));
		w.state = wider(w.state, state_text(&s->host[i]));
		w.beat = wider(w.beat, beat_text(&s->host[i], beat, sizeof(beat)));
	}
	return w;
}

static void show_table(FILE *out, const struct snapshot *s)
{
	struct widths w = measure(s, health_shown);
	char beat[32], reason[192];

	fprintf(out, "ID %-*s  %-*s  GEN  %-*s  LANES  RECORDS  OWNED  PINS  REASON\n", w.name, "HOST", w.state,
		"STATE", w.beat, "BEAT");
	for (unsigned i = 0; i < s->n_hosts; i++) {
		const struct snapshot_host *h = &s->host[i];
		const struct daxfs_host_view *v = &h->view;

		if (!health_shown(h))
			continue;
		fprintf(out, "%2u %-*s  %-*s  %3u  %-*s  %5u  %7u  %5u  %4u  %s\n", i, w.name, name_text(h), w.state,
			state_text(h), v->generation, w.beat, beat_text(h, beat, sizeof(beat)), v->lanes, v->records,
			v->owned, v->pins, reason_text(s, h, reason, sizeof(reason)));
	}
}

static void show_slots(FILE *out, const struct snapshot *s)
{
	unsigned free, slots = snapshot_slots(s, &free);

	fprintf(out, "slots %u of %u free", free, slots);
}

static void show_foot(FILE *out, const struct snapshot *s)
{
	const struct daxfs_statfs *u = &s->usage;
	char used[16], total[16], kept[16], recovery[192];
	size_t unit;

	if (s->have_usage) {
		text_bytes(u->pages.total * 4096, total, sizeof(total));
		/* "1.2/2.0 GiB": both in the unit of the whole */
		unit = strcspn(total, " ");
		snprintf(used, sizeof(used), "%.1f",
			 (double)u->pages.live / (double)(u->pages.total + !u->pages.total) * strtod(total, NULL));
		fprintf(out, "pages %u%% (%s/%.*s%s)  inodes %u%%  dirents %u%%",
			text_percent(u->pages.live, u->pages.total), used, (int)unit, total, total + unit,
			text_percent(u->inodes.live, u->inodes.total), text_percent(u->dirents.live, u->dirents.total));
		if (u->reserved && u->pages.free <= u->reserved)
			fprintf(out, "  FULL: %s left, for overwrites",
				text_bytes(u->pages.free * 4096, kept, sizeof(kept)));
		fputs("  ", out);
	}
	show_slots(out, s);
	if (s->last.ns)
		fprintf(out, "   last recovery %s", text_recovery(&s->last, recovery, sizeof(recovery)));
	putc('\n', out);
}

static void show_proof(FILE *out, const struct snapshot *s)
{
	char text[200], when[40];

	if (s->have_proof)
		fprintf(out, "memory tested %s by %s\n", event_time(s->proof.wall_ns, when, sizeof(when)),
			coherence_text(&s->proof, text, sizeof(text)));
}

/* One that is not what mkfs made it. A host that had it made longer did so to stay alive, and nobody was asked. */
static void show_heartbeat(FILE *out, const struct snapshot *s)
{
	char when[40], text[320];

	if (!s->made_heartbeat_ms || s->made_heartbeat_ms == s->geometry.heartbeat_ms)
		return;
	fprintf(out, "heartbeat %u ms, made with %u", s->geometry.heartbeat_ms, s->made_heartbeat_ms);
	if (s->heartbeat.number)
		fprintf(out, ", since %s", event_time(s->heartbeat.wall_ns, when, sizeof(when)));
	if (s->heartbeat.number && s->heartbeat.host >= 0)
		fprintf(out, ": %s", daxfs_event_text(&s->heartbeat, text, sizeof(text)));
	putc('\n', out);
}

#define REPAIRS_SHOWN 8u

static void show_repair(FILE *out, const struct daxfs_repair *item)
{
	fprintf(out, "to repair: %s", item->what);
	switch (item->kind) {
	case DAXFS_REPAIR_PAGE: fprintf(out, " at offset %#" PRIx64 ": memory failed\n", item->subject); break;
	case DAXFS_REPAIR_FILE:
		fprintf(out, ": removed, and could not be finished: daxfsctl repair POOL --item %" PRIu64 "\n",
			item->subject & UINT32_MAX);
		break;
	default: fprintf(out, ": its record cannot be told\n"); break;
	}
}

/* What is there to be repaired, and how. */
static void show_repairs(FILE *out, const struct snapshot *s)
{
	unsigned left = 0;

	for (unsigned kind = 0; kind < DAXFS_REPAIR_KINDS; kind++)
		left += s->to_repair[kind];
	for (unsigned i = 0; i < s->n_repairs && i < REPAIRS_SHOWN; i++, left--)
		show_repair(out, &s->repair[i]);
	if (left)
		fprintf(out, "to repair: %u more: daxfsctl check lists all\n", left);
}

/* What is wrong, one line each; and late polls, for they are the first sign of trouble. */
static void show_conditions(FILE *out, const struct snapshot *s)
{
	char when[40], note[200];

	for (unsigned i = 0; i < s->n_conditions; i++) {
		const struct condition *c = &s->condition[i];

		fprintf(out, "degraded: %s", c->text);
		if (c->since_ns)
			fprintf(out, ", since %s", event_time(c->since_ns, when, sizeof(when)));
		putc('\n', out);
	}
	if (*health_note(s, note, sizeof(note)))
		fprintf(out, "%s\n", note);
	if (s->late_polls)
		fprintf(out, "fabricd polled late %" PRIu64 " times of %" PRIu64 "\n", s->late_polls, s->polls);
}

void show_status(FILE *out, const struct snapshot *s)
{
	show_head(out, s);
	show_table(out, s);
	show_foot(out, s);
	show_proof(out, s);
	show_heartbeat(out, s);
	show_conditions(out, s);
	show_repairs(out, s);
}

void show_hosts(FILE *out, const struct snapshot *s)
{
	struct widths w = measure(s, snapshot_used);
	char beat[32], reason[192], recoverer[16], recovery[192];

	fprintf(out, "ID %-*s  %-*s  GEN  %-*s  %7s  RECOVERER  REASON\n", w.name, "HOST", w.state, "STATE", w.beat,
		"BEAT", "PID");
	for (unsigned i = 0; i < s->n_hosts; i++) {
		const struct snapshot_host *h = &s->host[i];

		if (!snapshot_used(h))
			continue;
		snprintf(recoverer, sizeof(recoverer), h->readable && h->view.recoverer >= 0 ? "%d" : "-",
			 h->view.recoverer);
		fprintf(out, "%2u %-*s  %-*s  %3u  %-*s  %7u  %9s  %s\n", i, w.name, name_text(h), w.state,
			state_text(h), h->view.generation, w.beat, beat_text(h, beat, sizeof(beat)), h->view.pid,
			recoverer, reason_text(s, h, reason, sizeof(reason)));
		if (h->readable && h->view.last.ns)
			fprintf(out, "   last recovered in %s\n",
				text_recovery(&h->view.last, recovery, sizeof(recovery)));
	}
	show_slots(out, s);
	putc('\n', out);
}

/* -- JSON ----------------------------------------------------------------------- */

static void json_beat(struct json *j, const struct snapshot_host *h)
{
	if (h->beat == BEAT_SINCE)
		json_add_number(j, "beat_ms", h->beat_ms);
	else
		json_add_null(j, "beat_ms");
	if (h->beat == BEAT_SINCE)
		json_add_number(j, "worst_gap_ms", h->worst_gap_ms);
	else
		json_add_null(j, "worst_gap_ms");
	if (h->beat == BEAT_WITHIN || h->beat == BEAT_NOT_WITHIN)
		json_add_bool(j, "beating", h->beat == BEAT_WITHIN);
	else
		json_add_null(j, "beating");
}

static bool runs_on(const struct daxfs_host_view *v, const uint8_t machine[16])
{
	static const uint8_t nowhere[16];

	return memcmp(machine, nowhere, sizeof(nowhere)) && memcmp(machine, v->who.machine, sizeof(nowhere)) == 0;
}

/* What runs on a host's machine beside its agent, and whom it recovers. */
static void json_roles(struct json *j, const struct snapshot *s, const struct daxfs_host_view *v)
{
	json_open_array(j, "roles");
	if (daxfs_host_may_live(v) && runs_on(v, s->manager.machine))
		json_add_text(j, NULL, "primary");
	if (daxfs_host_may_live(v) && s->backup_seen && runs_on(v, s->manager.standby_machine))
		json_add_text(j, NULL, "backup");
	for (unsigned i = 0; i < s->n_hosts; i++)
		if (s->host[i].readable && s->host[i].view.state == DAXFS_HOST_RECOVERING &&
		    s->host[i].view.recoverer == (int)v->id) {
			json_add_text(j, NULL, "recoverer");
			break;
		}
	json_close(j);
}

/* What storage has not, and why. */
static void json_unwritten(struct json *j, const struct snapshot_host *h)
{
	json_open_object(j, "unwritten");
	json_add_number(j, "bytes", h->unwritten);
	json_add_number(j, "oldest_ms", h->unwritten_ms);
	json_add_text(j, "backing", h->unwritten ? h->unwritten_of : "");
	json_add_text(j, "error", h->write_error ? strerror(h->write_error) : "");
	json_close(j);
}

static void json_host(struct json *j, const struct snapshot *s, const struct snapshot_host *h)
{
	const struct daxfs_host_view *v = &h->view;
	char reason[192];

	json_open_object(j, NULL);
	json_add_number(j, "id", v->id);
	json_add_text(j, "state", state_text(h));
	if (h->readable) {
		json_add_text(j, "name", v->name);
		json_add_number(j, "generation", v->generation);
		json_beat(j, h);
		json_add_number(j, "beat", v->beat);
		json_add_number(j, "pid", v->pid);
		json_add_id(j, "machine", v->who.machine);
		json_add_id(j, "boot", v->who.boot);
		json_add_number(j, "lanes", v->lanes);
		json_add_number(j, "records", v->records);
		json_add_number(j, "owned", v->owned);
		json_add_number(j, "pins", v->pins);
		if (v->recoverer >= 0)
			json_add_number(j, "recoverer", (uint64_t)v->recoverer);
		else
			json_add_null(j, "recoverer");
		json_roles(j, s, v);
		json_add_number(j, "recoverers_died", v->deaths);
		json_add_number(j, "reason_ms", v->reason_ms);
		json_add_number(j, "fence_ms", v->fence_ms);
		text_json_recovery(j, "last_recovery", &v->last);
		if (s->have_usage)
			json_unwritten(j, h);
	}
	json_add_text(j, "reason", reason_text(s, h, reason, sizeof(reason)));
	json_close(j);
}

static void json_hosts(struct json *j, const struct snapshot *s)
{
	unsigned free;

	json_open_array(j, "hosts");
	for (unsigned i = 0; i < s->n_hosts; i++)
		if (snapshot_used(&s->host[i]))
			json_host(j, s, &s->host[i]);
	json_close(j);
	snapshot_slots(s, &free);
	json_add_number(j, "free_slots", free);
}

static void json_fabricd(struct json *j, const struct snapshot *s)
{
	static const char *const role[] = { "none", "unknown", "primary", "backup", "silent" };

	json_open_object(j, "fabricd");
	json_add_text(j, "role", role[s->fabricd]);
	json_add_number(j, "pid", s->manager.pid);
	json_add_number(j, "answered_by", s->answered_by);
	json_add_number(j, "epoch", s->manager.epoch);
	json_add_text(j, "fence_agent", s->fence_agent);
	if (s->answered_by)
		json_add_bool(j, "deciding", s->deciding);
	else
		json_add_null(j, "deciding");
	json_add_text(j, "note", s->note);
	json_add_id(j, "machine", s->manager.machine);
	if (s->answered_by) {
		json_add_bool(j, "backup", s->backup_seen);
		json_add_number(j, "polls", s->polls);
		json_add_number(j, "late_polls", s->late_polls);
		json_add_text(j, "fence_broken", s->fence_broken);
	}
	json_close(j);
}

static void json_repairs(struct json *j, const struct snapshot *s)
{
	static const char *const name[DAXFS_REPAIR_KINDS] = { "page", "file", "lane" };
	static const char *const number[DAXFS_REPAIR_KINDS] = { "pages", "files", "lanes" };

	json_open_object(j, "to_repair");
	for (unsigned kind = 0; kind < DAXFS_REPAIR_KINDS; kind++)
		json_add_number(j, number[kind], s->to_repair[kind]);
	json_open_array(j, "first");
	for (unsigned i = 0; i < s->n_repairs; i++) {
		json_open_object(j, NULL);
		json_add_text(j, "kind", name[s->repair[i].kind]);
		json_add_number(j, "subject", s->repair[i].subject);
		json_add_text(j, "what", s->repair[i].what);
		json_close(j);
	}
	json_close(j);
	json_close(j);
}

static void json_conditions(struct json *j, const struct snapshot *s)
{
	char when[40];

	json_open_array(j, "conditions");
	for (unsigned i = 0; i < s->n_conditions; i++) {
		const struct condition *c = &s->condition[i];

		json_open_object(j, NULL);
		json_add_text(j, "code", c->code);
		if (c->host >= 0)
			json_add_number(j, "host", (uint64_t)c->host);
		else
			json_add_null(j, "host");
		if (c->since_ns)
			json_add_text(j, "since", event_time(c->since_ns, when, sizeof(when)));
		else
			json_add_null(j, "since");
		json_add_number(j, "since_ns", c->since_ns);
		json_add_text(j, "text", c->text);
		json_close(j);
	}
	json_close(j);
}

/* null: not known, or never tested. */
static void json_proof(struct json *j, const struct snapshot *s)
{
	if (!s->have_proof) {
		json_add_null(j, "coherence");
		return;
	}
	json_open_object(j, "coherence");
	coherence_json(j, &s->proof);
	json_close(j);
}

/* null: not known, or never changed. */
static void json_heartbeat(struct json *j, const struct snapshot *s)
{
	const struct daxfs_event *e = &s->heartbeat;
	char text[320];

	if (s->made_heartbeat_ms)
		json_add_number(j, "heartbeat_made_ms", s->made_heartbeat_ms);
	else
		json_add_null(j, "heartbeat_made_ms");
	if (!e->number) {
		json_add_null(j, "heartbeat_changed");
		return;
	}
	json_open_object(j, "heartbeat_changed");
	if (e->host >= 0)
		json_add_number(j, "host", (uint64_t)e->host);
	else
		json_add_null(j, "host");
	json_add_text(j, "since", event_time(e->wall_ns, text, sizeof(text)));
	json_add_text(j, "text", daxfs_event_text(e, text, sizeof(text)));
	json_close(j);
}

static void json_all(struct json j, const struct snapshot *s)
{
	char health[256];

	json_add_schema(&j, "status");
	text_json_pool(&j, &s->geometry, s->path);
	json_add_number(&j, "epoch", s->manager.reclaim_epoch);
	json_heartbeat(&j, s);
	json_fabricd(&j, s);
	json_add_bool(&j, "healthy", health_good(s));
	json_add_text(&j, "health", health_text(s, health, sizeof(health)));
	json_conditions(&j, s);
	json_hosts(&j, s);
	if (s->have_usage) {
		text_json_usage(&j, &s->usage, false);
		json_repairs(&j, s);
	} else {
		json_add_null(&j, "usage");
		json_add_null(&j, "to_repair");
	}
	json_proof(&j, s);
	text_json_recovery(&j, "last_recovery", &s->last);
	json_finish(&j);
}

void show_json(FILE *out, const struct snapshot *s)
{
	struct json j;

	json_begin(&j, out);
	json_all(j, s);
}

void show_json_line(FILE *out, const struct snapshot *s)
{
	struct json j;

	json_begin_line(&j, out);
	json_all(j, s);
}
