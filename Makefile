# Everything needs only python3.11 (or python3 of a suitable version), git and make.
.DEFAULT_GOAL := help
.PHONY: help install demo bench test test-all test-experiments test-programs test-rest lint format docs nni remake clean

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTHON ?= $(shell command -v python3.11 || command -v python3)
DEMO := runs/demo
NNI_PORT ?= 8080
# Threads that spin while they wait make small models ten times slower on busy cores.
export OMP_WAIT_POLICY ?= PASSIVE
export GOMP_SPINCOUNT ?= 2000

help:  ## Show what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */  make \1\t/' | expand -t 16

install: $(STAMP)  ## Make .venv with dpl_nas and everything to develop it (downloads about 6 GB)

# Made again only when the dependencies may have changed.
$(STAMP): pyproject.toml
	@test -n "$(PYTHON)" || { echo "error: no python3.11 or python3 on PATH" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "error: $(PYTHON) has no venv: install python3-venv (Debian, Ubuntu)" >&2; exit 2; }
	@echo "Installing into $(VENV): about 6 GB to download, as torch comes in its CUDA build."
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --upgrade pip
	$(BIN)/python -m pip install -e '.[dev]'
	touch $@

demo: $(STAMP)  ## Run the main job on the embedded default into runs/demo (afresh each time)
	$(BIN)/dpl-nas run --task pictures/vehicles --space mini_clip_budget12 --strategy darts \
		--shots 16 --seed 1 --budget 4-trials evaluate.uniform_length=4 --out $(DEMO) --overwrite

PARTS := test-experiments test-programs test-rest

test: lint  ## Check style and types, then run the tests that take seconds (15 minutes)
	$(MAKE) --no-print-directory -j3 $(PARTS) MARKED='-m "not slow"' MORE=tests/strategy

test-all: lint  ## The same with the slow tests, as continuous integration does (40 minutes)
	$(MAKE) --no-print-directory -j3 $(PARTS)

# Three parts side by side, as two processes of one thread do more than one of two: what starts
# programs, the rest, and experiments of NNI, which wait most of the time. The first and the last
# are told of at their end. MORE goes to the first, so that the two take equally long.
PROGRAMS := tests/benchmarks tests/classifier tests/cli tests/comparison tests/docs $(MORE)
$(PARTS): export OMP_NUM_THREADS ?= 1
PYTEST := $(BIN)/python -m pytest $(MARKED)
TOLD = @said=$$($(PYTEST) $(1) 2>&1); code=$$?; printf '\n%s\n' "$$said"; exit $$code

test-experiments: $(STAMP)
	$(call TOLD,tests/experiments)

test-programs: $(STAMP)
	$(call TOLD,$(PROGRAMS))

test-rest: $(STAMP)
	$(PYTEST) $(addprefix --ignore ,tests/experiments $(PROGRAMS))

lint: $(STAMP)  ## Check style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(STAMP)  ## Format the code and mend what ruff can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: export OMP_NUM_THREADS ?= 1
bench: $(STAMP)  ## Run all methods on the tasks of pictures, under three protocols (hours; goes on)
	$(BIN)/python -m benchmarks.results --out runs/results --jobs 2

docs: $(STAMP)  ## Build the documentation into site/, which needs no server and no network
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# NNI's server knows no password, so it is kept on this machine (README, "As an NNI experiment").
nni: $(STAMP)  ## Start the NNI experiment dpl_darts.yml, its web page on 127.0.0.1
	PATH="$(CURDIR)/$(BIN):$$PATH" NODE_OPTIONS="$$($(BIN)/dpl-nas nni preload)" \
		nnictl create --config dpl_darts.yml --port $(NNI_PORT)

REMADE := runs/remade
PACKAGES := runs/packages
remake: $(STAMP)  ## Make the pictures, words and weights that ship again (downloads 310 MB; 1 h)
	$(BIN)/python -m pip install -e '.[gallery]'
	$(BIN)/python -m dpl_nas.gallery.build --packages $(PACKAGES) --out $(REMADE)
	$(BIN)/python -m dpl_nas.mini.build_words --packages $(PACKAGES) --out $(REMADE)
	$(BIN)/dpl-nas mini pretrain --out $(REMADE)
	$(BIN)/dpl-nas mini gates --weights $(REMADE)/mini_clip.safetensors

clean:  ## Remove caches and builds; .venv and runs/ stay
	rm -rf build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find dpl_nas tests -name __pycache__ -type d -prune -exec rm -rf {} +
