/* SPDX-License-Identifier: Apache-2.0 */
/* xattrset.c - see xattrset.h. Pure functions; bytes of a page are checked before they are used. */
#include "fs/xattrset.h"

#include <errno.h>
#include <string.h>

#include "mem/crc32c.h"

#define HEAD_BYTES 4u /* the two lengths */

bool xattrset_next(const struct sm_xattrs *set, uint32_t *at, struct xattr *out)
{
	const uint8_t *entry = set->list + *at;
	uint16_t len[2];

	if (*at >= set->used || set->used - *at < HEAD_BYTES)
		return false;
	memcpy(len, entry, sizeof(len));
	if (len[0] == 0 || len[0] > DAXFS_XATTR_NAME_MAX || set->used - *at - HEAD_BYTES < (uint32_t)len[0] + len[1])
		return false;
	out->name = (const char *)entry + HEAD_BYTES;
	out->name_len = len[0];
	out->value = entry + HEAD_BYTES + len[0];
	out->value_len = len[1];
	*at += HEAD_BYTES + len[0] + len[1];
	return true;
}

uint32_t xattrset_crc(const struct sm_xattrs *set)
{
	static const uint32_t zero;
	const size_t crc = offsetof(struct sm_xattrs, crc);
	uint32_t sum = crc32c(0, set, crc);

	sum = crc32c(sum, &zero, sizeof(zero));
	return crc32c(sum, set->reserved, sizeof(set->reserved) + set->used);
}

bool xattrset_sane(const struct sm_xattrs *set, uint64_t inode)
{
	struct xattr entry;
	uint32_t at = 0;

	if (set->used == 0 || set->used > sizeof(set->list) || set->inode != inode || set->crc != xattrset_crc(set))
		return false;
	while (xattrset_next(set, &at, &entry))
		if (memchr(entry.name, 0, entry.name_len))
			return false;
	return at == set->used;
}

/* Where the entry of a name begins, or the end. */
static uint32_t find(const struct sm_xattrs *set, const char *name, struct xattr *out)
{
	size_t len = strlen(name);
	uint32_t at = 0, next = 0;

	for (; xattrset_next(set, &next, out); at = next)
		if (out->name_len == len && memcmp(out->name, name, len) == 0)
			return at;
	return set->used;
}

bool xattrset_find(const struct sm_xattrs *set, const char *name, struct xattr *out)
{
	return find(set, name, out) < set->used;
}

void xattrset_remove(struct sm_xattrs *set, const char *name)
{
	struct xattr entry;
	uint32_t at = find(set, name, &entry), len;

	if (at == set->used)
		return;
	len = HEAD_BYTES + entry.name_len + entry.value_len;
	memmove(set->list + at, set->list + at + len, set->used - at - len);
	set->used -= len;
}

int xattrset_add(struct sm_xattrs *set, const char *name, const void *value, size_t len)
{
	uint16_t lens[2] = { (uint16_t)strlen(name), (uint16_t)len };
	uint8_t *to = set->list + set->used;

	if (len > sizeof(set->list) || HEAD_BYTES + lens[0] + len > sizeof(set->list) - set->used)
		return -ENOSPC;
	memcpy(to, lens, sizeof(lens));
	memcpy(to + HEAD_BYTES, name, lens[0]);
	if (len)
		memcpy(to + HEAD_BYTES + lens[0], value, len);
	set->used += HEAD_BYTES + lens[0] + (uint32_t)len;
	return 0;
}
