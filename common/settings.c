/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings.c - command lines and config files. See settings.h.
 *
 * The command line is walked twice: first for its sense and the file's name,
 * then, after the file, for the values. No state; any thread, though daemons do
 * this before they have any.
 */
#include "common/settings.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES (PATH_MAX + 64)

/* How much of a text, whatever somebody typed, may stand in a line: all before a control character. */
static size_t line_len(const char *text)
{
	size_t len = 0;

	while (text[len] && (text[len] == '\t' || !iscntrl((unsigned char)text[len])))
		len++;
	return len;
}

/* How much of it a reason shows. */
static int shown(const char *text)
{
	size_t len = line_len(text);

	return len < 80 ? (int)len : 80;
}

/* -- values ----------------------------------------------------------------------- */

int settings_bad(const char *key, const char *value, const char *wanted, struct daxfs_error *err)
{
	return daxfs_error_set(err, -EINVAL, "%s: \"%.*s\" is not %s", key, shown(value), value, wanted);
}

int settings_text(const char *key, const char *value, char *out, size_t size, struct daxfs_error *err)
{
	size_t len = strlen(value);

	if (len == 0)
		return settings_bad(key, value, "a value: give one", err);
	if (len >= size)
		return settings_bad(key, value, "short enough", err);
	if (line_len(value) < len) /* it comes back in messages, and to an agent one option is one line */
		return settings_bad(key, value, "one line of text: it has control characters", err);
	memcpy(out, value, len + 1);
	return 0;
}

int settings_number(const char *key, const char *value, unsigned min, unsigned max, unsigned *out,
		    struct daxfs_error *err)
{
	char wanted[64];
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(value, &end, 10);
	if (!isdigit((unsigned char)value[0]) || *end != '\0' || errno != 0 || n < min || n > max) {
		snprintf(wanted, sizeof(wanted), "a number from %u to %u", min, max);
		return settings_bad(key, value, wanted, err);
	}
	*out = (unsigned)n;
	return 0;
}

int settings_yes_no(const char *key, const char *value, bool *out, struct daxfs_error *err)
{
	if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
		return settings_bad(key, value, "yes or no", err);
	*out = value[0] == 'y';
	return 0;
}

/* -- the file --------------------------------------------------------------------- */

/* Cut white space off both ends, in place. */
static char *trim(char *s)
{
	char *end = s + strlen(s);

	while (end > s && isspace((unsigned char)end[-1]))
		*--end = '\0';
	while (isspace((unsigned char)*s))
		s++;
	return s;
}

static int set(const struct setting *table, const char *key, const char *value, void *target, struct daxfs_error *err)
{
	for (const struct setting *row = table; row->key; row++)
		if (row->set && strcmp(row->key, key) == 0)
			return row->set(target, key, value, err);
	return daxfs_error_set(err, -EINVAL, "%.*s: no such setting; see --help", shown(key), key);
}

int settings_line(const struct setting *table, const char *line, void *target, struct daxfs_error *err)
{
	char copy[LINE_BYTES];
	char *key, *value;

	if (strlen(line) >= sizeof(copy))
		return daxfs_error_set(err, -EINVAL, "line is too long");
	strcpy(copy, line);
	key = trim(copy);
	if (*key == '\0' || *key == '#')
		return 0;
	value = strchr(key, '=');
	if (!value)
		return daxfs_error_set(err, -EINVAL, "\"%.*s\": expected `key = value`", shown(key), key);
	*value++ = '\0';
	return set(table, trim(key), trim(value), target, err);
}

static int read_lines(const struct setting *table, FILE *file, const char *path, void *target, struct daxfs_error *err)
{
	char line[LINE_BYTES];
	struct daxfs_error reason;
	int rc;

	for (unsigned n = 1; fgets(line, sizeof(line), file); n++) {
		if (!strchr(line, '\n') && !feof(file)) /* its rest would pass for a line of its own */
			rc = daxfs_error_set(&reason, -EINVAL, "line is too long, or not text");
		else
			rc = settings_line(table, line, target, &reason);
		if (rc)
			return daxfs_error_set(err, rc, "%.80s:%u: %.150s", path, n, reason.text);
	}
	if (!ferror(file))
		return 0;
	return daxfs_error_set(err, -EIO, "%.80s: cannot be read: %s", path, strerror(errno));
}

