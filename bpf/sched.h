// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * sched.h: which server takes a new connection. A scheduler is a case in sched_index and a plain
 * twin in internal/sched; those that are tables are made there and need no case of their own.
 */
#pragma once

#include "least.h"
#include "maps.h"
#include "packet.h"
#include "service.h"

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
	return sched_least(table, head, scheduler);
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

/*
 * sched_next is the server that takes a service's next connection: its id, and its generation in the
 * upper half; 0: none does. It handles numbers only, so the verifier judges it by itself.
 */
__noinline __u64 sched_next(__u32 service, __u32 scheduler)
{
	struct slot *slot = sched_slot(service, scheduler);

	return slot ? (__u64)slot->generation << 32 | slot->server : 0;
}

/* sched_pick sets p->server, or NULL when no server takes new connections: generation 0 is that of free places, too. */
static __always_inline void sched_pick(struct packet *p)
{
	__u64 next = sched_next(p->service->id, p->service->scheduler);

	p->server = NULL;
	if (!next)
		return;
	p->server_id = next;
	p->server = server_find(next, next >> 32);
}
