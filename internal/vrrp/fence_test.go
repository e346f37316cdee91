// SPDX-License-Identifier: Apache-2.0

package vrrp

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

func fenced(r *model.VirtualRouter) {
	r.Fence = model.Fence{Path: "/etc/weir/fence", Timeout: time.Second}
}

// ends is the end of the program.
func (b *tale) ends(failure string) *tale {
	b.fenced(b.now, failure)
	return b.pass(0)
}

func TestSilentMasterIsFencedOnceBeforeTheTakeover(t *testing.T) {
	b := begun(t, of(100, fenced)).hears(right, said(200)).forgets().pass(10 * time.Second)
	b.reads("3.609s backup: no advert of 192.0.2.2 for 3.609s: /etc/weir/fence makes it harmless first", "3.609s fences 192.0.2.2")
	b.forgets().ends("").reads("10s sends 100", "10s master: no advert of 192.0.2.2 for 3.609s, and it was made harmless")
}

func TestFenceThatFailsDecidesAsTheConfigSays(t *testing.T) {
	b := begun(t, of(100, fenced)).hears(right, said(200)).pass(4 * time.Second).forgets().ends("exit code 1: no power").pass(time.Hour)
	b.reads("4s backup: no advert of 192.0.2.2 for 3.609s, but the fence has failed: exit code 1: no power")
	if b.seen.Held != "the fence has failed: exit code 1: no power" {
		t.Errorf("%+v", b.seen)
	}
	b.hears(right, said(200)).is(model.VRRPBackup, "there is a master again")
	b.forgets().pass(4 * time.Second) // another silence
	if len(b.log) != 2 || !strings.HasSuffix(b.log[1], "fences 192.0.2.2") || b.seen.Held != "" {
		t.Errorf("%q %+v", b.log, b.seen)
	}

	b = begun(t, of(100, fenced, func(r *model.VirtualRouter) { r.Fence.Failed = model.FenceTakeover })).hears(right, said(200)).pass(4 * time.Second)
	b.ends("exit code 1").is(model.VRRPMaster, "although the fence has failed: exit code 1")
}

// Who says himself that he is none, who lives, and who was never heard is not fenced.
func TestNobodyElseIsFenced(t *testing.T) {
	begun(t, of(100, fenced)).hears(right, said(200)).hears(right, said(0)).pass(time.Second).is(model.VRRPMaster, "192.0.2.2 has stepped down")
	begun(t, of(100, fenced)).hears(right, said(50)).pass(4*time.Second).is(model.VRRPMaster, "its priority 100 is above 50 of 192.0.2.2")
	begun(t, of(100, fenced)).pass(4*time.Second).is(model.VRRPMaster, "no advert of anybody for 3.609s")
}

// Two masters meet, and both step back: neither is fenced. Who was followed for a while is.
func TestTwoMastersThatMeetDoNotShoot(t *testing.T) {
	b := master(t, fenced).hears(right, said(200)).pass(4*time.Second).is(model.VRRPMaster, "no advert of 192.0.2.2 for 3.609s")
	for range 5 {
		b.hears(right, said(200)).pass(time.Second)
	}
	b.pass(4*time.Second).is(model.VRRPBackup, "makes it harmless first")
}

// A master who is heard while it runs is there, whatever it says; one who then falls silent again is another matter.
func TestMasterWhoIsHeardMeanwhileStays(t *testing.T) {
	b := begun(t, of(100, fenced)).hears(right, said(200)).pass(4*time.Second).hears(right, said(200)).ends("")
	b.is(model.VRRPBackup, "there is a master again")

	b = begun(t, of(100, fenced)).hears(right, said(200)).pass(4*time.Second).hears(right, said(200)).pass(10 * time.Second).forgets()
	b.ends("").is(model.VRRPBackup, "makes it harmless first")
	if len(b.log) != 2 {
		t.Errorf("%q", b.log)
	}
}

// Somebody of lower priority is heard after the fence has failed: he is relieved, as always.
func TestFailedFenceKeepsNobodyFromAMasterOfLowerPriority(t *testing.T) {
	b := begun(t, of(100, fenced)).hears(right, said(200)).pass(4 * time.Second).ends("no power").pass(time.Minute)
	b.hears(right, said(50)).pass(0).is(model.VRRPMaster, "its priority 100 is above 50 of 192.0.2.2")
	if b.seen.Held != "" {
		t.Errorf("%+v", b.seen)
	}
	late := func(r *model.VirtualRouter) { r.PreemptDelay = 2 * time.Second }
	b = begun(t, of(100, fenced, late)).hears(right, said(200)).pass(4 * time.Second).ends("no power").pass(time.Minute)
	b.hears(right, said(50)).is(model.VRRPBackup, "there is a master again").pass(2*time.Second).hears(right, said(50))
	b.pass(4*time.Second).is(model.VRRPMaster, "its priority 100 is above 50 of 192.0.2.2")
}

