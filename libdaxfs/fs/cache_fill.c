/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache_fill.c - what a reader does who misses a page: claim, read storage, publish; or wait,
 * or read past who does. Rules and crash story: cache.h.
 *
 * Between the steps no lane is held, so storage may take as long as it likes: neither
 * reclamation nor the heartbeat waits for it.
 */
#include "fs/cache.h"

#include <limits.h>
#include <stdlib.h>

#include "fs/heat.h"
#include "mem/process.h"

#define POLLS_PER_MS (1000000u / CACHE_POLL_NS)

#define BRINGS_IN_VAIN 1000u /* while others change the file each time */

#define CUT 1 /* it came short, for the file was cut off since it was claimed: look again */

/* It came short: never zeros instead (C3), and an error, unless the file was cut off, and that was written back. */
static int read_short(struct daxfs *fs, struct cache_fill *f)
{
	int rc = fs_run(fs, cache_uncut, f);

	cache_count(fs, FIGURE_ERRORS, rc > 0);
	return rc > 0 ? -EIO : rc < 0 ? rc : CUT;
}

/* Read the pages of a fill: all of what the file has of them, CUT, or an error. */
static int read_storage(struct daxfs *fs, struct cache_fill *f)
{
	uint64_t offset = f->first * DAXFS_PAGE_SIZE;
	uint64_t end = f->size < f->stored ? f->size : f->stored, there = end > offset ? end - offset : 0;
	size_t len = (size_t)f->n * DAXFS_PAGE_SIZE, want = there < len ? (size_t)there : len;
	struct daxfs_storage storage;
	ssize_t got;
	int was, rc = want ? cache_storage_get(fs, f->source, &storage) : 0;

	if (!want)
		memset(f->aside->bytes, 0, len); /* nobody has put anything there */
	if (rc || !want)
		return rc;
	was = process_cancel_off(); /* cancelled there, the thread would leave its claims, and be waited for */
	got = storage.read(storage.context, f->ino, f->source & ~(0xffull << 56), f->aside->bytes, want, offset);
	process_cancel_restore(was);
	cache_storage_put(fs, f->source);
	cache_count(fs, FIGURE_READS, f->n);
	cache_count(fs, FIGURE_ERRORS, got < 0);
	if (got < 0)
		return (int)got;
	if ((size_t)got != want)
		return read_short(fs, f);
	memset(f->aside->bytes + want, 0, len - want);
	return 0;
}

/* What of it is claimed, by whatever came of that, is nobody's again; if even that fails, C2. */
static int let_go(struct daxfs *fs, struct cache_fill *f, int rc)
{
	f->aside->n = 0;
	fs_run(fs, cache_release, f);
	return rc;
}

/* What we claimed: read it, and make it pages. f->no_room: it is aside alone. */
static int fill(struct daxfs *fs, struct cache_fill *f)
{
	int rc = read_storage(fs, f), made;

	f->no_room = false;
	if (rc)
		return let_go(fs, f, rc == CUT ? 0 : rc);
	f->aside->ino = f->ino;
	f->aside->first = f->first;
	f->aside->n = f->n;
	made = fs_run(fs, cache_publish, f);
	if (made) { /* no room, or memory that failed: the reader has its bytes aside all the same */
		cache_count(fs, FIGURE_NO_ROOM, f->n);
		f->no_room = true;
		if (made == -ENOSPC && cache_doubts(fs)) {
			heat_recount(fs);
			cache_counted(fs);
		}
		return fs_run(fs, cache_release, f);
	}
	cache_got(fs, f);
	cache_count(fs, FIGURE_FILLED, f->filled);
	cache_count(fs, FIGURE_LOST, f->n - f->filled);
	return 0;
}

/* Somebody else reads it, or there is no room for a node: read it for ourselves. */
static int read_past(struct daxfs *fs, struct cache_fill *f)
{
	int rc = fs_run(fs, cache_note, f);

	f->aside->n = 0;
	if (rc || f->n == 0)
		return rc;
	rc = read_storage(fs, f);
	if (rc)
		return rc == CUT ? 0 : rc;
	cache_count(fs, FIGURE_PAST, f->n);
	f->aside->ino = f->ino;
	f->aside->first = f->first;
	f->aside->n = f->n;
	return 0;
}

/* Wait for the host that claimed the first page. True: look again. */
static bool wait_for_host(struct daxfs *fs, struct cache_fill *f, unsigned patience_ms)
{
	unsigned host = filling_host(f->busy),
		 looks = patience_ms < UINT_MAX / POLLS_PER_MS ? patience_ms * POLLS_PER_MS : UINT_MAX;

	if (!looks || cache_is_slow(fs, host))
		return false;
	cache_count(fs, FIGURE_WAITS, 1);
	for (unsigned i = 0; i < looks; i++) {
		cache_pause(fs);
		if (fs_run(fs, cache_stands, f) <= 0)
			return true;
	}
	cache_was_slow(fs, host);
	return false;
}

static unsigned patience_of(struct daxfs *fs, uint64_t source)
{
	struct daxfs_storage storage;

	if (cache_storage_get(fs, source, &storage))
		return 0;
	cache_storage_put(fs, source);
	return storage.patience_ms;
}