static int read_file(const struct setting *table, const char *path, void *target, struct daxfs_error *err)
{
	FILE *file = fopen(path, "re");
	int rc;

	if (!file) {
		rc = -errno;
		return daxfs_error_set(err, rc, "%.150s: cannot be opened: %s", path, strerror(-rc));
	}
	rc = read_lines(table, file, path, target, err);
	fclose(file);
	return rc;
}

/* -- the command line --------------------------------------------------------------- */

struct option {
	const struct setting *row;
	const char *value; /* NULL if it takes none */
};

static const struct setting everywhere[] = {
	{ "config", NULL, SETTING_CONFIG },
	{ "help", NULL, SETTING_HELP },
	{ "version", NULL, SETTING_VERSION },
	{ NULL, NULL, SETTING_VALUE },
};

static bool is_option_of(const struct setting *row, const char *word)
{
	const char *dashes = row->kind == SETTING_YES_NO ? "--no-" : "--";
	size_t head = strlen(dashes), len = strlen(row->key);

	return strncmp(word, dashes, head) == 0 && strncmp(word + head, row->key, len) == 0 &&
	       (word[head + len] == '\0' || word[head + len] == '=');
}

static const struct setting *find_option(const struct setting *table, const char *word)
{
	for (const struct setting *row = table; row->key; row++)
		if (is_option_of(row, word))
			return row;
	return table == everywhere ? NULL : find_option(everywhere, word);
}

/* The option at *word, a NULL-terminated list: how many words it has, or -EINVAL. */
static int read_option(const struct setting *table, char **word, struct option *out, struct daxfs_error *err)
{
	const struct setting *row = find_option(table, *word);
	const char *value = strchr(*word, '=');
	int words = 1;
	bool takes;

	if (strncmp(*word, "--", 2) != 0)
		return daxfs_error_set(err, -EINVAL, "what is \"%.*s\"? see --help", shown(*word), *word);
	if (!row)
		return daxfs_error_set(err, -EINVAL, "%.*s is not an option; see --help", shown(*word), *word);
	takes = row->kind == SETTING_VALUE || row->kind == SETTING_CONFIG;
	if (value && !takes)
		return daxfs_error_set(err, -EINVAL, "%.*s: it takes no value; see --help", shown(*word), *word);
	if (takes && !value && !word[1])
		return daxfs_error_set(err, -EINVAL, "%.*s needs a value; see --help", shown(*word), *word);
	if (value)
		value++;
	else if (takes)
		value = word[words++];
	*out = (struct option){ .row = row, .value = value };
	return words;
}

/* First: what to do at all, and which file to read. */
static int scan(const struct setting *table, int argc, char **argv, const char **file, enum settings_action *action,
		struct daxfs_error *err)
{
	struct option option;

	for (int i = 1, words; i < argc; i += words) {
		words = read_option(table, argv + i, &option, err);
		if (words < 0)
			return words;
		if (option.row->kind == SETTING_CONFIG)
			*file = option.value;
		else if (option.row->kind == SETTING_HELP)
			*action = SETTINGS_HELP;
		else if (option.row->kind == SETTING_VERSION)
			*action = SETTINGS_VERSION;
	}
	return 0;
}

static int apply(const struct setting *table, int argc, char **argv, void *target, struct daxfs_error *err)
{
	struct option option;
	int rc = 0;

	for (int i = 1, words; i < argc && rc == 0; i += words) {
		words = read_option(table, argv + i, &option, err);
		if (words < 0)
			return words;
		if (option.row->set)
			rc = option.row->set(target, option.row->key, option.value ? option.value : "no", err);
	}
	return rc;
}

int settings_parse(const struct setting *table, int argc, char **argv, void *target, enum settings_action *action,
		   struct daxfs_error *err)
{
	enum settings_action wanted = SETTINGS_RUN;
	const char *file = NULL;
	int rc = scan(table, argc, argv, &file, &wanted, err);

	if (rc == 0 && wanted == SETTINGS_RUN && file)
		rc = read_file(table, file, target, err);
	if (rc == 0 && wanted == SETTINGS_RUN)
		rc = apply(table, argc, argv, target, err);
	if (rc == 0)
		*action = wanted;
	return rc;
}
