// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * forward.h: how a packet reaches its server, and a NAT answer its client. Only here are packets
 * changed. A forwarding method is a function and a case in forward().
 */
#pragma once

#include "conn.h"
#include "csum.h"
#include "maps.h"
#include "packet.h"
#include "service.h"

#define IP_DONT_FRAGMENT 0x4000 /* RFC 791 section 3.1 */
#define OUTER_TTL 64            /* RFC 1700's default, as the kernel's tunnels use */

/* ask_for_neighbour has the daemon resolve an address; a full ring means that it was told already. */
static __always_inline enum verdict ask_for_neighbour(__u32 ifindex, const struct addr *address)
{
	struct event event = {
		.kind = EVENT_NO_NEIGHBOUR,
		.ifindex = ifindex,
		.address = *address,
	};

	bpf_ringbuf_output(&events, &event, sizeof(event), 0);
	return VERDICT_NO_NEIGHBOUR;
}

/*
 * The headers that parse found, or NULL, which cannot be but which the verifier wants to be asked.
 * Tagged frames do not come this far.
 */
static __always_inline struct iphdr *header_v4(struct packet *p)
{
	return at(p->ctx, AT_NETWORK, sizeof(struct iphdr));
}

static __always_inline struct ipv6hdr *header_v6(struct packet *p)
{
	return at(p->ctx, AT_NETWORK, sizeof(struct ipv6hdr));
}

/* The TTL goes down by one, RFC 1812 section 5.3.1; p->ttl is above 1. */
static __always_inline void ttl_v4(struct iphdr *ip)
{
	__u16 old = *(__u16 *)&ip->ttl;

	ip->ttl--;
	ip->check = csum_end(csum_replace(csum_begin(ip->check), old, *(__u16 *)&ip->ttl));
}

static __always_inline bool forward_ttl(struct packet *p)
{
	if (p->ipv6) {
		struct ipv6hdr *ip = header_v6(p);
		if (!ip)
			return false;
		ip->hop_limit--;
		return true;
	}
	struct iphdr *ip = header_v4(p);
	if (!ip)
		return false;
	ttl_v4(ip);
	return true;
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

/* forward_dr: the frame goes to the server's MAC; nothing else changes but the TTL. */
static __always_inline enum verdict forward_dr(struct packet *p)
{
	if (!forward_ttl(p) || !forward_frame(p))
		return VERDICT_MALFORMED;
	return VERDICT_DR;
}

/* What the outer header takes over from the inner one, RFC 2003 section 3.1 and RFC 2473 section 6. */
struct inner {
	__u8 tos;      /* DSCP and ECN */
	__u8 protocol; /* IPPROTO_IPIP or IPPROTO_IPV6 */
	__be16 id;     /* of an IPv4 packet that may be fragmented; else 0 */
	__be16 dont_fragment;
	__u16 length;
};

static __always_inline struct inner inner_v6(const struct packet *p, struct ipv6hdr *ip)
{
	return (struct inner){
		.tos = bpf_ntohs(*(__be16 *)ip) >> 4,
		.protocol = IPPROTO_IPV6,
		.dont_fragment = bpf_htons(IP_DONT_FRAGMENT),
		.length = p->length,
	};
}

static __always_inline struct inner inner_v4(const struct packet *p, struct iphdr *ip)
{
	__be16 dont_fragment = ip->frag_off & bpf_htons(IP_DONT_FRAGMENT);

	return (struct inner){
		.tos = ip->tos,
		.protocol = IPPROTO_IPIP,
		.dont_fragment = dont_fragment,
		.id = dont_fragment ? 0 : ip->id,
		.length = p->length,
	};
}

static __always_inline bool inner_of(struct packet *p, struct inner *in)
{
	if (p->ipv6) {
		struct ipv6hdr *ip = header_v6(p);
		if (ip)
			*in = inner_v6(p, ip);
		return ip;
	}
	struct iphdr *ip = header_v4(p);
	if (ip)
		*in = inner_v4(p, ip);
	return ip;
}

static __always_inline void outer_v4(struct iphdr *ip, const struct server *server, struct inner in)
{
	*ip = (struct iphdr){
		.version = 4,
		.ihl = 5,
		.tos = in.tos,
		.tot_len = bpf_htons(in.length + sizeof(*ip)),
		.id = in.id,
		.frag_off = in.dont_fragment,
		.ttl = OUTER_TTL,
		.protocol = in.protocol,
		.saddr = server->source.word[3],
		.daddr = server->address.word[3],
	};
	ip->check = csum_ipv4(ip);
}

static __always_inline void outer_v6(struct ipv6hdr *ip, const struct server *server, struct inner in)
{
	*(__be32 *)ip = bpf_htonl(6u << 28 | (__u32)in.tos << 20);
	ip->payload_len = bpf_htons(in.length);
	ip->nexthdr = in.protocol;
	ip->hop_limit = OUTER_TTL;
	copy(&ip->saddr, &server->source, sizeof(ip->saddr));
	copy(&ip->daddr, &server->address, sizeof(ip->daddr));
}

/* forward_encapsulate puts outer bytes and a new Ethernet header in front. All pointers are read anew. */
static __always_inline enum verdict forward_encapsulate(struct packet *p, struct inner in, bool v4)
{
	const struct server *server = p->server;
	int size = v4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);

	if (bpf_xdp_adjust_head(p->ctx, -size))
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
		outer_v4(outer, server, in);
	else
		outer_v6(outer, server, in);
	return VERDICT_TUN;
}

