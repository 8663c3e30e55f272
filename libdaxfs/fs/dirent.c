/* SPDX-License-Identifier: Apache-2.0 */
/* dirent.c - directory entries as objects: checking, filling, staging. */
#include <errno.h>

#include "fs/fs.h"

int name_init(const struct pool *pool, const char *name, struct trie_name *out)
{
	size_t len = strnlen(name, DAXFS_NAME_MAX + 1);

	if (len > DAXFS_NAME_MAX)
		return -ENAMETOOLONG;
	if (len == 0 || memchr(name, '/', len))
		return len ? -EINVAL : -ENOENT;
	*out = (struct trie_name){ .name = name, .len = (uint8_t)len, .hash = trie_hash(pool, name, len) };
	return name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')) ? -EEXIST : 0;
}

void entry_init(struct lane *lane, uint64_t index, const struct trie_name *name, unsigned twin, uint64_t handle,
		uint32_t mode)
{
	const size_t fixed = offsetof(struct sm_dirent, name);
	struct sm_dirent *sm = &lane->pool->dirents[index], entry;

	memset(&entry, 0, fixed);
	entry.hash = name->hash;
	entry.handle = handle;
	entry.type = (uint8_t)((mode & S_IFMT) >> 12); /* DT_* */
	entry.len = name->len;
	entry.twin = (uint8_t)twin;
	sm_write(sm, &entry, fixed);
	sm_write(sm->name, name->name, name->len + 1ull); /* what is behind its end means nothing */
	sm_flush(&lane->pool->shm, sm, fixed + name->len + 1);
}

/* An entry has its inode's index where that is free: who finds the one can fetch both. */
static int take_entry(struct lane *lane, uint64_t handle, uint64_t *entry)
{
	int rc = space_take_at(lane, DAXFS_T_DIRENT, DAXFS_USE_DIRENT, handle_index(handle), entry);

	if (rc == 0) /* most likely the next one that this lane takes */
		sm_prefetch_write(&lane->pool->dirents[*entry + 1], DAXFS_LINE);
	return rc;
}

/* A new entry for a place that was found: private, filled. */
static int make_entry(struct lane *lane, const struct trie_pos *pos, const struct trie_name *name, uint64_t handle,
		      uint32_t mode, uint64_t *entry)
{
	int rc = take_entry(lane, handle, entry);

	if (rc == 0)
		entry_init(lane, *entry, name, pos->twin, handle, mode);
	return rc;
}

int entry_insert(struct lane *lane, const struct trie_pos *pos, const struct trie_name *name, uint64_t handle,
		 uint32_t mode)
{
	uint64_t entry;
	int rc = make_entry(lane, pos, name, handle, mode, &entry);

	if (rc == 0)
		trie_insert(lane, pos, name, entry);
	return rc;
}

void entry_remove(struct lane *lane, const struct trie_pos *pos)
{
	trie_remove(lane, pos);
	record_retire(lane, DAXFS_T_DIRENT, pos->entry);
}

int entry_replace(struct lane *lane, const struct trie_pos *pos, const struct trie_name *name, uint64_t handle,
		  uint32_t mode)
{
	uint64_t entry;
	int rc = make_entry(lane, pos, name, handle, mode, &entry);

	if (rc)
		return rc;
	trie_replace(lane, pos, name, entry);
	record_retire(lane, DAXFS_T_DIRENT, pos->entry);
	return 0;
}

int entry_gone(struct lane *lane, const struct trie_pos *pos)
{
	if (!trie_unchanged(lane, pos))
		return -EAGAIN;
	return txn_broken(&lane->txn);
}
