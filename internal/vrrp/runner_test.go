// SPDX-License-Identifier: Apache-2.0

package vrrp_test

import (
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/netlab"
	"github.com/weir-lb/weir/internal/vrrp"
)

func TestBackupTakesOverFromAMasterThatDies(t *testing.T) {
	t.Parallel()
	left, right := newLAN(t)
	first, second := left.direct(left.front(200)), right.direct(right.front(100))
	first.becomes(model.VRRPMaster, "front")
	within(t, "the second knows the first", func() bool { return second.seen("front").Master == netip.MustParseAddr("192.0.2.1") })
	first.kill()
	second.becomes(model.VRRPMaster, "front")
	if why := second.seen("front").Why; !strings.HasPrefix(why, "no advert of 192.0.2.1 for ") {
		t.Errorf("why: %q", why)
	}
	again := left.direct(left.front(200))
	again.becomes(model.VRRPMaster, "front")
	second.becomes(model.VRRPBackup, "front")
	if why := second.seen("front").Why; why != "a master of priority 200 (192.0.2.1) advertises" {
		t.Errorf("why: %q", why)
	}
	counts := second.order("counts").Counts["front"]
	if counts.Sent == 0 || counts.Received == 0 || len(counts.Discarded) > 0 {
		t.Errorf("%+v", counts)
	}
}

// Between the daemon's look at the lease and the first advert it may have run out, and another one be master.
func TestLeaseIsAskedAgainBeforeAMasterGoesOn(t *testing.T) {
	t.Parallel()
	left, _ := newLAN(t)
	for leased, want := range map[string]model.VRRPState{"true": model.VRRPMaster, "false": model.VRRPBackup} {
		d := left.directWith([]string{asResumed + "=" + leased}, left.front(200))
		within(t, "it begins", func() bool { return len(d.told("front")) > 0 })
		if first := d.told("front")[0]; first.State != want {
			t.Errorf("the lease holds: %s; it begins as %s: %s", leased, first.State, first.Why)
		}
		d.kill()
	}
}

func TestPriorityZeroComesAfterTheAddressesWereLetGo(t *testing.T) {
	t.Parallel()
	left, right := newLAN(t)
	first, second := left.direct(left.front(200)), right.direct(right.front(100))
	first.becomes(model.VRRPMaster, "front")
	within(t, "the second knows the first", func() bool { return second.seen("front").Master.IsValid() })

	if answer := second.order("stepdown front"); answer.Err != "vrrp front: it is not master here" {
		t.Errorf("a backup that steps down: %q", answer.Err)
	}
	if answer := first.order("stepdown back"); answer.Err != "vrrp back: there is no such virtual router" {
		t.Errorf("nobody steps down: %q", answer.Err)
	}
	sent := first.order("stepdown front").Counts["front"].Sent
	first.becomes(model.VRRPBackup, "front")
	within(t, "adverts go on", func() bool { return first.order("counts").Counts["front"].Sent > sent+1 })
	first.order("released front")
	second.becomes(model.VRRPMaster, "front")
	if why := second.seen("front").Why; why != "192.0.2.1 has stepped down" {
		t.Errorf("why: %q", why)
	}
	within(t, "the first follows the second, although its priority is higher", func() bool { return first.seen("front").Master == netip.MustParseAddr("192.0.2.2") })

	second.signal(syscall.SIGTERM) // nobody says that its addresses are gone
	<-second.ended
	first.becomes(model.VRRPMaster, "front")
	if why := first.seen("front").Why; why != "192.0.2.2 has stepped down" {
		t.Errorf("why: %q", why)
	}
	if seen := second.seen("front"); seen.State != model.VRRPInit || seen.Why != "weir stops" {
		t.Errorf("the second ended as %s: %q", seen.State, seen.Why)
	}
}

