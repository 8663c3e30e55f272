/* SPDX-License-Identifier: Apache-2.0 */
/* oplog.c - see oplog.h. */
#include "oplog.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "payload.h"

#define OPLOG_MAGIC 0x676f4c4fu

static const char *const kind_names[OP_KINDS] = {
	[OP_BLOCK_WRITE] = "block write",
	[OP_BLOCK_READ] = "block read",
	[OP_APPEND] = "append",
	[OP_NAME_CREATE] = "create",
	[OP_NAME_MKDIR] = "mkdir",
	[OP_NAME_SYMLINK] = "symlink",
	[OP_NAME_LINK] = "link",
	[OP_NAME_REPLACE] = "rename over",
	[OP_NAME_UNLINK] = "unlink",
	[OP_NAME_STAT] = "stat",
	[OP_DIR_MAKE] = "dir make",
	[OP_DIR_REMOVE] = "dir remove",
	[OP_DIR_ADD] = "dir add",
	[OP_DIR_DROP] = "dir drop",
	[OP_TOKEN_MOVE] = "token move",
	[OP_TOKEN_MAKE] = "token make",
	[OP_OWN_MKDIR] = "own mkdir",
	[OP_OWN_RMDIR] = "own rmdir",
	[OP_OWN_CREATE] = "own create",
	[OP_OWN_UNLINK] = "own unlink",
	[OP_OWN_RENAME] = "own rename",
	[OP_OWN_LINK] = "own link",
	[OP_OWN_SYMLINK] = "own symlink",
	[OP_OWN_WRITE] = "own write",
	[OP_OWN_APPEND] = "own append",
	[OP_OWN_TRUNCATE] = "own truncate",
	[OP_OWN_CHMOD] = "own chmod",
	[OP_OWN_READ] = "own read",
	[OP_OWN_STAT] = "own stat",
	[OP_OWN_LIST] = "own list",
	[OP_OWN_HOLD] = "own hold",
	[OP_OWN_HELD_READ] = "own held read",
	[OP_OWN_HELD_WRITE] = "own held write",
	[OP_OWN_RELEASE] = "own release",
};

const char *op_name(enum op_kind kind)
{
	return kind < OP_KINDS && kind_names[kind] ? kind_names[kind] : "?";
}

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

int oplog_append(int fd, struct op_record *r)
{
	union {
		struct op_record r;
		uint8_t bytes[OPLOG_RECORD];
	} out = { .bytes = { 0 } };
	ssize_t n;

	r->magic = OPLOG_MAGIC;
	r->crc = 0;
	r->crc = crc32c(0, r, sizeof(*r));
	out.r = *r;
	n = write(fd, out.bytes, sizeof(out.bytes));
	return n == (ssize_t)sizeof(out.bytes) ? 0 : n < 0 ? -errno : -EIO;
}

static struct op *add(struct op **list, size_t *count, size_t *space)
{
	if (*count == *space) {
		*space = *space ? *space * 2 : 4096;
		*list = realloc(*list, *space * sizeof(**list));
		if (!*list) {
			fprintf(stderr, "verify: out of memory for the operation log\n");
			exit(2);
		}
	}
	return memset(*list + (*count)++, 0, sizeof(**list));
}

/*
 * The mount's daemon died before it answered: as good as no acknowledgement.
 * (The generator stops there and exits 4, which nobody but a killed host may.)
 */
static bool unknown(int result)
{
	return result == -ENOTCONN || result == -ECONNABORTED;
}

static void fill(struct op *op, const struct op_record *r)
{
	op->id = op_id(r->host, r->generation, r->thread, r->seq);
	op->kind = (enum op_kind)r->kind;
	op->t0 = r->t0;
	op->t1 = r->phase == OP_INTENT || unknown(r->result) ? UINT64_MAX : r->t1;
	op->result = unknown(r->result) ? 0 : r->result;
	op->a = r->a;
	op->b = r->b;
	op->c = r->c;
	memcpy(op->name, r->name, sizeof(op->name));
	op->name[0][OPLOG_NAME - 1] = op->name[1][OPLOG_NAME - 1] = '\0';
}

/* An ack completes the intent before it; anything else starts a new one. */
static const char *take(struct oplog *log, const struct op_record *r, size_t *open)
{
	struct op *last = *open == SIZE_MAX ? NULL : &log->ops[*open];

	switch (r->phase) {
	case OP_VIOLATION: fill(add(&log->notes, &log->n_notes, &log->notes_space), r); return NULL;
	case OP_INTENT:
		if (last && op_pending(last))
			return "intent follows an intent";
		fill(add(&log->ops, &log->count, &log->space), r);
		*open = log->count - 1;
		return NULL;
	case OP_ACK:
		if (!last || last->id != op_id(r->host, r->generation, r->thread, r->seq))
			return "ack without intent";
		fill(last, r);
		return NULL;
	default: return "unknown phase";
	}
}

static int load_file(const char *path, struct oplog *log)
{
	uint8_t bytes[OPLOG_RECORD];
	struct op_record r;
	size_t open = SIZE_MAX, n;
	const char *err = NULL;
	uint32_t crc;
	FILE *f = fopen(path, "rb");

	if (!f) {
		fprintf(stderr, "verify: %s: %s\n", path, strerror(errno));
		return -errno;
	}
	while (!err && (n = fread(bytes, 1, sizeof(bytes), f)) == sizeof(bytes)) {
		memcpy(&r, bytes, sizeof(r));
		crc = r.crc;
		r.crc = 0;
		if (r.magic != OPLOG_MAGIC || crc != crc32c(0, &r, sizeof(r)))
			err = "damaged record";
		else
			err = take(log, &r, &open);
	}
	if (err)
		fprintf(stderr, "verify: %s: %s at byte %ld\n", path, err, ftell(f) - (long)sizeof(bytes));
	fclose(f);
	return err ? -EINVAL : 0;
}

static int by_start(const void *a, const void *b)
{
	const struct op *x = a, *y = b;

	if (x->t0 != y->t0)
		return x->t0 < y->t0 ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

int oplog_load(const char *dir, struct oplog *out)
{
	char path[4096];
	struct dirent *e;
	size_t files = 0, len;
	int error = 0;
	DIR *d = opendir(dir);

	memset(out, 0, sizeof(*out));
	while (d && !error && (e = readdir(d))) {
		len = strlen(e->d_name);
		if (len < 4 || strcmp(e->d_name + len - 4, ".log"))
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		error = load_file(path, out);
		files++;
	}
	if (d)
		closedir(d);
	if (!files) {
		fprintf(stderr, "verify: no operation logs in %s\n", dir);
		return -ENOENT;
	}
	if (!error)
		qsort(out->ops, out->count, sizeof(*out->ops), by_start);
	return error;
}

void oplog_free(struct oplog *log)
{
	free(log->ops);
	free(log->notes);
	memset(log, 0, sizeof(*log));
}
