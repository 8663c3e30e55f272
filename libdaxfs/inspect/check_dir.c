/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_dir.c - directories: tries of nodes, entries, the tree they make.
 *
 * Directories are walked from a queue that each enters at most once, nodes by
 * recursion of at most seven levels, so neither a cycle nor a deep tree costs
 * more than the objects there are.
 */
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "index/filemap.h"
#include "index/dirtrie.h"
#include "inspect/repair.h"

/* of one directory */
struct walk {
	struct check *c;
	uint64_t dir;
	bool orphan;
};

/* -- what has a name -------------------------------------------------------- */

/* False: it has another name, or is the root, and this one is not to stay. */
static bool reach_dir(struct walk *d, uint64_t inode, const struct place *at)
{
	struct check *c = d->c;
	uint64_t parent = check_value(c, &c->pool->inodes[inode].parent, DAXFS_W_LINK);
	bool stays = c->names[inode] <= 1 && (inode != DAXFS_ROOT_INO || !c->names[inode]);

	if (parent != link_payload(DAXFS_INODE, d->dir)) {
		check_problem(c, "bad-parent", PLACE("inode", inode),
			      "named in directory %" PRIu64 ", its parent word is kind %u index %" PRIu64, d->dir,
			      link_kind(parent), link_index(parent));
		if (stays && repair_do(c, PLACE_FIELD("inode", inode, "parent", -1), "directory %" PRIu64, d->dir))
			repair_word(c, &c->pool->inodes[inode].parent, DAXFS_W_LINK, link_payload(DAXFS_INODE, d->dir));
	}
	if (c->names[inode] > 1)
		check_problem(c, "double-dir", at, "directory %" PRIu64 " has another name already", inode);
	return stays;
}

/* The first name of an inode brings in what is below it. */
static void reach_inode(struct check *c, uint64_t inode, bool dir, const struct place *at)
{
	if (check_is(c, DAXFS_T_INODE, inode, CHECK_REACHED))
		return;
	c->notes[DAXFS_T_INODE][inode] |= CHECK_REACHED;
	check_state(c, DAXFS_T_INODE, inode, DAXFS_USE_INODE, at);
	c->out->directories += dir;
	c->out->files += !dir;
	if (dir)
		c->queue[c->queued++] = (uint32_t)inode;
	else
		check_content(c, inode);
}

/* An entry's type follows its inode; but an inode without a type follows its entry. */
static void repair_type(struct check *c, uint64_t index, uint64_t dirent, uint32_t mode, unsigned type)
{
	const struct sm_dirent *entry = &c->pool->dirents[dirent];
	uint8_t right = (uint8_t)((mode & S_IFMT) >> 12);

	if (right) {
		if (repair_do(c, PLACE("dirent", dirent), "of type %u", right))
			repair_bytes(c, &entry->type, &right, 1);
	} else if (repair_do(c, PLACE_FIELD("inode", index, "mode", -1), "of type %u", type)) {
		mode = (mode & 07777) | (uint32_t)(type & 15) << 12;
		repair_word(c, &c->pool->inodes[index].mode, DAXFS_W_ATTR, mode);
	}
}

/* False: the entry leads nowhere, or where it must not. */
static bool check_target(struct walk *d, const struct sm_dirent *entry, uint64_t dirent, const struct place *at)
{
	struct check *c = d->c;
	uint64_t index = handle_index(entry->handle);
	uint32_t mode;

	c->out->names++;
	if (index == 0 || index >= c->pool->objects[DAXFS_T_INODE] ||
	    sm_load(&c->pool->inodes[index].i_generation) != handle_generation(entry->handle)) {
		check_problem(c, "bad-handle", at, "names handle %#" PRIx64 ", which is no inode", entry->handle);
		return false;
	}
	c->names[index]++;
	mode = (uint32_t)check_value(c, &c->pool->inodes[index].mode, DAXFS_W_ATTR);
	if (entry->type != (mode & S_IFMT) >> 12) {
		check_problem(c, "bad-type", at, "says type %u, mode of inode %" PRIu64 " is %#o", entry->type, index,
			      mode);
		repair_type(c, index, dirent, mode, entry->type);
		mode = (uint32_t)check_value(c, &c->pool->inodes[index].mode, DAXFS_W_ATTR);
	}
	if (S_ISDIR(mode) && !reach_dir(d, index, at) && c->fix) {
		c->names[index]--;
		return false;
	}
	reach_inode(c, index, S_ISDIR(mode), at);
	return true;
}

/* -- entries ---------------------------------------------------------------- */

