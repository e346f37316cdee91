// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/weir-lb/weir/internal/dataplane"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// standby is what a director is told that waits: it serves nothing.
func standby(want model.DataplaneWant) model.DataplaneWant {
	return changed(want, func(s *model.ServiceWant) { s.Serving = false })
}

// directors are one that serves, with connections of every kind, and one that waits, whose table has another size,
// another seed, and other ids.
type directors struct {
	master crowd
	backup *testbed
	want   model.DataplaneWant
}

func newDirectors(t *testing.T, each int) directors {
	t.Helper()
	d := directors{master: newCrowd(t, smallTable, each), backup: newTestbed(t, middleTable), want: halfPersistent(world())}
	waits := standby(d.want)
	slices.Reverse(waits.Services)
	d.backup.apply(t, waits)
	if err := d.backup.path.LiveLong(); err != nil {
		t.Fatal(err)
	}
	return d
}

// changes are those of a director since it was asked last.
func changes(t *testing.T, path *dataplane.Dataplane) (out []model.Record) {
	t.Helper()
	err := path.Changes(t.Context(), func(r model.Record) bool { out = append(out, r); return true })
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// records are all that a director has, in the order of their identities.
func records(t *testing.T, path *dataplane.Dataplane) (out []model.Record) {
	t.Helper()
	err := path.Slices(t.Context(), nil, func(r model.Record) bool { out = append(out, r); return true })
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(out, func(a, b model.Record) int {
		return cmp.Or(cmp.Compare(a.Protocol, b.Protocol), a.Client.Compare(b.Client), a.Virtual.Compare(b.Virtual), cmp.Compare(a.State, b.State))
	})
	return out
}

func digests(t *testing.T, path *dataplane.Dataplane) [model.Slices]uint64 {
	t.Helper()
	out, err := path.Digests()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// digestsOf is what the digests of a director must be that has told, or was told of, these.
func digestsOf(records []model.Record) (out [model.Slices]uint64) {
	for _, r := range records {
		out[r.Identity().Slice()] += r.Digest()
	}
	return out
}

func arrive(t *testing.T, path *dataplane.Dataplane, records ...model.Record) model.Arrived {
	t.Helper()
	got, err := path.Insert(records)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func wantArrived(t *testing.T, what string, got, want model.Arrived) {
	t.Helper()
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// tell has the backup told of what has changed, of which so many are new there and so many were known.
func (d directors) tell(t *testing.T) (news, known int) {
	t.Helper()
	told := changes(t, d.master.path)
	got := arrive(t, d.backup.path, told...)
	if got.New+got.Changed != len(told) {
		t.Errorf("of %d records became %+v", len(told), got)
	}
	return got.New, got.Changed
}

// roughly compares times that are left, up to a minute: on a busy machine they were told of a while ago.
var roughly = gocmp.Comparer(func(a, b time.Duration) bool { return (a - b).Abs() <= time.Minute })

// equal compares all that both know.
func (d directors) equal(t *testing.T) {
	t.Helper()
	master, backup := records(t, d.master.path), records(t, d.backup.path)
	if diff := gocmp.Diff(master, backup, compareAddrPort, roughly); diff != "" {
		t.Errorf("records (-master +backup):\n%s", diff)
	}
	want := digestsOf(master)
	if got := digests(t, d.master.path); got != want {
		t.Errorf("digests of the master are not those of its records")
	}
	if got := digests(t, d.backup.path); got != want {
		t.Errorf("digests of the backup are not those of its master's records")
	}
	d.backup.sound(t)
}

// takeover has the backup serve; its twin knows what the master's does.
func (d directors) takeover(t *testing.T) crowd {
	t.Helper()
	d.backup.apply(t, d.want)
	d.backup.twin.adopt(d.master.twin)
	return crowd{testbed: d.backup, talks: d.master.talks}
}

// adopt has a twin know what another one does, with servers of its own. Where a client is, its next packet says.
func (t *twin) adopt(other *twin) {
	for key, c := range other.conns {
		if key == c.fromServer {
			continue
		}
		mine := *c
		mine.server, mine.client = t.like(c.server), twinHop{}
		if mine.packets < twinSettles {
			mine.packets = 1 // how near it was is not told
		}
		t.conns[mine.toService] = &mine
		mine.forth = t.table.move(mine.toService, &mine)
		if mine.isPair() {
			t.conns[mine.fromServer] = &mine
			mine.back = t.table.move(mine.fromServer, &mine)
		}
	}
}

// like is the server of the same name.
func (t *twin) like(server *twinServer) *twinServer {
	all := t.services[server.service.want.Key].servers
	return all[slices.IndexFunc(all, func(s *twinServer) bool { return s.want.Key == server.want.Key })]
}

// TestBackupGoesOnWhereItsMasterWas: by every method, in both families, in each protocol, with templates; some have
// just begun, some have closed. What is told by and by is what there is, and no connection is lost by a takeover.
func TestBackupGoesOnWhereItsMasterWas(t *testing.T) {
	t.Parallel()
	d := newDirectors(t, 8)
	news, known := d.tell(t)
	if all := len(records(t, d.master.path)); news != all || known != 0 {
		t.Errorf("%d were new and %d known, of %d", news, known, all)
	}
	d.equal(t)
	if again := changes(t, d.master.path); len(again) > 0 {
		t.Errorf("%d were told twice: %v", len(again), again[0])
	}
	d.master.keepHops(t)
	d.master.goOn(t)
	if _, known := d.tell(t); known == 0 {
		t.Error("nothing has changed")
	}
	d.equal(t)
	if told := changes(t, d.backup.path); len(told) > 0 {
		t.Errorf("who serves nothing tells of %d, %v", len(told), told[0])
	}
	after := d.takeover(t)
	after.compareConnections(t)
	for range twinSettles {
		after.goOn(t) // a server's answer may come before its client's next packet
		after.check(t)
		after.sound(t)
		after.keepHops(t)
	}
	if told := changes(t, after.path); len(told) == 0 {
		t.Error("who serves now tells of nothing")
	}
}

// TestProvedConnectionIsNews, though its state is the same: it lasts from now on.
func TestProvedConnectionIsNews(t *testing.T) {
	b := newTestbed(t, 64)
	b.apply(t, small(model.DR))
	for _, p := range []model.Protocol{model.TCP, model.UDP} {
		c := talkTo(4, 10, 80, p, 20000)
		expect(t, b, front, c.open(), dr)
		for n := 2; n <= 6; n++ {
			expect(t, b, front, c.more(), dr)
			told := changes(t, b.path)
			isNews := n == twinSettles || n == 2 // then it has begun, and its client was heard twice
			if (len(told) == 1) != isNews || isNews && told[0].Settled != (n == twinSettles) {
				t.Errorf("%s: after %d packets it is told %v", p, n, told)
			}
			if got := digests(t, b.path) == digestsOf(records(t, b.path)); !got {
				t.Errorf("%s: after %d packets digests are others than those of what was told", p, n)
			}
		}
	}
}

// TestDigestsAreOfWhatWasTold: what nobody was told of would differ on each comparison.
func TestDigestsAreOfWhatWasTold(t *testing.T) {
	b := newTestbed(t, 64)
	b.apply(t, small(model.NAT))
	b.settles(t, talkTo(4, 10, 80, model.TCP, 20000))
	none := [model.Slices]uint64{}
	if got := digests(t, b.path); got != none {
		t.Error("what was not told has a digest")
	}
	changes(t, b.path)
	if got := digests(t, b.path); got == none || got != digestsOf(records(t, b.path)) {
		t.Error("what was told has none, or another one")
	}
	b.settles(t, talkTo(4, 10, 80, model.TCP, 20001))
	b.apply(t, standby(small(model.NAT)))
	if got := digests(t, b.path); got != digestsOf(records(t, b.path)) {
		t.Error("what is not served here any more, and never was told, does not show")
	}
}

// TestDigestsAreByTheMethodOfTheConnection, which keeps it when its server gets another one.
func TestDigestsAreByTheMethodOfTheConnection(t *testing.T) {
	b := newTestbed(t, 64)
	want := model.DataplaneWant{Interfaces: world().Interfaces, Services: []model.ServiceWant{
		service(4, 10, 80, model.TCP, toServer(4, 1, 8080, model.NAT)),
	}}
	b.apply(t, want)
	b.settles(t, talkTo(4, 10, 80, model.TCP, 20000))
	changes(t, b.path)
	b.apply(t, changed(want, func(s *model.ServiceWant) { s.Servers[0].Forwarding = model.DR }))
	if got := records(t, b.path); len(got) != 1 || got[0].Forwarding != model.NAT || got[0].Server.Port() != 8080 {
		t.Errorf("there is %v", got)
	}
	if digests(t, b.path) != digestsOf(records(t, b.path)) {
		t.Error("digests are others than those of the records")
	}
}

// TestChangesStopAndGoOn: there are more than one run collects, and who has enough of them loses none.
func TestChangesStopAndGoOn(t *testing.T) {
	const all, enough = 3000, 700
	b := newTestbed(t, 4096)
	b.apply(t, small(model.DR))
	for port := range uint16(all) {
		b.send(t, packet.Build(talkTo(4, 10, 80, model.TCP, 20000+port).open()...))
	}
	listed := len(records(t, b.path))
	told := map[model.Identity]bool{}
	for calls := 0; len(told) < listed; calls++ {
		n := 0
		err := b.path.Changes(t.Context(), func(r model.Record) bool {
			if n == enough {
				return false
			}
			if told[r.Identity()] {
				t.Errorf("%v is told twice", r)
			}
			told[r.Identity()] = true
			n++
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
		if want := min(enough, listed-calls*enough); n != want {
			t.Fatalf("call %d tells of %d, want %d", calls+1, n, want)
		}
	}
	if again := changes(t, b.path); len(again) > 0 {
		t.Errorf("%d are told again", len(again))
	}
}

// TestSlicesAreParts of what there is: together they are all, and each is only what belongs there.
func TestSlicesAreParts(t *testing.T) {
	c := newCrowd(t, smallTable, 2)
	all := records(t, c.path)
	for _, wanted := range [][model.Slices]bool{{3: true, 200: true}, {}, {0: true, 255: true}} {
		want := slices.DeleteFunc(slices.Clone(all), func(r model.Record) bool { return !wanted[r.Identity().Slice()] })
		var got []model.Record
		err := c.path.Slices(t.Context(), &wanted, func(r model.Record) bool { got = append(got, r); return true })
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(want) {
			t.Errorf("%d are there, want %d", len(got), len(want))
		}
		for _, r := range got {
			if !slices.ContainsFunc(want, func(w model.Record) bool { return w.Identity() == r.Identity() }) {
				t.Errorf("%v is of slice %d", r, r.Identity().Slice())
			}
		}
	}
}

// established is a record of a connection to a server of small.
func established(forwarding model.Forwarding, clientPort uint16, host byte) model.Record {
	c := talkTo(4, 10, 80, model.TCP, clientPort)
	return model.Record{
		Protocol: model.TCP, Client: c.client, Virtual: c.service, Server: netip.AddrPortFrom(serverAddr(4, host), 80),
		Forwarding: forwarding, State: "ESTABLISHED", Settled: true, Left: 10 * time.Minute,
	}
}

func TestRecordIsRefusedByReason(t *testing.T) {
	b := newTestbed(t, 64)
	b.apply(t, standby(small(model.NAT)))
	port := func(a netip.AddrPort, port uint16) netip.AddrPort { return netip.AddrPortFrom(a.Addr(), port) }
	for name, tt := range map[string]struct {
		change func(*model.Record)
		want   model.Refusal
	}{
		"no protocol":             {func(r *model.Record) { r.Protocol = 0 }, model.RefusedMalformed},
		"ICMP":                    {func(r *model.Record) { r.Protocol = 1 }, model.RefusedMalformed},
		"no client":               {func(r *model.Record) { r.Client = netip.AddrPort{} }, model.RefusedMalformed},
		"no server":               {func(r *model.Record) { r.Server = netip.AddrPort{} }, model.RefusedMalformed},
		"two families":            {func(r *model.Record) { r.Client = netip.MustParseAddrPort("[2001:db8::7]:1") }, model.RefusedMalformed},
		"virtual port 0":          {func(r *model.Record) { r.Virtual = port(r.Virtual, 0) }, model.RefusedMalformed},
		"no state":                {func(r *model.Record) { r.State = "" }, model.RefusedMalformed},
		"unknown state":           {func(r *model.Record) { r.State = "SYN_SENT" }, model.RefusedMalformed},
		"kept":                    {func(r *model.Record) { r.State = model.Kept }, model.RefusedMalformed},
		"TCP in UDP's state":      {func(r *model.Record) { r.State = "UDP" }, model.RefusedMalformed},
		"UDP in TCP's state":      {func(r *model.Record) { r.Protocol = model.UDP }, model.RefusedMalformed},
		"template of a port":      {func(r *model.Record) { r.State = model.Template }, model.RefusedMalformed},
		"template of nobody":      {func(r *model.Record) { r.State, r.Client = model.Template, port(r.Client, 0) }, model.RefusedTemplate},
		"another service":         {func(r *model.Record) { r.Virtual = port(r.Virtual, 81) }, model.RefusedService},
		"another service's proto": {func(r *model.Record) { r.Protocol = model.SCTP }, model.RefusedService},
		"another server":          {func(r *model.Record) { r.Server = netip.AddrPortFrom(serverAddr(4, 3), 80) }, model.RefusedServer},
		"another port of it":      {func(r *model.Record) { r.Server = port(r.Server, 81) }, model.RefusedServer},
		"another method":          {func(r *model.Record) { r.Forwarding = model.DR }, model.RefusedServer},
		"no method":               {func(r *model.Record) { r.Forwarding = 0 }, model.RefusedServer},
	} {
		r := established(model.NAT, 20000, 1)
		tt.change(&r)
		wantArrived(t, name, arrive(t, b.path, r), model.Arrived{Refused: map[model.Refusal]int{tt.want: 1}})
	}
	if got := records(t, b.path); len(got) > 0 {
		t.Errorf("%v are here all the same", got)
	}
	wantArrived(t, "as it is", arrive(t, b.path, established(model.NAT, 20000, 1)), model.Arrived{New: 1})
	b.sound(t)
}

// TestServedConnectionIsLeftAlone: its director knows better. But the last news of its master before it is taken, and told on.
func TestServedConnectionIsLeftAlone(t *testing.T) {
	for _, forwarding := range everyForwarding {
		l := newLife(t, forwarding)
		changes(t, l.path)
		before := records(t, l.path)
		told := established(forwarding, l.tcp.client.Port(), 1)
		wantArrived(t, "what is here", arrive(t, l.path, told), model.Arrived{Ours: 1})
		got, err := l.path.End([]model.Identity{told.Identity(), {Protocol: model.TCP}})
		if err != nil {
			t.Fatal(err)
		}
		wantArrived(t, "what is to end", got, model.Arrived{Ours: 1, Unknown: 1})
		if diff := gocmp.Diff(before, records(t, l.path), compareAddrPort, roughly); diff != "" {
			t.Errorf("it has changed (-before +after):\n%s", diff)
		}
		told.Client = netip.AddrPortFrom(told.Client.Addr(), 33333)
		wantArrived(t, "what is not", arrive(t, l.path, told), model.Arrived{New: 1})
		if news := changes(t, l.path); len(news) != 1 || news[0].Identity() != told.Identity() {
			t.Errorf("told on is %v", news)
		}
		l.sound(t)
	}
}

// timeoutOf are the defaults.
var timeoutOf = map[string]time.Duration{
	"SYN_RECV": time.Minute, "ESTABLISHED": 15 * time.Minute, "FIN_WAIT": 2 * time.Minute, "TIME_WAIT": 2 * time.Minute,
}

// TestBackupFollowsItsMaster: to another state, another server, and back to what has not proved itself.
func TestBackupFollowsItsMaster(t *testing.T) {
	for _, forwarding := range everyForwarding {
		b := newTestbed(t, 64)
		b.apply(t, standby(small(forwarding)))
		r := established(forwarding, 20000, 1)
		arrive(t, b.path, r)
		for _, change := range []func(){
			func() { r.State, r.ClientClosed = "FIN_WAIT", true },
			func() { r.State, r.ServerClosed = "TIME_WAIT", true },
			func() { r.State, r.ClientClosed, r.ServerClosed, r.Settled = "SYN_RECV", false, false, false },
			func() { r.State = "ESTABLISHED" },
			func() { r.Settled = true },
			func() { r.Server = netip.AddrPortFrom(serverAddr(4, 2), 80) },
			func() { r.Persistent = true },
			func() { r.Left = 3 * time.Minute },
		} {
			change()
			if got := arrive(t, b.path, r); got.New+got.Changed != 1 {
				t.Errorf("%s: %v became %+v", forwarding, r, got)
			}
			got := records(t, b.path)
			if len(got) != 1 {
				t.Fatalf("%s: %v, want %v", forwarding, got, r)
			}
			want := r
			want.Left = min(r.Left, timeoutOf[r.State])
			if diff := gocmp.Diff(want, got[0], compareAddrPort, roughly); diff != "" {
				t.Errorf("%s (-want +got):\n%s", forwarding, diff)
			}
			b.sound(t)
		}
		ended, err := b.path.End([]model.Identity{r.Identity()})
		if err != nil {
			t.Fatal(err)
		}
		wantArrived(t, "the end", ended, model.Arrived{Ended: 1})
		b.sound(t)
		b.wantEmpty(t)
	}
}

// twoPorts are two services of the same servers: one client's port may ask for either.
func twoPorts() (want model.DataplaneWant) {
	want = small(model.NAT)
	other := want.Services[0]
	other.Key.Port = 81
	want.Services = append(want.Services, other)
	return want
}

// TestWayBackIsTheNewestOnes: a client's port that its master has given to another connection is the first one's no
// more, though nobody said that this has ended. Where a director serves both, the first one keeps it; and where it serves
// the first one alone.
func TestWayBackIsTheNewestOnes(t *testing.T) {
	first, second := established(model.NAT, 20000, 1), established(model.NAT, 20000, 1)
	second.Virtual = netip.AddrPortFrom(second.Virtual.Addr(), 81)
	firstOnly := changed(twoPorts(), func(s *model.ServiceWant) { s.Serving = s.Key.Port == 80 })
	for name, tt := range map[string]struct {
		want   model.DataplaneWant
		became model.Arrived
		stays  model.Record
	}{
		"a backup":              {standby(twoPorts()), model.Arrived{New: 1}, second},
		"a master":              {twoPorts(), model.Arrived{Refused: map[model.Refusal]int{model.RefusedClash: 1}}, first},
		"a master of the first": {firstOnly, model.Arrived{Refused: map[model.Refusal]int{model.RefusedClash: 1}}, first},
	} {
		b := newTestbed(t, 64)
		b.apply(t, tt.want)
		arrive(t, b.path, first)
		wantArrived(t, name, arrive(t, b.path, second), tt.became)
		if got := records(t, b.path); len(got) != 1 || got[0].Identity() != tt.stays.Identity() {
			t.Errorf("%s has %v", name, got)
		}
		b.sound(t)
	}
}

// TestWayBackThatIsComingIsLeftAlone: another CPU puts it in before its connection, which it must not be taken from.
func TestWayBackThatIsComingIsLeftAlone(t *testing.T) {
	b := newTestbed(t, 64)
	b.apply(t, standby(twoPorts()))
	first, second := established(model.NAT, 20000, 1), established(model.NAT, 20000, 1)
	second.Virtual = netip.AddrPortFrom(second.Virtual.Addr(), 81)
	arrive(t, b.path, first)
	if err := b.path.ForgetForward(); err != nil {
		t.Fatal(err)
	}
	wantArrived(t, "who wants it", arrive(t, b.path, second), model.Arrived{Refused: map[model.Refusal]int{model.RefusedBusy: 1}})
	table, err := b.path.Table()
	if err != nil {
		t.Fatal(err)
	}
	left := 0
	for _, bucket := range table {
		for _, slot := range bucket.Slots {
			if slot.Live && slot.Reverse {
				left++
			}
		}
	}
	if left != 1 {
		t.Errorf("%d ways back are left", left)
	}
}

// TestClientOfPortZeroIsKnownToBoth: it may be (RFC 768), and whoever crafts it must not make two directors differ for good.
func TestClientOfPortZeroIsKnownToBoth(t *testing.T) {
	want := changed(small(model.NAT), func(s *model.ServiceWant) { s.Persistence.Timeout = persists })
	master, backup := newTestbed(t, 64), newTestbed(t, 128)
	master.apply(t, want)
	backup.apply(t, standby(want))
	for _, p := range []model.Protocol{model.TCP, model.UDP} {
		master.settles(t, talkTo(4, 10, 80, p, 0))
	}
	told := changes(t, master.path)
	wantArrived(t, "two connections and their templates", arrive(t, backup.path, told...), model.Arrived{New: 4})
	directors{master: crowd{testbed: master}, backup: backup, want: want}.equal(t)
	var gone []model.Identity
	for _, r := range told {
		gone = append(gone, r.Identity())
	}
	got, err := backup.path.End(gone)
	if err != nil {
		t.Fatal(err)
	}
	wantArrived(t, "their ends", got, model.Arrived{Ended: 4})
	backup.wantEmpty(t)
}

// TestRandomNewsIsWhatIsKnown: whatever is told in whatever order, a backup knows what was told last.
func TestRandomNewsIsWhatIsKnown(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	b := newTestbed(t, 4096)
	b.apply(t, standby(twoPorts()))
	known := map[model.Identity]model.Record{}
	states := []string{"SYN_RECV", "ESTABLISHED", "FIN_WAIT", "TIME_WAIT", "CLOSE"}
	for range 200 {
		var news []model.Record
		for range 1 + random.IntN(300) {
			r := established(model.NAT, 20000+uint16(random.IntN(100)), 1+byte(random.IntN(2)))
			r.Virtual = netip.AddrPortFrom(r.Virtual.Addr(), 80+uint16(random.IntN(2)))
			r.State, r.Settled, r.Persistent = states[random.IntN(len(states))], random.IntN(2) == 0, random.IntN(2) == 0
			r.ClientClosed, r.ServerClosed = r.State == "TIME_WAIT", r.State == "FIN_WAIT"
			maps.DeleteFunc(known, func(id model.Identity, other model.Record) bool {
				return id.Client == r.Client && other.Server == r.Server && id != r.Identity()
			})
			known[r.Identity()] = r
			news = append(news, r)
		}
		if got := arrive(t, b.path, news...); got.New+got.Changed != len(news) {
			t.Fatalf("of %d became %+v", len(news), got)
		}
		var gone []model.Identity
		for id := range known {
			if random.IntN(4) == 0 {
				gone = append(gone, id)
				delete(known, id)
			}
		}
		if got, err := b.path.End(gone); err != nil || got.Ended != len(gone) {
			t.Fatalf("of %d ended %+v, %v", len(gone), got, err)
		}
	}
	got := map[model.Identity]model.Record{}
	for _, r := range records(t, b.path) {
		got[r.Identity()] = r
	}
	left := gocmp.FilterPath(func(p gocmp.Path) bool { return p.Last().String() == ".Left" }, gocmp.Ignore())
	if diff := gocmp.Diff(known, got, compareAddrPort, left); diff != "" {
		t.Errorf("known (-want +got):\n%s", diff)
	}
	if digests(t, b.path) != digestsOf(slices.Collect(maps.Values(known))) {
		t.Error("digests are others")
	}
	b.sound(t)
}

// TestTemplateThatServicesShare is found by any of them: FTP's are for all ports of an address, and so are those of a
// service of any port there.
func TestTemplateThatServicesShare(t *testing.T) {
	ftp := service(4, 10, 21, model.TCP, toServer(4, 1, 21, model.NAT), toServer(4, 2, 21, model.NAT))
	rest := service(4, 10, model.AnyPort, model.TCP, toServer(4, 1, model.AnyPort, model.NAT), toServer(4, 3, model.AnyPort, model.NAT))
	ftp.Persistence.Timeout, rest.Persistence.Timeout = persists, persists
	want := model.DataplaneWant{Interfaces: world().Interfaces, Services: []model.ServiceWant{ftp, rest}}
	master, backup := newTestbed(t, 64), newTestbed(t, 128)
	master.apply(t, want)
	backup.apply(t, standby(want))
	for _, port := range []uint16{21, 5000} {
		master.settles(t, talkTo(4, 10, port, model.TCP, 20000+port))
	}
	told := changes(t, master.path)
	wantArrived(t, "template and two connections", arrive(t, backup.path, told...), model.Arrived{New: 3})
	d := directors{master: crowd{testbed: master}, backup: backup, want: want}
	d.equal(t)
	d.takeover(t)
	backup.compareConnections(t)
	if got, want := backup.settles(t, talkTo(4, 10, 5001, model.TCP, 30000)), master.settles(t, talkTo(4, 10, 5001, model.TCP, 30000)); got != want {
		t.Errorf("the client's next connection goes to %d, want %d", got, want)
	}
}

// TestTemplateOfAnotherMaskIsRefused: no client of here would be found by it.
func TestTemplateOfAnotherMaskIsRefused(t *testing.T) {
	b := newTestbed(t, 64)
	want := standby(small(model.DR))
	want.Services[0].Persistence = model.Persistence{Timeout: persists, Mask: 24}
	b.apply(t, want)
	r := established(model.DR, 0, 1)
	r.State = model.Template
	wantArrived(t, "one client", arrive(t, b.path, r), model.Arrived{Refused: map[model.Refusal]int{model.RefusedTemplate: 1}})
	r.Client = netip.MustParseAddrPort("203.0.113.0:0")
	wantArrived(t, "a network", arrive(t, b.path, r), model.Arrived{New: 1})
}

// TestTimeLeftIsTold, up to what a director's own config gives.
func TestTimeLeftIsTold(t *testing.T) {
	b := newTestbed(t, 64)
	b.apply(t, standby(small(model.DR)))
	r := established(model.DR, 20000, 1)
	for _, tt := range []struct{ told, want time.Duration }{
		{10 * time.Minute, 10 * time.Minute}, {time.Minute, time.Minute}, {0, 0}, {-time.Hour, 0}, {time.Hour, 15 * time.Minute},
	} {
		r.Left = tt.told
		arrive(t, b.path, r)
		if got := records(t, b.path); len(got) != 1 || got[0].Left > tt.want+time.Second || got[0].Left < tt.want-20*time.Second {
			t.Errorf("told of %s: %v, want %s", tt.told, got, tt.want)
		}
	}
}

// TestWhatLastsIsHeld by a backup until its master says that it has ended; then its time begins anew. All else is not.
func TestWhatLastsIsHeld(t *testing.T) {
	b := newSweepBed(t, model.NAT)
	b.kill(t, every, 1)
	b.twin.end(b.twin.conns[flow{firstOne.client, firstOne.service, firstOne.protocol}])
	b.serve(changed(model.DataplaneWant{Services: []model.ServiceWant{sweepService(model.NAT)}}, func(s *model.ServiceWant) { s.Serving = false }).Services...)
	lasting := model.Record{
		Protocol: model.TCP, Client: firstOne.client, Virtual: firstOne.service, Server: netip.AddrPortFrom(serverAddr(4, 11), 80),
		Forwarding: model.NAT, State: "ESTABLISHED", Settled: true, Left: time.Second,
	}
	short := lasting
	short.Client, short.Settled = netip.AddrPortFrom(firstOne.client.Addr(), 40001), false
	wantArrived(t, "both", arrive(t, b.path, lasting, short), model.Arrived{New: 2})
	b.path.Hold(true)
	b.age(time.Hour)
	b.sweep(dataplane.Swept{Seen: 4, Marked: 1})
	b.sweep(dataplane.Swept{Seen: 4, Deleted: 1})
	b.age(time.Hour)
	b.sweep(dataplane.Swept{Seen: 2})
	if got := records(t, b.path); len(got) != 1 || got[0].Left < 14*time.Minute {
		t.Errorf("held are %v", got)
	}
	b.path.Hold(false)
	b.sweep(dataplane.Swept{Seen: 2})
	b.age(time.Hour)
	b.sweep(dataplane.Swept{Seen: 2, Marked: 1})
	b.path.Hold(true)
	b.sweep(dataplane.Swept{Seen: 2})
	b.serve(sweepService(model.NAT))
	b.sweep(dataplane.Swept{Seen: 2})
	b.age(time.Hour)
	b.sweep(dataplane.Swept{Seen: 2, Marked: 1})
	b.sweep(dataplane.Swept{Seen: 2, Deleted: 1})
	b.sound(t)
}

// ends are who has ended.
type ends struct{ told []model.Identity }

func (e *ends) hear(ids []model.Identity) { e.told = append(e.told, ids...) }

func (e *ends) want(t *testing.T, what string, want ...model.Identity) {
	t.Helper()
	if !slices.Equal(e.told, want) {
		t.Errorf("%s: told are %v, want %v", what, e.told, want)
	}
	e.told = nil
}

// TestEndOfWhatLastsIsTold, and of all that is killed. Who serves nothing says nothing.
func TestEndOfWhatLastsIsTold(t *testing.T) {
	b := newSweepBed(t, model.NAT)
	var e ends
	b.path.TellEnds(e.hear)
	id := model.Identity{Protocol: model.TCP, Client: firstOne.client, Virtual: firstOne.service}
	expire := func() { b.age(time.Hour); b.rounds(2) }
	expire()
	e.want(t, "what has just begun")
	settle := func() {
		for _, flags := range []packet.TCPFlags{packet.SYN, packet.ACK, packet.ACK, packet.ACK, packet.ACK} {
			b.send(t, packet.Build(firstOne.ask(flags)...))
		}
	}
	settle()
	expire()
	e.want(t, "what lasts", id)
	settle()
	b.kill(t, every, 1)
	e.want(t, "what is killed", id)
	settle()
	b.path.TellEnds(nil)
	expire()
	e.want(t, "when nobody hears")
	b.path.TellEnds(e.hear)
	settle()
	b.serve(changed(model.DataplaneWant{Services: []model.ServiceWant{sweepService(model.NAT)}}, func(s *model.ServiceWant) { s.Serving = false }).Services...)
	expire()
	e.want(t, "who serves nothing")
	if left := records(t, b.path); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
}

// TestMoreEndThanAreTold in one run: the others end in another one, and none untold.
func TestMoreEndThanAreTold(t *testing.T) {
	const all = 9000
	b := newTestbed(t, 3*all)
	b.apply(t, standby(small(model.DR)))
	var some []model.Record
	for i := range uint16(all) {
		some = append(some, established(model.DR, 20000+i, 1+byte(i%2)))
	}
	wantArrived(t, "all", arrive(t, b.path, some...), model.Arrived{New: all})
	b.apply(t, small(model.DR))
	var e ends
	b.path.TellEnds(e.hear)
	if err := b.path.ExpireAtOnce(); err != nil {
		t.Fatal(err)
	}
	for range 6 {
		if _, err := b.path.Sweep(); err != nil {
			t.Fatal(err)
		}
	}
	told := map[model.Identity]bool{}
	for _, id := range e.told {
		told[id] = true
	}
	if left := len(records(t, b.path)); left > 0 || len(told) != all || len(e.told) != all {
		t.Errorf("%d are left, %d were told of, %d of them once", left, len(e.told), len(told))
	}
	b.wantEmpty(t)
}

// TestProvedOnesFindRoom where what has not proved itself makes room, up to the last slot.
func TestProvedOnesFindRoom(t *testing.T) {
	for _, forwarding := range []model.Forwarding{model.DR, model.NAT} {
		b := newTestbed(t, 64)
		b.apply(t, standby(small(forwarding)))
		var flood, proved []model.Record
		for i := range uint16(400) {
			r := established(forwarding, 30000+i, 1)
			r.State, r.Settled = "SYN_RECV", false
			flood = append(flood, r)
			proved = append(proved, established(forwarding, 20000+i, 2))
		}
		arrive(t, b.path, flood...)
		b.sound(t)
		got := arrive(t, b.path, proved...)
		if got.New+got.Refused[model.RefusedFull] != len(proved) || got.New == 0 || got.Refused[model.RefusedFull] == 0 {
			t.Errorf("%s: %+v", forwarding, got)
		}
		settled := 0
		for _, r := range records(t, b.path) {
			if r.Settled {
				settled++
			}
		}
		if settled != got.New {
			t.Errorf("%s: of %d that came in %d are here", forwarding, got.New, settled)
		}
		b.sound(t)
		arrive(t, b.path, flood...)
		still := 0
		for _, r := range records(t, b.path) {
			if r.Settled {
				still++
			}
		}
		if still != settled {
			t.Errorf("%s: a flood has pushed %d out", forwarding, settled-still)
		}
		b.sound(t)
	}
}

// TestSyncBesideTraffic: connections begin, are told, come in, end and are swept at the same moment. At the end the table
// says what is in it, and no count is off.
func TestSyncBesideTraffic(t *testing.T) {
	t.Parallel()
	const ports, long = 60, 3 * time.Second
	for _, forwarding := range []model.Forwarding{model.DR, model.NAT} {
		b := newTestbed(t, 128)
		b.apply(t, small(forwarding))
		began := time.Now()
		var all sync.WaitGroup
		run := func(f func(turn int)) {
			all.Go(func() {
				if err := b.join(); err != nil {
					t.Error(err)
				}
				for turn := 0; time.Since(began) < long; turn++ {
					f(turn)
				}
			})
		}
		fail := func(err error) {
			if err != nil {
				t.Error(err)
			}
		}
		run(func(turn int) {
			c := talkTo(4, 10, 80, model.TCP, 20000+uint16(turn%ports))
			for _, layers := range []packet.Layers{c.open(), c.more(), c.more(), c.more(), c.ask(packet.FIN | packet.ACK)} {
				_, _, err := b.path.Send(packet.Build(layers...), front)
				fail(err)
			}
		})
		run(func(turn int) {
			var some []model.Record
			for i := range ports {
				some = append(some, established(forwarding, 20000+uint16((turn*7+i)%(2*ports)), 1+byte(i%2)))
			}
			_, err := b.path.Insert(some)
			fail(err)
		})
		run(func(int) {
			fail(b.path.Changes(t.Context(), func(model.Record) bool { return true }))
			_, err := b.path.Digests()
			fail(err)
		})
		run(func(turn int) {
			fail(b.path.ExpireAtOnce())
			_, err := b.path.Sweep()
			fail(err)
			if turn%20 == 0 {
				_, err := b.path.Kill(t.Context(), every)
				fail(err)
			}
		})
		all.Wait()
		b.sound(t)
	}
}
