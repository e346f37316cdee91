// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/netlab"
)

// needIPVS is for the real one, which few kernels have: `make test-vm` boots one that has, and asks for these tests.
func needIPVS(t *testing.T) {
	t.Helper()
	if os.Getenv("WEIR_IPVS") == "" {
		t.Skip("needs a kernel with IPVS, and ipvsadm: make test-vm runs it there, with WEIR_IPVS=1")
	}
	for _, module := range []string{"ip_vs", "ip_vs_rr"} {
		if out, err := exec.Command("modprobe", module).CombinedOutput(); err != nil {
			t.Fatalf("modprobe %s: %v: %s", module, err, out)
		}
	}
}

// services are those of the kernel's director, which weir's connections belong to.
const services = `
-A -t 10.0.0.100:80 -s rr -p 60
-a -t 10.0.0.100:80 -r 10.1.0.12:80 -g
-A -u 10.0.0.100:80 -s rr
-a -u 10.0.0.100:80 -r 10.1.0.12:80 -i
-A -f 5 -s rr -p 60
-a -f 5 -r 10.1.0.12:0 -m
-A -t [fd00:a::100]:80 -s rr
-a -t [fd00:a::100]:80 -r [fd00:b::12]:80 -m
`

func (n namespace) ipvsadm(arguments string) string {
	n.T.Helper()
	return n.Run("ipvsadm " + arguments)
}

func (n namespace) restore(rules string) {
	n.T.Helper()
	for line := range strings.Lines(strings.TrimSpace(rules)) {
		n.ipvsadm(strings.TrimSpace(line))
	}
}

var rowOfConnection = regexp.MustCompile(`(?m)^(TCP|UDP|IP ) +([0-9:]+) +(\S+) +(\S+) +(\S+) +(\S+)`)

// connections are what `ipvsadm -Lnc` lists, without times, in order.
func (n namespace) connections() (rows []string) {
	n.T.Helper()
	for _, row := range rowOfConnection.FindAllStringSubmatch(n.ipvsadm("-Lnc"), -1) {
		rows = append(rows, strings.Join(append([]string{strings.TrimSpace(row[1])}, row[3:]...), " "))
	}
	slices.Sort(rows)
	return rows
}

// takenOver are connections and templates of each kind, and how the kernel lists them.
func takenOver() (records []model.Record, rows []string) {
	v4 := model.Record{Protocol: model.TCP, Virtual: tcp4.virtual, Server: tcp4.server, Forwarding: model.DR}
	v6 := model.Record{Protocol: model.TCP, Virtual: tcp6.virtual, Server: tcp6.server, Forwarding: model.NAT}
	udp, marked, template := v4, v4, v4
	udp.Protocol, udp.Forwarding = model.UDP, model.TUN
	marked.Virtual, marked.Forwarding = netip.MustParseAddrPort("10.5.0.7:443"), model.NAT
	template.Virtual, template.Forwarding = netip.MustParseAddrPort("10.5.0.7:80"), model.NAT
	for _, c := range []struct {
		is             model.Record
		state          string
		client, server bool // have closed
		from, row      string
	}{
		{v4, "ESTABLISHED", false, false, "10.9.0.1:3001", "TCP ESTABLISHED 10.9.0.1:3001 10.0.0.100:80 10.1.0.12:80"},
		{v4, "FIN_WAIT", true, false, "10.9.0.2:3002", "TCP FIN_WAIT 10.9.0.2:3002 10.0.0.100:80 10.1.0.12:80"},
		{v4, "CLOSE", false, false, "10.9.0.3:3003", "TCP CLOSE 10.9.0.3:3003 10.0.0.100:80 10.1.0.12:80"},
		{v4, model.Template, false, false, "10.9.0.0:0", "TCP ASSURED 10.9.0.0:0 10.0.0.100:80 10.1.0.12:80"},
		{udp, "UDP", false, false, "10.9.0.4:3004", "UDP UDP 10.9.0.4:3004 10.0.0.100:80 10.1.0.12:80"},
		{marked, "ESTABLISHED", false, false, "10.9.0.5:3005", "TCP ESTABLISHED 10.9.0.5:3005 10.5.0.7:443 10.1.0.12:80"},
		{template, model.Template, false, false, "10.9.0.5:0", "IP ASSURED 10.9.0.5:0 0.0.0.5:0 10.1.0.12:0"},
		{v6, "FIN_WAIT", true, false, "[fd00:9::1]:3001", "TCP CLOSE_WAIT [fd00:9::1]:3001 [fd00:a::100]:80 [fd00:b::12]:80"},
		{v6, "FIN_WAIT", false, true, "[fd00:9::2]:3002", "TCP FIN_WAIT [fd00:9::2]:3002 [fd00:a::100]:80 [fd00:b::12]:80"},
		{v6, "TIME_WAIT", true, true, "[fd00:9::3]:3003", "TCP TIME_WAIT [fd00:9::3]:3003 [fd00:a::100]:80 [fd00:b::12]:80"},
	} {
		r := c.is
		r.Client, r.State, r.ClientClosed, r.ServerClosed = netip.MustParseAddrPort(c.from), c.state, c.client, c.server
		r.Settled, r.Left = true, 10*time.Minute
		records, rows = append(records, r), append(rows, c.row)
	}
	slices.Sort(rows)
	return records, rows
}

// TestTheKernelTakesOver tells a backup in the kernel of connections, and compares what it lists then.
func TestTheKernelTakesOver(t *testing.T) {
	needIPVS(t)
	for _, group := range []netip.AddrPort{DefaultGroup(), group6} {
		left, right := newLAN(t)
		right.restore(services)
		right.ipvsadm("--start-daemon backup --mcast-interface eth0 --syncid 7 --mcast-group " + group.Addr().String())
		weir := left.open(Config{Group: group, SyncID: 7})
		weir.Use(NewMarks([]Service{
			{Keys: []model.ServiceKey{key("10.0.0.100", 80)}},
			{Keys: []model.ServiceKey{key("10.5.0.7", 80), key("10.5.0.7", 443)}, Mark: 5},
			{Keys: []model.ServiceKey{key("fd00:a::100", 80)}},
		}))
		records, want := takenOver()
		if err := weir.Send(t.Context(), slices.Values(records)); err != nil {
			t.Fatal(err)
		}
		var got []string
		within(t, "connections of "+group.String(), func() bool { got = right.connections(); return len(got) >= len(want) })
		if !slices.Equal(got, want) {
			t.Errorf("%s: listed\n%s\nwant\n%s", group, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		right.countsThem()
		right.remembersThem()
	}
}

// countsThem fails if a connection is not its server's, active or inactive, by the method that the director has itself.
func (n namespace) countsThem() {
	n.T.Helper()
	list := n.ipvsadm("-Ln")
	for _, row := range []string{
		`10\.1\.0\.12:80 +Route +1 +1 +2 `, `10\.1\.0\.12:80 +Tunnel +1 +0 +1 `, `10\.1\.0\.12:0 +Masq +1 +1 +0 `,
		`\[fd00:b::12\]:80 +Masq +1 +0 +3 `,
	} {
		if !regexp.MustCompile(row).MatchString(list) {
			n.T.Errorf("nothing is like %s of\n%s", row, list)
		}
	}
}

// remembersThem fails if they do not expire when they would here: what was told is ten minutes.
func (n namespace) remembersThem() {
	n.T.Helper()
	for _, row := range rowOfConnection.FindAllStringSubmatch(n.ipvsadm("-Lnc"), -1) {
		left, err := time.ParseDuration(strings.Replace(row[2], ":", "m", 1) + "s")
		if err != nil || left > 10*time.Minute || left < 8*time.Minute {
			n.T.Errorf("%s has %s left", row[0], row[2])
		}
	}
}

// TestTheKernelHearsABurstWhole sends it more at once than its socket could keep.
func TestTheKernelHearsABurstWhole(t *testing.T) {
	needIPVS(t)
	left, right := newLAN(t)
	right.restore(services)
	right.ipvsadm("--start-daemon backup --mcast-interface eth0")
	weir := left.open(Config{})
	const n = 20_000
	if err := weir.Send(t.Context(), slices.Values(many(n))); err != nil {
		t.Fatal(err)
	}
	active := regexp.MustCompile(fmt.Sprintf(`10\.1\.0\.12:80 +Route +1 +%d +0 `, n))
	end := time.Now().Add(10 * time.Second)
	for !active.MatchString(right.ipvsadm("-Ln")) {
		if time.Now().After(end) {
			t.Fatalf("told of %d connections, it has\n%s", n, right.ipvsadm("-Ln"))
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// TestTheKernelTells has a real connection through a director in the kernel, and hears what it says of it.
func TestTheKernelTells(t *testing.T) {
	needIPVS(t)
	left, right := newLAN(t)
	server := namespace{netlab.NewNamespace(t)}
	right.Run(fmt.Sprintf("ip link add eth1 type veth peer name eth0 netns %d", server.PID))
	right.Run("ip addr add 198.51.100.1/24 dev eth1")
	right.Run("ip link set eth1 up")
	server.Run("ip addr add 198.51.100.2/24 dev eth0")
	server.Run("ip link set eth0 up")
	server.Run("ip route add default via 198.51.100.1")
	server.works()
	right.Run("ip addr add 192.0.2.100/32 dev eth0")
	right.Sysctl("ipv4/ip_forward", "1")
	right.restore(`
-A -t 192.0.2.100:80 -s rr -p 100
-a -t 192.0.2.100:80 -r 198.51.100.2:8080 -m
`)
	right.ipvsadm("--start-daemon master --mcast-interface eth0 --syncid 7")
	weir := left.open(Config{SyncID: 7, From: []netip.Addr{addr("192.0.2.2")}})
	stop := run(t, weir)

	server.do(func() error {
		listener, err := net.Listen("tcp", "198.51.100.2:8080")
		if err != nil {
			return err
		}
		t.Cleanup(func() { listener.Close() })
		go func() {
			for conn, err := listener.Accept(); err == nil; conn, err = listener.Accept() {
				go func() { _, _ = io.Copy(conn, conn); conn.Close() }()
			}
		}()
		return nil
	})
	var client string
	left.do(func() error {
		conn, err := net.DialTimeout("tcp", "192.0.2.100:80", 10*time.Second)
		if err != nil {
			return err
		}
		client = conn.LocalAddr().String()
		for range 10 {
			if _, err := conn.Write([]byte("x")); err != nil {
				return err
			}
			if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
				return err
			}
		}
		return errors.Join(conn.(*net.TCPConn).CloseWrite(), wait(conn), conn.Close())
	})
	within(t, "what the kernel says", func() bool { return weir.Counts().Records >= 5 })
	heard := map[string]bool{}
	for _, r := range stop() {
		sane(t, r)
		heard[line(r)] = true
	}
	where := client + " 192.0.2.100:80 198.51.100.2:8080 nat"
	for _, want := range []string{
		"tcp 15m0s ESTABLISHED " + where, "tcp 1m0s FIN_WAIT " + where + " client", "tcp 2m0s TIME_WAIT " + where + " client server",
		"tcp 1m40s TEMPLATE 192.0.2.1:0 192.0.2.100:80 198.51.100.2:8080 nat",
	} {
		if !heard[want] {
			t.Errorf("it did not say %s, but %v; %+v", want, heard, weir.Counts())
		}
	}
	if c := weir.Counts(); len(c.Refused) > 0 {
		t.Errorf("%+v", c)
	}
}

// wait waits until the other side closes, too.
func wait(conn net.Conn) error {
	_, err := io.Copy(io.Discard, conn)
	return err
}
