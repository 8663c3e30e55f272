/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk.h - storage behind the pod: a server with files, and the caches of hosts in front of it.
 *
 * What is written are pieces, of a sector, or of a file's size. Each goes its own way, at its own time:
 *
 *   HOST    in the cache of the host that wrote it, which alone sees it; by itself, or when the host closes the file,
 *           it arrives at the server
 *   FLYING  its host is dead, and it may arrive until the host is fenced
 *   SERVER  all see it; when the server loses its power, of the pieces of one sector one survives, or none
 *   SAFE    synced: it stays, until another piece of that sector is safe
 *
 * Pieces that arrive late are written over those that arrived before. So what is not synced is torn and reordered as
 * it likes, and of that nothing is left out but pieces smaller than a sector.
 *
 * All that happens follows from the calls and from `random`. Sectors that were never written are as `base` says. It
 * knows nothing of errors and time: who calls it makes these (pod/store_calls.c).
 */
#ifndef SIM_MACHINE_DISK_H
#define SIM_MACHINE_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DISK_SECTOR 512u
#define DISK_FILES 4u
#define DISK_ALL DISK_FILES /* files, where one may be named */
#define DISK_NOBODY 255u    /* of all hosts one that has no cache */

enum disk_where { DISK_HOST, DISK_FLYING, DISK_SERVER, DISK_SAFE };

struct disk_piece {
	uint64_t key;            /* which sector of which file, or its size */
	uint64_t size, base_end; /* of a size: the file's; so far it is as it began */
	uint8_t where, host;
};

struct disk {
	unsigned n, max;
	struct disk_piece *piece;
	uint8_t (*bytes)[DISK_SECTOR]; /* of each piece */
	uint64_t base_size[DISK_FILES];
	void (*base)(unsigned file, uint64_t sector, uint8_t *out);
	uint64_t random;
	unsigned power;   /* how often the server lost it */
	uint64_t changes; /* of anything that is seen */
};

/* Files as they began, with room for so many pieces: it is kept from one time to the next. */
void disk_reset(struct disk *d, unsigned max, void (*base)(unsigned file, uint64_t sector, uint8_t *out),
		uint64_t random);
/* *to is what *from is. */
void disk_copy(struct disk *to, const struct disk *from);

/* As that host sees it: how many bytes there are up to the end of the file. */
size_t disk_read(const struct disk *d, unsigned host, unsigned file, void *buf, size_t len, uint64_t offset);
uint64_t disk_size(const struct disk *d, unsigned host, unsigned file);
void disk_write(struct disk *d, unsigned host, unsigned file, const void *buf, size_t len, uint64_t offset);
void disk_resize(struct disk *d, unsigned host, unsigned file, uint64_t size);
/* What the host wrote, and what has arrived, is safe; if it failed, some of it. */
void disk_sync(struct disk *d, unsigned host, unsigned file);
void disk_sync_failed(struct disk *d, unsigned host, unsigned file);
/* What the host wrote to a file arrives. */
void disk_close(struct disk *d, unsigned host, unsigned file);
/* Some pieces arrive by themselves. */
void disk_wander(struct disk *d);

/* A host dies with its cache; what it had under way has ended. The server loses its power. */
void disk_lose_host(struct disk *d, unsigned host);
void disk_fence(struct disk *d, unsigned host);
void disk_lose_power(struct disk *d);

/* Are these bytes safe: whatever happens to what is not synced, will the file have them there? Behind its end are
 * zeros. Of 32 KiB at most. */
bool disk_has(const struct disk *d, unsigned file, const uint8_t *bytes, size_t len, uint64_t offset);
/* The same of where it ends. */
bool disk_ends(const struct disk *d, unsigned file, uint64_t size);

#endif
