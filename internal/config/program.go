// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
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
// it runs. Without a path nothing could be.
func (s scope) program(values map[string]*yaml.Node) (path, args, as string, ok bool) {
	args = s.scriptArgs(values["args"])
	uid := uint32(os.Geteuid())
	if n := values["user"]; n != nil {
		as, uid = s.scriptUser(n, uid)
	}
	if path, ok = s.text(values["path"], "path"); ok {
		s.complainIf(values["path"], untrusted(trust.Executable(path, uid), path))
	}
	return path, args, as, ok
}

// untrusted is nil for what can be relied on. Who writes a command line has the program's arguments in its path.
func untrusted(err error, path string) *mistake {
	fault, ok := errors.AsType[*trust.Fault](err)
	switch {
	case err == nil:
		return nil
	case !ok:
		return &mistake{err.Error(), ""}
	case strings.ContainsAny(path, " \t") && filepath.IsAbs(path):
		return &mistake{fault.Why, `no shell takes this apart: write "{path: /etc/weir/on-change, args: [...]}"`}
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
