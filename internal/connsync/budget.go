// SPDX-License-Identifier: Apache-2.0

package connsync

import "time"

// budget is how much may be done at once, and in the long run.
type budget struct {
	rate  float64 // a second
	burst float64
	have  float64
	at    time.Time // when that was
}

func newBudget(rate, burst float64) budget { return budget{rate: rate, burst: burst, have: burst} }

func (b *budget) refill(now time.Time) {
	if !b.at.IsZero() && now.After(b.at) {
		b.have = min(b.burst, b.have+b.rate*now.Sub(b.at).Seconds())
	}
	b.at = now
}

// take takes one, if there is one.
func (b *budget) take() bool {
	if b.have < 1 {
		return false
	}
	b.have--
	return true
}

// ready is when there will be so many.
func (b *budget) ready(n float64) time.Time {
	missing := max(0, min(n, b.burst)-b.have)
	return b.at.Add(time.Duration(missing / b.rate * float64(time.Second)))
}
