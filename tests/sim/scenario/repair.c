/* SPDX-License-Identifier: Apache-2.0 */
/*
 * repair.c - a repair dies at every step, and the next one ends what it began.
 *
 * A small pool at rest is damaged, in one way of the list below or in all of them.
 * Host 1 repairs it and is stopped before each of its steps that finds the pool changed;
 * its caches meet several fates in wb pools. Host 2 then repairs: the check must be clean,
 * and the pool can be joined. If host 1 had joined by then, to name what was found, it
 * is first fenced and recovered.
 */
#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "index/filemap.h"
#include "inspect/check.h"
#include "sim.h"
#include "sync/account.h"
#include "sync/member.h"
#include "machine/world.h"

/* -- the pool --------------------------------------------------------------------------- */

static struct {
	const char *damage;
	uint64_t changes, deaths, violations, problems;
	void (*finish)(void); /* NULL: of a repair of all */
	daxfs_ino file, dir, sub, link;
} at;

static long populate(void *arg)
{
	static const char bytes[9000] = "x";
	const struct daxfs_cred root = { 0, 0 };
	struct daxfs *fs = world.fs[0];
	struct daxfs_attr attr;
	int rc = daxfs_mkdir(fs, DAXFS_ROOT, "dir", 0755, root, &attr);

	(void)arg;
	at.dir = attr.ino;
	rc = rc ? rc : daxfs_mknod(fs, at.dir, "file", S_IFREG | 0644, 0, root, false, &attr);
	at.file = attr.ino;
	rc = rc ? rc : daxfs_mkdir(fs, at.dir, "sub", 0755, root, &attr);
	at.sub = attr.ino;
	rc = rc ? rc : daxfs_mknod(fs, at.sub, "deep", S_IFREG | 0644, 0, root, false, &attr);
	rc = rc ? rc : daxfs_symlink(fs, DAXFS_ROOT, "link", "to/where", root, &attr);
	at.link = attr.ino;
	if (rc || daxfs_write(fs, at.file, bytes, sizeof(bytes), 0, 0) != sizeof(bytes) ||
	    daxfs_write(fs, at.file, bytes, 100, 9 * DAXFS_PAGE_SIZE, 0) != 100)
		return rc ? rc : -1;
	return daxfs_leave(fs);
}

/* -- damages ------------------------------------------------------------------------------ */

static uint64_t peek_at(const sm_u64 *word)
{
	uint64_t v;

	memcpy(&v, memory_bytes() + memory_offset(word), sizeof(v));
	return v;
}

static void poke(const void *place, uint64_t v)
{
	memory_store(OBSERVER, memory_offset(place), &v, sizeof(v));
}

static struct sm_inode *inode_of(daxfs_ino ino)
{
	return &world.pool.inodes[handle_index(ino)];
}

