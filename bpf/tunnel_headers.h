// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* tunnel_headers.h: what stands in front of a packet in GRE (RFC 2784) and GUE (draft-ietf-intarea-gue, variant 0). */
#pragma once

#include <linux/types.h>
#include <linux/udp.h>

#define OUTER_TTL 64 /* RFC 1700's default, as the kernel's tunnels use */

#define GRE_CHECKSUM 0x8000 /* RFC 2784 section 2.1 */

struct gre {
	__be16 flags;
	__be16 type;
};

struct gre_checksum {
	struct gre gre;
	__sum16 check;
	__be16 zero;
};

struct gue {
	struct udphdr udp;
	__u8 version; /* 0, and no words behind these four bytes */
	__u8 protocol;
	__be16 flags;
};

/* tunnel_protocol is the one behind the outer IP header; ipv6: the inner packet is. */
static __always_inline __u8 tunnel_protocol(__u8 tunnel, bool ipv6)
{
	switch (tunnel) {
	case TUNNEL_GRE:
		return IPPROTO_GRE;
	case TUNNEL_GUE:
		return IPPROTO_UDP;
	}
	return ipv6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
}
