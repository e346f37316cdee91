// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * conn.h: connections as the path remembers them. Where they lie is table.h's business, how they begin
 * create.h's, and place.h's.
 *
 *            SYN                client's ACK              FIN                 FIN of the other side
 *   (none) ───────► SYN_RECV ───────────────► ESTABLISHED ────► FIN_WAIT ────────────────► TIME_WAIT
 *                       │                       │     ▲            │
 *                       └───────── RST ─────────┴─► CLOSE ◄────────┘ RST
 *
 * Closing is provisional, since anybody can send an RST or a FIN that the server does not believe. A
 * packet without FIN or RST leads from CLOSE back to ESTABLISHED; so does data of a side that has closed
 * from FIN_WAIT. A bare SYN in FIN_WAIT or CLOSE leads to SYN_RECV, with the same server; once both sides
 * have closed it begins another connection (begins_anew).
 *
 * Who is silent says nothing against it, either. So what was settled, and was closed, but not by both sides, is
 * KEPT when the time of its state is over, as long as an ESTABLISHED one would be (conn_keep): it is not
 * counted, listed only where that is asked for, and gives way to whoever comes, but a packet leads back to ESTABLISHED,
 * or to where a FIN or RST leads; its client's next one settles it again. A SYN begins another connection.
 *
 * A flow is settled with its client's fourth packet. Until then another new flow may take its place
 * when a bucket is crowded, so no flood of beginnings can push out what is settled.
 */
#pragma once

#include "maps.h"
#include "packet.h"
#include "service.h"
#include "table.h"

/* The kernel's HZ, set before load. */
const volatile __u32 jiffies_per_second = 250;

#define CONN_FINS (CONN_FIN_CLIENT | CONN_FIN_SERVER)

static __always_inline bool conn_is_pair(const struct conn *conn)
{
	return conn->forwarding == FORWARDING_NAT;
}

/* is_counted: what is KEPT is not, and what does not exist. */
static __always_inline bool is_counted(__u32 state)
{
	return state != CONN_NONE && state != CONN_KEPT;
}

/* load_add moves the counts of a server, and its service's. */
static __always_inline void load_add(struct load *load, const struct server *server, __u32 state, __s32 by)
{
	if (state == CONN_ESTABLISHED) {
		__sync_fetch_and_add(&load->active, (__s64)by);
		return;
	}
	if (state == CONN_TEMPLATE) {
		__sync_fetch_and_add(&load->persistent, (__s64)by);
		return;
	}
	__sync_fetch_and_add(&load->inactive, (__s64)by);
	if (state != CONN_SYN_RECV)
		return;
	__sync_fetch_and_add(&load->half_open, (__s64)by);
	half_open_move(server->service, by);
}

/*
 * load_judge says whether a server is full, whenever a connection comes or goes, as IPVS does
 * (ip_vs_bind_dest, ip_vs_unbind_dest).
 */
static __always_inline void load_judge(struct load *load, const struct server *server, __s32 by)
{
	if (!server->upper)
		return;
	if (by < 0 && load_fallen(load, server))
		load->full = 0;
	if (by > 0 && load_total(load) >= server->upper)
		load->full = server->upper;
}

/* load_step counts a connection that goes from one state to another; one that comes, or goes, is or was in none. */
static __always_inline void load_step(struct load *load, const struct server *server, __u32 from, __u32 to)
{
	if (is_counted(from))
		load_add(load, server, from, -1);
	if (is_counted(to))
		load_add(load, server, to, 1);
	load_judge(load, server, is_counted(to) - is_counted(from));
}

/* load_move counts that for a server. One of another generation is a stranger. */
__noinline int load_move(__u32 id, __u32 generation, __u32 from, __u32 to)
{
	struct load *load = bpf_map_lookup_elem(&loads, &id);
	struct server *server = server_find(id, generation);

	if (load && server)
		load_step(load, server, from, to);
	return 0;
}

/* conn_count counts a connection for its server. */
static __always_inline void conn_count(const struct conn *conn, enum conn_state from, enum conn_state to)
{
	load_move(conn->server, conn->server_generation, from, to);
}

