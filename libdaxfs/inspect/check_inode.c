/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_inode.c - inodes: kinds, lives, links, sizes, openers, marks.
 *
 *   life    has names   legal when
 *   ALIVE   >= 1        always (the root: none)
 *   ORPHAN  0           a host that is not free holds it open, or a lane will finish it
 *   DEAD    0           a lane will finish it
 *   NONE    0           never, in an inode that is LIVE
 */
#include <inttypes.h>
#include <sys/stat.h>

#include "index/filemap.h"
#include "inspect/repair.h"

/* -- marks ------------------------------------------------------------------ */

/* The words of an inode that records change, in the order of struct sm_inode; locks and xattrs come later. */
static const struct {
	const char *field;
	int slot;
	enum daxfs_word_class class;
} words[] = {
	{ "size", -1, DAXFS_W_SIZE },      { "trunc", -1, DAXFS_W_TICK },     { "nlink", -1, DAXFS_W_NLINK },
	{ "openers", 0, DAXFS_W_OPENERS }, { "openers", 1, DAXFS_W_OPENERS }, { "mode", -1, DAXFS_W_ATTR },
	{ "uid", -1, DAXFS_W_ATTR },       { "gid", -1, DAXFS_W_ATTR },       { "parent", -1, DAXFS_W_LINK },
	{ "dir_root", -1, DAXFS_W_LINK },  { "direct", 0, DAXFS_W_LINK },     { "direct", 1, DAXFS_W_LINK },
	{ "direct", 2, DAXFS_W_LINK },     { "direct", 3, DAXFS_W_LINK },     { "direct", 4, DAXFS_W_LINK },
	{ "direct", 5, DAXFS_W_LINK },     { "direct", 6, DAXFS_W_LINK },     { "direct", 7, DAXFS_W_LINK },
	{ "indirect", 0, DAXFS_W_LINK },   { "indirect", 1, DAXFS_W_LINK },   { "indirect", 2, DAXFS_W_LINK },
	{ "indirect", 3, DAXFS_W_LINK },
};
static_assert(sizeof(words) / sizeof(words[0]) == offsetof(struct sm_inode, atime) / 8, "every word before the times");

/* 32 bits: a handle has no room for more, so nobody could name the inode, now or in another use. The root's is 0. */
static void check_incarnation(struct check *c, uint64_t inode)
{
	const sm_u64 *word = &c->pool->inodes[inode].i_generation;
	const struct place *at = PLACE_FIELD("inode", inode, "i_generation", -1);
	uint64_t v = pool_lost(c->pool, word, sizeof(*word)) ? 0 : sm_load(word);

	uint64_t right = inode == DAXFS_ROOT_INO ? 0 : (uint32_t)v;

	if (v == right)
		return;
	check_problem(c, "bad-handle", at, "%#" PRIx64 " is none", v);
	if (repair_do(c, at, "%#" PRIx64, right))
		repair_plain(c, word, right);
}

/* All inodes and counts, used or not: a mark left in a free one would stay for ever. */
void check_marks(struct check *c)
{
	for (uint64_t i = 0; i < c->pool->objects[DAXFS_T_INODE]; i++) {
		const sm_u64 *word = (const sm_u64 *)(const void *)&c->pool->inodes[i];

		check_incarnation(c, i);
		for (unsigned k = 0; k < sizeof(words) / sizeof(words[0]); k++)
			check_mark(c, &word[k], words[k].class, PLACE_FIELD("inode", i, words[k].field, words[k].slot));
		check_mark(c, &c->pool->inodes[i].locks, DAXFS_W_LINK, PLACE_FIELD("inode", i, "locks", -1));
		check_mark(c, &c->pool->inodes[i].xattrs, DAXFS_W_LINK, PLACE_FIELD("inode", i, "xattrs", -1));
	}
	for (uint64_t i = 0; i < c->pool->objects[DAXFS_T_PAGE]; i++)
		check_mark(c, &c->pool->count[i], DAXFS_W_COUNT, PLACE_FIELD("page", i, "count", -1));
}

/* -- what is below ---------------------------------------------------------- */

static bool mode_known(uint32_t mode)
{
	return S_ISREG(mode) || S_ISLNK(mode) || S_ISDIR(mode) || S_ISFIFO(mode) || S_ISSOCK(mode) || S_ISCHR(mode) ||
	       S_ISBLK(mode);
}

