/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rseq.c - stores that are made only while this host lives: see rseq.h.
 *
 * Copies are made in pieces, each a sequence of its own. One that is interrupted begins anew, from its first byte.
 */
#include "mem/shm.h"

#ifdef SHM_RSEQ

#include <sys/rseq.h>

#define WORDS_MAX 256u        /* bytes that are copied word by word: string instructions take longer to begin */
#define PIECE_MAX (16u << 10) /* of a copy: far less than any thread's turn on its processor */

_Static_assert(offsetof(struct rseq, rseq_cs) == 8 && RSEQ_SIG == 0x53053053, "as BEGIN and END have them");

/*
 * The descriptor {version, flags, begin, length, abort}, its address into the thread's rseq_cs (8 bytes into its
 * area), and the look. The sequence begins right behind the store that arms it: a thread that is stopped before has
 * armed nothing, one that is stopped after is inside. What the kernel jumps to has a signature in front of it, in an
 * instruction that nobody runs.
 */
#define BEGIN                                                                                                          \
	".pushsection .data.rel.ro.daxfs_rseq, \"aw\"\n\t"                                                             \
	".balign 32\n"                                                                                                 \
	"90:\n\t"                                                                                                      \
	".long 0, 0\n\t"                                                                                               \
	".quad 91f, 92f - 91f, 93f\n\t"                                                                                \
	".popsection\n"                                                                                                \
	"94:\n\t"                                                                                                      \
	"leaq 90b(%%rip), %[seen]\n\t"                                                                                 \
	"movq %[seen], %%fs:8(%[area])\n"                                                                              \
	"91:\n\t"                                                                                                      \
	"movq %[word], %[seen]\n\t"                                                                                    \
	"andq %[mask], %[seen]\n\t"                                                                                    \
	"cmpq %[live], %[seen]\n\t"                                                                                    \
	"jne 92f\n\t"
#define END                                                                                                            \
	"\n92:\n\t"                                                                                                    \
	".pushsection .text.daxfs_rseq, \"ax\"\n\t"                                                                    \
	".byte 0x0f, 0xb9, 0x3d\n\t"                                                                                   \
	".long 0x53053053\n"                                                                                           \
	"93:\n\t"                                                                                                      \
	"jmp 94b\n\t"                                                                                                  \
	".popsection\n\t"
#define ASKS(life)                                                                                                     \
	[area] "r"((life)->area), [word] "m"(*(life)->word), [mask] "m"((life)->mask), [live] "m"((life)->live)

bool shm_life_begin(struct shm_life *life, const sm_u64 *word, uint64_t mask, uint64_t live)
{
	if (!__rseq_size)
		return false;
	*life = (struct shm_life){ word, mask, live, __rseq_offset };
	return true;
}

void shm_rseq_forget(void)
{
	if (shm_asked)
		__asm__ volatile("movq $0, %%fs:8(%[area])" ::[area] "r"(shm_asked->area) : "memory");
}

/* What was seen, after the sequence; it is over, either way. */
static inline void judge(const struct shm_life *life, uint64_t seen)
{
	if (__builtin_expect(seen != life->live, 0))
		shm_revoked();
}

/* -- words -------------------------------------------------------------------------- */

void shm_rseq_store(uint64_t *p, uint64_t v)
{
	const struct shm_life *life = shm_asked;
	uint64_t seen;

	if (!life) {
		__atomic_store_n(p, v, __ATOMIC_RELEASE);
		return;
	}
	__asm__ volatile(BEGIN "movq %[v], %[p]" END
			 : [seen] "=&r"(seen), [p] "=m"(*p)
			 : [v] "r"(v), ASKS(life)
			 : "cc", "memory");
	judge(life, seen);
}

void shm_rseq_store_byte(uint8_t *p, uint8_t v)
{
	const struct shm_life *life = shm_asked;
	uint64_t seen;

	if (!life) {
		__atomic_store_n(p, v, __ATOMIC_RELAXED);
		return;
	}
	__asm__ volatile(BEGIN "movb %b[v], %[p]" END
			 : [seen] "=&r"(seen), [p] "=m"(*p)
			 : [v] "q"(v), ASKS(life)
			 : "cc", "memory");
	judge(life, seen);
}

