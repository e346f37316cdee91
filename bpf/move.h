// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * move.h: a connection changes from one table to another, while packets come (docs/why/growing.md). A
 * packet that does not find its connection here looks in the second table, and takes it along; what no
 * packet asks for, move.bpf.c does.
 *
 *   second table   live ──► CONN_MOVING ────────────────────► CONN_NONE
 *                    lock: one CPU moves it          taken out
 *   this table             CONN_NONE ──► CONN_COMING ───────────────► live
 *                                 both halves of a pair          the way back last, as it is taken out first
 *
 * Until it is taken out, who knows it where it was may change it there: then the word is another one,
 * and is read again. Between taken out and live it is in neither table, but its entry is coming here:
 * who sees that looks again. Counts of servers stay as they are: it only changes its place.
 */
#pragma once

#include "before.h"
#include "conn.h"
#include "place.h"

#define MOVE_LOOKS 64 /* for a connection that another CPU has in hand: some microseconds */
#define MOVE_MISSES 3 /* in a row: then a flow is nowhere, and not just there where nobody looked last */

/*
 * Slots of a bucket that are taken, before what moves goes to its second one. For a new flow that is CROWDED,
 * which saves its packets a look there; what moves must not find both full (docs/why/growing.md).
 */
#define MOVE_CROWDED 8

/* room_claim makes a free slot of the bucket the caller's. */
static __always_inline __u32 room_claim(__u32 index, __u32 best)
{
	struct bucket *bucket = bucket_at(index);
	__u32 slot = bucket ? slot_take(bucket, best & (BUCKET_SLOTS - 1)) : 0;

	return slot ? index * BUCKET_SLOTS + slot : NOWHERE;
}

/*
 * move_claim gives what moves any free slot of its two buckets. It pushes nobody out, and new flows'
 * share of a bucket does not concern it: it has been let in already.
 */
__noinline __u32 move_claim(void)
{
	struct newcomer *n = newcomer_of_cpu();

	if (!n)
		return NOWHERE;
	newcomer_look(n);
	struct bucket *home = bucket_at(n->home), *second = bucket_at(n->second);
	if (!home || !second)
		return NOWHERE;
	__u32 taken = bits_in(home->taken), first = n->home;
	if (taken >= MOVE_CROWDED && bits_in(second->taken) < taken)
		first = n->second;
	__u32 position = room_claim(first, n->slot);
	if (position == NOWHERE)
		position = room_claim(n->home + n->second - first, n->slot);
	fill(n, position);
	return position;
}

/*
 * half_come gives an entry of the second table a place here, where it is coming from now on. COMING:
 * its flow is here already, or about to be; NOWHERE: there is no room.
 */
__noinline __u32 half_come(__u32 from, __u32 pair)
{
	struct newcomer *n = newcomer_of_cpu();
	struct conn *entry = before_at(from);

	if (!n || !entry)
		return NOWHERE;
	n->flags = word_flags(word_of(entry)) & ~(CONN_AWAY | CONN_MOVING);
	copy(&n->draft.source, &entry->source, sizeof(n->draft) - offsetof(struct conn, source));
	n->draft.pair = pair;
	__u32 to = move_claim();
	struct conn *coming = entry_at(to);
	if (!coming)
		return NOWHERE;
	appear(n, to);
	if (unrivalled(n, to))
		return to;
	take_back(coming, to, n->draft.word);
	return COMING;
}

/* half_stay takes back what half_come did. Whoever told the entry to go has wiped its word. */
__noinline int half_stay(__u32 to)
{
	struct conn *coming = entry_at(to);

	if (!coming)
		return 0;
	bool away = table_place(entry_flow(coming)).home != to / BUCKET_SLOTS;
	__u64 word = word_of(coming);
	if (word_state(word) == CONN_COMING)
		word_swap(coming, word, word_make(word_life(word) + 1, 0, 0, CONN_NONE));
	gone(to, word_make(0, 0, away ? CONN_AWAY : 0, CONN_NONE));
	return 0;
}

