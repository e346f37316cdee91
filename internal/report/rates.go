// SPDX-License-Identifier: Apache-2.0

package report

import "github.com/weir-lb/weir/internal/model"

// Rates are what was counted a second.
type Rates struct {
	Connections, PacketsIn, BytesIn, PacketsOut, BytesOut uint64
}

// Estimates are rates at one moment. Who was seen only once has none.
type Estimates struct {
	Services map[model.ServiceKey]Rates
	Servers  map[model.ServiceServer]Rates
}

// Estimator makes rates of counts, as IPVS does (ip_vs_est.c): every two seconds a rate goes a quarter of the
// way to what was counted in these. It is told the counts, and has no clock.
type Estimator struct {
	services estimates[model.ServiceKey]
	servers  estimates[model.ServiceServer]
}

// EstimateSeconds is how far apart the moments are at which an Estimator is told counts.
const EstimateSeconds = 2

// Tick takes the counts of this moment, EstimateSeconds after the last ones.
func (e *Estimator) Tick(services map[model.ServiceKey]Counts, servers map[model.ServiceServer]ServerReading) Estimates {
	counts := map[model.ServiceServer]Counts{}
	for key, reading := range servers {
		counts[key] = reading.Counts
	}
	return Estimates{e.services.tick(services), e.servers.tick(counts)}
}

type estimates[K comparable] map[K]*estimate

// tick forgets who is gone. Who has less than before is somebody else of the same name.
func (e *estimates[K]) tick(counts map[K]Counts) map[K]Rates {
	before, rates := *e, map[K]Rates{}
	*e = estimates[K]{}
	for key, now := range counts {
		old := before[key]
		if old == nil || now.less(old.last) {
			(*e)[key] = &estimate{last: now}
			continue
		}
		(*e)[key] = old
		rates[key] = old.tick(now)
	}
	return rates
}

func (c Counts) less(other Counts) bool {
	return c.Connections < other.Connections || c.PacketsIn < other.PacketsIn || c.PacketsOut < other.PacketsOut ||
		c.BytesIn < other.BytesIn || c.BytesOut < other.BytesOut
}

// estimate is in the units of IPVS: 1024ths of a connection or packet a second, 32nds of a byte.
type estimate struct {
	last Counts
	rate struct{ connections, packetsIn, bytesIn, packetsOut, bytesOut int64 }
}

const (
	shiftPackets = 9 // two seconds are the tenth bit
	shiftBytes   = 4
)

func (e *estimate) tick(now Counts) Rates {
	last := e.last
	e.last = now
	approach(&e.rate.connections, now.Connections-last.Connections, shiftPackets)
	approach(&e.rate.packetsIn, now.PacketsIn-last.PacketsIn, shiftPackets)
	approach(&e.rate.packetsOut, now.PacketsOut-last.PacketsOut, shiftPackets)
	approach(&e.rate.bytesIn, now.BytesIn-last.BytesIn, shiftBytes)
	approach(&e.rate.bytesOut, now.BytesOut-last.BytesOut, shiftBytes)
	return Rates{
		Connections: whole(e.rate.connections, shiftPackets),
		PacketsIn:   whole(e.rate.packetsIn, shiftPackets),
		BytesIn:     whole(e.rate.bytesIn, shiftBytes),
		PacketsOut:  whole(e.rate.packetsOut, shiftPackets),
		BytesOut:    whole(e.rate.bytesOut, shiftBytes),
	}
}

func approach(rate *int64, counted uint64, shift int) {
	*rate += (int64(counted<<shift) - *rate) >> 2
}

// whole rounds as IPVS does (ip_vs_read_estimator).
func whole(rate int64, shift int) uint64 {
	return uint64(rate+1<<shift-1) >> (shift + 1)
}
