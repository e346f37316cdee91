// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// nginx is the path of nginx; empty: the lab's own web server is to be used.
func (w Web) nginx() (string, error) {
	if w == WebOwn {
		return "", nil
	}
	for _, name := range []string{"nginx", "/usr/sbin/nginx"} { // sbin is not in everybody's PATH
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	if w == WebNginx {
		return "", fmt.Errorf("nginx is not installed; on Debian: apt-get install nginx-light")
	}
	return "", nil
}

// nginxConfig makes nginx one process in the foreground, which writes nothing outside its
// directory. Parameters: directory, port, name of the server, paths of its files.
const nginxConfig = `
daemon off;
master_process off;
pid %[1]s/nginx.pid;
error_log stderr;
events {}
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	default_type text/plain;
	keepalive_timeout 0;
	server {
		listen %[2]d;
		listen [::]:%[2]d;
		location / {
			return 200 "%[3]s $remote_addr $server_addr\n";
		}
		location = %[4]s {
			root %[1]s;
		}
		location = %[5]s {
			root %[1]s;
		}
	}
}
`

// startNginx serves with the real one and waits until it does.
func (s *Server) startNginx(ctx context.Context, path string) error {
	file := filepath.Join(s.dir, "nginx.conf")
	if err := os.WriteFile(file, fmt.Appendf(nil, nginxConfig, s.dir, WebPort, s.Name, BulkPath, HealthPath), 0o600); err != nil {
		return err
	}
	if err := makeBulk(filepath.Join(s.dir, BulkPath)); err != nil {
		return err
	}
	if err := s.Well(); err != nil {
		return err
	}
	log := filepath.Join(s.dir, "nginx.log")
	p, err := s.spawn(log, path, "-p", s.dir, "-c", file, "-e", log)
	if err != nil {
		return err
	}
	s.serving = append(s.serving, nginx{p})
	return s.waitForWeb(ctx, p)
}

// makeBulk makes a file that is one hole: it takes no room on the disk.
func makeBulk(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(BulkSize), f.Close())
}

func (s *Server) waitForWeb(ctx context.Context, p *process) error {
	loopback := netip.AddrPortFrom(netip.IPv6Loopback(), WebPort)
	return poll(ctx, 5*time.Millisecond, func() (bool, error) {
		err := s.Do(func() error {
			conn, err := net.Dial("tcp", loopback.String())
			if err == nil {
				err = conn.Close()
			}
			return err
		})
		return err == nil, p.ended()
	})
}

// nginx is a running one.
type nginx struct{ *process }

// Close kills it: nginx without a master has nothing that it must put in order.
func (n nginx) Close() error { return n.kill() }

// poll asks until the answer is yes.
func poll(ctx context.Context, interval time.Duration, ask func() (bool, error)) error {
	ticks := time.NewTicker(interval)
	defer ticks.Stop()
	for {
		if done, err := ask(); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticks.C:
		}
	}
}
