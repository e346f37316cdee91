// SPDX-License-Identifier: Apache-2.0

package packet_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-lb/weir/internal/packet"
)

// init4 is an INIT with the fields that it must have (RFC 9260 section 3.3.2).
var init4 = packet.Layers{
	link, ip4, packet.SCTP{Source: 40000, Destination: 3868},
	packet.Chunk{Type: packet.ChunkInit}, packet.Payload{0, 0, 0, 7, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 9},
}

func TestSCTPReadsAsItWasBuilt(t *testing.T) {
	frame := packet.Build(init4...)
	layers, err := packet.Parse(frame)
	if err != nil {
		t.Fatal(err)
	}
	want := "eth 02:00:00:00:00:01 > 02:00:00:00:00:02 | ipv4 198.51.100.7 > 192.0.2.10 ttl 64 | " +
		"sctp 40000 > 3868 tag 0 | chunk type 1 | 16 bytes"
	if diff := cmp.Diff(want, layers.String()); diff != "" {
		t.Error(diff)
	}
	if again := packet.Build(layers...); !bytes.Equal(frame, again) {
		t.Errorf("built again:\n got %x\nwant %x", again, frame)
	}
}

// TestChecksumSCTPIsThatOfRFC3720: its appendix B.4 has CRC32c of 32 zeros, which are a packet too.
func TestChecksumSCTPIsThatOfRFC3720(t *testing.T) {
	frame := packet.Build(packet.SCTP{}, packet.Payload(make([]byte, 20)))
	equalHex(t, frame, "0000 0000 00000000 aa36918a 0000000000000000000000000000000000000000")
}

func TestChunksThatLieAreNamed(t *testing.T) {
	for name, layers := range map[string]packet.Layers{
		"chunk: 3 bytes where 4 are needed": {link, ip4, packet.SCTP{}, packet.Payload{1, 0, 0}},
		"chunk: length 5, 4 bytes there":    {link, ip4, packet.SCTP{}, packet.Chunk{Length: 5}},
		"chunk: length 3, 4 bytes there":    {link, ip4, packet.SCTP{}, packet.Chunk{Length: 3}},
		"sctp: 4 bytes where 12 are needed": {link, packet.IPv4{Protocol: packet.ProtocolSCTP}, packet.Payload("four")},
	} {
		if _, err := packet.Parse(packet.Build(layers...)); err == nil || err.Error() != name {
			t.Errorf("%v, want %s", err, name)
		}
	}
}
