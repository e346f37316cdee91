# SPDX-License-Identifier: Apache-2.0
# What one types: make (build), make demo, make test. The rest is for people who change weir.

GO      ?= go
CLANG   := clang-16
STRIP   := llvm-strip-16
FORMAT  := clang-format-16
ARCH    := $(shell dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || echo $$(uname -m)-linux-gnu)
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

# What `make generate` and the check of its result need, and what the tests use as peers.
CLANG_PACKAGES := $(CLANG) $(FORMAT) llvm-16 libbpf-dev linux-libc-dev
TEST_PACKAGES  := nginx-light curl iproute2 ethtool procps strace stress-ng systemd mandoc apache2-bin squid vsftpd openssh-server nftables tcpdump openssl redis-server unbound dovecot-imapd dovecot-pop3d python3-aiosmtpd \
	mariadb-server postgresql slapd freeradius kamailio sip-tester python3-grpcio keepalived frr

.PHONY: build
build: bin/weir bin/weir-lab

.PHONY: bin/weir bin/weir-lab
bin/weir bin/weir-lab:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-X main.release=$(VERSION)' -o $@ ./cmd/$(notdir $@)

# demo shows the main job on real traffic, in namespaces of its own, and cleans up after itself.
.PHONY: demo
demo: build
	bin/weir-lab demo

# lab opens a shell in a running network: make lab SHAPE=lan
SHAPE ?= lan
.PHONY: lab
lab: build
	bin/weir-lab shell $(SHAPE)

# test installs the peers that are missing and runs everything that needs no virtual machine.
.PHONY: test
test: test-packages test-unit test-root

# test-all tells the slow stories, too.
.PHONY: test-all
test-all: export WEIR_ALL = 1
test-all: test

.PHONY: test-packages
test-packages:
	@test/packages $(TEST_PACKAGES)

# The pure ring: no root, no kernel.
PURE := ./api/... ./client/... ./internal/cli ./internal/config ./internal/daemon ./internal/health ./internal/layout ./internal/ledger ./internal/model ./internal/notify ./internal/packet ./internal/plan \
	./internal/program ./internal/reconcile ./internal/report ./internal/sched ./internal/server ./internal/suggest ./internal/trust
# The rings that load programs and make namespaces. They run in this order, two at a time: the stories beside those that
# mostly wait, and behind them what computes as much as the stories do.
ROOT := ./stories ./cmd/... ./internal/doctor ./internal/vrrp ./internal/bfd ./internal/connsync/... ./internal/address ./internal/lab ./internal/realserver ./packaging ./parity ./internal/dataplane
# Those that judge what clients see: beside other work they would judge that. Of one package two tests at a time, however
# many CPUs there are: with more, each would be beside as much work.
ALONE := ./faults ./bench

.PHONY: test-unit
test-unit:
	$(GO) test -count=1 $(PURE)

.PHONY: test-root
test-root: build
	$(GO) test -count=1 -p 2 -timeout 15m $(ROOT)
	$(GO) test -count=1 -p 1 -parallel 2 -timeout 15m $(ALONE)

# test-vm proves the oldest kernel that weir supports: the program ring, the demo, a start with few
# capabilities, VLAN devices and SCTP, a clock that is set under two directors, that a director of LVS and weir take over each other's connections, and that weir
# and the kernel's IPVS understand each other, on Debian 12's Linux 6.1, in qemu. Its logs are in $(VM)/out.
VM := test/ipvslab
.PHONY: test-vm
test-vm: export CGO_ENABLED = 0
test-vm: build $(VM)/.guest/ready
	rm -rf $(VM)/out
	mkdir -p $(VM)/out
	$(GO) test -c -o $(VM)/out/dataplane.test ./internal/dataplane
	$(GO) test -c -o $(VM)/out/ipvs.test ./internal/connsync/ipvs
	$(VM)/ipvslab -t 4200 -o $(VM)/out $(VM)/suite $(VM)/capable $(VM)/vlan $(VM)/beside $(VM)/clock bin/weir bin/weir-lab $(VM)/out/dataplane.test $(VM)/out/ipvs.test

