# Every target makes the environment that it needs. A stamp in it, written last, says that it is
# whole: one without, or of another Python or folder, is made anew; where setup.cfg has changed it is
# brought up to date.

PYTHON ?= python3
# Of the Python and the folder that an environment is of.
KEY := $(shell $(PYTHON) -c "import sys, zlib; sys.version_info >= (3, 11) or sys.exit(1); \
	print(*sys.version_info[:2], zlib.crc32(b'$(CURDIR)'), sep='.')")
$(if $(KEY),,$(error $(PYTHON) must be Python 3.11 or newer: make PYTHON=python3.12))
# Where Python keeps the programs of an environment.
SCRIPTS := $(if $(filter Windows_NT,$(OS)),Scripts,bin)
BIN := .venv/$(SCRIPTS)
# TensorFlow's remarks on the processor and on missing GPUs drown everything else.
export TF_CPP_MIN_LOG_LEVEL ?= 3
# pip compiles nothing, since most of what it installs is never imported: Python keeps what is.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
# Tests take all cores; and CI reads pytest's closing line, so that of most tests comes last.
.NOTPARALLEL:
.PHONY: help demo reproduce search check test test-all test-lowest test-newest test-nightly test-docs \
	docs docs-pages environment lint format bench dist check-tag clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z -]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' Makefile

demo: .venv/demo-$(KEY) ## the paper's method: its data, trained, and the loops of ten magnets never seen: runs/demo
	@mkdir -p runs
	@echo "tfds build tfds_esw/paper: simulates the paper's ten magnets (half a minute)"
	@KERAS_BACKEND=tensorflow $(BIN)/tfds build tfds_esw/paper --imports tfds_esw --data_dir runs/data \
	> runs/tfds_build.log 2>&1 || { cat runs/tfds_build.log; exit 1; }
	@echo "keras-micromag train: the paper's method, to runs/demo"
	@KERAS_BACKEND=tensorflow $(BIN)/keras-micromag train --data-dir runs/data --out runs/demo

reproduce: .venv/demo-$(KEY) ## every experiment of the paper, one report: runs/reproduce
	KERAS_BACKEND=tensorflow $(BIN)/keras-micromag reproduce --data-dir runs/data

search: .venv/search-$(KEY) ## the searches for the recipe, of an autoencoder and then of a rollout: runs/tuning
	for config in paper large; do \
	KERAS_BACKEND=tensorflow $(BIN)/python -m tfds_esw build $$config --data_dir runs/data || exit; done
	KERAS_BACKEND=tensorflow $(BIN)/python -m tuning autoencoder --data-dir runs/data --trials 40 --jobs 2
	KERAS_BACKEND=tensorflow $(BIN)/python -m tuning rollout --data-dir runs/data --trials 60 --jobs 2 \
	--base runs/tuning/autoencoder/best.json

check: lint check-jax ## after an edit: lint, and the quick tests on JAX

test: lint docs-pages test-torch test-tensorflow test-jax ## before a commit: all tests but those of integration

test-all: lint docs test-all-jax-alone test-all-torch test-all-tensorflow test-all-jax ## before a release

PYTEST = KERAS_BACKEND=$(BACKEND) $(BIN)/python -m pytest -n auto --dist worksteal
%-torch: BACKEND := torch
%-tensorflow: BACKEND := tensorflow
%-jax %-jax-alone: BACKEND := jax

# The core, on JAX: all but data sets and searches, which need other extras.
CORE = KERAS_BACKEND=jax $(BIN)/python -m pytest -n auto --dist worksteal keras_micromag tests \
	--ignore=tests/paper --ignore=tests/tfds_esw --ignore=tests/tuning --ignore=tests/campaigns \
	-m "not integration"

# Versions of that time warn of what others have changed since, and know no other flag of XLA.
test-lowest: BIN := .venv-lowest/$(SCRIPTS)
test-lowest: .venv-lowest/core-$(KEY) ## the core with the lowest versions that setup.cfg allows
	XLA_FLAGS=--xla_backend_optimization_level=0 $(CORE) -W default