/* A type that fits what is below; the permissions stay as they are. */
static uint32_t repair_mode(struct check *c, uint64_t inode, uint32_t mode)
{
	const struct sm_inode *sm = &c->pool->inodes[inode];
	bool dir = link_kind(check_value(c, &sm->dir_root, DAXFS_W_LINK)) == DAXFS_NODE;
	uint32_t fixed = (mode & 07777) | (dir || inode == DAXFS_ROOT_INO ? S_IFDIR : S_IFREG);

	if (repair_do(c, PLACE_FIELD("inode", inode, "mode", -1), "%#o", fixed))
		repair_word(c, &sm->mode, DAXFS_W_ATTR, fixed);
	return c->fix && !c->fix->dry ? fixed : mode;
}

/* Whatever the links of an inode that has no pages name goes. */
static void cut_pages(struct check *c, uint64_t inode)
{
	const struct sm_inode *sm = &c->pool->inodes[inode];

	for (int i = 0; i < (int)DAXFS_DIRECT; i++)
		if (check_value(c, &sm->direct[i], DAXFS_W_LINK))
			repair_cut(c, &sm->direct[i], PLACE_FIELD("inode", inode, "direct", i));
	for (int i = 0; i < (int)DAXFS_INDIRECT; i++)
		if (check_value(c, &sm->indirect[i], DAXFS_W_LINK))
			repair_cut(c, &sm->indirect[i], PLACE_FIELD("inode", inode, "indirect", i));
}

/* Does an inode that is no directory have a word of a directory's root that makes no sense? A file of storage may say
 * there how much of it that has. */
static bool bad_root(struct check *c, const struct sm_inode *sm, uint32_t mode)
{
	uint64_t w = check_value(c, &sm->dir_root, DAXFS_W_LINK);

	return w && !(S_ISREG(mode) && inode_backed(sm) && link_kind(w) == DAXFS_STORED);
}

/* No pages below what is neither a file nor a symbolic link; no root node but in a directory. */
void check_content(struct check *c, uint64_t inode)
{
	const struct sm_inode *sm = &c->pool->inodes[inode];
	uint32_t mode = (uint32_t)check_value(c, &sm->mode, DAXFS_W_ATTR);
	bool pages, used = false;

	if (check_unknown(c, &sm->mode))
		return;
	if (!mode_known(mode)) {
		check_problem(c, "bad-mode", PLACE("inode", inode), "%#o is no type of file", mode);
		mode = repair_mode(c, inode, mode);
	}
	pages = S_ISREG(mode) || S_ISLNK(mode);
	if (pages)
		check_file(c, inode);
	for (unsigned i = 0; i < DAXFS_DIRECT; i++)
		used |= check_value(c, &sm->direct[i], DAXFS_W_LINK) != 0;
	for (unsigned i = 0; i < DAXFS_INDIRECT; i++)
		used |= check_value(c, &sm->indirect[i], DAXFS_W_LINK) != 0;
	if (used && !pages) {
		check_problem(c, "bad-kind", PLACE("inode", inode), "has pages, but mode %#o", mode);
		cut_pages(c, inode);
	}
	if (!S_ISDIR(mode) && bad_root(c, sm, mode)) {
		check_problem(c, "bad-kind", PLACE_FIELD("inode", inode, "dir_root", -1), "used, but mode is %#o",
			      mode);
		repair_cut(c, &sm->dir_root, PLACE_FIELD("inode", inode, "dir_root", -1));
	}
}

/* -- orphans ---------------------------------------------------------------- */

static uint64_t openers(const struct check *c, const struct sm_inode *sm)
{
	return check_value(c, &sm->openers[0], DAXFS_W_OPENERS) | check_value(c, &sm->openers[1], DAXFS_W_OPENERS)
									  << 32;
}

static void check_orphan(struct check *c, uint64_t inode, enum daxfs_life life)
{
	const struct sm_inode *sm = &c->pool->inodes[inode];
	bool dir = S_ISDIR((uint32_t)check_value(c, &sm->mode, DAXFS_W_ATTR));
	bool todo = check_is(c, DAXFS_T_INODE, inode, CHECK_TODO) || c->blind;
	const struct place *at = PLACE("inode", inode);

	c->notes[DAXFS_T_INODE][inode] |= CHECK_REACHED | CHECK_ORPHAN;
	check_state(c, DAXFS_T_INODE, inode, DAXFS_USE_INODE, at);
	if (c->listed[inode] & c->owned)
		todo = true; /* whoever let go finishes it */
	if (!todo && life == DAXFS_LIFE_DEAD) {
		check_problem(c, "dead-inode", at, "half taken apart, and no lane is to finish it");
		repair_free(c, DAXFS_T_INODE, inode, at);
	} else if (!todo && !(openers(c, sm) & c->owned)) {
		check_problem(c, "orphan", at, "no name, nobody holds it open, and no lane is to finish it");
		repair_free(c, DAXFS_T_INODE, inode, at); /* its pages are reached from nowhere in the next pass */
	}
	c->out->directories += dir;
	c->out->files += !dir;
	if (dir)
		c->queue[c->queued++] = (uint32_t)inode;
	else
		check_content(c, inode);
	check_dirs_queued(c);
}

