// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-lb/weir/internal/config"
	"github.com/weir-lb/weir/internal/model"
)

// documentedKey is where the documentation has its key.
const documentedKey = "/etc/weir/sync.key"

// keyFiles makes files that may be, or may not be, those with keys.
func keyFiles(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	const key, next = "sMDKLzJ6jYHPHxTmWJ5fWlX0yo5ZJZzb7vrwbB1gNuE=\n", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"
	for name, file := range map[string]struct {
		text string
		mode os.FileMode
	}{
		"sync.key": {key, 0o600}, "two.key": {"# next\n" + next + key, 0o600}, "told.key": {key, 0o644},
		"group.key": {key, 0o640}, "short.key": {"c2hvcnQ=\n", 0o600}, "three.key": {key + next + strings.Repeat("ab", 31) + "cd\n", 0o600},
		"word.key": {"correct horse\n", 0o600}, "empty.key": {"", 0o600},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(file.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, file.mode); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// synced is a file with this behind `sync:`. Services and a virtual router are there to be met.
func synced(what, dir string) []byte {
	const rest = "services: [{name: web, address: 192.0.2.10:80}, {name: lone, address: 192.0.2.12:80}, {name: web6, address: \"[2001:db8::10]:80\"}]\n" +
		"vrrp: [{name: front, interface: eth0, id: 51, addresses: [192.0.2.10/24, 192.0.2.11]}, {name: own, interface: eth0, id: 52, priority: 255, addresses: [192.0.2.5]}]\n"
	return []byte(rest + "sync: " + strings.ReplaceAll(what, "$DIR", dir) + "\n")
}

// TestSyncMeansWhatItSays, and is printed as it would be written.
func TestSyncMeansWhatItSays(t *testing.T) {
	dir, address := keyFiles(t), netip.MustParseAddr
	group := netip.MustParseAddrPort("224.0.0.81:8848")
	peers := model.Sync{Interface: "eth0", Peers: []model.Addr{address("192.0.2.3")}, Port: 8849, KeyFile: dir + "/sync.key"}
	for _, tt := range []struct {
		written, printed string // "": as written
		want             model.Sync
	}{
		{"{interface: eth0, peers: [192.0.2.3], key_file: $DIR/sync.key}", "", peers},
		{"{interface: eth0, peers: [192.0.2.3], port: 8849, key_file: $DIR/sync.key}", "{interface: eth0, peers: [192.0.2.3], key_file: $DIR/sync.key}", peers},
		{
			"{interface: eth1, peers: [\"fe80::3\", \"2001:db8::4\"], source: \"2001:db8::2\", port: 700, key_file: $DIR/two.key}", "",
			model.Sync{Interface: "eth1", Peers: []model.Addr{address("fe80::3"), address("2001:db8::4")}, Source: address("2001:db8::2"), Port: 700, KeyFile: dir + "/two.key"},
		},
		{
			"{interface: eth0, peers: [192.0.2.3], source: 192.0.2.5, key_file: $DIR/sync.key}", "", // its own, by priority 255
			model.Sync{Interface: "eth0", Peers: []model.Addr{address("192.0.2.3")}, Source: address("192.0.2.5"), Port: 8849, KeyFile: dir + "/sync.key"},
		},
		{
			"{ipvs: {interface: eth0}}", "",
			model.Sync{IPVS: model.IPVSSync{Interface: "eth0", Send: true, Receive: true, Group: group, TTL: 1}},
		},
		{
			"{ipvs: {interface: eth0, id: 0, send: true, receive: true, group: 224.0.0.81, port: 8848, ttl: 1}}", "{ipvs: {interface: eth0}}",
			model.Sync{IPVS: model.IPVSSync{Interface: "eth0", Send: true, Receive: true, Group: group, TTL: 1}},
		},
		{
			"{ipvs: {interface: eth1, id: 255, send: false, group: \"ff02::81\", port: 9, ttl: 2, size: 1400, from: [\"fe80::3\"]}}", "",
			model.Sync{IPVS: model.IPVSSync{Interface: "eth1", ID: 255, Receive: true, Group: netip.MustParseAddrPort("[ff02::81]:9"), TTL: 2, Size: 1400,
				From: []model.Addr{address("fe80::3")}}},
		},
		{
			"{interface: eth0, peers: [192.0.2.3], key_file: $DIR/sync.key, ipvs: {interface: eth0, receive: false}}", "",
			model.Sync{Interface: "eth0", Peers: []model.Addr{address("192.0.2.3")}, Port: 8849, KeyFile: dir + "/sync.key",
				IPVS: model.IPVSSync{Interface: "eth0", Send: true, Group: group, TTL: 1}},
		},
	} {
		spec, err := config.Parse("weir.yaml", synced(tt.written, dir))
		if err != nil {
			t.Errorf("%s: %v", tt.written, err)
			continue
		}
		if diff := cmp.Diff(tt.want, spec.Sync, byValue); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.written, diff)
		}
		again, err := config.Parse("printed.yaml", config.Print(spec))
		if err != nil {
			t.Errorf("%s: printed, it is not accepted: %v", tt.written, err)
			continue
		}
		if tt.printed == "" {
			tt.printed = tt.written
		}
		meant, err := config.Parse("weir.yaml", synced(tt.printed, dir))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := string(config.Print(spec)), string(config.Print(meant)); got != want || string(config.Print(again)) != want {
			t.Errorf("%s is printed as\n%s\nwant\n%s", tt.written, got, want)
		}
	}
}

