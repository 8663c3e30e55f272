/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.h - the simulated pool memory: lines, host caches, undo.
 *
 * The memory is mapped twice. The library is given the mapping without access
 * rights, so that a load or store that does not go through the seam faults; the
 * seam works on the other one.
 *
 * Caches (wb pools). What all hosts see is one coherent image. A line that a
 * host stored to is dirty in that host's cache until another host touches it or
 * until a thread persisted and drained it; its older contents are kept, oldest first
 * the one the device holds. When a host dies, each of its dirty lines ends up
 * as the newest contents or as any older one: a fate says which.
 *
 * Marks nest: memory_rewind puts lines, caches and undo log back to the
 * innermost mark, as often as wanted; memory_drop removes the mark.
 */
#ifndef SIM_MACHINE_MEMORY_H
#define SIM_MACHINE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINE 64u

enum fate_kind {
	FATE_KEEP_ALL,   /* the process died, not the host; or the platform flushes */
	FATE_DROP_ALL,   /* every dirty line is what the device holds */
	FATE_DROP_ONE,   /* only the n-th dirty line is dropped */
	FATE_KEEP_ONE,   /* all but the n-th dirty line are dropped */
	FATE_RANDOM,     /* each line any of its contents, by seed n */
	FATE_DROP_UNIT,  /* only unit n is dropped */
	FATE_KEEP_UNITS, /* only the units n and also are kept */
};

struct fate {
	enum fate_kind kind;
	uint64_t n, also;
};

/*
 * A unit of dirty lines is a line, or in the bulk (whole pages of contents) the
 * lines of one page: so that subsets can be listed. It is known by its first line.
 */

/* For the seam's commonest call; everybody else uses the functions. */
extern struct memory_view {
	uint8_t *bytes;
	uintptr_t base;
	uint64_t size;
	size_t n_dirty; /* lines, of all hosts */
	int32_t *index; /* per line: -1 if it is not dirty */
} memory_view;

/* Map size bytes; false with errno. */
bool memory_open(uint64_t size);
void memory_close(void);
/* Zeroed, clean, no marks, caches modelled or not. */
void memory_reset(bool caches);
void *memory_base(void);           /* what the library gets */
const uint8_t *memory_bytes(void); /* the same bytes, readable */
uint64_t memory_size(void);
bool memory_owns(const void *p, size_t len);
uint64_t memory_offset(const void *p);

/* The seam's accesses, by a host, at an offset. */
void memory_touch(unsigned host, uint64_t offset, size_t len);
void memory_store(unsigned host, uint64_t offset, const void *src, size_t len);
/*
 * A drain waits for what its own thread started and for nothing else. Threads of a host
 * have numbers below MEMORY_THREADS. If two of them write back a line, the drain of either
 * waits for the newer contents.
 */
#define MEMORY_THREADS 32u
void memory_persist(unsigned host, unsigned thread, uint64_t offset, size_t len);
/* True if the device changed. */
bool memory_drain(unsigned host, unsigned thread);
/* A thread is gone: nobody waits for what it started; another one has its number. */
void memory_new_thread(unsigned host, unsigned thread);

/* Does the device hold what the word at an offset is now? */
bool memory_durable(uint64_t offset);
/* Everything dirty reaches the device. */
void memory_quiesce(void);
unsigned memory_dirty(unsigned host);
/* Where the bulk starts; nowhere after a reset. */
void memory_bulk(uint64_t from);
struct memory_unit {
	uint32_t first;
	uint64_t loss; /* of it alone: memory_digest_bytes() changes by this (exclusive or) */
};

/* The units of a host's dirty lines, the last stored to first: how many. Dies if there are more than max. */
unsigned memory_units(unsigned host, struct memory_unit *units, unsigned max);
/* What memory_lose would change the digest of bytes by. */
uint64_t memory_loss(unsigned host, struct fate fate);
/* The host's cache is gone. */
void memory_lose(unsigned host, struct fate fate);

void memory_mark(void);
void memory_rewind(void);
void memory_drop(void);
unsigned memory_marks(void);

/* Equal for equal bytes and caches (all but surely: 64 bits). */
uint64_t memory_digest(void);
uint64_t memory_digest_bytes(void); /* whatever is in caches */

#endif