bool shm_rseq_cas(uint64_t *p, uint64_t *expected, uint64_t desired)
{
	const struct shm_life *life = shm_asked;
	uint64_t seen, found = *expected;
	bool swapped;

	if (!life)
		return __atomic_compare_exchange_n(p, expected, desired, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
	__asm__ volatile(BEGIN "lock cmpxchgq %[desired], %[p]" END
			 : [seen] "=&r"(seen), [p] "+m"(*p), "+a"(found), "=@ccz"(swapped)
			 : [desired] "r"(desired), ASKS(life)
			 : "memory");
	judge(life, seen);
	*expected = found;
	return swapped;
}

/* -- copies --------------------------------------------------------------------------- */

static void write_words(const struct shm_life *life, uint8_t *to, const uint8_t *from, size_t len)
{
	uint64_t seen, at, next, v;

	__asm__ volatile(BEGIN "xorl %k[at], %k[at]\n"
			       "1:\n\t"
			       "leaq 8(%[at]), %[next]\n\t"
			       "cmpq %[len], %[next]\n\t"
			       "ja 2f\n\t"
			       "movq (%[from],%[at]), %[v]\n\t"
			       "movq %[v], (%[to],%[at])\n\t"
			       "movq %[next], %[at]\n\t"
			       "jmp 1b\n"
			       "2:\n\t"
			       "cmpq %[len], %[at]\n\t"
			       "jae 92f\n\t"
			       "movb (%[from],%[at]), %b[v]\n\t"
			       "movb %b[v], (%[to],%[at])\n\t"
			       "incq %[at]\n\t"
			       "jmp 2b" END
			 : [seen] "=&r"(seen), [at] "=&r"(at), [next] "=&r"(next), [v] "=&q"(v)
			 : [to] "r"(to), [from] "r"(from), [len] "r"(len), ASKS(life)
			 : "cc", "memory");
	judge(life, seen);
}

static void write_string(const struct shm_life *life, uint8_t *to, const uint8_t *from, size_t len)
{
	uint64_t seen;
	void *dst, *src;
	size_t left;

	__asm__ volatile(BEGIN "movq %[to], %%rdi\n\t"
			       "movq %[from], %%rsi\n\t"
			       "movq %[len], %%rcx\n\t"
			       "rep movsb" END
			 : [seen] "=&r"(seen), "=&D"(dst), "=&S"(src), "=&c"(left)
			 : [to] "r"(to), [from] "r"(from), [len] "r"(len), ASKS(life)
			 : "cc", "memory");
	judge(life, seen);
}

static void zero_string(const struct shm_life *life, uint8_t *to, size_t len)
{
	uint64_t seen;
	void *dst;
	size_t left;

	__asm__ volatile(BEGIN "movq %[to], %%rdi\n\t"
			       "movq %[len], %%rcx\n\t"
			       "rep stosb" END
			 : [seen] "=&r"(seen), "=&D"(dst), "=&c"(left)
			 : [to] "r"(to), [len] "r"(len), "a"(0), ASKS(life)
			 : "cc", "memory");
	judge(life, seen);
}

/* Whole lines, to a line's beginning, around the caches: see copy.c. */
static void stream_lines(const struct shm_life *life, uint8_t *to, const uint8_t *from, size_t len)
{
	uint64_t seen, at;

	__asm__ volatile(BEGIN "xorl %k[at], %k[at]\n"
			       "1:\n\t"
			       "movdqu (%[from],%[at]), %%xmm0\n\t"
			       "movdqu 16(%[from],%[at]), %%xmm1\n\t"
			       "movdqu 32(%[from],%[at]), %%xmm2\n\t"
			       "movdqu 48(%[from],%[at]), %%xmm3\n\t"
			       "movntdq %%xmm0, (%[to],%[at])\n\t"
			       "movntdq %%xmm1, 16(%[to],%[at])\n\t"
			       "movntdq %%xmm2, 32(%[to],%[at])\n\t"
			       "movntdq %%xmm3, 48(%[to],%[at])\n\t"
			       "addq $64, %[at]\n\t"
			       "cmpq %[len], %[at]\n\t"
			       "jb 1b" END
			 : [seen] "=&r"(seen), [at] "=&r"(at)
			 : [to] "r"(to), [from] "r"(from), [len] "r"(len), ASKS(life)
			 : "cc", "memory", "xmm0", "xmm1", "xmm2", "xmm3");
	judge(life, seen);
}

/* The same, a line at once; registers of which the upper half costs nobody anything. */
__attribute__((target("avx512f"))) static void stream_lines_512(const struct shm_life *life, uint8_t *to,
								const uint8_t *from, size_t len)
{
	uint64_t seen, at;

	__asm__ volatile(BEGIN "xorl %k[at], %k[at]\n"
			       "1:\n\t"
			       "vmovdqu64 (%[from],%[at]), %%zmm16\n\t"
			       "vmovntdq %%zmm16, (%[to],%[at])\n\t"
			       "addq $64, %[at]\n\t"
			       "cmpq %[len], %[at]\n\t"
			       "jb 1b" END
			 : [seen] "=&r"(seen), [at] "=&r"(at)
			 : [to] "r"(to), [from] "r"(from), [len] "r"(len), ASKS(life)
			 : "cc", "memory", "xmm16");
	judge(life, seen);
}

static size_t piece_of(size_t len)
{
	return len < PIECE_MAX ? len : PIECE_MAX;
}

static void write_all(const struct shm_life *life, uint8_t *to, const uint8_t *from, size_t len)
{
	for (size_t n; len; len -= n, to += n, from += n) {
		n = piece_of(len);
		if (n <= WORDS_MAX)
			write_words(life, to, from, n);
		else
			write_string(life, to, from, n);
	}
}

void shm_rseq_write(void *dst, const void *src, size_t len)
{
	const struct shm_life *life = shm_asked;

	if (life)
		write_all(life, dst, src, len);
	else
		memcpy(dst, src, len);
}

bool shm_rseq_write_stream(void *dst, const void *src, size_t len)
{
	const struct shm_life *life = shm_asked;
	size_t head = -(uintptr_t)dst % DAXFS_LINE, body;
	bool wide = __builtin_cpu_supports("avx512f");
	uint8_t *to = dst;
	const uint8_t *from = src;

	if (!life)
		return false;
	if (head > len)
		head = len;
	body = (len - head) / DAXFS_LINE * DAXFS_LINE;
	write_all(life, to, from, head);
	for (size_t at = head, n; at < head + body; at += n) {
		n = piece_of(head + body - at);
		(wide ? stream_lines_512 : stream_lines)(life, to + at, from + at, n);
	}
	write_all(life, to + head + body, from + head + body, len - head - body);
	return true;
}

void shm_rseq_zero(void *dst, size_t len)
{
	const struct shm_life *life = shm_asked;
	uint8_t *to = dst;

	if (!life) {
		memset(dst, 0, len);
		return;
	}
	for (size_t n; len; len -= n, to += n) {
		n = piece_of(len);
		zero_string(life, to, n);
	}
}

#else

bool shm_life_begin(struct shm_life *life, const sm_u64 *word, uint64_t mask, uint64_t live)
{
	(void)life, (void)word, (void)mask, (void)live;
	return false;
}

#endif
