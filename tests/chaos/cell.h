/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cell.h - a small tree that several hosts work on at once, and what it may do.
 *
 * A cell is a directory: names of CELL_NAMES letters in it and in the directories
 * below, files of CELL_SLOTS slots, and a lock. No operation reaches from one cell into
 * another, so each cell's history is judged by itself (linear.h); this is its
 * sequential model. Inode numbers are part of it: a name leads to the same file
 * before and after a rename, and no number ever means two files. What is made
 * by a host that dies before it can say its number gets it from who looks first.
 *
 * A slot is a run of bytes that each write fills with a token of its own, so that
 * a read says which write it saw, or that it is of two (CELL_TORN).
 */
#ifndef CHAOS_CELL_H
#define CHAOS_CELL_H

#include <stdbool.h>
#include <stdint.h>

#define CELL_NAMES 3u
#define CELL_SLOTS 8u
#define CELL_NODES 20u
#define CELL_HOSTS 4u
#define CELL_WORKERS 8u /* a host: numbers from 8 times its own on */
#define CELL_WORKERS_OF(host) (0xffu << 8 * (host))
#define CELL_TORN UINT32_MAX /* of no write, or of two */

enum cell_kind {
	CELL_NONE = 0,
	/* names: dir, name; moves: and dir2, name2 */
	CELL_CREATE, /* exclusively, and opened: ino */
	CELL_MKDIR,
	CELL_UNLINK,
	CELL_RMDIR,
	CELL_RENAME,  /* a: flags of renameat2 */
	CELL_LINK,    /* ino, to dir2, name2 */
	CELL_LOOKUP,  /* ino, a: 1 a directory; or -ENOENT */
	CELL_OPEN,    /* a file: ino */
	CELL_OPENDIR, /* ino */
	/* an open file: ino */
	CELL_ATTR,     /* a: links, b: slots */
	CELL_WRITE,    /* a: slot, b: token */
	CELL_APPEND,   /* b: token */
	CELL_TRUNCATE, /* a: slots */
	CELL_READ,     /* a: slot, b: token, 0 a hole; result 0: past the end */
	CELL_READ_ALL, /* a: slots, all[] */
	CELL_CLOSE,
	/* the lock */
	CELL_LOCK, /* a: 1 shared, 2 exclusive; or -EAGAIN */
	CELL_UNLOCK,
	CELL_VISIT, /* ino: the cell */
	/* not of a worker */
	CELL_DEATH, /* what its host had open and locked is let go */
	CELL_KINDS
};

struct cell_op {
	uint64_t t0, t1; /* CLOCK_MONOTONIC, ns; t1 0: not answered */
	uint64_t dir, dir2, ino;
	int32_t result; /* 0 or more, or -errno */
	uint32_t cell;
	uint32_t a, b;
	uint32_t all[CELL_SLOTS];
	uint8_t kind, name, name2;
	uint8_t host, worker;
	uint8_t ready;   /* written last */
	uint8_t nothing; /* set by the judge: may have done nothing */
	uint8_t unused;
};

_Static_assert(sizeof(struct cell_op) == 96, "cell_op");

struct cell_node {
	uint64_t ino;  /* 0: not known yet */
	uint8_t type;  /* 0 none, 1 file, 2 directory */
	uint8_t links; /* of a file */
	uint8_t slots;
	uint8_t opens[CELL_HOSTS];
	uint8_t entry[CELL_NAMES]; /* node, 0 none: node 0 is the cell itself */
	uint32_t slot[CELL_SLOTS];
};

struct cell {
	struct cell_node node[CELL_NODES];
	uint32_t shared, exclusive; /* bit a worker */
	uint32_t overflow;          /* more than there is room for: nothing is known any more */
};

void cell_init(struct cell *cell, uint64_t root);
/* May it take effect now, with the answer that it got? Then it has. */
bool cell_apply(struct cell *cell, const struct cell_op *op);
/* Number the nodes so that equal cells are equal byte by byte. */
void cell_order(struct cell *cell);
/* Is the answer one that leaves a cell as it is? Or makes a number known that was so already. */
bool cell_looks(const struct cell_op *op);
/* Nothing is known of whether it happened: its host died, or is as good as dead. */
static inline bool cell_unanswered(const struct cell_op *op)
{
	return op->t1 == 0;
}
const char *cell_kind_name(unsigned kind);

#endif
