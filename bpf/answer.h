// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* answer.h: a NAT server's answer on its way back to the client, as the service. */
#pragma once

#include "conn.h"
#include "forward.h"
#include "fragment.h"
#include "vlan.h"

/* A client's next hop is believed this long after its last packet; then the kernel's routes are asked. */
#define HOP_FRESH_SECONDS 60

#define AF_INET 2
#define AF_INET6 10

/* The way to a client: a neighbour, and the MAC that the frame comes from. */
struct way {
	struct hop hop;
	__u8 source_mac[6];
};

static __always_inline void fib_addresses(struct bpf_fib_lookup *fib, const struct headers *h,
					  const struct addr *service)
{
	if (h->ipv6) {
		fib->family = AF_INET6;
		copy(fib->ipv6_src, service, sizeof(fib->ipv6_src));
		copy(fib->ipv6_dst, &h->flow.destination, sizeof(fib->ipv6_dst));
		return;
	}
	fib->family = AF_INET;
	fib->ipv4_src = service->word[3];
	fib->ipv4_dst = h->flow.destination.word[3];
}

/* fib_gateway is the address that the kernel would ask the neighbours for. */
static __always_inline struct addr fib_gateway(const struct bpf_fib_lookup *fib)
{
	struct addr a;

	if (fib->family == AF_INET)
		addr_v4(&a, fib->ipv4_dst);
	else
		copy(&a, fib->ipv6_dst, sizeof(a));
	return a;
}

/* way_through: the kernel's routes lead to a VLAN device, frames to the interface below it. */
static __always_inline void way_through(struct way *way, __u32 ifindex)
{
	struct interface *i = interface_find(ifindex);

	way->hop.ifindex = ifindex;
	if (!i || !i->parent)
		return;
	way->hop.ifindex = i->parent;
	way->hop.vlan = i->vlan;
}

/* ingress_device is where the kernel would have received the packet. */
static __always_inline __u32 ingress_device(const struct headers *h)
{
	struct interface *i = vlan_id(h) ? vlan_find(h->ingress, vlan_id(h)) : NULL;

	return i ? i->ifindex : h->ingress;
}

/* way_by_route asks the kernel's routes for the way to the client. */
__noinline enum verdict way_by_route(struct xdp_md *ctx, struct headers *h, struct addr *service, struct way *way)
{
	if (!h || !service || !way)
		return VERDICT_NO_ROUTE;
	struct bpf_fib_lookup fib = {
		.ifindex = ingress_device(h),
		.tot_len = h->length,
		.l4_protocol = h->flow.protocol,
	};

	fib_addresses(&fib, h, service);
	long result = bpf_fib_lookup(ctx, &fib, sizeof(fib), 0);
	way_through(way, fib.ifindex);
	if (result == BPF_FIB_LKUP_RET_NO_NEIGH) {
		struct addr gateway = fib_gateway(&fib);
		return ask_for_neighbour(&way->hop, &gateway);
	}
	if (result == BPF_FIB_LKUP_RET_FRAG_NEEDED) {
		h->mtu = fib.mtu_result;
		return VERDICT_TOO_BIG;
	}
	if (result != BPF_FIB_LKUP_RET_SUCCESS)
		return VERDICT_NO_ROUTE;
	mac_copy(way->hop.mac, fib.dmac);
	mac_copy(way->source_mac, fib.smac);
	return VERDICT_CONTINUE;
}

/* way_by_hop is to where the client was heard last. */
static __always_inline enum verdict way_by_hop(struct packet *p, struct way *way)
{
	__u32 index = p->back->interface;
	struct interface *parent = bpf_map_lookup_elem(&interfaces, &index);

	if (!parent)
		return VERDICT_NO_ROUTE;
	struct hop hop = { .ifindex = parent->ifindex, .vlan = p->back->vlan };
	struct interface *i = interface_of(&hop);
	if (!i)
		return VERDICT_NO_ROUTE;
	p->facts->mtu = i->mtu;
	if (p->facts->length > p->facts->mtu)
		return VERDICT_TOO_BIG;
	way->hop.ifindex = hop.ifindex;
	way->hop.vlan = hop.vlan;
	mac_copy(way->hop.mac, p->back->mac);
	mac_copy(way->source_mac, i->mac);
	return VERDICT_CONTINUE;
}

static __always_inline enum verdict answer_way(struct packet *p, struct way *way)
{
	/* Below 0 when the client's packet came since, on another CPU. */
	__s32 age = p->conn->seen - p->back->hop_seen;

	if (age < (__s32)(HOP_FRESH_SECONDS * jiffies_per_second)) {
		enum verdict v = way_by_hop(p, way);
		if (v != VERDICT_NO_ROUTE)
			return v;
	}
	return way_by_route(p->ctx, headers_of(p), &p->conn->destination, way);
}

/* answer_translate makes of the server's packet one of the service, addressed to the next hop. */
static __always_inline enum verdict answer_translate(struct packet *p, const struct way *way)
{
	struct translation t = {
		.source = true,
		.old = &p->facts->flow.source,
		.new = &p->conn->destination,
		.old_port = p->facts->flow.source_port,
		.new_port = p->conn->destination_port,
	};

	if (!nat_possible(p, t.old_port, t.new_port))
		return VERDICT_FRAGMENT_SCTP;
	if (!nat(p, &t))
		return VERDICT_MALFORMED;
	struct ethhdr *eth = at(p->ctx, 0, sizeof(*eth));
	if (!eth)
		return VERDICT_MALFORMED;
	forward_macs(eth, way->hop.mac, way->source_mac);
	p->facts->egress = way->hop.ifindex;
	return vlan_leave(p, way->hop.vlan) ? VERDICT_CONTINUE : VERDICT_NO_HEADROOM;
}

/* answer_send: of a server that is gone only the connections are left, its place may be somebody else's. */
static __always_inline enum verdict answer_send(struct packet *p, const struct way *way)
{
	struct server *server = server_find(p->conn->server, p->conn->server_generation);

	if (p->facts->tagged && !vlan_strip(p->ctx, headers_of(p)))
		return VERDICT_MALFORMED;
	if (server)
		mss_limit(p, server);
	enum verdict v = answer_translate(p, way);
	if (v != VERDICT_CONTINUE)
		return v;
	if (server)
		count_out(p->conn->server, p->facts->length);
	return p->facts->kind == KIND_QUOTE ? VERDICT_ICMP_OUT : VERDICT_NAT_OUT;
}

/*
 * answer_unwanted: the server was removed, and not to drain. The pointer is not kept for answer_send, or the
 * verifier would follow both of its cases all the way.
 */
static __always_inline bool answer_unwanted(const struct conn *conn)
{
	struct server *server = server_find(conn->server, conn->server_generation);

	return server && server->leaving > LEAVING_DRAIN;
}

/* answer sends a server's packet, or an error about one of ours, to the client; p->back is the way back by which it was found. */
static __always_inline enum verdict answer(struct packet *p)
{
	struct way way = {};
	enum verdict v = VERDICT_CONTINUE;

	if (answer_unwanted(p->conn))
		return VERDICT_SERVER_LEFT;
	if (p->facts->kind == KIND_FIRST)
		v = fragment_begin(headers_of(p));
	if (v != VERDICT_CONTINUE)
		return v;
	if (p->facts->kind != KIND_QUOTE)
		conn_touch_answer(p);
	if (p->facts->ttl <= 1)
		return VERDICT_TTL_EXCEEDED;
	v = answer_way(p, &way);
	if (v != VERDICT_CONTINUE)
		return v;
	return answer_send(p, &way);
}
