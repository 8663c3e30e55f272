/* SPDX-License-Identifier: Apache-2.0 */
/* args.c - see args.h. */
#include "daxfsctl/args.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- numbers ------------------------------------------------------------------ */

int args_number(const char *text, uint64_t *out)
{
	uint64_t value;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (*end || errno)
		return -EINVAL;
	*out = value;
	return 0;
}

/* The shift that a suffix stands for, or -1. */
static int suffix_shift(const char *suffix)
{
	static const char letters[] = "KMGT";
	char upper = (char)(*suffix >= 'a' && *suffix <= 'z' ? *suffix - 32 : *suffix);
	const char *at = upper ? strchr(letters, upper) : NULL;

	if (!*suffix || strcmp(suffix, "B") == 0)
		return 0;
	if (!at || (suffix[1] && strcmp(suffix + 1, "iB") != 0 && strcmp(suffix + 1, "B") != 0))
		return -1;
	return 10 * (int)(at - letters + 1);
}

int args_size(const char *text, uint64_t *out)
{
	uint64_t whole, scaled, tenths = 0;
	char *end;
	int shift;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	whole = strtoull(text, &end, 10);
	if (end[0] == '.' && end[1] >= '0' && end[1] <= '9') {
		tenths = (uint64_t)(end[1] - '0');
		end += 2;
	}
	shift = suffix_shift(end);
	if (errno || shift < 0 || (tenths && !shift) || whole > UINT64_MAX >> shift)
		return -EINVAL;
	scaled = (tenths << shift) / 10;
	if (whole << shift > UINT64_MAX - scaled)
		return -EINVAL;
	*out = (whole << shift) + scaled;
	return 0;
}

/* -- options ------------------------------------------------------------------ */

__attribute__((format(printf, 2, 3))) static int refuse(struct daxfs_error *err, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(err->text, sizeof(err->text), format, ap);
	va_end(ap);
	return -EINVAL;
}

static const struct arg *find(const struct args *args, const char *name, size_t len)
{
	for (unsigned i = 0; i < args->n; i++)
		if (strlen(args->table[i].name) == len && strncmp(args->table[i].name, name, len) == 0)
			return &args->table[i];
	return NULL;
}

static int take_number(const struct arg *arg, const char *text, struct daxfs_error *err)
{
	struct arg_number *to = arg->to;
	uint64_t value;
	int rc = arg->kind == ARG_SIZE ? args_size(text, &value) : args_number(text, &value);

	if (rc && arg->kind == ARG_SIZE)
		return refuse(err, "--%s %.60s: give bytes, or a number with K, M, G or T", arg->name, text);
	if (rc)
		return refuse(err, "--%s %.60s: give a whole number", arg->name, text);
	if (arg->max && value > arg->max)
		return refuse(err, "--%s %.60s: at most %" PRIu64, arg->name, text, arg->max);
	*to = (struct arg_number){ value, true };
	return 0;
}

static int take_value(const struct arg *arg, const char *text, struct daxfs_error *err)
{
	if (arg->kind != ARG_TEXT)
		return take_number(arg, text, err);
	if (!*text)
		return refuse(err, "--%s: the value is empty", arg->name);
	*(const char **)arg->to = text;
	return 0;
}

/* One option at argv[*at], and its value. */
static int take_option(struct args *args, int argc, char **argv, int *at, struct daxfs_error *err)
{
	const char *name = argv[*at] + 2, *equals = strchr(name, '=');
	const struct arg *arg = find(args, name, equals ? (size_t)(equals - name) : strlen(name));

	if (!arg)
		return refuse(err, "%.60s: no such option here; see daxfsctl COMMAND --help", argv[*at]);
	if (arg->kind == ARG_FLAG) {
		if (equals)
			return refuse(err, "--%s takes no value", arg->name);
		*(bool *)arg->to = true;
		return 0;
	}
	if (equals)
		return take_value(arg, equals + 1, err);
	if (*at + 1 == argc)
		return refuse(err, "--%s needs a value", arg->name);
	return take_value(arg, argv[++*at], err);
}

int args_parse(struct args *args, int argc, char **argv, struct daxfs_error *err)
{
	bool options = true;
	int rc = 0;

	args->n_words = 0;
	for (int i = 0; rc == 0 && i < argc; i++) {
		if (options && strcmp(argv[i], "--") == 0)
			options = false;
		else if (options && strncmp(argv[i], "--", 2) == 0)
			rc = take_option(args, argc, argv, &i, err);
		else if (options && argv[i][0] == '-' && argv[i][1])
			rc = refuse(err, "%.60s: options have two dashes; see daxfsctl COMMAND --help", argv[i]);
		else if (args->n_words == args->words_max)
			rc = refuse(err, "%.60s: one word too many; see daxfsctl COMMAND --help", argv[i]);
		else
			args->words[args->n_words++] = argv[i];
	}
	return rc;
}
