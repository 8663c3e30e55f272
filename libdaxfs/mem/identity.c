/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity.c - which machine, boot and process this is, and what is over of another one.
 *
 * A machine is named by a hash of /etc/machine-id, which is not to be shown around
 * (machine-id(5)), and of what the firmware calls it, where that can be read: machines
 * cloned from one image share the first. A boot is named by the kernel's boot_id.
 * A process is {pid, when it began}, for pids come again, within a pid namespace.
 *
 * Private memory and files of this machine only: a crash leaves nothing.
 */
#include "mem/identity.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mem/process.h"
#include "mem/siphash.h"

#define MACHINE_FILE "/etc/machine-id"
#define BOOT_FILE "/proc/sys/kernel/random/boot_id"
#define FIRMWARE_FILE "/sys/class/dmi/id/product_uuid"

/* 32 hexadecimal digits, perhaps with dashes between them. */
static int read_id(const char *path, uint8_t out[16], struct daxfs_error *err)
{
	char text[128];
	unsigned digits = 0;
	int rc = process_read_text(path, text, sizeof(text));

	if (rc)
		return daxfs_error_set(err, rc, "%s: %s", path, strerror(-rc));
	memset(out, 0, 16);
	for (const char *c = text; *c && !isspace((unsigned char)*c); c++) {
		char digit[2] = { *c, '\0' };

		if (*c == '-')
			continue;
		if (!isxdigit((unsigned char)*c) || digits == 32)
			return daxfs_error_set(err, -EINVAL, "%s: not an id of 32 hexadecimal digits", path);
		out[digits / 2] = (uint8_t)(out[digits / 2] << 4 | strtoul(digit, NULL, 16));
		digits++;
	}
	if (digits != 32)
		return daxfs_error_set(err, -EINVAL, "%s: not an id of 32 hexadecimal digits", path);
	return 0;
}

/* A hash of its own for this use, as machine-id(5) wants it. */
static void hash_machine(const uint8_t id[16], uint8_t out[16])
{
	static const uint64_t key[2][2] = { { 0x6461786673206d61ull, 1 }, { 0x6461786673206d61ull, 2 } };
	char text[16 + 64] = "";

	memcpy(text, id, 16);
	if (process_read_text(FIRMWARE_FILE, text + 16, sizeof(text) - 16))
		memset(text + 16, 0, sizeof(text) - 16);
	for (unsigned i = 0; i < 2; i++) {
		uint64_t h = siphash24(key[i], text, sizeof(text));

		memcpy(out + 8 * i, &h, sizeof(h));
	}
}

static const char *file_or(const char *path, const char *usual)
{
	return path && path[0] ? path : usual;
}

int daxfs_identity_here(const char *machine_file, const char *boot_file, struct daxfs_identity *out,
			struct daxfs_error *err)
{
	struct daxfs_identity i = { .pid = (uint32_t)getpid() };
	uint8_t machine[16];
	int rc = read_id(file_or(machine_file, MACHINE_FILE), machine, err);

	if (rc == 0)
		rc = read_id(file_or(boot_file, BOOT_FILE), i.boot, err);
	if (rc)
		return rc;
	hash_machine(machine, i.machine);
	i.began = process_began(i.pid);
	i.pids = process_namespace();
	*out = i;
	return 0;
}

static bool known(const uint8_t id[16])
{
	static const uint8_t nothing[16];

	return memcmp(id, nothing, sizeof(nothing)) != 0;
}

enum daxfs_kin daxfs_identity_kin(const struct daxfs_identity *mine, const struct daxfs_identity *other)
{
	if (!known(mine->machine) || !known(mine->boot) || !known(other->boot) ||
	    memcmp(mine->machine, other->machine, sizeof(mine->machine)))
		return DAXFS_KIN_NONE;
	if (memcmp(mine->boot, other->boot, sizeof(mine->boot)))
		return DAXFS_KIN_REBOOTED;
	return process_gone(other->pid, other->began, other->pids) ? DAXFS_KIN_ENDED : DAXFS_KIN_HERE;
}
