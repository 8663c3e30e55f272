/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fixture.c - see fixture.h.
 *
 * A tree with all that a tree can have: nodes of several levels where hashes
 * meet, a sparse file with index nodes, a symbolic link, hard links, a file
 * without a name that is still held, locks. Then each of two hosts dies twice, once on
 * each of its lanes, in operations on the same few names, so that records meet. In the
 * second half of the scenes there is also a file of extents: two, one that was broken up, one
 * that begins in a hole; and an extent at rest, and the pages of one that is gone.
 */
#include "fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sources.h"
#include "sync/member.h"

#define SPACE (1ull << 30) /* that nobody may touch, on each side */
#define POOL_BYTES (1024u * 1024u)

#define GROUP (DAXFS_EXTENT_PAGES * DAXFS_PAGE_SIZE)

static const struct daxfs_cred nobody = { 1000, 1000 };
static const struct daxfs_mkfs_options options = {
	.name = "fuzz",
	.hosts = SCENE_HOSTS,
	.lanes = 2,
	.opens = 8,
	.inodes = 32,
	.heartbeat_ms = 50,
	.wb = true,
};

static void must(long rc, const char *what)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "scene: %s: %ld\n", what, rc);
	abort();
}

/* -- the tree ----------------------------------------------------------------- */

static daxfs_ino file(struct daxfs *fs, daxfs_ino dir, const char *name)
{
	struct daxfs_attr attr = { .ino = 0 };

	must(daxfs_mknod(fs, dir, name, S_IFREG | 0644, 0, nobody, false, &attr), name);
	return attr.ino;
}

static daxfs_ino dir(struct daxfs *fs, daxfs_ino parent, const char *name)
{
	struct daxfs_attr attr = { .ino = 0 };

	must(daxfs_mkdir(fs, parent, name, 0755, nobody, &attr), name);
	return attr.ino;
}

/* A name that shares so many levels of the hash with `like`. */
static void name_like(const struct pool *pool, const char *like, unsigned levels, char *out, size_t size)
{
	unsigned drop = DAXFS_HASH_BITS - levels * TRIE_BITS;
	uint64_t hash = trie_hash(pool, like, strlen(like));

	for (unsigned i = 0;; i++) {
		int len = snprintf(out, size, "%s%u", like, i);

		if (trie_hash(pool, out, (size_t)len) >> drop == hash >> drop)
			return;
	}
}

static void write_all(struct daxfs *fs, daxfs_ino ino, uint64_t offset, size_t len)
{
	static uint8_t bytes[3 * DAXFS_PAGE_SIZE];

	memset(bytes, 'x', sizeof(bytes));
	must(daxfs_write(fs, ino, bytes, len, offset, 0), "write");
}

static void grow_tree(struct daxfs *fs, struct daxfs *holder)
{
	daxfs_ino d = dir(fs, DAXFS_ROOT, "d"), a = file(fs, DAXFS_ROOT, "a"), big = file(fs, DAXFS_ROOT, "big"), held;
	char name[32];

	write_all(fs, a, 0, 5000);
	write_all(fs, big, 0, 9000);
	write_all(fs, big, 10 * DAXFS_PAGE_SIZE, 100);
	write_all(fs, big, 600 * DAXFS_PAGE_SIZE, 100);
	file(fs, d, "x");
	dir(fs, d, "e");
	name_like(fs_pool(fs), "x", 1, name, sizeof(name));
	file(fs, d, name);
	name_like(fs_pool(fs), "x", 2, name, sizeof(name));
	file(fs, d, name);
	must(daxfs_link(fs, a, d, "again", NULL), "link");
	must(daxfs_symlink(fs, DAXFS_ROOT, "s", "d/x", nobody, NULL), "symlink");
	held = file(fs, DAXFS_ROOT, "held");
	write_all(fs, held, 0, 10);
	must(daxfs_file_open(holder, held), "hold");
	must(daxfs_file_open(holder, big), "hold");
	for (unsigned i = 0; i < 5; i++) {
		struct daxfs_lock lock = {
			.start = 10 * i,
			.end = 10 * i + 5,
			.owner = i / 2,
			.type = DAXFS_LOCK_WRITE,
		};

		must(daxfs_lock(holder, big, &lock), "lock");
	}
	must(daxfs_unlink(fs, DAXFS_ROOT, "held"), "unlink");
}

