// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * sched.h: which server takes a new connection. A scheduler is a case in sched_next and a plain twin in
 * internal/sched; those that are tables are made there. Each handles numbers only, so the verifier
 * judges it by itself.
 */
#pragma once

#include "least.h"
#include "packet.h"
#include "rr.h"
#include "service.h"
#include "twos.h"
#include "wrr.h"

/* sched_next is the server that takes a service's next connection, or NOBODY. */
static __always_inline __u64 sched_next(__u32 service, __u32 scheduler)
{
	switch (scheduler) {
	case SCHEDULER_RR:
		return sched_rr(service);
	case SCHEDULER_WRR:
		return sched_wrr(service);
	case SCHEDULER_TWOS:
		return sched_twos(service);
	}
	return sched_least(service, scheduler);
}

/* sched_pick sets p->server, or NULL when no server takes new connections: generation 0 is that of free places, too. */
static __always_inline void sched_pick(struct packet *p)
{
	__u64 next = sched_next(p->service->id, p->service->scheduler);

	p->server = NULL;
	if (!(next >> 32))
		return;
	p->server_id = next;
	p->server = server_find(next, next >> 32);
}
