// SPDX-License-Identifier: Apache-2.0

package model_test

import (
	"testing"

	"github.com/weir-lb/weir/internal/model"
)

func TestTableIsWholeBucketsRatedBelowFull(t *testing.T) {
	for _, test := range []struct {
		size    int
		buckets uint64
	}{
		{1, 2}, // there are always two to choose from
		{24, 2},
		{25, 3}, // 12 are 80 % of a bucket
		{120, 10},
		{121, 11},
		{model.MinConnections, 86},
		{model.DefaultConnections, 87382},
		{model.MaxConnections, 5592406},
	} {
		c := model.Connections{Size: test.size}
		if got := c.Buckets(); got != test.buckets {
			t.Errorf("%d: %d buckets, want %d", test.size, got, test.buckets)
		}
		if got, want := c.Memory(), test.buckets*model.BucketBytes+model.TableBytes; got != want {
			t.Errorf("%d: %d bytes, want %d", test.size, got, want)
		}
		if c.Buckets()*model.BucketEntries*model.RatedPercent < uint64(test.size)*100 {
			t.Errorf("%d: does not fit", test.size)
		}
	}
}

func TestCountsAreGroupedInThrees(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0", 999: "999", 1000: "1,000", 1048576: "1,048,576", 1<<64 - 1: "18,446,744,073,709,551,615",
	} {
		if got := model.Grouped(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}
