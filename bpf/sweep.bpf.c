// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * sweep.bpf.c: expiry. The daemon runs it again and again, each time over the next few buckets, so that
 * no run holds its CPU for long. An entry goes in two steps: first it is marked, and a packet may still
 * take the mark away; when the next round finds it marked, it ends, or is kept (conn.h). A connection that
 * lives keeps its client's template.
 */
#include "conn.h"
#include "finish.h"
#include "sync.h"
#include "template.h"

_Static_assert(CONN_UDP_UNSETTLED == CONN_UDP + 1, "timeout_of adds 1");
_Static_assert(CONN_STATES <= TIMEOUTS, "there is room for all");

/* A bucket that has no more than so many connections, and so few that are not settled, has room for one that is kept. */
#define KEEPS_TAKEN (BUCKET_SLOTS / 2)
#define KEEPS_UNSETTLED (UNSETTLED_SLOTS / 2)

/* Who has ended by its time, for sync. A map of its own: who shares it with nobody needs no lock. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_FAREWELLS);
	__type(key, __u32);
	__type(value, struct flow);
} farewells SEC(".maps");

/* timeouts_of is where the timeouts of an entry stand: with the service of its server. An orphan has no server. */
static __always_inline __u32 timeouts_of(const struct conn *entry, __u64 word)
{
	if (word_flags(word) & CONN_REVERSE)
		return MAX_SERVICES;
	struct server *server = server_find(entry->server, entry->server_generation);
	return server ? server->service : MAX_SERVICES;
}

/* timeout_of: the state is not compared by itself, or the verifier would know the index on one way and not on another. */
static __always_inline __u32 timeout_of(const struct timeouts *timeouts, __u64 word)
{
	__u32 index = word_state(word), other = (index ^ CONN_UDP) | (word_flags(word) & CONN_SETTLED);

	return timeouts->seconds[index + !other & TIMEOUTS - 1] * jiffies_per_second;
}

static __always_inline bool expired(const struct conn *entry, __u64 word, const struct timeouts *timeouts, __u32 now)
{
	__u32 idle = now - entry->seen;

	return idle < SEEN_AHEAD && idle >= timeout_of(timeouts, word);
}

/* template_seen is when a template must have been seen to live on for TEMPLATE_KEPT; that may be in the future. */
static __always_inline __u32 template_seen(const struct conn *template, __u32 timeout, __u32 now)
{
	__u32 idle = now - template->seen, kept = TEMPLATE_KEPT * jiffies_per_second;
	__u32 ahead = idle < SEEN_AHEAD ? 0 : -idle;
	bool lives = ahead ? timeout + ahead >= kept : timeout >= idle && timeout - idle >= kept;

	return lives ? template->seen : now - timeout + kept;
}

/*
 * template_keep has the template of a connection live on for a while, if it leads to the same server. It
 * changes the time only while that is this template's.
 */
__noinline int template_keep(__u32 position, __u32 seconds, __u32 now)
{
	struct conn *conn = entry_at(position);
	struct template *t = conn ? template_of_conn(conn) : NULL;
	struct found at = {};
	struct flow key;

	if (!conn || !t)
		return 0;
	template_key(&key, entry_flow(conn), t);
	if (!template_find(&at, &key) || !template_names(at.conn, conn))
		return 0;
	__u64 *half = (__u64 *)&at.conn->seen, old = *half;
	__u32 seen = template_seen(at.conn, seconds * jiffies_per_second, now);
	if (!template_same(&at) || seen == at.conn->seen)
		return 0;
	half_swap(half, old, old >> 32 << 32 | seen);
	template_revive(&at);
	return 0;
}

/*
 * keeps: this is a connection whose template is to be kept, and it is its turn. To find the template takes
 * as long as all else that is done for an entry, so each has a turn in some rounds only: TEMPLATE_KEPT is
 * longer. Where templates are shorter-lived than that, each round is one.
 */
static __always_inline bool keeps(const struct sweep *s, __u32 position, __u64 word, const struct timeouts *timeouts)
{
	__u32 seconds = timeouts->seconds[CONN_TEMPLATE];

	if (!(word_flags(word) & CONN_PERSISTENT) || !seconds)
		return false;
	return seconds < TEMPLATE_KEPT || !((position + s->round) % TEMPLATE_TURNS);
}

/* owned: a way back goes with its connection, and is kept with it; only an orphan is swept by itself. */
static __always_inline bool owned(struct sweep *s, const struct conn *entry, __u32 position, __u64 word)
{
	struct found forward = {};

	if (!(word_flags(word) & CONN_REVERSE) ||
	    !forward_at(&forward, ((const struct reverse *)entry)->pair, position))
		return false;
	s->kept += word_state(forward.word) == CONN_KEPT;
	return true;
}

/*
 * doubtful: perhaps it was a stranger who closed it, since one side has not, and the director does not know
 * what sequence numbers a server believes. What never was settled is not worth it: that may be a flood.
 */
static __always_inline bool doubtful(__u64 word)
{
	enum conn_state state = word_state(word);

	if (!(word_flags(word) & CONN_SETTLED) || conn_closed(word))
		return false;
	return state == CONN_SYN_RECV || state == CONN_FIN_WAIT || state == CONN_CLOSE;
}

