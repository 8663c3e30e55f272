/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lock_owner.c - see lock_owner.h.
 *
 * A stripe is locked from the look at its notes to the end of the call that follows
 * from it: else a lock that is set between the two would be ended with those before.
 */
#include "node-agent/lock_owner.h"

#include <errno.h>
#include <stdlib.h>

struct lock_owner {
	struct lock_owner *next;
	daxfs_ino ino;
	uint64_t owner, fh;
};

void lock_owners_init(struct lock_owners *o, struct daxfs *fs)
{
	o->fs = fs;
	for (unsigned i = 0; i < LOCK_OWNER_STRIPES; i++) {
		o->stripe[i].list = NULL;
		pthread_mutex_init(&o->stripe[i].lock, NULL);
	}
}

void lock_owners_fini(struct lock_owners *o)
{
	struct lock_owner *note;

	for (unsigned i = 0; i < LOCK_OWNER_STRIPES; i++) {
		while ((note = o->stripe[i].list)) {
			o->stripe[i].list = note->next;
			free(note);
		}
		pthread_mutex_destroy(&o->stripe[i].lock);
	}
}

static struct lock_owner_stripe *lock_stripe(struct lock_owners *o, daxfs_ino ino)
{
	struct lock_owner_stripe *stripe = &o->stripe[ino % LOCK_OWNER_STRIPES];

	pthread_mutex_lock(&stripe->lock);
	return stripe;
}

static int unlock_all(struct lock_owners *o, daxfs_ino ino, uint64_t owner)
{
	struct daxfs_lock all = { .end = DAXFS_LOCK_END, .owner = owner, .kind = DAXFS_LOCK_POSIX };

	return daxfs_lock(o->fs, ino, &all);
}

/* Is an owner noted, through any open file (fh 0) or through one? */
static bool noted(const struct lock_owner_stripe *stripe, daxfs_ino ino, uint64_t owner, uint64_t fh)
{
	for (const struct lock_owner *note = stripe->list; note; note = note->next)
		if (note->ino == ino && note->owner == owner && (!fh || note->fh == fh))
			return true;
	return false;
}

static int note(struct lock_owner_stripe *stripe, daxfs_ino ino, uint64_t owner, uint64_t fh)
{
	struct lock_owner *new;

	if (noted(stripe, ino, owner, fh))
		return 0;
	new = malloc(sizeof(*new));
	if (!new)
		return -ENOMEM;
	*new = (struct lock_owner){ stripe->list, ino, owner, fh };
	stripe->list = new;
	return 0;
}

int lock_owner_set(struct lock_owners *o, daxfs_ino ino, uint64_t fh, const struct daxfs_lock *lock)
{
	struct lock_owner_stripe *stripe = lock_stripe(o, ino);
	int rc = lock->type == DAXFS_UNLOCK ? 0 : note(stripe, ino, lock->owner, fh);

	if (rc == 0)
		rc = daxfs_lock(o->fs, ino, lock);
	pthread_mutex_unlock(&stripe->lock);
	return rc;
}

static void remove_note(struct lock_owner **at)
{
	struct lock_owner *note = *at;

	*at = note->next;
	free(note);
}

int lock_owner_flush(struct lock_owners *o, daxfs_ino ino, uint64_t owner)
{
	struct lock_owner_stripe *stripe = lock_stripe(o, ino);
	struct lock_owner **at = &stripe->list;
	int rc;

	while (*at)
		if ((*at)->ino == ino && (*at)->owner == owner)
			remove_note(at);
		else
			at = &(*at)->next;
	rc = unlock_all(o, ino, owner);
	pthread_mutex_unlock(&stripe->lock);
	return rc;
}

bool lock_owner_release(struct lock_owners *o, daxfs_ino ino, uint64_t fh)
{
	struct lock_owner_stripe *stripe = lock_stripe(o, ino);
	struct lock_owner **at = &stripe->list;
	bool any = false;

	while (*at) {
		uint64_t owner = (*at)->owner;

		if ((*at)->ino != ino || (*at)->fh != fh) {
			at = &(*at)->next;
			continue;
		}
		remove_note(at);
		any = true;
		if (!noted(stripe, ino, owner, 0))
			unlock_all(o, ino, owner);
	}
	pthread_mutex_unlock(&stripe->lock);
	return any;
}
