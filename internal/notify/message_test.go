// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-lb/weir/internal/model"
)

var noon = time.Date(2026, 11, 26, 12, 3, 11, 0, time.FixedZone("CET", 3600))

func withReasonOf(e model.Event, reason string) model.Event {
	e.Reason = reason
	return e
}

func since(e model.Event, ago time.Duration) model.Event {
	e.Since = e.Time.Add(-ago)
	return e
}

func wasFor(e model.Event, state model.VRRPState, ago time.Duration) model.Event {
	e.Was = state
	return since(e, ago)
}

func ofGroup(name string, e model.Event) model.Event {
	e.Group = name
	return e
}

func ofRouter(name string, e model.Event) model.Event {
	e.Router = name
	return e
}

func ofPeer(address string, e model.Event) model.Event {
	e.Peer = netip.MustParseAddr(address)
	return e
}

func TestMessagesReadWell(t *testing.T) {
	down := withReasonOf(eventOf(noon, model.ServerDown, "web", 11), "http 503, expected 200-299, 3 of 3")
	for _, tt := range []struct {
		name string
		message
		want string
	}{
		{"a server", message{events: []model.Event{down}}, `
weir: server 10.0.0.11:80 of web is down: http 503, expected 200-299, 3 of 3

2026-11-26 12:03:11 server 10.0.0.11:80 of web is down: http 503, expected 200-299, 3 of 3

weir on lb1, times in UTC+01:00
`},
		{"a server and its service", message{events: []model.Event{down,
			withReasonOf(eventOf(noon, model.ServiceDown, "web", 0), "no server is left")}}, `
weir: 1 server down, 1 service down

2026-11-26 12:03:11 server 10.0.0.11:80 of web is down: http 503, expected 200-299, 3 of 3
2026-11-26 12:03:11 service web is down: no server is left

weir on lb1, times in UTC+01:00
`},
		{"all is well again", message{lost: 2, events: []model.Event{
			since(eventOf(noon, model.ServerUp, "web", 11), 95*time.Second),
			since(eventOf(noon, model.ServiceUp, "web", 0), 50*time.Hour)}}, `
weir: 1 server up, 1 service up

2026-11-26 12:03:11 server 10.0.0.11:80 of web is up again after 1m35s
2026-11-26 12:03:11 service web is up again after 2d2h

2 events before this are lost: they could not be told.

weir on lb1, times in UTC+01:00
`},
		{"some come, some go", message{events: []model.Event{
			eventOf(noon, model.ServerUp, "web", 11), eventOf(noon, model.ServerDown, "web", 12), eventOf(noon, model.ServerDown, "dns", 11)}}, `
weir: 2 servers down, 1 server up

2026-11-26 12:03:11 server 10.0.0.11:80 of web is up again
2026-11-26 12:03:11 server 10.0.0.12:80 of web is down
2026-11-26 12:03:11 server 10.0.0.11:80 of dns is down

weir on lb1, times in UTC+01:00
`},
		{"still down", message{at: noon.Add(125 * time.Minute), repeat: true, events: []model.Event{down}}, `
weir: still down: server 10.0.0.11:80 of web, for 2h5m: http 503, expected 200-299, 3 of 3

2026-11-26 12:03:11 still down: server 10.0.0.11:80 of web, for 2h5m: http 503, expected 200-299, 3 of 3

weir on lb1, times in UTC+01:00
`},
		{"panic", message{events: []model.Event{
			withReasonOf(eventOf(noon, model.PanicBegin, "web", 0), "too few are healthy"), since(eventOf(noon, model.PanicEnd, "dns", 0), time.Minute)}}, `
weir: 1 service in panic, 1 panic over

2026-11-26 12:03:11 service web is in panic: too few are healthy
2026-11-26 12:03:11 service dns is out of its panic after 1m

weir on lb1, times in UTC+01:00
`},
		{"a certificate, of who is in maintenance besides", message{events: []model.Event{
			eventOf(noon, model.MaintenanceBegin, "web", 11), withReasonOf(eventOf(noon, model.CertificateEnds, "web", 11), "its certificate ends in 9 days")}}, `
weir: 1 certificate to renew, 1 in maintenance

2026-11-26 12:03:11 server 10.0.0.11:80 of web is in maintenance
2026-11-26 12:03:11 server 10.0.0.11:80 of web has to renew its certificate: its certificate ends in 9 days

weir on lb1, times in UTC+01:00
`},
		{"back from maintenance", message{events: []model.Event{since(eventOf(noon, model.MaintenanceEnd, "web", 11), time.Hour)}}, `
weir: server 10.0.0.11:80 of web is out of maintenance after 1h

2026-11-26 12:03:11 server 10.0.0.11:80 of web is out of maintenance after 1h

weir on lb1, times in UTC+01:00
`},
		{"renewed", message{events: []model.Event{since(eventOf(noon, model.CertificateRenewed, "web", 11), 75*time.Minute)}}, `
weir: server 10.0.0.11:80 of web has renewed its certificate after 1h15m

2026-11-26 12:03:11 server 10.0.0.11:80 of web has renewed its certificate after 1h15m

weir on lb1, times in UTC+01:00
`},
		{"still in panic", message{at: noon.Add(2 * time.Hour), repeat: true, events: []model.Event{eventOf(noon, model.PanicBegin, "web", 0)}}, `
weir: still in panic: service web, for 2h

2026-11-26 12:03:11 still in panic: service web, for 2h

weir on lb1, times in UTC+01:00
`},
		{"a takeover", message{events: []model.Event{wasFor(withReasonOf(routerEvent(model.VRRPToMaster), "no advert of 192.0.2.2 for 3.609s"), model.VRRPBackup, 125*time.Minute)}}, `
weir: virtual router VI_1 is master here after 2h5m as backup: no advert of 192.0.2.2 for 3.609s

2026-11-26 12:03:11 virtual router VI_1 is master here after 2h5m as backup: no advert of 192.0.2.2 for 3.609s

weir on lb1, times in UTC+01:00
`},
		{"a virtual router begins, another fails and is in conflict", message{events: []model.Event{
			routerEvent(model.VRRPToBackup), ofRouter("VI_2", wasFor(routerEvent(model.VRRPToFault), model.VRRPMaster, time.Minute)),
			ofRouter("VI_2", withReasonOf(routerEvent(model.ConflictBegin), "192.0.2.9 advertises"))}}, `
weir: 1 conflict of virtual routers, 1 virtual router in fault, 1 virtual router backup

2026-11-26 12:03:11 virtual router VI_1 is backup here
2026-11-26 12:03:11 virtual router VI_2 is in fault here after 1m as master
2026-11-26 12:03:11 virtual router VI_2 is in conflict: 192.0.2.9 advertises

weir on lb1, times in UTC+01:00
`},
		{"weir stops", message{events: []model.Event{withReasonOf(wasFor(routerEvent(model.VRRPToStop), model.VRRPMaster, time.Minute), "weir stops")}}, `
weir: virtual router VI_1 is stopped here after 1m as master: weir stops

2026-11-26 12:03:11 virtual router VI_1 is stopped here after 1m as master: weir stops

weir on lb1, times in UTC+01:00
`},
		{"a conflict is over", message{events: []model.Event{since(routerEvent(model.ConflictEnd), time.Minute)}}, `
weir: virtual router VI_1 is in conflict no more after 1m

2026-11-26 12:03:11 virtual router VI_1 is in conflict no more after 1m

weir on lb1, times in UTC+01:00
`},
		{"still in fault", message{at: noon.Add(2 * time.Hour), repeat: true, events: []model.Event{routerEvent(model.VRRPToFault)}}, `
weir: still in fault: virtual router VI_1, for 2h

2026-11-26 12:03:11 still in fault: virtual router VI_1, for 2h

weir on lb1, times in UTC+01:00
`},
		{"still in conflict, and in fault", message{at: noon.Add(2 * time.Hour), repeat: true, events: []model.Event{routerEvent(model.VRRPToFault), routerEvent(model.ConflictBegin)}}, `
weir: still down: 1 conflict of virtual routers, 1 virtual router in fault

2026-11-26 12:03:11 still in fault: virtual router VI_1, for 2h
2026-11-26 12:03:11 still in conflict: virtual router VI_1, for 2h

weir on lb1, times in UTC+01:00
`},
		{"a director is out of sync, another is in sync", message{events: []model.Event{withReasonOf(peerEvent(model.SyncLost), "nothing was heard of it, for 10s"),
			ofPeer("192.0.2.4", since(peerEvent(model.SyncReached), time.Minute))}}, `
weir: 1 director out of sync, 1 director in sync

2026-11-26 12:03:11 director 192.0.2.3 is out of sync: nothing was heard of it, for 10s
2026-11-26 12:03:11 director 192.0.2.4 is in sync after 1m

weir on lb1, times in UTC+01:00
`},
		{"still out of sync", message{at: noon.Add(2 * time.Hour), repeat: true, events: []model.Event{peerEvent(model.SyncLost)}}, `
weir: still out of sync: director 192.0.2.3, for 2h

2026-11-26 12:03:11 still out of sync: director 192.0.2.3, for 2h

weir on lb1, times in UTC+01:00
`},
		{"a test", testMessage(noon, model.Notice{Services: []string{"web"}}), `
weir: test: server 192.0.2.1:80 of web is down: weir tries whether this message arrives

2026-11-26 12:03:11 server 192.0.2.1:80 of web is down: weir tries whether this message arrives

weir on lb1, times in UTC+01:00
`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.at.IsZero() {
				tt.at = noon
			}
			got := "\n" + tt.subject() + "\n\n" + tt.body("lb1")
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("it reads otherwise (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSpansAreShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                               "less than 1s",
		-time.Hour:                      "less than 1s",
		999 * time.Millisecond:          "less than 1s",
		59*time.Second + 900:            "59s",
		time.Minute:                     "1m",
		61 * time.Second:                "1m1s",
		time.Hour + 59*time.Second:      "1h",
		3*time.Hour + 4*time.Minute:     "3h4m",
		24 * time.Hour:                  "1d",
		100*24*time.Hour + 3*time.Hour:  "100d3h",
		24*time.Hour - time.Millisecond: "23h59m",
	} {
		if got := span(d); got != want {
			t.Errorf("%s is %q, want %q", d, got, want)
		}
	}
}
