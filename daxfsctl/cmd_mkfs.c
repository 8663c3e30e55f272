/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_mkfs.c - daxfsctl mkfs: make a pool.
 *
 * It has one host slot more than there are hosts, for commands that join while all hosts work. Where nothing is said
 * there are as many as the format has, if they cost little of the pool: hosts may then be added at any time.
 *
 * Where nothing is said a device gets the domain wb, for a host's caches can be lost with it; so does a file that
 * is mapped past the page cache (DAX). Of a file in memory the caches outlive each process: gpf. On the same media a
 * guest gets a longer heartbeat.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "daxfs/member.h"
#include "daxfsctl/ctl.h"
#include "daxfsctl/json.h"
#include "daxfsctl/medium.h"
#include "daxfsctl/text.h"

#define LEASE_MS 2000u
#define DEATH_BEATS 10u /* fabricd/timing.h */

struct mkfs {
	struct arg_number size, hosts, lanes, opens, inodes, heartbeat_ms, lease_ms, cache_min, cache_max;
	const char *name, *domain, *profile, *cache_policy;
	bool force;
	bool guest; /* the heartbeat is that of one, and nobody said so */
};

static void show_json(struct ctl *ctl, const char *path, const struct daxfs_geometry *g)
{
	struct json j;

	json_begin(&j, ctl->out);
	text_json_pool(&j, g, path);
	json_finish(&j);
}

static void show_text(struct ctl *ctl, const struct mkfs *m, const struct daxfs_geometry *g)
{
	const char *path = ctl->words[0];
	char size[16], id[16], leases[32] = "without leases";

	if (g->lease_ms)
		snprintf(leases, sizeof(leases), "leases %u ms", g->lease_ms);
	fprintf(ctl->out,
		"pool %s %s made at %s: %s, %u hosts of %u lanes and a spare slot, %" PRIu64 " pages, %" PRIu64
		" inodes, heartbeat %u ms, %s, %s\n",
		g->name, text_id(g, id, sizeof(id)), path, text_bytes(g->size, size, sizeof(size)), g->hosts - 1,
		g->lanes_per_host, g->pages, g->inodes, g->heartbeat_ms, leases, g->wb ? "wb" : "gpf");
	if (m->guest)
		fprintf(ctl->out,
			"this machine is a guest, whose hypervisor may stop it for a while: hence that heartbeat, not "
			"%u ms; a death is noticed after %.1f s. Another: --heartbeat-ms, or daxfsctl heartbeat\n",
			DAXFS_HEARTBEAT_MS_DEFAULT, DEATH_BEATS * g->heartbeat_ms / 1e3);
	if (medium_is_device(path))
		fprintf(ctl->out,
			"hosts may share it only where hardware keeps its memory coherent. To find out, on "
			"each of N hosts at once: daxfsctl selftest %s --hosts N --host 0 (1, ...)\n"
			"on each of them, once, for its name in /dev/daxfs/by-uuid: udevadm trigger --action=add %s\n",
			path, path);
}

static int show(struct ctl *ctl, const struct mkfs *mkfs)
{
	const char *path = ctl->words[0];
	struct daxfs_error err = { .text = "" };
	struct daxfs_geometry g;
	struct daxfs_member *m;
	int rc = daxfs_member_open(path, false, &m, &err);

	if (rc)
		return ctl_fail_error(ctl, rc, &err);
	daxfs_member_geometry(m, &g);
	daxfs_member_close(m);
	if (ctl->json)
		show_json(ctl, path, &g);
	else
		show_text(ctl, mkfs, &g);
	medium_warn(ctl, path);
	return CTL_OK;
}

/* Leases unless somebody does without: a tree whose every name is asked for anew is no place to work in. */
static unsigned lease_ms(const struct mkfs *m)
{
	unsigned least = DAXFS_LEASE_BEATS * (unsigned)m->heartbeat_ms.value;

	if (m->lease_ms.given)
		return (unsigned)m->lease_ms.value;
	return least > LEASE_MS ? least : LEASE_MS;
}

/* Leases that somebody asks for come first: they may be too short for it. */
static void choose_heartbeat(struct mkfs *m, const char *path)
{
	unsigned ms = medium_heartbeat_ms(path, "");

	m->guest = ms && !m->heartbeat_ms.value &&
		   (!m->lease_ms.value || DAXFS_LEASE_BEATS * (uint64_t)ms <= m->lease_ms.value);
	if (m->guest)
		m->heartbeat_ms.value = ms;
}

