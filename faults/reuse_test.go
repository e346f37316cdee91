// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/client"
	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/lab"
)

// States in which a client comes again from the same port, which are the parts of fault 57.
const (
	timeWait    = "TIME_WAIT"
	finWait     = "FIN_WAIT"
	established = "ESTABLISHED"
)

// portReuse: clients come again from the very ports that they had, while their server is there, is gone, or
// takes no new connections. Each must be connected without repeating its SYN for want of an answer.
func portReuse(weir string) faults.Fault {
	// Such a packet is a handshake's ACK that the server's other CPU handled behind the first byte, and the next is the SYN of
	// a client that has forgotten the connection. At most two in a thousand were late for that.
	silent := faults.Miss{Reach: 99.5, Why: "a server's kernel answers one packet in half a second from outside of a connection's window (net.ipv4.tcp_invalid_ratelimit)"}
	var parts []faults.Part
	for _, state := range []string{timeWait, finWait, established} {
		part := faults.Part{Name: strings.ToLower(state), Unit: "%", Bar: 100, AtLeast: true}
		if state == established {
			part.Known = silent
		}
		parts = append(parts, part)
	}
	return faults.Fault{
		Number: 57,
		Long:   true,
		Parts:  parts,
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			plan := lab.LoadPlan{Fresh: 1, Every: time.Second}
			r := returners{size: size, log: t.Logf, times: size.Of(100, 1000)}
			r.nat = newReturner(t, lab.Config{Shape: lab.TwoArm, Weir: weir}, plan)
			r.dr = newReturner(t, lab.Config{Shape: lab.LAN, Forwarding: lab.DR, Weir: weir}, plan)
			return func() (faults.Measured, error) { return r.run(t.Context()) }
		},
	}
}

// returners are the clients of two directors: the one of NAT sees both sides close, the one of DR does not.
type returners struct {
	nat, dr *returner
	size    faults.Size
	times   int
	log     func(string, ...any)
}

func (r returners) run(ctx context.Context) (faults.Measured, error) {
	m := faults.Measured{Figures: map[string]float64{}}
	before, err := r.nat.lab.Drops()
	if err != nil {
		return m, err
	}
	for _, try := range []struct {
		at    *returner
		state string
	}{{r.nat, timeWait}, {r.nat, established}, {r.dr, finWait}, {r.dr, established}} {
		part := strings.ToLower(try.state)
		percent, err := r.through(ctx, try.at, try.state)
		if err != nil {
			return m, fmt.Errorf("%s: %s: %w", try.at.lab.Forwarding, try.state, err)
		}
		if had, again := m.Figures[part]; again {
			percent = min(percent, had)
		}
		m.Figures[part] = percent
	}
	after, err := r.nat.lab.Drops()
	m.Disturbed = after.Since(before)
	return m, err
}

// through tries all fates of the servers.
func (r returners) through(ctx context.Context, at *returner, state string) (float64, error) {
	worst := 100.0
	for _, fate := range fates() {
		took, err := at.comeAgain(ctx, state, fate, r.times)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", fate.name, err)
		}
		connected := 0
		for _, t := range took {
			if r.size == faults.Small || t < time.Second {
				connected++
			}
		}
		if connected < r.times {
			r.log("%s %s, servers %s: %d of %d connected, %d in time", at.lab.Forwarding, state, fate.name, len(took), r.times, connected)
		}
		worst = min(worst, 100*float64(connected)/float64(r.times))
	}
	return worst, nil
}

// fate is what becomes of all servers but the last one.
type fate struct {
	name string
	text func(line string) string // of a server in the configuration
}

func fates() []fate {
	return []fate{
		{"alive", func(line string) string { return line }},
		{"gone", func(string) string { return "" }},
		{"of weight 0", func(line string) string { return weighted(line, 0) }},
	}
}

// returner opens connections from ports that it chooses.
type returner struct {
	*ground
	port int // that was used last
	log  func(string, ...any)
}

// newReturner wants the client's kernel to forget at once what it has closed.
func newReturner(t *testing.T, config lab.Config, plan lab.LoadPlan) *returner {
	t.Helper()
	r := &returner{newGround(t, config, plan), 10_000, t.Logf}
	if err := r.lab.Client.Sysctl("ipv4/tcp_max_tw_buckets", "0"); err != nil {
		t.Fatal(err)
	}
	return r
}

