// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

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
