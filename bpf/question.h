// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * question.h: one-packet scheduling. Each datagram is scheduled for itself and begins no connection, as in
 * IPVS (IP_VS_CONN_F_ONE_PACKET). By NAT it is remembered, so that its answer is translated, which IPVS does
 * not do. A client may ask several servers from one port: each question has its own answer. Of two services
 * with one server the second is not asked there while the first question waits: its answer would be the first's.
 *
 * A datagram in pieces begins a connection, or its pieces would go to different servers.
 */
#pragma once

#include "conn.h"
#include "create.h"
#include "csum_bytes.h"
#include "lblc.h"
#include "service.h"

static __always_inline bool is_one_packet(const struct packet *p)
{
	return p->service->flags & SERVICE_ONE_PACKET && p->facts->kind == KIND_WHOLE;
}

/* question_asked has packets looked for among answers, for some time. */
static __always_inline void question_asked(__u32 now)
{
	__u32 only = 0, *last = bpf_map_lookup_elem(&asking, &only);

	if (last && *last != now)
		*last = now;
}

/* question_waits: what p would ask was asked for somebody else, and has had no answer yet. */
static __always_inline bool question_waits(const struct flow *answer, const struct packet *p)
{
	struct question *q = bpf_map_lookup_elem(&questions, answer);

	if (!q || ago(q->back.hop_seen, QUESTION_SECONDS) || word_flags(word_of(&q->conn)) & CONN_FIN_SERVER)
		return false;
	return q->conn.destination_port != p->facts->flow.destination_port ||
	       !addr_equal(&q->conn.destination, &p->facts->flow.destination);
}

/*
 * question_keep remembers who asked what, and from where, as create makes it a pair of entries. False: the way
 * back is a connection's that is not over, or another question's, which would have the answer.
 */
static __noinline bool question_keep(struct packet *p)
{
	struct scratch *scratch = scratch_of_cpu();

	draft_reverse(p);
	if (!scratch || reverse_taken())
		return false;
	struct question *q = &scratch->question;
	struct flow *answer = &scratch->answer;
	copy(&q->back, &scratch->newcomer.draft, sizeof(q->back));
	copy(answer, &q->back.source, offsetof(struct flow, pad));
	answer->protocol = q->back.protocol;
	if (question_waits(answer, p))
		return false;
	draft_forward(p, NOWHERE);
	copy(&q->conn, &scratch->newcomer.draft, sizeof(q->conn));
	q->conn.word = word_make(bpf_get_prandom_u32(), 0, 0,
				 CONN_UDP); /* its life tells it from the next that has its place */
	bpf_map_update_elem(&questions, answer, q, BPF_ANY);
	question_asked(q->conn.seen);
	return true;
}

/* question sends a datagram on without a connection. */
static __always_inline enum verdict question(struct packet *p)
{
	p->facts->forwarding = p->server->forwarding;
	if (p->facts->forwarding == FORWARDING_NAT && !question_keep(p))
		return VERDICT_NAT_CLASH;
	count_connection(p->facts->server_id);
	return VERDICT_CONTINUE;
}

/* question_answered makes p the answer to what somebody asked lately, if it is one. */
static __noinline void question_answered(struct packet *p)
{
	struct flow flow = p->facts->flow;
	struct question *q = bpf_map_lookup_elem(&questions, &flow);

	if (!q)
		return;
	p->facts->life = word_life(word_of(&q->conn));
	/* Its place may be another question's meanwhile: then it is compared now, or its life is, in the end. */
	if (ago(q->back.hop_seen, QUESTION_SECONDS) || !entry_is((struct conn *)&q->back, &p->facts->flow))
		return;
	p->facts->position = NOWHERE;
	p->conn = &q->conn;
	p->back = &q->back;
}

/* question_find looks among the answers while somebody asks. */
static __always_inline void question_find(struct packet *p)
{
	__u32 only = 0;

	if (p->facts->flow.protocol != IPPROTO_UDP)
		return;
	__u32 *last = bpf_map_lookup_elem(&asking, &only);
	if (last && *last && !ago(*last, QUESTION_SECONDS))
		question_answered(p);
}
