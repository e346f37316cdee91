// SPDX-License-Identifier: Apache-2.0

package address

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
)

// errRxVLANFixed: the driver has no such switch.
var errRxVLANFixed = errors.New("the driver does not let rx-vlan-offload be switched")

// applyRxVLAN leaves VLAN tags in the frames of the named interfaces, where the program looks for
// them, and gives back to the driver what nobody wants any more.
func (t *Target) applyRxVLAN(links []model.Link, names []string) error {
	var errs []error
	wanted := map[int]bool{}
	for _, name := range names {
		link, err := linkNamed(links, name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		wanted[link.Index] = true
		if err := t.leaveTags(link); err != nil {
			errs = append(errs, fmt.Errorf("interface %s: %w", name, err))
		}
	}
	restored := t.journal.restore(func(c change) bool { return c.Kind == rxVLANChange && !wanted[c.Index] })
	return errors.Join(append(errs, restored)...)
}

// leaveTags switches the offload off, if it is on.
func (t *Target) leaveTags(link model.Link) error {
	on, err := rxVLAN(link.Name)
	if err != nil || !on {
		return err
	}
	if err := t.journal.record(change{Kind: rxVLANChange, Link: link.Name, Index: link.Index}); err != nil {
		return err
	}
	err = setRxVLAN(link.Name, false)
	if !errors.Is(err, errRxVLANFixed) {
		return err
	}
	unchanged := func(c change) bool { return c.Kind == rxVLANChange && c.Index == link.Index }
	return errors.Join(
		fmt.Errorf("%w off, and hides the tags of its VLAN devices' frames: balance them on another card, or let the switch take the tags off", err),
		t.journal.forget(t.journal.matching(unchanged)...),
	)
}

// restoreRxVLAN switches the offload of an interface on again, whatever its name is now.
func restoreRxVLAN(handle *netlink.Handle, index int) error {
	link, err := handle.LinkByIndex(index)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil
	}
	if err != nil {
		return err
	}
	return setRxVLAN(link.Attrs().Name, true)
}

func rxVLAN(link string) (bool, error) {
	flags, err := offloadFlags(link, unix.ETHTOOL_GFLAGS, 0)
	return flags&flagRxVLAN != 0, err
}

// setRxVLAN leaves all other flags as they are, and does not believe a driver that nods.
func setRxVLAN(link string, on bool) error {
	flags, err := offloadFlags(link, unix.ETHTOOL_GFLAGS, 0)
	if err != nil {
		return err
	}
	next := flags &^ flagRxVLAN
	if on {
		next |= flagRxVLAN
	}
	if next == flags {
		return nil
	}
	if _, err := offloadFlags(link, unix.ETHTOOL_SFLAGS, next); err != nil && !refusesFlags(err) {
		return err
	}
	if is, err := rxVLAN(link); err != nil || is == on {
		return err
	}
	return errRxVLANFixed
}

func refusesFlags(err error) bool {
	return slices.ContainsFunc([]error{unix.EINVAL, unix.EOPNOTSUPP}, func(e error) bool { return errors.Is(err, e) })
}

// offloadFlags gets or sets flags with SIOCETHTOOL: struct ethtool_value of linux/ethtool.h.
func offloadFlags(link string, command, flags uint32) (uint32, error) {
	type ethtoolValue struct{ command, data uint32 }
	type ifreq struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		pad  [16]byte // a struct ifreq is longer than its use here
	}
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("rx-vlan-offload: %w", err)
	}
	defer unix.Close(socket)
	value := &ethtoolValue{command, flags}
	request := ifreq{data: unsafe.Pointer(value)}
	copy(request.name[:unix.IFNAMSIZ-1], link)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(socket), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
	runtime.KeepAlive(value)
	if errno != 0 {
		return 0, fmt.Errorf("rx-vlan-offload: %w", errno)
	}
	return value.data, nil
}