/* Inodes that exist, have no name, and know it. */
void check_orphans(struct check *c)
{
	for (uint64_t i = 1; i < c->pool->objects[DAXFS_T_INODE]; i++) {
		enum daxfs_life life;
		uint64_t s;

		if (check_blind(c, &c->pool->inodes[i], sizeof(struct sm_inode)) ||
		    check_blind(c, &c->pool->state[DAXFS_T_INODE][i], sizeof(sm_u64)))
			continue;
		s = sm_load(&c->pool->state[DAXFS_T_INODE][i]);
		if (check_is(c, DAXFS_T_INODE, i, CHECK_REACHED) ||
		    (state_of(s) != DAXFS_LIVE && !check_in_flight(c, txid_of(s), CHECK_COMMITTED)))
			continue;
		life = nlink_life(check_value(c, &c->pool->inodes[i].nlink, DAXFS_W_NLINK));
		if (life == DAXFS_LIFE_ORPHAN || life == DAXFS_LIFE_DEAD)
			check_orphan(c, i, life);
	}
}

/* -- found -------------------------------------------------------------------- */

static void find_inode(struct check *c, uint64_t inode)
{
	uint32_t mode = (uint32_t)check_value(c, &c->pool->inodes[inode].mode, DAXFS_W_ATTR);

	c->notes[DAXFS_T_INODE][inode] |= CHECK_REACHED | CHECK_FOUND;
	check_state(c, DAXFS_T_INODE, inode, DAXFS_USE_INODE, PLACE("inode", inode));
	if (!mode_known(mode))
		mode = repair_mode(c, inode, mode);
	c->out->directories += S_ISDIR(mode);
	c->out->files += !S_ISDIR(mode);
	if (S_ISDIR(mode))
		c->queue[c->queued++] = (uint32_t)inode;
	else
		check_content(c, inode);
	c->top = inode;
	check_dirs_queued(c);
	c->top = 0;
}

/*
 * Inodes that should have names and have none: the names are lost. They are kept,
 * with all that is below them, ALIVE with 0 links, and get names when all else is
 * repaired (repair_found.c). One that is named below another is none of them; where they name each other in a
 * loop, the name of the one that was found first goes.
 */
void check_found(struct check *c)
{
	for (uint64_t i = DAXFS_ROOT_INO + 1; i < c->pool->objects[DAXFS_T_INODE]; i++) {
		uint64_t s = pool_lost(c->pool, &c->pool->state[DAXFS_T_INODE][i], sizeof(sm_u64)) ||
					     pool_lost(c->pool, &c->pool->inodes[i], sizeof(struct sm_inode))
				     ? 0
				     : sm_load(&c->pool->state[DAXFS_T_INODE][i]);

		if (!check_is(c, DAXFS_T_INODE, i, CHECK_REACHED) && state_of(s) == DAXFS_LIVE &&
		    use_of(s) == DAXFS_USE_INODE &&
		    nlink_life(check_value(c, &c->pool->inodes[i].nlink, DAXFS_W_NLINK)) == DAXFS_LIFE_ALIVE)
			find_inode(c, i);
	}
	for (uint64_t i = DAXFS_ROOT_INO + 1; i < c->pool->objects[DAXFS_T_INODE]; i++) {
		if (!check_is(c, DAXFS_T_INODE, i, CHECK_FOUND) || c->names[i])
			continue;
		c->fix->found++;
		if (nlink_count(check_value(c, &c->pool->inodes[i].nlink, DAXFS_W_NLINK)))
			check_problem(c, "leak", PLACE("inode", i), "state LIVE but not reachable");
	}
}

/* -- words of inodes in use ------------------------------------------------- */

