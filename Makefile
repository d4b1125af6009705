# Everything runs in .venv, which each target makes or renews by itself. Only Python, make and terraform are needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CHECKOV := .venv-checkov/bin/checkov
# Python's cache of compiled files, where the shell forbids it: without it each worker of `make test` compiles all tests,
# 9 s of CPU, and every run of the program that a test starts compiles what was changed since the installation.
unexport PYTHONDONTWRITEBYTECODE
LOCKED := --quiet --disable-pip-version-check --no-deps --no-build-isolation

.DEFAULT_GOAL := help
.PHONY: help check test test-slow checkov test-docker28 test-renovate test-floors kills soak docs reference install-matrix lock bench demo format clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

# What is installed is what the locks say, byte for byte; what builds a package from source comes first.
$(STAMP): pyproject.toml requirements-build.txt requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit("make: Python 3.11 or newer is needed, this is " + sys.version.split()[0] + ": set PYTHON=…") if sys.version_info < (3, 11) else 0'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) …" >&2
	@$(BIN)/python -m pip install $(LOCKED) --require-hashes --requirement requirements-build.txt
	@$(BIN)/python -m pip install $(LOCKED) --require-hashes --requirement requirements-dev.txt
	@$(BIN)/python -m pip install $(LOCKED) --editable .
	@$(BIN)/python -m compileall -q toolkit # as pip does for an installed package: a third of a start-up
	@touch $@

check: $(STAMP) ## formatting, lint, types, layers, terraform fmt
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	terraform fmt -check -recursive terraform_modules

test: $(STAMP) ## the tests, on every core; under five minutes on two
	$(BIN)/python -m pytest -n auto --dist loadgroup -m 'not slow and not docker28'

test-slow: $(STAMP) ## the long stories: killed runs, thousands of random faults, README's day, lost state
	$(BIN)/python -m pytest -n auto --dist loadgroup -m 'slow and not docker28'

kills: $(STAMP) ## every command broken off at a hundred random moments; hours, KILLS=20 for less
	TOOLKIT_KILLS=$(or $(KILLS),100) $(BIN)/python -m pytest -n auto --dist loadgroup tests/kills

soak: $(STAMP) ## copies for half an hour with a fifth of the answers wrong; memory and descriptors stay flat; MINUTES=2 for less
	$(BIN)/python -m tests.soak --minutes $(or $(MINUTES),30)

test-docker28: $(STAMP) ## the corpus of Dockerfiles on CodeBuild's Docker, fetched from Debian unstable; needs root
	-$(BIN)/python -m tests.proof.docker_28
	$(BIN)/python -m pytest tests/proof tests/shipping -m docker28

test-renovate: $(STAMP) ## the Renovate preset by Renovate itself, 350 MB from npm
	$(BIN)/python -m tests.shipping.renovate
	$(BIN)/python -m pytest tests/shipping/test_renovate.py

$(CHECKOV): tests/checkov/requirements.txt
	@test -x .venv-checkov/bin/python || $(PYTHON) -m venv .venv-checkov
	@echo "installing into .venv-checkov …" >&2
	@.venv-checkov/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

checkov: $(STAMP) $(CHECKOV) ## checkov over the plans of all examples; a failed check needs a reason beside the resource
	$(BIN)/python -m tests.checkov build/checkov
	$(CHECKOV) --file build/checkov/plans/*.json --framework terraform_plan --compact --quiet --skip-download \
	  --repo-root-for-plan-enrichment build/checkov/modules

# CASES=… for another number; what is found goes to tests/hostile/corpus, where `make test` reads it for ever.
CASES ?= 200000
fuzz: $(STAMP) ## nearly right texts for every reader of foreign text; some minutes, not in CI
	$(BIN)/python -m tests.hostile.fuzz --cases $(CASES)

docs: $(STAMP) ## the site, into build/docs; a broken link fails
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --nitpicky docs build/docs

reference: $(STAMP) ## renew the pages of docs/reference that say what the code says
	@$(BIN)/python -m tests.docs.reference

test-floors: $(STAMP) ## the unit tests on the oldest dependencies that pyproject.toml allows; asks the package index
	$(BIN)/python -m tests.packaging.floors

install-matrix: $(STAMP) ## which systems and Pythons install from wheels alone; asks the package index, ten minutes
	$(BIN)/python -m tests.packaging.install_matrix

UV := $(BIN)/python -m uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --no-annotate
lock: $(STAMP) ## renew the locked dependencies; asks the package index
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@printf 'editables\nhatchling\nsetuptools\n' | $(UV) --output-file requirements-build.txt -
	@$(UV) --extra dev --output-file requirements-dev.txt pyproject.toml
	@$(UV) --constraint requirements-dev.txt --output-file requirements.txt pyproject.toml

# A whole run renews the picture in README.
bench: $(STAMP) ## the copy engine beside its peers, on a quiet machine; ARGS='cold --runs 1' for a part
ifdef ARGS
	@$(BIN)/python -m tests.bench $(ARGS)
else
	@$(BIN)/python -m tests.bench --json tests/bench/results.json
	@$(BIN)/python -m tests.bench.plot tests/bench/results.json docs/images/speed.svg
endif

demo: $(STAMP) ## the main job on the embedded sandbox: no AWS account, no Docker Hub
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh examples/quickstart/demo.sh

format: $(STAMP) ## rewrite to the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	terraform fmt -recursive terraform_modules

clean: ## remove what the targets made
	rm -rf $(VENV) .venv-checkov build/checkov build/docs .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
