// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* wrr.h: weighted round robin, as in IPVS's ip_vs_wrr.c. */
#pragma once

#include "slots.h"

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
	__u32 heaviest; /* of those that are not full */
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
	struct slot *slot = slot_at(w->table, w->index);
	if (!slot)
		return 1;
	if (slot->weight < w->current || !slot_takes(slot))
		return 0;
	w->picked = w->index;
	return 1;
}

static long wrr_heaviest_step(__u32 turn, void *arg)
{
	struct wrr_walk *w = arg;
	struct slot *slot = slot_at(w->table, turn + 1);

	if (!slot)
		return 1;
	if (slot->weight > w->heaviest && slot_takes(slot))
		w->heaviest = slot->weight;
	return 0;
}

/* wrr_below is the first of from, from - divisor, ... that is not above the heaviest; 0: none is. */
static __always_inline __u32 wrr_below(const struct wrr_walk *w, __u32 from)
{
	if (from <= w->heaviest)
		return from;
	__u32 divisor = w->divisor ?: 1, rounds = (from - w->heaviest + divisor - 1) / divisor;
	return from > rounds * divisor ? from - rounds * divisor : 0;
}

/*
 * wrr_fall: all who have the current weight are full. The weight falls at once to that at which
 * somebody takes a connection, for which IPVS goes round and round. False: nobody takes any.
 */
static __always_inline bool wrr_fall(struct wrr_walk *w)
{
	bpf_loop(w->servers, wrr_heaviest_step, w, 0);
	if (!w->heaviest)
		return false;
	if (w->current <= w->heaviest)
		return true;
	w->index = 0;
	w->current = wrr_below(w, w->current) ?: wrr_below(w, w->largest);
	return true;
}

/* wrr_walk: unless somebody is full, the slot of the largest weight is found in one round at the latest. */
static __always_inline void wrr_walk(struct wrr_walk *w)
{
	bpf_loop(w->servers + 1, wrr_step, w, 0);
	if (!w->picked && wrr_fall(w))
		bpf_loop(w->servers + 1, wrr_step, w, 0);
}

#define WRR_BUSY 1ull /* nobody: another CPU picked at the same time */

/* wrr_try picks once, and holds that if no other CPU did meanwhile, or if it must. */
__noinline __u64 wrr_try(__u32 service, bool must)
{
	__u64 *position = bpf_map_lookup_elem(&positions, &service);
	void *table = slots_of(service);
	struct slot *head = table ? slot_head(table) : NULL;

	if (!position || !head)
		return NOBODY;
	struct wrr_walk w = {
		.table = table,
		.servers = head->server,
		.largest = head->weight,
		.divisor = head->divisor,
	};
	union wrr old = { .word = *(volatile __u64 *)position }, new = { .version = head->generation };
	wrr_begin(&w, old, head->generation);
	wrr_walk(&w);
	if (!w.picked)
		return NOBODY;
	new.index = w.index;
	new.current = w.current;
	if (__sync_val_compare_and_swap(position, old.word, new.word) != old.word && !must)
		return WRR_BUSY;
	return slot_server(table, w.picked);
}

static __always_inline __u64 sched_wrr(__u32 service)
{
	__u64 server = wrr_try(service, false);

	if (server == WRR_BUSY)
		server = wrr_try(service, false);
	if (server == WRR_BUSY)
		server = wrr_try(service, true);
	return server;
}
