// SPDX-License-Identifier: Apache-2.0

package faults

// catalogue names every fault that is measured, in whichever package. Numbers are kept: they are
// what faults.json and people call a fault by.
var catalogue = map[int]string{
	1:  "daemon killed",
	2:  "killed and started at once",
	3:  "binary replaced",
	42: "second daemon, foreign program",
}
