// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMain: what is printed as the time of day is that of Greenwich.
func TestMain(m *testing.M) {
	time.Local = time.UTC
	os.Exit(m.Run())
}

// TestCaptureHasBothFrames, byte for byte as pcap-savefile(5) has them: what came, cut short, and what was sent.
func TestCaptureHasBothFrames(t *testing.T) {
	dir := t.TempDir()
	serve(t, dir, daemons["healthy"])
	want := strings.Join([]string{
		"4d3cb2a1", "0200", "0400", "00000000", "00000000", "00000100", "01000000", // nanoseconds, version 2.4, 65,536 bytes, Ethernet
		seconds, "00000000", "05000000", "dc050000", hex.EncodeToString([]byte("frame")),
		seconds, "00000000", "04000000", "04000000", hex.EncodeToString([]byte("sent")),
	}, "")
	file := filepath.Join(dir, "file.pcap")
	if r := weir(t, acting(t), "trace", "--run", dir, "-c", "1", "-w", file); r.code != 0 {
		t.Fatal(r.stderr.String())
	}
	text, err := os.ReadFile(file)
	if err != nil || hex.EncodeToString(text) != want {
		t.Errorf("it is %x, want %s: %v", text, want, err)
	}
	if r := weir(t, acting(t), "trace", "--run", dir, "-c", "1", "-w", "-"); hex.EncodeToString(r.stdout.Bytes()) != want {
		t.Errorf("on stdout it is %x, want %s", r.stdout.Bytes(), want)
	}
}

// seconds is 2026-11-25 12:03:12 UTC, 1,795,608,192, from its last byte to its first.
const seconds = "80ce066b"
