/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lookup_pin.c - a ring of holds, each given up when it is old or pushed out.
 *
 * Any worker takes pins; the main thread drops old ones. A pin is a hold like
 * any other (daxfs_file_open, daxfs_dir_keep): a crash leaves it in this host's table of open files,
 * for recovery.
 */
#include "node-agent/lookup_pin.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "daxfs/cache.h"

#define LOOKUP_TRIES 16 /* files replaced between being found and being held */
#define NS_PER_S 1000000000ll
#define NS_PER_MS 1000000ll

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return t.tv_sec * NS_PER_S + t.tv_nsec;
}

void lookup_pins_init(struct lookup_pins *p, struct daxfs *fs)
{
	memset(p, 0, sizeof(*p));
	p->fs = fs;
	pthread_mutex_init(&p->lock, NULL);
}

void lookup_pins_fini(struct lookup_pins *p)
{
	lookup_pins_drop(p, 0);
	pthread_mutex_destroy(&p->lock);
}

void lookup_pins_raced(struct lookup_pins *p)
{
	atomic_store(&p->until_ns, now_ns() + LOOKUP_PINS_RACE_MS * NS_PER_MS);
}

/* Where it cannot be said that a directory is held without its names, it is held with them. */
static int hold(struct lookup_pins *p, const struct daxfs_attr *attr, struct lookup_pin *pin)
{
	struct daxfs_source source;
	int rc;

	*pin = (struct lookup_pin){ .ino = attr->ino, .taken_ns = now_ns() };
	pin->kept = S_ISDIR(attr->mode) && daxfs_source(p->fs, attr->ino, &source) == 0;
	if (!pin->kept)
		return daxfs_file_open(p->fs, pin->ino);
	rc = daxfs_dir_keep(p->fs, pin->ino);
	return rc == -ENOSPC || rc == -ENOLCK ? 0 : rc;
}

static void let_go(struct lookup_pins *p, const struct lookup_pin *pin)
{
	if (pin->kept)
		daxfs_dir_unkeep(p->fs, pin->ino);
	else
		daxfs_file_close(p->fs, pin->ino);
}

/* Put a pin into the ring; what it pushes out is released. */
static void keep(struct lookup_pins *p, struct lookup_pin pin)
{
	struct lookup_pin old;

	pthread_mutex_lock(&p->lock);
	old = p->ring[p->next];
	p->ring[p->next] = pin;
	p->next = (p->next + 1) % LOOKUP_PINS_MAX;
	pthread_mutex_unlock(&p->lock);
	if (old.ino)
		let_go(p, &old);
}

static int lookup_and_hold(struct lookup_pins *p, daxfs_ino parent, const char *name, struct daxfs_attr *out)
{
	struct lookup_pin pin;
	int error;

	for (int i = 0; i < LOOKUP_TRIES; i++) {
		error = daxfs_lookup(p->fs, parent, name, out);
		if (error)
			return error;
		error = hold(p, out, &pin);
		if (error != -ESTALE)
			break;
	}
	if (error == 0)
		keep(p, pin);
	return 0; /* found; that it could not be held is for the next request to say */
}

bool lookup_pins_racing(const struct lookup_pins *p)
{
	int64_t until = atomic_load(&p->until_ns);

	return until && now_ns() <= until;
}

int lookup_pins_lookup(struct lookup_pins *p, daxfs_ino parent, const char *name, struct daxfs_attr *out)
{
	if (!lookup_pins_racing(p))
		return daxfs_lookup(p->fs, parent, name, out);
	return lookup_and_hold(p, parent, name, out);
}

/* Take one old pin out of the ring. False: there is none. */
static bool take_old(struct lookup_pins *p, int64_t before_ns, struct lookup_pin *out)
{
	out->ino = 0;
	pthread_mutex_lock(&p->lock);
	for (unsigned i = 0; i < LOOKUP_PINS_MAX && !out->ino; i++) {
		if (p->ring[i].ino && p->ring[i].taken_ns <= before_ns) {
			*out = p->ring[i];
			p->ring[i].ino = 0;
		}
	}
	pthread_mutex_unlock(&p->lock);
	return out->ino;
}

void lookup_pins_drop(struct lookup_pins *p, unsigned age_ms)
{
	int64_t before_ns = now_ns() - age_ms * NS_PER_MS;
	struct lookup_pin old;

	while (take_old(p, before_ns, &old))
		let_go(p, &old);
}