/* reverse_at returns the way back at a place, if it belongs to the connection at forward. */
static __always_inline struct reverse *reverse_at(__u32 position, __u32 forward)
{
	struct conn *entry = entry_at(position);
	struct reverse *reverse = (struct reverse *)entry;

	if (!entry || !(word_flags(word_of(entry)) & CONN_REVERSE) || reverse->pair != forward)
		return NULL;
	return reverse;
}

/*
 * forward_at is the inverse: the connection that a way back belongs to. Its word is read before the rest,
 * so that who compares lives afterwards knows whether the rest was this connection's.
 */
static __always_inline bool forward_at(struct found *at, __u32 position, __u32 reverse)
{
	at->position = position;
	at->conn = entry_at(position);
	if (!at->conn)
		return false;
	at->word = word_of(at->conn);
	if (word_state(at->word) <= CONN_COMING || word_flags(at->word) & CONN_REVERSE)
		return false;
	return conn_is_pair(at->conn) && at->conn->pair == reverse;
}

/* conn_stop ends an entry if it is still as word says, and hides it; its slot is the caller's then. */
static __always_inline bool conn_stop(struct conn *conn, __u32 position, __u64 word)
{
	if (word_state(word) <= CONN_COMING || !word_swap(conn, word, word_make(word_life(word) + 1, 0, 0, CONN_NONE)))
		return false;
	table_vacate(position, word);
	return true;
}

/* reverse_end ends the way back of a connection that was just ended; its slot is the caller's then. */
static __always_inline bool reverse_end(const struct conn *forward, __u32 position)
{
	struct conn *reverse = (struct conn *)reverse_at(forward->pair, position);

	return reverse && conn_stop(reverse, forward->pair, word_of(reverse));
}

/*
 * conn_end forgets a connection, both halves of a pair, if it is still as word says; false: a packet
 * came in between. Whoever takes it out of its state takes its count back, so none is taken twice. Its
 * slots become nobody's, but for the one at keep: that is the caller's, unless the result is false.
 */
__noinline bool conn_end(__u32 position, __u64 word, __u32 keep)
{
	struct conn *conn = entry_at(position);

	if (!conn || !conn_stop(conn, position, word))
		return false;
	bool kept = position == keep, forward = !(word_flags(word) & CONN_REVERSE);
	if (forward)
		conn_count(conn, word_state(word), CONN_NONE);
	if (forward && conn_is_pair(conn) && reverse_end(conn, position)) {
		if (conn->pair == keep)
			kept = true;
		else
			slot_give(conn->pair);
	}
	if (position != keep)
		slot_give(position);
	return kept || keep == NOWHERE;
}

/* conn_end_life ends the connection at a position, unless it is another one meanwhile. */
__noinline bool conn_end_life(__u32 position, __u32 life)
{
	struct conn *conn = entry_at(position);
	__u64 word = conn ? word_of(conn) : 0;

	return word_life(word) == life && conn_end(position, word, NOWHERE);
}

/* conn_is makes the connection at a place p's. */
static __always_inline void conn_is(struct packet *p, const struct found *at)
{
	p->conn = at->conn;
	p->facts->position = at->position;
	p->facts->life = word_life(at->word);
}

/*
 * conn_found makes the connection whose entry was found p's, and if p is of its server, the entry the
 * way back. The way back is looked at again after its connection was read: a pair that ended meanwhile
 * may have led to another client's connection.
 */
static __always_inline void conn_found(struct packet *p, const struct found *at)
{
	struct found forward = {};

	if (!(word_flags(at->word) & CONN_REVERSE)) {
		conn_is(p, at);
		return;
	}
	struct reverse *reverse = (struct reverse *)at->conn;
	if (!forward_at(&forward, reverse->pair, at->position) || word_life(word_of(at->conn)) != word_life(at->word))
		return;
	p->back = reverse;
	conn_is(p, &forward);
}

