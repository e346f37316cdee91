// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* rr.h: round robin. */
#pragma once

#include "slots.h"

struct rr_walk {
	void *table;
	__u64 *position;
	__u32 servers, picked;
};

/* rr_step takes the next server in turn, and passes over one that is full. */
static long rr_step(__u32 turn, void *arg)
{
	struct rr_walk *w = arg;
	__u32 index = 1 + __sync_fetch_and_add(w->position, 1) % w->servers;
	struct slot *slot = slot_at(w->table, index);

	if (!slot)
		return 1;
	if (!slot_takes(slot))
		return 0;
	w->picked = index;
	return 1;
}

__noinline __u64 sched_rr(__u32 service)
{
	__u64 *position = bpf_map_lookup_elem(&positions, &service);
	void *table = slots_of(service);
	struct slot *head = table ? slot_head(table) : NULL;

	if (!position || !head)
		return NOBODY;
	struct rr_walk w = { .table = table, .position = position, .servers = head->server };
	bpf_loop(w.servers, rr_step, &w, 0);
	return slot_server(table, w.picked);
}
