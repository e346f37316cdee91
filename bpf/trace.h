// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * trace.h: what `weir trace` sees. It is part of traced.bpf.c alone, the path that stands in for the other one
 * while somebody looks; there packets are looked at twice: as they came, behind parse, and as they leave. What
 * is gone by then is noted on the way.
 */
#pragma once

#ifndef TRACED
static __always_inline void trace_in(struct packet *p)
{
}

static __always_inline void trace_ended(void)
{
}

static __always_inline void trace_template(__u32 what)
{
}

static __always_inline void trace_out(struct packet *p, enum verdict v)
{
}
#else

/* Whose packets are wanted. */
const volatile struct addr trace_client;  /* zero: anybody's */
const volatile struct addr trace_virtual; /* zero: whatever they ask for */
const volatile __be16 trace_client_port;  /* 0: any */
const volatile __be16 trace_virtual_port; /* 0: any */
const volatile __u8 trace_protocol;       /* 0: any */
const volatile __u8 trace_services_only;  /* 1: not what is for no service */

/* The packet that this CPU is at. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct trace);
} tracing SEC(".maps");

/* To the daemon: struct trace. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 * 1024 * 1024);
} traces SEC(".maps");

/* How many found no room there. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} untold SEC(".maps");

const struct trace *trace_in_btf __attribute__((unused));
const enum trace_note *trace_note_in_btf __attribute__((unused));
const enum kind *kind_in_btf __attribute__((unused));

static __always_inline struct trace *trace_of_cpu(void)
{
	__u32 only = 0;

	return bpf_map_lookup_elem(&tracing, &only);
}

/* trace_looks is NULL for a packet that is not looked at. */
static __always_inline struct trace *trace_looks(void)
{
	struct trace *t = trace_of_cpu();

	return t && t->active ? t : NULL;
}

/* trace_take copies a frame as it is now, or its beginning. */
static __always_inline void trace_take(struct xdp_md *ctx, struct trace_frame *frame)
{
	__u64 length = bpf_xdp_get_buff_len(ctx);

	frame->length = length;
	frame->taken = 0;
	if (length > TRACE_BYTES)
		length = TRACE_BYTES;
	if (length < ETH_HLEN || bpf_xdp_load_bytes(ctx, 0, frame->bytes, length))
		return;
	frame->taken = length;
}

static __always_inline bool trace_any(const volatile struct addr *a)
{
	return !a->word[0] && !a->word[1] && !a->word[2] && !a->word[3];
}

static __always_inline bool trace_same(const volatile struct addr *a, const struct addr *b)
{
	return a->word[0] == b->word[0] && a->word[1] == b->word[1] && a->word[2] == b->word[2] &&
	       a->word[3] == b->word[3];
}

/* trace_may: a packet whose connection is not known yet may be wanted. A server's answer has the client as its destination. */
static __always_inline bool trace_may(const struct headers *h)
{
	if (h->kind == KIND_QUOTE || trace_any(&trace_client))
		return true;
	return trace_same(&trace_client, &h->flow.source) || trace_same(&trace_client, &h->flow.destination);
}

/* trace_end_wanted: what has no port, as later fragments of nobody's have none, may be of any. */
static __always_inline bool trace_end_wanted(const struct addr *address, __be16 port,
					     const volatile struct addr *wanted, __be16 wanted_port)
{
	if (trace_any(wanted))
		return true;
	return trace_same(wanted, address) && (!port || !wanted_port || port == wanted_port);
}

static __always_inline bool trace_wanted_ends(const struct flow *f)
{
	return trace_end_wanted(&f->source, f->source_port, &trace_client, trace_client_port) &&
	       trace_end_wanted(&f->destination, f->destination_port, &trace_virtual, trace_virtual_port);
}

/* trace_is_of: what no service can have, or could not be read as far as this, has no protocol to go by. */
static __always_inline bool trace_is_of(__u8 protocol)
{
	return !trace_protocol || protocol == trace_protocol || !is_balanced_protocol(protocol);
}

/* trace_wanted: of the client to what it asks for, as its connection has it; without one it may be an answer, too. */
static __always_inline bool trace_wanted(const struct trace *t)
{
	struct flow turned;

	if (trace_services_only && t->verdict < VERDICT_NOT_SERVING)
		return false;
	if (t->verdict == VERDICT_LEASE_OVER) /* who asks where an address is sends no packet to a service */
		return false;
	if (!trace_is_of(t->flow.protocol))
		return false;
	if (trace_wanted_ends(&t->flow))
		return true;
	copy(&turned.source, &t->flow.destination, sizeof(turned.source));
	copy(&turned.destination, &t->flow.source, sizeof(turned.destination));
	turned.source_port = t->flow.destination_port;
	turned.destination_port = t->flow.source_port;
	return !(t->notes & TRACE_CONNECTION) && trace_wanted_ends(&turned);
}

