# Every target makes or reuses .venv and installs what it needs; nothing else is assumed
# beyond Python 3.11-3.13 and make. `make help` lists the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test unit integration chaos up lint format typecheck mutate-ledger bench resolve clean

INSTALL := $(BIN)/python -m pip install --disable-pip-version-check
# A worker per core. Tests of one file that start servers stay together, since they share them.
PYTEST := $(BIN)/python -m pytest --numprocesses auto

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 15

# One stamp per set of extras: a second run finds it and needs no network.
$(VENV)/.installed-stack: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	  || { echo "Tokentide needs Python 3.11 to 3.13; $(PYTHON) is $$($(PYTHON) --version 2>&1). Set PYTHON=..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) \
	  || { rm -rf $(VENV); echo "python3 -m venv failed: on Debian install the package python3-venv"; exit 1; }
	@echo "Installing into $(VENV), this once: 375 MB to download, 1.3 GB on the disk (the ClickHouse engine is half of it)."
	$(INSTALL) --editable '.[pipeline,embedded]'
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed-stack
	@echo "Installing what the tests need into $(VENV), this once: 0.3 GB more on the disk."
	$(INSTALL) --editable '.[dev]'
	@touch $@

$(VENV)/.installed-bench: $(VENV)/.installed-dev
	$(INSTALL) --editable '.[bench]'
	@touch $@

demo: $(VENV)/.installed-stack ## Start the embedded stack, replay real traffic, print what it cost, prove nothing was lost
	$(BIN)/tokentide demo

test: unit integration ## Run every test

unit: $(VENV)/.installed-dev ## Run the tests that start no process: under a minute
	$(PYTEST) --dist worksteal -m 'not integration'

integration: $(VENV)/.installed-dev ## Run the tests that start ClickHouse, Kafka or another Python
	$(PYTEST) --dist loadfile -m integration

chaos: $(VENV)/.installed-dev ## Run every crash schedule, not a sample of them
	TOKENTIDE_TEST_SCHEDULES=300 $(BIN)/python -m pytest tests/chaos

up: $(VENV)/.installed-stack ## Run the embedded stack until Ctrl-C
	$(BIN)/tokentide up

lint: $(VENV)/.installed-dev ## Check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.installed-dev ## Apply style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

typecheck: $(VENV)/.installed-dev ## Check types
	$(BIN)/mypy

mutate-ledger: $(VENV)/.installed-dev ## Show that crash schedules miss every protection of the ledger
	$(BIN)/python -m tests.chaos.mutate_ledger

bench: $(VENV)/.installed-bench ## Measure, beside the references, and write bench/results
	$(BIN)/python -m bench

resolve: $(VENV)/.installed-dev ## Check that every dependency has wheels for all supported Pythons
	@for version in 3.11 3.12 3.13; do \
	  $(INSTALL) --dry-run --quiet --ignore-installed \
	    --only-binary=:all: --python-version $$version --target .venv/resolve '.[dev]' \
	  && echo "Python $$version: every dependency resolves to wheels" || exit 1; \
	done

clean: ## Remove the environment and the embedded stack's data
	rm -rf $(VENV) .tokentide
