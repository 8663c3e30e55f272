/* SPDX-License-Identifier: Apache-2.0 */
/*
 * features.c - features that are switched on while hosts work, so that a pod can be upgraded host by host.
 *
 * What a pool uses is what its superblock says, since mkfs, and what the word `features` of the manager's line says:
 * [63:32] changes [31:16] compat [15:0] incompat. Bits of its low half come and never go. Each host says in its slot
 * what its program knows.
 *
 * F1 An incompat feature is on only if every host that may live knows it.
 *
 *   a host that comes (join, resume)       who switches on
 *   1 its slot: JOINING, or its process    1 reads the word
 *   2 says what it knows                   2 looks at every slot
 *   3 word: changes + 1, by CAS            3 CAS of the word that was read: the bit, changes + 1
 *   4 what that CAS left: too much? goes
 *
 * All changes of a word are in one order. Its step 3 before their step 1: they see its slot and what it knows.
 * Between their 1 and 3: their CAS fails, and they look anew. After it: its own CAS finds the bit. What a slot still
 * says of a former tenant, or of the process that a successor follows, makes no difference: then step 3 is to come.
 * A host that is cut off counts until it is FENCED; who recovers it lives, and knows what is on.
 *
 * Crash: the word is all there is. Who dies between 2 and 3 has said something of itself. In a wb pool the word
 * could be lost with the caches of who switched on, after others had seen it: so whoever comes, and
 * whoever is about to use a feature, writes it back first. A word that a deposed tenant of the slot says late has its
 * generation, and counts as nothing: the host must then come anew for others to believe that it knows.
 */
#include "sync/features.h"

#include <errno.h>
#include <string.h>

#include "mem/super.h"
#include "sync/member.h"

#define COMPAT(bits) ((uint32_t)((bits) << DAXFS_COMPAT_SHIFT))
#define FEATURES 32u

static const struct {
	const char *name;
	uint32_t bit;
	bool by_mkfs; /* it has a region */
} table[] = {
	{ "cache", DAXFS_INCOMPAT_CACHE, false },        { "links", DAXFS_INCOMPAT_LINKS, false },
	{ "events", COMPAT(DAXFS_COMPAT_EVENTS), true }, { "heat", COMPAT(DAXFS_COMPAT_HEAT), true },
	{ "asks", COMPAT(DAXFS_COMPAT_ASKS), true },
};
#define TABLE (sizeof(table) / sizeof(table[0]))

static void write_back(const struct pool *pool)
{
	sm_flush(&pool->shm, &pool->member->manager.features, sizeof(sm_u64));
	sm_drain(&pool->shm);
}

static uint64_t with(uint64_t word, uint32_t bits)
{
	return ((word >> 32) + 1) << 32 | (uint32_t)word | bits;
}

static uint32_t made_with(const struct pool *pool)
{
	return (uint32_t)(pool->super.compat << DAXFS_COMPAT_SHIFT | (pool->super.incompat & 0xffff));
}

bool features_incompat(const struct pool *pool, uint64_t bit)
{
	if (pool->super.incompat & bit)
		return true;
	if (!(sm_load(&pool->member->manager.features) & bit))
		return false;
	if (pool->writable)
		write_back(pool);
	return true;
}

int features_enter(struct pool *pool, unsigned host, uint32_t generation, struct daxfs_error *err)
{
	sm_u64 *knows = &pool->member->host[host].knows, *word = &pool->member->manager.features;
	uint64_t seen;

	sm_store_relaxed(knows, (uint64_t)generation << 40 | pool->knows);
	sm_flush(&pool->shm, knows, sizeof(*knows));
	sm_drain(&pool->shm);
	/* ORD features: the slot and what it says, then the word; who reads the word looks at slots. */
	do
		seen = sm_load(word);
	while (!sm_cas(word, seen, with(seen, 0)));
	write_back(pool);
	return super_judge_features((uint32_t)seen, pool->knows, err);
}

static int find(const struct daxfs_member *m, const char *name)
{
	for (unsigned i = 0; i < TABLE; i++)
		if (m->pool.knows & table[i].bit && strcmp(table[i].name, name) == 0)
			return (int)i;
	return -1;
}

/* Does every host that may live know it? */
static int all_know(const struct daxfs_member *m, unsigned at, struct daxfs_error *err)
{
	struct daxfs_host_view v;

	for (unsigned i = 0; i < m->pool.super.hosts; i++) {
		if (member_look(&m->pool, i, &v))
			return daxfs_error_set(err, -EIO, "host slot %u makes no sense; run daxfsctl check", i);
		if (daxfs_host_may_live(&v) && !(v.knows & table[at].bit))
			return daxfs_error_set(err, -EBUSY,
					       "host %u (%s) does not know the feature %s: upgrade its agent first", i,
					       v.name, table[at].name);
	}
	return 0;
}

static int enable(struct daxfs_member *m, unsigned at, struct daxfs_error *err)
{
	sm_u64 *word = &m->pool.member->manager.features;
	uint64_t seen;
	int rc;

	do {
		/* ORD features: the word, then the slots. Who comes after this makes the CAS fail. */
		seen = sm_load(word);
		if (seen & table[at].bit)
			break;
		rc = all_know(m, at, err);
		if (rc)
			return rc;
	} while (!sm_cas(word, seen, with(seen, table[at].bit)));
	write_back(&m->pool);
	return 0;
}

int daxfs_member_enable(struct daxfs_member *m, const char *name, struct daxfs_error *err)
{
	int at;

	if (!*m->here)
		return daxfs_error_set(err, -ECHILD, "this process is a child of the one that opened the pool");
	if (!m->pool.writable)
		return daxfs_error_set(err, -EROFS, "the pool is mapped read-only");
	at = find(m, name);
	if (at < 0)
		return daxfs_error_set(err, -EINVAL, "%.32s: no such feature; daxfsctl features POOL lists them", name);
	if (made_with(&m->pool) & table[at].bit)
		return 0;
	if (table[at].by_mkfs)
		return daxfs_error_set(err, -EINVAL,
				       "%s needs room that only mkfs makes: copy what is in the pool to a new one",
				       name);
	return enable(m, (unsigned)at, err);
}

static const char *name_of(uint32_t bit, bool *by_mkfs)
{
	for (unsigned i = 0; i < TABLE; i++)
		if (table[i].bit == bit) {
			*by_mkfs = table[i].by_mkfs;
			return table[i].name;
		}
	return NULL;
}

int daxfs_member_feature(const struct daxfs_member *m, unsigned n, struct daxfs_feature *out)
{
	uint32_t on, listed;

	if (!*m->here)
		return -ECHILD;
	on = made_with(&m->pool) | (uint32_t)sm_load(&m->pool.member->manager.features);
	listed = on | m->pool.knows;
	for (unsigned bit = 0; bit < FEATURES; bit++) {
		if (!(listed >> bit & 1) || n--)
			continue;
		*out = (struct daxfs_feature){
			.bit = bit,
			.on = on >> bit & 1,
			.incompat = bit < DAXFS_COMPAT_SHIFT,
		};
		if (m->pool.knows >> bit & 1)
			out->name = name_of(1u << bit, &out->by_mkfs);
		return 0;
	}
	return -ENOENT;
}

int daxfs_member_speaks(const struct daxfs_member *m, struct daxfs_error *err)
{
	uint32_t on;

	if (!*m->here)
		return daxfs_error_set(err, -ECHILD, "this process is a child of the one that opened the pool");
	on = (uint32_t)sm_load(&m->pool.member->manager.features);
	return super_judge_features(on, m->pool.knows, err);
}
