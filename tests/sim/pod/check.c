/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.c - the whole pool, looked at while everybody stands still.
 *
 * After each recovery: daxfsctl's check finds nothing (what other hosts have in
 * flight is no problem to it), and recovering once more changes nothing but
 * figures. At the end: check, exact accounting, and every name, attribute and
 * byte as the model has it; then all hosts leave, and it is so again.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "machine/arena.h"
#include "fs/fs.h"
#include "pod/store.h"
#include "pod/work.h"
#include "inspect/check.h"
#include "sync/member.h"
#include "sync/word.h"

static struct checking {
	struct daxfs_statfs fresh; /* usage of the new pool, */
	struct model_use known;    /* ... which has what the model knows */
	struct daxfs_check result;
	uint64_t excused;
	char text[512];
	uint8_t *copy; /* of the memory, for comparing */
} checking;

/* -- daxfsctl check --------------------------------------------------------------------- */

static void note(void *context, const char *line)
{
	size_t used = strlen(checking.text);

	(void)context;
	if (pod.poisoned && !strncmp(line, "dirty-tail:", 11)) {
		checking.excused++; /* the poison */
		return;
	}
	snprintf(checking.text + used, sizeof(checking.text) - used, "%s%s", used ? "; " : "", line);
}

static long call_check(void *arg)
{
	(void)arg;
	return check_pool(&pod.pool, note, NULL, &checking.result);
}

/* True if nothing is wrong. */
static bool check(const char *when)
{
	char err[160] = "";
	long rc = 0;

	checking.text[0] = '\0';
	checking.excused = 0;
	pod.tallies->checks++;
	if (run_all(OBSERVER_CACHE, call_check, NULL, &rc, err) != RUN_RETURNED || rc)
		pod_violation("%s: the check does not end: %s", when, err);
	else if (checking.result.problems > checking.excused && !pod.damaged)
		pod_violation("%s: %" PRIu64 " problems: %s", when, checking.result.problems, checking.text);
	return !pod.violated;
}

void check_begin(void)
{
	if (check("the new pool"))
		checking.fresh = checking.result.usage;
	model_usage(&checking.known);
}

/* -- recovery, again ------------------------------------------------------------------------ */

struct again {
	struct daxfs *fs;
	unsigned slot;
	struct daxfs_recovery report;
};

static long call_again(void *arg)
{
	struct again *again = arg;

	return daxfs_recover(again->fs, again->slot, &again->report);
}

static bool within(const uint8_t *p, const void *start, size_t len)
{
	return p >= (const uint8_t *)start && p < (const uint8_t *)start + len;
}

/* What a recovery may change: figures of the slot, events, and of the lanes of its recoverer the announcements; and if
 * one of these has used up its numbers, they start again, and the epoch goes on (sync/rest.c). */
static bool may_differ(uint64_t offset, unsigned slot, unsigned by)
{
	const uint8_t *p = (const uint8_t *)memory_base() + offset;

	if (within(p, &pod.pool.member->host[slot], sizeof(struct sm_host)) ||
	    within(p, &pod.pool.member->manager.epoch, sizeof(sm_u64)) ||
	    within(p, pod.pool.events.last, sizeof(sm_u64)) ||
	    within(p, pod.pool.events.at, pod.pool.events.count * sizeof(struct sm_event)))
		return true;
	for (unsigned i = 0; i < pod.lanes; i++) {
		const struct sm_lane *lane = &pod.pool.lanes[by * pod.lanes + i];

		if (within(p, &lane->low, DAXFS_LINE) || within(p, &lane->status, sizeof(sm_u64)) ||
		    within(p, &lane->claim.number, sizeof(sm_u64)))
			return true;
	}
	return false;
}

static void compare(unsigned slot, unsigned by)
{
	for (uint64_t offset = 0; offset < pod.size; offset += sizeof(uint64_t)) {
		uint64_t before;

		if (offset % DAXFS_PAGE_SIZE == 0 &&
		    !memcmp(checking.copy + offset, memory_bytes() + offset, DAXFS_PAGE_SIZE)) {
			offset += DAXFS_PAGE_SIZE - sizeof(uint64_t);
			continue;
		}
		memcpy(&before, checking.copy + offset, sizeof(before));
		if (before == peek(offset) || may_differ(offset, slot, by))
			continue;
		pod_violation("recovering slot %u again changes offset %" PRIx64 " from %" PRIx64 " to %" PRIx64, slot,
			      offset, before, peek(offset));
		return;
	}
}

