// SPDX-License-Identifier: Apache-2.0

package model

import (
	"cmp"
	"net/netip"
	"time"
)

// Check is how a server is asked whether it does its work. It is comparable: what is asked twice in the same
// way is asked once.
type Check struct {
	Ask      Ask           // nil: there is no check
	Port     uint16        // which is asked; 0: the server's own
	Via      Via           // whom: the service's address at the server, or the server's own
	Interval time.Duration // from one question to the next
	Fast     time.Duration // the same while the verdict is changing; 0: Interval
	Timeout  time.Duration // within which an answer must come
	Rise     int           // so many good answers in a row bring a server back
	Fall     int           // so many bad ones take it out
}

// What a check has where nothing else is said.
const (
	DefaultInterval = time.Second
	DefaultTimeout  = 900 * time.Millisecond
	DefaultRise     = 2
	DefaultFall     = 3
)

// Pace is from one question to the next.
func (c Check) Pace(changing bool) time.Duration {
	if changing {
		return cmp.Or(c.Fast, c.Interval)
	}
	return c.Interval
}

// Checks are those of a server, which decide together.
type Checks struct {
	Of      []Check // empty: the server is not asked, and counts as healthy
	Any     bool    // one good check is enough; false: all must be good
	Trusted bool    // new connections come before the first verdict
	Off     bool    // somebody wants it to be not asked
}

// Ask is one kind of question. All its types are comparable structs of this package.
type Ask interface {
	Kind() string // as the config names it
}

// AskTCP wants a connection, and nothing more.
type AskTCP struct{}

func (AskTCP) Kind() string { return "tcp" }

// AskPing wants an echo. It has no port.
type AskPing struct{}

func (AskPing) Kind() string { return "ping" }

// CheckKey is a check of one endpoint: services that ask the same in the same way share it.
type CheckKey struct {
	Target netip.AddrPort
	Detour Detour // by which the target is asked; zero: it is the server's own address
	Check  Check  // its Via says only whether the detour must be gone, or the server may be asked where it cannot
}

// Server is the address of the one that is asked.
func (k CheckKey) Server() Addr {
	if k.Detour != (Detour{}) {
		return k.Detour.Server
	}
	return k.Target.Addr()
}

// Asks are the checks of a server, each with the endpoint that it asks.
func (s Service) Asks(server Server) []CheckKey {
	out := make([]CheckKey, 0, len(server.Checks.Of))
	for _, check := range server.Checks.Of {
		key := CheckKey{Target: check.target(server.Key), Check: check}
		key.Check.Via = 0
		if why, _ := NoDetour(s.Key, server, check.Ask); why == "" && check.Via != ViaServer {
			key.Check.Via = check.Via
			key.Detour = Detour{s.Key.Address, server.Key.Address, server.Forwarding, server.Tunnel}
			key.Target = netip.AddrPortFrom(s.Key.Address, cmp.Or(check.Port, server.Key.Port, s.Key.Port))
		}
		out = append(out, key)
	}
	return out
}

// target is the endpoint that is asked. To what has no port all services of a server are one.
func (c Check) target(server ServerKey) netip.AddrPort {
	if _, portless := c.Ask.(AskPing); portless {
		return netip.AddrPortFrom(server.Address, 0)
	}
	return netip.AddrPortFrom(server.Address, cmp.Or(c.Port, server.Port))
}

// Health is what a check found out.
type Health struct {
	State  HealthState
	Since  time.Time // when it became so
	Reason string    // of HealthDown: the bad answer that decided, and how many there were; of HealthUp: why it says no more
	Latest string    // of HealthDown: a later bad answer that is another one; "": none is
	Advice Advice    // of HealthUp
	Unable string    // why it cannot ask now, which leaves all else as it is; "": it can
}

// HealthState is the verdict of a check.
type HealthState uint8

const (
	HealthUnknown HealthState = iota // no answer yet
	HealthUp
	HealthDown
)

var healthStates = map[HealthState]string{HealthUnknown: "unknown", HealthUp: "up", HealthDown: "down"}

func (s HealthState) String() string { return healthStates[s] }

// Verdict is what the checks of a server found out together. A server without checks is up. Of several that say
// the same it is the one that decided: all are up since the last of them is, and one is down since the first.
func (s Seen) Verdict(service Service, server Server) Health {
	if len(server.Checks.Of) == 0 {
		return Health{State: HealthUp}
	}
	var out Health
	for i, key := range service.Asks(server) {
		if h := s.Health[key]; i == 0 || server.Checks.decides(h, out) {
			out = h
		}
	}
	return out
}

// decides tells whether a verdict counts more than another one.
func (c Checks) decides(h, other Health) bool {
	if h.State != other.State {
		return badness(h) > badness(other) != c.Any
	}
	if (h.State == HealthUp) != c.Any {
		return h.Since.After(other.Since)
	}
	return h.Since.Before(other.Since)
}

// badness orders verdicts.
func badness(h Health) int {
	return map[HealthState]int{HealthUp: 0, HealthUnknown: 1, HealthDown: 2}[h.State]
}
