// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// confinement is how the daemon runs as a systemd unit: it is a user who may nothing but what a few
// capabilities allow, and who gets no more by running another program.
type confinement struct {
	spawner      *spawner // its thread has given up all other capabilities for good
	capabilities []uintptr
	weir         string // the binary, where that user may run it
}

// UserID is the user and group of a confined daemon. It has no name, and is not nobody: somebody
// who may nothing is wanted too.
const UserID = 65432

func newConfinement(r *room, weir string) (*confinement, error) {
	capabilities, err := unitCapabilities()
	if err != nil {
		return nil, err
	}
	c := &confinement{spawner: newSpawner(), capabilities: capabilities}
	if err := c.spawner.do(c.giveUp); err != nil {
		return c, fmt.Errorf("give up capabilities: %w", err)
	}
	if weir == "" {
		return c, nil
	}
	c.weir = filepath.Join(r.dir, "weir")
	return c, errors.Join(os.Chmod(r.dir, 0o711), copyProgram(weir, c.weir))
}

// unitCapabilities are those of packaging/weir.service, and on old kernels of its drop-in.
func unitCapabilities() ([]uintptr, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return nil, fmt.Errorf("uname: %w", err)
	}
	out := []uintptr{unix.CAP_NET_ADMIN, unix.CAP_BPF, unix.CAP_NET_RAW, unix.CAP_SYS_NICE}
	if wantsPerfmon(unix.ByteSliceToString(u.Release[:])) {
		out = append(out, unix.CAP_PERFMON)
	}
	return out, nil
}

// wantsPerfmon: Linux before 6.12.5 loads the program with CAP_PERFMON only. Releases of
// distributions tell no patch level, so that 6.12 is taken for a new one.
func wantsPerfmon(release string) bool {
	var major, minor int
	n, err := fmt.Sscanf(release, "%d.%d", &major, &minor)
	return err == nil && n == 2 && (major < 6 || major == 6 && minor < 12)
}

// giveUp bounds what children of this thread can ever have. The thread itself keeps what it needs to
// enter namespaces and to change users.
func (c *confinement) giveUp() error {
	for capability := uintptr(0); ; capability++ {
		if c.allows(capability) {
			continue
		}
		err := unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0)
		if errors.Is(err, unix.EINVAL) { // behind the last one that this kernel has
			return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
		}
		if err != nil {
			return err
		}
	}
}

func (c *confinement) allows(capability uintptr) bool {
	for _, kept := range c.capabilities {
		if kept == capability {
			return true
		}
	}
	return false
}

// apply makes a command one of the confined user's.
func (c *confinement) apply(cmd *exec.Cmd) {
	cmd.Dir = "/"
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: UserID, Gid: UserID}
	cmd.SysProcAttr.AmbientCaps = c.capabilities
}

// own gives files and directories to the confined user.
func (c *confinement) own(paths ...string) error {
	var errs []error
	for _, path := range paths {
		errs = append(errs, os.Chown(path, UserID, UserID))
	}
	return errors.Join(errs...)
}

func (c *confinement) close() {
	if c != nil {
		c.spawner.close()
	}
}

// copyProgram puts a program where everybody may run it: the original may be in somebody's home.
func copyProgram(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Chmod(0o755), out.Close())
}
