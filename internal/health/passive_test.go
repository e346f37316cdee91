// SPDX-License-Identifier: Apache-2.0

package health_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/weir-lb/weir/internal/health"
	"github.com/weir-lb/weir/internal/model"
)

var watched = model.ServiceServer{
	Service: model.ServiceKey{Address: netip.MustParseAddr("192.0.2.10"), Port: 80, Protocol: model.TCP},
	Server:  model.ServerKey{Address: netip.MustParseAddr("198.51.100.11"), Port: 80},
}

// each tick of a story is what was begun, answered and refused in it.
func TestBadSignsAreSeen(t *testing.T) {
	for name, test := range map[string]struct {
		ticks []model.Sign
		want  model.Sign // the zero value: none is bad
	}{
		"nobody comes":           {ticks: make([]model.Sign, 9)},
		"all are answered":       {ticks: []model.Sign{{}, {Begun: 100, Answered: 100}, {Begun: 100, Answered: 100}, {Begun: 100, Answered: 100}}},
		"few come":               {ticks: []model.Sign{{}, {Begun: 9}, {}, {}}},
		"answers take a while":   {ticks: []model.Sign{{}, {Begun: 100}, {Begun: 100, Answered: 100}, {Begun: 100, Answered: 100}}},
		"it has just begun":      {ticks: []model.Sign{{}, {Begun: 100}}},
		"it is known since then": {ticks: []model.Sign{{Begun: 1000}, {}, {}}},
		"none is answered":       {[]model.Sign{{}, {Begun: 10}, {}}, model.Sign{Begun: 10}},
		"one of ten is answered": {ticks: []model.Sign{{}, {Begun: 10, Answered: 1}, {}}},
		"one of eleven is":       {[]model.Sign{{}, {Begun: 11, Answered: 1}, {}}, model.Sign{Begun: 11, Answered: 1}},
		"half are refused":       {[]model.Sign{{}, {Begun: 20, Answered: 10, Refused: 10}, {}}, model.Sign{Begun: 20, Answered: 10, Refused: 10}},
		"few of a rush are":      {ticks: []model.Sign{{}, {Begun: 10, Answered: 10}, {Begun: 1000, Answered: 995, Refused: 5}}},
		"less than half are":     {ticks: []model.Sign{{}, {Begun: 20, Answered: 11, Refused: 9}, {}}},
		"it was long ago":        {ticks: []model.Sign{{}, {Begun: 100}, {}, {}, {}, {}, {}, {}}},
		"it was not":             {[]model.Sign{{}, {Begun: 100}, {}, {}, {}, {}}, model.Sign{Begun: 100}},
	} {
		var p health.Passive
		var sum model.Sign
		var got map[model.ServiceServer]model.Sign
		for _, tick := range test.ticks {
			sum = model.Sign{Begun: sum.Begun + tick.Begun, Answered: sum.Answered + tick.Answered, Refused: sum.Refused + tick.Refused}
			got = p.Tick(map[model.ServiceServer]model.Sign{watched: sum})
		}
		want := map[model.ServiceServer]model.Sign{}
		if test.want != (model.Sign{}) {
			want[watched] = test.want
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestServerOfTheSameNameIsWatchedAnew: its counts began at 0.
func TestServerOfTheSameNameIsWatchedAnew(t *testing.T) {
	var p health.Passive
	for _, begun := range []uint64{0, 1000, 5, 6, 7} {
		if bad := p.Tick(map[model.ServiceServer]model.Sign{watched: {Begun: begun, Answered: begun}}); len(bad) > 0 {
			t.Errorf("at %d: %v", begun, bad)
		}
	}
	p.Tick(nil)
	if bad := p.Tick(map[model.ServiceServer]model.Sign{watched: {Begun: 1 << 40}}); len(bad) > 0 {
		t.Errorf("who was gone is compared with what he was before: %v", bad)
	}
}

// TestBurstOfRefusalsIsSeenAtOnce: the first tick is the last look before it.
func TestBurstOfRefusalsIsSeenAtOnce(t *testing.T) {
	var p health.Passive
	look := func(refused uint64, row uint32) string {
		return p.Burst(map[model.ServiceServer]model.Sign{watched: {Begun: 100, Answered: 50, Refused: refused, Row: row}})[watched].String()
	}
	const all = "the last connections were all refused"
	const nothing = "of 0 connections begun in 10s 0 were answered"
	if got := look(9, 9); got != nothing {
		t.Errorf("who was not looked at before: %s", got)
	}
	p.Tick(map[model.ServiceServer]model.Sign{watched: {Refused: 10}})
	for _, test := range []struct {
		refused uint64
		row     uint32
		want    string
	}{
		{12, 2, nothing},
		{13, 3, all},
		{13, 3, nothing}, // it is out, and shows nothing new
		{14, 4, all},
		{20, 1, nothing},
	} {
		if got := look(test.refused, test.row); got != test.want {
			t.Errorf("%d refused, %d in a row: %s", test.refused, test.row, got)
		}
	}
}

// TestSignOfABurstLasts: two servers that are dead have it both, and neither is the better one.
func TestSignOfABurstLasts(t *testing.T) {
	var p health.Passive
	of := func(answered uint64) map[model.ServiceServer]model.Sign {
		return map[model.ServiceServer]model.Sign{watched: {Begun: 150, Answered: 50 + answered, Refused: 9, Row: 9}}
	}
	p.Tick(map[model.ServiceServer]model.Sign{watched: {Begun: 90}})
	p.Burst(of(0))
	for i := range 5 {
		if bad := p.Tick(of(0)); len(bad) != 1 {
			t.Errorf("tick %d: it is over", i)
		}
	}
	if bad := p.Tick(of(0)); len(bad) != 0 {
		t.Errorf("after all of the window: %v", bad)
	}
	p.Burst(map[model.ServiceServer]model.Sign{watched: {Begun: 151, Answered: 50, Refused: 10, Row: 10}})
	if bad := p.Tick(of(1)); len(bad) != 0 {
		t.Errorf("somebody was answered: %v", bad)
	}
}