// TestAMasterIsLetGoOfThoughAnotherCannotBegin: who runs it hears that it ends, and has the addresses go first.
func TestAMasterIsLetGoOfThoughAnotherCannotBegin(t *testing.T) {
	t.Parallel()
	left, right := newLAN(t)
	wants := []model.VRRPWant{left.front(200), left.front(200)}
	wants[1].Name, wants[1].ID = "back", 52
	first, second := left.direct(wants[0]), right.direct(right.front(100))
	first.becomes(model.VRRPMaster, "front")
	within(t, "the second knows the first", func() bool { return second.seen("front").Master.IsValid() })
	if err := unix.Prlimit(first.process.Process.Pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: 3}, nil); err != nil {
		t.Fatal(err)
	}
	first.order("follow " + asJSON(t, wants))
	first.becomes(model.VRRPInit, "front")
	first.order("released front")
	<-first.ended
	second.becomes(model.VRRPMaster, "front")
	if why := second.seen("front").Why; why != "192.0.2.1 has stepped down" {
		t.Errorf("why: %q", why)
	}
}

// TestVirtualMACSendsAdverts from the MAC of the virtual router, to a peer that has it, too.
func TestVirtualMACSendsAdverts(t *testing.T) {
	t.Parallel()
	left, right := newLAN(t)
	first, second := left.both(200), right.both(100)
	a, b := left.direct(first...), right.direct(second...)
	a.becomes(model.VRRPMaster, "front", "front6")
	for _, name := range []string{"front", "front6"} {
		within(t, "the second knows the first", func() bool { return b.seen(name).Master == sourceOf(name, "1") })
	}
	right.sniffs("ip proto 112", "tos 0xc0, ttl 255", "flags [DF]", "192.0.2.1 > 224.0.0.18", "00:00:5e:00:01:33 > 01:00:5e:00:00:12")
	right.sniffs("ip6 proto 112", "class 0xc0", "hlim 255", "fe80::1 > ff02::12", "00:00:5e:00:02:34 > 33:33:00:00:00:12")
	a.order("stepdown front")
	a.order("released front")
	b.becomes(model.VRRPMaster, "front")
	for name, counts := range b.order("counts").Counts {
		if counts.Received == 0 || len(counts.Discarded) > 0 {
			t.Errorf("%s: %+v", name, counts)
		}
	}

	// A reload takes the virtual MAC away, and nobody is missed.
	for i := range first {
		first[i].VirtualMAC = false
	}
	before := len(b.told("front6")) // on a busy machine it had to wait for its address at first
	a.order("follow " + asJSON(t, first))
	right.sniffs("ip6 proto 112 and not ether src 00:00:5e:00:02:34", "fe80::1 > ff02::12")
	if told := b.told("front6")[before:]; len(told) > 0 {
		t.Errorf("the backup has noticed: %+v", told)
	}
}

// both are a virtual router of each family, at virtual MACs.
func (n namespace) both(priority uint8) []model.VRRPWant {
	front, front6 := n.front(priority), n.front(priority)
	front6.Name, front6.ID, front6.Addresses, front6.Source = "front6", 52, prefixes("fe80::52/64"), sourceOf("front6", n.Own.String()[8:])
	front.VirtualMAC, front6.VirtualMAC = true, true
	return []model.VRRPWant{front, front6}
}

// sourceOf is the address of a host from which adverts of one of both come.
func sourceOf(name, host string) netip.Addr {
	if name == "front" {
		return netip.MustParseAddr("192.0.2." + host)
	}
	return netip.MustParseAddr("fe80::" + host)
}

func TestChecksumOfAPeerIsTakenOver(t *testing.T) {
	t.Parallel()
	left, right := newLAN(t)
	plain := left.front(200)
	plain.Checksum = model.ChecksumMessage
	first, second := left.direct(plain), right.direct(right.front(100)) // who has that of the peer, whatever it is
	first.becomes(model.VRRPMaster, "front")
	within(t, "the second knows the first", func() bool { return second.seen("front").Master.IsValid() })
	first.kill()
	second.becomes(model.VRRPMaster, "front")
	left.sniffs("ip proto 112", "tos 0xc0, ttl 255", "3133 6401 000a a85c")
}

