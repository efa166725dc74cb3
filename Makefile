# The targets a developer and .ci/run use; each says what it is for.
#
#   make check   is the tree in order: format, vet, staticcheck, every platform
#   make test    every module's tests, against a real sqld
#   make soak    the tests that gain by time, SOAKTIME (10m) each, and by number
#   make fuzz    every fuzz target for FUZZTIME
#   make bench   the benchmarks; BENCHFLAGS are handed on (--list shows them)
#   make report  the benchmarks again, into docs/benchmarks.md
#   make peers   the same loops through the other clients for libSQL

SHELL := /bin/sh
.DEFAULT_GOAL := check

FUZZTIME ?= 30s
BENCHFLAGS ?=
TESTFLAGS ?= -shuffle=on -timeout=25m
# SQLite, which is C that was translated into one huge Go package for the embedded
# server, is not watched by the race detector: it runs five times as fast, and what
# calls it is watched. The second run, without cgo, is a short one: it repeats what
# the first has shown in fewer modes and with smaller numbers.
RACE := -race '-gcflags=github.com/ncruces/go-sqlite3-wasm/...=-race=false'
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
PLATFORMS := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64

# The modules of go.work; the root module comes first and is tested with
# GOWORK=off: what it promises to its users it promises with the versions of its
# own go.mod, not with those that another module here asks for.
ROOT := $(CURDIR)
NESTED := $(filter-out $(ROOT),$(shell go list -m -f '{{.Dir}}'))

.PHONY: check format vet staticcheck platforms modules house test test-race test-more soak sqld fuzz bench report peers

check: format modules vet staticcheck platforms house

format:
	@echo "gofmt"
	@files=$$(gofmt -l .) && if [ -n "$$files" ]; then echo "not formatted:"; echo "$$files"; exit 1; fi

# A module that finds the root by go.work alone cannot be tidied before the
# root has a release that holds what it uses.
modules:
	@set -e; for m in $(ROOT) $(NESTED); do \
		echo "go mod verify, $$m"; \
		(cd $$m && GOWORK=off go mod verify >/dev/null); \
		if [ $$m = $(ROOT) ] || grep -q '^replace github.com/turso-opt/turso-opt =>' $$m/go.mod; then \
			echo "go mod tidy, $$m"; \
			(cd $$m && GOWORK=off go mod tidy -diff); \
		fi; \
	done

vet:
	GOWORK=off go vet ./...
	GOWORK=off go vet -tags tursoopt_slim ./...
	@set -e; for m in $(NESTED); do echo "go vet, $$m"; (cd $$m && go vet ./...); done

staticcheck:
	@set -e; for m in $(ROOT) $(NESTED); do echo "staticcheck, $$m"; (cd $$m && go run $(STATICCHECK) ./...); done

platforms:
	@set -e; for p in $(PLATFORMS); do \
		echo "build for $$p"; \
		GOWORK=off CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} go build ./...; \
	done
	@set -e; for p in $(PLATFORMS); do \
		if [ -d cmd/turso-opt ]; then CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} go build -o /dev/null ./cmd/turso-opt; fi; \
	done

house:
	GOWORK=off go test -count=1 -run '^TestHouse' .

# Tests wait for servers, networks and clocks more than they compute: two runs at once
# take little longer than the longer one.
test: sqld
	@$(MAKE) --no-print-directory -j2 test-race test-more

test-race:
	GOWORK=off go test $(RACE) $(TESTFLAGS) ./...

test-more:
	GOWORK=off CGO_ENABLED=0 go test -short $(TESTFLAGS) ./...
	@set -e; for m in $(NESTED); do echo "go test, $$m"; (cd $$m && go test $(RACE) $(TESTFLAGS) ./...); done

SOAKTIME ?= 10m
soak: sqld
	TURSO_OPT_SOAK=$(SOAKTIME) TURSO_OPT_DIFFERENTIAL=$(SOAKTIME) GOWORK=off \
		go test $(RACE) -count=1 -v -timeout=3h -run '^(TestStress|TestFaultLedger|TestDifferential|TestIdleBehindMiddlebox|Test(Base)?CacheIsLinearizable)$$' .

sqld:
	@tools/sqld.sh >/dev/null

fuzz:
	FUZZTIME=$(FUZZTIME) tools/fuzz.sh

bench: sqld
	go run ./cmd/turso-opt bench $(BENCHFLAGS)

# The report begins with a title of its own, in place of which the preface stands.
report: sqld
	@mkdir -p bin
	go run ./cmd/turso-opt bench --markdown bin/report.md $(BENCHFLAGS)
	{ cat bench/preface.md; sed '1,2d' bin/report.md; } > docs/benchmarks.md
	rm bin/report.md

peers: sqld
	bench/peers/run.sh
