/* SPDX-License-Identifier: Apache-2.0 */
/* state.c - see state.h. */
#include "daxfs/inspect.h"
#include "script/state.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "fs/fs.h"
#include "daxfs/cache.h"
#include "script/script.h"

#define NAMES_MAX 64u
#define DEPTH_MAX 8u
#define READ_MAX (320u << 10)
#define READ_TAIL 8192u

struct walk {
	struct daxfs *fs;
	struct state *out;
	size_t used;
	daxfs_ino seen[NAMES_MAX];
	unsigned n_seen;
	uint64_t room; /* pages of directories but for their roots, and of files in storage */
};

struct listing {
	unsigned n;
	daxfs_ino self, up;
	struct {
		char name[32];
		daxfs_ino ino;
		unsigned type;
	} entry[NAMES_MAX];
};

static void say(struct walk *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(struct walk *w, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(w->out->text + w->used, STATE_TEXT - w->used, format, args);
	va_end(args);
	if (n > 0)
		w->used = w->used + (size_t)n < STATE_TEXT ? w->used + (size_t)n : STATE_TEXT - 1;
}

static unsigned number_of(struct walk *w, daxfs_ino ino)
{
	for (unsigned i = 0; i < w->n_seen; i++)
		if (w->seen[i] == ino)
			return i;
	if (w->n_seen < NAMES_MAX)
		w->seen[w->n_seen++] = ino;
	return w->n_seen - 1;
}

static bool take_entry(void *context, const char *name, daxfs_ino ino, unsigned dt_type, uint64_t next)
{
	struct listing *list = context;

	(void)next;
	if (!strcmp(name, "."))
		list->self = ino;
	else if (!strcmp(name, ".."))
		list->up = ino;
	else if (list->n < NAMES_MAX) {
		snprintf(list->entry[list->n].name, sizeof(list->entry[0].name), "%s", name);
		list->entry[list->n].ino = ino;
		list->entry[list->n++].type = dt_type;
	}
	return true;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b); /* the name comes first */
}

static void say_contents(struct walk *w, const struct daxfs_attr *attr)
{
	char target[DAXFS_PAGE_SIZE];
	uint8_t *buf;
	ssize_t n;

	if (S_ISLNK(attr->mode)) {
		int rc = daxfs_readlink(w->fs, attr->ino, target, sizeof(target));

		say(w, " -> %s (%d)", rc ? "?" : target, rc);
		return;
	}
	if (!S_ISREG(attr->mode))
		return;
	buf = malloc(READ_MAX);
	for (unsigned i = 0; i < 1 + (attr->size > READ_MAX); i++) { /* the beginning, the end of a large one */
		n = daxfs_read(w->fs, attr->ino, buf, i ? READ_TAIL : READ_MAX, i ? attr->size - READ_TAIL : 0);
		say(w, " %zd:%016" PRIx64, n, n < 0 ? 0 : script_digest(buf, (size_t)n));
	}
	free(buf);
}

/* Of the lines about an inode: its locks and extended attributes. */
static void take_lock(void *context, const char *line)
{
	const char *lock = strstr(line, " lock="), *xattr = strstr(line, " xattr=");

	if (lock || xattr)
		say(context, "%s", lock ? lock : xattr);
}

static void say_locks(struct walk *w, daxfs_ino ino)
{
	char what[32];

	snprintf(what, sizeof(what), "inode %u", (unsigned)ino); /* its index */
	if (daxfs_dump(w->fs, what, take_lock, w))
		say(w, " no such inode");
}

/* What is cached of a file depends on who died when: all of it may be, or nothing. */
static bool is_backed(const struct walk *w, daxfs_ino ino)
{
	return sm_load_relaxed(&fs_pool(w->fs)->inodes[(uint32_t)ino].rdev) >> 56;
}

struct cached {
	daxfs_ino ino;
	uint64_t *room;
};

/* And the nodes over it. */
static int count_cached(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct cached *c = arg;
	uint64_t pages;

	map_pages(lane, &fs_pool_writable(fs)->inodes[(uint32_t)c->ino], UINT64_MAX, &pages);
	*c->room += pages;
	return 0;
}

/* Once it is written back, wherever that had got to, storage has it all, too: it is read from there. */
static void say_stored(struct walk *w, const struct daxfs_attr *attr)
{
	if (sm_load_relaxed(&fs_pool(w->fs)->inodes[(uint32_t)attr->ino].rdev) >> 56 != 2)
		return;
	say(w, " back %d", daxfs_write_back(w->fs, attr->ino));
	if (daxfs_cache_drop(w->fs, attr->ino, 0, UINT64_MAX) < 0)
		say(w, " not dropped");
	say_contents(w, attr);
}

/* Nothing, in a legal state. */
static void say_times(struct walk *w, const struct daxfs_attr *attr)
{
	const char *wrong = look_judge(w->fs, attr);

	if (wrong)
		say(w, " %s", wrong);
}

static void say_inode(struct walk *w, const struct daxfs_attr *attr)
{
	if (is_backed(w, attr->ino))
		fs_run(w->fs, count_cached, &(struct cached){ attr->ino, &w->room });
	say(w, " %o %u:%u n%u s%" PRIu64 " #%u", attr->mode, attr->uid, attr->gid, attr->nlink, attr->size,
	    number_of(w, attr->ino));
	say_contents(w, attr);
	say_times(w, attr);
	say_stored(w, attr);
	say_locks(w, attr->ino);
	say(w, "\n");
}

