// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// TestTestsOfNoticesAreLogged, whether they get through or not: whoever gets one asks who did that.
func TestTestsOfNoticesAreLogged(t *testing.T) {
	dir := t.TempDir()
	play(t, web, func(s *stage) {
		var log bytes.Buffer
		s.log = slog.New(slog.NewTextHandler(&log, nil))
		if err := s.TestNotice(s.t.Context(), model.Notice{How: model.ByFIFO{Path: filepath.Join(dir, "news")}}); err != nil {
			t.Error(err)
		}
		if err := s.TestNotice(s.t.Context(), model.Notice{How: model.ByExec{Path: filepath.Join(dir, "none")}}); err == nil {
			t.Error("a program that is not there has run")
		}
		for _, want := range []string{
			`level=INFO msg="a notice was tested, as was asked" notice="fifo ` + dir + `/news" sent=true`,
			`level=INFO msg="a notice was tested, as was asked" notice="exec ` + dir + `/none" err=`,
			`sent=false`,
		} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log lacks %s:\n%s", want, &log)
			}
		}
	})
}

// stepping is a runner of virtual routers that the daemon hears of a moment later, or never.
type stepping struct {
	d    *daemon
	err  error
	left []string
}

func (s *stepping) StepDown(name string) error {
	s.left = append(s.left, name)
	if s.err != nil {
		return s.err
	}
	time.AfterFunc(20*time.Millisecond, func() {
		s.d.state.Store(&state{seen: model.Seen{VRRP: map[string]model.VRRPSeen{name: {State: model.VRRPBackup}}}})
	})
	return nil
}

// TestStepDownWaitsUntilItIsDone, but not for ever.
func TestStepDownWaitsUntilItIsDone(t *testing.T) {
	master := &state{seen: model.Seen{VRRP: map[string]model.VRRPSeen{"front": {State: model.VRRPMaster}}}}
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"done", nil, ""},
		{"refused", errors.New("vrrp front: it has ended"), "it has ended"},
	} {
		synctest.Test(t, func(t *testing.T) {
			d := &daemon{log: slog.New(slog.DiscardHandler)}
			s := &stepping{d: d, err: c.err}
			d.state.Store(master)
			err := d.stepDown(t.Context(), []string{"front"}, s.StepDown)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) || !slices.Equal(s.left, []string{"front"}) {
				t.Errorf("%s: %v, asked for %v", c.name, err, s.left)
			}
			if still := d.state.Load().seen.VRRP["front"].State == model.VRRPMaster; err == nil && still {
				t.Errorf("%s: it is master still", c.name)
			}
			synctest.Wait()
		})
	}
}
