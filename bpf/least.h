// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * least.h: schedulers that look at what each server has: lc, wlc, sed, nq, fo and ovf. They are one
 * walk: a server's cost, divided by its weight, is compared with that of the best one so far, which stays
 * when they are equal. In IPVS each is a loop of its own, with the same outcome.
 */
#pragma once

#include "slots.h"

struct least_walk {
	void *table;
	__u32 scheduler;
	__u32 picked; /* the best slot so far; 0: none */
	__u32 weight; /* its weight */
	__u64 cost;   /* its cost */
};

/* least_cost is what a scheduler reckons a server's connections at: 256 inactive ones are as much as one active. */
static __always_inline __u64 least_cost(__u32 scheduler, __u64 active, __u64 inactive)
{
	switch (scheduler) {
	case SCHEDULER_LC:
	case SCHEDULER_WLC:
		return (active << 8) + inactive;
	case SCHEDULER_SED:
	case SCHEDULER_NQ:
		return active + 1;
	}
	return 1; /* fo and ovf: the highest weight is best */
}

/* least_passes: the server does not come into question. */
static __always_inline bool least_passes(__u32 scheduler, const struct slot *slot, const struct load *load)
{
	return slot_full(slot, load) || (scheduler == SCHEDULER_OVF && load->active > slot->weight);
}

/* least_step looks at the next slot; 1: no other one can be better. */
static long least_step(__u32 turn, void *arg)
{
	struct least_walk *w = arg;
	struct slot *slot = slot_at(w->table, turn + 1);

	if (!slot)
		return 1;
	__u32 server = slot->server, weight = w->scheduler == SCHEDULER_LC ? 1 : slot->weight;
	struct load *load = bpf_map_lookup_elem(&loads, &server);
	if (!load)
		return 1;
	if (least_passes(w->scheduler, slot, load))
		return 0;
	__u64 active = load->active, cost = least_cost(w->scheduler, active, load->inactive);
	bool idle = w->scheduler == SCHEDULER_NQ && !active;
	if (!idle && w->picked && cost * w->weight >= w->cost * weight)
		return 0;
	w->picked = turn + 1;
	w->weight = weight;
	w->cost = cost;
	return idle;
}

__noinline __u64 sched_least(__u32 service, __u32 scheduler)
{
	void *table = slots_of(service);
	struct slot *head = table ? slot_head(table) : NULL;

	if (!head)
		return NOBODY;
	struct least_walk w = { .table = table, .scheduler = scheduler };
	bpf_loop(head->server, least_step, &w, 0);
	return slot_server(table, w.picked);
}
