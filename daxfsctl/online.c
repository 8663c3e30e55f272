/* SPDX-License-Identifier: Apache-2.0 */
/* online.c - a pool of the same form as another, with its tree, made while hosts use that: see online.h. */
#include "daxfsctl/online.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daxfsctl/guest.h"

static void note_pieces(void *context, const char *path)
{
	struct online_copy *o = context;
	char **more = reallocarray(o->in_pieces, o->n + 1, sizeof(*more));

	if (!more)
		return;
	o->in_pieces = more;
	o->in_pieces[o->n] = strdup(path);
	o->n += o->in_pieces[o->n] != NULL;
}

static int make_pool(struct daxfs *like, const char *path, unsigned hosts, struct daxfs_error *err)
{
	struct daxfs_mkfs_options options = { .struct_size = sizeof(options), .force = true };
	struct daxfs_geometry g;

	daxfs_geometry(like, &g);
	options.name = g.name;
	options.size = g.size;
	options.inodes = g.inodes;
	options.hosts = hosts ? hosts : g.hosts;
	options.lanes = g.lanes_per_host;
	options.opens = g.opens_per_host;
	options.heartbeat_ms = g.heartbeat_ms;
	options.lease_ms = g.lease_ms;
	options.cache_policy = g.cache_policy;
	options.cache_min = g.cache_min;
	options.cache_max = g.cache_max;
	options.wb = g.wb;
	return daxfs_mkfs(path, &options, err);
}

/* Into a pool that only this process has. */
static int fill_pool(struct online_copy *o, const char *path, struct daxfs_error *err)
{
	int rc = daxfs_open(path, DAXFS_READ_WRITE, &o->tree.to, err), left;

	if (rc)
		return rc;
	rc = daxfs_join(o->tree.to, 0, "copy", err);
	if (rc == 0) {
		rc = copy_tree(&o->tree, err);
		left = daxfs_leave(o->tree.to);
		if (rc == 0 && left)
			rc = daxfs_error_set(err, left, "the copy cannot be finished: %s", strerror(-left));
	}
	daxfs_close(o->tree.to);
	return rc;
}

static int copy_as_guest(struct online_copy *o, const char *image, struct daxfs_error *err)
{
	struct guest guest;
	int rc = guest_come(&guest, o->tree.from, "backup", err), gone;

	if (rc)
		return rc;
	rc = make_pool(o->tree.from, image, o->hosts, err);
	if (rc == 0)
		rc = fill_pool(o, image, err);
	gone = guest_go(&guest);
	if (rc == 0 && gone)
		rc = daxfs_error_set(err, gone, "this host was declared dead meanwhile: try again");
	return rc;
}

int online_make(struct ctl *ctl, const char *pool, const char *image, unsigned hosts, struct online_copy *out)
{
	struct daxfs_error err = { .text = "" };
	int rc;

	*out = (struct online_copy){ .tree = { .in_pieces = note_pieces, .context = out }, .hosts = hosts };
	rc = daxfs_open(pool, DAXFS_READ_WRITE, &out->tree.from, &err);
	if (rc)
		return ctl_fail_error(ctl, rc, &err);
	rc = copy_as_guest(out, image, &err);
	daxfs_close(out->tree.from);
	return rc ? ctl_fail_error(ctl, rc, &err) : CTL_OK;
}

void online_free(struct online_copy *o)
{
	for (size_t i = 0; i < o->n; i++)
		free(o->in_pieces[i]);
	free(o->in_pieces);
}

void online_text(FILE *out, const struct online_copy *o)
{
	const struct copy_tree *t = &o->tree;

	fprintf(out, "%llu files of %llu bytes, %llu directories, %llu others; %llu not of one moment\n",
		(unsigned long long)t->files, (unsigned long long)t->bytes, (unsigned long long)t->directories,
		(unsigned long long)t->others, (unsigned long long)t->pieces);
	for (size_t i = 0; i < o->n; i++)
		fprintf(out, "not of one moment: %s\n", o->in_pieces[i]);
	if (t->storage)
		fprintf(out, "%llu names of storage were left out: daxfsctl backing add makes them anew\n",
			(unsigned long long)t->storage);
}

void online_json(struct json *j, const struct online_copy *o)
{
	json_add_number(j, "files", o->tree.files);
	json_add_number(j, "bytes", o->tree.bytes);
	json_add_number(j, "directories", o->tree.directories);
	json_add_number(j, "others", o->tree.others);
	json_add_number(j, "storage", o->tree.storage);
	json_open_array(j, "in_pieces");
	for (size_t i = 0; i < o->n; i++)
		json_add_text(j, NULL, o->in_pieces[i]);
	json_close(j);
}
