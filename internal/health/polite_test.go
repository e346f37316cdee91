// SPDX-License-Identifier: Apache-2.0

package health

import (
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
)

// TestChecksLetOthersGoFirst: what a server sends without end, and a search that takes long, hold up no other check.
func TestChecksLetOthersGoFirst(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	endless := polite{replay{says: strings.NewReader(strings.Repeat("x", 100))}}
	for name, step := range map[string]func(){
		"reader": func() { _, _ = endless.Read(make([]byte, 1)) },
		"search": func() { (&reading{}).pause() }, // its turn is long over
	} {
		var gone atomic.Bool
		go gone.Store(true)
		for range 3 { // once in a while the scheduler has another order
			step()
		}
		if !gone.Load() {
			t.Errorf("%s: nobody else came", name)
		}
	}
}
