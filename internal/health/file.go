// SPDX-License-Identifier: Apache-2.0

package health

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/trust"
)

// adviseFile reads what somebody has written about a server. No file says nothing, as with keepalived, for which a
// track_file that is gone counts as 0 (process_inotify in its track_file.c).
func adviseFile(ask model.AskFile) adviser {
	return func(_ context.Context, to netip.AddrPort) (model.Advice, error) {
		text, err := noteOn(ask.Path, to)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return model.Advice{}, nil
		case errors.Is(err, errNoFile), errors.Is(err, errLongLine):
			return model.Advice{}, fmt.Errorf("file: %w", err)
		case err != nil:
			return model.Advice{}, ownFault{fmt.Errorf("file: %w", err)}
		}
		return adviceIn(text)
	}
}

// adviseNumber reads what somebody wants a priority to be changed by. What is no number says nothing, and leaves it as
// it is: whoever writes it may be at it just now.
func adviseNumber(ask model.AskNumber) adviser {
	return func(context.Context, netip.AddrPort) (model.Advice, error) {
		text, err := firstLine(ask.Path)
		if errors.Is(err, fs.ErrNotExist) {
			return model.Advice{}, nil
		}
		if err != nil {
			return model.Advice{}, ownFault{fmt.Errorf("file: %w", err)}
		}
		n, err := strconv.Atoi(text)
		if err != nil {
			return model.Advice{}, ownFault{fmt.Errorf("file: no whole number in %s", shown(text))}
		}
		return model.Advice{Given: true, Weight: n, Says: "file says " + text}, nil
	}
}

// noteOn is the first line about a server. In a directory the file with address and port counts before the one with
// the address alone, as in ldirectord's maintenancedir.
func noteOn(path string, to netip.AddrPort) (string, error) {
	if !strings.HasSuffix(path, "/") {
		return firstLine(path)
	}
	address := to.Addr().Unmap()
	line, err := firstLine(filepath.Join(path, model.HostPort(address, to.Port())))
	if errors.Is(err, fs.ErrNotExist) {
		return firstLine(filepath.Join(path, address.String()))
	}
	return line, err
}

func firstLine(path string) (string, error) {
	data, err := readFile(path, maxLine+1)
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(data), "\n")
	if len(line) > maxLine {
		return "", errLongLine
	}
	return strings.TrimSpace(line), nil
}

var errNoFile = errors.New("not a file")

// readFile reads so much of a file, and nothing that waits for a writer: any of them may have been replaced.
func readFile(path string, most int64) ([]byte, error) {
	f, err := trust.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errNoFile
	}
	return io.ReadAll(io.LimitReader(f, most))
}

// adviceIn understands what an agent may say, and a number, which is the weight itself.
func adviceIn(line string) (model.Advice, error) {
	if value, ok := parseCount(line, model.MaxWeight); ok {
		return model.Advice{Given: true, Weight: value, Says: "file says " + line}, nil
	}
	word := parseWord(line)
	if !word.known {
		return model.Advice{}, fmt.Errorf("file: no weight and no word that is known in %s", shown(line))
	}
	return word.advice("file")
}
