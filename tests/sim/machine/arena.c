/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena.c - see arena.h. A bump allocator: each block is preceded by its
 * length and owner; free gives nothing back except the last block, and in pods, which run for long, large ones, for use
 * by one of the same size. Single-threaded.
 */
#include "machine/arena.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define TICK_NS 16000000u
#define ARENA_BYTES (64u << 20)
#define ARENA_AT ((void *)0x210000000000) /* if it is free: pointers are the same in every run */
#define ALIGN 16u
#define MARKS_MAX 16u
#define NOBODY UINT64_MAX
#define LARGE (64u << 10)
#define LARGE_MAX 64u

/* before its bytes */
struct block {
	uint64_t len, owner;
};

_Static_assert(sizeof(struct block) == ALIGN, "blocks are aligned");

struct mark {
	uint8_t *copy;
	size_t used, capacity;
	uint64_t clock_ns, random;
};

static struct arena {
	uint8_t *bytes;
	size_t used;
	bool on;
	uint64_t owner;
	uint64_t clock_ns, random;
	struct mark marks[MARKS_MAX];
	unsigned n_marks;
	struct block *large[LARGE_MAX]; /* freed */
	unsigned n_large;
	uint64_t (*clock)(void);
	int (*pid)(void);
	void (*yield)(void);
} arena;

void *__real_malloc(size_t len);
void *__real_calloc(size_t n, size_t len);
void *__real_realloc(void *p, size_t len);
void __real_free(void *p);
int __real_clock_gettime(clockid_t id, struct timespec *ts);
void *__real_mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset);
int __real_munmap(void *p, size_t len);
int __real_madvise(void *p, size_t len, int advice);
void *__wrap_malloc(size_t len);
void *__wrap_calloc(size_t n, size_t len);
void *__wrap_realloc(void *p, size_t len);
void __wrap_free(void *p);
int __wrap_clock_gettime(clockid_t id, struct timespec *ts);
ssize_t __wrap_getrandom(void *buf, size_t len, unsigned flags);
void *__wrap_mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset);
int __wrap_munmap(void *p, size_t len);
int __wrap_madvise(void *p, size_t len, int advice);
int __wrap_sched_getcpu(void);
pid_t __wrap_getpid(void);
int __wrap_sched_yield(void);

