/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_probe.c - daxfsctl probe: is there a pool, and which? For udev, and scripts.
 *
 * Lines KEY=value, as udev's IMPORT{program} takes them: a value has no character that
 * means something to udev or a shell. Reads the superblocks only.
 */
#include <ctype.h>
#include <stdio.h>

#include "daxfs/member.h"
#include "common/pool_uuid.h"
#include "daxfsctl/ctl.h"
#include "daxfsctl/json.h"
#include "daxfsctl/text.h"

static void show_json(struct ctl *ctl, const struct daxfs_geometry *g)
{
	struct json j;

	json_begin(&j, ctl->out);
	text_json_pool(&j, g, ctl->words[0]);
	json_finish(&j);
}

static void show_keys(struct ctl *ctl, const struct daxfs_geometry *g)
{
	char uuid[POOL_UUID_TEXT_BYTES];

	fprintf(ctl->out, "DAXFS_UUID=%s\nDAXFS_NAME=", pool_uuid_text(g->uuid, uuid, sizeof(uuid)));
	for (const char *c = g->name; *c; c++)
		fputc(isalnum((unsigned char)*c) || *c == '-' || *c == '.' ? *c : '_', ctl->out);
	fprintf(ctl->out, "\nDAXFS_FORMAT=%u\nDAXFS_HOSTS=%u\n", g->version, g->hosts - 1);
}

int cmd_probe(struct ctl *ctl, int argc, char **argv)
{
	struct daxfs_error err = { .text = "" };
	struct daxfs_geometry g;
	struct daxfs_member *m;
	int rc = ctl_parse(ctl, argc, argv, NULL, 0, 1, 1, "probe PATH");

	if (rc)
		return rc;
	rc = daxfs_member_open(ctl->words[0], false, &m, &err);
	if (rc)
		return ctl_fail_error(ctl, rc, &err);
	daxfs_member_geometry(m, &g);
	daxfs_member_close(m);
	if (ctl->json)
		show_json(ctl, &g);
	else
		show_keys(ctl, &g);
	return CTL_OK;
}
