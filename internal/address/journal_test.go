// SPDX-License-Identifier: Apache-2.0

package address_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-lb/weir/internal/address"
)

const forwardingOfLo = "net/ipv4/conf/lo/forwarding"

func TestRestorePutsBackTheFirstValue(t *testing.T) {
	n := newNamespace(t)
	path := filepath.Join(t.TempDir(), "state", "host.json")
	before := n.sysctl("net/ipv4/conf/lo/rp_filter")
	n.do(func() error { return journal(t, path).SetSysctl("net/ipv4/conf/lo/rp_filter", "1") })
	n.do(func() error { return journal(t, path).SetSysctl("net/ipv4/conf/lo/rp_filter", "2") })
	if got := n.sysctl("net/ipv4/conf/lo/rp_filter"); got != "2" {
		t.Fatalf("rp_filter is %s, want 2", got)
	}
	n.do(func() error { return journal(t, path).Restore() })
	if got := n.sysctl("net/ipv4/conf/lo/rp_filter"); got != before {
		t.Errorf("rp_filter is %s after Restore, was %s", got, before)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the journal is still there: %v", err)
	}
	n.do(func() error { return journal(t, path).Restore() }) // a second time is fine
}

func TestValueThatIsThereIsNotRecorded(t *testing.T) {
	n := newNamespace(t)
	path := filepath.Join(t.TempDir(), "host.json")
	value := n.sysctl(forwardingOfLo)
	n.do(func() error { return journal(t, path).SetSysctl(forwardingOfLo, value) })
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("a journal was written for nothing: %v", err)
	}
}

func TestNothingChangesWithoutAJournal(t *testing.T) {
	n := newNamespace(t)
	state := filepath.Join(t.TempDir(), "state")
	j := journal(t, filepath.Join(state, "host.json"))
	if err := os.WriteFile(state, nil, 0o600); err != nil { // now no directory can be made there
		t.Fatal(err)
	}
	before := n.sysctl(forwardingOfLo)
	n.do(func() error {
		if err := j.SetSysctl(forwardingOfLo, "1"); err == nil {
			t.Error("no error although the journal could not be written")
		}
		return nil
	})
	if got := n.sysctl(forwardingOfLo); got != before {
		t.Errorf("forwarding is %s, was %s", got, before)
	}
}

func TestNamesWithDotsAreNamesOfInterfaces(t *testing.T) {
	left, _ := newLAN(t)
	left.run("ip link set eth0 down")
	left.run("ip link set eth0 name lan.100")
	left.run("ip link set lan.100 up")
	path := filepath.Join(t.TempDir(), "host.json")
	const sysctl = "net/ipv4/conf/lan.100/forwarding"
	left.do(func() error { return journal(t, path).SetSysctl(sysctl, "1") })
	if got := left.sysctl(sysctl); got != "1" {
		t.Fatalf("forwarding is %s, want 1", got)
	}
	left.do(func() error { return journal(t, path).Restore() })
	if got := left.sysctl(sysctl); got != "0" {
		t.Errorf("forwarding is %s after Restore, want 0", got)
	}
}

func TestVanishedInterfaceNeedsNoRestoring(t *testing.T) {
	left, _ := newLAN(t)
	path := filepath.Join(t.TempDir(), "host.json")
	left.do(func() error { return journal(t, path).SetSysctl("net/ipv4/conf/eth0/forwarding", "1") })
	left.run("ip link del eth0")
	left.do(func() error { return journal(t, path).Restore() })
}

func TestBrokenJournalIsRefusedWithAWayOut(t *testing.T) {
	for name, text := range map[string]string{
		"empty":            "",
		"half":             `{"version": 1, "boot": "x", "changes": [{"kind"`,
		"foreign":          `{"services": []}`,
		"of the future":    `{"version": 2, "boot": "x", "changes": []}`,
		"with an appendix": `{"version": 1, "boot": "x", "changes": []} {}`,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "host.json")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := address.OpenJournal(path)
			if err == nil {
				t.Fatal("it was taken for a journal")
			}
			for _, want := range []string{path, "remove the file"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		})
	}
}

func TestJournalOfAnEarlierBootSaysNothing(t *testing.T) {
	n := newNamespace(t)
	path := filepath.Join(t.TempDir(), "host.json")
	text := `{"version": 1, "boot": "another", "changes": [{"kind": "sysctl", "path": "` + forwardingOfLo + `", "old": "1"}]}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	n.do(func() error { return journal(t, path).Restore() })
	if got := n.sysctl(forwardingOfLo); got != "0" {
		t.Errorf("forwarding is %s, want 0 as before", got)
	}
}

func TestJournalIsForItsOwnerOnly(t *testing.T) {
	n := newNamespace(t)
	path := filepath.Join(t.TempDir(), "state", "host.json")
	n.do(func() error { return journal(t, path).SetSysctl(forwardingOfLo, "1") })
	for name, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", filepath.Base(name), got, want)
		}
	}
}
