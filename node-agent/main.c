/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - daxfs-node-agent: one per host; see config.c for usage.
 */
#include <stdio.h>

#include "node-agent/agent.h"
#include "node-agent/log.h"

int main(int argc, char **argv)
{
	static struct config config;
	enum config_action action;
	struct daxfs_why why;
	int error = config_parse(argc, argv, &config, &action, &why);

	if (error) {
		log_fail("%s", why.text);
		return AGENT_EXIT_USAGE;
	}
	if (action == CONFIG_HELP) {
		fputs(config_usage, stdout);
		return AGENT_EXIT_OK;
	}
	if (action == CONFIG_VERSION) {
		puts("daxfs-node-agent " AGENT_VERSION);
		return AGENT_EXIT_OK;
	}
	return agent_run(&config);
}
