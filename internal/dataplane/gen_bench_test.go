// SPDX-License-Identifier: Apache-2.0

package dataplane

// The measured program is a test's: it is no part of the binary.
//
//go:generate go tool bpf2go -target bpfel -no-global-types -type bench_mode bench ../../bpf/bench.bpf.c
