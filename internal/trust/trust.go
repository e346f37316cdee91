// SPDX-License-Identifier: Apache-2.0

// Package trust says whether files can be relied on: a program that others could have changed is not run, and what
// others could have read is no secret. It changes nothing, and runs nothing. trust.go says which files are, and keys.go reads one with keys.
package trust

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Fault is why a file is not relied on.
type Fault struct {
	Why string
	Fix string // the way out
}

func (f *Fault) Error() string { return f.Why + ": " + f.Fix }

// Executable wants a program that nobody can change but root and the user that runs it. That goes for each
// directory and link on its path, too: who may write to one can put something else there. keepalived calls the
// same script security (lib/notify.c, check_security).
func Executable(path string, uid uint32) error {
	if !filepath.IsAbs(path) {
		return &Fault{fmt.Sprintf("%q is not a whole path", path), "begin at the root"}
	}
	at, info, err := follow(path, uid)
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return &Fault{at + " is not a file", "name a program"}
	case info.Mode()&0o111 == 0:
		return &Fault{at + " is not executable", "chmod +x " + at}
	}
	return changeable(at, info, uid)
}

// mostLinks is as the kernel has it (path_resolution(7)).
const mostLinks = 40

// follow goes along a path as the kernel does, and returns where it leads. It stops where others could change the
// way.
func follow(path string, uid uint32) (string, fs.FileInfo, error) {
	at, rest := "/", elements(path)
	for links := 0; ; {
		info, err := os.Lstat(at)
		if err != nil {
			return "", nil, missing(at, err)
		}
		isLink := info.Mode()&fs.ModeSymlink != 0
		switch {
		case !isLink && len(rest) == 0:
			return at, info, nil
		case !isLink && !info.IsDir():
			return "", nil, &Fault{at + " is not a directory", "correct the path"}
		}
		if err := changeable(at, info, uid); err != nil {
			return "", nil, err
		}
		if !isLink {
			at, rest = filepath.Join(at, rest[0]), rest[1:]
			continue
		}
		if links++; links > mostLinks {
			return "", nil, &Fault{fmt.Sprintf("more than %d links on the way", mostLinks), "name the file itself"}
		}
		if at, rest, err = step(at, rest); err != nil {
			return "", nil, err
		}
	}
}

// step goes where a link points, seen from its own directory.
func step(link string, rest []string) (string, []string, error) {
	target, err := os.Readlink(link)
	if err != nil {
		return "", nil, missing(link, err)
	}
	from := filepath.Dir(link)
	if filepath.IsAbs(target) {
		from = "/"
	}
	return from, append(elements(target), rest...), nil
}

func elements(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
}

// changeable: who owns something can change it, and so can those whom its mode lets write. Of a link only the owner
// counts, and in a directory with the sticky bit nobody can replace what is not theirs.
func changeable(path string, info fs.FileInfo, uid uint32) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	mode := info.Mode()
	switch {
	case !ok:
		return fmt.Errorf("%s: nobody says whose it is", path)
	case stat.Uid != 0 && stat.Uid != uid:
		return &Fault{fmt.Sprintf("%s belongs to user %d", path, stat.Uid), "chown root " + path}
	case mode&fs.ModeSymlink != 0, info.IsDir() && mode&fs.ModeSticky != 0:
		return nil
	case mode&0o002 != 0:
		return &Fault{path + " is writable by everybody", "chmod o-w " + path}
	case mode&0o020 != 0 && stat.Gid != 0:
		return &Fault{fmt.Sprintf("%s is writable by group %d", path, stat.Gid), "chmod g-w " + path}
	}
	return nil
}

// Open opens a file for reading, and waits for nobody, as a FIFO in its place would make it.
func Open(path string) (*os.File, error) { return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) }

// mostSecret bounds a file with a secret, in bytes.
const mostSecret = 4096

// Secret reads a file with a password or a key, which nobody can read but its owner. The end of its line is no part
// of it.
func Secret(path string) (string, error) {
	f, err := Open(path)
	if err != nil {
		return "", missing(path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", missing(path, err)
	}
	if err := private(path, info); err != nil {
		return "", err
	}
	data, err := io.ReadAll(io.LimitReader(f, mostSecret))
	if err != nil {
		return "", missing(path, err)
	}
	secret := strings.TrimRight(string(data), "\r\n")
	if secret == "" {
		return "", empty(path)
	}
	return secret, nil
}

func empty(path string) error { return &Fault{path + " is empty", "write the secret into it"} }

// SecretFile tells what is wrong with a file that Secret will read. Who asks need not be who will read it.
func SecretFile(path string) error {
	if !filepath.IsAbs(path) {
		return &Fault{fmt.Sprintf("%q is not a whole path", path), "begin at the root"}
	}
	info, err := os.Stat(path)
	if err != nil {
		return missing(path, err)
	}
	return private(path, info)
}

func private(path string, info fs.FileInfo) error {
	switch {
	case !info.Mode().IsRegular():
		return &Fault{path + " is not a file", "name a file with one line"}
	case info.Mode()&0o077 != 0:
		return &Fault{path + " can be read by others than its owner", "chmod 600 " + path + ", and make it that of the user as whom weir runs"}
	case info.Size() == 0:
		return empty(path)
	case info.Size() > mostSecret:
		return &Fault{fmt.Sprintf("%s is larger than %d bytes", path, mostSecret), "is this the right file?"}
	}
	return nil
}

// missing says what the system said, and which part of a path it is about.
func missing(path string, err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	fix := "correct the path"
	if errors.Is(err, fs.ErrPermission) {
		fix = "let the user in as whom weir runs"
	}
	return &Fault{fmt.Sprintf("%s: %v", path, err), fix}
}
