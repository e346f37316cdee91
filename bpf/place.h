// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * place.h: how an entry gets its place. Each flow has two buckets of 15 slots. It goes home unless
 * home is crowded and the other one is not. In a bucket about half of the slots are for flows that are
 * not settled; one more takes the place of another one; who came last gives way last.
 *
 * draft    what it will be; the stack has no room for it in a chain of calls: it lies in the CPU's scratch
 * claim    a slot of its own, where somebody may have to go first
 * appear   from now on other CPUs see that it is coming
 * prevail  of two entries of one flow that are coming, the one at the lower position stays
 *
 *             appear            prevail
 *   CONN_NONE ───────► CONN_COMING ───────► SYN_RECV, UDP
 *        ▲                  │
 *        └──────────────────┘ the flow is there already, or one at a lower position came, too
 */
#pragma once

#include "conn.h"
#include "csum_bytes.h"

#define CROWDED 12 /* slots of a bucket that are taken, before the second one is looked at */

/* newcomer_of_cpu is what the three steps have in common. */
static __always_inline struct newcomer *newcomer_of_cpu(void)
{
	struct scratch *scratch = scratch_of_cpu();

	return scratch ? &scratch->newcomer : NULL;
}

/* The client's end of an entry: its address, and its port and protocol. */
struct client {
	__u64 high, low, port;
};

/* client_of takes the destination of a way back. It chooses values, not addresses, as place_claim does. */
static __always_inline struct client client_of(const struct conn *entry, bool back)
{
	const __u64 *flow = (const __u64 *)entry_flow(entry);
	__u64 turned = -(__u64)back, ports = flow[4];

	return (struct client){
		.high = flow[0] ^ ((flow[0] ^ flow[2]) & turned),
		.low = flow[1] ^ ((flow[1] ^ flow[3]) & turned),
		.port = ((ports ^ ((ports ^ ports >> 16) & turned)) & 0xffff) | (ports & 0xff00000000ull),
	};
}

/*
 * spared: the entry is of the newcomer's client. It may be the very flow, which another CPU has begun
 * meanwhile: two CPUs must not each end what the other one has just begun. A function of its own, since
 * there is no more stack in the chain that ends a connection.
 */
__noinline bool spared(__u32 position)
{
	struct newcomer *n = newcomer_of_cpu();
	struct conn *entry = entry_at(position);

	if (!n || !entry)
		return true;
	struct client theirs = client_of(entry, word_flags(word_of(entry)) & CONN_REVERSE);
	struct client ours = client_of(&n->draft, n->flags & CONN_REVERSE);
	return theirs.high == ours.high && theirs.low == ours.low && theirs.port == ours.port;
}

/* conn_evict ends a connection that is not settled, so that its slot at keep can be given to another one. */
static __always_inline bool conn_evict(__u32 position, __u64 word, __u32 keep)
{
	return !(word_flags(word) & CONN_SETTLED) && conn_end(position, word, keep);
}

/* slot_evict: a way back goes with its connection; one that has none yet is being put in by another CPU. */
static __always_inline bool slot_evict(__u32 position)
{
	struct conn *victim = entry_at(position);

	if (!victim)
		return false;
	__u64 word = word_of(victim); /* before anything else: whoever comes into the slot has another one */
	if (spared(position))
		return false;
	if (!(word_flags(word) & CONN_REVERSE))
		return conn_evict(position, word, position);
	__u32 pair = ((struct reverse *)victim)->pair;
	struct found forward = {};
	return forward_at(&forward, pair, position) && word_of(victim) == word &&
	       conn_evict(pair, forward.word, position);
}

/* A bucket in which somebody has to make room. */
struct eviction {
	struct bucket *bucket;
	__u32 index;
	__u32 slot; /* that was looked at last */
	__u32 free; /* slot that is the caller's now; 0: none yet */
};

static long evict_step(__u32 turn, void *arg)
{
	struct eviction *e = arg;

	e->slot = e->slot + 1 < BUCKET_SLOTS ? e->slot + 1 : 1;
	if (!(bucket_unsettled(e->bucket) >> e->slot & 1) || !slot_evict(e->index * BUCKET_SLOTS + e->slot))
		return 0;
	e->bucket->hand = e->slot;
	e->free = e->slot;
	return 1;
}

