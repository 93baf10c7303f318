# Every command a person or CI runs. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EXTRAS := gateway orchestrator asr translate tts japanese mixer billing cli
APT_PACKAGES := ffmpeg espeak-ng apertium apertium-eng-spa apertium-eng-cat pocketsphinx-testdata
SEEDS ?= 1000
IN ?=
PROTOS := $(shell find proto -name '*.proto')

.DEFAULT_GOAL := help
.PHONY: help install system lock demo up test test-unit test-contract test-integration test-e2e test-demucs test-whisperx test-f5 lint prose fmt types arch proto proto-check proto-breaking openapi bench check simulate crash-matrix soak mutations clean

help: ## Show this help
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Use it
install: $(VENV)/.installed voices system ## Make the virtual environment, install missing voices and system packages

.PHONY: voices
voices: $(VENV)/.installed
	@sh deploy/local/install-voices.sh $(VENV)/share/onevoice/kokoro $(BIN)/uv

system: ## Install the system packages (ffmpeg, espeak-ng, apertium, sample speech) where missing
	@sh deploy/local/install-system-packages.sh $(APT_PACKAGES)

$(VENV)/.installed: requirements/dev.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/tools.txt
	$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python requirements/dev.txt requirements/tools.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	$(BIN)/python -m compileall -q services libs gen cli
	@touch $@

demo: install ## Dub a one-minute sample to Spanish and Catalan and print the measurements
	$(BIN)/python -m onevoice_cli.demo

up: install ## Start all seven services on this machine
	$(BIN)/onevoice up

##@ Check it
test: install ## All tests
	$(BIN)/pytest tests

test-unit: install ## Unit tests only
	$(BIN)/pytest tests/unit

test-contract: install ## Contract tests only
	$(BIN)/pytest tests/contract

test-integration: install ## Integration tests only
	$(BIN)/pytest tests/integration

test-e2e: install ## End-to-end tests only
	$(BIN)/pytest tests/e2e

test-whisperx: .venv-whisperx/.installed system ## The engine whisperx with the real library, on tiny models (2 GB to install)
	.venv-whisperx/bin/python -m pytest -c tests/libraries/pytest.ini tests/libraries/check_whisperx.py

test-demucs: .venv-demucs/.installed ## The engine demucs with the real library, on a tiny model (1 GB to install)
	.venv-demucs/bin/python -m pytest -c tests/libraries/pytest.ini tests/libraries/check_demucs.py

test-f5: .venv-f5/.installed ## The engine f5 with the real library, on tiny models (2 GB to install)
	.venv-f5/bin/python -m pytest -c tests/libraries/pytest.ini tests/libraries/check_f5.py

# The libraries of torchaudio are for CUDA; the engines use what it has in Python.
.venv-%/.installed: requirements/libraries/%.txt
	$(PYTHON) -m venv .venv-$*
	.venv-$*/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement $<
	rm -f .venv-$*/lib/python3*/site-packages/torchaudio/lib/*.so
	@touch $@

lint: install ## ruff, buf, and the linter of English
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/buf lint
	$(BIN)/buf format --diff --exit-code
	$(BIN)/python -m tests.prose

prose: install ## List phrases that are not plain English: make prose IN="services/asr tests/unit/asr"
	$(BIN)/python -m tests.prose $(IN)

fmt: install ## Format Python and protos
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/buf format --write

types: install ## mypy, strict
	$(BIN)/mypy

arch: install ## Check which package may import which
	$(BIN)/lint-imports

check: lint types arch proto-check proto-breaking test ## All that gates a change

bench: install ## Print one table of ratios measured on this machine (12 minutes)
	$(BIN)/python -m bench

simulate: install ## The job engine under seeded faults: make simulate SEEDS=10000
	$(BIN)/python -m tests.simulation --seeds $(SEEDS)

crash-matrix: install ## Kill at every point of a job (`make test` takes a sample)
	CRASH_MATRIX=full $(BIN)/pytest tests/integration/crash

soak: install ## Jobs for five minutes while processes are killed: losses, repetitions and speed
	$(BIN)/python -m bench.soak --seconds 300 --kill-every 5

mutations: install ## Break each invariant on purpose and see that a test notices
	$(BIN)/python -m tests.mutations

##@ Maintain it
proto: install ## Generate the stubs in gen/
	@$(MAKE) --no-print-directory generate OUT=gen

.PHONY: generate
generate:
	rm -rf $(OUT)/onevoice && mkdir -p $(OUT)
	$(BIN)/python -m grpc_tools.protoc --proto_path=proto --plugin=protoc-gen-mypy=$(BIN)/protoc-gen-mypy --plugin=protoc-gen-mypy_grpc=$(BIN)/protoc-gen-mypy_grpc \
	  --python_out=$(OUT) --grpc_python_out=$(OUT) --mypy_out=quiet:$(OUT) --mypy_grpc_out=quiet:$(OUT) $(PROTOS)

proto-check: install ## The checked-in stubs are what the protos generate
	@tmp=$$(mktemp -d) && trap 'rm -rf "$$tmp"' EXIT && $(MAKE) --no-print-directory generate OUT="$$tmp" && diff -r -x __pycache__ "$$tmp/onevoice" gen/onevoice

openapi: install ## Write services/gateway/openapi.json, which a test compares with the code
	$(BIN)/python -m services.gateway.openapi

proto-breaking: install ## The protos can talk with those of the last release (release.txt)
	@tmp=$$(mktemp -d) && trap 'rm -rf "$$tmp"' EXIT && git archive "$$(cat release.txt)" --output "$$tmp/release.tar" proto buf.yaml && \
	  tar -x -C "$$tmp" -f "$$tmp/release.tar" && $(BIN)/buf breaking --against "$$tmp"

lock: ## Compile the locks in requirements/ from pyproject.toml
	sh requirements/compile.sh "$(BIN)/uv" $(EXTRAS)

clean: ## Remove what the build made
	rm -rf $(VENV) .venv-* build demo-output .mypy_cache .ruff_cache .pytest_cache
