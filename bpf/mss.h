// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* mss.h: the MSS that a SYN offers, lowered where the config says so (RFC 9293 section 3.7.1). */
#pragma once

#include "csum.h"
#include "packet.h"

/* TCP options, RFC 9293 section 3.2. */
#define TCP_OPTION_END 0
#define TCP_OPTION_NOTHING 1
#define TCP_OPTION_MSS 2
#define TCP_OPTION_MSS_SIZE 4

#define MSS_OPTIONS 10 /* how many are looked at */

struct mss_walk {
	struct xdp_md *ctx;
	__u32 transport;
	__u32 offset; /* of the next option */
	__u32 end;
	__u32 most;
};

/* mss_write: at an odd offset the value is the halves of two words of the checksum, so it counts swapped. */
static __always_inline void mss_write(const struct mss_walk *w, __u32 offset, __be16 old, __be16 new)
{
	__u32 check_at = w->transport + offsetof(struct tcphdr, check);
	bool odd = (offset - w->transport) % 2;
	__u16 check = 0;

	if (bpf_xdp_load_bytes(w->ctx, check_at, &check, sizeof(check)))
		return;
	check = csum_end(csum_replace(csum_begin(check), odd ? __builtin_bswap16(old) : old,
				      odd ? __builtin_bswap16(new) : new));
	bpf_xdp_store_bytes(w->ctx, offset, &new, sizeof(new));
	bpf_xdp_store_bytes(w->ctx, check_at, &check, sizeof(check));
}

static __always_inline void mss_look(const struct mss_walk *w, __u32 offset)
{
	__be16 mss = 0;

	if (!bpf_xdp_load_bytes(w->ctx, offset, &mss, sizeof(mss)) && bpf_ntohs(mss) > w->most)
		mss_write(w, offset, mss, bpf_htons(w->most));
}

static long mss_step(__u32 turn, void *arg)
{
	struct mss_walk *w = arg;
	__u8 type = 0, size = 0;

	if (w->offset >= w->end || bpf_xdp_load_bytes(w->ctx, w->offset, &type, 1) || type == TCP_OPTION_END)
		return 1;
	if (type == TCP_OPTION_NOTHING) {
		w->offset++;
		return 0;
	}
	if (w->offset + 2 > w->end || bpf_xdp_load_bytes(w->ctx, w->offset + 1, &size, 1))
		return 1;
	if (size < 2 || w->offset + size > w->end)
		return 1;
	if (type == TCP_OPTION_MSS && size == TCP_OPTION_MSS_SIZE)
		mss_look(w, w->offset + 2);
	w->offset += size;
	return 0;
}

__noinline int mss_lower(struct xdp_md *ctx, __u32 transport, __u32 most)
{
	struct mss_walk w = {
		.ctx = ctx,
		.transport = transport,
		.offset = transport + sizeof(struct tcphdr),
		.most = most,
	};
	__u8 header = 0;

	if (bpf_xdp_load_bytes(ctx, transport + 12, &header, 1))
		return 0;
	w.end = transport + (header >> 4) * 4;
	bpf_loop(MSS_OPTIONS, mss_step, &w, 0);
	return 0;
}

/* mss_limit is for every packet on its way; only SYNs have something to lose. */
static __always_inline void mss_limit(struct packet *p, const struct server *server)
{
	if (!(p->facts->tcp_flags & TCP_SYN) || !server->mss || p->facts->flow.protocol != IPPROTO_TCP)
		return;
	mss_lower(p->ctx, p->facts->transport, server->mss);
}
