// SPDX-License-Identifier: Apache-2.0

package stories_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/weir-lb/weir/internal/lab"
)

// stage is where one story takes place.
type stage struct {
	weir    string // the binary
	work    string // the story's directory, with its files
	lab     *lab.Lab
	closers []io.Closer // what the story itself runs on the lab's hosts
	streams map[string]*connection
	crowds  map[string]*lab.Crowd
	load    *traffic
	watch   *program // weir trace

	fragmented uint32 // how many datagrams were: each has an id of its own
}

type stageKey struct{}

// setTheStage prepares a story. Its files may be read by everybody: see publicDir.
func setTheStage(env *testscript.Env, weir string) error {
	s := &stage{weir: weir, work: env.WorkDir, streams: map[string]*connection{}, crowds: map[string]*lab.Crowd{}}
	env.Values[stageKey{}] = s
	env.Defer(func() {
		s.tell(env.T())
		if err := s.close(); err != nil {
			env.T().Fatal(err)
		}
	})
	return os.Chmod(filepath.Dir(env.WorkDir), 0o755)
}

// tell shows what the daemon printed, and, of several that share something, how each stands; it is seen when the story
// failed.
func (s *stage) tell(t testscript.T) {
	if s.lab == nil {
		return
	}
	for _, d := range s.lab.Directors {
		if log, err := os.ReadFile(d.Log); err == nil && len(log) > 0 {
			t.Log("the daemon of " + d.Name + " printed:\n" + string(log))
		}
		if f, ok := t.(interface{ Failed() bool }); ok && f.Failed() && len(s.lab.Directors) > 1 {
			t.Log(standing(d))
		}
	}
}

// standing is what a director says of itself and of the other one, as far as it answers.
func standing(d *lab.Director) string {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var out strings.Builder
	for _, command := range [][]string{{"vrrp"}, {"sync"}, {"counters"}, {"connections", "--count"}, {"events"}} {
		text, err := d.Weir(ctx, command...)
		fmt.Fprintf(&out, "%s: weir %s\n%s", d.Name, strings.Join(command, " "), text)
		if err != nil {
			fmt.Fprintln(&out, err)
		}
	}
	return out.String()
}

func (s *stage) close() error {
	var errs []error
	if s.load != nil {
		s.load.end()
	}
	for _, c := range s.streams {
		c.end()
	}
	for _, c := range s.crowds {
		c.Close()
	}
	for _, c := range s.closers {
		errs = append(errs, c.Close())
	}
	if s.lab != nil {
		errs = append(errs, s.lab.Close())
	}
	return errors.Join(errs...)
}

// director is the first one: most stories have no other.
func (s *stage) director() *lab.Director { return s.lab.Directors[0] }

// directorNamed is the second one, too; nil if that is no director's name.
func (s *stage) directorNamed(name string) *lab.Director {
	for _, d := range s.lab.Directors {
		if d.Name == name {
			return d
		}
	}
	return nil
}

// path is that of a file of the story.
func (s *stage) path(file string) string {
	if filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(s.work, file)
}

// buildLab builds a network whose servers serve.
func buildLab(ctx context.Context, s *stage, args []string) (string, error) {
	config, err := s.labConfig(args)
	if err != nil {
		return "", err
	}
	if s.lab, err = lab.New(ctx, config); err != nil {
		return "", err
	}
	if err := s.lab.Serve(ctx); err != nil {
		return "", err
	}
	for _, server := range s.lab.Servers {
		if err := s.startEcho(ctx, &server.Node); err != nil {
			return "", fmt.Errorf("%s: start TCP echo: %w", server.Name, err)
		}
	}
	return "", nil
}

func (s *stage) labConfig(args []string) (lab.Config, error) {
	config := lab.Config{Weir: s.weir, Web: lab.WebNginx, Confined: true, Table: lab.SmallTable}
	rest, err := labOptions(&config, args)
	if err != nil {
		return config, err
	}
	if len(rest) == 0 || len(rest) > 2 {
		return config, misuse("lab SHAPE [METHOD] [OPTION VALUE]...")
	}
	config.Shape = lab.Shape(rest[0])
	if len(rest) == 2 {
		config.Forwarding = lab.Forwarding(rest[1])
	}
	return config, nil
}

func labOptions(config *lab.Config, args []string) (rest []string, err error) {
	var directors, servers, mtu string
	for _, o := range []struct {
		name  string
		value *string
	}{{"directors", &directors}, {"servers", &servers}, {"mtu", &mtu}, {"tunnel", &config.Tunnel}, {"mss", &config.MSS}} {
		if args, *o.value, err = option(args, o.name, ""); err != nil {
			return nil, err
		}
	}
	for _, o := range []struct {
		text  string
		value *int
	}{{directors, &config.Directors}, {servers, &config.Servers}, {mtu, &config.MTU}} {
		if *o.value, err = number(o.text); err != nil {
			return nil, err
		}
	}
	return args, nil
}

// number reads what may be left out.
func number(text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, misuse(err.Error())
	}
	return n, nil
}

// startEcho sends back what comes over TCP, on every address of a host: the lab's own echo
// speaks UDP.
func (s *stage) startEcho(ctx context.Context, node *lab.Node) error {
	for network, host := range map[string]string{"tcp4": "0.0.0.0", "tcp6": "::"} {
		var config net.ListenConfig
		config.SetMultipathTCP(false)
		var listener net.Listener
		err := node.Do(func() (err error) {
			listener, err = config.Listen(ctx, network, net.JoinHostPort(host, strconv.Itoa(lab.EchoPort)))
			return err
		})
		if err != nil {
			return err
		}
		s.closers = append(s.closers, listener)
		go echo(listener) // ends with Close
	}
	return nil
}

func echo(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go func() { // ends when the client's end does, which the story closes
			defer conn.Close()
			_, _ = io.Copy(conn, conn)
		}()
	}
}

// option takes `NAME VALUE` out of the arguments.
func option(args []string, name, otherwise string) (rest []string, value string, err error) {
	for i, arg := range args {
		if arg != name {
			continue
		}
		if i+1 == len(args) {
			return nil, "", misuse(fmt.Sprintf("%s: the value is missing", name))
		}
		rest = append(append(rest, args[:i]...), args[i+2:]...)
		return rest, args[i+1], nil
	}
	return args, otherwise, nil
}