/* clang-format off */
static void super_copy(void) { poke(world.pool.shm.base + DAXFS_PAGE_SIZE + 0x60, 7); }
static void region_header(void) { poke(world.pool.shm.base + world.pool.super.region[DAXFS_R_OPEN_TABLE].offset, 7); }
static void host_word(void) { poke(&world.pool.member->host[0].word, 11ull << 36); }
static void host_beyond(void) { poke(&world.pool.member->host[40].word, 1ull << 40); }
static void no_epoch(void) { poke(&world.pool.member->manager.epoch, 0); }
static void lane_status(void) { poke(&world.pool.lanes[1].status, 77); }
static void lane_left(void)
{
	poke(&world.pool.lanes[3].status, status_make(900, 0, DAXFS_PREPARE));
	poke(&world.pool.lanes[3].todo, DAXFS_ROOT);
	poke(&world.pool.lanes[3].low, 1);
}
static void open_left(void) { poke(&world.pool.open_table[17], at.file); }
static void opener_left(void) { poke(&inode_of(at.file)->openers[0], 2); }
static void mark_of_size(void) { poke(&inode_of(at.file)->size, mark_make(1, 3, 77)); }
static void mark_of_links(void) { poke(&inode_of(at.link)->nlink, mark_make(1, 3, 77)); }
static void page_twice(void) { poke(&inode_of(at.file)->direct[1], peek_at(&inode_of(at.file)->direct[0])); }
static void no_such_page(void) { poke(&inode_of(at.file)->direct[1], link_payload(DAXFS_DATA, 0xffffff)); }
static void half_pruned(void) { poke(&inode_of(at.file)->size, DAXFS_SIZE_PRUNE | 4097); }
static void dirty_tail(void) { poke(&inode_of(at.file)->size, 8193); }
static void no_root_node(void) { poke(&inode_of(at.sub)->dir_root, 0); }
static void no_type(void) { poke(&inode_of(at.file)->mode, 0644); }
static void no_target(void) { poke(&inode_of(at.link)->direct[0], 0); }
static void no_name(void)
{
	uint64_t root = link_index(peek_at(&inode_of(at.dir)->dir_root));
	const struct sm_node *node = map_node(&world.pool, root);

	for (unsigned i = 0; i < DAXFS_NODE_SLOTS; i++)
		poke(&node->slot[i], 0); /* of a file, and of a directory */
}
static void state_of_page(void)
{
	poke(&world.pool.state[DAXFS_T_PAGE][link_index(peek_at(&inode_of(at.file)->direct[0]))], 0);
}
static void leak(void)
{
	uint64_t i = world.pool.objects[DAXFS_T_PAGE] - 1;

	poke(&world.pool.state[DAXFS_T_PAGE][i], state_make(DAXFS_LIVE, DAXFS_USE_DATA, 0));
}

/* clang-format on */

static const struct {
	const char *name;
	void (*make)(void);
} damages[] = {
	{ "super-copy", super_copy },
	{ "region-header", region_header },
	{ "host-word", host_word },
	{ "host-beyond", host_beyond },
	{ "no-epoch", no_epoch },
	{ "lane-status", lane_status },
	{ "lane-left", lane_left },
	{ "open-left", open_left },
	{ "opener-left", opener_left },
	{ "mark-of-size", mark_of_size },
	{ "mark-of-links", mark_of_links },
	{ "page-twice", page_twice },
	{ "no-such-page", no_such_page },
	{ "half-pruned", half_pruned },
	{ "dirty-tail", dirty_tail },
	{ "no-root-node", no_root_node },
	{ "no-type", no_type },
	{ "no-target", no_target },
	{ "no-name", no_name },
	{ "state-of-page", state_of_page },
	{ "leak", leak },
};
#define N_DAMAGES (sizeof(damages) / sizeof(damages[0]))

/* -- repairing ------------------------------------------------------------------------------ */

static struct daxfs_repaired result;
static struct daxfs_error reason;

static long call_repair(void *arg)
{
	return daxfs_repair(world.fs[*(unsigned *)arg], false, NULL, NULL, &result, &reason);
}

static long call_join(void *arg)
{
	return daxfs_join(world.fs[*(unsigned *)arg], *(unsigned *)arg, NULL, &reason);
}

static long call_leave(void *arg)
{
	return daxfs_leave(world.fs[*(unsigned *)arg]);
}

static bool call(long (*what)(void *arg), unsigned host, const char *name)
{
	char err[160] = "";
	long rc = 0;

	reason.text[0] = '\0';
	if (run_all(host, what, &host, &rc, err) == RUN_RETURNED && rc == 0)
		return true;
	at.violations++;
	printf("VIOLATION repair of %s: host %u cannot %s after death %" PRIu64 ": %ld %s %s\n", at.damage, host, name,
	       at.deaths, rc, err, reason.text);
	return false;
}

/* Host slots that are of a dead host: what made no sense, or host 1 while it gave names. */
static bool recover_all(void)
{
	for (unsigned host = 0; host <= HOSTS; host++) {
		struct host_word word;
		char err[160] = "";
		bool fenced;

		if (host == 2 || host_word_unpack(peek_at(&world.pool.member->host[host].word), &word) ||
		    word.state == DAXFS_HOST_FREE || word.state == DAXFS_HOST_RECOVERED)
			continue;
		fenced = word.state == DAXFS_HOST_FENCED || world_fence(host, 2);
		if (!fenced || !call(call_join, 2, "join") || world_recover(2, host, err) ||
		    !call(call_leave, 2, "leave")) {
			at.violations++;
			printf("VIOLATION repair of %s: slot %u is not recovered: %s\n", at.damage, host, err);
			return false;
		}
	}
	return true;
}

