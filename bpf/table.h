// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * table.h: where connections are kept: a hash table of our own, in a BPF array. It knows flows and
 * slots; what a connection is, conn.h knows.
 *
 *   flow ─ hash ─► home bucket, best slot ─► entry: the whole flow
 *                  └ another one is there: 15 tags ─► slot ─► entry
 *                    └ nothing, and some of its flows are away ─► second bucket ─► …
 *
 * So a known connection mostly costs one cache line, and an unknown one two. Why not a BPF hash:
 * docs/why/connection-table.md.
 *
 * Nobody waits for anybody. A slot is owned by whoever sets its bit in `taken`. Who swaps the state of
 * an entry to CONN_NONE ends the connection, hides it, and gives the slot back. A slot that was given to
 * another flow has another life in its word, and who reads an entry compares the life before and after.
 * How a flow is kept from being there twice: place.h.
 */
#pragma once

#include "maps.h"
#include "packet.h"

/* Set before load. */
const volatile __u32 table_buckets = 1;
const volatile __u32 table_seed[10]; /* random: nobody outside can choose flows that share a bucket */

#define FLOW_WORDS (int)(sizeof(struct flow) / sizeof(__u64))
#define FLOW_LAST 0xffffffffffull /* of the last word of a flow: ports and protocol */

#define TABLE_BYTES 0x0101010101010101ull /* one in each byte */

#define ALL_SLOTS 0xfffe      /* a bit for each slot that may be somebody's */
#define NOWHERE (~0u)         /* no position */
#define PRESENT (NOWHERE - 1) /* no position: the flow has one already */
#define COMING (NOWHERE - 2)  /* no position: the flow's entry is getting its place right now */

#define WORD_STATE 0xffull
#define WORD_FLAGS_SHIFT 8
#define WORD_PACKETS_SHIFT 24
#define WORD_LIFE_SHIFT 32

static __always_inline enum conn_state word_state(__u64 word)
{
	return word & WORD_STATE;
}

static __always_inline __u32 word_flags(__u64 word)
{
	return word >> WORD_FLAGS_SHIFT & 0xffff;
}

static __always_inline __u32 word_packets(__u64 word)
{
	return word >> WORD_PACKETS_SHIFT & 0xff;
}

static __always_inline __u32 word_life(__u64 word)
{
	return word >> WORD_LIFE_SHIFT;
}

static __always_inline __u64 word_make(__u32 life, __u32 packets, __u32 flags, enum conn_state state)
{
	return (__u64)life << WORD_LIFE_SHIFT | (__u64)packets << WORD_PACKETS_SHIFT |
	       (__u64)flags << WORD_FLAGS_SHIFT | state;
}

static __always_inline __u64 word_of(const struct conn *conn)
{
	return *(const volatile __u64 *)&conn->word;
}

static __always_inline bool word_swap(struct conn *conn, __u64 old, __u64 new)
{
	return __sync_val_compare_and_swap(&conn->word, old, new) == old;
}

/* Where a flow may be. */
struct place {
	__u32 home;
	__u32 second;
	__u64 tags; /* its tag in each byte */
	__u32 slot; /* that it likes best at home */
};

/*
 * flow_hash: five products of 32 bits each, none of which waits for another (NH of UMAC, RFC 4418
 * section 5.2), mixed once more, since clients differ in few bits.
 */
static __always_inline __u64 flow_hash(const struct flow *flow, const volatile __u32 *seed)
{
	const __u64 *word = (const __u64 *)flow;
	__u64 hash = 0;

#pragma unroll
	for (int i = 0; i < FLOW_WORDS; i++) {
		__u64 part = i < FLOW_WORDS - 1 ? word[i] : word[i] & FLOW_LAST;
		__u32 low = (__u32)part + seed[2 * i], high = (__u32)(part >> 32) + seed[2 * i + 1];
		hash += (__u64)low * high;
	}
	hash = (hash ^ hash >> 32) * 0x9e3779b97f4a7c15ull;
	return hash ^ hash >> 32;
}

/* table_scale makes of 32 bits a number below n. */
static __always_inline __u32 table_scale(__u32 bits, __u32 n)
{
	return (__u64)bits * n >> 32;
}

/* table_tag is never 0, which means free, nor 1, for which tags_equal may take a free one. */
static __always_inline __u64 table_tag(__u64 hash)
{
	__u64 tag = hash >> 32 & 0xff;

	return tag < 2 ? tag + 2 : tag;
}

/* place_among is where a flow may be in a table of so many buckets, which is a constant: it costs no register. */
static __always_inline struct place place_among(const struct flow *flow, const volatile __u32 *buckets)
{
	__u64 hash = flow_hash(flow, table_seed);
	__u32 home = table_scale(hash >> 32, *buckets);
	__u32 second = home + 1 + table_scale(hash, *buckets - 1);

	return (struct place){
		.home = home,
		.second = second < *buckets ? second : second - *buckets,
		.tags = table_tag(hash) * TABLE_BYTES,
		.slot = 1 + table_scale(hash << 16, BUCKET_SLOTS - 1),
	};
}

