# Every target that has a `##` comment is listed by `make help`. What takes more than a line is in cmd/dev.
SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# The targets share bin/ and print as they go: one after the other.
.NOTPARALLEL:

PLUGIN := bin/vault-plugin-secrets-workfront
SIMULATOR := bin/workfront-simulator
DEV := bin/dev
GOLANGCI_LINT := bin/golangci-lint
ACTIONLINT := bin/actionlint

# The version is linked in by `dev version`: no go command needs git, or fails because of it.
export GOFLAGS += -buildvcs=false
GO_BUILD := CGO_ENABLED=0 go build -trimpath

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '\nVAULT_BIN=/path/to/vault or BAO_BIN=/path/to/bao: use that server instead of building one.\n'

# What has to be installed is checked first of all.
.PHONY: need need-test need-demo need-docs need-examples
need:
	@scripts/need.sh go
need-test:
	@scripts/need.sh go openssl pgrep ps
need-demo:
	@scripts/need.sh go curl openssl
need-docs:
	@scripts/need.sh go curl jq openssl
need-examples:
	@scripts/need.sh go curl jq node npm ansible-playbook promtool

.PHONY: $(DEV)
$(DEV): need
	@$(GO_BUILD) -o $@ ./cmd/dev

.PHONY: build
build: $(DEV) ## Build the plugin and the Workfront simulator into bin/ (static binaries)
	ldflags=$$($(DEV) version ldflags) && $(GO_BUILD) -ldflags "-s -w $$ldflags" -o $(PLUGIN) .
	$(GO_BUILD) -ldflags '-s -w' -o $(SIMULATOR) ./cmd/workfront-simulator

# The race detector needs cgo and a C compiler; continuous integration has one. Vet belongs to lint.
.PHONY: test-unit
test-unit: need
	if scripts/need.sh cc; then CGO_ENABLED=1 go test -race -vet=off ./...; \
	elif [[ -n "$${CI:-}" ]]; then exit 1; \
	else echo 'No C compiler: the unit tests run without the race detector.'; CGO_ENABLED=0 go test -vet=off ./...; fi

.PHONY: test
test: need-test build test-unit ## Run the unit tests with the race detector, then the end-to-end tests in real servers
	$(DEV) e2e 1.21
	if [[ -z "$${VAULT_BIN:-}$${BAO_BIN:-}" ]]; then $(DEV) e2e 1.19 -run '^TestStory'; fi

.PHONY: test-e2e
test-e2e: need-test build ## Run the end-to-end tests alone, in one server
	$(DEV) e2e 1.21

.PHONY: test-long
test-long: need-test build ## Run the end-to-end tests whose long form takes minutes: a warm role, 10,000 leases in an outage, a cluster
	WORKFRONT_E2E_LONG=1 $(DEV) e2e 1.21 -run 'ManyLeases' # alone, because it measures the slowest of many reads
	WORKFRONT_E2E_LONG=1 $(DEV) e2e 1.21 -run 'Warm|Mass|DisableInOutage|Cluster'

.PHONY: test-examples
test-examples: need-examples build ## Run the examples in a real server, and decode those that cannot be run here
	cd test/decode && go test -vet=off ./...
	@echo 'The Terraform module is decoded, and its requests are sent; to run it: TERRAFORM_BIN=/path/to/terraform make test-terraform'
	cd examples/clients/node && npm ci --no-audit --no-fund
	VAULT_BIN="$${VAULT_BIN:-$${BAO_BIN:-$$($(DEV) vault 1.21)}}" PLUGIN_BIN="$$PWD/$(PLUGIN)" go test -tags e2e -vet=off -count=1 -timeout 20m ./test/examples

.PHONY: test-terraform
test-terraform: need build ## Run the Terraform module with the binary that TERRAFORM_BIN names (TERRAFORM_PROVIDERS: a mirror of providers)
	@[[ -n "$${TERRAFORM_BIN:-}" ]] || { echo 'TERRAFORM_BIN is not set: TERRAFORM_BIN=/path/to/terraform make test-terraform' >&2; exit 1; }
	VAULT_BIN="$${VAULT_BIN:-$${BAO_BIN:-$$($(DEV) vault 1.21)}}" PLUGIN_BIN="$$PWD/$(PLUGIN)" go test -tags e2e,terraform -vet=off -count=1 -timeout 20m -run '^TestTerraform$$' ./test/examples

