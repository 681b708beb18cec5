# make run, make test, make dev: each sets up .venv first.

# The first that runs and is new enough; make PYTHON=… names another.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
ARGS ?=

.PHONY: setup run test dev bench guide lint

setup: .venv/ready

.venv/ready: setup.cfg pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed and none was found. Try: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11"; exit 2; }
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

bench: setup
	@$(BIN)/python benchmarks/segmentation.py $(ARGS)
	@$(BIN)/python benchmarks/copywriting.py

guide: setup
	@$(BIN)/python -m docs.make_guide
