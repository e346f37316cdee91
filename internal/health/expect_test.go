// SPDX-License-Identifier: Apache-2.0

package health

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

func TestBannersAreExpected(t *testing.T) {
	runLineTests(t, probeMade(probeExpect(model.AskExpect{Expect: "^220 .*ready"})), map[string]lineTest{
		"good": {says("220 all ready\r\n"), ""},
		"in pieces": {func(c net.Conn) {
			for _, piece := range []string{"22", "0 is", " read", "y"} {
				_, _ = io.WriteString(c, piece)
				time.Sleep(20 * time.Millisecond)
			}
			_, _ = io.Copy(io.Discard, c)
		}, ""},
		"closed":        {saysAndCloses("500 ERR\r\n"), "no match: 500 ERR"},
		"closed at all": {saysAndCloses(""), "closed without an answer"},
		"not that":      {says("500 ERR\r\n"), "no answer that matches, only 500 ERR"},
		"silent":        {says(""), "no answer"},
		"too much":      {says(strings.Repeat("x", maxAnswer)), "no match in the first 64 KiB"},
	})
}

func TestAnswersAreExpected(t *testing.T) {
	p := probeMade(probeExpect(model.AskExpect{Send: "PING\r\n", Expect: `(?i)\+pong\r\n$`}))
	runLineTests(t, p, map[string]lineTest{
		"good":     {dialogue("", map[string]string{"PING": "+PONG\r\n"}, nil), ""},
		"closes":   {answersAndCloses("+PONG\r\n"), ""},
		"not that": {answersAndCloses("-ERR\r\n-ERR again\r\n"), `no match: -ERR\r\n-ERR again`},
	})
}

// TestMatchAtTheLimitIsFound: the last byte that is looked at counts.
func TestMatchAtTheLimitIsFound(t *testing.T) {
	p := probeMade(probeExpect(model.AskExpect{Expect: "!$"}))
	runLineTests(t, p, map[string]lineTest{
		"last byte": {says(strings.Repeat("x", maxAnswer-1) + "!"), ""},
		"behind it": {says(strings.Repeat("x", maxAnswer) + "!"), "no match in the first 64 KiB"},
	})
}

func TestBrokenExpressionHasNoProbe(t *testing.T) {
	if _, err := probeExpect(model.AskExpect{Expect: "a(b"}); err == nil {
		t.Error("it is taken")
	}
}