/* conn_find finds the connection of the flow of p. */
static __always_inline void conn_find(struct packet *p)
{
	struct found at = {};

	p->conn = NULL;
	p->back = NULL;
	if (table_find(&at, &p->facts->flow))
		conn_found(p, &at);
}

/*
 * conn_closed: both sides have closed. It may be in CLOSE, too: who has gone already answers a FIN that
 * was repeated with an RST.
 */
static __always_inline bool conn_closed(__u64 word)
{
	return (word_flags(word) & CONN_FINS) == CONN_FINS;
}

/* conn_same: what was read of the connection was all of this one. */
static __always_inline bool conn_same(const struct packet *p)
{
	return word_life(word_of(p->conn)) == p->facts->life;
}

/* conn_next is the state after a TCP segment, or what stands for one in SCTP; fin is the flag of the side that sent it. */
static __always_inline enum conn_state conn_next(enum conn_state state, __u32 flags, const struct headers *h, __u32 fin)
{
	bool client = fin == CONN_FIN_CLIENT;
	__u8 tcp = h->tcp_flags;

	if (tcp & TCP_RST)
		return CONN_CLOSE;
	if (tcp & TCP_SYN)
		return state > CONN_ESTABLISHED && !(tcp & TCP_ACK) && client ? CONN_SYN_RECV : state;
	if (tcp & TCP_FIN)
		return ((flags | fin) & CONN_FINS) == CONN_FINS ? CONN_TIME_WAIT : CONN_FIN_WAIT;
	if (state >= CONN_CLOSE || (state == CONN_SYN_RECV && client)) /* or CONN_KEPT */
		return CONN_ESTABLISHED;
	if (h->data && flags & fin)
		return flags & CONN_FINS & ~fin ? CONN_FIN_WAIT : CONN_ESTABLISHED;
	return state;
}

/* conn_next_flags: a packet takes the mark of the sweep away; who has closed is kept while it matters. */
static __always_inline __u32 conn_next_flags(enum conn_state from, enum conn_state to, __u32 flags,
					     const struct headers *h, __u32 fin)
{
	flags &= ~CONN_DYING;
	if (h->tcp_flags & TCP_FIN)
		flags |= fin;
	else if (from == CONN_TIME_WAIT && to == CONN_FIN_WAIT)
		flags &= ~fin;
	else if (to == CONN_SYN_RECV || to == CONN_ESTABLISHED)
		flags &= ~CONN_FINS;
	else if (to == CONN_UDP)
		flags |= fin & CONN_FIN_SERVER;
	return to == from ? flags : flags | CONN_DIRTY;
}

/* conn_packets counts what the client sent, up to SETTLED_PACKETS: repeating a SYN proves nothing. */
static __always_inline __u32 conn_packets(__u64 word, const struct headers *h, __u32 fin)
{
	__u32 packets = word_packets(word);

	if (packets >= SETTLED_PACKETS || fin != CONN_FIN_CLIENT || h->kind == KIND_LATER)
		return packets;
	if (packets && h->tcp_flags & TCP_SYN)
		return packets;
	return packets + 1;
}

/* conn_step is the word that a packet makes of the one before; the same word: nothing changes. */
static __always_inline __u64 conn_step(__u64 old, const struct headers *h, __u32 fin)
{
	enum conn_state from = word_state(old), to = from;

	if (h->flow.protocol != IPPROTO_UDP && h->kind != KIND_LATER)
		to = conn_next(from, word_flags(old), h, fin);
	__u32 flags = conn_next_flags(from, to, word_flags(old), h, fin);
	__u32 packets = conn_packets(old, h, fin);
	if (packets >= SETTLED_PACKETS)
		flags |= CONN_SETTLED;
	return word_make(word_life(old), packets, flags, to);
}

/* conn_settle keeps the places of a connection from new flows. */
static __always_inline void conn_settle(const struct conn *conn, __u32 position)
{
	slot_settle(position);
	if (conn_is_pair(conn))
		slot_settle(conn->pair);
}

