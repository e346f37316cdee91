// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
)

// group6 is the kernel's usual one in IPv6.
var group6 = netip.MustParseAddrPort("[ff02::81]:8848")

// run collects what a socket hears. The answer ends it, and is all of that.
func run(t *testing.T, s *Socket) (stop func() []model.Record) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	var heard []model.Record
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, func(records []model.Record) { heard = append(heard, records...) }) }()
	return func() []model.Record {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		return heard
	}
}

// many are connections of clients of their own.
func many(n int) (out []model.Record) {
	for i := range n {
		ip := binary.BigEndian.AppendUint32(nil, 10<<24|uint32(i))
		client, _ := netip.AddrFromSlice(ip)
		out = append(out, model.Record{Protocol: model.TCP, Client: netip.AddrPortFrom(client, 40000), Virtual: tcp4.virtual,
			Server: tcp4.server, Forwarding: model.DR, State: "ESTABLISHED", Settled: true, Left: 15 * time.Minute})
	}
	return out
}

func TestOneTellsAnother(t *testing.T) {
	left, right := newLAN(t)
	for _, group := range []netip.AddrPort{{}, group6, netip.MustParseAddrPort("239.1.2.3:9999")} {
		config := Config{Group: group, SyncID: 7}
		here, there := left.open(config), right.open(config)
		stop, own := run(t, there), run(t, here)
		records := append(many(100), told()...)
		for i := range records {
			records[i].Left = time.Minute
		}
		begun := records[0]
		begun.State = "SYN_RECV"
		if err := here.Send(t.Context(), slices.Values(append(slices.Clone(records), begun))); err != nil {
			t.Fatalf("%s: %v", group, err)
		}
		within(t, group.String(), func() bool { return there.Counts().Records == uint64(len(records)) })
		if heard := stop(); !reflect.DeepEqual(heard, records) {
			t.Errorf("%s: heard %d records, told %d, or other ones", group, len(heard), len(records))
		}
		if heard := own(); len(heard) > 0 {
			t.Errorf("%s: heard %d records of its own", group, len(heard))
		}
		sent, heard := here.Counts(), there.Counts()
		want := Counts{Sent: sent.Sent, Told: uint64(len(records)), Untold: 1, Refused: map[Reason]uint64{}}
		if !reflect.DeepEqual(sent, want) || sent.Sent < 4 || sent.Sent > 8 {
			t.Errorf("%s: %+v", group, sent)
		}
		want = Counts{Heard: sent.Sent, Records: uint64(len(records)), Refused: map[Reason]uint64{}}
		if !reflect.DeepEqual(heard, want) {
			t.Errorf("%s: %+v", group, heard)
		}
	}
}

func TestRunCanBeCalledAgain(t *testing.T) {
	left, right := newLAN(t)
	here, there := left.open(Config{}), right.open(Config{})
	for i := range 2 {
		stop := run(t, there)
		if err := here.Send(t.Context(), slices.Values(many(1))); err != nil {
			t.Fatal(err)
		}
		within(t, "a record", func() bool { return there.Counts().Records == uint64(i+1) })
		stop()
	}
}

func TestStrangersAreNotHeard(t *testing.T) {
	left, right := newLAN(t)
	for _, group := range []netip.AddrPort{DefaultGroup(), group6} {
		other := left.open(Config{Group: group, SyncID: 8})
		for name, c := range map[string]struct {
			config Config
			want   Reason
		}{
			"of another id":       {Config{SyncID: 7}, ReasonSyncID},
			"of somebody else":    {Config{From: []netip.Addr{addr("192.0.2.9"), addr("fe80::9")}}, ReasonSource},
			"of whoever may tell": {Config{From: []netip.Addr{addr("192.0.2.1"), addr("fe80::1")}}, Taken},
			"of any id":           {Config{}, Taken},
		} {
			c.config.Group = group
			s := right.open(c.config)
			stop := run(t, s)
			if err := other.Send(t.Context(), slices.Values(many(1))); err != nil {
				t.Fatal(err)
			}
			within(t, name, func() bool { return s.tally.judged[c.want].Load() == 1 })
			if heard := stop(); (len(heard) == 1) != (c.want == Taken) {
				t.Errorf("%s: %v", name, heard)
			}
			s.Close()
		}
	}
}

// TestOnlyTheGroupIsHeard sends to the port, but to the host: routers would let that through.
func TestOnlyTheGroupIsHeard(t *testing.T) {
	left, right := newLAN(t)
	here, there := left.open(Config{}), right.open(Config{})
	stop := run(t, there)
	left.do(func() error {
		conn, err := net.Dial("udp4", "192.0.2.2:8848")
		if err != nil {
			return err
		}
		defer conn.Close()
		_, _ = conn.Write(messageOf(tcp4, tcp4)) // nobody has the port, and the kernel may say so
		return nil
	})
	if err := here.Send(t.Context(), slices.Values(many(1))); err != nil {
		t.Fatal(err)
	}
	within(t, "a record", func() bool { return there.Counts().Records == 1 })
	if stop(); there.Counts().Heard != 1 {
		t.Errorf("%+v", there.Counts())
	}
}

