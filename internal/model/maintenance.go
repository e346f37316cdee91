// SPDX-License-Identifier: Apache-2.0

package model

import "time"

// Maintenance is when somebody works on a server, or on all of a service: it gets no new connections then, and nobody
// is alarmed. The zero value is never.
type Maintenance struct {
	Always bool
	From   int  // minute of the day, by the daemon's clock
	To     int  // minute of the same day if it is later than From, else of the next one; equal: there is no schedule
	Days   Days // on which it begins; 0: on all of them
}

// Scheduled tells whether it begins and ends by the clock.
func (m Maintenance) Scheduled() bool { return m.From != m.To }

// Days is a set of weekdays.
type Days uint8

// With adds one.
func (d Days) With(day time.Weekday) Days { return d | 1<<day }

// Has tells whether a day is in the set.
func (d Days) Has(day time.Weekday) bool { return d&(1<<day) != 0 }

// MaintenanceFiles are those in the directory that the config names for them.
type MaintenanceFiles struct {
	Dir     string
	Since   map[string]time.Time // when each was touched, by its name
	Trouble string               // why the directory cannot be read, and Since is what it was; "": it can
}

// Rest is a maintenance that is under way.
type Rest struct {
	Since time.Time // zero: nobody knows
	Until time.Time // zero: until somebody ends it
	Why   string
	Whole bool // of a server: its service rests
}
