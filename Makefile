# All there is to know: `make run` starts the demonstration, `make test` runs every check. Nothing else is needed first.
SHELL := /bin/sh
BIN := .venv/bin
CLIENTS := $(patsubst %,tests/%/node_modules/.installed,clients backends)

# PYTHON=... names a Python; else it is the one that .venv was made with, or the first of these that is new enough.
PYTHON ?=
PYTHONS = $(if $(PYTHON),"$(PYTHON)",$(BIN)/python python3 python3.14 python3.13 python3.12 python3.11)

BENCHES := scoped post parent workers catalogue latency login logins idle stream routes start stability instructions shares logouts reload
PEERS := bench/peers/node_modules/.installed

.PHONY: help runtime setup run test quick lint unit verify fuzz storm attacks login-timing record-timing docs lock clean
.PHONY: bench bench-all bench-report bench-peers bench-profile bench-deciders bench-carrying $(addprefix bench-,$(BENCHES))

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

# Python that starts answers Ctrl-C with a traceback, which is dropped until install.py listens. And make itself ends
# with words of its own (GNU make 4.3) where its child is gone before it has noticed Ctrl-C too: so that waits a little.
START := import os, signal, time; \
  signal.signal(signal.SIGINT, lambda *_: (time.sleep(0.1), os._exit(130))); os.dup2(3, 2); \
  import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name="__main__")

# Whether it is new enough is asked in words that every Python knows.
define install
@trap 'sleep 0.1; exit 130' INT; for python in $(PYTHONS); do \
  "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && \
  exec "$$python" -I -c '$(START)' requirements/install.py $(1) 3>&2 2>/dev/null; \
done; \
found=$$("$(or $(PYTHON),python3)" --version 2>&1) || found="not there"; \
echo "Python 3.11 or newer is needed, and $(or $(PYTHON),python3) is $$found: install one" \
  "(Debian 12, Ubuntu 24.04 or newer: apt install python3 python3-venv; macOS: brew install python3)" \
  "or name one: make PYTHON=/path/to/python3" >&2; \
exit 1
endef

# Ctrl-C waits until the gateway can take it, where env(1) knows how (GNU coreutils 8.31).
HOLD = $(shell env --block-signal=INT true 2>/dev/null && echo env --block-signal=INT)

runtime:
	$(call install,runtime)

setup: ## make .venv with everything that the tests need
	$(call install,development)

run: runtime ## start the demonstration on 127.0.0.1:8080 (admin 127.0.0.1:9901)
	@$(HOLD) $(BIN)/gateway demo

# What waits for the network goes beside what computes.
test: ## everything: lint, types, import contracts, all tests
	@$(MAKE) --no-print-directory -j 2 setup clients
	@$(MAKE) --no-print-directory -j 2 lint unit

lint: setup ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# What Python compiles is kept, whatever the environment says: for the processes that tests start, and the next run.
unit: export PYTHONDONTWRITEBYTECODE :=
unit: setup clients ## all tests, the real SDKs included
	$(BIN)/python -m pytest -n 2 --dist worksteal --durations=10

# The tests that start no process and few gateways: the deciders, and the habits of the house.
DECIDERS := tests/wire tests/test_routing.py tests/authn tests/scope tests/guard
HABITS := $(patsubst %,tests/house/test_%.py,closed_by_default floors line_budget lists refusal_catalogue way_through)

quick: setup ## after an edit: lint of what has changed since the last commit, deciders and habits, with few examples of each property
	@changed=$$(git diff --name-only --diff-filter=d HEAD -- '*.py'; git ls-files --others --exclude-standard -- '*.py'); \
	if [ -n "$$changed" ]; then \
	  $(BIN)/ruff check $$changed && $(BIN)/ruff format --check $$changed && $(BIN)/mypy; \
	fi
	$(BIN)/python -m pytest -q -n 2 -p tests.fuzz.profile --fuzz-examples 10 \
	  --deselect tests/wire/test_owners.py::test_plainly_own_is_own $(DECIDERS) $(HABITS)

.PHONY: clients
clients: ## install the real SDKs and API servers for the tests, where there is a Node to run them
	@if command -v npm >/dev/null 2>&1; then $(MAKE) -s $(CLIENTS); \
	else echo "no npm on this machine: the tests with real SDKs and API servers will be skipped"; fi

# npm says what went wrong in twenty lines, and waits a minute before it tries again.
define npm-ci
@echo "fetching $(1) with npm"
@cd $(1) && said=$$(npm ci --no-audit --no-fund --loglevel=error --fetch-retry-mintimeout=1000 --fetch-retry-maxtimeout=5000 2>&1) || { \
  echo "npm could not install $(1):" \
    $$(echo "$$said" | sed -nE 's/^npm (error|ERR!) (code [A-Z0-9]+|.*reason: .*)$$/\2/p') >&2; exit 1; }
@touch $(2)
endef

$(CLIENTS): %/node_modules/.installed: %/package-lock.json
	$(call npm-ci,$*,$@)

verify: setup ## attack the demonstration as one customer, and look for anything of another: build/verify.html, build/verify.json
	$(BIN)/gateway verify --demo --report build/verify.html --report build/verify.json

