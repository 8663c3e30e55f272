/* SPDX-License-Identifier: Apache-2.0 */
/* json.c - see json.h. */
#include "daxfsctl/json.h"

#include <inttypes.h>

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

static void put_text(FILE *out, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	putc('"', out);
	while (*s) {
		unsigned n = utf8_length(s);

		if (n == 0)
			fputs("\\ufffd", out);
		else if (*s == '"' || *s == '\\')
			fprintf(out, "\\%c", *s);
		else if (*s < 0x20 || *s == 0x7f)
			fprintf(out, "\\u%04x", *s);
		else
			fwrite(s, 1, n, out);
		s += n ? n : 1;
	}
	putc('"', out);
}

/* -- structure ---------------------------------------------------------------- */

/* What comes before any value: comma, line, indent, key. */
static void lead_in(struct json *j, const char *key)
{
	if (j->depth) {
		fputs(j->filled[j->depth - 1] ? ",\n" : "\n", j->out);
		for (unsigned i = 0; i < j->depth; i++)
			fputs("  ", j->out);
		j->filled[j->depth - 1] = true;
	}
	if (key) {
		put_text(j->out, key);
		fputs(": ", j->out);
	}
}

static void open_with(struct json *j, const char *key, char open, char close)
{
	lead_in(j, key);
	putc(open, j->out);
	if (j->depth == JSON_DEPTH)
		return; /* no command nests that deep */
	j->filled[j->depth] = false;
	j->close[j->depth++] = close;
}

void json_begin(struct json *j, FILE *out)
{
	*j = (struct json){ .out = out };
	open_with(j, NULL, '{', '}');
}

void json_object(struct json *j, const char *key)
{
	open_with(j, key, '{', '}');
}

void json_array(struct json *j, const char *key)
{
	open_with(j, key, '[', ']');
}

void json_end(struct json *j)
{
	if (!j->depth)
		return;
	j->depth--;
	if (j->filled[j->depth]) {
		putc('\n', j->out);
		for (unsigned i = 0; i < j->depth; i++)
			fputs("  ", j->out);
	}
	putc(j->close[j->depth], j->out);
}

void json_finish(struct json *j)
{
	while (j->depth)
		json_end(j);
	putc('\n', j->out);
}

/* -- values ------------------------------------------------------------------- */

void json_text(struct json *j, const char *key, const char *text)
{
	lead_in(j, key);
	put_text(j->out, text);
}

void json_number(struct json *j, const char *key, uint64_t number)
{
	lead_in(j, key);
	fprintf(j->out, "%" PRIu64, number);
}

void json_real(struct json *j, const char *key, double number)
{
	lead_in(j, key);
	if (number - number == 0) /* neither infinite nor NaN: JSON has no word for those */
		fprintf(j->out, "%.3f", number);
	else
		fputs("null", j->out);
}

void json_bool(struct json *j, const char *key, bool value)
{
	lead_in(j, key);
	fputs(value ? "true" : "false", j->out);
}

void json_null(struct json *j, const char *key)
{
	lead_in(j, key);
	fputs("null", j->out);
}
