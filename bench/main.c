/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - daxfs-bench [--out FILE] [--alone SECONDS] [OPTIONS] [NAME]...
 *
 * Runs the workloads whose name contains a NAME, or whose group has that name
 * (all, without any), and writes a line of JSON for each. bench/run does this
 * and the rest, and puts goals beside the results. --alone runs only the library's part of
 * each: perf record it. --quick takes so little of everything that it only shows that all of
 * it works. --mount DIR --passthrough DIR --tmpfs DIR [--daemon PID]... and
 * --pool FILE --cgroup DIR are for the groups that need a pod (bench/pod), --trace FILE is a trace of blocks
 * (lirs_trace.c).
 */
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

static char **wanted;
static const char *group; /* that is running */
static struct bench_args args;
static pid_t main_pid;

_Noreturn void bench_fail(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	fputs("bench: ", stderr);
	vfprintf(stderr, format, list);
	fputc('\n', stderr);
	va_end(list);
	if (getpid() != main_pid)
		crew_fail();
	rig_cleanup();
	_exit(1);
}

const struct bench_args *bench_args(void)
{
	return &args;
}

bool bench_wants(const char *name)
{
	if (!*wanted)
		return true;
	for (char **p = wanted; *p; p++)
		if (strstr(name, *p) || strcmp(group, *p) == 0)
			return true;
	return false;
}

static void on_signal(int signal)
{
	if (getpid() == main_pid)
		rig_cleanup();
	_exit(128 + signal);
}

static const struct {
	const char *name;
	void (*run)(void);
} groups[] = {
	{ "data", bench_data }, { "names", bench_names },   { "cas", bench_cas },     { "recovery", bench_recovery },
	{ "cost", bench_cost }, { "scale", bench_scale },   { "cliff", bench_cliff }, { "cache", bench_cache },
	{ "fuse", bench_fuse }, { "detect", bench_detect },
};

static const struct option options[] = {
	{ "out", required_argument, NULL, 'o' },   { "alone", required_argument, NULL, 'a' },
	{ "quick", no_argument, NULL, 'q' },       { "seed", required_argument, NULL, 's' },
	{ "mount", required_argument, NULL, 'm' }, { "passthrough", required_argument, NULL, 'p' },
	{ "tmpfs", required_argument, NULL, 't' }, { "daemon", required_argument, NULL, 'd' },
	{ "pool", required_argument, NULL, 'P' },  { "cgroup", required_argument, NULL, 'c' },
	{ "trace", required_argument, NULL, 'T' }, { 0 },
};

static bool take_option(int c, const char **out)
{
	const char **text[] = {
		['o'] = out,        ['m'] = &args.mount,  ['p'] = &args.passthrough, ['t'] = &args.tmpfs,
		['P'] = &args.pool, ['c'] = &args.cgroup, ['T'] = &args.trace
	};

	if (c == 'a')
		args.alone = strtod(optarg, NULL);
	else if (c == 'q')
		args.quick = true;
	else if (c == 's')
		args.seed = strtoull(optarg, NULL, 0);
	else if (c == 'd' && args.n_daemons < sizeof(args.daemon) / sizeof(args.daemon[0]))
		args.daemon[args.n_daemons++] = atoi(optarg);
	else if ((size_t)c < sizeof(text) / sizeof(text[0]) && text[c])
		*text[c] = optarg;
	else
		return false;
	return true;
}

int main(int argc, char **argv)
{
	const char *out = "/dev/null";
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (!take_option(c, &out))
			return 2;
	wanted = argv + optind;
	main_pid = getpid();
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	out_open(out);
	out_machine();
	group = "machine";
	out_call();
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		group = groups[i].name;
		groups[i].run();
	}
	return 0;
}
