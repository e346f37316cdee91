// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// What every web server of the lab has besides its Answers: a file of zeros.
const (
	BulkPath = "/bulk"
	BulkSize = 16 << 20
)

// Downloads is clients that ask a web server for its file again and again, as fast as it comes, each
// time over a connection of its own. They start one after the other: if all of them did at once, they
// would end at once too, and fill every queue when they start again.
type Downloads struct {
	client   *Client
	to       netip.AddrPort
	received atomic.Int64
	files    atomic.Int64

	stop    context.CancelFunc
	running sync.WaitGroup
	failed  atomic.Pointer[error]
}

// Download starts downloads by so many clients at once; Stop ends them.
func (c *Client) Download(ctx context.Context, to netip.AddrPort, atOnce int) *Downloads {
	d := &Downloads{client: c, to: to}
	ctx, d.stop = context.WithCancel(ctx)
	for i := range atOnce {
		d.running.Go(func() {
			select {
			case <-time.After(time.Duration(i) * 50 * time.Millisecond):
				d.repeat(ctx, c.inTurn(familyOf(to), i))
			case <-ctx.Done():
			}
		})
	}
	return d
}

// Received is the number of bytes of files that clients have read by now.
func (d *Downloads) Received() int64 { return d.received.Load() }

// Files is the number of files that clients have read to the end by now.
func (d *Downloads) Files() int64 { return d.files.Load() }

// Stop ends the downloads and returns why the first one failed, if one did.
func (d *Downloads) Stop() error {
	d.stop()
	d.running.Wait()
	if err := d.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// repeat downloads from one address until ctx ends, or something fails.
func (d *Downloads) repeat(ctx context.Context, from netip.Addr) {
	buffer := make([]byte, 64<<10)
	for ctx.Err() == nil {
		if err := d.file(ctx, from, buffer); err != nil && ctx.Err() == nil {
			d.failed.CompareAndSwap(nil, &err)
			return
		}
	}
}

// file downloads the file once.
func (d *Downloads) file(ctx context.Context, from netip.Addr, buffer []byte) error {
	response, err := d.client.open(ctx, from, d.to, BulkPath)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	size := 0
	for {
		n, err := response.Body.Read(buffer)
		d.received.Add(int64(n))
		size += n
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("get %s of %v from %v: %w", BulkPath, d.to, from, err)
		}
	}
	if size != BulkSize {
		return fmt.Errorf("get %s of %v from %v: %d bytes came, of %d", BulkPath, d.to, from, size, BulkSize)
	}
	d.files.Add(1)
	return nil
}
