/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json.c - see json.h.
 *
 * json-c escapes and lays out; it does not look whether strings are UTF-8, so that is done here. Where there is no
 * memory it hands out NULL, which is its null.
 */
#include "daxfsctl/json.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

/* A member that is new or gone, or means something else, makes it another number. */
#define SCHEMA_VERSION 1

/* -- text ------------------------------------------------------------------- */

/* Length of the UTF-8 sequence at s, 0 if it is none (or overlong, or a surrogate, or too large). */
static unsigned utf8_length(const unsigned char *s)
{
	unsigned n = s[0] < 0x80 ? 1 : s[0] >> 5 == 6 ? 2 : s[0] >> 4 == 14 ? 3 : s[0] >> 3 == 30 ? 4 : 0;
	uint32_t code = n > 1 ? s[0] & (0x7fu >> n) : s[0];
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };

	for (unsigned i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (s[i] & 0x3f);
	}
	return code < least[n] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? 0 : n;
}

static struct json_object *text_of(const char *text)
{
	static const char unknown[] = "\xef\xbf\xbd"; /* U+FFFD */
	char *clean = malloc(3 * strlen(text) + 1), *to = clean;
	struct json_object *value;

	if (!clean)
		return NULL;
	for (const char *s = text; *s;) {
		unsigned n = utf8_length((const unsigned char *)s);

		memcpy(to, n ? s : unknown, n ? n : 3);
		to += n ? n : 3;
		s += n ? n : 1;
	}
	*to = '\0';
	value = json_object_new_string(clean);
	free(clean);
	return value;
}

/* -- structure ---------------------------------------------------------------- */

/* Takes the value over. */
static void put(struct json *j, const char *key, struct json_object *value)
{
	struct json_object *in = j->depth ? j->open[j->depth - 1] : NULL;

	if (key && json_object_is_type(in, json_type_object))
		json_object_object_add(in, key, value);
	else if (json_object_is_type(in, json_type_array))
		json_object_array_add(in, value);
	else
		json_object_put(value);
}

static void open_as(struct json *j, const char *key, struct json_object *value)
{
	if (j->depth == JSON_DEPTH) { /* no command nests that deep */
		json_object_put(value);
		return;
	}
	if (j->depth)
		put(j, key, value);
	j->open[j->depth++] = value;
}

void json_begin(struct json *j, FILE *out)
{
	*j = (struct json){ .out = out };
	open_as(j, NULL, json_object_new_object());
}

void json_begin_line(struct json *j, FILE *out)
{
	json_begin(j, out);
	j->line = true;
}

void json_open_object(struct json *j, const char *key)
{
	open_as(j, key, json_object_new_object());
}

void json_open_array(struct json *j, const char *key)
{
	open_as(j, key, json_object_new_array());
}

void json_close(struct json *j)
{
	j->depth -= j->depth > 1;
}

void json_drop(struct json *j)
{
	json_object_put(j->open[0]);
	j->open[0] = NULL;
	j->depth = 0;
}

void json_finish(struct json *j)
{
	int flags = JSON_C_TO_STRING_NOSLASHESCAPE | JSON_C_TO_STRING_SPACED | (j->line ? 0 : JSON_C_TO_STRING_PRETTY);
	const char *text = json_object_to_json_string_ext(j->open[0], flags);

	fprintf(j->out, "%s\n", text ? text : "null");
	json_drop(j);
}

void json_add_schema(struct json *j, const char *name)
{
	char text[64];

	snprintf(text, sizeof(text), "daxfs-%s-%d", name, SCHEMA_VERSION);
	json_add_text(j, "schema", text);
}

/* -- values ------------------------------------------------------------------- */

void json_add_text(struct json *j, const char *key, const char *text)
{
	put(j, key, text_of(text));
}

void json_add_number(struct json *j, const char *key, uint64_t number)
{
	put(j, key, json_object_new_uint64(number));
}

void json_add_real(struct json *j, const char *key, double number)
{
	char text[64];

	snprintf(text, sizeof(text), "%.3f", number);
	/* neither infinite nor NaN: JSON has no word for those */
	put(j, key, number - number == 0 ? json_object_new_double_s(number, text) : NULL);
}

void json_add_bool(struct json *j, const char *key, bool value)
{
	put(j, key, json_object_new_boolean(value));
}

void json_add_null(struct json *j, const char *key)
{
	put(j, key, NULL);
}

void json_add_id(struct json *j, const char *key, const uint8_t id[16])
{
	char text[33];
	unsigned any = 0;

	for (unsigned i = 0; i < 16; i++) {
		snprintf(text + 2 * i, 3, "%02x", id[i]);
		any |= id[i];
	}
	if (any)
		json_add_text(j, key, text);
	else
		json_add_null(j, key);
}
