// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"encoding/binary"
	"errors"
	"math"
	"net/netip"
	"os"
	"runtime"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/dataplane"
	"github.com/weir-lb/weir/internal/packet"
)

// needTwoCPUs is for the beginning of a test that uses onTwoCPUs.
func needTwoCPUs(t testing.TB) {
	t.Helper()
	if runtime.NumCPU() < 2 {
		dataplane.Unable(t, "needs two CPUs")
	}
}

// onTwoCPUs does a work twice at once, by threads in the testbed's namespace that stay on two CPUs.
func (b *testbed) onTwoCPUs(t testing.TB, work func(cpu int) error) {
	t.Helper()
	results := make(chan error)
	space := b.namespace(t)
	defer space.Close()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(runtime.NumCPU() + spinners))
	for cpu := range 2 {
		go func() { results <- onCPU(cpu, space, work) }()
	}
	if err := errors.Join(<-results, <-results); err != nil {
		t.Fatal(err)
	}
}

// spinners are the goroutines that wait for each other without sleep. Go would give them all that there is of
// its processors, and whoever changes the maps meanwhile would have each for ten milliseconds at a time.
const spinners = 2

// onCPU never unlocks its thread, which ends with the goroutine.
func onCPU(cpu int, space *os.File, work func(cpu int) error) error {
	runtime.LockOSThread()
	var set unix.CPUSet
	set.Set(cpu)
	if err := errors.Join(unix.SchedSetaffinity(0, &set), unix.Setns(int(space.Fd()), unix.CLONE_NEWNET)); err != nil {
		return err
	}
	return work(cpu)
}

func (b *testbed) namespace(t testing.TB) (space *os.File) {
	t.Helper()
	var err error
	b.do(func() { space, err = os.Open("/proc/thread-self/ns/net") })
	if err != nil {
		t.Fatal(err)
	}
	return space
}

// meeting lets two threads begin each turn at the same moment.
type meeting [2]atomic.Int64

// patientSpins is longer than a turn takes on a CPU that is free for it.
const patientSpins = 1 << 16

// wait sleeps when the other one does not come: its CPU has other work, and a thread that has slept is preferred
// to it. Who only yields waits for a time slice each turn.
func (m *meeting) wait(cpu int, turn int) {
	m[cpu].Store(int64(turn) + 1)
	for spins := 1; m[1-cpu].Load() <= int64(turn); spins++ {
		if spins%patientSpins == 0 {
			_ = unix.Nanosleep(&unix.Timespec{Nsec: 20_000}, nil) // it may end sooner
		}
	}
}

// leave keeps the other one from waiting for who has ended, after an error too.
func (m *meeting) leave(cpu int) { m[cpu].Store(math.MaxInt64) }

// stamp is a frame in IPv4, of TCP, or of UDP without a checksum, of which those of other clients can be made.
type stamp struct {
	frame       []byte
	client      int // where the client's address lies
	tcp         bool
	ip, segment uint16 // checksums, of client 0
}

// Places in such a frame.
const (
	stampIPSum       = 24
	stampSource      = 26
	stampDestination = 30
	stampTCPSum      = 50
)

// stampOf is of a packet of a client, or of one to it.
func stampOf(client int, layers packet.Layers) stamp {
	layers = with(layers, func(ip *packet.IPv4) {
		end := &ip.Source
		if client == stampDestination {
			end = &ip.Destination
		}
		*end = netip.AddrFrom4(stamped(0))
	})
	frame := packet.Build(with(layers, func(u *packet.UDP) { u.NoChecksum = true })...)
	s := stamp{frame: frame, client: client, ip: binary.BigEndian.Uint16(frame[stampIPSum:])}
	if _, s.tcp = packet.Find[packet.TCP](layers); s.tcp {
		s.segment = binary.BigEndian.Uint16(frame[stampTCPSum:])
	}
	return s
}

// of is the frame of a client. It lies where the one before was.
func (s stamp) of(client uint32) []byte {
	none, this := stamped(0), stamped(client)
	copy(s.frame[s.client:], this[:])
	binary.BigEndian.PutUint16(s.frame[stampIPSum:], packet.Update(s.ip, none[:], this[:]))
	if s.tcp {
		binary.BigEndian.PutUint16(s.frame[stampTCPSum:], packet.Update(s.segment, none[:], this[:]))
	}
	return s.frame
}

// stamped is a client's address.
func stamped(client uint32) (a [4]byte) {
	binary.BigEndian.PutUint32(a[:], 10<<24+client)
	return a
}
