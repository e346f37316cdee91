// SPDX-License-Identifier: Apache-2.0

package netlab

import (
	"fmt"
	"net/netip"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Namespace is a network namespace of a test. A process that sleeps in it keeps it.
type Namespace struct {
	T   *testing.T
	PID int        // of that process
	Own netip.Addr // on eth0, of one of NewLAN's
}

// NewNamespace makes one in which lo alone is up.
func NewNamespace(t *testing.T) Namespace {
	t.Helper()
	NeedRoot(t)
	keeper := exec.Command("sleep", "infinity")
	keeper.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	Start(t, keeper)
	n := Namespace{T: t, PID: keeper.Process.Pid}
	n.Run("ip link set lo up")
	n.Sysctl("ipv6/conf/default/accept_dad", "0")
	return n
}

// NewLAN is two namespaces with a wire between them.
func NewLAN(t *testing.T) (left, right Namespace) {
	t.Helper()
	left, right = NewNamespace(t), NewNamespace(t)
	left.Own, right.Own = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	Wire(left, right)
	return left, right
}

// Wire connects eth0 of two namespaces: 192.0.2.1 and .2, fe80::1 and fe80::2.
func Wire(left, right Namespace) {
	left.T.Helper()
	left.Run(fmt.Sprintf("ip link add eth0 type veth peer name eth0 netns %d", right.PID))
	for i, n := range []Namespace{left, right} {
		n.Run("ip link set eth0 addrgenmode none")
		n.Run(fmt.Sprintf("ip addr add 192.0.2.%d/24 dev eth0", i+1))
		n.Run(fmt.Sprintf("ip addr add fe80::%d/64 dev eth0", i+1))
		n.Run("ip link set eth0 up")
	}
}

// Path is the file that setns wants.
func (n Namespace) Path() string { return fmt.Sprintf("/proc/%d/ns/net", n.PID) }

// Command is a program that will run there.
func (n Namespace) Command(words ...string) *exec.Cmd {
	return exec.Command("nsenter", append([]string{"--net=" + n.Path(), "--"}, words...)...)
}

// Run runs a command, words with spaces between them, and returns what it prints.
func (n Namespace) Run(command string) string {
	n.T.Helper()
	out, err := n.Command(strings.Fields(command)...).CombinedOutput()
	if err != nil {
		n.T.Fatalf("%s: %v: %s", command, err, out)
	}
	return string(out)
}

// Sysctl sets one, of those below /proc/sys/net.
func (n Namespace) Sysctl(name, value string) {
	n.T.Helper()
	if out, err := n.Command("sh", "-c", `echo "$1" >"/proc/sys/net/$0"`, name, value).CombinedOutput(); err != nil {
		n.T.Fatalf("%s=%s: %v: %s", name, value, err, out)
	}
}

// Link is the index of eth0.
func (n Namespace) Link() int {
	n.T.Helper()
	return n.Index("eth0")
}

// Index is that of a link.
func (n Namespace) Index(link string) int {
	n.T.Helper()
	text, _, _ := strings.Cut(n.Run("ip -o link show "+link), ":") // /sys is of the namespace that mounted it
	index, err := strconv.Atoi(text)
	if err != nil {
		n.T.Fatal(err)
	}
	return index
}
