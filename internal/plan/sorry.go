// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"slices"

	"github.com/weir-lb/weir/internal/model"
)

// loans are what services that are the sorry service of others want of their servers. Of the others there is nothing
// in it.
type loans map[model.ServiceKey]map[model.ServerKey]model.ServerWant

func loansOf(services []model.Service) loans {
	out := loans{}
	for _, service := range services {
		for _, server := range service.Servers {
			if server.IsLent() {
				out[server.LentBy] = map[model.ServerKey]model.ServerWant{}
			}
		}
	}
	return out
}

func borrows(service model.Service) bool {
	return slices.ContainsFunc(service.Servers, model.Server.IsLent)
}

// lend notes how the servers of a service do, if others borrow them.
func (l loans) lend(service model.ServiceKey, wants []model.ServerWant) {
	lent, asked := l[service]
	for i := 0; asked && i < len(wants); i++ {
		lent[wants[i].Key] = wants[i]
	}
}

// of is a server that is lent as its own service has it now: with its weight, and with what becomes of connections.
// One that its service has no more is not in it.
func (l loans) of(server model.Server) (want model.ServerWant, ok bool) {
	for _, key := range server.LenderKeys() {
		if want, ok = l[server.LentBy][key]; ok {
			break
		}
	}
	want.Key = server.Key
	return want, ok && server.IsLent()
}

// stepIn lets sorry servers take connections while no other server does, be they down or quiesced, or while those
// that do are too few for the quorum: as with keepalived they have a rest then, if a sorry server can do their work.
// When others do again, connections that a sorry server has live on, and so do theirs. Nothing is dealt out to those
// that have a rest.
func stepIn(wants []model.ServerWant, service model.Service, quorum model.QuorumState) {
	isSorry := func(s model.Server) bool { return s.Sorry }
	if !slices.ContainsFunc(service.Servers, isSorry) {
		return
	}
	missed := service.Quorum.Weight > 0 && quorum != model.QuorumHeld
	needed := missed && serve(wants, service, true) || !serve(wants, service, false)
	for i, server := range service.Servers {
		if server.Sorry == needed {
			continue
		}
		if wants[i].Weight > 0 {
			wants[i].Weight = 0
			wants[i].Leaving = cmp.Or(wants[i].Leaving, model.Drain) // persistent clients do not stay
		}
		wants[i].Absent = true
	}
}

// serve tells whether a sorry server takes connections, or another one.
func serve(wants []model.ServerWant, service model.Service, sorry bool) bool {
	for i, server := range service.Servers {
		if server.Sorry == sorry && wants[i].Weight > 0 {
			return true
		}
	}
	return false
}
