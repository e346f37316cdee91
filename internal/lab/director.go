// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Director is a balancer: the host on which weir runs. It has directories of its own, since all
// directors live in the host's mount namespace. Its VIP comes from weir.
type Director struct {
	Node
	Back   Pair   // its addresses on the back LAN, in shape two-arm
	Config string // the daemon's configuration file
	Log    string // what the daemon printed, over all its lives
	BPFFS  string
	Run    string
	State  string

	weir     string
	table    int      // of Config
	environ  []string // what is in the daemon's beside the lab's own; see Watch
	confined *confinement
	daemon   *process
}

func (l *Lab) newDirector(i int) (*Director, error) {
	n, err := l.newNode(fmt.Sprintf("director%d", i+1), l.front().host(directorHost+i))
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(l.room.dir, n.Name)
	d := &Director{
		Node:   *n,
		Config: filepath.Join(dir, "weir.yaml"),
		Log:    filepath.Join(dir, "weir.log"),
		BPFFS:  filepath.Join(l.room.dir, bpffsName, n.Name),
		Run:    filepath.Join(dir, "run"),
		State:  filepath.Join(dir, "state"),
		weir:   l.config.Weir,
		table:  l.config.Table,

		confined: l.confined,
	}
	if l.Shape == TwoArm {
		d.Back = l.back().host(directorHost + i)
	}
	if err := l.room.make(d.BPFFS, d.Run, d.State); err != nil || d.confined == nil {
		return d, err
	}
	return d, errors.Join(os.Chmod(dir, 0o711), d.confined.own(d.BPFFS, d.Run, d.State))
}

// Start writes the configuration file and starts the daemon. See WaitReady.
func (d *Director) Start(config string) error {
	if err := d.Configure(config); err != nil {
		return err
	}
	return d.Restart()
}

// Configure writes the configuration file. A running daemon does not look by itself.
func (d *Director) Configure(config string) error {
	if err := os.WriteFile(d.Config, []byte(d.sized(config)), 0o640); err != nil || d.confined == nil {
		return err
	}
	return os.Chown(d.Config, -1, UserID) // whose daemon reads it, and cannot write it
}

// sized is a configuration that says how large the table is. It says so at its end: the lines before keep their numbers.
// One that is empty stays so.
func (d *Director) sized(config string) string {
	if d.table == 0 || strings.TrimSpace(config) == "" || strings.Contains("\n"+config, "\nconnections:") {
		return config
	}
	return fmt.Sprintf("%s\nconnections: {size: %d}\n", config, d.table)
}

// Restart starts the daemon with the configuration file that is there.
func (d *Director) Restart() error {
	if d.weir == "" {
		return errNoWeir
	}
	if d.daemon != nil && d.daemon.ended() == nil {
		return fmt.Errorf("%s: the daemon is running already", d.Name)
	}
	weir := d.weir
	if d.confined != nil {
		weir = d.confined.weir
	}
	var err error
	command := []string{weir, "run", "-c", d.Config, "--bpffs", d.BPFFS, "--run", d.Run, "--state", d.State}
	if d.watched() {
		command = append(withoutCore(), command...)
	}
	d.daemon, err = d.spawnAs(d.confined, d.environ, d.Log, command[0], command[1:]...)
	return err
}

// Signal sends the daemon a signal, such as SIGHUP to read its configuration file again.
func (d *Director) Signal(s syscall.Signal) error {
	if d.daemon == nil {
		return errNoDaemon
	}
	return d.daemon.signal(s)
}

var errNoDaemon = errors.New("the daemon was not started")

// Stop ends the daemon as an operator does and waits for it.
func (d *Director) Stop() error {
	if d.daemon == nil {
		return nil
	}
	return d.daemon.stop(10 * time.Second)
}

// PID is the daemon's; 0 before its first start.
func (d *Director) PID() int {
	if d.daemon == nil {
		return 0
	}
	return d.daemon.cmd.Process.Pid
}

// Kill ends the daemon with SIGKILL and waits until it is gone.
func (d *Director) Kill() error {
	if d.daemon == nil {
		return nil
	}
	return d.daemon.kill()
}

// Weir runs weir's command line against the daemon and returns what it printed.
func (d *Director) Weir(ctx context.Context, args ...string) (string, error) {
	if d.weir == "" {
		return "", errNoWeir
	}
	return d.Output(ctx, d.weir, slices.Concat(args, []string{"--run", d.Run})...)
}

// WaitReady waits until what the configuration says is in the maps and every server is reachable.
func (d *Director) WaitReady(ctx context.Context) error {
	if d.daemon == nil {
		return fmt.Errorf("%s is not ready: %w", d.Name, errNoDaemon)
	}
	var missing error
	err := poll(ctx, 25*time.Millisecond, func() (bool, error) {
		err := d.ready(ctx)
		if ctx.Err() == nil {
			missing = err // an answer that was cut short says nothing
		}
		return err == nil, d.daemon.ended()
	})
	if err != nil {
		return fmt.Errorf("%s is not ready: %w", d.Name, errors.Join(err, missing))
	}
	return nil
}

// ready tells what is missing.
func (d *Director) ready(ctx context.Context) error {
	var status struct{ Revision, Applied uint64 }
	if err := d.ask(ctx, &status, "status"); err != nil {
		return err
	}
	if status.Revision == 0 || status.Applied != status.Revision {
		return fmt.Errorf("revision %d is not applied, %d is", status.Revision, status.Applied)
	}
	var servers []struct{ Service, Address, State, Reason string }
	if err := d.ask(ctx, &servers, "servers"); err != nil {
		return err
	}
	for _, s := range servers {
		if s.State == "unreachable" { // a quiesced one is as it shall be
			return fmt.Errorf("server %s of %s is %s: %s", s.Address, s.Service, s.State, s.Reason)
		}
	}
	return nil
}

// ask runs a command that looks, and reads its JSON. Exit code 3 means that something is degraded,
// which the answer tells better.
func (d *Director) ask(ctx context.Context, answer any, command string) error {
	text, err := d.Weir(ctx, command, "-o", "json")
	if err != nil && text == "" {
		return err
	}
	if err := json.Unmarshal([]byte(text), answer); err != nil {
		return fmt.Errorf("weir %s -o json: %w", command, err)
	}
	return nil
}
