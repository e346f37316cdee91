// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"context"
	"errors"
	"fmt"

	"github.com/weir-lb/weir/internal/model"
)

// sender brings messages to where they are read. It belongs to one goroutine.
type sender interface {
	// open prepares, as early as possible, and says what will be in the way.
	open() error
	// send returns nil when somebody has the message. It ends soon after ctx does.
	send(ctx context.Context, m message) error
	close()
}

// newSender is for the channels of the model.
func newSender(how model.Channel, host string) sender {
	switch how := how.(type) {
	case model.ByExec:
		return script{how}
	case model.ByMail:
		return mailer{how, host}
	case model.ByWebhook:
		return newWebhook(how, host)
	case model.ByFIFO:
		return &fifo{path: how.Path, fd: closed}
	case model.BySyslog:
		return syslog{socket: devLog}
	}
	panic(fmt.Sprintf("channel %q has no sender", how.Kind()))
}

// retried are channels on which somebody else may be down. On the others an attempt that fails would fail again, or
// would do twice what was done.
func retried(how model.Channel) bool { return how.Gathers() }

// finalError is one that the next attempt would meet again.
type finalError struct{ error }

func (e finalError) Unwrap() error { return e.error }

func isFinal(err error) bool {
	_, ok := errors.AsType[finalError](err)
	return ok
}

// partlyError: some of those who should have the message do.
type partlyError struct{ error }

func (e partlyError) Unwrap() error { return e.error }

func isPartly(err error) bool {
	_, ok := errors.AsType[partlyError](err)
	return ok
}
