// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * template.h: what a persistent service remembers of a client: the server that its connections go to. A
 * template is an entry of the table like a connection's, and comes and goes as they do; how the path uses
 * it is persist.h's business.
 *
 *   protocol + TEMPLATE_MARK, client's address & mask, port 0, service's address and port
 *
 * Of a service that has several addresses, it is the first.
 *
 * No packet has such a protocol, so none is ever taken for a template's. It has no way back, by whatever
 * method its server is reached. It is settled with the first of its connections that is, so a flood of
 * beginnings pushes out no template of a client that has proved itself.
 */
#pragma once

#include "conn.h"

/* template_of is what is said of the templates of a service; NULL: it is not persistent. */
static __always_inline struct template *template_of(__u32 id, __u32 generation)
{
	struct template *t = bpf_map_lookup_elem(&templates, &id);

	return t && t->generation == generation ? t : NULL;
}

/* template_key is the template that a client's flow belongs to, that of a connection too. */
static __always_inline void template_key(struct flow *key, const struct flow *flow, const struct template *t)
{
#pragma unroll
	for (int i = 0; i < 4; i++)
		key->source.word[i] = flow->source.word[i] & t->mask.word[i];
	copy(&key->destination, &t->address, sizeof(key->destination));
	key->source_port = 0;
	key->destination_port = t->port;
	key->protocol = t->protocol;
	key->pad[0] = key->pad[1] = key->pad[2] = 0;
}

/* template_find looks in both buckets: it is for what is rare. */
static __always_inline bool template_find(struct found *at, const struct flow *key)
{
	return entry_live(at, table_search(key), key);
}

/* template_asked is that of the service which a connection was made to, as those that share their templates are found. */
static __always_inline struct template *template_asked(const struct conn *conn)
{
	struct service *service = service_of_port(&conn->destination, conn->destination_port, conn->protocol);

	if (!service)
		service = service_of_port(&conn->destination, 0, conn->protocol);
	return service ? template_of(service->id, service->generation) : NULL;
}

/*
 * template_of_conn is by what the template of a connection is found: as its server's service has it. But
 * where the services of an address share templates, its server may be another one's. The sweep may not look
 * for ranges: those have templates of their own.
 */
static __always_inline struct template *template_of_conn(const struct conn *conn)
{
	struct server *server = server_find(conn->server, conn->server_generation);
	struct template *own = server ? template_of(server->service, server->service_generation) : NULL;

	if (!own || own->port || !addr_equal(&own->address, &conn->destination))
		return own;
	return template_asked(conn);
}

/* template_names: it leads to the server of this connection, and not to one that came later. */
static __always_inline bool template_names(const struct conn *template, const struct conn *conn)
{
	return template->server == conn->server && template->server_generation == conn->server_generation;
}

/* template_same: what was read of a template was all of this one. */
static __always_inline bool template_same(const struct found *at)
{
	return word_life(word_of(at->conn)) == word_life(at->word);
}

/* template_revive takes the mark of the sweep away. */
static __always_inline void template_revive(const struct found *at)
{
	__u64 mark = (__u64)CONN_DYING << WORD_FLAGS_SHIFT;

	if (at->word & mark)
		word_swap(at->conn, at->word, at->word & ~mark);
}
