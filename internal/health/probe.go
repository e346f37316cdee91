// SPDX-License-Identifier: Apache-2.0

package health

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
)

// probe asks one endpoint once, and returns what was wrong with its answer. ctx ends with the check's timeout.
// The error is a reason for people, on one line: "http: 503, expected 200-299".
type probe func(ctx context.Context, to netip.AddrPort) error

// adviser is a probe whose good answers may say something of the server's weight.
type adviser func(ctx context.Context, to netip.AddrPort) (model.Advice, error)

// tacit says nothing of weights.
func tacit(ask probe) adviser {
	return func(ctx context.Context, to netip.AddrPort) (model.Advice, error) {
		return model.Advice{}, ask(ctx, to)
	}
}

// dial connects. The connection's deadline is that of ctx, and it is closed with a reset: one that the director
// closes first would be remembered by it for a minute (TIME_WAIT), and ports are few when checks are many.
func dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	var d net.Dialer
	d.SetMultipathTCP(false)
	to, alias := dialled(ctx, to)
	if alias {
		d.LocalAddr = &net.TCPAddr{} // ports that are bound first are not used for two aliases at a time: their answers look alike
	}
	c, err := d.DialContext(ctx, "tcp", to.String())
	if err != nil {
		return nil, fmt.Errorf("connect: %w", plainly(err))
	}
	if tcp, ok := c.(*net.TCPConn); ok {
		err = tcp.SetLinger(0)
	}
	if deadline, ok := ctx.Deadline(); ok {
		err = errors.Join(err, c.SetDeadline(deadline))
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return polite{c}, nil
}

// errSilent is what becomes of every timeout.
var errSilent = errors.New("no answer")

// plainly is the heart of an error of the network, without addresses, which the reader knows.
func plainly(err error) error {
	var errno unix.Errno
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return errSilent
	case errors.As(err, &errno):
		return errno
	}
	return err
}

// ownFault is what keeps us from asking, and says nothing about a server.
type ownFault struct{ error }

func (f ownFault) Unwrap() error { return f.error }

// isOwn tells whether the director itself lacks what it needs to ask: descriptors, memory, ports, a way, a file.
func isOwn(err error) bool {
	if _, ok := errors.AsType[ownFault](err); ok {
		return true
	}
	errno, ok := errors.AsType[unix.Errno](err)
	return ok && slices.Contains([]unix.Errno{
		unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM,
		unix.EADDRNOTAVAIL, unix.EADDRINUSE, unix.EAGAIN, // no port is free: for connect, for bind before it, for UDP
		unix.EINVAL, // the route of an alias is gone: what is behind it says so (internal/address/detours.go)
	}, errno)
}

// mute is what is wrong with one that may be silent: it does not say that its server is bad.
type mute struct{ error }

func (m mute) Unwrap() error { return m.error }

func isMute(err error) bool {
	_, ok := errors.AsType[mute](err)
	return ok
}

// timed says of a silent one how long it was given.
func timed(err error, timeout time.Duration) error {
	if errors.Is(err, errSilent) {
		return fmt.Errorf("%w within %s", err, timeout)
	}
	return err
}

// askTCP wants a connection, and nothing more.
func askTCP(ctx context.Context, to netip.AddrPort) error {
	c, err := dial(ctx, to)
	if err != nil {
		return err
	}
	return c.Close()
}

// adviserOf knows the kinds that have something to say of weights and certificates, and leaves the others to probeOf.
func adviserOf(ask model.Ask) (adviser, error) {
	switch ask := ask.(type) {
	case model.AskExec:
		return adviseExec(ask), nil
	case model.AskFile:
		return adviseFile(ask), nil
	case model.AskNumber:
		return adviseNumber(ask), nil
	case model.AskAgent:
		return adviseAgent(ask), nil
	case model.AskTLS:
		return adviseTLS(ask), nil
	case model.AskHTTP:
		return adviseHTTP(ask)
	case model.AskGRPC:
		return adviseGRPC(ask), nil
	case model.AskMySQL:
		return adviseMySQL(ask), nil
	case model.AskPostgreSQL:
		return advisePostgreSQL(ask), nil
	case model.AskLDAP:
		return adviseLDAP(ask), nil
	}
	probe, err := probeOf(ask)
	return tacit(probe), err
}

// probeOf knows all kinds that only tell good from bad.
func probeOf(ask model.Ask) (probe, error) {
	switch ask := ask.(type) {
	case model.AskTCP:
		return askTCP, nil
	case model.AskExpect:
		return probeExpect(ask)
	case model.AskSMTP:
		return probeSMTP(ask)
	case model.AskIMAP:
		return probeIMAP(ask)
	case model.AskPOP3:
		return probePOP3(ask)
	case model.AskFTP:
		return probeFTP(ask)
	case model.AskSSH:
		return probeSSH(ask)
	case model.AskRedis:
		return probeRedis(ask)
	case model.AskDNS:
		return probeDNS(ask)
	case model.AskUDP:
		return probeUDP(ask)
	case model.AskPing:
		return askPing, nil
	case model.AskRADIUS:
		return probeRADIUS(ask), nil
	case model.AskSIP:
		return probeSIP(ask), nil
	}
	return nil, fmt.Errorf("a check of kind %q has no probe", ask.Kind())
}
