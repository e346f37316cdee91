// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// Namespace is a network namespace without a name: it exists as long as its descriptor or a
// process in it does, so a lab that is killed with -9 takes its namespaces along. Two labs can
// therefore not meet.
//
// It is a network namespace only. Mounts stay the host's, because pins must be seen from both
// sides; `ip netns exec` would hide them.
type Namespace struct {
	Name string

	file    *os.File
	spawner *spawner
}

// newNamespace makes an empty namespace whose lo is down.
func newNamespace(name string, s *spawner) (*Namespace, error) {
	n := &Namespace{Name: name, spawner: s}
	err := awayFromHome(func() (err error) {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		n.file, err = os.Open(threadNamespace)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("make network namespace %s: %w", name, err)
	}
	return n, nil
}

const threadNamespace = "/proc/thread-self/ns/net"

// awayFromHome runs fn on a thread that may leave its network namespace. A thread that cannot be
// brought back is not unlocked: it ends with its goroutine and never runs anybody else's code in
// the wrong network.
func awayFromHome(fn func() error) error {
	runtime.LockOSThread()
	home, err := os.Open(threadNamespace)
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer func() {
		if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
		home.Close()
	}()
	return fn()
}

// Do runs fn inside the namespace. Sockets that fn opens stay in it and may be used from anywhere
// afterwards; goroutines that fn starts are outside.
func (n *Namespace) Do(fn func() error) error {
	return awayFromHome(func() error {
		if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter network namespace %s: %w", n.Name, err)
		}
		return fn()
	})
}

// Path is where other processes find the namespace, for `nsenter --net=PATH`, while the lab lives.
func (n *Namespace) Path() string {
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), n.file.Fd())
}

// Sysctl sets net/KEY of the namespace, for instance "ipv4/ip_forward".
func (n *Namespace) Sysctl(key, value string) error {
	err := n.Do(func() error {
		return os.WriteFile(filepath.Join("/proc/sys/net", key), []byte(value), 0)
	})
	if err != nil {
		return fmt.Errorf("%s: %w", n.Name, err)
	}
	return nil
}

// sysctls sets several, in order, each given as key and value.
func (n *Namespace) sysctls(pairs [][2]string) error {
	for _, p := range pairs {
		if err := n.Sysctl(p[0], p[1]); err != nil {
			return err
		}
	}
	return nil
}

// processes lists who runs in the namespace. Its descriptor is open, so the number that
// identifies it cannot belong to another one meanwhile.
func (n *Namespace) processes() ([]int, error) {
	self, err := n.file.Stat()
	if err != nil {
		return nil, err
	}
	links, err := filepath.Glob("/proc/[0-9]*/ns/net")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, link := range links {
		if other, err := os.Stat(link); err != nil || !os.SameFile(self, other) {
			continue // a process that ended meanwhile, or somebody else's
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(link))))
		if err == nil && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// close ends every process in the namespace, also those which a person started in a shell there,
// and lets it go.
func (n *Namespace) close() error {
	pids, err := n.processes()
	for _, pid := range pids {
		if e := unix.Kill(pid, unix.SIGKILL); e != nil && !errors.Is(e, unix.ESRCH) {
			err = errors.Join(err, fmt.Errorf("end process %d in %s: %w", pid, n.Name, e))
		}
	}
	return errors.Join(err, n.file.Close())
}
