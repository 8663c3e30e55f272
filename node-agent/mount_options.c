/* SPDX-License-Identifier: Apache-2.0 */
/* mount_options.c - see mount_options.h. No state. */
#include "node-agent/mount_options.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/mount.h>

#define FLAGS_DEFAULT (MS_NOSUID | MS_NODEV)

enum effect { SET, CLEAR, OWNER_ONLY, ALL_USERS, NONEMPTY, DEFAULTS, NOTHING };

static const struct option {
	const char *name;
	enum effect effect;
	unsigned long flags;
} table[] = {
	{ "ro", SET, MS_RDONLY },
	{ "rw", CLEAR, MS_RDONLY },
	{ "nosuid", SET, MS_NOSUID },
	{ "suid", CLEAR, MS_NOSUID },
	{ "allow_suid", CLEAR, MS_NOSUID }, /* mount(8) keeps suid, its own default, to itself */
	{ "nodev", SET, MS_NODEV },
	{ "dev", CLEAR, MS_NODEV },
	{ "allow_dev", CLEAR, MS_NODEV },
	{ "noexec", SET, MS_NOEXEC },
	{ "exec", CLEAR, MS_NOEXEC },
	{ "noatime", SET, MS_NOATIME },
	{ "atime", CLEAR, MS_NOATIME },
	{ "nodiratime", SET, MS_NODIRATIME },
	{ "diratime", CLEAR, MS_NODIRATIME },
	{ "relatime", SET, MS_RELATIME },
	{ "norelatime", CLEAR, MS_RELATIME },
	{ "strictatime", SET, MS_STRICTATIME },
	{ "sync", SET, MS_SYNCHRONOUS },
	{ "async", CLEAR, MS_SYNCHRONOUS },
	{ "dirsync", SET, MS_DIRSYNC },
	{ "allow_other", ALL_USERS, 0 },
	{ "noallow_other", OWNER_ONLY, 0 },
	{ "default_permissions", NOTHING, 0 }, /* always */
	{ "nonempty", NONEMPTY, 0 },
	{ "defaults", DEFAULTS, 0 },
	/* what fstab says to others */
	{ "auto", NOTHING, 0 },
	{ "noauto", NOTHING, 0 },
	{ "nofail", NOTHING, 0 },
	{ "_netdev", NOTHING, 0 },
	{ "user", NOTHING, 0 },
	{ "users", NOTHING, 0 },
	{ "nouser", NOTHING, 0 },
	{ "owner", NOTHING, 0 },
	{ "group", NOTHING, 0 },
};

void mount_options_default(struct mount_options *o)
{
	*o = (struct mount_options){ .source = "daxfs", .flags = FLAGS_DEFAULT };
}

static void apply(struct mount_options *o, const struct option *option)
{
	switch (option->effect) {
	case SET: o->flags |= option->flags; break;
	case CLEAR: o->flags &= ~option->flags; break;
	case OWNER_ONLY:
	case ALL_USERS: o->owner_only = option->effect == OWNER_ONLY; break;
	case NONEMPTY: o->nonempty = true; break;
	case DEFAULTS: o->flags = FLAGS_DEFAULT; break;
	case NOTHING: break;
	}
}

static int set_one(struct mount_options *o, const char *name, size_t len, struct daxfs_error *err)
{
	if (len == 0 || (len > 2 && (strncmp(name, "x-", 2) == 0 || strncmp(name, "X-", 2) == 0)))
		return 0;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strlen(table[i].name) == len && memcmp(table[i].name, name, len) == 0) {
			apply(o, &table[i]);
			return 0;
		}
	return daxfs_error_set(err, -EINVAL, "\"%.*s\" is no mount option; see mount.daxfs(8)",
			       len < 64 ? (int)len : 64, name);
}

int mount_options_set(struct mount_options *o, const char *list, struct daxfs_error *err)
{
	int error = 0;

	while (*list && !error) {
		size_t len = strcspn(list, ",");

		error = set_one(o, list, len, err);
		list += len + (list[len] == ',');
	}
	return error;
}

bool mount_options_same(const struct mount_options *a, const struct mount_options *b)
{
	return !strcmp(a->source, b->source) && a->flags == b->flags && a->owner_only == b->owner_only &&
	       a->nonempty == b->nonempty;
}
