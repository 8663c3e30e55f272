/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_events.c - daxfsctl events: what the pool remembers to have happened, and what happens.
 *
 * With --follow and --json each event is an object on a line of its own, for programs that read along. A number that
 * becomes smaller than one that was shown (the pool was made anew) begins anew.
 */
#include <time.h>

#include "common/clock.h"
#include "daxfsctl/event_log.h"

#define FOLLOW_MS 200

struct following {
	struct ctl *ctl;
	struct event_log log;
	uint64_t after;
	uint64_t until_ms; /* 0: for ever */
};

static void show_all(struct following *f)
{
	struct json j;

	json_begin(&j, f->ctl->out);
	json_add_schema(&j, "events");
	json_open_array(&j, "events");
	for (unsigned i = 0; i < f->log.n; i++)
		event_json(&j, NULL, &f->log.event[i]);
	json_finish(&j);
}

static void show_line(struct following *f, const struct daxfs_event *e)
{
	struct json j;

	if (!f->ctl->json) {
		event_show(f->ctl->out, e);
		return;
	}
	json_begin_line(&j, f->ctl->out);
	json_add_schema(&j, "event");
	event_json(&j, "event", e);
	json_finish(&j);
}

static int follow(struct following *f)
{
	int code;

	do {
		code = event_log_read(f->ctl, &f->log, f->after);
		for (unsigned i = 0; code == CTL_OK && i < f->log.n; i++) {
			show_line(f, &f->log.event[i]);
			f->after = f->log.event[i].number;
		}
		if (code || fflush(f->ctl->out) || (f->until_ms && (uint64_t)clock_ms() >= f->until_ms))
			break;
		clock_nap_ms(FOLLOW_MS);
	} while (true);
	return code;
}

static int once(struct following *f)
{
	int code = event_log_read(f->ctl, &f->log, f->after);

	if (code == CTL_OK && f->ctl->json)
		show_all(f);
	for (unsigned i = 0; code == CTL_OK && !f->ctl->json && i < f->log.n; i++)
		event_show(f->ctl->out, &f->log.event[i]);
	return code;
}

int cmd_events(struct ctl *ctl, int argc, char **argv)
{
	struct following f = { .ctl = ctl };
	struct arg_number since = { 0 }, wait = { 0 };
	bool following = false;
	const struct arg table[] = {
		{ "follow", ARG_FLAG, &following, 0 },
		{ "since", ARG_NUMBER, &since, 0 },
		{ "wait", ARG_NUMBER, &wait, 86400 },
	};
	int code = ctl_parse(ctl, argc, argv, table, 3, 0, 1,
			     "events [POOL] [--since NUMBER] [--follow [--wait SECONDS]]");

	if (code == CTL_OK)
		code = event_log_open(ctl, 0, &f.log);
	if (code)
		return code;
	f.after = since.value ? since.value - 1 : 0;
	f.until_ms = wait.given ? (uint64_t)clock_ms() + wait.value * 1000 : 0;
	code = following ? follow(&f) : once(&f);
	event_log_close(&f.log);
	return code;
}
