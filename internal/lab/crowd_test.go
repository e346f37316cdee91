// SPDX-License-Identifier: Apache-2.0

package lab_test

import (
	"net"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/lab"
)

// TestCrowdSeesWhatComesBack: it believes no echo that says something else, and counts nobody who is well.
func TestCrowdSeesWhatComesBack(t *testing.T) {
	l := start(t, lab.Config{Shape: lab.LAN, Servers: 1, Clients: 3})
	server := l.Servers[0]
	const liars, size, port = 2, 10, lab.StayPort
	var taken atomic.Int32
	listener, err := server.Take(within(t), port, func(c *net.TCPConn) { go answer(c, taken.Add(1) <= liars) })
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for _, f := range lab.Families() {
		taken.Store(0)
		crowd, err := l.Client.Gather(within(t), netip.AddrPortFrom(server.Address.In(f), port), size, 20*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
		lost, first, err := crowd.Muster(within(t))
		if lost != liars || first == nil || !strings.Contains(first.Error(), "came back as") || err != nil {
			t.Errorf("%s: %d echoes lie, %d are found: %v, %v", f, liars, lost, first, err)
		}
		if lost, first, err = crowd.Muster(within(t)); lost != 0 || first != nil || err != nil {
			t.Errorf("%s: all are well, %d are lost: %v, %v", f, lost, first, err)
		}
		if int(taken.Load()) != size+liars {
			t.Errorf("%s: %d connections were opened, want %d", f, taken.Load(), size+liars)
		}
		crowd.Close()
	}
}

// answer is an echo. One that lies does so from the third byte on.
func answer(c *net.TCPConn, lies bool) {
	defer c.Close()
	said := make([]byte, 1)
	for i := 0; ; i++ {
		if _, err := c.Read(said); err != nil {
			return
		}
		if lies && i > 1 {
			said[0]++
		}
		c.Write(said)
	}
}

// TestDirectorsShareASecret that nobody else can read.
func TestDirectorsShareASecret(t *testing.T) {
	l := start(t, lab.Config{Shape: lab.LAN, Directors: 2, Servers: 1})
	var files []string
	for i, d := range l.Directors {
		text := l.ConnectionSync(d)
		if other := l.Directors[1-i].Address.IPv4.String(); !strings.Contains(text, other) || strings.Contains(text, d.Address.IPv4.String()) {
			t.Errorf("%s is to talk to %s: %s", d.Name, other, text)
		}
		_, file, _ := strings.Cut(text, "key_file: \"")
		file, _, _ = strings.Cut(file, "\"")
		files = append(files, file)
	}
	info, err := os.Stat(files[0])
	if err != nil || info.Mode() != 0o600 || files[0] != files[1] {
		t.Errorf("the keys are %q: %v, %v", files, info, err)
	}
}
