// SPDX-License-Identifier: Apache-2.0

//go:build weir_later

package dataplane

import "github.com/cilium/ebpf"

// This is a version that does not exist, for tests of the upgrade: it lays out connections otherwise.
const pinFormat = 3

func revise(spec *ebpf.CollectionSpec) { spec.Maps["conns"].ValueSize += 8 }
