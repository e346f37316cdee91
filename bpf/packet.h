// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* packet.h: what the stages of the path hand to each other, and how they look at bytes. */
#pragma once

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "types.h"

/* What kind of packet it is. The order counts: the first two are balanced by their own headers. */
enum kind {
	KIND_WHOLE,
	KIND_FIRST, /* the first fragment, with the transport header */
	KIND_LATER, /* another fragment */
	KIND_QUOTE, /* an ICMP error, which quotes a packet of ours */
};

/* Which part of a packet a fragment is. */
struct part {
	__be32 id;
	__u16 offset; /* in bytes */
	__u16 size;   /* of its payload, in bytes */
	__u32 more;   /* 1: it is not the last one */
};

/*
 * What parse found in the headers: values only. So it can be handed to functions that the verifier
 * judges by themselves (those without `static`), once and not on each way that leads to them. They
 * are for what is rare; the common path has no calls.
 */
struct headers {
	struct flow flow; /* KIND_QUOTE: of the connection that the error is about */
	__u32 ingress;    /* interface that it came in by */
	__u32 length;     /* bytes of the IP packet, by its own header */
	__u32 network;    /* offset of the IP header */
	__u32 transport;  /* offset of the transport header */
	__u8 ipv6;        /* family: it matters in parse and forward only */
	__u8 ttl;         /* hop limit in IPv6 */
	__u8 tcp_flags;   /* byte 13 of the TCP header, or what stands for it in SCTP; 0 for UDP */
	__u8 tagged;      /* it carries a VLAN tag */
	__u16 tag;        /* the tag as it is, with its priority, in host order */
	__u8 kind;        /* enum kind */
	__u8 data;        /* 1: a TCP segment with data */
	__u32 mtu;        /* of the way on, when the packet is larger */
	struct part part; /* of fragments */
	struct {
		__u32 network;
		__u32 transport;
		__u16 protocol;
		__u16 at_service; /* 1: the error came to a service's address */
	} quoted;                 /* KIND_QUOTE: offsets of its headers */
};

/* What a packet did. */
enum mark {
	MARK_FRESH = 1,    /* it has begun conn, and is counted there */
	MARK_TEMPLATE = 2, /* it has begun its client's template */
	MARK_SETTLES = 4,  /* with it conn is settled */
};

/* A header as it was copied from the packet, by whoever reads one right now. */
union wire {
	struct iphdr v4;
	struct ipv6hdr v6;
	struct tcphdr tcp;
	struct udphdr udp;
};

/*
 * What the stages found, as values. They lie in the CPU's scratch: on the stack each of them would cost a loader without
 * CAP_PERFMON a barrier, and the verifier would follow each way for itself that has written another of them
 * (docs/why/rare-is-apart.md).
 */
struct facts {
	struct headers; /* first: headers_of */
	__u32 egress;   /* interface that it leaves by, once a server or client was chosen */
	__u32 server_id;
	__u32 life;       /* of conn: word_life */
	__u32 position;   /* of conn */
	__u32 forwarding; /* enum forwarding: that of conn, or without one of server */
	__u32 hashed;     /* enum verdict: sent on without a connection, this is its exit; 0: it has one */
	__u32 marks;      /* enum mark */
	union wire wire;  /* last: what is behind a packet's facts is not of it */
} __attribute__((aligned(8)));

struct packet {
	struct xdp_md *ctx;
	struct facts *facts;
	struct service *service;
	struct server *server;
	struct conn *conn;
	struct reverse *back; /* the packet is the server's: the way back by which conn was found */
};

static __always_inline struct headers *headers_of(const struct packet *p)
{
	return (struct headers *)p->facts;
}

#define IP_DONT_FRAGMENT 0x4000 /* RFC 791 section 3.1 */

/* Flags in byte 13 of the TCP header, RFC 9293 section 3.1. */
#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

/* Where headers begin when there is no tag and there are no options: known to the compiler. */
enum offset {
	AT_NETWORK = ETH_HLEN,
	AT_TRANSPORT_V4 = ETH_HLEN + sizeof(struct iphdr),
	AT_TRANSPORT_V6 = ETH_HLEN + sizeof(struct ipv6hdr),
};

/*
 * at returns len bytes at an offset that the compiler knows, or NULL when the frame is shorter.
 *
 * A loader without CAP_PERFMON may neither add an unknown number to a packet pointer nor compare
 * one with 0. The asm keeps clang from merging two offsets into one unknown, the assumption from
 * asking whether what was just found is NULL. So the answer is looked at on the very next line.
 */
