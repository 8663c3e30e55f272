/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backing_dirty.c - which files this host has written and not written back, how much that is, and how much it may be.
 *
 * A list, oldest file first, in private memory: a process that begins finds its files by a look at the whole pool
 * (backing_write.c). Bytes are counted as they are written, so what is written twice counts twice. Files that others
 * have left are in it, with no bytes of ours.
 */
#include "node-agent/backing.h"

#include <errno.h>
#include <stdlib.h>

#include "common/clock.h"

/* -- files ---------------------------------------------------------------------------------------- */

/* The lock is held. */
static struct backing_dirty **find(struct backing *b, daxfs_ino ino)
{
	struct backing_dirty **at = &b->dirty;

	while (*at && (*at)->ino != ino)
		at = &(*at)->next;
	return at;
}

void backing_wrote(struct backing *b, daxfs_ino ino, uint64_t bytes)
{
	struct backing_dirty **at, *file;

	pthread_mutex_lock(&b->lock);
	at = find(b, ino);
	file = *at;
	if (!file) {
		file = calloc(1, sizeof(*file));
		if (file) {
			file->ino = ino;
			file->since_ns = clock_ns();
			*at = file;
		} /* else the next scan finds it */
	}
	if (file) {
		file->bytes += bytes;
		b->dirty_bytes += bytes;
	}
	pthread_mutex_unlock(&b->lock);
}

void backing_written(struct backing *b, daxfs_ino ino, uint64_t bytes, int64_t before, int error)
{
	struct daxfs_source source;
	bool gone = daxfs_source(b->fs, ino, &source) || !source.dirty;
	struct backing_dirty **at, *file;

	pthread_mutex_lock(&b->lock);
	at = find(b, ino);
	file = *at;
	if (file) {
		bytes = bytes < file->bytes ? bytes : file->bytes;
		file->bytes -= bytes;
		b->dirty_bytes -= bytes;
		*at = file->next;
		if (gone && !file->bytes && !error) {
			free(file);
		} else {
			file->since_ns = before;
			file->error = error;
			for (at = &b->dirty; *at && (*at)->since_ns <= before;)
				at = &(*at)->next;
			file->next = *at;
			*at = file;
		}
	}
	pthread_cond_broadcast(&b->changed);
	pthread_mutex_unlock(&b->lock);
}

uint64_t backing_dirty_bytes(struct backing *b, daxfs_ino ino)
{
	const struct backing_dirty *file;
	uint64_t bytes;

	pthread_mutex_lock(&b->lock);
	file = *find(b, ino);
	bytes = file ? file->bytes : 0;
	pthread_mutex_unlock(&b->lock);
	return bytes;
}

unsigned backing_count_dirty(struct backing *b)
{
	unsigned n = 0;

	pthread_mutex_lock(&b->lock);
	for (const struct backing_dirty *file = b->dirty; file; file = file->next)
		n++;
	pthread_mutex_unlock(&b->lock);
	return n;
}

void backing_forget_dirty(struct backing *b)
{
	struct backing_dirty *file;

	while ((file = b->dirty)) {
		b->dirty = file->next;
		free(file);
	}
	b->dirty_bytes = 0;
}

daxfs_ino backing_next_dirty(struct backing *b, bool all)
{
	daxfs_ino ino = 0;

	pthread_mutex_lock(&b->lock);
	if (b->dirty && (all || b->dirty_bytes > b->dirty_max / 2 ||
			 clock_ns() - b->dirty->since_ns > (int64_t)BACKING_DIRTY_MS * 1000000))
		ino = b->dirty->ino;
	pthread_mutex_unlock(&b->lock);
	return ino;
}

void backing_tell_dirty(struct backing *b)
{
	uint64_t bytes, age_ms = 0;

	pthread_mutex_lock(&b->lock);
	bytes = b->dirty_bytes;
	if (b->dirty)
		age_ms = (uint64_t)(clock_ns() - b->dirty->since_ns) / 1000000;
	pthread_mutex_unlock(&b->lock);
	daxfs_tell_dirty(b->fs, b->number, bytes, age_ms);
}

/* -- room for writers ------------------------------------------------------------------------------ */

/* All hosts together leave three quarters of the pool to others. Hosts that have not come yet are not counted. */
void backing_take_share(struct backing *b)
{
	struct daxfs_statfs usage = { 0 };
	uint64_t share;

	if (!b->shares || daxfs_statfs(b->fs, &usage))
		return;
	share = usage.pages.total / 4 * 4096;
	share /= usage.hosts > BACKING_DIRTY_SHARES ? usage.hosts : BACKING_DIRTY_SHARES;
	share = share > BACKING_DIRTY_MAX ? BACKING_DIRTY_MAX : share;
	pthread_mutex_lock(&b->lock);
	b->dirty_max = share < BACKING_DIRTY_LEAST ? BACKING_DIRTY_LEAST : share;
	pthread_mutex_unlock(&b->lock);
}

int backing_wait_room(struct backing *b)
{
	int rc = 0;

	pthread_mutex_lock(&b->lock);
	while (!b->stop && b->dirty_bytes > b->dirty_max && !b->write_error)
		pthread_cond_wait(&b->changed, &b->lock);
	if (b->dirty_bytes > b->dirty_max)
		rc = b->stop ? -ENOTCONN : b->write_error;
	pthread_mutex_unlock(&b->lock);
	return rc;
}
