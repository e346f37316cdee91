// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"os"
	"testing"

	"github.com/weir-lb/weir/internal/cli"
)

func TestColourIsForTerminalsWithoutNoColor(t *testing.T) {
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err) // every Linux has it
	}
	t.Cleanup(func() { _ = terminal.Close() }) // nothing was written
	file, err := os.Open("output_test.go")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() }) // nothing was written
	t.Setenv("NO_COLOR", "")
	if !cli.Colour(terminal) || cli.Colour(file) {
		t.Errorf("terminal %v, file %v", cli.Colour(terminal), cli.Colour(file))
	}
	t.Setenv("NO_COLOR", "1")
	if cli.Colour(terminal) {
		t.Error("NO_COLOR is not heeded")
	}
}