static bool repair_in_force(void)
{
	return peek_at(&world.pool.member->manager.repair) != 0;
}

/*
 * While a repair is in force nobody joins. Before it is, the pool is as it was; after it,
 * nothing is left but to name what was found.
 */
static void judge_death(void)
{
	struct world_check check = { 0 };
	unsigned host = 2;
	char err[160] = "";
	long rc = 0;

	if (repair_in_force()) {
		if (run_all(host, call_join, &host, &rc, err) == RUN_RETURNED && rc == -EUCLEAN)
			return;
		at.violations++;
		printf("VIOLATION repair of %s: joined while it is repaired, death %" PRIu64 "\n", at.damage,
		       at.deaths);
	} else if (!world_check(&check) ||
		   (check.problems && check.problems != at.problems && strncmp(check.text, "leak: ", 6) != 0)) {
		at.violations++;
		printf("VIOLATION repair of %s: half repaired and not in force, death %" PRIu64 ": %s\n", at.damage,
		       at.deaths, check.text);
	}
}

/* Host 1 is dead: host 2 ends it. */
static void finish(void)
{
	struct world_check check;

	if (!repair_in_force() && !recover_all())
		return;
	if (!call(call_repair, 2, "repair") || !recover_all() || !call(call_repair, 2, "repair again") ||
	    !call(call_join, 2, "join") || !call(call_leave, 2, "leave"))
		return;
	if (world_check(&check) && !check.problems && !result.left)
		return;
	at.violations++;
	printf("VIOLATION repair of %s: after death %" PRIu64 " the check says: %s\n", at.damage, at.deaths,
	       check.text);
}

static const struct fate fates[] = {
	{ .kind = FATE_KEEP_ALL },
	{ .kind = FATE_DROP_ALL },
	{ .kind = FATE_RANDOM, .n = 1 },
	{ .kind = FATE_RANDOM, .n = 2 },
};

static void die(void *context, struct run *run, const struct seam_event *event)
{
	(void)context;
	(void)event;
	run->site->crashes++;
	if (seam_changes() == at.changes || at.violations)
		return;
	at.deaths++;
	world_mark();
	for (unsigned i = 0; i < (world.wb && memory_dirty(1) ? 4u : 1u) && !at.violations; i++) {
		world_lose(1, fates[i]);
		if (at.finish) {
			at.finish();
		} else {
			judge_death();
			finish();
		}
		world_rewind();
	}
	world_drop();
	at.changes = seam_changes();
}

static void repair_dying(const char *name)
{
	struct world_check check;
	unsigned host = 1;
	struct run run;

	at.damage = name;
	memory_quiesce();
	world_check(&check);
	at.problems = check.problems;
	at.changes = seam_changes();
	run_start(&run, 1, call_repair, &host);
	run.hook = die;
	run_until(&run, 0);
	if (run.end != RUN_RETURNED || run.result || result.left) {
		world_check(&check);
		at.violations++;
		printf("VIOLATION repair of %s: %ld, %" PRIu64 " left; %s %s %s\n", name, run.result, result.left,
		       run.err, reason.text, check.text);
	}
	run_free(&run);
	finish();
}

/* -- one file, in use ------------------------------------------------------------------------- */

/* The name that orphan() takes away is not in use any more. */
static long count_less(void *arg)
{
	const uint64_t more[DAXFS_TYPES] = { [DAXFS_T_DIRENT] = UINT64_MAX };
	struct sm_lane *lane = &world.pool.lanes[0];
	uint64_t used[2];

	(void)arg;
	account_adjusted(lane, more, used);
	sm_store(&lane->used[1], used[1]);
	return 0;
}

