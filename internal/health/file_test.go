// SPDX-License-Identifier: Apache-2.0

package health

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
)

func TestFilesAreRead(t *testing.T) {
	weight := func(n int, says string) model.Advice { return model.Advice{Given: true, Weight: n, Says: says} }
	path := filepath.Join(t.TempDir(), "weight")
	for _, test := range []struct {
		text   string
		advice model.Advice
		reason string
	}{
		{"12\n", weight(12, "file says 12"), ""},
		{" 12", weight(12, "file says 12"), ""},
		{"0\n", weight(0, "file says 0"), ""},
		{"65535\nand more\n", weight(65535, "file says 65535"), ""},
		{"50%\n", percent(50, "file says 50%"), ""},
		{"up\n", model.Advice{}, ""},
		{"drain", drained("file says drain"), ""},
		{"down # backup runs\n", model.Advice{}, "file: down: backup runs"},
		{"", model.Advice{}, `file: no weight and no word that is known in ""`},
		{"65536\n", model.Advice{}, "file: no weight and no word that is known in 65536"},
		{"-1\n", model.Advice{}, "file: no weight and no word that is known in -1"},
		{"1.5\n", model.Advice{}, "file: no weight and no word that is known in 1.5"},
		{"\x00\xff\n", model.Advice{}, `file: no weight and no word that is known in \x00\xff`},
		{strings.Repeat("5", 1<<20), model.Advice{}, "file: a line of more than 4096 bytes"},
	} {
		if err := os.WriteFile(path, []byte(test.text), 0o644); err != nil {
			t.Fatal(err)
		}
		said, err := advised(t, model.AskFile{Path: path}, endpoint, slack)
		if said != test.advice || reasonOf(err) != test.reason || isOwn(err) || isMute(err) {
			t.Errorf("%.20q: %+v, %v", test.text, said, err)
		}
	}
}

// TestFilesThatAreGoneSayNothing, as with keepalived.
func TestFilesThatAreGoneSayNothing(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{filepath.Join(dir, "gone"), filepath.Join(dir, "gone", "gone"), filepath.Join(dir, "gone") + "/", dir + "/"} {
		if said, err := advised(t, model.AskFile{Path: path}, endpoint, slack); err != nil || said.Given {
			t.Errorf("%s: %+v, %v", path, said, err)
		}
	}
}

// TestServersHaveFilesOfTheirOwn in a directory.
func TestServersHaveFilesOfTheirOwn(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"10.0.0.11:80": "1", "10.0.0.11": "2", "2001:db8::11": "3", "[2001:db8::11]:80": "4"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for to, want := range map[string]int{"10.0.0.11:80": 1, "10.0.0.11:81": 2, "[::ffff:10.0.0.11]:81": 2, "[2001:db8::11]:443": 3, "[2001:db8::11]:80": 4} {
		said, err := advised(t, model.AskFile{Path: dir + "/"}, netip.MustParseAddrPort(to), slack)
		if err != nil || said.Weight != want {
			t.Errorf("%s: %+v, %v, want %d", to, said, err, want)
		}
	}
}

// TestWhatIsNoFile holds nobody up, and is not good.
func TestWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{fifo, dir, "/dev/zero"} {
		if _, err := advised(t, model.AskFile{Path: path}, endpoint, slack); reasonOf(err) != "file: not a file" || isOwn(err) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestNumbersAreReadOrLeaveAllAsItIs.
func TestNumbersAreReadOrLeaveAllAsItIs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "priority")
	ask := model.AskNumber{Path: path}
	if said, err := advised(t, ask, netip.AddrPort{}, slack); err != nil || said.Given {
		t.Errorf("no file: %+v, %v", said, err)
	}
	for text, want := range map[string]int{"-50\n": -50, "0": 0, "+7": 7, " 12 # of three\n": 0, "": 0, "1.5": 0, "full": 0} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		said, err := advised(t, ask, netip.AddrPort{}, slack)
		if isNumber := strings.Trim(text, "+-0123456789\n") == "" && text != ""; isNumber != (err == nil) || !isNumber != isOwn(err) || said.Weight != want {
			t.Errorf("%q: %+v, %v", text, said, err)
		}
	}
}
