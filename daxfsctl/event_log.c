/* SPDX-License-Identifier: Apache-2.0 */
/* event_log.c - see event_log.h. A reply of fabricd is input: bounded and terminated here. */
#include "daxfsctl/event_log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daxfsctl/snapshot.h"
#include "daxfsctl/text.h"

#define EVENTS_MAX 65536u /* more than any pool has */

int event_log_open(struct ctl *ctl, unsigned pool_word, struct event_log *log)
{
	struct daxfs_error err = { .text = "" };
	int rc;

	if (ctl->direct && ctl->n_words <= pool_word)
		return ctl_fail(ctl, CTL_USAGE, "--direct needs the POOL to read");
	if (ctl->n_words > pool_word && !ctl->socket)
		rc = daxfs_member_open(ctl->words[pool_word], false, &log->member, &err);
	else
		rc = snapshot_socket(ctl, log->socket, sizeof(log->socket), &err);
	return rc ? ctl_fail_error(ctl, rc, &err) : CTL_OK;
}

void event_log_close(struct event_log *log)
{
	daxfs_member_close(log->member);
	free(log->event);
	*log = (struct event_log){ .n = 0 };
}

/* -- reading -------------------------------------------------------------------- */

/* False: no room. */
static bool keep(void *context, const struct daxfs_event *e)
{
	struct event_log *log = context;

	if (log->n == log->room) {
		unsigned room = log->room ? 2 * log->room : 256;
		struct daxfs_event *more = room > EVENTS_MAX ? NULL : realloc(log->event, room * sizeof(*more));

		if (!more)
			return false;
		log->event = more;
		log->room = room;
	}
	log->event[log->n++] = *e;
	return true;
}

static int id_of(int32_t id)
{
	return id >= 0 && id < (int32_t)SNAPSHOT_HOSTS ? id : -1;
}

static void from_reply(const Fabric__Event *in, struct daxfs_event *out)
{
	*out = (struct daxfs_event){
		.number = in->number,
		.wall_ns = in->wall_ns,
		.mono_ns = in->mono_ns,
		.kind = (enum daxfs_event_kind)(in->kind & 255),
		.host = id_of(in->host),
		.by = id_of(in->by),
		.state = (enum daxfs_host_state)(in->state & 255),
		.reason = (enum daxfs_reason)(in->reason & 255),
		.ms = in->ms,
		.generation = in->generation,
		.epoch = in->epoch,
		.pid = in->pid,
		.value = in->value,
	};
	if (in->machine.len == sizeof(out->machine))
		memcpy(out->machine, in->machine.data, sizeof(out->machine));
	snprintf(out->name, sizeof(out->name), "%s", in->name);
	snprintf(out->text, sizeof(out->text), "%s", in->text);
}

int event_log_take(struct event_log *log, const Fabric__Response *response, uint64_t *after, struct daxfs_error *err)
{
	for (size_t i = 0; i < response->n_events; i++) {
		struct daxfs_event e;

		from_reply(response->events[i], &e);
		if (e.number <= *after)
			return daxfs_error_set(err, -EPROTO, "fabricd at %.80s gave events out of order", log->socket);
		if (!keep(log, &e))
			return daxfs_error_set(err, -ENOMEM, "out of memory");
		*after = e.number;
	}
	return 0;
}

static int ask(struct event_log *log, uint64_t *after, struct daxfs_error *err)
{
	Fabric__Request request = FABRIC__REQUEST__INIT;
	Fabric__Events events = FABRIC__EVENTS__INIT;
	Fabric__Response *response;
	int rc;

	events.after = *after;
	request.verb_case = FABRIC__REQUEST__VERB_EVENTS;
	request.events = &events;
	rc = fabric_call(log->socket, &request, &response, err);
	if (rc)
		return rc;
	rc = event_log_take(log, response, after, err);
	fabric__response__free_unpacked(response, NULL);
	return rc;
}

