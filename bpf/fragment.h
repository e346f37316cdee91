// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * fragment.h: packets that come in pieces. The first fragment has the ports and decides, the others
 * follow by what all of them have in common. What comes before its first one is kept by the daemon,
 * which sends it through the path again. Each 8 bytes of a packet are sent on once only, so a server
 * never sees fragments that overlap (RFC 1858, RFC 5722).
 */
#pragma once

#include "conn.h"
#include "csum.h"
#include "csum_bytes.h"
#include "maps.h"
#include "packet.h"
#include "service.h"

#define FRAGMENT_SECONDS 5 /* after which a packet that is not whole is forgotten */

static __always_inline struct fragment_key fragment_key_of(const struct headers *h)
{
	struct fragment_key key = {
		.source = h->flow.source,
		.destination = h->flow.destination,
		.id = h->part.id,
		.protocol = h->ipv6 ? 0 : h->flow.protocol,
	};
	return key;
}

static __always_inline struct fragment *fragment_find(const struct fragment_key *key)
{
	struct fragment *f = bpf_map_lookup_elem(&fragments, key);

	if (!f || jiffies() - f->made < FRAGMENT_SECONDS * jiffies_per_second)
		return f;
	bpf_map_delete_elem(&fragments, key);
	return NULL;
}

/* fragment_make makes the entry, or finds the one that another CPU has just made. */
static __always_inline struct fragment *fragment_make(const struct fragment_key *key)
{
	struct scratch *scratch = scratch_of_cpu();

	if (!scratch)
		return NULL;
	scratch->fragment.made = jiffies(); /* all else is zero, always */
	bpf_map_update_elem(&fragments, key, &scratch->fragment, BPF_NOEXIST);
	return bpf_map_lookup_elem(&fragments, key);
}

/* Blocks of 8 bytes that are being marked as sent. */
struct fragment_walk {
	struct fragment *fragment;
	__u32 next; /* block */
	__u32 left;
	bool any; /* of them was sent before */
	bool all; /* of them were */
};

static long fragment_step(__u32 turn, void *arg)
{
	struct fragment_walk *w = arg;
	__u32 bit = w->next % 64, word = w->next / 64 % FRAGMENT_WORDS;
	__u32 n = w->left < 64 - bit ? w->left : 64 - bit;

	if (!n)
		return 1;
	__u64 mask = (n == 64 ? ~0ull : (1ull << n) - 1) << bit;
	__u64 old = __sync_fetch_and_or(&w->fragment->blocks[word], mask);
	w->any |= (old & mask) != 0;
	w->all &= (old & mask) == mask;
	w->next += n;
	w->left -= n;
	return 0;
}

static __always_inline enum verdict fragment_poison(struct fragment *f)
{
	f->poisoned = 1;
	return VERDICT_FRAGMENT_OVERLAP;
}

/*
 * fragment_mark says that this part of the packet is sent on. What was sent before in whole is a
 * duplicate and goes alone; what overlaps spoils the packet.
 */
static __noinline enum verdict fragment_mark(const struct headers *h, struct fragment *f)
{
	__u32 first = h->part.offset / 8, count = (h->part.size + 7) / 8;
	struct fragment_walk w = { .fragment = f, .next = first, .left = count, .all = true };

	if (f->poisoned)
		return VERDICT_FRAGMENT_OVERLAP;
	bpf_loop(FRAGMENT_WORDS + 1, fragment_step, &w, 0);
	if (w.any)
		return w.all ? VERDICT_FRAGMENT_OVERLAP : fragment_poison(f);
	if (!h->part.more && f->end && f->end != first + count)
		return fragment_poison(f);
	if (!h->part.more)
		f->end = first + count;
	if (f->end && first + count > f->end)
		return fragment_poison(f);
	if (__sync_fetch_and_add(&f->sent, count) + count == f->end) {
		struct fragment_key key = fragment_key_of(h);
		bpf_map_delete_elem(&fragments, &key);
	}
	return VERDICT_CONTINUE;
}

