// SPDX-License-Identifier: Apache-2.0

package connsync

import "github.com/weir-lb/weir/internal/model"

// Digests are a number a slice, equal where two directors have the same that lasts (model.Record.Digest).
type Digests = [model.Slices]uint64

// sliceSet is some of them.
type sliceSet [model.Slices / 64]uint64

var allSlices = sliceSet{^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0)}

func (s *sliceSet) add(slice uint8)     { s[slice/64] |= 1 << (slice % 64) }
func (s sliceSet) has(slice uint8) bool { return s[slice/64]&(1<<(slice%64)) != 0 }
func (s sliceSet) isEmpty() bool        { return s == sliceSet{} }

func (s sliceSet) union(other sliceSet) sliceSet {
	for i := range s {
		s[i] |= other[i]
	}
	return s
}

// array is the set as a table is asked for it.
func (s sliceSet) array() *[model.Slices]bool {
	var out [model.Slices]bool
	for i := range out {
		out[i] = s.has(uint8(i))
	}
	return &out
}
