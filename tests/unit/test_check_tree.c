/* SPDX-License-Identifier: Apache-2.0 */
/* test_check_tree.c - the check on files, inodes, directories and names: see test_check.c. */
#include "check_fixture.h"
#include "index/dirtrie.h"
#include "mem/siphash.h"

static struct sm_dirent *dirent_of(struct fixture *s, uint64_t inode, uint64_t *index)
{
	uint64_t page;

	fixture_slot(s, inode, &page, index);
	return &s->pool->dirents[*index];
}

static uint64_t claim(struct fixture *s, enum daxfs_type type, enum daxfs_use use)
{
	uint64_t i = fixture_find(s, type, DAXFS_FREE);

	sm_store(fixture_state(s, type, i), state_make(DAXFS_LIVE, use, 0));
	sm_store(&s->pool->birth[type][i], 1);
	return i;
}

/* -- files ---------------------------------------------------------------------------- */

static void same_page_twice(struct fixture *s)
{
	fixture_set(&fixture_inode(s, s->big)->direct[3], DAXFS_W_LINK,
		    link_payload(DAXFS_DATA, fixture_direct(s, s->big, 0)));
	fixture_want(s, "double-use: inode %llu direct[3]", (unsigned long long)s->big);
}

static void page_of_another(struct fixture *s)
{
	fixture_set(&fixture_inode(s, s->big)->direct[3], DAXFS_W_LINK,
		    link_payload(DAXFS_DATA, fixture_direct(s, s->small, 0)));
	fixture_want(s, "double-use: ");
}

static void no_such_page(struct fixture *s)
{
	fixture_set(&fixture_inode(s, s->big)->direct[3], DAXFS_W_LINK, link_payload(DAXFS_DATA, 0xfffffff0u));
	fixture_want(s, "bad-index: inode %llu direct[3]", (unsigned long long)s->big);
}

static void node_names_itself(struct fixture *s)
{
	uint64_t node = link_index(sm_load(&fixture_inode(s, s->big)->indirect[2]));

	fixture_set(&map_node(s->pool, node)->slot[9], DAXFS_W_LINK, link_payload(DAXFS_NODE, node));
	fixture_want(s, "double-use: page %llu slot[9]", (unsigned long long)node);
}

static void kind_in_file(struct fixture *s)
{
	fixture_set(&fixture_inode(s, s->big)->direct[3], DAXFS_W_LINK, link_payload(DAXFS_INODE, 1));
	fixture_want(s, "bad-kind: inode %llu direct[3]", (unsigned long long)s->big);
}

static void data_past_end(struct fixture *s)
{
	fixture_set(&fixture_inode(s, s->small)->size, DAXFS_W_SIZE, 0);
	fixture_want(s, "past-end: inode %llu direct[0]", (unsigned long long)s->small);
}

static void node_past_end(struct fixture *s)
{
	uint64_t node = claim(s, DAXFS_T_PAGE, DAXFS_USE_NODE);

	memset(pool_page(s->pool, node), 0, DAXFS_PAGE_SIZE);
	fixture_set(&fixture_inode(s, s->small)->indirect[0], DAXFS_W_LINK, link_payload(DAXFS_NODE, node));
	fixture_want(s, "past-end: inode %llu indirect[0]", (unsigned long long)s->small);
}

static void tail_not_zero(struct fixture *s)
{
	uint64_t page = fixture_direct(s, s->small, 0);

	pool_page(s->pool, page)[DAXFS_PAGE_SIZE - 1] = 1;
	fixture_want(s, "dirty-tail: page %llu", (unsigned long long)page);
}

static void prune_forgotten(struct fixture *s)
{
	fixture_set(&fixture_inode(s, s->small)->size, DAXFS_W_SIZE, DAXFS_SIZE_PRUNE | 300);
	fixture_want(s, "unpruned: inode %llu", (unsigned long long)s->small);
}

static void too_large(struct fixture *s)
{
	fixture_set(&fixture_inode(s, s->victim)->size, DAXFS_W_SIZE, DAXFS_FILE_MAX + 1);
	fixture_want(s, "bad-size: inode %llu", (unsigned long long)s->victim);
}

static void said_in_storage(struct fixture *s)
{
	sm_store(&fixture_inode(s, s->small)->rdev, 3ull << 56 | 42);
	fixture_want(s, "bad-source: inode %llu", (unsigned long long)s->small);
}

