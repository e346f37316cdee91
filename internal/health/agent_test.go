// SPDX-License-Identifier: Apache-2.0

package health

import (
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// percent is what an agent says of a weight.
func percent(n int, says string) model.Advice {
	return model.Advice{Given: true, Percent: true, Weight: n, Says: says}
}

func drained(says string) model.Advice { return model.Advice{Given: true, Says: says} }

func TestAgentsAreUnderstood(t *testing.T) {
	for _, test := range []struct {
		line   string
		advice model.Advice
		reason string
	}{
		{"up\n", model.Advice{}, ""},
		{"ready\n", model.Advice{}, ""},
		{"75%\n", percent(75, "agent says 75%"), ""},
		{"75%\r\n", percent(75, "agent says 75%"), ""},
		{"75%\r", percent(75, "agent says 75%"), ""},
		{"UP 100%\n", percent(100, "agent says 100%"), ""},
		{"up,ready\t 0%\n", percent(0, "agent says 0%"), ""},
		{"10% 200%\n", percent(200, "agent says 200%"), ""},
		{"drain\n", drained("agent says drain"), ""},
		{"up drain 75%\n", drained("agent says drain"), ""},
		{"drain ready 75%\n", percent(75, "agent says 75%"), ""},
		{"maint\n", drained("agent says maint"), ""},
		{"maxconn:30\n", model.Advice{}, ""},
		{"up 50% maxconn:30 color:blue\n", percent(50, "agent says 50%"), ""},
		{"down\n", model.Advice{}, "agent: down"},
		{"down 75%\n", model.Advice{}, "agent: down"},
		{"down up\n", model.Advice{}, ""},
		{"down #  disk full, of logs\n", model.Advice{}, "agent: down: disk full, of logs"},
		{"stopped#by root\n", model.Advice{}, "agent: stopped: by root"},
		{"fail\n", model.Advice{}, "agent: fail"},
		{"failed #\x1b[2J\n", model.Advice{}, `agent: failed: \x1b[2J`},
		{"up # down\nsecond line down\n", model.Advice{}, ""},
	} {
		said, err := advised(t, model.AskAgent{}, lineServer(t, says(test.line)), slack)
		if said != test.advice || reasonOf(err) != test.reason || isMute(err) {
			t.Errorf("%q: %+v, %v", test.line, said, err)
		}
	}
}

// TestAgentsAreUnderstoodAsByHAProxy, but for what docs/checks.md says: it knows "failed", and a # at once behind a word.
func TestAgentsAreUnderstoodAsByHAProxy(t *testing.T) {
	records, err := os.ReadFile("testdata/agent-haproxy.txt")
	if err != nil {
		t.Fatal(err)
	}
	ours := map[string]string{"failed\n": "down", "stopped#by root\n": "down", "99999999999999999999%\n": "50"}
	count := 0
	for record := range strings.Lines(string(records)) {
		if strings.HasPrefix(record, "#") {
			continue
		}
		var line string
		var up, admin, weight int
		if _, err := fmt.Sscanf(record, "%q %d %d %d", &line, &up, &admin, &weight); err != nil {
			t.Fatalf("%s: %v", record, err)
		}
		count++
		want := strconv.Itoa(weight)
		switch {
		case admin != 0:
			want = "drained"
		case up == 0:
			want = "down"
		}
		if our, known := ours[line]; known {
			want = our
		}
		if got := standingOf(t, line); got != want {
			t.Errorf("%q: %s, want %s", line, got, want)
		}
	}
	if count < 40 {
		t.Errorf("only %d records", count)
	}
}

// standingOf is what becomes of a server of weight 50, rounded as HAProxy does.
func standingOf(t *testing.T, line string) string {
	said, err := advised(t, model.AskAgent{}, lineServer(t, saysAndCloses(line)), slack)
	switch {
	case isMute(err), !said.Given && err == nil:
		return "50"
	case err != nil:
		return "down"
	case !said.Percent:
		return "drained"
	}
	return strconv.Itoa(said.Weight * 50 / 100)
}

func TestAgentsAreAskedInTheirOwnWords(t *testing.T) {
	to := lineServer(t, func(c net.Conn) {
		heard := make([]byte, 6)
		_, _ = io.ReadFull(c, heard)
		_, _ = fmt.Fprintf(c, "down #heard %q\n", heard)
	})
	if _, err := advised(t, model.AskAgent{Send: "load?\n"}, to, slack); reasonOf(err) != `agent: down: heard "load?\n"` {
		t.Error(err)
	}
}

// TestAgentsThatLieAreMute: neither do they take a server out, nor hold anybody up.
func TestAgentsThatLieAreMute(t *testing.T) {
	drip := func(text string) func(net.Conn) {
		return func(c net.Conn) {
			for _, b := range []byte(text) {
				if _, err := c.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(20 * time.Millisecond)
			}
			_, _ = io.Copy(io.Discard, c)
		}
	}
	for _, test := range []struct {
		name   string
		hold   func(net.Conn)
		reason string
	}{
		{"silent", says(""), "agent: no answer within 300ms"},
		{"slow", drip(strings.Repeat("5", 100)), "agent: no answer within 300ms"},
		{"closes", saysAndCloses(""), "agent: closed without a line"},
		{"half a line", saysAndCloses("75%"), "agent: closed within a line: 75%"},
		{"another protocol", says("SSH-2.0-OpenSSH_9.2\r\n"), "agent: no word that is known in SSH-2.0-OpenSSH_9.2"},
		{"an empty line", says("\r\n"), `agent: no word that is known in ""`},
		{"a number", says("75\n"), "agent: no word that is known in 75"},
		{"too much", says("99999999999999999999%\n"), "agent: no word that is known in 99999999999999999999%"},
		{"less than nothing", says("-5%\n"), "agent: no word that is known in -5%"},
		{"without end", says(strings.Repeat("x", 1<<20)), "agent: a line of more than 4096 bytes"},
		{"bytes", says("\x00\xff\xfe\n"), `agent: no word that is known in \x00\xff\xfe`},
	} {
		within := soon
		if !strings.Contains(test.reason, "no answer") {
			within = forever + slack
		}
		said, err := advised(t, model.AskAgent{}, lineServer(t, test.hold), within)
		if reasonOf(err) != test.reason || !isMute(err) || said.Given {
			t.Errorf("%s: %+v, %v, want %s", test.name, said, err, test.reason)
		}
	}
	if _, err := advised(t, model.AskAgent{}, closedPort(t), slack); reasonOf(err) != "agent: connect: connection refused" || !isMute(err) {
		t.Error(err)
	}
}

func FuzzAgent(f *testing.F) {
	for _, line := range []string{"up 75%", "down #x", "maint,drain", "maxconn:30", "5", "\xff%"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		for _, parse := range []func(string) (model.Advice, error){func(s string) (model.Advice, error) { return parseWord(s).advice("agent") }, adviceIn} {
			said, err := parse(line)
			if said.Weight < 0 || said.Weight > model.MaxWeight || said.Given && err != nil {
				t.Errorf("%q: %+v, %v", line, said, err)
			}
			if err != nil && strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("%q moves a terminal: %q", line, err)
			}
		}
	})
}
