// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/plan"
)

// TestPoolsKeepTheirPromises, whatever servers do, with all policies together: no weight is above what is written,
// who is well has one, who is in maintenance has none, and a sorry server is never at work beside others.
func TestPoolsKeepTheirPromises(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		var weights []uint16
		for range 1 + r.IntN(5) {
			weights = append(weights, uint16(r.IntN(20)))
		}
		s := checkedPool(weights...)
		service := &s.Services[0]
		service.SlowStart = time.Duration(r.IntN(3)*5) * time.Second
		service.Quorum = model.Quorum{Weight: r.IntN(3) * 5}
		switch r.IntN(3) {
		case 0:
			s = withSorry(s)
		case 1:
			s = withSpare(s, uint16(r.IntN(20)), uint16(r.IntN(20)))
			s.Services[1].SlowStart, s.Services[1].Panic = time.Duration(r.IntN(3)*5)*time.Second, r.IntN(3)*50
		default:
			service.Panic = r.IntN(3) * 50
		}
		seen, now := model.Seen{Network: everybody(s)}, noon
		for range 40 {
			now = now.Add(time.Duration(r.IntN(3000)) * time.Millisecond)
			seen.Health, seen.Maintenance = map[model.CheckKey]model.Health{}, files()
			for _, server := range asked(s) {
				for key, h := range found(server, "uuud?"[r.IntN(5):][:1]) {
					seen.Health[key] = h
				}
			}
			for _, server := range service.Servers {
				if r.IntN(5) == 0 {
					seen.Maintenance.Since[server.Key.Address.String()] = now
				}
			}
			before := seen
			desired, _ := plan.Make(s, seen, now)
			seen = plan.Remember(seen, desired, now)
			expectPromises(t, *service, before, desired)
			expectLoans(t, desired)
		}
	}
}

func expectPromises(t *testing.T, service model.Service, seen model.Seen, desired model.Desired) {
	t.Helper()
	standing := desired.Standings[service.Key]
	sorryWorks, othersWork := false, false
	for i, server := range service.Servers {
		weight := desired.Dataplane.Services[0].Servers[i].Weight
		_, rests := desired.Resting[model.ServiceServer{Service: service.Key, Server: server.Key}]
		if server.Sorry {
			sorryWorks = sorryWorks || weight > 0
			continue
		}
		othersWork = othersWork || weight > 0
		state := seen.Verdict(service, server).State
		setAside := service.Quorum.Weight > 0 && standing.Quorum != model.QuorumHeld
		switch {
		case weight > server.Weight, rests && weight > 0, state == model.HealthDown && weight > 0 && !standing.Panic:
			t.Fatalf("server %d of %+v has weight %d: %s, rests %t, %+v", i, service, weight, state, rests, standing)
		case state == model.HealthUp && !rests && server.Weight > 0 && weight == 0 && !setAside:
			t.Fatalf("server %d of %+v has no weight: %+v", i, service, standing)
		case state == model.HealthDown && !rests && server.Weight > 0 && standing.Panic && weight == 0:
			t.Fatalf("server %d of %+v is not kept in panic: %+v", i, service, standing)
		}
	}
	if sorryWorks && othersWork {
		t.Fatalf("%+v: the sorry server works beside others", service)
	}
}

// expectLoans: a server that is lent is as its own service has it, or has a rest.
func expectLoans(t *testing.T, desired model.Desired) {
	t.Helper()
	services := desired.Dataplane.Services
	for _, own := range services[len(services)-1].Servers {
		for _, lent := range services[0].Servers {
			rests := lent.Weight == 0 && lent.Absent
			if own.Key == lent.Key && own != lent && !rests {
				t.Fatalf("lent: %+v, and its own service has: %+v", lent, own)
			}
		}
	}
}
