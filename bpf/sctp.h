// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* sctp.h: what the path needs to know of SCTP, RFC 9260. */
#pragma once

#include "packet.h"

/* The common header and the type of the first chunk, RFC 9260 section 3. */
struct sctp {
	__be16 source;
	__be16 destination;
	__be32 verification;
	__le32 checksum;
	__u8 chunk;
	__u8 flags;
	__be16 length;
};

/* Types of chunks, RFC 9260 section 3.2. */
enum chunk {
	CHUNK_INIT = 1,
	CHUNK_INIT_ACK = 2,
	CHUNK_ABORT = 6,
	CHUNK_SHUTDOWN = 7,
	CHUNK_SHUTDOWN_ACK = 8,
	CHUNK_SHUTDOWN_COMPLETE = 14,
};

/*
 * sctp_as_tcp says a chunk with TCP's flags, so that one state machine serves both: an association
 * begins with INIT as a connection does with SYN, and ends by SHUTDOWN of both sides, or by ABORT.
 */
static __always_inline __u8 sctp_as_tcp(__u8 chunk)
{
	switch (chunk) {
	case CHUNK_INIT:
		return TCP_SYN;
	case CHUNK_INIT_ACK:
		return TCP_SYN | TCP_ACK;
	case CHUNK_ABORT:
	case CHUNK_SHUTDOWN_COMPLETE:
		return TCP_RST;
	case CHUNK_SHUTDOWN:
	case CHUNK_SHUTDOWN_ACK:
		return TCP_FIN | TCP_ACK;
	}
	return TCP_ACK;
}

/* CRC32c, RFC 9260 appendix A, bits reflected: bit 31 is x^0. */
#define CRC32C_POLYNOMIAL 0x82f63b78u

/* crc_times_x multiplies a polynomial by x. */
static __always_inline __u32 crc_times_x(__u32 a)
{
	return a >> 1 ^ (CRC32C_POLYNOMIAL & -(a & 1));
}

struct crc_product {
	__u32 a, b, sum;
};

static long crc_multiply_step(__u32 turn, void *arg)
{
	struct crc_product *m = arg;

	m->sum ^= m->b & -(m->a >> 31);
	m->a <<= 1;
	m->b = crc_times_x(m->b);
	return 0;
}

__noinline __u32 crc_multiply(__u32 a, __u32 b)
{
	struct crc_product m = { .a = a, .b = b };

	bpf_loop(32, crc_multiply_step, &m, 0);
	return m.sum;
}

struct crc_shift {
	__u32 bytes; /* zeros still to come, halved each turn */
	__u32 power; /* x to the 8 times 2 to the turn */
	__u32 crc;
};

static long crc_shift_step(__u32 turn, void *arg)
{
	struct crc_shift *s = arg;

	if (!s->bytes)
		return 1;
	if (s->bytes & 1)
		s->crc = crc_multiply(s->crc, s->power);
	s->power = crc_multiply(s->power, s->power);
	s->bytes >>= 1;
	return 0;
}

/*
 * crc_change is what changing one word does to the CRC32c of a message, when bytes follow it. A CRC
 * is linear: it is the CRC, begun with 0, of the word's difference and that many zeros, which is a
 * multiplication by x^(8 · bytes). So a checksum that was wrong stays wrong.
 */
__noinline __u32 crc_change(__u32 difference, __u32 bytes)
{
	struct crc_shift s = {
		.bytes = bytes + sizeof(difference),
		.power = 0x80000000u >> 8, /* x^8 */
		.crc = difference,
	};

	bpf_loop(17, crc_shift_step, &s, 0);
	return s.crc;
}
