// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* nat.h: one end of a packet is translated, in its headers or in what an ICMP error quotes. */
#pragma once

#include "csum.h"
#include "icmp.h"
#include "packet.h"
#include "sctp.h"
#include "ttl.h"

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
	struct tcphdr *tcp = &p->facts->wire.tcp;

	if (!load(p->ctx, p->facts->transport, tcp, sizeof(*tcp)))
		return false;
	if (t->source)
		tcp->source = t->new_port;
	else
		tcp->dest = t->new_port;
	tcp->check = nat_sum(tcp->check, t);
	return store(p->ctx, p->facts->transport, tcp, sizeof(*tcp));
}

/* nat_udp: no checksum stays none; one that comes out as zero is sent as all ones, RFC 768. */
static __always_inline bool nat_udp(struct packet *p, const struct translation *t)
{
	struct udphdr *udp = &p->facts->wire.udp;

	if (!load(p->ctx, p->facts->transport, udp, sizeof(*udp)))
		return false;
	if (t->source)
		udp->source = t->new_port;
	else
		udp->dest = t->new_port;
	if (udp->check)
		udp->check = nat_sum(udp->check, t) ?: 0xffff;
	return store(p->ctx, p->facts->transport, udp, sizeof(*udp));
}

/* nat_sctp: the checksum knows no addresses, only the ports (RFC 9260 section 6.8). */
__noinline bool nat_sctp(struct xdp_md *ctx, struct headers *h, bool source, __u32 old_port, __u32 new_port)
{
	struct sctp sctp;
	__u32 difference = old_port ^ new_port;

	if (!h || bpf_xdp_load_bytes(ctx, h->transport, &sctp, sizeof(sctp)))
		return false;
	if (source)
		sctp.source = new_port;
	else
		sctp.destination = new_port;
	if (difference) {
		__u32 word = source ? difference : difference << 16;
		sctp.checksum ^= crc_change(word, end_of(h) - h->transport - sizeof(word));
	}
	return !bpf_xdp_store_bytes(ctx, h->transport, &sctp, sizeof(sctp));
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
	__be32 old = t->source ? ip->saddr : ip->daddr;
	if (t->source)
		ip->saddr = t->new->word[3];
	else
		ip->daddr = t->new->word[3];
	ip->check = csum_end(csum_replace(csum_begin(ip->check), old, t->new->word[3]));
	ttl_v4(ip);
	return true;
}

/* nat_transport: later fragments have no transport header. */
static __always_inline bool nat_transport(struct packet *p, const struct translation *t)
{
	if (p->facts->kind == KIND_LATER)
		return true;
	switch (p->facts->flow.protocol) {
	case IPPROTO_TCP:
		return nat_tcp(p, t);
	case IPPROTO_UDP:
		return nat_udp(p, t);
	}
	return nat_sctp(p->ctx, headers_of(p), t->source, t->old_port, t->new_port);
}

/* What nat_quoted does to a quote: a translation as values. */
struct quoted_change {
	struct addr old, new;
	struct addr outer; /* what stood where new goes in the outer header */
	__be16 old_port, new_port;
	__u32 source; /* 1: the outer source is translated, and the quoted destination */
};

/* quoted_word replaces 16 bits of the quote and adds what that does to the ICMP checksum. */
static __always_inline bool quoted_word(struct xdp_md *ctx, __u32 offset, __be16 new, __u64 *sum)
{
	__be16 old;

	if (bpf_xdp_load_bytes(ctx, offset, &old, sizeof(old)))
		return false;
	*sum = csum_replace(*sum, old, new);
	return !bpf_xdp_store_bytes(ctx, offset, &new, sizeof(new));
}

/* quoted_check translates the checksum of the quoted transport header, if that is quoted at all. */
static __always_inline bool quoted_check(struct xdp_md *ctx, const struct headers *h, const struct quoted_change *c,
					 __u64 *sum)
{
	bool udp = h->quoted.protocol == IPPROTO_UDP;
	__u32 offset = h->quoted.transport + check_at(h->quoted.protocol);
	__u16 check = 0;

	if (h->quoted.protocol == IPPROTO_SCTP || offset + sizeof(check) > end_of(h))
		return true;
	if (bpf_xdp_load_bytes(ctx, offset, &check, sizeof(check)))
		return false;
	if (udp && !check)
		return true;
	__u64 changed = csum_replace_addr(csum_begin(check), &c->old, &c->new);
	check = csum_end(csum_replace(changed, c->old_port, c->new_port));
	return quoted_word(ctx, offset, udp && !check ? 0xffff : check, sum);
}

