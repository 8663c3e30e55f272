/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.c - fabricd's settings: the rows of its table.
 *
 * Runs before the event loop.
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
			     "  --pool-uuid UUID        refuse any other pool that is found there\n"
			     "  --socket PATH           control socket (/run/daxfs/fabricd-<pool name>.sock)\n"
			     "  --group NAME            members may ask for status (none: root alone)\n"
			     "  --fence-agent CMD       program with the ClusterLabs fence-agent interface;\n"
			     "                          without it, what no machine can say of itself\n"
			     "                          waits for `daxfsctl confirm-dead`\n"
			     "  --fence-option KEY=VAL  for the agent's standard input; may be repeated\n"
			     "  --fence-secret KEY=FILE the same, from a file of mode 0600; for passwords\n"
			     "  --fence-host \"NAME KEY=VAL...\"  for that host alone: plug=, ip= and others\n"
			     "  --fence-agent-2 CMD     tried when the first has failed; with --fence-option-2,\n"
			     "                          --fence-secret-2 and --fence-host-2; and so on with 3\n"
			     "  --fence-action ACTION   off, cycle (off, on when it is fenced), reboot (off)\n"
			     "  --fence-monitor SECONDS ask the agents so often whether they could work (300)\n"
			     "  --fence-timeout-ms MS   kill an agent that takes longer (30000)\n"
			     "  --pool-wait SECONDS     wait so long for the pool's device to get its name (0)\n"
			     "  --boot-wait SECONDS     when no host beats any more, cut none off for so long:\n"
			     "                          machines that come back prove their death by that (300)\n"
			     "  --expect-backup yes     the pod is DEGRADED without a second fabricd, on another\n"
			     "                          machine (no)\n"
			     "  --expect-host NAME      nor without that host; may be repeated\n"
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
	*options = (struct options){ .fence_timeout_ms = TIMING_AGENT_MS,
				     .fence_monitor_s = TIMING_MONITOR_S,
				     .boot_wait_s = TIMING_BOOT_S,
				     .realtime = true };
}

static int set_pool(void *target, const char *key, const char *value, struct daxfs_error *err)
{
	struct options *o = target;

	return settings_text(key, value, o->pool, sizeof(o->pool), err);
}

static int set_pool_uuid(void *target, const char *key, const char *value, struct daxfs_error *err)
{
	struct options *o = target;

	return pool_uuid_set(key, value, &o->pool_uuid, err);
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

	return fence_set_agent(o->fence, key, value, err);
}

static int set_fence_option(void *target, const char *key, const char *value, struct daxfs_error *err)
{
	struct options *o = target;

	return fence_set_option(o->fence, key, value, err);
}

static int set_fence_secret(void *target, const char *key, const char *value, struct daxfs_error *err)
{
	struct options *o = target;

	return fence_set_secret(o->fence, key, value, err);
}

static int set_fence_host(void *target, const char *key, const char *value, struct daxfs_error *err)
{
	struct options *o = target;

	return fence_set_host(o->fence, key, value, err);
}

static int set_fence_action(void *target, const char *key, const char *value, struct daxfs_error *err)
{
	static const char *const actions[] = { "off", "cycle", "reboot" };
	struct options *o = target;

	for (unsigned i = 0; i < 3; i++)
		if (strcmp(value, actions[i]) == 0) {
			o->fence_action = (enum fence_action)i;
			return 0;
		}
	return settings_bad(key, value, "off, cycle or reboot", err);
}

static int set_fence_monitor(void *target, const char *key, const char *value, struct daxfs_error *err)
{
	struct options *o = target;

	return settings_number(key, value, 0, OPTIONS_BOOT_WAIT_MAX_S, &o->fence_monitor_s, err);
}

static int set_fence_timeout(void *target, const char *key, const char *value, struct daxfs_error *err)
{
	struct options *o = target;

	return settings_number(key, value, 1, OPTIONS_FENCE_TIMEOUT_MAX_MS, &o->fence_timeout_ms, err);
}

static int set_pool_wait(void *target, const char *key, const char *value, struct daxfs_error *err)
{
	struct options *o = target;

	return settings_number(key, value, 0, OPTIONS_BOOT_WAIT_MAX_S, &o->pool_wait_s, err);
}

static int set_boot_wait(void *target, const char *key, const char *value, struct daxfs_error *err)
{
	struct options *o = target;

	return settings_number(key, value, 0, OPTIONS_BOOT_WAIT_MAX_S, &o->boot_wait_s, err);
}

static int set_expect_backup(void *target, const char *key, const char *value, struct daxfs_error *err)
{
	struct options *o = target;

	return settings_yes_no(key, value, &o->expect_backup, err);
}

static int set_expect_host(void *target, const char *key, const char *value, struct daxfs_error *err)
{
	struct options *o = target;
	int rc;

	if (o->n_expected == OPTIONS_EXPECTED_MAX)
		return daxfs_error_set(err, -EINVAL, "%s: more than %u hosts", key, OPTIONS_EXPECTED_MAX);
	rc = settings_text(key, value, o->expected[o->n_expected], sizeof(o->expected[0]), err);
	o->n_expected += rc == 0;
	return rc;
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
	{ "pool-uuid", set_pool_uuid, SETTING_VALUE },
	{ "socket", set_socket, SETTING_VALUE },
	{ "group", set_group, SETTING_VALUE },
	{ "fence-agent", set_fence_agent, SETTING_VALUE },
	{ "fence-option", set_fence_option, SETTING_VALUE },
	{ "fence-secret", set_fence_secret, SETTING_VALUE },
	{ "fence-host", set_fence_host, SETTING_VALUE },
	{ "fence-agent-2", set_fence_agent, SETTING_VALUE },
	{ "fence-option-2", set_fence_option, SETTING_VALUE },
	{ "fence-secret-2", set_fence_secret, SETTING_VALUE },
	{ "fence-host-2", set_fence_host, SETTING_VALUE },
	{ "fence-agent-3", set_fence_agent, SETTING_VALUE },
	{ "fence-option-3", set_fence_option, SETTING_VALUE },
	{ "fence-secret-3", set_fence_secret, SETTING_VALUE },
	{ "fence-host-3", set_fence_host, SETTING_VALUE },
	{ "fence-action", set_fence_action, SETTING_VALUE },
	{ "fence-monitor", set_fence_monitor, SETTING_VALUE },
	{ "fence-timeout-ms", set_fence_timeout, SETTING_VALUE },
	{ "pool-wait", set_pool_wait, SETTING_VALUE },
	{ "boot-wait", set_boot_wait, SETTING_VALUE },
	{ "expect-backup", set_expect_backup, SETTING_VALUE },
	{ "expect-host", set_expect_host, SETTING_VALUE },
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