/* `file` is removed, held by nobody, and two links of it lead where they must not. */
static void orphan(void)
{
	struct sm_inode *sm = inode_of(at.file);
	uint64_t root = link_index(peek_at(&inode_of(at.dir)->dir_root));
	const sm_u64 *count = &world.pool.count[root];

	for (unsigned i = 0; i < DAXFS_NODE_SLOTS; i++) {
		const sm_u64 *slot = &map_node(&world.pool, root)->slot[i];
		uint64_t w = peek_at(slot), handle;

		if (link_kind(w) != DAXFS_DIRENT)
			continue;
		memcpy(&handle, memory_bytes() + memory_offset(&world.pool.dirents[link_index(w)].handle),
		       sizeof(handle));
		if (handle != at.file)
			continue;
		poke(&world.pool.state[DAXFS_T_DIRENT][link_index(w)], 0);
		poke(slot, word_next(w, DAXFS_W_LINK, 0));
		w = peek_at(count);
		poke(count, word_next(w, DAXFS_W_COUNT, word_payload(w, DAXFS_W_COUNT) - 1));
	}
	call(count_less, 2, "count one name less");
	poke(&sm->nlink, word_next(peek_at(&sm->nlink), DAXFS_W_NLINK, nlink_payload(DAXFS_LIFE_ORPHAN, 0)));
	poke(&sm->direct[4], link_payload(DAXFS_DATA, 0xffffff));
	poke(&sm->direct[5], link_payload(DAXFS_DATA, link_index(peek_at(&inode_of(at.link)->direct[0]))));
	poke(&sm->trunc, mark_make(1, 3, 77));
}

/* From a slot of its own, as daxfsctl does. It may be done already. */
static long call_item(void *arg)
{
	unsigned host = *(unsigned *)arg;
	int rc = daxfs_join(world.fs[host], host, NULL, &reason);

	if (rc)
		return rc;
	rc = daxfs_repair_item(world.fs[host], handle_index(at.file), NULL, NULL, &reason);
	rc = rc == -EBUSY && strstr(reason.text, "not in use") ? 0 : rc;
	return rc ? rc : daxfs_leave(world.fs[host]);
}

static void finish_item(void)
{
	struct world_check check = { .text = "" };

	if (!recover_all() || !call(call_item, 2, "repair the file"))
		return;
	if (world_check(&check) && !check.problems)
		return;
	at.violations++;
	printf("VIOLATION repair of one file: after death %" PRIu64 " the check says: %s\n", at.deaths, check.text);
}

static void item_dying(void)
{
	unsigned host = 1;
	struct run run;

	at.damage = "orphan";
	orphan();
	memory_quiesce();
	at.changes = seam_changes();
	at.finish = finish_item;
	run_start(&run, 1, call_item, &host);
	run.hook = die;
	run_until(&run, 0);
	if (run.end != RUN_RETURNED || run.result) {
		at.violations++;
		printf("VIOLATION repair of one file: %ld %s %s\n", run.result, run.err, reason.text);
	}
	run_free(&run);
	finish_item();
	at.finish = NULL;
}

uint64_t repairs(const struct options *opt)
{
	uint64_t violations = 0;
	bool one = opt->op != NULL;

	for (unsigned wb = 0; wb < 2; wb++) {
		if (wb ? !opt->wb : !opt->gpf)
			continue;
		memset(&at, 0, sizeof(at));
		world_make(wb, true, false, 1);
		if (!call(populate, 0, "populate"))
			return 1;
		memory_quiesce();
		for (unsigned i = 0; i <= N_DAMAGES; i++) {
			const char *name = i < N_DAMAGES ? damages[i].name : "all";

			if (one && strcmp(opt->op, name))
				continue;
			world_mark();
			for (unsigned k = 0; k < N_DAMAGES; k++)
				if (i == k || i == N_DAMAGES)
					damages[k].make();
			repair_dying(name);
			world_rewind();
			world_drop();
			violations += at.violations;
			at.violations = 0;
		}
		if (!one || !strcmp(opt->op, "orphan")) {
			world_mark();
			item_dying();
			world_rewind();
			world_drop();
			violations += at.violations;
		}
		printf("repair %s: %zu damages, and all at once; died %" PRIu64 " times\n", wb ? "wb " : "gpf",
		       N_DAMAGES, at.deaths);
	}
	printf("repair: %" PRIu64 " violations\n", violations);
	return violations;
}
