// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/program"
)

// patience is for slow machines: what is waited for comes, or something is broken.
const patience = time.Minute

// written is a script that nobody else can change. In it $DIR is a directory of its own.
func written(t *testing.T, text string) (path, dir string) {
	t.Helper()
	dir = t.TempDir()
	path = filepath.Join(dir, "script")
	text = "#!/bin/sh\nDIR=" + dir + "\n" + text
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path, dir
}

func runs(path string, args ...string) script {
	return script{model.ByExec{Path: path, Args: model.JoinArguments(args), Timeout: patience}}
}

func oneEvent(e model.Event) message { return message{at: e.Time, events: []model.Event{e}} }

func mustRead(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestProgramsHearWhatHappened(t *testing.T) {
	path, dir := written(t, `
printf '%s\n' "$@" >$DIR/args
env | grep -v -e ^PWD= -e ^SHLVL= -e ^_= -e ^OLDPWD= | sort >$DIR/env
cat >$DIR/input
pwd >$DIR/pwd
`)
	e := since(withReasonOf(eventOf(noon, model.ServerUp, "web", 11), "it\nanswers"), time.Minute)
	m := oneEvent(e)
	m.lost, m.repeat, m.test = 3, true, true
	if err := runs(path, "a b", "$HOME;", "").send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"args":  "a b\n$HOME;\n\nserver_up\nweb\n10.0.0.11:80\n",
		"input": "",
		"pwd":   "/\n",
		"env": program.SearchPath + `
WEIR_ADDRESS=192.0.2.10:80
WEIR_GROUP=
WEIR_KIND=server_up
WEIR_LOST=3
WEIR_PEER=
WEIR_PRIORITY=
WEIR_PROTOCOL=tcp
WEIR_REASON=it answers
WEIR_REPEAT=1
WEIR_ROUTER=
WEIR_SERVER=10.0.0.11:80
WEIR_SERVICE=web
WEIR_SEVERITY=info
WEIR_SINCE=2026-11-26T12:02:11+01:00
WEIR_TEST=1
WEIR_TIME=2026-11-26T12:03:11+01:00
WEIR_WAS=
`,
	} {
		if diff := cmp.Diff(want, mustRead(t, filepath.Join(dir, name))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestProgramsHearOfVirtualRouters as keepalived's notify scripts of instances and groups do.
func TestProgramsHearOfVirtualRouters(t *testing.T) {
	path, dir := written(t, `
echo "$@" >>$DIR/args
echo "$WEIR_KIND:$WEIR_SERVICE:$WEIR_ADDRESS:$WEIR_PROTOCOL:$WEIR_ROUTER:$WEIR_PRIORITY:$WEIR_WAS:$WEIR_GROUP" >>$DIR/env
`)
	master, fault := routerEvent(model.VRRPToMaster), routerEvent(model.VRRPToFault)
	master.Was = model.VRRPBackup
	m := message{events: []model.Event{routerEvent(model.VRRPToBackup), ofGroup("VG_1", master), fault, routerEvent(model.ConflictBegin)}}
	if err := runs(path, "mine").send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"args": `mine INSTANCE VI_1 BACKUP 100
mine INSTANCE VI_1 MASTER 100
mine GROUP VG_1 MASTER 0
mine INSTANCE VI_1 FAULT 100
mine vrrp_conflict_begin VI_1 ` + "\n",
		"env": `vrrp_backup::::VI_1:100::
vrrp_master::::VI_1:100:backup:VG_1
vrrp_master::::VI_1:100:backup:VG_1
vrrp_fault::::VI_1:100::
vrrp_conflict_begin::::VI_1:100::
`,
	} {
		if diff := cmp.Diff(want, mustRead(t, filepath.Join(dir, name))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestProgramsHearOfDirectors(t *testing.T) {
	path, dir := written(t, `
echo "$#:$1:$2:$3:$4" >>$DIR/args
echo "$WEIR_KIND:$WEIR_SERVICE:$WEIR_ADDRESS:$WEIR_PROTOCOL:$WEIR_ROUTER:$WEIR_PRIORITY:$WEIR_PEER" >>$DIR/env
`)
	m := message{events: []model.Event{peerEvent(model.SyncLost), eventOf(noon, model.ServiceUp, "web", 0)}}
	if err := runs(path, "mine").send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"args": "4:mine:sync_lost:192.0.2.3:\n4:mine:service_up:web:\n",
		"env":  "sync_lost::::::192.0.2.3\nservice_up:web:192.0.2.10:80:tcp:::\n",
	} {
		if diff := cmp.Diff(want, mustRead(t, filepath.Join(dir, name))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestEventsOfServicesHaveAnEmptyServer(t *testing.T) {
	path, dir := written(t, `echo "$#:$1:$2:$3:$WEIR_SERVER:$WEIR_SINCE:${WEIR_TEST-none}:${WEIR_REPEAT-none}" >>$DIR/said`)
	m := message{events: []model.Event{eventOf(noon, model.ServiceDown, "web", 0), eventOf(noon, model.ServiceUp, "dns", 0)}}
	if err := runs(path).send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	want := "3:service_down:web::::none:none\n3:service_up:dns::::none:none\n"
	if got := mustRead(t, filepath.Join(dir, "said")); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestProgramsThatFailSaySo(t *testing.T) {
	path, _ := written(t, "echo first; echo second >&2; head -c 100000 /dev/zero | tr '\\0' x; exit 3")
	err := runs(path).send(t.Context(), oneEvent(eventOf(noon, model.ServerDown, "web", 1)))
	failed, ok := errors.AsType[*program.Failure](err)
	if !ok || !strings.HasSuffix(err.Error(), "exit status 3") {
		t.Fatalf("got %v", err)
	}
	if !strings.HasPrefix(failed.Output, "first\nsecond\nxxx") || len(failed.Output) > program.MostOutput {
		t.Errorf("%d bytes are kept, beginning with %.20q", len(failed.Output), failed.Output)
	}
}

func TestProgramsThatHangAreKilled(t *testing.T) {
	path, _ := written(t, "exec sleep 300")
	s := runs(path)
	s.how.Timeout = 100 * time.Millisecond
	err := s.send(t.Context(), oneEvent(eventOf(noon, model.ServerDown, "web", 1)))
	if err == nil || !strings.Contains(err.Error(), "no end after 100ms") {
		t.Errorf("got %v", err)
	}
}

func TestUnsafeProgramsAreNotRun(t *testing.T) {
	path, dir := written(t, "touch $DIR/ran")
	if err := runs(path).open(); err != nil {
		t.Fatalf("a safe one is refused: %v", err)
	}
	if err := os.Chmod(path, 0o757); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"open": runs(path).open(),
		"send": runs(path).send(t.Context(), oneEvent(eventOf(noon, model.ServerDown, "web", 1))),
	} {
		if err == nil || !strings.Contains(err.Error(), "writable by everybody: chmod o-w") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "ran")); err == nil {
		t.Error("it ran")
	}
}

// TestProgramsRunAsTheirUser, or not at all.
func TestProgramsRunAsTheirUser(t *testing.T) {
	path, dir := written(t, "touch $DIR/ran")
	s := runs(path)
	s.how.User = "no-such-user"
	for name, err := range map[string]error{
		"open": s.open(),
		"send": s.send(t.Context(), oneEvent(eventOf(noon, model.ServerDown, "web", 1))),
	} {
		if err == nil || !strings.Contains(err.Error(), "user no-such-user: ") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "ran")); err == nil {
		t.Error("it ran")
	}
}

func TestArgumentsComeBackAsTheyWere(t *testing.T) {
	for _, args := range [][]string{nil, {""}, {"a"}, {"a", ""}, {"", ""}, {"a b", "c\nd"}} {
		got := model.ByExec{Args: model.JoinArguments(args)}.Arguments()
		if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", args) {
			t.Errorf("%q became %q", args, got)
		}
	}
}
