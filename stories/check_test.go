// SPDX-License-Identifier: Apache-2.0

package stories_test

import (
	"errors"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestBrokenFilesAreRefused is about the exit code; what is said is golden text beside the files.
func TestBrokenFilesAreRefused(t *testing.T) {
	weir := weirBinary(t)
	files, err := filepath.Glob("../internal/config/testdata/broken/*.yaml")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d broken files, %v", len(files), err)
	}
	for _, file := range files {
		err := exec.Command(weir, "check", file).Run()
		var ended *exec.ExitError
		if !errors.As(err, &ended) || ended.ExitCode() != 2 {
			t.Errorf("%s: %v, not exit code 2", file, err)
		}
	}
}
