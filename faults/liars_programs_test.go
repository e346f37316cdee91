// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// byProgram is a lie of a shell script. MARK is a time to sleep that nobody else wants, SAYS tells of a process.
type byProgram string

func (byProgram) protocol() string { return "tcp" }

// hostilePrograms are nice where they would take the processors, which are not what is looked at.
func hostilePrograms() []lies {
	return []lies{
		{"words without end", "exec: PROGRAM", byProgram("nice -n 19 yes MARK >&2 &\nexec nice -n 19 yes MARK\n")},
		{"a word without end", "exec: PROGRAM", byProgram("exec nice -n 19 tr '\\0MARK' '\\033' </dev/zero\n")},
		{"an odd line and exit code", "exec: PROGRAM", byProgram("head -c 100000 /dev/zero | tr '\\0' '\\015'\nprintf '\\033[2J\\n\\377'\nexit 255\n")},
		{"silence that goes on", "exec: PROGRAM", byProgram("exec sleep MARK >&- 2>&-\n")},
		{"a program deaf to signals", "exec: PROGRAM", byProgram("trap '' TERM INT HUP QUIT ALRM\nsleep MARK\nsleep MARK\n")},
		{"children that hold its output", "exec: PROGRAM", byProgram("for i in 1 2 3 4 5 6 7 8 9 10; do sleep MARK &\nSAYS $!; done\nexit 1\n")},
		{"children that go on", "exec: PROGRAM", byProgram("for i in 1 2 3; do (trap '' TERM; sleep MARK; :) >&- 2>&- &\nSAYS $!; done\nwait\n")},
		{"a death of its own", "exec: PROGRAM", byProgram("kill -SEGV $$\n")},
	}
}

// programs are scripts, which tell of themselves through a pipe.
type programs struct {
	dir  string
	mark string
	pipe *os.File
	note func(l liar, heard extent, began, ended time.Time)

	mu    sync.Mutex
	liars map[string]liar // by path
}

func newPrograms(t *testing.T, note func(liar, extent, time.Time, time.Time)) *programs {
	t.Helper()
	p := &programs{dir: publicDir(t), mark: fmt.Sprintf("9%07d", os.Getpid()), note: note, liars: map[string]liar{}}
	if err := unix.Mkfifo(p.pipePath(), 0o600); err != nil {
		t.Fatal(err)
	}
	pipe, err := os.OpenFile(p.pipePath(), os.O_RDWR, 0) // nobody waits for the other end
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pipe.Close() })
	p.pipe = pipe
	go p.listen()
	return p
}

func (p *programs) pipePath() string        { return filepath.Join(p.dir, "pipe") }
func (p *programs) path(port uint16) string { return filepath.Join(p.dir, fmt.Sprint(port)) }

// open writes the script. All that it starts has its name or the mark in the command.
func (lie byProgram) open(_ *testing.T, h *hostility, l liar, port uint16) error {
	p, path := h.programs, h.programs.path(port)
	p.mu.Lock()
	p.liars[path] = l
	p.mu.Unlock()
	tells := fmt.Sprintf("echo >%s %s", p.pipePath(), path)
	text := strings.NewReplacer("MARK", p.mark, "SAYS", tells+" child").Replace(string(lie))
	return os.WriteFile(path, []byte("#!/bin/sh\n"+tells+" itself $$\n"+text), 0o755)
}

// listen hears of processes, until the pipe is closed.
func (p *programs) listen() {
	for lines := bufio.NewScanner(p.pipe); lines.Scan(); {
		began := time.Now()
		var path, who string
		var pid int
		if _, err := fmt.Sscan(lines.Text(), &path, &who, &pid); err == nil {
			go p.follow(path, who, pid, began)
		}
	}
}

// follow waits for the end of a process.
func (p *programs) follow(path, who string, pid int, began time.Time) {
	const longest = 5000                               // milliseconds
	if fd, err := unix.PidfdOpen(pid, 0); err == nil { // otherwise it has ended
		defer unix.Close(fd)
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, longest)
		for err == unix.EINTR {
			_, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, longest)
		}
	}
	ended := time.Now()
	p.mu.Lock()
	l := p.liars[path]
	p.mu.Unlock()
	var heard extent
	if who == "itself" {
		heard.answers = 1
	}
	p.note(l, heard, began, ended)
}

// left is how many of the processes that are there now are there 2 s later, too.
func (p *programs) left(ctx context.Context) int {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	still := p.processes()
	_ = eachMoment(ctx, func() (bool, error) {
		now := p.processes()
		for pid := range still {
			if !now[pid] {
				delete(still, pid)
			}
		}
		return len(still) == 0, nil
	})
	return len(still)
}

func (p *programs) processes() map[string]bool {
	out := map[string]bool{}
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, line := range lines {
		text, _ := os.ReadFile(line) // it may be gone
		if bytes.Contains(text, []byte(p.mark)) || bytes.Contains(text, []byte(p.dir+"/")) {
			out[filepath.Dir(line)] = true
		}
	}
	return out
}
