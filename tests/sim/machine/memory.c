/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.c - see memory.h for the model.
 *
 * Invariants: memory_view.index[line] is the place of the line in dirty[], or
 * -1; memory_view.n_dirty is the length of dirty[]; a line has at most one dirty
 * host; history is only appended to, so a mark need only remember its length.
 * The undo log holds the bytes a line had when it was first changed after the
 * innermost mark or rewind. memory.digest is the exclusive or of a hash of each
 * line whose bytes changed since the reset. Single-threaded.
 */
#include "machine/memory.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "machine/arena.h"

#define MARKS_MAX 16u
#define NOWHERE (-1)
#define PAGE 4096u
#define BASE_AT ((void *)0x200000000000) /* if it is free: pointers are the same in every run */

/* undo log */
struct saved_line {
	uint32_t line;
	uint8_t bytes[LINE];
};

/* of a dirty line, newer than the device's */
struct old_contents {
	int32_t older;
	uint8_t bytes[LINE];
};

struct dirty_line {
	uint32_t line;
	uint8_t host;
	uint8_t flushed;    /* persisted, not drained: 1 what it holds now, 2 flushed_as */
	uint32_t n_older;   /* entries in the chain */
	int32_t newest;     /* in history */
	int32_t flushed_as; /* in history */
	uint32_t flushers;  /* threads whose drain waits for that */
	uint8_t device[LINE];
};

struct mark {
	size_t n_saved, n_history, n_dirty;
	uint64_t digest;
	struct dirty_line *dirty;
	size_t capacity;
};

struct memory_view memory_view;

static struct memory {
	uint8_t *bytes, *base;
	uint64_t size;
	bool caches;
	uint64_t bulk, digest;
	uint32_t lines;
	uint32_t epoch, *saved_in; /* per line: epoch it was last saved in */
	struct saved_line *saved;
	size_t n_saved, saved_capacity;
	struct old_contents *history;
	size_t n_history, history_capacity;
	struct dirty_line *dirty;
	struct mark marks[MARKS_MAX];
	unsigned n_marks;
} memory;

bool memory_open(uint64_t size)
{
	/* Private, so that a child process has it for itself. Nothing is accessed at the base: it is an address. */
	memory.bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memory.base = mmap(BASE_AT, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory.bytes == MAP_FAILED || memory.base == MAP_FAILED)
		return false;
	memory.size = size;
	memory_view = (struct memory_view){ .bytes = memory.bytes, .base = (uintptr_t)memory.base, .size = size };
	memory.lines = (uint32_t)(size / LINE);
	memory.saved_in = arena_host_alloc(memory.lines * sizeof(*memory.saved_in));
	memory_view.index = arena_host_alloc(memory.lines * sizeof(*memory_view.index));
	memory.dirty = arena_host_alloc(memory.lines * sizeof(*memory.dirty));
	return true;
}

void memory_close(void)
{
	munmap(memory.bytes, memory.size);
	munmap(memory.base, memory.size);
	for (unsigned i = 0; i < MARKS_MAX; i++)
		arena_host_free(memory.marks[i].dirty);
	arena_host_free(memory.saved_in);
	arena_host_free(memory_view.index);
	arena_host_free(memory.dirty);
	arena_host_free(memory.saved);
	arena_host_free(memory.history);
	memset(&memory, 0, sizeof(memory));
	memset(&memory_view, 0, sizeof(memory_view));
}

void memory_reset(bool caches)
{
	memset(memory.bytes, 0, memory.size);
	memset(memory.saved_in, 0, memory.lines * sizeof(*memory.saved_in));
	for (uint32_t i = 0; i < memory.lines; i++)
		memory_view.index[i] = NOWHERE;
	memory.epoch = 1;
	memory.n_saved = memory.n_history = memory_view.n_dirty = 0;
	memory.n_marks = 0;
	memory.caches = caches;
	memory.bulk = UINT64_MAX;
	memory.digest = 0;
}

void *memory_base(void)
{
	return memory.base;
}

const uint8_t *memory_bytes(void)
{
	return memory.bytes;
}

uint64_t memory_size(void)
{
	return memory.size;
}

bool memory_owns(const void *p, size_t len)
{
	uintptr_t at = (uintptr_t)p, base = (uintptr_t)memory.base;

	return at >= base && at - base <= memory.size && len <= memory.size - (at - base);
}

