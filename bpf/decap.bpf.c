// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * decap.bpf.c: a real server's end of the tunnel, where the kernel has no tunnel driver.
 *
 *   outer → inner → strip → count
 *
 * It takes the outer header off IPv4 and IPv6 packets in IPv4 and IPv6 (RFC 2003, RFC 4213, RFC
 * 2473), but only if the outer destination is an address of this host that it was told, and the
 * inner one is a VIP: it is not an open decapsulator. VLAN-tagged frames pass. Read it upwards from
 * its end.
 */
#include "csum.h"
#include "decap.h"
#include "packet.h"

/* The host's own addresses, to which a director tunnels. Written by Go. The value means nothing. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, DECAP_MAX_TUNNELS);
	__type(key, struct addr);
	__type(value, __u8);
} tunnels SEC(".maps");

/* The VIPs that this host serves. Written by Go. The value means nothing. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, DECAP_MAX_VIPS);
	__type(key, struct addr);
	__type(value, __u8);
} vips SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, DECAP_VERDICTS);
	__type(key, enum decap_verdict);
	__type(value, __u64);
} decap_verdicts SEC(".maps");

/* Explicit congestion notification: the low bits of TOS and traffic class, RFC 3168 section 5. */
#define ECN_MASK 0x03
#define ECN_CE 0x03

struct tunnelled {
	struct xdp_md *ctx;
	__u32 inner;   /* offset of the inner IP header */
	__u32 length;  /* bytes of the inner packet, as the outer header has it */
	__u8 protocol; /* IPPROTO_IPIP or IPPROTO_IPV6: what the outer header says is inside */
	__u8 ecn;      /* of the outer header */
};

static __always_inline bool is_tunnel(__u8 protocol)
{
	return protocol == IPPROTO_IPIP || protocol == IPPROTO_IPV6;
}

/* holds says whether the frame is as long as a header at an offset says. */
static __always_inline bool holds(struct xdp_md *ctx, __u64 offset, __u64 length)
{
	return (__u64)(long)ctx->data_end - (__u64)(long)ctx->data >= offset + length;
}

static __always_inline enum decap_verdict outer_v4(struct tunnelled *t)
{
	struct iphdr *ip = at(t->ctx, ETH_HLEN, sizeof(*ip));
	struct addr destination;

	if (!ip || !is_tunnel(ip->protocol))
		return DECAP_PASSED;
	addr_v4(&destination, ip->daddr);
	if (!bpf_map_lookup_elem(&tunnels, &destination))
		return DECAP_PASSED;
	__u32 header = ip->ihl * 4;
	__u32 total = bpf_ntohs(ip->tot_len);
	if (ip->version != 4 || header < sizeof(*ip) || total < header || !holds(t->ctx, ETH_HLEN, total))
		return DECAP_MALFORMED;
	if (ip->frag_off & bpf_htons(0x3fff)) /* more fragments, or an offset: RFC 791 section 3.1 */
		return DECAP_FRAGMENT;
	t->protocol = ip->protocol;
	t->ecn = ip->tos & ECN_MASK;
	t->inner = ETH_HLEN + header;
	t->length = total - header;
	return DECAP_CONTINUE;
}

/* ecn_v6: the traffic class lies across the first two bytes. */
static __always_inline __u8 ecn_v6(const struct ipv6hdr *ip)
{
	return ip->flow_lbl[0] >> 4 & ECN_MASK;
}

static __always_inline enum decap_verdict outer_v6(struct tunnelled *t)
{
	struct ipv6hdr *ip = at(t->ctx, ETH_HLEN, sizeof(*ip));
	struct addr destination;

	if (!ip || !is_tunnel(ip->nexthdr))
		return DECAP_PASSED;
	__builtin_memcpy(&destination, &ip->daddr, sizeof(destination));
	if (!bpf_map_lookup_elem(&tunnels, &destination))
		return DECAP_PASSED;
	t->length = bpf_ntohs(ip->payload_len);
	t->inner = ETH_HLEN + sizeof(*ip);
	if (ip->version != 6 || !holds(t->ctx, t->inner, t->length))
		return DECAP_MALFORMED;
	t->protocol = ip->nexthdr;
	t->ecn = ecn_v6(ip);
	return DECAP_CONTINUE;
}

