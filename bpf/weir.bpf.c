// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * weir.bpf.c: the whole path of a packet, from top to bottom.
 *
 *   parse → known connection? else service → schedule → create connection → forward → finish(verdict)
 *                                     └ no connection, and none begins ─► by hash ─┘
 *
 * A stage returns VERDICT_CONTINUE, or the name of the exit it took, which finish counts. Read
 * types.h first, then this file upwards from its end, then the headers in the order of the stages.
 */
#include "answer.h"
#include "check.h"
#include "conn.h"
#include "create.h"
#include "csum_bytes.h"
#include "director.h"
#include "finish.h"
#include "forward.h"
#include "fragment.h"
#include "icmp.h"
#include "lease.h"
#include "move.h"
#include "packet.h"
#include "parse.h"
#include "persist.h"
#include "question.h"
#include "reset.h"
#include "sched.h"
#include "service.h"
#include "tell.h"
#include "trace.h"

/* is_persistent: while the daemon changes that, flag and template may differ; then there are none. */
static __always_inline bool is_persistent(const struct service *service)
{
	return service->flags & SERVICE_PERSISTENT && template_of(service->id, service->generation);
}

/* follow is where the template of a client of a persistent service leads; while connections move, it may be where they come from. */
static __always_inline __u64 follow(struct packet *p)
{
	__u64 next = persist_follow(headers_of(p), p->service, 1);

	if (table_moves && next == NOBODY && persist_fetch())
		next = persist_follow(headers_of(p), p->service, 1);
	return next;
}

/* chosen is this host, where another director has chosen it. */
static __always_inline __u64 chosen(const struct packet *p)
{
	return p->service->flags & SERVICE_LOCAL ? director_chose(p->ctx, p->service->id) : NOBODY;
}

static __always_inline void mark_template(struct packet *p, bool begins)
{
	p->facts->marks = begins ? p->facts->marks | MARK_TEMPLATE : p->facts->marks & ~MARK_TEMPLATE;
}

/* pick sets p->server: whom another director has chosen, or where the client's template leads, or else the one whose turn it is. */
static __always_inline void pick(struct packet *p)
{
	__u64 next = chosen(p);
	bool persistent = next == NOBODY && is_persistent(p->service);

	if (persistent)
		next = follow(p);
	mark_template(p, persistent && next == NOBODY);
	trace_template(persistent && next != NOBODY ? TRACE_FOLLOWED : 0);
	if (next == NOBODY)
		next = sched_next(p);
	sched_set(p, next);
}

/* remember makes the template of a client that has none. Where another CPU is first, it decides; false: it takes too long. */
static __always_inline bool remember(struct packet *p)
{
	__u64 next = (__u64)p->server->generation << 32 | p->facts->server_id;
	__u32 position = persist_remember(next);

	mark_template(p, position < PRESENT);
	if (position < PRESENT)
		trace_template(TRACE_BEGUN);
	if (position != PRESENT)
		return true;
	trace_template(TRACE_FOLLOWED);
	next = persist_follow(headers_of(p), p->service, REMEMBER_LOOKS);
	sched_set(p, next);
	return p->server;
}

/* schedule_once picks a server for a new connection and remembers it. */
static __always_inline enum verdict schedule_once(struct packet *p)
{
	pick(p);
	if (!p->server)
		return VERDICT_NO_SERVER;
	if (p->facts->ttl <= 1 && !(p->server->flags & SERVER_LOCAL))
		return VERDICT_TTL_EXCEEDED;
	if (p->facts->marks & MARK_TEMPLATE && !remember(p))
		return VERDICT_CONN_BUSY;
	enum verdict v = is_one_packet(p) ? question(p) : create(p);
	if (v != VERDICT_CONTINUE && p->facts->marks & MARK_TEMPLATE) {
		persist_forget();
		trace_template(0);
	}
	if (v != VERDICT_CONTINUE || !p->conn)
		return v;
	/* Another CPU may have been first with the same flow, and picked another server. */
	p->facts->server_id = p->conn->server;
	p->server = server_find(p->facts->server_id, p->conn->server_generation);
	p->facts->forwarding = p->conn->forwarding;
	return p->server ? VERDICT_CONTINUE : VERDICT_SERVER_GONE;
}

/* schedule: where a NAT server's way back is taken, the next one in turn is asked, three in all. */
static __always_inline enum verdict schedule(struct packet *p)
{
	enum verdict v = schedule_once(p);

	if (v == VERDICT_NAT_CLASH)
		v = schedule_once(p);
	if (v == VERDICT_NAT_CLASH)
		v = schedule_once(p);
	return v;
}