static int ask_all(struct event_log *log, uint64_t after, struct daxfs_error *err)
{
	uint64_t before;
	int rc;

	do {
		before = after;
		rc = ask(log, &after, err);
	} while (rc == 0 && after != before);
	return rc;
}

int event_log_read(struct ctl *ctl, struct event_log *log, uint64_t after)
{
	struct daxfs_error err = { .text = "" };
	int rc;

	log->n = 0;
	if (log->member)
		rc = daxfs_event_list(log->member, after, keep, log);
	else
		rc = ask_all(log, after, &err);
	if (rc == -EOPNOTSUPP)
		return ctl_fail(ctl, CTL_ERROR, "this pool was made without events");
	return rc < 0 ? ctl_fail_error(ctl, rc, &err) : CTL_OK;
}

/* -- showing -------------------------------------------------------------------- */

const char *event_time(uint64_t wall_ns, char *buf, size_t size)
{
	time_t seconds = (time_t)(wall_ns / 1000000000);
	struct tm t;
	size_t at;

	if (!gmtime_r(&seconds, &t))
		memset(&t, 0, sizeof(t));
	at = strftime(buf, size, "%Y-%m-%dT%H:%M:%S", &t);
	snprintf(buf + at, size - at, ".%06uZ", (unsigned)(wall_ns % 1000000000 / 1000));
	return buf;
}

const char *event_writer(const struct daxfs_event *e, char *buf, size_t size)
{
	static const uint8_t nowhere[sizeof(e->machine)];
	size_t at;

	if (!e->epoch) {
		snprintf(buf, size, "pid %u", e->pid);
		return buf;
	}
	at = (size_t)snprintf(buf, size, "fabricd pid %u epoch %u", e->pid, e->epoch);
	if (at < size && memcmp(e->machine, nowhere, sizeof(nowhere)))
		snprintf(buf + at, size - at, " on machine %02x%02x%02x%02x", e->machine[0], e->machine[1],
			 e->machine[2], e->machine[3]);
	return buf;
}

void event_show(FILE *out, const struct daxfs_event *e)
{
	char when[40], text[320], who[80];

	fprintf(out, "%5" PRIu64 " %s  %s  [%s]\n", e->number, event_time(e->wall_ns, when, sizeof(when)),
		daxfs_event_text(e, text, sizeof(text)), event_writer(e, who, sizeof(who)));
}

static void json_host_id(struct json *j, const char *key, int host)
{
	if (host < 0)
		json_add_null(j, key);
	else
		json_add_number(j, key, (uint64_t)host);
}

void event_json(struct json *j, const char *key, const struct daxfs_event *e)
{
	bool state = e->kind == DAXFS_EVENT_STATE || e->kind == DAXFS_EVENT_FOUND;
	char text[320];

	json_open_object(j, key);
	json_add_number(j, "number", e->number);
	json_add_text(j, "time", event_time(e->wall_ns, text, sizeof(text)));
	json_add_number(j, "wall_ns", e->wall_ns);
	json_add_number(j, "mono_ns", e->mono_ns);
	json_add_text(j, "kind", daxfs_event_kind_name(e->kind));
	json_host_id(j, "host", e->host);
	json_add_text(j, "name", e->name);
	json_add_number(j, "generation", e->generation);
	if (state) {
		json_add_text(j, "state", daxfs_host_state_name(e->state));
		json_add_text(j, "reason", daxfs_reason_text(e->reason, e->ms, text, sizeof(text)));
	} else {
		json_add_null(j, "state");
		json_add_null(j, "reason");
	}
	json_host_id(j, "by", e->by);
	json_add_number(j, "value", e->value);
	json_add_number(j, "manager_epoch", e->epoch);
	json_add_number(j, "pid", e->pid);
	json_add_id(j, "machine", e->machine);
	json_add_text(j, "more", e->text);
	json_add_text(j, "text", daxfs_event_text(e, text, sizeof(text)));
	json_close(j);
}
