/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena.h - the private memory of the simulated hosts.
 *
 * The linker sends the library's malloc and friends here (--wrap). While a
 * simulated host runs they are served from one arena, which marks and rewinds
 * together with the pool: a dead host frees nothing, a rewind takes its whole
 * DRAM back, and any number of runs costs no memory. Otherwise they are the C
 * library's. Clocks, random numbers and thread ids are wrapped as well, so that
 * a run follows from its arguments alone.
 */
#ifndef SIM_MACHINE_ARENA_H
#define SIM_MACHINE_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The harness's own memory; dies when there is none. */
void *arena_host_alloc(size_t len);
void *arena_host_realloc(void *p, size_t len);
void arena_host_free(void *p);
/* Pages of the harness, zeroed; MAP_FAILED. Also while a simulated host runs: one may start another. */
void *arena_host_map(size_t len);
/* The same, shared with children. */
void *arena_host_map_shared(size_t len);
/* Of the harness: time goes on, whatever the library is told. */
uint64_t arena_host_seconds(void);
_Noreturn void arena_die(const char *what);

void arena_reset(void);
/* Whose DRAM what is allocated from now on is; returns whose it was. */
unsigned arena_owner(unsigned host);
/* Equal for equal DRAM of a host (all but surely: 64 bits). */
uint64_t arena_digest(unsigned host);
/* What a host will see of the time, and of random numbers. */
uint64_t arena_moment(void);
/* In pods: a process of that host is over. Its large blocks serve others. */
void arena_abandon(unsigned host);
/* Switch the arena on or off; returns what it was. */
bool arena_use(bool on);

/* Whose clock (ns) and process id the library sees, and who lets others on; NULL: a millisecond passes
 * with each look at the clock, there is one process, and to yield does nothing. */
void arena_surround(uint64_t (*clock_ns)(void), int (*pid)(void), void (*yield)(void));

void arena_mark(void);
void arena_rewind(void);
void arena_drop(void);

#endif
