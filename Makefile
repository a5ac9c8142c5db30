# make demo   track an object in a rendered clip with the embedded model, on the CPU
# make test   every check and every test
# Both make .venv on first use and need Python (>= 3.10), git and make only. Another interpreter:
# make test PYTHON=python3.12

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SAY_VERSION := import platform; print(platform.python_version())
PYTHON_VERSION := $(shell $(PYTHON) -c '$(SAY_VERSION)' 2>/dev/null)
# Stamps carry the interpreter's version, so that another Python starts afresh.
MADE := $(VENV)/.made-$(PYTHON_VERSION)
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --retries 10 --timeout 60

.DEFAULT_GOAL := help
.PHONY: help install demo test clean

help:
	@echo "make demo    track an object in a rendered clip with the embedded model, on the CPU"
	@echo "make test    every check and every test (what .ci/run calls)"
	@echo "make install make $(VENV) with keepsight in it, editable"
	@echo "make clean   remove $(VENV) and the demo's output"

# A .venv that works and has the wanted version is kept; anything else is replaced. Debian ships Python
# without the part that makes environments: where we may, we add it.
$(MADE):
	@if ! $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then \
	    echo "keepsight needs Python 3.10 or later, but '$(PYTHON)' is: $(or $(PYTHON_VERSION),not found)."; \
	    echo "Install one, or name one: make PYTHON=python3.12"; exit 1; fi
	@if [ "$$($(BIN)/python -c '$(SAY_VERSION)' 2>/dev/null)" != "$(PYTHON_VERSION)" ] \
	    || ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	    echo "==> making $(VENV) with Python $(PYTHON_VERSION)"; \
	    rm -rf $(VENV); \
	    $(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || { \
	        if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	            echo "==> adding Debian's python3-venv"; \
	            apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv; fi; \
	        rm -rf $(VENV); $(PYTHON) -m venv $(VENV); }; fi
	@touch $@

$(MADE)-core: pyproject.toml | $(MADE)
	@echo "==> installing keepsight and what it needs (PyTorch among it: some minutes)"
	@$(INSTALL) -e .
	@touch $@

$(MADE)-test: pyproject.toml | $(MADE)
	@echo "==> installing keepsight and what its tests need (PyTorch among it: some minutes)"
	@$(INSTALL) -e ".[test]"
	@touch $(MADE)-core $@

# One test plays the overlay video in a real browser; without one it is skipped, so this may fail.
$(MADE)-browser: | $(MADE)
	@if ! command -v chromium >/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "==> adding Debian's chromium for the browser test"; \
	    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium; } \
	        >/dev/null 2>&1 || echo "    not to be had; that test will be skipped"; fi
	@touch $@

install: $(MADE)-core

demo: $(MADE)-core
	@$(BIN)/python -m keepsight.apps.cli demo --output-dir demo_output --overwrite

# Two files of tests at a time, each on one thread; more would not fit the memory of a laptop.
test: $(MADE)-test $(MADE)-browser
	@echo "==> ruff check"
	@$(BIN)/python -m ruff check .
	@echo "==> ruff format --check"
	@$(BIN)/python -m ruff format --check .
	@echo "==> import rules"
	@$(BIN)/lint-imports
	@echo "==> mypy"
	@$(BIN)/python -m mypy
	@echo "==> pytest"
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

clean:
	rm -rf $(VENV) demo_output
