// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * check.bpf.c: checks through a service's address leave this host. It is on the clsact hook of interfaces
 * that lead to servers, which the kernel's routing has chosen by the alias.
 *
 *   alias? → read → remember the answer → the service's address in place of the alias → tunnel
 *
 * What is for no alias goes on as it is. Read it upwards from its end; check.h has the way back.
 */
#include <linux/pkt_cls.h>

#include "check.h"
#include "tunnel_headers.h"

/* Alias → where it leads. Written by Go. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_CHECK_WAYS);
	__type(key, struct addr);
	__type(value, struct check_way);
} check_ways SEC(".maps");

/* A packet to an alias. */
struct check {
	struct flow answer; /* as it will come */
	struct addr alias;
	__u32 transport; /* offset of the transport header */
	__u16 length;    /* bytes of the IP packet; of one that the driver will cut, of all of it */
	__u8 ipv6;
	__u8 later; /* a fragment that is not the first one */
};

static __always_inline bool read_v4(struct __sk_buff *skb, struct check *c)
{
	struct iphdr ip;

	if (bpf_skb_load_bytes(skb, ETH_HLEN, &ip, sizeof(ip)))
		return false;
	addr_v4(&c->alias, ip.daddr);
	addr_v4(&c->answer.destination, ip.saddr);
	c->answer.protocol = ip.protocol;
	c->length = bpf_ntohs(ip.tot_len);
	c->transport = ETH_HLEN + ip.ihl * 4;
	c->later = (ip.frag_off & bpf_htons(0x1fff)) != 0; /* RFC 791 section 3.1 */
	return true;
}

/* read_v6: the host's own packets have no extension headers, unless they are fragments. */
static __always_inline bool read_v6(struct __sk_buff *skb, struct check *c)
{
	struct ipv6hdr ip;

	if (bpf_skb_load_bytes(skb, ETH_HLEN, &ip, sizeof(ip)))
		return false;
	copy(&c->alias, &ip.daddr, sizeof(c->alias));
	copy(&c->answer.destination, &ip.saddr, sizeof(c->answer.destination));
	c->answer.protocol = ip.nexthdr;
	c->length = sizeof(ip) + bpf_ntohs(ip.payload_len);
	c->transport = ETH_HLEN + sizeof(ip);
	c->ipv6 = 1;
	return true;
}

static __always_inline bool read(struct __sk_buff *skb, struct check *c)
{
	if (skb->protocol == bpf_htons(ETH_P_IP))
		return read_v4(skb, c);
	return skb->protocol == bpf_htons(ETH_P_IPV6) && read_v6(skb, c);
}

/*
 * may_ask tells whether a packet may begin a check. Not an RST, or a SYN-ACK, by which this host answers whoever
 * writes an alias for its source: by them strangers would say where the answers of checks go.
 */
static __always_inline bool may_ask(struct __sk_buff *skb, const struct check *c)
{
	struct tcphdr tcp;

	if (c->answer.protocol != IPPROTO_TCP)
		return true;
	return !bpf_skb_load_bytes(skb, c->transport, &tcp, sizeof(tcp)) && tcp.syn && !tcp.ack;
}

/* remember by what its answer will be known; little is written for the later packets of a conversation. */
static __always_inline bool remember(struct __sk_buff *skb, struct check *c)
{
	struct check_awaited awaited = { .alias = c->alias, .asked = seconds() };
	__be16 ports[2];

	if (bpf_skb_load_bytes(skb, c->transport, ports, sizeof(ports)))
		return false;
	c->answer.source_port = ports[1];
	c->answer.destination_port = ports[0];
	struct check_awaited *known = bpf_map_lookup_elem(&check_answers, &c->answer);
	if (known && addr_equal(&known->alias, &c->alias)) {
		if (known->asked != awaited.asked)
			known->asked = awaited.asked;
		return true;
	}
	return may_ask(skb, c) && !bpf_map_update_elem(&check_answers, &c->answer, &awaited, BPF_ANY);
}

/* follow makes the transport's checksum follow the address. It may be one that hardware will finish. */
static __always_inline bool follow(struct __sk_buff *skb, struct check *c, struct addr *service)
{
	__u64 flags = BPF_F_PSEUDO_HDR;
	__s64 change = bpf_csum_diff(c->alias.word, sizeof(c->alias), service->word, sizeof(*service), 0);

	if (c->answer.protocol == IPPROTO_UDP)
		flags |= BPF_F_MARK_MANGLED_0;
	return !bpf_l4_csum_replace(skb, c->transport + check_at(c->answer.protocol), 0, (__u32)change, flags);
}

/* readdress writes the service's address in place of the alias. */
static __always_inline bool readdress(struct __sk_buff *skb, struct check *c, struct addr *service)
{
	if (!c->later && !follow(skb, c, service))
		return false;
	if (c->ipv6)
		return !bpf_skb_store_bytes(skb, ETH_HLEN + offsetof(struct ipv6hdr, daddr), service, sizeof(*service),
					    0);
	if (bpf_l3_csum_replace(skb, ETH_HLEN + offsetof(struct iphdr, check), c->alias.word[3], service->word[3], 4))
		return false;
	return !bpf_skb_store_bytes(skb, ETH_HLEN + offsetof(struct iphdr, daddr), &service->word[3],
				    sizeof(service->word[3]), 0);
}

