/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mutate.h - the input language of the targets that damage pools.
 *
 * An input is one byte that names a scene and then items of ITEM_BYTES bytes:
 * changes of the pool that know its structures, and operations of a host, in
 * any order. Checksums are made right again after a change, so that it gets
 * past them. Any bytes are an input; what is left over at the end is ignored.
 */
#ifndef TESTS_FUZZ_ALTER_H
#define TESTS_FUZZ_ALTER_H

#include "fixture.h"

#define ITEM_BYTES 14u
#define ITEMS_MAX 48u

/* what an item changes */
enum place {
	PLACE_HOST = 0, /* membership: words of a host */
	PLACE_MANAGER,
	PLACE_STATUS, /* lanes */
	PLACE_LANE,   /* todo, counts, announcements */
	PLACE_WORD,   /* a record's words, allocations, retirements */
	PLACE_ALLOC,
	PLACE_RETIRE,
	PLACE_OPEN,  /* open tables */
	PLACE_STATE, /* objects */
	PLACE_BIRTH,
	PLACE_COUNT,
	PLACE_INODE,
	PLACE_DIRENT,
	PLACE_NODE,  /* slots of nodes */
	PLACE_NODES, /* many slots of a node at once */
	PLACE_LOCKS, /* pages of locks */
	PLACE_SUPER,
	PLACE_HEADER,
	PLACE_GEOMETRY, /* another shape that is consistent in itself */
	PLACE_ANY,      /* any word of the pool */
	ITEM_OPERATION, /* not a change: see work.c. In the middle, for the corpus has the numbers */
	PLACE_EXTENT,   /* states of the pages of an extent */
	PLACE_GROUP,    /* words of a group that is one */
	ITEM_KINDS,
	PLACES = ITEM_KINDS
};

#define PLACES_LANES (1u << PLACE_STATUS | 1u << PLACE_LANE | 1u << PLACE_WORD | 1u << PLACE_ALLOC | 1u << PLACE_RETIRE)
#define PLACES_TREE                                                                                                    \
	(1u << PLACE_STATE | 1u << PLACE_BIRTH | 1u << PLACE_COUNT | 1u << PLACE_INODE | 1u << PLACE_DIRENT |          \
	 1u << PLACE_NODE | 1u << PLACE_NODES | 1u << PLACE_LOCKS | 1u << PLACE_EXTENT | 1u << PLACE_GROUP)
#define ITEMS_ALL ((1u << ITEM_KINDS) - 1)

/* what it puts there */
enum value {
	VALUE_RAW = 0,
	VALUE_FLIP, /* one bit of what is there */
	VALUE_MIX,  /* exclusive or */
	VALUE_ADD,
	VALUE_LINK,    /* a link to an object, under the version that is there */
	VALUE_MARK,    /* of a record in flight */
	VALUE_ADDRESS, /* of some word, with a class: for records */
	VALUE_OBJECT,  /* as records name it */
	VALUE_HANDLE,
	VALUE_STATE,  /* an object state */
	VALUE_STATUS, /* of a lane, under the sequence that is there */
	VALUE_HOST,   /* a host word that makes sense */
	VALUE_COPY,   /* of another word of the same kind */
	VALUE_EDGE,   /* 0, all ones and the like */
	VALUES
};

struct item {
	uint8_t kind; /* enum place or ITEM_OPERATION */
	uint8_t how;  /* enum value; an operation's number */
	uint16_t a, b;
	uint64_t v;
};

/* The items of an input, those of the kinds in `kinds` (bits 1 << kind). */
unsigned items_read(const uint8_t *data, size_t size, unsigned kinds, struct item out[ITEMS_MAX]);
void item_put(uint8_t *data, const struct item *item);
/* Make the change. */
void alter(struct fixture *s, const struct item *item);
/* The handle of an object in use, or a nearby one that is not. */
uint64_t alter_handle(const struct fixture *s, unsigned pick);

/* A target defines which kinds its inputs have: for the mutator. */
extern const unsigned item_kinds;

#endif