/* None of its threads was stopped while it looks for a lane: it would be waited for. */
static bool nobody_looks(struct machine *m)
{
	pthread_mutex_t *lock = &m->fs->wait_lock;

	return !pthread_mutex_trylock(lock) && !pthread_mutex_unlock(lock);
}

/* A machine that is joined, and has a lane to spare: recoverers have one of their own. */
static int idle_recoverer(unsigned slot)
{
	for (unsigned m = 0; m < pod.machines; m++)
		if (pod.machine[m].process == PROCESS_JOINED && pod.machine[m].slot != slot &&
		    !actor_of(ACTOR_RECOVER, m, 0)->recovering && nobody_looks(&pod.machine[m])) {
			struct host_word word;

			if (!host_word_unpack(peek_word(&pod.pool.member->host[pod.machine[m].slot].word), &word) &&
			    word.state == DAXFS_HOST_ALIVE && word.generation == pod.machine[m].generation)
				return (int)m;
		}
	return -1;
}

static void recover_again(unsigned slot)
{
	int m = idle_recoverer(slot);
	struct again again = { .slot = slot };
	uint64_t offset = memory_offset(&pod.pool.member->host[slot].word), v;
	struct host_word word;
	char err[160] = "";
	long rc = 0;

	if (m < 0 || host_word_unpack(peek(offset), &word) || word.state != DAXFS_HOST_RECOVERED)
		return;
	again.fs = pod.machine[m].fs;
	word.state = DAXFS_HOST_FENCED;
	v = host_word_pack(word);
	memory_mark();
	arena_mark();
	memory_store(OBSERVER_CACHE, offset, &v, sizeof(v));
	memcpy(checking.copy, memory_bytes(), pod.size);
	if (run_all((unsigned)m, call_again, &again, &rc, err) != RUN_RETURNED || rc)
		pod_violation("recovering slot %u again: %ld %s", slot, rc, err);
	else
		compare(slot, pod.machine[m].slot);
	pod.tallies->twice++;
	memory_rewind();
	memory_drop();
	arena_rewind();
	arena_drop();
}

void check_recovered(unsigned slot)
{
	char when[64];

	snprintf(when, sizeof(when), "after the recovery of slot %u", slot);
	if (pod.damaged || !check(when))
		return;
	store_check(when);
	if (!checking.copy)
		checking.copy = arena_host_alloc(memory_size());
	recover_again(slot);
}

/* -- everything as the model has it ------------------------------------------------------------- */

static void expect(const struct op *op, const struct outcome *out, uint64_t digest)
{
	char text[160];

	op_text(op, text, sizeof(text));
	if (out->rc < 0 || (out->digest != digest && !out->tarnished))
		pod_violation("at rest: %s: %ld, and not what it should be: %s", text, out->rc, out->text);
}

static void look_at_file(struct daxfs *fs, uint64_t ino)
{
	static uint8_t buf[MODEL_IO_MAX];
	struct op op = { .kind = DO_GETATTR, .ino = ino, .len = sizeof(buf) };
	struct model_attr attr;
	struct outcome out;

	model_attr(ino, &attr);
	work_perform(fs, &op, buf, &out);
	expect(&op, &out, model_ask(&op).digest);
	if (S_ISDIR(attr.mode))
		return;
	op.kind = S_ISLNK(attr.mode) ? DO_READLINK : DO_READ;
	do {
		work_perform(fs, &op, buf, &out);
		expect(&op, &out, model_ask(&op).digest);
		op.offset += sizeof(buf);
	} while (op.kind == DO_READ && op.offset < attr.size);
}

