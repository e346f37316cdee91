// SPDX-License-Identifier: Apache-2.0

package address

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// openClaimSockets hears ARP, and neighbour advertisements, on every link. It takes CAP_NET_RAW.
func openClaimSockets() ([]*os.File, error) {
	arp, err := openFrames(unix.ETH_P_ARP, nil)
	if err != nil {
		return nil, fmt.Errorf("listen to ARP: %w", err)
	}
	advertisements, err := openFrames(unix.ETH_P_IPV6, onlyAdvertisements)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen to neighbour advertisements: %w", err), arp.Close())
	}
	return []*os.File{arp, advertisements}, nil
}

// onlyAdvertisements takes an IPv6 packet whose first header is ICMPv6's, with the type of a neighbour advertisement
// (RFC 4861 section 4.4).
var onlyAdvertisements = []unix.SockFilter{
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 14 + 6},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.IPPROTO_ICMPV6, Jf: 3},
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 14 + 40},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: 136, Jf: 1},
	{Code: unix.BPF_RET | unix.BPF_K, K: 1 << 16},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0},
}

// openFrames hears frames of one type of Ethernet. What came before the filter was there passes: who reads looks again.
func openFrames(etherType uint16, filter []unix.SockFilter) (*os.File, error) {
	wire := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, etherType))
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, int(wire))
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	if len(filter) > 0 {
		program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
		if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program); err != nil {
			return nil, errors.Join(os.NewSyscallError("setsockopt", err), unix.Close(fd))
		}
	}
	return os.NewFile(uintptr(fd), "frames"), nil
}

// listen reads from one socket until ctx is done.
func (o *ClaimObserver) listen(ctx context.Context, socket *os.File, claims chan<- claim) {
	stop := context.AfterFunc(ctx, func() { _ = socket.Close() })
	defer func() {
		if stop() {
			_ = socket.Close()
		}
	}()
	var p pace
	buffer := make([]byte, 2048)
	for ctx.Err() == nil {
		frame, link, err := readFrame(socket, buffer)
		if ctx.Err() != nil {
			return // the socket was closed under read
		}
		if err != nil {
			o.log.Warn("neighbours cannot be heard, trying again", "err", err)
			sleep(ctx, retry)
			continue
		}
		if address, mac, ok := packet.Claim(frame); ok {
			select {
			case claims <- claim{holding{link, address}, mac}:
			case <-ctx.Done():
				return
			}
		}
		sleep(ctx, p.rest(time.Now()))
	}
}

// readFrame waits for a frame, and says by which link it came.
func readFrame(socket *os.File, buffer []byte) (frame []byte, link int, err error) {
	raw, err := socket.SyscallConn()
	if err != nil {
		return nil, 0, err
	}
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		n, from, e := unix.Recvfrom(int(fd), buffer, 0)
		if errors.Is(e, unix.EAGAIN) || errors.Is(e, unix.EINTR) {
			return false
		}
		failed = e
		if at, ok := from.(*unix.SockaddrLinklayer); ok && e == nil {
			frame, link = buffer[:n], at.Ifindex
		}
		return true
	})
	return frame, link, errors.Join(err, failed)
}

// question asks who has an address that is held here, such that nobody learns anything of it: from no address, or from
// one of the link's own where the answer would go to everybody. False: there is none.
func (b *book) question(h holding) ([]byte, bool) {
	link, source, ok := b.held[h], netip.IPv4Unspecified(), true
	if h.address.Is6() {
		source, ok = b.askerOn(link)
	}
	return packet.WhoHas(link.MAC, source, h.address), ok
}

// askerOn is a link-local address of a link that no other director may have.
func (b *book) askerOn(link model.Link) (model.Addr, bool) {
	for _, p := range link.Prefixes {
		_, virtual := b.held[holding{link.Index, p.Addr()}]
		if p.Addr().Is6() && p.Addr().IsLinkLocalUnicast() && !virtual {
			return p.Addr(), true
		}
	}
	return netip.IPv6Unspecified(), false
}
