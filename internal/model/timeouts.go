// SPDX-License-Identifier: Apache-2.0

package model

import "time"

// Timeouts are how long connections are remembered without a packet, by their state. 0: IPVS's default.
type Timeouts struct {
	SynRecv, Established, FinWait, TimeWait, Close, UDP time.Duration
}

// UnsettledUDP is the most for a UDP flow whose client has sent a few datagrams only. It is not
// IPVS's: most of these are one question, or a flood. With two rounds of the sweep they are gone after
// 30 seconds.
const UnsettledUDP = 26 * time.Second

// What a timeout may be; the longest one is that of persistence in ipvsadm.
const (
	MinTimeout = time.Second
	MaxTimeout = 31 * 24 * time.Hour
)

// DefaultTimeouts are IPVS's (ip_vs_proto_tcp.c, ip_vs_proto_udp.c).
func DefaultTimeouts() Timeouts {
	return Timeouts{
		SynRecv:     time.Minute,
		Established: 15 * time.Minute,
		FinWait:     2 * time.Minute,
		TimeWait:    2 * time.Minute,
		Close:       10 * time.Second,
		UDP:         5 * time.Minute,
	}
}

// Of is the timeout of a state, one of States; nil: there is no such state.
func (t *Timeouts) Of(state string) *time.Duration {
	switch state {
	case "SYN_RECV":
		return &t.SynRecv
	case "ESTABLISHED":
		return &t.Established
	case "FIN_WAIT":
		return &t.FinWait
	case "TIME_WAIT":
		return &t.TimeWait
	case "CLOSE":
		return &t.Close
	case "UDP":
		return &t.UDP
	}
	return nil
}

// OrDefault has the default where nothing else was said.
func (t Timeouts) OrDefault() Timeouts {
	standard := DefaultTimeouts()
	for _, state := range States() {
		if own := t.Of(state); *own == 0 {
			*own = *standard.Of(state)
		}
	}
	return t
}

// StatesOf are the states that connections of a protocol can be in. SCTP has TCP's.
func StatesOf(p Protocol) []string {
	all := States()
	last := len(all) - 1
	if p == UDP {
		return all[last:]
	}
	return all[:last]
}
