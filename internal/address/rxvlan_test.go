// SPDX-License-Identifier: Apache-2.0

package address_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-lb/weir/internal/address"
	"github.com/weir-lb/weir/internal/model"
)

// rxVLAN reads whether the driver takes VLAN tags off frames.
func (n namespace) rxVLAN(link string) (on bool) {
	n.t.Helper()
	n.do(func() error {
		offloads, err := address.ReadOffloads(link)
		on = offloads.RxVLAN
		return err
	})
	return on
}

func TestTagsAreLeftInFramesWhileThatIsWanted(t *testing.T) {
	left, _ := newLAN(t)
	path := filepath.Join(t.TempDir(), "host.json")
	off, on := model.AddressWant{RxVLANOff: []string{"eth0"}}, model.AddressWant{}
	if !left.rxVLAN("eth0") {
		t.Fatal("it is off before anybody asked for that")
	}
	for _, step := range []struct {
		name string
		act  func()
		want bool
	}{
		{"wanted", func() { newLife(t, left, path).apply(off) }, false},
		{"wanted again, by the next life", func() { newLife(t, left, path).apply(off) }, false},
		{"no longer wanted", func() { newLife(t, left, path).apply(on) }, true},
		{"wanted once more", func() { newLife(t, left, path).apply(off) }, false},
		{"cleaned up after a crash, under another name", func() {
			left.run("ip link set eth0 down name eth9")
			left.do(journal(t, path).Restore)
			left.run("ip link set eth9 name eth0")
		}, true},
	} {
		step.act()
		if got := left.rxVLAN("eth0"); got != step.want {
			t.Errorf("%s: rx-vlan-offload is %t", step.name, got)
		}
	}
}

func TestTagsThatWereLeftInFramesStayThere(t *testing.T) {
	left, _ := newLAN(t)
	path := filepath.Join(t.TempDir(), "host.json")
	newLife(t, left, path).apply(model.AddressWant{RxVLANOff: []string{"eth0"}})
	left.do(journal(t, path).Restore)
	operators := filepath.Join(t.TempDir(), "operator.json")
	newLife(t, left, operators).apply(model.AddressWant{RxVLANOff: []string{"eth0"}}) // not weir's doing, as far as path goes
	newLife(t, left, path).apply(model.AddressWant{RxVLANOff: []string{"eth0"}})
	left.do(journal(t, path).Restore)
	if left.rxVLAN("eth0") {
		t.Error("what was off before weir is on")
	}
}

// TestNothingIsSwitchedWhereNothingIsTakenOff, and an interface that is missing is named.
func TestNothingIsSwitchedWhereNothingIsTakenOff(t *testing.T) {
	left := newNamespace(t)
	left.run("ip link add br0 type bridge")
	path := filepath.Join(t.TempDir(), "host.json")
	newLife(t, left, path).apply(model.AddressWant{RxVLANOff: []string{"lo", "br0"}})
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something was written down: %v", err)
	}
	target := address.NewTarget(journal(t, path), nil, logger(t))
	left.do(func() error {
		err := target.Apply(context.Background(), model.AddressWant{RxVLANOff: []string{"eth7"}})
		if err == nil || !strings.Contains(err.Error(), "eth7: there is none of that name") {
			t.Errorf("error is %v", err)
		}
		return nil
	})
}

// TestDriverThatHasNoSwitchIsNotBelieved: a bridge has none, and the kernel says so.
func TestDriverThatHasNoSwitchIsNotBelieved(t *testing.T) {
	left := newNamespace(t)
	left.run("ip link add br0 type bridge")
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "host.json")
	text := fmt.Sprintf(`{"version": 1, "boot": %q, "changes": [{"kind": "rx-vlan-offload", "link": "br0", "index": %d}]}`,
		strings.TrimSpace(string(boot)), left.link("br0").Index)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	left.do(func() error {
		err := journal(t, path).Restore()
		if err == nil || !strings.Contains(err.Error(), "restore rx-vlan-offload of br0: the driver does not let") {
			t.Errorf("error is %v", err)
		}
		return nil
	})
	left.run("ip link del br0")
	left.do(journal(t, path).Restore) // what is gone needs no undoing
}
