// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/lab"
)

func TestMain(m *testing.M) {
	lab.TakePart()
	if os.Getenv(envCPUs) != "" {
		sayStandstills()
	}
	os.Exit(m.Run())
}

// thisRelease is what the binary of nearly all faults says that it is.
const thisRelease = "release"

// TestFaults is every fault that needs a network.
func TestFaults(t *testing.T) {
	requireLab(t)
	weir, cpus := buildWeir(t, thisRelease), watchCPUs(t)
	faults.Row(t, "pair", func(t *testing.T) []faults.Fault { // first, since it takes longest
		c := &common{t: t, weir: weir}
		return cpus.over(oneWay(c), hung(c), idTwice(c), linkFlaps(c), partition(c), claimed(c), powerLoss(c), handover(c), advertsLost(c))
	})
	faults.Test(t, cpus.over(killed(weir), startedAtOnce(weir), replaced(), upgraded(weir), starved(weir), forged(weir), malformed(weir), vanished(weir), idleFailover(weir), syncCut(weir), syncForged(weir), otherPeer(weir), serverKilled(weir), serverUnplugged(weir), serverHung(weir), serverSlow(weir), serverFlaps(weir), allDown(weir), removed(weir), quiesced(weir), herd(weir), hostileServer(weir), rival(weir), hostileScript(weir), fragmented(weir), tooWide(weir), tableFull(weir), synFlood(weir), oneFlooded(weir), blind(weir), portReuse(weir)))
}

// requireLab skips where there can be no network; in CI that is a failure.
func requireLab(t *testing.T) {
	t.Helper()
	missing := ""
	switch _, err := exec.LookPath("ip"); {
	case os.Geteuid() != 0:
		missing = "network namespaces need root"
	case err != nil:
		missing = "ip is not installed: apt-get install iproute2"
	}
	if missing != "" && os.Getenv("CI") == "true" {
		t.Fatal(missing)
	}
	if missing != "" {
		t.Skip(missing)
	}
}

// buildWeir builds the binary as a release. Everybody may execute it.
func buildWeir(t *testing.T, release string) string {
	t.Helper()
	weir := filepath.Join(publicDir(t), "weir-"+release)
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-X main.release="+release, "-o", weir, "../cmd/weir")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build weir: %v\n%s", err, out)
	}
	return weir
}

// publicDir is a directory that everybody may enter.
func publicDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
