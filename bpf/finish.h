// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* finish.h: the one way out. Every packet is counted here, once. */
#pragma once

#include "maps.h"
#include "packet.h"

static __always_inline void finish_count(__u32 v, __u32 packets)
{
	__u64 *count = array_at(&verdicts, v);

	if (count)
		*count += packets;
}

static __always_inline int finish(struct packet *p, enum verdict v)
{
	finish_count(v, 1);
	if (v >= VERDICT_FIRST_DROPPED)
		return XDP_DROP;
	if (v < VERDICT_FIRST_SENT)
		return XDP_PASS;
	if (p->facts->egress == p->facts->ingress)
		return XDP_TX;
	return bpf_redirect(p->facts->egress, 0);
}
