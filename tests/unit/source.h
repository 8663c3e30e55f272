/* SPDX-License-Identifier: Apache-2.0 */
/* source.h - what the source tree says of itself, for tests that compare it with what is so. */
#ifndef TESTS_UNIT_SOURCE_H
#define TESTS_UNIT_SOURCE_H

#include <stdio.h>
#include <string.h>

/* A file of the source tree, wherever the test is run; until the next one is read. NULL: it is not there. */
static inline char *source_read(const char *name)
{
	const char *here = __FILE__, *last = strrchr(here, '/');
	static char text[1 << 18];
	char path[4096];
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "%.*s../../%s", last ? (int)(last + 1 - here) : 0, here, name);
	f = fopen(path, "r");
	if (!f) {
		print_message("%s: cannot be read\n", path);
		return NULL;
	}
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	assert_true(n < sizeof(text) - 1);
	return text;
}

#endif