// roomFor makes the buffer of a socket as small as somebody else's.
func roomFor(t *testing.T, s *Socket, bytes int) {
	t.Helper()
	raw, err := s.conn.SyscallConn()
	if err == nil {
		failed := raw.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, bytes/2) // the kernel doubles it
		})
		err = errors.Join(err, failed)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestABurstIsHeardWhole(t *testing.T) {
	left, right := newLAN(t)
	here, there := left.open(Config{}), right.open(Config{})
	stop := run(t, there)
	const n = 10_000
	begin := time.Now()
	if err := here.Send(t.Context(), slices.Values(many(n))); err != nil {
		t.Fatal(err)
	}
	if took, least := time.Since(begin), turn*time.Duration(here.Counts().Sent/mostInTurn-1); took < least {
		t.Errorf("%d records were told in %s, which is less than %s", n, took, least)
	}
	within(t, "all records", func() bool { return there.Counts().Records == n })
	stop()
}

// TestOverrunIsCounted hears nothing for a while.
func TestOverrunIsCounted(t *testing.T) {
	left, right := newLAN(t)
	here, there := left.open(Config{}), right.open(Config{})
	roomFor(t, there, 8192)
	if err := here.Send(t.Context(), slices.Values(many(1000))); err != nil {
		t.Fatal(err)
	}
	stop := run(t, there)
	within(t, "the count of what was lost", func() bool {
		if err := here.Send(t.Context(), slices.Values(many(1))); err != nil {
			t.Fatal(err)
		}
		return there.Counts().Overrun > 0
	})
	if stop(); there.Counts().Heard+there.Counts().Overrun > here.Counts().Sent {
		t.Errorf("%+v of %+v", there.Counts(), here.Counts())
	}
}

func TestASendEndsWithItsContext(t *testing.T) {
	left, _ := newLAN(t)
	here := left.open(Config{})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := here.Send(ctx, func(yield func(model.Record) bool) {
		for r := many(1)[0]; yield(r); {
		}
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it ended with %v", err)
	}
}

// TestWhatCannotGoIsCounted has no link.
func TestWhatCannotGoIsCounted(t *testing.T) {
	left, _ := newLAN(t)
	here := left.open(Config{})
	left.Run("ip link set eth0 down")
	err := here.Send(t.Context(), slices.Values(many(100)))
	if got := here.Counts(); err == nil || got.Unsent != 3 || got.Sent != 0 {
		t.Errorf("%v, %+v", err, got)
	}
	left.Run("ip link set eth0 up")
	left.works()
	if err := here.Send(t.Context(), slices.Values(many(1))); err != nil {
		t.Error(err)
	}
}

func TestPaceIsKept(t *testing.T) {
	p, now := pace{}, time.Unix(1000, 0)
	begin, inTurn := now, map[time.Duration]int{}
	for range 1000 {
		now = now.Add(p.wait(now))
		inTurn[now.Sub(begin).Truncate(turn)]++
	}
	for at, n := range inTurn {
		if n > mostInTurn {
			t.Errorf("%d messages within %s after %s", n, turn, at)
		}
	}
	if took, want := now.Sub(begin), turn*(1000/mostInTurn); took != want {
		t.Errorf("it took %s, want %s", took, want)
	}
	if wait := p.wait(now.Add(time.Hour)); wait != 0 {
		t.Errorf("after an hour of silence it waits %s", wait)
	}
}

func TestWhatCannotBeOpenedIsToldWithTheWayOut(t *testing.T) {
	for want, config := range map[string]Config{
		"not a multicast group and a port: write it as 224.0.0.81:8848": {Interface: "lo", Group: netip.MustParseAddrPort("192.0.2.1:8848")},
		"write it as 224.0.0.81:8848 or [ff02::81]:8848":                {Interface: "lo", Group: netip.MustParseAddrPort("224.0.0.81:0")},
		"no such network interface":                                     {Interface: "nothere0"},
		"messages of 79 bytes: they may have 80 to 65507":               {Interface: "lo", Most: 79},
		"messages of 65508 bytes":                                       {Interface: "lo", Most: 65508},
	} {
		s, err := Open(config)
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", config, err)
		}
	}
}

func TestMessagesFitTheLink(t *testing.T) {
	for mtu, want := range map[int][2]int{1500: {1472, 1452}, 9000: {1472, 1452}, 1400: {1372, 1352}} {
		link := &net.Interface{MTU: mtu}
		got := [2]int{fits(link, DefaultGroup().Addr()), fits(link, addr("ff02::81"))}
		if got != want {
			t.Errorf("MTU %d: %v, want %v", mtu, got, want)
		}
	}
}

func TestCountsNameTheirReasons(t *testing.T) {
	s := &Socket{}
	s.Use(marks)
	wrong := tcp4
	wrong.state = 11
	if got := s.hear(messageOf(tcp4, wrong, tcp6, wrong), addr("192.0.2.1")); len(got) != 2 {
		t.Errorf("taken: %v", got)
	}
	if got := s.hear([]byte("x"), addr("192.0.2.1")); got != nil {
		t.Errorf("taken: %v", got)
	}
	if got, want := fmt.Sprint(s.Counts()), fmt.Sprint(Counts{Heard: 1, Records: 2,
		Refused: map[Reason]uint64{ReasonState: 2, ReasonLength: 1}}); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
