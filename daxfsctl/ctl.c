/* SPDX-License-Identifier: Apache-2.0 */
/* ctl.c - which command; see ctl.h. How any of them begins and fails: invocation.c. */
#include "daxfsctl/ctl.h"

#include <string.h>

#include "daxfsctl/json.h"

/* What it does, and what `help` says of it: lines of two blanks and the command, then what it is for. */
static const struct command {
	const char *name;
	int (*run)(struct ctl *ctl, int argc, char **argv);
	const char *help;
} commands[] = {
	{ "mkfs", cmd_mkfs,
	  "  mkfs PATH --size SIZE [--name NAME] [--hosts N] [--lanes N] [--inodes N] [--opens N]\n"
	  "       [--domain gpf|wb] [--profile default|rt | --heartbeat-ms MS] [--lease-ms MS]\n"
	  "       [--cache-policy heat|mh-clock] [--cache-min SIZE] [--cache-max SIZE] [--force]\n"
	  "                                        make a pool\n" },
	{ "status", cmd_status,
	  "  status [POOL] [--watch [--wait SECONDS]]\n"
	  "                                        the pod at a glance\n" },
	{ "hosts", cmd_hosts,
	  "  hosts [POOL] [--watch [--wait SECONDS]]\n"
	  "                                        every host slot\n" },
	{ "events", cmd_events,
	  "  events [POOL] [--since NUMBER] [--follow [--wait SECONDS]]\n"
	  "                                        what happened, as the pool remembers it\n" },
	{ "show", cmd_show, "  show HOST [POOL] [--postmortem]       the same of one host; of its last death\n" },
	{ "metrics", cmd_metrics, "  metrics [POOL]                        status for Prometheus\n" },
	{ "recover", cmd_recover,
	  "  recover --host N [--again] [--wait SECONDS]\n"
	  "                                        finalize what a fenced host left\n"
	  "  recover POOL --direct --host N [--as M]\n"
	  "                                        the same, without fabricd\n"
	  "  recover POOL --dry-run --host N       what would be done\n" },
	{ "fence", cmd_fence, "  fence --host N [--wait SECONDS]       cut a host off\n" },
	{ "fence-test", cmd_fence_test,
	  "  fence-test --host N                   could it be? asks its fence agents\n" },
	{ "confirm-dead", cmd_confirm_dead,
	  "  confirm-dead --host N [--wait SECONDS]\n"
	  "                                        your word that a host is dead\n"
	  "  confirm-dead POOL --direct --host N   the same, without fabricd\n" },
	{ "remove", cmd_remove, "  remove --host N [--wait SECONDS]      one that never comes back: free its slot\n" },
	{ "heartbeat", cmd_heartbeat,
	  "  heartbeat POOL [--ms MS | --profile default|rt]\n"
	  "                                        how often hosts beat; changed while they work\n" },
	{ "features", cmd_features,
	  "  features POOL [--enable NAME]         what a pool uses; switched on once all hosts know it\n" },
	{ "check", cmd_check, "  check POOL                            is every structure sound?\n" },
	{ "repair", cmd_repair,
	  "  repair POOL [--dry-run]               make it sound; no host may use it\n"
	  "  repair POOL --item INODE              finish a removed file that nobody could; hosts may use it\n" },
	{ "backup", cmd_backup,
	  "  backup POOL FILE [--online [--hosts N]] [--force]\n"
	  "                                        a copy of it that no host uses, or of its tree while hosts work;\n"
	  "                                        that one may have more host slots\n" },
	{ "restore", cmd_restore, "  restore FILE POOL [--force]           make a pool from such a copy\n" },
	{ "backing", cmd_backing,
	  "  backing add POOL NAME --path PATH [--read-only] [--revalidate-ms MS]\n"
	  "  backing list POOL\n"
	  "  backing sync POOL NAME [--timeout SECONDS]\n"
	  "  backing remove POOL NAME              directories of storage, read through the pool\n" },
	{ "cache", cmd_cache,
	  "  cache POOL [FILE | --watch [--wait SECONDS]]\n"
	  "                                        what hosts read of them; what is cached of a file\n" },
	{ "dump", cmd_dump,
	  "  dump POOL super|member|lanes|inode N|dir N\n"
	  "                                        what is in there, as it is\n" },
	{ "selftest", cmd_selftest,
	  "  selftest POOL [--processes N] [--increments N]\n"
	  "                                        is compare-and-swap atomic there?\n"
	  "  selftest POOL --hosts N --host I [--rounds N] [--increments N] [--wait SECONDS]\n"
	  "                                        on each of N hosts at once: is memory coherent there?\n" },
	{ "probe", cmd_probe,
	  "  probe PATH                            is there a pool, and which? for udev and scripts\n" },
	{ "version", cmd_version, "  version\n" },
	{ "help", cmd_help, "  help [COMMAND]\n" },
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const char help_tail[] =
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

static const struct command *find_command(const char *name)
{
	for (unsigned i = 0; i < N_COMMANDS; i++)
		if (strcmp(name, commands[i].name) == 0)
			return &commands[i];
	return NULL;
}

/* Of one command, or of all. */
static int show_help(struct ctl *ctl, const struct command *one)
{
	fprintf(ctl->out, "usage: daxfsctl [--socket PATH | --direct] [--json] %s ...\n\n",
		one ? one->name : "COMMAND");
	for (unsigned i = 0; i < N_COMMANDS; i++)
		if (!one || one == &commands[i])
			fputs(commands[i].help, ctl->out);
	fputs(help_tail, ctl->out);
	return CTL_OK;
}

static int no_such_command(struct ctl *ctl, const char *name)
{
	return ctl_fail(ctl, CTL_USAGE, "%.60s: no such command; see daxfsctl help", name);
}

int cmd_help(struct ctl *ctl, int argc, char **argv)
{
	const struct command *one = NULL;
	int code = ctl_parse(ctl, argc, argv, NULL, 0, 0, 1, "help [COMMAND]");

	if (code)
		return code;
	if (ctl->n_words)
		one = find_command(ctl->words[0]);
	return ctl->n_words && !one ? no_such_command(ctl, ctl->words[0]) : show_help(ctl, one);
}

/* Where the command is: options, and the value of --socket, may come before it. */
static int command_at(int argc, char **argv)
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
	int at = command_at(argc, argv);
	const struct command *command = at ? find_command(argv[at]) : NULL;
	char *rest[64];

	if (at && !command)
		return no_such_command(&ctl, argv[at]);
	if (wants(argc, argv, "--help") || wants(argc, argv, "-h"))
		return show_help(&ctl, command);
	if (at == 0 && wants(argc, argv, "--version"))
		return cmd_version(&ctl, 0, NULL);
	if (at == 0)
		return ctl_fail(&ctl, CTL_USAGE, "no command given; see daxfsctl help");
	if ((size_t)argc > sizeof(rest) / sizeof(rest[0]))
		return ctl_fail(&ctl, CTL_USAGE, "too many words on the command line");
	for (int i = 1; i < argc; i++)
		if (i != at)
			rest[i < at ? i - 1 : i - 2] = argv[i];
	return command->run(&ctl, argc - 2, rest);
}
