// SPDX-License-Identifier: Apache-2.0

package dataplane

// `make generate` sets the compiler and its flags, and runs this.
//
//go:generate go tool bpf2go -target bpfel -no-global-types -type decap_verdict decap ../../bpf/decap.bpf.c
