// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * persist.h: a persistent service sends a client's connections to one server, as IPVS does
 * (ip_vs_sched_persist, ip_vs_check_template).
 *
 * follow    the server that the client's template names, be it quiesced or full
 * remember  a template for the server that was picked; of two CPUs with the same client one is first, and
 *           the other one follows it
 * confirm   a connection has proved itself, and its template with it
 *
 * A template comes before its connection, and goes again if that could not begin. The key lies in the
 * CPU's scratch from follow on: the stack has no room for it.
 */
#pragma once

#include "move.h"
#include "place.h"
#include "slots.h"
#include "template.h"

#define REMEMBER_LOOKS 256 /* for a template that another CPU has in hand: some 10 microseconds */

/*
 * template_leads: the template's server takes its clients' connections. One of another service shares the
 * template where that is for all ports of the address; its port is not for these.
 */
static __always_inline bool template_leads(const struct server *server, const struct service *service)
{
	if (server->leaving)
		return false;
	if (server->flags & SERVER_QUIESCED && service->flags & SERVICE_EXPIRE_QUIESCENT)
		return false;
	return server->forwarding != FORWARDING_NAT || !server->port || server->service == service->id;
}

/* template_server is the one that a template names, and its generation in the upper half; NOBODY: it takes none. */
static __always_inline __u64 template_server(const struct conn *template, const struct service *service)
{
	__u32 id = template->server, generation = template->server_generation;
	const struct server *server = server_find(id, generation);

	return server && template_leads(server, service) ? (__u64)generation << 32 | id : NOBODY;
}

/* template_follow ends a template that leads nowhere; else its time begins anew, as with each new connection. */
static __always_inline __u64 template_follow(const struct flow *key, const struct service *service)
{
	struct found at = {};

	if (!template_find(&at, key))
		return NOBODY;
	__u64 next = template_server(at.conn, service);
	if (!template_same(&at))
		return NOBODY;
	if (next == NOBODY) {
		conn_end(at.position, at.word, NOWHERE);
		return NOBODY;
	}
	conn_see(at.conn, jiffies());
	template_revive(&at);
	return template_same(&at) ? next : NOBODY;
}

/* The key is in the CPU's scratch. */
struct follow {
	const struct service *service;
	__u64 next;
};

static long follow_step(__u32 turn, void *arg)
{
	struct scratch *scratch = scratch_of_cpu();
	struct follow *f = arg;

	if (!scratch)
		return 1;
	f->next = template_follow(&scratch->template, f->service);
	return f->next != NOBODY;
}

/*
 * persist_follow is the server of a client's template, and its generation in the upper half; NOBODY: there
 * is none. It looks more than once where another CPU is about to make one.
 */
__noinline __u64 persist_follow(struct headers *h, struct service *service, __u32 looks)
{
	struct scratch *scratch = scratch_of_cpu();

	if (!h || !service || !scratch)
		return NOBODY;
	struct template *t = template_of(service->id, service->generation);
	if (!t)
		return NOBODY;
	template_key(&scratch->template, &h->flow, t);
	struct follow f = { .service = service, .next = NOBODY };
	bpf_loop(looks, follow_step, &f, 0);
	return f.next;
}

static long persist_fetch_step(__u32 turn, void *arg)
{
	struct scratch *scratch = scratch_of_cpu();
	__u32 *position = arg;

	if (!scratch)
		return 1;
	*position = move_where(&scratch->template);
	if (*position < COMING)
		move(*position);
	return *position >= PRESENT;
}

/* persist_fetch: while connections move, the template may be where they come from. It is move_fetch of a template. */
static __always_inline bool persist_fetch(void)
{
	__u32 position = COMING;

	bpf_loop(MOVE_LOOKS, persist_fetch_step, &position, 0);
	return position == PRESENT;
}

/* template_put makes a template of the key in the scratch. Its place is not settled: its client may be nobody. */
static __always_inline __u32 template_put(struct scratch *scratch, __u64 next)
{
	struct newcomer *n = &scratch->newcomer;
	struct conn *c = &n->draft;

	n->flags = CONN_DIRTY;
	n->state = CONN_TEMPLATE;
	copy(&c->source, &scratch->template, offsetof(struct flow, pad));
	c->protocol = scratch->template.protocol;
	c->forwarding = 0; /* no pair: a template has no way back */
	c->server = next;
	c->seen = jiffies();
	c->pair = NOWHERE;
	c->server_generation = next >> 32;
	c->hop = 0;
	__u32 position = put();
	if (position < PRESENT)
		load_move(next & (MAX_SERVERS - 1), next >> 32, CONN_NONE, CONN_TEMPLATE);
	return position;
}

/*
 * persist_remember makes the template by which persist_follow found none. PRESENT: another CPU was first.
 * NOWHERE: there is no room, and the client's next connection may go elsewhere, as if this service were not
 * persistent; to refuse this one would help nobody.
 */
__noinline __u32 persist_remember(__u64 next)
{
	struct scratch *scratch = scratch_of_cpu();

	return scratch ? template_put(scratch, next) : NOWHERE;
}

/* persist_forget takes back what persist_remember did: the connection did not begin. */
__noinline int persist_forget(void)
{
	struct scratch *scratch = scratch_of_cpu();
	struct found at = {};

	if (scratch && template_find(&at, &scratch->template))
		conn_end(at.position, at.word, NOWHERE);
	return 0;
}

/* template_settle keeps the place of a template from new flows. When another CPU is in between, the next connection does it. */
static __always_inline void template_settle(const struct found *at)
{
	__u64 mark = (__u64)CONN_SETTLED << WORD_FLAGS_SHIFT;

	if (!(at->word & mark) && word_swap(at->conn, at->word, at->word | mark))
		slot_settle(at->position);
}

/*
 * persist_confirm settles the template of a connection that was just settled. Where there is none, it
 * returns to which server one shall lead, as persist_follow does: conn.h. While connections move, it may be
 * where they come from: then it stays as it is, until the next of its connections is settled.
 */
__noinline __u64 persist_confirm(__u32 position)
{
	struct scratch *scratch = scratch_of_cpu();
	struct conn *conn = entry_at(position);
	struct template *t = conn ? template_of_conn(conn) : NULL;
	struct found at = {};

	if (!scratch || !conn || !t)
		return NOBODY;
	template_key(&scratch->template, entry_flow(conn), t);
	if (!template_find(&at, &scratch->template))
		return table_moves ? NOBODY : (__u64)conn->server_generation << 32 | conn->server;
	if (template_names(at.conn, conn))
		template_settle(&at);
	return NOBODY;
}
