// SPDX-License-Identifier: Apache-2.0

package address

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Offloads are what an interface does to packets before or after anybody else sees them, as far as
// it matters to a program that works on frames.
type Offloads struct {
	GRO        bool // packets of a flow are put together after the driver
	LRO        bool // the same in the driver, without a way back
	TxChecksum bool // checksums of local packets are left to the card
	RxVLAN     bool // the tag is taken off the frame
}

// Flags of ETHTOOL_GFLAGS: enum ethtool_flags of linux/ethtool.h.
const (
	flagRxVLAN = 1 << 8
	flagLRO    = 1 << 15
)

// ReadOffloads asks an interface of the calling thread's namespace. What it does not know counts as
// switched off.
func ReadOffloads(link string) (Offloads, error) {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return Offloads{}, fmt.Errorf("offloads of %s: %w", link, err)
	}
	defer unix.Close(socket)
	var values [3]uint32
	for i, command := range []uint32{unix.ETHTOOL_GGRO, unix.ETHTOOL_GTXCSUM, unix.ETHTOOL_GFLAGS} {
		if values[i], err = offloadValue(socket, link, command); err != nil {
			return Offloads{}, fmt.Errorf("offloads of %s: %w", link, err)
		}
	}
	flags := values[2]
	return Offloads{
		GRO: values[0] != 0, TxChecksum: values[1] != 0,
		LRO: flags&flagLRO != 0, RxVLAN: flags&flagRxVLAN != 0,
	}, nil
}

// offloadValue reads a struct ethtool_value with SIOCETHTOOL.
func offloadValue(socket int, link string, command uint32) (uint32, error) {
	type ethtoolValue struct{ command, data uint32 }
	type ifreq struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		pad  [16]byte // a struct ifreq is longer than its use here
	}
	get := &ethtoolValue{command: command}
	request := ifreq{data: unsafe.Pointer(get)}
	copy(request.name[:unix.IFNAMSIZ-1], link)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(socket), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
	runtime.KeepAlive(get)
	if errno != 0 && !errors.Is(errno, unix.EOPNOTSUPP) {
		return 0, errno
	}
	return get.data, nil
}
