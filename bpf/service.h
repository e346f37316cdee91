// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* service.h: which service a packet is for, the server behind an id, and what they count. */
#pragma once

#include "maps.h"
#include "packet.h"

static __always_inline struct service *service_of_port(const struct addr *address, __be16 port, __u8 protocol)
{
	struct service_key key = { .address = *address, .port = port, .protocol = protocol };

	return bpf_map_lookup_elem(&services, &key);
}

static __always_inline struct service *service_of_range(const struct addr *address, __be16 port, __u8 protocol)
{
	struct range_key key = {
		.bits = 8 * (sizeof(key) - offsetof(struct range_key, address)),
		.address = *address,
		.protocol = protocol,
		.port = port,
	};

	return bpf_map_lookup_elem(&ranges, &key);
}

/* service_of_ports is the one of a range that the port is in, or else of all ports. */
static __always_inline struct service *service_of_ports(const struct addr *address, __be16 port, __u8 protocol)
{
	struct service *service = service_of_range(address, port, protocol);

	return service ?: service_of_port(address, 0, protocol);
}

/*
 * service_owns says whether any service has this address. Before 6.2 a key may not lie in what a
 * function was handed, so it is copied.
 */
static __always_inline bool service_owns(const struct addr *address)
{
	struct addr key = *address;

	return bpf_map_lookup_elem(&vips, &key) != NULL;
}

/* anywhere is how any destination of a family is written in the maps. */
static __always_inline struct addr anywhere(const struct addr *like)
{
	struct addr any = {};

	if (addr_is_v4(like))
		addr_v4(&any, 0);
	return any;
}

static __always_inline bool host_is(const struct addr *address, __u32 what)
{
	struct addr key = *address;
	__u32 *host = bpf_map_lookup_elem(&hosts, &key);

	return host && *host & what;
}

/* passes_by: what is neither for this host nor for a server, nor comes from one, may be for a service of any destination. */
static __always_inline bool passes_by(const struct flow *flow)
{
	return !host_is(&flow->destination, HOST_OURS | HOST_SERVER) && !host_is(&flow->source, HOST_SERVER);
}

/*
 * service_anywhere is the one of any destination, as LVS has it by firewall marks: it is behind routers
 * and caches that the packets of others pass through.
 */
static __noinline struct service *service_anywhere(const struct flow *flow)
{
	struct addr any = anywhere(&flow->destination);

	if (!service_owns(&any) || !passes_by(flow))
		return NULL;
	struct service *service = service_of_port(&any, flow->destination_port, flow->protocol);
	return service ?: service_of_ports(&any, flow->destination_port, flow->protocol);
}

/* service_wide is the one that has more than the very address and port of a flow. */
static __noinline struct service *service_wide(const struct flow *flow)
{
	struct service *service = service_of_ports(&flow->destination, flow->destination_port, flow->protocol);

	return service ?: service_anywhere(flow);
}

/*
 * service_find prefers the service of the very port to that of a range, that to the one of all ports, as
 * IPVS does, and all of these to one of any destination. Port 0 is nobody's (RFC 6335 section 6), though it
 * is how all ports are written in the map.
 */
static __always_inline struct service *service_find(const struct flow *flow)
{
	if (!flow->destination_port)
		return NULL;
	struct service *service = service_of_port(&flow->destination, flow->destination_port, flow->protocol);
	return service ?: service_wide(flow);
}

/* service_may_have: a service has the destination of a flow, though perhaps not its port. */
static __always_inline bool service_may_have(const struct flow *flow)
{
	if (service_owns(&flow->destination))
		return true;
	struct addr any = anywhere(&flow->destination);
	return service_owns(&any) && passes_by(flow);
}

/* is_nat_server says whether answers to clients may come from this address. */
static __always_inline bool is_nat_server(const struct addr *address)
{
	struct addr key = *address;

	return bpf_map_lookup_elem(&nat_servers, &key) != NULL;
}

/*
 * martian: a source that no client can have (RFC 6890, RFC 1122 section 3.2.1.3), or the address of a
 * service, which is this host's. The kernel's routing drops these; here nobody else would.
 */
static __always_inline bool martian(const struct flow *flow)
{
	const struct addr *s = &flow->source;

	if (service_owns(s) || addr_equal(s, &flow->destination))
		return true;
	if (addr_is_v4(s)) {
		__u8 first = *(__u8 *)&s->word[3];
		return first == 0 || first == 127 || first >= 224;
	}
	if (*(__u8 *)&s->word[0] == 0xff)
		return true;
	return !s->word[0] && !s->word[1] && !s->word[2] && bpf_ntohl(s->word[3]) <= 1;
}

/* server_find returns the server only while it is the one that was meant: ids are used again. */
static __always_inline struct server *server_find(__u32 id, __u32 generation)
{
	__u64 *current = array_at(&servers, id);

	if (!current)
		return NULL;
	struct server *server = array_at(&records, *(volatile __u64 *)current);
	if (!server || server->generation != generation)
		return NULL;
	return server;
}

static __always_inline __u64 load_total(const struct load *load)
{
	return *(volatile __u64 *)&load->active + *(volatile __u64 *)&load->inactive;
}

/* load_fallen: a server that was full takes connections again. */
static __always_inline bool load_fallen(const struct load *load, const struct server *server)
{
	if (server->lower)
		return load_total(load) < server->lower;
	return load_total(load) * 4 < (__u64)server->upper * 3;
}

/*
 * server_full: it takes no new connections. The mark is looked at twice: it may be of a threshold that was
 * raised since, and of two CPUs the one that set it may have been later than the one that took it away.
 */
static __always_inline bool server_full(const struct load *load, const struct server *server)
{
	return server && server->upper && server->upper <= load->full && !load_fallen(load, server);
}

/* half_open_move moves the count of a service. */
static __always_inline void half_open_move(__u32 service, __s64 by)
{
	__u64 *count = bpf_map_lookup_elem(&half_open, &service);

	if (count)
		__sync_fetch_and_add(count, by);
}

/*
 * half_open_full: another connection of p's service would be one too many that waits for its client's
 * second packet. As many CPUs as ask at once may each begin one more. Before a connection is counted its
 * second packet may be: for that moment the count can be less than none.
 */
static __always_inline bool half_open_full(const struct packet *p)
{
	__u32 most = p->service->half_open, service = p->service->id;

	if (!most || p->facts->flow.protocol == IPPROTO_UDP)
		return false;
	__s64 *count = bpf_map_lookup_elem(&half_open, &service);
	return count && *(volatile __s64 *)count >= most;
}

/* nat_port is where NAT sends p to. */
static __always_inline __be16 nat_port(const struct packet *p)
{
	return p->server->port ?: p->facts->flow.destination_port;
}

static __always_inline struct counters *counters_at(__u32 server)
{
	return array_at(&counters, MAX_SERVICES + server);
}

/* count_connection, count_in and count_out count for the server; what a service has is the sum of its servers'. */
static __always_inline void count_connection(__u32 server)
{
	struct counters *c = counters_at(server);

	if (c)
		c->connections++;
}

static __always_inline void count_in(__u32 server, __u32 bytes)
{
	struct counters *c = counters_at(server);

	if (!c)
		return;
	c->packets_in++;
	c->bytes_in += bytes;
}

static __always_inline void count_out(__u32 server, __u32 bytes)
{
	struct counters *c = counters_at(server);

	if (!c)
		return;
	c->packets_out++;
	c->bytes_out += bytes;
}
