// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/weir-lb/weir/internal/config"
	"github.com/weir-lb/weir/internal/model"
)

// documentedRouterKey is where the documentation has the key of virtual routers.
const documentedRouterKey = "/etc/weir/vrrp.key"

// signing is a file with this behind `auth:` of a virtual router.
func signing(what, dir string) []byte {
	return []byte("services: []\nvrrp:\n  - {name: front, interface: eth0, id: 51, addresses: [192.0.2.10/24], auth: " + strings.ReplaceAll(what, "$DIR", dir) + "}\n")
}

// TestAuthMeansWhatItSays, and is printed as it would be written.
func TestAuthMeansWhatItSays(t *testing.T) {
	dir := keyFiles(t)
	for written, want := range map[string]model.VRRPAuth{
		"{key_file: $DIR/sync.key}":                     {KeyFile: dir + "/sync.key"},
		"{key_file: $DIR/two.key}":                      {KeyFile: dir + "/two.key"},
		"{key_file: $DIR/three.key}":                    {KeyFile: dir + "/three.key"},
		"{key_file: $DIR/sync.key, mode: enforce}":      {KeyFile: dir + "/sync.key"},
		"{key_file: $DIR/sync.key, mode: permissive}":   {KeyFile: dir + "/sync.key", Mode: model.AuthPermissive},
		"{mode: receive-only, key_file: $DIR/sync.key}": {KeyFile: dir + "/sync.key", Mode: model.AuthReceive},
	} {
		spec, err := config.Parse("weir.yaml", signing(written, dir))
		if err != nil {
			t.Error(err)
			continue
		}
		again, err := config.Parse("printed.yaml", config.Print(spec))
		if err != nil {
			t.Errorf("%s: printed, it is not accepted: %v", written, err)
			continue
		}
		if got, printed := spec.VirtualRouters[0].Auth, again.VirtualRouters[0].Auth; got != want || printed != want {
			t.Errorf("%s: got %+v, printed and read %+v", written, got, printed)
		}
	}
}

// TestMistakesOfAuthAreExplained, each with its place and the way out, and without the key.
func TestMistakesOfAuthAreExplained(t *testing.T) {
	dir := keyFiles(t)
	for written, want := range map[string]string{
		"{}":                                                `auth: no key_file; write "{key_file: /etc/weir/vrrp.key}"; make it on one director, and copy it to the others: (umask 077; `,
		"{mode: permissive}":                                "auth: no key_file; ",
		"front":                                             "auth: it must be a map",
		"{key_file: $DIR/sync.key, key: abc}":               `auth: unknown key "key"; write it into a file of its own`,
		"{key_file: vrrp.key}":                              `auth: key_file: "vrrp.key" is not a whole path; begin at the root`,
		"{key_file: $DIR/none.key}":                         "auth: key_file: $DIR/none.key: no such file or directory; make it on one director",
		"{key_file: $DIR/told.key}":                         "auth: key_file: $DIR/told.key can be read by others than its owner; chmod 600 $DIR/told.key, and make it that of the user as whom weir runs",
		"{key_file: $DIR/group.key}":                        "auth: key_file: $DIR/group.key can be read by others than its owner; chmod 600",
		"{key_file: $DIR/empty.key}":                        "auth: key_file: $DIR/empty.key is empty",
		"{key_file: $DIR/short.key}":                        "auth: key_file: $DIR/short.key: line 1: a key of 5 bytes: write 32 to 64 random bytes",
		"{key_file: $DIR/word.key}":                         "auth: key_file: $DIR/word.key: line 1: an id that is not from 1 to 255",
		"{key_file: $DIR/sync.key, mode: x}":                `auth: unknown mode "x"`,
		"{key_file: $DIR/sync.key, mode: off}":              `auth: unknown mode "off"; leave "auth:" out`,
		"{key_file: $DIR/sync.key, time_window: 5}":         `auth: unknown key "time_window"; leave it out: no clock need be right`,
		"{key_file: $DIR/sync.key, anti_replay: monotonic}": `auth: unknown key "anti_replay"; leave it out`,
	} {
		_, err := config.Parse("weir.yaml", signing(written, dir))
		complaints, ok := errors.AsType[*config.Error](err)
		if !ok || len(complaints.Complaints) != 1 {
			t.Errorf("%s: want one complaint, got %v", written, err)
			continue
		}
		c := complaints.Complaints[0]
		got := c.Message + "; " + c.Hint
		if want = "virtual router front: " + strings.ReplaceAll(want, "$DIR", dir); !strings.HasPrefix(got, want) || c.Line != 3 {
			t.Errorf("%s:\n got %d: %s\nwant 3: %s", written, c.Line, got, want)
		}
		for _, secret := range []string{"c2hvcnQ", "horse"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%s is told:\n%v", secret, err)
			}
		}
	}
}

// TestASignatureTakesRoom: with one, an advert from a virtual MAC has room for two IPv6 addresses less.
func TestASignatureTakesRoom(t *testing.T) {
	dir := keyFiles(t)
	for _, c := range []struct {
		addresses int
		auth      string
		good      bool
	}{{77, "", true}, {78, "", false}, {75, ", auth: {key_file: $DIR/sync.key}", true}, {76, ", auth: {key_file: $DIR/sync.key}", false}} {
		addresses := "fe80::10"
		for i := range c.addresses - 1 {
			addresses += ", \"2001:db8::" + strings.Repeat("1", i%4+1) + ":" + string("0123456789abcdef"[i/16]) + string("0123456789abcdef"[i%16]) + "\""
		}
		_, err := config.Parse("weir.yaml", []byte(strings.ReplaceAll("services: []\nvrrp: [{name: front, interface: eth0, id: 51, mac: virtual, addresses: ["+addresses+"]"+c.auth+"}]\n", "$DIR", dir)))
		if (err == nil) != c.good {
			t.Errorf("%d addresses%s: %v", c.addresses, c.auth, err)
		}
	}
}
