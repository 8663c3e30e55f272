/* SPDX-License-Identifier: Apache-2.0 */
/* process.c - see process.h. Private memory only: a crash leaves nothing. */
#include "mem/process.h"

#include <errno.h>
#include <sys/mman.h>

#include "mem/pool.h"

#define MARK_BYTES 1u /* a page */

int process_mark(bool **mark, struct daxfs_error *err)
{
	bool *page = mmap(NULL, MARK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return daxfs_error_set(err, -ENOMEM, "out of memory");
	if (madvise(page, MARK_BYTES, MADV_WIPEONFORK)) {
		munmap(page, MARK_BYTES);
		return daxfs_error_set(err, -EINVAL,
				       "this kernel cannot tell a process from its children: use Linux 4.14");
	}
	*page = true;
	*mark = page;
	return 0;
}

void process_unmark(bool *mark)
{
	munmap(mark, MARK_BYTES);
}

int process_keep(void *base, size_t len)
{
	return madvise(base, len, MADV_DONTFORK) ? -errno : 0;
}
