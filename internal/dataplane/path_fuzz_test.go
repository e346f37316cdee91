// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// fuzzConns is small enough for the table to be full now and then.
const fuzzConns = 1024

// FuzzPath: whatever comes in, path and twin agree about the exit and every byte. The connection
// table goes on from input to input, so a failure prints all that one needs of its frame.
func FuzzPath(f *testing.F) {
	b := newTestbed(f, fuzzConns)
	b.apply(f, world())
	for _, row := range packetTable() {
		for _, s := range row.steps {
			f.Add(s.ifindex == back, packet.Build(s.layers...))
		}
	}
	f.Fuzz(func(t *testing.T, onBack bool, frame []byte) {
		if len(frame) < leastFrame || len(frame) > mostFrame {
			return
		}
		ifindex := front
		if onBack {
			ifindex = back
		}
		b.frame(t, ifindex, frame)
	})
}

// mostFrame is more than fits any link.
const mostFrame = 1600

// TestRandomFrames is a long walk of frames that were good once, through a world that changes
// under them. The same number gives the same walk.
func TestRandomFrames(t *testing.T) {
	for walk := range uint64(2) {
		b := newTestbed(t, fuzzConns)
		random := rand.New(rand.NewPCG(walk, 0))
		var steps []step
		for _, row := range packetTable() {
			steps = append(steps, row.steps...)
		}
		for i := range 5000 {
			if i%1000 == 0 {
				b.apply(t, shaken(random, world()))
			}
			s := steps[random.IntN(len(steps))]
			b.frame(t, s.ifindex, mutated(random, s.layers))
			if t.Failed() {
				t.Fatalf("walk %d, frame %d", walk, i)
			}
		}
		b.compareCounters(t)
		b.compareConnections(t)
	}
}

// shaken is a world in which a few things are otherwise.
func shaken(random *rand.Rand, want model.DataplaneWant) model.DataplaneWant {
	return changed(want, func(s *model.ServiceWant) {
		if random.IntN(20) == 0 {
			s.Serving = false
		}
		for i := range s.Servers {
			w := &s.Servers[i]
			switch random.IntN(30) {
			case 0:
				w.Weight = uint16(random.IntN(5))
			case 1:
				w.Local = true
			case 2:
				w.MAC = model.MAC{}
			case 3:
				if w.Key.Address.Is4() == s.Key.Address.Is4() { // only tunnels lead into another family
					w.Forwarding = everyForwarding[random.IntN(len(everyForwarding))]
				}
			}
		}
		if len(s.Servers) > 0 && random.IntN(10) == 0 {
			at := random.IntN(len(s.Servers))
			s.Servers = slices.Delete(s.Servers, at, at+1)
		}
	})
}

// mutated is a frame with a few fields and bytes changed; one in four stays good.
func mutated(random *rand.Rand, layers packet.Layers) []byte {
	for range random.IntN(3) {
		layers = fieldMutations[random.IntN(len(fieldMutations))](random, layers)
	}
	frame := packet.Build(layers...)
	for range random.IntN(3) {
		frame = byteMutations[random.IntN(len(byteMutations))](random, frame)
	}
	for len(frame) < leastFrame {
		frame = append(frame, byte(random.Uint32()))
	}
	return frame[:min(len(frame), mostFrame)]
}