/* bucket_evict makes room in a bucket: the unsettled slots give way in turn, that of who came last at the end. 0: none does. */
static __always_inline __u32 bucket_evict(struct bucket *bucket, __u32 index)
{
	struct eviction e = { .bucket = bucket, .index = index, .slot = bucket->hand % BUCKET_SLOTS };

	bpf_loop(BUCKET_SLOTS - 1, evict_step, &e, 0);
	return e.free;
}

/*
 * bucket_claim makes a slot of the bucket the caller's, the best if it can be, and returns its position.
 * NOWHERE: all are taken by what is settled.
 */
__noinline __u32 bucket_claim(__u32 index, __u32 best)
{
	struct bucket *bucket = bucket_at(index);
	__u32 slot = 0;

	if (!bucket)
		return NOWHERE;
	if (bits_in(bucket_unsettled(bucket)) < UNSETTLED_SLOTS)
		slot = slot_take(bucket, best & (BUCKET_SLOTS - 1));
	if (!slot)
		slot = bucket_evict(bucket, index);
	return slot ? index * BUCKET_SLOTS + slot : NOWHERE;
}

/* is_roomy: a newcomer goes home without a look at its second bucket. */
static __always_inline bool is_roomy(const struct bucket *home)
{
	return bits_in(home->taken) < CROWDED && bits_in(bucket_unsettled(home)) < UNSETTLED_SLOTS;
}

/* roomier: of two buckets, neither of which is roomy, the second is the better one. */
static __always_inline bool roomier(const struct bucket *second, const struct bucket *home)
{
	__u32 taken = bits_in(home->taken), unsettled = bits_in(bucket_unsettled(home));

	bool full = unsettled >= UNSETTLED_SLOTS, other = bits_in(bucket_unsettled(second)) >= UNSETTLED_SLOTS;
	return full == other ? bits_in(second->taken) < taken : full;
}

/* place_claim makes a slot of either bucket the newcomer's; NOWHERE: there is none. */
static __always_inline __u32 place_claim(const struct newcomer *n)
{
	struct bucket *home = bucket_at(n->home);

	if (!home)
		return NOWHERE;
	__u32 slot = is_roomy(home) ? slot_take(home, n->slot & (BUCKET_SLOTS - 1)) : 0;
	if (slot)
		return n->home * BUCKET_SLOTS + slot;
	struct bucket *second = bucket_at(n->second);
	if (!second)
		return NOWHERE;
	/* No choice of addresses: without CAP_PERFMON a pointer may not be one of two. */
	__u32 first = n->home + roomier(second, home) * (n->second - n->home), other = n->home + n->second - first;
	__u32 position = bucket_claim(first, n->slot);
	return position != NOWHERE ? position : bucket_claim(other, n->slot);
}

/* fill writes all but the word: the slot is the newcomer's, but nobody may find it yet. */
static __always_inline void fill(struct newcomer *n, __u32 position)
{
	struct conn *entry = entry_at(position);

	if (!entry)
		return;
	if (position / BUCKET_SLOTS != n->home)
		n->flags |= CONN_AWAY;
	copy(&entry->source, &n->draft.source, sizeof(*entry) - offsetof(struct conn, source));
	n->draft.word = word_make(word_life(word_of(entry)), 0, n->flags, CONN_COMING);
}

/* newcomer_look finds where the newcomer belongs. */
static __always_inline void newcomer_look(struct newcomer *n)
{
	struct place place = table_place(entry_flow(&n->draft));

	n->home = place.home;
	n->second = place.second;
	n->tags = place.tags;
	n->slot = place.slot;
}

/* claim finds where the newcomer belongs, makes a slot there its own, and fills it. */
__noinline __u32 claim(void)
{
	struct newcomer *n = newcomer_of_cpu();

	if (!n)
		return NOWHERE;
	newcomer_look(n);
	__u32 position = place_claim(n);
	fill(n, position);
	return position;
}

/* appear shows the filled slot to other CPUs. The atomic operations keep the order of what they see. */
static __always_inline void appear(const struct newcomer *n, __u32 position)
{
	struct bucket *bucket = bucket_of(position), *home = bucket_at(n->home);
	struct conn *entry = entry_at(position);

	if (!bucket || !home || !entry)
		return;
	__sync_lock_test_and_set(&entry->word, n->draft.word);
	if (n->flags & CONN_AWAY)
		__sync_fetch_and_add(&home->away, 1);
	slot_show(bucket, position % BUCKET_SLOTS, n->tags);
}

