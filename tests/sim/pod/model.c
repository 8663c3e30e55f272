/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model.c - see pod/model.h. Meanings of operations are in pod/meaning.c;
 * here: inodes, contents, the log. Single-threaded; the one model is a static.
 */
#include "pod/model.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "machine/arena.h"
#include "pod/meaning.h"

#define PAGE 4096u
#define PAGES_MAX 4096u
#define LOG_MAX 8192u

struct model_page {
	uint64_t number;
	struct model_page *next;
	uint8_t bytes[PAGE];
};

static struct storage {
	struct model_page *page; /* PAGES_MAX of them */
	struct model_page *unused;
	uint64_t told[MODEL_INODES];
	unsigned n_told;
	unsigned n_logged;
	struct logged {
		struct op op;
		struct commit commit;
		bool vanished, taken_back;
	} log[LOG_MAX];
} storage;

struct model model;

const char *const model_name[MODEL_NAMES] = {
	"a", "b", "c", "d", "=2k,x", "=2k,y", "=6k,1", "=6k,2", "a-longer-name-than-the-others", "e",
};

/* -- inodes ---------------------------------------------------------------------- */

struct minode *model_find(uint64_t handle)
{
	for (unsigned i = model.n; i-- > 0;)
		if (model.inode[i].handle == handle)
			return &model.inode[i];
	return NULL;
}

bool minode_exists(const struct minode *m)
{
	return m && (m->nlink || m->holders);
}

struct minode *model_new(uint64_t handle, uint32_t mode)
{
	struct minode *m = &model.inode[model.n];

	if (model.n == MODEL_INODES)
		arena_die("the model is out of inodes");
	model.n++;
	*m = (struct minode){ .handle = handle, .mode = mode, .nlink = 1, .version = ++model.clock };
	return m;
}

static void clear(void)
{
	for (unsigned i = 0; i < model.n; i++)
		minode_cut(&model.inode[i], 0);
	model = (struct model){ .clock = model.clock + 1 };
	model_new(1, S_IFDIR | 0755);
}

void model_reset(void)
{
	if (!storage.page)
		storage.page = arena_host_alloc(PAGES_MAX * sizeof(*storage.page));
	model.n = 0;
	storage.unused = NULL;
	for (unsigned i = 0; i < PAGES_MAX; i++) {
		storage.page[i].next = storage.unused;
		storage.unused = &storage.page[i];
	}
	storage.n_logged = storage.n_told = 0;
	clear();
	model_tell(model_handle(0));
}

/* -- contents -------------------------------------------------------------------- */

static struct model_page *page_of(const struct minode *m, uint64_t number)
{
	struct model_page *p = m->pages;

	while (p && p->number != number)
		p = p->next;
	return p;
}

static struct model_page *page_make(struct minode *m, uint64_t number)
{
	struct model_page *p = page_of(m, number);

	if (p)
		return p;
	p = storage.unused;
	if (!p)
		arena_die("the model is out of pages");
	storage.unused = p->next;
	memset(p->bytes, 0, sizeof(p->bytes));
	p->number = number;
	p->next = m->pages;
	m->pages = p;
	m->n_pages++;
	return p;
}

void minode_cut(struct minode *m, uint64_t size)
{
	struct model_page **at = &m->pages;

	while (*at) {
		struct model_page *p = *at;

		if (p->number * PAGE >= size) {
			*at = p->next;
			p->next = storage.unused;
			storage.unused = p;
			m->n_pages--;
			continue;
		}
		if ((p->number + 1) * PAGE > size)
			memset(p->bytes + size % PAGE, 0, PAGE - size % PAGE);
		at = &p->next;
	}
}

void minode_write(struct minode *m, uint64_t tag, uint64_t offset, uint64_t len)
{
	for (uint64_t at = 0; at < len;) {
		uint64_t in_page = (offset + at) % PAGE, n = PAGE - in_page;

		if (n > len - at)
			n = len - at;
		model_fill(page_make(m, (offset + at) / PAGE)->bytes + in_page, tag, at, n);
		at += n;
	}
}

uint64_t model_read(uint64_t handle, uint64_t offset, uint64_t len, uint8_t *out)
{
	const struct minode *m = model_find(handle);
	uint64_t end = m && offset < m->size ? (m->size - offset < len ? m->size : offset + len) : offset;

	for (uint64_t at = offset; at < end;) {
		const struct model_page *p = page_of(m, at / PAGE);
		uint64_t n = PAGE - at % PAGE;

		if (n > end - at)
			n = end - at;
		if (p)
			memcpy(out, p->bytes + at % PAGE, n);
		else
			memset(out, 0, n);
		out += n;
		at += n;
	}
	return end - offset;
}

