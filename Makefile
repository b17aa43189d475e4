# `make demo` and `make test` do all their own set-up, in a virtual environment in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: demo test test-slow coverage lint bench forget clean

demo: $(VENV)/installed
	$(BIN)/gala demo

test: $(VENV)/installed-test
	$(BIN)/python -m pytest -n auto -m "not slow"

test-slow: $(VENV)/installed-test
	$(BIN)/python -m pytest -n auto -m slow

# The kernels as plain Python, so that coverage sees their lines.
KERNEL_TESTS := $(addprefix tests/test_, kernels.py laws.py graph.py tree.py engine.py learn.py policy.py policies.py \
	models.py evaluate_contingency.py constraints.py topology.py editing.py morpho.py curves.py faces.py \
	calibration.py superpixels.py affinities.py rounds.py partition.py \
	superpixel_blocks.py datasets_endless.py pixels.py)
coverage: $(VENV)/installed-test
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest -n auto -m "not slow and not compiled" \
		--cov=gala._kernels --cov-report=term-missing:skip-covered --cov-fail-under=95 $(KERNEL_TESTS)

lint: $(VENV)/installed-lint
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/installed-bench
	$(BIN)/python -m pytest benchmarks --benchmark-only --benchmark-disable-gc -p no:xdist

# What Numba has compiled: it does not see that code which was pasted into a loop from another file has changed.
forget:
	find src -name "*.nb[ci]" -delete

clean: forget
	rm -rf $(VENV) build dist

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "gala needs Python 3.11 or newer; set PYTHON, for example: make PYTHON=python3.12 demo"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --upgrade pip

$(VENV)/installed: pyproject.toml | $(VENV)/bin/python
	$(PIP) install --quiet --editable .
	@touch $@

$(VENV)/installed-%: pyproject.toml $(VENV)/installed
	$(PIP) install --quiet --group $*
	@touch $@
