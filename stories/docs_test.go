// SPDX-License-Identifier: Apache-2.0

package stories_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// TestTwoBoxesAreThoseOfTheDocumentation: its configuration of two boxes is what the story runs, which has an echo more.
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
	if len(blocks) != len(story.Files) {
		t.Fatalf("%d configurations in the documentation, %d in the story", len(blocks), len(story.Files))
	}
	for i, file := range story.Files {
		documented, _, _ := strings.Cut(blocks[i][1], "sync:") // the story has the keys and addresses of its own network
		told := regexp.MustCompile(`(?m)^.*name: echo.*\n`).ReplaceAllString(string(file.Data), "")
		if documented != told {
			t.Errorf("%s is\n%s\nin the documentation\n%s", file.Name, told, documented)
		}
	}
}
