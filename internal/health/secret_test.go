// SPDX-License-Identifier: Apache-2.0

package health

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-lb/weir/internal/model"
)

// secretFile is one that nobody else can read.
func secretFile(t *testing.T, secret string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestWithoutItsSecretACheckCannotAsk: it is not the server's fault, and the secret is not in what is said of it.
func TestWithoutItsSecretACheckCannotAsk(t *testing.T) {
	missing, open := filepath.Join(t.TempDir(), "missing"), secretFile(t, "s3cret")
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{missing: "no such file or directory", open: "can be read by others than its owner"} {
		sql := model.SQL{User: "weir", PasswordFile: path}
		for kind, p := range map[string]probe{
			"mysql":            probeMade(probeMySQL(model.AskMySQL{SQL: sql})),
			"postgresql":       probeMade(probePostgreSQL(model.AskPostgreSQL{SQL: sql})),
			"ldap":             probeMade(probeLDAP(model.AskLDAP{Bind: "cn=weir", PasswordFile: path})),
			"radius":           probeRADIUS(model.AskRADIUS{SecretFile: path}),
			"radius, password": probeRADIUS(model.AskRADIUS{SecretFile: secretFile(t, "x"), User: "weir", PasswordFile: path}),
		} {
			err := p(t.Context(), closedPort(t))
			if !isOwn(err) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%s: got %v, want our own fault: %s", kind, err, want)
			}
		}
	}
}
