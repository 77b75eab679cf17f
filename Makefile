# One command each: `make drill` runs the main job, `make test` passes the tests. Both do all set-up themselves.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
DEV_READY := $(VENV)/.dev-ready
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help drill test lint type bench clean

help:    ## show this help
	@sed -n 's/^\([a-z]*\): *[^#]*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

drill: $(READY)    ## rehearse the whole job on a planted test container, and score it
	@lab/drill.sh

test: $(DEV_READY)    ## run every test against a real engine
	@lab/packages.sh test
	@DOCKER_HOST="$$(lab/engine.py start)" $(BIN)/pytest $(PYTEST_ARGS)

lint: $(DEV_READY)    ## style, import rules, shell scripts
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports

type: $(DEV_READY)    ## static types
	@$(BIN)/mypy

bench: $(DEV_READY)    ## measure against the engine's own commands, as ratios in one run
	@DOCKER_HOST="$$(lab/engine.py start)" $(BIN)/python -m benchmarks

clean:    ## stop the lab engine, remove everything that was made here (cases stay)
	@lab/engine.py stop
	@rm -rf $(VENV) .cache .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml constraints.txt
	@lab/packages.sh python
	@echo "setting up $(VENV) ..." >&2
	@$(PYTHON) -m venv $(VENV)
	@$(INSTALL) --editable .
	@$(BIN)/python -m compileall -q forensics
	@touch $@

$(DEV_READY): $(READY)
	@echo "adding what the tests need to $(VENV) ..." >&2
	@$(INSTALL) --editable '.[dev]'
	@touch $@
