// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * tell.h: the sender of a packet that cannot go on is told, by ICMP from the service's address (RFC
 * 1191, RFC 1812 section 4.3, RFC 4443 section 3). What TCP and SCTP have for it is in reset.h. The packet itself becomes the quote: a new header
 * is put in front, and the rest is cut.
 */
#pragma once

#include "conn.h"
#include "csum.h"
#include "csum_bytes.h"
#include "icmp.h"
#include "maps.h"
#include "packet.h"
#include "vlan.h"

/* How many senders are told in a second, on each CPU; set before load. */
const volatile __u32 told_per_second = 1000;

#define TELL_TOS 0xc0 /* internetwork control, RFC 1812 section 4.3.2.5 */
#define TELL_TTL 64
#define TELL_LARGEST_V4 576  /* RFC 1812 section 4.3.2.3 */
#define TELL_LARGEST_V6 1280 /* RFC 4443 section 3.1 */

#define TELL_V4 (sizeof(struct iphdr) + sizeof(struct icmp))
#define TELL_V6 (sizeof(struct ipv6hdr) + sizeof(struct icmp))

/* tell_allowed keeps to the rate, so that a flood of large packets does not become one of ours. */
static __always_inline bool tell_allowed(void)
{
	__u32 zero = 0, now = jiffies();
	struct told *t = bpf_map_lookup_elem(&tellings, &zero);

	if (!t)
		return false;
	if (now - t->since >= jiffies_per_second) {
		t->since = now;
		t->count = 0;
	}
	return t->count++ < told_per_second;
}

/* tell_wanted: no error about an error, nor about a later fragment (RFC 1122 section 3.2.2); what may be fragmented is not too big. */
static __always_inline bool tell_wanted(struct xdp_md *ctx, const struct headers *h, enum verdict v)
{
	__be16 fragment = 0;

	if (h->kind > KIND_FIRST)
		return false;
	if (h->ipv6 || v != VERDICT_TOO_BIG)
		return true;
	bpf_xdp_load_bytes(ctx, h->network + 6, &fragment, sizeof(fragment));
	return fragment & bpf_htons(IP_DONT_FRAGMENT);
}

static __always_inline struct icmp tell_icmp(const struct headers *h, enum verdict v)
{
	switch (v) {
	case VERDICT_TOO_BIG:
		return (struct icmp){
			.type = h->ipv6 ? ICMPV6_TOO_BIG : ICMP_UNREACHABLE,
			.code = h->ipv6 ? 0 : ICMP_FRAGMENTATION_NEEDED,
			.mtu = bpf_htons(h->mtu),
		};
	case VERDICT_SERVER_RESET:
		return (struct icmp){
			.type = h->ipv6 ? ICMPV6_UNREACHABLE : ICMP_UNREACHABLE,
			.code = h->ipv6 ? ICMPV6_PORT_UNREACHABLE : ICMP_PORT_UNREACHABLE,
		};
	default:
		return (struct icmp){ .type = h->ipv6 ? ICMPV6_TIME_EXCEEDED : ICMP_TIME_EXCEEDED };
	}
}

static __always_inline void tell_v4(struct iphdr *ip, const struct headers *h, const struct addr *source, __u32 quote)
{
	*ip = (struct iphdr){
		.version = 4,
		.ihl = 5,
		.tos = TELL_TOS,
		.tot_len = bpf_htons(TELL_V4 + quote),
		.ttl = TELL_TTL,
		.protocol = IPPROTO_ICMP,
		.saddr = source->word[3],
		.daddr = h->flow.source.word[3],
	};
	ip->check = csum_ipv4(ip);
}

static __always_inline void tell_v6(struct ipv6hdr *ip, const struct headers *h, const struct addr *source, __u32 quote)
{
	*(__be32 *)ip = bpf_htonl(6 << 28);
	ip->payload_len = bpf_htons(sizeof(struct icmp) + quote);
	ip->nexthdr = IPPROTO_ICMPV6;
	ip->hop_limit = TELL_TTL;
	copy(&ip->saddr, source, sizeof(ip->saddr));
	copy(&ip->daddr, &h->flow.source, sizeof(ip->daddr));
}