/* fragment_release has the daemon send the fragments that it holds. A function of its own for the stack of who calls it. */
static __noinline void fragment_release(const struct headers *h, const struct fragment_key *key)
{
	struct {
		__u32 kind;
		__u32 ifindex;
		struct fragment_key key;
		__u32 length;
	} first = { .kind = HELD_FIRST, .ifindex = h->ingress, .key = *key };

	bpf_ringbuf_output(&held_frames, &first, sizeof(first), 0);
}

/* fragment_begin: the first fragment is about to be sent on, so others can follow it. */
__noinline enum verdict fragment_begin(struct headers *h)
{
	if (!h)
		return VERDICT_FRAGMENT_ORPHAN;
	struct fragment_key key = fragment_key_of(h);
	struct fragment *f = fragment_find(&key);
	bool waited = f && !f->protocol;

	if (!f)
		f = fragment_make(&key);
	if (!f)
		return VERDICT_FRAGMENT_ORPHAN;
	if (!f->protocol || f->aside) {
		f->source_port = h->flow.source_port;
		f->destination_port = h->flow.destination_port;
		f->protocol = h->flow.protocol;
	}
	f->aside = 0;
	enum verdict v = fragment_mark(h, f);
	if (v == VERDICT_CONTINUE && waited)
		fragment_release(h, &key);
	return v;
}

/*
 * fragment_aside: the first fragment is the kernel's business, so the others are: it needs the packet
 * whole. Only those that would be held otherwise must be told apart.
 */
__noinline int fragment_aside(struct headers *h)
{
	if (!h || (!service_may_have(&h->flow) && !is_nat_server(&h->flow.source)))
		return 0;
	struct fragment_key key = fragment_key_of(h);
	struct fragment *f = fragment_find(&key);
	bool waited = f && !f->protocol;

	if (!f)
		f = fragment_make(&key);
	if (!f)
		return 0;
	f->protocol = h->flow.protocol;
	f->aside = 1;
	if (waited)
		fragment_release(h, &key);
	return 0;
}

/* fragment_hold gives the frame to the daemon, if it may be for a service, or an answer of one. */
static __noinline enum verdict fragment_hold(struct xdp_md *ctx, const struct headers *h)
{
	struct fragment_key key = fragment_key_of(h);
	__u32 length = bpf_xdp_get_buff_len(ctx);

	if (!service_may_have(&h->flow) && !is_nat_server(&h->flow.source))
		return VERDICT_NO_SERVICE;
	if (length > HELD_BYTES || length < ETH_HLEN || !fragment_make(&key))
		return VERDICT_FRAGMENT_ORPHAN;
	struct held *record = bpf_ringbuf_reserve(&held_frames, sizeof(*record), 0);
	if (!record)
		return VERDICT_FRAGMENT_ORPHAN;
	record->kind = HELD_FRAME;
	record->ifindex = h->ingress;
	record->key = key;
	record->length = length;
	if (bpf_xdp_load_bytes(ctx, 0, record->frame, length)) {
		bpf_ringbuf_discard(record, 0);
		return VERDICT_FRAGMENT_ORPHAN;
	}
	bpf_ringbuf_submit(record, 0);
	return VERDICT_FRAGMENT_HELD;
}

/* fragment_follow finds the ports of a later fragment, so that its connection can be found. */
__noinline enum verdict fragment_follow(struct xdp_md *ctx, struct headers *h)
{
	if (!h)
		return VERDICT_FRAGMENT_ORPHAN;
	struct fragment_key key = fragment_key_of(h);
	struct fragment *f = fragment_find(&key);

	if (f && f->aside)
		return VERDICT_NO_SERVICE;
	if (!f || !f->protocol)
		return fragment_hold(ctx, h);
	enum verdict v = fragment_mark(h, f);
	h->flow.source_port = f->source_port;
	h->flow.destination_port = f->destination_port;
	h->flow.protocol = f->protocol;
	return v;
}
