# What CI runs and what a maintainer runs are the same verbs.

# The loops below also say "exit 1" themselves: the make of macOS, 3.81, does
# not know .SHELLFLAGS.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

DIST      ?= dist
PLATFORMS ?= linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64
VERSION   ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
# Archives carry this time, so that the same commit gives the same bytes.
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)

# Without cgo every platform is built alike, from any platform. -trimpath and
# -buildvcs=false keep the builder's folders and the state of its checkout out
# of the binary; the version says which commit it is. The compiler collects no garbage below a gigabyte: that
# was a fifth of its work.
GO_BUILD = CGO_ENABLED=0 GOGC=off GOMEMLIMIT=1GiB go build -trimpath -buildvcs=false \
	-ldflags "-s -w -X main.version=$(VERSION)"
# On this machine the plugin and the embedded cluster have the same flags, so that what both are made of is
# compiled once. The linker drops what this spares the compiler.
NO_DWARF = -gcflags=all=-dwarf=false
CLUSTER  = CGO_ENABLED=0 go run -trimpath $(NO_DWARF) ./test/cluster
GO_TOOL  = go tool -modfile=test/tools/go.mod
# -count=1: end-to-end and packaging tests depend on more than go test's cache
# can see (a cluster, this file, the binary that they build).
# Most of a test is waiting for a cluster: more of them than cores run at once.
GO_TEST  = go test -count=1 -timeout 40m -parallel 12

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: build
build: ## Build bin/kubectl-eshell for this machine
	$(GO_BUILD) $(NO_DWARF) -o bin/ ./cmd/kubectl-eshell

# kubectl runs the second file for completion: the plugin, which knows itself by that name.
PREFIX ?= $(HOME)/.local

.PHONY: install
install: build ## Install the plugin into PREFIX/bin (~/.local/bin)
	@mkdir -p '$(PREFIX)/bin'
	install bin/kubectl-eshell '$(PREFIX)/bin/'
	ln -sf kubectl-eshell '$(PREFIX)/bin/kubectl_complete-eshell'
	@case ":$$PATH:" in *':$(PREFIX)/bin:'*) ;; *) \
		echo 'kubectl finds plugins in PATH only. Add this to the profile of your shell:'; \
		echo '  export PATH="$$PATH:$(PREFIX)/bin"' ;; esac

# Let nothing else run on the machine meanwhile. BENCH is for flags: see "go run ./test/bench -h".
BENCH ?=

.PHONY: bench
bench: build $(if $(ESHELL_E2E_CONTEXT),,cluster-up) ## Time this plugin and its peers, and write docs/benchmarks
	go run ./test/bench $(BENCH)

.PHONY: demo
demo: build ## Show the plugin at work
	test/demo/demo.sh

# PICTURES names some of them: session, clone, debug, explain, picker.
PICTURES ?=

.PHONY: pictures
pictures: build cluster-up ## Record sessions, draw the diagram, and write docs/pictures
	npm ci --prefix test/pictures --ignore-scripts --no-audit --no-fund
	go run ./test/pictures $(PICTURES)

# ESHELL_E2E_CONTEXT names a cluster of the caller's, to use instead of ours.
# The end-to-end tests come first: they take the longest, and the others run beside them.
.PHONY: test
test: $(if $(ESHELL_E2E_CONTEXT),,cluster-up) ## Run every test: unit, script and end-to-end
	$(GO_TEST) -skip '$(FAULTS)' ./test/e2e ./...
	$(MAKE) test-faults
	$(if $(ESHELL_E2E_CONTEXT),,ESHELL_CLUSTER_TEST=1 $(GO_TEST) ./test/cluster/embedded)

# These want the machine for themselves, and print figures. The trials of TestFaults wait for each
# other, so that many have to run side by side. FAULTS_ALL=1 tries every fault in every phase and mode, twice
# as many as differ.
FAULTS = ^(TestFaults|TestLoad|TestData|TestRuntimeStopped)$$
FAULTS_ALL ?=

.PHONY: test-faults
test-faults: $(if $(ESHELL_E2E_CONTEXT),,cluster-up) ## Try every fault in every phase of a session, and load
	ESHELL_FAULTS_ALL=$(FAULTS_ALL) $(GO_TEST) -parallel 32 -v -run '$(FAULTS)' ./test/e2e

# What runs on other versions of Kubernetes too: both modes, by exec and by attach, the lease, exit statuses,
# isolation. VERSIONS has the newest release of each minor that the Go module proxy serves completely.
CORE_TESTS   = TestServer|TestShell|TestApart|TestRenewed|TestLeaseDeleted|TestKill|TestAttach|TestDetach
CORE_SCRIPTS = access|broken|clone|debug|labels|lease|noshell|shells|status|streams|words
CORE         = ^($(CORE_TESTS))$$|^TestScripts$$/^($(CORE_SCRIPTS))$$
VERSIONS    ?= 1.33.13 1.34.4 1.35.4 1.36.3 1.37.2
RESULTS      = $(DIST)/versions