/* Its first pages are extents, found through nodes. */
static void said_in_storage_wide(struct fixture *s)
{
	sm_store(&fixture_inode(s, s->wide)->rdev, 255ull << 56);
	fixture_want(s, "bad-source: inode %llu", (unsigned long long)s->wide);
}

static void root_said_in_storage(struct fixture *s)
{
	sm_store(&fixture_inode(s, DAXFS_ROOT_INO)->rdev, 1ull << 63);
	fixture_want(s, "bad-source: inode %llu", (unsigned long long)DAXFS_ROOT_INO);
}

static void directory_said_in_storage(struct fixture *s)
{
	sm_store(&fixture_inode(s, s->dir)->rdev, 1ull << 56);
	fixture_want(s, "bad-source: inode %llu", (unsigned long long)s->dir);
}

static void short_target(struct fixture *s)
{
	pool_page(s->pool, fixture_direct(s, s->link, 0))[2] = '\0';
	fixture_want(s, "bad-symlink: inode %llu", (unsigned long long)s->link);
}

static void no_target(struct fixture *s)
{
	uint64_t page = fixture_direct(s, s->link, 0);

	fixture_set(&fixture_inode(s, s->link)->direct[0], DAXFS_W_LINK, 0);
	sm_store(fixture_state(s, DAXFS_T_PAGE, page), 0);
	fixture_want(s, "bad-symlink: inode %llu", (unsigned long long)s->link);
}

/* -- inodes ------------------------------------------------------------------------------ */

static void link_too_many(struct fixture *s)
{
	fixture_set(&fixture_inode(s, s->small)->nlink, DAXFS_W_NLINK, nlink_payload(DAXFS_LIFE_ALIVE, 3));
	fixture_want(s, "bad-nlink: inode %llu nlink: 3 links, 2 names", (unsigned long long)s->small);
}

static void named_orphan(struct fixture *s)
{
	fixture_set(&fixture_inode(s, s->victim)->nlink, DAXFS_W_NLINK, nlink_payload(DAXFS_LIFE_ORPHAN, 1));
	fixture_want(s, "bad-life: inode %llu", (unsigned long long)s->victim);
}

static void orphan_forgotten(struct fixture *s)
{
	fixture_unname(s, s->victim);
	fixture_set(&fixture_inode(s, s->victim)->nlink, DAXFS_W_NLINK, nlink_payload(DAXFS_LIFE_ORPHAN, 0));
	fixture_want(s, "orphan: inode %llu", (unsigned long long)s->victim);
}

static void dead_forgotten(struct fixture *s)
{
	orphan_forgotten(s);
	fixture_set(&fixture_inode(s, s->victim)->nlink, DAXFS_W_NLINK, nlink_payload(DAXFS_LIFE_DEAD, 0));
	fixture_want(s, "dead-inode: inode %llu", (unsigned long long)s->victim);
}

static void no_type(struct fixture *s)
{
	fixture_set(&fixture_inode(s, s->victim)->mode, DAXFS_W_ATTR, 0644);
	fixture_want(s, "bad-mode: inode %llu", (unsigned long long)s->victim);
}

static void fifo_with_pages(struct fixture *s)
{
	fixture_set(&fixture_inode(s, s->fifo)->direct[0], DAXFS_W_LINK, link_payload(DAXFS_DATA, 3));
	fixture_want(s, "bad-kind: inode %llu", (unsigned long long)s->fifo);
}

/* -- names -------------------------------------------------------------------------------- */

static void hash_changed(struct fixture *s)
{
	uint64_t i;

	dirent_of(s, s->victim, &i)->hash ^= 1; /* the last level: in the right place still */
	fixture_want(s, "bad-hash: dirent %llu", (unsigned long long)i);
}

static void name_changed(struct fixture *s)
{
	uint64_t i;

	dirent_of(s, s->victim, &i)->name[0] = 'V';
	fixture_want(s, "bad-hash: dirent %llu", (unsigned long long)i);
}

static void name_with_slash(struct fixture *s)
{
	uint64_t i;

	dirent_of(s, s->victim, &i)->name[2] = '/';
	fixture_want(s, "bad-name: dirent %llu", (unsigned long long)i);
}

static void name_unended(struct fixture *s)
{
	uint64_t i;

	dirent_of(s, s->victim, &i)->len--;
	fixture_want(s, "bad-name: dirent %llu", (unsigned long long)i);
}

