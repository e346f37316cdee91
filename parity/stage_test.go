// SPDX-License-Identifier: Apache-2.0

package parity_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/weir-lb/weir/client"
	"github.com/weir-lb/weir/internal/lab"
	"github.com/weir-lb/weir/parity"
)

// patience is for everything that must come; what is right does not depend on how soon it does.
const patience = time.Minute

// stage is the network of the records, with a daemon that serves some rows.
type stage struct {
	lab    *lab.Lab
	daemon *client.Client
	rows   []parity.Row
	kept   []net.Conn          // connections that stay open
	picks  map[string][]string // of rows that are compared by share, by their place
}

// The networks of clients in the records: one more client is within the front network.
var clients = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.2/32"), netip.MustParsePrefix("10.9.0.0/16"), netip.MustParsePrefix("fd00:9::/64"),
}

// network is that of the records (net.sh), but for what no scheduler sees: here a router is between clients
// and director, which gives the front network other addresses.
func network(weir string, rows []parity.Row) lab.Config {
	addresses := lab.DefaultAddresses()
	addresses.IPv4.Back = netip.MustParsePrefix("10.1.0.0/24")
	addresses.IPv6.Back = netip.MustParsePrefix("fd00:b::/64")
	config := lab.Config{
		Shape: lab.TwoArm, Clients: 1, Addresses: addresses, Weir: weir, Confined: true, Table: lab.SmallTable,
		Elsewhere: lab.Elsewhere{Clients: clients},
	}
	known := map[netip.Addr]bool{}
	for _, row := range rows {
		config.Servers = max(config.Servers, len(row.Weights))
		for _, ask := range row.Asks {
			if to := ask.To.Addr(); !known[to] {
				known[to] = true
				config.Elsewhere.Services = append(config.Elsewhere.Services, netip.PrefixFrom(to, to.BitLen()))
			}
		}
	}
	return config
}

// open builds the network of the rows, and starts its servers and the daemon. All goes with the test.
func open(t *testing.T, weir string, rows []parity.Row) *stage {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	l, err := lab.New(ctx, network(weir, rows))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	s := &stage{lab: l, picks: map[string][]string{}}
	s.daemon = client.New(filepath.Join(l.Directors[0].Run, "weir.sock"))
	for i, server := range l.Servers {
		if err := serve(t, server, i+1); err != nil {
			t.Fatal(err)
		}
	}
	director := l.Directors[0]
	if err := errors.Join(director.Start(interfaces+parity.Services(nil, false)), director.WaitReady(ctx)); err != nil {
		s.tell(t)
		t.Fatal(err)
	}
	return s
}

// interfaces must be named, since no subnet of the director has the services' addresses.
const interfaces = "interfaces: [" + lab.FirstLink + ", " + lab.SecondLink + "]\n"

// serve has the daemon serve rows, as before their first connection in the records. Services that these do
// not go on with are taken away first: what is added again is another one, without connections.
func (s *stage) serve(t *testing.T, rows []parity.Row) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, services := range []string{
		parity.Services(parity.Continued(s.rows, rows), true), parity.Services(rows, false), parity.Services(rows, true),
	} {
		if err := s.become(ctx, interfaces+services); err != nil {
			s.tell(t)
			t.Fatal(err)
		}
	}
	s.rows = rows
}

func (s *stage) become(ctx context.Context, config string) error {
	director := s.lab.Directors[0]
	if err := director.Configure(config); err != nil {
		return err
	}
	if _, err := s.daemon.Reload(ctx); err != nil {
		return err
	}
	return director.WaitReady(ctx)
}

// tell shows what the daemon printed.
func (s *stage) tell(t *testing.T) {
	const enough = 16 << 10
	if text, err := os.ReadFile(s.lab.Directors[0].Log); err == nil {
		t.Logf("the daemon printed:\n%s", text[max(0, len(text)-enough):])
	}
}

// compareCounts waits until the daemon counts as many connections of each server as IPVS did, while they
// were open and when they are closed, and says where it does not.
func (s *stage) compareCounts(ctx context.Context, row parity.Row) (string, error) {
	for _, want := range []map[int]parity.Counts{row.Open, row.Left} {
		uncounted, err := s.counted(ctx, row, want)
		if uncounted != "" || err != nil {
			return uncounted, err
		}
		if err := s.hangUp(); err != nil {
			return "", err
		}
	}
	return "", nil
}

// counted asks again for a while: a count follows a packet.
func (s *stage) counted(ctx context.Context, row parity.Row, want map[int]parity.Counts) (string, error) {
	const enough = 10 * time.Second
	ctx, cancel := context.WithTimeout(ctx, enough)
	defer cancel()
	for {
		got, err := s.counts(ctx, row)
		if err != nil && ctx.Err() == nil {
			return "", err
		}
		uncounted := parity.Uncounted(want, got)
		if uncounted == "" || ctx.Err() != nil {
			return uncounted, nil
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// counts are what the daemon counts for the row's service.
func (s *stage) counts(ctx context.Context, row parity.Row) (map[int]parity.Counts, error) {
	servers, err := s.daemon.Servers(ctx)
	if err != nil {
		return nil, err
	}
	out := map[int]parity.Counts{}
	for _, server := range servers {
		for n := range row.Weights {
			if server.Service == row.ServiceName() && server.Address == row.Server(n+1).String() {
				out[n+1] = parity.Counts{Active: int(server.Active), Inactive: int(server.Inactive)}
			}
		}
	}
	return out, nil
}

// hangUp closes what stayed open, as ask does: the next row's clients have the same ports.
func (s *stage) hangUp() error {
	var errs []error
	for _, conn := range s.kept {
		if tcp, ok := conn.(*net.TCPConn); ok {
			errs = append(errs, tcp.SetDeadline(time.Now().Add(patience)), leave(tcp))
		} else {
			errs = append(errs, conn.Close())
		}
	}
	s.kept = nil
	return errors.Join(errs...)
}
