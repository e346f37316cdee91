// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/report"
	"github.com/weir-lb/weir/internal/suggest"
)

// ConnectionsFilter is which connections are asked for, in the words of the request. They are judged
// here and not by their tags, so that the answer says which is wrong, and what would be right. huma
// finds the fields of what is embedded by its exported name only.
type ConnectionsFilter struct {
	Service  string `query:"service" doc:"Those of this service only: its name, or its address and port."`
	Server   string `query:"server" doc:"Those of this server only: its address, or address and port."`
	Client   string `query:"client" doc:"Those of this client only: its address, or a network."`
	Protocol string `query:"protocol" doc:"Those of this protocol only: tcp, udp or sctp."`
	State    string `query:"state" doc:"Those in this state only, such as ESTABLISHED."`
}

// filter makes the report's filter of a request's.
func (s *Server) filter(ctx context.Context, q ConnectionsFilter) (report.Filter, error) {
	out, err := q.parse()
	if err != nil {
		return out, huma.Error400BadRequest(err.Error())
	}
	if q.Service == "" {
		return out, nil
	}
	owners, err := s.owners(ctx)
	if err != nil {
		return out, err
	}
	out.Service, err = ofService(q.Service, owners)
	return out, err
}

func (s *Server) owners(ctx context.Context) (report.Owners, error) {
	snapshot, err := s.director.Snapshot(ctx)
	if err != nil {
		return report.Owners{}, huma.Error503ServiceUnavailable(err.Error())
	}
	return snapshot.Owners(), nil
}

// ofService tells which connections belong to a service, or to two of one address and port.
func ofService(text string, owners report.Owners) (func(report.Connection) bool, error) {
	address, port, isEndpoint := endpoint(text)
	wanted := map[model.ServiceKey]bool{}
	for _, owner := range owners.All() {
		isIt := isEndpoint && !owner.By.IsRange() && owner.By.Address == address && owner.By.Port == port
		if isIt || owner.Name == text || owner.By.Where() == text || owner.By.Where()+"/"+owner.By.Protocol.String() == text {
			wanted[owner.Key] = true
		}
	}
	if len(wanted) == 0 {
		return nil, huma.Error404NotFound(fmt.Sprintf("there is no service %q; `weir services` lists them", text))
	}
	return func(c report.Connection) bool {
		owner, _ := owners.Of(c)
		return wanted[owner.Key]
	}, nil
}

// parse reads what can be judged without knowing the services.
func (q ConnectionsFilter) parse() (out report.Filter, err error) {
	if q.Protocol != "" {
		if out.Protocol, err = parseProtocol(q.Protocol); err != nil {
			return out, err
		}
	}
	if q.State != "" {
		if out.State, err = parseState(q.State); err != nil {
			return out, err
		}
	}
	if q.Client != "" {
		if out.Client, err = parseClient(q.Client); err != nil {
			return out, err
		}
	}
	if q.Server != "" {
		out.Server, err = parseServer(q.Server)
	}
	return out, err
}

func parseProtocol(text string) (model.Protocol, error) {
	p, ok := model.ParseProtocol(strings.ToLower(text))
	if !ok {
		return 0, fmt.Errorf("protocol %q: there is no such protocol: write tcp, udp or sctp", text)
	}
	return p, nil
}

func parseState(text string) (string, error) {
	states := model.ListedStates()
	state := strings.ToUpper(text)
	if slices.Contains(states, state) {
		return state, nil
	}
	hint := "write one of " + strings.Join(states, ", ")
	if meant := suggest.Closest(text, states); meant != "" {
		hint = fmt.Sprintf("did you mean %s? %s", meant, hint)
	}
	return "", fmt.Errorf("state %q: there is no such state: %s", text, hint)
}

func parseClient(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, fmt.Errorf("client %q: neither an address nor a network: write it as 203.0.113.7, or 203.0.113.0/24", text)
	}
	return p, nil
}

func parseServer(text string) (model.ServerKey, error) {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		return model.ServerKey{Address: a}, nil
	}
	address, port, ok := endpoint(text)
	if !ok {
		return model.ServerKey{}, fmt.Errorf("server %q: neither an address nor an address and port: write it as 198.51.100.11, 198.51.100.11:80 or [2001:db8::11]:80", text)
	}
	return model.ServerKey{Address: address, Port: port}, nil
}

// endpoint reads what model.HostPort writes: any port is "*".
func endpoint(text string) (address netip.Addr, port uint16, ok bool) {
	host, isAny := strings.CutSuffix(text, ":*")
	if isAny {
		text = host + ":1"
	}
	e, err := netip.ParseAddrPort(text)
	if err != nil || e.Port() == 0 || e.Addr().Zone() != "" {
		return address, 0, false
	}
	if isAny {
		return e.Addr(), model.AnyPort, true
	}
	return e.Addr(), e.Port(), true
}
