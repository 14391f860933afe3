# Each target makes what it needs: a virtual environment in .venv with the versions of constraints.txt.
PYTHON ?= python3
VENV ?= .venv
PIP_ARGS ?=
PYTEST_ARGS ?=
# Processes that run the tests, each with one thread; every one of them imports and fits what its tests share.
TEST_PROCESSES ?= 2
BIN := $(VENV)/bin

# Idle OpenMP threads sleep instead of spinning: without it a busy machine can be ten times slower.
export OMP_WAIT_POLICY := PASSIVE
# Modules are compiled when they are first imported: pip would take a minute to compile all, most of which no one imports.
export PIP_NO_COMPILE := 1

.PHONY: help demo test lint docs wheel bench clean
help:
	@echo "make demo   fit, generate and evaluate on bundled example cells; writes demo/report.html"
	@echo "make test   run the tests"
	@echo "make lint   style, types, import layers"
	@echo "make docs   build the documentation into docs/_build, with every tutorial executed"
	@echo "make wheel  build wheel and sdist into dist, and try the wheel in an empty environment"
	@echo "make bench  list the studies of the benchmarks; SCDIFFUSE_DATA=folder with the data sets"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "scdiffuse needs Python 3.11 or newer; '$(PYTHON)' is older or missing." >&2; \
	  echo "Name another one, for example: make PYTHON=python3.12 demo" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "'$(PYTHON)' cannot make virtual environments: its venv module is missing." >&2; \
	  echo "On Debian or Ubuntu run: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.installed: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install -q $(PIP_ARGS) -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-%: $(VENV)/.installed
	$(BIN)/python -m pip install -q $(PIP_ARGS) -c constraints.txt -e '.[$*]'
	@touch $@

demo: $(VENV)/.installed
	$(BIN)/scdiffuse demo -o demo --overwrite

test: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist worksteal $(PYTEST_ARGS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.installed-docs
	PATH="$(abspath $(BIN)):$$PATH" OMP_NUM_THREADS=1 \
	  $(BIN)/python -m sphinx -q -W --keep-going -j 2 -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

wheel: $(BIN)/python
	PYTHON=$(BIN)/python PIP_ARGS="$(PIP_ARGS)" .ci/wheel

bench: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) demo dist docs/_build docs/api