static void check_links(struct check *c, uint64_t inode)
{
	uint64_t nlink = check_value(c, &c->pool->inodes[inode].nlink, DAXFS_W_NLINK);
	bool orphan = check_is(c, DAXFS_T_INODE, inode, CHECK_ORPHAN);
	uint32_t names = inode == DAXFS_ROOT_INO ? 1 : c->names[inode];
	const struct place *at = PLACE_FIELD("inode", inode, "nlink", -1);

	if (inode == DAXFS_ROOT_INO && c->names[inode])
		check_problem(c, "double-dir", at, "the root is named in some directory");
	if (c->blind)
		return; /* names may be where nobody can look */
	if (!orphan && nlink_life(nlink) != DAXFS_LIFE_ALIVE)
		check_problem(c, "bad-life", at, "%u names, but its life is %u", names, (unsigned)nlink_life(nlink));
	else if (nlink_count(nlink) != (orphan ? 0 : names))
		check_problem(c, "bad-nlink", at, "%u links, %u names found", nlink_count(nlink), orphan ? 0 : names);
	else
		return;
	if (orphan ? repair_do(c, at, "no links") : repair_do(c, at, "ALIVE, %u links", names))
		repair_word(c, &c->pool->inodes[inode].nlink, DAXFS_W_NLINK,
			    orphan ? nlink_payload(nlink_life(nlink), 0) : nlink_payload(DAXFS_LIFE_ALIVE, names));
}

static void check_size(struct check *c, uint64_t inode)
{
	uint64_t size = check_value(c, &c->pool->inodes[inode].size, DAXFS_W_SIZE);
	const struct place *at = PLACE_FIELD("inode", inode, "size", -1);
	/* An orphan's last holder frees it, with whatever was left to prune. */
	bool finished = c->notes[DAXFS_T_INODE][inode] & (CHECK_TODO | CHECK_ORPHAN);

	if (size_bytes(size) > DAXFS_FILE_MAX) {
		check_problem(c, "bad-size", at, "%" PRIu64 " bytes, a file has at most %" PRIu64, size_bytes(size),
			      (uint64_t)DAXFS_FILE_MAX);
		if (repair_do(c, at, "as far as it has pages")) /* which the next pass finds to be past the end */
			repair_word(c, &c->pool->inodes[inode].size, DAXFS_W_SIZE, 0);
		repair_lost(c, "inode %" PRIu64 ": its size", inode);
	} else if (size_prune(size) && !finished) {
		check_problem(c, "unpruned", at, "truncated by halves, and no lane is to finish it");
		if (repair_do(c, at, "truncated")) /* its pages past the end went before, see check_file.c */
			repair_word(c, &c->pool->inodes[inode].size, DAXFS_W_SIZE, size_bytes(size));
	}
}

static void repair_opener(struct check *c, uint64_t inode, unsigned host, const struct place *at)
{
	const sm_u64 *word = &c->pool->inodes[inode].openers[host / 32];

	if (repair_do(c, at, "not held open by host %u", host))
		repair_word(c, word, DAXFS_W_OPENERS, check_value(c, word, DAXFS_W_OPENERS) & ~(1ull << host % 32));
}

static void check_openers(struct check *c, uint64_t inode)
{
	uint64_t open = openers(c, &c->pool->inodes[inode]);
	unsigned hosts = c->pool->super.hosts;
	const struct place *at = PLACE_FIELD("inode", inode, "openers", -1);

	for (unsigned host = 0; open; host++, open >>= 1) {
		if (!(open & 1))
			continue;
		if (check_host_owned(c, host) && host < hosts && c->listed[inode] >> host & 1)
			continue;
		if (host >= hosts)
			check_problem(c, "bad-opener", at, "held open by host %u, the pool has %u", host, hosts);
		else if (!check_host_owned(c, host))
			check_problem(c, "dead-opener", at, "held open by host %u, whose slot nobody owns", host);
		else if (c->blind)
			continue; /* its table may be where nobody can look */
		else
			check_problem(c, "unlisted-opener", at, "held open by host %u, whose table does not say so",
				      host);
		repair_opener(c, inode, host, at);
	}
}

void check_inodes(struct check *c)
{
	for (uint64_t i = 1; i < c->pool->objects[DAXFS_T_INODE]; i++) {
		if (!check_is(c, DAXFS_T_INODE, i, CHECK_REACHED) ||
		    pool_lost(c->pool, &c->pool->inodes[i], sizeof(struct sm_inode)))
			continue;
		check_links(c, i); /* of what was found, too: 0 links */
		check_size(c, i);
		check_openers(c, i);
		check_locks(c, i);
		check_xattrs(c, i);
	}
}
