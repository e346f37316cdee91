// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"github.com/cilium/ebpf"
)

// DecapProgram is the decapsulation program, loaded and attached to nothing.
type DecapProgram struct{ objects *decapObjects }

// LoadDecap loads it with its maps.
func LoadDecap(bpffs string, want DecapWant) (DecapProgram, error) {
	objects, err := openDecap(decapPins(bpffs))
	if err != nil {
		return DecapProgram{}, err
	}
	return DecapProgram{objects}, tellDecap(objects, want)
}

func (p DecapProgram) Close() error { return p.objects.Close() }

// Send sends one frame through it.
func (p DecapProgram) Send(frame []byte) (action uint32, out []byte, err error) {
	options := &ebpf.RunOptions{Data: frame, DataOut: make([]byte, len(frame)+256)}
	action, err = p.objects.Decap.Run(options)
	return action, options.DataOut, err
}
