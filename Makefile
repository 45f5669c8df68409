# multipack: `make demo` shows the main job, `make test` passes all tests.
GO        ?= go
BIN       := bin/multipack
VERSION   ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS   := -s -w -X main.version=$(VERSION)
TOOLS     := $(CURDIR)/.tools
OUT       := out
FUZZTIME  ?= 10s
BENCHARGS ?=

# Pinned tools; each is built from its module when it is first needed.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
REVIVE      := github.com/mgechev/revive@v1.16.0

export CGO_ENABLED ?= 0

.PHONY: all build test race stress lint fuzz bench pgo docs demo samples clean help

all: build

help: ## show the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

build: ## build bin/multipack
	$(GO) build -trimpath -ldflags "$(LDFLAGS)" -o $(BIN) ./cmd/multipack

test: samples ## run all tests; what needs an engine or a foreign tool is skipped, visibly, where there is none
	$(GO) test -shuffle=on ./...

race: samples ## all tests with the race detector (needs a C compiler)
	CGO_ENABLED=1 $(GO) test -race -shuffle=on ./...

lint: $(TOOLS)/staticcheck $(TOOLS)/revive ## gofmt, vet, staticcheck, revive
	@test -z "$$(gofmt -l bench cmd internal pkg acceptance testhelpers samples)" || { gofmt -l bench cmd internal pkg acceptance testhelpers samples; exit 1; }
	$(GO) vet ./...
	$(TOOLS)/staticcheck ./...
	$(TOOLS)/revive -config revive.toml -set_exit_status ./...

fuzz: ## fuzz every parser for FUZZTIME each
	@set -e; $(GO) list -f '{{$$p := .}}{{range .TestGoFiles}}{{$$p.Dir}}/{{.}} {{$$p.ImportPath}}{{"\n"}}{{end}}{{range .XTestGoFiles}}{{$$p.Dir}}/{{.}} {{$$p.ImportPath}}{{"\n"}}{{end}}' ./... | while read -r file pkg; do \
		sed -nE 's/^func (Fuzz[A-Za-z0-9_]*)\(.*/\1/p' "$$file" | while read -r name; do \
			echo "== $$pkg $$name"; $(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "$$pkg" </dev/null; \
		done; \
	done

stress: samples ## what takes long: every interleaving of three writers, many processes on one tag
	MULTIPACK_STRESS=1 $(GO) test -timeout 60m -run 'TestModelThree' ./pkg/announce
	MULTIPACK_STRESS=1 $(GO) test -timeout 60m -run 'TestAppend|TestScripts/append_' ./acceptance

bench: ## measure multipack and the peers on PATH (BENCHARGS: see `go run ./bench -h`)
	$(GO) run ./bench $(BENCHARGS)

# What the compiler optimises for: the benchmarks of the hot paths. -trimpath
# keeps folders of the machine out of the file.
PROFILED := pkg/layer:Layer|Platforms pkg/manifest:1000 pkg/buildpack/inspect:. pkg/reference:.

pgo: ## profile the hot paths anew (cmd/multipack/default.pgo, which every build uses)
	@rm -rf $(OUT)/pgo && mkdir -p $(OUT)/pgo
	@for p in $(subst |,\|,$(PROFILED)); do \
		name=$$(echo $${p%%:*} | tr / -); \
		$(GO) test -trimpath -run '^$$' -bench "$${p#*:}" -benchtime 2s -cpuprofile $(OUT)/pgo/$$name.out -o $(OUT)/pgo/$$name.test ./$${p%%:*} || exit 1; \
	done
	$(GO) tool pprof -proto $(OUT)/pgo/*.out > cmd/multipack/default.pgo

docs: ## write the command reference and the man pages
	$(GO) run ./internal/commands/reference docs

samples: $(OUT)/hello-go/buildpack.toml

# The Go sample, cross-compiled: one folder per platform.
$(OUT)/hello-go/buildpack.toml: samples/hello-go/main.go samples/hello-go/buildpack.toml
	@mkdir -p $(OUT)/hello-go
	@for arch in amd64 arm64; do \
		for name in detect build; do \
			GOOS=linux GOARCH=$$arch $(GO) build -trimpath -ldflags "-s -w -buildid=" -o $(OUT)/hello-go/linux/$$arch/bin/$$name ./samples/hello-go || exit 1; \
		done; \
	done
	@cp samples/hello-go/buildpack.toml $@

demo: build samples ## package samples/ for two platforms into a layout on disk, and look inside
	@rm -rf $(OUT)/demo
	$(BIN) buildpack package oci-layout://$(OUT)/demo:hello-shell --path samples/hello-shell
	$(BIN) buildpack package oci-layout://$(OUT)/demo:hello-go --path $(OUT)/hello-go
	$(BIN) buildpack inspect oci-layout://$(OUT)/demo:hello-go --platform linux/arm64
	$(BIN) buildpack package $(OUT)/demo/hello-shell.cnb --path samples/hello-shell --platform linux/arm64 --format file

$(TOOLS)/staticcheck:
	GOBIN=$(TOOLS) $(GO) install $(STATICCHECK)

$(TOOLS)/revive:
	GOBIN=$(TOOLS) $(GO) install $(REVIVE)

clean: ## remove what was built
	rm -rf bin $(OUT) $(TOOLS)
