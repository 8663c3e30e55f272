/* SPDX-License-Identifier: Apache-2.0 */
/* ctl.c - which command; see ctl.h. How any of them begins and fails: invocation.c. */
#include "daxfsctl/ctl.h"

#include <string.h>

#include "daxfsctl/json.h"

static const struct command {
	const char *name;
	int (*run)(struct ctl *ctl, int argc, char **argv);
} commands[] = {
	{ "mkfs", cmd_mkfs },
	{ "status", cmd_status },
	{ "hosts", cmd_hosts },
	{ "events", cmd_events },
	{ "show", cmd_show },
	{ "recover", cmd_recover },
	{ "fence", cmd_fence },
	{ "fence-test", cmd_fence_test },
	{ "confirm-dead", cmd_confirm_dead },
	{ "remove", cmd_remove },
	{ "check", cmd_check },
	{ "repair", cmd_repair },
	{ "backing", cmd_backing },
	{ "cache", cmd_cache },
	{ "dump", cmd_dump },
	{ "selftest", cmd_selftest },
	{ "backup", cmd_backup },
	{ "restore", cmd_restore },
	{ "heartbeat", cmd_heartbeat },
	{ "features", cmd_features },
	{ "probe", cmd_probe },
	{ "metrics", cmd_metrics },
	{ "version", cmd_version },
	{ "help", cmd_help },
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const char help[] =
	"usage: daxfsctl [--socket PATH | --direct] [--json] COMMAND ...\n"
	"\n"
	"  mkfs PATH --size SIZE [--name NAME] [--hosts N] [--lanes N] [--inodes N] [--opens N]\n"
	"       [--domain gpf|wb] [--profile default|rt | --heartbeat-ms MS] [--lease-ms MS]\n"
	"       [--cache-policy heat|mh-clock] [--cache-min SIZE] [--cache-max SIZE] [--force]\n"
	"                                        make a pool\n"
	"  status [POOL] [--sample] [--watch [--wait SECONDS]]\n"
	"                                        the pod at a glance\n"
	"  hosts [POOL] [--sample] [--watch [--wait SECONDS]]\n"
	"                                        every host slot\n"
	"  events [POOL] [--since NUMBER] [--follow [--wait SECONDS]]\n"
	"                                        what happened, as the pool remembers it\n"
	"  show HOST [POOL] [--postmortem]       the same of one host; of its last death\n"
	"  metrics [POOL]                        status for Prometheus\n"
	"  recover [POOL] --host N [--dry-run] [--again] [--as M] [--wait SECONDS]\n"
	"                                        finalize what a fenced host left\n"
	"  fence --host N [--wait SECONDS]       cut a host off\n"
	"  fence-test --host N                   could it be? asks its fence agents\n"
	"  confirm-dead [POOL] --host N [--wait SECONDS]\n"
	"                                        your word that a host is dead\n"
	"  remove --host N [--wait SECONDS]      one that never comes back: free its slot\n"
	"  heartbeat POOL [--ms MS | --profile default|rt]\n"
	"                                        how often hosts beat; changed while they work\n"
	"  features POOL [--enable NAME]         what a pool uses; switched on once all hosts know it\n"
	"  check POOL                            is every structure sound?\n"
	"  repair POOL [--dry-run]               make it sound; no host may use it\n"
	"  repair POOL --item INODE              finish a removed file that nobody could; hosts may use it\n"
	"  backup [--online [--hosts N]] POOL FILE\n"
	"                                        a copy of it; no host may use it, or of its tree, while hosts work;\n"
	"                                        that one may have more host slots\n"
	"  restore FILE POOL [--force]           make a pool from such a copy\n"
	"  backing add POOL NAME --path PATH [--read-only] [--revalidate-ms MS] | list POOL |\n"
	"          sync POOL NAME [--timeout S] | remove POOL NAME\n"
	"                                        directories of storage, read through the pool\n"
	"  cache POOL [FILE | --watch [--wait SECONDS]]\n"
	"                                        what hosts read of them: hits, misses, ...; what is cached of a file\n"
	"  dump POOL super|member|lanes|inode N|dir N\n"
	"                                        what is in there, as it is\n"
	"  selftest POOL [--processes N] [--increments N]\n"
	"                                        is compare-and-swap atomic there?\n"
	"  selftest POOL --hosts N --host I      run on each of N hosts at once: is its memory coherent between them?\n"
	"  probe PATH                            is there a pool, and which? for udev and scripts\n"
	"  version, help\n"
	"\n"
	"  --socket PATH  ask the fabricd that listens there; without it and without POOL, the one in /run/daxfs\n"
	"  --direct       read (and for recover and confirm-dead: change) POOL without fabricd\n"
	"  --json         one JSON object on standard output\n"
	"\n"
	"Exit codes: 0 done, 1 refused, 4 problems found, 8 failed, 16 usage. More: man daxfsctl\n";

/* -- choosing ----------------------------------------------------------------- */

int cmd_version(struct ctl *ctl, int argc, char **argv)
{
	struct json j;
	int code = ctl_parse(ctl, argc, argv, NULL, 0, 0, 0, "version");

	if (code)
		return code;
	if (!ctl->json) {
		fprintf(ctl->out, "daxfsctl %s\n", daxfs_version());
		return CTL_OK;
	}
	json_begin(&j, ctl->out);
	json_add_text(&j, "version", daxfs_version());
	json_finish(&j);
	return CTL_OK;
}

int cmd_help(struct ctl *ctl, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	fputs(help, ctl->out);
	return CTL_OK;
}

/* Where the command is: options, and the value of --socket, may come before it. */
static int find_command(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--socket") == 0)
			i++;
		else if (argv[i][0] != '-')
			return i;
	}
	return 0;
}

static bool wants(int argc, char **argv, const char *option)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], option) == 0)
			return true;
	return false;
}

int ctl_main(int argc, char **argv, FILE *out, FILE *err)
{
	struct ctl ctl = { .out = out, .err = err };
	int at = find_command(argc, argv);
	char *rest[64];

	if (wants(argc, argv, "--help") || wants(argc, argv, "-h"))
		return cmd_help(&ctl, 0, NULL);
	if (at == 0 && wants(argc, argv, "--version"))
		return cmd_version(&ctl, 0, NULL);
	if (at == 0)
		return ctl_fail(&ctl, CTL_USAGE, "no command given; see daxfsctl help");
	if ((size_t)argc > sizeof(rest) / sizeof(rest[0]))
		return ctl_fail(&ctl, CTL_USAGE, "too many words on the command line");
	for (int i = 1; i < argc; i++)
		if (i != at)
			rest[i < at ? i - 1 : i - 2] = argv[i];
	for (unsigned i = 0; i < N_COMMANDS; i++)
		if (strcmp(argv[at], commands[i].name) == 0)
			return commands[i].run(&ctl, argc - 2, rest);
	return ctl_fail(&ctl, CTL_USAGE, "%.60s: no such command; see daxfsctl help", argv[at]);
}