/* trace_begin looks at a packet as it came. */
__noinline int trace_begin(struct xdp_md *ctx, struct headers *h)
{
	struct trace *t = trace_of_cpu();

	if (!t || !h)
		return 0;
	t->active = trace_may(h);
	if (!t->active)
		return 0;
	t->time = bpf_ktime_get_ns();
	t->notes = 0;
	trace_take(ctx, &t->in);
	return 0;
}

/* trace_end_of is how the packet ends. */
static __always_inline __u32 trace_end_of(__u32 v)
{
	if (v < VERDICT_FIRST_SENT || v >= VERDICT_FIRST_DROPPED)
		return 0;
	if (v == VERDICT_TOO_BIG_TOLD || v == VERDICT_TTL_TOLD || v == VERDICT_SERVER_RESET)
		return TRACE_SENT | TRACE_TOLD;
	return TRACE_SENT;
}

/* trace_end looks at a packet as it leaves, and tells of it. */
__noinline int trace_end(struct xdp_md *ctx, struct reverse *back, __u32 hashed)
{
	struct trace *t = trace_looks();
	__u32 only = 0;

	if (!t)
		return 0;
	t->notes |= (back ? TRACE_BACK : 0) | (hashed ? TRACE_HASHED : 0) | trace_end_of(t->verdict);
	if (!trace_wanted(t))
		return 0;
	__u64 *lost = bpf_map_lookup_elem(&untold, &only);
	if (!lost)
		return 0;
	t->untold = *lost;
	trace_take(ctx, &t->out);
	if (bpf_ringbuf_output(&traces, t, sizeof(*t), 0))
		__sync_fetch_and_add(lost, 1);
	return 0;
}

/*
 * What follows are functions that the verifier judges by themselves, and that take pointers to nothing, too: it comes to
 * them by every way through the path, and would follow each of theirs behind each of those.
 */

/* trace_notes takes notes back, and adds others. */
__noinline int trace_notes(__u32 back, __u32 notes)
{
	struct trace *t = trace_of_cpu();

	if (t)
		t->notes = (t->notes & ~back) | notes;
	return 0;
}

/* trace_packet notes what the packet is, and its exit. */
__noinline int trace_packet(struct headers *h, __u32 egress, __u32 v)
{
	struct trace *t = trace_looks();

	if (!t || !h)
		return 0;
	t->ingress = h->ingress;
	t->egress = egress;
	t->verdict = v;
	t->kind = h->kind;
	copy(&t->flow, &h->flow, sizeof(t->flow));
	return 0;
}

/* trace_conn notes the connection as the packet leaves it. */
__noinline int trace_conn(struct conn *conn, __u64 life, __u32 marks)
{
	struct trace *t = trace_looks();

	if (!t || !conn)
		return 0;
	if (word_life(word_of(conn)) != life) {
		t->notes |= TRACE_ENDED;
		return 0;
	}
	t->notes |= TRACE_CONNECTION;
	t->word = word_of(conn);
	copy(&t->flow.source, &conn->source, sizeof(t->flow.source));
	copy(&t->flow.destination, &conn->destination, sizeof(t->flow.destination));
	t->flow.source_port = conn->source_port;
	t->flow.destination_port = conn->destination_port;
	t->flow.protocol = conn->protocol;
	if (marks & MARK_FRESH)
		t->notes |= TRACE_FRESH;
	return 0;
}

__noinline int trace_service(struct service *service)
{
	struct trace *t = trace_looks();

	if (!t || !service)
		return 0;
	t->notes |= TRACE_SERVICE;
	t->scheduler = service->scheduler;
	copy(&t->service, &service->first, sizeof(t->service));
	t->service_last = service->last;
	return 0;
}

__noinline int trace_server(struct server *server, __u32 forwarding)
{
	struct trace *t = trace_looks();

	if (!t || !server)
		return 0;
	t->notes |= TRACE_SERVER;
	copy(&t->server, &server->address, sizeof(t->server));
	t->server_port = server->port;
	t->forwarding = forwarding;
	return 0;
}

static __always_inline void trace_in(struct packet *p)
{
	trace_begin(p->ctx, headers_of(p));
}

/* trace_ended: the packet had a connection, which is over, or another one's by now. */
static __always_inline void trace_ended(void)
{
	trace_notes(0, TRACE_ENDED);
}

/* trace_template: the client's template was begun, or followed; 0: neither. */
static __always_inline void trace_template(__u32 what)
{
	trace_notes(TRACE_BEGUN | TRACE_FOLLOWED, what);
}

/* trace_out notes what the stages have found. */
static __always_inline void trace_out(struct packet *p, enum verdict v)
{
	trace_packet(headers_of(p), p->facts->egress, v);
	trace_conn(p->conn, p->facts->life, p->facts->marks);
	trace_service(p->service);
	trace_server(p->server, p->facts->forwarding);
	trace_end(p->ctx, p->back, p->facts->hashed);
}
#endif
