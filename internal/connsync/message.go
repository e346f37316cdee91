// SPDX-License-Identifier: Apache-2.0

package connsync

import "github.com/weir-lb/weir/internal/model"

// Role is what a director serves, of all services.
type Role uint8

const (
	RoleNone Role = iota + 1 // it waits
	RoleAll                  // it is the master
	RoleSome                 // there are several virtual routers, and it is master of some
)

var roleNames = [...]string{RoleNone: "backup", RoleAll: "master", RoleSome: "mixed"}

func (r Role) String() string { return roleNames[r] }

// serves says whether it has anything to tell.
func (r Role) serves() bool { return r != RoleNone }

// hello says who is there, and how far it is.
type hello struct {
	newest, oldest uint8 // versions of the protocol that it speaks
	role           Role
	inSync         bool
	challenge      uint64 // what the peer must say to be believed, should it start again
	answer         uint64 // the peer's challenge
	accepts        epoch  // of the peer, that is believed; zero: none
	latest         uint64 // position of what was sent last
	kept           uint64 // first position that can be sent again; above latest: none
	applied        uint64 // position of the peer's stream up to which all is in the table, or given up
	services       uint64 // sum over services and servers: different ones cannot have the same connections
}

const helloSize = 4 + 8 + 8 + 16 + 4*8

func (h hello) body() []byte {
	flags := byte(0)
	if h.inSync {
		flags = 1
	}
	b := append(make([]byte, 0, helloSize), h.newest, h.oldest, byte(h.role), flags)
	b = append64(append64(b, h.challenge), h.answer)
	b = append(b, h.accepts[:]...)
	return append64(append64(append64(append64(b, h.latest), h.kept), h.applied), h.services)
}

func parseHello(body []byte) (h hello, why Reason) {
	from := reader{rest: body}
	h.newest, h.oldest, h.role = from.uint8(), from.uint8(), Role(from.uint8())
	flags := from.uint8()
	h.inSync = flags == 1
	h.challenge, h.answer = from.uint64(), from.uint64()
	h.accepts = epoch(from.take(len(h.accepts)))
	h.latest, h.kept, h.applied, h.services = from.uint64(), from.uint64(), from.uint64(), from.uint64()
	switch {
	case !from.done():
		return hello{}, ReasonLength
	case h.oldest == 0 || h.oldest > h.newest:
		return hello{}, ReasonVersion
	case h.role < RoleNone || h.role > RoleSome:
		return hello{}, ReasonRole
	case flags > 1:
		return hello{}, ReasonFlags
	case h.kept == 0 || h.latest == ^uint64(0) || h.kept > h.latest+1:
		return hello{}, ReasonPosition
	}
	return h, Taken
}

// ack says how far its sender is in the peer's stream.
type ack struct{ applied uint64 }

const ackSize = 8

func (a ack) body() []byte { return append64(nil, a.applied) }

func parseAck(body []byte) (ack, Reason) {
	from := reader{rest: body}
	a := ack{from.uint64()}
	if !from.done() {
		return ack{}, ReasonLength
	}
	return a, Taken
}

// mark says that all of some slices begins in the stream, or has ended.
type mark struct {
	position uint64
	edge     edge
	request  uint32 // of the one who asked
	slices   sliceSet
}

type edge uint8

const (
	edgeBegin  edge = iota + 1
	edgeEnd         // what was not said since begin is not there
	edgeFailed      // it cannot be said
)

const markSize = 8 + 1 + 4 + model.Slices/8

func (m mark) body() []byte {
	b := append(append64(make([]byte, 0, markSize), m.position), byte(m.edge))
	return appendSlices(append32(b, m.request), m.slices)
}

func parseMark(body []byte) (mark, Reason) {
	from := reader{rest: body}
	m := mark{position: from.uint64(), edge: edge(from.uint8()), request: from.uint32(), slices: from.slices()}
	switch {
	case !from.done():
		return mark{}, ReasonLength
	case m.position == 0:
		return mark{}, ReasonPosition
	case m.edge < edgeBegin || m.edge > edgeFailed:
		return mark{}, ReasonEdge
	case m.request == 0 || m.slices.isEmpty():
		return mark{}, ReasonSlices
	}
	return m, Taken
}

// digests are half of all: more do not fit. They count for who is as far in the stream as their sender was then.
type digests struct {
	position uint64
	round    uint32 // both halves have the same
	half     uint8
	sums     [model.Slices / 2]uint64
}

const digestsSize = 8 + 4 + 1 + model.Slices/2*8

func (d digests) body() []byte {
	b := append(append32(append64(make([]byte, 0, digestsSize), d.position), d.round), d.half)
	for _, sum := range d.sums {
		b = append64(b, sum)
	}
	return b
}

func parseDigests(body []byte) (d digests, why Reason) {
	from := reader{rest: body}
	d.position, d.round, d.half = from.uint64(), from.uint32(), from.uint8()
	for i := range d.sums {
		d.sums[i] = from.uint64()
	}
	switch {
	case !from.done():
		return digests{}, ReasonLength
	case d.half > 1:
		return digests{}, ReasonSlices
	}
	return d, Taken
}

// ask says what its sender wants.
type ask struct {
	digests bool
	request uint32 // of slices, a new number for each new wish; 0: none
	slices  sliceSet
	holes   []hole // what is missing of the stream
}

// hole is positions that follow one another.
type hole struct {
	from  uint64
	count uint16
}

const (
	askSize   = 1 + 4 + model.Slices/8
	holeSize  = 10
	mostHoles = 64
)

func (a ask) body() []byte {
	flags := byte(0)
	if a.digests {
		flags = 1
	}
	b := append(make([]byte, 0, askSize+len(a.holes)*holeSize), flags)
	b = appendSlices(append32(b, a.request), a.slices)
	for _, h := range a.holes {
		b = append16(append64(b, h.from), h.count)
	}
	return b
}

func (a ask) isEmpty() bool { return !a.digests && a.request == 0 && len(a.holes) == 0 }

func parseAsk(body []byte) (a ask, why Reason) {
	from := reader{rest: body}
	flags := from.uint8()
	a = ask{digests: flags == 1, request: from.uint32(), slices: from.slices()}
	for len(from.rest) > 0 {
		h := hole{from.uint64(), from.uint16()}
		if from.short {
			return ask{}, ReasonLength
		}
		if h.from == 0 || h.count == 0 || h.from+uint64(h.count) < h.from {
			return ask{}, ReasonPosition
		}
		a.holes = append(a.holes, h)
	}
	switch {
	case from.short:
		return ask{}, ReasonLength
	case flags > 1:
		return ask{}, ReasonFlags
	case (a.request == 0) != a.slices.isEmpty():
		return ask{}, ReasonSlices
	case a.isEmpty():
		return ask{}, ReasonCount
	}
	return a, Taken
}
