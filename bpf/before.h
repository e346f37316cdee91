// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * before.h: the second table, which there is while connections move (move.h). It is laid out as the
 * first one, and hashed by the same seed. What is done with it is here once more, since a pointer may
 * not be one of two without CAP_PERFMON.
 */
#pragma once

#include "conn.h"
#include "table.h"

/* Set before load. */
const volatile bool table_moves = false; /* else nothing here is ever called */
const volatile __u32 table_buckets_before = 1;

static __always_inline struct conn *before_at(__u32 position)
{
	return bpf_map_lookup_elem(&conns_before, &position);
}

static __always_inline struct bucket *before_bucket(__u32 index)
{
	return (struct bucket *)before_at(index * BUCKET_SLOTS);
}

/* before_reverse and before_forward are reverse_at and forward_at of the second table. */
static __always_inline struct reverse *before_reverse(__u32 position, __u32 forward)
{
	struct conn *entry = before_at(position);
	struct reverse *reverse = (struct reverse *)entry;

	if (!entry || !(word_flags(word_of(entry)) & CONN_REVERSE) || reverse->pair != forward)
		return NULL;
	return reverse;
}

static __always_inline struct conn *before_forward(__u32 position, __u32 reverse)
{
	struct conn *entry = before_at(position);

	if (!entry || word_state(word_of(entry)) <= CONN_COMING || word_flags(word_of(entry)) & CONN_REVERSE)
		return NULL;
	return conn_is_pair(entry) && entry->pair == reverse ? entry : NULL;
}

/* A search that takes notice of what is coming, too. */
struct look {
	struct search search;
	bool coming;
};

/* look_at looks at one entry; true: it is the flow's. */
static __always_inline bool look_at(struct look *l, const struct conn *entry)
{
	__u64 word = word_of(entry);

	if (word_state(word) == CONN_NONE || !entry_is(entry, l->search.flow))
		return false;
	l->coming |= word_state(word) == CONN_COMING;
	return word_state(word) != CONN_COMING;
}

static long look_here_step(__u32 turn, void *arg)
{
	struct look *l = arg;

	if (!l->search.slots)
		return 1;
	__u32 position = search_position(&l->search);
	struct conn *entry = entry_at(position);
	l->search.slots &= l->search.slots - 1;
	if (!entry || !look_at(l, entry))
		return 0;
	l->search.position = position;
	return 1;
}

static long look_before_step(__u32 turn, void *arg)
{
	struct look *l = arg;

	if (!l->search.slots)
		return 1;
	__u32 position = search_position(&l->search);
	struct conn *entry = before_at(position);
	l->search.slots &= l->search.slots - 1;
	if (!entry || !look_at(l, entry))
		return 0;
	l->search.position = position;
	return 1;
}

static __always_inline struct look look_for(const struct flow *flow, const struct place *place)
{
	return (struct look){ .search = { .flow = flow,
					  .home = place->home,
					  .apart = place->second - place->home,
					  .position = NOWHERE } };
}

static __always_inline __u32 look_result(const struct look *l)
{
	return l->search.position == NOWHERE && l->coming ? COMING : l->search.position;
}

/* look_here is where the flow's entry is in the first table: a position, COMING, or NOWHERE. */
__noinline __u32 look_here(const struct flow *flow)
{
	if (!flow)
		return NOWHERE;
	struct place place = table_place(flow);
	struct look l = look_for(flow, &place);

	l.search.slots = slots_of_both(place.home, place.second, place.tags);
	bpf_loop(2 * BUCKET_SLOTS, look_here_step, &l, 0);
	return look_result(&l);
}

/* look_before is where it is in the second one. */
__noinline __u32 look_before(const struct flow *flow)
{
	if (!flow)
		return NOWHERE;
	struct place place = place_among(flow, &table_buckets_before);
	struct look l = look_for(flow, &place);
	const struct bucket *home = before_bucket(place.home), *second = before_bucket(place.second);

	if (home && second)
		l.search.slots = slots_tagged(home, place.tags) | slots_tagged(second, place.tags) << BUCKET_SLOTS;
	bpf_loop(2 * BUCKET_SLOTS, look_before_step, &l, 0);
	return look_result(&l);
}

/* before_leave hides an entry that ended, word being what it was, and gives its slot back. */
__noinline int before_leave(__u32 position, __u64 word)
{
	struct bucket *bucket = before_bucket(position / BUCKET_SLOTS);
	struct conn *entry = before_at(position);
	__u32 bit = 1u << position % BUCKET_SLOTS;

	if (!bucket || !entry)
		return 0;
	slot_hide(bucket, position % BUCKET_SLOTS);
	struct bucket *home = before_bucket(place_among(entry_flow(entry), &table_buckets_before).home);
	if (home && word_flags(word) & CONN_AWAY)
		__sync_fetch_and_add(&home->away, -1);
	__sync_fetch_and_and(&bucket->settled, ~bit);
	__sync_fetch_and_and(&bucket->taken, ~bit);
	return 0;
}
