/* SPDX-License-Identifier: Apache-2.0 */
/* estate.c - see estate.h. */
#include "node-agent/estate.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node-agent/config.h"
#include "node-agent/mountpoint.h"

#define MAGIC 0x3265746174736564ull /* changes with the body: a mount then ends with an upgrade */
#define FILE_BITS 22u
#define FILES (1u << FILE_BITS)

struct open_file {
	uint64_t ino; /* 0: free */
	uint64_t uses;
	uint64_t how; /* CACHED, and above it the thread that made it and may not know yet, or 0 */
};

#define CACHED 1ull /* the kernel reads it by its cache */
#define MADE_BY 8   /* bits from here on */

/*
 * The memory is a head and a body. The settings, which grow from version to version, are the end of the head; the body
 * is the last bytes, whatever is before it. So a program goes on with what one left whose settings are longer or
 * shorter: upgraded, and then back, for the memory stays as it was made. Pages that nobody has touched take none.
 */
struct estate_head {
	uint64_t magic;
	uint64_t mounted;
	uint64_t tenancy;
	uint64_t lives;
	bool kept;
	struct config config; /* of the size that whoever made it knew */
};

struct estate_body {
	char mountpoint[PATH_MAX];
	int door[ESTATE_DOORS]; /* numbers of descriptors: the same in each life */
	size_t greeting_len;
	unsigned char greeting[ESTATE_GREETING_MAX];
	struct estate_request request[ESTATE_REQUESTS];
	uint64_t n_files; /* places that were ever used */
	struct open_file file[FILES];
};

#define CONFIG_LEAST offsetof(struct config, backing) /* what all versions have: config_same_place */
#define CONFIG_MOST (1u << 20)
static_assert(CONFIG_LEAST == 16720, "settings that another version reads have moved");
static_assert(sizeof(struct config) % 8 == 0 && sizeof(struct config) <= CONFIG_MOST, "the body is aligned");
static_assert(sizeof(struct estate_body) == 101093968, "else it wants another magic");

static size_t size_with(size_t config)
{
	return offsetof(struct estate_head, config) + config + sizeof(struct estate_body);
}

static void publish(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static uint64_t look(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

/* -- the memory ----------------------------------------------------------------------- */

static int map(struct estate *e, size_t size, struct daxfs_error *err)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, e->fd, 0);

	if (at == MAP_FAILED)
		return daxfs_error_set(err, -errno, "no memory for what outlives this process");
	e->size = size;
	e->head = at;
	e->body = (struct estate_body *)((char *)at + size - sizeof(*e->body));
	return 0;
}

int estate_create(struct estate *e, struct daxfs_error *err)
{
	int error;

	memset(e, 0, sizeof(*e));
	error = mountpoint_open_fuse(&e->fuse_fd, err);
	if (error)
		return error;
	e->fd = memfd_create("daxfs-estate", MFD_CLOEXEC);
	if (e->fd < 0 || ftruncate(e->fd, (off_t)size_with(sizeof(struct config))) < 0)
		return daxfs_error_set(err, -errno, "no memory for what outlives this process");
	error = map(e, size_with(sizeof(struct config)), err);
	if (error)
		return error;
	e->head->magic = MAGIC;
	for (unsigned i = 0; !error && i < ESTATE_DOORS; i++)
		error = mountpoint_open_fuse(&e->body->door[i], err);
	return error;
}

int estate_door(const struct estate *e, unsigned i)
{
	return e->body->door[i % ESTATE_DOORS];
}

void estate_pass_on(const struct estate *e)
{
	fcntl(e->fd, F_SETFD, 0);
	fcntl(e->fuse_fd, F_SETFD, 0);
	for (unsigned i = 0; i < ESTATE_DOORS; i++)
		fcntl(e->body->door[i], F_SETFD, 0);
}

void estate_close(struct estate *e)
{
	for (unsigned i = 0; i < ESTATE_DOORS; i++)
		close(e->body->door[i]);
	munmap(e->head, e->size);
	close(e->fd);
	close(e->fuse_fd);
	free(e->free);
	free(e->taken);
	free(e->left);
	free(e->again);
	memset(e, 0, sizeof(*e));
}

/* Of whichever settings; the size says how long they are. */
static bool is_size(off_t size)
{
	return size >= (off_t)size_with(CONFIG_LEAST) && size <= (off_t)size_with(CONFIG_MOST) && size % 8 == 0;
}

int estate_inherit(struct estate *e, int fd, int fuse_fd, struct daxfs_error *err)
{
	struct stat st;
	int error;

	memset(e, 0, sizeof(*e));
	e->fd = fd;
	e->fuse_fd = fuse_fd;
	if (fstat(fd, &st) < 0 || !is_size(st.st_size))
		return daxfs_error_set(err, -EINVAL, "what the former program left is not of this version");
	error = map(e, (size_t)st.st_size, err);
	if (!error && e->head->magic != MAGIC)
		return daxfs_error_set(err, -EINVAL, "what the former program left is not of this version");
	return error;
}

void estate_set_doors(struct estate *e, const int door[ESTATE_DOORS])
{
	memcpy(e->body->door, door, sizeof(e->body->door));
}

