/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json.h - writing JSON (RFC 8259), one value as the program goes along.
 *
 * Keys are literals of the program; strings may be any bytes: what is not
 * UTF-8 becomes U+FFFD, so the output always parses. In an array key is NULL.
 * One thread, one stream.
 */
#ifndef DAXFSCTL_JSON_H
#define DAXFSCTL_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define JSON_DEPTH 8u

struct json {
	FILE *out;
	unsigned depth;
	bool filled[JSON_DEPTH]; /* something was written at that depth */
	char close[JSON_DEPTH];
};

void json_begin(struct json *j, FILE *out);
/* Close all that is open and end the line. */
void json_finish(struct json *j);
void json_object(struct json *j, const char *key);
void json_array(struct json *j, const char *key);
void json_end(struct json *j); /* of the innermost object or array */
void json_text(struct json *j, const char *key, const char *text);
void json_number(struct json *j, const char *key, uint64_t number);
void json_real(struct json *j, const char *key, double number);
void json_bool(struct json *j, const char *key, bool value);
void json_null(struct json *j, const char *key);

#endif
