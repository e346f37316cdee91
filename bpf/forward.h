// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * forward.h: how a packet reaches its server, and a NAT answer its client. Only here are packets
 * changed. A forwarding method is a function and a case in forward().
 */
#pragma once

#include "conn.h"
#include "director.h"
#include "maps.h"
#include "mss.h"
#include "nat.h"
#include "packet.h"
#include "service.h"
#include "ttl.h"
#include "tunnel.h"
#include "vlan.h"

/* ask_for_neighbour has the daemon resolve an address; a full ring has other news, and the next packet asks again. */
__noinline enum verdict ask_for_neighbour(struct hop *hop, struct addr *address)
{
	if (!hop || !address)
		return VERDICT_NO_NEIGHBOUR;
	struct interface *i = interface_of(hop);
	struct event event = {
		.kind = EVENT_NO_NEIGHBOUR,
		.ifindex = i ? i->ifindex : hop->ifindex,
		.address = *address,
	};

	bpf_ringbuf_output(&events, &event, sizeof(event), 0);
	return VERDICT_NO_NEIGHBOUR;
}

static __always_inline void forward_macs(struct ethhdr *eth, const __u8 *to, const __u8 *from)
{
	mac_copy(eth->h_dest, to);
	mac_copy(eth->h_source, from);
}

/* forward_frame addresses the frame to the server's next hop. */
static __always_inline bool forward_frame(struct packet *p)
{
	struct ethhdr *eth = at(p->ctx, 0, sizeof(*eth));

	if (!eth)
		return false;
	forward_macs(eth, p->server->hop.mac, p->server->source_mac);
	return true;
}

/* forward_leave gives the frame the tag of the server's VLAN. */
static __always_inline enum verdict forward_leave(struct packet *p, enum verdict v)
{
	return vlan_leave(p, p->server->hop.vlan) ? v : VERDICT_NO_HEADROOM;
}

/* forward_dr: the frame goes to the server's MAC; nothing else changes but the TTL. */
static __always_inline enum verdict forward_dr(struct packet *p)
{
	if (!ttl_lower(p) || !forward_frame(p))
		return VERDICT_MALFORMED;
	return forward_leave(p, VERDICT_DR);
}

/* forward_encapsulate puts outer headers and a new Ethernet header in front. All pointers are read anew. */
static __always_inline enum verdict forward_encapsulate(struct packet *p, struct inner in, bool v4)
{
	const struct server *server = p->server;
	__u32 size = v4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);

	if (bpf_xdp_adjust_head(p->ctx, -(int)server->overhead))
		return VERDICT_NO_HEADROOM;
	struct ethhdr *eth = at(p->ctx, 0, sizeof(*eth));
	if (!eth)
		return VERDICT_NO_HEADROOM;
	forward_macs(eth, server->hop.mac, server->source_mac);
	eth->h_proto = v4 ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
	void *outer = at(p->ctx, AT_NETWORK, size);
	if (!outer)
		return VERDICT_NO_HEADROOM;
	if (v4)
		outer_v4(outer, p, in);
	else
		outer_v6(outer, p, in);
	if (!tunnel_header(p, AT_NETWORK + size))
		return VERDICT_NO_HEADROOM;
	return forward_leave(p, VERDICT_TUN);
}

/* forward_tun: the server takes the packet out of the tunnel, and answers the client itself. */
static __always_inline enum verdict forward_tun(struct packet *p)
{
	struct inner in = {};

	if (!inner_of(p, &in) || !ttl_lower(p))
		return VERDICT_MALFORMED;
	if (addr_is_v4(&p->server->address))
		return forward_encapsulate(p, in, true);
	return forward_encapsulate(p, in, false);
}

/* forward_nat: the destination becomes the server; its answer comes back by answer(). */
static __always_inline enum verdict forward_nat(struct packet *p)
{
	struct translation t = {
		.old = &p->facts->flow.destination,
		.new = &p->server->address,
		.old_port = p->facts->flow.destination_port,
		.new_port = nat_port(p),
	};

	if (!nat_possible(p, t.old_port, t.new_port))
		return VERDICT_FRAGMENT_SCTP;
	if (!nat(p, &t) || !forward_frame(p))
		return VERDICT_MALFORMED;
	return forward_leave(p, VERDICT_NAT_IN);
}

