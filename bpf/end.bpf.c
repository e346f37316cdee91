// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * end.bpf.c: connections end because somebody says so (weir connections --kill). Which ones, the daemon
 * decides by what it read of them. Only who swaps an entry's word may end it, which user space cannot:
 * so it writes down positions and words, and runs this.
 */
#include "conn.h"

/* What shall end; in a map, since a program may not read its context at a place that it computes. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_ENDINGS);
	__type(key, __u32);
	__type(value, struct ending);
} endings SEC(".maps");

/* end_one: a connection that has changed since it was chosen lives on, and the daemon looks at it again. */
static long end_one(__u32 turn, void *unused)
{
	__u32 index = turn;
	struct ending *e = bpf_map_lookup_elem(&endings, &index);

	if (!e)
		return 1;
	e->ended = conn_end(e->position, e->word, NOWHERE);
	return 0;
}

SEC("syscall")
int end(const __u32 *count)
{
	bpf_loop(*count, end_one, NULL, 0);
	return 0;
}

const char LICENSE[] SEC("license") = "Dual BSD/GPL";
