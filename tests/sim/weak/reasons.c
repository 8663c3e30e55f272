/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reasons.c - each memory order of the library: who notices when it is left out, or
 * why nobody need.
 *
 * The first line that fits counts. `nth` counts the calls of one kind and order in a function, in
 * the order of lines; 0: any. `without` 0: whatever is left out.
 */
#include "sim.h"

#define NOTICED(file, func, call, nth, without, by, mixes)                                                             \
	{                                                                                                              \
		file, func, call, nth, without, by, mixes, NULL                                                        \
	}
#define BECAUSE(file, func, call, nth, without, text)                                                                  \
	{                                                                                                              \
		file, func, call, nth, without, NULL, 0, text                                                          \
	}

/* Reasons that come up again. */
#define OWN "of this lane alone: a thread sees what it stored itself"
#define BY_CAS "the CAS that follows takes the newest value or fails, and has the order that is needed"
#define SHOWN "for display: decides nothing"
#define FENCED "recovery follows a fence: all that the dead host did is there, and RECOVERING was acquired"
#define TAKEN                                                                                                          \
	"the object is PRIVATE to this record: who had it before released it, and that was acquired when "             \
	"it was found"
#define BODY "the order is that of the CAS or release that publishes the record, behind it"
#define COMES_LAST "nothing is read behind it on the strength of this"
#define FOUND_ACQUIRED                                                                                                 \
	"what it expects was acquired when it was found, and nothing is read behind it on the strength of more"
#define ENDED "the process that stored it has ended, on this machine, and the kernel has said so"
#define LB "needed against load buffering, which this memory does not do"
#define LATE "needed against stores of one word that come late (2+2W), which this memory does not do"
#define LOOKED "behind the fence of summary_look; " COMES_LAST
#define EACH_ACQUIRES                                                                                                  \
	"a second look at the status acquires, and what was read before it is believed only if that is the same"

#define RECORDS_FENCE                                                                                                  \
	"each record that makes a name ends behind a fence (finalize), and a lookup announces itself behind one"
#define HINT "a hint, and repeated"
#define ASK                                                                                                            \
	"an ask for pages is a hint: whatever is served, the word of the page answers, and the asker asks again; "     \
	"for names, the word of the ask has the order that is needed"

