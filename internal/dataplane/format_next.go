// SPDX-License-Identifier: Apache-2.0

//go:build weir_next

package dataplane

import "github.com/cilium/ebpf"

// This is a version that does not exist, for tests of the upgrade: its program differs, and so does
// a map that need not be taken over.
const pinFormat = 3

func revise(spec *ebpf.CollectionSpec) {
	spec.Maps["verdicts"].MaxEntries++
	if err := spec.Variables["told_per_second"].Set(uint32(999)); err != nil {
		panic(err)
	}
}
