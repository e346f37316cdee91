// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-lb/weir/api"
)

// TestFilterLeavesTheRestOut asks example for its connections, which are told by their clients' ports.
func TestFilterLeavesTheRestOut(t *testing.T) {
	for query, want := range map[string]string{
		"":                            "40000 40001 5353",
		"protocol=tcp":                "40000 40001",
		"protocol=UDP":                "5353",
		"protocol=sctp":               "",
		"state=FIN_WAIT":              "40001",
		"state=established":           "40000",
		"client=203.0.113.7":          "40000 40001",
		"client=203.0.113.0/24":       "40000 40001",
		"client=2001:db8::/32":        "5353",
		"client=203.0.113.8":          "",
		"server=198.51.100.11":        "40000",
		"server=198.51.100.11:80":     "40000",
		"server=198.51.100.11:*":      "40000",
		"server=198.51.100.11:81":     "",
		"server=2001:db8::53":         "5353",
		"server=[2001:db8::53]:53":    "5353",
		"service=web":                 "40000 40001",
		"service=192.0.2.10:80":       "40000 40001",
		"service=[2001:DB8::10]:*":    "5353",
		"service=web state=FIN_WAIT":  "40001",
		"protocol=tcp state=UDP":      "",
		"client=203.0.113.7 limit=1":  "40000",
		"state=FIN_WAIT limit=1":      "40001",
		"server=198.51.100.12 limit=": "40001",
	} {
		status, text := ask(t, example(), "GET", "/v1/connections?"+encode(query), nil)
		if status != http.StatusOK {
			t.Errorf("%s: %d %s", query, status, text)
			continue
		}
		var got []api.Connection
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatal(err)
		}
		var ports []string
		for _, c := range got {
			ports = append(ports, c.Client[strings.LastIndex(c.Client, ":")+1:])
		}
		if diff := cmp.Diff(want, strings.Join(ports, " ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
}

// encode makes a query of its parts.
func encode(parts string) string {
	values := url.Values{}
	for _, part := range strings.Fields(parts) {
		key, value, _ := strings.Cut(part, "=")
		values.Set(key, value)
	}
	return values.Encode()
}

func TestWrongFilterIsNamedWithTheWayOut(t *testing.T) {
	const (
		states = "write one of SYN_RECV, ESTABLISHED, FIN_WAIT, TIME_WAIT, CLOSE, UDP, KEPT, TEMPLATE"
		client = ": neither an address nor a network: write it as 203.0.113.7, or 203.0.113.0/24"
		server = ": neither an address nor an address and port: write it as 198.51.100.11, 198.51.100.11:80 or [2001:db8::11]:80"
	)
	for query, want := range map[string]string{
		"protocol=icmp":          `protocol "icmp": there is no such protocol: write tcp, udp or sctp`,
		"state=ESTABLISHD":       `state "ESTABLISHD": there is no such state: did you mean ESTABLISHED? ` + states,
		"state=fin-wait":         `state "fin-wait": there is no such state: did you mean FIN_WAIT? ` + states,
		"state=LISTEN":           `state "LISTEN": there is no such state: ` + states,
		"client=example.org":     `client "example.org"` + client,
		"client=203.0.113.7:80":  `client "203.0.113.7:80"` + client,
		"client=203.0.113.0/33":  `client "203.0.113.0/33"` + client,
		"client=fe80::1%eth0":    `client "fe80::1%eth0"` + client,
		"server=real1":           `server "real1"` + server,
		"server=198.51.100.11:0": `server "198.51.100.11:0"` + server,
		"server=fe80::1%eth0":    `server "fe80::1%eth0"` + server,
		"server=10.0.0.0/8":      `server "10.0.0.0/8"` + server,
	} {
		for _, request := range []string{"GET /v1/connections", "GET /v1/connections/count", "DELETE /v1/connections"} {
			method, path, _ := strings.Cut(request, " ")
			status, text := ask(t, example(), method, path+"?"+encode(query), nil)
			var got api.Error
			if err := json.Unmarshal([]byte(text), &got); err != nil {
				t.Fatal(err)
			}
			if status != http.StatusBadRequest || got.Detail != want {
				t.Errorf("%s?%s: %d %s\nwant %s", request, query, status, got.Detail, want)
			}
		}
	}
}
