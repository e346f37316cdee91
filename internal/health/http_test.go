// SPDX-License-Identifier: Apache-2.0

package health

import (
	"bufio"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// webServer is one that keeps the rules.
func webServer(t *testing.T, serve http.HandlerFunc) netip.AddrPort {
	t.Helper()
	s := httptest.NewServer(serve)
	t.Cleanup(s.Close)
	return netip.MustParseAddrPort(s.Listener.Addr().String())
}

// replies reads a request, answers with this, whatever it is, and closes.
func replies(text string) func(net.Conn) {
	return func(c net.Conn) {
		readHead(c)
		_, _ = io.WriteString(c, text)
	}
}

// repliesOn goes on with more until nobody listens.
func repliesOn(text, more string, pause time.Duration) func(net.Conn) {
	return func(c net.Conn) {
		readHead(c)
		_, err := io.WriteString(c, text)
		for err == nil {
			time.Sleep(pause)
			_, err = io.WriteString(c, more)
		}
	}
}

func readHead(c net.Conn) string {
	var head strings.Builder
	for r := bufio.NewReader(c); ; {
		line, err := r.ReadString('\n')
		head.WriteString(line)
		if err != nil || line == "\r\n" {
			return head.String()
		}
	}
}

// TestRequestsOnTheWire compares them byte by byte.
func TestRequestsOnTheWire(t *testing.T) {
	for _, tt := range []struct {
		name string
		ask  model.AskHTTP
		want string // SERVER: its address and port
	}{
		{"defaults", model.AskHTTP{}, "GET / HTTP/1.1|Host: SERVER|User-Agent: weir|Connection: close"},
		{"path and query", model.AskHTTP{Path: "//a%20b/?x=%2F&y"}, "GET //a%20b/?x=%2F&y HTTP/1.1|Host: SERVER|User-Agent: weir|Connection: close"},
		{"host", model.AskHTTP{Host: "www.example.org"}, "GET / HTTP/1.1|Host: www.example.org|User-Agent: weir|Connection: close"},
		{"HEAD", model.AskHTTP{Method: "HEAD"}, "HEAD / HTTP/1.1|Host: SERVER|User-Agent: weir|Connection: close"},
		{"POST", model.AskHTTP{Method: "POST"}, "POST / HTTP/1.1|Host: SERVER|User-Agent: weir|Connection: close|Content-Length: 0"},
		{"headers", model.AskHTTP{Headers: model.JoinHeaders(map[string]string{"User-Agent": "probe", "Accept": "a: b"})},
			"GET / HTTP/1.1|Host: SERVER|User-Agent: probe|Connection: close|Accept: a: b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			heads := make(chan string, 1)
			to := lineServer(t, func(c net.Conn) {
				heads <- readHead(c)
				_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
			})
			wantReason(t, answered(t, probeMade(probeHTTP(tt.ask)), to, forever), "")
			want := strings.ReplaceAll(strings.ReplaceAll(tt.want, "SERVER", to.String()), "|", "\r\n") + "\r\n\r\n"
			if got := hears(t, heads); got != want {
				t.Errorf("it asks\n%q, want\n%q", got, want)
			}
		})
	}
}

