// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * sweep.bpf.c: expiry. The daemon runs it again and again, each time over the next few buckets, so that
 * no run holds its CPU for long. An entry goes in two steps: first it is marked, and a packet may still
 * take the mark away; when the next round finds it marked, it ends.
 */
#include "conn.h"
#include "finish.h"

/* A power of two above CONN_STATES, so that a mask is a bound. */
#define TIMEOUT_SLOTS 16
#define TIMEOUT_UDP_UNSETTLED (CONN_UDP + 1)
_Static_assert(TIMEOUT_UDP_UNSETTLED == CONN_STATES, "it stands behind the states");

/* Seconds without a packet, by state: IPVS's defaults (ip_vs_proto_tcp.c, ip_vs_proto_udp.c). */
/* clang-format off */
const volatile __u32 timeouts[TIMEOUT_SLOTS] = {
	[CONN_SYN_RECV] = 60,
	[CONN_ESTABLISHED] = 900,
	[CONN_FIN_WAIT] = 120,
	[CONN_TIME_WAIT] = 120,
	[CONN_CLOSE] = 10,
	[CONN_UDP] = 300,
	/* Not IPVS's: most of these are one question, or a flood. With two rounds of the sweep they are gone after 30. */
	[TIMEOUT_UDP_UNSETTLED] = 26,
};
/* clang-format on */

/* timeout_of: the state is not compared by itself, or the verifier would know the index on one way and not on another. */
static __always_inline __u32 timeout_of(__u64 word)
{
	__u32 index = word_state(word), other = (index ^ CONN_UDP) | (word_flags(word) & CONN_SETTLED);

	return timeouts[index + !other & TIMEOUT_SLOTS - 1] * jiffies_per_second;
}

/* owned: a way back goes with its connection; only an orphan is swept by itself. */
static __always_inline bool owned(const struct conn *entry, __u32 position, __u64 word)
{
	return word_flags(word) & CONN_REVERSE && forward_at(((const struct reverse *)entry)->pair, position);
}

__noinline int visit(struct sweep *s, __u32 position)
{
	struct conn *entry = entry_at(position);

	if (!entry || !s)
		return 0;
	__u64 word = word_of(entry);
	if (word_state(word) <= CONN_COMING)
		return 0;
	s->seen++;
	if (owned(entry, position, word))
		return 0;
	__s32 idle = s->now - entry->seen; /* below 0: a packet came since now was read */
	if (idle < 0 || idle < (__s32)timeout_of(word))
		return 0;
	/* A packet that comes in between changes the word, and both attempts come to nothing. */
	bool dying = word_flags(word) & CONN_DYING;
	s->deleted += dying && conn_end(position, word, NOWHERE);
	s->marked += !dying && word_swap(entry, word, word | (__u64)CONN_DYING << WORD_FLAGS_SHIFT);
	return 0;
}

/* visit_bucket: a bucket that nobody is in costs one look. Unrolled, since the verifier cannot count in a callback. */
static long visit_bucket(__u32 turn, struct sweep *s)
{
	__u32 index = s->first + turn;
	struct bucket *bucket = bucket_at(index);

	if (!bucket)
		return 1;
	__u32 taken = bucket->taken;
	if (!taken)
		return 0;
#pragma unroll
	for (int slot = 1; slot < BUCKET_SLOTS; slot++)
		if (taken & 1u << slot)
			visit(s, index * BUCKET_SLOTS + slot);
	return 0;
}

SEC("syscall")
int sweep(struct sweep *s)
{
	struct sweep done = { .first = s->first, .buckets = s->buckets, .now = jiffies() };

	bpf_loop(done.buckets, visit_bucket, &done, 0);
	finish_count(VERDICT_FRAGMENT_ORPHAN, s->orphans);
	*s = done;
	return 0;
}

const char LICENSE[] SEC("license") = "Dual BSD/GPL";
