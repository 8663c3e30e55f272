/* SPDX-License-Identifier: Apache-2.0 */
/* agent_cold.h - a file of storage that is only read: each page is one number, of its file and its place. */
#ifndef TESTS_UNIT_AGENT_COLD_H
#define TESTS_UNIT_AGENT_COLD_H

#include "test_agent_pod.h"

#define PAGE 4096u
#define COLD_PAGES 600u

static inline uint32_t cold_word(unsigned round, uint64_t page)
{
	return round * 1000003 + (uint32_t)page * 7 + 1;
}

/* How many of the pages are others. */
static inline unsigned count_wrong(const uint8_t *bytes, unsigned round, uint64_t page, unsigned n)
{
	unsigned wrong = 0;

	for (unsigned k = 0; k < n; k++) {
		uint32_t first, last;

		memcpy(&first, bytes + (size_t)k * PAGE, sizeof(first));
		memcpy(&last, bytes + (size_t)(k + 1) * PAGE - sizeof(last), sizeof(last));
		wrong += first != cold_word(round, page + k) || last != first;
	}
	return wrong;
}

static inline void put_cold(const char *path, unsigned file)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);

	for (uint64_t page = 0; page < COLD_PAGES; page++) {
		uint32_t words[PAGE / sizeof(uint32_t)];

		for (size_t i = 0; i < PAGE / sizeof(words[0]); i++)
			words[i] = cold_word(file, page);
		assert_int_equal(write(fd, words, PAGE), PAGE);
	}
	close(fd);
}

#endif