uint64_t memory_offset(const void *p)
{
	return (uint64_t)((uintptr_t)p - (uintptr_t)memory.base);
}

static uint8_t *line_bytes(uint32_t line)
{
	return memory.bytes + (uint64_t)line * LINE;
}

static void *grown(void *p, size_t n, size_t *capacity, size_t size)
{
	if (n < *capacity)
		return p;
	*capacity = *capacity ? 2 * *capacity : 1024;
	return arena_host_realloc(p, *capacity * size);
}

/* -- undo -------------------------------------------------------------------- */

static void save(uint32_t line)
{
	if (!memory.n_marks || memory.saved_in[line] == memory.epoch)
		return;
	memory.saved_in[line] = memory.epoch;
	memory.saved = grown(memory.saved, memory.n_saved, &memory.saved_capacity, sizeof(*memory.saved));
	memory.saved[memory.n_saved].line = line;
	memcpy(memory.saved[memory.n_saved++].bytes, line_bytes(line), LINE);
}

void memory_mark(void)
{
	struct mark *mark = &memory.marks[memory.n_marks++];

	if (memory.n_marks > MARKS_MAX)
		arena_die("marks nested too deeply");
	mark->digest = memory.digest;
	mark->n_saved = memory.n_saved;
	mark->n_history = memory.n_history;
	mark->n_dirty = memory_view.n_dirty;
	if (memory_view.n_dirty > mark->capacity) {
		mark->capacity = memory_view.n_dirty;
		mark->dirty = arena_host_realloc(mark->dirty, mark->capacity * sizeof(*mark->dirty));
	}
	if (memory_view.n_dirty)
		memcpy(mark->dirty, memory.dirty, memory_view.n_dirty * sizeof(*mark->dirty));
	memory.epoch++;
}

void memory_rewind(void)
{
	const struct mark *mark = &memory.marks[memory.n_marks - 1];

	while (memory.n_saved > mark->n_saved) {
		const struct saved_line *saved = &memory.saved[--memory.n_saved];

		memcpy(line_bytes(saved->line), saved->bytes, LINE);
	}
	memory.digest = mark->digest;
	for (size_t i = 0; i < memory_view.n_dirty; i++)
		memory_view.index[memory.dirty[i].line] = NOWHERE;
	memory_view.n_dirty = mark->n_dirty;
	memory.n_history = mark->n_history;
	for (size_t i = 0; i < memory_view.n_dirty; i++) {
		memory.dirty[i] = mark->dirty[i];
		memory_view.index[memory.dirty[i].line] = (int32_t)i;
	}
	memory.epoch++;
}

void memory_drop(void)
{
	memory.n_marks--;
	memory.epoch++; /* what was saved for the inner mark serves the outer one too, and may be saved twice */
}

unsigned memory_marks(void)
{
	return memory.n_marks;
}

/* -- digest ------------------------------------------------------------------ */

static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

static uint64_t digest_of(uint64_t h, const uint8_t *bytes)
{
	for (unsigned i = 0; i < LINE; i += sizeof(uint64_t)) {
		uint64_t word;

		memcpy(&word, bytes + i, sizeof(word));
		h = (h ^ word) * 0x9fb21c651e98df25ull;
		h ^= h >> 32;
	}
	return h;
}

/* Once before and once after a change of a line: its part of the digest. */
static void digest_line(uint32_t line)
{
	memory.digest ^= mix(digest_of(line + 1, line_bytes(line)));
}

/* -- caches ------------------------------------------------------------------ */

static void clean(struct dirty_line *dirty)
{
	size_t at = (size_t)(dirty - memory.dirty);

	memory_view.index[dirty->line] = NOWHERE;
	if (at != --memory_view.n_dirty) {
		memory.dirty[at] = memory.dirty[memory_view.n_dirty];
		memory_view.index[memory.dirty[at].line] = (int32_t)at;
	}
}

static struct dirty_line *dirty_at(uint32_t line)
{
	return memory_view.index[line] == NOWHERE ? NULL : &memory.dirty[memory_view.index[line]];
}

