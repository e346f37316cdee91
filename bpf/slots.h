// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * slots.h: the servers of a service, as its scheduler walks them. A scheduler looks its table up once:
 * the daemon may switch to another one at any time. It returns a server's id, and its generation in the
 * upper half; a generation is never 0, so below 2^32 there is nobody.
 */
#pragma once

#include "maps.h"
#include "service.h"

#define NOBODY 0ull

static __always_inline void *slots_of(__u32 service)
{
	return bpf_map_lookup_elem(&slots, &service);
}

static __always_inline struct slot_block *block_at(void *table, __u32 block)
{
	return bpf_map_lookup_elem(table, &block);
}

/*
 * It is 0, but not for the verifier. Without CAP_PERFMON that wants an offset to be known on all ways, or on none.
 * And Linux 6.1 judges a callback of bpf_loop by its first turn alone: what is known to be 0 then is 0 for good, and
 * what a callback would do where it is not is thrown away. So what it compares with earlier turns begins as this.
 */
__u32 unknown_zero;

static __always_inline struct slot *slot_at(void *table, __u32 index)
{
	struct slot_block *block = block_at(table, index / SLOTS_TOGETHER);

	return block ? &block->slot[(index + unknown_zero) % SLOTS_TOGETHER] : NULL;
}

/* slot_head is what the table says of itself; NULL: no server takes new connections. */
static __always_inline struct slot *slot_head(void *table)
{
	struct slot *head = slot_at(table, 0);

	return head && head->server ? head : NULL;
}

/* buckets_at is where the buckets begin; behind them is the consistent hash. */
static __always_inline __u32 buckets_at(void *table)
{
	struct slot *head = slot_at(table, 0);

	return head ? 2 + head->server : 0;
}

/* slot_second is the second head: what it says of buckets and consistent hash. */
static __always_inline struct slot *slot_second(void *table)
{
	__u32 buckets = buckets_at(table);

	return buckets ? slot_at(table, buckets - 1) : NULL;
}

/* slot_member is the server in a slot. */
static __always_inline __u64 slot_member(const struct slot *slot)
{
	return (__u64)slot->generation << 32 | slot->server;
}

/* slot_server: slot 0 is nobody's. That is asked first: an index must not be a number that is known on one way and not on another. */
static __always_inline __u64 slot_server(void *table, __u32 index)
{
	if (!index)
		return NOBODY;
	struct slot *slot = slot_at(table, index);
	return slot ? slot_member(slot) : NOBODY;
}

/* full_still judges a server that was marked as full. A function of its own, since hardly any is. */
__noinline bool full_still(__u32 server, __u32 generation)
{
	struct load *load = bpf_map_lookup_elem(&loads, &server);

	return load && server_full(load, server_find(server, generation));
}

/* slot_full: the server in this slot takes no other connection. */
static __always_inline bool slot_full(const struct slot *slot, const struct load *load)
{
	return load->full && full_still(slot->server, slot->generation);
}

/* slot_takes is the inverse, where nobody has looked at the load yet. */
static __always_inline bool slot_takes(const struct slot *slot)
{
	__u32 server = slot->server;
	struct load *load = bpf_map_lookup_elem(&loads, &server);

	return load && !slot_full(slot, load);
}
