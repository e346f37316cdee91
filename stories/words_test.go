// SPDX-License-Identifier: Apache-2.0

package stories_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// word is what stands at the beginning of a line in a story. What it returns is checked by
// testscript's own words: stdout and cmp look at the text, stderr at the error, ! wants one.
type word func(ctx context.Context, s *stage, args []string) (string, error)

// words are all of them, besides testscript's own.
func words() map[string]word {
	return map[string]word{
		// stage_test.go
		"lab": buildLab, // lab SHAPE [METHOD] [directors N] [servers N] [mtu N] [tunnel TYPE] [mss SIZE]; the servers serve

		// director_test.go
		"director": direct, // director [NAME] start|launch|configure|share FILE, or stop|kill|restart|hangup|log|privileges, or serve: as a real server, but for the VIP
		"weir":     weir,   // weir ARG...: the command line, on the first director; elsewhere: on HOST weir ARG...

		// client_test.go
		"client": visit, // client get|curl|visit URL, or ask ADDRESS [size N] [wait DURATION]; [times N] [from ADDRESS]

		// transfer_test.go
		"transfer": transfer, // transfer ADDRESS SIZE: so much over one TCP connection, there and back

		// backwards_test.go
		"backwards": backwards, // backwards ask|answer ADDRESS SIZE TIMES: datagrams whose last fragment is sent first

		// odd_test.go
		"odd": odd, // odd ADDRESS N [wait DURATION]: a datagram behind N IPv6 extension headers, or 4 N bytes of IPv4 options

		// tagged_test.go
		"tagged": tagged, // tagged VLAN ADDRESS [wait DURATION]: a datagram in a frame with this 802.1Q tag

		// sctp_test.go
		"sctp": sctp, // sctp ADDRESS: begins an association, and prints where it was asked for

		// icmp_test.go
		"ping":  ping,  // ping ADDRESS [size N] [wait DURATION]: prints who answers the echo
		"trace": trace, // trace ADDRESS TTL: prints who says that the datagram's time exceeded

		// stream_test.go
		"stream": stream, // stream open|close NAME [ADDRESS [udp]]: a connection that stays

		// crowd_test.go
		"crowd": gather, // crowd gather NAME ADDRESS N, or muster NAME: connections that stay, and how many were lost

		// load_test.go
		"load": load, // load start ADDRESS..., or stop: new connections, one every 8 ms

		// watch_test.go
		"watch": watch, // watch start ARG..., sees PATTERN, or stop: weir trace ARG... meanwhile

		// host_test.go
		"on":        on,        // on HOST COMMAND...
		"killed":    killed,    // killed DURATION on HOST COMMAND...: -9 after that time
		"nobody":    nobody,    // nobody weir ARG...: as another user than root
		"mac":       changeMAC, // mac HOST MAC: its first interface has another one, and says so
		"cable":     cable,     // cable out|in HOST: of its switches
		"occupy":    occupy,    // occupy HOST LINK: somebody else's XDP program is there
		"footprint": footprint, // footprint HOST FILE: writes what weir might change there

		// web_test.go
		"web": web, // web hang|resume|kill|start|unwell|well|unplug|plug HOST: its nginx does so; unplug is the host

		// program_test.go
		"runs": runs, // runs HOST PORT COMMAND...: a program that stays to the end, from when it listens; PORT -: at once

		// time_test.go
		"within": within, // within DURATION WORD... [says PATTERN]: until it goes well, and says so
		"pause":  pause,  // pause DURATION
		"exits":  exits,  // exits N WORD...: with this very exit code
	}
}

// commands are the words as testscript calls them. The table is a function because within and
// exits look words up in it.
func commands() map[string]func(*testscript.TestScript, bool, []string) {
	out := map[string]func(*testscript.TestScript, bool, []string){}
	for name, w := range words() {
		out[name] = w.command
	}
	return out
}

// patience ends what hangs; nothing in a story takes so long otherwise.
const patience = 30 * time.Second

// command says a word. A story may want a failure, but never a word that was misused or that hung.
func (w word) command(ts *testscript.TestScript, fails bool, args []string) {
	ctx, cancel := context.WithTimeoutCause(context.Background(), patience, fmt.Errorf("gave up after %v", patience))
	defer cancel()
	text, err := w(ctx, ts.Value(stageKey{}).(*stage), args)
	_, _ = io.WriteString(ts.Stdout(), text)
	if err != nil {
		_, _ = fmt.Fprintln(ts.Stderr(), err)
	}
	switch {
	case errors.As(err, new(misuse)) || ctx.Err() != nil:
		ts.Fatalf("%v", errors.Join(err, context.Cause(ctx)))
	case fails && err == nil:
		ts.Fatalf("it went well")
	case !fails && err != nil:
		ts.Fatalf("%v", err)
	}
}

// say says a word that stands behind another one.
func (s *stage) say(ctx context.Context, line []string) (string, error) {
	if len(line) == 0 {
		return "", misuse("a word is missing")
	}
	w := words()[line[0]]
	if w == nil {
		return "", misuse(fmt.Sprintf("no word %q", line[0]))
	}
	return w(ctx, s, line[1:])
}

// misuse is a line that makes no sense.
type misuse string

func (m misuse) Error() string { return string(m) }

// choose runs what the first argument of a word asks for.
func choose(ctx context.Context, s *stage, args []string, choices map[string]word) (string, error) {
	if len(args) == 0 || choices[args[0]] == nil {
		return "", misuse(fmt.Sprintf("%q: no such thing to do", args))
	}
	return choices[args[0]](ctx, s, args[1:])
}

// exactly checks how many arguments there are.
func exactly(args []string, what ...string) error {
	if len(args) != len(what) {
		return misuse(fmt.Sprintf("%q: wanted are %q", args, what))
	}
	return nil
}
