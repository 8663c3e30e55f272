/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump_tree.c - inodes and directories. Read only; a directory is walked by a
 * recursion of at most six levels and a leaf that enters no more nodes than the pool has
 * pages, so one whose nodes name each other ends too.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "fs/lockset.h"
#include "fs/xattrset.h"
#include "index/filemap.h"
#include "index/dirtrie.h"
#include "inspect/dump.h"
#include "mem/crc32c.h"

static const char *state_name(uint64_t s)
{
	static const char *const name[] = { "FREE", "PRIVATE", "LIVE", "RETIRED" };

	return state_of(s) <= DAXFS_RETIRED ? name[state_of(s)] : "DAMAGED";
}

/* -- inode -------------------------------------------------------------------- */

static void dump_word(const struct dump *d, uint64_t inode, const char *field, const sm_u64 *word,
		      enum daxfs_word_class class)
{
	uint64_t w = sm_load(word);
	char text[INSPECT_TEXT];

	inspect_value_text(inspect_word(d->pool, word, class), class, text, sizeof(text));
	if (word_is_mark(w))
		DUMP(d, "inode=%" PRIu64 " %s=\"%s\" marked_by_lane=%u seq=%" PRIu64 " entry=%u", inode, field, text,
		     mark_lane(w), mark_seq(w), mark_widx(w));
	else
		DUMP(d, "inode=%" PRIu64 " %s=\"%s\" version=%" PRIu64, inode, field, text, w >> word_shift(class));
}

static void dump_links(const struct dump *d, uint64_t i, const char *field, const sm_u64 *word, unsigned n)
{
	char name[32];

	for (unsigned k = 0; k < n; k++) {
		snprintf(name, sizeof(name), "%s[%u]", field, k);
		if (sm_load(&word[k]))
			dump_word(d, i, name, &word[k], DAXFS_W_LINK);
	}
}

static void dump_lock(const struct dump *d, uint64_t i, const struct sm_lock *lock)
{
	DUMP(d, "inode=%" PRIu64 " lock=%s type=%s start=%" PRIu64 " end=%" PRIu64 " host=%u owner=%#" PRIx64 " pid=%u",
	     i,
	     lock->kind == DAXFS_LOCK_POSIX   ? "posix"
	     : lock->kind == DAXFS_LOCK_FLOCK ? "flock"
					      : "map",
	     lock->type == DAXFS_LOCK_WRITE ? "write" : "read", lock->start, lock->end, lock->host, lock->owner,
	     lock->pid);
}

static void dump_locks(const struct dump *d, uint64_t i)
{
	const sm_u64 *word = &d->pool->inodes[i].locks;
	uint64_t w = inspect_word(d->pool, word, DAXFS_W_LINK);
	struct sm_lock room[DAXFS_LOCKS_MAX];
	struct lockset set = { 0, room };

	if (sm_load(word))
		dump_word(d, i, "locks", word, DAXFS_W_LINK);
	if (link_kind(w) == DAXFS_ABSENT)
		return;
	if (inspect_locks(d->pool, i, w, &set))
		DUMP(d, "inode=%" PRIu64 " lock=DAMAGED", i);
	for (unsigned k = 0; k < set.n; k++)
		dump_lock(d, i, &set.lock[k]);
}

static void dump_xattrs(const struct dump *d, uint64_t i)
{
	const sm_u64 *word = &d->pool->inodes[i].xattrs;
	uint64_t w = inspect_word(d->pool, word, DAXFS_W_LINK);
	struct sm_xattrs set;
	struct xattr entry;
	uint32_t at = 0;

	if (sm_load(word))
		dump_word(d, i, "xattrs", word, DAXFS_W_LINK);
	if (link_kind(w) == DAXFS_ABSENT)
		return;
	if (inspect_xattrs(d->pool, i, w, &set))
		DUMP(d, "inode=%" PRIu64 " xattr=DAMAGED", i);
	while (xattrset_next(&set, &at, &entry))
		DUMP(d, "inode=%" PRIu64 " xattr=%.*s bytes=%u crc=%#x", i, (int)entry.name_len, entry.name,
		     entry.value_len, crc32c(0, entry.value, entry.value_len));
}

