/* SPDX-License-Identifier: Apache-2.0 */
/* copy_file.c - a file's bytes as they are at one moment: T2 of copy_tree.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daxfsctl/copy_tree.h"

#define LOOKS 8u
#define BLOCK 4096u

/* Bytes that lie together in the pool. */
struct piece {
	uint64_t offset;
	const uint8_t *at;
	uint64_t n;
};

/* What one look found: all of the file but its holes. */
struct look {
	struct piece *piece;
	size_t n, room;
	uint64_t size, bytes;
};

struct job {
	struct daxfs *from, *to;
	struct daxfs_view *view;
	daxfs_ino ino, copy;
	struct look look[2];
	uint64_t bytes; /* written */
	/* of one step */
	const uint8_t *source;
	size_t len;
	uint8_t *buf;
};

static int add(struct look *l, const struct piece *piece)
{
	struct piece *more;

	if (l->n == l->room) {
		l->room = l->room ? 2 * l->room : 64;
		more = reallocarray(l->piece, l->room, sizeof(*more));
		if (!more)
			return -ENOMEM;
		l->piece = more;
	}
	l->piece[l->n++] = *piece;
	l->bytes += piece->n;
	return 0;
}

/* 1: there is a piece, from offset on; 0: there is none any more. */
static int next_piece(struct job *j, uint64_t offset, struct piece *out)
{
	const void *at = NULL;
	ssize_t n;
	int rc = daxfs_seek(j->from, j->ino, offset, DAXFS_SEEK_DATA, &out->offset);

	if (rc)
		return rc == -ENXIO ? 0 : rc;
	n = daxfs_view_read(j->view, j->ino, out->offset, &at);
	if (n <= 0)
		return (int)n;
	out->at = at;
	out->n = (uint64_t)n;
	return 1;
}

/* -EFBIG: more than may be of one moment. */
static int look_at(struct job *j, struct look *l)
{
	struct piece piece = { 0 };
	struct daxfs_attr attr;
	uint64_t offset = 0;
	int rc;

	l->n = 0;
	l->bytes = 0;
	while ((rc = next_piece(j, offset, &piece)) > 0) {
		rc = l->bytes + piece.n > COPY_INSTANT_MAX ? -EFBIG : add(l, &piece);
		if (rc)
			return rc;
		offset = piece.offset + piece.n;
	}
	if (rc == 0)
		rc = daxfs_getattr(j->from, j->ino, &attr);
	if (rc == 0)
		l->size = attr.size;
	return rc;
}

static bool same(const struct look *a, const struct look *b)
{
	return a->n == b->n && a->size == b->size &&
	       (a->n == 0 || memcmp(a->piece, b->piece, a->n * sizeof(*a->piece)) == 0);
}

/* 0: look[0] is of one moment. -EAGAIN: it changes all the time. */
static int look_twice(struct job *j)
{
	int rc = 0;

	for (unsigned tries = 0; tries < LOOKS; tries++) {
		daxfs_view_renew(j->view);
		rc = look_at(j, &j->look[0]);
		if (rc == 0)
			rc = look_at(j, &j->look[1]);
		if (rc && rc != -EAGAIN)
			return rc;
		if (rc == 0 && same(&j->look[0], &j->look[1]))
			return 0;
	}
	return -EAGAIN;
}

/* Memory of the pool may fail under it. */
static int fetch(void *context)
{
	struct job *j = context;

	memcpy(j->buf, j->source, j->len);
	return 0;
}

static bool zeros(const uint8_t *p, size_t n)
{
	return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

static int put(struct job *j, size_t len, uint64_t offset)
{
	ssize_t n = zeros(j->buf, len) ? (ssize_t)len : daxfs_write(j->to, j->copy, j->buf, len, offset, 0);

	if (n < 0)
		return (int)n;
	j->bytes += len;
	return (size_t)n == len ? 0 : -EIO;
}

static int put_piece(struct job *j, const struct piece *piece)
{
	int rc = 0;

	for (uint64_t done = 0; rc == 0 && done < piece->n; done += j->len) {
		j->source = piece->at + done;
		j->len = piece->n - done < DAXFS_ATOMIC_WRITE_MAX ? piece->n - done : DAXFS_ATOMIC_WRITE_MAX;
		rc = daxfs_guard(j->from, fetch, j);
		if (rc == 0)
			rc = put(j, j->len, piece->offset + done);
	}
	return rc;
}

static int set_size(struct job *j, uint64_t size)
{
	struct daxfs_attr attr = { .size = size };

	return daxfs_setattr(j->to, j->copy, DAXFS_SET_SIZE, &attr, &attr);
}

static int put_look(struct job *j)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < j->look[0].n; i++)
		rc = put_piece(j, &j->look[0].piece[i]);
	return rc ? rc : set_size(j, j->look[0].size);
}

/* Each read sees each write wholly or not at all. */
static int put_in_pieces(struct job *j)
{
	uint64_t offset = 0;
	ssize_t n = 0;
	int rc;

	while ((rc = daxfs_seek(j->from, j->ino, offset, DAXFS_SEEK_DATA, &offset)) == 0) {
		offset -= offset % DAXFS_ATOMIC_WRITE_MAX;
		n = daxfs_read(j->from, j->ino, j->buf, DAXFS_ATOMIC_WRITE_MAX, offset);
		if (n <= 0)
			break;
		rc = put(j, (size_t)n, offset);
		if (rc)
			return rc;
		offset += (uint64_t)n;
		if (n % BLOCK)
			break; /* the end, as it was */
	}
	if (n < 0 || (rc && rc != -ENXIO))
		return n < 0 ? (int)n : rc;
	return set_size(j, offset);
}

static int copy(struct job *j)
{
	int rc = daxfs_view_open(j->from, &j->view);

	if (rc == 0) {
		rc = look_twice(j);
		if (rc == 0)
			rc = put_look(j);
		daxfs_view_close(j->view);
		if (rc != -EAGAIN && rc != -EFBIG)
			return rc ? rc : 1;
	} else if (rc != -EBUSY) { /* one lane: no views */
		return rc;
	}
	return put_in_pieces(j);
}

int copy_file(struct daxfs *from, daxfs_ino ino, struct daxfs *to, daxfs_ino copy_ino, uint64_t *bytes)
{
	struct job j = { .from = from, .to = to, .ino = ino, .copy = copy_ino };
	int rc;

	j.buf = malloc(DAXFS_ATOMIC_WRITE_MAX);
	rc = j.buf ? copy(&j) : -ENOMEM;
	*bytes += j.bytes;
	free(j.look[0].piece);
	free(j.look[1].piece);
	free(j.buf);
	return rc;
}