func TestStatusIsJudged(t *testing.T) {
	only := func(text string) model.Statuses {
		s, err := model.ParseStatuses(text)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for _, tt := range []struct {
		name   string
		answer string
		wanted model.Statuses
		want   string
	}{
		{"good", "HTTP/1.1 200 OK\r\n\r\n", model.Statuses{}, ""},
		{"good, of HTTP/1.0", "HTTP/1.0 299 \r\n\r\n", model.Statuses{}, ""},
		{"not the one", "HTTP/1.1 200 OK\r\n\r\n", only("204,301"), "http 200, expected 204,301"},
		{"the one", "HTTP/1.1 404 Not Found\r\n\r\n", only("404"), ""},
		{"bad", "HTTP/1.1 503 Service Unavailable\r\n\r\n", model.Statuses{}, "http 503, expected 200-299"},
		{"none at all", "HTTP/1.1 999 \r\n\r\n", only("100-599"), "http 999, expected 100-599"},
		{"behind interim ones", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", model.Statuses{}, ""},
		{"another protocol", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", model.Statuses{}, "http 101, expected 200-299"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := probeMade(probeHTTP(model.AskHTTP{Status: tt.wanted}))
			wantReason(t, answered(t, p, lineServer(t, replies(tt.answer)), forever), tt.want)
		})
	}
}

// TestRedirectsAreNotFollowed: where they lead to is another server, or this one again.
func TestRedirectsAreNotFollowed(t *testing.T) {
	paths := make(chan string, 10)
	to := webServer(t, func(w http.ResponseWriter, r *http.Request) {
		paths <- r.URL.Path
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	})
	wantReason(t, answered(t, probeMade(probeHTTP(model.AskHTTP{})), to, forever), "http 302, expected 200-299")
	if path := hears(t, paths); path != "/" || len(paths) > 0 {
		t.Errorf("it asks for %s, and %d more", path, len(paths))
	}
}

// TestEnvironmentIsNotAsked: a proxy would answer for servers that are dead.
func TestEnvironmentIsNotAsked(t *testing.T) {
	for _, name := range []string{"http_proxy", "HTTP_PROXY", "ALL_PROXY"} {
		t.Setenv(name, "http://192.0.2.1:3128")
	}
	to := webServer(t, func(http.ResponseWriter, *http.Request) {})
	wantReason(t, answered(t, probeMade(probeHTTP(model.AskHTTP{Host: "www.example.org"})), to, forever), "")
}

func digestOf(text string) string {
	sum := md5.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

func TestBodyIsJudged(t *testing.T) {
	const body = "status: ok\nload: 7\n"
	to := webServer(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, body)
		w.(http.Flusher).Flush() // which makes it chunked
		fmt.Fprint(w, "end")
	})
	for _, tt := range []struct {
		name string
		ask  model.AskHTTP
		want string
	}{
		{"contains", model.AskHTTP{Contains: "ok\nload"}, ""},
		{"contains, across chunks", model.AskHTTP{Contains: "7\nend"}, ""},
		{"contains not", model.AskHTTP{Contains: "o.k"}, `body lacks "o.k"`},
		{"a long text", model.AskHTTP{Contains: strings.Repeat("é\n", 5000)}, `body lacks "` + strings.Repeat(`é\n`, 29) + `é…"`},
		{"matches", model.AskHTTP{Match: `(?m)^load: \d$`}, ""},
		{"matches not", model.AskHTTP{Match: "^ok$"}, "body does not match /^ok$/"},
		{"digest", model.AskHTTP{Digest: digestOf(body + "end")}, ""},
		{"another digest", model.AskHTTP{Digest: digestOf("")},
			"body has digest " + digestOf(body+"end") + ", expected d41d8cd98f00b204e9800998ecf8427e"},
		{"all", model.AskHTTP{Contains: "ok", Match: "7", Digest: digestOf(body + "end")}, ""},
		{"all but one", model.AskHTTP{Contains: "ok", Match: "8", Digest: digestOf(body + "end")}, "body does not match /8/"},
		{"of HEAD there is none", model.AskHTTP{Method: "HEAD"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wantReason(t, answered(t, probeMade(probeHTTP(tt.ask)), to, forever), tt.want)
		})
	}
}

// TestCookiesAreNotKept asks twice.
func TestCookiesAreNotKept(t *testing.T) {
	to := webServer(t, func(w http.ResponseWriter, r *http.Request) {
		if len(r.Cookies()) > 0 {
			w.WriteHeader(http.StatusConflict)
		}
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "1"})
	})
	p := probeMade(probeHTTP(model.AskHTTP{}))
	for range 2 {
		wantReason(t, answered(t, p, to, forever), "")
	}
}

// TestEndlessBodies are read only if something is wanted of them, and only so far.
func TestEndlessBodies(t *testing.T) {
	to := lineServer(t, repliesOn("HTTP/1.1 200 OK\r\n\r\nbegins", strings.Repeat("x", 8<<10), 0))
	for _, tt := range []struct {
		name string
		ask  model.AskHTTP
		want string
	}{
		{"nothing is wanted", model.AskHTTP{}, ""},
		{"it is at the beginning", model.AskHTTP{Contains: "begins"}, ""},
		{"it never comes", model.AskHTTP{Contains: "needle"}, `body lacks "needle"`},
		{"no match ever", model.AskHTTP{Match: "y"}, "body does not match /y/"},
		{"no digest ever", model.AskHTTP{Digest: digestOf("")}, "body is longer than 1 MiB: too much for a digest"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wantReason(t, answered(t, probeMade(probeHTTP(tt.ask)), to, forever), tt.want)
		})
	}
}

