// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * parse.h: bytes → struct packet. Nothing behind it reads a length or an offset from the wire again.
 * Verdicts of the dropping kind are claims here: refuse() in weir.bpf.c lets packets pass that are
 * not for a service.
 */
#pragma once

#include "extension.h"
#include "icmp.h"
#include "maps.h"
#include "packet.h"
#include "sctp.h"
#include "vlan.h"

#define IP_OFFSET 0x1fff         /* of a fragment, in 8 bytes: RFC 791 section 3.1 */
#define IP_MORE_FRAGMENTS 0x2000 /* RFC 791 section 3.1 */
#define IP_LARGEST 65535         /* bytes of a packet, RFC 791 section 3.1 */

/* packet_begin forgets the packet before; false cannot be, but the verifier wants to be asked. */
static __always_inline bool packet_begin(struct packet *p, struct xdp_md *ctx)
{
	struct scratch *scratch = scratch_of_cpu();

	if (!scratch)
		return false;
	__builtin_memset(&scratch->facts, 0, offsetof(struct facts, wire));
	scratch->facts.ingress = ctx->ingress_ifindex;
	*p = (struct packet){ .ctx = ctx, .facts = &scratch->facts };
	return true;
}

/* lost is a transport header that is not all there: in a first fragment a trick (RFC 1858, RFC 7112). */
static __always_inline enum verdict lost(const struct headers *h)
{
	return h->kind == KIND_FIRST ? VERDICT_FRAGMENT_TINY : VERDICT_MALFORMED;
}

static __always_inline enum verdict parse_tcp(struct packet *p)
{
	struct tcphdr *tcp = &p->facts->wire.tcp;
	__u32 end = end_of(headers_of(p));

	if (p->facts->transport + sizeof(*tcp) > end || !load(p->ctx, p->facts->transport, tcp, sizeof(*tcp)))
		return lost(headers_of(p));
	if (tcp->doff < 5 || p->facts->transport + tcp->doff * 4 > end)
		return lost(headers_of(p));
	p->facts->flow.source_port = tcp->source;
	p->facts->flow.destination_port = tcp->dest;
	p->facts->tcp_flags = ((__u8 *)tcp)[13];
	p->facts->data = p->facts->transport + tcp->doff * 4 < end;
	return VERDICT_CONTINUE;
}

/* parse_udp: a first fragment holds less than the header speaks of. */
static __always_inline enum verdict parse_udp(struct packet *p)
{
	struct udphdr *udp = &p->facts->wire.udp;
	__u32 end = end_of(headers_of(p));

	if (p->facts->transport + sizeof(*udp) > end || !load(p->ctx, p->facts->transport, udp, sizeof(*udp)))
		return lost(headers_of(p));
	__u32 len = bpf_ntohs(udp->len);
	if (len < sizeof(*udp) || (p->facts->kind == KIND_WHOLE && p->facts->transport + len > end))
		return VERDICT_MALFORMED;
	p->facts->flow.source_port = udp->source;
	p->facts->flow.destination_port = udp->dest;
	return VERDICT_CONTINUE;
}

__noinline enum verdict parse_sctp(struct xdp_md *ctx, struct headers *h)
{
	struct sctp sctp;

	if (!h)
		return VERDICT_MALFORMED;
	if (h->transport + sizeof(sctp) > end_of(h) || bpf_xdp_load_bytes(ctx, h->transport, &sctp, sizeof(sctp)))
		return lost(h);
	h->flow.source_port = sctp.source;
	h->flow.destination_port = sctp.destination;
	h->tcp_flags = sctp_as_tcp(sctp.chunk);
	return VERDICT_CONTINUE;
}

static __always_inline enum verdict parse_transport(struct packet *p, __u8 protocol)
{
	p->facts->flow.protocol = protocol;
	if (protocol == IPPROTO_TCP)
		return parse_tcp(p);
	if (protocol == IPPROTO_UDP)
		return parse_udp(p);
	if (protocol == IPPROTO_SCTP)
		return parse_sctp(p->ctx, headers_of(p));
	return VERDICT_NO_SERVICE;
}

