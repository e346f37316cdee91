// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ttl.h: the IP headers that parse found, and the one off their TTL that every method takes. */
#pragma once

#include "csum.h"
#include "packet.h"

/*
 * The headers that parse found, or NULL, which cannot be but which the verifier wants to be asked.
 * Tags are taken off before anybody comes here.
 */
static __always_inline struct iphdr *header_v4(struct packet *p)
{
	return at(p->ctx, AT_NETWORK, sizeof(struct iphdr));
}

static __always_inline struct ipv6hdr *header_v6(struct packet *p)
{
	return at(p->ctx, AT_NETWORK, sizeof(struct ipv6hdr));
}

/* The TTL goes down by one, RFC 1812 section 5.3.1; that of p is above 1. */
static __always_inline void ttl_v4(struct iphdr *ip)
{
	__u16 old = *(__u16 *)&ip->ttl;

	ip->ttl--;
	ip->check = csum_end(csum_replace(csum_begin(ip->check), old, *(__u16 *)&ip->ttl));
}

static __always_inline bool ttl_lower(struct packet *p)
{
	if (p->facts->ipv6) {
		struct ipv6hdr *ip = header_v6(p);
		if (!ip)
			return false;
		ip->hop_limit--;
		return true;
	}
	struct iphdr *ip = header_v4(p);
	if (!ip)
		return false;
	ttl_v4(ip);
	return true;
}
