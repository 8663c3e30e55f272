/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_features.c - daxfsctl features: what a pool uses, and what of it is switched on while hosts work.
 *
 * Made in the pool itself, as the heartbeat: hosts say there what they know, and nobody need be asked.
 */
#include <errno.h>
#include <string.h>

#include "daxfs/member.h"
#include "daxfsctl/ctl.h"
#include "daxfsctl/json.h"

static const char *state_of(const struct daxfs_feature *f)
{
	if (f->by_mkfs)
		return f->on ? "on, by mkfs" : "off, by mkfs";
	return f->on ? "on" : "off";
}

/* The n-th host that may live and does not know it; false: there are not so many. */
static bool lacking(const struct daxfs_member *m, const struct daxfs_feature *f, unsigned n,
		    struct daxfs_host_view *out)
{
	struct daxfs_geometry g;

	daxfs_member_geometry(m, &g);
	for (unsigned i = 0; i < g.hosts; i++)
		if (daxfs_member_host(m, i, out) == 0 && daxfs_host_may_live(out) && !(out->knows >> f->bit & 1) &&
		    n-- == 0)
			return true;
	return false;
}

static void show_text(struct ctl *ctl, const struct daxfs_member *m)
{
	struct daxfs_host_view v;
	struct daxfs_feature f;

	for (unsigned n = 0; daxfs_member_feature(m, n, &f) == 0; n++) {
		fprintf(ctl->out, "%-8s %-8s %s", f.name ? f.name : "?", f.incompat ? "incompat" : "compat",
			state_of(&f));
		for (unsigned i = 0; lacking(m, &f, i, &v); i++)
			fprintf(ctl->out, "%s %u (%s)", i ? "," : "; not known to host", v.id, v.name);
		putc('\n', ctl->out);
	}
}

static void add_feature(struct json *j, const struct daxfs_member *m, const struct daxfs_feature *f)
{
	struct daxfs_host_view v;

	json_open_object(j, NULL);
	if (f->name)
		json_add_text(j, "name", f->name);
	json_add_number(j, "bit", f->bit);
	json_add_bool(j, "incompat", f->incompat);
	json_add_bool(j, "on", f->on);
	json_add_bool(j, "by_mkfs", f->by_mkfs);
	json_open_array(j, "unknown_to");
	for (unsigned i = 0; lacking(m, f, i, &v); i++)
		json_add_number(j, NULL, v.id);
	json_close(j);
	json_close(j);
}

static void show(struct ctl *ctl, const struct daxfs_member *m)
{
	struct daxfs_feature f;
	struct json j;

	if (!ctl->json) {
		show_text(ctl, m);
		return;
	}
	json_begin(&j, ctl->out);
	json_add_schema(&j, "features");
	json_open_array(&j, "features");
	for (unsigned n = 0; daxfs_member_feature(m, n, &f) == 0; n++)
		add_feature(&j, m, &f);
	json_close(&j);
	json_finish(&j);
}

int cmd_features(struct ctl *ctl, int argc, char **argv)
{
	const char *name = NULL;
	const struct arg table[] = { { "enable", ARG_TEXT, &name, 0 } };
	int code = ctl_parse(ctl, argc, argv, table, 1, 1, 1, "features POOL [--enable NAME]"), rc;
	struct daxfs_error err = { .text = "" };
	struct daxfs_member *m;

	if (code)
		return code;
	rc = daxfs_member_open(ctl->words[0], name != NULL, &m, &err);
	if (rc)
		return ctl_fail_error(ctl, rc, &err);
	if (name)
		rc = daxfs_member_enable(m, name, &err);
	if (rc == 0)
		show(ctl, m);
	daxfs_member_close(m);
	return rc ? ctl_fail_value(ctl, rc, &err) : CTL_OK;
}