/* sound_v4: the checksum of the IPv4 header, in one go where it has no options and the frame no tag. */
static __always_inline bool sound_v4(struct xdp_md *ctx, const struct headers *h)
{
	struct iphdr ip;

	if (h->network != AT_NETWORK || h->transport != AT_TRANSPORT_V4)
		return csum_fold(csum_bytes(ctx, h->network, h->transport - h->network)) == 0xffff;
	if (!load_at(ctx, AT_NETWORK, &ip, sizeof(ip)))
		return false;
	return csum_fold(csum_words(&ip, sizeof(ip))) == 0xffff;
}

/* segment_sum is that of the bytes of a TCP segment: a SYN has few of them, and they lie where most do. */
static __always_inline __u64 segment_sum(struct xdp_md *ctx, const struct headers *h, __u32 size)
{
	if (h->transport == AT_TRANSPORT_V4 && size <= CSUM_SHORT && !(size % 4))
		return csum_short(ctx, AT_TRANSPORT_V4, size);
	if (h->transport == AT_TRANSPORT_V6 && size <= CSUM_SHORT && !(size % 4))
		return csum_short(ctx, AT_TRANSPORT_V6, size);
	return csum_bytes(ctx, h->transport, size);
}

/*
 * sound: a packet that its server would drop for its checksum begins no connection. The sums of other
 * packets are the server's business. A fragment has no TCP checksum of its own.
 */
__noinline bool sound(struct xdp_md *ctx, struct headers *h)
{
	if (!h)
		return false;
	__u32 segment = end_of(h) - h->transport;

	if (!h->ipv6 && !sound_v4(ctx, h))
		return false;
	if (h->flow.protocol != IPPROTO_TCP || h->kind != KIND_WHOLE)
		return true;
	__u64 sum = csum_pseudo(&h->flow.source, &h->flow.destination, segment, IPPROTO_TCP);
	return csum_fold(sum + segment_sum(ctx, h, segment)) == 0xffff;
}

/*
 * begins_backwards: the client answers a connection that its server has opened as the service, which this
 * director did not see: FTP's active data connections by DR and TUN. In IPVS any SYN with ACK begins one
 * (tcp_conn_schedule); here one whose client has a template, so no flood of them gets a place.
 */
static __always_inline bool begins_backwards(struct packet *p)
{
	if (p->facts->flow.protocol != IPPROTO_TCP || p->facts->kind > KIND_FIRST || !is_persistent(p->service))
		return false;
	if ((p->facts->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) != (TCP_SYN | TCP_ACK))
		return false;
	return follow(p) != NOBODY;
}

/* begin decides about a packet for a service, without a connection: does it begin one? */
static __always_inline enum verdict begin(struct packet *p)
{
	if (!(p->service->flags & SERVICE_SERVING))
		return VERDICT_NOT_SERVING;
	if (martian(&p->facts->flow))
		return VERDICT_MARTIAN;
	if (!starts_connection(p) && !begins_backwards(p))
		return VERDICT_UNKNOWN_CONNECTION;
	if (!sound(p->ctx, headers_of(p)))
		return VERDICT_BAD_CHECKSUM;
	if (half_open_full(p))
		return VERDICT_HALF_OPEN;
	return schedule(p);
}

/* hashed is the exit of a packet that goes by hash, where v would be that of one that does not; 0: none goes. */
static __always_inline enum verdict hashed(enum verdict v)
{
	switch (v) {
	case VERDICT_UNKNOWN_CONNECTION:
	case VERDICT_NOT_SERVING:
		return VERDICT_HASHED_UNKNOWN;
	case VERDICT_HALF_OPEN:
		return VERDICT_HASHED_HALF_OPEN;
	case VERDICT_CONN_FULL:
		return VERDICT_HASHED_FULL;
	default:
		return VERDICT_CONTINUE;
	}
}

/*
 * by_no_hash: not to NAT servers, since their answers could not be told from what they send to those who ask them
 * directly; and of what is not served here only what clients send who do not know yet who is master.
 */
static __always_inline bool by_no_hash(const struct packet *p, enum verdict v)
{
	const struct server *server = p->server;

	if (!server || (server->forwarding == FORWARDING_NAT && !(server->flags & SERVER_LOCAL)))
		return true;
	return v == VERDICT_NOT_SERVING && (!(server->flags & SERVER_LINGERS) || martian(&p->facts->flow));
}