# Results of other versions stay in $(RESULTS), and so in the page, until they run again or "make clean".
.PHONY: test-versions
test-versions: ## Run the core on each of VERSIONS and write docs/compatibility.md
	@mkdir -p '$(RESULTS)'
	@for version in $(VERSIONS); do \
		echo "=== kubernetes $$version"; \
		ESHELL_K8S_VERSION=$$version $(GO_TEST) -json -run '$(CORE)' ./test/e2e \
			>'$(RESULTS)'/$$version.json || echo "failed"; \
	done
	go run ./test/versions docs/compatibility.md '$(RESULTS)'/*.json

# CI runs everything on the newest, which is the cluster's default, and the core on the oldest. Only the core
# has the race detector: it starts a tenth of all sessions, and they do at the same time all that sessions do.
OLDEST = $(firstword $(VERSIONS))

.PHONY: build-oldest
build-oldest: ## Build the oldest of VERSIONS, without starting it
	ESHELL_K8S_VERSION=$(OLDEST) $(CLUSTER) build

.PHONY: test-oldest
test-oldest: ## Run the core on the oldest of VERSIONS, with the race detector
	ESHELL_K8S_VERSION=$(OLDEST) ESHELL_RACE=1 $(GO_TEST) -run '$(CORE)' ./test/e2e

.PHONY: test-unit
test-unit: ## Run the tests that need no cluster
	$(GO_TEST) -short ./...

# Each target by itself: go test -fuzz takes one. A finding is written to the package's testdata/fuzz, from where
# every later "go test" runs it.
FUZZ_TIME ?= 1m

.PHONY: fuzz
fuzz: ## Fuzz each target for a minute (FUZZ_TIME)
	@for target in $$(grep -rhoE --include='*_test.go' 'func Fuzz[A-Za-z]+' pkg test | cut -c6-); do \
		package=$$(dirname "$$(grep -rlE --include='*_test.go' "func $$target\(" pkg test)"); \
		echo "$$package $$target"; \
		go test "./$$package" -run '^$$' -fuzz "^$$target\$$" -fuzztime '$(FUZZ_TIME)' || exit 1; \
	done

.PHONY: lint
lint: ## Run the linters: of Go (.golangci.yaml), shell scripts and workflows
	$(GO_TOOL) golangci-lint run ./...
	shellcheck --severity=warning .ci/run $$(git ls-files '*.sh')
	go tool -modfile=test/tools/actionlint/go.mod actionlint

.PHONY: vulnerabilities
vulnerabilities: ## Look for known vulnerabilities in what is called (asks vuln.go.dev)
	$(GO_TOOL) govulncheck ./...

# vet type-checks every package and its tests, so it is also the check that
# they compile on each platform. -trimpath shares the build cache with dist. windows/arm64 is only built:
# nothing is of it that is not of windows/amd64 or of another arm64, and without a cache it takes minutes.
.PHONY: verify
verify: ## Check format, modules, the manifest and every platform's archive
	@unformatted=$$(gofmt -l cmd pkg test); \
	if [ -n "$$unformatted" ]; then echo "not gofmt'ed:"; echo "$$unformatted"; exit 1; fi
	@long=$$(LC_ALL=C.UTF-8 grep -HnE '^[^|].{110,}' README.md SECURITY.md docs/*.md test/*/README.md | grep -vE 'https?://' || true); \
	if [ -n "$$long" ]; then echo "longer than 110 columns:"; echo "$$long"; exit 1; fi
	go mod tidy -diff
	go -C test/tools mod tidy -diff
	go -C test/tools/actionlint mod tidy -diff
	@for platform in $(filter-out windows/arm64,$(PLATFORMS)); do \
		echo "go vet ./... ($$platform)"; \
		GOOS=$${platform%/*} GOARCH=$${platform#*/} CGO_ENABLED=0 \
			go vet -trimpath ./... || exit 1; \
	done
	ESHELL_DIST=all $(GO_TEST) ./test/packaging

.PHONY: dist
dist: ## Build the release archives of every platform into dist/
	rm -rf '$(DIST)'
	@for platform in $(PLATFORMS); do \
		echo "go build ($$platform)"; \
		GOOS=$${platform%/*} GOARCH=$${platform#*/} \
			$(GO_BUILD) -o "$(DIST)/$${platform/\//_}/" ./cmd/kubectl-eshell || exit 1; \
	done
	go run ./test/packaging/release archive '$(DIST)' '$(VERSION)' $(SOURCE_DATE_EPOCH)
	@cat '$(DIST)/checksums.txt'

.PHONY: manifest
manifest: ## Render plugins/eshell.yaml from dist/ (VERSION=vX.Y.Z, after dist)
	@mkdir -p '$(DIST)'
	go run ./test/packaging/release manifest '$(DIST)' '$(VERSION)' > '$(DIST)/eshell.yaml'
	mv '$(DIST)/eshell.yaml' plugins/eshell.yaml

.PHONY: formula
formula: ## Render dist/kubectl-eshell.rb for Homebrew (VERSION=vX.Y.Z, after dist)
	go run ./test/packaging/release formula '$(DIST)' '$(VERSION)' > '$(DIST)/formula'
	mv '$(DIST)/formula' '$(DIST)/kubectl-eshell.rb'

.PHONY: cluster-up
cluster-up: ## Start the embedded cluster that end-to-end tests use
	$(CLUSTER) up

.PHONY: cluster-down
cluster-down: ## Stop the embedded cluster
	$(CLUSTER) down

.PHONY: clean
clean: ## Remove what the verbs above built
	rm -rf bin '$(DIST)'
