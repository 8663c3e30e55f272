/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.c - the agent's settings: the rows of its table. Runs before there are
 * threads.
 */
#include "node-agent/config.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char config_usage[] = "usage: daxfs-node-agent --pool PATH --host ID --mount DIR [options]\n"
			    "\n"
			    "Joins the pool at PATH as host slot ID, keeps its heartbeat, mounts the\n"
			    "filesystem on DIR and recovers hosts that are assigned to this one. Runs in\n"
			    "the foreground until SIGTERM or SIGINT; then unmounts and leaves cleanly.\n"
			    "\n"
			    "  --pool PATH         pool: a file in /dev/shm, a device-DAX device\n"
			    "  --pool-uuid UUID    refuse any other pool that is found there\n"
			    "  --host ID           host slot in the pool, from 0\n"
			    "  --mount DIR         where to mount\n"
			    "  --name NAME         name of this host, up to 31 bytes (the machine's name)\n"
			    "  --threads N         FUSE worker threads (lanes of a host less two)\n"
			    "  --join-wait SECONDS wait for the pool's device, and for a slot whose last tenant\n"
			    "                      is not recovered yet (0)\n"
			    "  --attr-timeout S    seconds the kernel may trust attributes and names without\n"
			    "                      asking; other hosts' changes are seen that late (0)\n"
			    "  --keep WHAT         in a pool with leases, what the kernel keeps as long as it\n"
			    "                      is true: all (data, too), names, attributes or nothing (names)\n"
			    "  --options LIST      mount options, separated by commas: ro, noexec, suid, dev,\n"
			    "                      noallow_other, nonempty and others (nosuid,nodev)\n"
			    "  --source NAME       what is mounted, as the table of mounts has it (daxfs)\n"
			    "  --machine-id FILE   where this machine's id is (/etc/machine-id); hosts that share\n"
			    "                      a machine need one each\n"
			    "  --boot-id FILE      where this boot's id is (/proc/sys/kernel/random/boot_id)\n"
			    "  --backing NAME[=PATH]  read this backing of the pool, at PATH (where the pool says it\n"
			    "                      is); for each that this host is to read\n"
			    "  --dirty-max-mib N   so much of what this host writes to a backing may be in the pool\n"
			    "                      alone; then its writers wait (its share of a quarter of the pool)\n"
			    "  --no-realtime       heartbeat at ordinary priority\n"
			    "  --config FILE       read settings from FILE first: the same keys, `host = 1`;\n"
			    "                      `realtime = no` for --no-realtime\n"
			    "  --version, --help\n"
			    "\n"
			    "Exit status: 0 stopped when asked, 1 failed, 2 bad usage or config,\n"
			    "3 declared dead by the pod, 4 pool cannot be used, 5 host slot is taken,\n"
			    "6 cannot mount.\n";

static int set_pool(void *target, const char *key, const char *value, struct daxfs_error *err)
{
	struct config *c = target;

	return settings_text(key, value, c->pool, sizeof(c->pool), err);
}

static int set_pool_uuid(void *target, const char *key, const char *value, struct daxfs_error *err)
{
	struct config *c = target;

	return pool_uuid_set(key, value, &c->pool_uuid, err);
}

static int set_mount(void *target, const char *key, const char *value, struct daxfs_error *err)
{
	struct config *c = target;

	return settings_text(key, value, c->mount, sizeof(c->mount), err);
}

static int set_name(void *target, const char *key, const char *value, struct daxfs_error *err)
{
	struct config *c = target;

	return settings_text(key, value, c->name, sizeof(c->name), err);
}

static int set_machine_file(void *target, const char *key, const char *value, struct daxfs_error *err)
{
	struct config *c = target;

	return settings_text(key, value, c->machine_file, sizeof(c->machine_file), err);
}

static int set_boot_file(void *target, const char *key, const char *value, struct daxfs_error *err)
{
	struct config *c = target;

	return settings_text(key, value, c->boot_file, sizeof(c->boot_file), err);
}

/* How many slots there are is the pool's to say; this bounds the number. */
static int set_host(void *target, const char *key, const char *value, struct daxfs_error *err)
{
	struct config *c = target;
	unsigned host;
	int error = settings_number(key, value, 0, INT_MAX, &host, err);

	if (error == 0)
		c->host = (int)host;
	return error;
}

static int set_threads(void *target, const char *key, const char *value, struct daxfs_error *err)
{
	struct config *c = target;

	return settings_number(key, value, 0, CONFIG_THREADS_MAX, &c->threads, err);
}

static int set_join_wait(void *target, const char *key, const char *value, struct daxfs_error *err)
{
	struct config *c = target;

	return settings_number(key, value, 0, CONFIG_JOIN_WAIT_MAX_S, &c->join_wait_s, err);
}

static int set_attr_timeout(void *target, const char *key, const char *value, struct daxfs_error *err)
{
	struct config *c = target;
	char *end;
	double s = strtod(value, &end);

	if (!isdigit((unsigned char)value[0]) || *end != '\0' || !(s >= 0 && s <= CONFIG_ATTR_TIMEOUT_MAX_S))
		return settings_bad(key, value, "a number of seconds from 0 to 3600", err);
	c->attr_timeout_s = s;
	return 0;
}