void *arena_host_map(size_t len)
{
	return __real_mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

void *arena_host_map_shared(size_t len)
{
	return __real_mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

_Noreturn void arena_die(const char *what)
{
	fprintf(stderr, "daxfs-sim: %s\n", what);
	exit(2);
}

void *arena_host_alloc(size_t len)
{
	return arena_host_realloc(NULL, len);
}

void *arena_host_realloc(void *p, size_t len)
{
	p = __real_realloc(p, len);
	if (!p)
		arena_die("out of memory");
	return p;
}

void arena_host_free(void *p)
{
	__real_free(p);
}

uint64_t arena_host_seconds(void)
{
	struct timespec now;

	__real_clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec;
}

void arena_reset(void)
{
	if (!arena.bytes)
		arena.bytes = mmap(ARENA_AT, ARENA_BYTES, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (arena.bytes == MAP_FAILED)
		arena_die("no memory for the arena");
	arena.used = 0;
	arena.n_marks = arena.n_large = 0;
	arena.clock_ns = 1000000000;
	arena.random = 1;
}

bool arena_use(bool on)
{
	bool was = arena.on;

	arena.on = on;
	return was;
}

void arena_mark(void)
{
	struct mark *mark = &arena.marks[arena.n_marks++];

	arena.n_large = 0;
	if (arena.n_marks > MARKS_MAX)
		arena_die("marks nested too deeply");
	if (arena.used > mark->capacity) {
		mark->capacity = arena.used;
		mark->copy = arena_host_realloc(mark->copy, mark->capacity);
	}
	mark->used = arena.used;
	mark->clock_ns = arena.clock_ns;
	mark->random = arena.random;
	if (arena.used)
		memcpy(mark->copy, arena.bytes, arena.used);
}

void arena_rewind(void)
{
	const struct mark *mark = &arena.marks[arena.n_marks - 1];

	arena.n_large = 0;
	arena.used = mark->used;
	arena.clock_ns = mark->clock_ns;
	arena.random = mark->random;
	if (arena.used)
		memcpy(arena.bytes, mark->copy, arena.used);
}

void arena_drop(void)
{
	arena.n_marks--;
}

static bool in_arena(const void *p)
{
	return arena.bytes && (uintptr_t)p - (uintptr_t)arena.bytes < ARENA_BYTES;
}

static struct block *block_of(void *p)
{
	return (struct block *)(void *)((uint8_t *)p - ALIGN);
}

/* With the block before it. */
static size_t room_for(size_t len)
{
	return (len + 2 * ALIGN - 1) / ALIGN * ALIGN;
}

unsigned arena_owner(unsigned host)
{
	uint64_t was = arena.owner;

	arena.owner = host;
	return (unsigned)was;
}

/* Four at a time, so that one need not wait for the other. */
static void digest_block(uint64_t *h, const struct block *block)
{
	const uint64_t *word = (const uint64_t *)(block + 1);
	size_t n = (room_for(block->len) - ALIGN) / sizeof(*word);

	h[0] ^= block->len;
	for (size_t i = 0; i < n; i++) {
		uint64_t v = (h[i % 4] ^ word[i]) * 0x9fb21c651e98df25ull;

		h[i % 4] = v ^ v >> 32;
	}
}

uint64_t arena_digest(unsigned host)
{
	uint64_t h[4] = { 1, 2, 3, 4 };

	for (size_t at = 0; at < arena.used;) {
		const struct block *block = (const struct block *)(const void *)(arena.bytes + at);

		at += room_for(block->len);
		if (block->owner == host)
			digest_block(h, block);
	}
	for (unsigned i = 1; i < 4; i++)
		h[0] = (h[0] ^ h[i]) * 0x9fb21c651e98df25ull;
	return h[0];
}

uint64_t arena_moment(void)
{
	return arena.clock_ns * 0x9fb21c651e98df25ull ^ arena.random;
}

/* One that was freed, or NULL. */
static struct block *take_large(size_t len)
{
	for (unsigned i = 0; len >= LARGE && i < arena.n_large; i++) {
		struct block *block = arena.large[i];

		if (room_for(block->len) != room_for(len))
			continue;
		arena.large[i] = arena.large[--arena.n_large];
		*block = (struct block){ len, arena.owner };
		return block;
	}
	return NULL;
}

void *__wrap_malloc(size_t len)
{
	size_t room = room_for(len);
	struct block *large;
	void *p;

	if (!arena.on)
		return __real_malloc(len);
	large = take_large(len);
	if (large)
		return large + 1;
	if (room > ARENA_BYTES - arena.used)
		arena_die("the arena is full: a simulated host leaks or allocates without bound");
	p = arena.bytes + arena.used + ALIGN;
	arena.used += room;
	*block_of(p) = (struct block){ len, arena.owner };
	return p;
}

static void keep_large(struct block *block)
{
	block->owner = NOBODY;
	if (arena.clock && block->len >= LARGE && arena.n_large < LARGE_MAX)
		arena.large[arena.n_large++] = block;
}

void arena_abandon(unsigned host)
{
	for (size_t at = 0; at < arena.used;) {
		struct block *block = (struct block *)(void *)(arena.bytes + at);

		at += room_for(block->len);
		if (block->owner == host && block->len >= LARGE)
			keep_large(block);
	}
}

void *__wrap_calloc(size_t n, size_t len)
{
	void *p;

	if (!arena.on)
		return __real_calloc(n, len);
	p = __wrap_malloc(n * len);
	return memset(p, 0, n * len);
}

void __wrap_free(void *p)
{
	size_t room;

	if (!in_arena(p)) {
		__real_free(p);
		return;
	}
	room = room_for(block_of(p)->len);
	block_of(p)->owner = NOBODY;
	if ((uint8_t *)p - ALIGN + room == arena.bytes + arena.used)
		arena.used -= room;
	else
		keep_large(block_of(p));
}

void *__wrap_realloc(void *p, size_t len)
{
	void *new;

	if (!arena.on && !in_arena(p))
		return __real_realloc(p, len);
	new = __wrap_malloc(len);
	if (p)
		memcpy(new, p, block_of(p)->len < len ? block_of(p)->len : len);
	__wrap_free(p);
	return new;
}

void arena_surround(uint64_t (*clock_ns)(void), int (*pid)(void), void (*yield)(void))
{
	arena.clock = clock_ns;
	arena.pid = pid;
	arena.yield = yield;
}

/* A millisecond a call: every time stamp is newer than the last, but for a coarse one, which has a tick of its own. */
int __wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
	uint64_t ns = arena.clock ? arena.clock() : arena.clock_ns + 1000000;

	arena.clock_ns = ns;
	if (id == CLOCK_REALTIME_COARSE)
		ns -= ns % TICK_NS;
	ts->tv_sec = (time_t)(ns / 1000000000);
	ts->tv_nsec = (long)(ns % 1000000000);
	return 0;
}

ssize_t __wrap_getrandom(void *buf, size_t len, unsigned flags)
{
	uint8_t *out = buf;

	(void)flags;
	for (size_t i = 0; i < len; i++) {
		arena.random = arena.random * 6364136223846793005ull + 1442695040888963407ull;
		out[i] = (uint8_t)(arena.random >> 56);
	}
	return (ssize_t)len;
}

/* The library's own mappings: pages that tell a process from its children, for a byte. Here there are none. */
void *__wrap_mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
	if (arena.on && len <= ALIGN)
		return __wrap_calloc(1, len);
	return __real_mmap(at, len, prot, flags, fd, offset);
}

int __wrap_munmap(void *p, size_t len)
{
	if (!in_arena(p))
		return __real_munmap(p, len);
	__wrap_free(p);
	return 0;
}

int __wrap_madvise(void *p, size_t len, int advice)
{
	return in_arena(p) ? 0 : __real_madvise(p, len, advice);
}

int __wrap_sched_getcpu(void)
{
	return 0;
}

pid_t __wrap_getpid(void)
{
	return arena.pid ? arena.pid() : 1000;
}

int __wrap_sched_yield(void)
{
	if (arena.yield)
		arena.yield();
	return 0;
}