func TestAdvertsOfIPv6AreOfTheLinkAndUrgent(t *testing.T) {
	t.Parallel()
	left, right := newLAN(t)
	six := left.front(100)
	six.Addresses, six.Source = prefixes("fe80::53/64"), netip.MustParseAddr("fe80::1")
	left.direct(six).becomes(model.VRRPMaster, "front")
	right.sniffs("ip6 proto 112", "class 0xc0", "hlim 255", "fe80::1 > ff02::12", "3133 6401 000a")
}

// The kernel sends nothing to a broadcast address that was not asked for.
func TestPeerThatCannotBeReachedCostsNothing(t *testing.T) {
	t.Parallel()
	left, right := newLAN(t)
	above, below := left.front(200), right.front(100)
	above.Peers, below.Peers = addrs("192.0.2.255", "192.0.2.2"), addrs("192.0.2.1")
	first, second := left.direct(above), right.direct(below)
	first.becomes(model.VRRPMaster, "front")
	within(t, "the second knows the first", func() bool { return second.seen("front").Master == netip.MustParseAddr("192.0.2.1") })
	before := first.order("counts")
	within(t, "the lease is renewed", func() bool {
		return first.order("counts").Leases["front"].After(before.Leases["front"]) && !before.Leases["front"].IsZero()
	})
	if counts := first.order("counts").Counts["front"]; counts.Unsent == 0 || counts.Sent < counts.Unsent {
		t.Errorf("%+v", counts)
	}
}

// Others have missed it then, and neighbours must not be told that it is master.
func TestWhoReachesNobodyIsNoMaster(t *testing.T) {
	t.Parallel()
	left, _ := newLAN(t)
	alone, mute := left.front(200), left.front(200)
	alone.Peers, mute.Peers = addrs("192.0.2.2"), addrs("192.0.2.255")
	first := left.direct(alone)
	first.becomes(model.VRRPMaster, "front")
	first.order("follow " + asJSON(t, []model.VRRPWant{mute}))
	first.becomes(model.VRRPBackup, "front")
	within(t, "it says why", func() bool {
		return first.seen("front").Unsaid == "an advert from 192.0.2.1 to 192.0.2.255: sendmsg: permission denied"
	})
	if answer := first.order("counts"); len(answer.Leases) > 0 || answer.Counts["front"].Unsent == 0 {
		t.Errorf("%+v", answer)
	}
	first.order("follow " + asJSON(t, []model.VRRPWant{alone}))
	first.becomes(model.VRRPMaster, "front")
	within(t, "it is heard", func() bool { return first.seen("front").Unsaid == "" })
}

func TestWhoWasHeldUpHearsFirstWhatHasCome(t *testing.T) {
	t.Parallel()
	left, right := newLAN(t)
	above, below := left.front(200), right.front(100)
	above.Advertise, below.Advertise = 200*time.Millisecond, 200*time.Millisecond
	first, second := left.direct(above), right.direct(below)
	first.becomes(model.VRRPMaster, "front")
	within(t, "the second knows the first", func() bool { return second.seen("front").Master.IsValid() })
	second.signal(syscall.SIGSTOP)
	time.Sleep(3 * time.Second / 2) // twice its master-down interval
	second.signal(syscall.SIGCONT)
	received := second.order("counts").Counts["front"].Received
	within(t, "it hears on", func() bool { return second.order("counts").Counts["front"].Received > received+2 })
	if seen := second.seen("front"); seen.State != model.VRRPBackup || seen.Since.After(time.Now().Add(-3*time.Second/2)) {
		t.Errorf("it became %s: %s", seen.State, seen.Why)
	}
}

