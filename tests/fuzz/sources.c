/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sources.c - the same bytes, the same run: what the library gets from outside.
 *
 * In a fuzz build the library's clock, random numbers, thread ids and waits are these
 * (the Makefile renames the calls), and its write-backs come here, where a host
 * can die: that is how fixture.c stops real operations half-way.
 */
#include "sources.h"

#include <pthread.h>
#include <sanitizer/lsan_interface.h>
#include <sched.h>
#include <setjmp.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "mem/guard.h"

static uint64_t ticks;
static unsigned left; /* write-backs until the host dies; 0: it lives */
static jmp_buf death;

void sources_restart(void)
{
	ticks = 0;
	left = 0;
}

int clock_gettime(clockid_t clock, struct timespec *out)
{
	(void)clock;
	ticks += 1000;
	*out = (struct timespec){ .tv_sec = 1700000000, .tv_nsec = (long)(ticks % 1000000000) };
	return 0;
}

ssize_t getrandom(void *buf, size_t len, unsigned flags)
{
	(void)flags;
	memset(buf, 0x5a, len);
	return (ssize_t)len;
}

pthread_t pthread_self(void)
{
	return 0;
}

/* There is nobody else: a full pool would wait for the machine's other work. */
int sched_yield(void)
{
	return 0;
}

/* Which lane an operation gets is seen in the pool. */
int sched_getcpu(void)
{
	return 0;
}

bool sources_dies(unsigned at, void (*operation)(void *arg), void *arg)
{
	struct shm_guard *outer = shm_guard_innermost;
	bool dead = true;

	left = at;
	__lsan_disable(); /* what a dead process had is nobody's */
	if (!setjmp(death)) {
		operation(arg);
		dead = false;
	}
	__lsan_enable();
	shm_guard_innermost = outer; /* those within have gone with their frames */
	left = 0;
	return dead;
}

void shm_write_back(const void *p, size_t len)
{
	(void)p;
	(void)len;
	if (left && --left == 0)
		longjmp(death, 1);
}

void shm_write_back_drain(void)
{
}

void shm_evict(const void *p, size_t len)
{
	(void)p;
	(void)len;
}
