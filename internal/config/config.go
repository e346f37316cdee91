// SPDX-License-Identifier: Apache-2.0

// Package config reads and writes weir's own file. Parse turns YAML into a model.Spec, or into
// every complaint at once, each with its place and a way out; Print is the way back. What the file
// means on a given host (routes, interfaces, neighbours) is decided by internal/plan, not here.
//
// Nothing is accepted and ignored: keys that a later version brings are refused by name.
//
// Read config.go first, then spec.go, service.go and server.go (the grammar, from the top down) and
// check.go (what only shows when services are looked at together). decode.go and syntax.go are the
// tools below them, complaint.go is what the operator sees. docs/config.md is the reference.
package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/weir-lb/weir/internal/model"
)

// maxSize is the largest file that is read; 20,000 servers take about one million bytes.
const maxSize = 4 << 20

// Load reads and parses the file at path.
func Load(path string) (model.Spec, error) {
	data, err := read(path)
	if err != nil {
		return model.Spec{}, err
	}
	return Parse(path, data)
}

// Parse turns the bytes of a file into a Spec. The name is used in complaints only. What is wrong
// with the file comes back as an *Error, and then the Spec is empty: half a file is not a file.
func Parse(name string, data []byte) (model.Spec, error) {
	f := newFile(name, data)
	var spec model.Spec
	if root := f.tree(data); root != nil {
		spec = f.spec(root)
	}
	if err := f.verdict(); err != nil {
		return model.Spec{}, err
	}
	return spec, nil
}

// read stops one byte after maxSize, so that Parse can tell, and /dev/zero ends.
func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, unreadable(path, err)
	}
	return data, nil
}

// unreadable says what to do about a file that cannot be read.
func unreadable(path string, err error) error {
	cause := err
	if pathErr := (*fs.PathError)(nil); errors.As(err, &pathErr) {
		cause = pathErr.Err
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("config: %s: %w: write it, or name the right file", path, cause)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("config: %s: %w: run as root, or make the file readable", path, cause)
	case errors.Is(err, syscall.EISDIR):
		return fmt.Errorf("config: %s: %w: name the file in it", path, cause)
	}
	return fmt.Errorf("config: %s: %w", path, cause)
}
