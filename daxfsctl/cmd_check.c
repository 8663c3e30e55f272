/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_check.c - daxfsctl check and dump.
 *
 * The check is exact only while nobody changes the pool. Where hosts use it, a
 * change half done may look like a finding; so findings are looked for again,
 * and only those that are there each time are believed.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "daxfs/inspect.h"
#include "daxfs/member.h"
#include "daxfsctl/ctl.h"
#include "daxfsctl/lines.h"
#include "daxfsctl/text.h"

#define PASSES 4u
#define PAUSE_MS 100

/* -- findings ------------------------------------------------------------------- */

struct findings {
	char **line; /* sorted once collected */
	size_t n, room;
	bool failed; /* out of memory: the list is not complete */
};

static void collect(void *context, const char *line)
{
	struct findings *f = context;

	if (f->n == f->room && !f->failed) {
		size_t room = f->room ? f->room * 2 : 64;
		char **grown = realloc(f->line, room * sizeof(*grown));

		f->failed = !grown;
		if (grown) {
			f->line = grown;
			f->room = room;
		}
	}
	if (f->failed)
		return;
	f->line[f->n] = strdup(line);
	f->failed = !f->line[f->n];
	f->n += !f->failed;
}

static void forget(struct findings *f)
{
	for (size_t i = 0; i < f->n; i++)
		free(f->line[i]);
	free(f->line);
	*f = (struct findings){ 0 };
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Keep of f what is in other too; both sorted. */
static void keep_common(struct findings *f, const struct findings *other)
{
	size_t kept = 0, k = 0;

	for (size_t i = 0; i < f->n; i++) {
		while (k < other->n && strcmp(other->line[k], f->line[i]) < 0)
			k++;
		if (k < other->n && strcmp(other->line[k], f->line[i]) == 0)
			f->line[kept++] = f->line[i];
		else
			free(f->line[i]);
	}
	f->n = kept;
}

/* -- check ------------------------------------------------------------------------ */

struct run {
	struct daxfs *fs;
	struct daxfs_geometry geometry;
	unsigned users; /* hosts that may change the pool meanwhile */
	unsigned passes;
	struct findings found;
	struct daxfs_check check;
};

static int one_pass(struct run *r, struct findings *f)
{
	int rc = daxfs_check(r->fs, collect, f, &r->check);

	r->passes++;
	if (f->n)
		qsort(f->line, f->n, sizeof(*f->line), compare);
	return rc ? rc : f->failed ? -ENOMEM : 0;
}

static int passes(struct run *r)
{
	int rc = one_pass(r, &r->found);

	while (rc == 0 && r->users && r->found.n && r->passes < PASSES) {
		struct findings again = { 0 };

		clock_nap_ms(PAUSE_MS);
		rc = one_pass(r, &again);
		if (rc == 0)
			keep_common(&r->found, &again);
		forget(&again);
	}
	return rc;
}

static unsigned count_users(const char *path)
{
	struct daxfs_geometry g;
	struct daxfs_member *m;
	struct daxfs_error err;
	unsigned n = 0;

	if (daxfs_member_open(path, false, &m, &err))
		return 0;
	daxfs_member_geometry(m, &g);
	for (unsigned i = 0; i < g.hosts; i++) {
		struct daxfs_host_view v;

		n += daxfs_member_host(m, i, &v) || (v.state != DAXFS_HOST_FREE && v.state != DAXFS_HOST_RECOVERED);
	}
	daxfs_member_close(m);
	return n;
}

static void check_json(struct ctl *ctl, const struct run *r)
{
	struct json j;

	json_begin(&j, ctl->out);
	json_add_schema(&j, "check");
	text_json_pool(&j, &r->geometry, ctl->words[0]);
	json_add_bool(&j, "clean", r->found.n == 0);
	json_add_number(&j, "hosts_in_use", r->users);
	json_add_number(&j, "passes", r->passes);
	json_add_number(&j, "files", r->check.files);
	json_add_number(&j, "directories", r->check.directories);
	json_add_number(&j, "names", r->check.names);
	json_add_number(&j, "pages_used", r->check.pages_used);
	text_json_usage(&j, &r->check.usage, true);
	json_open_array(&j, "problems");
	for (size_t i = 0; i < r->found.n; i++)
		lines_finding(&j, r->found.line[i]);
	json_close(&j);
	json_finish(&j);
}

static void check_text(struct ctl *ctl, const struct run *r)
{
	const struct daxfs_check *c = &r->check;
	char id[16], n[40];

	for (size_t i = 0; i < r->found.n; i++)
		fprintf(ctl->out, "%s\n", r->found.line[i]);
	fprintf(ctl->out, "pool %s %s: ", r->geometry.name, text_id(&r->geometry, id, sizeof(id)));
	if (r->found.n)
		fprintf(ctl->out, "%s", text_count(r->found.n, "problem", n, sizeof(n)));
	else
		fprintf(ctl->out, "clean");
	fprintf(ctl->out, "; files %" PRIu64 ", directories %" PRIu64 ", names %" PRIu64 ", pages in use %" PRIu64 "\n",
		c->files, c->directories, c->names, c->pages_used);
	if (r->users && r->found.n)
		fprintf(ctl->out, "%s in use; each problem was there in all of %u passes\n",
			text_count(r->users, "host slot", n, sizeof(n)), r->passes);
}

int cmd_check(struct ctl *ctl, int argc, char **argv)
{
	struct daxfs_error err = { .text = "" };
	struct run r = { .fs = NULL };
	int code = ctl_parse(ctl, argc, argv, NULL, 0, 1, 1, "check POOL"), rc;

	if (code)
		return code;
	rc = daxfs_open(ctl->words[0], DAXFS_READ_ONLY, &r.fs, &err);
	if (rc)
		return ctl_fail(ctl, CTL_ERROR, "%s", err.text);
	daxfs_geometry(r.fs, &r.geometry);
	r.users = count_users(ctl->words[0]);
	rc = passes(&r);
	daxfs_close(r.fs);
	if (rc)
		code = ctl_fail(ctl, CTL_ERROR, "check: %s", strerror(-rc));
	else if (ctl->json)
		check_json(ctl, &r);
	else
		check_text(ctl, &r);
	if (rc == 0)
		code = r.found.n ? CTL_PROBLEMS : CTL_OK;
	forget(&r.found);
	return code;
}

/* -- dump ------------------------------------------------------------------------- */

struct dump {
	FILE *out;
	struct json *json; /* NULL: text */
};

static void dump_line(void *context, const char *line)
{
	const struct dump *d = context;

	if (d->json)
		lines_fields(d->json, line);
	else
		fprintf(d->out, "%s\n", line);
}

static int dump_fail(struct ctl *ctl, int error, const char *what)
{
	switch (-error) {
	case EINVAL: return ctl_fail(ctl, CTL_USAGE, "dump %.60s: give super, member, lanes, inode N or dir N", what);
	case ENOENT: return ctl_fail(ctl, CTL_ERROR, "dump %.60s: the pool has no inode of that number", what);
	case ENOTDIR: return ctl_fail(ctl, CTL_ERROR, "dump %.60s: not a directory", what);
	default: return ctl_fail(ctl, CTL_ERROR, "dump %.60s: %s", what, strerror(-error));
	}
}

static int dump(struct ctl *ctl, struct daxfs *fs, const char *what)
{
	struct json j;
	struct dump d = { .out = ctl->out };
	int rc;

	if (ctl->json) {
		json_begin(&j, ctl->out);
		json_add_schema(&j, "dump");
		json_add_text(&j, "what", what);
		json_open_array(&j, "lines");
		d.json = &j;
	}
	rc = daxfs_dump(fs, what, dump_line, &d);
	if (ctl->json && rc)
		json_drop(&j); /* an error is to be the only object of its output */
	else if (ctl->json)
		json_finish(&j);
	return rc ? dump_fail(ctl, rc, what) : CTL_OK;
}

int cmd_dump(struct ctl *ctl, int argc, char **argv)
{
	struct daxfs_error err = { .text = "" };
	struct daxfs *fs;
	char what[80];
	int code = ctl_parse(ctl, argc, argv, NULL, 0, 2, 3, "dump POOL super|member|lanes|inode N|dir N"), rc;

	if (code)
		return code;
	snprintf(what, sizeof(what), "%s%s%s", ctl->words[1], ctl->n_words > 2 ? " " : "",
		 ctl->n_words > 2 ? ctl->words[2] : "");
	rc = daxfs_open(ctl->words[0], DAXFS_READ_ONLY, &fs, &err);
	if (rc)
		return ctl_fail_error(ctl, rc, &err);
	code = dump(ctl, fs, what);
	daxfs_close(fs);
	return code;
}