static void look_at_dir(struct daxfs *fs, uint64_t ino)
{
	struct op op = { .kind = DO_READDIR, .parent = { ino } };
	struct daxfs_attr up;
	struct outcome out;

	work_perform(fs, &op, NULL, &out);
	if (out.rc || out.listing.twice || out.listing.unknown)
		pod_violation("at rest: the listing of %" PRIx64 " is wrong: %ld", ino, out.rc);
	for (unsigned name = 0; name < MODEL_NAMES; name++) {
		op = (struct op){ .kind = DO_LOOKUP, .parent = { ino }, .name = { name } };
		if (out.listing.handle[name] != model_lookup(ino, name))
			pod_violation("at rest: %" PRIx64 "/%s leads to %" PRIx64 ", not %" PRIx64, ino,
				      model_name[name], out.listing.handle[name], model_lookup(ino, name));
		if (model_lookup(ino, name)) {
			struct outcome found;

			work_perform(fs, &op, NULL, &found);
			expect(&op, &found, model_ask(&op).digest);
		}
	}
	if (daxfs_lookup(fs, ino, "..", &up) || up.ino != model_parent(ino))
		pod_violation("at rest: .. of %" PRIx64 " is %" PRIx64, ino, up.ino);
}

static long call_look(void *arg)
{
	struct daxfs *fs = arg;

	for (unsigned i = 0; i < model_count() && !pod.violated; i++) {
		uint64_t ino = model_handle(i);

		if (!model_exists(ino))
			continue;
		look_at_file(fs, ino);
		if (model_is_dir(ino))
			look_at_dir(fs, ino);
	}
	return 0;
}

static void account(const char *what, uint64_t got, uint64_t want)
{
	if (got != want)
		pod_violation("at rest: %" PRIu64 " %s, should be %" PRIu64, got, what, want);
}

/* Inodes that the pool and the model do not agree about. */
static void check_inodes(void)
{
	for (unsigned i = 0; i < model_count(); i++) {
		uint64_t handle = model_handle(i), index = (uint32_t)handle;
		uint64_t state = peek_word(&pod.pool.state[DAXFS_T_INODE][index]);
		bool same = peek_word(&pod.pool.inodes[index].i_generation) == handle >> 32;

		if (model_exists(handle) && (!same || state_of(state) != DAXFS_LIVE))
			pod_violation("at rest: inode %" PRIx64 " is gone: state %" PRIx64, handle, state);
		if (!model_exists(handle) && same && state_of(state) == DAXFS_LIVE)
			pod_violation("at rest: inode %" PRIx64 " is still there: state %" PRIx64, handle, state);
	}
}

static void check_usage(void)
{
	const struct daxfs_statfs *now = &checking.result.usage, *fresh = &checking.fresh;
	struct model_use use;

	check_inodes();
	model_usage(&use);
	account("inodes", now->inodes.live - fresh->inodes.live, use.inodes - checking.known.inodes);
	account("entries", now->dirents.live - fresh->dirents.live, use.entries - checking.known.entries);
	account("pages with data", now->pages.live - now->nodes, fresh->pages.live - fresh->nodes + use.pages);
	account("pages held by nobody", now->pages.private_ + now->inodes.private_ + now->dirents.private_, 0);
	account("pages in all", now->pages.free + now->pages.live + now->pages.retired, now->pages.total);
}

static long call_leave(void *arg)
{
	return daxfs_leave(arg);
}

static void leave_all(void)
{
	for (unsigned m = 0; m < pod.machines && !pod.violated; m++) {
		char err[160] = "";
		long rc = 0;

		process_end(m);
		if (run_all(m, call_leave, pod.machine[m].fs, &rc, err) != RUN_RETURNED || rc)
			pod_violation("machine %u at rest cannot leave: %ld %s", m, rc, err);
	}
}

/* From the pool, and then again, from storage. */
static void look_at_all(void)
{
	char err[160] = "";

	if (!pod.violated && run_all(0, call_look, pod.machine[0].fs, NULL, err) != RUN_RETURNED)
		pod_violation("at rest: looking does not end: %s", err);
}

static void check_storage(void)
{
	look_at_all();
	if (!pod.violated)
		store_end_flush();
	if (!pod.violated)
		store_end_drop();
}

void check_end(void)
{
	if (!check("at rest") || pod.damaged)
		return;
	if (pod.stored)
		check_storage();
	else
		check_usage();
	look_at_all();
	if (pod.stored && !pod.violated) {
		store_end_drop();
		store_end_detach();
	}
	if (!pod.violated)
		leave_all();
	if (!pod.violated && check("after all have left"))
		check_usage();
}
