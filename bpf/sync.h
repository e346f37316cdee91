// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * sync.h: what two directors have in common that know the same connections (docs/why/connection-sync.md). What
 * lasts is kept alive by packets, of which nothing is told: so its backup holds it until its master says that it has
 * ended, and so they compare digests of it. All else is on its way to an end, or has not proved itself, and
 * its time runs on both.
 */
#pragma once

#include "conn.h"

/* conn_lasts is what only its master may say the end of. internal/model/digest.go says the same. */
static __always_inline bool conn_lasts(__u64 word)
{
	enum conn_state state = word_state(word);

	if (!(word_flags(word) & CONN_SETTLED))
		return false;
	return state == CONN_ESTABLISHED || state == CONN_UDP || state == CONN_TEMPLATE;
}

/*
 * conn_is_news: it changed since sync was told of it. The path marks what begins and what changes its state; that a
 * connection has proved itself is seen here, which costs the path nothing.
 */
static __always_inline bool conn_is_news(__u64 word)
{
	__u32 flags = word_flags(word);

	return flags & CONN_DIRTY || (flags & (CONN_SETTLED | CONN_TOLD)) == CONN_SETTLED;
}

/* told_flags are those of a connection whose news is told. */
static __always_inline __u32 told_flags(__u32 flags)
{
	flags &= ~(CONN_DIRTY | CONN_TOLD);
	return flags & CONN_SETTLED ? flags | CONN_TOLD : flags;
}

/* conn_is_served: this director is master of its service. */
static __always_inline bool conn_is_served(const struct conn *conn)
{
	struct server *server = server_find(conn->server, conn->server_generation);

	return server && server->flags & SERVER_SERVING;
}

/* conn_is_standby: another director may be. What has no server is nobody's. */
static __always_inline bool conn_is_standby(const struct conn *conn)
{
	struct server *server = server_find(conn->server, conn->server_generation);

	return server && !(server->flags & SERVER_SERVING);
}

/* Seeds of digests, of connections and of their servers. Both directors have the same: hashed.h says why they are digits of pi. */
static const __u32 identity_seed[2 * FLOW_WORDS] = {
	0xbe5466cf, 0x34e90c6c, 0xc0ac29b7, 0xc97c50dd, 0x3f84d5b5,
	0xb5470917, 0x9216d5d9, 0x8979fb1b, 0xd1310ba6, 0x98dfb5ac,
};
static const __u32 server_seed[2 * FLOW_WORDS] = {
	0x2ffd72db, 0xd01adfb7, 0xb8e1afed, 0x6a267e96, 0xba7c9045,
	0xf12c7f99, 0x24a19947, 0xb3916cf7, 0x0801f2e2, 0x858efc16,
};

/* identity_hash is by what connections are divided into slices. */
static __always_inline __u64 identity_hash(const struct conn *conn)
{
	return flow_hash(entry_flow(conn), identity_seed);
}

static __always_inline __u32 identity_slice(__u64 hash)
{
	return hash >> 56;
}

/*
 * server_hash is of what a connection's server is called on every director, by the method that the connection has: its
 * server may have another one meanwhile. Of a template it is the port that its service has.
 */
static __always_inline __u64 server_hash(const struct conn *conn, const struct server *server)
{
	__u8 forwarding = conn->forwarding ?: server->forwarding;
	bool translated = forwarding == FORWARDING_NAT && server->port && conn->destination_port;
	struct flow key = {
		.source = server->address,
		.source_port = translated ? server->port : conn->destination_port,
		.protocol = forwarding,
	};

	return flow_hash(&key, server_seed);
}

/* digest_of does not say where a connection lies, nor since when: on two directors that know the same it is the same. */
static __always_inline __u64 digest_of(__u64 identity, __u64 server)
{
	__u64 digest = identity ^ (server << 1 | server >> 63);

	digest = (digest ^ digest >> 32) * 0x9e3779b97f4a7c15ull;
	return digest ^ digest >> 32;
}
