// SPDX-License-Identifier: Apache-2.0

package suggest_test

import (
	"testing"

	"github.com/weir-lb/weir/internal/suggest"
)

func TestNearestWordIsMeant(t *testing.T) {
	words := []string{"ESTABLISHED", "FIN_WAIT", "TIME_WAIT", "UDP", "scheduler"}
	for word, want := range map[string]string{
		"ESTABLISHD": "ESTABLISHED", "establised": "ESTABLISHED", "tmie_wait": "TIME_WAIT", "FIN-WAIT": "FIN_WAIT",
		"udp": "UDP", "sheduler": "scheduler", "LISTEN": "", "": "", "X": "",
	} {
		if got := suggest.Closest(word, words); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
}