/* Of the lines about a directory: nodes and leaves below its root. */
static void take_node(void *context, const char *line)
{
	struct walk *w = context;

	w->room += strstr(line, " count=") && strncmp(line, "level=0 ", 8) != 0;
}

static void count_room(struct walk *w, daxfs_ino dir)
{
	char what[32];

	snprintf(what, sizeof(what), "dir %u", (unsigned)dir); /* its index */
	if (daxfs_dump(w->fs, what, take_node, w))
		say(w, " no such directory");
}

static void walk_dir(struct walk *w, daxfs_ino dir, daxfs_ino up, const char *path, unsigned depth)
{
	struct listing *list = calloc(1, sizeof(*list));
	int rc = daxfs_readdir(w->fs, dir, 0, take_entry, list);

	if (rc || list->self != dir || list->up != up)
		say(w, "%s/ readdir %d, \".\" is #%u, \"..\" is #%u\n", path, rc, number_of(w, list->self),
		    number_of(w, list->up));
	count_room(w, dir);
	qsort(list->entry, list->n, sizeof(list->entry[0]), by_name);
	for (unsigned i = 0; i < list->n; i++) {
		struct daxfs_attr attr;
		char below[256];

		snprintf(below, sizeof(below), "%.200s/%s", path, list->entry[i].name);
		rc = daxfs_lookup(w->fs, dir, list->entry[i].name, &attr);
		if (rc || attr.ino != list->entry[i].ino || list->entry[i].type != attr.mode >> 12) {
			say(w, "%s listed, lookup says %d or another inode or type\n", below, rc);
			continue;
		}
		say(w, "%s", below);
		say_inode(w, &attr);
		if (S_ISDIR(attr.mode) && depth < DEPTH_MAX)
			walk_dir(w, attr.ino, dir, below, depth + 1);
	}
	free(list);
}

static void walk_notes(struct walk *w)
{
	for (unsigned i = 0; i < NOTES; i++) {
		struct daxfs_attr attr;
		int rc;

		if (!world.noted[i])
			continue;
		rc = daxfs_getattr(w->fs, world.note[i], &attr);
		say(w, "$%u", i);
		if (rc)
			say(w, " %d\n", rc);
		else
			say_inode(w, &attr);
	}
}

static long call_walk(void *arg)
{
	struct walk *w = arg;
	struct daxfs_attr root;
	int rc = daxfs_getattr(w->fs, DAXFS_ROOT, &root);

	say(w, "/ %d", rc);
	if (rc == 0)
		say_inode(w, &root);
	walk_dir(w, DAXFS_ROOT, DAXFS_ROOT, "", 0);
	walk_notes(w);
	return 0;
}

static void take_usage(struct state *out, const struct daxfs_usage *usage, unsigned type)
{
	out->live[type] = usage->live;
	out->unused[type] = usage->free + usage->retired;
	out->private_ += usage->private_;
	out->total += usage->total;
}

bool state_capture(unsigned by, const struct world_check *check, struct state *out, char *err)
{
	struct walk walk = { .fs = world.fs[by], .out = out };

	*out = (struct state){ .total = 0 };
	take_usage(out, &check->usage.pages, DAXFS_T_PAGE);
	take_usage(out, &check->usage.inodes, DAXFS_T_INODE);
	take_usage(out, &check->usage.dirents, DAXFS_T_DIRENT);
	if (run_all(by, call_walk, &walk, NULL, err) != RUN_RETURNED)
		return false;
	/* An operation that died, or met another, may have made room in a directory, or read storage, and no more. */
	out->live[DAXFS_T_PAGE] -= walk.room;
	out->unused[DAXFS_T_PAGE] += walk.room;
	return true;
}

bool state_text_equal(const struct state *a, const struct state *b)
{
	return !strcmp(a->text, b->text);
}

bool state_equal(const struct state *a, const struct state *b)
{
	return !memcmp(a->live, b->live, sizeof(a->live)) && !memcmp(a->unused, b->unused, sizeof(a->unused)) &&
	       a->private_ == b->private_ && a->total == b->total && state_text_equal(a, b);
}

/* The line of text that contains place `at`. */
static int line_of(const char *text, size_t at, const char **line)
{
	size_t start = at;

	while (start && text[start - 1] != '\n')
		start--;
	*line = text + start;
	return (int)strcspn(text + start, "\n");
}

void state_explain(const struct state *got, const struct state *want, char *buf, size_t size)
{
	const char *g, *w;
	size_t at = 0;
	int g_len, w_len;

	while (got->text[at] && got->text[at] == want->text[at])
		at++;
	g_len = line_of(got->text, at, &g);
	w_len = line_of(want->text, at, &w);
	if (state_text_equal(got, want))
		g_len = w_len = 0;
	snprintf(buf, size,
		 "got \"%.*s\" want \"%.*s\"; live pages/inodes/dirents got %" PRIu64 "/%" PRIu64 "/%" PRIu64
		 " want %" PRIu64 "/%" PRIu64 "/%" PRIu64 ", private %" PRIu64,
		 g_len, g, w_len, w, got->live[0], got->live[1], got->live[2], want->live[0], want->live[1],
		 want->live[2], got->private_);
}
