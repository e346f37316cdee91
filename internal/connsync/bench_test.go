// SPDX-License-Identifier: Apache-2.0

package connsync

import (
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// greeted are two links that have accepted each other, without a network.
func greeted(b *testing.B) (now time.Time, from, to *link) {
	now = begun
	make1 := func(n byte) *link {
		return newLink(now, settings{keys: mustKeys(b, testKey), own: epoch{n}, random: randomNumber, sole: true})
	}
	from, to = make1(1), make1(2)
	from.serve(now, RoleAll)
	for deeds := to.tick(now); len(deeds) > 0; {
		var answers []deed
		for _, d := range deeds {
			other := from
			if epoch(d.datagram[8:24]) == from.with.own {
				other = to
			}
			more, _ := other.hear(now, d.datagram)
			for _, each := range more {
				if each.kind == send {
					answers = append(answers, each)
				}
			}
		}
		deeds = answers
	}
	if !from.sender.open {
		b.Fatal("they do not talk")
	}
	return now, from, to
}

func records(n int) (out []model.Record) {
	w := &world{}
	for i := range n {
		out = append(out, w.connection(i, "ESTABLISHED"))
	}
	return out
}

// BenchmarkSay is a record from queue to sealed datagram.
func BenchmarkSay(b *testing.B) {
	now, from, _ := greeted(b)
	all := records(1000)
	for n := 0; b.Loop(); n++ {
		from.change(now, item{record: all[n%1000]})
		if n%1000 == 999 {
			now = now.Add(time.Second)
			from.heard = now
			from.tick(now)
			from.sender.acknowledge(from.sender.latest)
		}
	}
}

// BenchmarkHear is a full datagram from the socket to what is to be done.
func BenchmarkHear(b *testing.B) {
	now, from, to := greeted(b)
	var items []item
	for _, r := range records(40) {
		items = append(items, item{record: r})
	}
	position := to.receiver.applied
	for b.Loop() {
		position++
		if _, why := to.hear(now, from.seal(message{kindChanges, changes{position, items}.body()})); why != Taken {
			b.Fatal(why)
		}
	}
}

// BenchmarkForged is what a datagram costs that nobody with the key has sent, and that is as near to it as can be.
func BenchmarkForged(b *testing.B) {
	now, from, to := greeted(b)
	forged := from.seal(message{kindChanges, make([]byte, mostBody)})
	forged[len(forged)-1]++
	for b.Loop() {
		if _, why := to.hear(now, forged); why != ReasonSeal {
			b.Fatal(why)
		}
	}
}

// BenchmarkReplayed is what one costs that was here before.
func BenchmarkReplayed(b *testing.B) {
	now, from, to := greeted(b)
	again := from.seal(message{kindAck, ack{1}.body()})
	to.hear(now, again)
	for b.Loop() {
		if _, why := to.hear(now, again); why != ReasonReplay {
			b.Fatal(why)
		}
	}
}
