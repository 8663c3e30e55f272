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
#include "node-agent/backing_change.h"
#include "node-agent/thread.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"

#define KEEP_S 1
#define ATTRIBUTE_BYTES (PATH_MAX + 64)
#define DEPTH_MAX 256u
#define STOP_S 5   /* for threads in storage to come back */
#define FLUSH_S 20 /* for what this host has written to be written back, when it stops */

/* -- work -------------------------------------------------------------------------------- */

static struct backing_work *take(struct backing *b, struct backing_queue *q, unsigned i)
{
	struct backing_work *work;

	pthread_mutex_lock(&b->lock);
	b->began_ns[i] = 0;
	while (!q->first && !b->stop)
		pthread_cond_wait(&q->added, &b->lock);
	work = q->first;
	if (work) {
		q->first = work->next;
		if (!q->first)
			q->last = &q->first;
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
	while ((work = take(b, i < BACKING_READERS ? &b->reads : &b->writes, i)))
		work->run(work);
	return NULL;
}

void backing_add(struct backing *b, struct backing_work *work, bool writes)
{
	struct backing_queue *q = writes ? &b->writes : &b->reads;

	work->next = NULL;
	pthread_mutex_lock(&b->lock);
	*q->last = work;
	q->last = &work->next;
	pthread_cond_signal(&q->added);
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
	for (unsigned i = 0; i < BACKING_READERS; i++)
		slow |= b->began_ns[i] && now - b->began_ns[i] > (int64_t)BACKING_SLOW_MS * 1000000;
	pthread_mutex_unlock(&b->lock);
	return slow;
}

struct backing *backing_get(struct backings *all, daxfs_ino ino)
{
	struct daxfs_source source;
	struct backing *found = NULL;

	if (!all->n || daxfs_source(all->fs, ino, &source))
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
	if (--b->users == 0 && !b->attached) /* else nobody waits for that */
		pthread_cond_broadcast(&b->changed);
	pthread_mutex_unlock(&b->lock);
}

/* -- the keeper --------------------------------------------------------------------------- */

static void read_text(struct daxfs *fs, daxfs_ino root, char *text, size_t size)
{
	ssize_t n = daxfs_xattr_get(fs, root, BACKING_ATTRIBUTE, text, size - 1);

	text[n > 0 ? n : 0] = '\0';
}

static bool says_writable(const char *text)
{
	return strncmp(text, "writable ", 9) == 0;
}

static unsigned revalidate_of(const char *text)
{
	const char *ms = strstr(text, "revalidate-ms=");

	if (!ms || !isdigit((unsigned char)ms[14]))
		return BACKING_REVALIDATE_MS;
	return (unsigned)strtoul(ms + 14, NULL, 10) % BACKING_REVALIDATE_MAX_MS;
}

/* Where the pool says that the storage is, and how old a look at it may be. */
static void read_attribute(struct backing *b, daxfs_ino root, char *path, size_t size)
{
	char text[ATTRIBUTE_BYTES], *at;

	read_text(b->fs, root, text, sizeof(text));
	b->writable = says_writable(text);
	b->revalidate_ms = revalidate_of(text);
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

/* A place for its locks. Where nobody can be told that it is no more than that, its names stay. */
static int keep_root(struct backing *b)
{
	int rc = daxfs_dir_keep(b->fs, b->root);

	return rc == -ENOSPC || rc == -ENOLCK ? 0 : rc;
}

/* What could not be told then. */
static void keep_root_again(struct backing *b)
{
	if (keep_root(b) == 0)
		daxfs_dir_unkeep(b->fs, b->root);
}

static void attach(struct backing *b)
{
	struct daxfs_storage storage = {
		.struct_size = sizeof(storage),
		.read = backing_read,
		.context = b,
		.patience_ms = BACKING_PATIENCE_MS,
		.list = backing_list_for_others,
		.look = backing_look_for_others,
		.find = backing_find_for_others,
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
	b->near = storage_is_near(fd);
	b->root = attr.ino;
	b->number = source.backing;
	if (b->writable) {
		storage.write = backing_out_write;
		storage.resize = backing_out_resize;
		storage.sync = backing_out_sync;
		b->shares = b->shares || !b->dirty_max;
		if (b->shares)
			b->dirty_max = BACKING_DIRTY_LEAST;
		backing_take_share(b);
	}
	if (keep_root(b)) {
		refuse(b, -ENFILE, "cannot keep its directory open");
		close(fd);
		return;
	}
	backing_release_left_turn(b);
	if (daxfs_backing_attach(b->fs, source.backing, &storage)) {
		refuse(b, -EBUSY, "another one here has its number");
		daxfs_dir_unkeep(b->fs, b->root);
		close(fd);
		return;
	}
	daxfs_tell_write_error(b->fs, b->number, b->config->name, 0);
	log_note("backing %s: reading %s%s", b->config->name, path, b->writable ? ", and writing" : "");
	pthread_mutex_lock(&b->lock);
	b->attached = true;
	b->said = 0;
	pthread_mutex_unlock(&b->lock);
	b->since_ns = clock_ns();
}

/* Names that were about to change: what dead hosts have left; and former processes, once nobody asks again, and
 * what was asked for is done: it may wait for storage before it has its names locked. */
static void look_after_names(struct backing *b)
{
	if (b->since_ns &&
	    (clock_ns() - b->since_ns < (int64_t)BACKING_LEFT_MS * 1000000 || b->told->does_again(b->told->context)))
		return;
	backing_settle_left(b);
	if (b->since_ns)
		backing_release_left_locks(b);
	b->since_ns = 0;
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
	daxfs_dir_unkeep(b->fs, b->root);
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
		return;
	}
	if (rc == 0) {
		keep_root_again(b);
		backing_keep_room(b);
	}
	if (rc == 0 && b->writable)
		look_after_names(b);
	if (rc == 0 && b->writable && daxfs_xattr_get(b->fs, b->root, BACKING_SYNC, NULL, 0) > 0) {
		pthread_mutex_lock(&b->lock);
		b->sync_wanted = true;
		pthread_cond_broadcast(&b->changed);
		pthread_mutex_unlock(&b->lock);
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
		b->looked = true;
		pthread_cond_broadcast(&b->changed);
		while (!b->stop && pthread_cond_timedwait(&b->changed, &b->lock, &until) == 0)
			;
	}
	pthread_mutex_unlock(&b->lock);
	return NULL;
}

/* -- up and down ---------------------------------------------------------------------------- */

static int start_threads(struct backing *b, unsigned n)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < n; i++) {
		rc = thread_start(&b->thread[i], NULL, serve, b);
		pthread_mutex_lock(&b->lock);
		while (rc == 0 && b->threads == i)
			pthread_cond_wait(&b->changed, &b->lock);
		pthread_mutex_unlock(&b->lock);
	}
	return rc;
}