/* forward_mtu is how large a packet may be that goes to the server by the connection's method. */
static __always_inline __u32 forward_mtu(const struct packet *p)
{
	const struct server *server = p->server;

	if (p->facts->forwarding != FORWARDING_TUN)
		return server->mtu;
	return server->mtu > server->overhead ? server->mtu - server->overhead : 0;
}

/*
 * returned: the packet comes from the very server that it would go to, which does not hold the address
 * of the service, and routed it back here. Without this it would go to and fro until its TTL ends. A
 * router is next hop and neighbour of others, too; there it proves nothing.
 */
static __always_inline bool returned(struct packet *p)
{
	const struct server *server = p->server;
	const struct ethhdr *eth = at(p->ctx, 0, sizeof(*eth));

	if (!eth || p->facts->kind == KIND_QUOTE)
		return false;
	const __u16 *from = (const __u16 *)eth->h_source, *to = (const __u16 *)server->hop.mac;
	if (from[0] != to[0] || from[1] != to[1] || from[2] != to[2])
		return false;
	return addr_equal(&server->next, &server->address);
}

/* forward_allowed names what keeps the packet from its server. */
static __always_inline enum verdict forward_allowed(struct packet *p)
{
	struct server *server = p->server;

	if (returned(p))
		return VERDICT_MARTIAN;
	if (p->facts->ttl <= 1)
		return VERDICT_TTL_EXCEEDED;
	if (!server->hop.ifindex)
		return VERDICT_NO_ROUTE;
	if (!(server->flags & SERVER_RESOLVED))
		return ask_for_neighbour(&server->hop, &server->next);
	p->facts->mtu = forward_mtu(p);
	if (p->facts->length > p->facts->mtu)
		return VERDICT_TOO_BIG;
	return VERDICT_CONTINUE;
}

/* forward_by_method: a connection keeps the method that it began with, as in IPVS. */
static __always_inline enum verdict forward_by_method(struct packet *p)
{
	switch (p->facts->forwarding) {
	case FORWARDING_DR:
		return forward_dr(p);
	case FORWARDING_TUN:
		return forward_tun(p);
	case FORWARDING_NAT:
		return forward_nat(p);
	}
	return VERDICT_NO_SERVER;
}

/*
 * forward_ends: the server is this host, or another director has chosen it, whatever is known of the flow here: then the
 * packet is counted there.
 */
static __always_inline bool forward_ends(struct packet *p)
{
	__u8 flags = p->server->flags;

	if (flags & SERVER_LOCAL || !(flags & SERVER_BESIDE_LOCAL))
		return flags & SERVER_LOCAL;
	__u64 here = director_chose(p->ctx, p->server->service);
	if (here == NOBODY)
		return false;
	p->facts->server_id = (__u32)here;
	return true;
}

static __always_inline enum verdict forward_to_server(struct packet *p)
{
	if (forward_ends(p))
		return VERDICT_LOCAL;
	enum verdict v = forward_allowed(p);
	if (v != VERDICT_CONTINUE)
		return v;
	if (p->facts->tagged && !vlan_strip(p->ctx, headers_of(p)))
		return VERDICT_MALFORMED;
	mss_limit(p, p->server);
	p->facts->egress = p->server->hop.ifindex;
	return forward_by_method(p);
}

/* forward_exit: what is sent on for another reason than its connection has an exit of its own. */
static __always_inline enum verdict forward_exit(const struct packet *p, enum verdict v)
{
	if (v == VERDICT_LOCAL)
		return v;
	if (p->facts->kind == KIND_QUOTE)
		return VERDICT_ICMP_IN;
	return p->facts->hashed ?: v;
}

/*
 * forward sends the client's packet, or an error about one, to p->server; p->conn was found or just
 * created, or p goes without.
 */
static __always_inline enum verdict forward(struct packet *p)
{
	if (p->conn && p->facts->kind != KIND_QUOTE && !(p->facts->marks & MARK_FRESH))
		conn_touch(p);
	enum verdict v = forward_to_server(p);
	if (v >= VERDICT_FIRST_DROPPED)
		return v;
	if (p->conn && !conn_same(p)) /* it may have another server */
		return VERDICT_CONN_BUSY;
	count_in(p->facts->server_id, p->facts->length);
	return forward_exit(p, v);
}