/* tell_frame sends the frame back to where it came from; the old Ethernet header lies size bytes on. */
static __always_inline bool tell_frame(struct xdp_md *ctx, const struct headers *h, __u32 size)
{
	struct ethhdr *old = at(ctx, size, sizeof(*old));
	__u8 to[ETH_ALEN], from[ETH_ALEN];

	if (!old)
		return false;
	mac_copy(to, old->h_source);
	mac_copy(from, old->h_dest);
	struct ethhdr *eth = at(ctx, 0, sizeof(*eth));
	if (!eth)
		return false;
	mac_copy(eth->h_dest, to);
	mac_copy(eth->h_source, from);
	eth->h_proto = h->ipv6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
	return true;
}

/* tell_cut makes room for size bytes in front, and leaves quote bytes of the packet behind them. */
static __always_inline bool tell_cut(struct xdp_md *ctx, struct headers *h, __u32 size, __u32 quote)
{
	if (h->tagged && !vlan_strip(ctx, h))
		return false;
	if (bpf_xdp_adjust_head(ctx, -(int)size))
		return false;
	int spare = bpf_xdp_get_buff_len(ctx) - (ETH_HLEN + size + quote);
	return !bpf_xdp_adjust_tail(ctx, -spare);
}

static __always_inline bool tell_header_v4(struct xdp_md *ctx, const struct headers *h, const struct addr *source,
					   struct icmp *icmp, __u32 quote)
{
	if (!tell_frame(ctx, h, TELL_V4))
		return false;
	struct iphdr *ip = at(ctx, AT_NETWORK, sizeof(*ip));
	if (!ip)
		return false;
	tell_v4(ip, h, source, quote);
	if (bpf_xdp_store_bytes(ctx, AT_TRANSPORT_V4, icmp, sizeof(*icmp)))
		return false;
	icmp->check = csum_end(csum_bytes(ctx, AT_TRANSPORT_V4, sizeof(*icmp) + quote));
	return !bpf_xdp_store_bytes(ctx, AT_TRANSPORT_V4, icmp, sizeof(*icmp));
}

static __always_inline bool tell_header_v6(struct xdp_md *ctx, const struct headers *h, const struct addr *source,
					   struct icmp *icmp, __u32 quote)
{
	__u32 length = sizeof(*icmp) + quote;

	if (!tell_frame(ctx, h, TELL_V6))
		return false;
	struct ipv6hdr *ip = at(ctx, AT_NETWORK, sizeof(*ip));
	if (!ip)
		return false;
	tell_v6(ip, h, source, quote);
	if (bpf_xdp_store_bytes(ctx, AT_TRANSPORT_V6, icmp, sizeof(*icmp)))
		return false;
	__u64 sum = csum_pseudo(source, &h->flow.source, length, IPPROTO_ICMPV6);
	icmp->check = csum_end(sum + csum_bytes(ctx, AT_TRANSPORT_V6, length));
	return !bpf_xdp_store_bytes(ctx, AT_TRANSPORT_V6, icmp, sizeof(*icmp));
}

static __always_inline bool tell_build(struct xdp_md *ctx, struct headers *h, const struct addr *source, enum verdict v)
{
	struct icmp icmp = tell_icmp(h, v);
	__u32 size = h->ipv6 ? TELL_V6 : TELL_V4;
	__u32 largest = (h->ipv6 ? TELL_LARGEST_V6 : TELL_LARGEST_V4) - size;
	__u32 quote = h->length < largest ? h->length : largest;

	if (!tell_cut(ctx, h, size, quote))
		return false;
	if (!(h->ipv6 ? tell_header_v6(ctx, h, source, &icmp, quote) : tell_header_v4(ctx, h, source, &icmp, quote)))
		return false;
	return !h->tagged || vlan_push(ctx, h->tag);
}

/*
 * tell makes of a packet that ends as v an answer to its sender, if one may be sent; source is the
 * service's address.
 */
__noinline enum verdict tell(struct xdp_md *ctx, struct headers *h, struct addr *source, __u32 v)
{
	if (!h || !source || !tell_wanted(ctx, h, v) || !tell_allowed() || !tell_build(ctx, h, source, v))
		return v == VERDICT_SERVER_RESET ? VERDICT_SERVER_LEFT : v;
	switch (v) {
	case VERDICT_TOO_BIG:
		return VERDICT_TOO_BIG_TOLD;
	case VERDICT_TTL_EXCEEDED:
		return VERDICT_TTL_TOLD;
	}
	return v;
}