test-newest: BIN := .venv-newest/$(SCRIPTS)
test-newest: .venv-newest/core-$(KEY) ## the core with the newest versions of today
	$(BIN)/python -m pip install --quiet --upgrade --upgrade-strategy eager -e ".[jax,test]"
	$(CORE)

# Both packages write the folder `keras`.
test-nightly: BIN := .venv-nightly/$(SCRIPTS)
test-nightly: .venv-nightly/core-$(KEY) ## the core with the Keras of last night
	$(BIN)/python -m pip uninstall --quiet --yes keras keras-nightly
	$(BIN)/python -m pip install --quiet --pre --upgrade keras-nightly
	$(CORE) -W default

SPHINX = KERAS_BACKEND=jax $(BIN)/python -m sphinx --quiet -b html -n -W --keep-going

docs: .venv/docs-$(KEY) ## the site, with its gallery executed and its links followed: build/docs
	$(SPHINX) -d build/doctrees docs build/docs
	$(BIN)/python docs/check_links.py build/docs

docs-pages: environment # the same, but examples that have not run before are not executed
	$(SPHINX) -d build/doctrees-pages -D plot_gallery=0 docs build/pages
	$(BIN)/python docs/check_links.py build/pages

test-docs: environment ## the links of the pages, and their examples
	KERAS_BACKEND=jax $(BIN)/python -m pytest tests/test_house.py -k page

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
test-all-jax-alone: BIN := .venv-jax/$(SCRIPTS)
test-all-jax-alone: .venv-jax/tests-$(KEY)
	@$(BIN)/python -c 'from importlib.util import find_spec as has; \
	assert has("jax") and not has("tensorflow") and not has("torch"), "remove .venv-jax"'
	$(PYTEST) -m backend

environment: .venv/dev-$(KEY)

.venv/dev-$(KEY): EXTRAS := dev
.venv/docs-$(KEY): EXTRAS := docs
.venv/demo-$(KEY): EXTRAS := tensorflow,plot,beam
.venv/search-$(KEY): EXTRAS := tensorflow,beam,tuning
.venv-jax/tests-$(KEY): EXTRAS := jax,data,tuning,test
CORES := $(foreach name,lowest newest nightly,.venv-$(name)/core-$(KEY))
$(CORES): EXTRAS := jax,test
CONSTRAINTS := tests/constraints.txt
.venv-lowest/core-$(KEY): CONSTRAINTS := tests/lowest.txt
.venv/dev-$(KEY) .venv/docs-$(KEY) .venv/demo-$(KEY) .venv/search-$(KEY) .venv-jax/tests-$(KEY) $(CORES): \
		setup.cfg pyproject.toml tests/constraints.txt tests/lowest.txt
	@ls $(@D)/*-$(KEY) > /dev/null 2>&1 || { rm -rf $(@D); $(PYTHON) -m venv $(@D); }
	@rm -f $(@D)/*-$(KEY)
	@echo "Installing .[$(EXTRAS)] into $(@D): some minutes, up to 5 GB"
	@$(@D)/$(SCRIPTS)/python -m pip install --quiet --disable-pip-version-check --no-compile \
		-c $(CONSTRAINTS) -e ".[$(EXTRAS)]"
	@touch $(if $(filter dev,$(EXTRAS)),$(patsubst %,$(@D)/%-$(KEY),demo docs search)) $@

lint: environment ## check style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: environment ## format the code, and mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: environment ## measure what is claimed about speed
	$(BIN)/python -m benchmarks

dist: environment ## build sdist and wheel into dist/, and check their metadata
	rm -rf dist
	$(BIN)/python -m build --no-isolation
	$(BIN)/twine check --strict dist/*

check-tag: # TAG of a release names the version, whose date is in the changelog
	@grep -qx '__version__ = "$(TAG:v%=%)"' keras_micromag/__init__.py \
	&& grep -Eqx '## \[$(TAG:v%=%)\] - [0-9]{4}-[0-9]{2}-[0-9]{2}' CHANGELOG.md \
	|| { echo "TAG must be v and the version, with its date in CHANGELOG.md; received $(TAG)."; exit 1; }

clean: ## remove what the tools left; keep the environments and runs/
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +
