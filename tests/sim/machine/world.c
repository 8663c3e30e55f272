/* SPDX-License-Identifier: Apache-2.0 */
/* world.c - see world.h. Single-threaded; the one world is a static. */
#include "machine/world.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "machine/arena.h"
#include "fs/fs.h"
#include "inspect/check.h"
#include "sync/member.h"
#include "machine/weak.h"

#define POOL_BYTES (3u << 20)
#define SMALL_POOL_BYTES (700u << 10)

#define LEASE_MS 96u /* looks at the clock */

#define MARKS_MAX 16u

struct world world;
struct counter_ends counter_ends = COUNTER_ENDS;
static struct world worlds[MARKS_MAX]; /* one for each mark of the memory */

/* -- places -------------------------------------------------------------------- */

static void name_place(uint64_t offset, char *buf, size_t size)
{
	static const char *const names[DAXFS_REGIONS] = {
		"member",      "lane",         "open",  "page-state", "inode-state", "dirent-state", "page-birth",
		"inode-birth", "dirent-birth", "count", "inode",      "dirent",      "trouble",      "lease",
		"page",        "summary",      "event", "heat",       "ask",
	};

	snprintf(buf, size, "+0x%" PRIx64, offset);
	for (unsigned i = 0; i < DAXFS_REGIONS; i++) {
		const struct sm_region *r = &world.pool.super.region[i];
		uint64_t first = r->offset + DAXFS_PAGE_SIZE;

		if (r->elem_size && offset >= first && offset - first < r->elem_size * r->count)
			snprintf(buf, size, "%s %" PRIu64 " +0x%" PRIx64, names[i], (offset - first) / r->elem_size,
				 (offset - first) % r->elem_size);
	}
}

/* -- making ---------------------------------------------------------------------- */

static struct daxfs_error reason;

static long call_format(void *arg)
{
	const struct daxfs_mkfs_options options = {
		.name = "sim",
		.inodes = world.size == POOL_BYTES ? 64 : 16,
		.hosts = HOSTS + 1,
		.lanes = 2,
		.opens = 16,
		.heartbeat_ms = world.leases ? 5 : 0,
		.lease_ms = world.leases ? LEASE_MS : 0,
		.wb = *(bool *)arg,
	};
	int rc = pool_format(memory_base(), world.size, &options, &reason);

	return rc ? rc : pool_attach(memory_base(), world.size, &world.pool, &reason);
}

static long call_attach(void *arg)
{
	unsigned host = *(unsigned *)arg;
	long rc = fs_attach(memory_base(), world.size, &world.fs[host], &reason);

	return rc ? rc : world_storage_attach(host);
}

static long call_join(void *arg)
{
	unsigned host = *(unsigned *)arg;
	char name[16];

	snprintf(name, sizeof(name), "host%u", host);
	return daxfs_join(world.fs[host], host, name, &reason);
}

static void must(unsigned host, long (*call)(void *arg), void *arg, const char *what)
{
	char err[160] = "";
	long rc = 0;

	if (run_all(host, call, arg, &rc, err) == RUN_RETURNED && rc == 0)
		return;
	fprintf(stderr, "daxfs-sim: %s: %s %s (%ld)\n", what, reason.text, err, rc);
	exit(2);
}

/*
 * The fields of a record change once the device has it that the last one is over. Else recovery would take the
 * new fields for those of the last record: what the new one is to retire is still linked. Seldom does that show.
 */
static const char *broken_rule(uint64_t offset, uint64_t value)
{
	uint64_t lanes = world.pool.lanes ? memory_offset(world.pool.lanes) : UINT64_MAX;

	if (offset < lanes || (offset - lanes) % sizeof(struct sm_lane) ||
	    offset >= lanes + world.pool.lanes_total * sizeof(struct sm_lane))
		return NULL;
	return status_state(value) == DAXFS_PREPARE && !memory_durable(offset)
		       ? "a record begins before it is durable that the last one is over"
		       : NULL;
}

void world_make(bool wb, bool small, bool leases, unsigned join)
{
	if (!memory_size() && !memory_open(POOL_BYTES))
		arena_die("no memory for the pool");
	memory_reset(wb);
	arena_reset();
	seam_set_namer(name_place);
	seam_set_rule(broken_rule);
	world_storage_reset();
	world = (struct world){ .wb = wb, .leases = leases, .size = small ? SMALL_POOL_BYTES : POOL_BYTES };
	must(OBSERVER, call_format, &wb, "cannot format the pool");
	for (unsigned host = 0; host < HOSTS; host++) {
		must(host, call_attach, &host, "cannot attach");
		if (join & 1u << host)
			must(host, call_join, &host, "cannot join");
	}
	memory_quiesce();
}

void world_mark(void)
{
	memory_mark();
	arena_mark();
	worlds[memory_marks() - 1] = world;
	world_storage_mark(memory_marks() - 1);
}

