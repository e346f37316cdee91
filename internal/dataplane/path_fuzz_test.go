// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// fuzzConns is small enough for the table to be full now and then, where no time passes.
const fuzzConns = 1024

// FuzzPath: whatever comes in, path and twin agree about the exit and every byte. The connection
// table goes on from input to input, so a failure prints all that one needs of its frame.
func FuzzPath(f *testing.F) {
	b := newTestbed(f, fuzzConns)
	b.apply(f, world())
	for i, s := range goodFrames() {
		if i%seedEvery == 0 {
			f.Add(s.ifindex == back, packet.Build(s.layers...))
		}
	}
	last := time.Now()
	f.Fuzz(func(t *testing.T, onBack bool, frame []byte) {
		if len(frame) < leastFrame || len(frame) > mostFrame {
			return
		}
		if time.Since(last) > time.Second || b.isCrowded() {
			b.tend(t)
			last = time.Now()
		}
		ifindex := front
		if onBack {
			ifindex = back
		}
		b.frame(t, ifindex, frame)
	})
}

const (
	seedEvery = 16   // of so many frames of the tables one is a seed: they are much alike
	mostFrame = 1600 // more than fits any link
)

// goodFrames are the frames of the packet table and of goodPackets.
func goodFrames() []step {
	var steps []step
	for _, row := range packetTable() {
		steps = append(steps, row.steps...)
	}
	for _, g := range goodPackets() {
		steps = append(append(steps, g.before...), step{ifindex: g.ifindex, layers: g.layers})
	}
	return steps
}

// walkFrames is how many frames a walk has at least: then the world begins anew.
const walkFrames = 5000

// TestRandomFrames is a long walk of frames that were good once, through a world that changes under
// them. The same number gives the same walk. WEIR_FUZZ_FRAMES is how many frames all walks have.
func TestRandomFrames(t *testing.T) {
	t.Parallel()
	frames := 2 * walkFrames
	if more, err := strconv.Atoi(os.Getenv("WEIR_FUZZ_FRAMES")); err == nil {
		frames = more
	}
	length := max(walkFrames, frames/40)
	for number := range uint64(frames / length) {
		walk := func(t *testing.T) {
			w := newWalk(t, number, length)
			w.run(t)
			w.saw(t)
		}
		if !t.Run(fmt.Sprintf("walk %d", number), walk) {
			return
		}
	}
}

// mostRecent is how many frames a failure shows besides its own.
const mostRecent = 12

// walk is one of them.
type walk struct {
	*testbed
	number uint64
	length int // in frames
	random *rand.Rand
	rows   []row
	goods  []good
	talks  []talk
	crowds uint16 // clients that came in crowds
	sent   int    // frames
	done   int    // they, and what was done beside
	recent [mostRecent]deed
}

// newWalk: every second walk has a connection table that is never full, the others one that often is. Who makes room
// in it is up to the key of the table.
func newWalk(t *testing.T, number uint64, length int) *walk {
	size := uint32(128)
	if number%2 == 1 {
		size = 8192
	}
	b := newTestbed(t, size)
	b.rekey(t, number, size)
	random := rand.New(rand.NewPCG(number, 0))
	return &walk{
		testbed: b, number: number, length: length, random: random,
		rows: packetTable(), goods: goodPackets(), talks: newTalks(random),
	}
}

// run goes on until the walk is over.
func (w *walk) run(t *testing.T) {
	for i := 0; w.sent < w.length; i++ {
		if i%(w.length/9) == 0 { // three times or so: it takes as long as thousands of frames
			w.apply(t, timed(w.random, widened(w.random, shaken(w.random, world()))))
			w.did("applied another world")
		}
		if i%60 == 59 {
			w.timePasses(t)
		}
		if i%50 == 0 || w.isCrowded() {
			w.forgetFragments(t)
		}
		switch w.random.IntN(4) {
		case 0:
			w.sendMutated(t, w.oneStep())
		case 1:
			w.follow(t)
		case 2:
			w.oneField(t)
		case 3:
			w.converse(t)
		}
	}
	w.agree(t)
}

