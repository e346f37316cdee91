// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Drops are packets that the networks themselves have dropped, by counter: at veths, and at sockets
// that were not read in time. While they stand still, whatever is lost was lost by weir.
type Drops map[string]uint64

// Drops reads the counters of every namespace.
func (l *Lab) Drops() (Drops, error) {
	all := Drops{}
	for _, n := range l.networks {
		err := n.Do(func() error {
			return errors.Join(all.readLinks(n.Name), all.readSockets(n.Name, "netstat"), all.readSockets(n.Name, "snmp"))
		})
		if err != nil {
			return nil, fmt.Errorf("drop counters of %s: %w", n.Name, err)
		}
	}
	return all, nil
}

// Since names the counters that have moved, "" for none.
func (d Drops) Since(before Drops) string {
	var moved []string
	for _, name := range slices.Sorted(maps.Keys(d)) {
		if d[name] != before[name] {
			moved = append(moved, fmt.Sprintf("%s +%d", name, d[name]-before[name]))
		}
	}
	return strings.Join(moved, ", ")
}

// readLinks reads the calling thread's /proc/net/dev: two lines of head, then a line for each link.
func (d Drops) readLinks(node string) error {
	text, err := os.ReadFile("/proc/thread-self/net/dev")
	if err != nil {
		return err
	}
	const received, sent = 3, 11 // the drop columns
	for _, line := range strings.Split(string(text), "\n")[2:] {
		link, columns, found := strings.Cut(line, ":")
		if !found {
			continue
		}
		fields := strings.Fields(columns)
		if len(fields) <= sent {
			return fmt.Errorf("/proc/net/dev: %q has too few columns", line)
		}
		at := node + " " + strings.TrimSpace(link)
		if err := errors.Join(d.set(at+" rx", fields[received]), d.set(at+" tx", fields[sent])); err != nil {
			return err
		}
	}
	return nil
}

// socketDrops are the counters of full queues; a wrong checksum or port is not among them.
var socketDrops = []string{
	"ListenOverflows", "ListenDrops", "TCPBacklogDrop", "TCPRcvQDrop", "TCPReqQFullDrop", "RcvbufErrors", "SndbufErrors",
}

// readSockets reads a file in which each line of names is followed by one of values.
func (d Drops) readSockets(node, file string) error {
	text, err := os.ReadFile("/proc/thread-self/net/" + file)
	if err != nil {
		return err
	}
	for pair := range slices.Chunk(strings.Split(strings.TrimSpace(string(text)), "\n"), 2) {
		if len(pair) != 2 {
			return fmt.Errorf("/proc/net/%s: names without values", file)
		}
		names, values := strings.Fields(pair[0]), strings.Fields(pair[1])
		for i, name := range names[:min(len(names), len(values))] {
			if !slices.Contains(socketDrops, name) {
				continue
			}
			if err := d.set(node+" "+names[0]+name, values[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d Drops) set(name, value string) error {
	n, err := strconv.ParseUint(value, 10, 64)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	d[name] = n
	return nil
}
