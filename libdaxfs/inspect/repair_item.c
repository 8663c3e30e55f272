/* SPDX-License-Identifier: Apache-2.0 */
/*
 * repair_item.c - one removed file that nobody could finish, in a pool that is in use.
 *
 * Such a file has no name and no holder: nobody else changes it, but for whoever tries to
 * finish it, and fails at the same place. So a word of it that makes no sense is replaced
 * by CAS from what was seen, and one record after the other then takes the file apart, as
 * inode_finish does of any. Each CAS is a repair by itself; a crash anywhere leaves the
 * file with fewer of them to do.
 *
 * A link may make sense and yet name what belongs to somebody else, and taking that apart
 * would free it in use. So all that other inodes reach is found first, by the check, from
 * the table of inodes (names may move meanwhile), and such links are cut as well. What is
 * taken later is younger than that, and not of a file that nobody writes.
 * What was below a link that is cut may stay in use for ever: the next repair of the whole
 * pool finds it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "fs/fs.h"
#include "inspect/repair.h"

struct item {
	struct pool *pool;
	struct check *check; /* what is reached from elsewhere */
	uint64_t inode, cut;
	uint64_t epoch; /* before the others were looked at */
	daxfs_report report;
	void *context;
};

/* From what was seen; somebody else may have been faster. */
static void put(struct item *it, const sm_u64 *word, uint64_t seen, enum daxfs_word_class class, uint64_t payload)
{
	sm_u64 *w = pool_at(it->pool, pool_offset(it->pool, word));

	/* ORD item: nobody relies on a word of a file without name and holder; see above. */
	if (!sm_cas(w, seen, word_next(seen, class, payload)))
		return;
	sm_flush(&it->pool->shm, w, sizeof(*w));
	sm_drain(&it->pool->shm);
}

/* A mark that nobody will resolve, in a word that needs no value. */
static void unmark(struct item *it, const sm_u64 *word, enum daxfs_word_class class)
{
	uint64_t w = sm_load(word), status;

	if (word_is_mark(w) && !inspect_mark(it->pool, word, w, &status))
		put(it, word, w, class, 0);
}

/* May the link name that, in a file, at that height? */
static bool makes_sense(const struct item *it, uint64_t w, unsigned height)
{
	const struct pool *pool = it->pool;
	uint64_t index = link_index(w), s;
	unsigned use = height ? DAXFS_USE_NODE : link_kind(w) == DAXFS_CLEAN ? DAXFS_USE_CACHED : DAXFS_USE_DATA;

	if (height == 0 && map_is_empty(w))
		return true;
	if (height == 0 && link_kind(w) == DAXFS_EXTENT && link_names_extent(pool, w))
		use = DAXFS_USE_EXTENT;
	else if (height ? !link_names(pool, w, DAXFS_NODE) : !map_names_page(pool, w))
		return false;
	if (pool_lost(pool, &pool->state[DAXFS_T_PAGE][index], sizeof(sm_u64)) ||
	    pool_lost(pool, &pool->birth[DAXFS_T_PAGE][index], sizeof(sm_u64)) ||
	    (height && pool_lost_page(pool, index)))
		return false; /* nothing can be said of it, or of what is below */
	s = sm_load(&pool->state[DAXFS_T_PAGE][index]);
	if (sm_load(&pool->birth[DAXFS_T_PAGE][index]) > it->epoch)
		return false;
	return state_of(s) == DAXFS_LIVE && !check_is(it->check, DAXFS_T_PAGE, index, CHECK_REACHED) &&
	       (use_of(s) == use ||
		(use == DAXFS_USE_DATA && (use_of(s) == DAXFS_USE_KEPT || use_of(s) == DAXFS_USE_CACHED)));
}

static void mend_link(struct item *it, const sm_u64 *word, unsigned height);

static void mend_below(struct item *it, uint64_t node, unsigned height)
{
	it->check->notes[DAXFS_T_PAGE][node] |= CHECK_REACHED; /* once: a node may name itself */
	for (unsigned i = 0; i < DAXFS_NODE_SLOTS; i++)
		mend_link(it, &map_node(it->pool, node)->slot[i], height - 1);
}

