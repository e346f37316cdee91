// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-lb/weir/internal/model"
)

// programs says which links of the testbed have a program, by asking somebody else.
func (b *testbed) programs(t *testing.T) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	for _, name := range []string{"front", "back", "foreign"} {
		var text []byte
		var err error
		b.do(func() { text, err = exec.Command("ip", "link", "show", name).CombinedOutput() })
		if err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		out[name] = strings.Contains(string(text), "xdp")
	}
	return out
}

func (b *testbed) ip(t *testing.T, args string) {
	t.Helper()
	var text []byte
	var err error
	b.do(func() { text, err = exec.Command("ip", strings.Fields(args)...).CombinedOutput() })
	if err != nil {
		t.Fatalf("ip %s: %v: %s", args, err, text)
	}
}

func TestProgramRunsWhereItIsWanted(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, 64)
	want := world()
	both := map[string]bool{"front": true, "back": true, "foreign": false}
	b.apply(t, want)
	if diff := cmp.Diff(both, b.programs(t)); diff != "" {
		t.Error(diff)
	}
	want.Interfaces = want.Interfaces[:1]
	b.apply(t, want)
	if diff := cmp.Diff(map[string]bool{"front": true, "back": false, "foreign": false}, b.programs(t)); diff != "" {
		t.Error(diff)
	}
}

// TestInterfaceMadeAnewWithItsIndexGetsTheProgram: nothing of the plan changes.
func TestInterfaceMadeAnewWithItsIndexGetsTheProgram(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, 64)
	b.apply(t, world())
	b.ip(t, "link del front")
	var err error
	b.do(func() { err = addLink("front", front, frontMAC) })
	if err != nil {
		t.Fatal(err)
	}
	b.apply(t, world())
	if got := b.programs(t); !got["front"] {
		t.Errorf("programs: %v", got)
	}
}

func TestModeFollowsTheConfig(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, 64)
	for _, step := range []struct {
		wanted, mode model.XDPMode
		reason       string
	}{
		{model.XDPAuto, model.XDPNative, ""},
		{model.XDPGeneric, model.XDPGeneric, "the config asks for it"},
		{model.XDPAuto, model.XDPNative, ""},
		{model.XDPGeneric, model.XDPGeneric, "the config asks for it"},
		{model.XDPNative, model.XDPNative, ""},
	} {
		want := world()
		want.Interfaces = want.Interfaces[:1]
		want.Interfaces[0].XDP = step.wanted
		b.apply(t, want)
		expected := []model.Attachment{{Interface: "front", Mode: step.mode, Reason: step.reason, Attached: true}}
		if diff := cmp.Diff(expected, b.path.Attachments()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.wanted, diff)
		}
	}
}
