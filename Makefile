# Everything that a developer does; `make` alone lists it.
PYTHON ?= python3
RAW ?=
OPTIONS ?=
SEED ?= 1
MODULE ?=
ONLY ?=
PYTHONS ?= $(sort $(foreach minor,9 10 11 12 13 14,$(shell command -v python3.$(minor))) $(shell command -v pypy3) $(wildcard $(HOME)/.pyenv/versions/3.*/bin/python))

VENV := .venv
RUN := $(VENV)/bin/python -m
PIP := $(RUN) pip install --quiet --disable-pip-version-check --no-input
INSTALLED := $(VENV)/.installed
BENCH_INSTALLED := $(VENV)/.installed-bench
BROWSER_INSTALLED := $(VENV)/.installed-browser
CHROMIUM := chromium chromium-driver

# Without bytecode every run compiles, and pytest rewrites, each module anew.
unexport PYTHONDONTWRITEBYTECODE

# One line for a step of installing: what it does, then how long it took. Usage: $(call step,What it does,command)
define step
	printf '%s ... ' "$(1)"; started=$$(date +%s); $(2) && echo "$$(( $$(date +%s) - started )) s"
endef

# The tests of the partners' package in an environment of their own. Usage: $(call client_tests,interpreter,folder,[extras])
define client_tests
	$(1) -m venv --clear $(2) && (cd client && python=../$(2)/bin/python && \
	  $$python -m pip install --quiet --disable-pip-version-check '.$(3)' pytest vermin && \
	  $$python -m pytest -q tests && ../$(2)/bin/vermin --quiet --target=3.9- --no-tips --violations src)
endef
comma := ,

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SILENT:
.PHONY: help venv demo test test-unit test-client test-client-everywhere test-browser chromium picture kills-client test-api check-metrics metrics-page mutants bench bench-gateway bench-shares bench-console bench-fairness bench-by-hash bench-eta bench-portal bench-sessions chaos chaos-long failures check check-alerts check-asyncapi up load down logs lock clean rehearse

help: ## list the targets
	awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile

demo: $(INSTALLED) ## show the whole way from raw telemetry to a checked download; RAW=folder takes your own files
	$(RUN) deploy.local.demo $(if $(RAW),--raw "$(RAW)")

# Tests on real servers wait more than they work, so two halves run side by side, each on servers of its own: one is
# shown as it goes, the other at the end.
test: $(INSTALLED) ## check and the unit tests, then those on the real Kafka, PostgreSQL and S3
	rm -rf .local/test-*
	mkdir -p .local
	$(MAKE) --jobs=2 --output-sync=target --no-print-directory check test-unit test-client test-contract
	$(RUN) pytest tests --ignore tests/unit --ignore tests/integration --ignore tests/browser > .local/test-others.log 2>&1 & others=$$!; \
	  trap "kill $$others" INT TERM; \
	  $(RUN) pytest tests/integration; code=$$?; \
	  wait $$others || code=$$?; cat .local/test-others.log; exit $$code

test-unit: $(INSTALLED) ## the tests without I/O
	$(RUN) pytest tests/unit client/tests contract/tests

test-client: ## the partners' package with its extras, and with nothing of the server; PYTHON=python3.9 takes another interpreter
	$(call client_tests,$(PYTHON),.local/client-venv,[pandas$(comma)polars$(comma)duckdb$(comma)parquet])

test-client-everywhere: ## the same on every interpreter from 3.9 on that is here, or on PYTHONS="python3.9 pypy3"
	for python in $(PYTHONS); do \
	  $$python -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2> /dev/null || continue; \
	  $$python --version || exit 1; $(call client_tests,$$python,.local/client-everywhere,) || exit 1; \
	done

# importlib.resources.abc is for types alone.
.PHONY: test-contract
test-contract: ## the package for publishers of events, with nothing of the server; PYTHON=python3.10 takes another interpreter
	$(PYTHON) -m venv --clear .local/contract-venv && (cd contract && python=../.local/contract-venv/bin/python && \
	  $$python -m pip install --quiet --disable-pip-version-check . pytest vermin && \
	  $$python -m pytest -q tests && ../.local/contract-venv/bin/vermin --quiet --target=3.10- --no-tips --violations --exclude importlib.resources.abc src)

