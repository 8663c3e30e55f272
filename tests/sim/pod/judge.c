/* SPDX-License-Identifier: Apache-2.0 */
/* judge.c - see pod/judge.h. Single-threaded; operations under way are a static table. */
#include "pod/judge.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "machine/arena.h"
#include "pod/locks.h"
#include "pod/store.h"
#include "sync/lane.h"
#include "sync/member.h"

#define PENDINGS_MAX 256u
#define READ_CHANGES 8u   /* a read of several pages may be of no one moment when so many came in between */
#define PLENTY_PAGES 128u /* free: then there is no excuse for ENOSPC */
#define PLENTY 4u

static struct pending pendings[PENDINGS_MAX];
static uint64_t serials;

void pendings_reset(void)
{
	for (unsigned i = 0; i < PENDINGS_MAX; i++)
		pendings[i].used = false;
	serials = 0;
}

/* -- what is permitted at this moment ------------------------------------------------ */

static void add_digest(struct pending *p, uint64_t digest)
{
	for (unsigned i = 0; i < p->n_digest; i++)
		if (p->digest[i] == digest)
			return;
	if (p->n_digest < DIGESTS_MAX)
		p->digest[p->n_digest++] = digest;
	p->changes++;
}

/* More than fit: it is not known any more what is right (n_block is one too many). */
static void add_block(struct pending *p, unsigned nth, uint64_t digest)
{
	unsigned i = 0;

	while (i < p->n_block[nth] && i < BLOCK_DIGESTS && p->block[nth][i] != digest)
		i++;
	if (i < p->n_block[nth])
		return;
	if (i < BLOCK_DIGESTS)
		p->block[nth][i] = digest;
	p->n_block[nth] = (uint8_t)(i + 1);
}

static void look_at_dir(struct pending *p)
{
	for (unsigned name = 0; name < MODEL_NAMES; name++) {
		uint64_t handle = model_lookup(p->op.parent[0], name);
		unsigned i = 0;

		if (!handle)
			p->first.handle[name] = 0;
		while (i < p->n_ever && (p->ever[i].name != name || p->ever[i].handle != handle))
			i++;
		if (!handle || i < p->n_ever)
			continue;
		if (i == EVER_MAX)
			arena_die("a directory had more entries than a seed can make");
		p->ever[p->n_ever++] = (struct binding){ handle, name };
	}
}

static void look(struct pending *p)
{
	struct answer a = model_ask(&p->op);

	p->errors |= a.errors;
	p->nothing |= a.nothing;
	if (p->op.kind >= DO_LOOKUP && !a.errors)
		add_digest(p, a.digest);
	for (unsigned i = 0; i < a.n_blocks; i++)
		add_block(p, i, a.block[i]);
	if (p->op.kind == DO_READDIR)
		look_at_dir(p);
}

static bool changes_file(const struct op *op)
{
	return op->kind == DO_SETATTR || op->kind == DO_WRITE || op->kind == DO_DRAFT;
}

static bool short_of_space(void)
{
	for (unsigned type = 0; type < DAXFS_TYPES; type++) {
		uint64_t free_now = 0;

		for (uint64_t i = 0; i < pod.pool.objects[type]; i++)
			free_now += (type == DAXFS_T_PAGE ? extent_page(i) : peek_word(&pod.pool.state[type][i])) == 0;
		if (free_now < (type == DAXFS_T_PAGE ? PLENTY_PAGES : PLENTY))
			return true;
	}
	return false;
}

void pendings_refresh(const struct op *op)
{
	bool is_short = short_of_space();

	for (unsigned i = 0; i < PENDINGS_MAX; i++) {
		struct pending *p = &pendings[i];
		uint64_t version;

		if (!p->used)
			continue;
		p->was_short |= is_short;
		if (p->op.ino == op->ino && changes_file(op) && !model_exists(op->ino))
			p->beyond = true;
		if (p->existed && !model_exists(p->op.ino))
			p->vanished = true;
		if (p->op.ino == op->ino && op->kind == DO_SETATTR && op->set & DAXFS_SET_SIZE)
			p->vanished = true;
		version = model_version(&p->op);
		if (p->dead || (version && version == p->version))
			continue;
		p->version = version;
		look(p);
	}
}

void pendings_see_lock(void)
{
	for (unsigned i = 0; i < PENDINGS_MAX; i++)
		if (pendings[i].used && !pendings[i].dead && pendings[i].op.kind == DO_LOCK)
			pendings[i].refusable |= locks_refusable(&pendings[i].op);
}

void pendings_look(void)
{
	for (unsigned i = 0; i < PENDINGS_MAX; i++)
		if (pendings[i].used && !pendings[i].dead)
			look(&pendings[i]);
}