/* conn_unsettle is the inverse: they are whoever's who needs one. */
static __always_inline void conn_unsettle(const struct conn *conn, __u32 position)
{
	slot_unsettle(position);
	if (conn_is_pair(conn))
		slot_unsettle(conn->pair);
}

#define ROW_TOLD 3   /* so many refusals in a row are told: a server that died refuses whoever comes */
#define ROWS_TOLD 10 /* so often a second: the daemon has other news to hear, too */

/* sign_refused counts a refusal, and tells of a row of them. */
static __always_inline void sign_refused(struct sign *sign)
{
	__u32 row = __sync_fetch_and_add(&sign->row, 1) + 1, now = jiffies();
	struct event event = { .kind = EVENT_REFUSED };

	__sync_fetch_and_add(&sign->refused, 1);
	if (row < ROW_TOLD || now - sign->told < jiffies_per_second / ROWS_TOLD)
		return;
	sign->told = now;
	bpf_ringbuf_output(&events, &event, sizeof(event), 0);
}

/* sign_add counts what a server did with a connection that was new. */
static __always_inline void sign_add(__u32 id, bool refused)
{
	struct sign *sign = bpf_map_lookup_elem(&signs, &id);

	if (!sign)
		return;
	if (refused) {
		sign_refused(sign);
		return;
	}
	__sync_fetch_and_add(&sign->answered, 1);
	if (sign->row)
		sign->row = 0;
}

/*
 * conn_changed counts a connection that has changed its state, and what that says of the server: a client goes on when
 * its SYN was answered, and by NAT one sees what the server itself says. So by DR and TUN one knows who answers, but not
 * who refuses. Of UDP one knows nothing: much of it wants no answer. A function of its own for the verifier, which would
 * follow each of these ways through all that comes behind.
 */
__noinline int conn_changed(__u32 id, __u32 generation, __u64 old, __u64 new, __u32 fin)
{
	enum conn_state from = word_state(old), to = word_state(new);
	bool refused = to == CONN_CLOSE && fin == CONN_FIN_SERVER;
	struct load *load = bpf_map_lookup_elem(&loads, &id);
	struct server *server = server_find(id, generation);

	if (!load || !server)
		return 0;
	load_step(load, server, from, to);
	if (from == CONN_SYN_RECV && (refused || to == CONN_ESTABLISHED))
		sign_add(id, refused);
	return 0;
}

/* conn_change makes new of a connection's word, once; false: it is not old any more. The winner moves the counts. */
static __noinline bool conn_change(struct packet *p, __u32 fin, __u64 old, __u64 new)
{
	struct conn *conn = p->conn;

	if (new == old || word_life(old) != p->facts->life || word_state(old) <= CONN_COMING)
		return true;
	if (!word_swap(conn, old, new))
		return false;
	if (word_state(new) != word_state(old))
		conn_changed(conn->server, conn->server_generation, old, new, fin);
	if (word_flags(new & ~old) & CONN_SETTLED) {
		conn_settle(conn, p->facts->position);
		p->facts->marks |= MARK_SETTLES;
	}
	return true;
}

/*
 * conn_step_again is for whom another CPU was first. A function of its own for the verifier, which would follow each of
 * its ways through all that comes behind.
 */
__noinline __u64 conn_step_again(struct headers *h, __u64 old, __u32 fin)
{
	return h ? conn_step(old, h, fin) : old;
}

/* conn_retry is conn_change of what the word has become. */
static __always_inline bool conn_retry(struct packet *p, __u32 fin)
{
	__u64 word = word_of(p->conn);

	return conn_change(p, fin, word, conn_step_again(headers_of(p), word, fin));
}

/* persist.h */
__u64 persist_confirm(__u32 position);
__u32 persist_remember(__u64 next);

/*
 * conn_confirm: a connection has proved itself, and its client's template with it. One that had to make
 * room meanwhile comes back: a flood must not tear a client from its server.
 */
static __always_inline void conn_confirm(__u32 position)
{
	__u64 missing = persist_confirm(position);

	if (missing && persist_remember(missing) < PRESENT)
		persist_confirm(position);
}