/* keeps_at: the bucket of an entry has room for what is kept, so that newcomers are no slower by it. */
static __always_inline bool keeps_at(__u32 position)
{
	const struct bucket *bucket = bucket_of(position);

	return bucket && bits_in(bucket->taken) <= KEEPS_TAKEN && bits_in(bucket_unsettled(bucket)) < KEEPS_UNSETTLED;
}

/*
 * conn_keep keeps a connection whose time is over, if that is in doubt and there is room; false: it shall
 * end. Its places are free for the taking before it is KEPT: until then its word keeps it from being taken. It is
 * settled again by its client's next packet, but not by one that leaves it KEPT.
 */
__noinline bool conn_keep(__u32 position, __u64 word)
{
	struct conn *conn = entry_at(position);

	if (!conn || !doubtful(word) || !keeps_at(position) || (conn_is_pair(conn) && !keeps_at(conn->pair)))
		return false;
	if (!server_find(conn->server, conn->server_generation))
		return false;
	__u32 flags = (word_flags(word) & ~(CONN_SETTLED | CONN_DYING)) | CONN_DIRTY;
	conn_unsettle(conn, position);
	if (word_swap(conn, word, word_make(word_life(word), SETTLED_PACKETS - 1, flags, CONN_KEPT)))
		conn_count(conn, word_state(word), CONN_KEPT);
	else if (word_life(word_of(conn)) == word_life(word))
		conn_settle(conn, position); /* a packet came in between */
	return true;
}

/* held: another director is master of what lasts, and says when it ends. Its time begins anew when nobody holds it any more. */
static __always_inline bool held(const struct sweep *s, struct conn *entry, __u64 word)
{
	__u64 mark = (__u64)CONN_DYING << WORD_FLAGS_SHIFT;

	if (!s->holds || word_flags(word) & CONN_REVERSE || !conn_lasts(word) || !conn_is_standby(entry))
		return false;
	if (s->now - entry->seen < SEEN_AHEAD)
		conn_see(entry, s->now);
	if (word & mark)
		word_swap(entry, word, word & ~mark);
	return true;
}

/* says_farewell: other directors hold it until they hear that it has ended. */
static __always_inline bool says_farewell(const struct sweep *s, const struct conn *entry, __u64 word)
{
	return s->tells && conn_lasts(word) && conn_is_served(entry);
}

/* farewell writes down who is about to end. There is room for all of a run (sweep.go); the verifier does not know that. */
static __always_inline bool farewell(const struct sweep *s, const struct conn *entry)
{
	__u32 index = s->told;
	struct flow *flow = bpf_map_lookup_elem(&farewells, &index);

	if (!flow)
		return false;
	copy(flow, entry_flow(entry), offsetof(struct flow, protocol));
	flow->protocol = entry->protocol;
	return true;
}

/* part ends what has expired; a packet that comes in between keeps it. */
static __always_inline void part(struct sweep *s, const struct conn *entry, __u32 position, __u64 word)
{
	bool says = says_farewell(s, entry, word);

	if (says && !farewell(s, entry))
		return;
	bool ended = conn_end(position, word, NOWHERE);
	s->deleted += ended;
	s->told += ended && says;
}

__noinline int visit(struct sweep *s, __u32 position)
{
	struct conn *entry = entry_at(position);

	if (!entry || !s)
		return 0;
	__u64 word = word_of(entry);
	if (word_state(word) <= CONN_COMING)
		return 0;
	s->seen++;
	if (held(s, entry, word))
		return 0;
	__u32 index = timeouts_of(entry, word);
	struct timeouts *t = bpf_map_lookup_elem(&timeouts, &index);
	if (!t || owned(s, entry, position, word))
		return 0;
	if (!expired(entry, word, t, s->now)) {
		if (word_state(word) == CONN_KEPT)
			s->kept++;
		else if (keeps(s, position, word, t))
			template_keep(position, t->seconds[CONN_TEMPLATE], s->now);
		return 0;
	}
	/* A packet that comes in between changes the word, and both attempts come to nothing. */
	if (!(word_flags(word) & CONN_DYING))
		s->marked += word_swap(entry, word, word | (__u64)CONN_DYING << WORD_FLAGS_SHIFT);
	else if (!conn_keep(position, word))
		part(s, entry, position, word);
	return 0;
}

/* visit_bucket: a bucket that nobody is in costs one look. Unrolled, since the verifier cannot count in a callback. */
static long visit_bucket(__u32 turn, struct sweep *s)
{
	__u32 index = s->first + turn;
	struct bucket *bucket = bucket_at(index);

	if (!bucket)
		return 1;
	__u32 taken = bucket->taken;
	if (!taken)
		return 0;
#pragma unroll
	for (int slot = 1; slot < BUCKET_SLOTS; slot++)
		if (taken & 1u << slot)
			visit(s, index * BUCKET_SLOTS + slot);
	return 0;
}

SEC("syscall")
int sweep(struct sweep *s)
{
	struct sweep done = {
		.first = s->first,
		.buckets = s->buckets,
		.round = s->round,
		.holds = s->holds,
		.tells = s->tells,
		.now = jiffies(),
	};

	bpf_loop(done.buckets, visit_bucket, &done, 0);
	finish_count(VERDICT_FRAGMENT_ORPHAN, s->orphans);
	*s = done;
	return 0;
}

const char LICENSE[] SEC("license") = "Dual BSD/GPL";
