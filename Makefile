# Given python3 (3.10 or newer, with venv) and make, `make demo` and `make test` do everything; a second call is free.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
LOCK   ?= requirements.lock
# Small networks: two threads that sleep while they wait are faster than ones that spin, when the machine is shared.
export OMP_WAIT_POLICY ?= PASSIVE

COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --constraints constraints.txt --extra dev --python-version 3.10
.PHONY: install demo test test-full test-slow test-lowest test-latest lint bench lock clean

install: $(VENV)/.installed

$(VENV)/.installed: $(LOCK) requirements-uv.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed, found " + sys.version)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r $(LOCK)
	touch $@

# One thread: as fast as two for 8 x 8 pixels, and not slowed down by whatever else the machine does.
demo: install
	OMP_NUM_THREADS=1 WANDB_MODE=offline $(BIN)/python cli.py fit -c configs/gan/digits.yaml

# The tests of a file run in one process, which makes their shared runs once.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile

# Every family, command and failure, once: two minutes on two cores.
test: install
	$(PYTEST) -m "not slow and not full" $(PYTEST_OPTIONS)

# Those and every further case: all shipped configs trained, every place at which a run can be stopped, ...
test-full: install
	$(PYTEST) -m "not slow" $(PYTEST_OPTIONS)

# Trainings that learn something, several processes, whole studies.
test-slow: install
	$(BIN)/python -m pytest -m slow

# The quick tests on the lowest supported versions of torch, pytorch-lightning and the rest. What old versions of other
# packages warn of in each other is no error here.
test-lowest:
	$(MAKE) test VENV=.venv-lowest LOCK=requirements-lowest.lock PYTEST_OPTIONS="-W default"

# The quick tests on the newest version of everything, also above the bounds of pyproject.toml: what the next version breaks.
# For people, not for CI.
test-latest: install
	mkdir -p build
	sed -E 's/,<[0-9.]+"/"/' pyproject.toml > build/pyproject.toml
	$(COMPILE) --upgrade --output-file build/latest.lock build/pyproject.toml
	$(MAKE) test VENV=.venv-latest LOCK=build/latest.lock PYTEST_OPTIONS="-W default"

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: install
	$(BIN)/python -m benchmarks

# After a change of the dependencies in pyproject.toml: versions that still fit stay. `make lock UPGRADE=--upgrade` takes the
# newest of all.
UPGRADE ?=
lock: install
	$(COMPILE) $(UPGRADE) --output-file requirements.lock pyproject.toml
	$(COMPILE) $(UPGRADE) --resolution lowest-direct --output-file requirements-lowest.lock pyproject.toml
	echo uv | $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header $(UPGRADE) --output-file requirements-uv.lock -

clean:
	rm -rf .venv .venv-lowest .venv-latest build .mypy_cache .pytest_cache .ruff_cache
