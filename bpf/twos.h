// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * twos.h: the power of two choices (ip_vs_twos.c): of two servers that are drawn by their weights, the
 * one with less to do for its weight.
 */
#pragma once

#include "least.h"
#include "slots.h"

/* A server that was drawn. */
struct draw {
	__s64 left; /* of the number that was drawn: the server at whose weight it runs out */
	__u32 slot; /* 0: it has not run out yet */
	__u32 weight;
	__u64 cost;
};

struct twos_walk {
	void *table;
	__u64 total; /* of the weights of all that take connections */
	struct draw first, second;
};

static long twos_sum_step(__u32 turn, void *arg)
{
	struct twos_walk *w = arg;
	struct slot *slot = slot_at(w->table, turn + 1);

	if (!slot)
		return 1;
	if (slot_takes(slot))
		w->total += slot->weight;
	return 0;
}

static __always_inline void draw_step(struct draw *d, __u32 index, __u32 weight, __u64 cost)
{
	d->left -= weight;
	if (d->slot || d->left > 0)
		return;
	d->slot = index;
	d->weight = weight;
	d->cost = cost;
}

static long twos_draw_step(__u32 turn, void *arg)
{
	struct twos_walk *w = arg;
	struct slot *slot = slot_at(w->table, turn + 1);

	if (!slot)
		return 1;
	__u32 server = slot->server;
	struct load *load = bpf_map_lookup_elem(&loads, &server);
	if (!load || slot_full(slot, load))
		return 0;
	__u64 cost = least_cost(load);
	draw_step(&w->first, turn + 1, slot->weight, cost);
	draw_step(&w->second, turn + 1, slot->weight, cost);
	return w->first.slot && w->second.slot;
}

/* draw is a number from 0 to n, which is in it: so the first server has a little more than its share, as in IPVS. */
static __always_inline __u32 draw(__u64 n)
{
	return (__u64)bpf_get_prandom_u32() * (n + 1) >> 32;
}

/* twos_better is the slot of the one that has less to do. */
static __always_inline __u32 twos_better(const struct draw *a, const struct draw *b)
{
	return b->slot && b->weight * a->cost > a->weight * b->cost ? b->slot : a->slot;
}

__noinline __u64 sched_twos(__u32 service)
{
	void *table = slots_of(service);
	struct slot *head = table ? slot_head(table) : NULL;

	if (!head)
		return NOBODY;
	struct twos_walk w = { .table = table };
	bpf_loop(head->server, twos_sum_step, &w, 0);
	if (!w.total)
		return NOBODY;
	w.first.left = draw(w.total);
	w.second.left = draw(w.total);
	w.first.slot = w.second.slot = unknown_zero; /* slots.h: the callback asks whether it is still 0 */
	bpf_loop(head->server, twos_draw_step, &w, 0);
	return slot_server(table, twos_better(&w.first, &w.second));
}
