/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oplog.h - what the load generator meant to do and what came of it.
 *
 * One file per worker thread, outside the pool. Before an operation the thread
 * appends an INTENT, afterwards an ACK, each by one write(2) of 256 bytes that
 * never straddles a page: what SIGKILL leaves is whole records, and at most one
 * intent without ack a thread, the pending operation. Times are CLOCK_MONOTONIC
 * of the one machine all test hosts run on, so they order operations of
 * different hosts: one that was acknowledged before another began came first.
 */
#ifndef CHAOS_OPLOG_H
#define CHAOS_OPLOG_H

#include <stddef.h>
#include <stdint.h>

#define OPLOG_NAME 80

enum op_kind {
	/* Block files (shared or own): b = first block; write: c = count; read: c = op seen, 0 a hole. */
	OP_BLOCK_WRITE = 1,
	OP_BLOCK_READ,
	/* Append files: b = length. */
	OP_APPEND,
	/* Names that all hosts fight for: name[0]; b = ino that it got or had. */
	OP_NAME_CREATE, /* O_EXCL */
	OP_NAME_MKDIR,
	OP_NAME_SYMLINK,
	OP_NAME_LINK,    /* name[1] = the existing name */
	OP_NAME_REPLACE, /* rename of name[1] over name[0] */
	OP_NAME_UNLINK,
	OP_NAME_STAT,
	/* Directories that come and go under their entries: name[0] directory, name[1] entry. */
	OP_DIR_MAKE,
	OP_DIR_REMOVE,
	OP_DIR_ADD,
	OP_DIR_DROP,
	/* A file that is renamed from new name to new name by all: name[0] to name[1], a = token. */
	OP_TOKEN_MOVE,
	OP_TOKEN_MAKE, /* at set-up */
	/* A thread's own tree; results are predicted by a model. */
	OP_OWN_MKDIR,
	OP_OWN_RMDIR,
	OP_OWN_CREATE, /* b = ino */
	OP_OWN_UNLINK,
	OP_OWN_RENAME, /* a = flags */
	OP_OWN_LINK,
	OP_OWN_SYMLINK,    /* name[1] = target */
	OP_OWN_WRITE,      /* a = offset, b = length */
	OP_OWN_APPEND,     /* b = length */
	OP_OWN_TRUNCATE,   /* a = size */
	OP_OWN_CHMOD,      /* a = mode */
	OP_OWN_READ,       /* a = offset, b = length; c = crc of what came */
	OP_OWN_STAT,       /* a = size, b = ino, c = mode << 32 | nlink */
	OP_OWN_LIST,       /* a = entries, c = sum of their path_id()s */
	OP_OWN_HOLD,       /* open and keep: a = slot */
	OP_OWN_HELD_READ,  /* a = slot; b = length, c = crc */
	OP_OWN_HELD_WRITE, /* a = slot, b = length, c = offset */
	OP_OWN_RELEASE,
	OP_KINDS
};

enum op_phase { OP_INTENT = 1, OP_ACK, OP_VIOLATION /* seen by the generator itself; name[0] says what */ };

struct op_record {
	uint32_t magic;
	uint16_t kind;
	uint8_t phase;
	uint8_t host;
	uint32_t generation;
	int32_t result; /* ACK: >= 0 or -errno */
	uint64_t seq;
	uint32_t thread;
	uint32_t crc;    /* crc32c of the record with crc = 0 */
	uint64_t t0, t1; /* around the operation; INTENT: t1 = 0 */
	uint64_t a, b, c;
	uint64_t reserved;
	char name[2][OPLOG_NAME];
};

_Static_assert(sizeof(struct op_record) == 240, "op_record");
#define OPLOG_RECORD 256u

uint64_t now_ns(void);
const char *op_name(enum op_kind kind);

/* Writing. Returns 0 or -errno. */
int oplog_append(int fd, struct op_record *r);

/* Reading: operations with intent and ack joined, in order of t0. */
struct op {
	uint64_t id;     /* op_id() */
	uint64_t t0, t1; /* pending: t1 = UINT64_MAX */
	enum op_kind kind;
	int32_t result; /* pending: 0 */
	uint64_t a, b, c;
	char name[2][OPLOG_NAME];
};

static inline int op_pending(const struct op *op)
{
	return op->t1 == UINT64_MAX;
}

struct oplog {
	struct op *ops;
	size_t count, space;
	struct op *notes; /* violations the generators saw themselves */
	size_t n_notes, notes_space;
};

/* Every *.log in dir. Returns 0 or -errno, having said why on stderr. */
int oplog_load(const char *dir, struct oplog *out);
void oplog_free(struct oplog *log);

#endif
