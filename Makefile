# Everything a developer does. `make` alone lists it.

# The distribution's own Python first: it is built with profile-guided optimisation, which pyenv and many images leave
# out, and drives a fifth more sagas (docs/performance.md).
PYTHON ?= $(shell for one in /usr/bin/python3.11 python3.11; do \
	$$one -c 'import venv, ensurepip' 2>/dev/null && echo $$one && exit; done; echo python3.11)
# More scenarios, where this folder exists.
SCENARIOS_BESIDE ?= ../shared/acceptance
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help setup run demo serve check test reliability acceptance acceptance-nodes mutations chaos bench soak clean

help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.made: pyproject.toml requirements.txt
	@command -v $(PYTHON) >/dev/null || { echo "saga: $(PYTHON) is not installed; set PYTHON to a Python 3.11 or later"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -qq --disable-pip-version-check --editable '.[dev]'
	mkdir -p .typing && ln -sfn .. .typing/saga_orchestrator
	touch $@

setup: $(VENV)/.made ## Make .venv and install everything into it.

run: setup ## Start participants and service, start two sagas, serve until Ctrl-C.
	@$(BIN)/python -m saga_orchestrator.examples.demo

demo: setup ## The same, and end with exit code 0.
	@$(BIN)/python -m saga_orchestrator.examples.demo --once

serve: setup ## The service alone, on SERVICE_PORT (8009).
	@exec $(BIN)/saga serve

check: setup ## Formatting, lint, types.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

test: setup ## The whole test suite without the longest tests of `make reliability`.
	$(BIN)/python -m pytest

reliability: setup ## All tests of database faults (docs/reliability.md).
	$(BIN)/python -m pytest -m "long or not long" tests/acceptance/reliability

acceptance: setup ## The black-box scenarios; SCENARIOS="G09a 'D1*' crash" for some. Those in SCENARIOS_BESIDE too.
	$(BIN)/python -m saga_orchestrator.tests.acceptance.scenarios --beside $(SCENARIOS_BESIDE) $(SCENARIOS)

acceptance-nodes: setup ## The same before NODES=2 nodes behind a load balancer, while nodes are killed. SEED to repeat.
	$(BIN)/python -m saga_orchestrator.tests.acceptance.scenarios_under_kills $(NODES:%=--nodes %) $(SEED:%=--seed %) --beside $(SCENARIOS_BESIDE) $(SCENARIOS)

mutations: setup ## Break each rule R1 to R9 on purpose: a property must fail. Takes minutes; RULES="R2 R6" for some.
	$(BIN)/python -m saga_orchestrator.tests.mutations $(RULES)

chaos: setup ## Kill, freeze and partition nodes under load, then check every invariant. SEED, SECONDS, NODES, LOAD.
	$(BIN)/python -m saga_orchestrator.tests.chaos $(SEED:%=--seed %) $(SECONDS:%=--seconds %) $(NODES:%=--nodes %) $(LOAD:%=--load %)

bench: setup ## Sagas per second and latency at 1, 16 and 64 connections.
	$(BIN)/python benchmarks/sagas.py

soak: setup ## Memory after 200,000 sagas of all sorts, some ten minutes. SAGAS.
	$(BIN)/python benchmarks/soak.py $(SAGAS:%=--sagas %)

clean: ## Remove what the targets above made, including data.
	rm -rf $(VENV) .typing .state build *.egg-info