// TestMistakesOfSyncAreExplained, each with its place and the way out.
func TestMistakesOfSyncAreExplained(t *testing.T) {
	dir := keyFiles(t)
	const key, peers = "key_file: $DIR/sync.key", "interface: eth0, peers: [192.0.2.3]"
	many := strings.TrimSuffix(strings.Repeat("192.0.3.%d, ", 17), ", ")
	numbers := make([]any, 17)
	for i := range numbers {
		numbers[i] = i + 1
	}
	for _, tt := range []struct {
		written string
		column  int
		what    string
		hint    string
	}{
		{"{}", 7, "sync: with nobody", `write "{interface: eth0, peers: [192.0.2.3], key_file: /etc/weir/sync.key}", or leave it out`},
		{"[]", 7, "sync: it must be a map, not a list", `write "key: value" lines`},
		{"", 6, "sync: it must be a map, not nothing", `write "key: value" lines`},
		{"192.0.2.3", 7, "sync: it must be a map, not a single value", `write "key: value" lines`},
		{"{" + peers + ", " + key + ", syncid: 1}", 0, `sync: unknown key "syncid"`, `write "ipvs: {interface: eth0, id: 1}"; weirs know each other by their key`},
		{"{interfac: eth0, peers: [192.0.2.3], " + key + "}", 8, `sync: unknown key "interfac"`, `did you mean "interface"?`},
		{"{interface: eth0}", 19, "sync: interface without peers", `write "peers: [192.0.2.3]", the other directors, or leave it out`},
		{"{" + key + "}", 18, "sync: key_file without peers", `write "peers: [192.0.2.3]", the other directors, or leave it out`},
		{"{source: 192.0.2.2, ipvs: {interface: eth0}}", 16, "sync: source without peers", `write "peers: [192.0.2.3]", the other directors, or leave it out`},
		{"{port: 8849, ipvs: {interface: eth0}}", 14, "sync: port without peers", `write "peers: [192.0.2.3]", the other directors, or leave it out`},
		{"{peers: [192.0.2.3], " + key + "}", 7, "sync: no interface", `write "interface: eth0"`},
		{"{" + peers + "}", 7, "sync: no key_file", `write "key_file: /etc/weir/sync.key"; make it on one director, and copy it to the others: (umask 077; head -c 32 /dev/urandom | base64 > /etc/weir/sync.key)`},
		{"{interface: eth0, peers: [], " + key + "}", 32, "sync: no peer", `write "peers: [192.0.2.3]", or leave the key out`},
		{"{interface: eth0, peers: 192.0.2.3, " + key + "}", 32, "sync: peers must be a list, not a single value", `begin each item with "- "`},
		{"{interface: eth0, peers: [lb2], " + key + "}", 33, `sync: peers: "lb2" is not an address`, "names are not resolved; write an address"},
		{"{interface: eth0, peers: [192.0.2.3:8849], " + key + "}", 33, "sync: peers: a port behind the address", "write 192.0.2.3: ports are those of services"},
		{"{interface: eth0, peers: [192.0.2.0/24], " + key + "}", 33, `sync: peers: "192.0.2.0/24" is a network, not an address`, "write 192.0.2.0"},
		{"{interface: eth0, peers: [192.0.2.3, 192.0.2.3], " + key + "}", 44, "sync: peers: 192.0.2.3 stands twice", "the first is in line 3: keep one"},
		{"{interface: eth0, peers: [192.0.2.3, \"2001:db8::3\"], " + key + "}", 44, "sync: peers: IPv6 beside IPv4 ones", "write addresses of one family: connections of both go to each of them"},
		{"{interface: eth0, peers: [127.0.0.1], " + key + "}", 33, "sync: peers: 127.0.0.1 is a loopback address", ""},
		{"{" + peers + ", source: 192.0.2.3, " + key + "}", 33, "sync: peers: 192.0.2.3 is the source", "peers are the other directors: leave this one out"},
		{"{" + peers + ", source: \"2001:db8::2\", " + key + "}", 33, "sync: peers: IPv4, but the source is IPv6", "write the peer's address of the source's family"},
		{"{" + peers + ", source: eth0, " + key + "}", 0, `sync: source: "eth0" is not an address`, "names are not resolved; write an address"},
		{"{interface: eth0, peers: [" + fmt.Sprintf(many, numbers...) + "], " + key + "}", 0, "sync: peers: more than 16 addresses", "each of them is a director: is this the right list?"},
		{"{interface: eth0, peers: [192.0.2.10], " + key + "}", 33, "sync: peers: 192.0.2.10 moves with virtual router front", "write an address that the peer always has"},
		{"{interface: eth0, peers: [192.0.2.12], " + key + "}", 33, "sync: peers: 192.0.2.12 is the address of service lone", "write an address that the peer always has"},
		{"{" + peers + ", source: 192.0.2.11, " + key + "}", 0, "sync: source: 192.0.2.11 moves with virtual router front", "write an address that this host always has, or leave it out"},
		{"{" + peers + ", port: 0, " + key + "}", 0, "sync: port 0 is out of range", "from 1 to 65535"},
		{"{" + peers + ", key_file: sync.key}", 0, `sync: key_file: "sync.key" is not a whole path`, "begin at the root"},
		{
			"{" + peers + ", key_file: $DIR/none.key}", 0, "sync: key_file: $DIR/none.key: no such file or directory",
			"make it on one director, and copy it to the others: (umask 077; head -c 32 /dev/urandom | base64 > $DIR/none.key)",
		},
		{"{" + peers + ", key_file: $DIR/told.key}", 0, "sync: key_file: $DIR/told.key can be read by others than its owner", "chmod 600 $DIR/told.key, and make it that of the user as whom weir runs"},
		{"{" + peers + ", key_file: $DIR/group.key}", 0, "sync: key_file: $DIR/group.key can be read by others than its owner", "chmod 600 $DIR/group.key, and make it that of the user as whom weir runs"},
		{"{" + peers + ", key_file: $DIR}", 0, "sync: key_file: $DIR is not a file", "name a file with one line"},
		{"{" + peers + ", key_file: $DIR/empty.key}", 0, "sync: key_file: $DIR/empty.key is empty", "write the secret into it"},
		{"{" + peers + ", key_file: $DIR/short.key}", 0, "sync: key_file: $DIR/short.key: line 1: a key of 5 bytes: ", ""},
		{"{" + peers + ", key_file: $DIR/word.key}", 0, "sync: key_file: $DIR/word.key: line 1: this is no key: ", ""},
		{"{" + peers + ", key_file: $DIR/three.key}", 0, "sync: key_file: $DIR/three.key: line 3: more than 2 keys: ", ""},

		{"{ipvs: {}}", 14, "sync: ipvs: no interface", `write "interface: eth0"`},
		{"{ipvs: eth0}", 14, "sync: ipvs: it must be a map, not a single value", `write "key: value" lines`},
		{"{ipvs: {interface: eth0, syncid: 1}}", 0, `sync: ipvs: unknown key "syncid"`, `write "id: 1"`},
		{"{ipvs: {interface: eth0, id: 256}}", 0, "sync: ipvs: id 256 is out of range", "from 0 to 255"},
		{"{ipvs: {interface: eth0, send: false, receive: false}}", 14, "sync: ipvs: it neither sends nor receives", `leave one of the two out, or all of "ipvs:"`},
		{"{ipvs: {interface: eth0, send: 1}}", 0, `sync: ipvs: send must be true or false, not "1"`, ""},
		{"{ipvs: {interface: eth0, group: 192.0.2.3}}", 0, "sync: ipvs: group: 192.0.2.3 is no multicast address", "such as 224.0.0.81, or ff02::81"},
		{"{ipvs: {interface: eth0, group: \"224.0.0.81:8848\"}}", 0, "sync: ipvs: group: a port behind the address", `write "group: 224.0.0.81, port: 8848"`},
		{"{ipvs: {interface: eth0, group: \"ff02::81%eth0\"}}", 0, "sync: ipvs: group: zones (%) are not needed", `leave it out: "interface:" says where the group is`},
		{"{ipvs: {interface: eth0, group: 224.0.0.0/24}}", 0, `sync: ipvs: group: "224.0.0.0/24" is a network, not an address`, "such as 224.0.0.81, or ff02::81"},
		{"{ipvs: {interface: eth0, port: 70000}}", 0, "sync: ipvs: port 70000 is out of range", "from 1 to 65535"},
		{"{ipvs: {interface: eth0, ttl: 0}}", 0, "sync: ipvs: ttl 0 is out of range", "from 1 to 255"},
		{"{ipvs: {interface: eth0, size: 79}}", 0, "sync: ipvs: size 79 is out of range", "from 80 to 65507"},
		{"{ipvs: {interface: eth0, from: []}}", 0, "sync: ipvs: no address", `write "from: [192.0.2.3]", or leave the key out`},
		{"{ipvs: {interface: eth0, receive: false, from: [192.0.2.3]}}", 0, "sync: ipvs: from, but nothing is received", "leave it out"},
		{"{ipvs: {interface: eth0, from: [\"fe80::3\"]}}", 0, "sync: ipvs: from: IPv6, but the group is IPv4", "write the address by which the other director sends to the group"},
		{"{ipvs: {interface: eth0, from: [192.0.2.10]}}", 0, "sync: ipvs: from: 192.0.2.10 moves with virtual router front", "write an address that the other director always has"},
		{"{ipvs: {interface: eth0, key_file: x}}", 0, `sync: ipvs: unknown key "key_file"`, `leave it out: ip_vs has no keys; weirs do, see "peers:"`},
	} {
		_, err := config.Parse("weir.yaml", synced(tt.written, dir))
		complaints, ok := errors.AsType[*config.Error](err)
		if !ok || len(complaints.Complaints) != 1 {
			t.Errorf("%s: want one complaint, got %v", tt.written, err)
			continue
		}
		c, what, hint := complaints.Complaints[0], strings.ReplaceAll(tt.what, "$DIR", dir), strings.ReplaceAll(tt.hint, "$DIR", dir)
		prefix := strings.HasSuffix(what, ": ") && strings.HasPrefix(c.Message, what)
		if c.Line != 3 || !prefix && c.Message != what || hint != "" && c.Hint != hint || tt.column != 0 && c.Column != tt.column {
			t.Errorf("%s:\n got %d:%d %s\n     %s\nwant 3:%d %s\n     %s", tt.written, c.Line, c.Column, c.Message, c.Hint, tt.column, what, hint)
		}
	}
}

// TestNoComplaintTellsAKey, whatever is wrong with its file.
func TestNoComplaintTellsAKey(t *testing.T) {
	dir := keyFiles(t)
	for _, name := range []string{"short.key", "word.key", "three.key"} {
		_, err := config.Parse("weir.yaml", synced("{interface: eth0, peers: [192.0.2.3], key_file: $DIR/"+name+"}", dir))
		if err == nil {
			t.Fatalf("%s is accepted", name)
		}
		for _, secret := range []string{"c2hvcnQ", "horse", "sMDKLz", "0001020304", "abab"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%s is told:\n%v", secret, err)
			}
		}
	}
}
