// SPDX-License-Identifier: Apache-2.0

// Package client talks to a weir daemon on the same host, over its unix socket. It has one method
// for each request of the API and keeps nothing; the types are those of package api.
package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"syscall"

	"github.com/weir-lb/weir/api"
)

// ErrNoDaemon means that nobody listens at the socket.
var ErrNoDaemon = errors.New("no daemon listens")

// Client asks one daemon. It may be used by several goroutines.
type Client struct {
	socket string
	http   http.Client
}

// New makes a client of the daemon at socket. It connects when it is asked something.
func New(socket string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, "unix", socket)
	}
	return &Client{
		socket: socket,
		http:   http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}},
	}
}

// Status is the whole director at a glance.
func (c *Client) Status(ctx context.Context) (api.Status, error) {
	return ask[api.Status](ctx, c, http.MethodGet, "/v1/status")
}

// Services lists the services in the order of the configuration.
func (c *Client) Services(ctx context.Context) ([]api.Service, error) {
	return ask[[]api.Service](ctx, c, http.MethodGet, "/v1/services")
}

// Servers lists the servers service by service.
func (c *Client) Servers(ctx context.Context) ([]api.Server, error) {
	return ask[[]api.Server](ctx, c, http.MethodGet, "/v1/servers")
}

// ConnectionsQuery says which connections are asked for. Its zero value is all of them. What the
// daemon does not understand comes back as an *Error with status 400.
type ConnectionsQuery struct {
	Service  string // name, or address and port, of a service; "" is any
	Server   string // address, or address and port, of a server; "" is any
	Client   string // address of a client, or network; "" is any
	Protocol string // tcp, udp or sctp; "" is any
	State    string // such as ESTABLISHED; "" is any
	Limit    uint64 // at most so many in a list; 0 is all
}

// target is the request for what the query asks for.
func (q ConnectionsQuery) target(path string) string {
	values := url.Values{}
	for name, value := range map[string]string{
		"service": q.Service, "server": q.Server, "client": q.Client, "protocol": q.Protocol, "state": q.State,
	} {
		if value != "" {
			values.Set(name, value)
		}
	}
	if q.Limit != 0 {
		values.Set("limit", strconv.FormatUint(q.Limit, 10))
	}
	target := url.URL{Path: path, RawQuery: values.Encode()}
	return target.String()
}

// Connections lists connections in no order.
func (c *Client) Connections(ctx context.Context, q ConnectionsQuery) ([]api.Connection, error) {
	return ask[[]api.Connection](ctx, c, http.MethodGet, q.target("/v1/connections"))
}

// CountConnections counts what Connections would list without a limit.
func (c *Client) CountConnections(ctx context.Context, q ConnectionsQuery) (api.ConnectionTotals, error) {
	q.Limit = 0
	return ask[api.ConnectionTotals](ctx, c, http.MethodGet, q.target("/v1/connections/count"))
}

// KillConnections ends every connection that Connections would list without a limit. A query that means
// all of them is refused, with status 400: that is KillAllConnections.
func (c *Client) KillConnections(ctx context.Context, q ConnectionsQuery) (api.Killed, error) {
	q.Limit = 0
	return ask[api.Killed](ctx, c, http.MethodDelete, q.target("/v1/connections"))
}

// KillAllConnections ends every connection that there is.
func (c *Client) KillAllConnections(ctx context.Context) (api.Killed, error) {
	return ask[api.Killed](ctx, c, http.MethodDelete, "/v1/connections?all=true")
}

// Explain says what becomes of the packets of a client to a service, each written as ADDRESS:PORT. protocol is
// tcp, udp or sctp; "" is tcp. What cannot be comes back as an *Error with status 400.
func (c *Client) Explain(ctx context.Context, from, virtual, protocol string) (api.Explanation, error) {
	values := url.Values{"client": {from}, "virtual": {virtual}}
	if protocol != "" {
		values.Set("protocol", protocol)
	}
	return ask[api.Explanation](ctx, c, http.MethodGet, "/v1/explain?"+values.Encode())
}

// TraceQuery says whose packets are traced: those of a client to what it asks for, and those for it. Its zero
// value is all packets for services.
type TraceQuery struct {
	Client   string // address, or address and port; "" is anybody
	Virtual  string // address, or address and port, that it asks for; "" is any
	Protocol string // tcp, udp or sctp; "" is any
	Frames   bool   // with the bytes of each packet
}

// Trace calls begun when it has begun, and yield for each packet as it comes, until ctx ends, which is no error,
// or one of them fails. Where somebody traces already, that comes back as an *Error with status 409.
func (c *Client) Trace(ctx context.Context, q TraceQuery, begun func() error, yield func(api.Trace) error) error {
	values := url.Values{"frames": {strconv.FormatBool(q.Frames)}}
	for name, value := range map[string]string{"client": q.Client, "virtual": q.Virtual, "protocol": q.Protocol} {
		if value != "" {
			values.Set(name, value)
		}
	}
	response, err := c.open(ctx, http.MethodGet, "/v1/trace?"+values.Encode())
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	defer response.Body.Close()
	if err := begun(); err != nil {
		return err
	}
	for lines := json.NewDecoder(response.Body); ; {
		var t api.Trace
		if err := lines.Decode(&t); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("the daemon at %s ended the trace: %w", c.socket, err)
		}
		if err := yield(t); err != nil {
			return err
		}
	}
}

// Counters counts packets by the way in which they left the path.
func (c *Client) Counters(ctx context.Context) (api.Counters, error) {
	return ask[api.Counters](ctx, c, http.MethodGet, "/v1/counters")
}

// Verdicts explains the names in the counters, in the order of the path.
func (c *Client) Verdicts(ctx context.Context) ([]api.Verdict, error) {
	return ask[[]api.Verdict](ctx, c, http.MethodGet, "/v1/verdicts")
}

// Events lists what has happened, the oldest first.
func (c *Client) Events(ctx context.Context) ([]api.Event, error) {
	return ask[[]api.Event](ctx, c, http.MethodGet, "/v1/events")
}

// Notices lists the notices in the order of the configuration.
func (c *Client) Notices(ctx context.Context) ([]api.Notice, error) {
	return ask[[]api.Notice](ctx, c, http.MethodGet, "/v1/notices")
}

// TestNotice sends a test by the notice of that number, and says whether it got through, after at most 30 seconds.
// A number that there is not comes back as an *Error with status 404.
func (c *Client) TestNotice(ctx context.Context, number int) (api.NoticeTested, error) {
	return ask[api.NoticeTested](ctx, c, http.MethodPost, fmt.Sprintf("/v1/notices/%d/test", number))
}

// VirtualRouters lists the virtual routers in the order of the configuration.
func (c *Client) VirtualRouters(ctx context.Context) ([]api.VirtualRouter, error) {
	return ask[[]api.VirtualRouter](ctx, c, http.MethodGet, "/v1/vrrp")
}

// BFD lists the neighbours that are watched, in the order of the configuration.
func (c *Client) BFD(ctx context.Context) (api.BFD, error) {
	return ask[api.BFD](ctx, c, http.MethodGet, "/v1/bfd")
}

// Sync lists the directors that connections are shared with, in the order of the configuration.
func (c *Client) Sync(ctx context.Context) ([]api.Peer, error) {
	return ask[[]api.Peer](ctx, c, http.MethodGet, "/v1/sync")
}

// StepDown makes another director master of these virtual routers, of all if none is named. It is answered when this one
// is master no more. A name that there is not comes back as an *Error with status 404, one of which this
// director is not master with status 409.
func (c *Client) StepDown(ctx context.Context, names ...string) (api.SteppedDown, error) {
	target := "/v1/vrrp/step-down"
	if len(names) > 0 {
		target += "?" + url.Values{"router": names}.Encode()
	}
	return ask[api.SteppedDown](ctx, c, http.MethodPost, target)
}

// Reload makes the daemon read its file again. A file that is refused comes back as an *Error with
// status 422 whose Detail are the complaints.
func (c *Client) Reload(ctx context.Context) (api.Reloaded, error) {
	return ask[api.Reloaded](ctx, c, http.MethodPost, "/v1/reload")
}

// ask sends one request and reads its answer.
func ask[T any](ctx context.Context, c *Client, method, target string) (T, error) {
	var answer T
	response, err := c.open(ctx, method, target)
	if err != nil {
		return answer, err
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return answer, fmt.Errorf("answer of the daemon at %s: %w", c.socket, err)
	}
	return answer, nil
}

// open sends one request. Whoever has the answer closes it.
func (c *Client) open(ctx context.Context, method, target string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://weir"+target, nil)
	if err != nil {
		return nil, err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, c.unreached(err)
	}
	if response.StatusCode != http.StatusOK {
		defer response.Body.Close()
		return nil, refused(response)
	}
	return response, nil
}

// unreached names the socket, and tells an absent daemon from one that must not be asked.
func (c *Client) unreached(err error) error {
	switch {
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w at %s", ErrNoDaemon, c.socket)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%s: permission denied: the socket is for root and its group", c.socket)
	}
	var request *url.Error // its text names a URL that means nothing on a socket
	if errors.As(err, &request) {
		err = request.Err
	}
	return fmt.Errorf("daemon at %s: %w", c.socket, err)
}
