// SPDX-License-Identifier: Apache-2.0

package dataplane

import "testing"

// TestStrideIsEverywhereAlike: the walk of a move comes to each bucket once, and has been in each eighth of the table alike
// after any eighth of its way.
func TestStrideIsEverywhereAlike(t *testing.T) {
	t.Parallel()
	for _, buckets := range []uint32{2, 3, 4, 64, 115, 117, 1667, 1668, 87_382, 1_000_000} {
		step, seen := stride(buckets), make([]bool, buckets)
		var eighths [8]uint64
		for i := range uint64(buckets) {
			index := i * uint64(step) % uint64(buckets)
			if seen[index] {
				t.Fatalf("of %d: bucket %d twice", buckets, index)
			}
			seen[index] = true
			eighths[index*8/uint64(buckets)]++
			for e, n := range eighths {
				if even := (i + 1) / 8; buckets >= 64 && (n > even+8+even/100 || n+8+even/100 < even) {
					t.Fatalf("of %d: after %d buckets %d are of eighth %d", buckets, i+1, n, e)
				}
			}
		}
	}
}
