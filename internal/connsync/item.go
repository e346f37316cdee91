// SPDX-License-Identifier: Apache-2.0

package connsync

import (
	"math"
	"net/netip"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// item is a record, or the identity of what has ended.
//
//	0  flags          1  itemV6 and so on
//	1  protocol       1  IANA's number
//	then of a record
//	2  what           1  the method in the upper half, the state in the lower one
//	3  left           4  seconds
//	7  client, virtual, server: address and port each
//	and of what has ended
//	2  client, virtual: address and port each
type item struct {
	record model.Record // of what has ended: what its identity says, and no more
	ended  bool
}

const (
	itemV6           = 1 << iota // client and virtual
	itemServerV6                 // the server
	itemClientClosed             // of connections
	itemServerClosed
	itemSettled
	itemPersistent
	itemEnded
	itemTemplate // of what has ended; a record's state says it

	endedFlags      = itemV6 | itemEnded | itemTemplate
	recordFlags     = itemV6 | itemServerV6 | connectionFlags | itemSettled
	connectionFlags = itemClientClosed | itemServerClosed | itemPersistent
)

// leastItem and mostItem are in bytes.
const (
	leastItem  = 2 + 2*6
	mostItem   = 7 + 3*18
	ipv4Record = 7 + 3*6
)

// stateNames are the states by their number on the wire, which never changes.
var stateNames = [...]string{1: "SYN_RECV", 2: "ESTABLISHED", 3: "FIN_WAIT", 4: "TIME_WAIT", 5: "CLOSE", 6: "UDP", 7: model.Template}

// methodNames are the forwarding methods by theirs.
var methodNames = [...]model.Forwarding{1: model.NAT, 2: model.TUN, 3: model.DR}

// numberOf is a name's number; 0: it has none.
func numberOf[T comparable](names []T, name T) byte {
	for i := 1; i < len(names); i++ {
		if names[i] == name {
			return byte(i)
		}
	}
	return 0
}

func named[T any](names []T, number byte) (name T) {
	if int(number) < len(names) {
		name = names[number]
	}
	return name
}

// endedItem is what is said of an identity that has ended.
func endedItem(id model.Identity) item {
	r := model.Record{Protocol: id.Protocol, Client: id.Client, Virtual: id.Virtual}
	if id.Template {
		r.State = model.Template
	}
	return item{record: r, ended: true}
}

// judge says whether an item may be: on the way out as on the way in.
func (i item) judge() Reason {
	r := i.record
	if why := judgeIdentity(r.Identity()); why != Taken || i.ended {
		return why
	}
	switch {
	case numberOf(methodNames[:], r.Forwarding) == 0:
		return ReasonForwarding
	case !hasState(r):
		return ReasonState
	case (r.ClientClosed || r.ServerClosed) && (r.IsTemplate() || r.Protocol == model.UDP), r.Persistent && r.IsTemplate():
		return ReasonFlags
	case r.Left <= 0 || r.Left > model.MaxTimeout:
		return ReasonLeft
	case !usable(r.Server.Addr()) || r.Server.Addr().IsUnspecified():
		return ReasonAddress
	case r.Server.Addr().Is4() != r.Virtual.Addr().Is4() && r.Forwarding != model.TUN:
		return ReasonFamily
	case r.Server.Port() == 0 && r.Forwarding == model.NAT && !r.IsTemplate():
		return ReasonPort
	}
	return Taken
}

// judgeIdentity: a template stands for a network of clients, and perhaps for any port of any address. A client may send
// from port 0 (RFC 768).
func judgeIdentity(id model.Identity) Reason {
	client, virtual := id.Client.Addr(), id.Virtual.Addr()
	switch {
	case id.Protocol != model.TCP && id.Protocol != model.UDP && id.Protocol != model.SCTP:
		return ReasonProtocol
	case !usable(client), !usable(virtual), !id.Template && (client.IsUnspecified() || virtual.IsUnspecified()):
		return ReasonAddress
	case client.Is4() != virtual.Is4():
		return ReasonFamily
	case id.Template && id.Client.Port() != 0, !id.Template && id.Virtual.Port() == 0:
		return ReasonPort
	}
	return Taken
}

func usable(a netip.Addr) bool { return a.IsValid() && !a.Is4In6() && a.Zone() == "" }

func hasState(r model.Record) bool {
	if numberOf(stateNames[:], r.State) == 0 {
		return false
	}
	return r.IsTemplate() || (r.State == "UDP") == (r.Protocol == model.UDP)
}

// size is how many bytes it takes.
func (i item) size() int {
	v6, server := i.record.Virtual.Addr().Is6(), i.record.Server.Addr().Is6()
	if i.ended {
		return 2 + 2*endSize(v6)
	}
	return 7 + 2*endSize(v6) + endSize(server)
}

func endSize(is6 bool) int {
	if is6 {
		return 18
	}
	return 6
}

// append writes one that may be. Time is rounded up: it is not over as long as it is not.
func (i item) append(b []byte) []byte {
	r := i.record
	b = append(b, i.flags(), byte(r.Protocol))
	if i.ended {
		return appendEnd(appendEnd(b, r.Client), r.Virtual)
	}
	b = append(b, numberOf(methodNames[:], r.Forwarding)<<4|numberOf(stateNames[:], r.State))
	b = append32(b, uint32((r.Left+time.Second-1)/time.Second))
	return appendEnd(appendEnd(appendEnd(b, r.Client), r.Virtual), r.Server)
}

func (i item) flags() byte {
	r := i.record
	return bit(itemV6, r.Virtual.Addr().Is6()) | bit(itemServerV6, r.Server.Addr().Is6()) |
		bit(itemClientClosed, r.ClientClosed) | bit(itemServerClosed, r.ServerClosed) |
		bit(itemSettled, r.Settled) | bit(itemPersistent, r.Persistent) |
		bit(itemEnded, i.ended) | bit(itemTemplate, i.ended && r.IsTemplate())
}

func bit(flag byte, is bool) byte {
	if is {
		return flag
	}
	return 0
}

// parseItem reads one, and judges it.
func parseItem(from *reader) (item, Reason) {
	flags := from.uint8()
	if flags&itemEnded != 0 {
		return parseEnded(from, flags)
	}
	r := model.Record{Protocol: model.Protocol(from.uint8())}
	what := from.uint8()
	r.Forwarding, r.State = named(methodNames[:], what>>4), named(stateNames[:], what&0xf)
	r.Left = time.Duration(from.uint32()) * time.Second
	r.Client, r.Virtual, r.Server = from.end(flags&itemV6 != 0), from.end(flags&itemV6 != 0), from.end(flags&itemServerV6 != 0)
	r.ClientClosed, r.ServerClosed = flags&itemClientClosed != 0, flags&itemServerClosed != 0
	r.Settled, r.Persistent = flags&itemSettled != 0, flags&itemPersistent != 0
	switch {
	case from.short:
		return item{}, ReasonCount
	case flags&^recordFlags != 0:
		return item{}, ReasonFlags
	}
	i := item{record: r}
	return i, i.judge()
}

func parseEnded(from *reader, flags byte) (item, Reason) {
	id := model.Identity{Protocol: model.Protocol(from.uint8()), Template: flags&itemTemplate != 0}
	id.Client, id.Virtual = from.end(flags&itemV6 != 0), from.end(flags&itemV6 != 0)
	switch {
	case from.short:
		return item{}, ReasonCount
	case flags&^endedFlags != 0:
		return item{}, ReasonFlags
	}
	i := endedItem(id)
	return i, i.judge()
}

// changes are the items of a datagram.
//
//	0  position  8
//	8  count     1
//	9  items
type changes struct {
	position uint64
	items    []item
}

const (
	changesSize = 8 + 1
	mostItems   = math.MaxUint8
)

func (c changes) body() []byte {
	b := append(append64(make([]byte, 0, mostBody), c.position), byte(len(c.items)))
	for _, i := range c.items {
		b = i.append(b)
	}
	return b
}

// parseChanges takes all of it, or nothing.
func parseChanges(body []byte) (c changes, why Reason) {
	from := reader{rest: body}
	c.position = from.uint64()
	count := int(from.uint8())
	switch {
	case c.position == 0:
		return changes{}, ReasonPosition
	case count == 0:
		return changes{}, ReasonCount
	}
	c.items = make([]item, 0, min(count, len(from.rest)/leastItem+1))
	for range count {
		i, why := parseItem(&from)
		if why != Taken {
			return changes{}, why
		}
		c.items = append(c.items, i)
	}
	if !from.done() {
		return changes{}, ReasonCount
	}
	return c, Taken
}