struct pending *oracle_begin(struct actor *a, const struct op *op)
{
	struct pending *p = pendings;
	char text[160];

	while (p < pendings + PENDINGS_MAX && p->used)
		p++;
	if (p == pendings + PENDINGS_MAX) {
		pod_violation("too many operations of dead hosts that nobody recovers");
		return NULL;
	}
	memset(p, 0, offsetof(struct pending, ever));
	memset(p->n_block, 0, sizeof(p->n_block));
	p->used = true;
	p->serial = ++serials;
	p->op = *op;
	p->actor = a;
	p->slot = pod.machine[a->machine].slot;
	p->generation = pod.machine[a->machine].generation;
	p->existed = op->ino && model_exists(op->ino);
	p->was_short = short_of_space();
	p->bare = !store_backing(a->machine);
	p->storage_errors = store.errors;
	for (unsigned name = 0; op->kind == DO_READDIR && name < MODEL_NAMES; name++)
		p->first.handle[name] = model_lookup(op->parent[0], name);
	p->version = model_version(op);
	look(p);
	p->changes = 0;
	a->run.steps_max = a->run.steps + (store_file(op->ino) < 0 ? OP_STEPS : OP_STORED_STEPS);
	locks_begin(p);
	if (trace_wanted()) {
		op_text(op, text, sizeof(text));
		trace_line("machine %u worker %u: %s", a->machine, a->nth, text);
	}
	return p;
}

/* -- the end of one ------------------------------------------------------------------------ */

static void wrong(const struct pending *p, long rc, const char *err)
{
	char text[160];

	op_text(&p->op, text, sizeof(text));
	pod_violation("slot %u: %s: %ld: %s (errors %x, %s, %u digests)", p->slot, text, rc, err, p->errors,
		      p->committed ? "committed" : "not committed", p->n_digest);
}

/* Is whoever did it still a member? Otherwise it may have been refused. */
static bool member(const struct pending *p)
{
	struct host_word word;

	if (host_word_unpack(peek_word(&pod.pool.member->host[p->slot].word), &word))
		return false;
	return word.generation == p->generation && (word.state == DAXFS_HOST_ALIVE || word.state == DAXFS_HOST_SUSPECT);
}

static const char *judge_failure(const struct pending *p, long rc)
{
	if (rc == -ESTALE && !member(p))
		return NULL;
	if (p->committed && !(rc == -ESTALE && p->vanished))
		return "failed, yet it happened";
	if (store_may_fail(p, rc))
		return NULL;
	if (rc == -ENOSPC && (p->op.kind <= DO_LINK || (p->op.kind >= DO_RENAME && p->op.kind <= DO_DRAFT)))
		return p->was_short || short_of_space() ? NULL : "no space, and plenty is free";
	if (p->op.kind == DO_LOCK && (rc == -EAGAIN || rc == -ENOLCK))
		return rc == -EAGAIN || p->was_short || short_of_space() ? NULL
									 : "no page for locks, and plenty is free";
	if (rc == -EBUSY && p->op.kind == DO_DRAFT)
		return NULL; /* other workers have views and drafts */
	if (rc == -EAGAIN && (p->op.kind == DO_DRAFT || p->op.kind == DO_VIEW))
		return NULL;
	if (rc == -ENFILE && (p->op.kind == DO_HOLD || p->op.kind == DO_MKNOD))
		return NULL;
	return p->errors & model_error_bit((int)rc) ? NULL : "at no moment that was the answer";
}

/* Was every block at some moment what was read? */
static bool blocks_right(const struct pending *p, const struct outcome *out)
{
	uint64_t end = p->op.offset + (uint64_t)out->rc;
	uint64_t from = p->op.offset / MODEL_BLOCK, to = (end + MODEL_BLOCK - 1) / MODEL_BLOCK;

	for (unsigned nth = 0; out->rc && nth < to - from; nth++) {
		unsigned i = 0;

		while (i < p->n_block[nth] && i < BLOCK_DIGESTS && p->block[nth][i] != out->block[nth])
			i++;
		if (i == p->n_block[nth])
			return false;
	}
	return true;
}

/*
 * A poisoned data page gives garbage, all of it the same byte: see pod/faults.c. A read that others overwrite
 * again and again is right block by block. Attributes that changed more often than is remembered: not known.
 */
static bool lenient(const struct pending *p, const struct outcome *out)
{
	if (out->tarnished || p->beyond)
		return true;
	pod.tallies->lenient++;
	if (p->op.kind == DO_READ || p->op.kind == DO_VIEW) /* of storage a read may be in parts */
		return (p->changes >= READ_CHANGES || store_file(p->op.ino) >= 0) && blocks_right(p, out);
	return p->n_digest == DIGESTS_MAX;
}

