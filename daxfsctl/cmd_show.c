/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_show.c - daxfsctl show HOST: what is remembered of a host; with --postmortem, of its last death.
 *
 * All from the pool's events, so it may be asked when nobody of those who were there is left. A part that the ring
 * does not have any more, or that its writer did not live to record, is said to be missing.
 */
#include <inttypes.h>
#include <string.h>

#include "daxfsctl/event_log.h"
#include "daxfsctl/text.h"

/* What of a death is known; NULL: nothing. */
struct postmortem {
	uint32_t generation; /* that died */
	const struct daxfs_event *joined, *suspected, *declared, *failed, *proof, *assigned, *lost, *recovered, *back;
	unsigned recoverers; /* that died of it */
};

/* "3", or a name: the last host that had it. -1: nobody. */
static int find_host(const struct event_log *log, const char *word)
{
	uint64_t number;
	int found = -1;

	if (args_number(word, &number) == 0)
		return number < 64 ? (int)number : -1;
	for (unsigned i = 0; i < log->n; i++)
		if (log->event[i].host >= 0 && strcmp(log->event[i].name, word) == 0)
			found = log->event[i].host;
	return found;
}

static bool enters(const struct daxfs_event *e, enum daxfs_host_state state)
{
	return (e->kind == DAXFS_EVENT_STATE || e->kind == DAXFS_EVENT_FOUND) && e->state == state;
}

/* The generation of the tenant that died last: FENCED ends it. False: none did. */
static bool find_death(const struct event_log *log, int host, uint32_t *generation)
{
	for (unsigned i = log->n; i-- > 0;) {
		const struct daxfs_event *e = &log->event[i];

		if (e->host != host || (!enters(e, DAXFS_HOST_FENCING) && !enters(e, DAXFS_HOST_FENCED)))
			continue;
		*generation = e->generation - (e->state == DAXFS_HOST_FENCED);
		return true;
	}
	return false;
}

/* What the tenant that died did, and what was done to it. */
static void take_before(struct postmortem *p, const struct daxfs_event *e)
{
	if (enters(e, DAXFS_HOST_ALIVE) && e->reason == DAXFS_REASON_JOINED)
		p->joined = e;
	else if (enters(e, DAXFS_HOST_SUSPECT))
		p->suspected = e;
	else if (enters(e, DAXFS_HOST_FENCING) && !p->declared)
		p->declared = e;
	else if (enters(e, DAXFS_HOST_FENCING))
		p->failed = e;
}

/* What became of the slot; up to the next tenant. */
static void take_after(struct postmortem *p, const struct daxfs_event *e)
{
	if (enters(e, DAXFS_HOST_FENCED) && !p->proof)
		p->proof = e;
	else if (enters(e, DAXFS_HOST_RECOVERING))
		p->assigned = e;
	else if (enters(e, DAXFS_HOST_RECOVERED))
		p->recovered = e;
	else if (enters(e, DAXFS_HOST_ALIVE) && !p->back)
		p->back = e;
	else if (e->kind == DAXFS_EVENT_RECOVERER_DIED)
		p->lost = e;
}

static struct postmortem examine(const struct event_log *log, int host, uint32_t generation)
{
	struct postmortem p = { .generation = generation };

	for (unsigned i = 0; i < log->n; i++) {
		const struct daxfs_event *e = &log->event[i];

		if (e->host != host)
			continue;
		if (e->generation == generation)
			take_before(&p, e);
		else if (e->generation == generation + 1)
			take_after(&p, e);
	}
	if (p.lost)
		p.recoverers = (unsigned)p.lost->value;
	return p;
}

/* -- showing ---------------------------------------------------------------------- */

static void line(FILE *out, const char *what, const struct daxfs_event *e, const char *text)
{
	char when[40], who[80];

	if (e)
		fprintf(out, "  %-19s %s  %s  [event %" PRIu64 ", %s]\n", what,
			event_time(e->wall_ns, when, sizeof(when)), text, e->number, event_writer(e, who, sizeof(who)));
}

static void plain(FILE *out, const char *what, const char *text)
{
	fprintf(out, "  %-19s %s\n", what, text);
}

static const char *reason_of(const struct daxfs_event *e, char *buf, size_t size)
{
	char reason[96];

	buf[0] = '\0';
	if (e)
		snprintf(buf, size, "%s%s%s", daxfs_reason_text(e->reason, e->ms, reason, sizeof(reason)),
			 e->text[0] ? "; " : "", e->text);
	return buf;
}

static void show_end(FILE *out, const struct postmortem *p)
{
	char text[200], ms[24];

	line(out, "proof of exclusion", p->proof, reason_of(p->proof, text, sizeof(text)));
	if (!p->proof)
		plain(out, "proof of exclusion", "none is recorded: it may still run");
	if (p->assigned) {
		snprintf(text, sizeof(text), "by host %d", p->assigned->by);
		line(out, "recovery assigned", p->assigned, text);
	}
	if (p->lost) {
		snprintf(text, sizeof(text), "host %d, while it recovered this one; %u so far", p->lost->by,
			 p->recoverers);
		line(out, "recoverer died", p->lost, text);
	}
	if (p->recovered) {
		snprintf(text, sizeof(text), "by host %d in %s; %s", p->recovered->by,
			 text_ms(p->recovered->value, ms, sizeof(ms)), p->recovered->text);
		line(out, "recovered", p->recovered, text);
	} else {
		plain(out, "recovered", "not yet, as far as is recorded");
	}
	line(out, "slot joined again", p->back, p->back ? p->back->name : "");
}

