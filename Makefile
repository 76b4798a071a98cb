# locokine: `make demo` runs the main experiment, `make test` runs all tests. `make help` lists the rest.
# Research use only.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

VENV  := .venv
READY := $(VENV)/.ready
BENCH := $(VENV)/.bench
BIN   := $(VENV)/bin
PIP   := $(BIN)/python -m pip --disable-pip-version-check

# The Python that makes the environment: `make PYTHON=/path/to/python3 ...` chooses another.
PYTHON ?=

.PHONY: help env demo test quick check format docs numbers bench lock clean distclean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' Makefile

env: $(READY) ## the environment .venv with pinned dependencies, made once

$(READY): requirements.lock pyproject.toml
	@set -e; \
	usable='import sys; sys.exit(sys.version_info < (3, 11))'; \
	python=''; \
	for candidate in $(if $(PYTHON),"$(PYTHON)",python3 python3.14 python3.13 python3.12 python3.11 python); do \
	    if "$$candidate" -c "$$usable" >/dev/null 2>&1; then python="$$candidate"; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	    echo "locokine needs Python 3.11 or newer$(if $(PYTHON), and '$(PYTHON)' is not,; none was found on PATH)." >&2; \
	    echo "Install one, or name it: make PYTHON=/path/to/python3.12 $(firstword $(MAKECMDGOALS))" >&2; \
	    exit 1; \
	fi; \
	if [ ! -x $(BIN)/python ] || ! $(BIN)/python -c "$$usable" >/dev/null 2>&1; then \
	    echo "Making the environment $(VENV) with $$("$$python" --version) ..."; \
	    rm -rf $(VENV); \
	    if ! "$$python" -m venv $(VENV); then \
	        echo "Python's venv module is missing or incomplete (on Debian and Ubuntu: apt install python3-venv)." >&2; \
	        rm -rf $(VENV); exit 1; \
	    fi; \
	fi; \
	echo "Installing the pinned dependencies (once, one to three minutes) ..."; \
	$(PIP) install --quiet --require-hashes -r requirements.lock; \
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .; \
	touch $@

demo: $(READY) ## run examples/local_versus_systemic.yaml into results/local_versus_systemic
	@$(BIN)/locokine run examples/local_versus_systemic.yaml --out results/local_versus_systemic

# A file of tests stays in one process, so that what its fixtures make is made once; the order is that of tests/conftest.py.
test: $(READY) ## all tests, in two processes
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

quick: $(READY) ## the tests that take seconds
	@$(BIN)/python -m pytest -m "not slow"

check: $(READY) ## lint, formatting of imports, types
	@$(BIN)/ruff check .
	@$(BIN)/pyright

format: $(READY) ## mend what the linter can mend
	@$(BIN)/ruff check --fix .

docs: $(READY) ## regenerate data dictionary, parameter tables and the executed tutorial
	@$(BIN)/python docs/scripts/data_dictionary.py
	@$(BIN)/python docs/scripts/parameters.py
	@$(BIN)/python docs/scripts/tutorial.py

numbers: docs ## everything of docs and README that a changed number changes, half an hour (what is written by hand stays)
	@$(BIN)/locokine run examples/local_versus_systemic.yaml --out results/local_versus_systemic --force
	@$(BIN)/python tests/test_baseline.py
	@$(BIN)/python docs/scripts/evidence.py
	@$(BIN)/python docs/scripts/claims.py
	@$(BIN)/python docs/scripts/examples.py
	@$(BIN)/python docs/scripts/anchored.py
	@$(BIN)/python docs/scripts/studies.py
	@$(BIN)/python docs/scripts/verification.py
	@$(BIN)/python -m calibration.first_pass --force
	@$(BIN)/python docs/scripts/slides.py results/local_versus_systemic
	@cp results/local_versus_systemic/figures/chain_treatment.png docs/figures/demo_chain.png

$(BENCH): requirements-bench.lock $(READY)
	@$(PIP) install --quiet --require-hashes -r requirements-bench.lock
	@touch $@

bench: $(BENCH) ## speed and accuracy beside libRoadRunner
	@$(BIN)/python -m benchmarks

# Needs pip-tools on PATH. Names, versions and hashes only: no address of any index is written.
lock: ## resolve the pinned dependencies anew
	pip-compile --quiet --upgrade --generate-hashes --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
	    --no-annotate --no-header --strip-extras --allow-unsafe --extra cluster --extra dev --extra fit \
	    --output-file requirements.lock pyproject.toml
	printf 'libroadrunner>=2.7\npython-libsbml>=5.20\n' | pip-compile --quiet --upgrade --generate-hashes --no-emit-index-url \
	    --no-emit-find-links --no-emit-trusted-host --no-annotate --no-header --strip-extras --allow-unsafe \
	    --constraint requirements.lock --output-file requirements-bench.lock -

clean: ## remove caches and build products, keep results and the environment
	rm -rf build dist .pytest_cache .ruff_cache .hypothesis
	find src tests docs -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## the same and the environment
	rm -rf $(VENV)
