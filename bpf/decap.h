// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* decap.h: the contract of decap.bpf.c with Go. */
#pragma once

/*
 * What became of a frame on a real server. Only `decapsulated` changes it. Those before
 * DECAP_FIRST_DROPPED pass to the kernel as they came, so a tunnel of somebody else's goes on
 * working. The others are dropped: what is inside is for a VIP, so it came from a director, and is
 * not what the client sent, or must not arrive.
 */
enum decap_verdict {
	DECAP_CONTINUE, /* not an exit: the next stage decides */

	DECAP_PASSED,       /* not a tunnelled packet for this host */
	DECAP_DECAPSULATED, /* the outer headers were taken off */
	DECAP_REFUSED,      /* tunnelled to this host, but the inner destination is none of its VIPs */
	DECAP_FRAGMENT,     /* a fragment of a tunnelled packet: the director sends none */
	DECAP_MALFORMED,    /* tunnelled to this host, but its headers lie about their lengths */
	DECAP_UNSUPPORTED,  /* a GRE or GUE header with more than the director's: key, flags, control, variant 1 */

	DECAP_BAD_CHECKSUM, /* the checksum of GRE, or of GUE's UDP header, is wrong */
	DECAP_CONGESTED,    /* marked by a congested router, and the ends know no ECN: RFC 6040 section 4.2 */

	DECAP_VERDICTS,
};

#define DECAP_FIRST_DROPPED DECAP_BAD_CHECKSUM

#define DECAP_MAX_TUNNELS 1024
#define DECAP_MAX_VIPS 4096
#define DECAP_MAX_PORTS 64