/* When it was, is the time of who noticed that it is long ago, less how long ago. */
static void show_beat(FILE *out, const struct daxfs_event *noticed)
{
	struct daxfs_event beat = *noticed;
	char counter[64];

	beat.wall_ns -= beat.ms * 1000000ull;
	snprintf(counter, sizeof(counter), "counter %" PRIu64, beat.value);
	line(out, "last heartbeat", &beat, counter);
}

/* When it had beaten last, as the manager saw it that suspected it. */
static const char *beats_of(const struct postmortem *p)
{
	const char *text = p->suspected ? p->suspected->text : p->declared ? p->declared->text : "";

	return strncmp(text, "beats ", 6) == 0 ? text + 6 : NULL;
}

/* Without what the manager said of its beats, which has a line. */
static const char *cause_of(const struct daxfs_event *e, char *buf, size_t size)
{
	buf[0] = '\0';
	return e ? daxfs_reason_text(e->reason, e->ms, buf, size) : buf;
}

static void show_text(FILE *out, int host, const struct postmortem *p)
{
	const struct daxfs_event *beat = p->suspected ? p->suspected : p->declared ? p->declared : p->proof;
	char text[200];

	fprintf(out, "host %d (%s) generation %u\n", host, beat && beat->name[0] ? beat->name : "unnamed",
		p->generation);
	line(out, "joined", p->joined, "");
	if (beats_of(p))
		plain(out, "beats before", beats_of(p));
	if (beat)
		show_beat(out, beat);
	line(out, "suspected", p->suspected, cause_of(p->suspected, text, sizeof(text)));
	line(out, "declared dead", p->declared, cause_of(p->declared, text, sizeof(text)));
	line(out, "not cut off", p->failed, cause_of(p->failed, text, sizeof(text)));
	show_end(out, p);
}

static void json_part(struct json *j, const char *key, const struct daxfs_event *e)
{
	if (e)
		event_json(j, key, e);
	else
		json_add_null(j, key);
}

static void show_json(FILE *out, int host, const struct postmortem *p)
{
	struct json j;

	json_begin(&j, out);
	json_add_schema(&j, "postmortem");
	json_add_number(&j, "host", (uint64_t)host);
	json_add_number(&j, "generation", p->generation);
	json_part(&j, "joined", p->joined);
	json_part(&j, "suspected", p->suspected);
	json_part(&j, "declared_dead", p->declared);
	json_part(&j, "fence_failed", p->failed);
	json_part(&j, "proof_of_exclusion", p->proof);
	json_part(&j, "recovery_assigned", p->assigned);
	json_add_number(&j, "recoverers_died", p->recoverers);
	json_part(&j, "recovered", p->recovered);
	json_part(&j, "joined_again", p->back);
	json_finish(&j);
}

static int postmortem(struct ctl *ctl, const struct event_log *log, int host)
{
	struct postmortem p;
	uint32_t generation;

	if (!find_death(log, host, &generation))
		return ctl_fail(ctl, CTL_REFUSED, "host %d: no death of it is recorded", host);
	p = examine(log, host, generation);
	if (ctl->json)
		show_json(ctl->out, host, &p);
	else
		show_text(ctl->out, host, &p);
	return CTL_OK;
}

static bool concerns(const struct daxfs_event *e, int host)
{
	return e->host == host || e->by == host;
}

static int history(struct ctl *ctl, const struct event_log *log, int host)
{
	struct json j;

	if (ctl->json) {
		json_begin(&j, ctl->out);
		json_add_schema(&j, "events");
		json_open_array(&j, "events");
	}
	for (unsigned i = 0; i < log->n; i++) {
		if (!concerns(&log->event[i], host))
			continue;
		if (ctl->json)
			event_json(&j, NULL, &log->event[i]);
		else
			event_show(ctl->out, &log->event[i]);
	}
	if (ctl->json)
		json_finish(&j);
	return CTL_OK;
}

int cmd_show(struct ctl *ctl, int argc, char **argv)
{
	struct event_log log = { .n = 0 };
	bool dead = false;
	const struct arg table[] = { { "postmortem", ARG_FLAG, &dead, 0 } };
	int code = ctl_parse(ctl, argc, argv, table, 1, 1, 2, "show HOST [POOL] [--postmortem]"), host;

	if (code == CTL_OK)
		code = event_log_open(ctl, 1, &log);
	if (code == CTL_OK)
		code = event_log_read(ctl, &log, 0);
	if (code == CTL_OK) {
		host = find_host(&log, ctl->words[0]);
		if (host < 0)
			code = ctl_fail(ctl, CTL_USAGE, "%.60s: no such host in the pool's events", ctl->words[0]);
		else
			code = dead ? postmortem(ctl, &log, host) : history(ctl, &log, host);
	}
	event_log_close(&log);
	return code;
}
