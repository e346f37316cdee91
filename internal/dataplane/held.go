// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"errors"
	"fmt"
	"structs"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
)

// xdpMD is struct xdp_md of linux/bpf.h, the context of a run that does not begin at a driver.
type xdpMD struct {
	_                                 structs.HostLayout
	Data, DataEnd, DataMeta           uint32
	IngressIfindex, RxQueue, EgressIf uint32
}

// liveFrames is BPF_F_TEST_XDP_LIVE_FRAMES of linux/bpf.h: what the program decides is done.
const liveFrames = 1 << 1

// heldHead is how much of a struct held comes before the frame.
const heldHead = int(unsafe.Offsetof(pathHeld{}.Frame))

// runHeld keeps fragments that came too early, and sends them through the path again when they can go.
func (d *Dataplane) runHeld() error {
	var record ringbuf.Record
	for {
		if err := d.held.ReadInto(&record); err != nil {
			if errors.Is(err, ringbuf.ErrFlushed) {
				return nil
			}
			return fmt.Errorf("held fragments: %w", err)
		}
		for _, f := range d.admit(record.RawSample, time.Now()) {
			if err := d.resend(f); err != nil {
				d.log.Debug("a fragment cannot be sent through the path again", "interface", f.ifindex, "err", err)
				d.waiting.giveUp(1)
			}
		}
	}
}

// admit reads a struct held and returns the frames that may go now.
func (d *Dataplane) admit(raw []byte, now time.Time) []heldFrame {
	if len(raw) < heldHead {
		return nil
	}
	var head pathHeld
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&head)), heldHead), raw)
	switch pathHeldKind(head.Kind) {
	case pathHeldKindHELD_FIRST:
		return d.waiting.first(head.Key, now)
	case pathHeldKindHELD_FRAME:
		if frame := raw[heldHead:]; int(head.Length) <= len(frame) {
			return d.waiting.hold(head.Key, heldFrame{head.Ifindex, now, append([]byte(nil), frame[:head.Length]...)})
		}
	}
	return nil
}

// resend has the path look at a frame again, as if it came just now.
func (d *Dataplane) resend(f heldFrame) error {
	d.linksMu.Lock() // or a trace may end, and its program with it
	defer d.linksMu.Unlock()
	_, err := d.shown.Run(&ebpf.RunOptions{
		Data:    f.bytes,
		Repeat:  1,
		Flags:   liveFrames,
		Context: xdpMD{DataEnd: uint32(len(f.bytes)), IngressIfindex: f.ifindex},
	})
	return err
}
