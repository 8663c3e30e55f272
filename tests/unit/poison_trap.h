/* SPDX-License-Identifier: Apache-2.0 */
/*
 * poison_trap.h - the n-th access of host 0 to a page finds that its memory has failed.
 *
 * The page is out of reach of the host's mapping; each access is let through alone (a trap after one
 * instruction), and the n-th finds the page of an empty file, from then on in all hosts.
 */
#ifndef TESTS_UNIT_POISON_TRAP_H
#define TESTS_UNIT_POISON_TRAP_H

#include <signal.h>
#include <ucontext.h>
#include <unistd.h>

#include "poison.h"

#define POOL (720u << 10)
#define STEP (1ull << 8) /* trap flag of the processor */

static struct {
	struct poison *p;
	uint64_t offset;     /* of the page */
	unsigned left, seen; /* accesses until it fails; that there were */
	bool failed;
	bool note; /* instead: which pages there are accesses to */
	bool touched[POOL / 4096];
} trap;

static inline void protect(int prot)
{
	mprotect((char *)trap.p->map[0] + trap.offset, 4096, prot);
}

static inline void on_access(int number, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	uint64_t offset = (uint64_t)((char *)info->si_addr - (char *)trap.p->map[0]);

	if (trap.note && offset < POOL) {
		trap.touched[offset / 4096] = true;
		mprotect((char *)trap.p->map[0] + offset / 4096 * 4096, 4096, PROT_READ | PROT_WRITE);
		return;
	}
	if (offset - trap.offset >= 4096)
		signal(number, SIG_DFL); /* something else */
	trap.seen++;
	if (--trap.left) {
		protect(PROT_READ | PROT_WRITE);
		uc->uc_mcontext.gregs[REG_EFL] |= STEP;
	} else {
		trap.failed = true;
		for (unsigned i = 0; i < POD_HOSTS; i++)
			mmap((char *)trap.p->map[i] + trap.offset, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			     trap.p->empty, 0);
	}
}

static inline void on_step(int number, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	(void)number, (void)info;
	uc->uc_mcontext.gregs[REG_EFL] &= ~STEP;
	protect(PROT_NONE);
}

/* First in main. A trap after each instruction begins a restartable sequence (mem/rseq.h) anew, for ever. */
static inline void trap_without_sequences(char **argv)
{
	if (getenv("GLIBC_TUNABLES"))
		return;
	setenv("GLIBC_TUNABLES", "glibc.pthread.rseq=0", 1);
	execv("/proc/self/exe", argv);
}

static inline void trap_install(void)
{
	struct sigaction action = { .sa_sigaction = on_access, .sa_flags = SA_SIGINFO | SA_NODEFER };

	sigaction(SIGSEGV, &action, NULL);
	action.sa_sigaction = on_step;
	sigaction(SIGTRAP, &action, NULL);
}

static inline void trap_set(struct poison *p, uint64_t offset, unsigned nth)
{
	trap.p = p;
	trap.offset = offset;
	trap.left = nth;
	trap.seen = 0;
	trap.failed = false;
	protect(PROT_NONE);
}

/* Note the pages that are touched from here on. */
static inline void trap_note(struct poison *p)
{
	trap.p = p;
	trap.note = true;
	memset(trap.touched, 0, sizeof(trap.touched));
	mprotect(p->map[0], POOL, PROT_NONE);
}

static inline void trap_noted(void)
{
	trap.note = false;
	mprotect(trap.p->map[0], POOL, PROT_READ | PROT_WRITE);
}

static inline void trap_clear(void)
{
	if (!trap.failed)
		protect(PROT_READ | PROT_WRITE);
}

#endif
