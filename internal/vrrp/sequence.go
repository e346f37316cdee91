// SPDX-License-Identifier: Apache-2.0

package vrrp

import "time"

// sequence numbers the adverts of a sender, which never says one twice: the time of its clock in units of 2^-32 seconds,
// of which the last 16 bits are left to count what would be the same. It may wrap (in 2106): of two, which is later is
// a matter of RFC 1982 section 3.2.
type sequence uint64

func sequenceAt(t time.Time) sequence {
	fraction := uint64(t.Nanosecond()) << 16 / uint64(time.Second)
	return sequence(uint64(uint32(t.Unix()))<<32 | fraction<<16)
}

// after says whether it is later than another one.
func (s sequence) after(other sequence) bool { return int64(s-other) > 0 }

// plus is the one of so much later, or sooner.
func (s sequence) plus(d time.Duration) sequence {
	seconds, rest := d/time.Second, d%time.Second
	return s + sequence(int64(seconds)<<32) + sequence(int64(rest)<<32/int64(time.Second))
}

// since is how much later it is than another one.
func (s sequence) since(other sequence) time.Duration {
	d := int64(s - other)
	return time.Duration(d>>32)*time.Second + time.Duration((d&0xffffffff)*int64(time.Second)>>32)
}

// near says whether it is neither sooner nor later than another one by more than that.
func (s sequence) near(other sequence, within time.Duration) bool {
	return s.since(other).Abs() <= within
}

// reading is a clock that was read once, and goes on by one that does not jump.
type reading struct {
	said sequence
	at   time.Time
}

func (r reading) now(now time.Time) sequence { return r.said.plus(now.Sub(r.at)) }

// raise lets it say no less than that.
func (r *reading) raise(to sequence, now time.Time) {
	if r.at.IsZero() || to.after(r.now(now)) {
		*r = reading{to, now}
	}
}
