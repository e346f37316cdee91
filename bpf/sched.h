// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * sched.h: which server takes a new connection, and which one a packet without. A scheduler is a case in
 * sched_index and a plain twin in internal/sched; those that are tables are made there and need no case
 * of their own.
 */
#pragma once

#include "maps.h"
#include "packet.h"
#include "service.h"
#include "table.h"

/* Where wrr stands, in one word, so that it changes by compare-and-swap. Zero: never picked. */
union wrr {
	__u64 word;
	struct {
		__u32 version; /* of the table that index belongs to */
		__u16 index;   /* slot picked last, from 1; 0: before the first */
		__u16 current; /* current weight, IPVS's cw */
	};
};

struct wrr_walk {
	void *table;
	__u32 servers, largest, divisor;
	__u32 index, current;
	__u32 picked;
};

/* wrr_begin takes up where the last pick left, or anew as IPVS does when the servers have changed. */
static __always_inline void wrr_begin(struct wrr_walk *w, union wrr at, __u32 version)
{
	w->index = at.index;
	w->current = at.current ?: 1;
	if (at.version == version)
		return;
	w->index = 0;
	if (w->current > w->largest)
		w->current = w->largest;
	else if (w->divisor > 1)
		w->current = w->current / w->divisor * w->divisor + 1;
}

/* wrr_step looks at the next slot: ip_vs_wrr.c's loop, one turn. */
static long wrr_step(__u32 turn, void *arg)
{
	struct wrr_walk *w = arg;

	if (++w->index > w->servers) {
		w->index = 1;
		w->current = w->current > w->divisor ? w->current - w->divisor : w->largest;
	}
	__u32 index = w->index;
	struct slot *slot = bpf_map_lookup_elem(w->table, &index);
	if (!slot)
		return 1;
	if (slot->weight < w->current)
		return 0;
	w->picked = index;
	return 1;
}

/* sched_wrr: the slot of the largest weight is found in one round at the latest. */
static __always_inline __u32 sched_wrr(void *table, const struct slot *head, __u64 *position)
{
	struct wrr_walk w = {
		.table = table,
		.servers = head->server,
		.largest = head->weight,
		.divisor = head->divisor,
	};

	for (int try = 0; try < 4; try++) {
		union wrr old = { .word = *(volatile __u64 *)position }, new = {};
		wrr_begin(&w, old, head->generation);
		bpf_loop(w.servers + 1, wrr_step, &w, 0);
		new.version = head->generation;
		new.index = w.index;
		new.current = w.current;
		if (__sync_val_compare_and_swap(position, old.word, new.word) == old.word)
			break;
	}
	return w.picked;
}

static __always_inline __u32 sched_rr(const struct slot *head, __u64 *position)
{
	return 1 + __sync_fetch_and_add(position, 1) % head->server;
}

static __always_inline __u32 sched_index(__u32 service, __u32 scheduler, void *table, const struct slot *head)
{
	__u64 *position = bpf_map_lookup_elem(&positions, &service);

	if (!position)
		return 0;
	switch (scheduler) {
	case SCHEDULER_RR:
		return sched_rr(head, position);
	case SCHEDULER_WRR:
		return sched_wrr(table, head, position);
	}
	return 0;
}

/* sched_slot picks for a service. NULL: no server takes new connections. */
static __always_inline struct slot *sched_slot(__u32 service, __u32 scheduler)
{
	__u32 first = 0;
	void *table = bpf_map_lookup_elem(&slots, &service);

	if (!table)
		return NULL;
	struct slot *head = bpf_map_lookup_elem(table, &first);
	if (!head || !head->server)
		return NULL;
	__u32 index = sched_index(service, scheduler, table, head);
	return index ? bpf_map_lookup_elem(table, &index) : NULL;
}

/* slot_server is the server of a slot: its id, and its generation in the upper half; 0: there is none. */
static __always_inline __u64 slot_server(const struct slot *slot)
{
	return slot ? (__u64)slot->generation << 32 | slot->server : 0;
}

/*
 * sched_next is the server that takes a service's next connection, as slot_server has it; 0: none does.
 * It handles numbers only, so the verifier judges it by itself.
 */
__noinline __u64 sched_next(__u32 service, __u32 scheduler)
{
	struct slot *slot = sched_slot(service, scheduler);

	return slot_server(slot);
}

/*
 * The seed of the consistent hash: digits of pi. That of the connection table may not be used, since it is
 * random: two directors, or one before and after a restart with another table, must name the same server.
 * So anybody can choose flows that meet at one server; they take no more from it than by asking it at
 * the service's address.
 */
static const __u32 sched_seed[2 * FLOW_WORDS] = {
	0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822,
	0x299f31d0, 0x082efa98, 0xec4e6c89, 0x452821e6, 0x38d01377,
};

/* sched_hashed is the server that the hash of a flow names, as sched_next has it; 0: none takes connections. */
__noinline __u64 sched_hashed(struct headers *h, __u32 service)
{
	__u32 index = 0;
	void *table = bpf_map_lookup_elem(&slots, &service);

	if (!h || !table)
		return 0;
	struct slot *walk = bpf_map_lookup_elem(table, &index);
	if (!walk)
		return 0;
	index = 1 + walk->server;
	struct slot *hash = bpf_map_lookup_elem(table, &index);
	if (!hash || !hash->server)
		return 0;
	index += 1 + table_scale(flow_hash(&h->flow, sched_seed) >> 32, hash->server);
	return slot_server(bpf_map_lookup_elem(table, &index));
}

/* sched_set sets p->server, or NULL where none is named: generation 0 is that of free places, too. */
static __always_inline void sched_set(struct packet *p, __u64 server)
{
	p->server = NULL;
	if (!server)
		return;
	p->server_id = server;
	p->server = server_find(server, server >> 32);
}

/* sched_pick sets p->server, or NULL when no server takes new connections. */
static __always_inline void sched_pick(struct packet *p)
{
	sched_set(p, sched_next(p->service->id, p->service->scheduler));
}

/* sched_by_hash sets p->server to the one that p's flow names, or NULL. */
static __always_inline void sched_by_hash(struct packet *p)
{
	sched_set(p, sched_hashed(headers_of(p), p->service->id));
}