/*
 * by_hash: what has no connection, and gets none, goes to the server that the hash of its flow names, and
 * all packets of the flow do. Nothing is remembered of them. Not so what is in pieces, since later ones do
 * not say of which flow they are.
 */
static __always_inline enum verdict by_hash(struct packet *p, enum verdict v)
{
	enum verdict exit = hashed(v);

	if (!exit || p->facts->kind != KIND_WHOLE || !(p->service->flags & SERVICE_FORWARD_UNKNOWN))
		return v;
	sched_by_hash(p);
	if (by_no_hash(p, v)) {
		p->server = NULL;
		return v;
	}
	p->facts->forwarding = p->server->forwarding;
	p->facts->hashed = exit;
	return VERDICT_CONTINUE;
}

/* admit decides about a packet without a connection. */
static __always_inline enum verdict admit(struct packet *p)
{
	p->service = service_find(&p->facts->flow);
	if (p->service)
		return by_hash(p, begin(p));
	return check_answer(p->ctx, headers_of(p)) ? VERDICT_CHECK_ANSWER : VERDICT_NO_SERVICE;
}

static __always_inline bool reuse_closing(__u8 flags)
{
	return flags & (SERVER_QUIESCED | SERVER_REUSE_CLOSING) && !(flags & SERVER_REUSE_KEPT);
}

/*
 * begins_anew: the client uses a port again whose connection is over, and any server may have the next
 * one. Where only one side has closed, or somebody sent an RST, that may have been a stranger: then the
 * same server has it, unless that takes no new ones, or the service says otherwise. Where that was long ago,
 * IPVS would know nothing of it any more.
 */
static __always_inline bool begins_anew(const struct packet *p)
{
	__u64 word = word_of(p->conn);
	enum conn_state state = word_state(word);

	if (conn_closed(word))
		return !(p->server->flags & SERVER_REUSE_KEPT) && starts_connection(p);
	if (state == CONN_KEPT)
		return starts_connection(p);
	if (state != CONN_FIN_WAIT && state != CONN_CLOSE)
		return false;
	return reuse_closing(p->server->flags) && starts_connection(p);
}

/* anew forgets the connection of a packet that may begin one. */
static __always_inline enum verdict anew(struct packet *p)
{
	if (!conn_end_life(p->facts->position, p->facts->life))
		return VERDICT_CONN_BUSY;
	p->conn = NULL;
	p->server = NULL;
	trace_ended();
	return VERDICT_CONTINUE;
}

/*
 * leave says what becomes of a client's packet whose server is leaving. VERDICT_SERVER_GONE: it begins
 * anew, as a SYN does whose connection is to be reset anyway.
 */
__noinline enum verdict leave(struct headers *h, __u32 leaving)
{
	if (leaving == LEAVING_DRAIN)
		return VERDICT_CONTINUE;
	if (!h || leaving == LEAVING_DROP || h->kind > KIND_FIRST)
		return VERDICT_SERVER_LEFT;
	return begins(h->tcp_flags) ? VERDICT_SERVER_GONE : VERDICT_SERVER_RESET;
}

/*
 * resume finds the server of a known connection. Without one only a new start is a way on. What its connection's server
 * would not get, since it has left, is this host's, where another director has chosen that.
 */
static __always_inline enum verdict resume(struct packet *p)
{
	p->facts->server_id = p->conn->server;
	p->server = server_find(p->facts->server_id, p->conn->server_generation);
	if (!p->server)
		return starts_connection(p) ? anew(p) : director_sent(p->ctx, headers_of(p), VERDICT_SERVER_GONE);
	if (!(p->server->flags & (SERVER_SERVING | SERVER_LINGERS)))
		return VERDICT_NOT_SERVING;
	p->facts->forwarding = p->conn->forwarding;
	enum verdict v = VERDICT_CONTINUE;
	if (begins_anew(p))
		v = VERDICT_SERVER_GONE;
	else if (p->server->leaving)
		v = leave(headers_of(p), p->server->leaving);
	if (v == VERDICT_SERVER_GONE)
		return anew(p);
	return v == VERDICT_CONTINUE ? v : director_sent(p->ctx, headers_of(p), v);
}

