# All there is to know: `make run` starts the demonstration, `make test` runs every check. Nothing else is needed first.
SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin
CLIENTS := tests/clients/node_modules/.installed

.PHONY: help setup run test lint unit verify fuzz storm bench login-timing record-timing docs lock clean

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

unit: setup clients ## all tests, the real SDKs included
	$(BIN)/python -m pytest -n 2

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

bench: setup ## the gateway beside bare aiohttp pass-through (needs wrk), and where its time goes
	$(BIN)/python -m bench.standard
	$(BIN)/python -m bench.standard --profile

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
	rm -rf .venv tests/clients/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
