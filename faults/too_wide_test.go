// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/lab"
	"github.com/weir-lb/weir/internal/packet"
)

// Parts of fault 56.
const (
	told      = "told"      // packets whose sender heard the right MTU from the VIP, and a right quote
	recovers  = "recovers"  // until an upload that is too large at first is there and back
	uncounted = "uncounted" // packets that may be cut, do not fit, and are not counted as too_big
)

// tooWide: packets of 1500 bytes meet a tunnel over links of 1500 bytes.
func tooWide(weir string) faults.Fault {
	return faults.Fault{
		Number: 56,
		Parts: []faults.Part{
			{Name: told, Unit: "%", Bar: 100, AtLeast: true},
			{Name: recovers, Unit: faults.Seconds, Bar: 1},
			{Name: uncounted, Unit: "packets"},
		},
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			config := lab.Config{Shape: lab.Routed, Forwarding: lab.TUN, MSS: "off", Weir: weir}
			n := narrowing{newShop(t, config, lab.LoadPlan{Fresh: 1, Every: time.Second}), size.Of(20, 200), t.Logf}
			return func() (faults.Measured, error) { return n.run(t.Context()) }
		},
	}
}

// narrowing sends what is too large for a tunnel.
type narrowing struct {
	*shop
	times int
	log   func(string, ...any)
}

func (n narrowing) run(ctx context.Context) (faults.Measured, error) {
	before, err := n.lab.Drops()
	if err != nil {
		return faults.Measured{}, err
	}
	figures := map[string]float64{}
	for _, f := range lab.Families() {
		took, err := n.upload(ctx, f)
		if err != nil {
			return faults.Measured{}, err
		}
		figures[recovers] = max(figures[recovers], took.Seconds())
		heard, err := n.tooWideHeard(ctx, f)
		if err != nil {
			return faults.Measured{}, err
		}
		figures[told] += 50 * float64(heard) / float64(n.times)
	}
	if figures[uncounted], err = n.cuttable(ctx); err != nil {
		return faults.Measured{}, err
	}
	after, err := n.lab.Drops()
	return faults.Measured{Figures: figures, Disturbed: after.Since(before)}, err
}

// upload sends bytes to the echo until all are back, over a connection of a client that has not heard
// of the tunnel.
func (n narrowing) upload(ctx context.Context, f lab.Family) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for _, family := range []string{"-4", "-6"} {
		if _, err := n.lab.Client.Output(ctx, "ip", family, "route", "flush", "cache"); err != nil {
			return 0, err
		}
	}
	before, err := n.counted(ctx, "too_big_told")
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	if err := n.thereAndBack(ctx, f, lab.Question(200_000)); err != nil {
		return 0, fmt.Errorf("upload, %s: %w", f, err)
	}
	took := time.Since(begin)
	after, err := n.counted(ctx, "too_big_told")
	if err == nil && after == before {
		err = fmt.Errorf("upload, %s: nothing was too large", f)
	}
	return took, err
}

func (n narrowing) counted(ctx context.Context, verdict string) (uint64, error) {
	counters, err := n.daemon.Counters(ctx)
	return counters[verdict], err
}

func (n narrowing) thereAndBack(ctx context.Context, f lab.Family, text []byte) error {
	conn, err := n.lab.Client.Dial(ctx, "tcp", n.lab.Client.Address.In(f), netip.AddrPortFrom(n.lab.VIP.In(f), lab.StayPort))
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(0, 1)) })()
	written := make(chan error, 1)
	go func() { // ends when all is written, or with the connection
		_, err := conn.Write(text)
		written <- err
	}()
	back := make([]byte, len(text))
	if got, err := io.ReadFull(conn, back); err != nil {
		return fmt.Errorf("%d of %d bytes came back: %w", got, len(text), err)
	}
	if !bytes.Equal(back, text) {
		return errors.New("other bytes came back")
	}
	return <-written
}

