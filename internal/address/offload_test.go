// SPDX-License-Identifier: Apache-2.0

package address_test

import (
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/address"
)

// device is what Devices says of one of the namespace.
func (n namespace) device(name string) (out address.Device) {
	n.t.Helper()
	n.do(func() error {
		list, err := address.Devices()
		for _, d := range list {
			if d.Name == name {
				out = d
			}
		}
		return err
	})
	return out
}

func TestDevicesKnowTheirPeersAndDefaultRoutes(t *testing.T) {
	left, _ := newLAN(t)
	left.run("ip link add inside type veth peer name outside")
	left.run("ip route add default via 192.0.2.2")
	inside, outside, away := left.device("inside"), left.device("outside"), left.device("eth0")
	if inside.Kind != "veth" || inside.Peer != outside.Index || outside.Peer != inside.Index {
		t.Errorf("%+v and %+v", inside, outside)
	}
	if away.Kind != "veth" || away.Peer != 0 || !away.Default4 || inside.Default4 {
		t.Errorf("%+v", away)
	}
}

func TestOffloadsAreSeenAsTheyAre(t *testing.T) {
	n := newNamespace(t)
	n.run("ip link add inside type veth peer name outside")
	for _, tt := range []struct {
		command uint32
		is      func(address.Offloads) bool
	}{
		{unix.ETHTOOL_SGRO, func(o address.Offloads) bool { return o.GRO }},
		{unix.ETHTOOL_STXCSUM, func(o address.Offloads) bool { return o.TxChecksum }},
	} {
		for _, want := range []bool{true, false, true} {
			n.do(func() error { return setOffload("inside", tt.command, want) })
			if got := n.device("inside").Offloads; tt.is(got) != want {
				t.Errorf("command %x: %+v, want %t", tt.command, got, want)
			}
		}
	}
}

func TestOffloadsOfNobodyAreAnError(t *testing.T) {
	if got, err := address.ReadOffloads("weir-no-such"); err == nil {
		t.Errorf("%+v", got)
	}
}

// setOffload switches one, as ethtool -K does.
func setOffload(link string, command uint32, on bool) error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(socket)
	value := &[2]uint32{command, 0}
	if on {
		value[1] = 1
	}
	request := struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		pad  [16]byte
	}{data: unsafe.Pointer(value)}
	copy(request.name[:], link)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(socket), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
	runtime.KeepAlive(value)
	if errno != 0 {
		return errno
	}
	return nil
}
