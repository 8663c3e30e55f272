/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctl_run.h - running daxfsctl command lines in the test's own process, and
 * looking at what they write.
 */
#ifndef TESTS_UNIT_CTL_RUN_H
#define TESTS_UNIT_CTL_RUN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <libgen.h>
#include <limits.h>

#include "daxfsctl/ctl.h"

struct ctl_run {
	int code;
	char *out, *err; /* freed by the next run, or ctl_run_end */
};

/* The fabricd that was built beside the tests; false: it was not. */
static inline bool fabricd_path(char *out, size_t size)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n <= 0)
		return false;
	self[n] = '\0';
	snprintf(out, size, "%s/../bin/fabricd", dirname(self));
	return access(out, X_OK) == 0;
}

/* For scripts/check-schemas. */
static inline void ctl_keep_json(const char *text)
{
	const char *path = getenv("DAXFS_CTL_JSON");
	FILE *file = path && text[0] == '{' ? fopen(path, "a") : NULL;

	if (file) {
		fprintf(file, "%s\f\n", text);
		fclose(file);
	}
}

/* One word a %s-free blank-separated piece of `line`; no quoting. */
static inline void ctl_run(struct ctl_run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline void ctl_run(struct ctl_run *r, const char *format, ...)
{
	char line[1024], *argv[64] = { line }, *save = NULL;
	size_t out_size, err_size;
	FILE *out, *err;
	int argc = 1;
	va_list ap;

	free(r->out);
	free(r->err);
	out = open_memstream(&r->out, &out_size);
	err = open_memstream(&r->err, &err_size);
	assert_true(out && err);
	va_start(ap, format);
	vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	for (char *word = strtok_r(line, " ", &save); word; word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	argv[argc] = NULL;
	r->code = ctl_main(argc, argv, out, err);
	fclose(out);
	fclose(err);
	ctl_keep_json(r->out);
}

static inline void ctl_run_end(struct ctl_run *r)
{
	free(r->out);
	free(r->err);
}

/* Fails unless it ended with that code; and an error is one line of it. */
static inline void ctl_expect(const struct ctl_run *r, int code, const char *words)
{
	const char *where = code == CTL_OK || code == CTL_PROBLEMS ? r->out : r->err;

	if (r->code != code || !strstr(where, words))
		fail_msg("exit %d, not %d with \"%s\"; out: %s err: %s", r->code, code, words, r->out, r->err);
	if (code == CTL_OK || code == CTL_PROBLEMS) {
		assert_string_equal(r->err, "");
		return;
	}
	assert_int_equal(strncmp(r->err, "daxfsctl: ", 10), 0);
	assert_ptr_equal(strchr(r->err, '\n'), r->err + strlen(r->err) - 1);
}

/* -- JSON: does it parse? ------------------------------------------------------- */

static inline const char *json_skip(const char *s)
{
	return s + strspn(s, " \t\r\n");
}

static inline const char *json_string(const char *s)
{
	for (s++; *s && *s != '"'; s++) {
		if ((unsigned char)*s < 0x20)
			return NULL;
		if (*s != '\\')
			continue;
		s++;
		if (*s == 'u' && strspn(s + 1, "0123456789abcdefABCDEF") < 4)
			return NULL;
		if (!*s || !strchr("\"\\/bfnrtu", *s))
			return NULL;
	}
	return *s ? s + 1 : NULL;
}

static inline const char *json_value(const char *s, int depth);

/* Members of an object or array, from behind its opening bracket. */
static inline const char *json_members(const char *s, char close, int depth)
{
	s = json_skip(s);
	if (*s == close)
		return s + 1;
	while (s && *s) {
		if (close == '}') {
			s = *s == '"' ? json_string(s) : NULL;
			s = s ? json_skip(s) : NULL;
			if (!s || *s != ':')
				return NULL;
			s++;
		}
		s = json_value(s, depth + 1);
		s = s ? json_skip(s) : NULL;
		if (!s || (*s != ',' && *s != close))
			return NULL;
		if (*s == close)
			return s + 1;
		s = json_skip(s + 1);
	}
	return NULL;
}

static inline const char *json_value(const char *s, int depth)
{
	char *end;

	s = json_skip(s);
	if (depth > 20)
		return NULL;
	if (*s == '{' || *s == '[')
		return json_members(s + 1, *s == '{' ? '}' : ']', depth);
	if (*s == '"')
		return json_string(s);
	if (strncmp(s, "true", 4) == 0 || strncmp(s, "null", 4) == 0)
		return s + 4;
	if (strncmp(s, "false", 5) == 0)
		return s + 5;
	strtod(s, &end);
	return end == s || !strchr("-0123456789", *s) ? NULL : end;
}

static inline bool json_parses(const char *text)
{
	const char *end = json_value(text, 0);

	return end && !*json_skip(end);
}

static inline void ctl_expect_json(const struct ctl_run *r, const char *words)
{
	if (!json_parses(r->out) || r->out[0] != '{' || !strstr(r->out, words))
		fail_msg("no JSON object with %s: %s", words, r->out);
}

#endif
