/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings.h - what a daemon was asked to do: a config file, then options, both
 * from one table.
 *
 * A row's key is the name of a long option and a key of the file: `--pool PATH`
 * and `pool = PATH`. The file, which --config names, is read first, so that an
 * option wins. Every program has --config, --help and --version.
 *
 * Works on the caller's memory alone. Values are input: what is not understood
 * is -EINVAL with a *err of one line.
 */
#ifndef COMMON_SETTINGS_H
#define COMMON_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "daxfs/daxfs.h"

enum setting_kind {
	SETTING_VALUE,   /* --KEY VALUE or --KEY=VALUE */
	SETTING_YES_NO,  /* --no-KEY; in the file `KEY = yes` or `KEY = no` */
	SETTING_IGNORED, /* --KEY says what is so anyway; not in the file */
	SETTING_CONFIG,
	SETTING_HELP,
	SETTING_VERSION, /* rows that every program has already */
};

struct setting {
	const char *key; /* NULL: end of the table */
	/* Check the value and put it into target; or leave target as it is. NULL if ignored. */
	int (*set)(void *target, const char *key, const char *value, struct daxfs_error *err);
	enum setting_kind kind;
};

enum settings_action { SETTINGS_RUN, SETTINGS_HELP, SETTINGS_VERSION };

/*
 * Read the command line and the file it names into target, which may be half
 * changed after an error. A question (--help, --version) changes nothing: only
 * names of options are checked then. -EINVAL, or the errno of reading the file.
 */
int settings_parse(const struct setting *table, int argc, char **argv, void *target, enum settings_action *action,
		   struct daxfs_error *err);
/* One line of a config file; comments and blank lines are fine. */
int settings_line(const struct setting *table, const char *line, void *target, struct daxfs_error *err);

/* -- for rows ------------------------------------------------------------------- */

/* -EINVAL: `KEY: "VALUE" is not WANTED`. */
int settings_bad(const char *key, const char *value, const char *wanted, struct daxfs_error *err);
/* Not empty, one line without control characters (a tab is none), and with its end in size bytes. */
int settings_text(const char *key, const char *value, char *out, size_t size, struct daxfs_error *err);
/* A decimal number from min to max. */
int settings_number(const char *key, const char *value, unsigned min, unsigned max, unsigned *out,
		    struct daxfs_error *err);
int settings_yes_no(const char *key, const char *value, bool *out, struct daxfs_error *err);

#endif
