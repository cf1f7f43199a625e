# Everything that is done to this checkout, one word each. `make help` lists the words.

SUITABLE := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON   ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
              $$p -c '$(SUITABLE)' >/dev/null 2>&1 && command -v $$p && break; done)
VENV     ?= .venv
BIN      := $(VENV)/bin
# A new lock file, pyproject.toml or place of the checkout is a reason to install again.
KEY      := $(shell (pwd; cat pyproject.toml constraints.txt) | cksum | cut -d' ' -f1)
READY    := $(VENV)/.ready-$(KEY)
INSTALL   = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
ARGS     ?=
# Processes that the suite runs in; 0 for one without xdist, as a debugger wants it.
WORKERS  ?= auto
COUNT    ?= 1000
START    ?= 0
KIND     ?= program
export PYTHONUTF8 = 1

.DEFAULT_GOAL := help
.PHONY: help setup demo test docs lint format types bench conformance fuzz killtest size lock clean

help: ## list these words
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

setup: $(READY)-test $(READY)-lint ## the environment for working on Flux, in .venv

demo: $(READY)-demo ## train on the embedded digits; prints the result and where the picture is
	$(BIN)/flux train mlp $(ARGS)

test: $(READY)-test ## the whole suite (ARGS="-k name" for a part, WORKERS=0 for a debugger, FLUX_TORCH=0 without PyTorch)
	$(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 8 --dist worksteal $(ARGS)

docs: $(READY)-docs ## the documentation as a site, in build/site; any warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict $(ARGS) && echo build/site/index.html

lint: $(READY)-lint ## style: ruff's findings and formatting
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

format: $(READY)-lint ## bring the files into ruff's form
	$(BIN)/ruff check --fix . && $(BIN)/ruff format .

types: $(READY)-lint $(READY)-test ## pyright on src
	$(BIN)/pyright

bench: $(READY)-bench ## speed and memory next to peers, into bench/RESULTS.md (ARGS="--only NAME")
	$(BIN)/python bench/run.py $(ARGS)

conformance: $(READY)-test ## every sample program: value, side effects, gradient, second pullback
	$(BIN)/python -m pytest tests -n $(WORKERS) --maxprocesses 8 -m line --lines $(ARGS)

fuzz: $(READY)-test ## random programs against differences (COUNT=1000 START=0 KIND=program|order|shares COMPILED=1)
	cd tests && COMPILED=$(COMPILED) $(abspath $(BIN))/python -m fuzz $(START) $(COUNT) $(KIND)

killtest: COUNT = 30
killtest: $(READY)-test ## kill a training COUNT times, resume it, compare every bit (COUNT=30 START=0)
	cd tests && $(abspath $(BIN))/python -m kill $(COUNT) $(START)

size: $(BIN)/python ## lines by room, longest files and functions, circles
	$(BIN)/python tools/size.py

lock: $(BIN)/python ## renew constraints.txt
	PYTHON=$(BIN)/python tools/lock

clean: ## remove the environment and what was built
	rm -rf $(VENV) .lock-venv build dist

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Flux needs Python 3.11, 3.12 or 3.13 with venv:" \
	  "install one, or name it: make PYTHON=/path/to/python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(READY)-demo: | $(BIN)/python
	$(INSTALL) -e '.[plot]'
	@touch $@

$(READY)-test: | $(BIN)/python
	$(INSTALL) -e '.[plot,test]'
	@VENV=$(VENV) tools/install_torch
	@touch $@ $(READY)-demo

$(READY)-docs: | $(BIN)/python
	$(INSTALL) -e '.[plot,docs]'
	@touch $@

$(READY)-lint: | $(BIN)/python
	$(INSTALL) -e '.[lint]'
	@touch $@

$(READY)-bench: | $(BIN)/python
	$(INSTALL) -e '.[plot,bench]'
	@touch $@