static void mend_link(struct item *it, const sm_u64 *word, unsigned height)
{
	uint64_t w;

	unmark(it, word, DAXFS_W_LINK);
	w = sm_load(word);
	if (word_is_mark(w) || link_kind(w) == DAXFS_ABSENT)
		return; /* of an operation in flight: whoever finishes the file finishes that first */
	if (makes_sense(it, w, height)) {
		if (height)
			mend_below(it, link_index(w), height);
		return;
	}
	it->cut++;
	put(it, word, w, DAXFS_W_LINK, 0);
	if (it->report)
		inspect_line(it->report, it->context, "did: inode %" PRIu64 ": a link of kind %u to %" PRIu64 " is cut",
			     it->inode, link_kind(w), link_index(w));
}

/* A value instead of another one; under a mark it is somebody's, who ends it. */
static void set(struct item *it, const sm_u64 *word, enum daxfs_word_class class, uint64_t payload)
{
	uint64_t w = sm_load(word);

	if (!word_is_mark(w))
		put(it, word, w, class, payload);
}

/* DEAD, of no size, to be pruned from its beginning. */
static void mend(struct item *it)
{
	struct sm_inode *sm = &it->pool->inodes[it->inode];

	for (unsigned i = 0; i < DAXFS_DIRECT; i++)
		mend_link(it, &sm->direct[i], 0);
	for (unsigned h = 1; h <= DAXFS_INDIRECT; h++)
		mend_link(it, &sm->indirect[h - 1], h);
	unmark(it, &sm->trunc, DAXFS_W_TICK);
	unmark(it, &sm->mode, DAXFS_W_ATTR);
	unmark(it, &sm->openers[0], DAXFS_W_OPENERS);
	unmark(it, &sm->openers[1], DAXFS_W_OPENERS);
	unmark(it, &sm->size, DAXFS_W_SIZE);
	set(it, &sm->size, DAXFS_W_SIZE, DAXFS_SIZE_PRUNE);
	set(it, &sm->nlink, DAXFS_W_NLINK, nlink_payload(DAXFS_LIFE_DEAD, 0));
}

static int finish_step(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct item *it = arg;

	(void)fs;
	mend(it);
	return inode_finish(lane, handle_make(sm_load(&it->pool->inodes[it->inode].i_generation), it->inode));
}

/* Only what has no name, and no host holds open. */
static const char *refuses(const struct pool *pool, const struct check *c, uint64_t inode)
{
	const struct sm_inode *sm;
	enum daxfs_life life;
	uint64_t open;

	if (inode <= DAXFS_ROOT_INO || inode >= pool->objects[DAXFS_T_INODE])
		return "there is no such inode";
	sm = &pool->inodes[inode];
	if (pool_lost(pool, sm, sizeof(*sm)) || pool_lost(pool, &pool->state[DAXFS_T_INODE][inode], sizeof(sm_u64)))
		return "its memory failed: repair the whole pool when that is back";
	life = nlink_life(check_value(c, &sm->nlink, DAXFS_W_NLINK));
	if (state_of(sm_load(&pool->state[DAXFS_T_INODE][inode])) != DAXFS_LIVE)
		return "it is not in use";
	if (life != DAXFS_LIFE_ORPHAN && life != DAXFS_LIFE_DEAD)
		return "it has a name, or it cannot be told: repair the whole pool";
	if (S_ISDIR((uint32_t)check_value(c, &sm->mode, DAXFS_W_ATTR)))
		return "it is a directory: repair the whole pool";
	/* A host that could not finish it still lists it, without its bit. */
	open = check_value(c, &sm->openers[0], DAXFS_W_OPENERS);
	open |= check_value(c, &sm->openers[1], DAXFS_W_OPENERS) << 32;
	return open & c->owned ? "a host holds it open" : NULL;
}

