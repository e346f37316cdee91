// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"fmt"
	"maps"
	"slices"
	"structs"

	"github.com/cilium/ebpf"
)

// xdpMD is struct xdp_md of linux/bpf.h, the context of a test run.
type xdpMD struct {
	_                                 structs.HostLayout
	Data, DataEnd, DataMeta           uint32
	IngressIfindex, RxQueue, EgressIf uint32
}

// Send sends one frame through the loaded path as if it had come in by an interface, which must
// exist, and returns the XDP action and the frame as the path left it.
func (d *Dataplane) Send(frame []byte, ifindex int) (action uint32, out []byte, err error) {
	out = make([]byte, len(frame)+256)
	options := &ebpf.RunOptions{
		Data:    frame,
		DataOut: out,
		Context: xdpMD{DataEnd: uint32(len(frame)), IngressIfindex: uint32(ifindex)},
	}
	action, err = d.path.Weir.Run(options)
	return action, options.DataOut, err
}

// Dump is what services, servers and slots hold, ids and generations too, as text.
func (d *Dataplane) Dump() (string, error) {
	t, err := d.readTables()
	if err != nil {
		return "", err
	}
	var out string
	for key, entry := range t.services {
		out += fmt.Sprintf("%s %+v\n  slots %v\n", key, entry.value, entry.slots)
		for _, id := range slices.Sorted(maps.Keys(entry.serversByID())) {
			out += fmt.Sprintf("  %d %+v\n", id, entry.serversByID()[id])
		}
	}
	return out, nil
}

func (e *serviceEntry) serversByID() map[uint32]pathServer {
	out := map[uint32]pathServer{}
	for _, s := range e.servers {
		out[s.id] = s.value
	}
	return out
}