int dump_inode(const struct dump *d, uint64_t i)
{
	const struct sm_inode *sm;
	uint64_t s;

	if (i >= d->pool->objects[DAXFS_T_INODE])
		return -ENOENT;
	sm = &d->pool->inodes[i];
	s = sm_load(&d->pool->state[DAXFS_T_INODE][i]);
	DUMP(d,
	     "inode=%" PRIu64 " state=%s state_word=%#" PRIx64 " birth=%" PRIu64 " i_generation=%" PRIu64
	     " handle=%#" PRIx64,
	     i, state_name(s), s, sm_load(&d->pool->birth[DAXFS_T_INODE][i]), sm_load(&sm->i_generation),
	     handle_make(sm_load(&sm->i_generation), i));
	DUMP(d, "inode=%" PRIu64 " mode_octal=%#o", i, (unsigned)inspect_word(d->pool, &sm->mode, DAXFS_W_ATTR));
	dump_word(d, i, "mode", &sm->mode, DAXFS_W_ATTR);
	dump_word(d, i, "uid", &sm->uid, DAXFS_W_ATTR);
	dump_word(d, i, "gid", &sm->gid, DAXFS_W_ATTR);
	dump_word(d, i, "size", &sm->size, DAXFS_W_SIZE);
	dump_word(d, i, "trunc", &sm->trunc, DAXFS_W_TICK);
	dump_word(d, i, "nlink", &sm->nlink, DAXFS_W_NLINK);
	dump_word(d, i, "openers[0]", &sm->openers[0], DAXFS_W_OPENERS);
	dump_word(d, i, "openers[1]", &sm->openers[1], DAXFS_W_OPENERS);
	dump_word(d, i, "parent", &sm->parent, DAXFS_W_LINK);
	dump_word(d, i, "dir_root", &sm->dir_root, DAXFS_W_LINK);
	dump_links(d, i, "direct", sm->direct, DAXFS_DIRECT);
	dump_links(d, i, "indirect", sm->indirect, DAXFS_INDIRECT);
	dump_locks(d, i);
	dump_xattrs(d, i);
	DUMP(d,
	     "inode=%" PRIu64 " atime_ns=%" PRIu64 " mtime_ns=%" PRIu64 " ctime_ns=%" PRIu64 " btime_ns=%" PRIu64
	     " rdev=%#" PRIx64 "",
	     i, sm_load(&sm->atime), sm_load(&sm->mtime), sm_load(&sm->ctime), sm_load(&sm->btime), sm_load(&sm->rdev));
	return 0;
}

/* -- directory ------------------------------------------------------------------ */

/* A name on one line: anything but printable ASCII, and \ and ", as \xNN. */
static void escape_name(const char *name, size_t len, char *out, size_t size)
{
	size_t at = 0;

	for (size_t i = 0; i < len && at + 5 < size; i++) {
		unsigned char c = (unsigned char)name[i];

		if (c < ' ' || c > '~' || c == '\\' || c == '"')
			at += (size_t)snprintf(out + at, size - at, "\\x%02x", c);
		else
			out[at++] = (char)c;
	}
	out[at] = '\0';
}

static void dump_entry(const struct dump *d, uint64_t page, unsigned slot, unsigned level, uint64_t index)
{
	struct sm_dirent entry;
	char name[4 * DAXFS_NAME_MAX + 8];

	if (index >= d->pool->objects[DAXFS_T_DIRENT]) {
		DUMP(d, "level=%u page=%" PRIu64 " slot=%u dirent=%" PRIu64 " DAMAGED: no such dirent", level, page,
		     slot, index);
		return;
	}
	sm_read(&entry, &d->pool->dirents[index], sizeof(entry));
	escape_name(entry.name, entry.len, name, sizeof(name));
	DUMP(d,
	     "level=%u page=%" PRIu64 " slot=%u dirent=%" PRIu64 " hash=%#" PRIx64 " inode=%" PRIu64 "/%" PRIu64
	     " type=%u twin=%u name=\"%s\"",
	     level, page, slot, index, entry.hash, handle_index(entry.handle), handle_generation(entry.handle),
	     entry.type, entry.twin, name);
}