/* known finds the connection that a packet belongs to, by its own headers or by what else there is. */
static __always_inline enum verdict known(struct packet *p)
{
	enum verdict v = VERDICT_CONTINUE;

	if (p->facts->kind == KIND_QUOTE)
		v = icmp_read(p->ctx, headers_of(p));
	if (p->facts->kind == KIND_LATER)
		v = fragment_follow(p->ctx, headers_of(p));
	if (v != VERDICT_CONTINUE)
		return v;
	conn_find(p);
	if (table_moves && !p->conn && !move_fetch(p))
		return VERDICT_CONN_BUSY;
	if (!p->conn)
		question_find(p);
	if (p->facts->kind == KIND_QUOTE)
		return icmp_judge(p->ctx, headers_of(p), p->conn && !(p->back && p->facts->quoted.at_service));
	return p->conn || p->facts->kind <= KIND_FIRST ? VERDICT_CONTINUE : VERDICT_FRAGMENT_ORPHAN;
}

/* balance decides where a packet goes. */
static __always_inline enum verdict balance(struct packet *p)
{
	enum verdict v = known(p);

	if (v != VERDICT_CONTINUE)
		return v;
	if (p->conn && p->back)
		return answer(p);
	if (p->conn)
		v = resume(p);
	if (v == VERDICT_CONTINUE && !p->server)
		v = admit(p);
	if (v == VERDICT_CONTINUE && p->facts->kind == KIND_FIRST)
		v = fragment_begin(headers_of(p));
	if (v != VERDICT_CONTINUE)
		return v;
	return forward(p);
}

/*
 * same: a connection that became another one under our hands is found anew by the packet's repetition. What is this
 * host's stays so, and is counted: forward has looked, or another director has sent it, whatever is known of it here.
 */
static __always_inline enum verdict same(const struct packet *p, enum verdict v)
{
	return !p->conn || conn_same(p) || v == VERDICT_LOCAL ? v : VERDICT_CONN_BUSY;
}

/* dismiss: the client of a server that left is told, as its protocol has it. */
static __always_inline enum verdict dismiss(struct packet *p)
{
	switch (p->facts->flow.protocol) {
	case IPPROTO_TCP:
		return reset_tcp(p->ctx, headers_of(p));
	case IPPROTO_SCTP:
		return reset_sctp(p->ctx, headers_of(p));
	}
	struct addr source = p->facts->flow.destination;
	return tell(p->ctx, headers_of(p), &source, VERDICT_SERVER_RESET);
}

/* dismissed: the connection goes when its client was told, or has ended it by a reset of its own. */
static __always_inline enum verdict dismissed(struct packet *p)
{
	if (!sound(p->ctx, headers_of(p)))
		return VERDICT_SERVER_LEFT;
	p->facts->egress = p->facts->ingress;
	enum verdict v = dismiss(p);
	if (v == VERDICT_SERVER_RESET || p->facts->tcp_flags & TCP_RST)
		conn_end_life(p->facts->position, p->facts->life);
	return v;
}

/* told: whoever sent a packet that cannot go on hears it from the service. */
static __always_inline enum verdict told(struct packet *p, enum verdict v)
{
	if (v == VERDICT_SERVER_RESET)
		return dismissed(p);
	if (v != VERDICT_TTL_EXCEEDED && v != VERDICT_TOO_BIG)
		return v;
	struct addr source = p->facts->flow.destination;
	if (p->conn && p->back)
		source = p->conn->destination;
	p->facts->egress = p->facts->ingress;
	return tell(p->ctx, headers_of(p), &source, v);
}

/* refuse keeps from the host's stack what cannot be balanced, but only if it is for a service */
static __always_inline enum verdict refuse(struct packet *p, enum verdict v)
{
	if (v < VERDICT_FIRST_DROPPED || service_may_have(&p->facts->flow))
		return v;
	return VERDICT_NO_SERVICE;
}

static __always_inline int path(struct xdp_md *ctx)
{
	struct packet p;

	if (!packet_begin(&p, ctx))
		return XDP_DROP;
	enum verdict v = parse(&p);
	trace_in(&p);
	if (v == VERDICT_CONTINUE)
		v = told(&p, same(&p, balance(&p)));
	else
		v = refuse(&p, v);
	if (p.facts->kind == KIND_FIRST && v < VERDICT_LOCAL)
		fragment_aside(headers_of(&p));
	trace_out(&p, v);
	return finish(&p, v);
}

SEC("xdp")
int weir(struct xdp_md *ctx)
{
	if (lease_asked(ctx) && lease_ended(ctx))
		return XDP_DROP;
	return path(ctx);
}

const char LICENSE[] SEC("license") = "Dual BSD/GPL";
