/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copying.c - around the caches or through them?
 *
 * Which of the two is faster depends on the processor, and on whether the target is still in its caches:
 * on some, ordinary stores beat streaming ones for 64 KiB but not for 1 MiB; on others for neither. So each lane
 * measures. It remembers, for places that it wrote not long ago and for others, what a KiB took each way,
 * takes the faster way, and every so often the other. A matter of speed alone: whatever it
 * takes, the bytes are written back, or drained, before anything is published.
 *
 * In a wb pool what is copied must leave the caches at once, and always goes around them.
 */
#include "fs/copying.h"

#define STREAM_BYTES (32u << 10) /* less than this fits the nearest cache, and is soon read again */
#define TRY_EVERY 32u            /* copies, of which one goes the way that was slower */
#define SHARE 8u                 /* of what is remembered, the part that is the last copy */

void copying_begin(const struct shm *shm, struct copy_speed *speed, uint64_t bytes, bool warm, struct copying *out)
{
	const uint32_t *ticks = speed->ticks[warm];
	bool faster = !ticks[1] || (ticks[0] && ticks[1] <= ticks[0]);

	*out = (struct copying){ .speed = speed, .bytes = bytes, .warm = warm, .streams = shm->wb };
	out->known = bytes >= STREAM_BYTES && !shm->wb;
	if (!out->known)
		return;
	out->streams = ++speed->copies % TRY_EVERY ? faster : !faster;
	out->began = sm_ticks();
}

void copying_end(const struct copying *copying)
{
	uint32_t *ticks = &copying->speed->ticks[copying->warm][copying->streams];
	uint64_t took;

	if (!copying->known)
		return;
	/* A sixteenth of a KiB: short ones count, too. */
	took = (sm_ticks() - copying->began) * 16 / (copying->bytes >> 10) + 1;
	/* Somebody else had the processor, or a page was missing. */
	if (*ticks && took > 4ull * *ticks)
		took = 4ull * *ticks;
	if (took > UINT32_MAX)
		took = UINT32_MAX;
	*ticks = *ticks ? (uint32_t)(*ticks - *ticks / SHARE + took / SHARE) : (uint32_t)took;
	if (!*ticks)
		*ticks = 1;
}
