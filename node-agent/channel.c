/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel.c - the first request, and what is seen in those that follow.
 *
 * The kernel's first request (INIT) is read here and handed to libfuse as the first
 * that it reads; other workers wait until it is answered, because
 * libfuse refuses all other requests before that. Its answer is completed on the way
 * out: flags that the kernel offers, we want, and libfuse may not know of.
 *
 * The connection may have been served before, by a process that has died. Then the answer to the
 * first request, which the estate has kept, is for libfuse alone, and the kernel
 * is asked to send again what that process had taken and not answered. The kernel marks these requests, and the
 * estate has receipts for them: what has happened is answered, not done again (ops_again.c).
 *
 * Workers do not queue at one descriptor of the connection: each reads by a clone of it, a door, and
 * must answer by the same. Requests that were taken by a door fail when it closes. So doors outlive
 * the process, too. Where the kernel cannot send again (before 6.9) they are the process's
 * own: then the requests that it had taken fail when it dies, instead of waiting for ever.
 *
 * Any worker, any time; the phases are under a lock that a worker takes until the
 * session is open, and the note of what a worker reads is its own.
 */
#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>

#include "node-agent/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "node-agent/ops.h"

/* The headers of Debian 12 end with protocol 7.38. */
#define WANT_MAPPINGS (1ull << 36) /* FUSE_DIRECT_IO_ALLOW_MMAP, 7.39 */
#define WANT_RESENDS (1ull << 39)  /* FUSE_HAS_RESEND, 7.40 */
#define NOTIFY_RESEND 7
#define NOTIFY_INC_EPOCH 8
#define MINOR_EPOCHS 44         /* of the protocol, with which NOTIFY_INC_EPOCH came */
#define SENT_AGAIN (1ull << 63) /* in the number of a request */

static const struct {
	uint64_t flag;
	unsigned can;
} wanted[] = { { WANT_MAPPINGS, CHANNEL_MAPPINGS }, { WANT_RESENDS, CHANNEL_RESENDS } };
#define N_WANTED (sizeof(wanted) / sizeof(wanted[0]))

static _Thread_local bool reads_for_cache;
static _Thread_local struct estate_request *request;
static _Thread_local bool is_aside;
static _Thread_local int door = -1;

bool channel_reads_for_cache(void)
{
	return reads_for_cache;
}

struct estate_request *channel_request(void)
{
	return request;
}

bool channel_aside(struct daxfs *fs, bool aside)
{
	bool was = is_aside;

	is_aside = aside;
	daxfs_receipt_use(fs, request && !aside ? &request->receipt : NULL);
	return was;
}

int channel_door(void)
{
	return door;
}

void channel_answer_by(int by)
{
	door = by;
}

void channel_leave(const struct channel *c, struct channel_place *out)
{
	*out = (struct channel_place){ door, request };
	request = NULL;
	daxfs_receipt_use(c->fs, NULL);
}

void channel_go_on(const struct channel *c, const struct channel_place *place)
{
	door = place->door;
	request = place->request;
	channel_aside(c->fs, false);
}

/* -- the first request ------------------------------------------------------------- */

static const struct fuse_init_in *init_in(const struct channel *c)
{
	return (const void *)(c->init + sizeof(struct fuse_in_header));
}

static const struct fuse_in_header *init_header(const struct channel *c)
{
	return (const struct fuse_in_header *)(const void *)c->init;
}

static uint64_t offered(const struct channel *c)
{
	const struct fuse_init_in *in = init_in(c);
	uint64_t flags = in->flags;

	if (flags & FUSE_INIT_EXT && c->init_len >= sizeof(struct fuse_in_header) + sizeof(*in))
		flags |= (uint64_t)in->flags2 << 32;
	return flags;
}

/* Read it, and keep it for the next life. */
static int take_first(int fd, unsigned char *init, size_t *len)
{
	static unsigned char buf[FUSE_MIN_READ_BUFFER]; /* the kernel takes no smaller one */
	ssize_t n;

	do
		n = read(fd, buf, sizeof(buf));
	while (n < 0 && (errno == EINTR || errno == ENOENT));
	if (n < 0)
		return -errno;
	*len = (size_t)n < ESTATE_GREETING_MAX ? (size_t)n : ESTATE_GREETING_MAX;
	memcpy(init, buf, *len);
	return 0;
}

