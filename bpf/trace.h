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

/* trace_end looks at a packet as it leaves, and tells of it. */
__noinline int trace_end(struct xdp_md *ctx)
{
	struct trace *t = trace_of_cpu();
	__u32 only = 0;

	if (!t || !trace_wanted(t))
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

static __always_inline void trace_in(struct packet *p)
{
	trace_begin(p->ctx, headers_of(p));
}

/* trace_ended: the packet had a connection, which is over, or another one's by now. */
static __always_inline void trace_ended(void)
{
	struct trace *t = trace_of_cpu();

	if (t)
		t->notes |= TRACE_ENDED;
}

/* trace_template: the client's template was begun, or followed; 0: neither. */
static __always_inline void trace_template(__u32 what)
{
	struct trace *t = trace_of_cpu();

	if (t)
		t->notes = (t->notes & ~(TRACE_BEGUN | TRACE_FOLLOWED)) | what;
}

/* trace_conn notes the connection as the packet leaves it. */
static __always_inline void trace_conn(struct trace *t, const struct packet *p)
{
	if (!conn_same(p)) {
		t->notes |= TRACE_ENDED;
		return;
	}
	t->notes |= TRACE_CONNECTION;
	t->word = word_of(p->conn);
	copy(&t->flow.source, &p->conn->source, sizeof(t->flow.source));
	copy(&t->flow.destination, &p->conn->destination, sizeof(t->flow.destination));
	t->flow.source_port = p->conn->source_port;
	t->flow.destination_port = p->conn->destination_port;
	t->flow.protocol = p->conn->protocol;
	if (p->marks & MARK_FRESH)
		t->notes |= TRACE_FRESH;
}

static __always_inline void trace_service(struct trace *t, const struct service *service)
{
	t->notes |= TRACE_SERVICE;
	t->scheduler = service->scheduler;
	copy(&t->service, &service->first, sizeof(t->service));
	t->service_last = service->last;
}

static __always_inline void trace_server(struct trace *t, const struct packet *p)
{
	t->notes |= TRACE_SERVER;
	copy(&t->server, &p->server->address, sizeof(t->server));
	t->server_port = p->server->port;
	t->forwarding = p->forwarding;
}

/* trace_end_of is how the packet ends. */
static __always_inline __u32 trace_end_of(enum verdict v)
{
	if (v < VERDICT_FIRST_SENT || v >= VERDICT_FIRST_DROPPED)
		return 0;
	if (v == VERDICT_TOO_BIG_TOLD || v == VERDICT_TTL_TOLD || v == VERDICT_SERVER_RESET)
		return TRACE_SENT | TRACE_TOLD;
	return TRACE_SENT;
}

/* trace_out notes what the stages have found. */
static __always_inline void trace_out(struct packet *p, enum verdict v)
{
	struct trace *t = trace_of_cpu();

	if (!t || !t->active)
		return;
	t->ingress = p->ingress;
	t->egress = p->egress;
	t->verdict = v;
	t->kind = p->kind;
	copy(&t->flow, &p->flow, sizeof(t->flow));
	if (p->conn)
		trace_conn(t, p);
	if (p->service)
		trace_service(t, p->service);
	if (p->server)
		trace_server(t, p);
	if (p->back)
		t->notes |= TRACE_BACK;
	if (p->hashed)
		t->notes |= TRACE_HASHED;
	t->notes |= trace_end_of(v);
	trace_end(p->ctx);
}
#endif
