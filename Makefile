# make run: the workbench in the browser. Needs Python 3.11 or newer and make; everything else goes into .venv.

VENV    ?= .venv
PYTHON  ?= $(shell for name in python3.11 python3.12 python3.13 python3; do command -v $$name && break; done)
BIN     := $(VENV)/bin
PIP     := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# Several test processes on few cores: with more than one thread each, OpenMP's waiting threads cost more than they give.
TESTING := OMP_NUM_THREADS=1 GRADIO_ANALYTICS_ENABLED=False

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install run test check clean

help:  ## say what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

install: $(BIN)/.installed  ## make .venv and install what the workbench needs

run: $(BIN)/.installed  ## open the workbench on the embedded checkpoint; ARGS="--port 8000" passes arguments on
	GRADIO_ANALYTICS_ENABLED=False $(BIN)/python app.py $(ARGS)

test: $(BIN)/.installed-dev  ## run the tests; ARGS="-k corruptions" passes arguments on
	$(TESTING) $(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

check: $(BIN)/.installed-dev  ## run ruff and the type checker
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:  ## remove .venv and what tools left behind; results in runs/ stay
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "No Python found: install Python 3.11 or newer, or name one with make PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is too old: the workbench needs Python 3.11 or newer. Name one with make PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

# torch goes first and alone, so that whichever build of it this machine has (CPU or CUDA) is settled before the
# packages that depend on it. lpips asks for torchvision, whose CUDA build cannot be imported beside a CPU build of
# torch and then breaks the imports of others; the workbench itself does without it.
$(BIN)/.installed: requirements.txt constraints.txt | $(BIN)/python
	@echo "installing into $(VENV): about two gigabytes, some minutes the first time"
	$(PIP) torch
	$(PIP) --requirement requirements.txt
	@$(BIN)/python -c 'import torchvision' 2>/dev/null || \
		{ echo "torchvision cannot be imported beside this build of torch, so it is removed; nothing here needs it."; \
		  $(BIN)/python -m pip uninstall --quiet --yes torchvision; }
	@touch $@

$(BIN)/.installed-dev: requirements-dev.txt $(BIN)/.installed
	$(PIP) --requirement requirements-dev.txt
	@touch $@
