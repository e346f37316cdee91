// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"maps"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-lb/weir/internal/dataplane"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/report"
)

// readingOf is of what a server of a service at a port has had.
func readingOf(p model.Protocol, begun uint64, signs dataplane.Signs) (model.ServiceServer, dataplane.Counters) {
	key := model.ServiceServer{
		Service: model.ServiceKey{Address: netip.MustParseAddr("192.0.2.10"), Port: 80, Protocol: p},
		Server:  model.ServerKey{Address: netip.MustParseAddr("192.0.2.11"), Port: 80},
	}
	counts := dataplane.ServerCounts{Signs: signs, Counts: dataplane.Counts{Connections: begun}}
	return key, dataplane.Counters{Servers: map[model.ServiceServer]dataplane.ServerCounts{key: counts}}
}

// TestCountsBecomeRatesAndSigns, which the owner is told of.
func TestCountsBecomeRatesAndSigns(t *testing.T) {
	play(t, web, func(s *stage) {
		s.see(mac, "192.0.2.11")
		var estimator report.Estimator
		watch := s.watch()
		for _, begun := range []uint64{0, 100, 100} {
			_, counters := readingOf(model.TCP, begun, dataplane.Signs{})
			s.counted(counters, &estimator, &watch)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		key, _ := readingOf(model.TCP, 0, dataplane.Signs{})
		if got, want := s.state.Load().seen.Signs, (map[model.ServiceServer]model.Sign{key: {Begun: 100}}); !maps.Equal(got, want) {
			t.Errorf("signs are %+v, want %+v", got, want)
		}
		if got := s.rates.Load().Servers[key].Connections; got == 0 {
			t.Error("there are no rates")
		}
	})
}

// TestSignsAreToldWhenTheyChange, those between ticks beside the others.
func TestSignsAreToldWhenTheyChange(t *testing.T) {
	var told []map[model.ServiceServer]model.Sign
	watch := signs{tell: func(now map[model.ServiceServer]model.Sign) { told = append(told, now) }}
	tick := func(p model.Protocol, begun uint64, signs dataplane.Signs) {
		_, counters := readingOf(p, begun, signs)
		watch.tick(counters)
	}
	for range 3 {
		tick(model.TCP, 7, dataplane.Signs{})
	}
	if len(told) > 0 {
		t.Errorf("told of nothing: %+v", told)
	}
	refusing := dataplane.Signs{Refused: 3, Row: 3}
	key, _ := readingOf(model.TCP, 10, refusing)
	watch.refused(map[model.ServiceServer]dataplane.Signs{key: refusing})
	for range 3 {
		tick(model.TCP, 10, refusing)
	}
	if want := (model.Sign{Burst: true}); len(told) != 1 || told[0][key] != want {
		t.Errorf("told %+v, want %+v once", told, want)
	}
	tick(model.TCP, 11, dataplane.Signs{Answered: 1, Refused: 3})
	if len(told) != 2 || len(told[1]) > 0 {
		t.Errorf("told %+v behind an answer", told)
	}
	for _, begun := range []uint64{0, 100, 100} {
		tick(model.UDP, begun, dataplane.Signs{})
	}
	if len(told) != 2 {
		t.Errorf("told of UDP: %+v", told[2:])
	}
}