/* Remember what the line holds now, before it changes again. */
static void push_history(struct dirty_line *dirty)
{
	struct old_contents *old;

	memory.history = grown(memory.history, memory.n_history, &memory.history_capacity, sizeof(*memory.history));
	old = &memory.history[memory.n_history];
	old->older = dirty->newest;
	memcpy(old->bytes, line_bytes(dirty->line), LINE);
	dirty->newest = (int32_t)memory.n_history++;
	dirty->n_older++;
	if (dirty->flushed == 1) {
		dirty->flushed = 2;
		dirty->flushed_as = dirty->newest;
	}
}

static void before_store(unsigned host, uint32_t line)
{
	struct dirty_line *dirty;

	save(line);
	if (!memory.caches)
		return;
	dirty = dirty_at(line);
	if (dirty && dirty->host != host) {
		clean(dirty); /* the other host's contents went to the device */
		dirty = NULL;
	}
	if (dirty) {
		push_history(dirty);
		return;
	}
	dirty = &memory.dirty[memory_view.n_dirty];
	*dirty = (struct dirty_line){ .line = line, .host = (uint8_t)host, .newest = NOWHERE };
	memcpy(dirty->device, line_bytes(line), LINE);
	memory_view.index[line] = (int32_t)memory_view.n_dirty++;
}

void memory_touch(unsigned host, uint64_t offset, size_t len)
{
	if (!memory.caches || !memory_view.n_dirty || !len)
		return;
	for (uint32_t line = (uint32_t)(offset / LINE); line <= (offset + len - 1) / LINE; line++) {
		struct dirty_line *dirty = dirty_at(line);

		if (dirty && dirty->host != host)
			clean(dirty);
	}
}

void memory_store(unsigned host, uint64_t offset, const void *src, size_t len)
{
	if (!len)
		return;
	for (uint32_t line = (uint32_t)(offset / LINE); line <= (offset + len - 1) / LINE; line++) {
		before_store(host, line);
		digest_line(line);
	}
	memcpy(memory.bytes + offset, src, len);
	for (uint32_t line = (uint32_t)(offset / LINE); line <= (offset + len - 1) / LINE; line++)
		digest_line(line);
}

void memory_persist(unsigned host, unsigned thread, uint64_t offset, size_t len)
{
	if (!memory.caches || !len)
		return;
	for (uint32_t line = (uint32_t)(offset / LINE); line <= (offset + len - 1) / LINE; line++) {
		struct dirty_line *dirty = dirty_at(line);

		if (!dirty || dirty->host != host)
			continue;
		dirty->flushed = 1;
		dirty->flushers |= 1u << thread;
	}
}

void memory_new_thread(unsigned host, unsigned thread)
{
	for (size_t i = 0; i < memory_view.n_dirty; i++) {
		struct dirty_line *dirty = &memory.dirty[i];

		if (dirty->host == host)
			dirty->flushers &= ~(1u << thread);
		if (!dirty->flushers)
			dirty->flushed = 0; /* it may come to be written back, like any dirty line */
	}
}

bool memory_drain(unsigned host, unsigned thread)
{
	bool changed = false;

	for (size_t i = memory_view.n_dirty; memory.caches && i-- > 0;) {
		struct dirty_line *dirty = &memory.dirty[i];

		if (dirty->host != host || !dirty->flushed || !(dirty->flushers & 1u << thread))
			continue;
		changed = true;
		if (dirty->flushed == 1) {
			clean(dirty);
			continue;
		}
		memcpy(dirty->device, memory.history[dirty->flushed_as].bytes, LINE);
		/* Older contents can no longer come back: keep the newer ones. */
		dirty->n_older = 0;
		for (int32_t h = dirty->newest; h != dirty->flushed_as; h = memory.history[h].older)
			dirty->n_older++;
		dirty->flushed = 0;
		dirty->flushers = 0;
	}
	return changed;
}

bool memory_durable(uint64_t offset)
{
	const struct dirty_line *dirty = memory.caches ? dirty_at((uint32_t)(offset / LINE)) : NULL;

	return !dirty || memcmp(dirty->device + offset % LINE, memory.bytes + offset, sizeof(uint64_t)) == 0;
}

void memory_quiesce(void)
{
	while (memory_view.n_dirty)
		clean(&memory.dirty[memory_view.n_dirty - 1]);
}

unsigned memory_dirty(unsigned host)
{
	unsigned n = 0;

	for (size_t i = 0; i < memory_view.n_dirty; i++)
		n += memory.dirty[i].host == host;
	return n;
}

void memory_bulk(uint64_t from)
{
	memory.bulk = from;
}