/* forward_tun: IPIP, RFC 2003, 2473 and 4213; the server answers the client itself. */
static __always_inline enum verdict forward_tun(struct packet *p)
{
	struct inner in = {};

	if (!inner_of(p, &in) || !forward_ttl(p))
		return VERDICT_MALFORMED;
	if (addr_is_v4(&p->server->address))
		return forward_encapsulate(p, in, true);
	return forward_encapsulate(p, in, false);
}

/* One end of a translation: what stood there, and what shall stand there. */
struct translation {
	bool source; /* the packet's source, else its destination */
	const struct addr *old, *new;
	__be16 old_port, new_port;
};

/* nat_sum is what the translation does to a checksum over the pseudo header. */
static __always_inline __u16 nat_sum(__u16 check, const struct translation *t)
{
	__u64 sum = csum_replace_addr(csum_begin(check), t->old, t->new);

	return csum_end(csum_replace(sum, t->old_port, t->new_port));
}

static __always_inline bool nat_tcp(struct packet *p, const struct translation *t)
{
	struct tcphdr tcp;

	if (!load(p->ctx, p->transport, &tcp, sizeof(tcp)))
		return false;
	if (t->source)
		tcp.source = t->new_port;
	else
		tcp.dest = t->new_port;
	tcp.check = nat_sum(tcp.check, t);
	return store(p->ctx, p->transport, &tcp, sizeof(tcp));
}

/* nat_udp: no checksum stays none; one that comes out as zero is sent as all ones, RFC 768. */
static __always_inline bool nat_udp(struct packet *p, const struct translation *t)
{
	struct udphdr udp;

	if (!load(p->ctx, p->transport, &udp, sizeof(udp)))
		return false;
	if (t->source)
		udp.source = t->new_port;
	else
		udp.dest = t->new_port;
	if (udp.check)
		udp.check = nat_sum(udp.check, t) ?: 0xffff;
	return store(p->ctx, p->transport, &udp, sizeof(udp));
}

static __always_inline bool nat_v6(struct packet *p, const struct translation *t)
{
	struct ipv6hdr *ip = header_v6(p);

	if (!ip)
		return false;
	if (t->source)
		copy(&ip->saddr, t->new, sizeof(ip->saddr));
	else
		copy(&ip->daddr, t->new, sizeof(ip->daddr));
	ip->hop_limit--;
	return true;
}

static __always_inline bool nat_v4(struct packet *p, const struct translation *t)
{
	struct iphdr *ip = header_v4(p);

	if (!ip)
		return false;
	if (t->source)
		ip->saddr = t->new->word[3];
	else
		ip->daddr = t->new->word[3];
	ip->check = csum_end(csum_replace(csum_begin(ip->check), t->old->word[3], t->new->word[3]));
	ttl_v4(ip);
	return true;
}

/* nat translates one end of the packet and takes one off its TTL. */
static __always_inline bool nat(struct packet *p, const struct translation *t)
{
	bool transport = p->flow.protocol == IPPROTO_TCP ? nat_tcp(p, t) : nat_udp(p, t);

	return transport && (p->ipv6 ? nat_v6(p, t) : nat_v4(p, t));
}

/* forward_nat: the destination becomes the server; its answer comes back by answer(). */
static __always_inline enum verdict forward_nat(struct packet *p)
{
	struct translation t = {
		.old = &p->flow.destination,
		.new = &p->server->address,
		.old_port = p->flow.destination_port,
		.new_port = p->conn->other_port,
	};

	if (!nat(p, &t) || !forward_frame(p))
		return VERDICT_MALFORMED;
	return VERDICT_NAT_IN;
}

static __always_inline __u32 forward_overhead(const struct packet *p)
{
	if (p->conn->forwarding != FORWARDING_TUN)
		return 0;
	return addr_is_v4(&p->server->address) ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
}

/* forward_allowed names what keeps the packet from its server. */
static __always_inline enum verdict forward_allowed(struct packet *p)
{
	const struct server *server = p->server;

	if (p->ttl <= 1)
		return VERDICT_TTL_EXCEEDED;
	if (!server->hop.ifindex)
		return VERDICT_NO_ROUTE;
	if (!(server->flags & SERVER_RESOLVED))
		return ask_for_neighbour(server->hop.ifindex, &server->next);
	if (p->length + forward_overhead(p) > server->mtu)
		return VERDICT_TOO_BIG;
	return VERDICT_CONTINUE;
}

/* forward_by_method: a connection keeps the method that it began with, as in IPVS. */
static __always_inline enum verdict forward_by_method(struct packet *p)
{
	switch (p->conn->forwarding) {
	case FORWARDING_DR:
		return forward_dr(p);
	case FORWARDING_TUN:
		return forward_tun(p);
	case FORWARDING_NAT:
		return forward_nat(p);
	}
	return VERDICT_NO_SERVER;
}

static __always_inline enum verdict forward_to_server(struct packet *p)
{
	if (p->server->flags & SERVER_LOCAL)
		return VERDICT_LOCAL;
	enum verdict v = forward_allowed(p);
	if (v != VERDICT_CONTINUE)
		return v;
	p->egress = p->server->hop.ifindex;
	return forward_by_method(p);
}

/* forward sends the client's packet to p->server; p->conn was found or just created. */
static __always_inline enum verdict forward(struct packet *p)
{
	if (!(p->server->flags & SERVER_SERVING))
		return VERDICT_NOT_SERVING;
	conn_touch(p);
	enum verdict v = forward_to_server(p);
	if (v >= VERDICT_FIRST_DROPPED)
		return v;
	count_in(p->conn->service, p->length);
	count_in(MAX_SERVICES + p->conn->server, p->length);
	return v;
}
