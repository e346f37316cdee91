// SPDX-License-Identifier: Apache-2.0

package address

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// watching is a ClaimObserver at work, without a network.
type watching struct {
	claims chan claim
	told   map[model.Addr]model.Claim
	links  int   // how often they were read
	asked  []int // frames each time
}

// watch begins it in a bubble of synctest.
func watch(t *testing.T, vips []model.VIP) *watching {
	w := &watching{claims: make(chan claim)}
	o := NewClaimObserver(slog.New(slog.DiscardHandler))
	o.Follow(vips)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		done <- o.watch(ctx, lan{
			links: func() ([]model.Link, error) {
				w.links++
				return []model.Link{{Name: "eth0", Index: 2, MAC: ownMAC}}, nil
			},
			send: func(_ int, frames ...[]byte) error {
				w.asked = append(w.asked, len(frames))
				return nil
			},
		}, w.claims, func(told map[model.Addr]model.Claim) { w.told = told })
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	synctest.Wait()
	return w
}

// after lets time go by, and says how many frames were sent, and how many of them at once at most.
func (w *watching) after(d time.Duration) (sum, most int) {
	w.asked = nil
	time.Sleep(d)
	synctest.Wait()
	for _, n := range w.asked {
		sum, most = sum+n, max(most, n)
	}
	return sum, most
}

// TestALateFrameIsNoLastingProblem: who says it once more, long after he was doubted, and then nothing, is asked and
// forgotten.
func TestALateFrameIsNoLastingProblem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, []model.VIP{{Address: claimedAddress, Interface: "eth0"}})
		strange := claim{claimedHolding, strangeMAC}
		w.claims <- strange
		w.after(5 * time.Second)
		w.claims <- strange
		w.after(claimEnds / 2)
		if len(w.told) != 1 {
			t.Fatalf("he insists, and told is %v", w.told)
		}
		w.after(claimEnds)
		if len(w.told) > 0 {
			t.Errorf("he says nothing any more, and told is %v", w.told)
		}
		w.claims <- strange
		w.after(claimForgotten + time.Second)
		w.claims <- strange
		w.after(time.Second)
		if len(w.told) > 0 {
			t.Errorf("what he said first was to be forgotten, and told is %v", w.told)
		}
		w.after(claimForgotten)
		if n, _ := w.after(10 * askEvery); n != 10 {
			t.Errorf("%d questions in %s, although nobody claims anything", n, 10*askEvery)
		}
	})
}

// TestProxyARPIsAskedByTurns: who claims a thousand addresses, one after the other, does not keep this host from asking,
// and has it ask for no more than askMost at once.
func TestProxyARPIsAskedByTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		vips := manyVIPs(1000)
		w := watch(t, vips)
		begun, most := false, 0
		for _, vip := range vips {
			w.claims <- claim{holding{2, vip.Address}, strangeMAC}
			n, at := w.after(askAgain / 20)
			begun, most = begun || n > 0 && n != askMost, max(most, at) // askMost are asked for every askEvery, too
		}
		w.after(insists)
		if !begun || most > askMost {
			t.Errorf("asked again: %t; %d at once", begun, most)
		}
		for _, vip := range vips {
			w.claims <- claim{holding{2, vip.Address}, strangeMAC}
		}
		n, most := w.after(time.Second)
		if want := int(time.Second/askAgain+1) * askMost; n > want || most != askMost || len(w.told) != len(vips) {
			t.Errorf("%d questions in a second, %d at once, %d told", n, most, len(w.told))
		}
	})
}

// TestWhoHoldsNothingLooksAtNothing, and begins when he does.
func TestWhoHoldsNothingLooksAtNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, nil)
		if n, _ := w.after(time.Minute); n > 0 || w.links > 0 {
			t.Errorf("%d questions, and links were read %d times", n, w.links)
		}
	})
}
