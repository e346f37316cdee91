// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * sync.bpf.c: the kernel's side of what two directors tell each other of their connections (docs/why/connection-sync.md).
 * The daemon runs each of these over a part of the table, so that none holds its CPU for long; the path calls none.
 *
 * collect  copies out what has changed, or what else is asked for
 * digest   adds up what lasts
 * arrive   puts in what another director told of, or ends it
 *
 * arrive is of XDP's kind, as the mover: what it puts in is coming for a moment, and no packet of its CPU may wait
 * for that.
 */
#include "move.h"
#include "pair.h"
#include "sync.h"

/* What was collected: entries as they lie in the table. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_COLLECTED);
	__type(key, __u32);
	__type(value, struct conn);
} collected SEC(".maps");

/* Slice → 1: it is wanted. Written by Go. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, DIGESTS);
	__type(key, __u32);
	__type(value, __u32);
} wanted SEC(".maps");

/* Slice → the sum of its digests. Cleared by Go. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, DIGESTS);
	__type(key, __u32);
	__type(value, __u64);
} digests SEC(".maps");

/* What another director told of; in a map, since a program may not read its context at a place that it computes. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_ARRIVALS);
	__type(key, __u32);
	__type(value, struct arrival);
} arrivals SEC(".maps");

/* clang 16 leaves types that no map names directly out of the BTF, unless a variable names them. */
const struct collect_slice *collect_slice_in_btf __attribute__((unused));
const struct digest_slice *digest_slice_in_btf __attribute__((unused));
const struct arrive_slice *arrive_slice_in_btf __attribute__((unused));
const enum arrived *arrived_in_btf __attribute__((unused));
const enum collects *collects_in_btf __attribute__((unused));

/* is_wanted: its slice is. */
static __always_inline bool is_wanted(const struct conn *entry)
{
	__u32 slice = identity_slice(identity_hash(entry));
	__u32 *is = bpf_map_lookup_elem(&wanted, &slice);

	return is && *is;
}

/* collects: an entry is of those that are asked for. A way back goes with its connection, and who is kept counts no more. */
static __always_inline bool collects(__u32 what, const struct conn *entry, __u64 word)
{
	if (word_state(word) <= CONN_COMING || word_flags(word) & CONN_REVERSE || word_state(word) == CONN_KEPT)
		return false;
	if (what == COLLECTS_NEWS)
		return conn_is_news(word) && conn_is_served(entry);
	return is_wanted(entry);
}

/* news_take takes the mark away, and returns the word that is left; 0: the entry has just changed again, and is looked at in the next round. */
static __always_inline __u64 news_take(struct conn *entry, __u64 word)
{
	__u64 told = word_make(word_life(word), word_packets(word), told_flags(word_flags(word)), word_state(word));

	return word_swap(entry, word, told) ? told : 0;
}

/* collect_visit copies after the mark is gone: what changes from then on is news again. */
__noinline int collect_visit(struct collect_slice *c, __u32 position)
{
	struct conn *entry = entry_at(position);

	if (!c || !entry)
		return 0;
	__u64 word = word_of(entry);
	if (!collects(c->what, entry, word))
		return 0;
	__u32 index = c->count;
	struct conn *out = bpf_map_lookup_elem(&collected, &index);
	if (!out)
		return 0;
	if (c->what == COLLECTS_NEWS)
		word = news_take(entry, word);
	if (!word)
		return 0;
	copy(&out->source, &entry->source, sizeof(*out) - offsetof(struct conn, source));
	out->word = word;
	c->count += word_life(word_of(entry)) == word_life(word);
	return 0;
}

/* collect_bucket ends the run where not all of a bucket may find room: a mark that was taken away must be told. */
static long collect_bucket(__u32 turn, struct collect_slice *c)
{
	__u32 index = c->first + turn;
	struct bucket *bucket = bucket_at(index);

	if (!bucket || c->count > MAX_COLLECTED - BUCKET_SLOTS)
		return 1;
	__u32 taken = bucket->taken;
	c->walked++;
	if (!taken)
		return 0;
#pragma unroll
	for (int slot = 1; slot < BUCKET_SLOTS; slot++)
		if (taken & 1u << slot)
			collect_visit(c, index * BUCKET_SLOTS + slot);
	return 0;
}