static void entry_moved(struct fixture *s)
{
	uint64_t page, dirent, w;
	sm_u64 *slot = fixture_slot(s, s->victim, &page, &dirent), *other = NULL,
	       *first = map_node(s->pool, page)->slot;
	unsigned bucket = (unsigned)(slot - first) / DAXFS_BUCKET_SLOTS;

	/* Any slot of its bucket would be right; which bucket that is follows from the key of the pool. */
	for (unsigned i = 0; !other; i++)
		if (i / DAXFS_BUCKET_SLOTS != bucket && link_kind(sm_load(&first[i])) == DAXFS_ABSENT)
			other = &first[i];
	w = word_payload(sm_load(slot), DAXFS_W_NAME);
	fixture_set(slot, DAXFS_W_NAME, 0);
	fixture_set(other, DAXFS_W_NAME, w);
	fixture_want(s, "misplaced: dirent %llu", (unsigned long long)dirent);
}

static void wrong_type(struct fixture *s)
{
	uint64_t i;

	dirent_of(s, s->victim, &i)->type = 4;
	fixture_want(s, "bad-type: dirent %llu", (unsigned long long)i);
}

static void stale_handle(struct fixture *s)
{
	uint64_t i;

	dirent_of(s, s->fifo, &i)->handle ^= 1ull << 40;
	fixture_want(s, "bad-handle: dirent %llu", (unsigned long long)i);
}

static void count_off(struct fixture *s)
{
	uint64_t root = link_index(sm_load(&fixture_inode(s, s->dir)->dir_root));
	sm_u64 *count = &s->pool->count[root];

	fixture_set(count, DAXFS_W_COUNT, word_payload(sm_load(count), DAXFS_W_COUNT) + 1);
	fixture_want(s, "bad-count: page %llu", (unsigned long long)root);
}

static void frozen_in_use(struct fixture *s)
{
	uint64_t root = link_index(sm_load(&fixture_inode(s, s->sub)->dir_root));

	fixture_set(&s->pool->count[root], DAXFS_W_COUNT, DAXFS_COUNT_FROZEN);
	fixture_want(s, "frozen: page %llu", (unsigned long long)root);
}

static void removed_not_frozen(struct fixture *s)
{
	uint64_t root = link_index(sm_load(&fixture_inode(s, s->sub)->dir_root));

	fixture_host(s, 1, DAXFS_HOST_FENCED);
	sm_store(&s->pool->lanes[2].todo, handle_make(sm_load(&fixture_inode(s, s->sub)->i_generation), s->sub));
	fixture_unname(s, s->sub);
	fixture_set(&fixture_inode(s, s->sub)->nlink, DAXFS_W_NLINK, nlink_payload(DAXFS_LIFE_ORPHAN, 0));
	fixture_want(s, "not-frozen: page %llu", (unsigned long long)root);
}

static void node_without_names(struct fixture *s)
{
	uint64_t root = link_index(sm_load(&fixture_inode(s, s->sub)->dir_root));
	uint64_t node = claim(s, DAXFS_T_PAGE, DAXFS_USE_NODE);

	memset(pool_page(s->pool, node), 0, DAXFS_PAGE_SIZE);
	fixture_set(&s->pool->count[node], DAXFS_W_COUNT, 0);
	fixture_set(&map_node(s->pool, root)->slot[3], DAXFS_W_NAME, link_payload(DAXFS_NODE, node));
	fixture_set(&s->pool->count[root], DAXFS_W_COUNT, 1);
	fixture_want(s, "empty-node: page %llu", (unsigned long long)node);
}

static void wrong_parent(struct fixture *s)
{
	fixture_set(&fixture_inode(s, s->sub)->parent, DAXFS_W_LINK, link_payload(DAXFS_INODE, DAXFS_ROOT_INO));
	fixture_want(s, "bad-parent: inode %llu", (unsigned long long)s->sub);
}

/* The entry of a file names a directory above it. */
static void cycle(struct fixture *s)
{
	uint64_t i;
	struct sm_dirent *entry = dirent_of(s, s->fifo, &i);

	entry->handle = handle_make(sm_load(&fixture_inode(s, s->dir)->i_generation), s->dir);
	entry->type = 4;
	fixture_want(s, "double-dir: dirent %llu", (unsigned long long)i);
}

/* And nothing leads there any more: each directory of it has a name, in another one of it. */
static void cycle_cut_off(struct fixture *s)
{
	fixture_unname(s, s->dir);
	cycle(s);
	fixture_want(s, "leak: inode %llu", (unsigned long long)s->dir);
}