void estate_place(struct estate *e, const struct config *config, const char *mountpoint)
{
	e->head->config = *config;
	snprintf(e->body->mountpoint, sizeof(e->body->mountpoint), "%s", mountpoint);
}

void estate_kept(struct estate *e)
{
	e->head->kept = true;
}

bool estate_is_kept(const struct estate *e)
{
	return e->head->kept;
}

/*
 * Settings of another size are of another version: what both have is compared. Both programs were called with the
 * same.
 */
bool estate_is_of(const struct estate *e, const struct config *config)
{
	if (e->size == size_with(sizeof(*config)))
		return config_same_mount(&e->head->config, config);
	return config_same_place(&e->head->config, config);
}

const char *estate_mountpoint(const struct estate *e)
{
	return e->body->mountpoint;
}

/*
 * The lock belongs to a file description that only this process has, so it ends with the process, after its
 * memory: then nothing stores for it any more. One that is killed may take a moment to end.
 */
static int lock_memory(const struct estate *e)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char path[48];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", e->fd);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (fcntl(fd, F_OFD_SETLKW, &whole) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

int estate_enter(struct estate *e)
{
	int error = lock_memory(e);

	if (error)
		return error;
	pthread_mutex_init(&e->lock, NULL);
	e->taken = calloc(ESTATE_REQUESTS, sizeof(*e->taken));
	e->left = calloc(ESTATE_REQUESTS, sizeof(*e->left));
	e->again = calloc(ESTATE_REQUESTS, sizeof(*e->again));
	if (!e->taken || !e->left || !e->again)
		return -ENOMEM;
	for (unsigned i = 0; i < ESTATE_REQUESTS; i++)
		if (e->body->request[i].unique) {
			e->taken[i] = e->left[i] = true;
			atomic_fetch_add(&e->n_left, 1);
		}
	return 0;
}

bool estate_is_mounted(const struct estate *e)
{
	return look(&e->head->mounted);
}

void estate_mounted(struct estate *e, uint64_t tenancy)
{
	e->head->tenancy = tenancy;
	publish(&e->head->mounted, 1);
}

uint64_t estate_tenancy(const struct estate *e)
{
	return e->head->tenancy;
}

unsigned char *estate_greeting(struct estate *e, size_t **len)
{
	*len = &e->body->greeting_len;
	return e->body->greeting;
}

void estate_served(struct estate *e)
{
	publish(&e->head->lives, e->head->lives + 1);
}

uint64_t estate_lives(const struct estate *e)
{
	return look(&e->head->lives);
}

/* -- open files --------------------------------------------------------------------------- */

static struct open_file *file_at(const struct estate *e, uint64_t fh)
{
	return &e->body->file[fh & (FILES - 1)];
}

static bool is_current(const struct estate *e, uint64_t fh)
{
	return file_at(e, fh)->uses == fh >> FILE_BITS;
}

/* Numbers begin with the first use, so that none is 0. */
uint64_t estate_file_new(struct estate *e)
{
	uint64_t at = FILES, fh = 0;

	pthread_mutex_lock(&e->lock);
	if (e->n_free)
		at = e->free[--e->n_free];
	else if (e->body->n_files < FILES)
		at = e->body->n_files++;
	if (at < FILES) {
		if (!e->body->file[at].uses)
			e->body->file[at].uses = 1;
		fh = e->body->file[at].uses << FILE_BITS | at;
	}
	pthread_mutex_unlock(&e->lock);
	return fh;
}

void estate_file_cached(struct estate *e, uint64_t fh)
{
	publish(&file_at(e, fh)->how, CACHED);
}

bool estate_file_is_cached(const struct estate *e, uint64_t fh)
{
	return look(&file_at(e, fh)->how) & CACHED;
}

void estate_each_cached(const struct estate *e, void (*each)(void *context, daxfs_ino ino), void *context)
{
	for (uint64_t i = 0; i < e->body->n_files && i < FILES; i++)
		if (e->body->file[i].ino && e->body->file[i].how & CACHED)
			each(context, e->body->file[i].ino);
}

void estate_file_made_by(struct estate *e, uint64_t fh, uint32_t thread)
{
	pthread_mutex_lock(&e->lock);
	if (is_current(e, fh))
		publish(&file_at(e, fh)->how, (uint64_t)thread << MADE_BY);
	pthread_mutex_unlock(&e->lock);
}

void estate_each_made(const struct estate *e, void (*each)(void *context, uint64_t fh, daxfs_ino ino, uint32_t thread),
		      void *context)
{
	for (uint64_t i = 0; i < e->body->n_files && i < FILES; i++) {
		const struct open_file *file = &e->body->file[i];

		if (file->ino && file->how >> MADE_BY)
			each(context, file->uses << FILE_BITS | i, file->ino, (uint32_t)(file->how >> MADE_BY));
	}
}

void estate_file_set(struct estate *e, uint64_t fh, daxfs_ino ino)
{
	publish(&file_at(e, fh)->ino, ino);
}

daxfs_ino estate_file(const struct estate *e, uint64_t fh)
{
	return fh && is_current(e, fh) ? look(&file_at(e, fh)->ino) : 0;
}

