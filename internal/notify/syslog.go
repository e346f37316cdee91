// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// devLog is where the host's log takes lines: journald, rsyslog and their likes.
const devLog = "/dev/log"

// syslog writes a line for each event as syslog(3) does: RFC 3164 section 4.1 without a host, which the log knows.
type syslog struct{ socket string }

func (s syslog) open() error {
	if _, err := os.Stat(s.socket); err != nil {
		return err
	}
	return nil
}

func (syslog) close() {}

// send connects anew each time: a log that was restarted has another socket.
func (s syslog) send(ctx context.Context, m message) error {
	const patience = time.Second // a log that takes longer is full
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unixgram", s.socket)
	if err != nil {
		return err
	}
	defer conn.Close()
	if until, ok := ctx.Deadline(); ok {
		if err := conn.SetWriteDeadline(until); err != nil {
			return err
		}
	}
	for _, record := range records(m) {
		if _, err := conn.Write(record); err != nil {
			return err
		}
	}
	return nil
}

// records are the lines of a message, each with its priority.
func records(m message) [][]byte {
	var out [][]byte
	for i, line := range m.lines() {
		if m.test {
			line = "test: " + line
		}
		out = append(out, record(m.events[i].Time, m.events[i].Severity(), line))
	}
	if lost := m.lostLine(); lost != "" {
		out = append(out, record(m.at, model.Warning, lost))
	}
	return out
}

func record(at time.Time, severity model.Severity, text string) []byte {
	const daemon = 3 << 3 // the facility
	return fmt.Appendf(nil, "<%d>%s weir[%d]: %s", daemon|level(severity), at.Format(time.Stamp), os.Getpid(), text)
}

// level is a severity as syslog counts them.
func level(s model.Severity) int {
	switch s {
	case model.Critical:
		return 2
	case model.Warning:
		return 4
	}
	return 6
}
