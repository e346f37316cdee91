// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * conn.h: connections as the path remembers them. Everybody else uses find, create, touch, end and
 * walk; only this file knows how an entry is stored.
 *
 *            SYN                client's ACK              FIN                 FIN of the other side
 *   (none) ───────► SYN_RECV ───────────────► ESTABLISHED ────► FIN_WAIT ────────────────► TIME_WAIT
 *                       │                       │     ▲            │
 *                       └───────── RST ─────────┴─► CLOSE ◄────────┘ RST
 *
 * CLOSE is provisional: a packet without FIN or RST shows that the RST was not believed, and leads
 * back to ESTABLISHED. A bare SYN in FIN_WAIT, TIME_WAIT or CLOSE begins anew: SYN_RECV.
 */
#pragma once

#include "maps.h"
#include "packet.h"
#include "service.h"

/* The kernel's HZ, set before load. */
const volatile __u32 jiffies_per_second = 250;

#define CONN_STATE_MASK 0xffull
#define CONN_FLAG_SHIFT 8
#define CONN_VERSION_SHIFT 32
#define CONN_FINS (CONN_FIN_CLIENT | CONN_FIN_SERVER)

#define EEXIST 17

static __always_inline enum conn_state conn_state(__u64 word)
{
	return word & CONN_STATE_MASK;
}

static __always_inline __u32 conn_flags(__u64 word)
{
	return word >> CONN_FLAG_SHIFT & 0xff;
}

/* conn_word is the word that follows old: another state and flags, one version on. */
static __always_inline __u64 conn_word(__u64 old, enum conn_state state, __u32 flags)
{
	__u64 version = (old >> CONN_VERSION_SHIFT) + 1;

	return version << CONN_VERSION_SHIFT | (__u64)flags << CONN_FLAG_SHIFT | state;
}

static __always_inline bool conn_swap(struct conn *conn, __u64 old, __u64 new)
{
	return __sync_val_compare_and_swap(&conn->state, old, new) == old;
}

static __always_inline bool conn_is_reverse(const struct conn *conn)
{
	return conn_flags(conn->state) & CONN_REVERSE;
}

static __always_inline bool conn_is_pair(const struct conn *conn)
{
	return conn->other_port != 0;
}

static __always_inline __u32 jiffies(void)
{
	return bpf_jiffies64();
}

/* conn_count moves the counts of the connection's server. One of another generation is a stranger. */
static __always_inline void conn_count(const struct conn *conn, enum conn_state state, __s64 by)
{
	__u32 id = conn->server;
	struct load *load = bpf_map_lookup_elem(&loads, &id);

	if (!load || !server_find(id, conn->server_generation))
		return;
	if (state == CONN_ESTABLISHED) {
		__sync_fetch_and_add(&load->active, by);
		return;
	}
	__sync_fetch_and_add(&load->inactive, by);
	if (state == CONN_SYN_RECV)
		__sync_fetch_and_add(&load->half_open, by);
}

/* conn_reverse_key is the flow of the server's answers, from the client's flow and its entry. */
static __always_inline struct flow conn_reverse_key(const struct flow *flow, const struct conn *forward)
{
	struct flow key = {
		.source = forward->other,
		.destination = flow->source,
		.source_port = forward->other_port,
		.destination_port = flow->source_port,
		.protocol = flow->protocol,
	};
	return key;
}

/* conn_forward_key is the inverse: the client's flow, from an answer and its entry. */
static __always_inline struct flow conn_forward_key(const struct flow *answer, const struct conn *reverse)
{
	struct flow key = {
		.source = answer->destination,
		.destination = reverse->other,
		.source_port = answer->destination_port,
		.destination_port = reverse->other_port,
		.protocol = answer->protocol,
	};
	return key;
}

static __always_inline struct conn *conn_find(const struct flow *flow)
{
	return bpf_map_lookup_elem(&conns, flow);
}

/* hop_of is the neighbour that sent this frame. */
static __always_inline struct hop hop_of(struct packet *p)
{
	struct hop hop = { .ifindex = p->ingress, .vlan = p->tag & 0x0fff };
	struct ethhdr *eth = at(p->ctx, 0, sizeof(*eth));

	if (eth)
		mac_copy(hop.mac, eth->h_source);
	return hop;
}

static __always_inline bool hop_equal(const struct hop *a, const struct hop *b)
{
	return a->ifindex == b->ifindex && a->vlan == b->vlan && mac_equal(a->mac, b->mac);
}

