// SPDX-License-Identifier: Apache-2.0

package lab_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/lab"
)

func TestFilesAreDownloadedFromEitherWebServer(t *testing.T) {
	for _, web := range []lab.Web{lab.WebNginx, lab.WebOwn} {
		t.Run(fmt.Sprint(web), func(t *testing.T) {
			l := start(t, lab.Config{Shape: lab.LAN, Servers: 1, Web: web})
			if err := l.Serve(within(t)); err != nil {
				t.Fatal(err)
			}
			for _, f := range lab.Families() {
				d := l.Client.Download(t.Context(), netip.AddrPortFrom(l.Servers[0].Address.In(f), lab.WebPort), 2)
				for ended := time.Now().Add(30 * time.Second); d.Files() < 2 && time.Now().Before(ended); {
					time.Sleep(5 * time.Millisecond)
				}
				err := d.Stop()
				if files := d.Files(); err != nil || files < 2 || d.Received() < files*lab.BulkSize {
					t.Errorf("%s: %d files, %d bytes, %v", f, files, d.Received(), err)
				}
			}
		})
	}
}

func TestDownloadThatFailsIsTold(t *testing.T) {
	l := start(t, lab.Config{Shape: lab.LAN, Servers: 1, Web: lab.WebOwn})
	var err error
	for pause := 10 * time.Millisecond; err == nil && pause < 10*time.Second; pause *= 2 {
		d := l.Client.Download(t.Context(), netip.AddrPortFrom(l.Servers[0].Address.IPv4, lab.WebPort), 1)
		time.Sleep(pause)
		err = d.Stop()
	}
	if err == nil {
		t.Error("nobody serves, and nothing has failed")
	}
}