/* gone takes back what appear did, and the slot. */
static __always_inline void gone(__u32 position, __u64 word)
{
	table_vacate(position, word);
	slot_give(position);
}

/* take_back ends what is coming, unless another one has ended it, and gives its slot back. */
static __always_inline void take_back(struct conn *entry, __u32 position, __u64 word)
{
	word_swap(entry, word, word_make(word_life(word) + 1, 0, 0, CONN_NONE));
	gone(position, word);
}

/*
 * rival_yields looks at another entry with the newcomer's tag. One of the same flow stays if it is a
 * connection already, or lies lower; else it is told by its word that it came to nothing, if it has not
 * given way itself.
 */
static __always_inline bool rival_yields(const struct newcomer *n, __u32 rival, __u32 position)
{
	struct conn *entry = entry_at(rival);

	if (!entry || rival == position)
		return true;
	__u64 word = word_of(entry);
	if (word_state(word) == CONN_NONE || !entry_is(entry, entry_flow(&n->draft)))
		return true;
	if (word_state(word) > CONN_COMING || rival < position)
		return word_life(word_of(entry)) != word_life(word);
	return word_swap(entry, word, word_make(word_life(word) + 1, 0, 0, CONN_NONE)) ||
	       word_life(word_of(entry)) != word_life(word);
}

/* Whoever has the newcomer's tag, in both buckets. */
struct rivals {
	struct search search;
	const struct newcomer *newcomer;
	__u32 position; /* the newcomer's */
	bool yield;
};

static long rival_step(__u32 turn, void *arg)
{
	struct rivals *r = arg;

	if (!r->search.slots)
		return 1;
	r->yield = rival_yields(r->newcomer, search_position(&r->search), r->position);
	r->search.slots &= r->search.slots - 1;
	return !r->yield;
}

/* rivals_yield asks those in some slots of both buckets. */
__noinline bool rivals_yield(__u32 position, __u32 slots)
{
	struct newcomer *n = newcomer_of_cpu();

	if (!n)
		return false;
	struct rivals r = {
		.search = { .home = n->home, .apart = n->second - n->home, .slots = slots },
		.newcomer = n,
		.position = position,
		.yield = true,
	};
	bpf_loop(2 * BUCKET_SLOTS, rival_step, &r, 0);
	return r.yield;
}

/*
 * rivals_of has a bit for each slot of both buckets that may be a rival's. Where nobody of this home is
 * away, the second bucket need not be looked at: whoever goes there counts himself before he looks for
 * rivals, and so finds the newcomer.
 */
static __always_inline __u32 rivals_of(const struct newcomer *n, __u32 position)
{
	const struct bucket *home = bucket_at(n->home);
	__u32 self = 1u << position % BUCKET_SLOTS;

	if (!home)
		return 0;
	if (!home->away)
		return slots_tagged(home, n->tags) & ~self;
	return slots_of_both(n->home, n->second, n->tags);
}

/* unrivalled: nobody else's entry of the newcomer's flow stays. */
static __always_inline bool unrivalled(const struct newcomer *n, __u32 position)
{
	__u32 rivals = rivals_of(n, position);

	return !rivals || rivals_yield(position, rivals);
}

/* prevail makes a connection of what is coming. The swap fails when another one told it that it came to nothing. */
static __always_inline bool prevail(const struct newcomer *n, __u32 position)
{
	struct conn *entry = entry_at(position);
	__u64 word = n->draft.word;

	if (!entry || !unrivalled(n, position))
		return false;
	return word_swap(entry, word, word_make(word_life(word), 1, n->flags, n->state));
}

/* settle_in puts the newcomer into its slot; false: its flow is there already. */
__noinline bool settle_in(__u32 position)
{
	struct newcomer *n = newcomer_of_cpu();
	struct conn *entry = entry_at(position);

	if (!n || !entry)
		return false;
	appear(n, position);
	if (prevail(n, position))
		return true;
	take_back(entry, position, n->draft.word);
	return false;
}

/* put gives the newcomer its place, and returns it. */
static __always_inline __u32 put(void)
{
	__u32 position = claim();

	return position == NOWHERE || settle_in(position) ? position : PRESENT;
}
