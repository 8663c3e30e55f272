/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writer.c - load generator of the kill tests, one process a host.
 *
 *	writer --setup --mount DIR --round NAME --log DIR
 *	writer --mount DIR --round NAME --log DIR --host N --gen N [--threads N]
 *	       [--seed N] [--mix mixed|unread|heavy|overwrite] [--ws BYTES] [--seconds N]
 *	       [--pace-us N]
 *
 * Works in DIR/NAME until SIGTERM, SIGINT or the time is up; then finishes the
 * operations it is in and exits 0. It is as ready to be killed at any moment. With --pace-us each
 * thread pauses so long before each operation: for tests that need somebody at work, and no load.
 * Exit status: 0, 1 bad usage or no start, 3 log not written, 4 mount lost.
 */
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX 64u

static int usage(void)
{
	fprintf(stderr, "usage: writer [--setup] --mount DIR --round NAME --log DIR [--host N] [--gen N] [--threads N] "
			"[--seed N] [--mix mixed|unread|heavy|overwrite] [--ws BYTES] [--seconds N] [--pace-us N]\n");
	return 1;
}

static int fail(const char *what)
{
	fprintf(stderr, "writer: %s: %s\n", what, strerror(errno));
	return 1;
}

static bool make_dirs(struct load *load)
{
	static const char *const dirs[] = { "shared", "priv", "names", "excl",  "tmp",
					    "dirs",   "own",  "tok",   "tok/0", "tok/1" };

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		if (mkdirat(load->root, dirs[i], 0755))
			return false;
	return true;
}

static bool make_tokens(struct load *load)
{
	struct worker w;
	struct stat st;
	char path[OPLOG_NAME];
	int fd, result;

	load->host = 255;
	if (!worker_init(&w, load, 0))
		return false;
	for (unsigned i = 0; i < TOKENS; i++) {
		snprintf(path, sizeof(path), "tok/0/k%u.0", i);
		op_begin(&w, OP_TOKEN_MAKE, path, NULL);
		w.rec.a = i;
		op_intent(&w);
		fd = openat(load->root, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		result = fd < 0 || fstat(fd, &st) ? -errno : 0;
		w.rec.b = result ? 0 : st.st_ino;
		op_done(&w, result);
		if (fd >= 0)
			close(fd);
	}
	worker_fini(&w);
	return !atomic_load(&load->broken);
}

static bool open_root(struct load *load, bool make)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", load->mount, load->round);
	if (make && mkdir(path, 0755))
		return false;
	load->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return load->root >= 0;
}

static void *thread_main(void *arg)
{
	worker_run(arg);
	return NULL;
}

/* SIGTERM and SIGINT are blocked everywhere and taken here, so no operation is cut short. */
static void wait_for_end(struct load *load, const sigset_t *ends, double seconds)
{
	uint64_t end = now_ns() + (uint64_t)(seconds * 1e9);
	struct timespec poll = { .tv_nsec = 20000000 };

	while (!atomic_load(&load->stop))
		if (sigtimedwait(ends, NULL, &poll) > 0 || (seconds > 0 && now_ns() >= end))
			atomic_store(&load->stop, true);
}

static int run(struct load *load, double seconds)
{
	static struct worker workers[THREADS_MAX];
	pthread_t threads[THREADS_MAX];
	sigset_t ends;
	unsigned n;

	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	pthread_sigmask(SIG_BLOCK, &ends, NULL);
	for (n = 0; n < load->threads; n++)
		if (!worker_init(&workers[n], load, n))
			return 1;
	for (n = 0; n < load->threads; n++)
		if (pthread_create(&threads[n], NULL, thread_main, &workers[n]))
			exit(fail("pthread_create"));
	wait_for_end(load, &ends, seconds);
	for (n = 0; n < load->threads; n++) {
		pthread_join(threads[n], NULL);
		worker_fini(&workers[n]);
	}
	if (atomic_load(&load->broken)) {
		fprintf(stderr, "writer: cannot write the operation log in %s\n", load->log_dir);
		return 3;
	}
	return atomic_load(&load->lost) ? 4 : 0;
}

static bool set_mix(struct load *load, const char *name)
{
	static const char *const names[] = {
		[MIX_MIXED] = "mixed", [MIX_UNREAD] = "unread", [MIX_HEAVY] = "heavy", [MIX_OVERWRITE] = "overwrite"
	};

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(name, names[i])) {
			load->mix = (enum mix)i;
			return true;
		}
	return false;
}

static const struct option options[] = {
	{ "setup", no_argument, NULL, 'S' },
	{ "mount", required_argument, NULL, 'm' },
	{ "round", required_argument, NULL, 'r' },
	{ "log", required_argument, NULL, 'l' },
	{ "host", required_argument, NULL, 'h' },
	{ "gen", required_argument, NULL, 'g' },
	{ "threads", required_argument, NULL, 't' },
	{ "seed", required_argument, NULL, 's' },
	{ "mix", required_argument, NULL, 'x' },
	{ "ws", required_argument, NULL, 'w' },
	{ "seconds", required_argument, NULL, 'T' },
	{ "pace-us", required_argument, NULL, 'p' },
	{ NULL, 0, NULL, 0 },
};

struct args {
	bool setup, bad;
	double seconds;
};

static void take(struct load *load, struct args *a, int c)
{
	switch (c) {
	case 'S': a->setup = true; break;
	case 'm': load->mount = optarg; break;
	case 'r': snprintf(load->round, sizeof(load->round), "%s", optarg); break;
	case 'l': load->log_dir = optarg; break;
	case 'h': load->host = (unsigned)strtoul(optarg, NULL, 10); break;
	case 'g': load->generation = (uint32_t)strtoul(optarg, NULL, 10); break;
	case 't': load->threads = (unsigned)strtoul(optarg, NULL, 10); break;
	case 's': load->seed = strtoull(optarg, NULL, 10); break;
	case 'w': load->ws_bytes = strtoull(optarg, NULL, 10); break;
	case 'p': load->pace_us = (unsigned)strtoul(optarg, NULL, 10); break;
	case 'T': a->seconds = strtod(optarg, NULL); break;
	case 'x': a->bad |= !set_mix(load, optarg); break;
	default: a->bad = true;
	}
}

int main(int argc, char **argv)
{
	static struct load load = { .threads = 2, .generation = 1, .ws_bytes = 16 << 20 };
	struct args args = { 0 };
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		take(&load, &args, c);
	if (args.bad || optind != argc || !load.mount || !load.log_dir || !load.round[0] || !load.threads ||
	    load.threads > THREADS_MAX || load.ws_bytes < CHAOS_BLOCK)
		return usage();
	if (!open_root(&load, args.setup))
		return fail(load.mount);
	if (args.setup)
		return make_dirs(&load) && make_tokens(&load) ? 0 : fail("set-up");
	return run(&load, args.seconds);
}
