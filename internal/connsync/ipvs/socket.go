// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
)

// Config is how directors of LVS are spoken with: what `ipvsadm --start-daemon` takes, by the same defaults.
type Config struct {
	Interface string
	Group     netip.AddrPort // and port; zero: DefaultGroup
	SyncID    uint8          // 0: all are heard, whatever theirs is
	Most      int            // bytes of a message; 0: what goes through the interface and any Ethernet
	Hops      int            // TTL or hop limit; 0: 1, to the link alone
	From      []netip.Addr   // who may tell us; empty: whoever is on the link
}

// DefaultGroup is the kernel's (IP_VS_SYNC_GROUP, IP_VS_SYNC_PORT).
func DefaultGroup() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{224, 0, 0, 81}), 8848)
}

const (
	ethernet  = 1500
	head4     = 20 + 8 // IPv4 and UDP
	head6     = 40 + 8
	leastMost = headLength + size6
	mostMost  = 1<<16 - 1 - head4
)

// Socket speaks with directors of LVS. Send is for one goroutine, Run for another; the rest is for all.
type Socket struct {
	config Config
	conn   *net.UDPConn
	marks  atomic.Pointer[Marks]
	pace   pace
	tally  tally
}

// Open joins the group. Nothing is heard before Run.
func Open(config Config) (*Socket, error) {
	if !config.Group.IsValid() {
		config.Group = DefaultGroup()
	}
	wrong := func(err error) (*Socket, error) {
		return nil, fmt.Errorf("connections of LVS by %s on %s: %w", config.Group, config.Interface, err)
	}
	if !config.Group.Addr().IsMulticast() || config.Group.Port() == 0 {
		return wrong(errors.New("not a multicast group and a port: write it as 224.0.0.81:8848 or [ff02::81]:8848"))
	}
	link, err := net.InterfaceByName(config.Interface)
	if err != nil {
		return wrong(err)
	}
	if config.Most == 0 {
		config.Most = fits(link, config.Group.Addr())
	}
	if config.Most < leastMost || config.Most > mostMost {
		return wrong(fmt.Errorf("messages of %d bytes: they may have %d to %d", config.Most, leastMost, mostMost))
	}
	if config.Hops == 0 {
		config.Hops = 1
	}
	s := &Socket{config: config}
	if s.conn, err = join(config, link.Index); err != nil {
		return wrong(err)
	}
	s.Use(Marks{})
	return s, nil
}

// fits is the size of messages that go through the link, and through that of a backup which takes no longer ones.
func fits(link *net.Interface, group netip.Addr) int {
	if group.Is4() {
		return min(link.MTU, ethernet) - head4
	}
	return min(link.MTU, ethernet) - head6
}

// Use says which firewall marks services have from now on.
func (s *Socket) Use(marks Marks) { s.marks.Store(&marks) }

// Counts is what was told and heard so far.
func (s *Socket) Counts() Counts { return s.tally.read() }

// Close leaves the group.
func (s *Socket) Close() error { return s.conn.Close() }

// Send tells of connections, and of none of them later: what does not fill a message goes at once, too. It takes 10 ms
// for each 32 messages, and hands back the last thing that went wrong with any.
func (s *Socket) Send(ctx context.Context, records iter.Seq[model.Record]) error {
	var failed error
	b, marks := batch{syncID: s.config.SyncID, most: s.config.Most}, *s.marks.Load()
	for r := range records {
		e, ok := entryOf(r, marks)
		if !ok {
			s.tally.untold.Add(1)
			continue
		}
		s.tally.told.Add(1)
		if b.add(e) {
			continue
		}
		if err := s.write(ctx, b.take()); err != nil {
			failed = err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		b.add(e)
	}
	if message := b.take(); message != nil {
		if err := s.write(ctx, message); err != nil {
			failed = err
		}
	}
	return failed
}

func (s *Socket) write(ctx context.Context, message []byte) error {
	if wait := s.pace.wait(time.Now()); wait > 0 {
		select {
		case <-ctx.Done():
			s.tally.unsent.Add(1)
			return ctx.Err()
		case <-time.After(wait):
		}
	}
	if _, err := s.conn.WriteToUDPAddrPort(message, s.to()); err != nil {
		s.tally.unsent.Add(1)
		return fmt.Errorf("connections to %s on %s: %w", s.config.Group, s.config.Interface, err)
	}
	s.tally.sent.Add(1)
	return nil
}

// to is the group; one of IPv6 is that of a link.
func (s *Socket) to() netip.AddrPort {
	if group := s.config.Group; group.Addr().Is6() {
		return netip.AddrPortFrom(group.Addr().WithZone(s.config.Interface), group.Port())
	}
	return s.config.Group
}

// Run hands out what the others tell, in the order in which it comes, until ctx is done.
func (s *Socket) Run(ctx context.Context, out func([]model.Record)) error {
	if err := s.conn.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = s.conn.SetReadDeadline(time.Unix(0, 0)) })()
	space, side := make([]byte, 1<<16), make([]byte, 64)
	for {
		n, beside, _, from, err := s.conn.ReadMsgUDPAddrPort(space, side)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("connections from %s on %s: %w", s.config.Group, s.config.Interface, err)
		}
		s.overrun(side[:beside])
		if records := s.hear(space[:n], from.Addr()); len(records) > 0 {
			out(records)
		}
	}
}

// hear is what a message says.
func (s *Socket) hear(b []byte, from netip.Addr) []model.Record {
	m, why := s.judge(b, from)
	s.tally.judged[why].Add(1)
	marks := *s.marks.Load()
	var out []model.Record
	for _, e := range m.entries {
		r, why := e.record(marks)
		if why != Taken {
			s.tally.judged[why].Add(1)
			continue
		}
		out = append(out, r)
	}
	s.tally.records.Add(uint64(len(out)))
	return out
}

func (s *Socket) judge(b []byte, from netip.Addr) (message, Reason) {
	if len(s.config.From) > 0 && !slices.Contains(s.config.From, from.Unmap().WithZone("")) {
		return message{}, ReasonSource
	}
	m, why := parse(b)
	if why == Taken && s.config.SyncID != 0 && m.syncID != s.config.SyncID {
		return message{}, ReasonSyncID
	}
	return m, why
}

// overrun reads how many messages the socket had no room for, which comes with the next one (SO_RXQ_OVFL).
func (s *Socket) overrun(side []byte) {
	messages, err := unix.ParseSocketControlMessage(side)
	if err != nil {
		return
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SO_RXQ_OVFL && len(m.Data) >= 4 {
			s.tally.overrun.Store(uint64(binary.NativeEndian.Uint32(m.Data)))
		}
	}
}