void world_rewind(void)
{
	memory_rewind();
	arena_rewind();
	world = worlds[memory_marks() - 1];
	world_storage_rewind(memory_marks() - 1);
}

void world_drop(void)
{
	memory_drop();
	arena_drop();
}

/* -- fabricd's part ---------------------------------------------------------------- */

static struct host_word host_word(unsigned host)
{
	struct host_word word;
	uint64_t v;

	memcpy(&v, memory_bytes() + memory_offset(&world.pool.member->host[host].word), sizeof(v));
	if (host_word_unpack(v, &word))
		word = (struct host_word){ .state = DAXFS_HOST_STATES };
	return word;
}

static void set_word(const sm_u64 *p, uint64_t v)
{
	uint64_t offset = memory_offset(p);

	if (weak_on)
		weak_declare(offset, v);
	memory_store(OBSERVER, offset, &v, sizeof(v));
	memory_persist(OBSERVER, 0, offset, sizeof(v));
	memory_drain(OBSERVER, 0);
}

static void set_host_word(unsigned host, struct host_word word)
{
	set_word(&world.pool.member->host[host].word, host_word_pack(word));
}

static void set_lost(uint64_t offset, uint64_t value)
{
	memory_store(OBSERVER, offset, &value, sizeof(value));
	memory_persist(OBSERVER, 0, offset, sizeof(value));
	memory_drain(OBSERVER, 0);
}

void world_lose(unsigned host, struct fate fate)
{
	if (weak_on && !world.wb)
		weak_lose(host, set_lost);
	/* A host that loses its caches has lost its power, and so its kernel. Else only processes may have died. */
	world.off[host] = memory_loss(host, fate);
	if (world.off[host])
		memset(&world.kernel[host], 0, sizeof(world.kernel[host]));
	memory_lose(host, fate);
	world_storage_lose(host, fate);
	if (weak_on && world.wb)
		weak_follow(host);
}

static bool abandoned(const struct host_word *word)
{
	uint32_t generation = host_word((unsigned)word->recoverer).generation;

	return word->recoverer_generation != DAXFS_RECOVERER_GENERATION(generation);
}

bool world_fence(unsigned host, unsigned candidate)
{
	struct host_word word = host_word(host);

	world_storage_fence(host);
	for (unsigned other = 0; other < HOSTS; other++) {
		struct host_word w = host_word(other);

		if (w.state != DAXFS_HOST_RECOVERING || w.recoverer != (int)host)
			continue;
		w.recoverer = (int)candidate;
		w.recoverer_generation = DAXFS_RECOVERER_GENERATION(host_word(candidate).generation);
		set_host_word(other, w);
	}
	if (word.state == DAXFS_HOST_FREE || word.state == DAXFS_HOST_RECOVERED)
		return false;
	if (word.state == DAXFS_HOST_RECOVERING && abandoned(&word))
		world_assign(host, candidate);
	if (word.state == DAXFS_HOST_FENCED || word.state == DAXFS_HOST_RECOVERING)
		return true;
	word.state = DAXFS_HOST_FENCED;
	word.generation++;
	if (lease_used(&world.pool)) /* else nobody looks, and what a death leaves is a matter of memory alone */
		set_word(&world.pool.member->host[host].fence_ms,
			 world.off[host] ? (uint64_t)word.generation << 40 : 0);
	set_host_word(host, word);
	return true;
}

bool world_revoke(unsigned host)
{
	struct host_word word = host_word(host);

	if (word.state != DAXFS_HOST_JOINING && word.state != DAXFS_HOST_ALIVE)
		return false;
	word.state = DAXFS_HOST_FENCING;
	set_host_word(host, word);
	return true;
}

void world_assign(unsigned dead, unsigned by)
{
	struct host_word word = host_word(dead);

	word.state = DAXFS_HOST_RECOVERING;
	word.recoverer = (int)by;
	word.recoverer_generation = DAXFS_RECOVERER_GENERATION(host_word(by).generation);
	set_host_word(dead, word);
}

void world_abandon(unsigned dead, unsigned by)
{
	struct host_word word;

	world_assign(dead, by);
	word = host_word(dead);
	word.recoverer_generation = DAXFS_RECOVERER_GENERATION(word.recoverer_generation + 1);
	set_host_word(dead, word);
}

void world_unrecover(unsigned host)
{
	struct host_word word = host_word(host);

	if (word.state != DAXFS_HOST_RECOVERED)
		return;
	word.state = DAXFS_HOST_FENCED;
	set_host_word(host, word);
}

static uint64_t peek(const sm_u64 *p)
{
	uint64_t v;

	memcpy(&v, memory_bytes() + memory_offset(p), sizeof(v));
	return v;
}

