// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * tunnel.h: what forwarding method TUN puts around a packet: IPIP (RFC 2003, RFC 2473, RFC 4213), GRE
 * (RFC 2784) or GUE (draft-ietf-intarea-gue, variant 0).
 */
#pragma once

#include "csum.h"
#include "csum_bytes.h"
#include "maps.h"
#include "packet.h"
#include "ttl.h"
#include "tunnel_headers.h"

#define GUE_FIRST_PORT 0xc000 /* dynamic ports, RFC 6335 section 6 */
#define GUE_PORTS 0x3fff

/* What the outer headers take over from the inner one, RFC 2003 section 3.1, RFC 2473 section 6, RFC 6040 section 4.1. */
struct inner {
	__u8 tos;  /* DSCP and ECN */
	__be16 id; /* of an IPv4 packet that may be fragmented; else 0 */
	__be16 dont_fragment;
	__u16 length;
};

static __always_inline struct inner inner_v6(const struct packet *p, struct ipv6hdr *ip)
{
	return (struct inner){
		.tos = bpf_ntohs(*(__be16 *)ip) >> 4,
		.dont_fragment = bpf_htons(IP_DONT_FRAGMENT),
		.length = p->facts->length,
	};
}

static __always_inline struct inner inner_v4(const struct packet *p, struct iphdr *ip)
{
	__be16 dont_fragment = ip->frag_off & bpf_htons(IP_DONT_FRAGMENT);

	return (struct inner){
		.tos = ip->tos,
		.dont_fragment = dont_fragment,
		.id = dont_fragment ? 0 : ip->id,
		.length = p->facts->length,
	};
}

static __always_inline bool inner_of(struct packet *p, struct inner *in)
{
	if (p->facts->ipv6) {
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

/* tunnel_hash spreads flows; all packets of one come out alike. */
static __always_inline __u32 tunnel_hash(const struct flow *flow)
{
	const __u32 *word = (const __u32 *)flow;
	__u32 hash = 0x9e3779b9;

#pragma unroll
	for (__u32 i = 0; i < sizeof(*flow) / sizeof(*word); i++) {
		hash = (hash ^ word[i]) * 0x85ebca6b;
		hash ^= hash >> 15;
	}
	return hash;
}

/* tunnel_source varies within the prefix that the config gives, if any. */
static __always_inline struct addr tunnel_source(const struct headers *h, const struct server *server)
{
	struct addr source = server->source;
	__be32 mask = server->source_mask;

	if (mask)
		source.word[3] = (source.word[3] & ~mask) | (bpf_htonl(tunnel_hash(&h->flow)) & mask);
	return source;
}

static __always_inline void outer_v4(struct iphdr *ip, struct packet *p, struct inner in)
{
	*ip = (struct iphdr){
		.version = 4,
		.ihl = 5,
		.tos = in.tos,
		.tot_len = bpf_htons(in.length + p->server->overhead),
		.id = in.id,
		.frag_off = in.dont_fragment,
		.ttl = OUTER_TTL,
		.protocol = tunnel_protocol(p->server->tunnel, p->facts->ipv6),
		.saddr = tunnel_source(headers_of(p), p->server).word[3],
		.daddr = p->server->address.word[3],
	};
	ip->check = csum_ipv4(ip);
}

static __always_inline void outer_v6(struct ipv6hdr *ip, struct packet *p, struct inner in)
{
	struct addr source = tunnel_source(headers_of(p), p->server);

	*(__be32 *)ip = bpf_htonl(6 << 28 | in.tos << 20);
	ip->payload_len = bpf_htons(in.length + p->server->overhead - sizeof(*ip));
	ip->nexthdr = tunnel_protocol(p->server->tunnel, p->facts->ipv6);
	ip->hop_limit = OUTER_TTL;
	copy(&ip->saddr, &source, sizeof(ip->saddr));
	copy(&ip->daddr, &p->server->address, sizeof(ip->daddr));
}

/* tunnel_gre writes the header behind the outer one, which ends at an offset. */
__noinline bool tunnel_gre(struct xdp_md *ctx, struct headers *h, struct server *server, __u32 offset)
{
	struct gre_checksum gre = {};

	if (!h || !server)
		return false;
	gre.gre.type = h->ipv6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
	if (!(server->tunnel_flags & TUNNEL_CHECKSUM))
		return !bpf_xdp_store_bytes(ctx, offset, &gre, sizeof(gre.gre));
	gre.gre.flags = bpf_htons(GRE_CHECKSUM);
	if (bpf_xdp_store_bytes(ctx, offset, &gre, sizeof(gre)))
		return false;
	gre.check = csum_end(csum_bytes(ctx, offset, sizeof(gre) + h->length));
	return !bpf_xdp_store_bytes(ctx, offset, &gre, sizeof(gre));
}

/* tunnel_gue: without checksum UDP has 0, over IPv6 too (RFC 6935 section 5). */
__noinline bool tunnel_gue(struct xdp_md *ctx, struct headers *h, struct server *server, __u32 offset)
{
	struct gue gue = {};

	if (!h || !server)
		return false;
	__u32 length = sizeof(gue) + h->length;
	gue.udp.source = bpf_htons(GUE_FIRST_PORT | (tunnel_hash(&h->flow) & GUE_PORTS));
	gue.udp.dest = server->tunnel_port;
	gue.udp.len = bpf_htons(length);
	gue.protocol = h->ipv6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
	if (bpf_xdp_store_bytes(ctx, offset, &gue, sizeof(gue)))
		return false;
	if (!(server->tunnel_flags & TUNNEL_CHECKSUM))
		return true;
	struct addr source = tunnel_source(h, server);
	__u64 sum = csum_pseudo(&source, &server->address, length, IPPROTO_UDP);
	gue.udp.check = csum_end(sum + csum_bytes(ctx, offset, length)) ?: 0xffff;
	return !bpf_xdp_store_bytes(ctx, offset, &gue, sizeof(gue));
}

/* tunnel_header writes what is between the outer IP header and the packet; IPIP has nothing there. */
static __always_inline bool tunnel_header(struct packet *p, __u32 offset)
{
	switch (p->server->tunnel) {
	case TUNNEL_GRE:
		return tunnel_gre(p->ctx, headers_of(p), p->server, offset);
	case TUNNEL_GUE:
		return tunnel_gue(p->ctx, headers_of(p), p->server, offset);
	}
	return true;
}
