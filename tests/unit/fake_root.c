/* SPDX-License-Identifier: Apache-2.0 */
/* fake_root.c - see fake_root.h. */
#include "fake_root.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

void fake_root_make(struct fake_root *f)
{
	strcpy(f->path, "/dev/shm/daxfs-root-XXXXXX");
	assert_non_null(mkdtemp(f->path));
}

static void make_directories(char *path)
{
	for (char *at = strchr(path + 1, '/'); at; at = strchr(at + 1, '/')) {
		*at = '\0';
		mkdir(path, 0755);
		*at = '/';
	}
}

void fake_root_put(const struct fake_root *f, const char *file, const char *format, ...)
{
	char path[256];
	va_list args;
	FILE *out;

	snprintf(path, sizeof(path), "%s%s", f->path, file);
	make_directories(path);
	out = fopen(path, "w");
	assert_non_null(out);
	va_start(args, format);
	vfprintf(out, format, args);
	va_end(args);
	assert_int_equal(fclose(out), 0);
}

static int take_away(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return remove(path);
}

void fake_root_end(struct fake_root *f)
{
	assert_int_equal(nftw(f->path, take_away, 8, FTW_DEPTH | FTW_PHYS), 0);
}
