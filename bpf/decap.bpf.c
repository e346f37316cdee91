// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * decap.bpf.c: a real server's end of the tunnel, where the kernel has no tunnel driver.
 *
 *   outer → unwrap → inner → verify → combine → strip → count
 *
 * It takes IPv4 and IPv6 packets out of IPIP (RFC 2003, RFC 4213, RFC 2473), GRE (RFC 2784) and GUE
 * (draft-ietf-intarea-gue, variant 0) in IPv4 and IPv6, but only if the outer destination is an
 * address of this host that it was told, and the inner one is a VIP: it is not an open decapsulator.
 * VLAN-tagged frames pass. Read it upwards from its end.
 */
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

/* The UDP ports on which GUE comes in, in host order. Written by Go. The value means nothing. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, DECAP_MAX_PORTS);
	__type(key, __u16);
	__type(value, __u8);
} gue_ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, DECAP_VERDICTS);
	__type(key, enum decap_verdict);
	__type(value, __u64);
} decap_verdicts SEC(".maps");

/* Bytes of the packet that are being added up: as many as bpf_csum_diff takes. */
struct chunk {
	__u8 bytes[512];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct chunk);
} chunks SEC(".maps");

/* Explicit congestion notification: the low bits of TOS and traffic class, RFC 3168 section 5. */
enum ecn {
	NOT_ECT = 0,
	ECT_1 = 1,
	ECT_0 = 2,
	CE = 3,
	ECN_MASK = 3,
};

/* RFC 2784 section 2. Bits 6 to 12 of the flags are reserved, and to be ignored. */
struct gre_header {
	__be16 flags;
	__be16 type; /* as in Ethernet */
};

#define GRE_CHECKSUM 0x8000
#define GRE_UNSUPPORTED 0x7c07 /* RFC 1701's and RFC 2890's routing, key, sequence, source route; version */
#define GRE_CHECKSUM_SIZE 4    /* with the reserved bytes behind it */

/* draft-ietf-intarea-gue section 3.2. */
struct gue_header {
	__u8 first;    /* variant, control message, length of what follows in words */
	__u8 protocol; /* of the inner packet */
	__be16 flags;
};

#define GUE_UNSUPPORTED 0xe0 /* another variant, or a control message */
#define GUE_LENGTH 0x1f

struct tunnelled {
	struct xdp_md *ctx;
	__u32 inner;   /* offset of what is inside: behind the headers that were read until now */
	__u32 length;  /* bytes of it, as those headers have it */
	__u32 covered; /* offset of what the checksum is of, and that of its bytes */
	__u32 covered_length;
	__u8 protocol; /* of what is inside */
	__u8 ipv6;     /* family of the outer header */
	__u8 udp;      /* the checksum is UDP's, with a pseudo header */
	__u8 outer_ecn;
	__u8 inner_ecn;
};

static __always_inline bool is_tunnel(__u8 protocol)
{
	return protocol == IPPROTO_IPIP || protocol == IPPROTO_IPV6 || protocol == IPPROTO_GRE ||
	       protocol == IPPROTO_UDP;
}

/* is_gue looks at a UDP header. */
static __always_inline bool is_gue(const struct tunnelled *t)
{
	struct udphdr udp;

	if (!load(t->ctx, t->inner, &udp, sizeof(udp)))
		return false;
	__u16 port = bpf_ntohs(udp.dest);
	return bpf_map_lookup_elem(&gue_ports, &port);
}

/* holds says whether the frame is as long as a header at an offset says. */
static __always_inline bool holds(const struct tunnelled *t, __u32 offset, __u32 length)
{
	return bpf_xdp_get_buff_len(t->ctx) >= offset + length;
}

static __noinline enum decap_verdict outer_v4(struct tunnelled *t)
{
	struct iphdr *ip = at(t->ctx, ETH_HLEN, sizeof(*ip));
	struct addr destination;

	if (!ip || !is_tunnel(ip->protocol))
		return DECAP_PASSED;
	__u32 header = ip->ihl * 4;
	__u32 total = bpf_ntohs(ip->tot_len);
	__u16 fragment = bpf_ntohs(ip->frag_off) & 0x3fff; /* more fragments, offset: RFC 791 section 3.1 */
	__u8 version = ip->version;
	t->protocol = ip->protocol;
	t->outer_ecn = ip->tos & ECN_MASK;
	t->inner = ETH_HLEN + header;
	addr_v4(&destination, ip->daddr);
	if (!bpf_map_lookup_elem(&tunnels, &destination))
		return DECAP_PASSED;
	if (t->protocol == IPPROTO_UDP && (fragment & 0x1fff || !is_gue(t)))
		return DECAP_PASSED;
	if (version != 4 || header < sizeof(*ip) || total < header || !holds(t, ETH_HLEN, total))
		return DECAP_MALFORMED;
	if (fragment)
		return DECAP_FRAGMENT;
	t->length = total - header;
	return DECAP_CONTINUE;
}

/* ecn_v6: the traffic class lies across the first two bytes. */
static __always_inline __u8 ecn_v6(const struct ipv6hdr *ip)
{
	return ip->flow_lbl[0] >> 4 & ECN_MASK;
}

static __noinline enum decap_verdict outer_v6(struct tunnelled *t)
{
	struct ipv6hdr *ip = at(t->ctx, ETH_HLEN, sizeof(*ip));
	struct addr destination;

	if (!ip || !is_tunnel(ip->nexthdr))
		return DECAP_PASSED;
	__u8 version = ip->version;
	t->ipv6 = true;
	t->protocol = ip->nexthdr;
	t->outer_ecn = ecn_v6(ip);
	t->length = bpf_ntohs(ip->payload_len);
	t->inner = ETH_HLEN + sizeof(*ip);
	__builtin_memcpy(&destination, &ip->daddr, sizeof(destination));
	if (!bpf_map_lookup_elem(&tunnels, &destination))
		return DECAP_PASSED;
	if (t->protocol == IPPROTO_UDP && !is_gue(t))
		return DECAP_PASSED;
	if (version != 6 || !holds(t, t->inner, t->length))
		return DECAP_MALFORMED;
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

/* cover notes that all that is left of the outer packet is under a checksum. */
static __always_inline void cover(struct tunnelled *t)
{
	t->covered = t->inner;
	t->covered_length = t->length;
}

/* step goes behind a header. */
static __always_inline enum decap_verdict step(struct tunnelled *t, __u32 size)
{
	if (t->length < size)
		return DECAP_MALFORMED;
	t->inner += size;
	t->length -= size;
	return DECAP_CONTINUE;
}

static __always_inline __u8 protocol_of(__be16 type)
{
	if (type == bpf_htons(ETH_P_IP))
		return IPPROTO_IPIP;
	return type == bpf_htons(ETH_P_IPV6) ? IPPROTO_IPV6 : 0;
}

static __noinline enum decap_verdict unwrap_gre(struct tunnelled *t)
{
	struct gre_header gre;

	if (t->length < sizeof(gre) || !load(t->ctx, t->inner, &gre, sizeof(gre)))
		return DECAP_MALFORMED;
	t->protocol = protocol_of(gre.type);
	if (gre.flags & bpf_htons(GRE_UNSUPPORTED) || !t->protocol)
		return DECAP_UNSUPPORTED;
	if (!(gre.flags & bpf_htons(GRE_CHECKSUM)))
		return step(t, sizeof(gre));
	cover(t);
	return step(t, sizeof(gre) + GRE_CHECKSUM_SIZE);
}

/* unwrap_gue: what follows the header without a flag that tells its meaning is private, and skipped. */
static __noinline enum decap_verdict unwrap_gue(struct tunnelled *t)
{
	struct {
		struct udphdr udp;
		struct gue_header gue;
	} h;

	if (t->length < sizeof(h) || !load(t->ctx, t->inner, &h, sizeof(h)))
		return DECAP_MALFORMED;
	__u32 length = bpf_ntohs(h.udp.len);
	if (length < sizeof(h) || length > t->length)
		return DECAP_MALFORMED;
	t->length = length;
	t->protocol = h.gue.protocol;
	if (h.gue.first & GUE_UNSUPPORTED || h.gue.flags ||
	    (t->protocol != IPPROTO_IPIP && t->protocol != IPPROTO_IPV6))
		return DECAP_UNSUPPORTED;
	if (h.udp.check) { /* none is allowed over IPv6 too: RFC 6935 */
		t->udp = true;
		cover(t);
	}
	return step(t, sizeof(h) + (h.gue.first & GUE_LENGTH) * 4);
}

static __always_inline enum decap_verdict unwrap(struct tunnelled *t)
{
	if (t->protocol == IPPROTO_GRE)
		return unwrap_gre(t);
	if (t->protocol == IPPROTO_UDP)
		return unwrap_gue(t);
	return DECAP_CONTINUE;
}

static __noinline enum decap_verdict inner_v4(struct tunnelled *t)
{
	struct iphdr ip;
	struct addr destination;

	if (t->length < sizeof(ip) || !load(t->ctx, t->inner, &ip, sizeof(ip)))
		return DECAP_MALFORMED;
	__u32 header = ip.ihl * 4;
	__u32 total = bpf_ntohs(ip.tot_len);
	if (ip.version != 4 || header < sizeof(ip) || total < header || total > t->length)
		return DECAP_MALFORMED;
	t->inner_ecn = ip.tos & ECN_MASK;
	addr_v4(&destination, ip.daddr);
	return bpf_map_lookup_elem(&vips, &destination) ? DECAP_CONTINUE : DECAP_REFUSED;
}

static __noinline enum decap_verdict inner_v6(struct tunnelled *t)
{
	struct ipv6hdr ip;
	struct addr destination;

	if (t->length < sizeof(ip) || !load(t->ctx, t->inner, &ip, sizeof(ip)))
		return DECAP_MALFORMED;
	if (ip.version != 6 || sizeof(ip) + bpf_ntohs(ip.payload_len) > t->length)
		return DECAP_MALFORMED;
	t->inner_ecn = ecn_v6(&ip);
	__builtin_memcpy(&destination, &ip.daddr, sizeof(destination));
	return bpf_map_lookup_elem(&vips, &destination) ? DECAP_CONTINUE : DECAP_REFUSED;
}

static __always_inline enum decap_verdict inner(struct tunnelled *t)
{
	return t->protocol == IPPROTO_IPIP ? inner_v4(t) : inner_v6(t);
}

/* A sum on its way. */
struct walk {
	struct xdp_md *ctx;
	struct chunk *chunk;
	__u32 offset;
	__u32 left; /* bytes */
	__u64 sum;
};

static long walk_step(__u32 turn, void *arg)
{
	struct walk *w = arg;
	__u32 words = w->left & ~3u;
	__u32 size = words < sizeof(w->chunk->bytes) ? words : sizeof(w->chunk->bytes);

	asm volatile("" : "+r"(size)); /* or clang asks for 0 only, which tells Linux 6.1 nothing */
	if (size < sizeof(__u32) || size > sizeof(w->chunk->bytes))
		return 1;
	if (bpf_xdp_load_bytes(w->ctx, w->offset, w->chunk->bytes, size))
		return 1;
	w->sum += (__u32)bpf_csum_diff(NULL, 0, (__be32 *)w->chunk->bytes, size, 0);
	w->offset += size;
	w->left -= size;
	return 0;
}

/* walk_end adds the last one to three bytes, as a word. Linux 6.1 would not see that none of three branches reads nothing. */
static __always_inline void walk_end(struct walk *w)
{
	__u32 word = 0, left = w->left & 3;

	bpf_xdp_load_bytes(w->ctx, w->offset + left - sizeof(word), &word, sizeof(word));
	w->sum += (__u64)word >> (32 - 8 * left);
}

/* pseudo is the sum of UDP's pseudo header, RFC 768 and RFC 8200 section 8.1. */
static __always_inline __u64 pseudo(const struct tunnelled *t)
{
	__u64 sum = (__u64)bpf_htonl(t->covered_length) + bpf_htonl(IPPROTO_UDP);

	if (!t->ipv6) {
		struct iphdr *ip = at(t->ctx, ETH_HLEN, sizeof(*ip));
		return ip ? sum + ip->saddr + ip->daddr : 0;
	}
	struct ipv6hdr *ip = at(t->ctx, ETH_HLEN, sizeof(*ip));
	if (!ip)
		return 0;
#pragma unroll
	for (int i = 0; i < 4; i++)
		sum += (__u64)ip->saddr.s6_addr32[i] + ip->daddr.s6_addr32[i];
	return sum;
}

/* fold makes a sum one of 16 bits, RFC 1071. */
static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/*
 * verify adds up what is under a checksum, with it: the sum of all is 0xffff. The bytes are copied in
 * chunks, because a loader without CAP_PERFMON may not walk a packet by a pointer.
 */
static __noinline enum decap_verdict verify(struct tunnelled *t)
{
	__u32 zero = 0;

	if (!t->covered)
		return DECAP_CONTINUE;
	struct walk w = {
		.ctx = t->ctx,
		.chunk = bpf_map_lookup_elem(&chunks, &zero),
		.offset = t->covered,
		.left = t->covered_length,
		.sum = t->udp ? pseudo(t) : 0,
	};
	if (!w.chunk) /* cannot be */
		return DECAP_BAD_CHECKSUM;
	bpf_loop(65536 / sizeof(w.chunk->bytes), walk_step, &w, 0);
	walk_end(&w);
	return fold(w.sum) == 0xffff ? DECAP_CONTINUE : DECAP_BAD_CHECKSUM;
}

/*
 * combine decides what the inner packet says of congestion from now on, RFC 6040 section 4.2, figure 4:
 *
 *                 outer Not-ECT   ECT(0)    ECT(1)    CE
 *   inner Not-ECT       Not-ECT   Not-ECT   Not-ECT   dropped
 *         ECT(0)        ECT(0)    ECT(0)    ECT(1)    CE
 *         ECT(1)        ECT(1)    ECT(1)    ECT(1)    CE
 *         CE            CE        CE        CE        CE
 */
static __always_inline enum decap_verdict combine(struct tunnelled *t)
{
	if (t->outer_ecn == CE && t->inner_ecn == NOT_ECT)
		return DECAP_CONGESTED;
	if (t->outer_ecn == CE || (t->outer_ecn == ECT_1 && t->inner_ecn == ECT_0))
		t->inner_ecn = t->outer_ecn;
	return DECAP_CONTINUE;
}

/* mark_v4 changes the checksum as the word of version, length and TOS changes: RFC 1624 equation 3. */
static __always_inline void mark_v4(const struct tunnelled *t)
{
	struct iphdr *ip = at(t->ctx, ETH_HLEN, sizeof(*ip));

	if (!ip)
		return;
	__u8 tos = (ip->tos & ~ECN_MASK) | t->inner_ecn;
	__u64 sum = (__u64)(__u16)~ip->check + (__u16)~bpf_htons(ip->tos) + bpf_htons(tos);
	if (tos == ip->tos)
		return;
	ip->check = ~fold(sum);
	ip->tos = tos;
}

static __always_inline void mark_v6(const struct tunnelled *t)
{
	struct ipv6hdr *ip = at(t->ctx, ETH_HLEN, sizeof(*ip));

	if (ip)
		ip->flow_lbl[0] = (ip->flow_lbl[0] & ~(ECN_MASK << 4)) | t->inner_ecn << 4;
}

/* strip cuts the outer headers out: the Ethernet header moves up, with the ethertype of the inner. */
static __noinline enum decap_verdict strip(struct tunnelled *t)
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
	if (t->protocol == IPPROTO_IPIP)
		mark_v4(t);
	else
		mark_v6(t);
	return DECAP_DECAPSULATED;
}

static __always_inline void count(__u32 verdict)
{
	__u64 *n = bpf_map_lookup_elem(&decap_verdicts, &verdict);

	if (n)
		(*n)++;
}

static __always_inline enum decap_verdict judge(struct tunnelled *t)
{
	enum decap_verdict v = outer(t);

	if (v == DECAP_CONTINUE)
		v = unwrap(t);
	if (v == DECAP_CONTINUE)
		v = inner(t);
	if (v == DECAP_CONTINUE)
		v = verify(t);
	if (v == DECAP_CONTINUE)
		v = combine(t);
	if (v == DECAP_CONTINUE)
		v = strip(t);
	return v;
}

SEC("xdp")
int decap(struct xdp_md *ctx)
{
	struct tunnelled t = { .ctx = ctx };
	enum decap_verdict v = judge(&t);

	count(v);
	return v < DECAP_FIRST_DROPPED ? XDP_PASS : XDP_DROP;
}

const char LICENSE[] SEC("license") = "Dual BSD/GPL";
