// SPDX-License-Identifier: Apache-2.0

package model_test

import (
	"maps"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/weir-lb/weir/internal/model"
)

// TestStatusesGoBothWays adds random ranges to a set and to a plain one beside it.
func TestStatusesGoBothWays(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		s, plain := model.Statuses{}, map[int]bool{}
		for code := 200; code <= 299; code++ {
			plain[code] = true
		}
		for range r.IntN(8) {
			first := model.MinStatus + r.IntN(500)
			last := min(first+r.IntN(40), model.MaxStatus)
			s.Add(first, last)
			for code := first; code <= last; code++ {
				plain[code] = true
			}
		}
		for code := 0; code < 1000; code++ {
			if s.Has(code) != plain[code] {
				t.Fatalf("%s has %d: %t", s, code, s.Has(code))
			}
		}
		if again, err := model.ParseStatuses(s.String()); err != nil || again != s {
			t.Fatalf("%s is read as %s, %v", s, again, err)
		}
	}
}

// TestOneStatusGoesBothWays covers the sets that the default is no part of.
func TestOneStatusGoesBothWays(t *testing.T) {
	for code := model.MinStatus; code <= model.MaxStatus; code++ {
		text := strconv.Itoa(code)
		s, err := model.ParseStatuses(text)
		if err != nil || s.String() != text || !s.Has(code) || s.Has(code-1) || s.Has(code+1) {
			t.Errorf("%s is read as %s, %v", text, s, err)
		}
	}
}

func TestStatusesAreReadAsWritten(t *testing.T) {
	for text, want := range map[string]string{
		"200":                 "200",
		"200-299":             "200-299",
		"200-299,301":         "200-299,301",
		"301, 200 , 201":      "200-201,301",
		"200-250,251-299":     "200-299",
		"100-599":             "100-599",
		"599,100,300-300":     "100,300,599",
		"204,200-210,204-220": "200-220",
	} {
		s, err := model.ParseStatuses(text)
		if err != nil || s.String() != want {
			t.Errorf("%s is read as %s, %v, want %s", text, s, err, want)
		}
		if standard := want == "200-299"; standard != (s == model.Statuses{}) {
			t.Errorf("%s is the default: %t", text, !standard)
		}
	}
}

func TestWhatIsNoStatusIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":                      `"" is not a status code`,
		"ok":                    `"ok" is not a status code`,
		"2xx":                   `"2xx" is not a status code`,
		"200,":                  `"" is not a status code`,
		"+200":                  `"+200" is not a status code`,
		"0200":                  `"0200" is not a status code`,
		"-200":                  `"" is not a status code`,
		"200-":                  `"" is not a status code`,
		"200-299-300":           `"299-300" is not a status code`,
		"200 299":               `"200 299" is not a status code`,
		"99":                    "99 is not from 100 to 599",
		"600":                   "600 is not from 100 to 599",
		"200-999":               "999 is not from 100 to 599",
		"299-200":               "299-200 has no codes in it",
		strings.Repeat("9", 90): strings.Repeat("9", 20) + " is not from 100 to 599",
	} {
		if s, err := model.ParseStatuses(text); err == nil || err.Error() != want || s != (model.Statuses{}) {
			t.Errorf("%q: %s, %v, want %s", text, s, err, want)
		}
	}
}

func TestHeadersGoBothWays(t *testing.T) {
	want := map[string]string{"Accept": "text/plain", "X-Colon": "a: b", "X-Empty": "", "Authorization": "Bearer  x "}
	ask := model.AskHTTP{Headers: model.JoinHeaders(want)}
	if lines := "Accept: text/plain\nAuthorization: Bearer  x \nX-Colon: a: b\nX-Empty: \n"; ask.Headers != lines {
		t.Errorf("joined: %q", ask.Headers)
	}
	if got := maps.Collect(ask.EachHeader()); !maps.Equal(got, want) {
		t.Errorf("split again: %q", got)
	}
	var seen []string
	for name := range ask.EachHeader() {
		if seen = append(seen, name); len(seen) == 2 {
			break // who has seen enough may leave
		}
	}
	if got := strings.Join(seen, " "); got != "Accept Authorization" {
		t.Errorf("the first two are %s", got)
	}
}

// TestQuestionsOfHTTPAreKeys: they are compared, and lead into maps.
func TestQuestionsOfHTTPAreKeys(t *testing.T) {
	kinds := map[model.Ask]string{
		model.AskHTTP{}:             "http",
		model.AskHTTP{Secure: true}: "https",
		model.AskTLS{}:              "tls",
		model.AskTLS{TLS: model.TLS{Name: "example.org"}}: "tls",
	}
	if len(kinds) != 4 {
		t.Errorf("%d kinds", len(kinds))
	}
	for ask, want := range kinds {
		if ask.Kind() != want {
			t.Errorf("%+v is of kind %s", ask, ask.Kind())
		}
	}
}
