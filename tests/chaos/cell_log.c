/* SPDX-License-Identifier: Apache-2.0 */
/* cell_log.c - see cell_log.h. */
#include "cell_log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "oplog.h"

#define LOG_OPS 400000u /* sparse: what is not written takes no room */

int cell_log_open(const char *dir, unsigned host, unsigned gen, unsigned worker, struct cell_log *out)
{
	const size_t size = LOG_OPS * sizeof(struct cell_op);
	char path[512];
	void *at = MAP_FAILED;
	int fd, error;

	snprintf(path, sizeof(path), "%s/h%ug%uw%u.cells", dir, host, gen, worker);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	if (!ftruncate(fd, (off_t)size))
		at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	error = errno;
	close(fd);
	if (at == MAP_FAILED)
		return -error;
	*out = (struct cell_log){ .at = at, .space = LOG_OPS, .host = (uint8_t)host, .worker = (uint8_t)worker };
	return 0;
}

struct cell_op *cell_log_begin(struct cell_log *log, enum cell_kind kind)
{
	struct cell_op *op = log->count < log->space ? &log->at[log->count++] : NULL;

	if (!op)
		return NULL;
	op->kind = (uint8_t)kind;
	op->cell = log->cell;
	op->host = log->host;
	op->worker = log->worker;
	op->t0 = now_ns();
	return op;
}

void cell_log_ask(struct cell_op *op)
{
	op->t0 = now_ns();
	__atomic_store_n(&op->ready, 1, __ATOMIC_RELEASE);
}

void cell_log_answer(struct cell_op *op, int result)
{
	op->result = result;
	__atomic_store_n(&op->t1, now_ns(), __ATOMIC_RELEASE);
	op->ready = 1;
}

struct cell_op *cell_log_beside(struct cell_log *log, const struct cell_op *op, enum cell_kind kind)
{
	struct cell_op *more = cell_log_begin(log, kind);

	if (!more)
		return NULL;
	more->t0 = op->t0;
	more->t1 = op->t1;
	more->dir = op->dir;
	more->ready = 1;
	return more;
}

/* -- reading ----------------------------------------------------------------------- */

static int keep(struct cell_history *h, const struct cell_op *op, unsigned gen)
{
	if (h->count == h->space) {
		size_t space = h->space ? 2 * h->space : 4096;
		struct cell_op *ops = realloc(h->op, space * sizeof(*ops));
		uint32_t *gens = ops ? realloc(h->gen, space * sizeof(*gens)) : NULL;

		h->op = ops ? ops : h->op;
		if (!gens)
			return -ENOMEM;
		h->gen = gens;
		h->space = space;
	}
	h->gen[h->count] = gen;
	h->op[h->count++] = *op;
	return 0;
}

static int load_file(int dir, const char *name, unsigned gen, struct cell_history *out)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC), rc = 0;
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
	struct cell_op op;

	if (!f)
		return -errno;
	while (rc == 0 && fread(&op, sizeof(op), 1, f) == 1 && op.ready)
		rc = keep(out, &op, gen);
	fclose(f);
	return rc;
}

int cell_log_load(const char *dir, struct cell_history *out)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int rc = d ? 0 : -errno;

	*out = (struct cell_history){ .op = NULL };
	while (rc == 0 && (e = readdir(d))) {
		unsigned host, gen, worker;
		char end[8];

		if (sscanf(e->d_name, "h%ug%uw%u.%5s", &host, &gen, &worker, end) == 4 && !strcmp(end, "cells"))
			rc = load_file(dirfd(d), e->d_name, gen, out);
	}
	if (d)
		closedir(d);
	return rc;
}
