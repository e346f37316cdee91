// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * move.bpf.c: moves what no packet asks for. The daemon runs it again and again, each time over the next
 * few buckets of the second table. It is of XDP's kind, as the path: so the kernel runs it as it runs the
 * path, and no packet comes in between on its CPU, which would wait for what cannot go on.
 */
#include "move.h"

/*
 * move_broken ends a connection by NAT whose way back is gone: nobody could move it. Only here it is
 * sure that none is still being made.
 */
static __always_inline bool move_broken(__u32 position)
{
	struct conn *conn = before_at(position);

	if (!conn || !conn_is_pair(conn))
		return false;
	__u64 word = word_of(conn);
	if (word_state(word) <= CONN_COMING || word_flags(word) & (CONN_MOVING | CONN_REVERSE) ||
	    !word_swap(conn, word, word | (__u64)CONN_MOVING << WORD_FLAGS_SHIFT))
		return false;
	if (!before_reverse(conn->pair, position))
		return move_drop(position);
	move_unlock(conn);
	return false;
}

/*
 * move_kept ends what is kept: whoever is counted has to find a place in a table that may be smaller, and nobody
 * else is looked for there.
 */
static __always_inline bool move_kept(struct conn *conn, __u32 position)
{
	return word_state(word_of(conn)) == CONN_KEPT && move_lock(conn, position) && move_drop(position);
}

/* move_visit moves what is somebody's; ways back go with their connection, and orphans stay behind. */
__noinline int move_visit(struct move_slice *m, __u32 position)
{
	struct conn *entry = before_at(position);

	if (!entry || !m || word_state(word_of(entry)) == CONN_NONE || word_flags(word_of(entry)) & CONN_REVERSE)
		return 0;
	if (move_kept(entry, position))
		return 0;
	enum moved moved = move(position);
	if (moved == MOVED_NOT && move_broken(position))
		moved = MOVED_LOST;
	m->moved += moved == MOVED;
	m->lost += moved == MOVED_LOST;
	m->left += moved == MOVED_NOT;
	return 0;
}

/*
 * move_index is a bucket that the walk comes to. Not one behind the other: a flow's homes in both tables come in the same
 * order, and the last ones of this one would be full of flows that found no room at home.
 */
static __always_inline __u32 move_index(const struct move_slice *m, __u32 turn)
{
	return (__u64)(m->first + turn) * m->stride % table_buckets_before;
}

/* move_bucket: a bucket that nobody is in costs one look. Unrolled, since the verifier cannot count in a callback. */
static long move_bucket(__u32 turn, struct move_slice *m)
{
	__u32 index = move_index(m, turn);
	struct bucket *bucket = before_bucket(index);

	if (!bucket)
		return 1;
	__u32 taken = bucket->taken;
	if (!taken)
		return 0;
#pragma unroll
	for (int slot = 1; slot < BUCKET_SLOTS; slot++)
		if (taken & 1u << slot)
			move_visit(m, index * BUCKET_SLOTS + slot);
	return 0;
}

/* The frame is a struct move_slice. */
SEC("xdp")
int mover(struct xdp_md *ctx)
{
	struct move_slice m = {};

	if (!load_at(ctx, 0, &m, sizeof(m)))
		return XDP_ABORTED;
	bpf_loop(m.buckets, move_bucket, &m, 0);
	return store_at(ctx, 0, &m, sizeof(m)) ? XDP_PASS : XDP_ABORTED;
}

const char LICENSE[] SEC("license") = "Dual BSD/GPL";