SEC("syscall")
int collect(struct collect_slice *c)
{
	/* count comes from outside, where it is 0: Linux 6.1 would take a 0 of here for one that stays (slots.h). */
	struct collect_slice done = { .first = c->first, .buckets = c->buckets, .what = c->what, .count = c->count };

	bpf_loop(done.buckets, collect_bucket, &done, 0);
	*c = done;
	return 0;
}

/*
 * digest_visit leaves out what others have not been told of yet. What is not served here is not to be told: so it counts,
 * and if its master does not know it, that shows.
 */
__noinline int digest_visit(__u32 position)
{
	struct conn *entry = entry_at(position);
	__u64 word = entry ? word_of(entry) : 0;

	if (!entry || word_state(word) <= CONN_COMING || word_flags(word) & CONN_REVERSE)
		return 0;
	if (!conn_lasts(word))
		return 0;
	struct server *server = server_find(entry->server, entry->server_generation);
	if (!server || (server->flags & SERVER_SERVING && conn_is_news(word)))
		return 0;
	__u64 identity = identity_hash(entry), digest = digest_of(identity, server_hash(entry, server));
	__u32 slice = identity_slice(identity);
	__u64 *sum = bpf_map_lookup_elem(&digests, &slice);
	if (sum && word_life(word_of(entry)) == word_life(word))
		*sum += digest;
	return 0;
}

static long digest_bucket(__u32 turn, struct digest_slice *d)
{
	__u32 index = d->first + turn;
	struct bucket *bucket = bucket_at(index);

	if (!bucket)
		return 1;
	__u32 taken = bucket->taken;
	if (!taken)
		return 0;
#pragma unroll
	for (int slot = 1; slot < BUCKET_SLOTS; slot++)
		if (taken & 1u << slot)
			digest_visit(index * BUCKET_SLOTS + slot);
	return 0;
}

SEC("syscall")
int digest(struct digest_slice *d)
{
	struct digest_slice part = { .first = d->first, .buckets = d->buckets };

	bpf_loop(part.buckets, digest_bucket, &part, 0);
	return 0;
}

/* arrival_flags are those of a connection as it was told. Where it is served here, others have not heard of it yet. */
static __always_inline __u32 arrival_flags(const struct arrival *a, __u32 served)
{
	__u32 flags = a->flags & (CONN_FINS | CONN_SETTLED | CONN_PERSISTENT);

	return served ? flags | CONN_DIRTY : told_flags(flags);
}

static __always_inline __u32 arrival_packets(const struct arrival *a)
{
	return a->flags & CONN_SETTLED ? SETTLED_PACKETS : 1;
}

/*
 * arrival_claim finds a slot for what has its draft. What has proved itself is let in as what moves is; where both
 * buckets are full, one that has not makes room.
 */
static __always_inline __u32 arrival_claim(bool settled)
{
	__u32 position = settled ? move_claim() : NOWHERE;

	return position != NOWHERE ? position : claim();
}

/* arrival_put gives it its place. */
static __always_inline __u32 arrival_put(const struct arrival *a)
{
	__u32 position = arrival_claim(a->flags & CONN_SETTLED);

	return position == NOWHERE || settle_in(position) ? position : PRESENT;
}

#define HOP_UNKNOWN_SECONDS                                                                                            \
	3600 /* ago: so long no client's next hop is believed (answer.h), and the kernel's routes are asked */

