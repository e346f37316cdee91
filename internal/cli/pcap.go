// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/binary"
	"io"
	"time"

	"github.com/weir-lb/weir/api"
)

// capture is a file in the format of libpcap, with nanoseconds (draft-ietf-opsawg-pcap).
type capture struct{ w io.Writer }

const (
	pcapNanoseconds = 0xa1b23c4d
	pcapSnapLength  = 1 << 16
	pcapEthernet    = 1
)

func newCapture(w io.Writer) (capture, error) {
	head := binary.LittleEndian.AppendUint32(nil, pcapNanoseconds)
	head = binary.LittleEndian.AppendUint16(head, 2) // version 2.4
	head = binary.LittleEndian.AppendUint16(head, 4)
	head = append(head, make([]byte, 8)...)
	head = binary.LittleEndian.AppendUint32(head, pcapSnapLength)
	head = binary.LittleEndian.AppendUint32(head, pcapEthernet)
	_, err := w.Write(head)
	return capture{w}, err
}

// packet writes the frame as it came in and, if it was sent on, as it left.
func (c capture) packet(t api.Trace) error {
	for _, f := range []*api.Frame{t.FrameIn, t.FrameSent} {
		if f == nil {
			continue
		}
		if err := c.frame(t.Time, *f); err != nil {
			return err
		}
	}
	return nil
}

func (c capture) frame(at time.Time, f api.Frame) error {
	var record []byte
	for _, n := range []int{int(at.Unix()), at.Nanosecond(), len(f.Bytes), f.Length} {
		record = binary.LittleEndian.AppendUint32(record, uint32(n))
	}
	_, err := c.w.Write(append(record, f.Bytes...))
	return err
}