static __always_inline bool outer_v4(struct __sk_buff *skb, const struct check *c, const struct check_way *way)
{
	struct iphdr ip = {
		.version = 4,
		.ihl = 5,
		.tot_len = bpf_htons(c->length + way->overhead),
		.frag_off = bpf_htons(IP_DONT_FRAGMENT),
		.ttl = OUTER_TTL,
		.protocol = tunnel_protocol(way->tunnel, c->ipv6),
		.saddr = way->source.word[3],
		.daddr = way->server.word[3],
	};

	ip.check = csum_ipv4(&ip);
	return !bpf_skb_store_bytes(skb, ETH_HLEN, &ip, sizeof(ip), 0);
}

static __always_inline bool outer_v6(struct __sk_buff *skb, const struct check *c, const struct check_way *way)
{
	struct ipv6hdr ip = {
		.version = 6,
		.payload_len = bpf_htons(c->length + way->overhead - sizeof(ip)),
		.nexthdr = tunnel_protocol(way->tunnel, c->ipv6),
		.hop_limit = OUTER_TTL,
	};

	copy(&ip.saddr, &way->source, sizeof(ip.saddr));
	copy(&ip.daddr, &way->server, sizeof(ip.daddr));
	return !bpf_skb_store_bytes(skb, ETH_HLEN, &ip, sizeof(ip), 0);
}

static __always_inline bool tunnel_gre(struct __sk_buff *skb, const struct check *c, __u32 offset)
{
	struct gre gre = { .type = c->ipv6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP) };

	return !bpf_skb_store_bytes(skb, offset, &gre, sizeof(gre), 0);
}

static __always_inline bool tunnel_gue(struct __sk_buff *skb, const struct check *c, const struct check_way *way,
				       __u32 offset)
{
	struct gue gue = {
		.udp.source = c->answer.destination_port,
		.udp.dest = way->tunnel_port,
		.udp.len = bpf_htons(c->length + sizeof(gue)),
		.protocol = c->ipv6 ? IPPROTO_IPV6 : IPPROTO_IPIP,
	};

	return !bpf_skb_store_bytes(skb, offset, &gue, sizeof(gue), 0);
}

/* room tells the kernel what headers there will be, so that whoever cuts a large packet repeats them. */
static __always_inline __u64 room(const struct check *c, __u8 tunnel)
{
	__u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO;

	flags |= c->ipv6 ? BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 : BPF_F_ADJ_ROOM_ENCAP_L3_IPV4;
	if (tunnel == TUNNEL_GRE)
		flags |= BPF_F_ADJ_ROOM_ENCAP_L4_GRE;
	if (tunnel == TUNNEL_GUE)
		flags |= BPF_F_ADJ_ROOM_ENCAP_L4_UDP;
	return flags;
}

/* wrap puts the tunnel's headers around the packet: those of tunnel.h, without its checksums. */
static __always_inline bool wrap(struct __sk_buff *skb, const struct check *c, const struct check_way *way)
{
	__u32 behind = ETH_HLEN + (c->ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));

	if (bpf_skb_adjust_room(skb, way->overhead, BPF_ADJ_ROOM_MAC, room(c, way->tunnel)))
		return false;
	if (c->ipv6 ? !outer_v6(skb, c, way) : !outer_v4(skb, c, way))
		return false;
	if (way->tunnel == TUNNEL_GRE)
		return tunnel_gre(skb, c, behind);
	return way->tunnel != TUNNEL_GUE || tunnel_gue(skb, c, way, behind);
}

/* send: whoever sends something else to an alias than a check does is not heard. */
static __always_inline bool send(struct __sk_buff *skb, struct check *c, const struct check_way *way)
{
	struct addr service = way->service;

	if (c->answer.protocol != IPPROTO_TCP && c->answer.protocol != IPPROTO_UDP)
		return false;
	c->answer.source = service;
	if (!c->later && !remember(skb, c))
		return false;
	if (!readdress(skb, c, &service))
		return false;
	return !way->overhead || wrap(skb, c, way);
}

SEC("tc")
int check(struct __sk_buff *skb)
{
	struct check c = {};

	if (!read(skb, &c))
		return TC_ACT_UNSPEC;
	struct check_way *way = bpf_map_lookup_elem(&check_ways, &c.alias);
	if (!way)
		return TC_ACT_UNSPEC;
	if (skb->ingress_ifindex) /* forwarded: it is somebody else's, who would reach a server of his choice */
		return TC_ACT_SHOT;
	if (skb->ifindex != way->ifindex) /* the route of the alias is gone: it would find somebody else */
		return TC_ACT_SHOT;
	return send(skb, &c, way) ? TC_ACT_UNSPEC : TC_ACT_SHOT;
}

const char LICENSE[] SEC("license") = "Dual BSD/GPL";
