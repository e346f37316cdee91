// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * hashed.h: servers that an address names: dh, sh and mh, and what packets without a connection follow.
 *
 * dh and sh look into 256 buckets, as IPVS does by default, mh into the consistent hash. Where the server
 * that is named takes no connections, they are refused, unless the service has flag sh-fallback or mh-fallback.
 */
#pragma once

#include "packet.h"
#include "slots.h"
#include "table.h"

#define BUCKET_BITS 8 /* CONFIG_IP_VS_DH_TAB_BITS, CONFIG_IP_VS_SH_TAB_BITS */

/* address_fold makes 32 bits of an address, as IPVS does: those of IPv4, and of IPv6 the four words mixed. */
static __always_inline __u32 address_fold(const struct addr *a)
{
	__be32 mixed = a->word[0] ^ a->word[1] ^ a->word[2] ^ a->word[3];

	return bpf_ntohl(addr_is_v4(a) ? a->word[3] : mixed);
}

/* client_key is what sh and mh hash: the client's address, and with sh-port or mh-port its port. */
static __always_inline __u32 client_key(const struct flow *flow, __u32 flags)
{
	return address_fold(&flow->source) + (flags & SERVICE_HASH_PORT ? bpf_ntohs(flow->source_port) : 0);
}

/* Some of the slots of a table, from which one that takes a connection is looked for. */
struct hashed_walk {
	void *table;
	__u32 first, size; /* the slots */
	__u32 start;       /* which of them is looked at first */
	__u32 picked;
};

static long hashed_step(__u32 turn, void *arg)
{
	struct hashed_walk *w = arg;
	__u32 index = w->first + (w->start + turn) % w->size;
	struct slot *slot = slot_at(w->table, index);

	if (!slot)
		return 1;
	if (!slot->weight || !slot_takes(slot))
		return 0;
	w->picked = index;
	return 1;
}

/*
 * hashed_walk looks at the slot that is named, and with fallback at the others behind it: from
 * where, sh has from IPVS (ip_vs_sh_get_fallback), where the bucket is added to its own number.
 */
static __always_inline __u64 hashed_walk(struct hashed_walk *w, __u32 again, __u32 flags)
{
	if (!w->size)
		return NOBODY;
	bpf_loop(1, hashed_step, w, 0);
	if (!w->picked && flags & SERVICE_HASH_FALLBACK) {
		w->start = again;
		bpf_loop(w->size, hashed_step, w, 0);
	}
	return slot_server(w->table, w->picked);
}

/* sched_bucket is the server of the bucket that a key names: dh, sh. */
__noinline __u64 sched_bucket(__u32 service, __u32 key, __u32 flags)
{
	void *table = slots_of(service);
	struct slot *head = table ? slot_second(table) : NULL;
	__u32 bucket = key * 0x61c88647 >> (32 - BUCKET_BITS); /* the kernel's hash_32 */

	if (!head)
		return NOBODY;
	struct hashed_walk w = { .table = table, .first = buckets_at(table), .size = head->weight, .start = bucket };
	return hashed_walk(&w, 2 * bucket, flags);
}

/* sched_mh: the consistent hash names the server of a client. */
__noinline __u64 sched_mh(__u32 service, __u32 key, __u32 flags)
{
	void *table = slots_of(service);
	struct slot *head = table ? slot_second(table) : NULL;

	if (!head)
		return NOBODY;
	__u32 start = table_scale(key * 0x9e3779b97f4a7c15ull >> 32, head->server);
	struct hashed_walk w = {
		.table = table,
		.first = buckets_at(table) + head->weight,
		.size = head->server,
		.start = start,
	};
	return hashed_walk(&w, start + 1, flags);
}

/*
 * The seed of the consistent hash: digits of pi. That of the connection table may not be used, since it is
 * random: two directors, or one before and after a restart with another table, must name the same server.
 * So anybody can choose flows that meet at one server; they take no more from it than by asking it at
 * the service's address.
 */
static const __u32 flow_seed[2 * FLOW_WORDS] = {
	0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822,
	0x299f31d0, 0x082efa98, 0xec4e6c89, 0x452821e6, 0x38d01377,
};

/* sched_flow is the server that the hash of a flow names: that of a packet without a connection. */
__noinline __u64 sched_flow(struct headers *h, __u32 service)
{
	void *table = slots_of(service);
	struct slot *head = table ? slot_second(table) : NULL;

	if (!h || !head || !head->server)
		return NOBODY;
	__u32 start = table_scale(flow_hash(&h->flow, flow_seed) >> 32, head->server);
	return slot_server(table, buckets_at(table) + head->weight + start);
}