/*
 * holds says whether the frame holds all of the IP packet that its header speaks of. A loader
 * without CAP_PERFMON may not subtract packet pointers, so the kernel is asked; but not about the
 * smallest frames and the largest, which are nearly all: a call is dear.
 */
static __always_inline bool holds(struct packet *p)
{
	__u32 end = end_of(headers_of(p));

	if (end <= ETH_ZLEN && at(p->ctx, 0, ETH_ZLEN))
		return true;
	if (end <= ETH_FRAME_LEN && at(p->ctx, 0, ETH_FRAME_LEN))
		return true;
	return bpf_xdp_get_buff_len(p->ctx) >= end;
}

/*
 * part_possible: all but the last fragment end at a multiple of 8 bytes, and the whole fits in a
 * packet with the headers that its length counts: IPv4's own, IPv6's extension headers (RFC 791
 * section 3.1, RFC 8200 section 4.5).
 */
static __always_inline bool part_possible(const struct part *part, __u32 header)
{
	if (!part->size || (part->more && part->size % 8))
		return false;
	return (__u32)part->offset + part->size + header <= IP_LARGEST;
}

/*
 * parse_part decides about a fragment. A second TCP fragment at byte 8 would rewrite the header that
 * the first one showed (RFC 1858, RFC 3128).
 */
static __always_inline enum verdict parse_part(struct headers *h, __u8 protocol, __u32 header)
{
	if (!part_possible(&h->part, header))
		return VERDICT_MALFORMED;
	if (protocol == IPPROTO_TCP && h->part.offset == 8)
		return VERDICT_FRAGMENT_TINY;
	h->kind = h->part.offset ? KIND_LATER : KIND_FIRST;
	return VERDICT_CONTINUE;
}

__noinline enum verdict parse_fragment_v4(struct headers *h, __u32 protocol, __u32 offset_and_id)
{
	__u16 field = bpf_ntohs(offset_and_id >> 16);

	if (!h)
		return VERDICT_MALFORMED;
	h->flow.protocol = protocol;
	if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP && protocol != IPPROTO_SCTP)
		return VERDICT_NO_SERVICE;
	h->part.id = offset_and_id & 0xffff;
	h->part.offset = (field & IP_OFFSET) * 8;
	h->part.more = (field & IP_MORE_FRAGMENTS) != 0;
	h->part.size = end_of(h) - h->transport;
	return parse_part(h, protocol, sizeof(struct iphdr));
}

/* IPv4 options that say which way a packet shall go: RFC 791 section 3.1. */
#define OPTION_END 0
#define OPTION_NOTHING 1
#define OPTION_LOOSE_ROUTE 131
#define OPTION_STRICT_ROUTE 137

struct options {
	struct xdp_md *ctx;
	__u32 offset;
	__u32 end;
	enum verdict verdict;
};

static long option_step(__u32 turn, void *arg)
{
	struct options *o = arg;
	__u8 type = 0, size = 0;

	if (o->offset >= o->end || bpf_xdp_load_bytes(o->ctx, o->offset, &type, 1) || type == OPTION_END)
		return 1;
	if (type == OPTION_NOTHING) {
		o->offset++;
		return 0;
	}
	o->verdict = VERDICT_MALFORMED;
	if (o->offset + 2 > o->end || bpf_xdp_load_bytes(o->ctx, o->offset + 1, &size, 1))
		return 1;
	if (size < 2 || o->offset + size > o->end)
		return 1;
	o->verdict =
		type == OPTION_LOOSE_ROUTE || type == OPTION_STRICT_ROUTE ? VERDICT_SOURCE_ROUTE : VERDICT_CONTINUE;
	o->offset += size;
	return o->verdict != VERDICT_CONTINUE;
}

