// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* extension.h: the chain of IPv6 extension headers, RFC 8200 section 4. */
#pragma once

#include "packet.h"

/* The registry of RFC 7045, without ESP, behind which nothing can be read. */
enum extension {
	HOP_BY_HOP = 0,
	ROUTING = 43,
	FRAGMENT = 44,
	AUTHENTICATION = 51,
	DESTINATION_OPTIONS = 60,
	MOBILITY = 135,
	HOST_IDENTITY = 139,
	SHIM6 = 140,
};

#define MAX_EXTENSIONS 8

/* A chain that is being walked. */
struct chain {
	struct xdp_md *ctx;
	__u32 start;        /* offset of the first header */
	__u32 at;           /* offset of the next header */
	__u32 end;          /* offset behind the packet */
	__u8 next;          /* what that header is */
	bool cut;           /* the packet ends within a header */
	bool quoted;        /* in an ICMP error: it need not be a packet that we would take */
	bool fragmented;    /* a fragment header was met */
	bool fragment;      /* and it speaks of more than one fragment */
	__u8 fragment_next; /* what it says comes behind it */
	__u32 before;       /* bytes of extension headers before the fragment header */
	struct part part;
	enum verdict verdict;
};

struct fragment_header {
	__u8 next;
	__u8 reserved;
	__be16 offset; /* multiple of 8, and the more flag in bit 0 */
	__be32 id;
};

static __always_inline bool is_extension(__u8 next)
{
	switch (next) {
	case HOP_BY_HOP:
	case ROUTING:
	case FRAGMENT:
	case AUTHENTICATION:
	case DESTINATION_OPTIONS:
	case MOBILITY:
	case HOST_IDENTITY:
	case SHIM6:
		return true;
	}
	return false;
}

static __always_inline __u32 extension_size(__u8 type, __u8 length)
{
	if (type == FRAGMENT)
		return sizeof(struct fragment_header);
	if (type == AUTHENTICATION) /* in words of 4 bytes, RFC 4302 section 2.2 */
		return (length + 2) * 4;
	return (length + 1) * 8;
}

/* chain_fragment: a fragment header of a whole packet, an atomic fragment, says nothing (RFC 6946). */
static __always_inline enum verdict chain_fragment(struct chain *c, const struct fragment_header *h)
{
	__u16 field = bpf_ntohs(h->offset);

	if (c->fragmented && !c->quoted)
		return VERDICT_MALFORMED;
	c->fragmented = true;
	if (!(field & ~6))
		return VERDICT_CONTINUE;
	c->fragment = true;
	c->fragment_next = h->next;
	c->before = c->at - c->start;
	c->part.id = h->id;
	c->part.offset = field & ~7;
	c->part.more = field & 1;
	c->part.size = c->end - c->at - sizeof(*h);
	return VERDICT_CONTINUE;
}

/* chain_look judges a header; 8 bytes of it are there. */
static __always_inline enum verdict chain_look(struct chain *c, const __u8 *header)
{
	if (c->next == FRAGMENT)
		return chain_fragment(c, (const struct fragment_header *)header);
	if (c->next == ROUTING && header[3] && !c->quoted) /* segments left: it is for somebody else yet */
		return VERDICT_SOURCE_ROUTE;
	return VERDICT_CONTINUE;
}

static long chain_step(__u32 turn, void *arg)
{
	struct chain *c = arg;
	__u8 header[8] __attribute__((aligned(4)));

	if (!is_extension(c->next) || (c->fragment && c->part.offset))
		return 1;
	c->verdict = VERDICT_EXTENSION_HEADERS;
	if (turn == MAX_EXTENSIONS)
		return 1;
	c->verdict = VERDICT_MALFORMED;
	c->cut = true;
	if (c->at + sizeof(header) > c->end || bpf_xdp_load_bytes(c->ctx, c->at, header, sizeof(header)))
		return 1;
	__u32 size = extension_size(c->next, header[1]);
	if (c->at + size > c->end)
		return 1;
	c->cut = false;
	c->verdict = chain_look(c, header);
	if (c->verdict != VERDICT_CONTINUE)
		return 1;
	c->at += size;
	c->next = header[0];
	return 0;
}

/*
 * chain_begin writes zeros that the verifier does not know. Before 6.7 it looks at one turn of a loop
 * only, and takes out what cannot happen in that one: all that asks what an earlier turn has found.
 */
static __always_inline void chain_begin(struct chain *c)
{
	__u64 zero = c->end;

	asm volatile("%0 ^= %0" : "+r"(zero));
	c->fragmented = zero;
	c->fragment = zero;
	c->cut = zero;
	c->part.offset = zero;
	c->part.more = zero;
	c->verdict = zero;
}

/* chain_walk goes on to the transport header, or behind the header of a later fragment. */
static __always_inline enum verdict chain_walk(struct chain *c)
{
	chain_begin(c);
	bpf_loop(MAX_EXTENSIONS + 1, chain_step, c, 0);
	return c->verdict;
}
