// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * bench.bpf.c: the path inside a wrapper for BPF_PROG_RUN, which hands the same, changed frame to
 * each turn. The wrapper makes the frame anew, from one original and the number of the turn's flow.
 * Its own cost is in every figure; the floors show it.
 */
#include "weir.bpf.c"

enum bench_mode {
	BENCH_PATH = 0,
	BENCH_PASS = 1, /* an empty XDP_PASS */
	BENCH_SWAP = 2, /* swap the MACs and XDP_TX: the least that any balancer does */
	BENCH_IPIP = 3, /* put an IP header in front and XDP_TX: the least that any tunnel does */
};

const volatile __u32 bench_what = BENCH_PATH;
const volatile bool bench_ipv6 = false;
const volatile bool bench_answers = false; /* servers' frames: the client is the destination */
const volatile bool bench_spreads = false; /* IPv4: flows are to BENCH_DESTINATIONS addresses, of one client */
const volatile __u32 bench_grows = 0;      /* bytes that a turn puts in front of its frame */

/* A TCP segment without data: 60 bytes is Ethernet's least, IPv6 needs 74. */
#define BENCH_V4 60
#define BENCH_DESTINATIONS 10000
#define BENCH_V6 74

/* Written by Go: the frame of flow 0. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u8[80]);
} frame SEC(".maps");

/* How far the run is. Go writes where it begins, and of how many flows it is: no other program is loaded for that. */
struct bench_turn {
	__u32 flow;  /* of this turn */
	__u32 grown; /* bytes that the last turn put in front */
	__u32 flows;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bench_turn);
} turn SEC(".maps");

const enum bench_mode *bench_mode_in_btf __attribute__((unused));

/* bench_copy copies words, and the two or four bytes behind them. */
static __always_inline void *bench_copy(struct xdp_md *ctx, const void *original, __u32 len)
{
	void *data = at(ctx, 0, len);

	if (!data)
		return NULL;
	copy(data, original, len);
	if (len % 4)
		*(__u16 *)(data + len / 4 * 4) = *(const __u16 *)(original + len / 4 * 4);
	return data;
}

/* bench_restore undoes what the last turn did to the length, and copies the frame. */
static __always_inline void *bench_restore(struct xdp_md *ctx, const void *original, struct bench_turn *turn)
{
	if (turn->grown && bpf_xdp_adjust_head(ctx, bench_grows))
		return NULL;
	turn->grown = bench_grows;
	return bench_ipv6 ? bench_copy(ctx, original, BENCH_V6) : bench_copy(ctx, original, BENCH_V4);
}

static __always_inline bool bench_store(struct xdp_md *ctx, __u32 offset, __u16 value)
{
	__u16 *field = at(ctx, offset, sizeof(*field));

	if (field)
		*field = value;
	return field;
}

/* What the path looks at in a frame of the wrapper, as offsets. */
struct bench_offsets {
	__u32 address; /* last 16 bits of the client's */
	__u32 port;    /* the client's */
	__u32 window;
	__u32 id; /* IPv4; 0: there is none */
};

/*
 * bench_write writes a flow's number, and takes it off again in fields that nobody reads, so that the
 * checksums of flow 0 are right for all.
 */
static __always_inline bool bench_write(struct xdp_md *ctx, struct bench_offsets o, __u16 address, __u16 port)
{
	__u32 sum = (__u32)address + port;

	if (!bench_store(ctx, o.address, address) || !bench_store(ctx, o.port, port))
		return false;
	if (o.id && !bench_store(ctx, o.id, ~address))
		return false;
	return bench_store(ctx, o.window, ~((sum & 0xffff) + (sum >> 16)));
}

static __always_inline bool bench_number(struct xdp_md *ctx, struct bench_offsets o, __u32 n)
{
	return bench_write(ctx, o, n >> 4, bpf_htons(1024 + (n & 15)));
}

/* bench_client makes the frame that of client n: other last 16 bits of its address, another port. */
static __always_inline bool bench_client(struct xdp_md *ctx, __u32 n)
{
	if (bench_spreads)
		return bench_write(ctx, (struct bench_offsets){ 32, 34, 48, 18 }, n % BENCH_DESTINATIONS,
				   bpf_htons(1024 + n / BENCH_DESTINATIONS));
	if (bench_ipv6 && bench_answers)
		return bench_number(ctx, (struct bench_offsets){ 52, 56, 68 }, n);
	if (bench_ipv6)
		return bench_number(ctx, (struct bench_offsets){ 36, 54, 68 }, n);
	if (bench_answers)
		return bench_number(ctx, (struct bench_offsets){ 32, 36, 48, 18 }, n);
	return bench_number(ctx, (struct bench_offsets){ 28, 34, 48, 18 }, n);
}

static __always_inline int bench_swap(void *data)
{
	struct ethhdr *eth = data;
	__u8 mac[ETH_ALEN];

	mac_copy(mac, eth->h_dest);
	mac_copy(eth->h_dest, eth->h_source);
	mac_copy(eth->h_source, mac);
	return XDP_TX;
}

/*
 * bench_outer sends the frame back to whom it came from, with room for an outer IP header as large as the
 * inner one, which lies behind it. The old Ethernet header lies where the outer one ends.
 */
static __always_inline void *bench_outer(struct xdp_md *ctx, __u32 size)
{
	if (bpf_xdp_adjust_head(ctx, -(int)size))
		return NULL;
	struct ethhdr *eth = at(ctx, 0, sizeof(*eth) + 2 * size);
	if (!eth)
		return NULL;
	const struct ethhdr *old = (void *)eth + size;
	mac_copy(eth->h_dest, old->h_source);
	mac_copy(eth->h_source, old->h_dest);
	eth->h_proto = old->h_proto;
	return eth + 1;
}

/* bench_ipip_v4: the tunnel's ends are those of the packet, so that the compiler does not know the checksum. */
static __always_inline int bench_ipip_v4(struct xdp_md *ctx)
{
	struct iphdr *outer = bench_outer(ctx, sizeof(*outer));

	if (!outer)
		return XDP_ABORTED;
	copy(outer, outer + 1, sizeof(*outer));
	outer->tot_len = bpf_htons(bpf_ntohs(outer->tot_len) + sizeof(*outer));
	outer->ttl = OUTER_TTL;
	outer->protocol = IPPROTO_IPIP;
	outer->check = 0;
	outer->check = csum_ipv4(outer);
	return XDP_TX;
}

static __always_inline int bench_ipip_v6(struct xdp_md *ctx)
{
	struct ipv6hdr *outer = bench_outer(ctx, sizeof(*outer));

	if (!outer)
		return XDP_ABORTED;
	copy(outer, outer + 1, sizeof(*outer));
	outer->payload_len = bpf_htons(bpf_ntohs(outer->payload_len) + sizeof(*outer));
	outer->nexthdr = IPPROTO_IPV6;
	outer->hop_limit = OUTER_TTL;
	return XDP_TX;
}

/*
 * bench_make makes the turn's frame, and ends the floors' turns; -1: it goes on. It is a function of its own since the stack
 * of the whole path has no room for what it holds.
 */
__noinline int bench_make(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct bench_turn *now = bpf_map_lookup_elem(&turn, &zero);
	void *original = bpf_map_lookup_elem(&frame, &zero);

	if (!now || !original)
		return XDP_ABORTED;
	void *data = bench_restore(ctx, original, now);
	if (!data)
		return XDP_ABORTED;
	if (!bench_client(ctx, now->flow))
		return XDP_ABORTED;
	if (++now->flow >= now->flows)
		now->flow = 0;
	if (bench_what == BENCH_PASS)
		return XDP_PASS;
	if (bench_what == BENCH_SWAP)
		return bench_swap(data);
	if (bench_what == BENCH_IPIP)
		return bench_ipv6 ? bench_ipip_v6(ctx) : bench_ipip_v4(ctx);
	return -1;
}

SEC("xdp")
int bench(struct xdp_md *ctx)
{
	int ended = bench_make(ctx);

	return ended >= 0 ? ended : path(ctx);
}

/* bench_find parses, and looks once into the connection table: what this machine asks for a hash. */
SEC("xdp")
int bench_find(struct xdp_md *ctx)
{
	int ended = bench_make(ctx);
	struct packet p;

	if (ended >= 0)
		return ended;
	if (!packet_begin(&p, ctx) || parse(&p) != VERDICT_CONTINUE)
		return XDP_ABORTED;
	conn_find(&p);
	return p.conn ? XDP_TX : XDP_DROP;
}