/* conn_move makes the transition that a packet causes; most cause none. */
static __always_inline void conn_move(struct packet *p, __u32 fin)
{
	__u64 word = word_of(p->conn), next = conn_step(word, headers_of(p), fin);

	if (next == word)
		return;
	if (!conn_change(p, fin, word, next) && !conn_retry(p, fin))
		conn_retry(p, fin);
	if (p->facts->marks & MARK_SETTLES && word_flags(word) & CONN_PERSISTENT)
		conn_confirm(p->facts->position);
}

/* half_swap changes 64 bits of an entry, unless they are a stranger's meanwhile. */
static __always_inline void half_swap(void *at, __u64 old, __u64 new)
{
	if (old != new)
		__sync_val_compare_and_swap((__u64 *)at, old, new);
}

/* The client's next hop as the reverse entry has it. */
union next_hop {
	struct {
		__u8 mac[ETH_ALEN];
		__u16 vlan;
	};
	__u64 word;
};

/* The last word of what entry_is compares, as the reverse entry has it. */
union ports_and_interface {
	struct {
		__be16 source, destination;
		__u8 protocol, pad;
		__u16 interface;
	};
	__u64 word;
};

/* hop_digest tells that a next hop is another one; the whole of it is in the reverse entry. */
static __always_inline __u32 hop_digest(union next_hop hop, __u32 ifindex)
{
	__u64 mixed = (hop.word ^ ifindex) * 0x9e3779b97f4a7c15ull;

	return mixed >> 32;
}

/* hop_of is the neighbour that sent this frame. */
static __always_inline union next_hop hop_of(struct packet *p)
{
	union next_hop hop = { .vlan = p->facts->tag & 0x0fff };
	struct ethhdr *eth = at(p->ctx, 0, sizeof(*eth));

	if (eth)
		mac_copy(hop.mac, eth->h_source);
	return hop;
}

/* reverse_follow writes the client's next hop where answers look for it. */
static __always_inline void reverse_follow(struct reverse *reverse, union next_hop hop, __u32 ifindex, __u32 now)
{
	__u64 *ports = (__u64 *)&reverse->source_port, *last = (__u64 *)&reverse->mac;
	union ports_and_interface old = { .word = *ports }, new = old;

	new.interface = ifindex % MAX_INTERFACES;
	half_swap(ports, old.word, new.word);
	half_swap(last, *last, hop.word);
	reverse->hop_seen = now;
}

/*
 * conn_follow_client keeps the answers' entry informed of the client's next hop: at once when it
 * changes, else with the first packet of each 256 jiffies, so that answers know how fresh it is.
 */
static __noinline void conn_follow_client(struct packet *p, __u32 before, __u32 now)
{
	union next_hop hop = hop_of(p);
	__u64 *last = (__u64 *)&p->conn->server_generation, old = *last;
	__u64 new = (__u64)hop_digest(hop, p->facts->ingress) << 32 | (__u32)old;

	if (new == old && !((before ^ now) & ~0xffu))
		return;
	half_swap(last, old, new);
	struct reverse *reverse = reverse_at(p->conn->pair, p->facts->position);
	if (reverse)
		reverse_follow(reverse, hop, p->facts->ingress, now);
}

/*
 * conn_see says when a packet was seen last, and returns when one was before. It writes only when the
 * clock has moved: the entry's cache line stays clean between ticks.
 */
static __always_inline __u32 conn_see(struct conn *conn, __u32 now)
{
	__u32 before = conn->seen;

	if (before != now)
		conn->seen = now;
	return before;
}

/* conn_touch says that the client's packet p was seen. */
static __always_inline void conn_touch(struct packet *p)
{
	__u32 now = jiffies(), before = conn_see(p->conn, now);

	conn_move(p, CONN_FIN_CLIENT);
	if (conn_is_pair(p->conn))
		conn_follow_client(p, before, now);
}

/* conn_touch_answer says that the server's packet p was seen. */
static __always_inline void conn_touch_answer(struct packet *p)
{
	conn_see(p->conn, jiffies());
	conn_move(p, CONN_FIN_SERVER);
}
