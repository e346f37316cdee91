// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"errors"
	"fmt"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/sched"
)

// ErrChanging means that what was read of the maps does not fit together: they are being changed.
var ErrChanging = errors.New("its servers are being changed: ask again; if it stays so, `weir status` says why")

// explainAttempts is how often the maps are read anew that changed meanwhile.
const explainAttempts = 3

// Explain says what becomes of the packets of a flow, as bpf/weir.bpf.c decides it, and changes nothing. It
// cannot know of connections that begin and end between its answer and the next packet.
func (d *Dataplane) Explain(flow model.Flow) (out model.Explanation, err error) {
	for range explainAttempts {
		x := explaining{d: d, flow: flow, out: model.Explanation{Flow: flow}}
		if err = x.look(); err == nil {
			err = x.explain()
		}
		if !errors.Is(err, ErrChanging) {
			return x.out, err
		}
	}
	return out, err
}

// explaining is one answer of Explain while it is made.
type explaining struct {
	d     *Dataplane
	flow  model.Flow
	out   model.Explanation
	found pathService // generation 0: there is none

	servers []candidate  // of the service, by id
	conn    *entryAt     // nil: there is none
	isBack  bool         // the flow is that of its server's answers, by NAT
	kept    template     // of the client
	table   sched.Table  // of the service; a server is named by its index in servers
	choice  sched.Choice // of the scheduler, if it was asked

	forgotten pathConnState // the state of the connection that ends first; 0: none does
}

// candidate is a server of the service, and what it has.
type candidate struct {
	id     uint32
	server pathServer
	load   pathLoad
}

// look reads what there is.
func (x *explaining) look() (err error) {
	if err := x.lookForConnection(); err != nil {
		return err
	}
	if err := x.lookForService(); err != nil || x.found.Generation == 0 {
		return err
	}
	use, err := x.d.told(x.found)
	if err != nil {
		return err
	}
	if err := x.lookForServers(use.servers); err != nil {
		return err
	}
	if x.table, err = tableOf(use.slots, x.servers); err != nil {
		return err
	}
	return x.lookForTemplate()
}

// lookForConnection is conn_find of bpf/conn.h.
func (x *explaining) lookForConnection() (err error) {
	at, err := x.d.find(toFlow(x.flow))
	if err != nil {
		return err
	}
	if at == nil {
		x.conn, err = x.d.question(toFlow(x.flow))
		x.isBack = x.conn != nil
		return err
	}
	if word(at.conn.Word).isForward() {
		x.conn = at
		return nil
	}
	x.conn, err = x.d.forwardOf(at)
	x.isBack = x.conn != nil
	return err
}

// lookForService is service_find of bpf/service.h; where it finds none it notes those that are near.
func (x *explaining) lookForService() error {
	found, err := x.d.serviceOf(x.flow)
	if err != nil {
		return err
	}
	if found != nil {
		key := firstKey(*found)
		x.found, x.out.Service = *found, &key
		x.out.Scheduler = fromScheduler(pathScheduler(found.Scheduler))
		return nil
	}
	keys, err := x.d.readKeys()
	x.out.Others = keys.at(toAddr(x.flow.Virtual.Addr()))
	return err
}

// lookForServers reads those of the service; an id may be another one's meanwhile.
func (x *explaining) lookForServers(servers []placed) (err error) {
	for _, s := range servers {
		c := candidate{id: s.id}
		if c.server, err = x.d.readServer(s.id); err != nil {
			return err
		}
		if c.server.Generation == 0 || c.server.Service != x.found.Id || c.server.ServiceGeneration != x.found.Generation {
			continue
		}
		if err := x.d.path.Loads.Lookup(s.id, &c.load); err != nil {
			return fmt.Errorf("read load of server %d: %w", s.id, err)
		}
		x.servers = append(x.servers, c)
	}
	return nil
}

// explain says what becomes of a packet of the connection, if there is one, of one that begins a
// connection, and of one that does neither.
func (x *explaining) explain() error {
	begins := true
	if x.conn != nil {
		known, anew, err := x.resume()
		if err != nil {
			return err
		}
		x.out.Connection, begins = known, anew
	}
	if begins {
		way, err := x.begin()
		if err != nil {
			return err
		}
		x.out.New = &way
	}
	if x.conn == nil && x.flow.Protocol != model.UDP && x.found.Generation != 0 {
		way, err := x.stray()
		if err != nil {
			return err
		}
		x.out.Stray = &way
	}
	x.out.Servers = x.listed()
	return nil
}

// listed are the servers as the scheduler saw them, if it was asked.
func (x *explaining) listed() (out []model.Candidate) {
	for i, c := range x.servers {
		line := model.Candidate{
			Key: serverKey(c.server), Weight: c.server.Weight, Active: c.load.Active, Inactive: c.load.Inactive,
			Compared: x.choice.Compared[i], Passed: c.passed(),
		}
		if x.choice.Shares != nil {
			share := x.choice.Shares[i]
			line.Share = &share
		}
		out = append(out, line)
	}
	return out
}

// passed is why a server gets no new connections, by what the path is told of it.
func (c candidate) passed() model.Passed {
	const reachable = pathServerFlagSERVER_RESOLVED | pathServerFlagSERVER_LOCAL
	switch {
	case c.server.Leaving != 0:
		return model.PassedLeaving
	case c.server.Weight == 0 && !has(c.server, reachable):
		return model.PassedUnreachable
	case c.server.Weight == 0:
		return model.PassedWeight
	case isFull(c.load, c.server):
		return model.PassedFull
	}
	return 0
}

// has tells whether a server has one of the flags.
func has(s pathServer, flags pathServerFlag) bool { return pathServerFlag(s.Flags)&flags != 0 }
