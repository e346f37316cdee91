// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* lblcr.h: lblc with a set of servers for each address (ip_vs_lblcr.c). Who joined last comes first. */
#pragma once

#include "lblc.h"

_Static_assert((NEAR_MEMBERS & (NEAR_MEMBERS - 1)) == 0, "an index is masked");

/* A walk over a set, for the member that has least to do, or most. */
struct near_walk {
	struct near_set *set;
	bool most;
	struct member found; /* generation 0: none yet */
	__u32 weight;
	__u64 cost;
};

/* near_turn is the member of a turn of the walk. */
static __always_inline struct member near_turn(const struct near_set *set, __u32 turn)
{
	return set->members[set->count - 1 - turn & NEAR_MEMBERS - 1];
}

/* near_passes: a server that is not there does not come into question, nor as the least one that is full. */
static __always_inline bool near_passes(const struct server *server, const struct load *load, bool most)
{
	return !member_present(server) || !server->weight || (!most && load->full && server_full(load, server));
}

static long near_step(__u32 turn, void *arg)
{
	struct near_walk *w = arg;
	struct member m = near_turn(w->set, turn);
	__u32 id = m.server;
	struct server *server = server_find(id, m.generation);
	struct load *load = bpf_map_lookup_elem(&loads, &id);

	if (!server || !load || near_passes(server, load, w->most))
		return 0;
	__u64 cost = least_cost(load);
	__u64 one = w->cost * server->weight, other = cost * w->weight;
	if (w->found.generation && (w->most ? one >= other : one <= other))
		return 0;
	w->found = m;
	w->weight = server->weight;
	w->cost = cost;
	return 0;
}

static __always_inline struct member near_find(struct near_set *set, bool most)
{
	struct near_walk w = { .set = set, .most = most, .weight = unknown_zero, .cost = unknown_zero };

	w.found.generation = unknown_zero;
	bpf_loop(set->count, near_step, &w, 0);
	return w.found;
}

static __always_inline bool member_is(const struct member *a, const struct member *b)
{
	return a->server == b->server && a->generation == b->generation;
}

/* A member and where it stands; count: it is no member. */
struct near_place {
	struct near_set *set;
	struct member member;
	__u32 index;
};

static long near_place_step(__u32 turn, void *arg)
{
	struct near_place *p = arg;
	struct member m = p->set->members[turn & NEAR_MEMBERS - 1];

	if (!member_is(&m, &p->member))
		return 0;
	p->index = turn;
	return 1;
}

static __always_inline __u32 near_index(struct near_set *set, struct member m)
{
	struct near_place p = { .set = set, .member = m, .index = set->count };

	bpf_loop(set->count, near_place_step, &p, 0);
	return p.index;
}

static long near_shift_step(__u32 turn, void *arg)
{
	struct near_place *p = arg;
	__u32 to = p->index + turn;

	p->set->members[to & NEAR_MEMBERS - 1] = p->set->members[to + 1 & NEAR_MEMBERS - 1];
	return 0;
}

/* near_erase takes a member out; those that joined later move up. */
static __always_inline void near_erase(struct near_set *set, __u32 index)
{
	struct near_place p = { .set = set, .index = index };

	if (index >= set->count)
		return;
	bpf_loop(set->count - 1 - index, near_shift_step, &p, 0);
	set->count--;
	set->changed = jiffies();
}

/* near_join: in a set that is full the oldest member makes room; IPVS's sets have no end. */
static __always_inline void near_join(struct near_set *set, struct member m)
{
	if (near_index(set, m) < set->count)
		return;
	if (set->count >= NEAR_MEMBERS)
		near_erase(set, 0);
	set->members[set->count & NEAR_MEMBERS - 1] = m;
	set->count++;
	set->changed = jiffies();
}

/* near_known is the server of an address that was asked for before. */
static __always_inline __u64 near_known(struct near_set *set, __u32 service)
{
	struct member least = near_find(set, false);

	set->used = jiffies();
	if (set->count > 1 && ago(set->changed, LBLC_EXPIRES))
		near_erase(set, near_index(set, near_find(set, true)));
	if (least.generation && !overloaded(least.server, least.generation, service))
		return member_server(&least);
	__u64 next = sched_least(service, SCHEDULER_WLC);
	if (next != NOBODY)
		near_join(set, member_of(next));
	return next;
}

/* near_first remembers the first server of an address. The set is made in the CPU's scratch: the stack is too small. */
static __always_inline void near_first(const struct near_key *key, __u64 server)
{
	struct scratch *scratch = scratch_of_cpu();

	if (!scratch)
		return;
	scratch->set = (struct near_set){ .used = jiffies(), .changed = jiffies(), .count = 1 };
	scratch->set.members[0] = member_of(server);
	bpf_map_update_elem(&near_sets, key, &scratch->set, BPF_ANY);
}

__noinline __u64 sched_lblcr(struct headers *h, __u32 service, __u32 generation)
{
	if (!h)
		return NOBODY;
	struct near_key key = near_key(&h->flow, service, generation);
	struct near_set *set = bpf_map_lookup_elem(&near_sets, &key);
	if (set && !ago(set->used, LBLC_EXPIRES))
		return near_known(set, service);
	__u64 next = sched_least(service, SCHEDULER_WLC);
	if (next != NOBODY)
		near_first(&key, next);
	return next;
}
