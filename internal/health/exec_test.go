// SPDX-License-Identifier: Apache-2.0

package health

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// programOf is a script that nobody else can change.
func programOf(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "load")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// advised is what an adviser says within a time.
func advised(t *testing.T, ask model.Ask, to netip.AddrPort, within time.Duration) (model.Advice, error) {
	t.Helper()
	adviser, err := adviserOf(ask)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	said, err := adviser(ctx, to)
	return said, timed(err, within)
}

var endpoint = netip.MustParseAddrPort("10.0.0.11:80")

// TestProgramsAnswer as keepalived's MISC_CHECK has them answer.
func TestProgramsAnswer(t *testing.T) {
	weight := func(n int, says string) model.Advice { return model.Advice{Given: true, Weight: n, Says: says} }
	for _, test := range []struct {
		text    string
		dynamic bool
		advice  model.Advice
		reason  string
	}{
		{"exit 0", false, model.Advice{}, ""},
		{"exit 0", true, model.Advice{}, ""},
		{"exit 1", true, model.Advice{}, "exec: exit code 1"},
		{"exit 2", true, weight(0, "load exits with 2"), ""},
		{"exit 14", true, weight(12, "load exits with 14"), ""},
		{"exit 255", true, weight(253, "load exits with 255"), ""},
		{"exit 14", false, model.Advice{}, "exec: exit code 14"},
		{"echo disk full; echo of logs >&2; exit 2", false, model.Advice{}, `exec: exit code 2: disk full\nof logs`},
		{"kill -SEGV $$", true, model.Advice{}, "exec: segmentation fault"},
		{"printf '\\033[2Jgone\\377'; exit 1", false, model.Advice{}, `exec: exit code 1: \x1b[2Jgone\xff`},
		{"head -c 1000000 /dev/zero | tr '\\0' x; exit 1", false, model.Advice{}, "exec: exit code 1: " + strings.Repeat("x", 72) + "…"},
		{`test "$*" = "a b $HOME;"; exit $?`, false, model.Advice{}, ""},
		{`test "$WEIR_SERVER/$WEIR_SERVER_ADDRESS/$WEIR_SERVER_PORT" = 10.0.0.11:80/10.0.0.11/80`, false, model.Advice{}, ""},
	} {
		ask := model.AskExec{Path: programOf(t, test.text), Args: model.JoinArguments([]string{"a b", "$HOME;"}), Dynamic: test.dynamic}
		if strings.Contains(test.text, "$HOME;") {
			ask.Path = programOf(t, strings.ReplaceAll(test.text, "$HOME;", `\$HOME;`))
		}
		said, err := advised(t, ask, endpoint, forever+slack)
		if said != test.advice || reasonOf(err) != test.reason {
			t.Errorf("%s, dynamic %t: %+v, %v", test.text, test.dynamic, said, err)
		}
		if isOwn(err) || isMute(err) {
			t.Errorf("%s: it is no answer", test.text)
		}
	}
}

func reasonOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestProgramsWithoutEnd are silent ones, whatever they say meanwhile.
func TestProgramsWithoutEnd(t *testing.T) {
	for _, text := range []string{"sleep 300", "exec yes", "trap '' TERM\nwhile :; do echo y; done", "sleep 300 & wait"} {
		began := time.Now()
		said, err := advised(t, model.AskExec{Path: programOf(t, text), Dynamic: true}, endpoint, soon)
		if want := "exec: no answer within 300ms"; reasonOf(err) != want || said.Given {
			t.Errorf("%s: %+v, %v, want %s", text, said, err, want)
		}
		if took := time.Since(began); took > soon+slack {
			t.Errorf("%s: it took %s", text, took)
		}
	}
}

// TestProgramsThatCannotBeRunSayNothing about a server.
func TestProgramsThatCannotBeRunSayNothing(t *testing.T) {
	writable := programOf(t, "exit 1")
	if err := os.Chmod(writable, 0o777); err != nil {
		t.Fatal(err)
	}
	for want, ask := range map[string]model.AskExec{
		"writable by everybody": {Path: writable},
		"no such file":          {Path: writable + "-gone"},
		"user nobody-at-all":    {Path: programOf(t, "exit 1"), User: "nobody-at-all"},
	} {
		if _, err := advised(t, ask, endpoint, slack); err == nil || !isOwn(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