int channel_greet(struct channel *c, int fd, struct estate *estate, struct daxfs *fs)
{
	static const size_t least = sizeof(struct fuse_in_header) + offsetof(struct fuse_init_in, flags2);
	size_t *len;
	int error = 0;

	memset(c, 0, sizeof(*c));
	c->fd = fd;
	c->estate = estate;
	c->fs = fs;
	c->goes_on = estate_is_mounted(estate);
	c->init = estate_greeting(estate, &len);
	if (!c->goes_on)
		error = take_first(fd, c->init, len);
	if (error)
		return error;
	c->init_len = *len;
	if (c->init_len < least || c->init_len > ESTATE_GREETING_MAX || init_header(c)->opcode != FUSE_INIT)
		return -EPROTO;
	for (size_t i = 0; i < N_WANTED; i++)
		c->can |= offered(c) & wanted[i].flag ? wanted[i].can : 0;
	if (init_in(c)->minor >= MINOR_EPOCHS)
		c->can |= CHANNEL_EPOCHS;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->changed, NULL);
	return 0;
}

void channel_fini(struct channel *c)
{
	pthread_cond_destroy(&c->changed);
	pthread_mutex_destroy(&c->lock);
}

/* Says yes to what the kernel offers and we want. */
static void complete(const struct channel *c, struct fuse_init_out *out)
{
	uint64_t flags = 0;

	for (size_t i = 0; i < N_WANTED; i++)
		flags |= offered(c) & wanted[i].flag;
	if (!flags)
		return;
	out->flags |= FUSE_INIT_EXT;
	out->flags2 |= (uint32_t)(flags >> 32);
}

static void open_for_all(struct channel *c)
{
	pthread_mutex_lock(&c->lock);
	c->phase = CHANNEL_OPEN;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
}

/* The first who reads gets the first request: its length. The others wait for its answer: 0. */
static size_t hand_out_first(struct channel *c, void *buf)
{
	size_t n = 0;

	pthread_mutex_lock(&c->lock);
	if (c->phase == CHANNEL_NEW) {
		c->phase = CHANNEL_GREETED;
		memcpy(buf, c->init, c->init_len);
		n = c->init_len;
	}
	while (!n && c->phase != CHANNEL_OPEN)
		pthread_cond_wait(&c->changed, &c->lock);
	pthread_mutex_unlock(&c->lock);
	return n;
}

static size_t total(const struct iovec *iov, int count)
{
	size_t n = 0;

	for (int i = 0; i < count; i++)
		n += iov[i].iov_len;
	return n;
}

/* Tell the kernel something, which is no answer. An error says that the mount is gone, as the next read will. */
static int notify(const struct channel *c, int code, void *what, size_t len)
{
	struct fuse_out_header head = { .len = (uint32_t)(sizeof(head) + len), .error = code };
	const struct iovec iov[] = { { &head, sizeof(head) }, { what, len } };

	return writev(c->fd, iov, len ? 2 : 1) < 0 ? -errno : 0;
}

/* Of its pages nothing is said: what is mapped is kept as it was (ops_map.c). */
int channel_forget_attributes(const struct channel *c, uint64_t ino)
{
	struct fuse_notify_inval_inode_out what = { .ino = ino, .off = -1 };

	if (c->told)
		told_forgets(c->told, ino);
	return notify(c, FUSE_NOTIFY_INVAL_INODE, &what, sizeof(what));
}

int channel_forget_names(const struct channel *c)
{
	if (c->told)
		told_forgets_all(c->told);
	return notify(c, NOTIFY_INC_EPOCH, NULL, 0);
}

/* What the former life has taken. */
static void ask_again(const struct channel *c)
{
	if (c->can & CHANNEL_RESENDS)
		notify(c, NOTIFY_RESEND, NULL, 0);
}

/* By the descriptor that it came by: the kernel knows it nowhere else. */
static ssize_t write_first(struct channel *c, struct iovec *iov, int count)
{
	ssize_t n = (ssize_t)total(iov, count);

	if (count == 2 && iov[1].iov_len >= sizeof(struct fuse_init_out))
		complete(c, iov[1].iov_base);
	if (c->goes_on)
		ask_again(c);
	else
		n = writev(c->fd, iov, count);
	if (n > 0)
		estate_mounted(c->estate, daxfs_tenancy(c->fs));
	estate_served(c->estate);
	open_for_all(c);
	c->served(c->context);
	return n;
}

