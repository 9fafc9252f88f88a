# Everything a developer runs. `make` alone lists the targets. Nothing is installed outside .venv.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# PYTHON=/path/to/python3 chooses the interpreter of a new .venv; otherwise requirements/interpreter.sh does among these.
PYTHON ?=
CANDIDATES := $(if $(PYTHON),$(PYTHON),python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3)

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.amends-setup
CONSTRAINTS := requirements/dev.txt
CODE := $(wildcard src tests examples bench servers)

# Test processes: one per core. WORKERS=0 runs in one process, for a debugger.
WORKERS ?= auto
# More for the tool that a target calls: make test ARGS='-k pivot', make bench BENCH_ARGS=--short.
ARGS ?=
BENCH_ARGS ?=
CRASH_ARGS ?=

# pyright comes in its wheel; it need not ask the network for a newer one.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(STAMP) ## create .venv with pinned tools and the project; the command is .venv/bin/amends
	@echo "ready: $(BIN)/amends"

$(STAMP): pyproject.toml $(CONSTRAINTS)
	@if sh requirements/interpreter.sh $(BIN)/python >/dev/null 2>&1; then \
	    echo "setup: keeping the $(VENV) that is there ($$($(BIN)/python -V))"; exit 0; \
	fi; \
	found=$$(sh requirements/interpreter.sh $(CANDIDATES)) || exit 1; \
	echo "setup: creating $(VENV) with $$found ($$($$found -V))"; \
	$$found -m venv --clear $(VENV)
	@echo "setup: installing the tools that $(CONSTRAINTS) pins (hashes checked; the first time takes a minute)"
	@$(BIN)/python -m pip install --quiet --require-hashes -r $(CONSTRAINTS)
	@echo "setup: installing amends itself, editable"
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

.PHONY: test
test: $(STAMP) ## run every test
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

.PHONY: check
check: $(STAMP) ## lint, format, types (mypy and pyright), architecture, house rules
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy $(CODE)
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest -q tests/house

.PHONY: format
format: $(STAMP) ## mend what ruff can mend
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

.PHONY: demo
demo: $(STAMP) ## an order that fails half-way, and how it is undone
	$(BIN)/amends demo order

.PHONY: bench
bench: $(STAMP) ## measure the engine (BENCH_ARGS=--short for a quick look)
	$(BIN)/amends bench $(BENCH_ARGS)
	$(BIN)/amends bench --requests $(BENCH_ARGS)
	$(BIN)/amends bench --all-on $(BENCH_ARGS)
	$(BIN)/python -m bench.on_postgres $(BENCH_ARGS)
	$(BIN)/python -m bench.on_kafka $(BENCH_ARGS)

.PHONY: crash
crash: $(STAMP) ## ten minutes of kills and outages (CRASH_ARGS=--short for three, CRASH_ARGS='--minutes 60' for more)
	$(BIN)/python -m tests.crash $(CRASH_ARGS)

UV_LOCK := $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --quiet

.PHONY: lock
lock: $(STAMP) ## pin anew what setup and the image install (LOCK_ARGS=--upgrade for newer versions)
	$(UV_LOCK) pyproject.toml --all-extras --group dev --custom-compile-command "make lock" \
	    $(LOCK_ARGS) --output-file $(CONSTRAINTS)
	$(UV_LOCK) pyproject.toml --all-extras --custom-compile-command "make lock: what the image runs with" \
	    --constraint $(CONSTRAINTS) --output-file requirements/service.txt
	echo hatchling | $(UV_LOCK) - --custom-compile-command "make lock: what the image's wheel is built with" \
	    --constraint $(CONSTRAINTS) --output-file requirements/build.txt

.PHONY: clean
clean: ## remove caches and builds (not .venv: delete that folder to begin anew)
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage htmlcov
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +
