// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * end.bpf.c: connections end because somebody says so (weir connections --kill). Which ones, the daemon
 * decides by what it read of them. Only who swaps an entry's word may end it, which user space cannot:
 * so it writes down positions and words, and runs this. And a server's counts end.
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

/*
 * settle clears the counts of a place that no server has. Nobody takes back what its connections have
 * counted, since they find another generation: their service would count those for ever that were half
 * open. Both are moved in one run, which a daemon that dies does not interrupt; a CPU that found the server
 * before it went counts both, too, and that is for the next run.
 */
SEC("syscall")
int settle(const __u32 *place)
{
	__u32 id = *place;
	struct load *load = bpf_map_lookup_elem(&loads, &id);
	struct server *free = server_find(id, 0);

	if (!load || !free)
		return 0;
	__u64 left = __sync_lock_test_and_set(&load->half_open, 0);
	half_open_move(free->service, -left);
	load->active = 0;
	load->inactive = 0;
	return 0;
}

const char LICENSE[] SEC("license") = "Dual BSD/GPL";