static __always_inline struct place table_place(const struct flow *flow)
{
	return place_among(flow, &table_buckets);
}

static __always_inline struct conn *entry_at(__u32 position)
{
	return array_at(&conns, position);
}

static __always_inline struct bucket *bucket_at(__u32 index)
{
	return (struct bucket *)entry_at(index * BUCKET_SLOTS);
}

static __always_inline struct bucket *bucket_of(__u32 position)
{
	return bucket_at(position / BUCKET_SLOTS);
}

/*
 * tags_equal has the lowest bit of each byte set in which the tag stands. Above the first there may be
 * more than there are; the flow is compared anyway.
 */
static __always_inline __u64 tags_equal(__u64 tags, __u64 tag)
{
	__u64 x = tags ^ tag;

	return (x - TABLE_BYTES & ~x) >> 7 & TABLE_BYTES;
}

/* lowest_byte is the number of the byte with the lowest bit of x, which has bits only where TABLE_BYTES has. */
static __always_inline __u32 lowest_byte(__u64 x)
{
	return (x - 1 & ~x & TABLE_BYTES) * TABLE_BYTES >> 56;
}

static __always_inline __u32 bits_in(__u32 x)
{
	x -= x >> 1 & 0x55555555;
	x = (x & 0x33333333) + (x >> 2 & 0x33333333);
	x = x + (x >> 4) & 0x0f0f0f0f;
	return x * 0x01010101 >> 24;
}

/* lowest_bit is the number of the lowest bit that is set. */
static __always_inline __u32 lowest_bit(__u32 x)
{
	return bits_in(~x & x - 1) & 31;
}

/* slots_tagged has a bit for each slot that has the tag, and perhaps for more. */
static __always_inline __u32 slots_tagged(const struct bucket *bucket, __u64 tags)
{
	const __u64 gather = 0x0102040810204080ull; /* bit 0 of each byte → a byte of bits */
	__u32 low = tags_equal(bucket->tags[0], tags) * gather >> 56;
	__u32 high = tags_equal(bucket->tags[1], tags) * gather >> 56;

	return low | high << 8;
}

/* entry_flow: the key of an entry lies as a flow does, but for the last three bytes, at which nobody looks. */
static __always_inline const struct flow *entry_flow(const struct conn *entry)
{
	_Static_assert(offsetof(struct conn, protocol) - offsetof(struct conn, source) ==
			       offsetof(struct flow, protocol),
		       "the key of an entry is a flow");
	return (const struct flow *)&entry->source;
}

/* entry_is compares the whole flow. */
static __always_inline bool entry_is(const struct conn *entry, const struct flow *flow)
{
	const __u64 *a = (const __u64 *)entry_flow(entry), *b = (const __u64 *)flow;

	return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3] && !((a[4] ^ b[4]) & FLOW_LAST);
}

/* Where a flow was found, and the word that was there when it was compared. */
struct found {
	struct conn *conn;
	__u64 word;
	__u32 position;
};

/* entry_live: the entry at a position is somebody's, and this flow's. */
static __always_inline bool entry_live(struct found *at, __u32 position, const struct flow *flow)
{
	at->position = position;
	at->conn = entry_at(position);
	if (!at->conn)
		return false;
	at->word = word_of(at->conn);
	return word_state(at->word) > CONN_COMING && entry_is(at->conn, flow);
}

/* Both buckets of a flow, and which of their slots are still to be looked at: home's are the lower 16 bits. */
struct search {
	const struct flow *flow;
	__u32 home;
	__u32 apart; /* second bucket - home */
	__u32 slots;
	__u32 position; /* of the flow's entry; NOWHERE: not found yet */
};

/* search_position is where the lowest slot lies that is still to be looked at. */
static __always_inline __u32 search_position(const struct search *s)
{
	__u32 bit = lowest_bit(s->slots);

	return (s->home + bit / BUCKET_SLOTS * s->apart) * BUCKET_SLOTS + bit % BUCKET_SLOTS;
}

static long search_step(__u32 turn, void *arg)
{
	struct search *s = arg;
	struct found at;

	if (!s->slots)
		return 1;
	__u32 position = search_position(s);
	s->slots &= s->slots - 1;
	if (!entry_live(&at, position, s->flow))
		return 0;
	s->position = position;
	return 1;
}

/* slots_of_both is what search_step looks at. */
static __always_inline __u32 slots_of_both(__u32 home, __u32 second, __u64 tags)
{
	const struct bucket *h = bucket_at(home), *s = bucket_at(second);

	return h && s ? slots_tagged(h, tags) | slots_tagged(s, tags) << BUCKET_SLOTS : 0;
}

/*
 * table_search leaves no slot out, and returns the position of the flow's entry, or NOWHERE. It is a
 * bpf_loop: of a plain loop the verifier would follow each turn, and what a CPU may guess of it, too.
 */
__noinline __u32 table_search(const struct flow *flow)
{
	if (!flow)
		return NOWHERE;
	struct place place = table_place(flow);
	struct search s = {
		.flow = flow,
		.home = place.home,
		.apart = place.second - place.home,
		.slots = slots_of_both(place.home, place.second, place.tags),
		.position = NOWHERE,
	};

	bpf_loop(2 * BUCKET_SLOTS, search_step, &s, 0);
	return s.position;
}

