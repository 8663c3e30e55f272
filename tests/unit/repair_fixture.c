/* SPDX-License-Identifier: Apache-2.0 */
/* repair_fixture.c - see repair_fixture.h. */
#include "repair_fixture.h"

#include <inttypes.h>

#include "findings.h"

/* -- pictures ------------------------------------------------------------------- */

static uint64_t mix(uint64_t hash, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ p[i]) * 0x100000001b3ull;
	return hash;
}

static uint64_t content(struct daxfs *fs, const struct daxfs_attr *attr)
{
	static const uint64_t far[] = {
		8 + 511,
		8 + 512,
		8 + 512 + 512 * 512,
		8ull + 512 + 512 * 512 + 512 * 512 * 512,
	};
	uint8_t page[DAXFS_PAGE_SIZE];
	uint64_t hash = mix(14695981039346656037ull, &attr->mode, sizeof(attr->mode));

	int64_t names = daxfs_xattr_list(fs, attr->ino, (char *)page, sizeof(page));

	hash = mix(hash, page, names > 0 ? (size_t)names : 0);
	hash = mix(hash, &attr->size, sizeof(attr->size));
	if (S_ISLNK(attr->mode)) {
		int64_t n = daxfs_readlink(fs, attr->ino, (char *)page, sizeof(page));

		return mix(hash, page, n > 0 ? (size_t)n : 0);
	}
	for (unsigned i = 0; S_ISREG(attr->mode) && i < 64 + sizeof(far) / sizeof(far[0]); i++) {
		uint64_t at = i < 64 ? i : far[i - 64];
		int64_t n = daxfs_read(fs, attr->ino, page, sizeof(page), at * DAXFS_PAGE_SIZE);

		hash = mix(hash, &n, sizeof(n));
		hash = mix(hash, page, n > 0 ? (size_t)n : 0);
	}
	return hash;
}

struct listing {
	char name[PICTURE_ENTRIES][64];
	unsigned n;
};

static bool take_name(void *context, const char *name, daxfs_ino ino, unsigned dt_type, uint64_t next)
{
	struct listing *l = context;

	(void)ino;
	(void)dt_type;
	(void)next;
	if (l->n == PICTURE_ENTRIES)
		return false;
	snprintf(l->name[l->n++], sizeof(l->name[0]), "%s", name);
	return true;
}

static void take(struct daxfs *fs, struct picture *out, daxfs_ino dir, const char *path)
{
	struct listing *l = calloc(1, sizeof(*l));
	uint64_t cookie = 0;

	assert_non_null(l);
	if (daxfs_readdir(fs, dir, cookie, take_name, l) < 0)
		l->n = 0; /* damaged */
	for (unsigned i = 0; i < l->n; i++) {
		struct daxfs_attr attr;
		struct seen *seen;

		if (!strcmp(l->name[i], ".") || !strcmp(l->name[i], ".."))
			continue;
		if (out->n == PICTURE_ENTRIES || daxfs_lookup(fs, dir, l->name[i], &attr))
			continue;
		seen = &out->entry[out->n++];
		snprintf(seen->path, sizeof(seen->path), "%.60s/%.32s", path, l->name[i]);
		seen->ino = attr.ino;
		seen->inode = handle_index(attr.ino);
		seen->hash = content(fs, &attr);
		if (S_ISDIR(attr.mode) && strlen(seen->path) < 60) /* a cycle may be the damage */
			take(fs, out, attr.ino, seen->path);
	}
	free(l);
}

void picture_take(struct daxfs *fs, struct picture *out)
{
	out->n = 0;
	take(fs, out, DAXFS_ROOT, "");
}

void picture_see_damaged(struct daxfs *fs, struct picture *before)
{
	struct daxfs_attr attr;

	for (unsigned i = 0; i < before->n; i++)
		before->entry[i].damaged = daxfs_getattr(fs, before->entry[i].ino, &attr) ? 0 : content(fs, &attr);
}

/* -- repairing ------------------------------------------------------------------ */

static void collect(void *context, const char *line)
{
	struct repaired *r = context;

	finding_seen(line);
	if (r->lines < REPAIR_LINES)
		snprintf(r->line[r->lines++], sizeof(r->line[0]), "%s", line);
}

int repair_scene(struct pod *pod, bool dry_run, struct repaired *r)
{
	struct daxfs_error err = { .text = "" };
	int rc;

	*r = (struct repaired){ .line = calloc(REPAIR_LINES, sizeof(r->line[0])) };
	assert_non_null(r->line);
	rc = daxfs_repair(pod->fs[0], dry_run, collect, r, &r->result, &err);
	if (rc)
		print_message("%s\n", err.text);
	return rc;
}

void repaired_free(struct repaired *r)
{
	free(r->line);
}

/* -- judging -------------------------------------------------------------------- */

static bool spoken_of(const struct repaired *r, uint64_t inode)
{
	char what[32];
	int n = snprintf(what, sizeof(what), "inode %" PRIu64, inode);

	for (unsigned i = 0; i < r->lines; i++) {
		bool repair = !strncmp(r->line[i], "did: ", 5) || !strncmp(r->line[i], "lost: ", 6);

		for (const char *p = strstr(r->line[i], what); repair && p; p = strstr(p + 1, what))
			if (p[n] < '0' || p[n] > '9')
				return true;
	}
	return false;
}

static const struct seen *find(const struct picture *p, const char *path)
{
	for (unsigned i = 0; i < p->n; i++)
		if (!strcmp(p->entry[i].path, path))
			return &p->entry[i];
	return NULL;
}

/* Of it, or of a directory that it is in. */
static bool excused(const struct picture *before, const struct repaired *r, const struct seen *seen)
{
	char path[sizeof(seen->path)];

	strcpy(path, seen->path);
	while (*path) {
		const struct seen *at = find(before, path);

		if (at && spoken_of(r, at->inode))
			return true;
		*strrchr(path, '/') = '\0';
	}
	return spoken_of(r, DAXFS_ROOT_INO);
}

static bool reads(const struct picture *p, const struct seen *was)
{
	const struct seen *is = find(p, was->path);

	return is && is->inode == was->inode && is->hash == was->hash;
}

static bool same(const struct picture *a, const struct picture *b, const char *path)
{
	const struct seen *x = find(a, path), *y = find(b, path);

	return x && y ? x->inode == y->inode && x->hash == y->hash : !x && !y;
}

/* It reads as it did before the repair: a directory that cannot be read hides that, not what is in it. */
static bool as_damaged(const struct picture *now, const struct seen *was)
{
	const struct seen *is = find(now, was->path);

	return is && is->inode == was->inode && is->hash == was->damaged;
}

unsigned picture_unsaid(const struct picture *before, const struct picture *damaged, const struct picture *now,
			const struct repaired *r)
{
	unsigned n = 0;

	for (unsigned i = 0; i < before->n; i++) {
		const struct seen *was = &before->entry[i];

		if (reads(now, was) || same(damaged, now, was->path) || as_damaged(now, was) || excused(before, r, was))
			continue;
		print_message("  %s (inode %" PRIu64 ") %s, and nothing was said of it\n", was->path, was->inode,
			      find(now, was->path) ? "reads otherwise" : "is gone");
		n++;
	}
	return n;
}
