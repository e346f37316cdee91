// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/weir-lb/weir/internal/lab"
)

// goodRow is a row as it should be.
func goodRow(m lab.Forwarding, f lab.Family) row {
	return row{
		Method: m, Family: f, Clients: 120, Requests: 360,
		Servers:     map[string]int{"real1": 120, "real2": 120, "real3": 120},
		Transparent: true,
		asked:       120,
	}
}

func goodResult() result {
	r := result{Restart: &restart{Requests: 400}}
	for _, s := range stages {
		for _, f := range lab.Families() {
			r.Rows = append(r.Rows, goodRow(s.method, f))
		}
	}
	return r
}

func TestJSONIsTheContract(t *testing.T) {
	var out strings.Builder
	r := result{OK: true, Rows: []row{goodRow(lab.DR, lab.IPv4)}, Restart: &restart{Requests: 400}}
	if err := show(&out, true, r); err != nil {
		t.Fatal(err)
	}
	want := `{"ok":true,"rows":[{"method":"dr","family":"ipv4","clients":120,"requests":360,"failed":0,` +
		`"servers":{"real1":120,"real2":120,"real3":120},"transparent":true}],"restart":{"requests":400,"failed":0}}` + "\n"
	if out.String() != want {
		t.Errorf("got  %swant %s", out.String(), want)
	}
}

func TestEveryFlawIsAFailure(t *testing.T) {
	for name, spoil := range map[string]func(*result){
		"a row is missing":              func(r *result) { r.Rows = r.Rows[1:] },
		"a request failed":              func(r *result) { r.Rows[2].Failed = 1 },
		"a server answered nobody":      func(r *result) { r.Rows[3].Servers["real2"] = 0 },
		"a client was not seen":         func(r *result) { r.Rows[4].Clients = 119 },
		"a server saw another address":  func(r *result) { r.Rows[5].Transparent = false },
		"the daemon was not restarted":  func(r *result) { r.Restart = nil },
		"the restart cost a connection": func(r *result) { r.Restart.Failed = 1 },
	} {
		r := goodResult()
		if r.judge(); !r.OK {
			t.Fatal("a good result is not ok")
		}
		spoil(&r)
		r.judge()
		if err := show(&strings.Builder{}, false, r); r.OK || !errors.Is(err, errSaid) {
			t.Errorf("%s: ok is %v, the command ends with %v", name, r.OK, err)
		}
	}
}

func TestTableTellsAPersonTheSame(t *testing.T) {
	r := goodResult()
	r.Rows = r.Rows[4:]
	r.Rows[1].Failed, r.Rows[1].Servers["real3"], r.Rows[1].Transparent = 120, 0, false
	want := `METHOD  FAMILY  CLIENTS  REQUESTS  FAILED  real1  real2  real3  SERVERS SAW
dr      ipv4        120       360       0    120    120    120  the client's address
dr      ipv6        120       360     120    120    120      0  other addresses

The daemon was killed with -9 under load and started again: 400 requests, 0 failed.
Not all went well: see above.
`
	if got := r.text(plain); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if got := r.text(coloured); !strings.Contains(got, "\x1b[31m   120\x1b[0m") || !strings.Contains(got, "\x1b[32m     0\x1b[0m") {
		t.Errorf("colours are wrong:\n%q", got)
	}
}
