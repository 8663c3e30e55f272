/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base.h - what all headers of the library need. Programs include daxfs.h.
 *
 * Options. A struct of options that a program fills begins with struct_size, which is to be its sizeof. So a later
 * library can append members without another soname: those that an older program does not know count as 0,
 * which means as before; where a newer program has set one that an older library does not know, the call says
 * -E2BIG. A struct_size that is too small for what a call cannot do without is -EINVAL. Other structs stay as they
 * are as long as the soname.
 */
#ifndef DAXFS_BASE_H
#define DAXFS_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DAXFS_API __attribute__((visibility("default")))

/* A one-line reason for a failure: what is wrong and what to do. */
struct daxfs_error {
	char text[256];
};

/*
 * daxfs_error_set - fill a reason and return an error
 *
 * For programs that report as the library does: formats into err, if that is not NULL, and returns
 * error. What does not fit is cut off, and control characters of what is quoted become question marks.
 */
DAXFS_API int daxfs_error_set(struct daxfs_error *err, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

struct daxfs; /* a mapped pool */

/*
 * Inodes are named by handles: 64 bits, never reused for another file. The
 * root's is DAXFS_ROOT.
 */
typedef uint64_t daxfs_ino;
#define DAXFS_ROOT ((daxfs_ino)1)

#ifdef __cplusplus
}
#endif
#endif
