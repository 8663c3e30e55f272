/* SPDX-License-Identifier: Apache-2.0 */
/* text.c - see text.h. */
#include "daxfsctl/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/pool_uuid.h"

const char *text_bytes(uint64_t bytes, char *buf, size_t size)
{
	static const char *const unit[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	unsigned u = 0;
	double n = (double)bytes;

	for (; n >= 1024 && u < 6; u++)
		n /= 1024;
	snprintf(buf, size, u ? "%.1f %s" : "%.0f %s", n, unit[u]);
	return buf;
}

const char *text_ms(uint64_t ns, char *buf, size_t size)
{
	snprintf(buf, size, ns < 100000 ? "%.2f ms" : "%.1f ms", (double)ns / 1e6);
	return buf;
}

const char *text_id(const struct daxfs_geometry *g, char *buf, size_t size)
{
	snprintf(buf, size, "%02x%02x%02x%02x", g->uuid[0], g->uuid[1], g->uuid[2], g->uuid[3]);
	return buf;
}

const char *text_count(uint64_t n, const char *word, char *buf, size_t size)
{
	snprintf(buf, size, "%" PRIu64 " %s%s", n, word, n == 1 ? "" : "s");
	return buf;
}

const char *text_recovery(const struct daxfs_recovery *r, char *buf, size_t size)
{
	char ms[32], records[40], objects[40], opens[40], files[40];

	snprintf(buf, size, "%s: %s finished, %" PRIu64 " rolled back, %s, %s%s%s", text_ms(r->ns, ms, sizeof(ms)),
		 text_count(r->finished, "record", records, sizeof(records)), r->rolled_back,
		 text_count(r->objects, "object", objects, sizeof(objects)),
		 text_count(r->opens, "pin", opens, sizeof(opens)), r->files ? ", " : "",
		 r->files ? text_count(r->files, "file", files, sizeof(files)) : "");
	return buf;
}

unsigned text_percent(uint64_t part, uint64_t whole)
{
	/* Rounded up: 0% is said of nothing at all. */
	return whole ? (unsigned)(((double)part * 100 + (double)whole - 1) / (double)whole) : 0;
}

/* -- JSON --------------------------------------------------------------------- */

void text_json_pool(struct json *j, const struct daxfs_geometry *g, const char *path)
{
	char uuid[POOL_UUID_TEXT_BYTES];

	json_open_object(j, "pool");
	json_add_text(j, "name", g->name);
	json_add_text(j, "uuid", pool_uuid_text(g->uuid, uuid, sizeof(uuid)));
	json_add_text(j, "path", path);
	json_add_number(j, "size", g->size);
	json_add_number(j, "format", g->version);
	json_add_text(j, "domain", g->wb ? "wb" : "gpf");
	json_add_number(j, "hosts", g->hosts);
	json_add_number(j, "lanes_per_host", g->lanes_per_host);
	json_add_number(j, "opens_per_host", g->opens_per_host);
	json_add_number(j, "heartbeat_ms", g->heartbeat_ms);
	json_add_number(j, "lease_ms", g->lease_ms);
	json_add_number(j, "pages", g->pages);
	json_add_number(j, "inodes", g->inodes);
	json_add_number(j, "dirents", g->dirents);
	json_close(j);
}

void text_json_recovery(struct json *j, const char *key, const struct daxfs_recovery *r)
{
	if (!r->ns) {
		json_add_null(j, key);
		return;
	}
	json_open_object(j, key);
	json_add_number(j, "host", r->host);
	json_add_number(j, "ns", r->ns);
	json_add_number(j, "finished", r->finished);
	json_add_number(j, "rolled_back", r->rolled_back);
	json_add_number(j, "objects", r->objects);
	json_add_number(j, "opens", r->opens);
	json_add_number(j, "files", r->files);
	json_close(j);
}

/* walked: by the check, which looks at each state; else by counters, for which these are free. */
static void json_usage(struct json *j, const char *key, const struct daxfs_usage *u, bool walked)
{
	json_open_object(j, key);
	json_add_number(j, "total", u->total);
	json_add_number(j, "free", u->free);
	json_add_number(j, "live", u->live);
	json_add_number(j, "quarantined", u->quarantined);
	if (walked) {
		json_add_number(j, "private", u->private_);
		json_add_number(j, "retired", u->retired);
	}
	json_close(j);
}

void text_json_usage(struct json *j, const struct daxfs_statfs *usage, bool walked)
{
	json_open_object(j, "usage");
	json_usage(j, "pages", &usage->pages, walked);
	json_usage(j, "inodes", &usage->inodes, walked);
	json_usage(j, "dirents", &usage->dirents, walked);
	if (walked)
		json_add_number(j, "node_pages", usage->nodes);
	json_add_number(j, "reserved_pages", usage->reserved);
	json_close(j);
}
