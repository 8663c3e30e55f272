/* SPDX-License-Identifier: Apache-2.0 */
/* member_text.c - states and reasons of a host, as people read them. */
#include <stdio.h>

#include "daxfs/member.h"

const char *daxfs_host_state_name(enum daxfs_host_state state)
{
	static const char *const names[DAXFS_HOST_STATES] = {
		"FREE", "JOINING", "ALIVE", "SUSPECT", "FENCING", "FENCED", "RECOVERING", "RECOVERED",
	};

	return (unsigned)state < DAXFS_HOST_STATES ? names[state] : "?";
}

const char *daxfs_reason_text(enum daxfs_reason reason, uint32_t ms, char *buf, size_t size)
{
	static const struct {
		const char *text;
		bool timed;
	} reasons[DAXFS_REASONS] = {
		[DAXFS_REASON_NONE] = { "-", false },
		[DAXFS_REASON_JOINED] = { "joined", false },
		[DAXFS_REASON_LEFT] = { "left", false },
		[DAXFS_REASON_BEAT_LATE] = { "heartbeat late", true },
		[DAXFS_REASON_BEAT_RESUMED] = { "heartbeat resumed", false },
		[DAXFS_REASON_BEAT_LOST] = { "heartbeat lost", true },
		[DAXFS_REASON_OPERATOR_FENCE] = { "fenced by operator", false },
		[DAXFS_REASON_OPERATOR_CONFIRM] = { "confirmed dead by operator", false },
		[DAXFS_REASON_FENCE_FAILED] = { "fence agent failed, retrying", false },
		[DAXFS_REASON_STILL_BEATING] = { "still beating after fence", false },
		[DAXFS_REASON_RECOVERER_DIED] = { "recoverer died", false },
		[DAXFS_REASON_RECOVERY_DONE] = { "recovered", false },
		[DAXFS_REASON_LEFTOVERS] = { "joined a slot that was not empty", false },
		[DAXFS_REASON_REBOOTED] = { "rebooted", false },
		[DAXFS_REASON_ENDED] = { "process ended", false },
		[DAXFS_REASON_OWN_MACHINE] = { "on the manager's machine: for another manager to cut off", false },
	};

	if ((unsigned)reason >= DAXFS_REASONS)
		snprintf(buf, size, "unknown reason %u", (unsigned)reason);
	else if (reasons[reason].timed)
		snprintf(buf, size, "%s %u ms", reasons[reason].text, ms);
	else
		snprintf(buf, size, "%s", reasons[reason].text);
	return buf;
}
