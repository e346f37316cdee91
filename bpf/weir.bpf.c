// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * weir.bpf.c: the whole path of a packet, from top to bottom.
 *
 *   parse → known connection? else service → schedule → create connection → forward → finish(verdict)
 *
 * A stage returns VERDICT_CONTINUE, or the name of the exit it took, which finish counts. Read
 * types.h first, then this file upwards from its end, then the headers in the order of the stages.
 */
#include "answer.h"
#include "conn.h"
#include "finish.h"
#include "forward.h"
#include "packet.h"
#include "parse.h"
#include "sched.h"
#include "service.h"

/* schedule_once picks a server for a new connection and remembers it. */
static __noinline enum verdict schedule_once(struct packet *p)
{
	sched_pick(p);
	if (!p->server)
		return VERDICT_NO_SERVER;
	if (p->ttl <= 1 && !(p->server->flags & SERVER_LOCAL))
		return VERDICT_TTL_EXCEEDED;
	enum verdict v = conn_create(p);
	if (v != VERDICT_CONTINUE)
		return v;
	/* Another CPU may have been first with the same flow, and picked another server. */
	p->server = server_find(p->conn->server, p->conn->server_generation);
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

/* admit decides about a packet without a connection: does it begin one? */
static __always_inline enum verdict admit(struct packet *p)
{
	p->service = service_find(&p->flow);
	if (!p->service)
		return VERDICT_NO_SERVICE;
	if (p->tagged)
		return VERDICT_VLAN;
	if (!(p->service->flags & SERVICE_SERVING))
		return VERDICT_NOT_SERVING;
	if (martian(&p->flow))
		return VERDICT_MARTIAN;
	if (!starts_connection(p))
		return VERDICT_UNKNOWN_CONNECTION;
	return schedule(p);
}

/* resume finds the server of a known connection. Without one only a new start is a way on. */
static __always_inline enum verdict resume(struct packet *p)
{
	if (p->tagged)
		return VERDICT_VLAN;
	p->server = server_find(p->conn->server, p->conn->server_generation);
	if (p->server)
		return VERDICT_CONTINUE;
	if (!starts_connection(p))
		return VERDICT_SERVER_GONE;
	if (!conn_end(&p->flow, p->conn, p->conn->state))
		return VERDICT_SERVER_GONE;
	return VERDICT_CONTINUE;
}

/* balance decides where a packet goes. */
static __always_inline enum verdict balance(struct packet *p)
{
	enum verdict v = VERDICT_CONTINUE;

	p->conn = conn_find(&p->flow);
	if (p->conn && conn_is_reverse(p->conn))
		return answer(p);
	if (p->conn)
		v = resume(p);
	if (v == VERDICT_CONTINUE && !p->server)
		v = admit(p);
	if (v != VERDICT_CONTINUE)
		return v;
	return forward(p);
}

/* refuse keeps from the host's stack what cannot be balanced, but only if it is for a service. */
static __always_inline enum verdict refuse(struct packet *p, enum verdict v)
{
	if (v < VERDICT_FIRST_DROPPED || service_owns(&p->flow.destination))
		return v;
	return VERDICT_NO_SERVICE;
}

static __always_inline int path(struct xdp_md *ctx)
{
	struct packet p = { .ctx = ctx, .ingress = ctx->ingress_ifindex };
	enum verdict v = parse(&p);

	if (v == VERDICT_CONTINUE)
		v = balance(&p);
	else
		v = refuse(&p, v);
	return finish(&p, v);
}

SEC("xdp")
int weir(struct xdp_md *ctx)
{
	return path(ctx);
}

const char LICENSE[] SEC("license") = "Dual BSD/GPL";
