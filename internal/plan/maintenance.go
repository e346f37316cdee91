// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// lookAgain is how long a plan with a schedule holds at most: clocks are set, and machines sleep.
const lookAgain = time.Minute

// resting says who is in maintenance. A service that is stands there without a server, too.
func resting(spec model.Spec, seen model.Seen, now time.Time) map[model.ServiceServer]model.Rest {
	out := map[model.ServiceServer]model.Rest{}
	files := filesOf(seen.Maintenance)
	for _, service := range spec.Services {
		whole, all := rest(service.Maintenance, now, files.byName[service.Name])
		if all {
			out[model.ServiceServer{Service: service.Key}] = whole
			whole.Whole = true
		}
		for _, server := range service.Servers {
			one, ok := rest(server.Maintenance, now, files.of(server.Key))
			if all && !server.Sorry {
				one, ok = whole, true
			}
			if ok {
				out[model.ServiceServer{Service: service.Key, Server: server.Key}] = one
			}
		}
	}
	return out
}

// rest is a maintenance by the config, by a file if there is one, or by the clock.
func rest(of model.Maintenance, now time.Time, file *model.Rest) (model.Rest, bool) {
	switch {
	case of.Always:
		return model.Rest{Why: "by the config"}, true
	case file != nil:
		return *file, true
	}
	since, until, ok := window(of, now)
	return model.Rest{Since: since, Until: until, Why: "by schedule"}, ok
}

// window is the one that is open now.
func window(of model.Maintenance, now time.Time) (since, until time.Time, open bool) {
	for _, day := range []int{-1, 0} {
		since, until, ok := windowOf(of, now, day)
		if ok && !now.Before(since) && now.Before(until) {
			return since, until, true
		}
	}
	return time.Time{}, time.Time{}, false
}

// windowOf is the one that begins so many days from today, if one does. An hour that the clock leaves out, as in
// spring, is the one behind it.
func windowOf(of model.Maintenance, now time.Time, day int) (since, until time.Time, ok bool) {
	at := func(day, minute int) time.Time {
		return time.Date(now.Year(), now.Month(), now.Day()+day, 0, minute, 0, 0, now.Location())
	}
	since = at(day, of.From)
	until = at(day, of.To)
	if of.To < of.From {
		until = at(day+1, of.To)
	}
	return since, until, of.Scheduled() && (of.Days == 0 || of.Days.Has(at(day, 0).Weekday()))
}

// nextMaintenance is when a schedule may say something else; zero: there is none.
func nextMaintenance(spec model.Spec, now time.Time) time.Time {
	var first time.Time
	for _, service := range spec.Services {
		first = earlier(first, nextWindow(service.Maintenance, now))
		for _, server := range service.Servers {
			first = earlier(first, nextWindow(server.Maintenance, now))
		}
	}
	return first
}

func nextWindow(of model.Maintenance, now time.Time) time.Time {
	if !of.Scheduled() {
		return time.Time{}
	}
	first := now.Add(lookAgain)
	for _, day := range []int{-1, 0, 1} {
		since, until, ok := windowOf(of, now, day)
		for _, at := range []time.Time{since, until} {
			if ok && at.After(now) && at.Before(first) {
				first = at
			}
		}
	}
	return first
}

// files are those of the maintenance directory, by what they name.
type files struct {
	byName   map[string]*model.Rest
	byServer map[netip.AddrPort]*model.Rest // port 0: whatever port it has
}

func filesOf(seen model.MaintenanceFiles) files {
	out := files{map[string]*model.Rest{}, map[netip.AddrPort]*model.Rest{}}
	for name, since := range seen.Since {
		rest := &model.Rest{Since: since, Why: "file " + filepath.Join(seen.Dir, name)}
		out.byName[name] = rest
		if server, ok := serverOf(name); ok {
			out.byServer[server] = rest
		}
	}
	return out
}

// serverOf reads the name of a file as ldirectord does: an address, or an address and a port.
func serverOf(name string) (netip.AddrPort, bool) {
	if address, err := netip.ParseAddr(name); err == nil {
		return netip.AddrPortFrom(address, model.AnyPort), true
	}
	server, err := netip.ParseAddrPort(name)
	return server, err == nil && server.Port() != 0
}

func (f files) of(server model.ServerKey) *model.Rest {
	return cmp.Or(f.byServer[netip.AddrPortFrom(server.Address, server.Port)], f.byServer[netip.AddrPortFrom(server.Address, model.AnyPort)])
}

// restingServers are the servers of a service with weight 0 for those that are in maintenance: that is all that
// happens to them.
func restingServers(service model.Service, resting map[model.ServiceServer]model.Rest) []model.Server {
	if len(resting) == 0 {
		return service.Servers
	}
	out := slices.Clone(service.Servers)
	for i, server := range out {
		if _, ok := resting[model.ServiceServer{Service: service.Key, Server: server.Key}]; ok {
			out[i].Weight = 0
		}
	}
	return out
}

// maintenanceProblems are a directory that cannot be read, and files in it that mean nobody: somebody believes that
// they do.
func maintenanceProblems(spec model.Spec, seen model.MaintenanceFiles) (out []model.Problem) {
	if seen.Trouble != "" {
		out = append(out, model.Problem{What: "files of maintenance are not looked at", Why: seen.Trouble,
			Fix: "make the directory, readable for weir; until then who is in maintenance stays so"})
	}
	if names := strange(spec, seen); len(names) > 0 {
		out = append(out, model.Problem{What: "maintenance of nobody: " + names[0],
			Why: fmt.Sprintf("no server and no service is called so in %s: %s", seen.Dir, strings.Join(names[:min(3, len(names))], ", ")),
			Fix: "name files after a server (10.0.0.11 or 10.0.0.11:80) or a service, and remove others"})
	}
	return out
}

// strange are the names that mean nobody.
func strange(spec model.Spec, seen model.MaintenanceFiles) []string {
	left := maps.Clone(seen.Since)
	for name := range seen.Since {
		server, ok := serverOf(name)
		for _, service := range spec.Services {
			means := func(s model.Server) bool {
				return ok && s.Key.Address == server.Addr() && (server.Port() == model.AnyPort || s.Key.Port == server.Port())
			}
			if service.Name == name || slices.ContainsFunc(service.Servers, means) {
				delete(left, name)
			}
		}
	}
	return slices.Sorted(maps.Keys(left))
}