/* conn_new is an entry for p, on p->server: what both halves of a pair have in common. */
static __always_inline void conn_new(struct conn *conn, struct packet *p)
{
	const struct server *server = p->server;

	conn->seen = conn->hop_seen = jiffies();
	conn->service = p->service->id;
	conn->service_generation = p->service->generation;
	conn->server = p->server_id;
	conn->server_generation = server->generation;
	conn->forwarding = server->forwarding;
	conn->client = hop_of(p);
}

static __always_inline enum conn_state conn_first_state(const struct packet *p)
{
	return p->flow.protocol == IPPROTO_UDP ? CONN_UDP : CONN_SYN_RECV;
}

/* conn_as_forward makes it the client's entry. */
static __always_inline void conn_as_forward(struct conn *conn, const struct packet *p)
{
	const struct server *server = p->server;

	conn->state = conn_word(0, conn_first_state(p), CONN_DIRTY);
	conn->other = server->address;
	conn->other_port = 0;
	if (server->forwarding == FORWARDING_NAT)
		conn->other_port = server->port ?: p->flow.destination_port;
}

/* conn_as_reverse makes it the entry by which the server's answers find their way back. */
static __always_inline void conn_as_reverse(struct conn *conn, const struct packet *p)
{
	conn->state = conn_word(0, conn_first_state(p), CONN_REVERSE);
	conn->other = p->flow.destination;
	conn->other_port = p->flow.destination_port;
}

/*
 * conn_insert puts an entry in unless its key is taken. The result is an int: before 6.4 the kernel
 * leaves the upper half of the helper's long zero, and -EEXIST is not found in it.
 */
static __always_inline int conn_insert(const struct flow *key, const struct conn *conn)
{
	return bpf_map_update_elem(&conns, key, conn, BPF_NOEXIST);
}

/*
 * conn_create remembers that this flow goes to p->server, and sets p->conn. For NAT the answers'
 * entry goes in first: a connection that could not be answered must not exist. CPUs that schedule
 * the same flow at once agree on the entry of the first.
 */
static __always_inline enum verdict conn_create(struct packet *p)
{
	struct conn conn = {};
	struct flow reverse = {};
	int err;

	conn_new(&conn, p);
	conn_as_forward(&conn, p);
	bool pair = conn_is_pair(&conn);
	if (pair) {
		reverse = conn_reverse_key(&p->flow, &conn);
		conn_as_reverse(&conn, p);
		err = conn_insert(&reverse, &conn);
		if (err)
			return err == -EEXIST ? VERDICT_NAT_CLASH : VERDICT_CONN_FULL;
		conn_as_forward(&conn, p);
	}
	err = conn_insert(&p->flow, &conn);
	if (err && pair)
		bpf_map_delete_elem(&conns, &reverse);
	if (err && err != -EEXIST)
		return VERDICT_CONN_FULL;
	if (!err) {
		conn_count(&conn, conn_state(conn.state), 1);
		count_connection(conn.service, conn.server);
	}
	p->conn = conn_find(&p->flow);
	return p->conn ? VERDICT_CONTINUE : VERDICT_CONN_FULL;
}

/* conn_next is the state after a TCP segment, or what stands for one in SCTP; fin is the flag of the side that sent it. */
static __always_inline enum conn_state conn_next(enum conn_state state, __u32 flags, __u8 tcp, __u32 fin)
{
	bool client = fin == CONN_FIN_CLIENT;

	if (tcp & TCP_RST)
		return CONN_CLOSE;
	if (tcp & TCP_SYN)
		return state > CONN_ESTABLISHED && !(tcp & TCP_ACK) && client ? CONN_SYN_RECV : state;
	if (tcp & TCP_FIN)
		return ((flags | fin) & CONN_FINS) == CONN_FINS ? CONN_TIME_WAIT : CONN_FIN_WAIT;
	if (state == CONN_CLOSE || (state == CONN_SYN_RECV && client))
		return CONN_ESTABLISHED;
	return state;
}

/* conn_next_flags: a packet takes the mark of the sweep away; who has closed is kept while it matters. */
static __always_inline __u32 conn_next_flags(enum conn_state from, enum conn_state to, __u32 flags, __u8 tcp, __u32 fin)
{
	flags &= ~CONN_DYING;
	if (tcp & TCP_FIN)
		flags |= fin;
	else if (to == CONN_SYN_RECV || to == CONN_ESTABLISHED)
		flags &= ~CONN_FINS;
	return to == from ? flags : flags | CONN_DIRTY;
}

