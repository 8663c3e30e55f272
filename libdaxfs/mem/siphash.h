/* SPDX-License-Identifier: Apache-2.0 */
/* siphash.h - SipHash-2-4 (Aumasson & Bernstein 2012): a keyed hash of private bytes. */
#ifndef DAXFS_MEM_SIPHASH_H
#define DAXFS_MEM_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t siphash24(const uint64_t key[2], const void *data, size_t len);

#endif
