/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hypervisor.c - see hypervisor.h.
 *
 * x86 says so in a flag of each processor, Xen in /sys, machines with a device tree there. A guest that has none of the
 * three is taken for a machine: arm64 with ACPI, where only the maker's name would tell.
 */
#include "common/hypervisor.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_BYTES 8192

static const char *under(const char *root, const char *path, char buf[PATH_MAX])
{
	snprintf(buf, PATH_MAX, "%s%s", root, path);
	return buf;
}

static bool is_flag(const char *line)
{
	return strncmp(line, "flags", 5) == 0 && strstr(line, " hypervisor");
}

static bool processor_says_so(const char *root)
{
	char path[PATH_MAX], line[LINE_BYTES];
	FILE *f = fopen(under(root, "/proc/cpuinfo", path), "re");
	bool guest = false;

	while (f && !guest && fgets(line, sizeof(line), f))
		guest = is_flag(line);
	if (f)
		fclose(f);
	return guest;
}

bool hypervisor_here(const char *root)
{
	char path[PATH_MAX];

	return processor_says_so(root) || access(under(root, "/sys/hypervisor/type", path), F_OK) == 0 ||
	       access(under(root, "/proc/device-tree/hypervisor", path), F_OK) == 0;
}
