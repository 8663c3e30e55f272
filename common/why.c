/* SPDX-License-Identifier: Apache-2.0 */
/*
 * why.c - see why.h. Works on the caller's memory alone, from any thread.
 */
#include "common/why.h"

#include <stdarg.h>
#include <stdio.h>

int why_say(struct daxfs_why *why, int error, const char *format, ...)
{
	va_list args;

	if (!why)
		return error;
	va_start(args, format);
	vsnprintf(why->text, sizeof(why->text), format, args);
	va_end(args);
	return error;
}
