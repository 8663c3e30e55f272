/* SPDX-License-Identifier: Apache-2.0 */
/*
 * why.c - see error.h. Works on the caller's memory alone, from any thread.
 */
#include "common/error.h"

#include <stdarg.h>
#include <stdio.h>

int daxfs_error_set(struct daxfs_error *err, int error, const char *format, ...)
{
	va_list args;

	if (!err)
		return error;
	va_start(args, format);
	vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	return error;
}