kills-client: $(INSTALLED) ## kill `exhaust get` and `exhaust sync` 100 times each, at random bytes; SEED=7 draws others
	PYTHONPATH=client/tests $(RUN) kills 100 $(SEED)

test-browser: $(BROWSER_INSTALLED) chromium ## every page of the console and of the portal in Chromium; screenshots in .local/screenshots
	$(RUN) pytest -s tests/browser

picture: $(BROWSER_INSTALLED) chromium ## docs/images/console-now.png anew, from a system whose aggregator is frozen
	$(RUN) tests.browser.picture

chromium:
	command -v chromium chromedriver > /dev/null || \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
	    $(call step,Install $(CHROMIUM),apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(CHROMIUM) > /dev/null); \
	  else echo "A browser is needed: apt-get install -y $(CHROMIUM)" >&2; exit 1; fi

test-api: $(INSTALLED) ## call every operation of a stack of its own, made up from the API document
	$(RUN) tests.api

mutants: $(INSTALLED) ## small faults in pure modules, which the unit tests have to notice; SEED=7 draws others, MODULE=path takes all of one
	$(RUN) tests.mutants --seed $(SEED) $(if $(MODULE),--sample 0 --module "$(MODULE)")

bench: $(BENCH_INSTALLED) ## the aggregator beside its peers, into docs/benchmarks.md; OPTIONS=--quick measures the small size only
	$(RUN) bench.aggregator $(OPTIONS)

bench-gateway: $(INSTALLED) ## the gateway beside a bare service with the same SQL, into docs/benchmarks-gateway.md
	$(RUN) bench.gateway $(OPTIONS)

bench-shares: $(INSTALLED) ## one key's calls alone, and beside 110 long polls and 120 slow readers of another
	$(RUN) bench.shares

bench-console: $(INSTALLED) ## calls and scans without the console and beside it, in turns; and its memory
	$(RUN) bench.console

chaos: $(INSTALLED) ## hurt a system of its own in every known way, and check that nothing is lost, stuck or done twice
	$(RUN) tests.chaos $(OPTIONS)

chaos-long: $(INSTALLED) ## one scenario of the same with its long count: PIECE=kills
	$(RUN) tests.chaos --long --only $(or $(PIECE),$(error PIECE names a scenario of docs/reliability.md)) $(OPTIONS)

failures: $(INSTALLED) ## make each failure of docs/operations/failures on a stack of its own, and measure; ONLY=kafka-killed takes one
	$(RUN) tests.recovery $(if $(ONLY),--only $(ONLY)) $(OPTIONS)

rehearse: $(INSTALLED) ## make the fault of each runbook, see its alert, do what the page says; ONLY=NobodyReads takes one
	$(RUN) tests.runbooks $(if $(ONLY),--only $(ONLY)) $(OPTIONS)

bench-eta: $(INSTALLED) ## how often the forecast of a request's end is right at half-way, over 50 requests
	$(RUN) bench.eta

bench-portal: $(INSTALLED) ## the start page of the portal with twenty grants, whose days are all built
	$(RUN) bench.portal

bench-fairness: $(INSTALLED) ## one partner's one-day request alone, and beside 300 requests of another partner
	$(RUN) bench.fairness

bench-by-hash: $(INSTALLED) ## a day that was never built, by the hash of its owner (v1) and by the plain id (v2), in turns
	$(RUN) bench.by_hash

bench-sessions: $(INSTALLED) ## `exhaust sessions` on a download of 10 million events: speed and memory; OPTIONS="--events 1000000" makes a smaller one
	$(RUN) bench.sessions $(OPTIONS)

check: $(INSTALLED) ## lint, format, types, import arrows, size bars
	$(RUN) ruff check --quiet .
	$(RUN) ruff format --check --quiet .
	$(RUN) mypy
	$(RUN) mypy client/tests
	$(VENV)/bin/lint-imports
	$(RUN) pytest -q -s tests/unit/test_size_bars.py tests/unit/test_kit_users.py

check-metrics: $(INSTALLED) ## the metrics of every process by promtool, and beside their catalogue, on a stack of its own
	$(RUN) pytest -q tests/unit/test_metrics.py tests/acceptance/test_metrics.py