func TestInterfaceGoesAndComesBack(t *testing.T) {
	t.Parallel()
	left, right := newLAN(t)
	first, second := left.direct(left.front(200)), right.direct(right.front(100))
	first.becomes(model.VRRPMaster, "front")
	within(t, "the second knows the first", func() bool { return second.seen("front").Master.IsValid() })
	gone := left.front(200)
	left.Run("ip link del eth0")
	gone.Link = 0
	first.order("follow " + asJSON(t, []model.VRRPWant{gone}))
	first.becomes(model.VRRPFault, "front") // its advert may have failed before
	within(t, "it knows why", func() bool { return first.seen("front").Why == "there is no interface eth0" })
	netlab.Wire(left.Namespace, right.Namespace)
	second.order("follow " + asJSON(t, []model.VRRPWant{right.front(100)}))
	first.order("follow " + asJSON(t, []model.VRRPWant{left.front(200)}))
	first.becomes(model.VRRPMaster, "front")
	second.becomes(model.VRRPBackup, "front")
}

// TestRouterWithoutAddressWaitsForIt, and takes no other: that may be a virtual one, of which another director is master.
func TestRouterWithoutAddressWaitsForIt(t *testing.T) {
	t.Parallel()
	const gone = "interface eth0: adverts cannot come from 192.0.2.1: cannot assign requested address"
	left, right := newLAN(t)
	left.Run("ip addr add 192.0.2.98/24 dev eth0")
	left.Run("ip addr del 192.0.2.1/24 dev eth0") // and its network's other addresses with it
	left.Run("ip addr replace 192.0.2.98/24 dev eth0")
	first, second := left.direct(left.front(200)), right.direct(right.front(100))
	first.becomes(model.VRRPFault, "front")
	if why := first.seen("front").Why; why != gone {
		t.Errorf("why: %q", why)
	}
	second.becomes(model.VRRPMaster, "front")
	left.Run("ip addr add 192.0.2.1/24 dev eth0")
	first.becomes(model.VRRPMaster, "front")
	within(t, "the second knows the first", func() bool { return second.seen("front").Master == left.Own })
	left.Run("ip addr del 192.0.2.1/24 dev eth0") // it is in fault as soon as an advert does not get away
	first.becomes(model.VRRPFault, "front")
	second.becomes(model.VRRPMaster, "front")
}

// TestAdvertsComeFromWhereTheyShall: what comes from elsewhere later needs no other socket.
func TestAdvertsComeFromWhereTheyShall(t *testing.T) {
	t.Parallel()
	left, right := newLAN(t)
	left.Run("ip addr add 192.0.2.98/24 dev eth0")
	moved, nowhere := left.front(200), left.front(200)
	moved.Source = netip.MustParseAddr("192.0.2.98")
	nowhere.Source, nowhere.Fault = netip.Addr{}, "interface eth0 has no IPv4 address of its own to send adverts from"
	first, second := left.direct(left.front(200)), right.direct(right.front(100))
	follows := func(source netip.Addr) {
		t.Helper()
		within(t, "the second follows "+source.String(), func() bool { return second.seen("front").Master == source })
	}
	follows(left.Own)
	first.order("follow " + asJSON(t, []model.VRRPWant{moved}))
	follows(moved.Source)
	first.order("follow " + asJSON(t, []model.VRRPWant{nowhere}))
	first.becomes(model.VRRPFault, "front")
	first.order("released front")
	second.becomes(model.VRRPMaster, "front")
	if why := second.seen("front").Why; why != "192.0.2.98 has stepped down" {
		t.Errorf("why: %q", why)
	}
	first.order("follow " + asJSON(t, []model.VRRPWant{left.front(200)}))
	follows(left.Own)
}