/* quoted_address_v4 keeps the quoted header's own checksum right, too. */
static __always_inline bool quoted_address_v4(struct xdp_md *ctx, __u32 at, const struct quoted_change *c, __u64 *sum)
{
	__be32 old = c->old.word[3], new = c->new.word[3];
	__u16 check;

	if (bpf_xdp_load_bytes(ctx, at + offsetof(struct iphdr, check), &check, sizeof(check)))
		return false;
	check = csum_end(csum_replace(csum_begin(check), old, new));
	if (!quoted_word(ctx, at + offsetof(struct iphdr, check), check, sum))
		return false;
	*sum = csum_replace(*sum, old, new);
	at += c->source ? offsetof(struct iphdr, daddr) : offsetof(struct iphdr, saddr);
	return !bpf_xdp_store_bytes(ctx, at, &new, sizeof(new));
}

/* quoted_address_v6: ICMPv6's checksum knows the outer addresses, too (RFC 4443 section 2.3). */
static __always_inline bool quoted_address_v6(struct xdp_md *ctx, __u32 at, struct quoted_change *c, __u64 *sum)
{
	*sum = csum_replace_addr(*sum, &c->old, &c->new);
	*sum = csum_replace_addr(*sum, &c->outer, &c->new);
	at += c->source ? offsetof(struct ipv6hdr, daddr) : offsetof(struct ipv6hdr, saddr);
	return !bpf_xdp_store_bytes(ctx, at, &c->new, sizeof(c->new));
}

/*
 * nat_quoted translates inside an ICMP error: the other end of the packet that it quotes, which went
 * the other way (RFC 5508 section 4.2). Every change is carried into the ICMP checksum.
 */
__noinline bool nat_quoted(struct xdp_md *ctx, struct headers *h, struct quoted_change *c)
{
	__u16 check;

	if (!h || !c || bpf_xdp_load_bytes(ctx, h->transport + offsetof(struct icmp, check), &check, sizeof(check)))
		return false;
	__u32 port_at = h->quoted.transport + (c->source ? offsetof(struct udphdr, dest) : 0);
	__u64 sum = csum_begin(check);
	bool address = h->ipv6 ? quoted_address_v6(ctx, h->quoted.network, c, &sum)
			       : quoted_address_v4(ctx, h->quoted.network, c, &sum);
	if (!address || !quoted_word(ctx, port_at, c->new_port, &sum) || !quoted_check(ctx, h, c, &sum))
		return false;
	check = csum_end(sum);
	return !bpf_xdp_store_bytes(ctx, h->transport + offsetof(struct icmp, check), &check, sizeof(check));
}

/* outer_address is what stands in the outer IPv6 header where the translation goes. */
static __always_inline struct addr outer_address(struct packet *p, bool source)
{
	struct addr address = {};
	struct ipv6hdr *ip = header_v6(p);

	if (!ip)
		return address;
	if (source)
		copy(&address, &ip->saddr, sizeof(address));
	else
		copy(&address, &ip->daddr, sizeof(address));
	return address;
}

static __always_inline bool nat_quote(struct packet *p, const struct translation *t)
{
	struct quoted_change c = {
		.old = *t->old,
		.new = *t->new,
		.old_port = t->old_port,
		.new_port = t->new_port,
		.source = t->source,
	};

	if (p->facts->ipv6)
		c.outer = outer_address(p, t->source);
	return nat_quoted(p->ctx, headers_of(p), &c);
}

/* nat translates one end of the packet and takes one off its TTL. */
static __always_inline bool nat(struct packet *p, const struct translation *t)
{
	bool inside = p->facts->kind == KIND_QUOTE ? nat_quote(p, t) : nat_transport(p, t);

	return inside && (p->facts->ipv6 ? nat_v6(p, t) : nat_v4(p, t));
}

/* nat_possible: SCTP's checksum is over what the other fragments hold. */
static __always_inline bool nat_possible(const struct packet *p, __be16 old_port, __be16 new_port)
{
	return p->facts->kind != KIND_FIRST || p->facts->flow.protocol != IPPROTO_SCTP || old_port == new_port;
}
