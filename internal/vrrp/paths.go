// SPDX-License-Identifier: Apache-2.0

package vrrp

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// ownLink is the virtual router's own interface, among its paths. The others are numbered from 1, as they are written.
const ownLink = 0

// via is by which path an advert came.
type via struct {
	path int
	own  netip.Addr // that adverts of this one come from there
}

// paths is what is heard by which. A master hears nobody, so only a backup knows.
type paths struct {
	latest []time.Time // when each brought an advert last that counts
	since  time.Time   // each should have brought one: the master is known since then
	faults []string    // why each cannot be used; "": it can
}

// seats makes room for all of them.
func (m *machine) seats() {
	n := 1 + len(m.want.Paths)
	if len(m.paths.latest) != n {
		m.paths.latest, m.paths.faults = make([]time.Time, n), make([]string, n)
	}
}

// hearBy takes an advert in that came by a path. From there it believes the one other director alone that is named,
// and knows it by its address on the virtual router's own interface.
func (m *machine) hearBy(now time.Time, a advert, w way, by via) ([]deed, Reason) {
	if why := m.judge(now, a, w, by); why != Taken {
		return m.clash(now, conflictOf(m.want, a, w, why)), why
	}
	m.learn(a)
	m.paths.latest[by.path] = now
	if by.path != ownLink {
		w.source = m.want.Paths[by.path-1].Director
	}
	deeds, why := m.heed(now, a, w)
	deeds = append(deeds, m.clash(now, mismatch(m.want, a, w))...)
	return append(deeds, m.review(now)...), why
}

// unread is that an advert came of a version that cannot be read: it may be another director's, which knows a later one.
// What is below version 2 was never spoken.
func (m *machine) unread(now time.Time, a advert, w way, by via) []deed {
	if why := judgeWay(m.of(by), by.own, a, w); why != ReasonVersion || a.version < model.VRRP2 {
		return nil
	}
	return m.clash(now, conflictOf(m.want, a, w, ReasonVersion))
}

// of is the virtual router as it is by a path: with one peer.
func (m *machine) of(by via) model.VirtualRouter {
	router := m.want
	if by.path != ownLink {
		router.Peers = []netip.Addr{m.want.Paths[by.path-1].Peer}
	}
	return router
}

// hearsOn says whether a path has brought an advert within the time after which a master is missed.
func (m *machine) hearsOn(path int, now time.Time) bool {
	at := m.paths.latest[path]
	return !at.IsZero() && now.Sub(at) < m.down()
}

// isDeaf says whether it hears its master, but not on its own interface, and has no witness that answers there: it may
// be cut off from all but that path.
func (m *machine) isDeaf(now time.Time) bool {
	return len(m.want.Paths) > 0 && !m.hearsOn(ownLink, now) && !(len(m.want.Witness) > 0 && m.answersLately(now))
}

// expects says whether a path should bring adverts of the master: he is heard, and is the one that it leads to.
func (m *machine) expects(path int, now time.Time) bool {
	if len(m.want.Paths) == 0 || m.seen.State != model.VRRPBackup || !m.seen.Master.IsValid() || now.Sub(m.latest) >= m.down() {
		return false
	}
	return path == ownLink || m.want.Paths[path-1].Director == m.seen.Master
}

// silentAt is when a path counts as silent.
func (m *machine) silentAt(path int) time.Time {
	return later(m.paths.latest[path], m.paths.since).Add(m.down())
}

// reviewDue is when the next one may fall silent; zero: none can.
func (m *machine) reviewDue(now time.Time) (first time.Time) {
	for path := range m.paths.latest {
		if at := m.silentAt(path); m.expects(path, now) && at.After(now) && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first
}

// review looks what of the paths and witnesses is silent, and tells it if that is new.
func (m *machine) review(now time.Time) []deed {
	var silent []string
	for path, fault := range m.paths.faults {
		switch {
		case fault != "":
			silent = append(silent, fmt.Sprintf("the path by %s cannot be used: %s", m.nameOf(path), fault))
		case m.expects(path, now) && !now.Before(m.silentAt(path)):
			silent = append(silent, fmt.Sprintf("%s brings no advert of %s, who is heard otherwise", m.nameOf(path), m.seen.Master))
		}
	}
	if m.asks() && m.witness.unheard > witnessGone {
		silent = append(silent, "no witness answers ("+m.witnesses()+")")
	}
	if m.witness.doubt {
		silent = append(silent, fmt.Sprintf("adverts say priority %d until one has again", model.Doubtful))
	}
	m.reviews = m.reviewDue(now)
	text := strings.Join(silent, "; ")
	if text == m.seen.Silent {
		return nil
	}
	m.seen.Silent = text
	return []deed{{kind: tell}}
}

func (m *machine) nameOf(path int) string {
	if path == ownLink {
		return m.want.Interface
	}
	p := m.want.Paths[path-1]
	return fmt.Sprintf("%s to %s", p.Interface, p.Peer)
}

// hinder is that some paths cannot be used, each for its reason.
func (m *machine) hinder(now time.Time, faults []string) []deed {
	if m.seats(); slices.Equal(faults, m.paths.faults) {
		return nil
	}
	m.paths.faults = faults
	return m.review(now)
}
