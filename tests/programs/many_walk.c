/* SPDX-License-Identifier: Apache-2.0 */
/*
 * many_walk.c - reads a tree of many files (many.h) by a mount, and compares all that it sees.
 *
 *   many_walk DIRS FILES DIR list [PART]    list all directories, look at each file, read one of PART (100)
 *   many_walk DIRS FILES DIR names SEED     look at each file by its name, without a listing, from a random one on
 *   many_walk DIRS FILES DIR random SEED    look at files at random and read them, until SIGTERM
 *
 * The last line says what was done, how fast, and the longest call: "N names, N read, N names/s, longest N ms (NAME)".
 * Exit: 0; 1 something is wrong, and the first such thing is said.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "many.h"

#define SAY_MS 1000 /* a call that took longer is told as it happens */

static struct many many;
static const char *top;
static uint64_t n_names, n_read, random_state;
static int64_t longest_ms;
static char longest[300];
static volatile sig_atomic_t over;

static void on_term(int number)
{
	(void)number;
	over = 1;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static uint64_t draw(uint64_t below)
{
	random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
	return (random_state >> 11) % below;
}

static void wrong(const char *what, const char *name)
{
	printf("%s %s: %s\n", what, name, strerror(errno));
	exit(1);
}

static void took(int64_t since_ms, const char *what, const char *name)
{
	int64_t ms = now_ms() - since_ms;

	if (ms > SAY_MS)
		fprintf(stderr, "%s %s: %lld ms\n", what, name, (long long)ms);
	if (ms <= longest_ms)
		return;
	longest_ms = ms;
	snprintf(longest, sizeof(longest), "%s %s", what, name);
}

static void read_one(const char *path, uint64_t n)
{
	uint8_t buf[MANY_SIZE_MAX + 1];
	int64_t since = now_ms();
	int fd = open(path, O_RDONLY);
	ssize_t len = fd < 0 ? -1 : read(fd, buf, sizeof(buf));

	if (len < 0)
		wrong("read", path);
	close(fd);
	took(since, "read", path);
	errno = 0;
	if ((uint64_t)len != many_size(n))
		wrong("length of", path);
	for (uint64_t i = 0; i < (uint64_t)len; i++)
		if (buf[i] != many_byte(n, i))
			wrong("bytes of", path);
	n_read++;
}

static void look_at(uint64_t n, bool reads)
{
	char name[64], path[256];
	int64_t since = now_ms();
	struct stat st;

	many_path(&many, n, name, sizeof(name));
	snprintf(path, sizeof(path), "%s/%s", top, name);
	if (lstat(path, &st) < 0)
		wrong("stat", path);
	took(since, "stat", path);
	errno = 0;
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != many_size(n))
		wrong("attributes of", path);
	if (++n_names == many_all(&many) / 2)
		printf("half\n");
	if (reads)
		read_one(path, n);
}

/* Each of so many names once. The listing is open while they are looked at. */
static void list(const char *path, char first, uint64_t n, uint64_t base, uint64_t part)
{
	uint8_t *seen = calloc(1, n);
	int64_t since = now_ms();
	DIR *dir = opendir(path);
	struct dirent *e;
	uint64_t i, found = 0;

	if (!dir || !seen)
		wrong("list", path);
	took(since, "opendir", path);
	for (errno = 0, since = now_ms(); (e = readdir(dir)); errno = 0, since = now_ms()) {
		took(since, "readdir", path);
		if (e->d_name[0] == '.')
			continue;
		i = strtoull(e->d_name + 1, NULL, 10);
		if (e->d_name[0] != first || i >= n || seen[i]++)
			wrong("listed twice, or is no name:", e->d_name);
		found++;
		if (first == 'f')
			look_at(base + i, (base + i) % part == 0);
	}
	if (errno || found != n)
		wrong("listing without some of its names, or an error:", path);
	closedir(dir);
	free(seen);
}

static void list_all(uint64_t part)
{
	char path[256];

	list(top, many.dirs ? 'd' : 'f', many.dirs ? many.dirs : many.files, 0, part);
	for (uint64_t d = 0; d < many.dirs; d++) {
		snprintf(path, sizeof(path), "%s/d%llu", top, (unsigned long long)d);
		list(path, 'f', many.files, d * many.files, part);
	}
}

static void look_at_all(void)
{
	uint64_t all = many_all(&many), from = draw(all);

	for (uint64_t i = 0; i < all; i++)
		look_at((from + i) % all, draw(100) == 0);
}

int main(int argc, char **argv)
{
	int64_t since = now_ms(), ms;
	const char *what = argc > 4 ? argv[4] : "";

	if (argc < 5) {
		fprintf(stderr, "usage: many_walk DIRS FILES DIR list|names|random [SEED|PART]\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGTERM, on_term);
	many = (struct many){ strtoull(argv[1], NULL, 10), strtoull(argv[2], NULL, 10) };
	top = argv[3];
	random_state = argc > 5 ? strtoull(argv[5], NULL, 10) : 100;
	if (strcmp(what, "list") == 0)
		list_all(random_state);
	else if (strcmp(what, "names") == 0)
		look_at_all();
	else
		while (!over)
			look_at(draw(many_all(&many)), draw(4) == 0);
	ms = now_ms() - since + 1;
	printf("%llu names, %llu read, %lld names/s, longest %lld ms (%s)\n", (unsigned long long)n_names,
	       (unsigned long long)n_read, (long long)n_names * 1000 / (long long)ms, (long long)longest_ms, longest);
	return 0;
}
