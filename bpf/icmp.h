// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * icmp.h: ICMP errors about connections. They go where the connection goes (RFC 5508 section 4, RFC
 * 7690), and never make one. All other ICMP is the kernel's: it holds the VIP, and answers an echo.
 */
#pragma once

#include "check.h"
#include "conn.h"
#include "director.h"
#include "extension.h"
#include "lease.h"
#include "maps.h"
#include "packet.h"
#include "service.h"

/* RFC 792, RFC 4443 section 2.1, RFC 4884. */
struct icmp {
	__u8 type;
	__u8 code;
	__sum16 check;
	__be16 unused;
	__be16 mtu; /* of fragmentation needed, RFC 1191 section 4; ICMPv6 has 32 bits, from unused on */
};

enum icmp_v4 {
	ICMP_UNREACHABLE = 3,
	ICMP_TIME_EXCEEDED = 11,
	ICMP_PARAMETER_PROBLEM = 12,
};

enum icmp_v6 {
	ICMPV6_UNREACHABLE = 1,
	ICMPV6_TOO_BIG = 2,
	ICMPV6_TIME_EXCEEDED = 3,
	ICMPV6_PARAMETER_PROBLEM = 4,
};

/* Codes of ICMP_UNREACHABLE and ICMPV6_UNREACHABLE. */
#define ICMP_PORT_UNREACHABLE 3
#define ICMP_FRAGMENTATION_NEEDED 4
#define ICMPV6_PORT_UNREACHABLE 4

/* The least MTUs that are believed: less would be an attack (RFC 791 section 3.1, RFC 8200 section 5). */
#define LEAST_MTU_V4 576
#define LEAST_MTU_V6 1280

#define QUOTED_TRANSPORT 8 /* bytes of the quoted transport header that are always there, RFC 792 */

static __always_inline bool icmp_is_error(const struct headers *h, __u8 type)
{
	if (h->ipv6)
		return type >= ICMPV6_UNREACHABLE && type <= ICMPV6_PARAMETER_PROBLEM;
	return type == ICMP_UNREACHABLE || type == ICMP_TIME_EXCEEDED || type == ICMP_PARAMETER_PROBLEM;
}

/* parse_icmp tells errors, which balance() looks into, from what the kernel answers. */
__noinline enum verdict parse_icmp(struct xdp_md *ctx, struct headers *h)
{
	struct icmp icmp;

	if (!h || h->transport + sizeof(icmp) > end_of(h) || bpf_xdp_load_bytes(ctx, h->transport, &icmp, sizeof(icmp)))
		return VERDICT_MALFORMED;
	if (!icmp_is_error(h, icmp.type))
		return h->ipv6 && solicitation_ended(ctx, h->transport) ? VERDICT_LEASE_OVER : VERDICT_ICMP;
	h->kind = KIND_QUOTE;
	h->quoted.network = h->transport + sizeof(icmp);
	return VERDICT_CONTINUE;
}

/* icmp_low_mtu: the error speaks of an MTU that cannot be. */
static __always_inline bool icmp_low_mtu(struct xdp_md *ctx, const struct headers *h)
{
	struct icmp icmp = {};

	bpf_xdp_load_bytes(ctx, h->transport, &icmp, sizeof(icmp));
	if (!h->ipv6)
		return icmp.type == ICMP_UNREACHABLE && icmp.code == ICMP_FRAGMENTATION_NEEDED &&
		       bpf_ntohs(icmp.mtu) < LEAST_MTU_V4;
	__u32 mtu = (__u32)bpf_ntohs(icmp.unused) << 16 | bpf_ntohs(icmp.mtu);
	return icmp.type == ICMPV6_TOO_BIG && mtu < LEAST_MTU_V6;
}

/*
 * quoted_v4 and quoted_v6 find the quoted packet's addresses, turned round as its connection has
 * them, and where its transport header begins. false: it cannot be read.
 */
static __always_inline bool quoted_v4(struct xdp_md *ctx, struct headers *h, struct flow *flow)
{
	struct iphdr ip;

	if (bpf_xdp_load_bytes(ctx, h->quoted.network, &ip, sizeof(ip)))
		return false;
	h->quoted.protocol = ip.protocol;
	h->quoted.transport = h->quoted.network + ip.ihl * 4;
	addr_v4(&flow->source, ip.daddr);
	addr_v4(&flow->destination, ip.saddr);
	return ip.version == 4 && ip.ihl >= 5 && !(ip.frag_off & bpf_htons(0x1fff)) &&
	       h->quoted.network + sizeof(ip) <= end_of(h);
}

