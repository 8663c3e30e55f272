/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dax.c - device-DAX devices, found by libdaxctl and judged.
 *
 * libdaxctl reads sysfs into a context of its own, made and dropped in each
 * call. A device in system-ram mode has no device node at all, so a path that
 * does not exist is looked up by name too: that is the common mistake.
 *
 * The kernel has a descriptor of each page of a device. Those of a device that was made of a
 * persistent memory namespace may lie on it (ndctl's --map=dev): then the kernels of all hosts
 * keep theirs in the same bytes, with pointers of their own in them, and crash when they look one up.
 */
#include "mem/dax.h"

#include <daxctl/libdaxctl.h>
#include <errno.h>
#include <stdio.h>

/* a name, or a number */
struct wanted {
	const char *name;
	unsigned major, minor;
};

static bool is_wanted(struct daxctl_dev *dev, const struct wanted *w)
{
	if (w->name)
		return strcmp(daxctl_dev_get_devname(dev), w->name) == 0;
	return daxctl_dev_get_major(dev) == (int)w->major && daxctl_dev_get_minor(dev) == (int)w->minor;
}

/* What libdaxctl does not tell. Other kinds of devices have no such file: their kernels use memory of their own. */
static bool is_mapped_on_itself(const char *name)
{
	char path[96], mode[8] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/sys/bus/dax/devices/%s/../mode", name);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(mode, sizeof(mode), file))
		mode[0] = '\0';
	fclose(file);
	return strncmp(mode, "pmem", 4) == 0;
}

static void take_facts(struct daxctl_region *region, struct daxctl_dev *dev, struct dax_facts *out)
{
	*out = (struct dax_facts){
		.system_ram = daxctl_dev_get_memory(dev) != NULL,
		.enabled = daxctl_dev_is_enabled(dev),
		.size = daxctl_dev_get_size(dev),
		.align = daxctl_dev_get_align(dev),
	};
	if (!out->align)
		out->align = daxctl_region_get_align(region);
	snprintf(out->name, sizeof(out->name), "%s", daxctl_dev_get_devname(dev));
	out->mapped_on_itself = is_mapped_on_itself(out->name);
}

static int find(const struct wanted *w, struct dax_facts *out)
{
	struct daxctl_region *region;
	struct daxctl_ctx *ctx;
	struct daxctl_dev *dev;
	int rc = daxctl_new(&ctx);

	if (rc)
		return rc;
	rc = -ENODEV;
	daxctl_region_foreach(ctx, region)
	{
		daxctl_dev_foreach(region, dev)
		{
			if (rc && is_wanted(dev, w)) {
				take_facts(region, dev, out);
				rc = 0;
			}
		}
	}
	daxctl_unref(ctx);
	return rc;
}

int dax_by_number(unsigned major, unsigned minor, struct dax_facts *out)
{
	return find(&(struct wanted){ .major = major, .minor = minor }, out);
}

int dax_by_name(const char *name, struct dax_facts *out)
{
	return find(&(struct wanted){ .name = name }, out);
}

int dax_unusable(const struct dax_facts *f, struct daxfs_error *err)
{
	if (f->system_ram)
		return daxfs_error_set(err, -ENODEV,
				       "%s is in system-ram mode: daxctl reconfigure-device --mode=devdax %s", f->name,
				       f->name);
	if (!f->enabled)
		return daxfs_error_set(err, -ENODEV, "%s is disabled: daxctl enable-device %s", f->name, f->name);
	if (f->mapped_on_itself)
		return daxfs_error_set(err, -ENODEV,
				       "%s: its page descriptors lie on it, and hosts would overwrite each other's: "
				       "ndctl create-namespace --force --reconfig=NAMESPACE --mode=devdax --map=mem",
				       f->name);
	if (!f->size)
		return daxfs_error_set(err, -ENOSPC, "%s has no size: daxctl reconfigure-device --size=SIZE %s",
				       f->name, f->name);
	if (f->align < DAXFS_PAGE_SIZE || f->align & (f->align - 1))
		return daxfs_error_set(err, -ENODEV, "%s has alignment %llu: daxctl reconfigure-device --align=2M %s",
				       f->name, (unsigned long long)f->align, f->name);
	if (f->size % f->align)
		return daxfs_error_set(err, -ENODEV,
				       "%s: size %llu is no multiple of its alignment %llu: "
				       "daxctl reconfigure-device --align=4096 %s",
				       f->name, (unsigned long long)f->size, (unsigned long long)f->align, f->name);
	return 0;
}