/* With the lock. A place that cannot be noted is free again in the next life. */
static void note_free(struct estate *e, uint32_t at)
{
	size_t max = e->free_max ? 2 * e->free_max : 1024;
	uint32_t *more;

	if (e->n_free == e->free_max) {
		more = realloc(e->free, max * sizeof(*more));
		if (!more)
			return;
		e->free = more;
		e->free_max = max;
	}
	e->free[e->n_free++] = at;
}

void estate_file_free(struct estate *e, uint64_t fh)
{
	struct open_file *file = file_at(e, fh);

	pthread_mutex_lock(&e->lock);
	if (is_current(e, fh)) {
		publish(&file->uses, file->uses + 1); /* before the place is free: the old number is over */
		publish(&file->ino, 0);
		publish(&file->how, 0);
		note_free(e, (uint32_t)(fh & (FILES - 1)));
	}
	pthread_mutex_unlock(&e->lock);
}

static void hold_files(struct estate *e, struct daxfs *fs)
{
	for (uint64_t i = 0; i < e->body->n_files && i < FILES; i++) {
		struct open_file *file = &e->body->file[i];

		if (file->ino && daxfs_file_open(fs, file->ino) == 0)
			continue;
		file->uses++;
		file->ino = 0;
		file->how = 0;
		note_free(e, (uint32_t)i);
	}
}

/* -- requests ------------------------------------------------------------------------------ */

static int receipts_left(struct estate *e, struct daxfs_receipt ***out)
{
	struct daxfs_receipt **list = calloc(ESTATE_REQUESTS, sizeof(struct daxfs_receipt *));
	int n = 0;

	if (!list)
		return -ENOMEM;
	for (unsigned i = 0; i < ESTATE_REQUESTS; i++)
		if (e->left[i])
			list[n++] = &e->body->request[i].receipt;
	*out = list;
	return n;
}

/* A file that a request made, and perhaps had not told the kernel of yet. */
static void hold_made(struct estate *e)
{
	for (unsigned i = 0; i < ESTATE_REQUESTS; i++) {
		struct estate_request *r = &e->body->request[i];
		const struct daxfs_receipt_step *step = &r->receipt.step[r->receipt.current & 1];

		if (!e->left[i] || !step->happened || !step->ino || !r->fh)
			continue;
		if (is_current(e, r->fh)) /* else it was answered, and closed since */
			estate_file_set(e, r->fh, step->ino);
	}
}

int estate_take_over(struct estate *e, struct daxfs *fs, unsigned host, struct daxfs_error *err)
{
	struct daxfs_receipt **receipts;
	int n = receipts_left(e, &receipts), error;

	if (n < 0)
		return daxfs_error_set(err, n, "out of memory");
	error = daxfs_resume(fs, host, estate_tenancy(e), receipts, (unsigned)n, err);
	free(receipts);
	if (error)
		return error;
	hold_made(e);
	hold_files(e, fs);
	return 0;
}

static struct estate_request *find_left(struct estate *e, uint64_t unique)
{
	for (unsigned i = 0; i < ESTATE_REQUESTS; i++)
		if (e->left[i] && e->body->request[i].unique == unique) {
			e->left[i] = false;
			e->again[i] = true;
			atomic_fetch_add(&e->n_again, 1);
			atomic_fetch_sub(&e->n_left, 1);
			return &e->body->request[i];
		}
	return NULL;
}

static struct estate_request *find_free(struct estate *e)
{
	for (unsigned i = 0; i < ESTATE_REQUESTS; i++)
		if (!e->taken[i]) {
			e->taken[i] = true;
			return &e->body->request[i];
		}
	return NULL;
}

struct estate_request *estate_begin(struct estate *e, uint64_t unique, bool again)
{
	struct estate_request *r = NULL;

	pthread_mutex_lock(&e->lock);
	if (again && atomic_load(&e->n_left))
		r = find_left(e, unique);
	if (!r) {
		r = find_free(e);
		if (r) {
			r->fh = 0;
			memset(&r->receipt, 0, sizeof(r->receipt));
			publish(&r->unique, unique);
		}
	}
	pthread_mutex_unlock(&e->lock);
	return r;
}

void estate_end(struct estate *e, struct estate_request *r)
{
	size_t i = (size_t)(r - e->body->request);

	pthread_mutex_lock(&e->lock);
	publish(&r->unique, 0);
	e->taken[i] = false;
	if (e->again[i])
		atomic_fetch_sub(&e->n_again, 1);
	e->again[i] = false;
	pthread_mutex_unlock(&e->lock);
}

bool estate_does_again(const struct estate *e)
{
	return atomic_load(&e->n_again);
}

void estate_expire(struct estate *e)
{
	pthread_mutex_lock(&e->lock);
	for (unsigned i = 0; atomic_load(&e->n_left) && i < ESTATE_REQUESTS; i++)
		if (e->left[i]) {
			publish(&e->body->request[i].unique, 0);
			e->taken[i] = e->left[i] = false;
			atomic_fetch_sub(&e->n_left, 1);
		}
	pthread_mutex_unlock(&e->lock);
}
