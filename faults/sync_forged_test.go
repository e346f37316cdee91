// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/weir-lb/weir/api"
	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/lab"
	"github.com/weir-lb/weir/internal/packet"
)

// Parts of fault 22.
const (
	forgedTaken   = "forged_taken"  // datagrams that counted, although nobody with the key has sent them so
	replayTaken   = "replay_taken"  // the same of those that were sent again, to this start of the daemon and to later ones
	planted       = "planted"       // connections that one director has then, and the other one has not
	outOfSync     = "out_of_sync"   // how often a director said meanwhile that it is not in sync
	cpuOfStranger = "cpu_strangers" // the daemon's time for each of those that the kernel refuses
	cpuOfForged   = "cpu_forged"    // for each of those that look as if they came from the peer
	microseconds  = "µs a datagram" // of the daemon
)

// syncForged: a stranger on the link sends what looks like connection sync, and what he has heard of it before.
func syncForged(weir string) faults.Fault {
	return faults.Fault{
		Number: 22,
		Long:   true,
		Paired: true,
		Parts: []faults.Part{
			{Name: forgedTaken, Unit: "datagrams"}, {Name: replayTaken, Unit: "datagrams"}, {Name: planted, Unit: "connections"},
			{Name: outOfSync, Unit: "times", Timely: true},
			{Name: cpuOfStranger, Unit: microseconds, Bar: 1, Timely: true}, {Name: cpuOfForged, Unit: microseconds, Bar: 20, Timely: true},
		},
		Beside: "a host on the link of IPVS's directors made 60,000 connections with 2,000 datagrams, after at most 256 to guess the id",
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			s := newSharing(t, lab.Config{Forwarding: lab.NAT, Servers: 3, Stranger: true, Confined: true, Weir: weir},
				lab.Redundancy{Advertise: 100 * time.Millisecond, Preempt: "false"}, size.Of(100, 1000))
			a := impostor{sharing: s, each: size.Of(500, 20_000), random: rand.New(rand.NewPCG(22, 22))}
			return suffers(t, a.run)
		},
	}
}

// impostor is what a stranger sends to the backup, in the name of its master.
type impostor struct {
	*sharing
	each   int // datagrams of each kind
	random *rand.Rand
}

// run attacks a backup while its master tells it of connections. What was heard of the master is sent again, also after
// both have started anew.
func (a impostor) run(ctx context.Context, m *faults.Measured) error {
	r, err := a.inSync(ctx)
	if err != nil {
		return err
	}
	e, err := newEar(a.lab.Stranger)
	if err != nil {
		return err
	}
	defer e.close()
	session, err := a.record(ctx, r)
	if err != nil {
		return err
	}
	if err := a.forge(ctx, m, e, r, session); err != nil {
		return err
	}
	frames, err := a.towards(e, r, session)
	if err != nil {
		return err
	}
	again := func() error { return e.pour(frames) }
	anew := func() error {
		return inOrder(r.backup.Stop, r.backup.Restart, func() error { return r.backup.WaitReady(ctx) })
	}
	replayed := func(again func() error) func() error {
		return func() error { return a.counted(ctx, m, replayTaken, r, len(frames), again) }
	}
	err = inOrder(
		replayed(again),
		func() error { return a.newMaster(ctx, r) },
		replayed(again),
		replayed(func() error { return inOrder(anew, again) }),
		func() error { _, err := a.inSync(ctx); return err },
	)
	if err != nil {
		return err
	}
	n, err := a.differingAtLast(ctx)
	note(m, planted, float64(n), "")
	a.load.Close()
	return err
}

// newMaster has the master start anew, and be master again.
func (a impostor) newMaster(ctx context.Context, r roles) error {
	return inOrder(
		r.master.Stop, r.master.Restart,
		func() error { _, err := a.inSync(ctx); return err },
		func() error { return a.crown(ctx, r.master) },
		func() error { _, err := a.inSync(ctx); return err },
	)
}

