/* SPDX-License-Identifier: Apache-2.0 */
/* fake_root.h - a directory that stands for /, with files of proc and sys that a test writes. */
#ifndef FAKE_ROOT_H
#define FAKE_ROOT_H

struct fake_root {
	char path[64];
};

void fake_root_make(struct fake_root *f);
/* A file ("/proc/stat") and the directories that it needs; what it said before is replaced. */
void fake_root_put(const struct fake_root *f, const char *file, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void fake_root_end(struct fake_root *f);

#endif
