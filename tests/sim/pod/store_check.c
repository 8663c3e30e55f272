/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_check.c - the oracle of pods with storage. At any moment, whoever has died, and whatever storage may lose:
 *
 *  S1 Of each page of a file either the pool has the bytes that the file has (the model says which), or storage has
 *     them safely: whatever is left after any loss of power has them. A page that the pool has must be right, too.
 *  S2 What a host was told to be synced, and nobody has changed since, is safe in storage; so is the size.
 *  S3 A file that is not dirty ends in storage where it ends.
 *
 * What readers were given is judged like any read (pod/judge.c). Words that are in somebody's record are looked at
 * another time.
 */
#include <string.h>

#include "fs/cache.h"
#include "pod/store.h"
#include "sync/word.h"

#define SECTORS 512u /* of a file, as far as it is known */
#define LOOKED 64u   /* pages */
#define UNLOOKED UINT64_MAX

static struct checking {
	uint64_t now; /* changes, of all files */
	struct tracked {
		uint64_t size, resized; /* when */
		bool size_synced;
		uint64_t changed[SECTORS];
		bool synced[SECTORS];
		/* what was looked at last, and was right */
		uint64_t disk, synced_disk, version, size_word, stored, word[LOOKED];
	} file[STORE_FILES];
} checking;

void store_check_reset(void)
{
	memset(&checking, 0, sizeof(checking));
	for (unsigned i = 0; i < STORE_FILES; i++) {
		checking.file[i].size = store.size[i];
		checking.file[i].size_synced = true;
		memset(checking.file[i].synced, true, sizeof(checking.file[i].synced));
	}
}

/* -- what has changed -------------------------------------------------------------------- */

static void note(struct tracked *t, uint64_t from, uint64_t to)
{
	for (uint64_t s = from / DISK_SECTOR; s < SECTORS && s * DISK_SECTOR < to; s++) {
		t->changed[s] = checking.now;
		t->synced[s] = false;
	}
}

static void note_size(struct tracked *t, uint64_t size)
{
	if (size == t->size)
		return;
	t->size = size;
	t->resized = checking.now;
	t->size_synced = false;
}

void store_changed(const struct op *op)
{
	int file = store_file(op->ino);
	struct tracked *t = &checking.file[file < 0 ? 0 : file];
	uint64_t size = model_size(op->ino), from;

	if (file < 0 || (op->kind != DO_WRITE && op->kind != DO_SETATTR))
		return;
	checking.now++;
	from = op->kind == DO_SETATTR ? op->len : op->flags ? size - op->len : op->offset;
	note(t, from < t->size ? from : t->size, op->kind == DO_SETATTR ? UINT64_MAX : from + op->len);
	note_size(t, size);
}

void store_taken_back(void)
{
	checking.now++;
	for (unsigned i = 0; i < STORE_FILES; i++) {
		note(&checking.file[i], 0, UINT64_MAX);
		checking.file[i].size_synced = false;
		note_size(&checking.file[i], model_size(store.file[i]));
	}
}

uint64_t store_now(void)
{
	return checking.now;
}

/* -- S2 ------------------------------------------------------------------------------------ */

/* Does storage have a range of the file for sure? */
static bool is_safe(unsigned file, uint64_t offset, size_t len)
{
	static uint8_t bytes[DAXFS_PAGE_SIZE];
	uint64_t n = model_read(store.file[file], offset, len, bytes);

	return disk_has(&store.disk, file, bytes, n, offset);
}

static void check_synced(unsigned file, const char *when)
{
	struct tracked *t = &checking.file[file];

	if (t->synced_disk == store.disk.changes)
		return;
	t->synced_disk = store.disk.changes;
	for (uint64_t s = 0; s < SECTORS && s * DISK_SECTOR < t->size; s++)
		if (t->synced[s] && !is_safe(file, s * DISK_SECTOR, DISK_SECTOR))
			pod_violation("%s: file %u of storage: bytes at %llu were synced, and storage may lose them",
				      when, file, (unsigned long long)(s * DISK_SECTOR));
	if (t->size_synced && !disk_ends(&store.disk, file, t->size))
		pod_violation("%s: file %u of storage: its size %llu was synced, and storage may have another", when,
			      file, (unsigned long long)t->size);
}

void store_synced(unsigned file, uint64_t since)
{
	struct tracked *t = &checking.file[file];

	trace_line("  SYNCED file %u, of size %llu", file, (unsigned long long)t->size);
	for (unsigned s = 0; s < SECTORS; s++)
		t->synced[s] |= t->changed[s] <= since;
	t->size_synced |= t->resized <= since;
	t->synced_disk = UNLOOKED;
	check_synced(file, "after an fsync");
}

/* -- S1, S3 ----------------------------------------------------------------------------------- */

/* The word of a page; false: it cannot be said now. */
static bool page_word(const struct sm_inode *sm, uint64_t page, uint64_t *word)
{
	const sm_u64 *at = &sm->direct[page];
	uint64_t node;

	if (page >= DAXFS_DIRECT) {
		node = peek_word(&sm->indirect[0]);
		if (word_is_mark(node))
			return false;
		*word = 0;
		if (link_kind(node) != DAXFS_NODE)
			return true;
		at = (const sm_u64 *)(const void *)pool_page(&pod.pool, link_index(node)) + page;
	}
	*word = peek_word(at);
	return !word_is_mark(*word);
}

