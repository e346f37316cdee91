// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* answer.h: a NAT server's answer on its way back to the client, as the service. */
#pragma once

#include "conn.h"
#include "forward.h"

/* A client's next hop is believed this long after its last packet; then the kernel's routes are asked. */
#define HOP_FRESH_SECONDS 60

#define AF_INET 2
#define AF_INET6 10

static __always_inline void fib_addresses(struct bpf_fib_lookup *fib, const struct packet *p)
{
	if (p->ipv6) {
		fib->family = AF_INET6;
		copy(fib->ipv6_src, &p->conn->other, sizeof(fib->ipv6_src));
		copy(fib->ipv6_dst, &p->flow.destination, sizeof(fib->ipv6_dst));
		return;
	}
	fib->family = AF_INET;
	fib->ipv4_src = p->conn->other.word[3];
	fib->ipv4_dst = p->flow.destination.word[3];
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

/* answer_frame addresses the frame to the next hop. */
static __always_inline enum verdict answer_frame(struct packet *p, __u32 ifindex, const __u8 *to, const __u8 *from)
{
	struct ethhdr *eth = at(p->ctx, 0, sizeof(*eth));

	if (!eth)
		return VERDICT_MALFORMED;
	forward_macs(eth, to, from);
	p->egress = ifindex;
	return VERDICT_CONTINUE;
}

/* answer_by_route asks the kernel's routes for the way to the client. */
static __always_inline enum verdict answer_by_route(struct packet *p)
{
	struct bpf_fib_lookup fib = {
		.ifindex = p->ingress,
		.tot_len = p->length,
		.l4_protocol = p->flow.protocol,
	};

	fib_addresses(&fib, p);
	long result = bpf_fib_lookup(p->ctx, &fib, sizeof(fib), 0);
	if (result == BPF_FIB_LKUP_RET_NO_NEIGH) {
		struct addr gateway = fib_gateway(&fib);
		return ask_for_neighbour(fib.ifindex, &gateway);
	}
	if (result == BPF_FIB_LKUP_RET_FRAG_NEEDED)
		return VERDICT_TOO_BIG;
	if (result != BPF_FIB_LKUP_RET_SUCCESS)
		return VERDICT_NO_ROUTE;
	return answer_frame(p, fib.ifindex, fib.dmac, fib.smac);
}

/* answer_by_hop sends the frame to where the client was heard last. */
static __always_inline enum verdict answer_by_hop(struct packet *p)
{
	const struct hop *hop = &p->conn->client;
	struct interface *i = interface_find(hop->ifindex);

	if (!i)
		return VERDICT_NO_ROUTE;
	if (p->length > i->mtu)
		return VERDICT_TOO_BIG;
	return answer_frame(p, hop->ifindex, hop->mac, i->mac);
}

static __always_inline enum verdict answer_way(struct packet *p)
{
	__u32 age = p->conn->seen - p->conn->hop_seen;

	if (p->conn->client.ifindex && age < HOP_FRESH_SECONDS * jiffies_per_second) {
		enum verdict v = answer_by_hop(p);
		if (v != VERDICT_NO_ROUTE)
			return v;
	}
	return answer_by_route(p);
}

/* answer sends a server's packet back to the client; p->conn is the reverse entry. */
static __always_inline enum verdict answer(struct packet *p)
{
	struct translation t = {
		.source = true,
		.old = &p->flow.source,
		.new = &p->conn->other,
		.old_port = p->flow.source_port,
		.new_port = p->conn->other_port,
	};

	if (p->tagged)
		return VERDICT_VLAN;
	conn_touch_answer(p);
	if (p->ttl <= 1)
		return VERDICT_TTL_EXCEEDED;
	enum verdict v = answer_way(p);
	if (v != VERDICT_CONTINUE)
		return v;
	if (!nat(p, &t))
		return VERDICT_MALFORMED;
	/* Of a server that is gone only the connections are left: its place may be somebody else's. */
	if (server_find(p->conn->server, p->conn->server_generation)) {
		count_out(p->conn->service, p->length);
		count_out(MAX_SERVICES + p->conn->server, p->length);
	}
	return VERDICT_NAT_OUT;
}
