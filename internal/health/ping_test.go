// SPDX-License-Identifier: Apache-2.0

package health

import (
	"errors"
	"net/netip"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
)

// mayPing skips where neither kind of socket may be made: all else that keeps us from asking is a fault of ping.
func mayPing(t *testing.T, err error) {
	t.Helper()
	if _, refused := errors.AsType[ownFault](err); refused {
		unable(t, err)
	}
}

// unable skips what cannot be done here; in CI that is a failure.
func unable(t *testing.T, why any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}

func TestHostsAnswerPings(t *testing.T) {
	for _, address := range []string{"127.0.0.1", "::1", "::ffff:127.0.0.1"} {
		to := netip.AddrPortFrom(netip.MustParseAddr(address), 0)
		err := answered(t, askPing, to, forever)
		if errors.Is(err, unix.EADDRNOTAVAIL) && address == "::1" {
			continue // a host without IPv6
		}
		mayPing(t, err)
		wantReason(t, err, "")
	}
}

// TestRawSocketsPingToo: where net.ipv4.ping_group_range lets us in, they are not used otherwise.
func TestRawSocketsPingToo(t *testing.T) {
	for _, address := range []string{"127.0.0.1", "::1"} {
		to := netip.MustParseAddr(address)
		family := pingOf(to)
		c, err := family.rawly(t.Context(), to)
		if errors.Is(err, unix.EPERM) {
			unable(t, "raw sockets need CAP_NET_RAW")
		}
		if errors.Is(err, unix.EADDRNOTAVAIL) && address == "::1" {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		stop := obey(t.Context(), c)
		defer stop()
		if err := family.ask(c, []byte("who are you, then?")); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// TestOthersEchoesAreOverlooked: on a raw socket two checks of one server hear each other.
func TestOthersEchoesAreOverlooked(t *testing.T) {
	to := netip.MustParseAddr("127.0.0.1")
	family := pingOf(to)
	c, err := family.dial(t.Context(), to)
	mayPing(t, err)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := family.send(c, []byte("another one's")); err != nil {
		t.Fatal(err)
	}
	if err := family.ask(c, []byte("our own")); err != nil {
		t.Error(err)
	}
}

// TestPingHasNoPort: services of one server ask once.
func TestPingHasNoPort(t *testing.T) {
	ping := model.Checks{Of: []model.Check{{Ask: model.AskPing{}}}}
	at := func(port uint16) model.CheckKey {
		key := model.ServerKey{Address: netip.MustParseAddr("192.0.2.11"), Port: port}
		return model.Service{}.Asks(model.Server{Key: key, Checks: ping})[0]
	}
	if at(80) != at(443) || at(80).Target.Port() != 0 {
		t.Errorf("%v and %v", at(80), at(443))
	}
}
