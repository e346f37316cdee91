// SPDX-License-Identifier: Apache-2.0

package stories_test

import (
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// TestTwoBoxesAreThoseOfTheDocumentation: its configuration of two boxes is what the story runs, which has more services: an
// echo, and one of a single server at addresses of its own.
func TestTwoBoxesAreThoseOfTheDocumentation(t *testing.T) {
	page, err := os.ReadFile("../docs/failover.md")
	if err != nil {
		t.Fatal(err)
	}
	story, err := txtar.ParseFile("two_boxes.txtar")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## Two boxes in all\n")
	section, _, _ = strings.Cut(section, "\n## ")
	blocks := regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$").FindAllStringSubmatch(section, -1)
	configurations := slices.DeleteFunc(story.Files, func(f txtar.File) bool { return path.Ext(f.Name) != ".yaml" })
	if len(blocks) != len(configurations) {
		t.Fatalf("%d configurations in the documentation, %d in the story", len(blocks), len(configurations))
	}
	more := regexp.MustCompile(`(?m)^.*name: (echo|alone).*\n|, 192\.0\.2\.20/24|, "2001:db8:f::20/64"`)
	for i, file := range configurations {
		documented, _, _ := strings.Cut(blocks[i][1], "sync:") // the story has the keys and addresses of its own network
		told := more.ReplaceAllString(string(file.Data), "")
		if documented != told {
			t.Errorf("%s is\n%s\nin the documentation\n%s", file.Name, told, documented)
		}
	}
}