/* half_live makes of what is coming what it was; false: another one of its flow told it to go. */
static __always_inline bool half_live(struct conn *entry, __u64 was)
{
	__u64 coming = word_of(entry);
	__u32 flags = (word_flags(was) & ~(CONN_AWAY | CONN_MOVING)) | (word_flags(coming) & CONN_AWAY);

	return word_state(coming) == CONN_COMING &&
	       word_swap(entry, coming, word_make(word_life(coming), word_packets(was), flags, word_state(was)));
}

/*
 * move_out ends a locked entry of the second table, and returns its word; 0: somebody else has ended it.
 * Packets of programs that look there first may change it meanwhile, but not each time.
 */
static __always_inline __u64 move_out(struct conn *conn)
{
#pragma unroll
	for (int turn = 0; turn < 8; turn++) {
		__u64 word = word_of(conn);
		if (word_state(word) <= CONN_COMING)
			return 0;
		if (word_swap(conn, word, word_make(word_life(word) + 1, 0, 0, CONN_NONE)))
			return word;
	}
	return 0;
}

/* move_unlock lets another CPU try. */
static __always_inline void move_unlock(struct conn *conn)
{
	__sync_fetch_and_and(&conn->word, ~((__u64)CONN_MOVING << WORD_FLAGS_SHIFT));
}

/* reverse_arrive makes the way back live; what packets wrote into the old one since it was copied comes along. */
static __always_inline bool reverse_arrive(const struct reverse *old, struct reverse *new, __u64 word)
{
	new->interface = old->interface;
	new->hop_seen = old->hop_seen;
	mac_copy(new->mac, old->mac);
	new->vlan = old->vlan;
	return half_live((struct conn *)new, word);
}

/* forward_arrive makes the connection live; its way back comes behind it. */
__noinline bool forward_arrive(__u32 from, __u32 to, __u64 word)
{
	struct conn *old = before_at(from), *new = entry_at(to);

	if (!old || !new)
		return false;
	new->seen = old->seen;
	new->hop = old->hop;
	if (word_flags(word) & CONN_SETTLED)
		conn_settle(new, to);
	bool live = half_live(new, word);
	if (!live)
		conn_count(new, word_state(word), CONN_NONE);
	return live;
}

/* pair_fail: a connection without its way back must not exist. */
static __always_inline void pair_fail(__u32 to, __u32 back)
{
	struct conn *arrived = entry_at(to);

	if (arrived)
		conn_end(to, word_of(arrived), NOWHERE);
	half_stay(back);
}

/* pair_arrive moves the way back around its connection: whoever finds a way back finds the connection to it. */
__noinline bool pair_arrive(__u32 from, __u32 to, __u32 back)
{
	struct conn *forward = before_at(from), *new = entry_at(back);
	struct conn *old = forward ? before_at(forward->pair) : NULL;
	__u64 reverse_word = old && new ? move_out(old) : 0;

	if (!forward || !old || !new || !reverse_word)
		return false;
	((struct reverse *)new)->pair = to;
	__u64 word = move_out(forward);
	bool live = word && forward_arrive(from, to, word);
	if (live && !reverse_arrive((struct reverse *)old, (struct reverse *)new, reverse_word))
		pair_fail(to, back);
	before_leave(forward->pair, reverse_word);
	if (word)
		before_leave(from, word);
	return live;
}

/* single_arrive moves a connection of one entry. */
static __always_inline bool single_arrive(struct conn *old, __u32 from, __u32 to)
{
	__u64 word = move_out(old);

	if (!word)
		return false;
	bool live = forward_arrive(from, to, word);
	before_leave(from, word);
	return live;
}

/* move_drop ends a connection that has no place here. */
__noinline bool move_drop(__u32 from)
{
	struct conn *conn = before_at(from);
	__u64 word = conn ? move_out(conn) : 0;

	if (!conn || !word)
		return false;
	conn_count(conn, word_state(word), CONN_NONE);
	struct conn *reverse = conn_is_pair(conn) ? (struct conn *)before_reverse(conn->pair, from) : NULL;
	__u64 reverse_word = reverse ? move_out(reverse) : 0;
	if (reverse_word)
		before_leave(conn->pair, reverse_word);
	before_leave(from, word);
	return true;
}

