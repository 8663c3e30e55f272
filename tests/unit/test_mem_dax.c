/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_mem_dax.c - which device-DAX devices may hold a pool, and the command that
 * helps those that may not.
 *
 * The judgement is tested on every kind of fact. Finding devices is tested for
 * absent ones; on a machine that has devices the first is opened as well.
 */
#include <daxctl/libdaxctl.h>
#include <errno.h>

#include "mem/dax.h"
#include "mem/backing.h"
#include "test_mem_util.h"

#define GIB (1ull << 30)

struct dax_case {
	struct dax_facts facts;
	int error;
	const char *words;
};

static const struct dax_case cases[] = {
	{ { "dax0.0", false, true, 4 * GIB, 2 << 20, false }, 0, "" },
	{ { "dax0.0", false, true, 4 * GIB, 4096, false }, 0, "" },
	{ { "dax3.1", false, true, GIB, GIB, false }, 0, "" },
	{ { "dax0.0", true, true, 4 * GIB, 2 << 20, false },
	  -ENODEV,
	  "daxctl reconfigure-device --mode=devdax dax0.0" },
	{ { "dax3.1", true, false, 0, 0, false }, -ENODEV, "daxctl reconfigure-device --mode=devdax dax3.1" },
	{ { "dax0.0", false, false, 4 * GIB, 2 << 20, false }, -ENODEV, "daxctl enable-device dax0.0" },
	{ { "dax0.0", false, true, 0, 2 << 20, false }, -ENOSPC, "daxctl reconfigure-device --size=SIZE dax0.0" },
	{ { "dax0.0", false, true, 4 * GIB, 0, false }, -ENODEV, "daxctl reconfigure-device --align=2M dax0.0" },
	{ { "dax0.0", false, true, 4 * GIB, 2048, false }, -ENODEV, "daxctl reconfigure-device --align=2M dax0.0" },
	{ { "dax0.0", false, true, 4 * GIB, 3 << 20, false }, -ENODEV, "daxctl reconfigure-device --align=2M dax0.0" },
	{ { "dax0.0", false, true, 4 * GIB + 4096, 2 << 20, false },
	  -ENODEV,
	  "daxctl reconfigure-device --align=4096 dax0.0" },
	{ { "dax0.0", false, true, 4 * GIB, 2 << 20, true }, -ENODEV, "--mode=devdax --map=mem" },
};

static void test_judgement(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct daxfs_error err = { .text = "" };

		util_refused(dax_unusable(&cases[i].facts, &err), cases[i].error, &err, cases[i].words);
	}
}

static void test_absent(void **state)
{
	struct dax_facts facts = { .size = 77 };

	(void)state;
	assert_int_equal(dax_by_name("dax977.3", &facts), -ENODEV);
	assert_int_equal(dax_by_name("", &facts), -ENODEV);
	assert_int_equal(dax_by_number(1, 3, &facts), -ENODEV); /* /dev/null */
	assert_int_equal(facts.size, 77);
}

static bool first_device(char *name, size_t size)
{
	struct daxctl_region *region;
	struct daxctl_ctx *ctx;
	struct daxctl_dev *dev;
	bool found = false;

	assert_int_equal(daxctl_new(&ctx), 0);
	daxctl_region_foreach(ctx, region)
	{
		daxctl_dev_foreach(region, dev)
		{
			if (!found)
				snprintf(name, size, "%s", daxctl_dev_get_devname(dev));
			found = true;
		}
	}
	daxctl_unref(ctx);
	return found;
}

static void test_present(void **state)
{
	struct daxfs_error err = { .text = "" };
	struct dax_facts facts;
	struct backing s;
	char name[32], path[64];
	int rc;

	(void)state;
	if (!first_device(name, sizeof(name)))
		skip(); /* this machine has no device-DAX device */
	assert_int_equal(dax_by_name(name, &facts), 0);
	assert_string_equal(facts.name, name);
	snprintf(path, sizeof(path), "/dev/%s", name);
	rc = backing_open(path, 0, &s, &err);
	if (rc)
		fail_msg("%s", err.text);
	assert_true(s.device);
	assert_int_equal(s.size, facts.size);
	backing_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_judgement),
		cmocka_unit_test(test_absent),
		cmocka_unit_test(test_present),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
