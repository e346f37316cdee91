// SPDX-License-Identifier: Apache-2.0

package api

// Doctor is what `weir doctor` finds on a host. No daemon has to run for it.
type Doctor struct {
	Degraded bool      `json:"degraded" doc:"Whether there is a warning or an error."`
	Findings []Finding `json:"findings" nullable:"false" doc:"What was looked at, in a fixed order."`
}

// Level is how grave a finding is.
type Level string

const (
	LevelOK      Level = "ok"      // looked at, and as it should be
	LevelNote    Level = "note"    // worth knowing
	LevelWarning Level = "warning" // may break traffic
	LevelError   Level = "error"   // breaks traffic
)

// Finding is the result of a check, and the way out.
type Finding struct {
	Check string `json:"check" doc:"Name of the check."`
	Level Level  `json:"level" enum:"ok,note,warning,error" doc:"How grave it is."`
	What  string `json:"what" doc:"What was found."`
	Why   string `json:"why" doc:"Why that matters; empty when all is well."`
	Fix   string `json:"fix" doc:"The way out, a command where there is one; empty when all is well."`
}