enum moved {
	MOVED_NOT, /* it ended, or another CPU has it in hand */
	MOVED,
	MOVED_LOST, /* it found no place, and ended */
};

/* move_lock: of several CPUs one moves a connection. A pair that is not joined yet is still being made. */
static __always_inline bool move_lock(struct conn *conn, __u32 from)
{
	__u64 word = word_of(conn);

	if (word_state(word) <= CONN_COMING || word_flags(word) & (CONN_REVERSE | CONN_MOVING))
		return false;
	if (conn_is_pair(conn) && !before_reverse(conn->pair, from))
		return false;
	return word_swap(conn, word, word | (__u64)CONN_MOVING << WORD_FLAGS_SHIFT);
}

/*
 * move_double: two CPUs began the flow, or took its way back, at the same moment, one in each table, while
 * not all interfaces had the same program. The one here stays.
 */
static __always_inline bool move_double(const struct conn *conn)
{
	if (look_here(entry_flow(conn)) < COMING)
		return true;
	struct conn *reverse = conn_is_pair(conn) ? before_at(conn->pair) : NULL;
	return reverse && look_here(entry_flow(reverse)) < COMING;
}

/* move_halves moves what is locked. */
static __always_inline enum moved move_halves(struct conn *conn, __u32 from)
{
	bool pair = conn_is_pair(conn);
	__u32 back = pair ? half_come(conn->pair, NOWHERE) : 0;
	__u32 to = back < COMING ? half_come(from, pair ? back : conn->pair) : back;

	if (to < COMING && (pair ? pair_arrive(from, to, back) : single_arrive(conn, from, to)))
		return MOVED;
	if (to < COMING)
		half_stay(to);
	if (pair && back < COMING)
		half_stay(back);
	return (to == NOWHERE || move_double(conn)) && move_drop(from) ? MOVED_LOST : MOVED_NOT;
}

/* move moves the connection at a position of the second table, both halves of a pair. */
__noinline enum moved move(__u32 from)
{
	struct conn *conn = before_at(from);

	if (!conn || !move_lock(conn, from))
		return MOVED_NOT;
	enum moved moved = move_halves(conn, from);
	if (moved == MOVED_NOT)
		move_unlock(conn);
	return moved;
}

/* move_from is the position of the connection that an entry of the second table belongs to; NOWHERE: to none. */
static __always_inline __u32 move_from(__u32 position)
{
	struct conn *entry = before_at(position);

	if (!entry)
		return NOWHERE;
	if (!(word_flags(word_of(entry)) & CONN_REVERSE))
		return position;
	__u32 forward = ((struct reverse *)entry)->pair;
	return before_forward(forward, position) ? forward : NOWHERE;
}

/*
 * move_where looks for a flow in both tables: PRESENT, it is here; a position: its connection is there
 * in the second one; COMING: another CPU has it in hand; NOWHERE: in neither.
 */
__noinline __u32 move_where(const struct flow *flow)
{
	if (!flow)
		return NOWHERE;
#pragma unroll
	for (int turn = 0; turn < MOVE_MISSES; turn++) {
		__u32 here = look_here(flow);
		if (here < COMING)
			return PRESENT;
		__u32 before = look_before(flow);
		__u32 from = before < COMING ? move_from(before) : NOWHERE;
		if (from != NOWHERE)
			return from;
		if (here == COMING || before == COMING)
			return COMING;
	}
	return NOWHERE;
}

static long fetch_step(__u32 turn, void *arg)
{
	struct packet *p = arg;

	p->facts->position = move_where(&p->facts->flow);
	if (p->facts->position < COMING)
		move(p->facts->position);
	return p->facts->position >= PRESENT;
}

/*
 * move_fetch finds the connection of a packet that was not found here; false: another CPU has it in hand
 * for too long.
 */
static __always_inline bool move_fetch(struct packet *p)
{
	struct found at = {};

	p->facts->position = COMING;
	bpf_loop(MOVE_LOOKS, fetch_step, p, 0);
	if (p->facts->position == NOWHERE)
		return true;
	if (p->facts->position != PRESENT || !entry_live(&at, table_search(&p->facts->flow), &p->facts->flow))
		return false;
	conn_found(p, &at);
	return true;
}
