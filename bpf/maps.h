// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * maps.h: what the path remembers and what it is told. All maps are pinned by their name, so a
 * stopped daemon loses nothing. Sizes are fixed at load; internal/dataplane may set them smaller.
 */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "packet.h"
#include "types.h"

/*
 * array_at is an element of an array. The index lies in the second half of a stack slot: what is written to the first the
 * verifier takes for a register that is saved, and without CAP_PERFMON there is a barrier behind each of these.
 */
static __always_inline void *array_at(void *map, __u32 index)
{
	struct {
		__u32 nothing, index;
	} __attribute__((aligned(8))) key;

	key.index = index;
	return bpf_map_lookup_elem(map, &key.index);
}

/* Where the path runs. Written by Go. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_INTERFACES);
	__type(key, __u32);
	__type(value, struct interface);
} interfaces SEC(".maps");

/* Tag on an interface → ifindex of the VLAN device there. Written by Go. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_VLANS);
	__type(key, struct vlan_key);
	__type(value, __u32);
} vlans SEC(".maps");

/* Address, port and protocol → service. Written by Go. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_KEYS);
	__type(key, struct service_key);
	__type(value, struct service);
} services SEC(".maps");

/* Address, protocol and a range of ports, cut into such as have their first bits in common → service. Written by Go. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MAX_KEYS);
	__type(key, struct range_key);
	__type(value, struct service);
} ranges SEC(".maps");

/* Addresses of services → how many keys have them: asked about packets that cannot be balanced. Written by Go. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_KEYS);
	__type(key, struct addr);
	__type(value, __u32);
} vips SEC(".maps");

/* Address → enum host, while a service has any destination; else nobody asks. Written by Go. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_HOSTS);
	__type(key, struct addr);
	__type(value, __u32);
} hosts SEC(".maps");

/* Addresses of virtual routers → number of the router. Written by Go. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_LEASED);
	__type(key, struct addr);
	__type(value, __u32);
} leased SEC(".maps");

/*
 * Number of a virtual router → until when, in ns of CLOCK_BOOTTIME, its addresses are this director's; 0: they are
 * not. A host that slept has missed its adverts, so that time counts. Written by Go.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_ROUTERS);
	__type(key, __u32);
	__type(value, __u64);
} leases SEC(".maps");

/* Addresses of NAT servers → how many: their fragments may be answers to clients. Written by Go. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_SERVERS);
	__type(key, struct addr);
	__type(value, __u32);
} nat_servers SEC(".maps");

/*
 * Server id → index of its record. Written by Go, through memory that it maps: a record is changed by
 * writing another one and then this number, in one store. So a packet sees all of the old record or all
 * of the new one.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_SERVERS);
	__type(key, __u32);
	__type(value, __u64);
} servers SEC(".maps");

/* The records of servers. The first one is that of all free places. Written by Go. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_RECORDS);
	__type(key, __u32);
	__type(value, struct server);
} records SEC(".maps");

/* clang 16 leaves types that no map names directly out of the BTF, unless a variable names them. */
const struct slot_block *slot_block_in_btf __attribute__((unused));
const struct event *event_in_btf __attribute__((unused));
const enum verdict *verdict_in_btf __attribute__((unused));
const enum forwarding *forwarding_in_btf __attribute__((unused));
const enum scheduler *scheduler_in_btf __attribute__((unused));
const enum service_flag *service_flag_in_btf __attribute__((unused));
const enum server_flag *server_flag_in_btf __attribute__((unused));
const enum leaving *leaving_in_btf __attribute__((unused));
const enum conn_state *conn_state_in_btf __attribute__((unused));
const enum event_kind *event_kind_in_btf __attribute__((unused));
const enum limit *limit_in_btf __attribute__((unused));
const enum host *host_in_btf __attribute__((unused));
const enum conn_flag *conn_flag_in_btf __attribute__((unused));
const enum xdp_mode *xdp_mode_in_btf __attribute__((unused));
const struct flow *flow_in_btf __attribute__((unused));
const struct bucket *bucket_in_btf __attribute__((unused));
const struct reverse *reverse_in_btf __attribute__((unused));
const struct hop *hop_in_btf __attribute__((unused));
const struct sweep *sweep_in_btf __attribute__((unused));
const struct move_slice *move_slice_in_btf __attribute__((unused));
const enum tunnel *tunnel_in_btf __attribute__((unused));
const enum tunnel_flag *tunnel_flag_in_btf __attribute__((unused));
const struct held *held_in_btf __attribute__((unused));
const enum held_kind *held_kind_in_btf __attribute__((unused));

/* Service id → its servers as its scheduler walks them; one write switches to a new table. Written by Go. */
struct slot_table {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_INNER_MAP);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct slot_block);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, MAX_SERVICES);
	__type(key, __u32);
	__array(values, struct slot_table);
} slots SEC(".maps");

/* Service id → where its scheduler stands: rr a count of picks, wrr see sched.h. Written by the path. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_SERVICES);
	__type(key, __u32);
	__type(value, __u64);
} positions SEC(".maps");

/*
 * The connections, in buckets of 16 elements: a struct bucket, then entries. The size is set before load.
 * Values of a map that can be mapped begin at a page, so each element is a cache line, and a bucket lies
 * in one page.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, BUCKET_SLOTS);
	__type(key, __u32);
	__type(value, struct conn);
} conns SEC(".maps");

/* While connections move: the table where they may be as well (move.h). Else nobody looks at it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, BUCKET_SLOTS);
	__type(key, __u32);
	__type(value, struct conn);
} conns_before SEC(".maps");

/* Service id → how long its connections live without a packet. Written by Go. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_SERVICES + 1);
	__type(key, __u32);
	__type(value, struct timeouts);
} timeouts SEC(".maps");

/* Service id → by what its templates are found. Written by Go. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_SERVICES);
	__type(key, __u32);
	__type(value, struct template);
} templates SEC(".maps");

/*
 * Service id → half-open connections: the sum of those that the loads of its places for servers have, of
 * free ones too. Nobody sets it; it is only moved, together with a load.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_SERVICES);
	__type(key, __u32);
	__type(value, __u64);
} half_open SEC(".maps");

/* Server id → connections that live. Written by the path and the sweep. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_SERVERS);
	__type(key, __u32);
	__type(value, struct load);
} loads SEC(".maps");

/* MAX_SERVICES + server id, or service id → packets and bytes. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_SERVICES + MAX_SERVERS);
	__type(key, __u32);
	__type(value, struct counters);
} counters SEC(".maps");

/* Server id → what it did with connections that were new. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_SERVERS);
	__type(key, __u32);
	__type(value, struct sign);
} signs SEC(".maps");

/* How often each exit was taken. Written by finish.h. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, VERDICTS);
	__type(key, __u32); /* enum verdict */
	__type(value, __u64);
} verdicts SEC(".maps");

/* What lblc remembers of addresses; the one that was asked for longest ago makes room. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MAX_NEAREST);
	__type(key, struct near_key);
	__type(value, struct near);
} nearest SEC(".maps");

/* What lblcr remembers. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MAX_NEAREST);
	__type(key, struct near_key);
	__type(value, struct near_set);
} near_sets SEC(".maps");

/* From the path to the daemon: struct event. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 * 1024);
} events SEC(".maps");

/* Packets of which not all fragments have passed yet; the one used longest ago makes room. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MAX_FRAGMENTS);
	__type(key, struct fragment_key);
	__type(value, struct fragment);
} fragments SEC(".maps");

/* From the path to the daemon: struct held. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 * 1024 * 1024);
} held_frames SEC(".maps");

/* Answers that may come by NAT to a one-packet service; the one asked longest ago makes room. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MAX_QUESTIONS);
	__type(key, struct flow);
	__type(value, struct question);
} questions SEC(".maps");

/* When a question was asked last, jiffies: else no packet need be looked for among answers. Written by the path. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} asking SEC(".maps");

/* How many senders were told of errors lately. Written by tell.h. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct told);
} tellings SEC(".maps");

/* A connection that is getting its place: place.h. */
struct newcomer {
	struct conn draft; /* its word is made when it has its place */
	__u32 home, second;
	__u64 tags;
	__u32 slot;
	__u32 flags;
	__u32 state;
};

/* Room for what the stack is too small for. Nothing in it is kept from packet to packet. */
struct scratch {
	struct newcomer newcomer; /* first: newcomer_of_cpu makes one pointer of both */
	struct facts facts;       /* of the packet */
	__u8 bytes[512];          /* csum_bytes.h */
	struct fragment fragment; /* fragment.h: a new entry */
	struct near_set set;      /* lblcr.h: a new one */
	struct flow template;     /* persist.h: the key of the client's template */
	struct question question; /* question.h: a new one */
	struct flow answer;       /* question.h: its key */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__uint(value_size, sizeof(struct scratch)); /* Go has no business with it */
} scratch SEC(".maps");

static __always_inline struct scratch *scratch_of_cpu(void)
{
	return array_at(&scratch, 0);
}
