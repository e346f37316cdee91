// SPDX-License-Identifier: Apache-2.0

package health

import (
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/weir-lb/weir/internal/model"
)

func TestSMTPServersAreJudged(t *testing.T) {
	good := map[string]string{"EHLO weir": "250-mx.example.org\r\n250-PIPELINING\r\n250 HELP\r\n", "QUIT": "221 bye\r\n"}
	answers := func(hello string) map[string]string { return map[string]string{"EHLO weir": hello} }
	runLineTests(t, probeMade(probeSMTP(model.AskSMTP{})), map[string]lineTest{
		"good":             {dialogue("220 mx.example.org ESMTP\r\n", good, nil), ""},
		"long greeting":    {dialogue("220-mx.example.org\r\n220-rules\r\n220 ready\r\n", good, nil), ""},
		"code alone":       {dialogue("220\r\n", good, nil), ""},
		"bare line feeds":  {dialogue("220 mx\n", map[string]string{"EHLO weir": "250 mx\n", "QUIT": "221 bye\n"}, nil), ""},
		"busy":             {says("421 too busy\r\n"), "smtp 421 too busy, expected 220"},
		"busy, long":       {says("421-too busy\r\n421 come back\r\n"), "smtp 421-too busy, expected 220"},
		"longer code":      {says("2200 x\r\n"), "smtp 2200 x, expected 220"},
		"EHLO refused":     {dialogue("220 mx\r\n", answers("550 go away\r\n"), nil), "smtp 550 go away, expected 250"},
		"EHLO unheard":     {dialogue("220 mx\r\n", nil, nil), "no answer to EHLO"},
		"EHLO unfinished":  {dialogue("220 mx\r\n", answers("250-mx\r\n"), nil), "no answer to EHLO"},
		"silent":           {says(""), "no answer: no greeting"},
		"closes":           {saysAndCloses(""), "closed before the greeting"},
		"closes in a line": {saysAndCloses("220 m"), "closed before the greeting"},
		"long line":        {says(strings.Repeat("x", maxLine+1)), "a line of more than 4096 bytes before the greeting"},
		"much":             {says(strings.Repeat("220-"+strings.Repeat("x", maxLine/2)+"\r\n", maxTold/maxLine*2+1)), "more than 64 KiB before the greeting"},
		"many lines":       {says(strings.Repeat("220-x\r\n", maxLines+1)), "more than 200 lines before the greeting"},
	})
}

func TestFTPServersAreJudged(t *testing.T) {
	bye := map[string]string{"QUIT": "221 bye\r\n"}
	runLineTests(t, probeMade(probeFTP(model.AskFTP{})), map[string]lineTest{
		"good":          {dialogue("220 ready\r\n", bye, nil), ""},
		"free lines":    {dialogue("220-welcome\r\n 220 is no end\r\n500 neither\r\n220 ready\r\n", bye, nil), ""},
		"not yet ready": {says("120 in 5 minutes\r\n"), "ftp 120 in 5 minutes, expected 220"},
		"closes":        {saysAndCloses(""), "closed before the greeting"},
	})
}

func TestIMAPServersAreJudged(t *testing.T) {
	bye := map[string]string{"a1 LOGOUT": "* BYE logging out\r\na1 OK done\r\n"}
	runLineTests(t, probeMade(probeIMAP(model.AskIMAP{})), map[string]lineTest{
		"good":         {dialogue("* OK IMAP4rev2 ready\r\n", bye, nil), ""},
		"small":        {dialogue("* ok\r\n", bye, nil), ""},
		"preauth":      {dialogue("* PREAUTH welcome\r\n", bye, nil), ""},
		"overloaded":   {says("* BYE overloaded\r\n"), "imap: * BYE overloaded"},
		"another word": {says("* OKAY\r\n"), "imap: * OKAY"},
		"silent":       {says(""), "no answer: no greeting"},
	})
}

func TestPOP3ServersAreJudged(t *testing.T) {
	bye := map[string]string{"QUIT": "+OK bye\r\n"}
	runLineTests(t, probeMade(probePOP3(model.AskPOP3{})), map[string]lineTest{
		"good":   {dialogue("+OK POP3 ready <1.2@example.org>\r\n", bye, nil), ""},
		"alone":  {dialogue("+OK\r\n", bye, nil), ""},
		"bad":    {says("-ERR [SYS/TEMP] busy\r\n"), "pop3: -ERR [SYS/TEMP] busy"},
		"empty":  {says("\r\n"), `pop3: ""`},
		"closes": {saysAndCloses(""), "closed before the greeting"},
	})
}

// TestMailServersAreLeftPolitely: they hear all that the protocol wants, before the connection is reset.
func TestMailServersAreLeftPolitely(t *testing.T) {
	for name, tt := range map[string]struct {
		ask      probe
		greeting string
		answers  map[string]string
		want     []string
	}{
		"smtp": {probeMade(probeSMTP(model.AskSMTP{Hello: "lb.example.org"})), "220 mx\r\n",
			map[string]string{"EHLO lb.example.org": "250 mx\r\n", "QUIT": "221 bye\r\n"}, []string{"EHLO lb.example.org", "QUIT"}},
		"ftp": {probeMade(probeFTP(model.AskFTP{})), "220 ready\r\n", map[string]string{"QUIT": "221 bye\r\n"}, []string{"QUIT"}},
		"imap": {probeMade(probeIMAP(model.AskIMAP{})), "* OK\r\n",
			map[string]string{"a1 LOGOUT": "* BYE\r\n"}, []string{"a1 LOGOUT"}},
		"pop3": {probeMade(probePOP3(model.AskPOP3{})), "+OK\r\n", map[string]string{"QUIT": "+OK\r\n"}, []string{"QUIT"}},
	} {
		t.Run(name, func(t *testing.T) {
			heard := make(chan string, 10)
			to := lineServer(t, dialogue(tt.greeting, tt.answers, heard))
			wantReason(t, answered(t, tt.ask, to, forever), "")
			var got []string
			for range tt.want {
				got = append(got, hears(t, heard))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("it heard %q, want %q", got, tt.want)
			}
		})
	}
}

// TestGoodbyeIsNotJudged: how a server takes leave says nothing about how it works.
func TestGoodbyeIsNotJudged(t *testing.T) {
	for name, hold := range map[string]func(net.Conn){
		"silent":  dialogue("+OK\r\n", nil, nil),
		"refuses": dialogue("+OK\r\n", map[string]string{"QUIT": "-ERR why?\r\n"}, nil),
		"closes":  saysAndCloses("+OK\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantReason(t, answered(t, probeMade(probePOP3(model.AskPOP3{})), lineServer(t, hold), later), "")
		})
	}
}
