/* SPDX-License-Identifier: Apache-2.0 */
/* oracle.c - commits and host words as they happen: see pod/oracle.h; results are judged in pod/judge.c. */
#include "pod/oracle.h"

#include <inttypes.h>
#include <string.h>

#include "pod/judge.h"
#include "pod/locks.h"
#include "pod/store.h"
#include "sync/lane.h"
#include "sync/member.h"

#define LANES_MAX 64u
#define STEPS_A_COMMIT 100u /* that somebody may lose because another one made progress: one go at it, */
#define STEPS_A_PAGE 30u    /* and so many for each page that it writes, or copies of what it writes into */

static struct oracle {
	struct {
		struct pending *pending; /* of the record being made or last made */
		uint64_t seq;
		bool logged; /* that record changed the model */
		bool single; /* it has one word, and no decision but that */
		unsigned log_index;
		struct pending *logged_for;
		uint64_t serial; /* of logged_for */
	} lane[LANES_MAX];
} oracle;

void oracle_reset(void)
{
	memset(&oracle, 0, sizeof(oracle));
	pendings_reset();
	locks_reset();
	model_reset();
}

/* -- places ------------------------------------------------------------------------ */

/* The lane whose status word is at offset, or -1. */
static int lane_at(uint64_t offset)
{
	uint64_t first = memory_offset(pod.pool.lanes), at = offset - first;

	if (offset < first || at >= pod.pool.lanes_total * sizeof(struct sm_lane) || at % sizeof(struct sm_lane))
		return -1;
	return (int)(at / sizeof(struct sm_lane));
}

static int host_at(uint64_t offset)
{
	uint64_t first = memory_offset(&pod.pool.member->host[0].word), at = offset - first;

	if (offset < first || at >= pod.pool.super.hosts * sizeof(struct sm_host) || at % sizeof(struct sm_host))
		return -1;
	return (int)(at / sizeof(struct sm_host));
}

static uint64_t handle_of(uint64_t index)
{
	return handle_make(peek_word(&pod.pool.inodes[index].i_generation), index);
}

/* The inode whose word is at offset, 0: none. */
static uint64_t inode_at(uint64_t offset)
{
	uint64_t first = memory_offset(pod.pool.inodes);

	if (offset < first || offset - first >= pod.pool.objects[DAXFS_T_INODE] * sizeof(struct sm_inode))
		return 0;
	return (offset - first) / sizeof(struct sm_inode);
}

static uint64_t word_offset(const struct sm_lane *lane, unsigned i)
{
	return address_offset(peek_word(&lane->words[3 * i]));
}

/* -- what a record is about ----------------------------------------------------------- */

static uint64_t made_by(const struct sm_lane *lane)
{
	uint64_t n = peek_word(&lane->n_allocs);

	for (unsigned i = 0; i < n && i < DAXFS_RECORD_ALLOCS; i++) {
		uint64_t object = peek_word(&lane->allocs[i]);

		if (object_type(object) == DAXFS_T_INODE)
			return handle_of(object_index(object));
	}
	return 0;
}

static bool has_size_word(const struct sm_lane *lane, uint64_t ino)
{
	uint64_t size = memory_offset(&pod.pool.inodes[handle_index(ino)].size);

	for (unsigned i = 0; i < peek_word(&lane->n_words) && i < DAXFS_RECORD_WORDS; i++)
		if (word_offset(lane, i) == size)
			return true;
	return false;
}

/* Which file a record opens or closes, for which host. */
static bool opener_of(const struct sm_lane *lane, uint64_t *ino, unsigned *host, bool *drop)
{
	for (unsigned i = 0; i < peek_word(&lane->n_words) && i < DAXFS_RECORD_WORDS; i++) {
		uint64_t offset = word_offset(lane, i), index = inode_at(offset);
		uint64_t field = (offset - memory_offset(pod.pool.inodes)) % sizeof(struct sm_inode);
		uint64_t before = peek_word(&lane->words[3 * i + 1]), after = peek_word(&lane->words[3 * i + 2]);
		uint64_t bit = word_payload(before ^ after, DAXFS_W_OPENERS);

		if (!index || field < offsetof(struct sm_inode, openers) || field >= offsetof(struct sm_inode, mode))
			continue;
		if (!bit || bit & (bit - 1))
			return false;
		*host = (unsigned)__builtin_ctzll(bit) + (field > offsetof(struct sm_inode, openers) ? 32 : 0);
		*drop = before & bit;
		*ino = handle_of(index);
		return true;
	}
	return false;
}

/* -- commits ------------------------------------------------------------------------------ */

static struct host_word host_word(unsigned host)
{
	struct host_word word;

	if (host_word_unpack(peek_word(&pod.pool.member->host[host].word), &word))
		word = (struct host_word){ .state = DAXFS_HOST_STATES };
	return word;
}