func (w *walk) sendMutated(t *testing.T, s step) {
	t.Helper()
	w.frameOnce(t, s.ifindex, mutated(w.random, s.layers))
}

func (w *walk) frameOnce(t *testing.T, ifindex int, frame []byte) {
	t.Helper()
	if time.Since(w.rounded) > twinStep/4 { // on a machine that is slow
		w.elapse(t, 0)
	}
	w.keepHops(t)
	w.sent++
	o := w.frame(t, ifindex, frame)
	w.remember(deed{string(o.verdict), frame})
	w.failed(t)
}

// deed is what was done: a frame, and what the twin said of it; or something else, which has no frame.
type deed struct {
	what  string
	frame []byte
}

func (w *walk) did(what string) { w.remember(deed{what: what}) }

func (w *walk) remember(d deed) {
	w.done++
	w.recent[w.done%mostRecent] = d
}

// failed ends a walk that has failed, and tells how it came to that.
func (w *walk) failed(t *testing.T) {
	t.Helper()
	if t.Failed() {
		t.Fatalf("walk %d, frame %d, after\n%s", w.number, w.sent, w.story())
	}
}

// story is what was done lately. It is told when something failed: to read a frame takes longer than
// to send it.
func (w *walk) story() (out string) {
	for i := range mostRecent {
		d := w.recent[(w.done+1+i)%mostRecent]
		if d.frame == nil {
			out += d.what + "\n"
			continue
		}
		out += fmt.Sprintf("%s: %s\n", d.what, text(d.frame))
	}
	return out
}

// saw: nothing that a connection may meet is left out. Where the table is often full, few are kept, and elsewhere
// nobody is evicted.
func (w *walk) saw(t *testing.T) {
	t.Helper()
	f := w.twin.fates
	t.Logf("walk %d: %+v", w.number, f)
	if full := w.number%2 == 0; f.revived == 0 || full && f.evicted == 0 || !full && (f.kept == 0 || f.woken == 0) {
		t.Errorf("walk %d tests less than it should", w.number)
	}
}

// oneStep is a frame out of its context.
func (w *walk) oneStep() step {
	row := w.rows[w.random.IntN(len(w.rows))]
	s := row.steps[w.random.IntN(len(row.steps))]
	if w.random.IntN(20) == 0 {
		s.ifindex = []int{front, back, foreign}[w.random.IntN(3)]
	}
	return s
}

// follow sends the frames of a row in their order, some of them changed.
func (w *walk) follow(t *testing.T) {
	row := w.rows[w.random.IntN(len(w.rows))]
	for _, s := range row.steps {
		if w.random.IntN(4) == 0 {
			w.sendMutated(t, s)
			continue
		}
		w.frameOnce(t, s.ifindex, packet.Build(s.layers...))
	}
}

// oneField sends a good packet with a field changed, and perhaps another one.
func (w *walk) oneField(t *testing.T) {
	g := w.goods[w.random.IntN(len(w.goods))]
	for _, s := range g.before {
		w.frameOnce(t, s.ifindex, packet.Build(s.layers...))
	}
	frame := packet.Build(g.layers...)
	fields := fieldsOf(frame)
	for range 1 + w.random.IntN(2) {
		f := fields[w.random.IntN(len(fields))]
		values := append(f.values(frame), w.random.Uint32())
		f.put(frame, values[w.random.IntN(len(values))])
	}
	w.frameOnce(t, g.ifindex, mended(w.random, frame))
}

// mended is the frame, in two of three cases with a right IPv4 checksum: otherwise few would come far.
func mended(random *rand.Rand, frame []byte) []byte {
	if random.IntN(3) > 0 && len(frame) >= 38 {
		if network := networkAt(frame); len(frame) >= network+20 && frame[network]>>4 == 4 {
			mendIPv4(frame[network:])
		}
	}
	return frame
}