/* parse_options looks for source routes: they let a sender choose whom we appear to talk to (RFC 7126 section 4.3). */
__noinline enum verdict parse_options(struct xdp_md *ctx, __u32 offset, __u32 end)
{
	struct options o = { .ctx = ctx, .offset = offset, .end = end };

	bpf_loop(40, option_step, &o, 0);
	return o.verdict;
}

static __always_inline enum verdict parse_v4(struct packet *p)
{
	struct iphdr *ip = &p->facts->wire.v4;

	if (!load(p->ctx, p->facts->network, ip, sizeof(*ip)))
		return VERDICT_NOT_IP;
	addr_v4(&p->facts->flow.source, ip->saddr);
	addr_v4(&p->facts->flow.destination, ip->daddr);
	p->facts->length = bpf_ntohs(ip->tot_len);
	p->facts->ttl = ip->ttl;
	__u32 header = ip->ihl * 4;
	if (ip->version != 4 || header < sizeof(*ip) || p->facts->length < header || !holds(p))
		return VERDICT_MALFORMED;
	p->facts->transport = p->facts->network + header;
	enum verdict v = VERDICT_CONTINUE;
	if (header > sizeof(*ip))
		v = parse_options(p->ctx, p->facts->network + sizeof(*ip), p->facts->transport);
	if (v != VERDICT_CONTINUE)
		return v;
	bool fragment = ip->frag_off & bpf_htons(IP_OFFSET | IP_MORE_FRAGMENTS);
	if (ip->protocol == IPPROTO_ICMP)
		return fragment ? VERDICT_ICMP : parse_icmp(p->ctx, headers_of(p));
	if (fragment)
		v = parse_fragment_v4(headers_of(p), ip->protocol, (__u32)ip->frag_off << 16 | ip->id);
	if (v != VERDICT_CONTINUE || p->facts->kind == KIND_LATER)
		return v;
	return parse_transport(p, ip->protocol);
}

/* parse_fragment_v6 takes over what the chain knows of a fragment. */
static __always_inline enum verdict parse_fragment_v6(struct headers *h, const struct chain *c)
{
	h->part = c->part;
	if (!part_possible(&h->part, c->before))
		return VERDICT_MALFORMED;
	if (c->part.offset && c->fragment_next == IPPROTO_ICMPV6)
		return VERDICT_ICMP;
	return parse_part(h, c->fragment_next, c->before);
}

/* parse_extensions walks the extension headers; h->flow.protocol is the first one, and then what is behind them. */
__noinline enum verdict parse_extensions(struct xdp_md *ctx, struct headers *h)
{
	if (!h)
		return VERDICT_MALFORMED;
	struct chain c = {
		.ctx = ctx,
		.start = h->transport,
		.at = h->transport,
		.end = end_of(h),
		.next = h->flow.protocol,
	};
	enum verdict v = chain_walk(&c);

	if (c.fragment) {
		enum verdict part = parse_fragment_v6(h, &c);
		if (part != VERDICT_CONTINUE)
			return part;
	}
	h->transport = c.at;
	h->flow.protocol = c.next;
	return c.cut ? lost(h) : v;
}

static __always_inline enum verdict parse_v6(struct packet *p)
{
	struct ipv6hdr *ip = &p->facts->wire.v6;

	if (!load(p->ctx, p->facts->network, ip, sizeof(*ip)))
		return VERDICT_NOT_IP;
	copy(&p->facts->flow.source, &ip->saddr, sizeof(ip->saddr));
	copy(&p->facts->flow.destination, &ip->daddr, sizeof(ip->daddr));
	/* Here such addresses would pass for IPv4's. On the wire they are nobody's; the kernel drops them. */
	if (addr_is_v4(&p->facts->flow.source) || addr_is_v4(&p->facts->flow.destination))
		return VERDICT_NO_SERVICE;
	p->facts->ipv6 = 1;
	p->facts->length = sizeof(*ip) + bpf_ntohs(ip->payload_len);
	p->facts->ttl = ip->hop_limit;
	if (ip->version != 6 || !holds(p))
		return VERDICT_MALFORMED;
	p->facts->transport = p->facts->network + sizeof(*ip);
	p->facts->flow.protocol = ip->nexthdr;
	enum verdict v = VERDICT_CONTINUE;
	if (is_extension(ip->nexthdr))
		v = parse_extensions(p->ctx, headers_of(p));
	if (v != VERDICT_CONTINUE || p->facts->kind == KIND_LATER)
		return v;
	if (p->facts->flow.protocol == IPPROTO_ICMPV6)
		return p->facts->kind == KIND_FIRST ? VERDICT_ICMP : parse_icmp(p->ctx, headers_of(p));
	return parse_transport(p, p->facts->flow.protocol);
}