/* May a record of that slot still take effect? */
static void check_in_time(unsigned id, uint64_t seq)
{
	unsigned slot = id / pod.pool.super.lanes_per_host;
	uint32_t generation = (uint32_t)(peek_word(&pod.pool.lanes[id].owner) >> 32);
	struct host_word word = host_word(slot);
	bool lives = word.state == DAXFS_HOST_ALIVE || word.state == DAXFS_HOST_SUSPECT ||
		     word.state == DAXFS_HOST_FENCING;
	bool dead = word.state == DAXFS_HOST_FENCED || word.state == DAXFS_HOST_RECOVERING;

	if ((lives && word.generation == generation) || (dead && word.generation == generation + 1))
		return;
	pod_violation("lane %u commits record %" PRIu64 " of generation %u while its host is %s generation %u", id, seq,
		      generation, daxfs_host_state_name(word.state), word.generation);
}

static uint64_t steps_of_a_go(const struct pending *p)
{
	uint64_t pages = 0;

	if (p && (p->op.kind == DO_WRITE || p->op.kind == DO_DRAFT))
		pages = p->op.len / MODEL_BLOCK + 2ull * DAXFS_EXTENT_PAGES;
	else if (p && p->op.kind == DO_SETATTR)
		pages = DAXFS_EXTENT_PAGES;
	return STEPS_A_COMMIT + STEPS_A_PAGE * pages;
}

/* A record was decided: whoever lost by it has another go. */
static void somebody_commits(void)
{
	pod.current->committed = pod.steps;
	for (unsigned i = 0; i < ACTORS_MAX; i++)
		pod.actor[i].run.steps_max += steps_of_a_go(pod.actor[i].pending);
}

static void fed(unsigned id, struct pending *p, const struct op *op, const struct commit *c, const char *err,
		unsigned log_index)
{
	char text[160];

	op_text(op, text, sizeof(text));
	trace_line("  COMMIT lane %u: %s -> %llx", id, text, (unsigned long long)c->handle);
	if (err)
		pod_violation("slot %u: %s: committed, but %s", op->host, text, err);
	oracle.lane[id].logged = true;
	oracle.lane[id].log_index = log_index;
	oracle.lane[id].logged_for = p;
	oracle.lane[id].serial = p ? p->serial : 0;
	pod.tallies->commits++;
	store_changed(op);
	somebody_commits();
	pendings_refresh(op);
}

static void commit_main(unsigned id, struct pending *p, unsigned operation)
{
	const struct sm_lane *lane = &pod.pool.lanes[id];
	struct commit c = { .host = 0 };
	const char *err;

	if (!p || p->committed) {
		pod_violation("lane %u commits a record of %s that nobody asked for", id,
			      record_operation_name(operation));
		return;
	}
	if (operation == OP_CREATE)
		c.handle = made_by(lane);
	if (operation == OP_WRITE)
		c.sizes = has_size_word(lane, p->op.ino);
	p->committed = true;
	p->handle = c.handle;
	err = model_commit(&p->op, &c, p->vanished, &p->log_index);
	fed(id, p, &p->op, &c, err, p->log_index);
}

/* Is what the host holds open that of a dead tenant, for others to close? A recoverer may have died of it, too, and
 * whoever finds its record finishes that. */
static bool is_recovered(unsigned slot)
{
	return host_word(slot).state == DAXFS_HOST_RECOVERING || (slot < pod.machines && pod.machine[slot].reviving);
}

static void commit_opener(unsigned id, struct pending *p, unsigned slot)
{
	struct op op = { .kind = DO_HOLD, .host = slot };
	struct commit c = { .host = 0 };
	unsigned log_index;
	const char *err;

	if (!opener_of(&pod.pool.lanes[id], &op.ino, &c.host, &c.drop)) {
		pod_violation("lane %u opens or closes something else than one file for one host", id);
		return;
	}
	if (c.host != slot && (!c.drop || !is_recovered(c.host)))
		pod_violation("slot %u changes what host %u holds open", slot, c.host);
	/* Listed for a file that did not come to be; its inode may serve another one soon. */
	if (c.drop && c.host != slot && !model_known(op.ino))
		return;
	op.kind = c.drop ? DO_RELEASE : DO_HOLD;
	err = model_commit(&op, &c, false, &log_index);
	if (p && p->op.kind == DO_HOLD && !c.drop) {
		p->committed = true;
		p->log_index = log_index;
	}
	fed(id, p, &op, &c, err, log_index);
}

/* Taking apart: nobody may be able to reach it. */
static void commit_end(unsigned id)
{
	const struct sm_lane *lane = &pod.pool.lanes[id];

	for (unsigned i = 0; i < peek_word(&lane->n_words) && i < DAXFS_RECORD_WORDS; i++) {
		uint64_t index = inode_at(word_offset(lane, i));

		if (index && model_exists(handle_of(index)))
			pod_violation("lane %u takes inode %" PRIx64 " apart, which exists", id, handle_of(index));
	}
}

