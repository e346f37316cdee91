// SPDX-License-Identifier: Apache-2.0

// Package server is the daemon's HTTP API: it turns snapshots into the wire's types of package api
// and hands on the few requests that do something. It holds no state and decides nothing.
// Read server.go, routes.go, then wire.go; listen.go has the socket.
package server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
	"golang.org/x/sync/errgroup"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/report"
)

// Director is what the API tells about. Its methods may be called at the same time.
type Director interface {
	// Snapshot says how things stand now.
	Snapshot(ctx context.Context) (report.Snapshot, error)
	// Connections calls yield for each connection until it returns false.
	Connections(ctx context.Context, yield func(report.Connection) bool) error
	// Explain says what becomes of a flow, and changes nothing.
	Explain(ctx context.Context, flow model.Flow) (report.Explanation, error)
	// Trace says that it has begun, and calls yield for each packet that is wanted, as it comes, until ctx ends
	// or yield fails. It is ErrBusy where somebody traces already.
	Trace(ctx context.Context, wanted model.TraceFilter, begun func(), yield func(report.Trace) error) error
	// Kill ends every connection that is wanted, and says how many; also when it breaks off.
	Kill(ctx context.Context, wanted func(report.Connection) bool) (killed uint64, err error)
	// TestNotice sends a test by a notice. Its error says, on one line, why that did not get through.
	TestNotice(ctx context.Context, notice model.Notice) error
	// StepDown makes another director master of these virtual routers, of which this one is master. It returns when this
	// one is not any more; otherwise its error says why.
	StepDown(ctx context.Context, names []string) error
	// Reload reads the daemon's own file again and returns the revision that came of it. When it
	// fails, nothing has changed.
	Reload(ctx context.Context) (revision uint64, err error)
}

// Bounds of what one caller may take.
const (
	headerTimeout  = 5 * time.Second
	readTimeout    = 10 * time.Second
	writeTimeout   = time.Minute // of a whole list of connections
	idleTimeout    = time.Minute
	stopTimeout    = 2 * time.Second // for answers that are on their way when the daemon stops
	maxHeaderBytes = 16 << 10
	maxBodyBytes   = 64 << 10
	maxCallers     = 256
)

// Server answers the API's requests.
type Server struct {
	director Director
	version  string
	log      *slog.Logger
}

// New makes a server that tells about director. version is the daemon's.
func New(director Director, version string, log *slog.Logger) *Server {
	return &Server{director: director, version: version, log: log}
}

// Run answers requests that come in by listener, and closes it when ctx ends.
func (s *Server) Run(ctx context.Context, listener net.Listener) error {
	group, ctx := errgroup.WithContext(ctx)
	web := s.http(ctx)
	group.Go(func() error {
		err := web.Serve(netutil.LimitListener(listener, maxCallers))
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return err
	})
	group.Go(func() error {
		<-ctx.Done()
		return stop(web)
	})
	return group.Wait()
}

func (s *Server) http(ctx context.Context) *http.Server {
	return &http.Server{
		Handler:           s.Handler(),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
	}
}

// stop lets answers finish for a moment, then cuts them off.
func stop(web *http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := web.Shutdown(ctx); err != nil {
		return web.Close()
	}
	return nil
}