static void check_page(unsigned file, uint64_t page, uint64_t word, bool stored, const char *when)
{
	static uint8_t bytes[DAXFS_PAGE_SIZE], zeros[DAXFS_PAGE_SIZE];
	uint64_t n = model_read(store.file[file], page * DAXFS_PAGE_SIZE, DAXFS_PAGE_SIZE, bytes);
	const char *wrong = NULL;

	if (map_names_page(&pod.pool, word) &&
	    memcmp(memory_bytes() + memory_offset(pool_page(&pod.pool, link_index(word))), bytes, n) != 0)
		wrong = "the pool has other bytes";
	else if (link_names(&pod.pool, word, DAXFS_DATA))
		return;
	else if (!stored && (link_names(&pod.pool, word, DAXFS_CLEAN) || memcmp(bytes, zeros, n) != 0))
		wrong = "it is said to be behind what storage has";
	else if (stored && !is_safe(file, page * DAXFS_PAGE_SIZE, DAXFS_PAGE_SIZE))
		wrong = "storage is to have it, and may lose it";
	if (wrong)
		pod_violation("%s: file %u of storage, page %llu, word %llx: %s", when, file, (unsigned long long)page,
			      (unsigned long long)word, wrong);
}

/* Has nothing changed but words since it was looked at? Else all of them are to be looked at again. */
static void remember(unsigned file, uint64_t size, uint64_t stored)
{
	const struct op op = { .kind = DO_GETATTR, .ino = store.file[file] };
	struct tracked *t = &checking.file[file];
	uint64_t version = model_version(&op);

	if (t->disk == store.disk.changes && t->version == version && t->size_word == size && t->stored == stored)
		return;
	t->disk = store.disk.changes;
	t->version = version;
	t->size_word = size;
	t->stored = stored;
	for (unsigned i = 0; i < LOOKED; i++)
		t->word[i] = UNLOOKED;
}

static void check_file(unsigned file, const char *when)
{
	const struct sm_inode *sm = &pod.pool.inodes[(uint32_t)store.file[file]];
	uint64_t size = peek_word(&sm->size), stored = peek_word(&sm->dir_root), pages, word;

	if (word_is_mark(size) || word_is_mark(stored))
		return;
	if (size_bytes(size) != model_size(store.file[file])) {
		pod_violation("%s: file %u of storage has size %llu, not %llu", when, file,
			      (unsigned long long)size_bytes(size), (unsigned long long)model_size(store.file[file]));
		return;
	}
	pages = cache_stored(0, size);
	remember(file, size, stored);
	for (uint64_t page = 0; page < pages && page < LOOKED && !pod.violated; page++) {
		if (!page_word(sm, page, &word) || word == checking.file[file].word[page])
			continue;
		check_page(file, page, word, page < cache_stored(stored, size), when);
		checking.file[file].word[page] = word;
	}
	if ((link_kind(stored) != DAXFS_STORED || stored_state(stored) == DAXFS_STORED_SAME) &&
	    !disk_ends(&store.disk, file, size_bytes(size)))
		pod_violation("%s: file %u of storage is not dirty, and may end elsewhere", when, file);
}

void store_check(const char *when)
{
	for (unsigned i = 0; pod.stored && i < STORE_FILES && !pod.violated; i++) {
		check_file(i, when);
		check_synced(i, when);
	}
}

/* -- the end ------------------------------------------------------------------------------------- */

static void call_all(unsigned machine, long (*call)(void *arg), const char *what)
{
	char err[160] = "";
	long rc = 0;

	if (!pod.violated && (run_all(machine, call, &pod.machine[machine], &rc, err) != RUN_RETURNED || rc))
		pod_violation("at rest: machine %u cannot %s: %ld %s", machine, what, rc, err);
}

static long call_flush(void *arg)
{
	const struct machine *m = arg;
	long rc = 0;

	for (unsigned i = 0; rc == 0 && i < STORE_FILES; i++)
		rc = backing_flush(store_backing((unsigned)(m - pod.machine)), store.file[i]);
	return rc;
}

void store_end_flush(void)
{
	uint64_t since = store_now();

	if (!store_backing(0)) {
		pod_violation("at rest: machine 0 has not got the storage");
		return;
	}
	call_all(0, call_flush, "write back");
	for (unsigned i = 0; i < STORE_FILES && !pod.violated; i++)
		store_synced(i, since);
	store_check("at rest, all written back");
}

static long call_drop(void *arg)
{
	const struct machine *m = arg;
	int64_t n = 0;

	for (unsigned i = 0; n >= 0 && i < STORE_FILES; i++)
		n = daxfs_cache_drop(m->fs, store.file[i], 0, UINT64_MAX);
	daxfs_xattr_remove(m->fs, store.tree, BACKING_ERROR);
	return n < 0 ? n : 0;
}

void store_end_drop(void)
{
	call_all(0, call_drop, "drop what is cached");
	store_check("at rest, all dropped");
}

static long call_detach(void *arg)
{
	const struct machine *m = arg;
	struct backing *b = store_backing((unsigned)(m - pod.machine));
	long rc = b ? daxfs_backing_detach(b->fs, b->number) : 0;

	return rc || !b ? rc : daxfs_file_close(b->fs, b->root);
}

void store_end_detach(void)
{
	for (unsigned m = 0; m < pod.machines; m++)
		call_all(m, call_detach, "let go of the storage");
}
