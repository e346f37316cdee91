// SPDX-License-Identifier: Apache-2.0

package vrrp

import (
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Nothing is dropped uncounted but what is another one's: what is too short to have an id may be for this one.
func TestFiltersTakeWhatMayBeTheirs(t *testing.T) {
	var all []uint8
	for id := range 255 {
		all = append(all, uint8(id+1))
	}
	plain, options := make([]byte, 20), make([]byte, 60)
	plain[0], options[0] = 0x45, 0x4f
	for name, c := range map[string]struct {
		head   head
		before []byte // the header of IP, where it comes along
	}{"IPv4": {head4(), plain}, "IPv4 with options": {head4(), options}, "IPv6": {head6(), nil}} {
		own, others, most := c.head.takes(51), c.head.takesOthers([]uint8{51, 53}), c.head.takesOthers(all)
		for _, m := range []struct {
			advert            []byte
			own, others, most bool
		}{
			{nil, true, false, false},
			{[]byte{0x31}, true, false, false},
			{[]byte{0x31, 51}, true, false, false},
			{[]byte{0x31, 52}, false, true, false},
			{[]byte{0x31, 53, 100}, false, false, false},
			{[]byte{0x31, 255, 100}, false, true, false},
			{[]byte{0x31, 0, 100}, false, true, true},
		} {
			packet := append(append([]byte{}, c.before...), m.advert...)
			for who, f := range map[string]struct {
				filter []unix.SockFilter
				want   bool
			}{"own": {own, m.own}, "others": {others, m.others}, "others than all": {most, m.most}} {
				if got := takes(t, f.filter, packet); got != f.want {
					t.Errorf("%s, %s: %x is taken: %t", name, who, m.advert, got)
				}
			}
		}
	}
}

func takes(t *testing.T, filter []unix.SockFilter, packet []byte) bool {
	t.Helper()
	var raw []bpf.RawInstruction
	for _, f := range filter {
		raw = append(raw, bpf.RawInstruction{Op: f.Code, Jt: f.Jt, Jf: f.Jf, K: f.K})
	}
	program, ok := bpf.Disassemble(raw)
	vm, err := bpf.NewVM(program)
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	n, err := vm.Run(packet)
	if err != nil {
		t.Fatal(err)
	}
	return n > 0
}
