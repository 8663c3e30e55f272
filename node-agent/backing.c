/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backing.c - backings of this host: when they are attached, and the threads that wait for their storage.
 *
 * A keeper a backing looks each second whether the pool has it and the storage is there, and attaches or detaches it:
 * both may come later than the agent, or go. A directory is the backing's only if its number is the one that it was
 * added with, so that a mount point on which nothing is mounted is not taken for an empty tree.
 * Threads take work in order, and hold nothing while they wait for storage. Who uses the backing is counted; it is
 * closed when nobody does.
 */
#include "node-agent/backing.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"

#define KEEP_S 1
#define STOP_S 5 /* for threads in storage to come back */

/* -- work -------------------------------------------------------------------------------- */

static struct backing_work *take(struct backing *b, unsigned i)
{
	struct backing_work *work;

	pthread_mutex_lock(&b->lock);
	b->began_ns[i] = 0;
	while (!b->first && !b->stop)
		pthread_cond_wait(&b->changed, &b->lock);
	work = b->first;
	if (work) {
		b->first = work->next;
		if (!b->first)
			b->last = &b->first;
		b->began_ns[i] = clock_ns();
	}
	pthread_mutex_unlock(&b->lock);
	return work;
}

static void *serve(void *context)
{
	struct backing *b = context;
	struct backing_work *work;
	unsigned i;

	pthread_mutex_lock(&b->lock);
	i = b->threads++;
	pthread_cond_broadcast(&b->changed);
	pthread_mutex_unlock(&b->lock);
	while ((work = take(b, i)))
		work->run(work);
	return NULL;
}

void backing_add(struct backing *b, struct backing_work *work)
{
	work->next = NULL;
	pthread_mutex_lock(&b->lock);
	*b->last = work;
	b->last = &work->next;
	pthread_cond_broadcast(&b->changed);
	pthread_mutex_unlock(&b->lock);
}

bool backing_has_stopped(struct backing *b)
{
	bool stop;

	pthread_mutex_lock(&b->lock);
	stop = b->stop;
	pthread_mutex_unlock(&b->lock);
	return stop;
}

bool backing_is_slow(struct backing *b)
{
	int64_t now = clock_ns();
	bool slow = false;

	pthread_mutex_lock(&b->lock);
	for (unsigned i = 0; i < BACKING_THREADS; i++)
		slow |= b->began_ns[i] && now - b->began_ns[i] > (int64_t)BACKING_SLOW_MS * 1000000;
	pthread_mutex_unlock(&b->lock);
	return slow;
}

struct backing *backing_get(struct backings *all, daxfs_ino ino)
{
	struct daxfs_source source;
	struct backing *found = NULL;

	if (!all->n || daxfs_source(all->backing[0]->fs, ino, &source))
		return NULL;
	for (unsigned i = 0; !found && i < all->n; i++) {
		struct backing *b = all->backing[i];

		pthread_mutex_lock(&b->lock);
		if (b->attached && b->number == source.backing) {
			b->users++;
			found = b;
		}
		pthread_mutex_unlock(&b->lock);
	}
	return found;
}

void backing_put(struct backing *b)
{
	pthread_mutex_lock(&b->lock);
	b->users--;
	pthread_cond_broadcast(&b->changed);
	pthread_mutex_unlock(&b->lock);
}

/* -- the keeper --------------------------------------------------------------------------- */

/* Where the pool says that the storage is, and how old a look at it may be. */
static void read_attribute(struct backing *b, daxfs_ino root, char *path, size_t size)
{
	char text[PATH_MAX + 64], *at;
	ssize_t n = daxfs_xattr_get(b->fs, root, BACKING_ATTRIBUTE, text, sizeof(text) - 1);
	const char *ms;

	text[n > 0 ? n : 0] = '\0';
	ms = strstr(text, "revalidate-ms=");
	b->revalidate_ms = BACKING_REVALIDATE_MS;
	if (ms && isdigit((unsigned char)ms[14]))
		b->revalidate_ms = (unsigned)strtoul(ms + 14, NULL, 10) % BACKING_REVALIDATE_MAX_MS;
	at = strstr(text, "path=");
	snprintf(path, size, "%s", b->config->path[0] ? b->config->path : at ? at + 5 : "");
}

/* Why not, once. */
static int refuse(struct backing *b, int error, const char *text)
{
	if (b->said != error)
		log_warn("backing %s: %s: what is not cached cannot be read here", b->config->name, text);
	b->said = error;
	return error;
}

static int open_storage(struct backing *b, const struct daxfs_source *source, const char *path, int *fd)
{
	struct storage_entry entry;
	char text[PATH_MAX + 160];
	int rc;

	if (!path[0])
		return refuse(b, -EINVAL, "no path: give one with --backing NAME=PATH");
	rc = storage_open(path, fd, &entry);
	if (rc) {
		snprintf(text, sizeof(text), "%s: %s", path, strerror(-rc));
		return refuse(b, rc, text);
	}
	if (entry.file == source->file)
		return 0;
	close(*fd);
	snprintf(text, sizeof(text), "%s is directory number %llu, and was %llu when it was added (not mounted?)", path,
		 (unsigned long long)entry.file, (unsigned long long)source->file);
	return refuse(b, -EXDEV, text);
}

