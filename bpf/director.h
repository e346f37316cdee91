// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * director.h: directors that are real servers, too. A server by DR holds the service's address and asks nobody for it:
 * what it sends there all the same it has balanced, as another director, and has chosen this host. Balanced again, it
 * could go to and fro between the two.
 */
#pragma once

#include "packet.h"
#include "service.h"
#include "slots.h"

/* Who may be another director → the server that is this host, its generation in the upper half. Written by Go. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MAX_SERVERS);
	__type(key, struct director_key);
	__type(value, __u64);
} directors SEC(".maps");

/* director_chose is the server that is this host, if another director sent the frame to a service; else NOBODY. */
__noinline __u64 director_chose(struct xdp_md *ctx, __u32 service)
{
	struct ethhdr *eth = at(ctx, 0, sizeof(*eth));
	struct director_key key = { .service = service };

	if (!eth)
		return NOBODY;
	mac_copy(key.mac, eth->h_source);
	__u64 *here = bpf_map_lookup_elem(&directors, &key);
	return here ? *here : NOBODY;
}

/* director_sent: what another director has sent to this host as its server is for it, and counted there; else v is its exit. */
__noinline enum verdict director_sent(struct xdp_md *ctx, struct headers *h, enum verdict v)
{
	if (!h)
		return v;
	struct service *service = service_find(&h->flow);
	if (!service || !(service->flags & SERVICE_LOCAL))
		return v;
	__u64 here = director_chose(ctx, service->id);
	if (here == NOBODY)
		return v;
	count_in(here, h->length);
	return VERDICT_LOCAL;
}
