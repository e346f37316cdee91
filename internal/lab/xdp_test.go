// SPDX-License-Identifier: Apache-2.0

package lab_test

import (
	"bytes"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/weir-lb/weir/internal/lab"
	"golang.org/x/sys/unix"
)

const frames = 20

// Without a program on the switches' ports none of these frames arrives, see lan.go.
func TestFramesThatADirectorTransmitsArrive(t *testing.T) {
	l := start(t, lab.Config{Shape: lab.LAN, Servers: 1})
	director := l.Directors[0]
	reflectFrames(t, director, lab.FirstLink)
	socket := openPacketSocket(t, l.Router, lab.SecondLink)
	destination := macOf(t, &director.Node, lab.FirstLink)
	for i := range frames {
		if _, err := unix.Write(socket, experimentalFrame(destination, byte(i))); err != nil {
			t.Fatal(err)
		}
	}
	frame := make([]byte, 2048)
	for i := range frames {
		n, err := unix.Read(socket, frame)
		if err != nil {
			t.Fatalf("%d of %d frames came back: %v", i, frames, err)
		}
		if !bytes.Equal(frame[6:12], destination) || frame[14] != byte(i) {
			t.Errorf("frame %d came back as % x", i, frame[:n])
		}
	}
}

// reflectFrames attaches a program in the driver which sends frames of etherType back.
func reflectFrames(t *testing.T, d *lab.Director, name string) {
	t.Helper()
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, License: "Dual BSD/GPL", Instructions: reflector()})
	if err != nil {
		t.Fatalf("%+v", err)
	}
	t.Cleanup(func() { program.Close() })
	err = d.Do(func() error {
		i, err := net.InterfaceByName(name)
		if err != nil {
			return err
		}
		attached, err := link.AttachXDP(link.XDPOptions{Program: program, Interface: i.Index, Flags: link.XDPDriverMode})
		if err == nil {
			t.Cleanup(func() { attached.Close() })
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// etherType is the first of IEEE 802's local experimental ones.
const etherType = 0x88b5

func reflector() asm.Instructions {
	const xdpPass, xdpTX, header = 2, 3, 14
	swapped := asm.HostTo(asm.BE, asm.R4, asm.Half)
	return asm.Instructions{
		asm.LoadMem(asm.R2, asm.R1, 0, asm.Word), // data
		asm.LoadMem(asm.R3, asm.R1, 4, asm.Word), // data_end
		asm.Mov.Imm(asm.R0, xdpPass),
		asm.Mov.Reg(asm.R4, asm.R2),
		asm.Add.Imm(asm.R4, header),
		asm.JGT.Reg(asm.R4, asm.R3, "exit"),
		asm.LoadMem(asm.R4, asm.R2, 12, asm.Half),
		swapped,
		asm.JNE.Imm(asm.R4, etherType, "exit"),
		asm.LoadMem(asm.R4, asm.R2, 0, asm.Word), // destination
		asm.LoadMem(asm.R5, asm.R2, 4, asm.Half),
		asm.LoadMem(asm.R6, asm.R2, 6, asm.Word), // source
		asm.LoadMem(asm.R7, asm.R2, 10, asm.Half),
		asm.StoreMem(asm.R2, 0, asm.R6, asm.Word),
		asm.StoreMem(asm.R2, 4, asm.R7, asm.Half),
		asm.StoreMem(asm.R2, 6, asm.R4, asm.Word),
		asm.StoreMem(asm.R2, 10, asm.R5, asm.Half),
		asm.Mov.Imm(asm.R0, xdpTX),
		asm.Return().WithSymbol("exit"),
	}
}

func experimentalFrame(destination net.HardwareAddr, number byte) []byte {
	frame := make([]byte, 60)
	copy(frame, destination)
	copy(frame[6:], []byte{2, 0, 0, 0, 0, 1})
	frame[12], frame[13] = etherType>>8, etherType&0xff
	frame[14] = number
	return frame
}

// openPacketSocket listens for frames of etherType, for ten seconds at most.
func openPacketSocket(t *testing.T, n *lab.Node, name string) int {
	t.Helper()
	socket := -1
	err := n.Do(func() (err error) {
		i, err := net.InterfaceByName(name)
		if err != nil {
			return err
		}
		const protocol = etherType>>8 | etherType&0xff<<8 // network byte order
		socket, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
		if err != nil {
			return fmt.Errorf("open packet socket: %w", err)
		}
		t.Cleanup(func() { unix.Close(socket) })
		timeout := unix.NsecToTimeval(int64(10 * time.Second))
		if err := unix.SetsockoptTimeval(socket, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
			return err
		}
		// The frames' source is not the router's MAC, so they come back as another host's.
		return unix.Bind(socket, &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: i.Index})
	})
	if err != nil {
		t.Fatal(err)
	}
	return socket
}

func macOf(t *testing.T, n *lab.Node, name string) (mac net.HardwareAddr) {
	t.Helper()
	err := n.Do(func() error {
		i, err := net.InterfaceByName(name)
		if err == nil {
			mac = i.HardwareAddr
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return mac
}

func TestNeighboursLearnANewMAC(t *testing.T) {
	l := start(t, lab.Config{Shape: lab.LAN, Servers: 1, Web: lab.WebOwn})
	if err := l.Serve(within(t)); err != nil {
		t.Fatal(err)
	}
	exchange(t, l, l.Servers[0], lab.IPv4)
	exchange(t, l, l.Servers[0], lab.IPv6)
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 9}
	if err := l.Servers[0].SetMAC(mac); err != nil {
		t.Fatal(err)
	}
	if got := macOf(t, &l.Servers[0].Node, lab.FirstLink); !bytes.Equal(got, mac) {
		t.Errorf("MAC is %v, want %v", got, mac)
	}
	began := time.Now()
	exchange(t, l, l.Servers[0], lab.IPv4)
	exchange(t, l, l.Servers[0], lab.IPv6)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the router took %v to learn it", took)
	}
}
