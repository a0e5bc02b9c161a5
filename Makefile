# Every target that has a `##` comment is listed by `make help`. What takes more than a line is in scripts/.
SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# The scripts share bin/ and print as they go: one after the other.
.NOTPARALLEL:

PLUGIN := bin/vault-plugin-secrets-workfront
SIMULATOR := bin/workfront-simulator
GOLANGCI_LINT := bin/golangci-lint

# The version comes from scripts/version.sh: no go command needs git, or fails because of it.
export GOFLAGS += -buildvcs=false
GO_BUILD := CGO_ENABLED=0 go build -trimpath

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '\nVAULT_BIN=/path/to/vault makes what needs a Vault use that one instead of building it.\n'

.PHONY: build
build: ## Build the plugin and the Workfront simulator into bin/ (static binaries)
	ldflags=$$(scripts/version.sh ldflags) && $(GO_BUILD) -ldflags "-s -w $$ldflags" -o $(PLUGIN) .
	$(GO_BUILD) -ldflags '-s -w' -o $(SIMULATOR) ./cmd/workfront-simulator

# The race detector needs cgo and a C compiler (gcc or clang). Vet belongs to lint.
.PHONY: test-unit
test-unit:
	CGO_ENABLED=1 go test -race -vet=off ./...

.PHONY: test
test: build test-unit ## Run the unit tests with the race detector, then the end-to-end tests in real Vault servers
	scripts/e2e.sh 1.21
	if [[ -z "$${VAULT_BIN:-}" ]]; then scripts/e2e.sh 1.19 -run '^TestStory'; fi

.PHONY: test-long
test-long: build ## Run the end-to-end tests whose long form takes minutes: a warm role, 10,000 leases in an outage, a cluster
	WORKFRONT_E2E_LONG=1 scripts/e2e.sh 1.21 -run 'Warm|Mass|DisableInOutage|Cluster'

.PHONY: bench
bench: build ## Measure the plugin against the limits of Vault and processor, 17 minutes (QUICK=1, PARTS=..., PROFILE=1)
	scripts/bench.sh

.PHONY: fuzz
fuzz: ## Fuzz what comes from outside for five minutes in all (FUZZ_SECONDS)
	scripts/fuzz.sh

.PHONY: soak
soak: ## Mixed load with faults at random in a real Vault for SOAK_TIME (10m): nothing may grow; SEED repeats the choices
	scripts/soak.sh -time "$(or $(SOAK_TIME),10m)" $(if $(SEED),-seed "$(SEED)")

.PHONY: lint
lint: $(GOLANGCI_LINT) ## Check formatting, vet, golangci-lint, shell scripts, go.mod
	go mod verify
	go mod tidy -diff
	go vet ./...
	go vet -tags e2e ./...
	$(GOLANGCI_LINT) run ./...
	scripts/lint-shell.sh

.PHONY: fmt
fmt: $(GOLANGCI_LINT) ## Format the Go code (gofumpt)
	$(GOLANGCI_LINT) fmt ./...

.PHONY: cover
cover: ## Measure the unit tests' statement coverage; fails below 90 %
	scripts/cover.sh 90

.PHONY: demo
demo: build ## Walk the whole story in a real Vault against the simulator, then clean up
	scripts/demo.sh

.PHONY: dev
dev: build ## Leave a Vault running with the plugin set up (simulator, or your Workfront by WORKFRONT_* variables)
	scripts/dev.sh

.PHONY: clean
clean: ## Remove bin/: binaries, built Vault servers, the linter, coverage
	rm -rf bin

# A module of its own, so that the linter's dependencies stay out of the plugin's go.mod.
$(GOLANGCI_LINT): tools/go.mod tools/go.sum
	cd tools && $(GO_BUILD) -mod=readonly -ldflags '-s -w' -o ../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint
