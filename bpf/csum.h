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