// largeDatagram is a packet of 1500 bytes.
func (n narrowing) largeDatagram(f lab.Family, uncut bool) packet.Layers {
	header := ipHeader(n.lab.Client.Address.In(f), n.lab.VIP.In(f))
	size := 1500 - 40 - 8
	if ip, isIPv4 := header.(packet.IPv4); isIPv4 {
		size += 20
		if ip.ID = 7; uncut {
			ip.Flags = packet.DontFragment
		}
		header = ip
	}
	return packet.Layers{header, packet.UDP{Source: n.newPort(), Destination: lab.EchoPort}, packet.Payload(lab.Question(size))}
}

// tooWideHeard counts answers to packets that may not be cut.
func (n narrowing) tooWideHeard(ctx context.Context, f lab.Family) (int, error) {
	network := map[lab.Family]string{lab.IPv4: "ip4:icmp", lab.IPv6: "ip6:ipv6-icmp"}[f]
	var ear net.PacketConn
	err := n.lab.Client.Do(func() (err error) {
		ear, err = net.ListenPacket(network, n.lab.Client.Address.In(f).String())
		return err
	})
	if err != nil {
		return 0, err
	}
	defer ear.Close()
	right := 0
	for range n.times {
		sent := n.largeDatagram(f, true)
		if err := n.send(sent); err != nil {
			return 0, err
		}
		if err := n.hear(ear, f, packet.Build(sent...)); err != nil {
			n.log("%s: %v", f, err)
			continue
		}
		right++
	}
	return right, ctx.Err()
}

// hear waits for what the VIP says about a packet.
func (n narrowing) hear(ear net.PacketConn, f lab.Family, sent []byte) error {
	if err := ear.SetReadDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return err
	}
	message := make([]byte, 2048)
	for {
		size, from, err := ear.ReadFrom(message)
		if err != nil {
			return fmt.Errorf("nobody says that it is too large: %w", err)
		}
		who, _ := netip.AddrFromSlice(from.(*net.IPAddr).IP)
		if m := message[:size]; who.Unmap() == n.lab.VIP.In(f) && isTooBig(f, m) {
			return rightTooBig(f, m, sent)
		}
	}
}

func isTooBig(f lab.Family, message []byte) bool {
	if len(message) < 8 {
		return false
	}
	if f == lab.IPv4 {
		return message[0] == packet.ICMPUnreachable && message[1] == 4
	}
	return message[0] == packet.ICMPv6TooBig
}

// rightTooBig compares MTU and quote with what must be said of a packet that is one hop on the way.
func rightTooBig(f lab.Family, message, sent []byte) error {
	want, quote := uint32(1480), 576-28 // RFC 1812 section 4.3.2.3
	if f == lab.IPv6 {
		want, quote = 1460, 1280-48 // RFC 4443 section 3.1
	}
	if mtu := binary.BigEndian.Uint32(message[4:]); mtu != want {
		return fmt.Errorf("MTU %d, want %d", mtu, want)
	}
	if got := message[8:]; len(got) != quote || !bytes.Equal(hopless(f, got), hopless(f, sent)[:quote]) {
		return fmt.Errorf("%d bytes are quoted, and not the first %d of the packet: %x", len(got), quote, got)
	}
	return nil
}

// hopless is a packet without what each router changes.
func hopless(f lab.Family, ip []byte) []byte {
	ip = slices.Clone(ip)
	if f == lab.IPv6 {
		ip[7] = 0
		return ip
	}
	ip[8], ip[10], ip[11] = 0, 0, 0
	return ip
}

// cuttable sends IPv4 packets that may be cut, and returns how many the path does not count.
func (n narrowing) cuttable(ctx context.Context) (float64, error) {
	before, err := n.counted(ctx, "too_big")
	if err != nil {
		return 0, err
	}
	for range n.times {
		if err := n.send(n.largeDatagram(lab.IPv4, false)); err != nil {
			return 0, err
		}
		time.Sleep(time.Millisecond)
	}
	time.Sleep(200 * time.Millisecond)
	after, err := n.counted(ctx, "too_big")
	return max(0, float64(n.times)-float64(after-before)), err
}
