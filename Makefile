# Two commands do everything: `make demo` runs the main job on the example, `make test` runs the tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
BUGSINK := .venv-bugsink/.ready

# Some images set it: each of the many processes that the tests start would compile the whole program anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test interop lint bench docs clean help

help: ## List the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . --group dev
	touch $(STAMP)

demo: $(STAMP) ## Audit the example project, and the local cloud that it is deployed to
	@$(BIN)/python scripts/demo.py

test: $(STAMP) ## Run the tests
	$(BIN)/python -m pytest -n 4 --dist loadgroup

$(BUGSINK): Makefile
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check bugsink==2.6.1
	touch $@

interop: $(STAMP) $(BUGSINK) ## Send what verify receives to Bugsink, a Sentry that is none of ours
	$(BIN)/python -m pytest tests/test_verify_bugsink.py

lint: $(STAMP) ## ruff (lint and format) and mypy --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(STAMP) ## Run the benchmarks (needs ripgrep)
	$(BIN)/python benchmarks/offline.py
	$(BIN)/python benchmarks/cloud.py
	$(BIN)/python benchmarks/verify.py

clean: ## Remove what the other targets made
	rm -rf $(VENV) .venv-bugsink dist build .pytest_cache .mypy_cache .ruff_cache
