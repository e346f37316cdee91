// SPDX-License-Identifier: Apache-2.0

package newest_test

import (
	"sync"
	"testing"

	"github.com/weir-lb/weir/internal/newest"
)

func TestNewestIsHandedOver(t *testing.T) {
	box := newest.NewBox[int]()
	for i := 1; i <= 3; i++ {
		box.Put(i)
	}
	if got := <-box; got != 3 {
		t.Errorf("received %d, not the newest, 3", got)
	}
	select {
	case got := <-box:
		t.Errorf("received %d, which nobody wants any more", got)
	default:
	}
}

// TestNobodyWaits would hang where of two who put something at once one waits for the owner.
func TestNobodyWaits(t *testing.T) {
	box := newest.NewBox[int]()
	var putting sync.WaitGroup
	for range 8 {
		putting.Go(func() {
			for i := range 1000 {
				box.Put(i)
			}
		})
	}
	putting.Wait()
	if got := <-box; got != 999 {
		t.Errorf("received %d: whoever put something last put 999", got)
	}
}
