// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * parse.h: bytes → struct packet. Nothing behind it reads a length or an offset from the wire again.
 * Verdicts of the dropping kind are claims here: refuse() in weir.bpf.c lets packets pass that are
 * not for a service.
 */
#pragma once

#include "maps.h"
#include "packet.h"
#include "service.h"

struct vlan_header {
	__be16 tag;
	__be16 type;
};

#define IP_FRAGMENT 0x3fff /* more fragments, or an offset: RFC 791 section 3.1 */

/* IPv6 extension headers, RFC 8200 section 4 and the registry of RFC 7045. */
enum extension_header {
	HOP_BY_HOP = 0,
	ROUTING = 43,
	FRAGMENT = 44,
	AUTHENTICATION = 51,
	DESTINATION_OPTIONS = 60,
	MOBILITY = 135,
	HOST_IDENTITY = 139,
	SHIM6 = 140,
};

static __always_inline enum verdict parse_tcp(struct packet *p)
{
	struct tcphdr tcp;
	__u32 end = p->network + p->length;

	if (p->transport + sizeof(tcp) > end || !load(p->ctx, p->transport, &tcp, sizeof(tcp)))
		return VERDICT_MALFORMED;
	if (tcp.doff < 5 || p->transport + tcp.doff * 4 > end)
		return VERDICT_MALFORMED;
	p->flow.source_port = tcp.source;
	p->flow.destination_port = tcp.dest;
	p->tcp_flags = ((__u8 *)&tcp)[13];
	return VERDICT_CONTINUE;
}

static __always_inline enum verdict parse_udp(struct packet *p)
{
	struct udphdr udp;
	__u32 end = p->network + p->length;

	if (p->transport + sizeof(udp) > end || !load(p->ctx, p->transport, &udp, sizeof(udp)))
		return VERDICT_MALFORMED;
	__u32 len = bpf_ntohs(udp.len);
	if (len < sizeof(udp) || p->transport + len > end)
		return VERDICT_MALFORMED;
	p->flow.source_port = udp.source;
	p->flow.destination_port = udp.dest;
	return VERDICT_CONTINUE;
}

static __always_inline enum verdict parse_transport(struct packet *p, __u8 protocol)
{
	p->flow.protocol = protocol;
	if (protocol == IPPROTO_TCP)
		return parse_tcp(p);
	if (protocol == IPPROTO_UDP)
		return parse_udp(p);
	return VERDICT_NO_SERVICE;
}

/*
 * holds says whether the frame holds all of the IP packet that its header speaks of. A loader
 * without CAP_PERFMON may not subtract packet pointers, so the kernel is asked.
 */
static __always_inline bool holds(struct packet *p)
{
	return bpf_xdp_get_buff_len(p->ctx) >= p->network + p->length;
}

static __always_inline enum verdict parse_v4(struct packet *p)
{
	struct iphdr ip;

	if (!load(p->ctx, p->network, &ip, sizeof(ip)))
		return VERDICT_NOT_IP;
	addr_v4(&p->flow.source, ip.saddr);
	addr_v4(&p->flow.destination, ip.daddr);
	p->length = bpf_ntohs(ip.tot_len);
	p->ttl = ip.ttl;
	__u32 header = ip.ihl * 4;
	if (ip.version != 4 || header < sizeof(ip) || p->length < header || !holds(p))
		return VERDICT_MALFORMED;
	if (ip.frag_off & bpf_htons(IP_FRAGMENT))
		return VERDICT_FRAGMENT;
	if (ip.protocol == IPPROTO_ICMP)
		return VERDICT_ICMP;
	p->transport = p->network + header;
	return parse_transport(p, ip.protocol);
}

static __always_inline enum verdict parse_extension(__u8 next)
{
	switch (next) {
	case FRAGMENT:
		return VERDICT_FRAGMENT;
	case HOP_BY_HOP:
	case ROUTING:
	case AUTHENTICATION:
	case DESTINATION_OPTIONS:
	case MOBILITY:
	case HOST_IDENTITY:
	case SHIM6:
		return VERDICT_EXTENSION_HEADER;
	case IPPROTO_ICMPV6:
		return VERDICT_ICMP;
	}
	return VERDICT_CONTINUE;
}

static __always_inline enum verdict parse_v6(struct packet *p)
{
	struct ipv6hdr ip;

	if (!load(p->ctx, p->network, &ip, sizeof(ip)))
		return VERDICT_NOT_IP;
	copy(&p->flow.source, &ip.saddr, sizeof(p->flow.source));
	copy(&p->flow.destination, &ip.daddr, sizeof(p->flow.destination));
	/* Here such addresses would pass for IPv4's. On the wire they are nobody's; the kernel drops them. */
	if (addr_is_v4(&p->flow.source) || addr_is_v4(&p->flow.destination))
		return VERDICT_NO_SERVICE;
	p->ipv6 = 1;
	p->length = sizeof(ip) + bpf_ntohs(ip.payload_len);
	p->ttl = ip.hop_limit;
	if (ip.version != 6 || !holds(p))
		return VERDICT_MALFORMED;
	enum verdict v = parse_extension(ip.nexthdr);
	if (v != VERDICT_CONTINUE)
		return v;
	p->transport = p->network + sizeof(ip);
	return parse_transport(p, ip.nexthdr);
}

/*
 * ours says whether the frame is addressed to this interface. XDP runs before the kernel drops
 * frames for other hosts, so a flooding switch would have us balance its neighbours' packets.
 */
static __always_inline bool ours(struct packet *p, const struct ethhdr *eth)
{
	struct interface *i = interface_find(p->ingress);

	return i && mac_equal(eth->h_dest, i->mac);
}

/* parse_ethernet leaves the offset behind the header and returns the ethertype; one tag is stepped over. */
static __always_inline __be16 parse_ethernet(struct packet *p, const struct ethhdr *eth)
{
	p->network = sizeof(*eth);
	if (eth->h_proto != bpf_htons(ETH_P_8021Q) && eth->h_proto != bpf_htons(ETH_P_8021AD))
		return eth->h_proto;
	struct vlan_header *vlan = at(p->ctx, sizeof(*eth), sizeof(*vlan));
	if (!vlan)
		return 0;
	p->tagged = 1;
	p->network += sizeof(*vlan);
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
	if (!ours(p, eth))
		return VERDICT_OTHER_HOST;
	return type == bpf_htons(ETH_P_IP) ? parse_v4(p) : parse_v6(p);
}
