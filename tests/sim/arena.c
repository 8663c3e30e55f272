/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena.c - see arena.h. A bump allocator: each block is preceded by its
 * length; free gives nothing back except the last block. Single-threaded.
 */
#include "arena.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define ARENA_BYTES (64u << 20)
#define ALIGN 16u
#define MARKS_MAX 16u

struct mark {
	uint8_t *copy;
	size_t used, capacity;
	uint64_t clock_ns, random;
};

static struct arena {
	uint8_t *bytes;
	size_t used;
	bool on;
	uint64_t clock_ns, random;
	struct mark marks[MARKS_MAX];
	unsigned n_marks;
	uint64_t (*clock)(void);
	int (*pid)(void);
} arena;

void *__real_malloc(size_t len);
void *__real_calloc(size_t n, size_t len);
void *__real_realloc(void *p, size_t len);
void __real_free(void *p);
void *__wrap_malloc(size_t len);
void *__wrap_calloc(size_t n, size_t len);
void *__wrap_realloc(void *p, size_t len);
void __wrap_free(void *p);
int __wrap_clock_gettime(clockid_t id, struct timespec *ts);
ssize_t __wrap_getrandom(void *buf, size_t len, unsigned flags);
int __wrap_sched_getcpu(void);
pid_t __wrap_getpid(void);
int __wrap_sched_yield(void);

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

void arena_reset(void)
{
	if (!arena.bytes)
		arena.bytes = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (arena.bytes == MAP_FAILED)
		arena_die("no memory for the arena");
	arena.used = 0;
	arena.n_marks = 0;
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

static size_t *length_of(void *p)
{
	return (size_t *)(void *)((uint8_t *)p - ALIGN);
}

void *__wrap_malloc(size_t len)
{
	size_t room = (len + 2 * ALIGN - 1) / ALIGN * ALIGN;
	void *p;

	if (!arena.on)
		return __real_malloc(len);
	if (room > ARENA_BYTES - arena.used)
		arena_die("the arena is full: a simulated host leaks or allocates without bound");
	p = arena.bytes + arena.used + ALIGN;
	arena.used += room;
	*length_of(p) = len;
	return p;
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
	room = (*length_of(p) + 2 * ALIGN - 1) / ALIGN * ALIGN;
	if ((uint8_t *)p - ALIGN + room == arena.bytes + arena.used)
		arena.used -= room;
}

void *__wrap_realloc(void *p, size_t len)
{
	void *new;

	if (!arena.on && !in_arena(p))
		return __real_realloc(p, len);
	new = __wrap_malloc(len);
	if (p)
		memcpy(new, p, *length_of(p) < len ? *length_of(p) : len);
	__wrap_free(p);
	return new;
}

void arena_surround(uint64_t (*clock_ns)(void), int (*pid)(void))
{
	arena.clock = clock_ns;
	arena.pid = pid;
}

/* A millisecond a call: every time stamp is newer than the last. */
int __wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
	(void)id;
	arena.clock_ns = arena.clock ? arena.clock() : arena.clock_ns + 1000000;
	ts->tv_sec = (time_t)(arena.clock_ns / 1000000000);
	ts->tv_nsec = (long)(arena.clock_ns % 1000000000);
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
	return 0;
}