/* -- all of them --------------------------------------------------------------------- */

/* Does it change something, or open a file? To ask for the rest twice does no harm. */
static bool is_noted(uint32_t opcode)
{
	switch (opcode) {
	case FUSE_SETATTR:
	case FUSE_SYMLINK:
	case FUSE_MKNOD:
	case FUSE_MKDIR:
	case FUSE_UNLINK:
	case FUSE_RMDIR:
	case FUSE_RENAME:
	case FUSE_RENAME2:
	case FUSE_LINK:
	case FUSE_OPEN:
	case FUSE_WRITE:
	case FUSE_OPENDIR:
	case FUSE_CREATE:
	case FUSE_SETXATTR:
	case FUSE_REMOVEXATTR: return true;
	default: return false;
	}
}

static void note(const struct channel *c, const struct fuse_in_header *in)
{
	request = is_noted(in->opcode) ? estate_begin(c->estate, in->unique & ~SENT_AGAIN, in->unique & SENT_AGAIN)
				       : NULL;
	channel_aside(c->fs, false);
}

/* A program that reads is named as an owner of locks, the page cache is not. */
static void look_at(const struct channel *c, struct ops *ops, const void *buf, size_t len)
{
	const struct fuse_in_header *in = buf;
	const struct fuse_read_in *read_in = (const void *)(in + 1);

	reads_for_cache = len >= sizeof(*in) + sizeof(*read_in) && in->opcode == FUSE_READ &&
			  !(read_in->read_flags & FUSE_READ_LOCKOWNER);
	if (len < sizeof(*in))
		return;
	affinity_asked(&ops->affinity, in->pid);
	affinity_moves(&ops->affinity, len);
	note(c, in);
	if (!kernel_cache_keeps_names(&ops->cache))
		return;
	kernel_cache_asked(&ops->cache, in->pid, in->opcode, in->nodeid);
	told_asked(&ops->told, in->opcode, in->nodeid);
}

static struct channel *channel_of(void *userdata)
{
	return ((struct ops *)userdata)->channel;
}

/* For a thread that reads for the first time. A clone of a former life is one already (EINVAL). */
static int open_door(struct channel *c)
{
	uint32_t master = (uint32_t)c->fd;
	int fd = c->can & CHANNEL_RESENDS ? estate_door(c->estate, atomic_fetch_add(&c->readers, 1))
					  : open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (fd < 0 || (ioctl(fd, FUSE_DEV_IOC_CLONE, &master) < 0 && errno != EINVAL))
		return c->fd;
	return fd;
}

/*
 * Killed while it copies a request into pages that this process has not touched yet, the kernel would end the
 * request in EIO instead of keeping it for the next life.
 */
static void touch(void *buf, size_t len)
{
	static _Thread_local void *touched;

	if (touched == buf)
		return;
	memset(buf, 0, len);
	touched = buf;
}

static ssize_t read_request(int fd, void *buf, size_t len, void *userdata)
{
	struct channel *c = channel_of(userdata);
	size_t first = hand_out_first(c, buf);
	ssize_t n;

	(void)fd;
	if (first)
		return (ssize_t)first;
	if (door < 0) {
		door = open_door(c);
		affinity_join(&((struct ops *)userdata)->affinity);
	}
	touch(buf, len);
	n = read(door, buf, len);
	if (n > 0)
		look_at(c, userdata, buf, (size_t)n);
	return n;
}

static ssize_t write_answer(int fd, struct iovec *iov, int count, void *userdata)
{
	struct channel *c = channel_of(userdata);
	const struct fuse_out_header *out = iov[0].iov_base;
	ssize_t n;

	if (out->unique == init_header(c)->unique)
		return write_first(c, iov, count);
	affinity_moves(&((struct ops *)userdata)->affinity, out->len);
	n = writev(door < 0 ? fd : door, iov, count);
	if (request && (out->unique & ~SENT_AGAIN) == request->unique) {
		daxfs_receipt_use(c->fs, NULL);
		estate_end(c->estate, request);
		request = NULL;
	}
	return n;
}

int channel_attach(const struct channel *c, struct fuse_session *se)
{
	static const struct fuse_custom_io io = { .writev = write_answer, .read = read_request };

	return fuse_session_custom_io(se, &io, c->fd);
}
