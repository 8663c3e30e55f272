/* SPDX-License-Identifier: Apache-2.0 */
/* pod_judge.c - see pod_judge.h. Single-threaded; operations under way are a static table. */
#include "pod_judge.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "sync/lane.h"
#include "sync/member.h"

#define PENDINGS_MAX 256u
#define READ_CHANGES 8u  /* a read of several pages may be of no one moment when so many came in between */
#define ATTR_CHANGES 16u
#define PLENTY_PAGES 128u /* free: then there is no excuse for ENOSPC */
#define PLENTY 4u

static struct pending pendings[PENDINGS_MAX];
static uint64_t serials;

void pendings_reset(void)
{
	memset(pendings, 0, sizeof(pendings));
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

static void look_at_dir(struct pending *p)
{
	for (unsigned name = 0; name < MODEL_NAMES; name++) {
		uint64_t handle = model_lookup(p->op.parent[0], name);
		unsigned i = 0;

		if (!handle)
			p->first.handle[name] = 0;
		while (i < p->n_ever && (p->ever[i].name != name || p->ever[i].handle != handle))
			i++;
		if (!handle || i < p->n_ever || i == sizeof(p->ever) / sizeof(p->ever[0]))
			continue;
		p->ever[i].name = name;
		p->ever[i].handle = handle;
		p->n_ever++;
	}
}

static void look(struct pending *p)
{
	struct answer a = model_ask(&p->op);

	p->errors |= a.errors;
	p->nothing |= a.nothing;
	if (p->op.kind >= DO_LOOKUP && !a.errors)
		add_digest(p, a.digest);
	if (p->op.kind == DO_READDIR)
		look_at_dir(p);
}

void pendings_refresh(const struct op *op)
{
	for (unsigned i = 0; i < PENDINGS_MAX; i++) {
		struct pending *p = &pendings[i];
		uint64_t version;

		if (!p->used)
			continue;
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
	*p = (struct pending){.used = true, .serial = ++serials, .op = *op, .actor = a};
	p->slot = pod.machine[a->machine].slot;
	p->generation = pod.machine[a->machine].generation;
	p->existed = op->ino && model_exists(op->ino);
	for (unsigned name = 0; op->kind == DO_READDIR && name < MODEL_NAMES; name++)
		p->first.handle[name] = model_lookup(op->parent[0], name);
	p->version = model_version(op);
	look(p);
	p->changes = 0;
	if (trace_wanted()) {
		op_text(op, text, sizeof(text));
		trace_line("machine %u worker %u: %s", a->machine, a->nth, text);
	}
	return p;
}

/* -- the end of one ------------------------------------------------------------------------ */

static void wrong(const struct pending *p, long rc, const char *why)
{
	char text[160];

	op_text(&p->op, text, sizeof(text));
	pod_violation("slot %u: %s: %ld: %s (errors %x, %s, %u digests)", p->slot, text, rc, why, p->errors,
		      p->committed ? "committed" : "not committed", p->n_digest);
}

/* Is whoever did it still a member? Otherwise it may have been refused. */
static bool member(const struct pending *p)
{
	struct host_word word;

	if (host_word_unpack(peek_word(&pod.pool.member->host[p->slot].word), &word))
		return false;
	return word.generation == p->generation &&
	       (word.state == DAXFS_HOST_ALIVE || word.state == DAXFS_HOST_SUSPECT);
}

static bool short_of_space(void)
{
	for (unsigned type = 0; type < DAXFS_TYPES; type++) {
		uint64_t free_now = 0;

		for (uint64_t i = 0; i < pod.pool.objects[type]; i++)
			free_now += peek_word(&pod.pool.state[type][i]) == 0;
		if (free_now < (type == DAXFS_T_PAGE ? PLENTY_PAGES : PLENTY))
			return true;
	}
	return false;
}

static const char *judge_failure(const struct pending *p, long rc)
{
	if (rc == -ESTALE && !member(p))
		return NULL;
	if (p->committed && !(rc == -ESTALE && p->vanished))
		return "failed, yet it happened";
	if (rc == -ENOSPC && (p->op.kind <= DO_LINK || (p->op.kind >= DO_RENAME && p->op.kind <= DO_WRITE)))
		return short_of_space() ? NULL : "no space, and plenty is free";
	if (rc == -ENFILE && (p->op.kind == DO_HOLD || p->op.kind == DO_MKNOD))
		return NULL;
	return p->errors & model_error_bit((int)rc) ? NULL : "at no moment that was the answer";
}

/* A poisoned data page gives garbage, all of it the same byte: see pod_faults.c. */
static bool lenient(const struct pending *p)
{
	if (p->tarnished)
		return true;
	if (p->op.kind == DO_READ)
		return p->changes >= READ_CHANGES;
	return p->changes >= ATTR_CHANGES || p->n_digest == DIGESTS_MAX;
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

static const char *judge_success(const struct pending *p, long rc, uint64_t digest, uint64_t handle,
				 const struct listing *listing)
{
	switch (p->op.kind) {
	case DO_READDIR:
		return judge_listing(p, listing);
	case DO_FSYNC:
	case DO_RELEASE:
		return NULL;
	case DO_HOLD:
		return model_held(p->op.ino, p->slot) ? NULL : "held, but not by this host";
	case DO_LOOKUP: case DO_GETATTR: case DO_READ: case DO_READLINK:
		for (unsigned i = 0; i < p->n_digest; i++)
			if (p->digest[i] == digest)
				return NULL;
		return lenient(p) ? NULL : "not what was there at any moment";
	default:
		break;
	}
	if (!p->committed)
		return p->nothing ? NULL : "succeeded, but nothing happened";
	if (p->handle && handle && p->handle != handle)
		return "made another inode than it says";
	return p->op.kind == DO_WRITE && (uint64_t)rc != p->op.len ? "wrote less than asked" : NULL;
}

void oracle_end(struct pending *p, long rc, uint64_t digest, uint64_t handle, const struct listing *listing)
{
	const char *why;

	trace_line("machine %u worker %u: = %ld %llx", p->actor->machine, p->actor->nth, rc,
		   (unsigned long long)(handle ? handle : digest));
	pod.hash = (pod.hash ^ (uint64_t)rc ^ digest) * 0x9e3779b97f4a7c15ull;
	p->used = false;
	if (pod.damaged || (rc == -EIO && pod.violated))
		return;
	why = rc < 0 ? judge_failure(p, rc) : judge_success(p, rc, digest, handle, listing);
	if (why)
		wrong(p, rc, why);
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

bool pendings_any(void)
{
	for (unsigned i = 0; i < PENDINGS_MAX; i++)
		if (pendings[i].used)
			return true;
	return false;
}