static int set_keep(void *target, const char *key, const char *value, struct daxfs_error *err)
{
	static const char *const words[] = {
		[KERNEL_KEEPS_ALL] = "all",
		[KERNEL_KEEPS_NAMES] = "names",
		[KERNEL_KEEPS_ATTRIBUTES] = "attributes",
		[KERNEL_KEEPS_NOTHING] = "nothing",
	};
	struct config *c = target;

	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strcmp(value, words[i])) {
			c->keeps = (enum kernel_keeps)i;
			return 0;
		}
	return settings_bad(key, value, "all, names, attributes or nothing", err);
}

static int set_options(void *target, const char *key, const char *value, struct daxfs_error *err)
{
	struct config *c = target;

	(void)key;
	return mount_options_set(&c->options, value, err);
}

static int set_source(void *target, const char *key, const char *value, struct daxfs_error *err)
{
	struct config *c = target;

	return settings_text(key, value, c->options.source, sizeof(c->options.source), err);
}

static struct backing_config *backing_named(struct config *c, const char *name, size_t len)
{
	for (unsigned i = 0; i < c->n_backings; i++)
		if (strncmp(c->backing[i].name, name, len) == 0 && !c->backing[i].name[len])
			return &c->backing[i];
	return c->n_backings < BACKINGS_MAX ? &c->backing[c->n_backings++] : NULL;
}

/* A later one of the same name takes the place of an earlier one. */
static int set_backing(void *target, const char *key, const char *value, struct daxfs_error *err)
{
	size_t len = strcspn(value, "=");
	struct backing_config *b;

	if (!len || len >= sizeof(b->name) || memchr(value, '/', len) || (value[len] && value[len + 1] != '/'))
		return settings_bad(key, value, "NAME, or NAME=/PATH", err);
	b = backing_named(target, value, len);
	if (!b)
		return settings_bad(key, value, "among the 16 that a host can read", err);
	memcpy(b->name, value, len);
	b->name[len] = '\0';
	b->path[0] = '\0';
	return value[len] ? settings_text(key, value + len + 1, b->path, sizeof(b->path), err) : 0;
}

/* Of each backing, also of those that are named later. */
static int set_dirty_max(void *target, const char *key, const char *value, struct daxfs_error *err)
{
	struct config *c = target;
	unsigned mib;
	int rc = settings_number(key, value, 1, 1u << 24, &mib, err);

	if (rc == 0)
		c->dirty_max = (uint64_t)mib << 20;
	return rc;
}

static int set_realtime(void *target, const char *key, const char *value, struct daxfs_error *err)
{
	struct config *c = target;

	return settings_yes_no(key, value, &c->realtime, err);
}

static const struct setting table[] = {
	{ "pool", set_pool, SETTING_VALUE },
	{ "pool-uuid", set_pool_uuid, SETTING_VALUE },
	{ "host", set_host, SETTING_VALUE },
	{ "mount", set_mount, SETTING_VALUE },
	{ "name", set_name, SETTING_VALUE },
	{ "threads", set_threads, SETTING_VALUE },
	{ "join-wait", set_join_wait, SETTING_VALUE },
	{ "attr-timeout", set_attr_timeout, SETTING_VALUE },
	{ "keep", set_keep, SETTING_VALUE },
	{ "options", set_options, SETTING_VALUE },
	{ "source", set_source, SETTING_VALUE },
	{ "machine-id", set_machine_file, SETTING_VALUE },
	{ "boot-id", set_boot_file, SETTING_VALUE },
	{ "backing", set_backing, SETTING_VALUE },
	{ "dirty-max-mib", set_dirty_max, SETTING_VALUE },
	{ "realtime", set_realtime, SETTING_YES_NO },
	{ NULL, NULL, SETTING_VALUE },
};

int config_line(struct config *config, const char *line, struct daxfs_error *err)
{
	return settings_line(table, line, config, err);
}

static int complete(const struct config *config, struct daxfs_error *err)
{
	const char *missing = NULL;

	if (!config->pool[0])
		missing = "--pool PATH";
	else if (config->host < 0)
		missing = "--host ID";
	else if (!config->mount[0])
		missing = "--mount DIR";
	if (!missing)
		return 0;
	return daxfs_error_set(err, -EINVAL, "%s is missing; see --help", missing);
}

void config_defaults(struct config *config)
{
	memset(config, 0, sizeof(*config));
	config->host = -1;
	config->keeps = KERNEL_KEEPS_NAMES;
	config->realtime = true;
	mount_options_default(&config->options);
}

int config_parse(int argc, char **argv, struct config *config, enum settings_action *action, struct daxfs_error *err)
{
	enum settings_action wanted;
	struct config c;
	int error;

	config_defaults(&c);
	error = settings_parse(table, argc, argv, &c, &wanted, err);
	if (!error && wanted == SETTINGS_RUN)
		error = complete(&c, err);
	if (error)
		return error;
	*config = c;
	*action = wanted;
	return 0;
}

static bool same_backings(const struct config *a, const struct config *b)
{
	bool same = a->n_backings == b->n_backings;

	for (unsigned i = 0; same && i < a->n_backings; i++)
		same = !strcmp(a->backing[i].name, b->backing[i].name) &&
		       !strcmp(a->backing[i].path, b->backing[i].path);
	return same;
}

bool config_same_place(const struct config *a, const struct config *b)
{
	return !strcmp(a->pool, b->pool) && !strcmp(a->mount, b->mount) && !strcmp(a->name, b->name) &&
	       a->host == b->host && a->attr_timeout_s == b->attr_timeout_s && a->keeps == b->keeps &&
	       mount_options_same(&a->options, &b->options);
}

bool config_same_mount(const struct config *a, const struct config *b)
{
	return config_same_place(a, b) && a->dirty_max == b->dirty_max && same_backings(a, b);
}
