// SPDX-License-Identifier: Apache-2.0

package vrrp

import "golang.org/x/sys/unix"

// head is how a filter reads what comes to a socket of a family.
type head struct {
	length []unix.SockFilter // that of the advert, into A
	id     unix.SockFilter   // that of the virtual router, into A, behind the same
}

// head4 is behind IPv4's header, which comes with a raw socket's messages.
func head4() head {
	return head{[]unix.SockFilter{
		{Code: unix.BPF_LDX | unix.BPF_B | unix.BPF_MSH, K: 0},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_LEN},
		{Code: unix.BPF_ALU | unix.BPF_SUB | unix.BPF_X},
	}, unix.SockFilter{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_IND, K: 1}}
}

// head6: of IPv6 the header is gone already.
func head6() head {
	return head{[]unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_LEN}}, unix.SockFilter{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 1}}
}

const hasID = 2 // bytes of an advert that is long enough to have one

var (
	take = unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 1 << 16}
	drop = unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 0}
)

// takes is a filter for what has the id, or is too short to have any: that may be for this one.
func (h head) takes(id uint8) []unix.SockFilter {
	return append(h.length,
		unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, Jf: 2, K: hasID},
		h.id,
		unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: uint32(id)},
		take, drop)
}

// takesOthers is a filter for what has an id that is none of these, of which there are 255 at most. What is too short
// to have any ends it, which drops.
func (h head) takesOthers(ids []uint8) []unix.SockFilter {
	out := append(h.length, h.id)
	for i, id := range ids {
		out = append(out, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: uint8(len(ids) - i), K: uint32(id)})
	}
	return append(out, take, drop)
}

func attach(fd int, filter []unix.SockFilter) error {
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]})
}
