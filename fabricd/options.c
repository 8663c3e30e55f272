/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.c - fabricd's settings: the rows of its table.
 *
 * fence-option may come more than once; the last of the same key counts. Runs
 * before the event loop.
 */
#include "fabricd/options.h"

#include <errno.h>
#include <string.h>

#include "fabricd/timing.h"

const char options_usage[] = "usage: fabricd --pool PATH [--fence-agent CMD] [options]\n"
			     "\n"
			     "Watches the heartbeats of the hosts of the pool at PATH, decides which are\n"
			     "dead, has them fenced and assigns their recovery. Runs in the foreground\n"
			     "until SIGTERM or SIGINT. A second fabricd on another host is a backup that\n"
			     "takes over when the first one dies.\n"
			     "\n"
			     "  --pool PATH             pool: a file in /dev/shm, a device-DAX device\n"
			     "  --socket PATH           control socket (/run/daxfs/fabricd-<pool name>.sock)\n"
			     "  --group NAME            members may ask for status (none: root alone)\n"
			     "  --fence-agent CMD       program with the ClusterLabs fence-agent interface;\n"
			     "                          without it only `daxfsctl confirm-dead` ends a host\n"
			     "  --fence-option KEY=VAL  for the agent's standard input; may be repeated\n"
			     "  --fence-timeout-ms MS   kill an agent that takes longer (30000)\n"
			     "  --boot-wait SECONDS     when no host beats any more, cut none off for so long:\n"
			     "                          machines that come back prove their death by that (300)\n"
			     "  --machine-id FILE       where this machine's id is (/etc/machine-id)\n"
			     "  --boot-id FILE          where this boot's id is (/proc/sys/kernel/random/boot_id)\n"
			     "  --no-realtime           run at ordinary priority\n"
			     "  --config FILE           read settings from FILE first: the same keys,\n"
			     "                          `pool = /dev/dax0.0`; `realtime = no` for --no-realtime\n"
			     "  --foreground            what it always does\n"
			     "  --version, --help\n"
			     "\n"
			     "Exit status: 0 stopped when asked, 1 failed, 2 bad usage or config, 4 pool\n"
			     "cannot be used.\n";

void options_defaults(struct options *options)
{
	*options =
		(struct options){ .fence_timeout_ms = TIMING_AGENT_MS, .boot_wait_s = TIMING_BOOT_S, .realtime = true };
}

static int set_pool(void *target, const char *key, const char *value, struct daxfs_error *err)
{
	struct options *o = target;

	return settings_text(key, value, o->pool, sizeof(o->pool), err);
}

static int set_socket(void *target, const char *key, const char *value, struct daxfs_error *err)
{
	struct options *o = target;

	return settings_text(key, value, o->socket, sizeof(o->socket), err);
}

static int set_group(void *target, const char *key, const char *value, struct daxfs_error *err)
{
	struct options *o = target;

	return settings_text(key, value, o->group, sizeof(o->group), err);
}

static int set_fence_agent(void *target, const char *key, const char *value, struct daxfs_error *err)
{
	struct options *o = target;

	return settings_text(key, value, o->fence_agent, sizeof(o->fence_agent), err);
}

/* Does the option have this key? */
static bool has_key(const char *option, const char *key, size_t len)
{
	return strncmp(option, key, len) == 0 && option[len] == '=';
}

/* The agent reads lines: a key of its own kind of letters, no line break. */
static int set_fence_option(void *target, const char *key, const char *value, struct daxfs_error *err)
{
	size_t len = strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
	struct options *o = target;
	unsigned i = 0;

	if (len == 0 || value[len] != '=' || strpbrk(value, "\r\n"))
		return settings_bad(key, value, "KEY=VALUE", err);
	if (has_key(value, "action", len) || has_key(value, "plug", len))
		return settings_bad(key, value, "for you to set: fabricd gives action and plug itself", err);
	while (i < o->fence_options && !has_key(o->fence_option[i], value, len))
		i++;
	if (i == OPTIONS_FENCE_MAX)
		return settings_bad(key, value, "allowed: there are 12 already", err);
	if (settings_text(key, value, o->fence_option[i], sizeof(o->fence_option[i]), err))
		return -EINVAL;
	o->fence_options += i == o->fence_options;
	return 0;
}

static int set_fence_timeout(void *target, const char *key, const char *value, struct daxfs_error *err)
{
	struct options *o = target;

	return settings_number(key, value, 1, OPTIONS_FENCE_TIMEOUT_MAX_MS, &o->fence_timeout_ms, err);
}

static int set_boot_wait(void *target, const char *key, const char *value, struct daxfs_error *err)
{
	struct options *o = target;

	return settings_number(key, value, 0, OPTIONS_BOOT_WAIT_MAX_S, &o->boot_wait_s, err);
}

static int set_machine_file(void *target, const char *key, const char *value, struct daxfs_error *err)
{
	struct options *o = target;

	return settings_text(key, value, o->machine_file, sizeof(o->machine_file), err);
}

static int set_boot_file(void *target, const char *key, const char *value, struct daxfs_error *err)
{
	struct options *o = target;

	return settings_text(key, value, o->boot_file, sizeof(o->boot_file), err);
}

static int set_realtime(void *target, const char *key, const char *value, struct daxfs_error *err)
{
	struct options *o = target;

	return settings_yes_no(key, value, &o->realtime, err);
}

static const struct setting table[] = {
	{ "pool", set_pool, SETTING_VALUE },
	{ "socket", set_socket, SETTING_VALUE },
	{ "group", set_group, SETTING_VALUE },
	{ "fence-agent", set_fence_agent, SETTING_VALUE },
	{ "fence-option", set_fence_option, SETTING_VALUE },
	{ "fence-timeout-ms", set_fence_timeout, SETTING_VALUE },
	{ "boot-wait", set_boot_wait, SETTING_VALUE },
	{ "machine-id", set_machine_file, SETTING_VALUE },
	{ "boot-id", set_boot_file, SETTING_VALUE },
	{ "realtime", set_realtime, SETTING_YES_NO },
	{ "foreground", NULL, SETTING_IGNORED },
	{ NULL, NULL, SETTING_VALUE },
};

int options_line(struct options *options, const char *line, struct daxfs_error *err)
{
	return settings_line(table, line, options, err);
}

int options_parse(int argc, char **argv, struct options *options, enum settings_action *action, struct daxfs_error *err)
{
	enum settings_action wanted;
	struct options o;
	int rc;

	options_defaults(&o);
	rc = settings_parse(table, argc, argv, &o, &wanted, err);
	if (rc)
		return rc;
	if (wanted == SETTINGS_RUN && !o.pool[0])
		return daxfs_error_set(err, -EINVAL, "no pool: give --pool PATH");
	*options = o;
	*action = wanted;
	return 0;
}
