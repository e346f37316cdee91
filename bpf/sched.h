// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * sched.h: which server takes a new connection, and which one a packet without. A scheduler is a case in
 * sched_next and a plain twin in internal/sched; tables are made there. Each handles numbers only, so the
 * verifier judges it by itself.
 */
#pragma once

#include "hashed.h"
#include "lblcr.h"
#include "least.h"
#include "packet.h"
#include "rr.h"
#include "service.h"
#include "twos.h"
#include "wrr.h"

/* sched_next is the server that takes the connection which p begins, or NOBODY. */
static __always_inline __u64 sched_next(struct packet *p)
{
	const struct service *service = p->service;

	switch (service->scheduler) {
	case SCHEDULER_RR:
		return sched_rr(service->id);
	case SCHEDULER_WRR:
		return sched_wrr(service->id);
	case SCHEDULER_TWOS:
		return sched_twos(service->id);
	case SCHEDULER_LBLC:
		return sched_lblc(headers_of(p), service->id, service->generation);
	case SCHEDULER_LBLCR:
		return sched_lblcr(headers_of(p), service->id, service->generation);
	case SCHEDULER_DH:
		return sched_bucket(service->id, address_fold(&p->facts->flow.destination), 0);
	case SCHEDULER_SH:
		return sched_bucket(service->id, client_key(&p->facts->flow, service->flags), service->flags);
	case SCHEDULER_MH:
		return sched_mh(service->id, client_key(&p->facts->flow, service->flags), service->flags);
	}
	return sched_least(service->id, service->scheduler);
}

/* sched_set sets p->server, or NULL where none is named: generation 0 is that of free places, too. */
static __always_inline void sched_set(struct packet *p, __u64 server)
{
	p->server = NULL;
	if (!(server >> 32))
		return;
	p->facts->server_id = (__u32)server;
	p->server = server_find(server, server >> 32);
}

/* sched_by_hash sets p->server to the one that p's flow names, or NULL. */
static __always_inline void sched_by_hash(struct packet *p)
{
	sched_set(p, sched_flow(headers_of(p), p->service->id));
}