static __always_inline enum decap_verdict outer(struct tunnelled *t)
{
	struct ethhdr *eth = at(t->ctx, 0, sizeof(*eth));

	if (!eth)
		return DECAP_PASSED;
	if (eth->h_proto == bpf_htons(ETH_P_IP))
		return outer_v4(t);
	if (eth->h_proto == bpf_htons(ETH_P_IPV6))
		return outer_v6(t);
	return DECAP_PASSED;
}

/*
 * congested: routers on the way said so on the outer header, and the inner packet must go on saying
 * it (RFC 6040 section 4.2). A packet whose ends do not know ECN stays as it is.
 */
static __always_inline bool congested(const struct tunnelled *t, __u8 inner)
{
	return t->ecn == ECN_CE && inner != 0 && inner != ECN_CE;
}

static __always_inline enum decap_verdict inner_v4(struct tunnelled *t)
{
	struct iphdr *ip = at(t->ctx, t->inner, sizeof(*ip));
	struct addr destination;

	if (!ip || t->length < sizeof(*ip))
		return DECAP_MALFORMED;
	__u32 header = ip->ihl * 4;
	__u32 total = bpf_ntohs(ip->tot_len);
	if (ip->version != 4 || header < sizeof(*ip) || total < header || total > t->length)
		return DECAP_MALFORMED;
	addr_v4(&destination, ip->daddr);
	if (!bpf_map_lookup_elem(&vips, &destination))
		return DECAP_REFUSED;
	if (congested(t, ip->tos & ECN_MASK)) {
		__u8 marked = ip->tos | ECN_CE;
		ip->check = csum_end(csum_replace(csum_begin(ip->check), bpf_htons(ip->tos), bpf_htons(marked)));
		ip->tos = marked;
	}
	return DECAP_CONTINUE;
}

static __always_inline enum decap_verdict inner_v6(struct tunnelled *t)
{
	struct ipv6hdr *ip = at(t->ctx, t->inner, sizeof(*ip));
	struct addr destination;

	if (!ip || t->length < sizeof(*ip))
		return DECAP_MALFORMED;
	if (ip->version != 6 || sizeof(*ip) + bpf_ntohs(ip->payload_len) > t->length)
		return DECAP_MALFORMED;
	__builtin_memcpy(&destination, &ip->daddr, sizeof(destination));
	if (!bpf_map_lookup_elem(&vips, &destination))
		return DECAP_REFUSED;
	if (congested(t, ecn_v6(ip)))
		ip->flow_lbl[0] |= ECN_CE << 4;
	return DECAP_CONTINUE;
}

static __always_inline enum decap_verdict inner(struct tunnelled *t)
{
	return t->protocol == IPPROTO_IPIP ? inner_v4(t) : inner_v6(t);
}

/* strip cuts the outer header out: the Ethernet header moves up, with the ethertype of the inner. */
static __always_inline enum decap_verdict strip(struct tunnelled *t)
{
	struct ethhdr *eth = at(t->ctx, 0, sizeof(*eth));
	struct ethhdr moved;

	if (!eth)
		return DECAP_MALFORMED;
	__builtin_memcpy(&moved, eth, sizeof(moved));
	moved.h_proto = t->protocol == IPPROTO_IPIP ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
	if (bpf_xdp_adjust_head(t->ctx, t->inner - ETH_HLEN))
		return DECAP_MALFORMED;
	eth = at(t->ctx, 0, sizeof(*eth));
	if (!eth) /* cannot be: the inner header was there */
		return DECAP_MALFORMED;
	__builtin_memcpy(eth, &moved, sizeof(moved));
	return DECAP_DECAPSULATED;
}

static __always_inline void count(__u32 verdict)
{
	__u64 *n = bpf_map_lookup_elem(&decap_verdicts, &verdict);

	if (n)
		(*n)++;
}

SEC("xdp")
int decap(struct xdp_md *ctx)
{
	struct tunnelled t = { .ctx = ctx };
	enum decap_verdict v = outer(&t);

	if (v == DECAP_CONTINUE)
		v = inner(&t);
	if (v == DECAP_CONTINUE)
		v = strip(&t);
	count(v);
	return XDP_PASS;
}

const char LICENSE[] SEC("license") = "Dual BSD/GPL";