static const char *judge_read(const struct pending *p, const struct outcome *out)
{
	for (unsigned i = 0; i < p->n_digest; i++)
		if (p->digest[i] == out->digest)
			return NULL;
	return lenient(p, out) ? NULL : "not what was there at any moment";
}

static const char *judge_listing(const struct pending *p, const struct listing *l)
{
	if (l->unknown || l->twice)
		return l->unknown ? "lists a name that nobody made" : "lists a name twice";
	for (unsigned name = 0; name < MODEL_NAMES; name++) {
		unsigned i = 0;

		if (p->first.handle[name] && !l->handle[name])
			return "does not list a name that was there all the time";
		while (i < p->n_ever && (p->ever[i].name != name || p->ever[i].handle != l->handle[name]))
			i++;
		if (l->handle[name] && i == p->n_ever)
			return "lists a name that was not there";
	}
	return NULL;
}

static const char *judge_success(const struct pending *p, const struct outcome *out)
{
	switch (p->op.kind) {
	case DO_READDIR: return judge_listing(p, &out->listing);
	case DO_FSYNC:
	case DO_RELEASE: return NULL;
	case DO_HOLD: return model_held(p->op.ino, p->slot) ? NULL : "held, but not by this host";
	case DO_LOOKUP:
	case DO_GETATTR:
	case DO_READ:
	case DO_VIEW:
	case DO_READLINK: return judge_read(p, out);
	default: break;
	}
	if (out->aborted)
		return p->committed ? "given up, yet it happened" : NULL;
	if (!p->committed)
		return p->nothing ? NULL : "succeeded, but nothing happened";
	if (p->handle && out->handle && p->handle != out->handle)
		return "made another inode than it says";
	if (p->op.kind != DO_WRITE && p->op.kind != DO_DRAFT)
		return NULL;
	return (uint64_t)out->rc != p->op.len ? "wrote less than asked" : NULL;
}

/* Whoever hears of an inode may go on to use it. */
static void tell(const struct outcome *out)
{
	model_tell(out->handle);
	for (unsigned name = 0; name < MODEL_NAMES; name++)
		if (out->listing.handle[name])
			model_tell(out->listing.handle[name]);
}

static bool somebody_is_dead(void)
{
	for (unsigned slot = 0; slot < pod.pool.super.hosts; slot++) {
		struct host_word word;

		if (!host_word_unpack(peek_word(&pod.pool.member->host[slot].word), &word) &&
		    word.state >= DAXFS_HOST_FENCING && word.state <= DAXFS_HOST_RECOVERING)
			return true;
	}
	for (unsigned m = 0; m < pod.machines; m++)
		if (!pod.machine[m].on)
			return true;
	return false;
}

static void note_alone(const struct pending *p)
{
	if (pod.alone != (int)p->actor->machine)
		return;
	pod.tallies->alone += pod.now_ns < pod.alone_ns && somebody_is_dead();
	pod.alone_workers &= ~(1u << p->actor->nth);
}

void oracle_end(struct pending *p, const struct outcome *out)
{
	const char *err;

	trace_line("machine %u worker %u: = %ld %llx", p->actor->machine, p->actor->nth, out->rc,
		   (unsigned long long)(out->handle ? out->handle : out->digest));
	pod.hash = (pod.hash ^ (uint64_t)out->rc ^ out->digest) * 0x9e3779b97f4a7c15ull;
	p->used = false;
	note_alone(p);
	if (pod.damaged || (out->rc == -EIO && pod.violated))
		return;
	err = out->rc < 0 ? judge_failure(p, out->rc) : judge_success(p, out);
	if (!err && p->op.kind == DO_LOCK)
		err = locks_end(p, out->rc);
	if (err)
		wrong(p, out->rc, err);
	else
		tell(out);
}

/* -- deaths ---------------------------------------------------------------------------------- */

void pendings_orphan(unsigned machine)
{
	for (unsigned i = 0; i < PENDINGS_MAX; i++)
		if (pendings[i].used && pendings[i].actor && pendings[i].actor->machine == machine) {
			pendings[i].dead = true;
			pendings[i].actor = NULL;
		}
}

/* generation: of the slot, after the bump that ended the tenant. */
void pendings_bury(unsigned slot, uint32_t generation)
{
	for (unsigned i = 0; i < PENDINGS_MAX; i++)
		if (pendings[i].used && pendings[i].dead && pendings[i].slot == slot &&
		    pendings[i].generation < generation)
			pendings[i].used = false;
}

unsigned pendings_count(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < PENDINGS_MAX; i++)
		n += pendings[i].used;
	return n;
}
