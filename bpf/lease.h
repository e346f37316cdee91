// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * lease.h: an address of a virtual router (VRRP) is this director's as long as its daemon says so, again and
 * again. A daemon that is dead, or hangs, says nothing more; another director becomes master, and from then on
 * nobody is told here where the address is. What still comes is forwarded as before.
 */
#pragma once

#include "finish.h"
#include "maps.h"
#include "packet.h"
#include "vlan.h"

/* ARP for IPv4 on Ethernet, RFC 826. */
struct arp_ipv4 {
	__be16 hardware;
	__be16 protocol;
	__u8 hardware_size;
	__u8 protocol_size;
	__be16 operation;
	__u8 sender_mac[ETH_ALEN];
	__u8 sender[4];
	__u8 target_mac[ETH_ALEN];
	__be32 target;
} __attribute__((packed));

/* A neighbour solicitation, RFC 4861 section 4.3. */
struct solicitation {
	__u8 type;
	__u8 code;
	__sum16 check;
	__be32 reserved;
	struct addr target;
};

#define NEIGHBOUR_SOLICITATION 135

/* lease_over: the address is one of a virtual router, and the daemon has not said of late that it is master. */
static __always_inline bool lease_over(const struct addr *address)
{
	struct addr key = *address;
	__u32 *router = bpf_map_lookup_elem(&leased, &key);

	if (!router)
		return false;
	__u32 index = *router;
	__u64 *until = bpf_map_lookup_elem(&leases, &index);
	return !until || *until <= bpf_ktime_get_boot_ns();
}

/*
 * arp_ended: ARP at an offset asks for an address whose lease is over. An announcement (RFC 5227 section 3) is about
 * an address, too, but asks for nothing: the kernel, and who listens for conflicts, shall hear of the new master.
 */
static __always_inline bool arp_ended(struct xdp_md *ctx, __u32 offset)
{
	struct arp_ipv4 arp;
	struct addr target = {};

	if (bpf_xdp_load_bytes(ctx, offset, &arp, sizeof(arp)))
		return false;
	if (arp.protocol != bpf_htons(ETH_P_IP) || arp.hardware_size != ETH_ALEN ||
	    arp.protocol_size != sizeof(arp.target))
		return false;
	if (!__builtin_memcmp(arp.sender, &arp.target, sizeof(arp.sender)))
		return false;
	addr_v4(&target, arp.target);
	return lease_over(&target);
}

/* solicitation_ended: ICMPv6 at an offset is about one. */
static __always_inline bool solicitation_ended(struct xdp_md *ctx, __u32 offset)
{
	struct solicitation s;

	if (bpf_xdp_load_bytes(ctx, offset, &s, sizeof(s)) || s.type != NEIGHBOUR_SOLICITATION)
		return false;
	return lease_over(&s.target);
}

/* packet_ended: IPv6 at an offset is. Nobody puts extension headers before a solicitation. */
static __always_inline bool packet_ended(struct xdp_md *ctx, __u32 offset)
{
	struct ipv6hdr ip;

	if (bpf_xdp_load_bytes(ctx, offset, &ip, sizeof(ip)) || ip.nexthdr != IPPROTO_ICMPV6)
		return false;
	return solicitation_ended(ctx, offset + sizeof(ip));
}

/* lease_ended: the frame asks where an address is whose lease is over. That is counted here: it is no packet of the path. */
__noinline bool lease_ended(struct xdp_md *ctx)
{
	struct ethhdr eth;
	struct vlan_header vlan;
	__u32 offset = sizeof(eth);

	if (bpf_xdp_load_bytes(ctx, 0, &eth, sizeof(eth)))
		return false;
	__be16 type = eth.h_proto;
	if (type == bpf_htons(ETH_P_8021Q) || type == bpf_htons(ETH_P_8021AD)) {
		if (bpf_xdp_load_bytes(ctx, offset, &vlan, sizeof(vlan)))
			return false;
		type = vlan.type;
		offset += sizeof(vlan);
	}
	bool ended = false;
	if (type == bpf_htons(ETH_P_ARP))
		ended = arp_ended(ctx, offset);
	else if (type == bpf_htons(ETH_P_IPV6))
		ended = packet_ended(ctx, offset);
	if (ended)
		finish_count(VERDICT_LEASE_OVER, 1);
	return ended;
}

/*
 * lease_asked: the frame may ask where an address is, by ARP or by multicast (RFC 4861 section 7.2.2). Who knows the
 * MAC and asks whether it still holds does so by ARP to it (RFC 1122 section 2.3.2.1), or by a solicitation (RFC 4861
 * section 7.3.3), which parse_icmp meets, if a service has the address.
 */
static __always_inline bool lease_asked(struct xdp_md *ctx)
{
	struct tagged_ethernet *eth = at(ctx, 0, sizeof(*eth));

	if (!eth)
		return false;
	if (eth->destination[0] & 1 || eth->type == bpf_htons(ETH_P_ARP))
		return true;
	return (eth->type == bpf_htons(ETH_P_8021Q) || eth->type == bpf_htons(ETH_P_8021AD)) &&
	       eth->vlan.type == bpf_htons(ETH_P_ARP);
}
