// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/config"
	"github.com/weir-lb/weir/internal/model"
)

func TestUnreadableFileNamesTheWayOut(t *testing.T) {
	dir := t.TempDir()
	for name, want := range map[string]string{
		filepath.Join(dir, "missing.yaml"): "missing.yaml: no such file or directory: write it",
		dir:                                "is a directory: name the file in it",
		"/dev/zero":                        "the file is larger than 4 MiB",
	} {
		_, err := config.Load(name)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", name, err, want)
		}
	}
}

func TestUnreadableFileKeepsItsCause(t *testing.T) {
	_, err := config.Load(filepath.Join(t.TempDir(), "missing.yaml"))
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
}

func TestForbiddenFileNamesTheWayOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret.yaml")
	if err := os.WriteFile(path, []byte("services: []\n"), 0); err != nil {
		t.Fatal(err)
	}
	var err error
	asNobody(t, func() { _, err = config.Load(path) })
	if err == nil || !strings.Contains(err.Error(), "run as root, or make the file readable") {
		t.Errorf("got %v", err)
	}
}

// asNobody runs f on a thread that opens files as a stranger, if this is root, who may read every
// file. The thread ends with its goroutine.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		var err error
		if os.Geteuid() == 0 {
			runtime.LockOSThread()
			_, err = unix.SetfsuidRetUid(65534)
		}
		f()
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestManyComplaintsAreCounted(t *testing.T) {
	_, err := config.Parse("weir.yaml", []byte("services: ["+strings.Repeat("x,", 1000)+"]\n"))
	var complaints *config.Error
	if !errors.As(err, &complaints) || complaints.More == 0 {
		t.Fatalf("got %v, want more complaints than are kept", err)
	}
	if got := len(complaints.Complaints) + complaints.More; got != 1000 {
		t.Errorf("%d complaints, want 1000", got)
	}
	if want := fmt.Sprintf("and %d more", complaints.More); !strings.HasSuffix(err.Error(), want) {
		t.Errorf("the text does not end in %q", want)
	}
}

func TestLongLinesAreCut(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	_, err := config.Parse("weir.yaml", []byte(long+": 1\nservices: [{address: "+long+", scheduler: rr}]\n"))
	if err == nil || len(err.Error()) > 2000 {
		t.Errorf("got %d bytes of complaints, want a few lines", len(fmt.Sprint(err)))
	}
}