var fieldMutations = []func(*rand.Rand, packet.Layers) packet.Layers{
	func(r *rand.Rand, l packet.Layers) packet.Layers { return ttl(l, uint8(r.IntN(3))) },
	func(_ *rand.Rand, l packet.Layers) packet.Layers { return tagged(l) },
	func(r *rand.Rand, l packet.Layers) packet.Layers {
		return append(slices.Clone(l), packet.Payload(make([]byte, r.IntN(mostFrame))))
	},
	func(r *rand.Rand, l packet.Layers) packet.Layers {
		return append(slices.Clone(l), packet.Trailer(make([]byte, r.IntN(60))))
	},
	func(r *rand.Rand, l packet.Layers) packet.Layers {
		return with(l, func(t *packet.TCP) { t.Flags = packet.TCPFlags(r.IntN(256)) })
	},
	func(r *rand.Rand, l packet.Layers) packet.Layers {
		return with(l, func(t *packet.TCP) { t.Checksum = uint16(r.Uint32()) })
	},
	func(r *rand.Rand, l packet.Layers) packet.Layers {
		return with(l, func(t *packet.TCP) { t.Options = make([]byte, r.IntN(41)) })
	},
	func(r *rand.Rand, l packet.Layers) packet.Layers {
		return with(l, func(t *packet.TCP) { t.DataOffset = uint8(r.IntN(16)) })
	},
	func(r *rand.Rand, l packet.Layers) packet.Layers {
		return with(l, func(u *packet.UDP) { u.Checksum, u.NoChecksum = uint16(r.Uint32()), r.IntN(2) == 0 })
	},
	func(r *rand.Rand, l packet.Layers) packet.Layers {
		return with(l, func(u *packet.UDP) { u.Length = uint16(r.IntN(40)) })
	},
	func(r *rand.Rand, l packet.Layers) packet.Layers {
		return with(l, func(ip *packet.IPv4) { ip.Options = make([]byte, r.IntN(41)) })
	},
	func(r *rand.Rand, l packet.Layers) packet.Layers {
		return with(l, func(ip *packet.IPv4) {
			ip.TOS, ip.ID, ip.Flags = uint8(r.Uint32()), uint16(r.Uint32()), uint8(r.IntN(8))
		})
	},
	func(r *rand.Rand, l packet.Layers) packet.Layers {
		return with(l, func(ip *packet.IPv4) { ip.Checksum = []uint16{1, 0xfeff, 0xff00, 0xffff, 0xfffe}[r.IntN(5)] })
	},
	func(r *rand.Rand, l packet.Layers) packet.Layers {
		return with(l, func(ip *packet.IPv6) { ip.TrafficClass, ip.FlowLabel = uint8(r.Uint32()), r.Uint32() })
	},
	func(r *rand.Rand, l packet.Layers) packet.Layers {
		return with(l, func(ip *packet.IPv6) { ip.Next = packet.Protocol(r.IntN(256)) })
	},
	func(r *rand.Rand, l packet.Layers) packet.Layers {
		if len(l) < 3 {
			return l
		}
		return lengthen(l, r.IntN(9)-4)
	},
	func(r *rand.Rand, l packet.Layers) packet.Layers { return fromMAC(l, macOf(byte(r.Uint32()))) },
	func(r *rand.Rand, l packet.Layers) packet.Layers {
		return toMAC(l, [...]packet.MAC{frontMAC, backMAC, gatewayMAC}[r.IntN(3)])
	},
}

var byteMutations = []func(*rand.Rand, []byte) []byte{
	func(r *rand.Rand, b []byte) []byte { // one bit
		if len(b) > 0 {
			b[r.IntN(len(b))] ^= 1 << r.IntN(8)
		}
		return b
	},
	func(r *rand.Rand, b []byte) []byte { // one byte of the headers
		if len(b) > 0 {
			b[r.IntN(min(len(b), 80))] = [...]byte{0, 1, 0x40, 0x7f, 0x80, 0xff, byte(r.Uint32())}[r.IntN(7)]
		}
		return b
	},
	func(r *rand.Rand, b []byte) []byte { return b[:r.IntN(len(b)+1)] },
	func(r *rand.Rand, b []byte) []byte { return append(b, make([]byte, r.IntN(64))...) },
	func(r *rand.Rand, b []byte) []byte { // a stretch twice
		at := r.IntN(len(b) + 1)
		return slices.Insert(b, at, slices.Clone(b[at:min(len(b), at+r.IntN(20))])...)
	},
}
