// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * director.h: directors that are real servers, too. A server by DR holds the service's address and asks nobody for it:
 * what it sends there all the same it has balanced, as another director, and has chosen this host. Balanced again, it
 * could go to and fro between the two.
 */
#pragma once

#include "fragment.h"
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

/* director_here is the same for a packet, whatever is known of its flow here. */
static __always_inline __u64 director_here(struct xdp_md *ctx, const struct headers *h)
{
	struct service *service = service_find(&h->flow);

	return service && service->flags & SERVICE_LOCAL ? director_chose(ctx, service->id) : NOBODY;
}

/*
 * director_sent: what another director has sent to this host as its server is for it, and counted there; else v is its
 * exit. The stack needs all of what comes in pieces, so later ones must find the first.
 */
__noinline enum verdict director_sent(struct xdp_md *ctx, struct headers *h, enum verdict v)
{
	__u64 here = h ? director_here(ctx, h) : NOBODY;

	if (here == NOBODY)
		return v;
	enum verdict first = h->kind == KIND_FIRST ? fragment_begin(h) : VERDICT_CONTINUE;
	if (first != VERDICT_CONTINUE)
		return first;
	count_in(here, h->length);
	return VERDICT_LOCAL;
}

/*
 * director_told: so it is with an ICMP error that another director has sent along. It is no fragment, and icmp_judge has
 * no stack left for those.
 */
static __always_inline enum verdict director_told(struct xdp_md *ctx, const struct headers *h)
{
	__u64 here = director_here(ctx, h);

	if (here == NOBODY)
		return VERDICT_ICMP_NO_CONNECTION;
	count_in(here, h->length);
	return VERDICT_LOCAL;
}
