// SPDX-License-Identifier: Apache-2.0

//go:build !weir_next && !weir_later

package dataplane

import "github.com/cilium/ebpf"

// pinFormat is the version of what lies under --bpffs and how. It goes up when code that reads
// older pins must know; a mere change of a struct is told by layoutHash.
const pinFormat = 3

// revise is where the next versions of format_next.go and format_later.go differ from this one.
func revise(*ebpf.CollectionSpec) {}