func TestOthersOfTheSameIDAreToldAndNotObeyed(t *testing.T) {
	t.Parallel()
	left, right := newLAN(t)
	stranger := right.front(250)
	stranger.Addresses = []netip.Prefix{netip.MustParsePrefix("192.0.2.9/24")}
	first, foreign := left.direct(left.front(100)), right.direct(stranger)
	foreign.becomes(model.VRRPMaster, "front")
	first.becomes(model.VRRPMaster, "front")
	within(t, "the stranger is told", func() bool {
		return first.seen("front").Conflict == "192.0.2.2 advertises id 51 with other addresses (192.0.2.9)"
	})
	if n := first.order("counts").Counts["front"].Discarded[vrrp.ReasonAddresses]; n == 0 {
		t.Error("it was not counted")
	}
	if state := first.seen("front").State; state != model.VRRPMaster {
		t.Errorf("it is %s", state)
	}
}

// TestAdvertsOfIDsThatNobodyHasAreCounted, of each family, also those for which the socket has no room, and as long as
// nobody has the id.
func TestAdvertsOfIDsThatNobodyHasAreCounted(t *testing.T) {
	t.Parallel()
	left, right := newLAN(t)
	stranger, stranger6 := right.front(250), right.front(250)
	stranger.ID, stranger.Advertise = 77, 10*time.Millisecond
	stranger6.Name, stranger6.ID, stranger6.Addresses, stranger6.Source = "front6", 78, prefixes("fe80::52/64"), sourceOf("front6", "2")
	own, own6 := left.front(100), left.front(100)
	own6.Name, own6.ID, own6.Addresses, own6.Source = "front6", 77, prefixes("fe80::52/64"), sourceOf("front6", "1")
	here := left.direct(own, own6)
	here.becomes(model.VRRPMaster, "front", "front6")
	foreign := right.direct(stranger, stranger6)
	foreign.becomes(model.VRRPMaster, "front", "front6")
	within(t, "more come than the socket holds", func() bool { return foreign.order("counts").Counts["front"].Sent > 100 })
	sent := foreign.order("counts").Counts
	foreign.kill()
	within(t, "all are counted", func() bool {
		of := here.order("counts").Counts
		return of["front"].Discarded[vrrp.ReasonID] >= sent["front"].Sent && of["front6"].Discarded[vrrp.ReasonID] >= sent["front6"].Sent
	})
	for name, counts := range here.order("counts").Counts {
		if counts.Received > 0 || len(counts.Discarded) != 1 {
			t.Errorf("%s: %+v", name, counts)
		}
	}
	own.ID = 77
	here.order("follow " + asJSON(t, []model.VRRPWant{own}))
	here.becomes(model.VRRPMaster, "front")
	before := here.order("counts").Counts["front"].Discarded[vrrp.ReasonID]
	foreign = right.direct(stranger)
	within(t, "it is heard by who has the id", func() bool { return here.order("counts").Counts["front"].Received > 2 })
	if after := here.order("counts").Counts["front"].Discarded[vrrp.ReasonID]; after != before {
		t.Errorf("%d of a known id are counted as nobody's", after-before)
	}
}

func TestAnotherIDIsAnotherRouter(t *testing.T) {
	t.Parallel()
	left, right := newLAN(t)
	first, second := left.direct(left.front(200)), right.direct(right.front(100))
	first.becomes(model.VRRPMaster, "front")
	within(t, "the second knows the first", func() bool { return second.seen("front").Master.IsValid() })
	other := left.front(200)
	other.ID = 52
	first.order("follow " + asJSON(t, []model.VRRPWant{other}))
	second.becomes(model.VRRPMaster, "front") // the old one has said goodbye
	if why := second.seen("front").Why; why != "192.0.2.1 has stepped down" {
		t.Errorf("why: %q", why)
	}
	first.becomes(model.VRRPMaster, "front")
	first.order("follow []")
	within(t, "the first has ended", func() bool { return first.seen("front").Why == "it is not configured any more" })
	if counts := first.order("counts").Counts; len(counts) > 0 {
		t.Errorf("%+v", counts)
	}
}

