/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sigbus.c - SIGBUS as an error. See sigbus.h.
 *
 * The handler jumps only while guard_run is on the stack of the one thread that
 * touches the pool; SIGBUS of a load is delivered to the thread that loaded.
 */
#include "fabricd/sigbus.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>

static sigjmp_buf guard_exit;
static volatile sig_atomic_t guard_armed;

static void on_sigbus(int signal_number)
{
	struct sigaction default_action = { .sa_handler = SIG_DFL };

	if (guard_armed)
		siglongjmp(guard_exit, 1);
	sigaction(signal_number, &default_action, NULL); /* returns into the same fault */
}

int guard_install(void)
{
	struct sigaction action = { .sa_handler = on_sigbus };

	return sigaction(SIGBUS, &action, NULL) ? -errno : 0;
}

int guard_run(void (*run)(void *context), void *context)
{
	if (sigsetjmp(guard_exit, 1)) {
		guard_armed = 0;
		return -EIO;
	}
	guard_armed = 1;
	run(context);
	guard_armed = 0;
	return 0;
}
