/* SPDX-License-Identifier: Apache-2.0 */
/*
 * why.c - one-line reasons for failures, filled where the failure is understood.
 *
 * Private memory of the caller; no state.
 */
#include <stdarg.h>
#include <stdio.h>

#include "mem/pool.h"

int why_fail(struct daxfs_why *why, int error, const char *format, ...)
{
	va_list args;

	if (!why)
		return error;
	va_start(args, format);
	vsnprintf(why->text, sizeof(why->text), format, args);
	va_end(args);
	return error;
}
