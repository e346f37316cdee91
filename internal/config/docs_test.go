// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/weir-lb/weir/internal/config"
)

var (
	yamlBlock = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")
	isConfig  = regexp.MustCompile(`^(services:|interfaces:|#)`)
)

// TestDocumentedFilesAreAccepted parses the examples that the documentation shows to operators.
func TestDocumentedFilesAreAccepted(t *testing.T) {
	const own = "../../docs/config.md"
	pages := glob(t, "../../docs/*.md")
	if !slices.Contains(pages, own) {
		t.Errorf("%s is missing", own)
	}
	if readme := "../../README.md"; exists(readme) {
		pages = append(pages, readme)
	}
	key := filepath.Join(keyFiles(t), "sync.key")
	for _, page := range pages {
		for line, text := range examples(t, page) {
			text = strings.NewReplacer(documentedKey, key, documentedRouterKey, key).Replace(text)
			if _, err := config.Parse(fmt.Sprintf("%s, the example in line %d", filepath.Base(page), line), []byte(text)); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestReferenceNamesEveryRefusedKey holds the list in docs/config.md against the parser.
func TestReferenceNamesEveryRefusedKey(t *testing.T) {
	page, err := os.ReadFile("../../docs/config.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "## Not in this version yet")
	section, _, _ = strings.Cut(section, "\n## ")
	files := map[string]string{
		"service": "services: [{address: 192.0.2.10:80, scheduler: rr, %s: x}]",
		"tunnel":  "services: [{address: 192.0.2.10:80, scheduler: rr, forwarding: tun, tunnel: {type: gue, %s: x}}]",
	}
	for _, row := range regexp.MustCompile(`(?m)^\| (service|tunnel) \| (.*) \|$`).FindAllStringSubmatch(section, -1) {
		for _, key := range codeWord.FindAllStringSubmatch(row[2], -1) {
			_, err := config.Parse("weir.yaml", fmt.Appendf(nil, files[row[1]], key[1]))
			if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("not in this version yet: key %q", key[1])) {
				t.Errorf("%s in a %s: got %v", key[1], row[1], err)
			}
		}
		delete(files, row[1])
	}
	if len(files) > 0 {
		t.Errorf("the table has no row for %v", files)
	}
}

// examples returns the YAML blocks of a page that are configurations, by line.
func examples(t *testing.T, page string) map[int]string {
	t.Helper()
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	out := map[int]string{}
	for _, m := range yamlBlock.FindAllSubmatchIndex(data, -1) {
		if text := string(data[m[2]:m[3]]); isConfig.MatchString(text) {
			out[1+strings.Count(string(data[:m[2]]), "\n")] = text
		}
	}
	return out
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// codeWord is a key in backquotes, written by its number: a raw string cannot hold one.
var codeWord = regexp.MustCompile(`\x60([a-z_]+)\x60`)