static int make(struct ctl *ctl, const struct mkfs *m)
{
	struct daxfs_error err = { .text = "" };
	struct daxfs_mkfs_options options = {
		.struct_size = sizeof(options),
		.name = m->name,
		.size = m->size.value,
		.inodes = m->inodes.value,
		.hosts = m->hosts.given ? (unsigned)m->hosts.value + 1 : DAXFS_HOSTS_MANY,
		.lanes = (unsigned)m->lanes.value,
		.opens = (unsigned)m->opens.value,
		.heartbeat_ms = (unsigned)m->heartbeat_ms.value,
		.lease_ms = lease_ms(m),
		.cache_policy = m->cache_policy && strcmp(m->cache_policy, "mh-clock") == 0 ? DAXFS_CACHE_CLOCK
											    : DAXFS_CACHE_HEAT,
		.cache_min = m->cache_min.value,
		.cache_max = m->cache_max.value,
		.wb = m->domain ? strcmp(m->domain, "wb") == 0 : medium_past_page_cache(ctl->words[0]),
		.force = m->force,
	};
	int rc = daxfs_mkfs(ctl->words[0], &options, &err);

	if (rc == -EFBIG || (rc == -ENOENT && !m->size.given)) /* sizes that cannot be, or none for a new file */
		rc = -EINVAL;
	return rc ? ctl_fail_value(ctl, rc, &err) : show(ctl, m);
}

int cmd_mkfs(struct ctl *ctl, int argc, char **argv)
{
	struct mkfs m = { .domain = NULL };
	const struct arg table[] = {
		{ "size", ARG_SIZE, &m.size, 0 },
		{ "name", ARG_TEXT, &m.name, 0 },
		{ "hosts", ARG_NUMBER, &m.hosts, CTL_HOSTS_MAX },
		{ "lanes", ARG_NUMBER, &m.lanes, UINT32_MAX },
		{ "opens", ARG_NUMBER, &m.opens, UINT32_MAX },
		{ "inodes", ARG_NUMBER, &m.inodes, 0 },
		{ "domain", ARG_TEXT, &m.domain, 0 },
		{ "profile", ARG_TEXT, &m.profile, 0 },
		{ "heartbeat-ms", ARG_NUMBER, &m.heartbeat_ms, UINT32_MAX },
		{ "lease-ms", ARG_NUMBER, &m.lease_ms, UINT32_MAX },
		{ "cache-policy", ARG_TEXT, &m.cache_policy, 0 },
		{ "cache-min", ARG_SIZE, &m.cache_min, 0 },
		{ "cache-max", ARG_SIZE, &m.cache_max, 0 },
		{ "force", ARG_FLAG, &m.force, 0 },
	};
	const struct arg_number *none[] = { &m.size, &m.hosts, &m.lanes, &m.opens, &m.inodes, &m.heartbeat_ms };
	int code = ctl_parse(ctl, argc, argv, table, sizeof(table) / sizeof(table[0]), 1, 1, "mkfs PATH --size SIZE");

	if (code)
		return code;
	/* 0 stands for the default inside; on the command line it is a mistake. */
	for (unsigned i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		if (none[i]->given && none[i]->value == 0)
			return ctl_fail(ctl, CTL_USAGE,
					"0 is no number of anything; leave the option out for its default");
	if (m.domain && strcmp(m.domain, "gpf") != 0 && strcmp(m.domain, "wb") != 0)
		return ctl_fail(ctl, CTL_USAGE,
				"--domain %.60s: give gpf (the platform flushes caches when a host "
				"fails) or wb (write back)",
				m.domain);
	if (m.profile && m.heartbeat_ms.given)
		return ctl_fail(ctl, CTL_USAGE, "--profile is a heartbeat: give that or --heartbeat-ms");
	if (m.profile)
		m.heartbeat_ms.value = ctl_profile_ms(m.profile);
	if (m.profile && !m.heartbeat_ms.value)
		return ctl_fail(ctl, CTL_USAGE, "--profile %.60s: give default or rt", m.profile);
	if (m.cache_policy && strcmp(m.cache_policy, "heat") != 0 && strcmp(m.cache_policy, "mh-clock") != 0)
		return ctl_fail(ctl, CTL_USAGE, "--cache-policy %.60s: give heat or mh-clock", m.cache_policy);
	choose_heartbeat(&m, ctl->words[0]);
	return make(ctl, &m);
}
