# CNN Showcase. `make` alone prints this help.
# Everything runs in .venv, which the first command that needs it makes; later runs start in seconds.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8501
ARGS ?=
CORES := $(shell getconf _NPROCESSORS_ONLN)
WORKERS := -n auto --maxprocesses 4 --dist loadfile
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-browser test-all lint bench screenshots readme train-image train-text train-medical train-caption

help: ## this list
	@grep -hE '^[a-zA-Z%-]+:.*## ' $(MAKEFILE_LIST) | sort | sed -E 's/:.*## /\t/' | expand -t 18
	@echo "recipes for train-RECIPE: $(patsubst %.toml,%,$(notdir $(wildcard packages/*/recipes/*.toml)))"

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[all]'
	@touch $@

setup: $(STAMP) ## make .venv with everything in it

demo: $(STAMP) ## serve the pages on http://localhost:8501 (PORT=..., ARGS='--address 0.0.0.0' for other machines)
	$(BIN)/cnn demo --port $(PORT) $(ARGS)

test: $(STAMP) ## the tests: offline, on a CPU, a few minutes
	$(BIN)/python -m pytest $(WORKERS) $(ARGS)

test-browser: $(STAMP) ## the pages in Chromium: the browser tests that `make test` leaves out
	$(BIN)/python -m pytest -m 'browser and not smoke and not slow' $(WORKERS) $(ARGS)

test-all: $(STAMP) ## also real data (CNN_DATA_DIR), GPU where there is one, long browser runs
	$(BIN)/python -m pytest -m 'not benchmark' $(WORKERS) $(ARGS)

bench: $(STAMP) ## timings against named peers
	OMP_NUM_THREADS=$(CORES) $(BIN)/python -m pytest tests/benchmarks -m benchmark -s $(ARGS)

lint: $(STAMP) ## style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

screenshots: $(STAMP) ## the README's pictures, taken from the real pages
	$(BIN)/python tests/browser/take_screenshots.py

readme: $(STAMP) ## the README's result table, from the weights cards
	$(BIN)/python -m cnn_core.weights.table README.md

train-image: train-digits ## the default recipe of image classification: digits, half a minute

train-text: train-docstrings ## the default recipe of text classification: docstrings, under a minute

train-medical: train-phantom ## the default recipe of medical segmentation: drawn thoraxes, two minutes

train-caption: train-scenes ## the default recipe of image captioning: rendered scenes, about four minutes

bench-%: $(STAMP) ## bench-kim2014, bench-five-fold: a table, measured again
	$(BIN)/cnn bench $* $(ARGS)

train-%: $(STAMP) ## train-RECIPE: train a recipe (ARGS='--epochs 3')
	$(BIN)/cnn train $* $(ARGS)

eval-%: $(STAMP) ## eval-NAME: measure shipped weights
	$(BIN)/cnn eval $* $(ARGS)
