// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/weir-lb/weir/internal/lab"
)

// weirTool speaks to the director on which it is called, or to the first one. Commands that speak
// to no daemon have no --run; their help tells. Parameters: the binary, the first's directory.
const weirTool = `
case "$(%[1]q "$1" --help 2>&1)" in
*--run*) exec %[1]q "$@" --run "${WEIR_LAB_RUN:-%[2]s}" ;;
*) exec %[1]q "$@" ;;
esac
`

// nodeTool runs a command on a node. Parameters: where its weir speaks to, its namespace.
const nodeTool = `
export WEIR_LAB_RUN=%q
exec nsenter --net=%s -- "$@"
`

// writeTools makes the commands of a shell: `weir`, and one for each node. They go with the lab.
func writeTools(l *lab.Lab, weir string) (string, error) {
	first := l.Directors[0].Run
	tools := map[string]string{"weir": fmt.Sprintf(weirTool, weir, first)}
	for _, n := range l.Nodes() {
		tools[n.Name] = fmt.Sprintf(nodeTool, first, n.Path())
	}
	for _, d := range l.Directors {
		tools[d.Name] = fmt.Sprintf(nodeTool, d.Run, d.Path())
	}
	dir := filepath.Join(l.Dir(), "bin")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	for name, script := range tools {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh"+script), 0o700); err != nil {
			return "", err
		}
	}
	return dir, nil
}