static void commit(unsigned id, uint64_t status)
{
	unsigned operation = status_operation(status), slot = id / pod.pool.super.lanes_per_host;
	struct pending *p = oracle.lane[id].seq == status_seq(status) ? oracle.lane[id].pending : NULL;

	check_in_time(id, status_seq(status));
	extent_commit(id);
	oracle.lane[id].logged = false;
	switch (operation) {
	case OP_PRUNE:
	case OP_SPLIT: /* changes no name */
	case OP_LOCK: /* see pod/locks.h */ break;
	case OP_FILL: /* change nothing that is said of a file */
	case OP_DROP:
	case OP_XATTR: somebody_commits(); break;
	case OP_ORPHAN:
	case OP_FREE: commit_end(id); break;
	case OP_OPEN:
	case OP_CLOSE: commit_opener(id, p, slot); break;
	default: commit_main(id, p, operation);
	}
}

/* -- host words ------------------------------------------------------------------------------ */

/* Nothing of the tenant may go on, wherever it runs. */
static void check_fenced(unsigned slot, uint32_t generation)
{
	for (unsigned m = 0; m < pod.machines; m++) {
		const struct machine *machine = &pod.machine[m];

		if (machine->process == PROCESS_NONE || machine->slot != slot || machine->generation != generation)
			continue;
		pod_violation("slot %u generation %u is FENCED while its process runs on machine %u", slot, generation,
			      m);
	}
}

static bool recovering(unsigned slot, struct host_word *word)
{
	return !host_word_unpack(peek_word(&pod.pool.member->host[slot].word), word) &&
	       word->state == DAXFS_HOST_RECOVERING;
}

/* Of what it was to recover it died, as far as anybody can tell. */
static void count_deaths(unsigned slot, uint32_t generation)
{
	struct host_word word;

	pod.died[slot] = 0;
	for (unsigned other = 0; other < pod.pool.super.hosts; other++)
		if (recovering(other, &word) && word.recoverer == (int)slot &&
		    word.recoverer_generation == DAXFS_RECOVERER_GENERATION(generation))
			pod.died[other]++;
}

/* Is somebody named who is to recover it? A manager that takes over stamps the words as they are. */
static bool names_recoverer(const struct host_word *from, const struct host_word *to)
{
	return to->state == DAXFS_HOST_RECOVERING && (from->state != to->state || from->recoverer != to->recoverer ||
						      from->recoverer_generation != to->recoverer_generation);
}

static void recovered(unsigned slot, uint32_t generation)
{
	pendings_bury(slot, generation);
	pod.recovered_slot = (int)slot;
	pod.check_due = true;
}

static void moved(const struct actor *a, unsigned slot, uint64_t before, uint64_t after)
{
	struct host_word from, to;
	char who[48];

	if (pod.damaged || host_word_unpack(before, &from) || host_word_unpack(after, &to))
		return;
	actor_text(a, who, sizeof(who));
	trace_line("  HOST %u: %s generation %u -> %s generation %u recoverer %d epoch %u, by %s", slot,
		   daxfs_host_state_name(from.state), from.generation, daxfs_host_state_name(to.state), to.generation,
		   to.recoverer, to.epoch, who);
	if (from.state != to.state && !member_move_legal(from.state, to.state))
		pod_violation("slot %u goes from %s to %s", slot, daxfs_host_state_name(from.state),
			      daxfs_host_state_name(to.state));
	if (to.epoch < from.epoch)
		pod_violation("slot %u was moved by manager epoch %u and now by %u", slot, from.epoch, to.epoch);
	if (from.state != DAXFS_HOST_FENCED && to.state == DAXFS_HOST_FENCED) {
		check_fenced(slot, from.generation);
		store_fenced(slot);
		count_deaths(slot, from.generation);
	}
	if (names_recoverer(&from, &to) && pod.died[slot] >= DAXFS_RECOVERERS_MAX)
		pod_violation("slot %u: %u recoverers died of it, and host %d is the next", slot, pod.died[slot],
			      to.recoverer);
	if (to.state == DAXFS_HOST_RECOVERING || (from.state == DAXFS_HOST_FENCED && to.state == DAXFS_HOST_JOINING))
		locks_ending(slot);
	if (to.state == DAXFS_HOST_RECOVERED || to.state == DAXFS_HOST_FREE)
		locks_ended(slot);
	if (from.state == DAXFS_HOST_RECOVERING && to.state == DAXFS_HOST_RECOVERED) {
		pod.tallies->recoveries++;
		recovered(slot, to.generation);
	}
}

