// SPDX-License-Identifier: Apache-2.0

package ipvs

import "time"

// pace keeps bursts from being lost. Nobody acknowledges, and a backup in the kernel hears by a socket with the
// default buffer of 208 KiB (sysctl sync_sock_size), which is some 90 messages: it gets 32 at once, and 128,000
// connections of IPv4 in a second.
type pace struct {
	began time.Time // of this turn
	sent  int       // in it
}

const (
	turn       = 10 * time.Millisecond
	mostInTurn = 32
)

// wait is how long the next message must wait.
func (p *pace) wait(now time.Time) time.Duration {
	if now.Sub(p.began) >= turn {
		p.began, p.sent = now, 0
	}
	if p.sent == mostInTurn {
		p.began, p.sent = p.began.Add(turn), 0
	}
	p.sent++
	return max(0, p.began.Sub(now))
}
