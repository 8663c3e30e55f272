/* SPDX-License-Identifier: Apache-2.0 */
/* crc32c.h - CRC-32C of private bytes; start with crc = 0, chain by passing the last value. */
#ifndef DAXFS_MEM_CRC32C_H
#define DAXFS_MEM_CRC32C_H

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(uint32_t crc, const void *data, size_t len);
/* The same without the processor's instruction. */
uint32_t crc32c_by_table(uint32_t crc, const void *data, size_t len);

#endif
