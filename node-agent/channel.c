/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel.c - the first request, and what is seen in those that follow.
 *
 * The kernel's first request (INIT) is read here and handed to libfuse as the first
 * that it reads; whoever else reads meanwhile waits until it is answered, for
 * libfuse refuses all others before that. Its answer is completed on the way
 * out: flags that the kernel offers, we want, and libfuse may not know of.
 *
 * Any worker, any time; the phases are under a lock that a worker takes until the
 * session is open, and the note of what a worker reads is its own.
 */
#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>

#include "node-agent/channel.h"

#include <errno.h>
#include <linux/fuse.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "node-agent/ops.h"

/* The headers of Debian 12 end with protocol 7.38. */
#define WANT_MAPPINGS (1ull << 36) /* FUSE_DIRECT_IO_ALLOW_MMAP, 7.39 */

static const struct {
	uint64_t flag;
	unsigned can;
} wanted[] = { { WANT_MAPPINGS, CHANNEL_MAPPINGS } };
#define N_WANTED (sizeof(wanted) / sizeof(wanted[0]))

static _Thread_local bool reads_for_cache;

bool channel_reads_for_cache(void)
{
	return reads_for_cache;
}

/* -- the first request ------------------------------------------------------------- */

static const struct fuse_in_header *init_header(const struct channel *c)
{
	return (const struct fuse_in_header *)(const void *)c->init;
}

static uint64_t offered(const struct channel *c)
{
	const struct fuse_init_in *in = (const void *)(c->init + sizeof(struct fuse_in_header));
	uint64_t flags = in->flags;

	if (flags & FUSE_INIT_EXT && c->init_len >= sizeof(struct fuse_in_header) + sizeof(*in))
		flags |= (uint64_t)in->flags2 << 32;
	return flags;
}

int channel_greet(struct channel *c, int fd)
{
	static const size_t least = sizeof(struct fuse_in_header) + offsetof(struct fuse_init_in, flags2);
	static unsigned char buf[FUSE_MIN_READ_BUFFER]; /* the kernel takes no smaller one */
	ssize_t n;

	do
		n = read(fd, buf, sizeof(buf));
	while (n < 0 && (errno == EINTR || errno == ENOENT));
	if (n < 0)
		return -errno;
	memset(c, 0, sizeof(*c));
	c->fd = fd;
	c->init_len = (size_t)n < sizeof(c->init) ? (size_t)n : sizeof(c->init);
	memcpy(c->init, buf, c->init_len);
	if (c->init_len < least || init_header(c)->opcode != FUSE_INIT)
		return -EPROTO;
	for (size_t i = 0; i < N_WANTED; i++)
		c->can |= offered(c) & wanted[i].flag ? wanted[i].can : 0;
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

/* By the descriptor that it came by: the kernel knows it nowhere else. */
static ssize_t write_first(struct channel *c, struct iovec *iov, int count)
{
	ssize_t n;

	if (count == 2 && iov[1].iov_len >= sizeof(struct fuse_init_out))
		complete(c, iov[1].iov_base);
	n = writev(c->fd, iov, count);
	open_for_all(c);
	return n;
}

/* -- all of them --------------------------------------------------------------------- */

/* A program that reads is named as an owner of locks, the page cache is not. */
static void look_at(const void *buf, size_t len)
{
	const struct fuse_in_header *in = buf;
	const struct fuse_read_in *read_in = (const void *)(in + 1);

	reads_for_cache = len >= sizeof(*in) + sizeof(*read_in) && in->opcode == FUSE_READ &&
			  !(read_in->read_flags & FUSE_READ_LOCKOWNER);
}

static struct channel *channel_of(void *userdata)
{
	return ((struct ops *)userdata)->channel;
}

static ssize_t read_request(int fd, void *buf, size_t len, void *userdata)
{
	struct channel *c = channel_of(userdata);
	size_t first = hand_out_first(c, buf);
	ssize_t n;

	if (first)
		return (ssize_t)first;
	n = read(fd, buf, len);
	if (n > 0)
		look_at(buf, (size_t)n);
	return n;
}

static ssize_t write_answer(int fd, struct iovec *iov, int count, void *userdata)
{
	struct channel *c = channel_of(userdata);
	const struct fuse_out_header *out = iov[0].iov_base;

	if (out->unique == init_header(c)->unique)
		return write_first(c, iov, count);
	return writev(fd, iov, count);
}

int channel_attach(const struct channel *c, struct fuse_session *se)
{
	static const struct fuse_custom_io io = { .writev = write_answer, .read = read_request };

	return fuse_session_custom_io(se, &io, c->fd);
}