static void grow_wide(struct daxfs *fs)
{
	static uint8_t bytes[4 * GROUP];
	daxfs_ino ino = file(fs, DAXFS_ROOT, "wide"), gone = file(fs, DAXFS_ROOT, "gone");

	memset(bytes, 'w', sizeof(bytes));
	for (unsigned i = 0; i < 2; i++) /* the second time a group makes an extent */
		must(daxfs_write(fs, ino, bytes, 3 * GROUP, GROUP, 0), "wide");
	must(daxfs_write(fs, ino, bytes, GROUP, 2 * GROUP, 0), "replaced");
	must(daxfs_write(fs, ino, bytes, 5000, 3 * GROUP + 9, 0), "broken up");
	for (unsigned i = 0; i < 2; i++) {
		must(daxfs_write(fs, ino, bytes, GROUP, 6 * GROUP, 0), "behind a hole");
		must(daxfs_write(fs, gone, bytes, 2 * GROUP, GROUP, 0), "gone");
	}
	must(daxfs_unlink(fs, DAXFS_ROOT, "gone"), "unlink");
}

/* -- deaths ------------------------------------------------------------------- */

struct act {
	struct daxfs *fs;
	unsigned what;
};

static void act_wide(struct daxfs *fs, daxfs_ino ino, unsigned what)
{
	static uint8_t bytes[GROUP];
	struct daxfs_attr attr = { .size = 2 * GROUP + 3 * DAXFS_PAGE_SIZE + 7 };

	switch (what % 5) {
	case 0: daxfs_write(fs, ino, bytes, GROUP, 2 * GROUP, 0); break;
	case 1: daxfs_write(fs, ino, bytes, 9000, GROUP + 5000, 0); break;
	case 2: daxfs_setattr(fs, ino, DAXFS_SET_SIZE, &attr, NULL); break;
	case 3: daxfs_write(fs, ino, bytes, GROUP, 3 * GROUP, 0); break;
	default: daxfs_write(fs, ino, bytes, GROUP, 4 * GROUP, 0); break;
	}
}

static void act(void *arg)
{
	const struct act *a = arg;
	struct daxfs_attr attr = { .size = 1 }, d, e;

	if (daxfs_lookup(a->fs, DAXFS_ROOT, "d", &d) || daxfs_lookup(a->fs, DAXFS_ROOT, "big", &e))
		return;
	if (a->what / 3 % 2 && daxfs_lookup(a->fs, DAXFS_ROOT, "wide", &e) == 0) {
		act_wide(a->fs, e.ino, a->what);
		return;
	}
	switch (a->what % 10) {
	case 0: daxfs_mknod(a->fs, d.ino, "new", S_IFREG | 0600, 0, nobody, true, NULL); break;
	case 1: daxfs_unlink(a->fs, DAXFS_ROOT, "big"); break;
	case 2: daxfs_rename(a->fs, DAXFS_ROOT, "a", d.ino, "x", 0); break;
	case 3: daxfs_write(a->fs, e.ino, "appended", 8, 0, DAXFS_APPEND); break;
	case 4: daxfs_setattr(a->fs, e.ino, DAXFS_SET_SIZE | DAXFS_SET_MODE, &attr, NULL); break;
	case 5: daxfs_rename(a->fs, DAXFS_ROOT, "big", DAXFS_ROOT, "d", DAXFS_RENAME_EXCHANGE); break;
	case 6: daxfs_rmdir(a->fs, d.ino, "e"); break;
	case 7: daxfs_file_open(a->fs, e.ino); break;
	case 8: daxfs_rename(a->fs, d.ino, "e", DAXFS_ROOT, "f", 0); break;
	default: daxfs_write(a->fs, e.ino, "filled", 6, 1 << 20, 0); break;
	}
}