/* Nobody else of this process reads these pages now. */
static int bring(struct daxfs *fs, struct cache_fill *f)
{
	int rc = fs_run(fs, cache_claim, f);

	if (rc == -ENOSPC && f->purpose != FILL_CUTS)
		return read_past(fs, f);
	if (rc)
		return let_go(fs, f, rc);
	cache_count(fs, FIGURE_TAKEN_OVER, f->taken_over);
	if (f->n)
		return fill(fs, f);
	if (!f->busy || wait_for_host(fs, f, patience_of(fs, f->source)))
		return 0; /* it is there, or was */
	return read_past(fs, f);
}

/* The source of the file, before anything is claimed: a host that cannot read it claims nothing. */
static int find_source(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct cache_fill *f = arg;
	struct inode inode;
	int rc = inode_get_file(lane, f->ino, &inode);

	(void)fs;
	f->source = rc ? 0 : inode_source(inode.sm);
	return rc;
}

/* Can this process read the file? -ENXIO: it cannot. */
static int has_storage(struct daxfs *fs, struct cache_fill *f, struct daxfs_storage *storage)
{
	int rc = fs_run(fs, find_source, f);

	if (rc == 0)
		rc = cache_storage_get(fs, f->source, storage);
	if (rc == 0)
		cache_storage_put(fs, f->source);
	return rc;
}

static int begin(struct cache_fill *f, struct cache_aside **aside)
{
	if (!*aside)
		*aside = malloc(sizeof(**aside));
	if (!*aside)
		return -ENOMEM;
	f->aside = *aside;
	f->aside->n = 0;
	return 0;
}

static int bring_as(struct daxfs *fs, struct cache_fill *f, uint64_t want, struct cache_aside **aside)
{
	struct daxfs_storage storage;
	int rc = has_storage(fs, f, &storage);

	cache_count(fs, FIGURE_MISSES, 1);
	f->wanted = cache_window(fs, f->ino, f->first, want, &f->stream);
	f->asked = want < f->wanted ? (unsigned)want : f->wanted;
	if (rc == -ENXIO)
		return cache_ask(fs, f->source, f->ino, f->first, f->wanted);
	if (rc == 0)
		rc = begin(f, aside);
	if (rc)
		return rc;
	if (cache_begin(fs, f)) {
		cache_count(fs, FIGURE_WAITS, 1);
		return cache_wait(fs, f, storage.patience_ms) ? 0 : read_past(fs, f);
	}
	rc = bring(fs, f);
	cache_end(fs, f);
	return rc;
}

int cache_bring(struct daxfs *fs, daxfs_ino ino, uint64_t page, uint64_t want, struct cache_aside **aside)
{
	struct cache_fill f = { .ino = ino, .first = page };

	return bring_as(fs, &f, want, aside);
}

/* For ourselves alone: it takes no room, and is not claimed, so others may be about it, too. */
static int read_aside(struct daxfs *fs, struct cache_fill *f, struct cache_aside **aside)
{
	struct daxfs_storage storage;
	int rc = has_storage(fs, f, &storage);

	f->wanted = f->asked = 1;
	if (rc == 0)
		rc = begin(f, aside);
	return rc ? rc : read_past(fs, f);
}

/*
 * What was brought to the pool may be dropped by the next try itself, where nothing else is left to make room for the
 * page that it writes. So each second time the page is read aside alone. That counts as long as nobody changes trunc,
 * as a claim of any page of the file does: where others claim, what is brought is more likely to be there.
 */
int cache_bring_for_write(struct daxfs *fs, daxfs_ino ino, uint64_t page, struct cache_aside **aside,
			  struct cache_aside *beside, unsigned *tries)
{
	struct cache_fill f = { .ino = ino, .first = page, .beside = beside, .purpose = FILL_WRITES };

	if (++*tries > BRINGS_IN_VAIN)
		return -ENOSPC;
	return *tries % 2 ? bring_as(fs, &f, 1, aside) : read_aside(fs, &f, aside);
}

int cache_bring_for_cut(struct daxfs *fs, daxfs_ino ino, uint64_t page, struct cache_aside **aside, unsigned *tries)
{
	struct cache_fill f = { .ino = ino, .first = page, .purpose = FILL_CUTS };

	if (++*tries > BRINGS_IN_VAIN)
		return -ENOSPC;
	return *tries % 2 ? bring_as(fs, &f, 1, aside) : read_aside(fs, &f, aside);
}

/* With nobody else of this process about these pages: what can be claimed is filled. */
static int provide(struct daxfs *fs, struct cache_fill *f)
{
	int rc = fs_run(fs, cache_claim, f);

	if (rc == 0 && f->busy)
		return -EAGAIN;
	if (rc || !f->n)
		return rc ? let_go(fs, f, rc) : 1; /* it is there, or behind the end */
	cache_count(fs, FIGURE_TAKEN_OVER, f->taken_over);
	rc = fill(fs, f);
	return rc ? rc : f->no_room ? -ENOSPC : (int)f->n;
}

int cache_provide(struct daxfs *fs, daxfs_ino ino, uint64_t page, unsigned want)
{
	struct cache_fill f = { .ino = ino, .first = page, .wanted = want, .asked = want, .stream = want > 1 };
	struct cache_aside *aside = NULL;
	struct daxfs_storage storage;
	int rc = has_storage(fs, &f, &storage);

	if (rc == 0)
		rc = begin(&f, &aside);
	if (rc == 0)
		rc = cache_begin(fs, &f) ? -EAGAIN : 1;
	if (rc > 0) {
		rc = provide(fs, &f);
		cache_end(fs, &f);
	}
	free(aside);
	return rc;
}