/*
 * table_find looks where nearly every flow is: in the slot at home that it likes best, for which the
 * bucket need not be looked at, or else behind the first tag that fits.
 */
static __always_inline bool table_find(struct found *at, const struct flow *flow)
{
	struct place place = table_place(flow);

	if (entry_live(at, place.home * BUCKET_SLOTS + place.slot, flow))
		return true;
	struct bucket *home = bucket_at(place.home);
	if (!home)
		return false;
	__u64 low = tags_equal(home->tags[0], place.tags), high = tags_equal(home->tags[1], place.tags);
	if (!(low | high) && !home->away)
		return false;
	__u32 slot = low ? lowest_byte(low) : 8 + lowest_byte(high);
	return entry_live(at, place.home * BUCKET_SLOTS + slot, flow) || entry_live(at, table_search(flow), flow);
}

/* bucket_unsettled has a bit for each slot that another new flow may take over. */
static __always_inline __u32 bucket_unsettled(const struct bucket *bucket)
{
	return bucket->taken & ~bucket->settled & ALL_SLOTS;
}

/*
 * slot_take_one: whoever sets the bit owns the slot. A connection that was settled just as it ended may
 * have left its mark.
 */
static __always_inline bool slot_take_one(struct bucket *bucket, __u32 slot)
{
	__u32 bit = 1u << slot;

	if (__sync_fetch_and_or(&bucket->taken, bit) & bit)
		return false;
	if (bucket->settled & bit)
		__sync_fetch_and_and(&bucket->settled, ~bit);
	return true;
}

/*
 * slot_take makes a free slot the caller's, that one if it can be; 0: there is none. Another CPU may be
 * faster, but not each time. The hand moves there, so that who came last makes room last.
 */
static __always_inline __u32 slot_take(struct bucket *bucket, __u32 best)
{
	__u32 slot = best;

#pragma unroll
	for (int turn = 0; turn < 3; turn++) {
		__u32 free = ~bucket->taken & ALL_SLOTS;
		if (!free)
			return 0;
		if (!(free & 1u << slot))
			slot = lowest_bit(free);
		if (slot_take_one(bucket, slot)) {
			bucket->hand = slot;
			return slot;
		}
	}
	return 0;
}

/* tag_byte is the byte of a slot, in that half of the tags where it is; 0 in the other half. */
static __always_inline __u64 tag_byte(__u32 slot, __u32 half, __u64 tags)
{
	return slot / 8 == half ? tags & 0xffull << slot % 8 * 8 : 0;
}

/* slot_hide takes the tag away: nobody finds the entry any more. No branch: clang would make one pointer of two. */
static __always_inline void slot_hide(struct bucket *bucket, __u32 slot)
{
	__sync_fetch_and_and(&bucket->tags[0], ~tag_byte(slot, 0, ~0ull));
	__sync_fetch_and_and(&bucket->tags[1], ~tag_byte(slot, 1, ~0ull));
}

static __always_inline void slot_show(struct bucket *bucket, __u32 slot, __u64 tags)
{
	__sync_fetch_and_or(&bucket->tags[0], tag_byte(slot, 0, tags));
	__sync_fetch_and_or(&bucket->tags[1], tag_byte(slot, 1, tags));
}

static __always_inline void slot_settle(__u32 position)
{
	struct bucket *bucket = bucket_of(position);

	if (bucket)
		__sync_fetch_and_or(&bucket->settled, 1u << position % BUCKET_SLOTS);
}

static __always_inline void slot_unsettle(__u32 position)
{
	struct bucket *bucket = bucket_of(position);

	if (bucket)
		__sync_fetch_and_and(&bucket->settled, ~(1u << position % BUCKET_SLOTS));
}

/* slot_give makes the slot nobody's; its entry is hidden already. */
__noinline int slot_give(__u32 position)
{
	struct bucket *bucket = bucket_of(position);
	__u32 bit = 1u << position % BUCKET_SLOTS;

	if (!bucket)
		return 0;
	__sync_fetch_and_and(&bucket->settled, ~bit);
	__sync_fetch_and_and(&bucket->taken, ~bit);
	return 0;
}

/* away_lower keeps the home bucket's count of flows that live elsewhere. */
static __always_inline void away_lower(const struct conn *entry)
{
	struct bucket *home = entry ? bucket_at(table_place(entry_flow(entry)).home) : NULL;

	if (home)
		__sync_fetch_and_add(&home->away, -1);
}

/*
 * table_vacate hides an entry that the caller has just ended, word being what it was before. The slot
 * is the caller's, to fill it anew or to give it.
 */
__noinline int table_vacate(__u32 position, __u64 word)
{
	struct bucket *bucket = bucket_of(position);

	if (!bucket)
		return 0;
	slot_hide(bucket, position % BUCKET_SLOTS);
	if (word_flags(word) & CONN_AWAY)
		away_lower(entry_at(position));
	return 0;
}
