/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backing_room.c - names of a backing that nobody uses make room for others.
 *
 * The pool has a name of a tree because somebody has looked at it, and it can be had again. So where there is no room
 * for another one, names are given back: by the host that needs the room, of the backing that it is about, and of each
 * host's own accord where the pool's own files have used up what names leave them. A hand goes round the inodes of the
 * pool, from directory to directory of the backing, and on where it stopped last time. Each time round more is given:
 *
 *   COLD   files and links of which no byte is in the pool, that this host has not looked at lately, nor listed
 *   WARM   ... and files that are cached, with their pages
 *   RECENT ... and what was looked at or listed lately
 *   EMPTY  ... and directories of which no name is in the pool, that this host has not looked at lately
 *   ANY    ... and those that it has
 *
 * and what is dearer is left alone once there is some room. A directory is the dearest: whose working directory it is,
 * is not known.
 *
 * What stays: what is open on any host, or dirty; what is in a directory that is open on any host (but the topmost one
 * by agents, which have it for its locks: daxfs_dir_keep), or whose names somebody is about to change, or a dead host
 * was. Each is one record (daxfs_give_back); a crash leaves some given back and others not, and the lock of a
 * directory, which ends as those of all changes of names do. Nothing here waits for storage.
 */
#include "node-agent/backing_change.h"

#include <errno.h>
#include <time.h>

#include "common/clock.h"
#include "common/log.h"

#define GIVE_LEAST 64u  /* names at once, */
#define GIVE_PART 32u   /* ... or this part of what the pool may have */
#define FEW_PART 8u     /* of that */
#define LOCK_MS 1       /* patience */
#define WAIT_MS 3000    /* for something that can be given back; longer than lookups are held (lookup_pin.h) */
#define LOCKED_MS 30000 /* ... where names are locked */
#define POLL_MS 2
#define SAY_AGAIN_S 600 /* that nothing can be given back */

enum giving_how { COLD, WARM, RECENT, EMPTY, ANY };

struct giving {
	struct backing *b;
	daxfs_ino keep; /* a directory: what needs the room is to be in it */
	enum giving_how how;
	uint64_t wanted, given;
	bool locked; /* names of some directory, by who changes them, or a host that died as it did */
};

static bool may_go(const struct giving *g, const struct listed_name *name)
{
	if (name->ino == g->keep || (name->directory && g->how < EMPTY))
		return false;
	return !backing_is_recent(g->b, name->ino) || (name->directory ? g->how == ANY : g->how >= RECENT);
}

/* False: what is in that directory stays. */
static bool give(struct giving *g, daxfs_ino dir, const struct listed_name *name)
{
	int rc = daxfs_give_back(g->b->fs, dir, name->text, name->ino, g->how >= WARM);

	if (rc == 0) {
		backing_unnote(g->b, name->ino);
		if (!name->directory)
			backing_unnumber(g->b, name->ino);
		g->b->told->changed(g->b->told->context, name->ino);
		g->given++;
	}
	return rc != -ETXTBSY;
}

static void give_of(struct giving *g, daxfs_ino dir)
{
	struct name_list names = { 0 };
	struct name_locks locks;

	if ((g->how < RECENT && backing_is_recent(g->b, dir)) || name_list_of_pool(g->b->fs, dir, &names) || !names.n) {
		name_list_free(&names);
		return;
	}
	if (backing_lock_names(g->b, &locks, &dir, 1, LOCK_MS)) {
		g->locked = true;
		name_list_free(&names);
		return;
	}
	for (size_t i = 0; i < names.n && g->given < g->wanted; i++)
		if (may_go(g, &names.name[i]) && !give(g, dir, &names.name[i]))
			break;
	backing_unlock_names(g->b, &locks);
	name_list_free(&names);
}

