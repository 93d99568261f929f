# Each target installs what it needs into .venv, and does nothing twice.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format mutants bench soak clean

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "tickerplant needs Python 3.11 or newer: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

setup: .venv/installed ## install everything into .venv

demo: setup ## a simulated market through Kafka, Faust and QuestDB, live in the terminal
	@$(BIN)/tickerplant demo $(ARGS)

test: setup ## all tests, on a real Kafka and a real QuestDB
	$(BIN)/pytest -n 2 --dist loadfile $(ARGS)

check: setup ## lint, formatting, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup ## put the code into shape
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

mutants: setup ## plant bugs in a copy and see the tests find each
	@$(BIN)/python tests/mutants.py

bench: setup ## measure, print JSON
	@$(BIN)/python -m deploy.bench $(ARGS)

soak: setup ## kill processes while a market runs, count everything: ARGS="--faults 100"
	@$(BIN)/python -m deploy.soak $(ARGS)

clean: ## remove what was installed and cached here
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
