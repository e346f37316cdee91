// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"testing"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/report"
)

// TestRatesApproachAQuarterATime: after n ticks of a steady 1000 a second a rate is 1000 * (1 - 0.75^n), and
// goes down again as it came.
func TestRatesApproachAQuarterATime(t *testing.T) {
	var e report.Estimator
	var n uint64
	tick := func(perSecond uint64) (report.Rates, bool) {
		n += report.EstimateSeconds * perSecond
		counts := report.Counts{Connections: n, PacketsIn: 3 * n, BytesIn: 100 * n, PacketsOut: 2 * n, BytesOut: 50 * n}
		got := e.Tick(map[model.ServiceKey]report.Counts{webKey: counts}, map[model.ServiceServer]report.ServerReading{})
		rates, ok := got.Services[webKey]
		return rates, ok
	}
	if _, ok := tick(1000); ok {
		t.Error("a rate of counts that were seen once")
	}
	for _, want := range []uint64{250, 437, 578, 683} {
		got, _ := tick(1000)
		near := func(got, want uint64) bool { return got >= want && got <= want+want/100+1 }
		if !near(got.Connections, want) || !near(got.PacketsIn, 3*want) || !near(got.BytesIn, 100*want) ||
			!near(got.PacketsOut, 2*want) || !near(got.BytesOut, 50*want) {
			t.Errorf("%+v, want %d connections", got, want)
		}
	}
	for range 40 {
		tick(1000)
	}
	if got, _ := tick(1000); got.Connections != 1000 || got.BytesIn != 100_000 {
		t.Errorf("in the end %+v", got)
	}
	for range 60 {
		tick(0)
	}
	if got, _ := tick(0); got != (report.Rates{}) {
		t.Errorf("when all is quiet %+v", got)
	}
}

// TestRatesBeginAnewWithTheirCounters: a service that was removed and added again has no burst.
func TestRatesBeginAnewWithTheirCounters(t *testing.T) {
	var e report.Estimator
	key := model.ServiceServer{Service: webKey}
	at := func(n uint64) report.Estimates {
		return e.Tick(nil, map[model.ServiceServer]report.ServerReading{key: {Counts: report.Counts{PacketsIn: n}}})
	}
	at(1000)
	at(5000)
	if got, ok := at(10).Servers[key]; ok {
		t.Errorf("a rate %+v of another one's counters", got)
	}
	if got := at(30).Servers[key]; got.PacketsIn != 2 {
		t.Errorf("%+v, want a quarter of 10 a second, rounded as IPVS does", got)
	}
	e.Tick(nil, nil)
	if _, ok := at(30).Servers[key]; ok {
		t.Error("a rate of who was away")
	}
}
