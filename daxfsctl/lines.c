/* SPDX-License-Identifier: Apache-2.0 */
/* lines.c - see lines.h. The lines may hold names out of the pool, so nothing but their length is relied on. */
#include "daxfsctl/lines.h"

#include <string.h>

#define LINE_BYTES 512u

/* What comes before the next ": "; it is cut off. NULL: there is none. */
static char *before_colon(char **rest)
{
	char *start = *rest, *colon = strstr(start, ": ");

	if (!colon)
		return NULL;
	*colon = '\0';
	*rest = colon + 2;
	return start;
}

void lines_finding(struct json *j, const char *line)
{
	char copy[LINE_BYTES], *rest = copy, *kind, *place;

	snprintf(copy, sizeof(copy), "%s", line);
	kind = before_colon(&rest);
	place = before_colon(&rest);
	json_open_object(j, NULL);
	json_add_text(j, "kind", kind ? kind : "");
	json_add_text(j, "place", place ? place : "");
	json_add_text(j, "text", rest);
	json_close(j);
}

/* The end of a word, or of key="a value". */
static char *end_of(char *word)
{
	char *quote = strstr(word, "=\"");
	char *end = word + strcspn(word, " ");

	if (!quote || quote > end)
		return end;
	end = strchr(quote + 2, '"');
	return end ? end + 1 : word + strlen(word);
}

static void add_field(struct json *j, char *word, char *equals)
{
	char *value = equals + 1;
	size_t len = strlen(value);

	*equals = '\0';
	if (len > 1 && value[0] == '"' && value[len - 1] == '"') {
		value[len - 1] = '\0';
		value++;
	}
	json_add_text(j, word, value);
}

void lines_fields(struct json *j, const char *line)
{
	char copy[LINE_BYTES], words[LINE_BYTES] = "", *at = copy;

	snprintf(copy, sizeof(copy), "%s", line);
	json_open_object(j, NULL);
	while (*(at += strspn(at, " "))) {
		char *word = at, *end = end_of(word), *equals;

		at = *end ? end + 1 : end;
		*end = '\0';
		equals = strchr(word, '=');
		if (equals && equals != word)
			add_field(j, word, equals);
		else
			snprintf(words + strlen(words), sizeof(words) - strlen(words), "%s%s", words[0] ? " " : "",
				 word);
	}
	if (words[0])
		json_add_text(j, "text", words);
	json_close(j);
}
