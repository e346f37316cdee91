// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* decap.h: the contract of decap.bpf.c with Go. */
#pragma once

/*
 * What became of a frame on a real server. Only `decapsulated` changes it; all others pass to the
 * kernel as they came, so a tunnel of somebody else's goes on working.
 */
enum decap_verdict {
	DECAP_CONTINUE, /* not an exit: the next stage decides */

	DECAP_PASSED,       /* not a tunnelled packet for this host */
	DECAP_DECAPSULATED, /* the outer header was taken off */
	DECAP_REFUSED,      /* tunnelled to this host, but the inner destination is none of its VIPs */
	DECAP_FRAGMENT,     /* a fragment of a tunnelled packet: the director sends none */
	DECAP_MALFORMED,    /* tunnelled to this host, but its headers lie about their lengths */

	DECAP_VERDICTS,
};

#define DECAP_MAX_TUNNELS 1024
#define DECAP_MAX_VIPS 4096
