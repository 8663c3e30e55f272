/* SPDX-License-Identifier: Apache-2.0 */
/* test_common_hypervisor.c - who is a guest, by what kernels say; and what mkfs makes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/hypervisor.h"
#include "fake_root.h"

static void check(const char *file, const char *text, bool guest)
{
	struct fake_root f;

	fake_root_make(&f);
	if (file)
		fake_root_put(&f, file, "%s", text);
	assert_int_equal(hypervisor_here(f.path), guest);
	fake_root_end(&f);
}

static void as_kernels_say(void **unused)
{
	(void)unused;
	check(NULL, NULL, false);
	check("/proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu sse2 hypervisor lahf_lm\n", true);
	check("/proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu sse2\nprocessor\t: 1\nflags\t\t: fpu hypervisor\n",
	      true);
	check("/proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu sse2 lahf_lm\n", false);
	check("/proc/cpuinfo", "model name\t: a hypervisor of some kind\nflags\t\t: fpu\n", false);
	check("/proc/cpuinfo", "", false);
	check("/sys/hypervisor/type", "xen\n", true);
	check("/proc/device-tree/hypervisor", "", true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_kernels_say),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