/* conn_step is the word that a packet makes of the one before; the same word: nothing changes. */
static __always_inline __u64 conn_step(__u64 old, const struct packet *p, __u32 fin)
{
	enum conn_state from = conn_state(old), to = from;

	if (from == CONN_NONE) /* it was ended, and is about to be deleted */
		return old;
	if (p->flow.protocol != IPPROTO_UDP && p->kind != KIND_LATER)
		to = conn_next(from, conn_flags(old), p->tcp_flags, fin);
	__u32 flags = conn_next_flags(from, to, conn_flags(old), p->tcp_flags, fin);
	if (to == from && flags == conn_flags(old))
		return old;
	return conn_word(old, to, flags);
}

/* conn_change tries to make the change once; false: another CPU was first. The winner moves the counts. */
static __noinline bool conn_change(struct conn *conn, const struct packet *p, __u32 fin)
{
	__u64 old = *(volatile __u64 *)&conn->state;
	__u64 new = conn_step(old, p, fin);

	if (new != old && !conn_swap(conn, old, new))
		return false;
	if (conn_state(new) != conn_state(old)) {
		conn_count(conn, conn_state(old), -1);
		conn_count(conn, conn_state(new), 1);
	}
	return true;
}

/* conn_move makes the transition that a packet causes; most cause none. */
static __always_inline void conn_move(struct conn *conn, const struct packet *p, __u32 fin)
{
	if (conn_step(conn->state, p, fin) == conn->state)
		return;
	if (!conn_change(conn, p, fin) && !conn_change(conn, p, fin))
		conn_change(conn, p, fin);
}

/*
 * conn_follow_client keeps the answers' entry informed of the client's next hop: at once when it
 * changes, else once a second, so that answers know how fresh it is.
 */
static __always_inline void conn_follow_client(struct packet *p)
{
	struct conn *conn = p->conn;
	struct hop hop = hop_of(p);
	__u32 now = conn->seen;

	if (hop_equal(&hop, &conn->client) && now - conn->hop_seen < jiffies_per_second)
		return;
	conn->client = hop;
	conn->hop_seen = now;
	struct flow key = conn_reverse_key(&p->flow, conn);
	struct conn *reverse = conn_find(&key);
	if (!reverse)
		return;
	reverse->client = hop;
	reverse->hop_seen = now;
}

/* conn_see writes only when the clock has moved: the entry's cache line stays clean between ticks. */
static __always_inline void conn_see(struct conn *conn)
{
	__u32 now = jiffies();

	if (conn->seen != now)
		conn->seen = now;
}

/* conn_touch says that the client's packet p was seen. */
static __always_inline void conn_touch(struct packet *p)
{
	conn_see(p->conn);
	conn_move(p->conn, p, CONN_FIN_CLIENT);
	if (conn_is_pair(p->conn))
		conn_follow_client(p);
}

/* conn_touch_answer says that the server's packet p was seen; the forward entry owns the state. */
static __always_inline void conn_touch_answer(struct packet *p)
{
	conn_see(p->conn);
	if (!(p->tcp_flags & (TCP_FIN | TCP_RST)))
		return;
	struct flow key = conn_forward_key(&p->flow, p->conn);
	struct conn *forward = conn_find(&key);
	if (forward)
		conn_move(forward, p, CONN_FIN_SERVER);
}

/*
 * conn_end forgets a connection, both halves of a pair, if it is still as word says; false: a packet
 * came in between. Whoever takes it out of its state takes its count back, so none is taken twice.
 */
static __always_inline bool conn_end(const struct flow *flow, struct conn *conn, __u64 word)
{
	if (conn_state(word) == CONN_NONE || !conn_swap(conn, word, conn_word(word, CONN_NONE, conn_flags(word))))
		return false;
	if (conn_is_reverse(conn)) { /* an orphan: its forward entry had the count */
		bpf_map_delete_elem(&conns, flow);
		return true;
	}
	conn_count(conn, conn_state(word), -1);
	struct flow reverse = conn_reverse_key(flow, conn);
	bool pair = conn_is_pair(conn);
	bpf_map_delete_elem(&conns, flow);
	if (pair)
		bpf_map_delete_elem(&conns, &reverse);
	return true;
}

/* conn_walk calls visit(map, key, conn, arg) for every entry. */
#define conn_walk(visit, arg) bpf_for_each_map_elem(&conns, visit, arg, 0)
