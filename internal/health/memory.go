// SPDX-License-Identifier: Apache-2.0

package health

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// Memory is what checks had found out before this process began, by what they asked. It is written before a
// verdict is acted upon, so after a crash it is not older than what the maps hold, but for weights.
type Memory map[string]model.Health

// remembered is a verdict as the file has it.
type remembered struct {
	State  string    `json:"state"`
	Since  time.Time `json:"since"`
	Reason string    `json:"reason,omitempty"`
	Latest string    `json:"latest,omitempty"`
	Advice *advice   `json:"advice,omitempty"`
	Ends   time.Time `json:"certificate_ends,omitzero"`
}

// advice is what a check said of its server's weight.
type advice struct {
	Weight  int    `json:"weight"`
	Percent bool   `json:"percent,omitempty"`
	Says    string `json:"says"`
}

func remember(h model.Health) remembered {
	out := remembered{State: h.State.String(), Since: h.Since, Reason: h.Reason, Latest: h.Latest, Ends: h.Advice.Ends}
	if a := h.Advice; a.Given {
		out.Advice = &advice{a.Weight, a.Percent, a.Says}
	}
	return out
}

// health is the inverse; its zero value stands for a state that is none.
func (r remembered) health() (out model.Health) {
	for _, state := range []model.HealthState{model.HealthUp, model.HealthDown} {
		if state.String() == r.State {
			out = model.Health{State: state, Since: r.Since, Reason: r.Reason, Latest: r.Latest}
		}
	}
	if out.State == model.HealthUp {
		out.Advice.Ends = r.Ends.UTC()
	}
	if a := r.Advice; a != nil && out.State == model.HealthUp {
		out.Advice.Given, out.Advice.Weight, out.Advice.Percent, out.Advice.Says = true, a.Weight, a.Percent, a.Says
	}
	return out
}

// nameOf is the same in every process for the same check. It is no secret, although a check may hold one.
func nameOf(key model.CheckKey) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %+v %#v", key.Target, key.Detour, key.Check))
	return hex.EncodeToString(sum[:16])
}

// Known is what it has of some checks.
func (m Memory) Known(keys []model.CheckKey) map[model.CheckKey]model.Health {
	out := map[model.CheckKey]model.Health{}
	for _, key := range keys {
		if h := m.of(key); h != (model.Health{}) {
			out[key] = h
		}
	}
	return out
}

func (m Memory) of(key model.CheckKey) model.Health {
	if len(m) == 0 {
		return model.Health{}
	}
	return m[nameOf(key)]
}

// Recall reads what Remember wrote. A file that is missing or damaged is no error: checks find out again.
func Recall(path string) (Memory, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("verdicts of checks: %w", err)
	}
	var all map[string]remembered
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, nil
	}
	out := Memory{}
	for name, r := range all {
		if h := r.health(); h != (model.Health{}) {
			out[name] = h
		}
	}
	return out, nil
}

// Remember replaces the file as a whole.
func Remember(path string, known map[model.CheckKey]model.Health) error {
	all := make(map[string]remembered, len(known))
	for key, h := range known {
		if h.State != model.HealthUnknown {
			all[nameOf(key)] = remember(h)
		}
	}
	data, err := json.Marshal(all)
	if err != nil {
		return err
	}
	next := Unfinished(path)
	err = os.MkdirAll(filepath.Dir(path), 0o750)
	if err == nil {
		err = os.WriteFile(next, data, 0o600)
	}
	if err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		return fmt.Errorf("verdicts of checks: %w", err)
	}
	return nil
}

// Unfinished is what a crash within Remember leaves behind.
func Unfinished(path string) string { return path + ".new" }
