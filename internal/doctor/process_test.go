// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"math"
	"testing"
)

func TestCapabilitiesAreReadFromStatus(t *testing.T) {
	got, err := effective("Name:\tweir\nCapPrm:\t0000000000000001\nCapEff:\t0000008000003000\nCapBnd:\tffffffffffffffff\n")
	if err != nil || got != 1<<12|1<<13|1<<39 {
		t.Errorf("got %x, %v", got, err)
	}
	if _, err := effective("Name:\tweir\n"); err == nil {
		t.Error("no line is no error")
	}
}

func TestLimitOfFilesIsRead(t *testing.T) {
	const head = "Limit                     Soft Limit           Hard Limit           Units     \n"
	for text, want := range map[string]uint64{
		head + "Max open files            1024                 524288               files     \n": 1024,
		head + "Max open files            unlimited            unlimited            files     \n": math.MaxUint64,
	} {
		if got, err := openFiles(text); err != nil || got != want {
			t.Errorf("got %d, %v, want %d", got, err, want)
		}
	}
	for _, text := range []string{head, "Max open files", "Max open files  many  files\n"} {
		if got, err := openFiles(text); err == nil {
			t.Errorf("%q: got %d", text, got)
		}
	}
}

func TestThisProcessIsSeen(t *testing.T) {
	if got, err := lookAtProcess(0); err != nil || got.Files == 0 {
		t.Errorf("%+v, %v", got, err)
	}
}