// record is all that a backup hears from its start on, until it has got the connections that begin then.
func (a impostor) record(ctx context.Context, r roles) (session [][]byte, err error) {
	ear, err := newEar(&r.backup.Node)
	if err != nil {
		return nil, err
	}
	defer ear.close()
	over := make(chan struct{})
	heard := make(chan [][]byte)
	go func() {
		var all [][]byte
		ear.hear(time.Now().Add(time.Minute), func(frame []byte) bool {
			if isSync(frame) {
				all = append(all, bytes.Clone(frame))
			}
			select {
			case <-over:
				return false
			default:
				return true
			}
		})
		heard <- all
	}()
	err = inOrder(
		r.backup.Stop,
		r.backup.Restart,
		func() error { return a.load.Begin(ctx) },
		func() error { _, err := a.inSync(ctx); return err },
		func() error { return sleep(ctx, time.Second) },
	)
	close(over)
	session = <-heard
	if err == nil && len(session) < 10 {
		err = fmt.Errorf("a session of %d datagrams was heard", len(session))
	}
	return session, err
}

// isSync says whether a frame is of connection sync.
func isSync(frame []byte) bool {
	layers, err := packet.Parse(frame)
	udp, ok := packet.Find[packet.UDP](layers)
	return err == nil && ok && udp.Destination == lab.SyncPort
}

// Where a datagram begins in a frame, and what of it stands in the clear.
const (
	syncAt       = 14 + 20 + 8
	syncKey      = 4
	syncSequence = 24
	syncBody     = 32
)

// towards are frames of a session as the stranger sends them: by his own MAC, or the switch would believe that the master
// is where he is.
func (a impostor) towards(e *ear, r roles, session [][]byte) (out [][]byte, err error) {
	to, err := macOf(&r.backup.Node, lab.FirstLink)
	for _, frame := range session {
		out = append(out, a.frame(e, r, to, lab.SyncPort, frame[syncAt:]))
	}
	return out, err
}

// frame has the master's address for its source.
func (a impostor) frame(e *ear, r roles, to packet.MAC, port uint16, datagram []byte) []byte {
	return a.frameFrom(e, r.master.Address.IPv4, r, to, port, datagram)
}

func (a impostor) frameFrom(e *ear, from netip.Addr, r roles, to packet.MAC, port uint16, datagram []byte) []byte {
	return packet.Build(packet.Ethernet{Source: e.mac, Destination: to},
		packet.IPv4{Source: from, Destination: r.backup.Address.IPv4, TTL: 64, Protocol: packet.ProtocolUDP},
		packet.UDP{Source: port, Destination: lab.SyncPort}, packet.Payload(datagram))
}

// forge sends what the kernel refuses, and then what it does not.
func (a impostor) forge(ctx context.Context, m *faults.Measured, e *ear, r roles, session [][]byte) error {
	to, err := macOf(&r.backup.Node, lab.FirstLink)
	if err != nil {
		return err
	}
	real := session[len(session)-1][syncAt:]
	var strangers, forged [][]byte
	for i := range a.each {
		strangers = append(strangers, a.frameFrom(e, a.lab.Stranger.Address.IPv4, r, to, lab.SyncPort, real),
			a.frame(e, r, to, lab.SyncPort+1, real))
		forged = append(forged, a.frame(e, r, to, lab.SyncPort, a.noise()), a.frame(e, r, to, lab.SyncPort, a.later(real, i)),
			a.frame(e, r, to, lab.SyncPort, a.flipped(session)))
	}
	for _, kind := range []struct {
		part   string
		frames [][]byte
		arrive int // of them, at the daemon
	}{{cpuOfStranger, strangers, 0}, {cpuOfForged, forged, len(forged)}} {
		err := inOrder(
			func() error {
				return a.counted(ctx, m, forgedTaken, r, kind.arrive, func() error { return e.pour(kind.frames) })
			},
			func() error { _, err := a.inSync(ctx); return err },
			func() error { return a.timed(ctx, m, kind.part, r, e, kind.frames) },
		)
		if err != nil {
			return err
		}
	}
	return nil
}

