# SPDX-License-Identifier: Apache-2.0
# What one types: make (build), make demo, make test. The rest is for people who change weir.

GO     ?= go
CLANG  := clang-16
STRIP  := llvm-strip-16
FORMAT := clang-format-16
ARCH   := $(shell dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || gcc -print-multiarch 2>/dev/null || uname -m)-linux-gnu
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

.PHONY: build
build: bin/weir bin/weir-lab

.PHONY: bin/weir bin/weir-lab
bin/weir bin/weir-lab:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-X main.release=$(VERSION)' -o $@ ./cmd/$(notdir $@)

# generate remakes the committed BPF objects and what follows from bpf/types.h. It needs $(CLANG).
.PHONY: generate
generate: export BPF2GO_CC = $(CLANG)
generate: export BPF2GO_STRIP = $(STRIP)
generate: export BPF2GO_CFLAGS = -O2 -g -Wall -Werror -mcpu=v3 -I/usr/include/$(patsubst %-linux-gnu-linux-gnu,%-linux-gnu,$(ARCH))
generate:
	$(GO) generate ./internal/dataplane
