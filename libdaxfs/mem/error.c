/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error.c - one-line reasons for failures, and which library it is that gives them.
 *
 * Works on the caller's memory alone, from any thread; no state.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

#include "mem/pool.h"

int daxfs_error_set(struct daxfs_error *err, int error, const char *format, ...)
{
	va_list args;

	if (!err)
		return error;
	va_start(args, format);
	vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	for (char *c = err->text; *c; c++) /* names and paths are anybody's; a reason is one line */
		if (iscntrl((unsigned char)*c))
			*c = '?';
	return error;
}

const char *daxfs_version(void)
{
	return DAXFS_RELEASE;
}