static bool name_valid(const struct sm_dirent *entry)
{
	const char *name = entry->name;

	return entry->len > 0 && name[entry->len] == '\0' && !memchr(name, '\0', entry->len) &&
	       !memchr(name, '/', entry->len) && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* Names are unique: equal ones have equal hashes and meet in one unordered node. */
static bool named_before(const struct check *c, const struct sm_node *node, unsigned slot,
			 const struct sm_dirent *entry)
{
	struct sm_dirent other;

	for (unsigned i = 0; i < slot; i++) {
		uint64_t w = check_value(c, &node->slot[i], DAXFS_W_LINK);

		if (link_kind(w) != DAXFS_DIRENT || link_index(w) >= c->pool->objects[DAXFS_T_DIRENT])
			continue;
		sm_read(&other, &c->pool->dirents[link_index(w)], sizeof(other));
		if (other.len == entry->len && memcmp(other.name, entry->name, entry->len) == 0)
			return true;
	}
	return false;
}

/* key: the bits of the hash that the place stands for, bits of them. */
static bool check_entry(struct walk *d, uint64_t index, uint64_t key, unsigned bits)
{
	struct check *c = d->c;
	const struct place *at = PLACE("dirent", index);
	uint64_t before = c->out->problems;
	struct sm_dirent entry;

	sm_read(&entry, &c->pool->dirents[index], sizeof(entry));
	if (!name_valid(&entry))
		check_problem(c, "bad-name", at, "its name of %u bytes is not one that a file may have", entry.len);
	else if (entry.hash != trie_hash(c->pool, entry.name, entry.len))
		check_problem(c, "bad-hash", at, "stored hash %#" PRIx64 " is not that of its name", entry.hash);
	if (entry.hash >> DAXFS_HASH_BITS || entry.hash >> (DAXFS_HASH_BITS - bits) != key)
		check_problem(c, "misplaced", at,
			      "hash %#" PRIx64 " does not belong where directory %" PRIu64 " has it", entry.hash,
			      d->dir);
	/* Nobody finds it by its name, so in a repair it goes; its inode may get another name. */
	if (c->fix && c->out->problems != before)
		return false;
	return check_target(d, &entry, index, at);
}

/* -- nodes ------------------------------------------------------------------ */

static unsigned walk_node(struct walk *d, uint64_t page, unsigned level, uint64_t key);

/* An entry that is not to stay. What is printed of its name is no more than that. */
static void repair_entry(struct walk *d, const sm_u64 *word, uint64_t index, const struct place *at)
{
	struct sm_dirent entry;
	char name[64];

	if (!d->c->fix)
		return;
	sm_read(&entry, &d->c->pool->dirents[index], sizeof(entry));
	snprintf(name, sizeof(name), "%.*s", entry.len < 60 ? entry.len : 60, entry.name);
	for (char *p = name; *p; p++)
		*p = *p < ' ' || *p > '~' ? '?' : *p;
	repair_cut(d->c, word, at);
	repair_lost(d->c, "the name \"%s\" of inode %" PRIu64 " in directory inode %" PRIu64, name,
		    handle_index(entry.handle), d->dir);
}

/* False: the entry is not to stay. */
static bool walk_entry(struct walk *d, uint64_t page, unsigned slot, uint64_t index, unsigned level, uint64_t key)
{
	struct check *c = d->c;
	const struct sm_node *node = map_node(c->pool, page);
	bool unordered = level == DAXFS_HASH_LEVELS;
	struct sm_dirent entry;

	if (!check_reach(c, DAXFS_T_DIRENT, index, DAXFS_USE_DIRENT, PLACE_FIELD("page", page, "slot", (int)slot)))
		return false;
	sm_read(&entry, &c->pool->dirents[index], sizeof(entry));
	if (unordered && named_before(c, node, slot, &entry)) {
		check_problem(c, "double-name", PLACE("dirent", index), "directory %" PRIu64 " has this name twice",
			      d->dir);
		if (c->fix)
			return false;
	}
	return check_entry(d, index, key, TRIE_BITS * (unordered ? level : level + 1));
}

/* A slot whose entry is not to stay, or cannot be: the index may be none. */
static void repair_slot(struct walk *d, const sm_u64 *word, uint64_t w, const struct place *at)
{
	if (link_index(w) < d->c->pool->objects[DAXFS_T_DIRENT])
		repair_entry(d, word, link_index(w), at);
	else
		repair_cut(d->c, word, at);
}

/* True: the slot is used. */
static bool walk_slot(struct walk *d, uint64_t page, unsigned slot, unsigned level, uint64_t key)
{
	struct check *c = d->c;
	const sm_u64 *word = &map_node(c->pool, page)->slot[slot];
	const struct place *at = PLACE_FIELD("page", page, "slot", (int)slot);
	bool unordered = level == DAXFS_HASH_LEVELS;
	uint64_t w, below = unordered ? key : key << TRIE_BITS | slot;

	check_mark(c, word, DAXFS_W_LINK, at);
	w = check_value(c, word, DAXFS_W_LINK);
	if (link_kind(w) == DAXFS_ABSENT)
		return false;
	if (link_kind(w) == DAXFS_DIRENT) {
		if (!walk_entry(d, page, slot, link_index(w), level, below) && c->fix)
			repair_slot(d, word, w, at);
	} else if (link_kind(w) != DAXFS_NODE || unordered) {
		check_problem(c, "bad-kind", at, "a link of kind %u in a directory node of level %u", link_kind(w),
			      level);
		repair_cut(c, word, at);
	} else if (!check_reach(c, DAXFS_T_PAGE, link_index(w), DAXFS_USE_NODE, at)) {
		repair_cut(c, word, at);
	} else if (walk_node(d, link_index(w), level + 1, below) == 0) {
		repair_cut(c, word, at); /* a node without a name */
	}
	return link_kind(check_value(c, word, DAXFS_W_LINK)) != DAXFS_ABSENT;
}

static void repair_count(struct check *c, uint64_t page, unsigned used, bool frozen, const struct place *at)
{
	if (repair_do(c, at, "%u%s", used, frozen ? ", frozen" : ""))
		repair_word(c, &c->pool->count[page], DAXFS_W_COUNT, used | (frozen ? DAXFS_COUNT_FROZEN : 0));
}

/* The count is right; a node but the root goes with its last name; names may be added to it. */
static void check_count(struct walk *d, uint64_t page, unsigned level, unsigned used)
{
	struct check *c = d->c;
	uint64_t count = check_value(c, &c->pool->count[page], DAXFS_W_COUNT);
	uint64_t said = count & (DAXFS_COUNT_FROZEN - 1);
	bool frozen = count & DAXFS_COUNT_FROZEN, removed = d->orphan && level == 0;
	const struct place *at = PLACE_FIELD("page", page, "count", -1);

	if (said != used) {
		check_problem(c, "bad-count", at, "%" PRIu64 ", but %u slots are used", said, used);
		repair_count(c, page, used, removed, at);
	}
	if (!used && level)
		check_problem(c, "empty-node", at, "directory %" PRIu64 " keeps a node without a name", d->dir);
	if (frozen && !removed)
		check_problem(c, "frozen", at, "frozen, but directory %" PRIu64 " is in use", d->dir);
	if (!frozen && removed)
		check_problem(c, "not-frozen", at, "directory %" PRIu64 " was removed, names could still be added",
			      d->dir);
	if (frozen != removed)
		repair_count(c, page, used, removed, at);
}

/* How many slots are used. */
static unsigned walk_node(struct walk *d, uint64_t page, unsigned level, uint64_t key)
{
	unsigned used = 0;

	for (unsigned slot = 0; slot < DAXFS_NODE_SLOTS; slot++)
		used += walk_slot(d, page, slot, level, key);
	check_count(d, page, level, used);
	return used;
}

/* -- the tree --------------------------------------------------------------- */

static void check_dir(struct check *c, uint64_t inode)
{
	struct walk d = { .c = c, .dir = inode, .orphan = check_is(c, DAXFS_T_INODE, inode, CHECK_ORPHAN) };
	uint64_t w = check_value(c, &c->pool->inodes[inode].dir_root, DAXFS_W_LINK);
	const struct place *at = PLACE_FIELD("inode", inode, "dir_root", -1);

	check_content(c, inode);
	if (link_kind(w) != DAXFS_NODE)
		check_problem(c, "bad-kind", at, "a directory's root is a link of kind %u", link_kind(w));
	if (link_kind(w) == DAXFS_NODE && check_reach(c, DAXFS_T_PAGE, link_index(w), DAXFS_USE_NODE, at)) {
		walk_node(&d, link_index(w), 0, 0);
		return;
	}
	repair_root(c, inode, at);
}

void check_dirs_queued(struct check *c)
{
	/* What is walked may queue more; the queue has a place for every inode. */
	for (uint64_t i = 0; i < c->queued; i++)
		check_dir(c, c->queue[i]);
	c->queued = 0;
}

void check_tree(struct check *c)
{
	uint32_t mode = (uint32_t)check_value(c, &c->pool->inodes[DAXFS_ROOT_INO].mode, DAXFS_W_ATTR);
	const struct place *at = PLACE("inode", DAXFS_ROOT_INO);
	struct walk root = { .c = c, .dir = DAXFS_ROOT_INO };

	c->notes[DAXFS_T_INODE][0] |= CHECK_REACHED; /* nobody's, and never to be taken */
	check_state(c, DAXFS_T_INODE, 0, DAXFS_USE_NONE, PLACE("inode", 0));
	if (!S_ISDIR(mode)) {
		check_problem(c, "bad-mode", at, "the root is not a directory but %#o", mode);
		if (!repair_do(c, at, "a directory"))
			return;
		repair_word(c, &c->pool->inodes[DAXFS_ROOT_INO].mode, DAXFS_W_ATTR, S_IFDIR | (mode & 07777));
	}
	reach_dir(&root, DAXFS_ROOT_INO, at);
	reach_inode(c, DAXFS_ROOT_INO, true, at);
	check_dirs_queued(c);
}
