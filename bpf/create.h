// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* create.h: how a connection begins. It has one entry, or the two of a NAT pair; each gets its place in place.h. */
#pragma once

#include "before.h"
#include "conn.h"
#include "pair.h"
#include "place.h"

static __always_inline enum conn_state first_state(const struct packet *p)
{
	return p->facts->flow.protocol == IPPROTO_UDP ? CONN_UDP : CONN_SYN_RECV;
}

/*
 * draft_reverse is the entry by which the server's answers find their way back. It learns its pair later.
 */
static __noinline void draft_reverse(struct packet *p)
{
	struct newcomer *n = newcomer_of_cpu();
	union next_hop hop = hop_of(p);

	if (!n)
		return;
	struct reverse *r = (struct reverse *)&n->draft;
	n->flags = CONN_REVERSE;
	n->state = first_state(p);
	r->source = p->server->address;
	r->destination = p->facts->flow.source;
	r->source_port = nat_port(p);
	r->destination_port = p->facts->flow.source_port;
	r->protocol = p->facts->flow.protocol;
	r->pad = 0;
	r->interface = p->facts->ingress % MAX_INTERFACES;
	r->hop_seen = jiffies();
	r->pair = NOWHERE;
	mac_copy(r->mac, hop.mac);
	r->vlan = hop.vlan;
}

static __noinline void draft_forward(struct packet *p, __u32 pair)
{
	struct newcomer *n = newcomer_of_cpu();

	if (!n)
		return;
	struct conn *c = &n->draft;
	n->flags = CONN_DIRTY | (p->service->flags & SERVICE_PERSISTENT ? CONN_PERSISTENT : 0);
	n->state = first_state(p);
	c->source = p->facts->flow.source;
	c->destination = p->facts->flow.destination;
	c->source_port = p->facts->flow.source_port;
	c->destination_port = p->facts->flow.destination_port;
	c->protocol = p->facts->flow.protocol;
	c->forwarding = p->server->forwarding;
	c->server = p->facts->server_id;
	c->seen = jiffies();
	c->pair = pair;
	c->server_generation = p->server->generation;
	c->hop = hop_digest(hop_of(p), p->facts->ingress);
}

/*
 * reverse_taken: the way back is another connection's that is not over. One that moves is looked for first
 * where it moves away from; it does not yield.
 */
__noinline bool reverse_taken(void)
{
	struct newcomer *n = newcomer_of_cpu();

	if (!n)
		return true;
	if (table_moves &&
	    (look_before(entry_flow(&n->draft)) != NOWHERE || look_here(entry_flow(&n->draft)) != NOWHERE))
		return true;
	__u32 position = table_search(entry_flow(&n->draft));
	return position != NOWHERE && !reverse_yields(position);
}

/* put_reverse comes before put_forward: a connection that could not be answered must not exist. */
static __always_inline __u32 put_reverse(struct packet *p)
{
	draft_reverse(p);
	return reverse_taken() ? PRESENT : put();
}

static __always_inline __u32 put_forward(struct packet *p, __u32 pair)
{
	draft_forward(p, pair);
	return put();
}

/* created counts the connection that p has just begun, and makes it p's. */
static __always_inline void created(struct packet *p, __u32 position)
{
	struct newcomer *n = newcomer_of_cpu();

	p->facts->position = position;
	p->conn = entry_at(position);
	if (!n)
		return;
	p->facts->life = word_life(n->draft.word);
	p->facts->marks |= MARK_FRESH;
	conn_count(&n->draft, CONN_NONE, n->state);
	count_connection(p->facts->server_id);
}

/* create remembers that p's flow goes to p->server. Of two CPUs with the same new flow one does, and the other follows it. */
static __noinline enum verdict create(struct packet *p)
{
	bool pair = p->server->forwarding == FORWARDING_NAT;
	__u32 reverse = 0;

	if (pair)
		reverse = put_reverse(p);
	if (reverse >= PRESENT)
		return reverse == PRESENT ? VERDICT_NAT_CLASH : VERDICT_CONN_FULL;
	__u32 forward = put_forward(p, reverse);
	if (pair)
		reverse_join(reverse, forward);
	if (forward == NOWHERE)
		return VERDICT_CONN_FULL;
	if (forward == PRESENT)
		conn_find(p);
	else
		created(p, forward);
	return p->conn && !p->back ? VERDICT_CONTINUE : VERDICT_CONN_BUSY;
}
