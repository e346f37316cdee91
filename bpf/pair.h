// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* pair.h: how the two entries of a NAT connection come together, and who gives way to them. */
#pragma once

#include "conn.h"
#include "place.h"

/* conn_is_over: nobody waits for an answer of it. Both sides have closed, or one has, long ago, or a question has had its answer. */
static __always_inline bool conn_is_over(__u64 word)
{
	__u32 flags = word_flags(word);

	if (word_state(word) == CONN_UDP)
		return flags & CONN_FIN_SERVER && !(flags & CONN_SETTLED);
	return conn_closed(word) || word_state(word) == CONN_KEPT;
}

/*
 * reverse_yields ends the connection whose way back is at a position, if it is over: in IPVS, too, the
 * newest connection has the answers.
 */
__noinline bool reverse_yields(__u32 position)
{
	struct conn *entry = entry_at(position);
	struct found forward = {};

	if (!entry || !(word_flags(word_of(entry)) & CONN_REVERSE))
		return false;
	__u32 pair = ((struct reverse *)entry)->pair;
	return forward_at(&forward, pair, position) && conn_is_over(forward.word) &&
	       conn_end(pair, forward.word, NOWHERE);
}

/* reverse_join makes a pair of the two; forward is no position: the way back goes again. */
__noinline int reverse_join(__u32 reverse, __u32 forward)
{
	struct conn *entry = entry_at(reverse);

	if (!entry)
		return 0;
	if (forward < PRESENT)
		((struct reverse *)entry)->pair = forward;
	else
		conn_end(reverse, word_of(entry), NOWHERE);
	return 0;
}
