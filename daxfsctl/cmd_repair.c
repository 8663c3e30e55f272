/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_repair.c - daxfsctl repair: what the check finds in a pool that no host uses; or,
 * with --item, one removed file in a pool in use.
 *
 * All lines, as they come: findings, what was done ("did: ", in a dry run "would: "),
 * and what that lost ("lost: "). The last line, or JSON, has the figures.
 */
#include <errno.h>
#include <inttypes.h>

#include "daxfs/inspect.h"
#include "daxfsctl/ctl.h"
#include "daxfsctl/guest.h"
#include "daxfsctl/lines.h"

static void text_line(void *context, const char *line)
{
	fprintf((FILE *)context, "%s\n", line);
}

static void json_line(void *context, const char *line)
{
	lines_finding(context, line);
}

static void text_figures(struct ctl *ctl, const struct daxfs_repaired *r, bool dry_run)
{
	if (!r->problems)
		fputs("clean: nothing to repair\n", ctl->out);
	else if (dry_run)
		fprintf(ctl->out,
			"%" PRIu64 " problems, %" PRIu64 " repairs would be tried first; nothing was changed\n",
			r->problems, r->repairs);
	else
		fprintf(ctl->out,
			"%" PRIu64 " problems, %" PRIu64 " repairs, %" PRIu64 " losses, %" PRIu64 " files found; %s\n",
			r->problems, r->repairs, r->losses, r->found,
			r->left ? "problems are left" : "the check is clean");
}

static void json_figures(struct json *j, const struct daxfs_repaired *r, bool dry_run)
{
	json_close(j);
	json_add_bool(j, "dry_run", dry_run);
	json_add_number(j, "problems", r->problems);
	json_add_number(j, "repairs", r->repairs);
	json_add_number(j, "losses", r->losses);
	json_add_number(j, "found", r->found);
	json_add_number(j, "left", r->left);
}

static int repair(struct ctl *ctl, struct daxfs *fs, bool dry_run)
{
	struct daxfs_repaired result = { 0 };
	struct daxfs_error err = { .text = "" };
	struct json j;
	int rc;

	if (ctl->json) {
		json_begin(&j, ctl->out);
		json_add_schema(&j, "repair");
		json_open_array(&j, "lines");
	}
	rc = daxfs_repair(fs, dry_run, ctl->json ? json_line : text_line, ctl->json ? (void *)&j : ctl->out, &result,
			  &err);
	if (ctl->json) {
		json_figures(&j, &result, dry_run);
		if (rc) {
			json_open_object(&j, "error");
			json_add_number(&j, "exit", (uint64_t)ctl_exit_of(rc));
			json_add_text(&j, "text", err.text);
			json_close(&j);
		}
		json_finish(&j);
	} else if (rc == 0) {
		text_figures(ctl, &result, dry_run);
	}
	if (rc)
		fprintf(ctl->err, "daxfsctl: %s\n", err.text);
	return rc ? ctl_exit_of(rc) : result.left ? CTL_PROBLEMS : CTL_OK;
}

static int repair_item(struct ctl *ctl, const char *pool, uint64_t inode)
{
	struct daxfs_error err = { .text = "" };
	struct guest guest;
	struct daxfs *fs;
	struct json j;
	int rc = daxfs_open(pool, DAXFS_READ_WRITE, &fs, &err);

	if (rc)
		return ctl_fail_error(ctl, rc, &err);
	rc = guest_come(&guest, fs, "repair", &err);
	if (rc == 0) {
		if (ctl->json) {
			json_begin(&j, ctl->out);
			json_add_schema(&j, "repair-item");
			json_open_array(&j, "lines");
		}
		rc = daxfs_repair_item(fs, inode, ctl->json ? json_line : text_line, ctl->json ? (void *)&j : ctl->out,
				       &err);
		if (ctl->json) {
			json_close(&j);
			json_add_number(&j, "inode", inode);
			json_add_bool(&j, "repaired", rc == 0);
			json_finish(&j);
		}
		guest_go(&guest);
	}
	daxfs_close(fs);
	if (rc)
		fprintf(ctl->err, "daxfsctl: %s\n", err.text);
	return rc ? ctl_exit_of(rc) : CTL_OK;
}

int cmd_repair(struct ctl *ctl, int argc, char **argv)
{
	bool dry_run = false;
	struct arg_number item = { 0 };
	const struct arg table[] = {
		{ "dry-run", ARG_FLAG, &dry_run, 0 },
		{ "item", ARG_NUMBER, &item, UINT32_MAX },
	};
	struct daxfs_error err = { .text = "" };
	struct daxfs *fs;
	int code = ctl_parse(ctl, argc, argv, table, 2, 1, 1, "repair POOL [--dry-run | --item INODE]"), rc;

	if (code)
		return code;
	if (item.given && dry_run)
		return ctl_fail(ctl, CTL_USAGE, "--item has no dry run: check says what is wrong with the inode");
	if (item.given)
		return repair_item(ctl, ctl->words[0], item.value);
	rc = daxfs_open(ctl->words[0], DAXFS_REPAIR, &fs, &err);
	if (rc)
		return ctl_fail_error(ctl, rc, &err);
	code = repair(ctl, fs, dry_run);
	daxfs_close(fs);
	return code;
}
