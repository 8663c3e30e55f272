/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_work.c - what workers do with files of storage, as the agent does it for programs (node-agent/ops_backed.c);
 * and how that may end.
 */
#include <errno.h>
#include <string.h>

#include "pod/store.h"
#include "pod/work.h"

#define PAGE 4096u
#define GROWN_PAGES 16u /* nobody appends to what is as long */

/* -- choosing ------------------------------------------------------------------------------ */

static void choose_range(struct rng *r, struct op *op, unsigned pages)
{
	op->offset = rng_below(r, STORE_PAGES - pages) * PAGE;
	op->len = (1 + rng_below(r, pages)) * PAGE;
	if (rng_chance(r, 2))
		return;
	op->offset += rng_below(r, PAGE);
	op->len -= rng_below(r, PAGE);
}

void store_choose(struct rng *r, struct op *op)
{
	op->flags = op->set = 0;
	switch (op->kind) {
	case DO_READ:
		choose_range(r, op, 8);
		if (rng_chance(r, 4)) {
			op->offset = 0;
			op->len = STORE_PAGES * PAGE;
		}
		break;
	case DO_WRITE:
		choose_range(r, op, 3);
		op->set = rng_chance(r, 6); /* O_SYNC */
		if (rng_chance(r, 4) && model_size(op->ino) < GROWN_PAGES * PAGE)
			op->flags = DAXFS_APPEND;
		break;
	case DO_SETATTR:
		op->set = DAXFS_SET_SIZE;
		choose_range(r, op, 3);
		op->len = rng_chance(r, 6) ? 0 : op->offset;
		op->offset = 0;
		break;
	default: break;
	}
}

/* -- doing ----------------------------------------------------------------------------------- */

static int fsync_there(struct backing *b, daxfs_ino ino)
{
	uint64_t since = store_now();
	int rc = backing_flush(b, ino);

	if (rc == 0)
		store_synced((unsigned)store_file(ino), since);
	return rc;
}

/* run_fsync, and ops_backed_fsync. */
static long fsync_file(struct daxfs *fs, struct backing *b, daxfs_ino ino)
{
	uint64_t since = store_now();
	struct daxfs_source source;
	long rc = daxfs_source(fs, ino, &source);

	if (rc)
		return rc;
	if (b)
		rc = source.dirty ? backing_flush(b, ino) : backing_sync_there(b, ino);
	else
		rc = source.dirty ? -ENXIO : daxfs_fsync(fs, ino);
	if (rc == 0)
		store_synced((unsigned)store_file(ino), since);
	pod.tallies->fsyncs += rc == 0;
	return rc;
}

/* run_write. */
static long write_file(struct daxfs *fs, struct backing *b, const struct op *op, uint8_t *buf)
{
	long rc = b ? backing_wait_room(b) : 0;

	if (rc)
		return rc;
	model_fill(buf, op->tag, 0, op->len);
	rc = daxfs_write(fs, op->ino, buf, op->len, op->offset, op->flags);
	if (!b)
		return rc;
	if (rc == -ENOSPC && fsync_there(b, op->ino) == 0)
		rc = daxfs_write(fs, op->ino, buf, op->len, op->offset, op->flags);
	backing_wrote(b, op->ino, op->len);
	if (rc >= 0 && op->set)
		fsync_there(b, op->ino); /* whatever it says, the bytes are written */
	return rc;
}

void store_perform(struct actor *a, const struct op *op, uint8_t *buf, struct outcome *out)
{
	struct daxfs *fs = pod.machine[a->machine].fs;
	struct backing *b = store_backing(a->machine);
	struct daxfs_attr attr = { .size = op->len }, now;

	*out = (struct outcome){ .rc = 0 };
	switch (op->kind) {
	case DO_WRITE: out->rc = write_file(fs, b, op, buf); break;
	case DO_FSYNC: out->rc = fsync_file(fs, b, op->ino); break;
	case DO_SETATTR:
		out->rc = b ? backing_set(b, op->ino, op->set, &attr, &now)
			    : daxfs_setattr(fs, op->ino, op->set, &attr, NULL);
		break;
	default: work_perform(fs, op, buf, out);
	}
}

void store_serve(struct actor *a)
{
	struct backing *b = store_backing(a->machine);
	struct daxfs_ask ask;

	while (b && !b->stop && daxfs_asked(b->fs, b->number, &ask) == 1)
		pod.tallies->served += daxfs_serve(b->fs, &ask) == 0;
}

/* -- how it may end ------------------------------------------------------------------------------ */

/* A write waits for room, and is told why there is none, whenever that was. */
static bool storage_failed(const struct pending *p)
{
	return store.errors != (p->op.kind == DO_WRITE ? 0 : p->storage_errors);
}

bool store_may_fail(const struct pending *p, long rc)
{
	if (store_file(p->op.ino) < 0)
		return false;
	switch (rc) {
	case -EROFS: return p->bare && (p->op.kind == DO_WRITE || p->op.kind == DO_SETATTR);
	case -ENXIO:
	case -ETIMEDOUT: return p->bare || storage_failed(p);
	case -ENOTCONN: return pod.machine[p->actor->machine].leave || pod.liveness;
	case -ENOLCK: return p->was_short;
	case -ENOSPC: return p->was_short || storage_failed(p);
	case -EIO:
	case -ENETDOWN:
	case -ESTALE: return storage_failed(p);
	default: return false;
	}
}