void oracle_revived(unsigned slot, uint32_t generation)
{
	pod.tallies->revivals++;
	locks_ended(slot);
	recovered(slot, generation);
}

/* -- events ------------------------------------------------------------------------------------- */

/* A word that has what it had before a record of one word because that was put there says nothing of the record
 * any more. (Versions come round: --tiny.) */
static void came_round(const struct seam_event *event)
{
	for (unsigned id = 0; id < pod.pool.lanes_total && id < LANES_MAX; id++)
		if (oracle.lane[id].logged && oracle.lane[id].single &&
		    word_offset(&pod.pool.lanes[id], 0) == event->offset &&
		    event->value == peek_word(&pod.pool.lanes[id].words[1]))
			oracle.lane[id].logged = false;
}

void oracle_store(struct actor *a, const struct seam_event *event)
{
	int id = lane_at(event->offset);

	came_round(event);
	if (id < 0)
		return;
	a->single = status_state(event->value) == DAXFS_SINGLE ? id : -1;
	if (a->single >= 0)
		oracle.lane[id].single = true;
	if (status_seq(event->value) < oracle.lane[id].seq) { /* the numbers of the lane start over: sync/rest.c */
		oracle.lane[id].seq = 0;
		oracle.lane[id].logged = false;
		pod.tallies->rests++;
	}
	if (status_state(event->value) != DAXFS_PREPARE)
		return;
	oracle.lane[id].single = false;
	oracle.lane[id].pending = a->pending;
	oracle.lane[id].seq = status_seq(event->value);
	oracle.lane[id].logged = false;
}

/* The lane whose record that decides; -1: none. */
static int decides(const struct actor *a, const struct seam_event *event)
{
	int id = lane_at(event->offset);

	if (id >= 0 && status_state(event->value) == DAXFS_COMMITTED &&
	    status_state(event->expected) == DAXFS_UNDECIDED)
		return id;
	if (a->single >= 0 && word_offset(&pod.pool.lanes[a->single], 0) == event->offset &&
	    event->value == peek_word(&pod.pool.lanes[a->single].words[2]))
		return a->single;
	return -1;
}

void oracle_cas(const struct actor *a, const struct seam_event *event)
{
	int host = host_at(event->offset), id;

	if (peek(event->offset) != event->expected)
		return;
	id = decides(a, event);
	if (pod.damaged) { /* nothing is known of what is in it, but that the others go on */
		if (id >= 0)
			somebody_commits();
		return;
	}
	came_round(event);
	extent_state(event->offset, event->expected, event->value);
	if (host >= 0)
		moved(a, (unsigned)host, event->expected, event->value);
	if (id >= 0 && id != a->single)
		pod.tallies->helped += pod.machine[a->machine].slot != (unsigned)id / pod.lanes;
	if (id >= 0)
		commit((unsigned)id, id == a->single ? peek_word(&pod.pool.lanes[id].status) : event->value);
	if (event->offset == memory_offset(&pod.pool.member->manager.word)) {
		trace_line("  MANAGER epoch %" PRIu64 " -> %" PRIu64, event->expected >> 32, event->value >> 32);
		if (event->value >> 32 != (event->expected >> 32) + 1)
			pod_violation("the manager epoch goes from %" PRIu64 " to %" PRIu64, event->expected >> 32,
				      event->value >> 32);
		pod.tallies->takeovers += event->expected != 0;
	}
}

void oracle_died(unsigned machine)
{
	pendings_orphan(machine);
}

/* Is what made the last record of a lane happen gone? */
static bool unmade(unsigned id)
{
	const struct sm_lane *lane = &pod.pool.lanes[id];
	uint64_t status = peek_word(&lane->status), seq = oracle.lane[id].seq;

	if (!oracle.lane[id].logged || status_seq(status) > seq)
		return false;
	if (oracle.lane[id].single)
		return peek(word_offset(lane, 0)) == peek_word(&lane->words[1]);
	return status_seq(status) < seq || status_state(status) == DAXFS_UNDECIDED;
}

/* A decision that was still in the lost cache, seen by nobody else, was never made. */
void oracle_lost(void)
{
	for (unsigned id = 0; id < pod.pool.lanes_total && id < LANES_MAX; id++) {
		struct pending *p = oracle.lane[id].logged_for;
		const char *err;

		if (!unmade(id))
			continue;
		trace_line("  LOST the decision of lane %u", id);
		pod.tallies->lost++;
		if (p && (!p->used || p->serial != oracle.lane[id].serial))
			pod_violation("lane %u: an operation that was acknowledged is lost with a cache", id);
		else if (p)
			p->committed = false;
		oracle.lane[id].logged = false;
		err = model_take_back(oracle.lane[id].log_index);
		store_taken_back();
		pendings_look();
		if (err)
			pod_violation("lane %u: a commit was lost on which another one builds: %s", id, err);
	}
}