static __always_inline void *at(struct xdp_md *ctx, __u64 offset, __u64 len)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	void *header = data + offset;

	if (header + len > end)
		return NULL;
	asm volatile("" : "+r"(header));
	__builtin_assume(header != NULL);
	return header;
}

/* copy moves len bytes, a multiple of 4: clang copies what it does not know to be aligned by bytes. */
static __always_inline void copy(void *to, const void *from, __u32 len)
{
#pragma unroll
	for (__u32 i = 0; i < len / 4; i++)
		((__u32 *)to)[i] = ((const __u32 *)from)[i];
}

static __always_inline bool load_at(struct xdp_md *ctx, __u32 offset, void *to, __u32 len)
{
	const void *header = at(ctx, offset, len);

	if (header)
		copy(to, header, len);
	return header;
}

/* end_of is the offset behind the IP packet. */
static __always_inline __u32 end_of(const struct headers *h)
{
	return h->network + h->length;
}

/* load copies a header from wherever it begins; false: the frame is shorter. len is a multiple of 4. */
static __always_inline bool load(struct xdp_md *ctx, __u32 offset, void *to, __u32 len)
{
	switch (offset) {
	case AT_NETWORK:
		return load_at(ctx, AT_NETWORK, to, len);
	case AT_TRANSPORT_V4:
		return load_at(ctx, AT_TRANSPORT_V4, to, len);
	case AT_TRANSPORT_V6:
		return load_at(ctx, AT_TRANSPORT_V6, to, len);
	}
	return bpf_xdp_load_bytes(ctx, offset, to, len) == 0;
}

static __always_inline bool store_at(struct xdp_md *ctx, __u32 offset, const void *from, __u32 len)
{
	void *header = at(ctx, offset, len);

	if (header)
		copy(header, from, len);
	return header;
}

/* store is the way back of load, for transport headers. */
static __always_inline bool store(struct xdp_md *ctx, __u32 offset, void *from, __u32 len)
{
	switch (offset) {
	case AT_TRANSPORT_V4:
		return store_at(ctx, AT_TRANSPORT_V4, from, len);
	case AT_TRANSPORT_V6:
		return store_at(ctx, AT_TRANSPORT_V6, from, len);
	}
	return bpf_xdp_store_bytes(ctx, offset, from, len) == 0;
}

/* MACs lie at even places everywhere; clang would copy what it does not know to be aligned by bytes. */
static __always_inline void mac_copy(__u8 *to, const __u8 *from)
{
	for (int i = 0; i < ETH_ALEN / 2; i++)
		((__u16 *)to)[i] = ((const __u16 *)from)[i];
}

static __always_inline bool mac_equal(const __u8 *a, const __u8 *b)
{
	return *(const __u32 *)a == *(const __u32 *)b && *(const __u16 *)(a + 4) == *(const __u16 *)(b + 4);
}

static __always_inline bool addr_equal(const struct addr *a, const struct addr *b)
{
	return a->word[0] == b->word[0] && a->word[1] == b->word[1] && a->word[2] == b->word[2] &&
	       a->word[3] == b->word[3];
}

static __always_inline __u32 jiffies(void)
{
	return bpf_jiffies64();
}

/* addr_v4 maps an IPv4 address into IPv6, RFC 4291 section 2.5.5.2. */
static __always_inline void addr_v4(struct addr *a, __be32 v4)
{
	a->word[0] = 0;
	a->word[1] = 0;
	a->word[2] = bpf_htonl(0xffff);
	a->word[3] = v4;
}

static __always_inline bool addr_is_v4(const struct addr *a)
{
	return !a->word[0] && !a->word[1] && a->word[2] == bpf_htonl(0xffff);
}

/* begins: a SYN alone, or an INIT, which stands as one. */
static __always_inline bool begins(__u8 tcp_flags)
{
	return (tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN;
}

/*
 * starts_connection: UDP always may, TCP with a bare SYN only (RFC 9293 section 3.5), SCTP with an
 * INIT, which stands as one. Later fragments and errors belong to what is there.
 */
static __always_inline bool starts_connection(const struct packet *p)
{
	if (p->facts->kind > KIND_FIRST)
		return false;
	return p->facts->flow.protocol == IPPROTO_UDP || begins(p->facts->tcp_flags);
}
