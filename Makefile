# CNN Showcase. `make` alone prints this help.
# Everything runs in .venv, which the first command makes with what it needs; later runs start in seconds.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install
PORT ?= 8501
ARGS ?=
CORES := $(shell getconf _NPROCESSORS_ONLN)
WORKERS := -n auto --maxprocesses 4 --dist loadfile
DEMO := $(VENV)/.demo
STAMP := $(VENV)/.installed
TORCH_INDEX ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test coverage test-lowest test-browser test-all lint bench docs screenshots readme train-image train-text train-medical train-caption train-audio train-detect

help: ## this list
	@grep -hE '^[a-zA-Z%-]+:.*## ' $(MAKEFILE_LIST) | sort | sed -E 's/:.*## /\t/' | expand -t 18
	@echo "recipes for train-RECIPE: $(patsubst %.toml,%,$(notdir $(wildcard packages/*/recipes/*.toml)))"

# torch and torchvision of one index fit each other; what they need comes from the usual one, with all the rest.
define install
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip
	$(if $(TORCH_INDEX),$(PIP) --constraint constraints.txt --no-deps --index-url '$(TORCH_INDEX)' torch torchvision)
	$(PIP) --constraint constraints.txt --editable '.[$(1)]'
endef

$(DEMO): pyproject.toml constraints.txt
	$(call install,demo)
	@touch $@

$(STAMP): pyproject.toml constraints.txt
	$(call install,dev)
	@touch $(DEMO) $@

setup: $(STAMP) ## make .venv with everything in it (TORCH_INDEX=... an index of torch and torchvision, as for the others)

demo: $(DEMO) ## serve the pages on http://localhost:8501 (PORT=..., ARGS='--address 0.0.0.0' for other machines)
	$(BIN)/cnn demo --port $(PORT) $(ARGS)

test: $(STAMP) ## the tests: offline, on a CPU, a few minutes
	$(BIN)/python -m pytest $(WORKERS) $(ARGS)

coverage: $(STAMP) ## the tests with coverage, and the public functions that none of them runs
	$(BIN)/python -m pytest $(WORKERS) --cov --cov-report=term $(ARGS); \
	    status=$$?; $(BIN)/python tests/untested.py && exit $$status

test-lowest: ## the tests with the lowest versions that pyproject.toml allows, in .venv-lowest
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet uv
	.venv-lowest/bin/python -m uv pip install --resolution lowest-direct --requirements pyproject.toml --extra dev
	.venv-lowest/bin/python -m uv pip install --no-deps --editable .
	.venv-lowest/bin/python -m pytest $(WORKERS) $(ARGS)

test-browser: $(STAMP) ## the pages in Chromium: the browser tests that `make test` leaves out
	$(BIN)/python -m pytest -m 'browser and not smoke and not slow' $(WORKERS) $(ARGS)

test-all: $(STAMP) ## also real data (CNN_DATA_DIR), GPU where there is one, long browser runs
	$(BIN)/python -m pytest -m 'not benchmark' $(WORKERS) $(ARGS)

bench: $(STAMP) ## timings against named peers, into docs/benchmarks.md
	BENCHMARKS=docs/benchmarks.json OMP_NUM_THREADS=$(CORES) $(BIN)/python -m pytest tests/benchmarks -m benchmark -s $(ARGS); \
	    status=$$?; $(BIN)/python tests/benchmarks/record.py docs/benchmarks.json docs/benchmarks.md docs/many-machines.md; \
	    exit $$status

lint: $(STAMP) ## style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/oxlint --deny-warnings apps/components/*.js
	$(BIN)/oxfmt --check apps/components/*.js

docs: $(STAMP) ## these documents and the API as a site in build/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build
	@echo 'open build/site/index.html; served, it can be searched, too:'
	@echo '    $(BIN)/python -m http.server --directory build/site 8000'
	@echo '    $(BIN)/python -m mkdocs serve       follows every change'

screenshots: $(STAMP) ## the README's pictures, taken from the real pages
	$(BIN)/python tests/browser/take_screenshots.py
	$(BIN)/python tests/browser/take_animation.py

readme: $(DEMO) ## the tables of results, from the weights cards
	$(BIN)/python -m cnn_core.weights.table README.md docs/results.md

train-image: train-digits ## the default recipe of image classification: digits, half a minute

train-text: train-docstrings ## the default recipe of text classification: docstrings, under a minute

train-medical: train-phantom ## the default recipe of medical segmentation: drawn thoraxes, two minutes

train-caption: train-scenes ## the default recipe of image captioning: rendered scenes, about four minutes

train-audio: train-drawn-sounds ## the default recipe of audio classification: drawn sounds, about a minute

train-detect: train-streets ## the default recipe of object detection: drawn streets, about three minutes

bench-%: $(DEMO) ## bench-kim2014, bench-five-fold: a table, measured again
	$(BIN)/cnn bench $* $(ARGS)

train-%: $(DEMO) ## train-RECIPE: train a recipe (ARGS='--epochs 3')
	$(BIN)/cnn train $* $(ARGS)

eval-%: $(DEMO) ## eval-NAME: measure shipped weights
	$(BIN)/cnn eval $* $(ARGS)
