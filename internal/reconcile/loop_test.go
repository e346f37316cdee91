// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-lb/weir/internal/reconcile"
)

// story is a target that writes down what happens to it, and fails as often as it is told.
type story struct {
	start time.Time
	fail  int
	text  strings.Builder
}

func (s *story) Apply(_ context.Context, want string) error {
	var err error
	if s.fail > 0 {
		s.fail--
		err = errors.New("busy")
	}
	fmt.Fprintf(&s.text, "%7s apply %s: %v\n", time.Since(s.start), want, err)
	return err
}

func TestLoopRetriesRefreshesAndTakesTheNewest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &story{start: time.Now(), fail: 3}
		loop := reconcile.NewLoop("test", s, func(string, error) {}, slog.New(slog.NewTextHandler(io.Discard, nil)))
		ctx, cancel := context.WithCancel(context.Background())
		loop.Want("a")
		loop.Want("b")
		go loop.Run(ctx)
		time.Sleep(61 * time.Second)
		loop.Want("c")
		synctest.Wait()
		cancel()
		synctest.Wait()
		want := `
     0s apply b: busy
  100ms apply b: busy
  300ms apply b: busy
  700ms apply b: <nil>
 1m0.7s apply b: <nil>
   1m1s apply c: <nil>
`
		if got := "\n" + s.text.String(); got != want {
			t.Errorf("got%s", got)
		}
	})
}
