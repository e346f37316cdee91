// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * lblc.h: locality-based least connection, for caches: an address that was asked for goes where it went
 * before, unless that server has too much to do while another one has little. lblc (ip_vs_lblc.c)
 * remembers one server for each address, lblcr (ip_vs_lblcr.c) a set of them, which grows while they are
 * overloaded, and of which the one with most to do goes when the set has not changed for a day.
 */
#pragma once

#include "conn.h"
#include "least.h"
#include "slots.h"

#define LBLC_EXPIRES (24 * 60 * 60) /* seconds: sysctl lblc_expiration, lblcr_expiration */

/* ago tells whether more than some seconds have gone by since. */
static __always_inline bool ago(__u32 since, __u32 seconds)
{
	return (__u32)(jiffies() - since) > seconds * jiffies_per_second;
}

struct idle_walk {
	void *table;
	bool found;
};

static long idle_step(__u32 turn, void *arg)
{
	struct idle_walk *w = arg;
	struct slot *slot = slot_at(w->table, turn + 1);

	if (!slot)
		return 1;
	__u32 server = slot->server;
	struct load *load = bpf_map_lookup_elem(&loads, &server);
	w->found = load && load->active * 2 < slot->weight;
	return w->found;
}

/* somebody_idles: a server of the service has less than half as many active connections as its weight. */
__noinline bool somebody_idles(__u32 service)
{
	void *table = slots_of(service);
	struct slot *head = table ? slot_head(table) : NULL;

	if (!head)
		return false;
	struct idle_walk w = { .table = table };
	bpf_loop(head->server, idle_step, &w, 0);
	return w.found;
}

/* member_present: the server is still of the service, and takes connections, but for its thresholds. */
static __always_inline bool member_present(const struct server *server)
{
	return server && !server->leaving && !(server->flags & SERVER_QUIESCED);
}

/* overloaded: the server has more active connections than its weight, while another one idles. */
__noinline bool overloaded(__u32 id, __u32 generation, __u32 service)
{
	struct server *server = server_find(id, generation);
	struct load *load = bpf_map_lookup_elem(&loads, &id);

	return !server || !load || (load->active > server->weight && somebody_idles(service));
}

static __always_inline struct near_key near_key(const struct flow *flow, __u32 service, __u32 generation)
{
	return (struct near_key){ .service = service, .generation = generation, .address = flow->destination };
}

static __always_inline struct member member_of(__u64 server)
{
	return (struct member){ .server = server, .generation = server >> 32 };
}

static __always_inline __u64 member_server(const struct member *m)
{
	return (__u64)m->generation << 32 | m->server;
}

/* lblc_keeps: the server that an address had is there and not overloaded; whether it is full does not matter here, as in IPVS. */
__noinline bool lblc_keeps(__u32 id, __u32 generation, __u32 service)
{
	return member_present(server_find(id, generation)) && !overloaded(id, generation, service);
}

__noinline __u64 sched_lblc(struct headers *h, __u32 service, __u32 generation)
{
	if (!h)
		return NOBODY;
	struct near_key key = near_key(&h->flow, service, generation);
	struct near *near = bpf_map_lookup_elem(&nearest, &key);
	if (near && !ago(near->used, LBLC_EXPIRES)) {
		struct member m = near->member;
		near->used = jiffies();
		if (lblc_keeps(m.server, m.generation, service))
			return member_server(&m);
	}
	__u64 next = sched_least(service, SCHEDULER_WLC);
	if (next == NOBODY)
		return NOBODY;
	struct near fresh = { .member = member_of(next), .used = jiffies() };
	bpf_map_update_elem(&nearest, &key, &fresh, BPF_ANY);
	return next;
}