// timed is what frames cost the backup's daemon, less what it needs in the same time without them.
func (a impostor) timed(ctx context.Context, m *faults.Measured, part string, r roles, e *ear, frames [][]byte) error {
	out, sent := 0, chunks(frames, len(frames)/20+1)
	spend := func(each func(some [][]byte) error) (time.Duration, error) {
		begin, err := r.backup.Usage()
		for i := 0; err == nil && i < len(sent); i++ {
			if err = each(sent[i]); err == nil {
				if peer, err := a.peer(ctx, r.backup); err != nil || peer.State != "in sync" {
					out++
				}
			}
		}
		end, unread := r.backup.Usage()
		return end.Since(begin).Daemon, errors.Join(err, unread)
	}
	began := time.Now()
	with, err := spend(e.pour)
	if err != nil {
		return err
	}
	lasts := time.Since(began) / time.Duration(len(sent))
	without, err := spend(func([][]byte) error { return sleep(ctx, lasts) })
	note(m, part, max(0, float64((with-without).Nanoseconds())/1000/float64(len(frames))), "")
	note(m, outOfSync, float64(out), "")
	return err
}

// chunks are the frames in parts.
func chunks(frames [][]byte, of int) (out [][][]byte) {
	for ; len(frames) > of; frames = frames[of:] {
		out = append(out, frames[:of])
	}
	return append(out, frames)
}

// pour sends frames at a pace at which the sockets lose nothing.
func (e *ear) pour(frames [][]byte) error {
	for i, frame := range frames {
		if err := e.say(frame); err != nil {
			return err
		}
		if i%32 == 31 {
			time.Sleep(500 * time.Microsecond)
		}
	}
	return nil
}

// counted notes how many datagrams have counted with the backup while something happened, and nothing came through of
// what its master says: all are the stranger's. So many must have come to the daemon.
func (a impostor) counted(ctx context.Context, m *faults.Measured, part string, r roles, arrive int, happen func() error) error {
	const shown = 700 * time.Millisecond // after so long what is counted is seen, and nothing is under way any more
	if err := inOrder(func() error { return a.lab.Lose(&r.master.Node, lab.Connections, 100) }, func() error { return sleep(ctx, shown) }); err != nil {
		return err
	}
	before, err := a.peer(ctx, r.backup)
	if err != nil {
		return err
	}
	if err := inOrder(happen, func() error { return sleep(ctx, shown) }); err != nil {
		return err
	}
	after, err := a.peer(ctx, r.backup)
	if err != nil {
		return err
	}
	if after.Received < before.Received || sum(after.Refused) < sum(before.Refused) {
		before = api.Peer{} // of another start
	}
	if n := sum(after.Refused) - sum(before.Refused); n < uint64(arrive)*9/10 {
		return fmt.Errorf("%s has refused %d datagrams of %d that were sent", r.backup.Name, n, arrive)
	}
	note(m, part, float64(after.Received-before.Received), "")
	return a.hear()
}

func sum(counts map[string]uint64) (n uint64) {
	for _, each := range counts {
		n += each
	}
	return n
}

// noise is of any length, and begins as a datagram does.
func (a impostor) noise() []byte {
	out := make([]byte, 2+a.random.IntN(1398))
	for i := range out {
		out[i] = byte(a.random.Uint32())
	}
	copy(out, "ws\x01")
	return out
}

// later is a datagram of the master that it has not sent yet: all is right with it but its seal.
func (a impostor) later(real []byte, i int) []byte {
	out := append(bytes.Clone(real[:syncBody]), make([]byte, 1400-syncBody)...)
	out[3] = 3 // changes, which may be so long
	binary.BigEndian.PutUint64(out[syncSequence:], 1<<32+uint64(i))
	return out
}

// flipped is one that was heard, but for a bit of its body or of its sequence.
func (a impostor) flipped(session [][]byte) []byte {
	out := bytes.Clone(session[a.random.IntN(len(session))][syncAt:])
	at := syncSequence + a.random.IntN(len(out)-syncSequence)
	out[at] ^= 1 << a.random.IntN(8)
	return out
}

// differingAtLast gives both the time to have the same.
func (a impostor) differingAtLast(ctx context.Context) (n int, err error) {
	for range 50 {
		if n, err = a.differing(ctx); err != nil || n == 0 {
			return n, err
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return n, err
		}
	}
	return n, nil
}