// TestLiarsOfHTTP: whatever a server does, the probe ends with a reason.
func TestLiarsOfHTTP(t *testing.T) {
	const (
		endless = "^http: the head of the answer is longer than 64 KiB$"
		hangsUp = "^http: the server hangs up$"
	)
	for _, tt := range []struct {
		name   string
		server func(net.Conn)
		want   string // an expression
	}{
		{"garbage", replies("\x00\x01\x1b[2J\x7f\xff garbage \u202e\n\n\n"), `^http: malformed HTTP status code "garbage"$`},
		{"garbage without spaces", replies("\x00\x1b[2J\xff\n"), `^http: malformed HTTP response "\\x00\\x1b\[2J\\xff"$`},
		{"garbage without end", repliesOn("", strings.Repeat("\x00\xff", 1000), 0), endless},
		{"another protocol", replies("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"), `^http: malformed HTTP status code "Debian-2"$`},
		{"a long line", replies("HTTP/1.1 " + strings.Repeat("\x1b", 9999) + "\r\n\r\n"), `^http: malformed HTTP status code "[^"]*…$`},
		{"a header that is none", replies("HTTP/1.1 200 OK\r\n\x1b[31mno header\r\n\r\n"), `^http: malformed MIME header: .*no header"$`},
		{"headers of a megabyte", repliesOn("HTTP/1.1 200 OK\r\n", "X-Filler: "+strings.Repeat("a", 1000)+"\r\n", 0), endless},
		{"one header of a megabyte", replies("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("a", 1<<20) + "\r\n\r\n"), endless},
		{"interim answers for ever", repliesOn("", "HTTP/1.1 100 Continue\r\n\r\n", 0), endless},
		{"two lengths", replies("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok"), "^http: .*Content-Length"},
		{"no chunks", replies("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\x1b[31mok\r\n"), "^body: "},
		{"half a body", replies("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"), "^body: the server hangs up$"},
		{"half a head", replies("HTTP/1.1 200 OK\r\nContent-Length: 9"), hangsUp},
		{"no answer to the request", replies(""), hangsUp},
		{"it closes at once", func(net.Conn) {}, "^http: (the server hangs up|connection reset by peer)$"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := answered(t, probeMade(probeHTTP(model.AskHTTP{Contains: "ok"})), lineServer(t, tt.server), forever)
			if err == nil || !regexp.MustCompile(tt.want).MatchString(err.Error()) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

// TestSilenceOfHTTP: what does not come in time is silence, so that timed can say how long that was.
func TestSilenceOfHTTP(t *testing.T) {
	const pause = 20 * time.Millisecond
	half := func(c net.Conn) {
		readHead(c)
		says("HTTP/1.1 20")(c)
	}
	for _, tt := range []struct {
		name   string
		server func(net.Conn)
		want   string
	}{
		{"it accepts, no more", says(""), "http: no answer"},
		{"half a line", half, "http: no answer"},
		{"a header byte by byte", repliesOn("HTTP/1.1 200 OK\r\nX: ", "a", pause), "http: no answer"},
		{"a body byte by byte", repliesOn("HTTP/1.1 200 OK\r\n\r\n", "a", pause), "body: no answer"},
		{"chunks byte by byte", repliesOn("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\na\r\n", pause), "body: no answer"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := answered(t, probeMade(probeHTTP(model.AskHTTP{Contains: "ok"})), lineServer(t, tt.server), later)
			wantReason(t, err, tt.want)
			if !errors.Is(err, errSilent) {
				t.Error("it is not known as silence")
			}
		})
	}
}

func TestRefusedConnectionIsTold(t *testing.T) {
	wantReason(t, answered(t, probeMade(probeHTTP(model.AskHTTP{})), closedPort(t), forever), "connect: connection refused")
}

// TestProbeOfHTTPEndsWithItsContext, and not only at the deadline: whoever stops a check waits for it.
func TestProbeOfHTTPEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	to := lineServer(t, func(c net.Conn) {
		readHead(c)
		cancel()
		says("")(c)
	})
	began := time.Now()
	if err := probeMade(probeHTTP(model.AskHTTP{}))(ctx, to); err == nil {
		t.Error("silence is an answer")
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("it takes %s", took)
	}
}

// TestBadQuestionsAreRefused: the config does not let them through.
func TestBadQuestionsAreRefused(t *testing.T) {
	for _, ask := range []model.AskHTTP{{Match: "("}, {Path: "/%zz"}, {Path: "no/path"}} {
		if _, err := probeHTTP(ask); err == nil {
			t.Errorf("%+v is accepted", ask)
		}
	}
}

// TestReasonsAreTamed, of whatever they are made.
func TestReasonsAreTamed(t *testing.T) {
	long := errors.New(strings.Repeat("\x1b[2J", 100))
	for _, tt := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{errSilent, "no answer"},
		{errors.New("two\nlines, \xff and \u202e"), "two\ufffdlines, \ufffd and \ufffd"},
		{long, strings.Repeat("\ufffd[2J", 29) + "\ufffd[2…"},
	} {
		wantReason(t, tame(tt.err), tt.want)
	}
	if !errors.Is(tame(errSilent), errSilent) {
		t.Error("silence is not known any more")
	}
}