metrics-page: $(INSTALLED) ## write docs/operations/metrics.md from the catalogue in code
	$(RUN) tests.support.metrics_page

check-alerts: $(INSTALLED) ## the alerts of deploy/prometheus, with promtool of PATH or of Debian's package prometheus
	$(RUN) tests.support.promtool check rules deploy/prometheus/rules.yaml
	$(RUN) tests.support.promtool test rules deploy/prometheus/tests.yaml

# The two linters from npm come with 2,000 packages (1.5 GB), so that `make test` does without; their scripts stay unrun.
ASYNCAPI := .local/asyncapi
check-asyncapi: ## schemas/asyncapi.yaml, by @asyncapi/cli and spectral from npm; needs Node 20
	mkdir -p $(ASYNCAPI)
	test -x $(ASYNCAPI)/node_modules/.bin/asyncapi || npm install --prefix $(ASYNCAPI) --no-save --no-audit --no-fund --ignore-scripts --loglevel=error \
	  @asyncapi/cli@4.1.1 @stoplight/spectral-cli@6.16.3
	CI=true $(ASYNCAPI)/node_modules/.bin/asyncapi validate schemas/asyncapi.yaml --fail-severity=warn
	$(ASYNCAPI)/node_modules/.bin/spectral lint schemas/asyncapi.yaml --ruleset schemas/.spectral.yaml --fail-severity=warn

up: $(INSTALLED) ## start the stack in the background, or only what has ended of it
	$(RUN) deploy.local up

load: $(INSTALLED) ## fill the running stack with made-up telemetry of the last ten days, or with RAW=folder
	$(RUN) deploy.local.load $(if $(RAW),--raw "$(RAW)")

down: $(INSTALLED) ## stop the stack; its data stays
	$(RUN) deploy.local down

logs: $(INSTALLED) ## follow the logs of the stack until Ctrl-C
	$(RUN) deploy.local logs

venv: $(INSTALLED) ## install what requirements.lock pins into .venv

$(INSTALLED): requirements.lock pyproject.toml client/pyproject.toml contract/pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed: apt-get install -y python3, or make PYTHON=/path/to/python3" >&2; exit 1; }
	$(PYTHON) -c 'import ensurepip, venv' || \
	  { echo "$(PYTHON) cannot make virtual environments: apt-get install -y python3-venv" >&2; exit 1; }
	test -x $(VENV)/bin/pip || { $(call step,Make a virtual environment in $(VENV),$(PYTHON) -m venv --clear $(VENV)); }
	$(call step,Install the $$(grep -c == requirements.lock) packages of requirements.lock,$(PIP) --require-hashes -r requirements.lock)
	$(call step,Install this project and the packages of partners and publishers into it,$(PIP) --no-deps --no-build-isolation -e . && $(PIP) --no-deps --no-build-isolation -e client -e contract)
	touch $@

$(BENCH_INSTALLED): $(INSTALLED) requirements-bench.lock
	$(call step,Install what it is measured against,$(PIP) --require-hashes -r requirements-bench.lock)
	touch $@

lock: ## pin again what pyproject.toml asks for (needs uv)
	uv pip compile pyproject.toml --extra local --extra dev --generate-hashes --no-header --no-annotate \
	  --python-version 3.11 --universal --quiet -o requirements.lock
	$(PYTHON) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["bench"], sep="\n")' | \
	  uv pip compile - -c requirements.lock --generate-hashes --no-header --no-annotate \
	  --python-version 3.11 --universal --quiet -o requirements-bench.lock
	$(PYTHON) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["browser"], sep="\n")' | \
	  uv pip compile - -c requirements.lock --generate-hashes --no-header --no-annotate \
	  --python-version 3.11 --universal --quiet -o requirements-browser.lock

$(BROWSER_INSTALLED): $(INSTALLED) requirements-browser.lock
	$(call step,Install what drives a browser,$(PIP) --no-deps --require-hashes -r requirements-browser.lock)
	touch $@

clean: ## stop the stack and remove its data, downloads, the virtual environment and every cache
	test ! -e $(INSTALLED) || $(RUN) deploy.local down
	rm -rf $(VENV) .local .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
