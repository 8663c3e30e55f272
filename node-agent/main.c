/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - daxfs-node-agent: one per host; see config.c for usage. Called mount.daxfs it is mount(8)'s helper.
 */
#include <stdio.h>

#include "common/log.h"
#include "node-agent/agent.h"
#include "node-agent/mount_helper.h"

int main(int argc, char **argv)
{
	static struct config config;
	enum settings_action action;
	struct daxfs_error err;
	int error;

	if (mount_helper_is(argv[0]))
		return mount_helper(argc, argv);
	log_start(AGENT_NAME, AGENT_LOG_PATIENCE_MS);
	error = config_parse(argc, argv, &config, &action, &err);
	if (error) {
		log_fail("%s", err.text);
		return AGENT_EXIT_USAGE;
	}
	if (action == SETTINGS_HELP) {
		fputs(config_usage, stdout);
		return AGENT_EXIT_OK;
	}
	if (action == SETTINGS_VERSION) {
		printf("%s %s\n", AGENT_NAME, daxfs_version());
		return AGENT_EXIT_OK;
	}
	return agent_run(&config);
}
