/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_status.c - daxfsctl status and hosts: a snapshot, shown.
 *
 * --watch shows it again and again, also while nobody answers: that may pass.
 */
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "daxfsctl/show.h"

#define WATCH_MS 1000

struct showing {
	bool hosts, watch;
	struct arg_number wait; /* with watch: for how long */
};

static int show_once(struct ctl *ctl, const struct showing *w, struct snapshot *s)
{
	int code = snapshot_take(ctl, s);

	if (code)
		return code;
	if (ctl->json && w->watch)
		show_json_line(ctl->out, s);
	else if (ctl->json)
		show_json(ctl->out, s);
	else if (w->hosts)
		show_hosts(ctl->out, s);
	else
		show_status(ctl->out, s);
	return CTL_OK;
}

static int show_on(struct ctl *ctl, const struct showing *w, struct snapshot *s)
{
	int64_t until_ms = clock_ms() + (int64_t)w->wait.value * 1000;
	bool screen = !ctl->json && isatty(fileno(ctl->out));
	int code;

	for (;;) {
		if (screen)
			fputs("\033[H\033[2J", ctl->out);
		code = show_once(ctl, w, s);
		if (fflush(ctl->out) || code == CTL_USAGE || (w->wait.given && clock_ms() >= until_ms))
			return code;
		clock_nap_ms(WATCH_MS);
	}
}

static int show(struct ctl *ctl, int argc, char **argv, bool hosts)
{
	struct showing w = { .hosts = hosts };
	const struct arg table[] = {
		{ "watch", ARG_FLAG, &w.watch, 0 },
		{ "wait", ARG_NUMBER, &w.wait, 86400 },
	};
	int code = ctl_parse(ctl, argc, argv, table, 2, 0, 1, hosts ? "hosts [POOL]" : "status [POOL]");
	struct snapshot *s = calloc(1, sizeof(*s));

	if (code == CTL_OK && !s)
		code = ctl_fail(ctl, CTL_ERROR, "out of memory");
	if (code == CTL_OK)
		code = w.watch ? show_on(ctl, &w, s) : show_once(ctl, &w, s);
	free(s);
	return code;
}

int cmd_status(struct ctl *ctl, int argc, char **argv)
{
	return show(ctl, argc, argv, false);
}

int cmd_hosts(struct ctl *ctl, int argc, char **argv)
{
	return show(ctl, argc, argv, true);
}