/* What fabricd does once a host is cut off. */
static void fence(struct pool *pool, unsigned host)
{
	sm_u64 *word = &pool->member->host[host].word;
	struct host_word w;

	must(host_word_unpack(sm_load(word), &w), "host word");
	w.state = DAXFS_HOST_FENCING;
	must(member_move(pool, host, sm_load(word), w), "fencing");
	w.state = DAXFS_HOST_FENCED;
	w.generation++;
	must(member_move(pool, host, sm_load(word), w), "fenced");
}

/*
 * Both lanes of the host end half-way. Its context is given up as a dead host's
 * is: the lane it died on stays taken, so that the second death is on the other. Never are
 * both of who opens a file: the first may have the process's lock of that part of its table.
 */
static void die(struct daxfs *fs, unsigned which)
{
	for (unsigned i = 0; i < 2; i++) {
		struct act a = { fs, which * 3 + i * 6 };

		sources_dies(3 + (which * 5 + i * 11) % 29, act, &a);
	}
}

/* -- making them --------------------------------------------------------------- */

static struct daxfs *join(struct fixture *s, unsigned host)
{
	struct daxfs_error err;
	struct daxfs *fs;
	char name[16];

	snprintf(name, sizeof(name), "fuzz%u", host);
	if (fs_attach(s->base, s->size, &fs, &err) || daxfs_join(fs, host, name, &err))
		must(-EIO, err.text);
	return fs;
}

static void make(struct fixture *s, unsigned which)
{
	static struct daxfs *dead[SCENES][2]; /* referred to, hence no leaks */
	struct daxfs *fs;
	struct daxfs_error err;

	sources_restart();
	memset(s->base, 0, s->size);
	if (pool_format(s->base, s->size, &options, &err))
		must(-EIO, err.text);
	fs = join(s, 0);
	dead[which][0] = join(s, 1);
	dead[which][1] = join(s, 2);
	grow_tree(fs, dead[which][0]);
	if (which >= SCENES / 2)
		grow_wide(fs);
	if (which % (SCENES / 2)) {
		die(dead[which][0], which);
		fence(&dead[which][0]->pool, 1);
		die(dead[which][1], which / 2 + 20);
		fence(&dead[which][1]->pool, 2);
	}
	must(daxfs_leave(fs), "leave");
	s->pool = fs->pool;
	daxfs_close(fs);
	s->image[which] = malloc(s->size);
	memcpy(s->image[which], s->base, s->size);
}

static void map(struct fixture *s)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	uint8_t *space = mmap(NULL, 2 * SPACE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	s->size = POOL_BYTES;
	s->base = space + SPACE;
	if (fd < 0 || space == MAP_FAILED || ftruncate(fd, (off_t)s->size) ||
	    mmap(s->base, s->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
		must(-errno, "memory");
	snprintf(s->path, sizeof(s->path), "/proc/self/fd/%d", fd);
}

struct fixture *fixture_get(void)
{
	static struct fixture s;

	if (!s.base) {
		map(&s);
		for (unsigned i = 0; i < SCENES; i++)
			make(&s, i);
	}
	return &s;
}

static void list_objects(struct fixture *s)
{
	for (unsigned type = 0; type < DAXFS_TYPES; type++) {
		unsigned n = 0;

		for (uint64_t i = 0; i < s->pool.objects[type] && n < SCENE_LISTED; i++)
			if (sm_load(&s->pool.state[type][i]))
				s->listed[type][n++] = (uint32_t)i;
		s->n_listed[type] = n;
	}
}

void fixture_restore(struct fixture *s, unsigned which)
{
	sources_restart();
	memcpy(s->base, s->image[which % SCENES], s->size);
	list_objects(s);
}
