/* SPDX-License-Identifier: Apache-2.0 */
/*
 * why.c - one-line reasons for failures, filled where the failure is understood.
 *
 * Private memory of the caller; no state.
 */
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
	return error;
}