/* arrival_back is the draft of the way back. Where its client is, its next packet says. */
static __always_inline void arrival_back(struct newcomer *n, const struct arrival *a, const struct server *server)
{
	struct reverse *r = (struct reverse *)&n->draft;

	n->flags = CONN_REVERSE;
	n->state = a->state;
	copy(&r->source, &server->address, sizeof(r->source));
	copy(&r->destination, &a->flow.source, sizeof(r->destination));
	r->source_port = server->port ?: a->flow.destination_port;
	r->destination_port = a->flow.source_port;
	r->protocol = a->flow.protocol;
	r->pad = 0;
	r->interface = 0;
	r->hop_seen = jiffies() - a->idle - HOP_UNKNOWN_SECONDS * jiffies_per_second;
	r->pair = NOWHERE;
	r->mac[0] = r->mac[1] = r->mac[2] = r->mac[3] = r->mac[4] = r->mac[5] = 0;
	r->vlan = 0;
}

/* arrival_draft is the draft of the connection itself, or of a template. */
static __always_inline void arrival_draft(struct newcomer *n, const struct arrival *a, const struct server *server,
					  __u32 pair)
{
	struct conn *c = &n->draft;

	n->flags = arrival_flags(a, server->flags & SERVER_SERVING);
	n->state = a->state;
	copy(&c->source, &a->flow, offsetof(struct flow, protocol));
	c->protocol = a->flow.protocol;
	c->forwarding = a->state == CONN_TEMPLATE ? 0 : server->forwarding;
	c->server = a->server;
	c->seen = jiffies() - a->idle;
	c->pair = pair;
	c->server_generation = a->server_generation;
	c->hop = 0;
}

/*
 * back_yields ends the connection by NAT whose way back is at a position: its master has given that to another one. Where
 * this director is the master of either of them, what is not over keeps it. A way back without its connection is
 * another CPU's, which is just putting it in or ending it: whoever took it away would leave the connection without one.
 * ARRIVED_NEW: it is free.
 */
__noinline enum arrived back_yields(__u32 position, bool served)
{
	struct conn *entry = entry_at(position);
	struct found forward = {};

	if (!entry || !(word_flags(word_of(entry)) & CONN_REVERSE))
		return ARRIVED_CLASH;
	__u32 pair = ((struct reverse *)entry)->pair;
	if (!forward_at(&forward, pair, position))
		return ARRIVED_BUSY;
	if ((served || conn_is_served(forward.conn)) && !conn_is_over(forward.word))
		return ARRIVED_CLASH;
	return conn_end(pair, forward.word, NOWHERE) ? ARRIVED_NEW : ARRIVED_BUSY;
}

/* back_ask asks whoever has the way back that is drafted. ARRIVED_NEW: nobody has it. */
__noinline enum arrived back_ask(bool served)
{
	struct newcomer *n = newcomer_of_cpu();

	if (!n)
		return ARRIVED_BUSY;
	__u32 position = table_search(entry_flow(&n->draft));
	return position == NOWHERE ? ARRIVED_NEW : back_yields(position, served);
}

/* arrival_prove: it need not prove itself once more. */
static __always_inline void arrival_prove(const struct arrival *a, __u32 position)
{
	struct conn *entry = entry_at(position);

	if (!entry || !(a->flags & CONN_SETTLED))
		return;
	__u64 word = word_of(entry);
	conn_settle(entry, position);
	word_swap(entry, word, word_make(word_life(word), SETTLED_PACKETS, word_flags(word), word_state(word)));
}

/* arrive_new puts in what is not here: as create.h does, the way back first. */
static __noinline enum arrived arrive_new(const struct arrival *a)
{
	struct newcomer *n = newcomer_of_cpu();
	struct server *server = server_find(a->server, a->server_generation);
	__u32 reverse = 0;

	if (!n || !server)
		return ARRIVED_NO_SERVER;
	bool pair = a->state != CONN_TEMPLATE && server->forwarding == FORWARDING_NAT;
	if (pair) {
		arrival_back(n, a, server);
		enum arrived taken = back_ask(server->flags & SERVER_SERVING);
		if (taken != ARRIVED_NEW)
			return taken;
		reverse = arrival_put(a);
	}
	if (reverse >= PRESENT)
		return reverse == NOWHERE ? ARRIVED_FULL : ARRIVED_BUSY;
	arrival_draft(n, a, server, a->state == CONN_TEMPLATE ? NOWHERE : reverse);
	__u32 forward = arrival_put(a);
	if (pair)
		reverse_join(reverse, forward);
	if (forward >= PRESENT)
		return forward == NOWHERE ? ARRIVED_FULL : ARRIVED_BUSY;
	conn_count(&n->draft, CONN_NONE, a->state);
	arrival_prove(a, forward);
	return ARRIVED_NEW;
}

