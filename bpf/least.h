// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * least.h: schedulers that look at what each server has: lc, wlc, sed, nq, fo and ovf. They are one
 * walk: a server's cost, divided by its weight, is compared with that of the best one so far, which stays
 * when they are equal. In IPVS each is a loop of its own, with the same outcome.
 *
 * It reckons where it could branch: a service may have thousands of servers, and the verifier, as the
 * CPU, would follow each branch for each of them.
 */
#pragma once

#include "slots.h"

/* How a scheduler reckons: cost = active * its price + inactive * its price + base. Flags are 0 or 1. */
struct rule {
	__u16 active, inactive, base;
	__u8 weighs;     /* the cost is divided by the weight; else by 1 */
	__u8 idle_first; /* without active connections it costs nothing */
	__u8 overflows;  /* with more of them than its weight the server does not come into question */
};

static __always_inline struct rule rule_of(__u32 scheduler)
{
	switch (scheduler) {
	case SCHEDULER_LC: /* ip_vs_dest_conn_overhead: an active connection is as much as 256 others */
		return (struct rule){ .active = 256, .inactive = 1 };
	case SCHEDULER_SED:
		return (struct rule){ .active = 1, .base = 1, .weighs = 1 };
	case SCHEDULER_NQ:
		return (struct rule){ .active = 1, .base = 1, .weighs = 1, .idle_first = 1 };
	case SCHEDULER_FO:
		return (struct rule){ .base = 1, .weighs = 1 };
	case SCHEDULER_OVF:
		return (struct rule){ .base = 1, .weighs = 1, .overflows = 1 };
	}
	return (struct rule){ .active = 256, .inactive = 1, .weighs = 1 }; /* wlc */
}

/* less is 1 where a < b, both below 2^63, else 0. */
static __always_inline __u64 less(__u64 a, __u64 b)
{
	return (a - b) >> 63;
}

static __always_inline __u64 rule_cost(const struct rule *rule, __u64 active, __u64 inactive)
{
	__u64 idle = less(active, 1) & rule->idle_first;

	return (active * rule->active + inactive * rule->inactive + rule->base) * (1 - idle);
}

/* rule_weight is what the cost is divided by; 0: the server does not come into question. */
static __always_inline __u64 rule_weight(const struct rule *rule, __u64 active, __u64 weight)
{
	__u64 over = less(weight, active) & rule->overflows;

	return (1 + (weight - 1) * rule->weighs) * (1 - over);
}

/* The best server so far. Before the first one the weight is 0, and any server is better. */
struct least_walk {
	void *table;
	struct rule rule;
	__u64 servers;
	__u64 picked;
	__u64 weight;
	__u64 cost;
};

/* least_take makes a server the best one if it is better. */
static __always_inline void least_take(struct least_walk *w, __u64 server, __u64 weight, __u64 cost)
{
	__u64 better = -less(cost * w->weight, w->cost * weight);

	w->picked ^= (w->picked ^ server) & better;
	w->weight ^= (w->weight ^ weight) & better;
	w->cost ^= (w->cost ^ cost) & better;
}

/*
 * least_look compares one more slot with the best so far. Others than servers' lie behind them. The key is the
 * caller's: one place on the stack for all looks.
 */
static __always_inline void least_look(struct least_walk *w, const struct slot *slot, __u32 index, __u32 *key)
{
	*key = slot->server;
	struct load *load = bpf_map_lookup_elem(&loads, key);

	if (!load || slot_full(slot, load))
		return;
	__u64 active = load->active, weight = rule_weight(&w->rule, active, slot->weight);
	weight *= less((__u32)(index - 1), w->servers);
	least_take(w, slot_member(slot), weight, rule_cost(&w->rule, active, load->inactive));
}

/*
 * least_step looks at some slots: each turn costs calls, which are dear. They are written out, not a loop:
 * without CAP_PERFMON a pointer may not even be made to what lies behind the last one.
 */
static long least_step(__u32 turn, void *arg)
{
	struct least_walk *w = arg;
	struct slot_block *block = block_at(w->table, turn);
	__u32 key;

	if (!block)
		return 1;
#pragma unroll
	for (__u32 i = 0; i < SLOTS_TOGETHER; i++)
		least_look(w, &block->slot[i], turn * SLOTS_TOGETHER + i, &key);
	return 0;
}

__noinline __u64 sched_least(__u32 service, __u32 scheduler)
{
	void *table = slots_of(service);
	struct slot *head = table ? slot_head(table) : NULL;

	if (!head)
		return NOBODY;
	struct least_walk w = { .table = table, .rule = rule_of(scheduler), .servers = head->server, .cost = 1 };
	bpf_loop(head->server / SLOTS_TOGETHER + 1, least_step, &w, 0);
	return w.picked;
}

/* least_cost is the cost by which wlc reckons, for those who compare otherwise. */
static __always_inline __u64 least_cost(const struct load *load)
{
	struct rule rule = rule_of(SCHEDULER_WLC);

	return rule_cost(&rule, load->active, load->inactive);
}