static __always_inline bool quoted_v6(struct xdp_md *ctx, struct headers *h, struct flow *flow)
{
	struct ipv6hdr ip;

	if (bpf_xdp_load_bytes(ctx, h->quoted.network, &ip, sizeof(ip)))
		return false;
	struct chain c = {
		.ctx = ctx,
		.at = h->quoted.network + sizeof(ip),
		.end = end_of(h),
		.next = ip.nexthdr,
		.quoted = true,
	};
	enum verdict v = chain_walk(&c);
	h->quoted.protocol = c.next;
	h->quoted.transport = c.at;
	copy(&flow->source, &ip.daddr, sizeof(flow->source));
	copy(&flow->destination, &ip.saddr, sizeof(flow->destination));
	return ip.version == 6 && v == VERDICT_CONTINUE && !c.part.offset &&
	       h->quoted.network + sizeof(ip) <= end_of(h);
}

/*
 * quoted_ports reads the ports into flow, turned round. A buffer of its own would lie where the chain
 * had its pointers, which no helper may write to without CAP_PERFMON.
 */
static __always_inline bool quoted_ports(struct xdp_md *ctx, const struct headers *h, struct flow *flow)
{
	_Static_assert(offsetof(struct flow, destination_port) == offsetof(struct flow, source_port) + 2, "ports");

	if (h->quoted.transport + QUOTED_TRANSPORT > end_of(h))
		return false;
	if (bpf_xdp_load_bytes(ctx, h->quoted.transport, &flow->source_port, 2 * sizeof(flow->source_port)))
		return false;
	__be16 source = flow->source_port;
	flow->source_port = flow->destination_port;
	flow->destination_port = source;
	flow->protocol = h->quoted.protocol;
	return true;
}

static __always_inline bool is_balanced_protocol(__u8 protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP;
}

/* icmp_at_service: an error sent to a VIP is about what the service sent. */
static __always_inline enum verdict icmp_at_service(const struct headers *h, const struct flow *flow)
{
	if (!addr_equal(&flow->destination, &h->flow.destination))
		return VERDICT_ICMP_NO_CONNECTION;
	return martian(&h->flow) ? VERDICT_MARTIAN : VERDICT_CONTINUE;
}

/* icmp_at_client: an error sent to a client is about what NAT made of its packets. */
static __always_inline enum verdict icmp_at_client(const struct headers *h, const struct flow *flow)
{
	return addr_equal(&flow->destination, &h->flow.destination) ? VERDICT_CONTINUE : VERDICT_ICMP;
}

/*
 * icmp_read makes the flow of the connection that the error may be about h's own. What quotes something
 * of the host's own is the kernel's.
 */
__noinline enum verdict icmp_read(struct xdp_md *ctx, struct headers *h)
{
	struct flow flow = {};

	if (!h)
		return VERDICT_ICMP;
	h->quoted.at_service = service_owns(&h->flow.destination);
	bool readable = h->ipv6 ? quoted_v6(ctx, h, &flow) : quoted_v4(ctx, h, &flow);

	if (readable && !is_balanced_protocol(h->quoted.protocol))
		return VERDICT_ICMP;
	if (!readable || !quoted_ports(ctx, h, &flow))
		return h->quoted.at_service ? VERDICT_ICMP_NO_CONNECTION : VERDICT_ICMP;
	enum verdict v = h->quoted.at_service ? icmp_at_service(h, &flow) : icmp_at_client(h, &flow);
	if (v == VERDICT_CONTINUE)
		h->flow = flow;
	return v;
}

/*
 * icmp_of_none: an error about a service, but about no connection that is known here. It may be of another director's,
 * whose server is this host: then it goes where the connection's other packets go, which a backup passes, too. A
 * service that lingers sends those on by hash, but passes their errors all the same.
 */
static __always_inline enum verdict icmp_of_none(struct xdp_md *ctx, struct headers *h, const struct service *service)
{
	if (!(service->flags & SERVICE_LOCAL) || icmp_low_mtu(ctx, h))
		return VERDICT_ICMP_NO_CONNECTION;
	if (!(service->flags & SERVICE_SERVING))
		return VERDICT_NOT_SERVING;
	return director_told(ctx, h);
}

/* icmp_judge: an error is about a connection of ours, or a check, and says what can be; known: the connection was found. */
__noinline enum verdict icmp_judge(struct xdp_md *ctx, struct headers *h, bool known)
{
	if (!h)
		return VERDICT_ICMP;
	if (known)
		return icmp_low_mtu(ctx, h) ? VERDICT_ICMP_LOW_MTU : VERDICT_CONTINUE;
	struct service *service = h->quoted.at_service ? service_find(&h->flow) : NULL;
	if (service)
		return icmp_of_none(ctx, h, service);
	return check_refused(ctx, h) ? VERDICT_CHECK_ANSWER : VERDICT_ICMP;
}
