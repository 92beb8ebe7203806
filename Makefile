# Everything sets itself up: a first run makes .venv from requirements.lock, later runs install nothing again.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup ui demo test check bench proof examples lock clean

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
NODE_MODULES := tests/clients/node_modules
# What only the tests of the TypeScript client need: they are skipped where there is no npm.
TYPESCRIPT := $(if $(shell command -v npm),$(NODE_MODULES)/.ready)
# Tests wait for servers and processes a third of their time: one more than there are processors.
TESTERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
PYTHON ?= $(shell for python in python3.11 python3 python; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$python"; break; }; done)

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## make .venv and install everything from requirements.lock

$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Pulpo needs Python 3.11 or newer, and no such python3 is on the PATH" >&2; exit 1; }
	@test -x $(BIN)/python || { echo "making $(VENV) with $(PYTHON)"; "$(PYTHON)" -m venv $(VENV); }
	@echo "installing from requirements.lock"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

ui: $(READY) ## build the UI, where its sources have changed (needs Node 20.19 or newer)
	@$(BIN)/python tools/build_ui.py

demo: $(READY) ## start the order system with its sample shop, place orders, show what ran
	@$(BIN)/python tools/build_ui.py --if-possible
	@$(BIN)/python tools/demo.py

$(NODE_MODULES)/.ready: tests/clients/package-lock.json tests/clients/package.json
	@echo "installing from tests/clients/package-lock.json"
	@npm ci --prefix tests/clients --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

test: $(READY) $(TYPESCRIPT) ## run the tests (works while the demo runs)
	@$(BIN)/python tools/build_ui.py --if-possible
	@PYTEST_XDIST_AUTO_NUM_WORKERS=$(TESTERS) $(BIN)/python -m pytest -n auto --dist loadgroup

check: $(READY) ## lint, types and layers
	@if command -v npm >/dev/null && [ -d ui/node_modules ]; then cd ui && npm run --silent lint && npx --no-install tsc --noEmit; fi
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy src/pulpo tools
	cd examples/ecommerce-app && MYPYPATH=../../src:. "$(CURDIR)/$(BIN)/mypy" --strict --cache-dir ../../.mypy_cache \
		--explicit-package-bases --namespace-packages models operations shop gateway flows.py seed.py bench.py
	cd examples/todo-app && MYPYPATH=../../src:. "$(CURDIR)/$(BIN)/mypy" --strict --cache-dir ../../.mypy_cache/todo \
		--explicit-package-bases --namespace-packages models operations flows.py seed.py
	$(BIN)/lint-imports

bench: $(READY) ## measure the API, the store and the engine (ten minutes; QUICK=1: two)
	@for file in bench/[a-z]*.py; do echo "== $$file"; $(BIN)/python "$$file" $(if $(QUICK),--quick) || exit 1; done

proof: $(READY) ## kill the order system a hundred times during its flows and check every promise
	@$(BIN)/python tools/proof.py

examples: $(READY) ## pack dist/ecommerce-app.tar.gz
	@$(BIN)/python tools/pack_examples.py

lock: ## renew requirements.lock from pyproject.toml (needs uv)
	uv pip compile pyproject.toml --group dev --extra mongodb --extra mongodb-local --extra opentelemetry --extra prefect \
		--universal --python-version 3.11 --generate-hashes --no-header --quiet --output-file requirements.lock

clean: ## take the demo down, remove what was built and every cache (.venv stays)
	@if [ -d .demo ] && [ -x $(BIN)/pulpo ]; then for app in .demo/*/; do (cd "$$app" && "$(CURDIR)/$(BIN)/pulpo" down); done; fi
	rm -rf .demo dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests tools bench examples -name __pycache__ -type d -prune -exec rm -rf {} +
