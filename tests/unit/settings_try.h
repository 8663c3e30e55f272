/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings_try.h - command lines and config files for the tests of settings.
 */
#ifndef TESTS_UNIT_SETTINGS_TRY_H
#define TESTS_UNIT_SETTINGS_TRY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/settings.h"

#define TRY_WORDS 40

/* Two arguments, argc and argv, of a program with these words. */
#define TRY(...)                                                                                                       \
	(int)(sizeof((char *[]){ "program", __VA_ARGS__ }) / sizeof(char *)), (char *[TRY_WORDS])                      \
	{                                                                                                              \
		"program", __VA_ARGS__                                                                                 \
	}

/* A file of its own; its name is put into path. */
static inline void try_file(char path[32], const char *text)
{
	int fd;

	strcpy(path, "/tmp/daxfs-test-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

/* It was refused with one line that says so. */
static inline void try_refused(int rc, const struct daxfs_error *err, const char *says)
{
	if (rc != -EINVAL || !strstr(err->text, says))
		fail_msg("%d, \"%s\", which does not say \"%s\"", rc, err->text, says);
	assert_null(strchr(err->text, '\n'));
}

#endif
