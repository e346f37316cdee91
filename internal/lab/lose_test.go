// SPDX-License-Identifier: Apache-2.0

package lab_test

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/lab"
)

// advertsBetween sends some packets of VRRP's protocol, and says how many of them came.
func advertsBetween(t *testing.T, from, to *lab.Node, f lab.Family, number int) (came int) {
	t.Helper()
	network := map[lab.Family]string{lab.IPv4: "ip4:112", lab.IPv6: "ip6:112"}[f]
	var in, out *net.IPConn
	address := func(n *lab.Node) *net.IPAddr { return &net.IPAddr{IP: n.Address.In(f).AsSlice()} }
	err := to.Do(func() (err error) {
		in, err = net.ListenIP(network, address(to))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	err = from.Do(func() (err error) {
		out, err = net.DialIP(network, address(from), address(to))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	for range number {
		if _, err := out.Write([]byte("who has it?")); err != nil {
			t.Fatal(err)
		}
	}
	if err := in.SetReadDeadline(time.Now().Add(500 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	for came < number {
		if _, err := in.Read(make([]byte, 64)); err != nil {
			break
		}
		came++
	}
	return came
}

// resolves tells whether a host finds out where another one is: that one refuses what it does not listen for.
func resolves(t *testing.T, from, to *lab.Node, f lab.Family) bool {
	t.Helper()
	if _, err := from.Output(within(t), "ip", "neigh", "flush", "all"); err != nil {
		t.Fatal(err)
	}
	dialer := net.Dialer{Timeout: time.Second}
	err := from.Do(func() error {
		_, err := dialer.DialContext(within(t), "tcp", netip.AddrPortFrom(to.Address.In(f), 9).String())
		return err
	})
	return errors.Is(err, syscall.ECONNREFUSED)
}

func TestSwitchesLoseWhatTheyAreToldTo(t *testing.T) {
	l := start(t, lab.Config{Shape: lab.LAN, Servers: 1, Stranger: true})
	from, to := l.Stranger, &l.Servers[0].Node
	lose := func(talk lab.Talk, percent int) {
		t.Helper()
		if err := l.Lose(from, talk, percent); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range lab.Families() {
		lose(lab.Adverts, 100)
		if came := advertsBetween(t, from, to, f, 10); came != 0 || !resolves(t, from, to, f) {
			t.Errorf("%s: adverts are lost: %d came, or others are lost too", f, came)
		}
		if came := advertsBetween(t, to, from, f, 10); came != 10 {
			t.Errorf("%s: %d adverts of 10 came the other way", f, came)
		}
		lose(lab.Adverts, 30)
		if came := advertsBetween(t, from, to, f, 200); came < 100 || came > 180 {
			t.Errorf("%s: each third or so is lost, and %d of 200 came", f, came)
		}
		lose(lab.Announcements, 100)
		if resolves(t, from, to, f) {
			t.Errorf("%s: nobody hears where it is, and it is answered", f)
		}
		if err := l.Hear(from); err != nil {
			t.Fatal(err)
		}
		if !resolves(t, from, to, f) { // first: a host that has asked in vain a moment ago asks again in a second only
			t.Errorf("%s: nothing is lost any more, and it is not found", f)
		}
		if came := advertsBetween(t, from, to, f, 10); came != 10 {
			t.Errorf("%s: nothing is lost any more, and %d adverts of 10 came", f, came)
		}
	}
}

func TestCardsComeAndGo(t *testing.T) {
	l := start(t, lab.Config{Shape: lab.LAN, Servers: 1})
	d, server := l.Directors[0], &l.Servers[0].Node
	if err := l.RemoveCard(d); err != nil {
		t.Fatal(err)
	}
	if resolves(t, server, &d.Node, lab.IPv4) {
		t.Error("it has no card, and answers")
	}
	if err := l.AddCard(d); err != nil {
		t.Fatal(err)
	}
	for _, f := range lab.Families() {
		if !resolves(t, server, &d.Node, f) {
			t.Errorf("%s: it has a card again, and is not found", f)
		}
	}
}
