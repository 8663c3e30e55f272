/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - daxfs-bench [--out FILE] [--alone SECONDS] [NAME]...
 *
 * Runs the workloads whose name contains a NAME, or whose group has that name (all, without any), and
 * writes a line of JSON for each. bench/run does this and the rest, and puts
 * goals beside the results. --alone runs only the library's part of each: perf record it.
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
static double alone;
static pid_t main_pid;

_Noreturn void bench_fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("bench: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	if (getpid() != main_pid)
		crew_fail();
	rig_cleanup();
	_exit(1);
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

double bench_alone_seconds(void)
{
	return alone;
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
	{ "data", bench_data },
	{ "names", bench_names },
	{ "cas", bench_cas },
	{ "recovery", bench_recovery },
	{ "cost", bench_cost },
};

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "out", required_argument, NULL, 'o' }, { "alone", required_argument, NULL, 'a' }, { 0 },
	};
	const char *path = "/dev/null";
	int c;

	while ((c = getopt_long(argc, argv, "o:a:", options, NULL)) != -1) {
		if (c == 'o')
			path = optarg;
		else if (c == 'a')
			alone = strtod(optarg, NULL);
		else
			return 2;
	}
	wanted = argv + optind;
	main_pid = getpid();
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	out_open(path);
	out_machine();
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		group = groups[i].name;
		groups[i].run();
	}
	return 0;
}
