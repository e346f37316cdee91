// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/trust"
)

// How long a program may take.
const (
	minScript = time.Second
	maxScript = 5 * time.Minute
)

// channel reads what stands behind the word for it; nil after a complaint without which nothing could be told.
func (s scope) channel(word string, n *yaml.Node) model.Channel {
	switch word {
	case "exec":
		return s.byExec(n)
	case "mail":
		return s.byMail(n)
	case "webhook":
		return s.byWebhook(n)
	case "fifo":
		return s.byFIFO(n)
	case "syslog":
		s.complainIf(n, wordless(n))
		return model.BySyslog{}
	}
	panic(fmt.Sprintf("channel %q has no reader", word)) // channelWords and this function are one list
}

// wordless refuses whatever stands behind a channel of which nothing can be said.
func wordless(n *yaml.Node) *mistake {
	if isNull(n) || n.Kind == yaml.MappingNode && len(n.Content) == 0 {
		return nil
	}
	return &mistake{"nothing can be said about it", `write "syslog: {}"`}
}

// channelNode is what stands behind the word.
func channelNode(how model.Channel) *yaml.Node {
	switch how := how.(type) {
	case model.ByExec:
		return execNode(how)
	case model.ByMail:
		return mailNode(how)
	case model.ByWebhook:
		return webhookNode(how)
	case model.ByFIFO:
		return lineNode(how.Path)
	case model.BySyslog:
		return mapNode()
	}
	panic(fmt.Sprintf("channel %q has no printer", how.Kind()))
}

// shortOrMap returns the values of a map, or of one value that stands for a map with the main key alone. The main
// key is never missing; nil after a complaint.
func (s scope) shortOrMap(n *yaml.Node, main, hint string, keys vocabulary) map[string]*yaml.Node {
	if n.Kind == yaml.ScalarNode {
		return map[string]*yaml.Node{main: n}
	}
	values := s.mapping(n, "it", keys)
	if values != nil && values[main] == nil {
		s.complain(n, mistake{"no " + main, hint})
		return nil
	}
	return values
}

// byExec is a path, or a map. The program is looked at now, and again each time before it runs.
func (s scope) byExec(n *yaml.Node) model.Channel {
	values := s.shortOrMap(n, "path", `write "path: /etc/weir/on-change"`, execKeys)
	if values == nil {
		return nil
	}
	out := model.ByExec{Timeout: model.DefaultExecTimeout}
	if n := values["timeout"]; n != nil {
		out.Timeout = s.duration(n, "timeout", minScript, maxScript)
	}
	var ok bool
	if out.Path, out.Args, out.User, ok = s.program(values, "/etc/weir/on-change"); !ok {
		return nil
	}
	return out
}

func execNode(b model.ByExec) *yaml.Node {
	pairs := []pair{{"path", lineNode(b.Path)}}
	if args := b.Arguments(); len(args) > 0 {
		pairs = append(pairs, pair{"args", listNode(args, lineNode)})
	}
	pairs = append(pairs, linePair("user", b.User)...)
	if b.Timeout != model.DefaultExecTimeout {
		pairs = append(pairs, pair{"timeout", textNode(printDuration(b.Timeout))})
	}
	return shortNode(pairs)
}

// shortNode is the first value where it stands alone.
func shortNode(pairs []pair) *yaml.Node {
	if len(pairs) == 1 {
		return pairs[0].value
	}
	return mapNode(pairs...)
}

// byWebhook is a URL, or a map.
func (s scope) byWebhook(n *yaml.Node) model.Channel {
	values := s.shortOrMap(n, "url", `write "url: https://..."`, webhookKeys)
	if values == nil {
		return nil
	}
	var out model.ByWebhook
	if n := values["template"]; n != nil {
		word, _ := s.word(n, "template", webhookTemplates)
		out.Template, _ = model.ParseWebhookTemplate(word)
	}
	out.SecretFile = s.secretFile(values["secret_file"], "secret_file")
	text, ok := s.text(values["url"], "url")
	if !ok {
		return nil
	}
	out.URL = text
	s.complainIf(values["url"], unfitURL(text))
	return out
}

// unfitURL does not repeat it: it may be a secret.
func unfitURL(text string) *mistake {
	to, err := url.Parse(text)
	switch {
	case err != nil:
		return &mistake{"the url cannot be read", `such as "https://hooks.example.org/weir"`}
	case to.Scheme != "http" && to.Scheme != "https":
		return &mistake{"the url is not one of http or https", `such as "https://hooks.example.org/weir"`}
	case to.Hostname() == "":
		return &mistake{"the url names no host", `such as "https://hooks.example.org/weir"`}
	case strings.Contains(text, "#"):
		return &mistake{"the url has a fragment (#), which is not sent", "leave it out"}
	}
	return nil
}

// secretFile returns "" where there is none.
func (s scope) secretFile(n *yaml.Node, what string) string {
	if n == nil {
		return ""
	}
	path, ok := s.text(n, what)
	if ok {
		s.complainIf(n, untrusted(trust.SecretFile(path)))
	}
	return path
}

func webhookNode(b model.ByWebhook) *yaml.Node {
	pairs := []pair{{"url", lineNode(b.URL)}}
	if b.Template != model.TemplateJSON {
		pairs = append(pairs, pair{"template", textNode(b.Template.String())})
	}
	return shortNode(slices.Concat(pairs, linePair("secret_file", b.SecretFile)))
}

// byFIFO is a path, or a map. What is there already must be a FIFO.
func (s scope) byFIFO(n *yaml.Node) model.Channel {
	values := s.shortOrMap(n, "path", `write "path: /run/weir/events"`, fifoKeys)
	if values == nil {
		return nil
	}
	path, ok := s.text(values["path"], "path")
	if !ok {
		return nil
	}
	info, err := os.Lstat(path)
	switch {
	case !filepath.IsAbs(path):
		s.complain(values["path"], mistake{quote(path) + " is not a whole path", `such as "/run/weir/events"`})
	case err == nil && info.Mode()&os.ModeNamedPipe == 0:
		s.complain(values["path"], mistake{label(path) + " is there already, and is no FIFO", "remove it, or name another path"})
	}
	return model.ByFIFO{Path: path}
}