static uint64_t scramble(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

/* Every eight bytes tell which write they are of, and where in it. */
void model_fill(uint8_t *out, uint64_t tag, uint64_t at, uint64_t len)
{
	for (uint64_t i = 0; i < len;) {
		uint64_t word = scramble(tag << 20 | at / 8) >> (at % 8 * 8);

		do {
			out[i++] = (uint8_t)word;
			word >>= 8;
		} while (++at % 8 && i < len);
	}
}

uint64_t model_stored_tag(unsigned file, uint64_t page)
{
	return (uint64_t)(file + 1) << 24 | page;
}

void model_target(uint64_t tag, char out[64])
{
	snprintf(out, 64, "to/%llu/%016llx", (unsigned long long)tag, (unsigned long long)scramble(tag));
}

uint64_t bytes_digest(const uint8_t *bytes, uint64_t len)
{
	uint64_t h = scramble(len + 1), v;

	for (; len >= 8; bytes += 8, len -= 8) {
		memcpy(&v, bytes, sizeof(v));
		h = (h ^ v) * 0x9fb21c651e98df25ull;
		h ^= h >> 29;
	}
	for (; len; bytes++, len--)
		h = (h ^ *bytes) * 0x100000001b3ull;
	return h ^ h >> 32;
}

uint64_t blocks_combine(const uint64_t *block, unsigned n, uint64_t len)
{
	uint64_t digest = scramble(len + 1);

	for (unsigned i = 0; i < n; i++)
		digest = scramble(digest ^ block[i]) + i;
	return digest;
}

unsigned blocks_digest(const uint8_t *bytes, uint64_t offset, uint64_t len, uint64_t *block, uint64_t *digest)
{
	unsigned n = 0;

	for (uint64_t at = 0; at < len; n++) {
		uint64_t part = MODEL_BLOCK - (offset + at) % MODEL_BLOCK;

		part = part < len - at ? part : len - at;
		block[n] = bytes_digest(bytes + at, part);
		at += part;
	}
	*digest = blocks_combine(block, n, len);
	return n;
}

uint64_t attr_digest(const struct model_attr *a)
{
	uint64_t v[6] = { a->ino, a->size, a->mode, a->uid, a->gid, a->nlink };

	return bytes_digest((const uint8_t *)v, sizeof(v));
}

/* -- the log ----------------------------------------------------------------------- */

const char *model_commit(const struct op *op, const struct commit *c, bool vanished, unsigned *log_index)
{
	struct logged *l = &storage.log[storage.n_logged];

	if (storage.n_logged == LOG_MAX)
		arena_die("the log of the model is full");
	*l = (struct logged){ .op = *op, .commit = *c, .vanished = vanished };
	*log_index = storage.n_logged++;
	return meaning_apply(op, c, vanished);
}

const char *model_take_back(unsigned log_index)
{
	const char *err = NULL;

	storage.log[log_index].taken_back = true;
	clear();
	for (unsigned i = 0; !err && i < storage.n_logged; i++) {
		const struct logged *l = &storage.log[i];

		if (!l->taken_back)
			err = meaning_apply(&l->op, &l->commit, l->vanished);
	}
	return err;
}

/* -- looking ------------------------------------------------------------------------- */

bool model_known(uint64_t handle)
{
	return model_find(handle) != NULL;
}

bool model_exists(uint64_t handle)
{
	return minode_exists(model_find(handle));
}

bool model_is_dir(uint64_t handle)
{
	const struct minode *m = model_find(handle);

	return m && S_ISDIR(m->mode);
}

bool model_is_empty(uint64_t handle)
{
	const struct minode *m = model_find(handle);
	unsigned used = 0;

	for (unsigned name = 0; m && name < MODEL_NAMES; name++)
		used += m->entry[name] != 0;
	return used == 0;
}

bool model_is_link(uint64_t handle)
{
	const struct minode *m = model_find(handle);

	return m && S_ISLNK(m->mode);
}

bool model_held(uint64_t handle, unsigned host)
{
	const struct minode *m = model_find(handle);

	return m && m->holders >> host & 1;
}

bool model_told(uint64_t handle)
{
	for (unsigned i = storage.n_told; i-- > 0;)
		if (storage.told[i] == handle)
			return true;
	return false;
}

void model_tell(uint64_t handle)
{
	if (model_find(handle) && !model_told(handle))
		storage.told[storage.n_told++] = handle;
}

uint64_t model_lookup(uint64_t dir, unsigned name)
{
	const struct minode *m = model_find(dir);

	return m && m->entry[name] ? model.inode[m->entry[name] - 1].handle : 0;
}

unsigned model_count(void)
{
	return model.n;
}

uint64_t model_handle(unsigned nth)
{
	return model.inode[nth].handle;
}

uint64_t model_by_index(uint64_t index)
{
	for (unsigned i = model.n; i-- > 0;)
		if ((uint32_t)model.inode[i].handle == index)
			return model.inode[i].handle;
	return 0;
}

uint64_t model_parent(uint64_t dir)
{
	const struct minode *m = model_find(dir);

	return m ? model.inode[m->parent].handle : 0;
}

uint64_t model_size(uint64_t handle)
{
	const struct minode *m = model_find(handle);

	return minode_exists(m) && S_ISREG(m->mode) ? m->size : 0;
}

bool model_attr(uint64_t handle, struct model_attr *out)
{
	const struct minode *m = model_find(handle);

	if (!minode_exists(m))
		return false;
	*out = (struct model_attr){
		.ino = handle,
		.size = S_ISDIR(m->mode) ? PAGE : m->size,
		.mode = m->mode,
		.uid = m->uid,
		.gid = m->gid,
		.nlink = m->nlink,
	};
	return true;
}

void model_usage(struct model_use *out)
{
	*out = (struct model_use){ 0 };
	for (unsigned i = 0; i < model.n; i++) {
		const struct minode *m = &model.inode[i];

		if (!minode_exists(m))
			continue;
		out->inodes++;
		out->pages += m->stored ? 0 : m->n_pages + (S_ISLNK(m->mode) ? 1 : 0);
		for (unsigned name = 0; name < MODEL_NAMES; name++)
			out->entries += m->entry[name] != 0;
	}
}
