// SPDX-License-Identifier: Apache-2.0

package health

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/program"
)

// adviseExec runs a program, whose exit code is the answer (keepalived's check_misc.c). One that cannot be run says
// nothing about a server.
func adviseExec(ask model.AskExec) adviser {
	return func(ctx context.Context, to netip.AddrPort) (model.Advice, error) {
		p := program.Program{Path: ask.Path, Args: ask.Arguments(), Env: endpointIn(to), User: ask.User}
		err := p.Run(ctx)
		failed, ran := errors.AsType[*program.Failure](err)
		if err != nil && !ran {
			return model.Advice{}, ownFault{fmt.Errorf("exec: %w", err)}
		}
		if err == nil {
			return model.Advice{}, nil
		}
		if code := exitCode(failed); ask.Dynamic && code >= leastWeighed {
			return weighed(ask, code), nil
		}
		return model.Advice{}, execReason(failed)
	}
}

// leastWeighed is the exit code that stands for weight 0. 0 is good and says nothing of a weight, 1 is bad.
const leastWeighed = 2

func weighed(ask model.AskExec, code int) model.Advice {
	return model.Advice{Given: true, Weight: code - leastWeighed, Says: fmt.Sprintf("%s exits with %d", shown(filepath.Base(ask.Path)), code)}
}

// endpointIn is what a program is told: a check is shared by the services that ask the same, so no service is named.
// What a virtual router tracks is nobody's.
func endpointIn(to netip.AddrPort) []string {
	if !to.Addr().IsValid() {
		return nil
	}
	address, port := to.Addr().Unmap(), ""
	if to.Port() != 0 {
		port = strconv.Itoa(int(to.Port()))
	}
	return []string{
		"WEIR_SERVER=" + model.HostPort(address, to.Port()),
		"WEIR_SERVER_ADDRESS=" + address.String(),
		"WEIR_SERVER_PORT=" + port,
	}
}

// exitCode is 0 for one that was killed.
func exitCode(failed *program.Failure) int {
	if exit, ok := errors.AsType[*exec.ExitError](failed.Err); ok && exit.Exited() {
		return exit.ExitCode()
	}
	return 0
}

// execReason is how a program failed, and what it said.
func execReason(failed *program.Failure) error {
	if errors.Is(failed.Err, context.DeadlineExceeded) {
		return fmt.Errorf("exec: %w", errSilent)
	}
	how := plainly(failed.Err).Error()
	if exit, ok := errors.AsType[*exec.ExitError](failed.Err); ok {
		how = fmt.Sprintf("exit code %d", exit.ExitCode())
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			how = status.Signal().String()
		}
	}
	if failed.Output == "" {
		return errors.New("exec: " + how)
	}
	return fmt.Errorf("exec: %s: %s", how, shown(failed.Output))
}
