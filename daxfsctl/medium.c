/* SPDX-License-Identifier: Apache-2.0 */
/* medium.c - see medium.h. */
#include "daxfsctl/medium.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "common/hypervisor.h"

bool medium_is_device(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISCHR(st.st_mode);
}

bool medium_past_page_cache(const char *path)
{
	struct statx sx;

	return medium_is_device(path) ||
	       (statx(AT_FDCWD, path, 0, STATX_TYPE, &sx) == 0 && sx.stx_attributes & STATX_ATTR_DAX);
}

unsigned medium_heartbeat_ms(const char *path, const char *root)
{
	return medium_past_page_cache(path) && hypervisor_here(root) ? HYPERVISOR_HEARTBEAT_MS : 0;
}

static bool in_memory(const char *path)
{
	struct statfs s;

	if (medium_past_page_cache(path) || statfs(path, &s))
		return true;
	return s.f_type == TMPFS_MAGIC || s.f_type == RAMFS_MAGIC || s.f_type == HUGETLBFS_MAGIC;
}

void medium_warn(struct ctl *ctl, const char *path)
{
	if (!in_memory(path))
		fprintf(ctl->err,
			"daxfsctl: warning: %s is on a disk, not in memory: slow, and no other machine can share it; "
			"for a pod give a device, for trying a file in /dev/shm\n",
			path);
}
