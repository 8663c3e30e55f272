/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copying.c - around the caches or through them?
 *
 * Which of the two is faster depends on the processor, and on whether the target is in its caches: on some,
 * ordinary stores beat streaming ones for 64 KiB but not for 1 MiB; on others for both, or for neither. So each lane
 * measures. It remembers, for places that it wrote not long ago and for others, what a KiB took each way,
 * takes the faster way, and every so often tries the other.
 *
 * What is in the caches depends on the way, too: streaming stores put lines out that ordinary ones would find
 * there. A single ordinary copy among streaming ones is therefore slow where a hundred would be fast. So a trial
 * goes on until the caches are what that way makes of them, and only then is it measured.
 *
 * A matter of speed alone: whatever is chosen, the bytes are written back, or drained, before
 * anything is published. In a wb pool what is copied must leave the caches at once, and always goes around them.
 */
#include "fs/copying.h"

#define STREAM_BYTES (32u << 10) /* less than this fits the nearest cache, and is soon read again */
#define SETTLE_BYTES (48u << 20) /* more than most processors have caches for: after these one way is measured */
#define TRY_BYTES (64u << 20)    /* of a trial */
#define REST_BYTES (2ull << 30)  /* between two */
#define STEPS 32u                /* what is remembered moves by a part of itself, towards the last copy */

void copying_begin(const struct shm *shm, struct copy_speed *speed, uint64_t bytes, bool warm, struct copying *out)
{
	struct copy_ways *ways = &speed->ways[warm];

	*out = (struct copying){ .ways = ways, .bytes = bytes, .streams = shm->wb };
	out->known = bytes >= STREAM_BYTES && !shm->wb;
	if (!out->known)
		return;
	out->streams = sm_streams(bytes, ways->streams != ways->tries);
	out->began = sm_ticks();
}

/*
 * About the median: a copy during which somebody else had the processor counts no more than any other, but
 * for the first one, until one takes less than half of that.
 */
static void remember(uint32_t *ticks, uint64_t took)
{
	uint64_t is = *ticks, step = is / STEPS + 1;

	if (took > UINT32_MAX)
		took = UINT32_MAX;
	if (!is || is > 2 * took)
		is = is ? 2 * took : took;
	else if (took > is)
		is += took - is < step ? took - is : step;
	else
		is -= is - took < step ? is - took : step;
	*ticks = (uint32_t)is;
}

/* A trial ends, or begins. */
static void turn(struct copy_ways *ways)
{
	if (ways->tries)
		ways->streams = ways->ticks[1] <= ways->ticks[0];
	else
		ways->ticks[!ways->streams] = 0;
	ways->tries = !ways->tries;
	ways->bytes = 0;
}

void copying_end(const struct copying *copying)
{
	struct copy_ways *ways = copying->ways;

	if (!copying->known)
		return;
	ways->bytes += copying->bytes;
	/* A sixteenth of a KiB: short ones count, too. */
	if (ways->bytes >= SETTLE_BYTES)
		remember(&ways->ticks[copying->streams],
			 (sm_ticks() - copying->began) * 16 / (copying->bytes >> 10) + 1);
	/* The first way is measured as the other one is, no longer. */
	if (ways->bytes >= (ways->tries || !ways->ticks[!copying->streams] ? TRY_BYTES : REST_BYTES))
		turn(ways);
}