.PHONY: test-docs
test-docs: need-docs build ## Run the commands of README and docs as they are written, against the simulator (PAGES=docs/keys.md)
	$(DEV) test-docs $(PAGES)

.PHONY: test-openbao
test-openbao: need-test build ## Run the end-to-end tests in the OpenBao that BAO_BIN names
	@[[ -n "$${BAO_BIN:-}" ]] || { echo 'BAO_BIN is not set: BAO_BIN=/path/to/bao make test-openbao' >&2; exit 1; }
	VAULT_BIN= $(DEV) e2e 1.21

.PHONY: bench
bench: need-test build ## Measure the plugin against lean engines, about 20 minutes (QUICK=1, PARTS=..., PROFILE=1)
	$(DEV) bench

# A run writes bin/bench.json; the one that is published is docs/figures.json.
.PHONY: bench-plots
bench-plots: bin/plots ## Draw the figures of a benchmark (FIGURES, docs/figures.json by default) into docs/images
	bin/plots -figures "$(or $(FIGURES),docs/figures.json)" -dir docs/images

# gremlins changes one operator at a time and runs the package's tests. It gives them a multiple of what they took at first,
# which must not come from Go's cache. Those of session take minutes: hours for all of it.
.PHONY: mutants
mutants: bin/gremlins ## Change the code one line at a time and list what no test noticed (MUTANTS="./internal/ledger ...")
	for package in $(or $(MUTANTS),./internal/ledger ./internal/pemtext ./internal/settings ./internal/signingkey); do \
	  GOFLAGS=-count=1 bin/gremlins unleash --workers 2 --timeout-coefficient 5 "$$package"; \
	done

.PHONY: fuzz
fuzz: need ## Fuzz what comes from outside for five minutes in all (FUZZ_SECONDS)
	scripts/fuzz.sh

.PHONY: soak
soak: need-test $(DEV) ## Mixed load with faults at random in a real Vault for SOAK_TIME (10m): nothing may grow; SEED repeats the choices
	$(DEV) soak -time "$(or $(SOAK_TIME),10m)" $(if $(SEED),-seed "$(SEED)")

.PHONY: lint
lint: need $(DEV) $(GOLANGCI_LINT) $(ACTIONLINT) licenses ## Check the code, pages, scripts, workflows, licenses, go.mod
	go mod verify
	go mod tidy -diff
	gofmt -l $$(git ls-files '*.go') | { ! grep .; } # of all modules; gofumpt, below, allows what gofmt does not
	go vet ./...
	go vet -tags e2e,terraform ./...
	$(GOLANGCI_LINT) run ./...
	cd tools/release && go vet ./... && ../../$(GOLANGCI_LINT) run ./...
	cd tools/plots && go vet ./... && ../../$(GOLANGCI_LINT) run ./...
	scripts/lint-shell.sh
	$(DEV) lint-docs
	go test -vet=off -run '^TestDocs' .
	$(ACTIONLINT)

# Samples are recorded in a real Vault; the pages are made of them and of what the plugin says of itself.
.PHONY: docs
docs: need-test build ## Record the samples of the API reference in a real Vault, and write the generated pages of docs
	$(DEV) e2e 1.21 -run '^TestSamples$$' -update
	go test -vet=off -run '^TestDocs' . -update

.PHONY: lint-links
lint-links: $(DEV) ## Check the links to elsewhere, which needs the Internet
	$(DEV) lint-links

.PHONY: fmt
fmt: $(GOLANGCI_LINT) ## Format the Go code (gofumpt)
	$(GOLANGCI_LINT) fmt ./...

.PHONY: cover
cover: $(DEV) ## Measure the unit tests' statement coverage; fails below 90 %
	$(DEV) cover 90

.PHONY: demo
demo: need-demo build ## Run the core workflow in a real Vault or OpenBao against the simulator, then clean up
	$(DEV) demo