// grouped are front and back of a director, of one group.
func (n namespace) grouped(priority uint8, group string) []model.VRRPWant {
	front, back := n.front(priority), n.front(priority)
	back.Name, back.ID, back.Addresses = "back", 52, []netip.Prefix{netip.MustParsePrefix("192.0.2.101/24")}
	front.Group, back.Group = group, group
	return []model.VRRPWant{front, back}
}

func TestGroupIsOfOneDirector(t *testing.T) {
	t.Parallel()
	left, right := newLAN(t)
	first := left.direct(left.grouped(200, "pair")...)
	first.becomes(model.VRRPMaster, "front", "back")
	second := right.direct(right.grouped(100, "pair")...)
	within(t, "the second knows the first", func() bool {
		return second.seen("front").Master.IsValid() && second.seen("back").Master.IsValid()
	})

	faulty := left.grouped(200, "pair")
	faulty[1].Fault = "interface eth1 is down"
	first.order("follow " + asJSON(t, faulty))
	first.becomes(model.VRRPFault, "front", "back")
	if why := first.seen("front").Why; why != "back of its group is in fault: interface eth1 is down" {
		t.Errorf("why: %q", why)
	}
	first.order("released front")
	second.becomes(model.VRRPMaster, "front", "back")
	first.order("released back")
	first.order("follow " + asJSON(t, left.grouped(200, "pair")))
	first.becomes(model.VRRPMaster, "front", "back")
	second.becomes(model.VRRPBackup, "front", "back")

	within(t, "the second knows the first again", func() bool {
		return second.seen("front").Master.IsValid() && second.seen("back").Master.IsValid()
	})
	first.order("stepdown back")
	first.becomes(model.VRRPBackup, "front", "back")
	first.order("released front")
	first.order("released back")
	second.becomes(model.VRRPMaster, "front", "back")
}

// TestGroupsComeAndGoWithoutATurn: who runs already is master on, in a group or out of it.
func TestGroupsComeAndGoWithoutATurn(t *testing.T) {
	t.Parallel()
	left, _ := newLAN(t)
	first := left.direct(left.grouped(200, "")...)
	first.becomes(model.VRRPMaster, "front", "back")
	for _, group := range []string{"pair", "", "other", "pair"} {
		sent := first.order("follow " + asJSON(t, left.grouped(200, group))).Counts["back"].Sent
		within(t, "it advertises on", func() bool { return first.order("counts").Counts["back"].Sent > sent+2 })
	}
	for _, name := range []string{"front", "back"} {
		told := first.told(name)
		if last := told[len(told)-1]; last.State != model.VRRPMaster || len(told) > 2 {
			t.Errorf("%s: %+v", name, told)
		}
	}
	faulty := left.grouped(200, "pair")
	faulty[1].Fault = "interface eth1 is down"
	first.order("follow " + asJSON(t, faulty))
	first.becomes(model.VRRPFault, "front", "back")
	first.order("follow " + asJSON(t, left.grouped(200, ""))) // out of it there is no fault any more
	first.order("released front")
	first.order("released back")
	first.becomes(model.VRRPMaster, "front", "back")
	turns := len(first.told("front"))
	sent := first.order("follow " + asJSON(t, left.grouped(200, "pair"))).Counts["front"].Sent
	within(t, "it advertises on", func() bool { return first.order("counts").Counts["front"].Sent > sent+2 })
	if told := first.told("front"); len(told) != turns {
		t.Errorf("it was not master all the time: %+v", told[turns:])
	}
	alone := left.grouped(200, "pair")
	alone[1].Fault = "interface eth1 is down"
	first.order("follow " + asJSON(t, alone))
	first.becomes(model.VRRPFault, "front", "back")
	first.order("follow " + asJSON(t, alone[:1])) // the one in fault is configured no more
	first.order("released front")
	first.becomes(model.VRRPMaster, "front")
}
