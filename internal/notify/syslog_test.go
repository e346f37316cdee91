// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-lb/weir/internal/model"
)

func TestSyslogGetsALineForEachEvent(t *testing.T) {
	s := syslog{socket: filepath.Join(t.TempDir(), "log")}
	if err := s.open(); err == nil {
		t.Error("a log that is not there is ready")
	}
	log, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: s.socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	mustSend(t, s, message{at: noon, lost: 1, events: []model.Event{
		withReasonOf(eventOf(noon, model.ServerDown, "web", 11), "connection refused"),
		eventOf(noon, model.ServiceDown, "web", 0),
		eventOf(noon, model.ServerUp, "web", 11),
	}})
	test := testMessage(noon, model.Notice{})
	mustSend(t, s, test)
	pid := os.Getpid()
	for _, want := range []string{
		fmt.Sprintf("<28>Nov 26 12:03:11 weir[%d]: server 10.0.0.11:80 of web is down: connection refused", pid),
		fmt.Sprintf("<26>Nov 26 12:03:11 weir[%d]: service web is down", pid),
		fmt.Sprintf("<30>Nov 26 12:03:11 weir[%d]: server 10.0.0.11:80 of web is up again", pid),
		fmt.Sprintf("<28>Nov 26 12:03:11 weir[%d]: 1 event before this is lost: it could not be told.", pid),
		fmt.Sprintf("<28>Nov 26 12:03:11 weir[%d]: test: server 192.0.2.1:80 of test is down: weir tries whether this message arrives", pid),
	} {
		if diff := cmp.Diff(want, mustHear(t, log)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func mustHear(t *testing.T, log *net.UnixConn) string {
	t.Helper()
	if err := log.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 2048)
	n, err := log.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}
