// SPDX-License-Identifier: Apache-2.0

package layout_test

// module is the path that our own imports begin with.
const module = "github.com/weir-lb/weir/"

// everything, as an entry of the table, is for the one package that knows all.
const everything = "*"

// table says what each package may import of ours. Rows may stand here before their package does.
var table = map[string][]string{
	// Nouns and tools, below everything.
	"internal/model":     {},
	"internal/packet":    {},
	"internal/newest":    {},
	"internal/reconcile": {"internal/newest"},
	"internal/suggest":   {},
	"internal/trust":     {},
	"internal/ledger":    {},
	"internal/urgent":    {},
	"internal/web":       {},
	"internal/layout":    {},
	"api":                {},
	"client":             {"api"},

	// Policy, pure: values in, values out.
	"internal/sched":    {"internal/model"},
	"internal/plan":     {"internal/model"},
	"internal/report":   {"internal/model", "internal/packet"},
	"internal/config":   {"internal/model", "internal/suggest", "internal/trust", "internal/connsync", "internal/vrrp"}, // which know what a key is
	"internal/importer": {"internal/model"},

	// What goes on.
	"internal/program":       {"internal/trust"},
	"internal/health":        {"internal/model", "internal/newest", "internal/program", "internal/trust"},
	"internal/process":       {"internal/model", "internal/newest"},
	"internal/notify":        {"internal/model", "internal/program", "internal/trust"},
	"internal/vrrp":          {"internal/model", "internal/newest", "internal/packet", "internal/program", "internal/trust", "internal/urgent"},
	"internal/bfd":           {"internal/model", "internal/newest", "internal/urgent"},
	"internal/connsync":      {"internal/model", "internal/newest", "internal/trust"},
	"internal/connsync/ipvs": {"internal/model", "internal/newest"},

	// What makes the kernel equal to what is wanted.
	"internal/address":    {"internal/model", "internal/newest", "internal/packet"},
	"internal/dataplane":  {"internal/model", "internal/packet", "internal/sched"},
	"internal/announce":   {"internal/model"},
	"internal/realserver": {"internal/model", "internal/address", "internal/dataplane", "api"},
	// plan, because what the configuration means on this host is decided there.
	"internal/doctor": {"internal/model", "internal/plan", "internal/address", "internal/dataplane", "api"},

	// What people and programs see.
	"internal/metrics": {"internal/model", "internal/report"},
	"internal/server":  {"internal/model", "internal/report", "internal/suggest", "api"},
	"internal/ipvsadm": {"api", "client"},
	// model, because that is what config.Parse returns.
	"internal/cli": {"api", "client", "internal/config", "internal/importer", "internal/model"},

	// What joins it.
	"internal/lab":    {"internal/packet"},
	"internal/netlab": {},
	"internal/daemon": {everything},
	"cmd/weir":        {"api", "internal/cli", "internal/daemon", "internal/doctor", "internal/ipvsadm", "internal/realserver"},
	"cmd/weir-lab":    {"internal/lab", "api", "client"},
	"cmd/weir-docs":   {"internal/cli"},
	"packaging":       {},
	"stories":         {"internal/lab", "api", "client"},
	"faults":          {"internal/health", "internal/lab", "internal/ledger", "internal/model", "api", "client"},
	"bench":           {"internal/ledger"},
	// config, because that says what this version does not have.
	"parity": {"internal/config", "internal/model", "internal/lab", "client"},
}

// forTests is what the tests of any package may import besides: the labs, the path, packets to send
// through it, the harness that measures faults, and where figures are kept.
var forTests = []string{"internal/lab", "internal/netlab", "internal/dataplane", "internal/packet", "faults", "bench"}

// importers says who may import a library that reaches into the kernel, in tests too.
var importers = map[string][]string{
	"github.com/cilium/ebpf":         {"internal/dataplane", "internal/lab"},                     // the lab: its own XDP_PASS
	"github.com/vishvananda/netlink": {"internal/address", "internal/dataplane", "internal/lab"}, // dataplane: clsact
	"github.com/google/nftables":     {"internal/address"},
	"github.com/mdlayher/netlink":    {"internal/address"}, // below nftables
	"github.com/vishvananda/netns":   {"internal/address", "internal/dataplane", "internal/lab"},
}

// nameless are names that say nothing, so that everything ends up there.
var nameless = []string{"util", "utils", "common", "pkg", "helper", "helpers", "misc", "shared", "base"}

const (
	licenceGo = "// SPDX-License-Identifier: Apache-2.0"
	licenceC  = "// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause"
)
