// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/dataplane"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// Parts of fault 47.
const (
	lostOnes   = "lost"        // connections that did not go on to their server after a flood of one datagram a source
	lostTwos   = "lost_twos"   // the same, after one of two datagrams a source
	oneWayLife = "one_way_age" // at which the last entry of the floods was gone
)

// udpFlood: datagrams of ten times as many sources as the table has room for, while others are silent.
func udpFlood() faults.Fault {
	return faults.Fault{
		Number: 47,
		Long:   true,
		Parts: []faults.Part{
			none(lostOnes, "connections"), none(lostTwos, "connections"),
			{Name: oneWayLife, Unit: "seconds", Bar: 30}, // of a clock that the test moves
		},
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			stay, sources := size.Of(300, 10_000), size.Of(50_000, 10*trialRoom)
			return inTrial(t, func(tr *trial) map[string]float64 {
				all := tr.settled(stay)
				figures := map[string]float64{}
				tr.datagrams(0, sources, 1)
				figures[lostOnes] = tr.lostOf(all)
				tr.datagrams(uint32(sources), sources/2, 2)
				figures[lostTwos] = tr.lostOf(all)
				figures[oneWayLife] = tr.oneWayAge(stay)
				return figures
			})
		},
	}
}

// settledTalk is a conversation that has proved itself, and the MAC of its server.
type settledTalk struct {
	talk
	server packet.MAC
}

// settled begins so many conversations of TCP and UDP, by each method and in both families.
func (tr *trial) settled(n int) []settledTalk {
	var all []settledTalk
	for i := range n {
		f, p := family(4+i%2*2), []model.Protocol{model.TCP, model.UDP}[i/2%2]
		m := methods[i/4%4] // dr, tun4, tun6, nat
		c, first := tr.established(f, m, p)
		for range twinSettles {
			tr.ask(c.more())
		}
		all = append(all, settledTalk{c, packet.MAC(first)})
	}
	return all
}

// datagrams sends some from each source, half of them to a service by DR, half by NAT.
func (tr *trial) datagrams(first uint32, sources, each int) {
	tr.t.Helper()
	var stamps []stamp
	for _, host := range []byte{10, 30} {
		stamps = append(stamps, stampOf(stampSource, talkTo(4, host, 53, model.UDP, 20000).open()))
	}
	var err error
	tr.do(func() {
		for i := range uint32(sources) {
			frame := stamps[i%2].of(first + i)
			for range each {
				if _, _, e := tr.path.Send(frame, front); e != nil {
					err = e
				}
			}
		}
	})
	if err != nil {
		tr.t.Fatal(err)
	}
}

// lostOf counts those whose next packet does not go to the server that the first one went to.
func (tr *trial) lostOf(all []settledTalk) float64 {
	n := 0
	for _, c := range all {
		out := tr.ask(c.more())
		if out == nil || !bytes.Equal(out[:6], c.server[:]) {
			n++
		}
	}
	return float64(n)
}

// oneWayAge moves the clock by a round of the sweep and sweeps, until there are no more connections than
// those that stay. A round is as long as the daemon takes for it.
func (tr *trial) oneWayAge(stay int) float64 {
	const round = 2 * time.Second
	age := time.Duration(0)
	for ; tr.connections() > stay && age < time.Minute; age += round {
		if err := tr.path.Age(round); err != nil {
			tr.t.Fatal(err)
		}
		if _, err := tr.path.Sweep(); err != nil {
			tr.t.Fatal(err)
		}
	}
	if left := tr.connections(); left != stay {
		tr.t.Errorf("%d connections are left, %d were to stay", left, stay)
	}
	return (age + round).Seconds() // it may have begun just after the sweep was there
}

func (tr *trial) connections() (n int) {
	tr.t.Helper()
	err := tr.path.Connections(func(dataplane.Connection) bool {
		n++
		return true
	})
	if err != nil {
		tr.t.Fatal(err)
	}
	return n
}
