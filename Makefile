# Every target makes the environment that it needs. A stamp in it, written last, says that it is
# whole: one without, or of another Python or folder, is made anew; where setup.cfg has changed it is
# brought up to date.

PYTHON ?= python3
# Of the Python and the folder that an environment is of.
KEY := $(shell $(PYTHON) -c "import sys, zlib; sys.version_info >= (3, 11) or sys.exit(1); \
	print(*sys.version_info[:2], zlib.crc32(b'$(CURDIR)'), sep='.')")
$(if $(KEY),,$(error $(PYTHON) must be Python 3.11 or newer: make PYTHON=python3.12))
BIN := .venv/bin
# TensorFlow's remarks on the processor and on missing GPUs drown everything else.
export TF_CPP_MIN_LOG_LEVEL ?= 3
# pip compiles nothing, since most of what it installs is never imported: Python keeps what is.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
# Tests take all cores; and CI reads pytest's closing line, so that of most tests comes last.
.NOTPARALLEL:
.PHONY: help demo reproduce search check test test-all environment lint format bench dist clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z -]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' Makefile

demo: .venv/demo-$(KEY) ## the paper's method: its data, trained, and the loops of ten magnets never seen: runs/demo
	KERAS_BACKEND=tensorflow $(BIN)/tfds build tfds_esw/paper --imports tfds_esw --data_dir runs/data
	KERAS_BACKEND=tensorflow $(BIN)/keras-micromag train --data-dir runs/data --out runs/demo

reproduce: .venv/demo-$(KEY) ## every experiment of the paper, one report: runs/reproduce
	KERAS_BACKEND=tensorflow $(BIN)/keras-micromag reproduce --data-dir runs/data

search: .venv/search-$(KEY) ## the searches for the recipe, of an autoencoder and then of a rollout: runs/tuning
	for config in paper large; do \
	KERAS_BACKEND=tensorflow $(BIN)/python -m tfds_esw build $$config --data_dir runs/data || exit; done
	KERAS_BACKEND=tensorflow $(BIN)/python -m tuning autoencoder --data-dir runs/data --trials 40 --jobs 2
	KERAS_BACKEND=tensorflow $(BIN)/python -m tuning rollout --data-dir runs/data --trials 60 --jobs 2 \
	--base runs/tuning/autoencoder/best.json

check: lint check-jax ## after an edit: lint, and the quick tests on JAX

test: lint test-torch test-tensorflow test-jax ## before a commit: all tests but those of integration

test-all: lint test-all-jax-alone test-all-torch test-all-tensorflow test-all-jax ## before a release

PYTEST = KERAS_BACKEND=$(BACKEND) $(BIN)/python -m pytest -n auto --dist worksteal
%-torch: BACKEND := torch
%-tensorflow: BACKEND := tensorflow
%-jax %-jax-alone: BACKEND := jax

check-jax: environment
	$(PYTEST) -m "not slow and not integration"

test-torch test-tensorflow: environment
	$(PYTEST) -m contract

test-jax: environment
	$(PYTEST) -m "not integration"

test-all-torch test-all-tensorflow: environment
	$(PYTEST) -m backend

test-all-jax: environment
	$(PYTEST)

# Where neither TensorFlow nor PyTorch is installed, so that no import of theirs hides in the core.
test-all-jax-alone: BIN := .venv-jax/bin
test-all-jax-alone: .venv-jax/tests-$(KEY)
	@$(BIN)/python -c 'from importlib.util import find_spec as has; \
	assert has("jax") and not has("tensorflow") and not has("torch"), "remove .venv-jax"'
	$(PYTEST) -m backend

environment: .venv/dev-$(KEY)

.venv/dev-$(KEY): EXTRAS := dev
.venv/demo-$(KEY): EXTRAS := tensorflow,plot,beam
.venv/search-$(KEY): EXTRAS := tensorflow,beam,tuning
.venv-jax/tests-$(KEY): EXTRAS := jax,data,tuning,test
.venv/dev-$(KEY) .venv/demo-$(KEY) .venv/search-$(KEY) .venv-jax/tests-$(KEY): \
		setup.cfg pyproject.toml tests/constraints.txt
	@ls $(@D)/*-$(KEY) > /dev/null 2>&1 || { rm -rf $(@D); $(PYTHON) -m venv $(@D); }
	@rm -f $(@D)/*-$(KEY)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile \
		-c tests/constraints.txt -e ".[$(EXTRAS)]"
	@touch $(if $(filter dev,$(EXTRAS)),$(@D)/demo-$(KEY) $(@D)/search-$(KEY)) $@

lint: environment ## check style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: environment ## format the code, and mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: environment ## measure what is claimed about speed
	$(BIN)/python -m benchmarks

dist: environment ## build sdist and wheel into dist/
	rm -rf dist
	$(BIN)/python -m build --no-isolation

clean: ## remove what the tools left; keep the environments and runs/
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +
