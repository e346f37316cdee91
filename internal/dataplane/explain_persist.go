// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"fmt"

	"github.com/weir-lb/weir/internal/model"
)

// template is what a persistent service remembers of a client.
type template struct {
	entry  *entryAt   // nil: there is none
	server pathServer // that it names; generation 0: it is gone
	leaves string     // why it is not followed; "": it is
}

// lookForTemplate finds the client's template, and judges it as template_leads of bpf/persist.h does.
func (x *explaining) lookForTemplate() (err error) {
	if !x.has(pathServiceFlagSERVICE_PERSISTENT) {
		return nil
	}
	key, err := x.templateKey()
	if err != nil {
		return err
	}
	at, err := x.d.find(key)
	if err != nil || at == nil {
		return err
	}
	x.kept.entry = at
	server, err := x.d.readServer(uint32(at.conn.Server))
	if err != nil {
		return err
	}
	var timeouts pathTimeouts
	if err := x.d.path.Timeouts.Lookup(timeoutsOf(at.conn, server), &timeouts); err != nil {
		return fmt.Errorf("read timeouts: %w", err)
	}
	x.out.Template = &model.Remembered{Expires: expires(timeouts, at.conn, x.d.now(), x.d.hz)}
	if server.Generation == at.conn.ServerGeneration {
		x.kept.server = server
		name := serverKey(server)
		x.out.Template.Server = &name
	}
	x.kept.leaves = x.unfollowed(x.kept.server)
	return nil
}

// templateKey is template_key of bpf/template.h.
func (x *explaining) templateKey() (pathFlow, error) {
	var t pathTemplate
	if err := x.d.path.Templates.Lookup(x.found.Id, &t); err != nil {
		return pathFlow{}, fmt.Errorf("read templates: %w", err)
	}
	if t.Generation != x.found.Generation {
		return pathFlow{}, ErrChanging
	}
	key := toFlow(x.flow)
	for i := range key.Source.Word {
		key.Source.Word[i] &= t.Mask.Word[i]
	}
	key.Destination, key.SourcePort, key.DestinationPort, key.Protocol = t.Address, 0, t.Port, t.Protocol
	return key, nil
}

// unfollowed is why the server of a template does not get the client's next connection; "": it does.
func (x *explaining) unfollowed(server pathServer) string {
	switch {
	case server.Generation == 0:
		return "a server that is gone"
	case server.Leaving != 0:
		return fmt.Sprintf("%s, which is leaving", serverKey(server))
	case has(server, pathServerFlagSERVER_QUIESCED) && x.has(pathServiceFlagSERVICE_EXPIRE_QUIESCENT):
		return fmt.Sprintf("%s, which has weight 0 (quiescent: expire)", serverKey(server))
	case pathForwarding(server.Forwarding) == pathForwardingFORWARDING_NAT && server.Port != 0 && server.Service != x.found.Id:
		return fmt.Sprintf("%s, which is another service's, by NAT to a port of its own", serverKey(server))
	}
	return ""
}

// follows tells whether the template decides, and not the scheduler.
func (t template) follows() bool { return t.entry != nil && t.leaves == "" }

// reason says why the template decides, or is left.
func (t template) reason() string {
	switch {
	case t.entry == nil:
		return ""
	case t.leaves != "":
		return "its template leads to " + t.leaves + "; so "
	}
	return "persistence: the client's template leads there"
}
