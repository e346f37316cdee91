// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// offloads are what a veth leaves to a network card that is not there. A frame that native XDP
// touched is sent as it is: with a partial checksum the receiver drops it (TcpInCsumErrors), and
// a GSO frame would be over every MTU.
var offloads = []struct {
	name    string
	command uint32
}{
	{"tx-checksum", unix.ETHTOOL_STXCSUM},
	{"tso", unix.ETHTOOL_STSO},
	{"gso", unix.ETHTOOL_SGSO},
}

// disableOffloads switches them off on a link of the calling thread's namespace.
func disableOffloads(link string) error {
	for _, o := range offloads {
		if _, err := ethtool(link, o.command, 0); err != nil {
			return fmt.Errorf("switch %s of %s off: %w", o.name, link, err)
		}
	}
	return nil
}

// keepTags has a link of the calling thread's namespace send VLAN tags in the frame, as they are on a
// cable. A veth hands them over beside the frame otherwise, where XDP does not see them.
func keepTags(link string) error {
	const txVLAN = 1 << 7 // ETH_FLAG_TXVLAN
	flags, err := ethtool(link, unix.ETHTOOL_GFLAGS, 0)
	if err == nil {
		_, err = ethtool(link, unix.ETHTOOL_SFLAGS, flags&^txVLAN)
	}
	if err != nil {
		return fmt.Errorf("switch tx-vlan of %s off: %w", link, err)
	}
	return nil
}

// ethtool sets or gets one value with SIOCETHTOOL, see linux/ethtool.h, struct ethtool_value.
func ethtool(link string, command, value uint32) (uint32, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("open socket for ethtool: %w", err)
	}
	defer unix.Close(fd)
	type ethtoolValue struct{ command, data uint32 }
	type ifreq struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		pad  [16]byte // a struct ifreq is longer than its use here
	}
	set := &ethtoolValue{command, value}
	request := ifreq{data: unsafe.Pointer(set)}
	copy(request.name[:unix.IFNAMSIZ-1], link)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
	runtime.KeepAlive(set)
	if errno != 0 {
		return 0, errno
	}
	return set.data, nil
}
