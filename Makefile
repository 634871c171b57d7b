# All there is to know: `make run` starts the demonstration, `make test` runs every check. Nothing else is needed first.
SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin
CLIENTS := tests/clients/node_modules/.installed

BENCHES := scoped workers catalogue latency logins idle stream routes start stability
PEERS := bench/peers/node_modules/.installed

.PHONY: help setup run test lint unit verify fuzz storm login-timing record-timing docs lock clean
.PHONY: bench bench-all bench-report bench-peers bench-profile bench-deciders bench-lane $(addprefix bench-,$(BENCHES))

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

setup: .venv/.installed ## make .venv with everything the project needs

.venv/.installed: requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; try make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

run: setup ## start the demonstration on 127.0.0.1:8080 (admin 127.0.0.1:9901)
	@$(BIN)/gateway demo

test: lint unit ## everything: lint, types, import contracts, all tests

lint: setup ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: setup clients ## all tests, the real SDKs included, and those of behaviour again without the express lane
	$(BIN)/python -m pytest -n 2
	GATEWAY_TEST_LANE=standard $(BIN)/python -m pytest -n 2 tests/house tests/attacks tests/clients tests/storm

.PHONY: clients
clients: ## install the real SDKs for tests/clients, where there is a Node to run them
	@if command -v npm >/dev/null 2>&1; then $(MAKE) --no-print-directory $(CLIENTS); \
	else echo "no npm on this machine: the tests with the real SDKs will be skipped"; fi

$(CLIENTS): tests/clients/package-lock.json
	cd tests/clients && npm ci --silent --no-audit --no-fund
	@touch $@

verify: setup ## attack the demonstration as one customer, and look for anything of another: build/verify.html, build/verify.json
	$(BIN)/gateway verify --demo --report build/verify.html --report build/verify.json

# atheris has no wheel for every Python and machine; where it has none the list is empty, and the rest is fuzzed.
.venv/.fuzz: .venv/.installed requirements/fuzz.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/fuzz.txt
	@touch $@

FUZZ_SECONDS ?= 60
fuzz: .venv/.fuzz ## look for inputs that break a promise, FUZZ_SECONDS (60) for each target
	$(BIN)/python -m tests.fuzz --seconds $(FUZZ_SECONDS)

STORM_REQUESTS ?= 100000
storm: setup ## STORM_REQUESTS (100000) requests with aborts and upstream faults: no reply may be wrong
	$(BIN)/python -m tests.storm --requests $(STORM_REQUESTS)

bench: bench-peers bench-scoped ## the headline: scoped GETs beside nginx, HAProxy, fastify and bare aiohttp

bench-all: setup bench-peers ## every benchmark (about 25 minutes), then bench-report; status 1 where a wanted figure is missed
	@missed=; for one in $(BENCHES); do $(BIN)/python -m bench.$$one || missed="$$missed $$one"; echo; done; \
	$(MAKE) --no-print-directory bench-report; test -z "$$missed" || { echo "missed:$$missed"; exit 1; }

bench-report: setup ## write the last figures into bench/RESULTS.md and bench/results.svg
	$(BIN)/python -m bench.report

$(addprefix bench-,$(BENCHES)): bench-%: setup
	$(BIN)/python -m bench.$*

bench-scoped: ## the same as bench, with what is installed already
bench-workers: ## two workers beside one
bench-catalogue: ## 66 KB that no guard reads, in bytes a second beside nginx
bench-latency: ## added latency at 500 requests a second, open loop, beside nginx
bench-logins: ## latency while 20 clients log in all the time
bench-idle: ## memory of 5,000 idle connections; 10,000 accepted
bench-stream: ## 1 GiB down and up: memory, and bytes a second beside nginx
bench-routes: ## 2,000 routes beside 20
bench-start: ## seconds from start to ready
bench-stability: ## 1,000,000 requests with faults: nothing may grow, no reply may be wrong

bench-profile: setup ## what the gateway spends its time in under load
	$(BIN)/python -m bench.scoped --profile

bench-peers: ## install what the gateway is measured beside, and wrk (packages of Debian and npm, as root)
	@missing=$$(for one in nginx:nginx-light haproxy:haproxy wrk:wrk taskset:util-linux npm:npm; do \
	  command -v $${one%%:*} >/dev/null 2>&1 || echo $${one#*:}; done); \
	if [ -z "$$missing" ]; then :; \
	elif command -v apt-get >/dev/null 2>&1 && [ "$$(id -u)" = 0 ]; then \
	  apt-get update -qq && apt-get install -y -qq --no-install-recommends $$missing; \
	else echo "missing, install with your package manager (Debian's names):" $$missing; exit 1; fi
	@$(MAKE) --no-print-directory $(PEERS)

$(PEERS): bench/peers/package-lock.json
	cd bench/peers && npm ci --silent --no-audit --no-fund
	@touch $@

bench-lane: setup ## where the microseconds of the express lane go, without sockets
	$(BIN)/python -m bench.lane

bench-deciders: setup ## what deciding costs a request, in microseconds, and the guard's judging
	$(BIN)/python -m bench.deciders

.venv/.bench: .venv/.installed requirements/bench.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bench.txt
	@touch $@

login-timing: .venv/.bench ## can refused logins be told apart by their time? Mann-Whitney test over interleaved samples
	$(BIN)/python -m bench.timing logins

record-timing: .venv/.bench ## can "not yours" be told from "not there" by its time?
	$(BIN)/python -m bench.timing records

docs: setup ## write config/schema.json and docs/configuration.md from the models
	$(BIN)/python -m gateway.config.schema
	$(BIN)/python -m gateway.config.manual

LOCK = uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header \
  --python-version 3.11 --exclude-newer "$$(date -u -d '7 days ago' +%Y-%m-%dT00:00:00Z)"

lock: ## renew requirements/*.txt (needs uv)
	$(LOCK) pyproject.toml -o requirements/runtime.txt
	$(LOCK) pyproject.toml --group dev -o requirements/dev.txt
	$(LOCK) --group fuzz -o requirements/fuzz.txt
	$(LOCK) --group bench -c requirements/dev.txt -o requirements/bench.txt

clean: ## remove what the targets made
	rm -rf .venv tests/clients/node_modules bench/peers/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