/* Whatever inodes in use reach, but for that one. */
static void reach_others(struct check *c, uint64_t inode)
{
	c->notes[DAXFS_T_INODE][inode] |= CHECK_REACHED;
	for (uint64_t i = DAXFS_ROOT_INO; i < c->pool->objects[DAXFS_T_INODE]; i++) {
		uint64_t s;

		if (pool_lost(c->pool, &c->pool->state[DAXFS_T_INODE][i], sizeof(s)) ||
		    pool_lost(c->pool, &c->pool->inodes[i], sizeof(struct sm_inode)))
			continue;
		s = sm_load(&c->pool->state[DAXFS_T_INODE][i]);
		if (check_is(c, DAXFS_T_INODE, i, CHECK_REACHED) || use_of(s) != DAXFS_USE_INODE ||
		    (state_of(s) != DAXFS_LIVE && state_of(s) != DAXFS_PRIVATE))
			continue;
		c->notes[DAXFS_T_INODE][i] |= CHECK_REACHED;
		if (S_ISDIR((uint32_t)check_value(c, &c->pool->inodes[i].mode, DAXFS_W_ATTR)))
			c->queue[c->queued++] = (uint32_t)i;
		else
			check_content(c, i);
		check_dirs_queued(c);
		check_locks(c, i);
		check_xattrs(c, i);
	}
}

struct look {
	struct check c;
	struct item it;
	struct daxfs_check ignored;
	const char *refused;
};

/* Who owns what, and may this inode be taken apart? Begun again after memory failed: nothing is kept. */
static int look(void *arg)
{
	struct look *l = arg;
	int rc;

	free(l->c.memory);
	l->c = (struct check){ .pool = l->it.pool, .out = &l->ignored };
	rc = check_setup(&l->c);
	if (rc)
		return rc;
	check_members(&l->c);
	l->refused = refuses(l->it.pool, &l->c, l->it.inode);
	if (l->refused)
		return 0;
	l->it.epoch = l->c.epoch;
	reach_others(&l->c, l->it.inode);
	if (l->c.names[l->it.inode])
		l->refused = "it has a name: repair the whole pool";
	else if (l->c.blind)
		l->refused = "what lies in memory that failed may lead to what it has: repair the whole pool";
	return 0;
}

/* Finished; and off the list, if whoever could not finish it had listed it. */
static int take_apart(struct daxfs *fs, struct look *l)
{
	uint64_t handle = handle_make((uint32_t)sm_load(&fs->pool.inodes[l->it.inode].i_generation), l->it.inode);
	unsigned known;
	int rc;

	do { /* what it meets anew is cut, too */
		known = fs->pool.bad.n;
		rc = fs_run(fs, finish_step, &l->it);
	} while (rc == -EIO && fs->pool.bad.n != known);
	if (rc == 0)
		daxfs_repair_done(fs, DAXFS_REPAIR_FILE, handle);
	return rc;
}

int daxfs_repair_item(struct daxfs *fs, uint64_t inode, daxfs_report report, void *context, struct daxfs_error *err)
{
	struct look l = { .it = { .pool = &fs->pool, .inode = inode, .report = report, .context = context } };
	int rc;

	if (!fs->joined)
		return daxfs_error_set(err, -ESTALE, "join first");
	l.it.check = &l.c;
	trouble_sync(&fs->pool);
	rc = fs_look(fs, look, &l);
	if (rc == 0 && !l.refused)
		rc = take_apart(fs, &l);
	free(l.c.memory);
	if (rc == -ENOMEM)
		return daxfs_error_set(err, rc, "out of memory");
	if (l.refused)
		return daxfs_error_set(err, -EBUSY, "inode %" PRIu64 ": %s", inode, l.refused);
	if (rc)
		return daxfs_error_set(
			err, rc, "inode %" PRIu64 " cannot be finished yet: repair the pool when it is idle", inode);
	if (report)
		inspect_line(report, context, "did: inode %" PRIu64 ": free, %" PRIu64 " links were cut", inode,
			     l.it.cut);
	return 0;
}
