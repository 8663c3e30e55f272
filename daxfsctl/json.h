/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json.h - writing JSON (RFC 8259) through json-c, as the program goes along.
 *
 * A value is kept until json_finish and then written as a whole, so a command that fails in the middle has written
 * nothing of it. Keys are literals of the program; strings may be any bytes: what is not
 * UTF-8 becomes U+FFFD, so the output always parses. In an array key is NULL.
 * What a command's object has is said by deploy/schemas/NAME-VERSION.json, and by its member "schema".
 */
#ifndef DAXFSCTL_JSON_H
#define DAXFSCTL_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define JSON_DEPTH 8u

struct json_object;

struct json {
	FILE *out;
	bool line; /* all on one line */
	unsigned depth;
	struct json_object *open[JSON_DEPTH]; /* objects and arrays, the outermost first */
};

void json_begin(struct json *j, FILE *out);
/* The same, to be on one line. */
void json_begin_line(struct json *j, FILE *out);
/* Close all that is open, write it, and end the line. */
void json_finish(struct json *j);
/* Forget all of it. */
void json_drop(struct json *j);
/* "schema": "daxfs-NAME-VERSION", of that name. */
void json_add_schema(struct json *j, const char *name);
void json_open_object(struct json *j, const char *key);
void json_open_array(struct json *j, const char *key);
void json_close(struct json *j); /* of the innermost object or array */
void json_add_text(struct json *j, const char *key, const char *text);
void json_add_number(struct json *j, const char *key, uint64_t number);
void json_add_real(struct json *j, const char *key, double number);
void json_add_bool(struct json *j, const char *key, bool value);
void json_add_null(struct json *j, const char *key);
/* 32 hexadecimal digits; null if all are zero, for then it is not known. */
void json_add_id(struct json *j, const char *key, const uint8_t id[16]);

#endif