// comeAgain brings so many connections into a state, the servers to their fate, and connects again. It
// returns how long each took that was connected.
func (r *returner) comeAgain(ctx context.Context, state string, fate fate, times int) ([]time.Duration, error) {
	if err := r.destine(ctx, fates()[0]); err != nil {
		return nil, err
	}
	froms := r.ports(times)
	leave := (*net.TCPConn).Close
	if state == established {
		leave = vanish
	}
	if n := len(r.connectAll(ctx, froms, leave)); n != times {
		return nil, fmt.Errorf("%d of %d connections began", n, times)
	}
	if err := r.inState(ctx, state, times); err != nil {
		return nil, err
	}
	if err := r.destine(ctx, fate); err != nil {
		return nil, err
	}
	return r.connectAll(ctx, froms, (*net.TCPConn).Close), nil
}

// ends are addresses and ports of a client, and where it goes.
type ends struct {
	from netip.AddrPort
	to   netip.AddrPort
}

// ports are some that nobody had before.
func (r *returner) ports(times int) []ends {
	var out []ends
	for i := range times {
		f := lab.Families()[i%2]
		clients := r.lab.Client.Addresses(f)
		if i%(2*len(clients)) == 0 {
			r.port++
		}
		out = append(out, ends{
			netip.AddrPortFrom(clients[i/2%len(clients)], uint16(r.port)), netip.AddrPortFrom(r.lab.VIP.In(f), lab.StayPort),
		})
	}
	return out
}

// connectAll connects some at once, and returns how long it took, of those that were answered.
func (r *returner) connectAll(ctx context.Context, all []ends, leave func(*net.TCPConn) error) []time.Duration {
	const atOnce = 8
	var took []time.Duration
	var mu sync.Mutex // guards took
	var running sync.WaitGroup
	waiting := make(chan ends)
	for range atOnce {
		running.Go(func() {
			for e := range waiting {
				t, err := r.connect(ctx, e, leave)
				if err != nil {
					continue
				}
				if t >= time.Second {
					r.log("from %v after %v, at %s", e.from, t, time.Now().Format(time.StampMicro))
				}
				mu.Lock()
				took = append(took, t)
				mu.Unlock()
			}
		})
	}
	for _, e := range all {
		waiting <- e
	}
	close(waiting)
	running.Wait()
	return took
}

// connect wants a byte echoed, too.
func (r *returner) connect(ctx context.Context, e ends, leave func(*net.TCPConn) error) (took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(e.from), Control: reuseAddress, KeepAlive: -1}
	var conn net.Conn
	begin := time.Now()
	err = r.lab.Client.Do(func() (err error) {
		conn, err = dialer.DialContext(ctx, "tcp", e.to.String())
		return err
	})
	if err != nil {
		return 0, err
	}
	took = time.Since(begin)
	return took, errors.Join(echoOnce(conn), leave(conn.(*net.TCPConn)))
}

// echoOnce waits for the answer, and with it for the client's last ACK of the handshake to be there.
func echoOnce(conn net.Conn) error {
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte{'?'}); err != nil {
		return err
	}
	_, err := conn.Read(make([]byte, 1))
	return err
}

func reuseAddress(_, _ string, conn syscall.RawConn) error {
	return setOption(conn, unix.SOL_SOCKET, unix.SO_REUSEADDR)
}

// vanish closes a socket without a word to the other side, as a power failure does. An ACK that the kernel held back is
// sent before: else the server says its byte again, the client's kernel knows of no connection, and resets it.
func vanish(conn *net.TCPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	quick := setOption(raw, unix.IPPROTO_TCP, unix.TCP_QUICKACK)
	return errors.Join(quick, setOption(raw, unix.IPPROTO_TCP, unix.TCP_REPAIR), conn.Close())
}

func setOption(conn syscall.RawConn, level, option int) error {
	var refused error
	err := conn.Control(func(fd uintptr) { refused = unix.SetsockoptInt(int(fd), level, option, 1) })
	return errors.Join(err, refused)
}

// inState waits until the director says of so many connections that they are in a state.
func (r *returner) inState(ctx context.Context, state string, times int) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	count := 0
	err := eachMoment(ctx, func() (bool, error) {
		n, err := r.connections(ctx, client.ConnectionsQuery{State: state})
		if err == nil {
			count = n
		}
		return n >= times, err
	})
	if err != nil {
		return fmt.Errorf("%d of %d connections are in %s: %w", count, times, state, err)
	}
	return nil
}

// destine gives all servers but the last their fate.
func (r *returner) destine(ctx context.Context, fate fate) error {
	last := len(r.lab.Servers) - 1
	return r.become(ctx, r.services(func(server int, line string) string {
		if server == last {
			return line
		}
		return fate.text(line)
	}))
}
