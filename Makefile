# make run, make test, make dev: each sets up .venv first.

PYTHON ?= $(shell command -v python3.13 || command -v python3.12 || command -v python3.11 || command -v python3)
BIN := .venv/bin
ARGS ?=

.PHONY: setup run test dev lint

setup: .venv/ready

.venv/ready: setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; $(PYTHON) is older. Try: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11"; exit 2; }
	@echo "Setting up .venv (once, about a minute)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt --editable '.[test]'
	@touch $@

run: setup
	@$(BIN)/persona run $(ARGS)

test: setup
	@$(BIN)/python -m pytest $(ARGS)

dev: setup
	@$(BIN)/persona dev $(ARGS)

lint: setup
	@$(BIN)/ruff check .
