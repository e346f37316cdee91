// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * vlan.h: 802.1Q tags. A tag is taken off before a packet is changed, so that its headers are where
 * the compiler knows, and the tag of the way out is put in front at the end.
 */
#pragma once

#include "maps.h"
#include "packet.h"

#define VLAN_ID 0x0fff
#define VLAN_PRIORITY 0xf000 /* priority and drop eligible, IEEE 802.1Q section 9.6 */

struct vlan_header {
	__be16 tag;
	__be16 type;
};

struct tagged_ethernet {
	__u8 destination[ETH_ALEN];
	__u8 source[ETH_ALEN];
	__be16 type; /* ETH_P_8021Q */
	struct vlan_header vlan;
};

/* vlan_id is 0 for untagged frames, and for those that have a priority only. */
static __always_inline __u32 vlan_id(const struct headers *h)
{
	return h->tag & VLAN_ID;
}

/* interface_find returns what is known of an interface of ours, or NULL. */
static __always_inline struct interface *interface_find(__u32 ifindex)
{
	struct interface *i = array_at(&interfaces, ifindex % MAX_INTERFACES);

	return i && i->ifindex == ifindex ? i : NULL;
}

/* vlan_find returns the VLAN device that has this tag on an interface, or NULL. */
static __always_inline struct interface *vlan_find(__u32 ifindex, __u32 id)
{
	struct vlan_key key = { .ifindex = ifindex, .vlan = id };
	__u32 *device = bpf_map_lookup_elem(&vlans, &key);

	return device ? interface_find(*device) : NULL;
}

/* interface_of is where the network is that frames of a hop belong to: the VLAN device, if there is one. */
static __always_inline struct interface *interface_of(const struct hop *hop)
{
	return hop->vlan ? vlan_find(hop->ifindex, hop->vlan) : interface_find(hop->ifindex);
}

/* vlan_strip takes the tag off. Everything behind it moves up, so offsets do too. */
__noinline bool vlan_strip(struct xdp_md *ctx, struct headers *h)
{
	struct tagged_ethernet *old = at(ctx, 0, sizeof(*old));
	struct ethhdr eth;

	if (!old)
		return false;
	mac_copy(eth.h_dest, old->destination);
	mac_copy(eth.h_source, old->source);
	eth.h_proto = old->vlan.type;
	if (!h || bpf_xdp_adjust_head(ctx, sizeof(struct vlan_header)))
		return false;
	struct ethhdr *new = at(ctx, 0, sizeof(*new));
	if (!new)
		return false;
	mac_copy(new->h_dest, eth.h_dest);
	mac_copy(new->h_source, eth.h_source);
	new->h_proto = eth.h_proto;
	h->network -= sizeof(struct vlan_header);
	h->transport -= sizeof(struct vlan_header);
	h->quoted.network -= sizeof(struct vlan_header);
	h->quoted.transport -= sizeof(struct vlan_header);
	return true;
}

/* vlan_push puts a tag in front of what is a whole frame otherwise. */
__noinline bool vlan_push(struct xdp_md *ctx, __u32 tag)
{
	struct ethhdr *old = at(ctx, 0, sizeof(*old));
	struct ethhdr eth;

	if (!old)
		return false;
	mac_copy(eth.h_dest, old->h_dest);
	mac_copy(eth.h_source, old->h_source);
	eth.h_proto = old->h_proto;
	if (bpf_xdp_adjust_head(ctx, -(int)sizeof(struct vlan_header)))
		return false;
	struct tagged_ethernet *new = at(ctx, 0, sizeof(*new));
	if (!new)
		return false;
	mac_copy(new->destination, eth.h_dest);
	mac_copy(new->source, eth.h_source);
	new->type = bpf_htons(ETH_P_8021Q);
	new->vlan.tag = bpf_htons(tag);
	new->vlan.type = eth.h_proto;
	return true;
}

/* vlan_leave gives a frame the tag of its way out; it keeps the priority that it came with. */
static __always_inline bool vlan_leave(struct packet *p, __u32 id)
{
	return !id || vlan_push(p->ctx, id | (p->facts->tag & VLAN_PRIORITY));
}
