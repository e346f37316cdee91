// SPDX-License-Identifier: Apache-2.0

package packet_test

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/weir-lb/weir/internal/packet"
)

func TestChecksumOfRFC1071(t *testing.T) {
	// Section 3: the sum of these is ddf2.
	b := []byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}
	if got, want := packet.Checksum(b), ^uint16(0xddf2); got != want {
		t.Errorf("got %#04x, want %#04x", got, want)
	}
	if got, want := packet.Checksum([]byte{0x12}), ^uint16(0x1200); got != want {
		t.Errorf("one byte: got %#04x, want %#04x", got, want)
	}
}

func TestUpdateOfRFC1624(t *testing.T) {
	// Section 4: the case in which the older equation goes wrong.
	if got := packet.Update(0xdd2f, []byte{0x55, 0x55}, []byte{0x32, 0x85}); got != 0x0000 {
		t.Errorf("got %#04x, want 0", got)
	}
}

func TestUpdateIsChecksumOfTheChanged(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		b := make([]byte, 20)
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		old := [4]byte(b[12:16])
		before := packet.Checksum(b)
		binary.BigEndian.PutUint32(b[12:], random.Uint32())
		if got, want := packet.Update(before, old[:], b[12:16]), packet.Checksum(b); got != want {
			t.Fatalf("%x: got %#04x, want %#04x", b, got, want)
		}
	}
}
