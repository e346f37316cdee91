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

// idle lets this thread have what others leave of its CPU. One that sends without a pause would else keep who changes
// the maps waiting for some milliseconds each time, and what is to meet would not.
func idle() error {
	return unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}, 0)
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

// stamp is a frame of TCP, or of UDP, of which those of other clients can be made.
type stamp struct {
	frame  []byte
	client int // where the last four bytes of the client's address lie
	sums   []stampSum
}

// stampSum is a checksum: where it lies, and what it is of client 0.
type stampSum struct {
	at  int
	sum uint16
	udp bool // 0 would say that there is none
}

// Places in such a frame, without options: the last four bytes of its source, which the destination follows, and checksums.
const (
	stampClient4 = 26
	stampClient6 = 34 // the end of the address
	stampIPSum   = 24
	stampTCPSum4 = 50
	stampTCPSum6 = 70
	stampUDPSum6 = 60
)

// Whose packet a stamp is of.
const (
	stampSource      = iota // a client's
	stampDestination        // one to a client
)

// stampOf is of a packet of a client, or of one to it. In IPv4, UDP is without a checksum.
func stampOf(client int, layers packet.Layers) stamp {
	ends := func(source, destination *netip.Addr) *netip.Addr {
		if client == stampDestination {
			return destination
		}
		return source
	}
	layers = with(layers, func(ip *packet.IPv4) { *ends(&ip.Source, &ip.Destination) = netip.AddrFrom4(stamped(0)) })
	layers = with(layers, func(ip *packet.IPv6) {
		end, none := ends(&ip.Source, &ip.Destination), stamped(0)
		wide := end.As16()
		copy(wide[12:], none[:])
		*end = netip.AddrFrom16(wide)
	})
	_, isUDP := packet.Find[packet.UDP](layers)
	_, isWide := packet.Find[packet.IPv6](layers)
	if !isWide {
		layers = with(layers, func(u *packet.UDP) { u.NoChecksum = true })
	}
	s := stamp{frame: packet.Build(layers...), client: stampClient4 + client*4}
	switch {
	case isWide && isUDP:
		s.client = stampClient6 + client*16
		return s.covered(stampUDPSum6, true)
	case isWide:
		s.client = stampClient6 + client*16
		return s.covered(stampTCPSum6, false)
	case isUDP:
		return s.covered(stampIPSum, false)
	}
	return s.covered(stampIPSum, false).covered(stampTCPSum4, false)
}

// covered: the checksum there covers the client's address.
func (s stamp) covered(at int, udp bool) stamp {
	s.sums = append(s.sums, stampSum{at, binary.BigEndian.Uint16(s.frame[at:]), udp})
	return s
}

// of is the frame of a client. It lies where the one before was.
func (s stamp) of(client uint32) []byte {
	none, this := stamped(0), stamped(client)
	copy(s.frame[s.client:], this[:])
	for _, c := range s.sums {
		sum := packet.Update(c.sum, none[:], this[:])
		if c.udp && sum == 0 {
			sum = 0xffff
		}
		binary.BigEndian.PutUint16(s.frame[c.at:], sum)
	}
	return s.frame
}

// stamped is a client's address.
func stamped(client uint32) (a [4]byte) {
	binary.BigEndian.PutUint32(a[:], 10<<24+client)
	return a
}
