// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/trust"
)

// program reads what is run by a notice or a check: path, args, user. It is looked at now, and again each time before
// it runs. Without a path nothing could be. Such as is what a hint names.
func (s scope) program(values map[string]*yaml.Node, suchAs string) (path, args, as string, ok bool) {
	args = s.scriptArgs(values["args"])
	uid := uint32(os.Geteuid())
	if n := values["user"]; n != nil {
		as, uid = s.scriptUser(n, uid)
	}
	if path, ok = s.text(values["path"], "path"); ok {
		s.complainIf(values["path"], untrustedProgram(trust.Executable(path, uid), path, suchAs))
	}
	return path, args, as, ok
}

// untrustedProgram has another way out for who writes a command line: the program's arguments are in its path.
func untrustedProgram(err error, path, suchAs string) *mistake {
	m := untrusted(err)
	if m != nil && strings.ContainsAny(path, " \t") && filepath.IsAbs(path) {
		m.hint = fmt.Sprintf(`no shell takes this apart: write "{path: %s, args: [...]}"`, suchAs)
	}
	return m
}

// untrusted is nil for what can be relied on.
func untrusted(err error) *mistake {
	fault, ok := errors.AsType[*trust.Fault](err)
	switch {
	case err == nil:
		return nil
	case !ok:
		return &mistake{err.Error(), ""}
	}
	return &mistake{fault.Why, fault.Fix}
}

func (s scope) scriptArgs(n *yaml.Node) string {
	if n == nil {
		return ""
	}
	var args []string
	for _, item := range s.list(n, "args") {
		if arg, ok := s.text(item, "argument"); ok {
			args = append(args, arg)
		}
	}
	return model.JoinArguments(args)
}

// scriptUser must exist. Whether the daemon may change to it shows when it does.
func (s scope) scriptUser(n *yaml.Node, standard uint32) (string, uint32) {
	name, ok := s.text(n, "user")
	if !ok {
		return "", standard
	}
	found, err := user.Lookup(name)
	if err != nil {
		s.complain(n, mistake{"user " + label(name) + ": there is no such user here", "write the name of one, not a number"})
		return name, standard
	}
	uid, err := strconv.ParseUint(found.Uid, 10, 32)
	if err != nil {
		return name, standard
	}
	return name, uint32(uid)
}
