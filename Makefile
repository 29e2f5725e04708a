# Every target makes the environment that it needs: tools/environment.py leaves a whole one alone.

PYTHON ?= python3
ENVIRONMENT := $(PYTHON) tools/environment.py
BIN := .venv/bin
# TensorFlow's remarks on the processor and on missing GPUs drown everything else.
export TF_CPP_MIN_LOG_LEVEL ?= 3
# pip compiles nothing (tools/environment.py), so that Python must keep what it compiles itself.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
# CI reads pytest's closing line, so that of the whole suite comes last, even with make -j.
.NOTPARALLEL:
.PHONY: help demo reproduce search test lint format test-only-jax test-jax test-torch test-tensorflow test-once bench dist clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z -]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' Makefile

demo: ## the paper's method: its data, trained, and the loops of ten magnets never seen: runs/demo
	@$(ENVIRONMENT) .venv tensorflow,plot,beam
	KERAS_BACKEND=tensorflow $(BIN)/tfds build tfds_esw/paper --imports tfds_esw --data_dir runs/data
	KERAS_BACKEND=tensorflow $(BIN)/keras-micromag train --data-dir runs/data --out runs/demo

reproduce: ## every experiment of the paper, one report: runs/reproduce
	@$(ENVIRONMENT) .venv tensorflow,plot,beam
	KERAS_BACKEND=tensorflow $(BIN)/keras-micromag reproduce --data-dir runs/data

search: ## the searches for the recipe, of an autoencoder and then of a rollout: runs/tuning
	@$(ENVIRONMENT) .venv tensorflow,beam,tuning
	for config in paper large; do \
	KERAS_BACKEND=tensorflow $(BIN)/python -m tfds_esw build $$config --data_dir runs/data || exit; done
	KERAS_BACKEND=tensorflow $(BIN)/python -m tuning autoencoder --data-dir runs/data --trials 40 --jobs 2
	KERAS_BACKEND=tensorflow $(BIN)/python -m tuning rollout --data-dir runs/data --trials 60 --jobs 2 \
	--base runs/tuning/autoencoder/best.json

# Two lines of work at once, one for each of two cores, that take about as long: the second takes
# MOVED on TensorFlow from the first. One begins while `lint` makes the environment of the other.
# It is shown when it is done, so that its closing line comes last.
MOVED := tests/layers/test_layers.py
# PyTorch and NumPy would each take two threads for two cores, and theirs wait for one another.
test: export OMP_NUM_THREADS ?= 1
# XLA spends more time optimising a loop than a test spends in it. Without, TensorFlow compiles nine
# times as fast, and tests on JAX take two thirds of the time; and two thirds of that with the older
# of its two ways to make code of what it fused. A module is cut into parts for threads, for which
# there is no core: in one piece it compiles on JAX with a twentieth less processor time.
test-%: export XLA_FLAGS ?= --xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false \
	--xla_cpu_parallel_codegen_split_count=1
test: ## lint, and all tests on all backends
	@mkdir -p .pytest_cache
	@$(MAKE) --no-print-directory -k test-only-jax test-torch test-tensorflow \
	ON_tensorflow=--ignore=$(MOVED) > .pytest_cache/one.log 2>&1 & \
	one=$$!; trap 'kill $$one' INT TERM; \
	$(MAKE) --no-print-directory lint || { kill $$one; exit 1; }; \
	$(MAKE) --no-print-directory test-once; other=$$?; \
	$(MAKE) --no-print-directory test-tensorflow ON_tensorflow=$(MOVED) || other=$$?; \
	wait $$one; one=$$?; cat .pytest_cache/one.log; \
	[ $$other = 0 ] && [ $$one = 0 ]

lint: ## check style and format
	@$(ENVIRONMENT) .venv dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: ## format the code, and mend what ruff can mend
	@$(ENVIRONMENT) .venv dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# What JAX has compiled before is taken from here, by the processes that tests start too; those that
# run at the same time do not share.
test-%: export JAX_COMPILATION_CACHE_DIR = $(CURDIR)/.pytest_cache/jax/$@
test-%: export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS := 0

test-only-jax: ## the tests that compute with Keras, where neither TensorFlow nor PyTorch is installed
	@$(ENVIRONMENT) .venv-jax jax,data,tuning,test
	@.venv-jax/bin/python -c 'from importlib.util import find_spec as has; \
	assert has("jax") and not has("tensorflow") and not has("torch"), "remove .venv-jax"'
	KERAS_BACKEND=jax .venv-jax/bin/python -m pytest -m backend

test-jax test-torch test-tensorflow: ## the tests that compute with Keras, on this backend
	@$(ENVIRONMENT) .venv dev
	KERAS_BACKEND=$(@:test-%=%) $(BIN)/python -m pytest -m backend $(ON_$(@:test-%=%))

# On JAX, which starts and compiles soonest; and here TensorFlow is beside it.
test-once: ## all other tests, once, and on JAX what exports and reads through TensorFlow
	@$(ENVIRONMENT) .venv dev
	KERAS_BACKEND=jax $(BIN)/python -m pytest -m "not backend or beside"

bench: ## measure what is claimed about speed
	@$(ENVIRONMENT) .venv dev
	$(BIN)/python -m benchmarks

dist: ## build sdist and wheel into dist/
	@$(ENVIRONMENT) .venv dev
	rm -rf dist
	$(BIN)/python -m build --no-isolation

clean: ## remove what the tools left; keep the environments and runs/
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +
