// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * reset.h: the client of a connection whose server was removed hears that it is over, as from the
 * service: by RST (RFC 9293 section 3.10.7.1) or ABORT (RFC 9260 section 8.4). Of UDP it hears by ICMP,
 * from tell.h. Its packet becomes the answer, which is never longer than what came.
 */
#pragma once

#include "csum.h"
#include "packet.h"
#include "sctp.h"
#include "tell.h"
#include "vlan.h"

/* A TCP header without options, RFC 9293 section 3.1. */
struct segment {
	__be16 source;
	__be16 destination;
	__be32 sequence;
	__be32 acknowledgment;
	__u8 offset; /* of the data, in words, in the upper half */
	__u8 flags;
	__be16 window;
	__sum16 check;
	__be16 urgent;
};

#define SEGMENT_OFFSET (sizeof(struct segment) / 4 << 4)

static __always_inline bool reset_v4(struct xdp_md *ctx, const struct headers *h, __u32 size)
{
	struct iphdr *ip = at(ctx, AT_NETWORK, sizeof(*ip));

	if (!ip)
		return false;
	*ip = (struct iphdr){
		.version = 4,
		.ihl = 5,
		.tot_len = bpf_htons(sizeof(*ip) + size),
		.ttl = TELL_TTL,
		.protocol = h->flow.protocol,
		.saddr = h->flow.destination.word[3],
		.daddr = h->flow.source.word[3],
	};
	ip->check = csum_ipv4(ip);
	return true;
}

static __always_inline bool reset_v6(struct xdp_md *ctx, const struct headers *h, __u32 size)
{
	struct ipv6hdr *ip = at(ctx, AT_NETWORK, sizeof(*ip));

	if (!ip)
		return false;
	*(__be32 *)ip = bpf_htonl(6 << 28);
	ip->payload_len = bpf_htons(size);
	ip->nexthdr = h->flow.protocol;
	ip->hop_limit = TELL_TTL;
	copy(&ip->saddr, &h->flow.destination, sizeof(ip->saddr));
	copy(&ip->daddr, &h->flow.source, sizeof(ip->daddr));
	return true;
}

/* reset_frame makes a frame to the client of what came, with room for size bytes behind the IP header; its tag is off. */
__noinline bool reset_frame(struct xdp_md *ctx, struct headers *h, __u32 size)
{
	if (!h || !tell_frame(ctx, h, 0) || !(h->ipv6 ? reset_v6(ctx, h, size) : reset_v4(ctx, h, size)))
		return false;
	int spare = bpf_xdp_get_buff_len(ctx) - (h->ipv6 ? AT_TRANSPORT_V6 : AT_TRANSPORT_V4) - size;
	return !bpf_xdp_adjust_tail(ctx, -spare);
}

/* reset_send puts the answer into a frame of its own; it goes back with the tag that the packet had. */
static __always_inline bool reset_send(struct xdp_md *ctx, struct headers *h, void *answer, __u32 size)
{
	if (h->tagged && !vlan_strip(ctx, h))
		return false;
	if (!reset_frame(ctx, h, size))
		return false;
	if (bpf_xdp_store_bytes(ctx, h->ipv6 ? AT_TRANSPORT_V6 : AT_TRANSPORT_V4, answer, size))
		return false;
	return !h->tagged || vlan_push(ctx, h->tag);
}

/* reset_wanted: an end is not answered, nor what does not say of which connection it is. */
static __always_inline bool reset_wanted(const struct headers *h)
{
	return h->kind <= KIND_FIRST && !(h->tcp_flags & TCP_RST) && tell_allowed();
}

/* segment_end is the sequence number behind a segment. */
static __always_inline __be32 segment_end(const struct headers *h, const struct segment *s)
{
	__u32 data = end_of(h) - h->transport - (s->offset >> 4) * 4;
	__u32 ends = !!(s->flags & TCP_SYN) + !!(s->flags & TCP_FIN);

	return bpf_htonl(bpf_ntohl(s->sequence) + data + ends);
}

/* reset_sum is the checksum of the answer, which has no data. */
static __always_inline __u16 reset_sum(const struct headers *h, const struct segment *s)
{
	__u64 sum = csum_pseudo(&h->flow.destination, &h->flow.source, sizeof(*s), IPPROTO_TCP);

	sum += (__u64)s->source + s->destination + s->sequence + s->acknowledgment;
	return csum_end(sum + s->offset + ((__u32)s->flags << 8));
}

/* reset_tcp: the RST has the number that the client waits for; what acknowledges nothing is acknowledged by it. */
__noinline enum verdict reset_tcp(struct xdp_md *ctx, struct headers *h)
{
	struct segment s;

	if (!h || !reset_wanted(h) || bpf_xdp_load_bytes(ctx, h->transport, &s, sizeof(s)))
		return VERDICT_SERVER_LEFT;
	bool acknowledges = s.flags & TCP_ACK;
	__be32 end = segment_end(h, &s);
	s.sequence = acknowledges ? s.acknowledgment : 0;
	s.acknowledgment = acknowledges ? 0 : end;
	s.flags = acknowledges ? TCP_RST : TCP_RST | TCP_ACK;
	s.source = h->flow.destination_port;
	s.destination = h->flow.source_port;
	s.offset = SEGMENT_OFFSET;
	s.window = 0;
	s.urgent = 0;
	s.check = reset_sum(h, &s);
	return reset_send(ctx, h, &s, sizeof(s)) ? VERDICT_SERVER_RESET : VERDICT_SERVER_LEFT;
}

#define ABORT_REFLECTS 1 /* T bit: the verification tag is the client's own, RFC 9260 section 3.3.7 */

/* CRC32c of as many zeros as an ABORT has bytes. */
#define ABORT_OF_ZEROS 0x42709aeau

/* abort_sum: by the linearity of a CRC each word of the ABORT changes that of zeros. */
static __always_inline __le32 abort_sum(const struct sctp *a)
{
	const __u32 *word = (const __u32 *)a;

	return ABORT_OF_ZEROS ^ crc_change(word[0], 12) ^ crc_change(word[1], 8) ^ crc_change(word[3], 0);
}

/* reset_sctp: the client knows its own verification tag, and believes the ABORT that has it. */
__noinline enum verdict reset_sctp(struct xdp_md *ctx, struct headers *h)
{
	struct sctp a;

	if (!h || !reset_wanted(h) || bpf_xdp_load_bytes(ctx, h->transport, &a, sizeof(a)))
		return VERDICT_SERVER_LEFT;
	a.source = h->flow.destination_port;
	a.destination = h->flow.source_port;
	a.chunk = CHUNK_ABORT;
	a.flags = ABORT_REFLECTS;
	a.length = bpf_htons(4);
	a.checksum = abort_sum(&a);
	return reset_send(ctx, h, &a, sizeof(a)) ? VERDICT_SERVER_RESET : VERDICT_SERVER_LEFT;
}
