/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timing.h - every limit of the membership, derived from one knob.
 *
 * The knob is the heartbeat, H below, 5 ms to 10 s: 50 in the profile default, 5 in rt, chosen by mkfs and changed
 * online (daxfsctl heartbeat; libdaxfs/sync/timing.c). Hosts beat every H and the manager polls every H. All limits are
 * counts of the manager's own polls, never differences of clocks of two machines, and a poll that came late does
 * not count (see LATE).
 *
 * A host dies at 0; H = 50 ms; the agent takes 20 ms for off and for status:
 *
 *   polls    ms
 *     0       0   last change of the counter seen
 *     5     250   SUSPECT: others may still only help; one beat brings it back
 *    10     500   FENCING: revoked, no way back
 *    11     550   agent off starts, and returns 0
 *    12     600   that is seen; agent status starts, and says off; from now on the counter must stand still
 *    13     650   that is seen
 *    16     800   FENCED: stood still for 4 polls; generation + 1
 *    17     850   RECOVERING by the lowest-numbered live host
 *
 * A host whose process is replaced has said before how long it will be silent (daxfs_away, 10 s at most): the table
 * begins after that.
 *
 * The same with every host silent at once (a switch, a device, the manager's
 * own mapping: more likely one cause than many deaths): 10 polls more before
 * SUSPECT.
 *
 * A primary manager dies at 0, a backup watches, H = 50 ms:
 *
 *     0       0   last change of the primary's beat seen by the backup
 *    10     500   claims the manager word (epoch + 1) by CAS
 *    11     550   stamps its epoch into every host word: the CASes of the old
 *                 primary, should it resume, fail from here on
 *    21    1050   a full window of its own counts later: decides
 *
 * A recoverer dies: it is fenced as above (0 to 800 ms), its death is counted in
 * the next poll, and another is assigned in the one after. When it was the second
 * of the same host, 5 s later; after the third nobody is assigned.
 *
 * Why these counts: a heartbeat thread of ordinary priority on a loaded machine
 * was seen to pause for 150 ms, so SUSPECT (which costs nothing) is set above
 * that and FENCING (which costs a host) at more than three times that.
 */
#ifndef FABRICD_TIMING_H
#define FABRICD_TIMING_H

#include <assert.h>

enum {
	TIMING_SUSPECT_POLLS = 5,
	TIMING_FENCING_POLLS = 10,
	/* Warned of, in percent of the polls before FENCING. */
	TIMING_WARN_PERCENT = 50,
	TIMING_WARN_LATE_PERCENT = 75,
	/* Polls in which a host that was proven off must not beat. */
	TIMING_FROZEN_POLLS = 4,
	/* Joining takes milliseconds; a host that does not finish has died in it. */
	TIMING_JOIN_POLLS = 40,
	/* The manager itself was late, if two polls were further apart than this:
	 * its counts of silence start again, for it may have slept, not the hosts. */
	TIMING_LATE_POLLS = 2,
	/* Silence of the primary after which a backup takes over. */
	TIMING_MANAGER_POLLS = 10,
	/* Polls a new primary waits, and all wait when every host falls silent. */
	TIMING_WINDOW_POLLS = 10,
	/* A primary that yields does not claim for so long: a backup claims sooner, if one is there. */
	TIMING_YIELD_POLLS = 30,
	/* Two recoverers died of one host: before the third is assigned. */
	TIMING_REST_POLLS = 100,
	/* A shorter heartbeat: polls in which every host has beaten, before it is judged by that. */
	TIMING_CHANGE_POLLS = 12,
	/* Pause after a failed attempt to fence, doubled each time. */
	TIMING_RETRY_POLLS = 10,
	TIMING_RETRY_POLLS_MAX = 160,
};

static_assert(TIMING_SUSPECT_POLLS > TIMING_LATE_POLLS, "a late manager must not suspect at once");
static_assert(TIMING_FENCING_POLLS > TIMING_SUSPECT_POLLS, "SUSPECT comes before FENCING");
static_assert(TIMING_MANAGER_POLLS > TIMING_LATE_POLLS, "a late primary must notice before it is replaced");
static_assert(TIMING_YIELD_POLLS > 2 * TIMING_MANAGER_POLLS, "who yields leaves a backup the time to claim");
static_assert(TIMING_CHANGE_POLLS > 2 * TIMING_SUSPECT_POLLS, "each host has beaten since the change");
static_assert(TIMING_WINDOW_POLLS >= TIMING_FENCING_POLLS, "a window outlasts a death");

/* Not derived: how long power hardware takes has nothing to do with heartbeats.
 * The default of the option fence_timeout_ms. */
#define TIMING_AGENT_MS 30000u
#define TIMING_MONITOR_S 300u
/* One that could not work is asked again, sooner. */
#define TIMING_MONITOR_AGAIN_S 30u
/* So long after the last late poll status says so. */
#define TIMING_LATE_SHOWN_S 60u
/* How long machines take to come back after a power failure: firmware, kernel, units. */
#define TIMING_BOOT_S 300u
/* A client that has not sent its request, or read its answer, by then is dropped: sooner
 * than another that waits for its place gives up (FABRIC_CALL_MS). */
#define TIMING_CLIENT_MS 3000u

#endif
