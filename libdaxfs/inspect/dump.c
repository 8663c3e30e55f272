/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump.c - what is in the pool, as key=value lines. Read only; every value is
 * shown as found, sense or not, and nothing found is followed unchecked.
 */
#include "inspect/dump.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "fs/fs.h"
#include "mem/layout.h"
#include "mem/process.h"
#include "mem/super.h"
#include "sync/member.h"

/* -- superblock --------------------------------------------------------------- */

static void dump_copies(const struct dump *d)
{
	for (unsigned copy = 0; copy < 2; copy++) {
		const struct super_flaw *flaw;
		struct sm_super s;

		super_load(d->pool->shm.base, copy, &s);
		flaw = super_invalid(&s, d->pool->shm.size);
		DUMP(d, "superblock copy=%u crc=%08x %s", copy, s.crc, flaw ? flaw->reason : "valid");
	}
}

void dump_super(const struct dump *d)
{
	const struct sm_super *s = &d->pool->super;
	char uuid[33];

	for (unsigned i = 0; i < 16; i++)
		snprintf(uuid + 2 * i, 3, "%02x", s->uuid[i]);
	DUMP(d, "name=%.32s uuid=%s version=%u domain=%s", s->name, uuid, s->version,
	     s->domain == DAXFS_DOMAIN_WB ? "wb" : "gpf");
	DUMP(d, "size=%" PRIu64 " hosts=%u lanes_per_host=%u opens_per_host=%u heartbeat_ms=%u", s->size, s->hosts,
	     s->lanes_per_host, s->opens_per_host, s->heartbeat_ms);
	DUMP(d, "compat=%#" PRIx64 " ro_compat=%#" PRIx64 " incompat=%#" PRIx64 " created_ns=%" PRIu64, s->compat,
	     s->ro_compat, s->incompat, s->created_ns);
	dump_copies(d);
	for (unsigned id = 0; id < super_regions(s); id++) {
		struct sm_region_hdr hdr;
		const char *flaw;

		sm_read(&hdr, pool_at(d->pool, s->region[id].offset), sizeof(hdr));
		flaw = region_hdr_invalid(s, id, &hdr);
		DUMP(d,
		     "region=%u offset=%#" PRIx64 " elem_size=%" PRIu64 " count=%" PRIu64 " name=\"%s\" header=\"%s\"",
		     id, s->region[id].offset, s->region[id].elem_size, s->region[id].count, region_name(id),
		     flaw ? flaw : "valid");
	}
}

/* -- membership --------------------------------------------------------------- */

static void dump_host(const struct dump *d, unsigned id)
{
	const struct sm_host *host = &d->pool->member->host[id];
	uint64_t v = sm_load(&host->word), reason = sm_load(&host->reason), fence = sm_load(&host->fence_ms);
	struct host_word word;

	if (host_word_unpack(v, &word))
		DUMP(d, "host=%u word=%#" PRIx64 " state=DAMAGED", id, v);
	else
		DUMP(d, "host=%u word=%#" PRIx64 " state=%s generation=%u recoverer=%d manager_epoch=%u", id, v,
		     daxfs_host_state_name(word.state), word.generation, word.recoverer, word.epoch);
	DUMP(d,
	     "host=%u beat=%" PRIu64 " pid=%" PRIu64 " lanes=%" PRIu64 " records=%" PRIu64 " owned=%" PRIu64
	     " pins=%" PRIu64 " tenancy=%#" PRIx64,
	     id, sm_load(&host->beat), (uint64_t)(uint32_t)sm_load(&host->process), sm_load(&host->lanes),
	     sm_load(&host->records), sm_load(&host->owned), sm_load(&host->pins), sm_load(&host->tenancy));
	DUMP(d, "host=%u reason=%" PRIu64 " reason_ms=%" PRIu64 " fence_ms=%" PRIu64 " off_since=%" PRIu64, id,
	     (uint64_t)(uint32_t)reason, reason >> 32, (uint64_t)(uint32_t)fence, fence >> 40);
	DUMP(d,
	     "host=%u last_recovery_ns=%" PRIu64 " finished=%" PRIu64 " rolled_back=%" PRIu64 " objects=%" PRIu64
	     " opens=%" PRIu64 " files=%" PRIu64,
	     id, sm_load(&host->rec_ns), sm_load(&host->rec_done), sm_load(&host->rec_undone),
	     sm_load(&host->rec_objects), sm_load(&host->rec_opens), sm_load(&host->rec_files));
}

void dump_member(const struct dump *d)
{
	const struct sm_manager *m = &d->pool->member->manager;
	uint64_t word = sm_load(&m->word);

	DUMP(d,
	     "manager_epoch=%" PRIu64 " manager_pid=%" PRIu64 " manager_beat=%" PRIu64 " epoch=%" PRIu64
	     " tree=%#" PRIx64 " features=%#" PRIx64,
	     word >> 32, (uint64_t)(uint32_t)word, sm_load(&m->beat), sm_load(&m->epoch), sm_load(&m->tree),
	     sm_load(&m->features));
	for (unsigned id = 0; id < d->pool->super.hosts; id++)
		dump_host(d, id);
}

/* -- choosing ----------------------------------------------------------------- */

/* "inode 12" with word "inode": 12. */
static bool parse_index(const char *what, const char *word, uint64_t *index)
{
	size_t len = strlen(word);
	char *end;

	if (strncmp(what, word, len) != 0 || what[len] != ' ' || what[len + 1] < '0' || what[len + 1] > '9')
		return false;
	errno = 0;
	*index = strtoull(what + len + 1, &end, 0);
	return *end == '\0' && errno == 0;
}

struct dump_call {
	struct dump d;
	const char *what;
};

static int dump_what(void *arg)
{
	struct dump_call *call = arg;
	struct dump d = call->d;
	const char *what = call->what;
	uint64_t index;

	if (parse_index(what, "inode", &index))
		return dump_inode(&d, index);
	if (parse_index(what, "dir", &index))
		return dump_dir(&d, index);
	if (strcmp(what, "super") == 0)
		dump_super(&d);
	else if (strcmp(what, "member") == 0)
		dump_member(&d);
	else if (strcmp(what, "lanes") == 0)
		dump_lanes(&d);
	else
		return -EINVAL;
	return 0;
}

int daxfs_dump(struct daxfs *fs, const char *what, daxfs_report report, void *context)
{
	struct dump_call call = { { .pool = fs_pool(fs), .report = report, .context = context }, what };
	int was, rc;

	if (!*fs->here)
		return -ECHILD;
	was = process_cancel_off();
	rc = inspect_part(fs, dump_what, &call, report, context);
	process_cancel_restore(was);
	return rc;
}
