/* SPDX-License-Identifier: Apache-2.0 */
/* dropper.c - see dropper.h. */
#include "node-agent/dropper.h"

#include <errno.h>
#include <linux/fuse.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"

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

static _Noreturn void drop_all(int fd, int fuse_fd)
{
	static const int ignored[] = { SIGTERM, SIGINT, SIGHUP };
	struct drop drop;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "daxfs-dropper");
	for (unsigned i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	close_others(fd, fuse_fd);
	while (recv(fd, &drop, sizeof(drop), 0) == sizeof(drop)) {
		drop_pages(fuse_fd, &drop);
		if (send(fd, &drop, sizeof(drop), MSG_NOSIGNAL) != sizeof(drop))
			break;
	}
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
		drop_all(fd[1], fuse_fd);
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

void dropper_drop(struct dropper *d, uint64_t ino, uint64_t size, uint8_t last)
{
	struct drop drop = { ino, size, last };
	ssize_t n = send(d->fd, &drop, sizeof(drop), MSG_NOSIGNAL);

	while (n > 0 || (n < 0 && errno == EINTR)) {
		n = recv(d->fd, &drop, sizeof(drop), 0);
		if (n > 0)
			return;
	}
	log_fail("the process that drops pages has ended: another process is to go on");
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}
