// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* csum_bytes.h: the checksum of bytes wherever they lie in the packet, with the help of a map. */
#pragma once

#include "csum.h"
#include "maps.h"
#include "packet.h"

/* Bytes of the packet that are being added up. */
struct csum_walk {
	struct xdp_md *ctx;
	struct scratch *scratch;
	__u32 offset;
	__u32 left; /* bytes, a multiple of 4 */
	__u64 sum;
};

/* csum_step adds the next 512 bytes: as many as bpf_csum_diff takes. */
static long csum_step(__u32 turn, void *arg)
{
	struct csum_walk *w = arg;
	__u32 size = w->left < sizeof(w->scratch->bytes) ? w->left : sizeof(w->scratch->bytes);

	if (size < sizeof(__u32) || size > sizeof(w->scratch->bytes))
		return 1;
	if (bpf_xdp_load_bytes(w->ctx, w->offset, w->scratch->bytes, size))
		return 1;
	w->sum += (__u32)bpf_csum_diff(NULL, 0, (__be32 *)w->scratch->bytes, size, 0);
	w->offset += size;
	w->left -= size;
	return 0;
}

/*
 * csum_tail is the last one to three bytes before end, as a word; 0 of none. It has no branches: Linux
 * 6.1 would not see that none of them reads nothing.
 */
static __always_inline __u32 csum_tail(struct xdp_md *ctx, __u32 end, __u32 size)
{
	__u32 word = 0;

	bpf_xdp_load_bytes(ctx, end - sizeof(word), &word, sizeof(word));
	return (__u64)word >> (32 - 8 * size);
}

/*
 * csum_bytes is the sum of size bytes of the packet. It is dear: for what happens once a connection,
 * and for tunnels that are told to have checksums.
 */
__noinline __u64 csum_bytes(struct xdp_md *ctx, __u32 offset, __u32 size)
{
	struct csum_walk w = {
		.ctx = ctx,
		.scratch = scratch_of_cpu(),
		.offset = offset,
		.left = size & ~3u,
	};

	if (!w.scratch)
		return 0;
	bpf_loop(65536 / sizeof(w.scratch->bytes), csum_step, &w, 0);
	return w.sum + csum_tail(ctx, offset + size, size & 3);
}
