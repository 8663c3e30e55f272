/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctl.h - daxfsctl: one invocation, its streams, its exit code.
 *
 * A command writes what it was asked for to `out` (text, or one JSON object
 * with --json) and one line on each failure to `err`; with --json a failure is
 * also {"error": ...} on `out`. Nothing else is global, so tests run commands in
 * their own process.
 */
#ifndef DAXFSCTL_CTL_H
#define DAXFSCTL_CTL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "daxfs/daxfs.h"
#include "daxfsctl/args.h"

/* Exit codes; those of check are the ones of fsck(8). Listed in daxfsctl(8). */
#define CTL_HOSTS_MAX 63u /* of a pool: of its 64 slots one is spare */

enum ctl_exit {
	CTL_OK = 0,
	CTL_REFUSED = 1,  /* the state of the pool or host does not allow it */
	CTL_PROBLEMS = 4, /* check, selftest: problems found */
	CTL_ERROR = 8,    /* it could not be done */
	CTL_USAGE = 16,
};

struct ctl {
	FILE *out, *err;
	bool json, direct;
	const char *socket;   /* --socket */
	const char *words[4]; /* after the command */
	unsigned n_words;
};

/* Run one command line; returns the exit code. argv[0] is the program. */
int ctl_main(int argc, char **argv, FILE *out, FILE *err);

/*
 * Parse what follows the command: the options every command has and those of
 * the table, and between `least` and `most` words, described by `usage`.
 * Returns CTL_OK, or CTL_USAGE having said why.
 */
int ctl_parse(struct ctl *ctl, int argc, char **argv, const struct arg *table, unsigned n, unsigned least,
	      unsigned most, const char *usage);
/* One line of success about a host, as text or JSON; state may be NULL. Returns CTL_OK. */
int ctl_host_done(struct ctl *ctl, unsigned host, const char *state, const char *text);
/* Say what went wrong; returns `code`. */
int ctl_fail(struct ctl *ctl, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The exit code for an -errno of the library or of fabricd. */
int ctl_exit_of(int error);
/* ctl_fail with the reason of a call that returned error. */
int ctl_fail_error(struct ctl *ctl, int error, const struct daxfs_error *err);

/* The same of a call in which -EINVAL means a value of the command line: that is wrong usage. */
int ctl_fail_value(struct ctl *ctl, int error, const struct daxfs_error *err);

/* The heartbeat of a profile, default or rt; 0: there is none of that name. */
unsigned ctl_profile_ms(const char *profile); /* cmd_heartbeat.c */

/* Commands: argv has what follows the command's name. */
int cmd_mkfs(struct ctl *ctl, int argc, char **argv);
int cmd_status(struct ctl *ctl, int argc, char **argv);
int cmd_hosts(struct ctl *ctl, int argc, char **argv);
int cmd_events(struct ctl *ctl, int argc, char **argv);
int cmd_show(struct ctl *ctl, int argc, char **argv);
int cmd_recover(struct ctl *ctl, int argc, char **argv);
int cmd_fence(struct ctl *ctl, int argc, char **argv);
int cmd_fence_test(struct ctl *ctl, int argc, char **argv);
int cmd_remove(struct ctl *ctl, int argc, char **argv);
int cmd_confirm_dead(struct ctl *ctl, int argc, char **argv);
int cmd_heartbeat(struct ctl *ctl, int argc, char **argv);
int cmd_features(struct ctl *ctl, int argc, char **argv);
int cmd_backup(struct ctl *ctl, int argc, char **argv);
int cmd_restore(struct ctl *ctl, int argc, char **argv);
int cmd_check(struct ctl *ctl, int argc, char **argv);
int cmd_repair(struct ctl *ctl, int argc, char **argv);
int cmd_backing(struct ctl *ctl, int argc, char **argv);
int cmd_cache(struct ctl *ctl, int argc, char **argv);
int cmd_dump(struct ctl *ctl, int argc, char **argv);
int cmd_probe(struct ctl *ctl, int argc, char **argv);
int cmd_metrics(struct ctl *ctl, int argc, char **argv);
int cmd_selftest(struct ctl *ctl, int argc, char **argv);
int cmd_version(struct ctl *ctl, int argc, char **argv);
int cmd_help(struct ctl *ctl, int argc, char **argv);

#endif
