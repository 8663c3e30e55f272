/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_status.c - daxfsctl status and hosts: a snapshot, shown.
 *
 * People want to know who beats, so text takes the heartbeat and a half it takes
 * to see; scripts that read JSON, perhaps many times a second, ask for it.
 */
#include <stdlib.h>

#include "daxfsctl/show.h"

static int show(struct ctl *ctl, int argc, char **argv, bool hosts)
{
	bool sample = false;
	const struct arg table[] = { { "sample", ARG_FLAG, &sample, 0 } };
	int code = ctl_parse(ctl, argc, argv, table, 1, 0, 1, hosts ? "hosts [POOL]" : "status [POOL]");
	struct snapshot *s = calloc(1, sizeof(*s));

	if (code == CTL_OK && !s)
		code = ctl_fail(ctl, CTL_ERROR, "out of memory");
	if (code == CTL_OK)
		code = snapshot_take(ctl, sample || !ctl->json, s);
	if (code == CTL_OK && ctl->json)
		show_json(ctl->out, s);
	else if (code == CTL_OK && hosts)
		show_hosts(ctl->out, s);
	else if (code == CTL_OK)
		show_status(ctl->out, s);
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