.PHONY: demo-svg
demo-svg: need-demo build ## Draw a run of make demo as docs/images/demo.svg
	$(DEV) demo-svg

.PHONY: dev
dev: need-demo build ## Leave a server running with the plugin set up (simulator, or your Workfront by WORKFRONT_* variables)
	$(DEV) up

.PHONY: release-snapshot
release-snapshot: release-tools ## Make everything of a release that needs no credentials, in bin/dist (SINGLE_TARGET=1)
	$(DEV) release snapshot

.PHONY: release-check
release-check: release-tools ## Build the last commit twice and compare every file (COLD=1, SINGLE_TARGET=1)
	$(DEV) release-check

.PHONY: release-test
release-test: need-demo $(DEV) $(SIMULATOR) ## Install what is in bin/dist in a real Vault, by its checksums, and use it (BAO_BIN: OpenBao takes the image, too)
	$(DEV) release-test
	if [[ -n "$${BAO_BIN:-}" ]]; then cd tools/release && go test -tags e2e -count=1 -run TestOpenBao ./image; fi

# The forge's workflow runs it, and then signs and publishes what it has made.
.PHONY: release
release: release-tools ## Make the release of the tag that is checked out, in bin/dist, with the Go that go.mod names
	$(DEV) release tagged

# Dependabot does not raise the toolchain: the weekly job fails until `bin/dev toolchain raise` has done so.
.PHONY: toolchain
toolchain: $(DEV) ## Check that go.mod names the newest patch release of Go
	$(DEV) toolchain

.PHONY: vuln
vuln: $(DEV) bin/govulncheck ## Look for known vulnerabilities in what is called (VULN_REQUIRED=1: fail without the database)
	$(DEV) vuln

.PHONY: licenses
licenses: bin/notices ## Check that every license linked in is on the short list
	bin/notices -targets linux/amd64,darwin/arm64,windows/amd64,freebsd/amd64

.PHONY: clean
clean: ## Remove bin/: binaries, built Vault servers, the linters, releases, coverage
	rm -rf bin

# Modules of their own, so that the tools' dependencies stay out of the plugin's go.mod, and out of one another's.
TOOL_BUILD := $(GO_BUILD) -mod=readonly -ldflags '-s -w' -o

$(GOLANGCI_LINT): tools/go.mod tools/go.sum
	cd tools && $(TOOL_BUILD) ../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

$(ACTIONLINT): tools/actionlint/go.mod tools/actionlint/go.sum
	cd tools/actionlint && $(TOOL_BUILD) ../../$@ github.com/rhysd/actionlint/cmd/actionlint

bin/gremlins: tools/gremlins/go.mod tools/gremlins/go.sum
	cd tools/gremlins && $(TOOL_BUILD) ../../$@ github.com/go-gremlins/gremlins/cmd/gremlins

bin/govulncheck: tools/govulncheck/go.mod tools/govulncheck/go.sum
	cd tools/govulncheck && $(TOOL_BUILD) ../../$@ golang.org/x/vuln/cmd/govulncheck

.PHONY: release-tools
release-tools: $(DEV) bin/goreleaser bin/cyclonedx-gomod bin/notices bin/image

bin/goreleaser: tools/release/go.mod tools/release/go.sum
	@echo 'Building GoReleaser, once: 2 to 5 minutes on two cores'
	cd tools/release && $(TOOL_BUILD) ../../$@ github.com/goreleaser/goreleaser/v2

bin/cyclonedx-gomod: tools/release/go.mod tools/release/go.sum
	cd tools/release && $(TOOL_BUILD) ../../$@ github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod

bin/notices bin/image: bin/%: tools/release/go.mod tools/release/go.sum $(wildcard tools/release/*/*.go)
	cd tools/release && $(TOOL_BUILD) ../../$@ ./$*

bin/plots: tools/plots/go.mod tools/plots/go.sum $(wildcard tools/plots/*.go)
	cd tools/plots && $(TOOL_BUILD) ../../$@ .

$(SIMULATOR):
	$(GO_BUILD) -ldflags '-s -w' -o $@ ./cmd/workfront-simulator