// The file is the way out of a fence that has failed.
func TestFailedFenceThatIsTakenOutKeepsNobody(t *testing.T) {
	failed := func() *tale {
		return begun(t, of(100, fenced)).hears(right, said(200)).pass(4 * time.Second).ends("no power").pass(time.Minute)
	}
	failed().wants(of(100), "").pass(0).is(model.VRRPMaster, "no advert of 192.0.2.2")
	brave := of(100, fenced, func(r *model.VirtualRouter) { r.Fence.Failed = model.FenceTakeover })
	failed().wants(brave, "").pass(0).is(model.VRRPMaster, "although the fence has failed: no power")
	failed().wants(of(100, fenced, func(r *model.VirtualRouter) { r.Fence.Timeout = time.Minute }), "").pass(time.Hour).is(model.VRRPBackup, "the fence has failed: no power")

	b := begun(t, of(100, fenced)).hears(right, said(200)).pass(4*time.Second).wants(of(100), "").pass(time.Minute)
	b.is(model.VRRPBackup, "makes it harmless first").ends("").is(model.VRRPMaster, "no advert of 192.0.2.2") // one that runs is waited for
}

// A fault is no word of the master's: what was begun against him, or has failed, is not forgotten for it.
func TestFaultForgetsNoFence(t *testing.T) {
	blinks := func(b *tale) *tale {
		return b.wants(b.want, "eth0 is down").pass(time.Second).wants(b.want, "").pass(time.Minute)
	}
	missing := func() *tale { return begun(t, of(100, fenced)).hears(right, said(200)).pass(4 * time.Second).forgets() }
	b := blinks(missing()).is(model.VRRPBackup, "the fault is over")
	b.ends("").is(model.VRRPMaster, "and it was made harmless")

	b = blinks(missing().ends("no power")).is(model.VRRPBackup, "but the fence has failed: no power")
	if strings.Contains(strings.Join(b.log, "\n"), "fences") {
		t.Errorf("another one: %q", b.log)
	}
	b.hears(right, said(200)).pass(4*time.Second).is(model.VRRPBackup, "makes it harmless first")

	b = missing().wants(of(100, fenced), "eth0 is down").ends("no power").wants(of(100, fenced), "")
	b.pass(time.Minute).is(model.VRRPBackup, "but the fence has failed: no power")

	b = missing().wants(of(100, fenced), "eth0 is down").ends("").wants(of(100, fenced), "")
	b.pass(time.Minute).is(model.VRRPBackup, "makes it harmless first")

	b = begun(t, of(100, fenced)).hears(right, said(200)).pass(time.Second)
	blinks(b).is(model.VRRPBackup, "makes it harmless first")
}

// Who has resigned before a fault, and who was followed before this one was master, is not fenced after it.
func TestFaultMakesNobodyAnEnemy(t *testing.T) {
	b := begun(t, of(100, fenced)).hears(right, said(200)).hears(right, said(0))
	b.wants(b.want, "eth0 is down").pass(time.Second).wants(b.want, "").pass(time.Minute).is(model.VRRPMaster, "no advert of anybody")

	b = begun(t, of(100, fenced)).hears(right, said(200)).hears(right, said(0)).pass(time.Second).is(model.VRRPMaster, "")
	b.wants(b.want, "eth0 is down").letsGo().pass(time.Second).wants(b.want, "").pass(time.Minute).is(model.VRRPMaster, "no advert of anybody")
}

// After the fault it listens first, for as long as any master would need to be heard.
func TestFenceThatEndsAfterAFaultWaitsForWhoIsThere(t *testing.T) {
	b := begun(t, of(100, fenced)).hears(right, said(200)).pass(4 * time.Second)
	b.wants(b.want, "eth0 is down").pass(time.Second).wants(b.want, "").pass(time.Second).ends("").is(model.VRRPBackup, "the fault is over")
	b.pass(3*time.Second).is(model.VRRPMaster, "and it was made harmless")
}

// The witness comes first: who is cut off does not shoot.
func TestWhoIsCutOffFencesNobody(t *testing.T) {
	b := begun(t, of(100, witnessed, fenced)).answers(gateway).hearsFor(10*time.Second, right, 150).isGone(gateway).forgets()
	b.pass(30*time.Second).is(model.VRRPBackup, "no witness answers")
	if strings.Contains(strings.Join(b.log, "\n"), "fences") {
		t.Errorf("%q", b.log)
	}
	b.answers(gateway).pass(time.Second).is(model.VRRPBackup, "makes it harmless first")
}

// The program is told whom it is for, and what it says is told.
func TestFenceIsToldWhomItIsFor(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "fence")
	text := "#!/bin/sh\necho \"$1 $WEIR_ROUTER $WEIR_INTERFACE $WEIR_MASTER $WEIR_REASON\"\n[ $1 = off ] || { [ $1 = late ] && exec sleep 300; }\nexit 3\n"
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	f := fencing{want: model.VRRPWant{VirtualRouter: of(100, fenced)}, master: right, why: "no advert"}
	f.want.Fence = model.Fence{Path: script, Args: "off", Timeout: time.Minute}
	if got := f.run(t.Context()); got != "exit code 3: off front eth0 192.0.2.2 no advert" {
		t.Errorf("%q", got)
	}
	f.want.Fence.Args, f.want.Fence.Timeout = "late", 200*time.Millisecond
	if got := f.run(t.Context()); !strings.HasPrefix(got, "it did not end within 200ms") {
		t.Errorf("%q", got)
	}
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	f.want.Fence.Timeout = time.Minute
	if got := f.run(t.Context()); got != "" {
		t.Errorf("%q", got)
	}
	if err := os.Chmod(script, 0o777); err != nil {
		t.Fatal(err)
	}
	if got := f.run(t.Context()); !strings.Contains(got, "writable by everybody") {
		t.Errorf("%q", got)
	}
}