// shaken is a world in which a few things are otherwise.
func shaken(random *rand.Rand, want model.DataplaneWant) model.DataplaneWant {
	return changed(want, func(s *model.ServiceWant) {
		if random.IntN(20) == 0 {
			s.Serving, s.Lingers = false, random.IntN(2) == 0
		}
		if random.IntN(3) == 0 {
			s.Persistence = anyPersistence(random, s.Key.Address)
		}
		s.Reuse = model.Reuse(random.IntN(4))
		s.OnePacket = s.Key.Protocol == model.UDP && random.IntN(4) == 0
		if random.IntN(20) == 0 && s.Key.Protocol == model.TCP {
			s.MSS = uint16(random.IntN(2000))
		}
		for i := range s.Servers {
			w := &s.Servers[i]
			switch random.IntN(60) {
			case 0:
				w.Weight = uint16(random.IntN(5))
			case 1:
				w.Local = true
			case 2:
				w.MAC = model.MAC{}
			case 3:
				w.MTU = 100 + random.IntN(1500)
			case 4:
				w.Link = 0
			case 5:
				w.Tunnel = methods[random.IntN(len(methods))].tunnel
				if w.Tunnel.Source.IsValid() && w.Tunnel.Source.Addr().Is4() != w.Key.Address.Is4() {
					w.Tunnel.Source = netip.Prefix{}
				}
			case 6:
				if w.VLAN == 0 {
					*w = onVLAN(*w)
				}
			case 7:
				if w.Key.Address.Is4() == s.Key.Address.Is4() { // only tunnels lead into another family
					w.Forwarding = everyForwarding[random.IntN(len(everyForwarding))]
				}
			}
		}
		if len(s.Servers) > 0 && random.IntN(5) == 0 {
			w := &s.Servers[random.IntN(len(s.Servers))]
			w.Weight, w.Leaving = 0, model.Leavings()[random.IntN(3)]
		}
		if len(s.Servers) > 0 && random.IntN(10) == 0 {
			at := random.IntN(len(s.Servers))
			s.Servers = slices.Delete(s.Servers, at, at+1)
		}
	})
}

// widened is a world in which services have keys more, and perhaps any destination.
func widened(random *rand.Rand, want model.DataplaneWant) model.DataplaneWant {
	var taken []model.ServiceKey
	for _, s := range want.Services {
		taken = append(taken, s.Keys()...)
	}
	for range random.IntN(20) {
		s := &want.Services[random.IntN(len(want.Services))]
		key := s.Key
		switch first := uint16(1 + random.IntN(100)); random.IntN(4) {
		case 0:
			key.Port, key.Last = first, first+1+uint16(random.IntN(100))
		case 1:
			key.Port = first
		case 2:
			key.Address = vip(familyOf(key.Address), byte(random.IntN(100)))
		case 3:
			key.Address, key.Port = anyOf(key.Address), []uint16{model.AnyPort, 80, 53}[random.IntN(3)]
			want.Own = []model.Addr{director4, director6, vip(4, 99), vip(6, 99)}
		}
		if !slices.ContainsFunc(taken, key.Overlaps) {
			s.Also, taken = append(slices.Clip(s.Also), key), append(taken, key)
		}
	}
	return want
}

func familyOf(a netip.Addr) family {
	if a.Is4() {
		return 4
	}
	return 6
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
	frame = mended(random, frame)
	for len(frame) < leastFrame {
		frame = append(frame, byte(random.Uint32()))
	}
	return frame[:min(len(frame), mostFrame)]
}

