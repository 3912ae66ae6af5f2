# pycryptoutil: `make help` lists what there is. `make run` and `make test` set up everything they need.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
CORE := pycryptoutil/_core.abi3.so
RUST := Cargo.toml Cargo.lock core-rs/Cargo.toml core-rs/build.rs $(shell find core-rs/src -name '*.rs' 2>/dev/null)
DEV := .dev
FUZZ_SECONDS ?= 20
PYTEST ?= $(BIN)/python -m pytest

# The program starts many hundreds of times in the tests: compiled afresh each time it would take twice as long.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "; print "usage: make TARGET\n"} /^[a-z-]+:.*## / {printf "  \033[36m%-10s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed ($(PYTHON) is older): make PYTHON=python3.x …" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { echo "the venv module is missing: install python3-venv" >&2; exit 1; }

$(VENV)/.packages: requirements/dev.lock requirements/uv.lock.txt pyproject.toml protocols/pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/uv.lock.txt
	$(UV) pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements/uv.lock.txt requirements/dev.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps -e protocols
	rm -f $(VENV)/.core
	touch $@

$(VENV)/.core: $(RUST) $(VENV)/.packages
	@command -v cargo >/dev/null || { echo "Rust is needed: cargo was not found" >&2; exit 1; }
	@echo "building the Rust core (the first time takes some minutes)"
	VIRTUAL_ENV=$(abspath $(VENV)) PATH="$(abspath $(BIN)):$$PATH" $(BIN)/maturin develop --release --locked --uv --quiet
	touch $@

.PHONY: setup
setup: $(VENV)/.core ## Prepare .venv with .venv/bin/pycryptoutil

.PHONY: run
run: setup ## Start the suite under .dev/, run the live tour, go on serving
	$(BIN)/pycryptoutil run suite --profile dev --data-dir $(DEV) --ready-file $(DEV)/ready.json --tour

.PHONY: test
test: setup ## Run every test but interop
	cargo test --quiet --release --locked --no-default-features
	$(PYTEST) -n 2 --dist loadfile --no-loadscope-reorder -m "not interop" $(ARGS)

.PHONY: check
check: setup ## Format, lint, types, import rules, OpenAPI drift
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	cargo fmt --check
	cargo clippy --quiet --release --locked --all-targets --no-default-features -- -D warnings
	cargo clippy --quiet --release --locked --lib -- -D warnings
	$(BIN)/pycryptoutil openapi --check
	$(BIN)/python tests/support/house_rules.py

.PHONY: format
format: setup ## Format Python and Rust
	$(BIN)/ruff check --fix-only --quiet . ; $(BIN)/ruff format . ; cargo fmt

.PHONY: openapi
openapi: setup ## Write docs/openapi/*.json anew
	$(BIN)/pycryptoutil openapi docs/openapi

.PHONY: interop
interop: setup ## Run the suite against curl, openssl, gnutls, strongSwan, certmonger, scepclient and pkilint
	bash tests/interop/prepare_debian13.sh
	bash tests/interop/prepare_scep.sh || [ $$? = 77 ]
	$(PYTEST) -m interop $(ARGS)

.PHONY: bench
bench: setup ## Print each figure beside its limit or peer, and write bench.json
	$(BIN)/python -m tests.bench --output bench-results.json $(ARGS)

.PHONY: fuzz
fuzz: setup ## Fuzz every decoder, Python and Rust, FUZZ_SECONDS each
	-$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/fuzz.lock
	$(BIN)/python -m tests.fuzz.run --seconds $(FUZZ_SECONDS)
	bash core-rs/fuzz/run.sh $(FUZZ_SECONDS)

.PHONY: wheels
wheels: setup ## Build both wheels into dist/
	rm -rf dist
	$(BIN)/maturin build --release --locked --out dist
	$(UV) build --quiet --wheel --out-dir dist protocols
	ls -l dist

.PHONY: lock
lock: | $(BIN)/python ## Resolve the lock files anew
	$(BIN)/python -m pip install --quiet uv
	printf 'uv==0.13.9\n' | $(UV) pip compile --quiet --universal --generate-hashes --no-header - -o requirements/uv.lock.txt
	$(UV) pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 --no-emit-package pycryptoutil-protocols --no-emit-package uv --group dev pyproject.toml -o requirements/dev.lock
	$(UV) pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 --group fuzz -o requirements/fuzz.lock
	$(UV) pip compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11 --no-emit-package pycryptoutil-protocols -c requirements/dev.lock --extra otel --extra hsm pyproject.toml -o requirements/run.lock
	$(UV) pip compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11 -c requirements/dev.lock --group image -o requirements/build.lock

.PHONY: clean
clean: ## Remove what was built (not .dev)
	rm -rf $(VENV) target dist $(CORE) .mypy_cache .ruff_cache .pytest_cache .hypothesis
