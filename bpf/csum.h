// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * csum.h: checksums, changed by what was changed (RFC 1624 section 3, equation 3). A checksum that
 * was wrong stays wrong: the receiver must still see it.
 */
#pragma once

#include "packet.h"

/* csum_replace adds to a sum what replacing a word does to it. */
static __always_inline __u64 csum_replace(__u64 sum, __u32 old, __u32 new)
{
	return sum + (__u32)~old + new;
}

static __always_inline __u64 csum_replace_addr(__u64 sum, const struct addr *old, const struct addr *new)
{
	for (int i = 0; i < 4; i++)
		sum = csum_replace(sum, old->word[i], new->word[i]);
	return sum;
}

static __always_inline __u16 csum_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* csum_begin turns a checksum field into a sum, csum_end turns it back. */
static __always_inline __u64 csum_begin(__u16 check)
{
	return (__u16)~check;
}

static __always_inline __u16 csum_end(__u64 sum)
{
	return ~csum_fold(sum);
}

/* check_at is where the checksum lies in a transport header of TCP or UDP. */
static __always_inline __u32 check_at(__u8 protocol)
{
	return protocol == IPPROTO_TCP ? offsetof(struct tcphdr, check) : offsetof(struct udphdr, check);
}

/* csum_words adds up words that the compiler knows the number of. */
static __always_inline __u64 csum_words(const void *at, __u32 size)
{
	const __u32 *word = at;
	__u64 sum = 0;

#pragma unroll
	for (__u32 i = 0; i < size / 4; i++)
		sum += word[i];
	return sum;
}

#define CSUM_SHORT 60 /* bytes: a TCP header with all its options */

/* csum_short adds up size bytes, a multiple of 4 up to CSUM_SHORT, at an offset that the compiler knows. */
static __always_inline __u64 csum_short(struct xdp_md *ctx, __u32 offset, int size)
{
	__u64 sum = 0;

#pragma unroll
	for (int i = 0; i < CSUM_SHORT / 4; i++) {
		if (4 * i >= size)
			return sum;
		const __u32 *word = at(ctx, offset + 4 * i, sizeof(*word));
		if (!word)
			return sum;
		sum += *word;
	}
	return sum;
}

/* csum_ipv4 is the whole checksum of an IPv4 header without options, its field being zero. */
static __always_inline __u16 csum_ipv4(const struct iphdr *ip)
{
	const __u16 *half = (const __u16 *)ip;
	__u64 sum = 0;

#pragma unroll
	for (int i = 0; i < (int)sizeof(*ip) / 2; i++)
		sum += half[i];
	return csum_end(sum);
}

/* csum_pseudo is the sum of a pseudo header, RFC 9293 section 3.1 and RFC 8200 section 8.1. */
static __always_inline __u64 csum_pseudo(const struct addr *source, const struct addr *destination, __u32 length,
					 __u8 protocol)
{
	__u64 sum = (__u64)bpf_htonl(length) + bpf_htonl(protocol);

	for (int i = 0; i < 4; i++)
		sum += (__u64)source->word[i] + destination->word[i];
	return sum;
}