/*
 * mac_virtual: the frame is for the MAC of a virtual router whose services are served here, 00:00:5e:00:01:id, of IPv6
 * 00:00:5e:00:02:id (RFC 9568 section 7.3). What is sent on comes from the interface's own; what is told back, from this.
 */
__noinline bool mac_virtual(struct xdp_md *ctx, struct headers *h)
{
	struct ethhdr *eth = at(ctx, 0, sizeof(*eth));

	if (!eth || !h || *(__u32 *)eth->h_dest != bpf_htonl(0x00005e00))
		return false;
	__u32 family = eth->h_dest[4], id = eth->h_dest[5];
	struct interface *i = vlan_id(h) ? vlan_find(h->ingress, vlan_id(h)) : interface_find(h->ingress);
	if (!i)
		return false;
	if (family == 1)
		return i->ids4[id / 8] & 1 << id % 8;
	return family == 2 && i->ids6[id / 8] & 1 << id % 8;
}

/*
 * ours says whether the frame is addressed to this interface. XDP runs before the kernel drops
 * frames for other hosts, so a flooding switch would have us balance its neighbours' packets.
 */
static __always_inline enum verdict ours(struct packet *p, const __u8 *destination, __be16 tag_type)
{
	struct interface *i = interface_find(p->facts->ingress);

	if (!i)
		return VERDICT_OTHER_HOST;
	if (p->facts->tagged && tag_type != bpf_htons(ETH_P_8021Q))
		return VERDICT_OTHER_VLAN;
	if (vlan_id(headers_of(p)))
		i = vlan_find(p->facts->ingress, vlan_id(headers_of(p)));
	if (!i)
		return VERDICT_OTHER_VLAN;
	if (mac_equal(destination, i->mac) || mac_virtual(p->ctx, headers_of(p)))
		return VERDICT_CONTINUE;
	return VERDICT_OTHER_HOST;
}

/* parse_ethernet leaves the offset behind the header and returns the ethertype; one tag is stepped over. */
static __always_inline __be16 parse_ethernet(struct packet *p, const struct ethhdr *eth)
{
	p->facts->network = sizeof(*eth);
	if (eth->h_proto != bpf_htons(ETH_P_8021Q) && eth->h_proto != bpf_htons(ETH_P_8021AD))
		return eth->h_proto;
	struct vlan_header *vlan = at(p->ctx, sizeof(*eth), sizeof(*vlan));
	if (!vlan)
		return 0;
	p->facts->tagged = 1;
	p->facts->tag = bpf_ntohs(vlan->tag);
	p->facts->network += sizeof(*vlan);
	return vlan->type;
}

static __always_inline enum verdict parse(struct packet *p)
{
	struct ethhdr *eth = at(p->ctx, 0, sizeof(*eth));

	if (!eth)
		return VERDICT_NOT_IP;
	__be16 type = parse_ethernet(p, eth);
	if (type != bpf_htons(ETH_P_IP) && type != bpf_htons(ETH_P_IPV6))
		return VERDICT_NOT_IP;
	enum verdict v = ours(p, eth->h_dest, eth->h_proto);
	if (v != VERDICT_CONTINUE)
		return v;
	return type == bpf_htons(ETH_P_IP) ? parse_v4(p) : parse_v6(p);
}