static uint32_t unit_of(uint32_t line)
{
	return (uint64_t)line * LINE >= memory.bulk ? line - line % (PAGE / LINE) : line;
}

/* The part of a line in the digest, with those contents, instead of its own. */
static uint64_t change_of(uint32_t line, const uint8_t *bytes)
{
	return mix(digest_of(line + 1, line_bytes(line))) ^ mix(digest_of(line + 1, bytes));
}

unsigned memory_units(unsigned host, struct memory_unit *units, unsigned max)
{
	unsigned n = 0;

	for (size_t i = memory_view.n_dirty; i-- > 0;) {
		const struct dirty_line *dirty = &memory.dirty[i];
		uint32_t unit = unit_of(dirty->line);
		unsigned k = 0;

		if (dirty->host != host)
			continue;
		while (k < n && units[k].first != unit)
			k++;
		if (k == max)
			arena_die("too many dirty lines to list their subsets");
		if (k == n)
			units[n++] = (struct memory_unit){ .first = unit };
		units[k].loss ^= change_of(dirty->line, dirty->device);
	}
	return n;
}

/* The contents of a dirty line `back` steps ago; beyond the last: the device's. */
static const uint8_t *contents(const struct dirty_line *dirty, uint64_t back)
{
	int32_t h = dirty->newest;

	if (back == 0)
		return line_bytes(dirty->line);
	for (uint64_t i = 1; i < back && i <= dirty->n_older; i++)
		h = memory.history[h].older;
	return back <= dirty->n_older ? memory.history[h].bytes : dirty->device;
}

/* The nth dirty line of a dying host: how many steps back it goes. */
static uint64_t steps_back(const struct dirty_line *dirty, struct fate fate, uint64_t nth)
{
	uint64_t device = dirty->n_older + 1u;

	switch (fate.kind) {
	case FATE_DROP_ALL: return device;
	case FATE_DROP_ONE: return nth == fate.n ? device : 0;
	case FATE_KEEP_ONE: return nth == fate.n ? 0 : device;
	case FATE_DROP_UNIT: return unit_of(dirty->line) == fate.n ? device : 0;
	case FATE_KEEP_UNITS: return unit_of(dirty->line) == fate.n || unit_of(dirty->line) == fate.also ? 0 : device;
	case FATE_RANDOM: return mix(fate.n * 0x9e3779b97f4a7c15ull + dirty->line) % (device + 1);
	default: return 0;
	}
}

uint64_t memory_loss(unsigned host, struct fate fate)
{
	uint64_t nth = 0, change = 0;

	for (size_t i = 0; i < memory_view.n_dirty; i++) {
		const struct dirty_line *dirty = &memory.dirty[i];

		if (dirty->host == host)
			change ^= change_of(dirty->line, contents(dirty, steps_back(dirty, fate, nth++)));
	}
	return change;
}

void memory_lose(unsigned host, struct fate fate)
{
	uint64_t nth = 0;
	size_t i = 0;

	while (i < memory_view.n_dirty) {
		struct dirty_line *dirty = &memory.dirty[i];
		uint8_t bytes[LINE];

		if (dirty->host != host) {
			i++;
			continue;
		}
		memcpy(bytes, contents(dirty, steps_back(dirty, fate, nth++)), LINE);
		save(dirty->line);
		digest_line(dirty->line);
		memcpy(line_bytes(dirty->line), bytes, LINE);
		digest_line(dirty->line);
		clean(dirty);
	}
}

static uint64_t digest_dirty(const struct dirty_line *dirty)
{
	uint64_t h = dirty->line * 64ull + dirty->host * 4u + dirty->flushed;
	int32_t old = dirty->newest;

	h ^= (uint64_t)dirty->flushers << 32;
	h = digest_of(h + 1, dirty->device);
	for (uint32_t i = 0; i < dirty->n_older; i++, old = memory.history[old].older)
		h = digest_of(h + (dirty->flushed == 2 && old == dirty->flushed_as), memory.history[old].bytes);
	return mix(h);
}

uint64_t memory_digest(void)
{
	uint64_t h = memory.digest;

	for (size_t i = 0; i < memory_view.n_dirty; i++)
		h ^= digest_dirty(&memory.dirty[i]);
	return h;
}

uint64_t memory_digest_bytes(void)
{
	return memory.digest;
}