static void root_named(struct fixture *s)
{
	uint64_t i;
	struct sm_dirent *entry = dirent_of(s, s->fifo, &i);

	entry->handle = DAXFS_ROOT;
	entry->type = 4;
	fixture_want(s, "double-dir: inode 1");
}

static void dir_node_names_itself(struct fixture *s)
{
	uint64_t root = link_index(sm_load(&fixture_inode(s, s->sub)->dir_root));

	fixture_set(&map_node(s->pool, root)->slot[500], DAXFS_W_NAME, link_payload(DAXFS_NODE, root));
	fixture_set(&s->pool->count[root], DAXFS_W_COUNT, 1);
	fixture_want(s, "double-use: page %llu slot[500]", (unsigned long long)root);
}

static void root_is_no_directory(struct fixture *s)
{
	fixture_set(&fixture_inode(s, DAXFS_ROOT_INO)->mode, DAXFS_W_ATTR, S_IFREG | 0644);
	fixture_want(s, "bad-mode: inode 1");
}

/* A leaf for the run of slots that a name belongs to, in the empty directory: its page; *entry: that name, filled. */
static uint64_t leaf_for(struct fixture *s, struct sm_dirent *entry)
{
	uint64_t root = link_index(sm_load(&fixture_inode(s, s->sub)->dir_root));
	uint64_t leaf = claim(s, DAXFS_T_PAGE, DAXFS_USE_NODE);
	unsigned first;

	*entry = (struct sm_dirent){ .type = 1, .len = 3, .name = "dup" };
	entry->handle = handle_make(sm_load(&fixture_inode(s, s->fifo)->i_generation), s->fifo);
	entry->hash = siphash24(s->pool->super.hash_key, "dup", 3) >> 10;
	first = trie_run_start(trie_digit(entry->hash, 0), 5);
	memset(pool_page(s->pool, leaf), 0, DAXFS_PAGE_SIZE);
	for (unsigned i = first; i < first + 32; i++)
		fixture_set(&map_node(s->pool, root)->slot[i], DAXFS_W_NAME, name_payload(DAXFS_LEAF, leaf, 5));
	fixture_set(&s->pool->count[root], DAXFS_W_COUNT, 32);
	fixture_set(&s->pool->count[leaf], DAXFS_W_COUNT, 0);
	return leaf;
}

/* Put another entry into a leaf: `at` slots behind the start of its bucket. */
static uint64_t put_in_leaf(struct fixture *s, uint64_t leaf, const struct sm_dirent *entry, unsigned at)
{
	uint64_t dirent = claim(s, DAXFS_T_DIRENT, DAXFS_USE_DIRENT);
	uint64_t n = word_payload(sm_load(&s->pool->count[leaf]), DAXFS_W_COUNT) + 1;

	memcpy(&s->pool->dirents[dirent], entry, sizeof(*entry));
	fixture_set(&map_node(s->pool, leaf)->slot[trie_bucket(entry->hash, 0, 5) * DAXFS_BUCKET_SLOTS + at],
		    DAXFS_W_NAME, name_payload(DAXFS_DIRENT, dirent, trie_hint(entry->hash)));
	fixture_set(&s->pool->count[leaf], DAXFS_W_COUNT, n);
	fixture_set(&fixture_inode(s, s->fifo)->nlink, DAXFS_W_NLINK, nlink_payload(DAXFS_LIFE_ALIVE, 1 + n));
	return dirent;
}

static void name_twice(struct fixture *s)
{
	struct sm_dirent entry;
	uint64_t leaf = leaf_for(s, &entry), dirent;

	put_in_leaf(s, leaf, &entry, 2);
	entry.twin = 1;
	dirent = put_in_leaf(s, leaf, &entry, 5);
	fixture_want(s, "double-name: dirent %llu", (unsigned long long)dirent);
}

/* Two names with one hash, which only the stored one can be. */
static void twin_twice(struct fixture *s)
{
	struct sm_dirent entry;
	uint64_t leaf = leaf_for(s, &entry), dirent;

	put_in_leaf(s, leaf, &entry, 2);
	entry.name[0] = 'D';
	dirent = put_in_leaf(s, leaf, &entry, 5);
	fixture_want(s, "bad-twin: dirent %llu", (unsigned long long)dirent);
}

static void twin_too_large(struct fixture *s)
{
	struct sm_dirent entry;
	uint64_t leaf = leaf_for(s, &entry);

	entry.twin = 8;
	fixture_want(s, "bad-twin: dirent %llu", (unsigned long long)put_in_leaf(s, leaf, &entry, 2));
}

