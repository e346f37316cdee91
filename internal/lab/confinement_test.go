// SPDX-License-Identifier: Apache-2.0

package lab_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/lab"
)

// TestConfinedDaemonIsNoRoot, nor can it become one: what it runs has no more than it has.
func TestConfinedDaemonIsNoRoot(t *testing.T) {
	run := "id -u; mkdir $5/pins && touch $7/socket && touch $9/journal && test -r $3 && ! test -w $3 && cat /proc/self/status; exec sleep 1000"
	l := start(t, lab.Config{Shape: lab.LAN, Confined: true, Weir: standIn(t, run, serving)})
	d := l.Directors[0]
	if err := d.Start(l.Services()); err != nil {
		t.Fatal(err)
	}
	var log string
	for range 200 {
		text, err := os.ReadFile(d.Log)
		if err != nil {
			t.Fatal(err)
		}
		if log = string(text); strings.Contains(log, "NoNewPrivs:") {
			break
		}
		time.Sleep(25 * time.Millisecond)
	}
	for _, want := range []string{"65432\n", "NoNewPrivs:\t1\n", "Groups:\t \n"} {
		if !strings.Contains(log, want) {
			t.Errorf("no %q in\n%s", want, log)
		}
	}
	effective, bound := capabilities(log, "CapEff"), capabilities(log, "CapBnd")
	if (effective != "0000008000803000" && effective != "000000c000803000") || bound != effective {
		t.Errorf("capabilities %s, bound by %s", effective, bound)
	}
}

func capabilities(status, set string) string {
	_, value, _ := strings.Cut(status, set+":\t")
	value, _, _ = strings.Cut(value, "\n")
	return value
}

// TestAWatchedDaemonLeavesNoCore, though it is told to abort.
func TestAWatchedDaemonLeavesNoCore(t *testing.T) {
	l := start(t, lab.Config{Shape: lab.LAN, Confined: true, Weir: standIn(t, "exec sleep 1000", serving)})
	d := l.Directors[0]
	w, err := d.Watch(time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := d.Start(l.Services()); err != nil {
		t.Fatal(err)
	}
	var limit []string
	for ends := time.Now().Add(10 * time.Second); time.Now().Before(ends); time.Sleep(5 * time.Millisecond) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", d.PID()))
		if err != nil {
			t.Fatal(err)
		}
		_, value, _ := strings.Cut(string(text), "Max core file size")
		value, _, _ = strings.Cut(value, "\n")
		if limit = strings.Fields(value); slices.Equal(limit, []string{"0", "0", "bytes"}) {
			return
		}
	}
	t.Errorf("cores may be of %v", limit)
}

// TestConfinementIsTheDaemonsAlone: the lab and its servers go on as they were.
func TestConfinementIsTheDaemonsAlone(t *testing.T) {
	l := start(t, lab.Config{Shape: lab.LAN, Confined: true})
	own, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	child, err := l.Servers[0].Output(within(t), "/bin/cat", "/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range []string{"CapEff", "CapBnd"} {
		if got, want := capabilities(child, set), capabilities(string(own), set); got != want || want == "" {
			t.Errorf("%s of a server's process is %s, of this one %s", set, got, want)
		}
	}
}
