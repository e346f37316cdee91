// SPDX-License-Identifier: Apache-2.0

package stories_test

import (
	"context"
	"fmt"

	"github.com/weir-lb/weir/internal/lab"
)

// web does something to a real server or its web server.
func web(ctx context.Context, s *stage, args []string) (string, error) {
	does := map[string]func(*lab.Server) error{
		"hang":   (*lab.Server).HangWeb,
		"resume": (*lab.Server).ResumeWeb,
		"kill":   (*lab.Server).KillWeb,
		"start":  func(server *lab.Server) error { return server.StartWeb(ctx) },
		"unwell": (*lab.Server).Unwell,
		"well":   (*lab.Server).Well,
		"unplug": func(server *lab.Server) error { return s.lab.Unplug(&server.Node) },
		"plug":   func(server *lab.Server) error { return s.lab.Plug(&server.Node) },
	}
	if len(args) != 2 || does[args[0]] == nil {
		return "", misuse("web hang|resume|kill|start|unwell|well|unplug|plug HOST")
	}
	for _, server := range s.lab.Servers {
		if server.Name == args[1] {
			return "", does[args[0]](server)
		}
	}
	return "", misuse(fmt.Sprintf("no server %q", args[1]))
}