static void wrong_hint(struct fixture *s)
{
	uint64_t page, dirent;
	sm_u64 *slot = fixture_slot(s, s->fifo, &page, &dirent);

	fixture_set(slot, DAXFS_W_NAME, word_payload(sm_load(slot), DAXFS_W_NAME) ^ 1ull << DAXFS_HINT_SHIFT);
	fixture_want(s, "bad-hint: page %llu", (unsigned long long)page);
}

static void wrong_bucket(struct fixture *s)
{
	struct sm_dirent entry;
	uint64_t leaf = leaf_for(s, &entry), dirent = put_in_leaf(s, leaf, &entry, 2);
	sm_u64 *slot = &map_node(s->pool, leaf)->slot[trie_bucket(entry.hash, 0, 5) * DAXFS_BUCKET_SLOTS + 2];
	uint64_t w = word_payload(sm_load(slot), DAXFS_W_NAME);

	fixture_set(slot, DAXFS_W_NAME, 0);
	slot = &map_node(s->pool, leaf)->slot[(trie_bucket(entry.hash, 0, 5) ^ 1) * DAXFS_BUCKET_SLOTS];
	fixture_set(slot, DAXFS_W_NAME, w);
	fixture_want(s, "misplaced: dirent %llu", (unsigned long long)dirent);
}

static void leaf_without_names(struct fixture *s)
{
	struct sm_dirent entry;

	fixture_want(s, "empty-node: page %llu", (unsigned long long)leaf_for(s, &entry));
}

static void node_in_leaf(struct fixture *s)
{
	struct sm_dirent entry;
	uint64_t leaf = leaf_for(s, &entry);

	put_in_leaf(s, leaf, &entry, 2);
	fixture_set(&map_node(s->pool, leaf)->slot[511], DAXFS_W_NAME, name_payload(DAXFS_LEAF, leaf, 5));
	fixture_set(&s->pool->count[leaf], DAXFS_W_COUNT, 2);
	fixture_want(s, "bad-kind: page %llu slot[511]", (unsigned long long)leaf);
}

/* One slot of a run has lost its leaf. */
static void run_broken(struct fixture *s)
{
	uint64_t root = link_index(sm_load(&fixture_inode(s, s->sub)->dir_root));
	struct sm_dirent entry;
	unsigned at;

	put_in_leaf(s, leaf_for(s, &entry), &entry, 2);
	at = trie_run_start(trie_digit(entry.hash, 0), 5) + 7;
	fixture_set(&map_node(s->pool, root)->slot[at], DAXFS_W_NAME, 0);
	fixture_want(s, "bad-run: page %llu slot[%u]", (unsigned long long)root, at);
}

/* All slots of a run say that it is shorter: its leaf has two names, and entries of other slots. */
static void run_too_short(struct fixture *s)
{
	uint64_t root = link_index(sm_load(&fixture_inode(s, s->sub)->dir_root));
	struct sm_dirent entry;
	uint64_t leaf = leaf_for(s, &entry);
	unsigned first = trie_run_start(trie_digit(entry.hash, 0), 5);

	put_in_leaf(s, leaf, &entry, 2);
	for (unsigned i = first; i < first + 32; i++)
		fixture_set(&map_node(s->pool, root)->slot[i], DAXFS_W_NAME, name_payload(DAXFS_LEAF, leaf, 4));
	fixture_want(s, "double-use: page %llu slot[%u]", (unsigned long long)root, first + 16);
}

/* One slot of a run names another leaf than all others. */
static void run_of_another(struct fixture *s)
{
	uint64_t root = link_index(sm_load(&fixture_inode(s, s->sub)->dir_root));
	struct sm_dirent entry;
	unsigned first;

	put_in_leaf(s, leaf_for(s, &entry), &entry, 2);
	first = trie_run_start(trie_digit(entry.hash, 0), 5);
	fixture_set(&map_node(s->pool, root)->slot[first], DAXFS_W_NAME, name_payload(DAXFS_LEAF, root, 5));
	fixture_want(s, "bad-run: page %llu slot[%u]: names page %llu", (unsigned long long)root, first,
		     (unsigned long long)root);
}