/* Once round at most, from the hand on. */
static void go_round(struct giving *g)
{
	uint64_t at = g->b->hand, begun = at;
	bool around = false;
	daxfs_ino dir;
	int rc = 0;

	while (rc >= 0 && g->given < g->wanted && !(around && at >= begun) && !backing_has_stopped(g->b)) {
		rc = daxfs_directories(g->b->fs, g->b->number, &at, &dir);
		if (rc == 1)
			give_of(g, dir);
		if (rc == -ENOENT && !around) {
			around = true;
			at = 0;
			rc = 0;
		}
	}
	g->b->hand = at;
	if (g->given < g->wanted && backing_numbers(g->b, &dir) == 0)
		give_of(g, dir); /* what deaths left of files that have no name any more */
}

static uint64_t how_many(struct backing *b)
{
	struct daxfs_statfs usage;
	uint64_t n = daxfs_statfs(b->fs, &usage) ? 0 : usage.inodes.total / GIVE_PART;

	return n < GIVE_LEAST ? GIVE_LEAST : n;
}

bool backing_are_few(struct backing *b, uint64_t names)
{
	return names <= how_many(b) / FEW_PART;
}

static void say_full(struct backing *b)
{
	int64_t now = clock_ns();

	if (b->full_ns && now - b->full_ns < (int64_t)SAY_AGAIN_S * 1000000000)
		return;
	b->full_ns = now;
	log_warn("backing %s: no room for its names: all that the pool has are open, dirty, or of directories that are "
		 "open; make a pool with more inodes (mkfs --inodes), or list smaller directories",
		 b->config->name);
}

/* *locked: there may be some, once somebody has done with them. */
static bool give_back(struct backing *b, daxfs_ino keep, enum giving_how most, bool *locked)
{
	struct giving g = { .b = b, .keep = keep, .wanted = how_many(b) };

	for (unsigned how = COLD; how <= most && g.given < g.wanted && (how <= WARM || !g.given); how++) {
		g.how = how;
		go_round(&g);
	}
	*locked = g.locked;
	return g.given > 0;
}

/* Of another host that was about the same names, perhaps. */
static bool is_room(struct backing *b)
{
	uint64_t left;

	return daxfs_names_left(b->fs, &left) == 0 && left;
}

/* What is open may be so for a moment; what a dead host has locked, until it is recovered. */
static bool give_back_patiently(struct backing *b, daxfs_ino keep)
{
	const struct timespec nap = { .tv_nsec = POLL_MS * 1000000l };
	const int64_t begun = clock_ns();
	bool locked, given = give_back(b, keep, ANY, &locked) || is_room(b);

	while (!given && clock_ns() - begun < (int64_t)(locked ? LOCKED_MS : WAIT_MS) * 1000000 &&
	       !backing_has_stopped(b)) {
		nanosleep(&nap, NULL);
		given = is_room(b) || give_back(b, keep, ANY, &locked);
	}
	return given;
}

/* Who waits for another thread that tries has what that finds, or that it found nothing. */
bool backing_give_back(struct backing *b, daxfs_ino keep)
{
	unsigned long long tried = atomic_load(&b->tried);
	bool given;

	pthread_mutex_lock(&b->giving);
	if (tried == atomic_load(&b->tried)) {
		b->given = give_back_patiently(b, keep);
		atomic_fetch_add(&b->tried, 1);
		if (!b->given)
			say_full(b);
	}
	given = b->given;
	pthread_mutex_unlock(&b->giving);
	return given;
}

void backing_make_room(struct backing *b, daxfs_ino keep)
{
	uint64_t left;

	if (daxfs_names_left(b->fs, &left) == 0 && !left)
		backing_give_back(b, keep);
}

void backing_keep_room(struct backing *b)
{
	uint64_t left;
	bool locked;

	if (daxfs_names_left(b->fs, &left) || left || pthread_mutex_trylock(&b->giving) != 0)
		return;
	give_back(b, 0, EMPTY, &locked);
	pthread_mutex_unlock(&b->giving);
}
