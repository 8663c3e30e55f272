/* SPDX-License-Identifier: Apache-2.0 */
/* dropper.c - see dropper.h. */
#include "node-agent/dropper.h"

#include "node-agent/thread.h"

#include <errno.h>
#include <limits.h>
#include <linux/fuse.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"

#define LANE_STACK (64u << 10)

struct drop {
	uint64_t ino, size;
	uint8_t last; /* byte, if there is one */
};

/* -- that process ------------------------------------------------------------------------- */

/* An error: the kernel does not know it, or the mount is gone, and its pages with it. */
static void notify(int fuse_fd, int code, void *what, size_t len, void *data, size_t n)
{
	struct fuse_out_header head = { .len = (uint32_t)(sizeof(head) + len + n), .error = code };
	const struct iovec iov[] = { { &head, sizeof(head) }, { what, len }, { data, n } };

	(void)!writev(fuse_fd, iov, n ? 3 : 2);
}

/* The size that the kernel knows it raises when it is given a byte there, and never lowers. */
static void drop_pages(int fuse_fd, struct drop *drop)
{
	struct fuse_notify_inval_inode_out pages = { .ino = drop->ino };
	struct fuse_notify_store_out store = { .nodeid = drop->ino, .offset = drop->size - 1, .size = 1 };

	notify(fuse_fd, FUSE_NOTIFY_INVAL_INODE, &pages, sizeof(pages), NULL, 0);
	if (drop->size)
		notify(fuse_fd, FUSE_NOTIFY_STORE, &store, sizeof(store), &drop->last, 1);
}

static void close_others(int a, int b)
{
	unsigned low = (unsigned)(a < b ? a : b), high = (unsigned)(a < b ? b : a);

	if (low > 0)
		close_range(0, low - 1, 0);
	if (high > low + 1)
		close_range(low + 1, high - 1, 0);
	close_range(high + 1, ~0u, 0);
}

/* Of this process alone: what its threads are told. */
struct lane {
	int fd, fuse_fd;
};

/* It says that it is there, and answers each drop. If nobody listens any more, all of the process ends. */
static void *drop_all(void *context)
{
	struct lane lane = *(struct lane *)context;
	struct drop drop = { 0 };
	bool heard = true;

	free(context);
	while (heard && send(lane.fd, &drop, sizeof(drop), MSG_NOSIGNAL) == sizeof(drop)) {
		heard = recv(lane.fd, &drop, sizeof(drop), 0) == sizeof(drop);
		if (heard)
			drop_pages(lane.fuse_fd, &drop);
	}
	close(lane.fd);
	return NULL;
}

static void start_lane(int fd, int fuse_fd)
{
	struct lane *lane = malloc(sizeof(*lane));
	pthread_attr_t small;
	pthread_t thread;

	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, LANE_STACK);
	pthread_attr_setdetachstate(&small, PTHREAD_CREATE_DETACHED);
	if (lane)
		*lane = (struct lane){ fd, fuse_fd };
	if (!lane || thread_start(&thread, &small, drop_all, lane) != 0) {
		free(lane);
		close(fd); /* which says so */
	}
	pthread_attr_destroy(&small);
}

/* room for a message that is one descriptor */
union one_fd {
	char bytes[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

/* The next descriptor that is sent; -1: none will be. */
static int receive_fd(int fd)
{
	union one_fd room;
	char byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = room.bytes, .msg_controllen = sizeof(room.bytes)
	};
	struct cmsghdr *c = recvmsg(fd, &message, MSG_CMSG_CLOEXEC) == 1 ? CMSG_FIRSTHDR(&message) : NULL;
	int got = -1;

	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(&got, CMSG_DATA(c), sizeof(got));
	return got;
}

static _Noreturn void start_lanes(int fd, int fuse_fd)
{
	static const int ignored[] = { SIGTERM, SIGINT, SIGHUP };
	int lane;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "daxfs-dropper");
	for (unsigned i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	close_others(fd, fuse_fd);
	while ((lane = receive_fd(fd)) >= 0)
		start_lane(lane, fuse_fd);
	_exit(0);
}

/* -- who asks ------------------------------------------------------------------------------- */

int dropper_start(struct dropper *d, int fuse_fd)
{
	int fd[2];

	*d = (struct dropper){ .fd = -1 };
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd) < 0)
		return -errno;
	d->pid = fork();
	if (d->pid == 0)
		start_lanes(fd[1], fuse_fd);
	close(fd[1]);
	if (d->pid < 0) {
		close(fd[0]);
		d->pid = 0;
		return -errno;
	}
	d->fd = fd[0];
	return 0;
}

void dropper_end(struct dropper *d)
{
	if (!d->pid)
		return;
	close(d->fd);
	while (waitpid(d->pid, NULL, 0) < 0 && errno == EINTR)
		;
	d->pid = 0;
}

static int send_fd(int by, int fd)
{
	union one_fd room = { .bytes = "" };
	char byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = room.bytes, .msg_controllen = sizeof(room.bytes)
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&message);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	return sendmsg(by, &message, MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

static bool hear(int lane)
{
	struct drop drop;
	ssize_t n;

	do
		n = recv(lane, &drop, sizeof(drop), 0);
	while (n < 0 && errno == EINTR);
	return n == sizeof(drop);
}

int dropper_lane(struct dropper *d)
{
	int fd[2], error;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd) < 0)
		return -errno;
	error = send_fd(d->fd, fd[1]);
	close(fd[1]);
	if (!error && !hear(fd[0]))
		error = -EAGAIN;
	if (!error)
		return fd[0];
	close(fd[0]);
	return error;
}

void dropper_drop(int lane, uint64_t ino, uint64_t size, uint8_t last)
{
	const struct drop drop = { ino, size, last };

	if (send(lane, &drop, sizeof(drop), MSG_NOSIGNAL) == sizeof(drop) && hear(lane))
		return;
	log_fail("the process that drops pages has ended: another process is to go on");
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}
