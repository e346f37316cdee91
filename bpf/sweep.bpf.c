// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * sweep.bpf.c: expiry. The daemon runs it every few seconds; one run looks at the whole table. An
 * entry goes in two steps: first it is marked, and a packet may still take the mark away; when the
 * next run finds it marked, it is deleted.
 */
#include "conn.h"
#include "finish.h"

/* A power of two above CONN_STATES, so that a mask is a bound. */
#define CONN_STATE_SLOTS 8

/* Seconds without a packet, by state: IPVS's defaults (ip_vs_proto_tcp.c, ip_vs_proto_udp.c). */
/* clang-format off */
const volatile __u32 timeouts[CONN_STATE_SLOTS] = {
	[CONN_NONE] = 2,
	[CONN_SYN_RECV] = 60,
	[CONN_ESTABLISHED] = 900,
	[CONN_FIN_WAIT] = 120,
	[CONN_TIME_WAIT] = 120,
	[CONN_CLOSE] = 10,
	[CONN_UDP] = 300,
};
/* clang-format on */

static __always_inline __u32 timeout_of(enum conn_state state)
{
	return timeouts[state & (CONN_STATE_SLOTS - 1)] * jiffies_per_second;
}

/* idle is the time since the last packet; a pair lives by its younger half. */
static __always_inline __u32 idle(const struct flow *flow, const struct conn *conn, __u32 now)
{
	__u32 own = now - conn->seen;

	if (!conn_is_pair(conn) || conn_is_reverse(conn))
		return own;
	struct flow key = conn_reverse_key(flow, conn);
	struct conn *reverse = conn_find(&key);
	if (!reverse)
		return own;
	__u32 other = now - reverse->seen;
	/* A packet that came since now was read is of the future: its idle time wraps. */
	if ((__s32)other < 0 || (__s32)own < 0)
		return 0;
	return other < own ? other : own;
}

/* owned: a reverse entry goes with its forward entry; only an orphan is swept by itself. */
static __always_inline bool owned(const struct flow *flow, const struct conn *conn)
{
	if (!conn_is_reverse(conn))
		return false;
	struct flow key = conn_forward_key(flow, conn);
	struct conn *forward = conn_find(&key);
	return forward && addr_equal(&forward->other, &flow->source) && forward->other_port == flow->source_port;
}

static long visit(void *map, const struct flow *key, struct conn *conn, struct sweep *s)
{
	struct flow flow = *key;
	__u64 word = *(volatile __u64 *)&conn->state;
	__u32 flags = conn_flags(word);

	s->seen++;
	if (owned(&flow, conn))
		return 0;
	__u32 rest = idle(&flow, conn, s->now);
	if ((__s32)rest < 0 || rest < timeout_of(conn_state(word)))
		return 0;
	/* A packet that comes in between changes the word, and both attempts come to nothing. */
	if (flags & CONN_DYING)
		s->deleted += conn_end(&flow, conn, word);
	else
		s->marked += conn_swap(conn, word, conn_word(word, conn_state(word), flags | CONN_DYING));
	return 0;
}

SEC("syscall")
int sweep(struct sweep *s)
{
	struct sweep done = { .now = jiffies() };

	conn_walk(visit, &done);
	finish_count(VERDICT_FRAGMENT_ORPHAN, s->orphans);
	*s = done;
	return 0;
}

const char LICENSE[] SEC("license") = "Dual BSD/GPL";
