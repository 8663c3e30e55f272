/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_heartbeat.c - daxfsctl heartbeat: how often hosts beat, shown and changed while they work.
 *
 * Made in the pool itself, for hosts and managers look there; nobody need be asked. A shorter heartbeat is judged by
 * when the primary fabricd has seen every host follow: until then, and while there is none, deaths are found as late as
 * before.
 */
#include <string.h>

#include "daxfs/events.h"
#include "daxfsctl/ctl.h"
#include "daxfsctl/json.h"

unsigned ctl_profile_ms(const char *profile)
{
	if (strcmp(profile, "default") == 0)
		return DAXFS_HEARTBEAT_MS_DEFAULT;
	return strcmp(profile, "rt") == 0 ? DAXFS_HEARTBEAT_MS_RT : 0;
}

static void show(struct ctl *ctl, const struct daxfs_timing *t)
{
	struct json j;

	if (ctl->json) {
		json_begin(&j, ctl->out);
		json_add_schema(&j, "heartbeat");
		json_add_number(&j, "beat_ms", t->beat_ms);
		json_add_number(&j, "judged_ms", t->judged_ms);
		json_finish(&j);
		return;
	}
	fprintf(ctl->out, "heartbeat %u ms", t->beat_ms);
	if (t->judged_ms != t->beat_ms)
		fprintf(ctl->out, "; hosts are judged by %u ms until the primary fabricd has seen all of them follow",
			t->judged_ms);
	putc('\n', ctl->out);
}

/* Recorded or not: it is in force. */
static void record(struct daxfs_member *m, unsigned was_ms, unsigned ms)
{
	struct daxfs_event e = { .kind = DAXFS_EVENT_HEARTBEAT, .host = -1, .by = -1, .value = ms };

	snprintf(e.text, sizeof(e.text), "was %u ms", was_ms);
	daxfs_event_add(m, &e);
}

static int change(struct ctl *ctl, unsigned ms)
{
	struct daxfs_error err = { .text = "" };
	struct daxfs_member *m;
	struct daxfs_timing was, t;
	int rc = daxfs_member_open(ctl->words[0], ms != 0, &m, &err);

	if (rc)
		return ctl_fail_error(ctl, rc, &err);
	daxfs_member_timing(m, &was);
	if (ms)
		rc = daxfs_member_heartbeat(m, ms, &err);
	if (ms && !rc)
		record(m, was.beat_ms, ms);
	daxfs_member_timing(m, &t);
	daxfs_member_close(m);
	if (rc)
		return ctl_fail_value(ctl, rc, &err);
	show(ctl, &t);
	return CTL_OK;
}

int cmd_heartbeat(struct ctl *ctl, int argc, char **argv)
{
	struct arg_number ms = { 0, false };
	const char *profile = NULL;
	const struct arg table[] = {
		{ "ms", ARG_NUMBER, &ms, UINT32_MAX },
		{ "profile", ARG_TEXT, &profile, 0 },
	};
	int code = ctl_parse(ctl, argc, argv, table, 2, 1, 1, "heartbeat POOL [--ms MS | --profile default|rt]");

	if (code)
		return code;
	if (profile && ms.given)
		return ctl_fail(ctl, CTL_USAGE, "--profile is a heartbeat: give that or --ms");
	if (profile && !ctl_profile_ms(profile))
		return ctl_fail(ctl, CTL_USAGE, "--profile %.60s: give default or rt", profile);
	if (ms.given && !ms.value)
		return ctl_fail(ctl, CTL_USAGE, "a heartbeat of 0 ms: give %u to %u", DAXFS_HEARTBEAT_MS_MIN,
				DAXFS_HEARTBEAT_MS_MAX);
	return change(ctl, profile ? ctl_profile_ms(profile) : (unsigned)ms.value);
}
