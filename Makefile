# Two commands for a newcomer: `make demo` and `make test`. `make check` is exactly what CI runs.
PYTHON ?= python3
BIN := .venv/bin
PYTEST_FLAGS ?=
BENCH_FLAGS ?=

.PHONY: demo test coverage bench check lint contracts types lock clean

.venv/.installed: requirements-dev.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

demo: .venv/.installed
	$(BIN)/casework demo

test: .venv/.installed
	$(BIN)/pytest -n 2 $(PYTEST_FLAGS)

# The same tests; then every branch of the foundations and of the gateway must have been taken (see pyproject.toml).
coverage: .venv/.installed
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n 2 $(PYTEST_FLAGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

# The twins have requirements of their own, which the service never has: another virtual environment.
.venv-bench/.installed: requirements-bench.txt pyproject.toml
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bench.txt
	touch $@

# About ten minutes on two cores with nothing else running; writes its figures into README.
bench: .venv-bench/.installed
	.venv-bench/bin/python -m bench $(BENCH_FLAGS)

lint: .venv/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

contracts: .venv/.installed
	$(BIN)/lint-imports

types: .venv/.installed
	$(BIN)/mypy

# Order: cheapest first. `test` holds foundations, migrations and drift, slices, access matrix, journeys.
check: lint contracts types test

# Writes the lock files anew from pyproject.toml (needs uv).
lock:
	uv pip compile --python-version 3.11 --universal --generate-hashes --no-header --no-emit-index-url pyproject.toml -o requirements.txt
	uv pip compile --python-version 3.11 --universal --generate-hashes --no-header --no-emit-index-url --extra dev pyproject.toml -o requirements-dev.txt
	uv pip compile --python-version 3.11 --universal --generate-hashes --no-header --no-emit-index-url --extra bench -c requirements.txt pyproject.toml -o requirements-bench.txt

clean:
	rm -rf .venv .venv-bench .pytest_cache .mypy_cache .ruff_cache .hypothesis