static const struct order_note notes[] = {
	/* -- fs ------------------------------------------------------------------------ */
	NOTICED("fs/cache_ask.c", "post", "store", 0, 0, "ask-names", 2000),
	BECAUSE("fs/cache_ask.c", "post_again", "cas", 0, 0,
		"what is asked for was released by the first ask, of whose release sequence this is"),
	BECAUSE("fs/cache_ask.c", "look", "load", 0, 0, RECORDS_FENCE),
	BECAUSE("fs/cache_ask.c", NULL, NULL, 0, 0, ASK),
	BECAUSE("fs/cache_write.c", "set_stamp", "cas", 0, 0, "nothing else is published by a stamp"),
	NOTICED("fs/cache_serve.c", "find_ask", "load", 2, 0, "ask-names", 2000),
	BECAUSE("fs/cache_serve.c", "find_ask", "load", 1, 0,
		"only whether to look is asked; the word of an ask acquires"),
	BECAUSE("fs/cache_serve.c", "say_done", "cas", 0, 0, RECORDS_FENCE),
	BECAUSE("fs/cache_serve.c", NULL, NULL, 0, 0, ASK),
	BECAUSE("fs/heat.c", "heat_mark", "load", 0, 0,
		"a mark that is newer than the states walked after it would hide a fill's pages until the next "
		"fill: room that is refused too early, and no more"),
	BECAUSE("fs/open_table.c", "open_table_adopt", "load", 0, 0, ENDED),
	BECAUSE("fs/resume.c", "daxfs_tenancy", "load", 0, 0, OWN),
	BECAUSE("fs/resume.c", NULL, "load", 0, 0, ENDED),
	NOTICED("fs/draft.c", "stage", "fence", 0, 0, "draft", 200),
	BECAUSE("fs/file.c", "view_holds", "fence", 0, 0,
		"the pages copied do not change while they can be reached; what the second look must be behind "
		"are the "
		"first looks, and those acquire"),
	BECAUSE("fs/file.c", "daxfs_fsync", "fence", 0, 0, "orders what its caller does, outside the pool"),
	NOTICED("fs/inode.c", "inode_init", "store", 0, 0, "reuse-handle", 1500),
	NOTICED("fs/inode.c", "in_use", "load", 0, 0, "rmdir-moved", 500),
	BECAUSE("fs/inode.c", "is_now", "load", 0, 0,
		"life was acquired before (ORD life); every word that is looked at behind it acquires by itself"),
	BECAUSE("fs/inode.c", "inode_parent", "load", 0, 0, "the word that names the parent acquires; " COMES_LAST),
	BECAUSE("fs/inode.c", "fill_attr", "load", 0, 0,
		"times, and what is constant since the life that was acquired"),
	BECAUSE("fs/inode.c", "inode_next_handle", "load", 0, 0, TAKEN),
	NOTICED("fs/times.c", "inode_touch_again", "fence", 0, 0, "look-change", 2000),
	NOTICED("fs/times.c", "inode_look", "fence", 0, 0, "look-change", 2000),
	NOTICED("fs/times.c", "inode_look", "load", 0, 0, "look-halves", 2000),
	NOTICED("fs/times.c", "move_mtime", "cas", 0, SM_RELEASE, "look-halves", 2000),
	BECAUSE("fs/times.c", "move_mtime", "cas", 0, 0, COMES_LAST),
	NOTICED("fs/times.c", "touch_finely", "cas", 2, SM_RELEASE, "look-relied", 2000),
	BECAUSE("fs/times.c", "inode_touch", "load", 0, 0,
		"the fence of inode_touch_again lies behind it, before the change is over"),
	BECAUSE("fs/times.c", "touch_finely", "cas", 2, 0, COMES_LAST),
	BECAUSE("fs/times.c", "touch_finely", "cas", 1, 0, "the mtime behind it is released; " COMES_LAST),
	BECAUSE("fs/times.c", "touch_lazily", "cas", 0, 0, "nobody has looked, or it fails; " COMES_LAST),
	BECAUSE("fs/times.c", "mark_looked", NULL, 0, 0,
		"the fence of the look lies behind it, or it is only compared"),
	BECAUSE("fs/times.c", "inode_touch_again", "load", 0, 0, "behind its own fence; what it finds is loaded again"),
	BECAUSE("fs/lease.c", "daxfs_lease_stop", "load", 0, 0, BY_CAS),
	BECAUSE("fs/lease.c", "start", "load", 0, 0, BY_CAS),
	BECAUSE("fs/lease.c", "daxfs_lease_poll", "cas", 0, 0, HINT),
	BECAUSE("fs/lease.c", "give_back", "load", 0, 0,
		"this host's own bit, which nobody else sets or clears; the "
		"number of an inode for its kernel alone"),
	NOTICED("fs/lease.c", "lease_grant", "fence", 0, 0, "lease-first", 2000),
	BECAUSE("fs/lease.c", "lease_grant", "load", 0, 0,
		"behind its own fence, and only whether it is the same is asked"),
	BECAUSE("fs/lease.c", "others_write", "load", 0, 0,
		"the first look comes before the fence, which acquires what "
		"it took; a second that takes more has met a "
		"writer that came and went in between"),
	BECAUSE("fs/lease.c", "renew_term", "load", 0, 0, BY_CAS),
	NOTICED("fs/lease.c", "lease_may_write", "fence", 0, 0, "lease-first", 2000),
	NOTICED("fs/lease.c", "change_settle", "fence", 0, 0, "lease-settle", 2000),
	BECAUSE("fs/lease.c", "writes", "load", 0, 0,
		"this host's own bit, which nobody else sets, or clears before recovery"),
	BECAUSE("fs/lease.c", "disinherit", "load", 0, 0, BY_CAS),
	BECAUSE("fs/lease.c", "lease_joined", "load", 0, 0,
		"only whether to "
		"wait is asked, and the slot was acquired"),
	NOTICED("fs/membership.c", "introduce", "store", 0, 0, "join-watched", 500),
	NOTICED("fs/membership.c", "introduce", "fence", 0, SM_SEQ_CST, "rejoin-watched", 20000),
	BECAUSE("fs/membership.c", "introduce", "fence", 0, 0,
		"a release fence would do; the seam has none that is cheaper"),
	NOTICED("fs/membership.c", "may_stay", "fence", 0, 0, "join-repair", 20000),
	BECAUSE("fs/membership.c", "leftovers", "load", 0, 0,
		"the slot was taken by a CAS that acquires what its last user released"),
	BECAUSE("fs/membership.c", "beat", NULL, 0, 0,
		SHOWN ", but for the beat itself, of which only a change is asked"),
	BECAUSE("fs/membership.c", "give_up", "store", 0, 0, "the move to FREE behind it releases"),
	BECAUSE("fs/membership.c", NULL, "load", 0, 0, BY_CAS),
	BECAUSE("fs/namei.c", "first_page", "load", 0, 0, TAKEN),
	BECAUSE("fs/open_table.c", "find_place", "cas", 0, 0,
		"this host's table, read by itself and, after its fence, by its recoverer; " BODY),
	BECAUSE("fs/open_table.c", "clear_guarded", "store", 0, 0,
		"this host's table, read by itself and, after its fence, by its recoverer, for whom a listed file "
		"that "
		"nobody holds is nothing to do"),
	NOTICED("fs/write_txn.c", "write_txn_stage", "fence", 0, 0, "extent-form", 200),
	BECAUSE("fs/truncate.c", "inode_finish", "fence", 0, 0,
		"that of open_groups lies between the commit and the look, too; without both, release-named notices"),
	/* -- repair --------------------------------------------------------------------------- */
	NOTICED("inspect/repair_run.c", "set_repair", "fence", 0, 0, "join-repair", 300),
	BECAUSE("inspect/repair_run.c", NULL, NULL, 0, 0,
		"alone in the pool, but for who joins: that is the fence's business"),
	/* -- recovery --------------------------------------------------------------------- */
	BECAUSE("fs/mend.c", NULL, "load", 0, 0, OWN "; of a dead host: " FENCED),
	BECAUSE("fs/mend.c", "mend_withdraw", "store", 0, 0,
		"the records that it must come after were ended by CAS and release of this same host, and a "
		"helper that "
		"still saw one in flight looks at the status behind its own fence; model adopt/drop-early"),
	BECAUSE("fs/mend.c", NULL, "store", 0, 0,
		"read by this lane, and by recoverers alone; the move to RECOVERED behind it releases"),
	BECAUSE("recover/recover.c", NULL, "load", 0, 0, FENCED),
	/* -- space -------------------------------------------------------------------------- */
	BECAUSE("space/extent.c", "extent_gone", "load", 0, 0, BY_CAS ": of the tail, from the state loaded before"),
	BECAUSE("space/extent.c", "extent_whole", "load", 0, 0, BY_CAS ": of the head, from the state loaded before"),
	BECAUSE("space/extent.c", NULL, "load", 0, 0, BY_CAS "; models extent/*"),
	BECAUSE("space/lost.c", "quarantine", "cas", 0, 0,
		"nothing is read behind it, and nothing before it is for others"),
	BECAUSE("space/lost.c", "quarantine", "load", 0, 0, BY_CAS),
	BECAUSE("space/find.c", "object_allocatable", "load", 0, 0,
		BY_CAS "; a birth that is older than right keeps longer; models extent/*"),
	BECAUSE("space/find.c", "judge", "load", 0, 0, LOOKED),
	BECAUSE("space/space.c", "birth_of", "load", 0, 0,
		"an epoch that is old is a birth too early: it is kept longer"),
	NOTICED("space/space.c", "take", "cas", 0, SM_RELEASE, "draft-removed", 500),
	BECAUSE("space/space.c", "take", "cas", 0, SM_ACQUIRE, "the state was acquired when it was found; " LATE),
	BECAUSE("space/space.c", "take", "store", 0, 0, BODY),
	BECAUSE("space/space.c", "take", "fence", 0, 0,
		"a word that is closed in spite of it waits for an epoch that nobody announces, or the head could not "
		"have been taken: it is closed to a scan that is old, and another follows"),
	/* -- where nothing is free --------------------------------------------------------------- */
	NOTICED("sync/finalize.c", "open_groups", "fence", 0, 0, "frees-looks", 300),
	NOTICED("sync/summary.c", "look", "fence", 0, 0, "frees-looks", 300),
	NOTICED("sync/summary.c", "summary_open", "fence", 0, 0, "frees-above", 300),
	BECAUSE("sync/summary.c", "summary_open", NULL, 0, 0, "behind a fence, and before another one"),
	BECAUSE("sync/summary.c", "look", NULL, 0, 0, "the fence behind it has the order"),
	BECAUSE("sync/summary.c", "close_above", "load", 0, 0, LOOKED),
	BECAUSE("sync/summary.c", "conclude", "cas", 0, SM_ACQUIRE, COMES_LAST),
	BECAUSE("sync/summary.c", "conclude", "cas", 0, SM_RELEASE, "what was looked at before it: " LB),
	BECAUSE("sync/summary.c", NULL, "load", 0, 0,
		"what is found open is looked at, and what is found closed was: " COMES_LAST),
	/* -- epochs ---------------------------------------------------------------------------- */
	BECAUSE("sync/epoch.c", "epoch_enter", "load", 0, 0, "an epoch that is old announces more"),
	BECAUSE("sync/epoch.c", "epoch_enter", "store", 0, 0,
		"the fence behind it releases both, before anything is loaded"),
	NOTICED("sync/epoch.c", "epoch_enter", "fence", 0, 0, "entered", 0),
	NOTICED("sync/epoch.c", "epoch_exit", "store", 0, 0, "adopt-scan", 6000),
	BECAUSE("sync/epoch.c", "epoch_extend", "store", 0, 0, "the fence behind it releases"),
	NOTICED("sync/epoch.c", "epoch_extend", "fence", 0, 0, "extend-scan", 2000),
	BECAUSE("sync/epoch.c", "epoch_adopt", "store", 0, 0, "the fence behind it releases"),
	BECAUSE("sync/epoch.c", "epoch_adopt", "load", 0, 0,
		"the status is looked at again behind the fence; an epoch that is old is noticed by epoch_load"),
	NOTICED("sync/epoch.c", "epoch_adopt", "fence", 0, 0, "adopt", 0),
	BECAUSE("sync/epoch.c", "epoch_take_over", "store", 0, 0, "the fence behind it releases"),
	BECAUSE("sync/epoch.c", "epoch_take_over", "load", 0, 0, OWN),
	NOTICED("sync/epoch.c", "epoch_take_over", "fence", 0, 0, "taken-over", 2000),
	BECAUSE("sync/epoch.c", "advance", NULL, 0, 0,
		"that the epoch has moved on is known from what carries it: births and the fence behind"),
	BECAUSE("sync/slots.h", "slot_announces", "load", 0, 0,
		"the fences before and between the looks order them; " COMES_LAST),
	BECAUSE("sync/epoch.c", "look", "load", 0, 0,
		"the fences before and between the looks order them; " COMES_LAST),
	BECAUSE("sync/epoch.c", "epoch_rescan", "fence", 1, 0,
		"the one before the second look serves, too, but for a helper of a record that began and ended in "
		"between; model reclaim/no-fence has both in one"),
	NOTICED("sync/epoch.c", "epoch_rescan", "fence", 2, 0, "adopt-scan", 6000),
	/* -- lanes, words ------------------------------------------------------------------------ */
	BECAUSE("sync/lane.c", "lane_init", "load", 0, 0, OWN " and the slot was taken by a CAS that acquires"),
	BECAUSE("sync/lane.c", "lane_take_over", "load", 0, 0, OWN),
	BECAUSE("sync/lane.c", "lane_alive", "load", 0, 0,
		"may be late in any case: who revokes a host waits for its fence"),
	BECAUSE("sync/lane.c", "lane_todo", "store", 0, 0, "read by the recoverer alone; " BODY),
	NOTICED("sync/epoch.h", "epoch_load", "load", 1, 0, "create", 500),
	BECAUSE("sync/epoch.h", "epoch_load", "load", 2, 0, "the word before it acquires; " COMES_LAST),
	/* -- membership ------------------------------------------------------------------------------ */
	NOTICED("sync/member.c", "read_tenant", "load", 1, 0, "join-watched", 500),
	BECAUSE("sync/lease.c", "lease_watch_look", "load", 0, 0,
		"only whether it has changed is asked; what counts is the look behind make_void's fence"),
	NOTICED("sync/lease.c", "make_void", "fence", 0, 0, "lease-silent", 2000),
	BECAUSE("sync/lease.c", "make_void", "load", 0, 0,
		"behind a fence, "
		"and only whether it is the same is asked"),
	BECAUSE("sync/lease.c", "lease_move_term", "cas", 0, 0,
		"nothing but the term itself is published; what it expects "
		"was found by a load or CAS of its own, and "
		"what must come after it is behind a fence"),
	BECAUSE("sync/lease.c", "lease_ask", "cas", 0, 0, HINT),
	NOTICED("sync/lease.c", "lease_bars", "fence", 0, 0, "lease-negative", 2000),
	BECAUSE("sync/lease.c", "lease_bars", "load", 0, 0,
		"of this record, whose marks it has put or found, acquiring"),
	BECAUSE("sync/lease.c", "lease_write_down", "store", 0, 0, BODY),
	BECAUSE("sync/lease.c", "lease_others", "load", 0, 0,
		"behind the fence of who looks; what a kernel has forgotten is no memory of the pool"),
	BECAUSE("sync/lease.c", "lease_clear_bit", "load", 0, 0, BY_CAS),
	BECAUSE("sync/lease.c", "lease_clear_bit", "cas", 0, 0,
		"of `leases`: what a kernel has forgotten is no memory of "
		"the pool; of `writers`: what was written was "
		"released by the records, and the record of the close comes behind it"),
	BECAUSE("sync/lease.c", "lease_set_bit", "load", 0, 0, BY_CAS),
	BECAUSE("sync/lease.c", "lease_set_bit", "cas", 0, 0, "its callers fence behind it"),
	BECAUSE("sync/member.c", "read_tenant", "load", 2, 0, "the name before it acquires; " COMES_LAST),
	BECAUSE("sync/member.c", "read_tenant", "fence", 0, 0,
		"the other half of introduce's fence, which rejoin-watched notices; mixes favour stale loads, not "
		"fences"),
	BECAUSE("sync/member.c", "swap_word", "cas", 0, SM_ACQUIRE, FOUND_ACQUIRED),
	BECAUSE("sync/member.c", "swap_word", "cas", 0, SM_RELEASE,
		"what a move publishes was drained or released by a CAS before it; model takeover/no-stamp for "
		"stamps"),
	BECAUSE("sync/member.c", "daxfs_member_claim", "cas", 0, 0,
		"the stamps behind it release it; it expects what was acquired"),
	BECAUSE("sync/member.c", "name_recoverer", "load", 0, 0, BY_CAS),
	BECAUSE("sync/member.c", "read_figures", "load", 0, 0,
		SHOWN ", but for the beat itself, of which only a change is asked"),
	BECAUSE("sync/member.c", "swap_toll", "cas", 0, 0, "a count by itself"),
	BECAUSE("sync/member.c", NULL, "load", 0, 0, SHOWN ", or checked again by the CAS that follows"),
	BECAUSE("sync/member.c", "member_succeed", NULL, 0, 0,
		"model successor/word-first, no-cas; in scenarios nobody ends it meanwhile"),
	NOTICED("sync/features.c", "features_enter", "cas", 0, SM_RELEASE, "join-enable", 2000),
	BECAUSE("sync/features.c", "features_enter", "cas", 0, 0, COMES_LAST),
	BECAUSE("sync/features.c", "features_enter", "load", 0, 0, BY_CAS),
	NOTICED("sync/features.c", "enable", "load", 0, 0, "join-enable", 2000),
	BECAUSE("sync/features.c", NULL, NULL, 0, 0,
		"the word is all there is: who reads it needs nothing that was written before"),
	BECAUSE("sync/timing.c", NULL, NULL, 0, 0,
		"the word is all there is; what is done on the strength of it comes polls later"),
	BECAUSE("sync/member.c", "member_end", "fence", 0, 0, "model successor/one-look; tests/unit/test_lobby"),
	BECAUSE("sync/lobby.c", NULL, NULL, 0, 0, "a card is believed by its check alone; model lobby"),
	/* -- records ---------------------------------------------------------------------------------- */
	NOTICED("sync/record.c", "mark_value", "load", 1, 0, "extent-break-both", 4000),
	NOTICED("sync/record.c", "mark_value", "load", 2, 0, "extent-cut-broken", 500),
	BECAUSE("sync/record.c", "mark_value", "fence", 0, 0, "model record/early-fields, no-recheck; " EACH_ACQUIRES),
	BECAUSE("sync/record.c", "word_load_marked", "load", 0, 0,
		COMES_LAST ": the value is returned if the epoch is old enough, and looked for again if not"),
	BECAUSE("sync/record.c", "word_help", "load", 0, 0,
		"whether the mark is gone, which was resolved or acquired before; " COMES_LAST),
	BECAUSE("sync/record.c", "mark_word", "fence", 0, 0, "model record/no-recheck; " EACH_ACQUIRES),
	BECAUSE("sync/record.c", "mark_word", "load", 0, 0, BY_CAS),
	NOTICED("sync/record.c", "mark_word", "cas", 0, SM_RELEASE, "rename-back", 500),
	BECAUSE("sync/record.c", "mark_word", "cas", 0, SM_ACQUIRE, FOUND_ACQUIRED),
	BECAUSE("sync/record.c", "decide", "load", 0, 0, "published with the status that was acquired"),
	NOTICED("sync/record.c", "decide", "cas", 0, SM_RELEASE, "unlink-both", 500),
	BECAUSE("sync/record.c", "decide", "cas", 0, SM_ACQUIRE, "the status is loaded again behind it, acquiring"),
	BECAUSE("sync/record.c", "resolve", "load", 1, 0, "published with the status that was acquired"),
	NOTICED("sync/record.c", "resolve", "load", 2, 0, "rename-replace", 4000),
	BECAUSE("sync/record.c", "resolve", "fence", 0, 0, "model record/no-recheck; " EACH_ACQUIRES),
	NOTICED("sync/record.c", "resolve_entry", "cas", 1, SM_RELEASE, "readlink", 500),
	BECAUSE("sync/record.c", "resolve_entry", "cas", 0, SM_ACQUIRE, FOUND_ACQUIRED),
	BECAUSE("sync/record.c", "resolve_entry", "cas", 0, SM_RELEASE,
		"of a record that is helped: who put the mark released what it leads to, and that was acquired; a "
		"decision is acquired by all that rely on it"),
	BECAUSE("sync/record.c", "resolve_entry", "load", 0, 0, BY_CAS),
	BECAUSE("sync/record.c", "clear_word", "load", 0, 0, "only asks whether the word is the same: a fault if so"),
	BECAUSE("sync/record.c", "mark_entry", "load", 1, 0,
		"before the status, which was acquired: model claim, words without versions; " BY_CAS),
	BECAUSE("sync/record.c", "mark_entry", "load", 2, 0, BY_CAS "; tests/unit/test_claim"),
	BECAUSE("sync/record.c", "mark_entry", "cas", 0, SM_ACQUIRE, FOUND_ACQUIRED),
	BECAUSE("sync/record.c", "mark_entry", "cas", 0, SM_RELEASE,
		"as that of mark_word; the owner's first mark, which a helper replaces, has released the record"),
	BECAUSE("sync/record.c", "take_over", "load", 0, 0,
		"the CAS before it acquired the status, or found a newer one"),
	BECAUSE("sync/record.c", "take_over", "cas", 0, 0,
		"nothing of this helper comes before it; its owner released the record with the status"),
	/* -- claims: the word is acquired first, and with it what its claimer released -- */
	BECAUSE("sync/claim.c", "claim_read", "load", 1, 0,
		"the word showed the claim, acquired, whose CAS has released the fields"),
	BECAUSE("sync/claim.c", "claim_read", "load", 2, 0, COMES_LAST),
	NOTICED("sync/claim.c", "claim_read", "fence", 0, 0, "claim-anew", 6000),
	BECAUSE("sync/claim.c", "wants_mark", "load", 0, 0,
		"behind the word, which was acquired: model claim/status-first; " BY_CAS),
	BECAUSE("sync/claim.c", "claim_resolve", "cas", 0, SM_ACQUIRE, FOUND_ACQUIRED),
	BECAUSE("sync/claim.c", "claim_resolve", "cas", 0, SM_RELEASE,
		"the record was released by its owner, with the status that whoever finds the mark acquires"),
	NOTICED("sync/claim.c", "claim_word", "store", 2, 0, "claim-anew", 6000),
	NOTICED("sync/claim.c", "claim_word", "store", 4, 0, "claim-anew", 6000),
	BECAUSE("sync/claim.c", "claim_word", "store", 0, 0,
		"the CAS that puts the claim releases them; one of a claim that is off does no harm by itself: the CAS "
		"that takes it off fails"),
	NOTICED("sync/claim.c", "claim_word", "cas", 0, SM_RELEASE, "claim-met", 0),
	BECAUSE("sync/claim.c", "claim_word", "cas", 0, SM_ACQUIRE,
		"the status is loaded behind it, from the seen claim; " BY_CAS),
	BECAUSE("sync/rest.c", "lane_rest", "store", 0, 0,
		"behind the looks at all announcements, which acquire; whoever comes later sees an idle lane"),
	NOTICED("sync/record.c", "finish", "load", 1, 0, "rename-replace", 4000),
	BECAUSE("sync/record.c", "finish", "load", 2, 0,
		"the fields were acquired with the first look at this status; the decision alone is new, and " BY_CAS),
	BECAUSE("sync/record.c", "record_begin", "store", 0, 0,
		"fields are released one by one behind it (record_write), and names come to be believed by the "
		"CAS that takes an object"),
	BECAUSE("sync/record.c", "record_intended", "store", 0, 0, "the CAS that takes an object releases it"),
	BECAUSE("sync/record.c", "record_retire", "load", 0, 0,
		"the word that links the object acquires; if that changes the record does not commit"),
	BECAUSE("sync/record.c", "record_write", "store", 0, 0,
		"model record/early-fields; one field of three that is early does harm only to who takes all it "
		"reads for one record: the next field, or the status, says no"),
	NOTICED("sync/record.c", "publish", "store", 0, 0, "create", 4000),
	NOTICED("sync/record.c", "swap_single", "cas", 0, SM_RELEASE, "draft-removed", 500),
	BECAUSE("sync/record.c", "swap_single", "cas", 0, SM_ACQUIRE, FOUND_ACQUIRED),
	BECAUSE("sync/record.c", "record_commit", "load", 0, 0,
		"its own record, decided by itself or acquired in finish"),
	BECAUSE("sync/record.c", "record_abort", "load", 0, 0, OWN),
	/* -- the end of a record ----------------------------------------------------------------------- */
	NOTICED("sync/finalize.c", "record_finalize", "store", 0, 0, "create", 500),
	BECAUSE("sync/finalize.c", "retirement", "fence", 0, 0,
		"who retires has announced since before the commit: a scan that misses that began before it entered, "
		"and its fence there has the newer epoch; model reclaim/early-retire"),
	BECAUSE("sync/finalize.c", "retirement", "load", 0, 0, "behind the fence; " COMES_LAST),
	BECAUSE("sync/finalize.c", "finalize_allocs", "load", 0, 0, OWN ", or recovery; " BY_CAS),
	BECAUSE("sync/finalize.c", "finalize_retires", "load", 0, 0, BY_CAS),
	BECAUSE("sync/finalize.c", "finalize_allocs", "cas", 0, SM_ACQUIRE, FOUND_ACQUIRED),
	BECAUSE("sync/finalize.c", "finalize_retires", "cas", 0, SM_ACQUIRE, FOUND_ACQUIRED),
	BECAUSE("sync/finalize.c", "finalize_allocs", "cas", 0, SM_RELEASE,
		"who takes the object next may find it FREE before what was stored in it: " LATE),
	BECAUSE("sync/finalize.c", "finalize_retires", "cas", 0, SM_RELEASE,
		"who takes the object next does so behind a seq_cst fence, and the commit that unlinked it was "
		"released before"),
	BECAUSE("sync/finalize.c", NULL, "load", 0, 0, FENCED),
	BECAUSE("sync/record_recover.c", NULL, "load", 0, 0, FENCED),
};

/* Which of the calls of this kind and order in its function? */
static unsigned place_of(const struct sm_site *place)
{
	unsigned nth = 0, line = 0, next;

	do {
		next = place->line;
		for (struct sm_site *site = sites_next(NULL); site; site = sites_next(site))
			if (!strcmp(site->file, place->file) && !strcmp(site->func, place->func) &&
			    !strcmp(site->call, place->call) && site->order == place->order && site->line > line &&
			    site->line < next)
				next = site->line;
		line = next;
		nth++;
	} while (line != place->line);
	return nth;
}

static bool fits(const char *want, const char *got)
{
	return !want || !strcmp(want, got);
}

const struct order_note *weak_note(const struct sm_site *site, enum sm_order without)
{
	const char *file = strstr(site->file, "libdaxfs/");

	for (size_t i = 0; file && i < sizeof(notes) / sizeof(notes[0]); i++) {
		const struct order_note *note = &notes[i];

		if (!strcmp(file + strlen("libdaxfs/"), note->file) && fits(note->func, site->func) &&
		    fits(note->call, site->call) && (!note->nth || note->nth == place_of(site)) &&
		    (!note->without || note->without == without))
			return note;
	}
	return NULL;
}