$(VM)/.guest/ready: $(addprefix $(VM)/,setup mkimage init)
	$(VM)/setup

# check says whether the tree is as it must be; it changes nothing.
.PHONY: check
check:
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "not gofmt'ed:" $$unformatted; exit 1; }
	$(GO) vet ./...
	$(GO) tool -modfile=tools/go.mod staticcheck ./...
	@test/packages $(CLANG_PACKAGES) || echo "WITHOUT $(CLANG): C formatting and generated files were NOT checked"
	@! command -v $(FORMAT) >/dev/null || $(FORMAT) --dry-run -Werror bpf/*.h bpf/*.c
	@! command -v $(CLANG) >/dev/null || test/generated

# generate remakes the committed BPF objects and what follows from bpf/types.h. It needs $(CLANG).
.PHONY: generate
generate: export BPF2GO_CC = $(CLANG)
generate: export BPF2GO_STRIP = $(STRIP)
# Without slot colouring a stack slot holds one thing only: a loader without CAP_PERFMON may not write
# a number over half of a spilled pointer.
generate: export BPF2GO_CFLAGS = -O2 -g -Wall -Werror -Wno-microsoft-anon-tag -fms-extensions -mllvm -disable-ssc -mcpu=v3 -I/usr/include/$(ARCH)
generate:
	$(GO) generate ./internal/dataplane

# bench measures nanoseconds a packet beside two floors of the same run, and what the connection table takes, then LVS's headlines and what checks
# and connection sync cost in the lab, one after the other, and keeps the figures. Some of them: make bench BENCHES=./bench ONLY=checks
BENCHES := ./internal/dataplane ./bench
.PHONY: bench
bench: export WEIR_BENCH = $(CURDIR)/bench/results.json
bench:
	$(GO) test -count=1 -p 1 -timeout 30m -run '^TestBench$$/$(ONLY)' $(BENCHES) -v

# man and completion are made of the command line and of docs/config.md.
.PHONY: man completion
man completion: export SOURCE_DATE_EPOCH = $(shell git log -1 --format=%ct 2>/dev/null)
man completion:
	$(GO) run ./cmd/weir-docs $(VERSION) docs/config.md bin

# install and uninstall keep the config and the state. With DESTDIR they touch nothing outside it;
# without it they also tell systemd, and make the user.
PREFIX  ?= /usr/local
DESTDIR ?=
.PHONY: install uninstall
install: bin/weir man
	PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' packaging/install
uninstall:
	PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' packaging/uninstall

# parity makes the connections that records of the real IPVS tell of through weir, and prints which picks are
# equal. Other records of the same form: make parity RECORDS=DIR
RECORDS := parity/testdata
.PHONY: parity
parity:
	$(GO) test -count=1 -run '^TestParity$$' ./parity -v -records '$(abspath $(RECORDS))'

.PHONY: clean
clean:
	rm -rf bin

# faults injects what can go wrong, again and again, and keeps the worst figures. It fails when a bar is
# missed that is not known to be out of reach. Some of them: make faults FAULTS=1,42; fewer runs than usual: RUNS=3. All those of a package have three hours:
# a test that runs out of its time takes those behind it along.
FAULT_PACKAGES := ./internal/dataplane ./internal/vrrp ./internal/connsync/... ./internal/health ./faults
.PHONY: faults
faults: export WEIR_FAULTS = $(CURDIR)/faults/faults.json
faults: export WEIR_FAULTS_ONLY = $(FAULTS)
faults: export WEIR_FAULTS_RUNS = $(RUNS)
faults:
	$(GO) test -count=1 -p 1 -timeout 180m -run '^TestFaults$$' $(FAULT_PACKAGES) -v