static void dump_node(const struct dump *d, uint64_t page, unsigned level, uint64_t *left);

/* One line for a node or leaf. False: there are more than pages. */
static bool dump_page(const struct dump *d, uint64_t page, unsigned level, const char *what, uint64_t *left)
{
	uint64_t count = inspect_word(d->pool, &d->pool->count[page], DAXFS_W_COUNT);

	if (!*left) {
		DUMP(d, "level=%u page=%" PRIu64 " DAMAGED: more nodes than the pool has pages", level, page);
		return false;
	}
	--*left;
	DUMP(d, "level=%u page=%" PRIu64 "%s count=%" PRIu64 "%s", level, page, what,
	     (uint64_t)(count & (DAXFS_COUNT_FROZEN - 1)), count & DAXFS_COUNT_FROZEN ? " FROZEN" : "");
	return true;
}

static void dump_bad(const struct dump *d, uint64_t page, unsigned slot, unsigned level, uint64_t w)
{
	DUMP(d, "level=%u page=%" PRIu64 " slot=%u DAMAGED: link of kind %u index %" PRIu64, level, page, slot,
	     link_kind(w), link_index(w));
}

static void dump_leaf(const struct dump *d, uint64_t page, unsigned level, uint64_t *left)
{
	if (!dump_page(d, page, level, " leaf", left))
		return;
	for (unsigned slot = 0; slot < DAXFS_NODE_SLOTS; slot++) {
		uint64_t w = inspect_word(d->pool, &map_node(d->pool, page)->slot[slot], DAXFS_W_NAME);

		if (link_kind(w) == DAXFS_DIRENT)
			dump_entry(d, page, slot, level, link_index(w));
		else if (link_kind(w) != DAXFS_ABSENT)
			dump_bad(d, page, slot, level, w);
	}
}

/* The slots that are told of with this one: of a run that is whole, all. */
static unsigned dump_slot(const struct dump *d, uint64_t page, unsigned slot, unsigned level, uint64_t *left)
{
	uint64_t w = inspect_word(d->pool, &map_node(d->pool, page)->slot[slot], DAXFS_W_NAME);
	bool page_exists = link_index(w) < d->pool->objects[DAXFS_T_PAGE];
	unsigned run = name_hint(w);

	if (link_kind(w) == DAXFS_DIRENT) {
		dump_entry(d, page, slot, level, link_index(w));
	} else if (trie_names_leaf(d->pool, w) && trie_run_start(slot, run) == slot) {
		DUMP(d, "level=%u page=%" PRIu64 " slots=%u-%u leaf=%" PRIu64, level, page, slot,
		     slot + (1u << run) - 1, link_index(w));
		dump_leaf(d, link_index(w), level + 1, left);
		return 1u << run;
	} else if (link_kind(w) == DAXFS_NODE && level + 1 < DAXFS_HASH_LEVELS && page_exists) {
		dump_node(d, link_index(w), level + 1, left);
	} else if (link_kind(w) != DAXFS_ABSENT) {
		dump_bad(d, page, slot, level, w);
	}
	return 1;
}

static void dump_node(const struct dump *d, uint64_t page, unsigned level, uint64_t *left)
{
	if (!dump_page(d, page, level, "", left))
		return;
	for (unsigned slot = 0; slot < DAXFS_NODE_SLOTS && *left;)
		slot += dump_slot(d, page, slot, level, left);
}

int dump_dir(const struct dump *d, uint64_t i)
{
	uint64_t left = d->pool->objects[DAXFS_T_PAGE], root;

	if (i >= d->pool->objects[DAXFS_T_INODE])
		return -ENOENT;
	if (!S_ISDIR((uint32_t)inspect_word(d->pool, &d->pool->inodes[i].mode, DAXFS_W_ATTR)))
		return -ENOTDIR;
	root = inspect_word(d->pool, &d->pool->inodes[i].dir_root, DAXFS_W_LINK);
	if (link_kind(root) != DAXFS_NODE || link_index(root) >= d->pool->objects[DAXFS_T_PAGE]) {
		DUMP(d, "inode=%" PRIu64 " DAMAGED: no root node", i);
		return 0;
	}
	dump_node(d, link_index(root), 0, &left);
	return 0;
}