static void show_record(const struct sm_lane *lane, FILE *out)
{
	uint64_t n = peek(&lane->n_words);

	for (unsigned i = 0; i < n && i < DAXFS_RECORD_WORDS; i++) {
		uint64_t offset = peek(&lane->words[3 * i]) & ((1ull << 56) - 1), now = 0;
		char place[64];

		name_place(offset, place, sizeof(place));
		if (offset + sizeof(now) <= memory_size())
			memcpy(&now, memory_bytes() + offset, sizeof(now));
		fprintf(out, "    %-24s class %2u before %16" PRIx64 " after %16" PRIx64 " now %16" PRIx64 "\n", place,
			(unsigned)(peek(&lane->words[3 * i]) >> 56), peek(&lane->words[3 * i + 1]),
			peek(&lane->words[3 * i + 2]), now);
	}
}

void world_show_lanes(FILE *out)
{
	for (unsigned i = 0; i < world.pool.lanes_total; i++) {
		const struct sm_lane *lane = &world.pool.lanes[i];
		uint64_t status = peek(&lane->status);

		if (!(status & 255) && !peek(&lane->todo) && !peek(&lane->low))
			continue;
		fprintf(out, "  lane %u seq %" PRIu64 " operation %u state %u todo %" PRIx64 " low %" PRIu64, i,
			status >> 18, (unsigned)(status >> 8) & 1023, (unsigned)status & 255, peek(&lane->todo),
			peek(&lane->low));
		fprintf(out, " words %" PRIu64 " allocs %" PRIu64 " retires %" PRIu64 "\n", peek(&lane->n_words),
			peek(&lane->n_allocs), peek(&lane->n_retires));
		if (status & 255)
			show_record(lane, out);
	}
}

/* -- recovery and check -------------------------------------------------------------- */

struct recover_call {
	struct daxfs *fs;
	unsigned dead;
	struct daxfs_recovery report;
};

static long call_recover(void *arg)
{
	struct recover_call *call = arg;

	return daxfs_recover(call->fs, call->dead, &call->report);
}

int world_recover(unsigned by, unsigned dead, char *err)
{
	struct recover_call call = { .fs = world.fs[by], .dead = dead };
	long rc = 0;

	return run_all(by, call_recover, &call, &rc, err) == RUN_RETURNED ? (int)rc : -ELOOP;
}

static long call_rejoin(void *arg)
{
	long rc = call_attach(arg);

	return rc ? rc : call_join(arg);
}

static long call_take_over(void *arg)
{
	unsigned host = *(unsigned *)arg;
	uint64_t tenancy = sm_load(&world.pool.member->host[host].tenancy);
	long rc = call_attach(arg);

	if (rc == 0)
		rc = daxfs_resume(world.fs[host], host, tenancy, NULL, 0, &reason);
	return rc ? rc : daxfs_resume_end(world.fs[host]);
}

static long call_revive(void *arg)
{
	unsigned host = *(unsigned *)arg;
	struct daxfs_recovery report;
	char name[16];
	long rc = call_attach(arg);

	snprintf(name, sizeof(name), "host%u", host);
	return rc ? rc : daxfs_revive(world.fs[host], host, name, NULL, NULL, NULL, &report, &reason);
}

static void come_back(unsigned *host, long (*call)(void *arg), struct run *run, seam_hook hook, void *context)
{
	run_start(run, *host, call, host);
	run->hook = hook;
	run->context = context;
	run_until(run, 0);
}

void world_take_over(unsigned *host, struct run *run, seam_hook hook, void *context)
{
	come_back(host, call_take_over, run, hook, context);
}

void world_revive(unsigned *host, struct run *run, seam_hook hook, void *context)
{
	come_back(host, call_revive, run, hook, context);
}

int world_rejoin(unsigned host, char *err)
{
	long rc = 0;

	if (run_all(host, call_rejoin, &host, &rc, err) != RUN_RETURNED)
		return -ELOOP;
	if (rc)
		snprintf(err, 160, "%.150s", reason.text);
	return (int)rc;
}

static void note_problem(void *context, const char *line)
{
	struct world_check *check = context;
	size_t used = strlen(check->text);

	snprintf(check->text + used, sizeof(check->text) - used, "%s%s", used ? "; " : "", line);
}

static long call_check(void *arg)
{
	struct daxfs_check check = { .problems = 0 };
	struct world_check *out = arg;
	int rc = check_pool(&world.pool, note_problem, out, &check);

	out->problems = check.problems;
	out->usage = check.usage;
	world_judge_events(out);
	return rc;
}

bool world_check(struct world_check *out)
{
	char err[160] = "";
	long rc = 0;

	*out = (struct world_check){ .problems = 0 };
	if (run_all(OBSERVER, call_check, out, &rc, err) == RUN_RETURNED && rc == 0)
		return true;
	snprintf(out->text, sizeof(out->text), "the check failed: %s (%ld)", err, rc);
	out->problems = 1;
	return false;
}
