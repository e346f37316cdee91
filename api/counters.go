// SPDX-License-Identifier: Apache-2.0

package api

// Counters says how many packets left the path in which way: GET /v1/counters. The names are
// those of Verdict.
type Counters map[string]uint64

// Verdict is a way in which packets leave the path: GET /v1/verdicts lists them in the order of
// the path.
type Verdict struct {
	Name string `json:"name" doc:"Name in the counters."`
	Help string `json:"help" doc:"What it means."`
}