static void attach(struct backing *b)
{
	const struct daxfs_storage storage = {
		.struct_size = sizeof(storage),
		.read = backing_read,
		.context = b,
		.patience_ms = BACKING_PATIENCE_MS,
	};
	struct daxfs_source source;
	struct daxfs_attr attr;
	char path[PATH_MAX];
	int fd;

	if (daxfs_lookup(b->fs, DAXFS_ROOT, b->config->name, &attr) || daxfs_source(b->fs, attr.ino, &source)) {
		refuse(b, -ENOENT, "the pool has no such backing: daxfsctl backing add");
		return;
	}
	read_attribute(b, attr.ino, path, sizeof(path));
	if (open_storage(b, &source, path, &fd))
		return;
	b->fd = fd;
	b->root = attr.ino;
	b->number = source.backing;
	if (daxfs_backing_attach(b->fs, source.backing, &storage)) {
		refuse(b, -EBUSY, "another one here has its number");
		close(fd);
		return;
	}
	log_note("backing %s: reading %s", b->config->name, path);
	pthread_mutex_lock(&b->lock);
	b->attached = true;
	b->said = 0;
	pthread_mutex_unlock(&b->lock);
}

/* Waits for those who use it, however long their storage takes. */
static void detach(struct backing *b)
{
	pthread_mutex_lock(&b->lock);
	b->attached = false;
	while (b->users)
		pthread_cond_wait(&b->changed, &b->lock);
	memset(b->note, 0, sizeof(b->note));
	pthread_mutex_unlock(&b->lock);
	daxfs_backing_detach(b->fs, b->number);
	close(b->fd);
}

static void look_after(struct backing *b)
{
	struct daxfs_attr attr;
	int rc;

	if (!b->attached) {
		attach(b);
		return;
	}
	rc = daxfs_lookup(b->fs, DAXFS_ROOT, b->config->name, &attr);
	if (rc == -ENOENT || (rc == 0 && attr.ino != b->root)) {
		log_note("backing %s was removed", b->config->name);
		detach(b);
	}
}

static void *keep(void *context)
{
	struct backing *b = context;
	struct timespec until;

	pthread_mutex_lock(&b->lock);
	while (!b->stop) {
		pthread_mutex_unlock(&b->lock);
		look_after(b);
		until = clock_deadline(CLOCK_MONOTONIC, KEEP_S * 1000);
		pthread_mutex_lock(&b->lock);
		while (!b->stop && pthread_cond_timedwait(&b->changed, &b->lock, &until) == 0)
			;
	}
	pthread_mutex_unlock(&b->lock);
	return NULL;
}

/* -- up and down ---------------------------------------------------------------------------- */

static int start_threads(struct backing *b)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < BACKING_THREADS; i++) {
		rc = pthread_create(&b->thread[i], NULL, serve, b);
		pthread_mutex_lock(&b->lock);
		while (rc == 0 && b->threads == i)
			pthread_cond_wait(&b->changed, &b->lock);
		pthread_mutex_unlock(&b->lock);
	}
	if (rc == 0)
		rc = pthread_create(&b->keeper, NULL, keep, b);
	b->kept = rc == 0;
	return -rc;
}

static struct backing *backing_new(struct daxfs *fs, const struct backing_config *config,
				   const struct backing_told *told)
{
	struct backing *b = calloc(1, sizeof(*b));
	pthread_condattr_t monotonic;

	if (!b)
		return NULL;
	b->fs = fs;
	b->config = config;
	b->told = told;
	b->last = &b->first;
	pthread_mutex_init(&b->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&b->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	return b;
}

static bool ends_by(pthread_t thread, const struct timespec *until)
{
	return pthread_timedjoin_np(thread, NULL, until) == 0;
}

/* False: a thread is still in storage. */
static bool stop_threads(struct backing *b, const struct timespec *until)
{
	bool ended = true;

	pthread_mutex_lock(&b->lock);
	b->stop = true;
	pthread_cond_broadcast(&b->changed);
	pthread_mutex_unlock(&b->lock);
	for (unsigned i = 0; i < b->threads; i++)
		ended &= ends_by(b->thread[i], until);
	if (b->kept)
		ended &= ends_by(b->keeper, until);
	return ended;
}

void backings_stop(struct backings *all)
{
	const struct timespec until = clock_deadline(CLOCK_REALTIME, STOP_S * 1000); /* pthread_timedjoin_np's clock */

	for (unsigned i = 0; i < all->n; i++) {
		struct backing *b = all->backing[i];

		if (!stop_threads(b, &until)) {
			log_warn("backing %s: storage does not answer: not waiting for it", b->config->name);
			all->stuck = true;
			continue;
		}
		if (b->attached)
			detach(b);
		pthread_cond_destroy(&b->changed);
		pthread_mutex_destroy(&b->lock);
		free(b);
	}
	all->n = 0;
}

int backings_start(struct backings *all, struct daxfs *fs, const struct backing_config *config, unsigned n,
		   const struct backing_told *told)
{
	sigset_t most, old;
	int rc = 0;

	*all = (struct backings){ .n = 0 };
	sigfillset(&most);
	sigdelset(&most, SIGBUS); /* a load of the pool that fails is its thread's own */
	pthread_sigmask(SIG_SETMASK, &most, &old);
	for (unsigned i = 0; rc == 0 && i < n; i++) {
		struct backing *b = backing_new(fs, &config[i], told);

		if (!b) {
			rc = -ENOMEM;
			break;
		}
		all->backing[all->n++] = b;
		rc = start_threads(b);
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc)
		backings_stop(all);
	return rc;
}
