# Tools are pinned here and nowhere else; they are fetched when first used.
GO          ?= go
STATICCHECK := $(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOFUMPT     := $(GO) run mvdan.cc/gofumpt@v0.12.0
BENCHSTAT   := $(GO) run golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da

# Packages that do not link the Pulumi engine: they build and run in seconds.
LIGHT := ./manifest/... ./providers/local/api ./providers/local/broker/... ./providers/local/host/... \
         ./stacks/event ./stacks/bundle/... ./templates/...

.DEFAULT_GOAL := help
.PHONY: help build demo test race golden fuzz bench lint verify crash-bar pulumi-check bench-http check-types

help:       ## list the targets
	@grep -hE '^[a-z-]+: *[a-z ]*##' $(MAKEFILE_LIST) | sed -E 's/:[a-z ]*##/\t/' | expand -t14

build:      ## build bin/anyfaas
	$(GO) build -o bin/anyfaas ./cmd/anyfaas

demo: build ## deploy an example to this machine, call it, preview a change, apply it, remove it
	@PATH="$(CURDIR)/bin:$$PATH" sh examples/demo.sh

test:       ## run every test; what needs Node.js or Python is skipped where they are absent
	$(GO) test -timeout 30m ./...

race:       ## run the tests that need no engine under the race detector
	$(GO) test -race -timeout 20m $(LIGHT)

golden:     ## rewrite expected files; review the diff
	UPDATE=1 $(GO) test -timeout 30m ./...

fuzz:       ## fuzz the manifest reader for a minute (FUZZTIME=5m for longer)
	$(GO) test ./manifest -run '^$$' -fuzz FuzzLoad -fuzzminimizetime 3s -fuzztime $(or $(FUZZTIME),60s)

bench:      ## run benchmarks into new.txt and compare with old.txt
	$(GO) test -run '^$$' -bench . -count 10 ./manifest/... ./providers/... ./stacks/... | tee new.txt
	test ! -f old.txt || $(BENCHSTAT) old.txt new.txt

lint:       ## vet, format, staticcheck
	$(GO) vet ./...
	@unformatted="$$($(GOFUMPT) -l .)"; test -z "$$unformatted" || { echo "not formatted by gofumpt:"; echo "$$unformatted"; exit 1; }
	$(STATICCHECK) ./...

verify: lint test ## everything that must hold before a change is merged, ending with a clean tree
	$(GO) mod tidy -diff
	$(MAKE) golden
	git diff --exit-code

crash-bar:  ## kill deploy at 30 random moments; each next deploy must converge
	CRASH_RUNS=30 $(GO) test -timeout 60m -count 1 -v -run TestADeployThatIsKilled ./e2e

# The command is built in a module of its own: it needs modules that we do not.
PULUMI := github.com/pulumi/pulumi/pkg/v3
pulumi-check: ## build the pulumi command (minutes) and let it read our state
	rm -rf bin/pulumi-command && mkdir -p bin/pulumi-command
	version=$$($(GO) list -m -f '{{.Version}}' $(PULUMI)) && cd bin/pulumi-command && \
		$(GO) mod init pulumi-command && $(GO) get $(PULUMI)/cmd/pulumi@$$version && \
		$(GO) build -o ../pulumi $(PULUMI)/cmd/pulumi
	PULUMI_COMMAND=$(CURDIR)/bin/pulumi $(GO) test -timeout 60m -count 1 -v -run Pulumi ./stacks/engine ./e2e

check-types: ## type-check the TypeScript examples and templates (needs npm)
	CHECK_TYPES=1 $(GO) test -timeout 20m -count 1 -v -run TestTypeScriptProjectsHaveNoTypeErrors ./e2e

bench-http: ## measure HTTP on this machine beside other Node.js servers (needs npm)
	BENCH_HTTP=1 $(GO) test -timeout 20m -count 1 -v -run TestHTTPThroughput ./e2e