static int start_duties(struct backing *b)
{
	int rc = thread_start(&b->keeper, NULL, keep, b);

	b->kept = rc == 0;
	if (rc == 0)
		rc = thread_start(&b->flusher, NULL, backing_flusher, b);
	b->flushes = rc == 0;
	if (rc == 0)
		rc = thread_start(&b->server, NULL, backing_server, b);
	b->serves = b->flushes && rc == 0;
	return rc;
}

static void start_queue(struct backing_queue *q)
{
	q->last = &q->first;
	pthread_cond_init(&q->added, NULL);
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
	start_queue(&b->reads);
	start_queue(&b->writes);
	b->out = -1;
	pthread_mutex_init(&b->flushing, NULL);
	pthread_mutex_init(&b->giving, NULL);
	for (unsigned i = 0; i < NAME_LOCKS; i++)
		pthread_mutex_init(&b->names[i], NULL);
	pthread_mutex_init(&b->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&b->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	return b;
}

/* Requests that a former process had begun come at once. Storage may not answer: then they are told so. */
static void await_first_look(struct backings *all)
{
	const struct timespec until = clock_deadline(CLOCK_MONOTONIC, BACKING_SLOW_MS);

	for (unsigned i = 0; i < all->n; i++) {
		struct backing *b = all->backing[i];

		pthread_mutex_lock(&b->lock);
		while (!b->looked && pthread_cond_timedwait(&b->changed, &b->lock, &until) == 0)
			;
		pthread_mutex_unlock(&b->lock);
	}
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
	pthread_cond_broadcast(&b->reads.added);
	pthread_cond_broadcast(&b->writes.added);
	pthread_cond_broadcast(&b->changed);
	pthread_mutex_unlock(&b->lock);
	for (unsigned i = 0; i < b->threads; i++)
		ended &= ends_by(b->thread[i], until);
	if (b->kept)
		ended &= ends_by(b->keeper, until);
	if (b->flushes)
		ended &= ends_by(b->flusher, until);
	if (b->serves)
		ended &= ends_by(b->server, until);
	return ended;
}

static bool any_dirty(struct backings *all)
{
	bool any = false;

	for (unsigned i = 0; i < all->n; i++) {
		pthread_mutex_lock(&all->backing[i]->lock);
		any |= all->backing[i]->dirty != NULL;
		pthread_mutex_unlock(&all->backing[i]->lock);
	}
	return any;
}

static void backing_free(struct backing *b)
{
	backing_forget_dirty(b);
	pthread_cond_destroy(&b->writes.added);
	pthread_cond_destroy(&b->reads.added);
	pthread_cond_destroy(&b->changed);
	for (unsigned i = 0; i < NAME_LOCKS; i++)
		pthread_mutex_destroy(&b->names[i]);
	pthread_mutex_destroy(&b->giving);
	pthread_mutex_destroy(&b->flushing);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

void backings_stop(struct backings *all)
{
	const struct timespec until = clock_deadline(CLOCK_REALTIME, (any_dirty(all) ? FLUSH_S : STOP_S) *
									     1000); /* pthread_timedjoin_np's */

	for (unsigned i = 0; i < all->n + all->n_others; i++) {
		struct backing *b = i < all->n ? all->backing[i] : all->others[i - all->n];

		if (!stop_threads(b, &until)) {
			log_warn("backing %s: storage does not answer: not waiting for it", b->config->name);
			all->stuck = true;
			continue;
		}
		if (b->attached)
			detach(b);
		backing_free(b);
	}
	all->n = all->n_others = 0;
	pthread_mutex_destroy(&all->others_lock);
}

int backings_start(struct backings *all, struct daxfs *fs, const struct backing_config *config, unsigned n,
		   uint64_t dirty_max, const struct backing_told *told)
{
	int rc = 0;

	*all = (struct backings){ .fs = fs };
	pthread_mutex_init(&all->others_lock, NULL);
	for (unsigned i = 0; rc == 0 && i < n; i++) {
		struct backing *b = backing_new(fs, &config[i], told);

		if (!b) {
			rc = -ENOMEM;
			break;
		}
		b->dirty_max = dirty_max;
		all->backing[all->n++] = b;
		rc = start_threads(b, BACKING_THREADS);
		if (rc == 0)
			rc = start_duties(b);
	}
	if (rc)
		backings_stop(all);
	else
		await_first_look(all);
	return rc;
}

/* -- whatever this host reads ------------------------------------------------------------ */

/* What was said when the backing of something was added. False: it, or what it lies below, is gone. */
static bool text_of(struct daxfs *fs, daxfs_ino ino, char *text, size_t size)
{
	struct daxfs_source source;

	for (unsigned i = 0; i < DEPTH_MAX && daxfs_source(fs, ino, &source) == 0; i++) {
		if (source.directory == DAXFS_ROOT) {
			read_text(fs, ino, text, size);
			return true;
		}
		ino = source.directory;
	}
	return false;
}

bool backing_is_fixed(struct daxfs *fs, daxfs_ino ino)
{
	char text[ATTRIBUTE_BYTES];

	return text_of(fs, ino, text, sizeof(text)) && text[0] && !says_writable(text);
}

void backing_others_revalidate(struct backing *b, daxfs_ino ino)
{
	char text[ATTRIBUTE_BYTES] = "";

	text_of(b->fs, ino, text, sizeof(text));
	pthread_mutex_lock(&b->lock);
	b->revalidate_ms = revalidate_of(text);
	pthread_mutex_unlock(&b->lock);
}

/* -- of other hosts ---------------------------------------------------------------------- */

static struct backing *add_others(struct backings *all, unsigned number)
{
	static const struct backing_config others = { .name = "of other hosts" };
	struct backing *b = all->n_others < BACKINGS_MAX ? backing_new(all->fs, &others, NULL) : NULL;

	if (!b)
		return NULL;
	b->number = number;
	if (start_threads(b, BACKING_READERS)) { /* those that were started are for it, too */
		log_warn("no threads to ask other hosts for what they have in storage");
		if (!b->threads) {
			backing_free(b);
			return NULL;
		}
	}
	return all->others[all->n_others++] = b;
}

struct backing *backing_get_others(struct backings *all, daxfs_ino ino)
{
	struct daxfs_source source;
	struct backing *b = NULL;

	if (!all->fs || daxfs_source(all->fs, ino, &source))
		return NULL;
	pthread_mutex_lock(&all->others_lock);
	for (unsigned i = 0; !b && i < all->n_others; i++)
		if (all->others[i]->number == source.backing)
			b = all->others[i];
	if (!b) {
		b = add_others(all, source.backing);
		if (b)
			backing_others_revalidate(b, ino);
	}
	pthread_mutex_unlock(&all->others_lock);
	if (!b)
		return NULL;
	pthread_mutex_lock(&b->lock);
	b->users++;
	pthread_mutex_unlock(&b->lock);
	return b;
}
