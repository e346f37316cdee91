// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * check.h: what servers answer to checks through a service's address. Such a check was sent to an alias,
 * which stands for the service's address at one server (check.bpf.c). The answer has the service's address
 * for its source, whichever server it is of, and gets the alias, before the host's stack looks at it: the
 * service's address may be the host's own. All is rare here, so the verifier judges it by itself.
 */
#pragma once

#include <bpf/bpf_helpers.h>

#include "csum.h"
#include "packet.h"
#include "types.h"

/* Answers that checks wait for, as they come; the one used longest ago makes room. Written by check.bpf.c. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MAX_CHECK_ANSWERS);
	__type(key, struct flow);
	__type(value, struct check_awaited);
} check_answers SEC(".maps");

#define ICMP_CHECKSUM 2 /* offset in its header: RFC 792, RFC 4443 section 2.1 */

#define NANOSECONDS 1000000000ULL

static __always_inline __u32 seconds(void)
{
	return bpf_ktime_get_ns() / NANOSECONDS;
}

/* check_awaits finds the alias of the check that waits for an answer. One that nobody waits for any more is none. */
static __always_inline bool check_awaits(const struct flow *answer, struct addr *alias)
{
	struct check_awaited *awaited = bpf_map_lookup_elem(&check_answers, answer);

	if (!awaited || seconds() - awaited->asked > CHECK_ANSWER_SECONDS)
		return false;
	*alias = awaited->alias;
	return true;
}

/* check_sum makes a checksum at an offset follow an address that becomes another one; in UDP none stays none (RFC 768). */
static __always_inline bool check_sum(struct xdp_md *ctx, __u32 offset, const struct addr *old, const struct addr *new,
				      bool udp)
{
	__u16 sum = 0;

	if (bpf_xdp_load_bytes(ctx, offset, &sum, sizeof(sum)))
		return false;
	if (udp && !sum)
		return true;
	sum = csum_end(csum_replace_addr(csum_begin(sum), old, new));
	if (udp && !sum)
		sum = 0xffff;
	return !bpf_xdp_store_bytes(ctx, offset, &sum, sizeof(sum));
}

/* check_store writes an address as its family does. */
static __always_inline bool check_store(struct xdp_md *ctx, bool ipv6, __u32 offset, struct addr *a)
{
	if (ipv6)
		return !bpf_xdp_store_bytes(ctx, offset, a, sizeof(*a));
	return !bpf_xdp_store_bytes(ctx, offset, &a->word[3], sizeof(a->word[3]));
}

/* check_answer: what no service has may be an answer that a check waits for. */
__noinline bool check_answer(struct xdp_md *ctx, struct headers *h)
{
	if (!h || h->kind != KIND_WHOLE)
		return false;
	struct flow flow = h->flow;
	struct addr alias;
	if (!check_awaits(&flow, &alias))
		return false;
	__u32 source = h->network + (h->ipv6 ? offsetof(struct ipv6hdr, saddr) : offsetof(struct iphdr, saddr));
	__u32 sum = h->transport + check_at(flow.protocol);
	if (!check_sum(ctx, sum, &flow.source, &alias, flow.protocol == IPPROTO_UDP))
		return false;
	if (!h->ipv6 && !check_sum(ctx, h->network + offsetof(struct iphdr, check), &flow.source, &alias, false))
		return false;
	return check_store(ctx, h->ipv6, source, &alias);
}

/*
 * check_source gives an ICMP error that comes from the service's address itself the alias, too: the host
 * takes nothing that seems to come from itself. In IPv6 the address is in the pseudo header, RFC 4443
 * section 2.3.
 */
static __always_inline bool check_source(struct xdp_md *ctx, const struct headers *h, const struct addr *service,
					 struct addr *alias)
{
	__u32 offset = h->network + (h->ipv6 ? offsetof(struct ipv6hdr, saddr) : offsetof(struct iphdr, saddr));
	__u32 sum = h->ipv6 ? h->transport + ICMP_CHECKSUM : h->network + offsetof(struct iphdr, check);
	struct addr source = *service;

	if (h->ipv6 ? bpf_xdp_load_bytes(ctx, offset, &source, sizeof(source))
		    : bpf_xdp_load_bytes(ctx, offset, &source.word[3], sizeof(source.word[3])))
		return false;
	if (!addr_equal(&source, service))
		return true;
	return check_sum(ctx, sum, service, alias, false) && check_store(ctx, h->ipv6, offset, alias);
}

/*
 * check_refused: an ICMP error may be about a check. The destination that it quotes becomes the alias again,
 * so that the host finds whom it is for. The quoted checksums stay as they are: nobody looks at them.
 */
__noinline bool check_refused(struct xdp_md *ctx, struct headers *h)
{
	if (!h)
		return false;
	struct flow flow = h->flow;
	struct addr alias;
	if (!check_awaits(&flow, &alias))
		return false;
	__u32 destination =
		h->quoted.network + (h->ipv6 ? offsetof(struct ipv6hdr, daddr) : offsetof(struct iphdr, daddr));
	if (!check_sum(ctx, h->transport + ICMP_CHECKSUM, &flow.source, &alias, false))
		return false;
	return check_store(ctx, h->ipv6, destination, &alias) && check_source(ctx, h, &flow.source, &alias);
}