# atheris has no wheel for every Python and machine; where it has none the list is empty, and the rest is fuzzed.
FUZZ_SECONDS ?= 60
fuzz: ## look for inputs that break a promise, FUZZ_SECONDS (60) for each target
	$(call install,fuzz)
	$(BIN)/python -m tests.fuzz --seconds $(FUZZ_SECONDS)

STORM_REQUESTS ?= 100000
REPLICAS ?= 1
storm: setup ## STORM_REQUESTS (100000) requests with aborts and upstream faults: no reply may be wrong; REPLICAS=3: on three that share PostgreSQL
	$(BIN)/python -m tests.storm --requests $(STORM_REQUESTS) --replicas $(REPLICAS)

attacks: setup ## every attack of the tests and of `gateway verify`; REPLICAS=3: on three that share PostgreSQL, each attack on the next
	$(BIN)/python -m pytest -q -n 2 -p tests.replicas --replicas $(REPLICAS) tests/attacks tests/verify/between_replicas.py

bench: bench-peers bench-scoped ## the headline: scoped GETs beside Envoy, HAProxy, nginx, fastify and bare aiohttp

bench-all: setup bench-peers ## every benchmark (about half an hour), then bench-report; status 1 where a wanted figure is missed
	@missed=; for one in $(BENCHES); do $(BIN)/python -m bench.$$one || missed="$$missed $$one"; echo; done; \
	$(BIN)/python -m bench.report; test -z "$$missed" || { echo "missed:$$missed"; exit 1; }

bench-report: setup ## write the last figures into bench/RESULTS.md and bench/results.svg
	$(BIN)/python -m bench.report

$(addprefix bench-,$(BENCHES)): bench-%: setup
	$(BIN)/python -m bench.$*

bench-scoped: ## the same as bench, with what is installed already
bench-logouts: ## what a million log-outs cost: memory, steps of the loop, and each request
bench-post: ## scoped POSTs of 1 KB beside scoped GETs
bench-parent: ## GETs behind a look-up of whose the order is, remembered and not
bench-workers: ## two workers beside one
bench-catalogue: ## 66 KB that no guard reads, in bytes a second beside nginx
bench-latency: ## added latency at 500 requests a second, open loop, beside nginx
bench-login: ## logins a second, p50 and p99, beside argon2 alone
bench-logins: ## latency while 20 clients log in all the time
bench-idle: ## memory of 5,000 idle connections; 10,000 accepted
bench-stream: ## 1 GiB down and up: memory, and bytes a second beside nginx
bench-routes: ## 2,000 routes beside 20
bench-start: ## seconds of --help, --version and check, and from start to ready
bench-stability: ## 1,000,000 requests with faults: nothing may grow, no reply may be wrong
bench-reload: ## 100 changes of the routing file under requests: failures, seconds to the last worker, memory
bench-shares: ## logins and reads while paths hang, registrations flood, 1,000 clients crawl
bench-instructions: ## instructions of a scoped GET in user space (valgrind), whatever else the machine does

bench-profile: setup ## what the gateway spends its time in under load
	$(BIN)/python -m bench.scoped --profile

bench-peers: setup ## install what the gateway is measured beside, and wrk (packages of Debian, PyPI and npm, as root)
	@missing=$$(for one in nginx:nginx-light haproxy:haproxy wrk:wrk taskset:util-linux valgrind:valgrind npm:npm; do \
	  command -v $${one%%:*} >/dev/null 2>&1 || echo $${one#*:}; done); \
	if [ -z "$$missing" ]; then :; \
	elif command -v apt-get >/dev/null 2>&1 && [ "$$(id -u)" = 0 ]; then \
	  apt-get update -qq && apt-get install -y -qq --no-install-recommends $$missing; \
	else echo "missing, install with your package manager (Debian's names):" $$missing; exit 1; fi
	@$(MAKE) -s $(PEERS)
	$(call install,peers)

$(PEERS): bench/peers/package-lock.json
	$(call npm-ci,bench/peers,$@)

bench-carrying: setup ## where the microseconds of a request go, without sockets
	$(BIN)/python -m bench.carrying

bench-deciders: setup ## what deciding costs a request, in microseconds, and the guard's judging
	$(BIN)/python -m bench.deciders

.PHONY: statistics
statistics:
	$(call install,bench)

login-timing: statistics ## can refused logins be told apart by their time? Mann-Whitney test over interleaved samples
	$(BIN)/python -m bench.timing logins

record-timing: statistics ## can "not yours" be told from "not there" by its time?
	$(BIN)/python -m bench.timing records

docs: setup ## write config/schema.json and docs/configuration.md from the models
	$(BIN)/python -m gateway.config.schema
	$(BIN)/python -m gateway.config.manual

LOCK = uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header \
  --python-version 3.11 --exclude-newer "$$(date -u -d '7 days ago' +%Y-%m-%dT00:00:00Z)"

lock: ## renew requirements/*.txt (needs uv)
	$(LOCK) pyproject.toml -o requirements/runtime.txt
	$(LOCK) pyproject.toml --group dev -o requirements/dev.txt
	$(LOCK) --group build -c requirements/dev.txt -o requirements/build.txt
	$(LOCK) --group fuzz -o requirements/fuzz.txt
	$(LOCK) --group bench -c requirements/dev.txt -o requirements/bench.txt
	$(LOCK) --group peers -o requirements/peers.txt

clean: ## remove what the targets made
	rm -rf .venv build tests/clients/node_modules tests/backends/node_modules bench/peers/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