func TestServersOfAServiceAreLimited(t *testing.T) {
	text := func(servers int) []byte {
		var b strings.Builder
		b.WriteString("services:\n  - address: 192.0.2.10:80\n    scheduler: rr\n    servers:\n")
		for i := range servers {
			fmt.Fprintf(&b, "      - 10.0.%d.%d\n", i/250, i%250+1)
		}
		return []byte(b.String())
	}
	if _, err := config.Parse("weir.yaml", text(model.MaxServers)); err != nil {
		t.Errorf("%d servers: %v", model.MaxServers, err)
	}
	_, err := config.Parse("weir.yaml", text(model.MaxServers+1))
	if want := "weir.yaml:4101:9: service 192.0.2.10:80: more than 4096 servers"; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestLentServersAreLimited: they count for each service that has them.
func TestLentServersAreLimited(t *testing.T) {
	text := func(services int) []byte {
		var b strings.Builder
		b.WriteString("services:\n")
		for i := range services {
			fmt.Fprintf(&b, "  - {address: 192.0.2.%d:80, sorry: spare}\n", i+1)
		}
		b.WriteString("  - name: spare\n    address: 192.0.2.250:80\n    servers:\n")
		for i := range model.MaxServers {
			fmt.Fprintf(&b, "      - 10.0.%d.%d\n", i/250, i%250+1)
		}
		return []byte(b.String())
	}
	const most = model.MaxAllServers/model.MaxServers - 1
	if _, err := config.Parse("weir.yaml", text(most)); err != nil {
		t.Errorf("%d services: %v", most, err)
	}
	_, err := config.Parse("weir.yaml", text(most+1))
	if want := "weir.yaml:5:36: service 192.0.2.4:80: sorry: more than 16384 servers of all services, together with those of service spare"; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestVirtualRoutersAreLimited(t *testing.T) {
	text := func(routers int) []byte {
		var b strings.Builder
		b.WriteString("services: []\nvrrp:\n")
		for i := range routers {
			fmt.Fprintf(&b, "  - {name: r%d, interface: eth%d, id: %d, addresses: [10.0.%d.%d]}\n", i, i/255, i%255+1, i/250, i%250+1)
		}
		return []byte(b.String())
	}
	if _, err := config.Parse("weir.yaml", text(model.MaxVirtualRouters)); err != nil {
		t.Errorf("%d virtual routers: %v", model.MaxVirtualRouters, err)
	}
	for _, more := range []int{1, 100} { // one complaint, however many there are
		_, err := config.Parse("weir.yaml", text(model.MaxVirtualRouters+more))
		var complaints *config.Error
		if want := "weir.yaml:1026:5: more than 1023 virtual routers"; !errors.As(err, &complaints) || len(complaints.Complaints) != 1 || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestVirtualAddressesAreLimited(t *testing.T) {
	const each = 255
	text := func(addresses int) []byte {
		var b strings.Builder
		b.WriteString("services: []\nvrrp:")
		for i := range addresses {
			if i%each == 0 {
				fmt.Fprintf(&b, "\n  - name: r%d\n    interface: eth0\n    id: %d\n    addresses:", i/each, i/each+1)
			}
			fmt.Fprintf(&b, "\n      - 10.%d.%d.1", i/250, i%250)
		}
		return []byte(b.String() + "\n")
	}
	if _, err := config.Parse("weir.yaml", text(model.MaxVirtualAddresses)); err != nil {
		t.Errorf("%d addresses: %v", model.MaxVirtualAddresses, err)
	}
	for _, more := range []int{1, each, 2 * each} {
		_, err := config.Parse("weir.yaml", text(model.MaxVirtualAddresses+more))
		var complaints *config.Error
		if want := "weir.yaml:16647:9: virtual router r64: more than 16384 addresses of all virtual routers"; !errors.As(err, &complaints) || len(complaints.Complaints) != 1 || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// TestHostileFilesEndSoon feeds what has brought YAML parsers down: each is refused within seconds.
func TestHostileFilesEndSoon(t *testing.T) {
	const size = 1 << 20
	for name, text := range map[string]string{
		"deep flow":    strings.Repeat("[", size),
		"deep block":   strings.Repeat("- ", size/2),
		"wide":         "services: [" + strings.Repeat("a,", size/2) + "]",
		"lists":        "services: [" + strings.Repeat("[],", size/3) + "]",
		"many keys":    strings.Repeat("a: b\n", size/5),
		"comments":     "services: []\n" + strings.Repeat("#\n", size/2) + "x",
		"open quotes":  strings.Repeat("\"", size),
		"bombs":        "a: &a [x,x]\n" + strings.Repeat("b: &a [*a,*a,*a,*a]\n", size/20),
		"cycle":        "services: &a [*a]",
		"question":     strings.Repeat("? ", size/2),
		"tags":         strings.Repeat("!a ", size/3),
		"brackets":     "a: " + strings.Repeat("[::]:1 ", size/7),
		"long scalar":  "services: |\n" + strings.Repeat("  x\n", size/4),
		"no sorry":     "services: [" + strings.Repeat("{name: a, address: 192.0.2.10:80, sorry: bb},", size/45) + "]",
		"all sorry":    "services: [" + strings.Repeat("{name: a, address: 192.0.2.10:80, sorry: a},", size/45) + "]",
		"random bytes": strings.Repeat("\x9d\xfe{-?:\t", size/7),
	} {
		t.Run(name, func(t *testing.T) {
			runtime.LockOSThread() // whose time is measured: on a busy machine the clock's says nothing
			defer runtime.UnlockOSThread()
			start := threadTime(t)
			if _, err := config.Parse("weir.yaml", []byte(text)); err == nil {
				t.Error("accepted")
			} else if size := len(err.Error()); size > 200_000 {
				t.Errorf("%d bytes of complaints", size)
			}
			if took := threadTime(t) - start; took > 10*time.Second {
				t.Errorf("took %s of a CPU", took)
			} else {
				t.Logf("took %s of a CPU", took)
			}
		})
	}
}

// threadTime is what the calling thread has used of a CPU.
func threadTime(t *testing.T) time.Duration {
	t.Helper()
	var used unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Nano())
}

// TestManyPeersAreOneComplaint: a list that goes on for ever is not compared with itself.
func TestManyPeersAreOneComplaint(t *testing.T) {
	var peers []string
	for i := range 100_000 {
		peers = append(peers, fmt.Sprintf("10.%d.%d.1", i/256%256, i%256))
	}
	_, err := config.Parse("weir.yaml", fmt.Appendf(nil,
		"services: []\nvrrp: [{name: front, interface: eth0, id: 51, addresses: [192.0.2.10], peers: [%s]}]\n", strings.Join(peers, ", ")))
	var complaints *config.Error
	if !errors.As(err, &complaints) || len(complaints.Complaints) != 1 || !strings.Contains(err.Error(), "more than 255 peers") {
		t.Errorf("got %.300v", err)
	}
}

// TestVirtualRoutesAreLimited, with one complaint whatever their number.
func TestVirtualRoutesAreLimited(t *testing.T) {
	for count, says := range map[int]string{255: "", 300: "more than 255 routes"} {
		var b strings.Builder
		b.WriteString("services: []\nvrrp: [{name: front, interface: eth0, id: 51, addresses: [192.0.2.10/24], routes: [")
		for i := range count {
			fmt.Fprintf(&b, "10.%d.%d.0/24, ", i/250, i%250)
		}
		b.WriteString("]}]\n")
		_, err := config.Parse("weir.yaml", []byte(b.String()))
		var complaints *config.Error
		switch errors.As(err, &complaints); {
		case says == "" && err != nil, says != "" && (err == nil || len(complaints.Complaints) != 1 || !strings.Contains(err.Error(), says)):
			t.Errorf("%d: %v", count, err)
		}
	}
}