/*
 * arrive_change makes of a connection that is here, with the word that was found, what was told of it. Its places are as
 * settled as it is: before it counts as settled no more, and after it does, as in conn_keep.
 */
static __noinline enum arrived arrive_change(const struct arrival *a, __u32 position, __u64 old)
{
	struct conn *conn = entry_at(position);
	bool settled = a->flags & CONN_SETTLED;

	if (!conn)
		return ARRIVED_BUSY;
	bool was = word_flags(old) & CONN_SETTLED;
	if (was && !settled)
		conn_unsettle(conn, position);
	__u32 flags = (word_flags(old) & CONN_AWAY) | arrival_flags(a, false);
	if (!word_swap(conn, old, word_make(word_life(old), arrival_packets(a), flags, a->state))) {
		if (was && !settled && word_life(word_of(conn)) == word_life(old))
			conn_settle(conn, position);
		return ARRIVED_BUSY;
	}
	if (word_state(old) != a->state)
		conn_count(conn, word_state(old), a->state);
	if (settled && !was)
		conn_settle(conn, position);
	conn->seen = jiffies() - a->idle;
	return ARRIVED_CHANGED;
}

/* arrive_end ends what another director has forgotten. */
static __always_inline enum arrived arrive_end(__u32 position, __u64 word)
{
	return conn_end(position, word, NOWHERE) ? ARRIVED_ENDED : ARRIVED_BUSY;
}

/* is_as_told: it goes where it was told to go. */
static __always_inline bool is_as_told(const struct conn *conn, const struct arrival *a)
{
	return conn->server == a->server && conn->server_generation == a->server_generation;
}

/*
 * arrive_known is about what has an entry here. One with another server than it was told makes room. Whatever is done
 * with it is done by the word that was found: another connection that has come into its slot is none of this.
 */
static __always_inline enum arrived arrive_known(const struct arrival *a, const struct found *at)
{
	if (word_flags(at->word) & CONN_REVERSE)
		return ARRIVED_CLASH;
	if (conn_is_served(at->conn))
		return ARRIVED_OURS;
	if (a->state == CONN_NONE)
		return arrive_end(at->position, at->word);
	if (is_as_told(at->conn, a))
		return arrive_change(a, at->position, at->word);
	return conn_end(at->position, at->word, NOWHERE) ? arrive_new(a) : ARRIVED_BUSY;
}

static __always_inline enum arrived arrive_one(const struct arrival *a)
{
	struct found at = {};

	if (entry_live(&at, table_search(&a->flow), &a->flow))
		return arrive_known(a, &at);
	return a->state == CONN_NONE ? ARRIVED_UNKNOWN : arrive_new(a);
}

static long arrive_step(__u32 turn, void *unused)
{
	__u32 index = turn;
	struct arrival *a = bpf_map_lookup_elem(&arrivals, &index);

	if (!a)
		return 1;
	a->outcome = arrive_one(a);
	return 0;
}

/* The frame is a struct arrive_slice. */
SEC("xdp")
int arrive(struct xdp_md *ctx)
{
	struct arrive_slice all = {};

	if (!load_at(ctx, 0, &all, sizeof(all)))
		return XDP_ABORTED;
	bpf_loop(all.count, arrive_step, NULL, 0);
	return XDP_PASS;
}

const char LICENSE[] SEC("license") = "Dual BSD/GPL";