var fieldMutations = []func(*rand.Rand, packet.Layers) packet.Layers{
	func(r *rand.Rand, l packet.Layers) packet.Layers { return ttl(l, uint8(r.IntN(3))) },
	func(_ *rand.Rand, l packet.Layers) packet.Layers { return tagged(l) },
	func(r *rand.Rand, l packet.Layers) packet.Layers {
		tag := packet.VLAN{ID: [...]uint16{0, 0, frontVLAN, backVLAN, 4095}[r.IntN(5)], Priority: uint8(r.IntN(8)), DropEligible: r.IntN(2) == 0}
		return insert(l, 1, tag)
	},
	func(_ *rand.Rand, l packet.Layers) packet.Layers { return onBackVLAN(l) },
	func(_ *rand.Rand, l packet.Layers) packet.Layers { return uncut(l) },
	func(r *rand.Rand, l packet.Layers) packet.Layers { return oneFragment(r, l) },
	func(r *rand.Rand, l packet.Layers) packet.Layers {
		return with(l, func(ip *packet.IPv4) { ip.Offset = uint16([...]int{0, 1, 2, 3, 4, 8, r.IntN(8192)}[r.IntN(7)]) })
	},
	func(r *rand.Rand, l packet.Layers) packet.Layers {
		return with(l, func(f *packet.Fragment) { f.Offset, f.Flags = uint16(r.IntN(12)), uint8(r.IntN(8)) })
	},
	func(r *rand.Rand, l packet.Layers) packet.Layers { return oneExtension(r, l) },
	func(r *rand.Rand, l packet.Layers) packet.Layers {
		return with(l, func(ip *packet.IPv4) { ip.Options = optionBytes(r) })
	},
	func(r *rand.Rand, l packet.Layers) packet.Layers {
		return with(l, func(t *packet.TCP) { t.Options = optionBytes(r) })
	},
	func(r *rand.Rand, l packet.Layers) packet.Layers {
		return with(l, func(c *packet.Chunk) { c.Type = uint8(r.IntN(16)) })
	},
	func(r *rand.Rand, l packet.Layers) packet.Layers {
		return with(l, func(s *packet.SCTP) { s.Checksum = r.Uint32() })
	},
	func(r *rand.Rand, l packet.Layers) packet.Layers {
		l = with(l, func(i *packet.ICMP) { i.Type, i.Code = uint8(r.IntN(14)), uint8(r.IntN(6)) })
		return with(l, func(i *packet.ICMPv6) { i.Type, i.Code = uint8(r.IntN(6)), uint8(r.IntN(6)) })
	},
	func(r *rand.Rand, l packet.Layers) packet.Layers {
		l = with(l, func(i *packet.ICMP) { i.Checksum = uint16(r.Uint32()) })
		return with(l, func(i *packet.ICMPv6) { i.Checksum = uint16(r.Uint32()) })
	},
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

// oneFragment is one of the fragments of a packet, cut anywhere.
func oneFragment(r *rand.Rand, l packet.Layers) packet.Layers {
	frame := packet.Build(l...)
	parsed, err := packet.Parse(frame)
	_, four := packet.Find[packet.IPv4](parsed)
	_, six := packet.Find[packet.IPv6](parsed)
	if err != nil || !four && !six {
		return l
	}
	headers := throughIP(parsed)
	body := frame[len(packet.Build(headers...)):]
	begin := r.IntN(len(body)/8+1) * 8
	end := min(len(body), begin+r.IntN(8)*8)
	return fragmentOf(headers, body[begin:end], uint32(r.IntN(4)), begin, r.IntN(3) > 0)
}

// oneExtension puts one more header into the chain of an IPv6 packet.
func oneExtension(r *rand.Rand, l packet.Layers) packet.Layers {
	at := slices.IndexFunc(l, func(layer packet.Layer) bool { _, ok := layer.(packet.IPv6); return ok })
	if at < 0 {
		return l
	}
	if r.IntN(4) == 0 {
		return insert(l, at+1, packet.Fragment{ID: uint32(r.IntN(4)), Flags: uint8(r.IntN(2)), Offset: uint16(r.IntN(3))})
	}
	kind := extensionKinds[r.IntN(len(extensionKinds))]
	return insert(l, at+1, packet.Extension{Kind: kind, Body: make([]byte, r.IntN(40))})
}

// optionBytes are made of what options of IPv4 and TCP are made of.
func optionBytes(r *rand.Rand) []byte {
	b := make([]byte, r.IntN(41))
	for i := range b {
		b[i] = [...]byte{0, 1, 1, 1, 2, 2, 4, 4, 5, 7, 131, 137, 0xff, byte(r.Uint32())}[r.IntN(14)]
	}
	return b
}