/* The empty directory has lost its root. */
static void no_root_node(struct fixture *s)
{
	fixture_set(&fixture_inode(s, s->sub)->dir_root, DAXFS_W_LINK, 0);
	fixture_want(s, "bad-kind: inode %llu dir_root: a directory's root", (unsigned long long)s->sub);
}

static void root_of_no_directory(struct fixture *s)
{
	fixture_set(&fixture_inode(s, s->fifo)->dir_root, DAXFS_W_LINK, link_payload(DAXFS_NODE, 5));
	fixture_want(s, "bad-kind: inode %llu dir_root: used", (unsigned long long)s->fifo);
}

static void no_generation(struct fixture *s)
{
	uint64_t i = fixture_find(s, DAXFS_T_INODE, DAXFS_FREE);

	sm_store(&fixture_inode(s, i)->i_generation, 1ull << 40);
	fixture_want(s, "bad-handle: inode %llu i_generation", (unsigned long long)i);
}

/* A file of storage says that it has more pages there than it has. */
static void stored_beyond(struct fixture *s)
{
	struct sm_inode *sm = fixture_inode(s, s->victim);

	sm_store(&sm->rdev, 1ull << 56 | 5);
	fixture_set(&sm->dir_root, DAXFS_W_LINK, stored_payload(DAXFS_STORED_SAME, 100));
	fixture_want(s, "bad-stored: inode %llu dir_root", (unsigned long long)s->victim);
}

static void attributes_spoilt(struct fixture *s)
{
	struct sm_xattrs *page = (void *)pool_page(s->pool, link_index(sm_load(&fixture_inode(s, s->small)->xattrs)));

	page->crc ^= 1;
	fixture_want(s, "bad-xattrs: inode %llu xattrs: the page makes no sense", (unsigned long long)s->small);
}

/* -- all of them ---------------------------------------------------------------- */

static const struct damage damages[] = {
	DAMAGE(same_page_twice, 1),
	DAMAGE(page_of_another, 1),
	DAMAGE(no_such_page, 1),
	DAMAGE(node_names_itself, 1),
	DAMAGE(kind_in_file, 1),
	DAMAGE(data_past_end, 1),
	DAMAGE(tail_not_zero, 1),
	DAMAGE(node_past_end, 1),
	DAMAGE(prune_forgotten, 1),
	DAMAGE(too_large, 1),
	DAMAGE(said_in_storage, 1),
	DAMAGE(said_in_storage_wide, 1),
	DAMAGE(root_said_in_storage, 1),
	DAMAGE(directory_said_in_storage, 1),
	DAMAGE(short_target, 1),
	DAMAGE(no_target, 1),
	DAMAGE(link_too_many, 1),
	DAMAGE(named_orphan, 1),
	DAMAGE(orphan_forgotten, 1),
	DAMAGE(dead_forgotten, 1),
	DAMAGE(no_type, 2),
	DAMAGE(fifo_with_pages, 1),
	DAMAGE(hash_changed, 1),
	DAMAGE(name_changed, 1),
	DAMAGE(name_with_slash, 1),
	DAMAGE(name_unended, 1),
	DAMAGE(entry_moved, 1),
	DAMAGE(wrong_type, 1),
	DAMAGE(stale_handle, 2),
	DAMAGE(count_off, 1),
	DAMAGE(frozen_in_use, 1),
	DAMAGE(removed_not_frozen, 1),
	DAMAGE(wrong_parent, 1),
	DAMAGE(node_without_names, 1),
	DAMAGE(cycle, 0),
	DAMAGE(cycle_cut_off, 0),
	DAMAGE(root_named, 0),
	DAMAGE(dir_node_names_itself, 1),
	DAMAGE(root_is_no_directory, 0),
	DAMAGE(name_twice, 1),
	DAMAGE(twin_twice, 0),
	DAMAGE(twin_too_large, 1),
	DAMAGE(wrong_hint, 1),
	DAMAGE(wrong_bucket, 1),
	DAMAGE(leaf_without_names, 1),
	DAMAGE(node_in_leaf, 1),
	DAMAGE(run_broken, 1),
	DAMAGE(run_too_short, 0),
	DAMAGE(run_of_another, 2),
	DAMAGE(no_root_node, 2),
	DAMAGE(root_of_no_directory, 1),
	DAMAGE(no_generation, 1),
	DAMAGE(stored_beyond, 1),
	DAMAGE(attributes_spoilt, 1),
};

static void every_damage_is_found(void **unused)
{
	(void)unused;
	fixture_damages(damages, sizeof(damages) / sizeof(damages[0]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_damage_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
