# Everything a developer runs, by name. `make` alone prints this list.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= /usr/bin/python3
BIN := .venv/bin
ROOMS := crds core operator control_plane router cell analytics cli embedded bench e2e
EXTRAS := --extra embedded --extra bench --extra dev
STAMP := .venv/.synced
# The rooms are imported from the checkout; nothing has to be built or installed again after an edit.
export PYTHONPATH := $(subst $() ,:,$(addprefix $(CURDIR)/,$(ROOMS)))

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): requirements.lock scripts/bootstrap.sh
	@PYTHON=$(PYTHON) bash scripts/bootstrap.sh

.PHONY: env
env: $(STAMP) ## Make or update the Python environment in .venv from requirements.lock

.PHONY: up
up: env ## Start the whole platform and run the demonstration
	@$(BIN)/voicehelper up

.PHONY: down
down: ## Stop everything; data stays
	@if [ -x $(BIN)/voicehelper ]; then $(BIN)/voicehelper down; else echo "nothing to stop: there is no .venv"; fi

.PHONY: clean
clean: ## Stop everything and remove data and users (packages and caches stay)
	@if [ -x $(BIN)/voicehelper ]; then $(BIN)/voicehelper clean; else echo "nothing to remove: there is no .venv"; fi

.PHONY: test
test: quick integration ## Run the quick tests, then the integration tests

.PHONY: quick
quick: env ## Run the quick tests only, one process a core (about three minutes on two)
	@$(BIN)/python -m pytest -n logical -m "not integration and not cluster" $(ARGS)

.PHONY: integration
integration: env ## Run the tests on the real stores (the first time, programs of theirs are built for some minutes)
	@$(BIN)/python -m voicehelper_e2e.cluster programs
	@$(BIN)/python -m pytest -n 2 --dist loadgroup -m "integration and not cluster and not thorough" $(ARGS)

.PHONY: thorough
thorough: env ## Kill at the points on the platform that `make test` leaves to the tests in memory (about half an hour)
	@$(BIN)/python -m pytest -m thorough $(ARGS)

.PHONY: bench
bench: env ## Measure (BENCH="router cdc" for some, ARGS=--quick): JSON lines, and docs/benchmarks.md after a whole run
	@$(BIN)/python -m voicehelper_bench $(ARGS) $(BENCH)

.PHONY: fuzz
fuzz: env ## Feed the parsers inputs that follow their branches (RUNS=n, TARGET=name)
	@$(BIN)/python -m voicehelper_e2e.fuzz --runs $(or $(RUNS),10000) $(TARGET)

.PHONY: chaos
chaos: env ## Kill everything while clients work, then compare all stores (SEED=n; docs/chaos.md)
	@$(BIN)/python -m voicehelper_e2e.chaos --seed $(or $(SEED),1) $(ARGS)

.PHONY: scenarios
scenarios: env ## Full disks, jumping clocks, hangs, a lost slot, poison, no control plane (docs/chaos-scenarios.md)
	@$(BIN)/python -m voicehelper_e2e.chaos --seed $(or $(SEED),1) --scenario all $(ARGS)

.PHONY: cluster
cluster: env ## Start a Kubernetes: KUBECONFIG's, kind's, or a node of our own (docs/cluster.md)
	@$(BIN)/python -m voicehelper_e2e.cluster up

.PHONY: cluster-image
cluster-image: env ## Build the project's image and load it into the cluster
	@$(BIN)/python -m voicehelper_e2e.cluster image

.PHONY: cluster-down
cluster-down: ## Stop the node of our own and remove all it had; built programs stay in the cache
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m voicehelper_e2e.cluster down; else echo "nothing to stop: there is no .venv"; fi

.PHONY: charts
charts: env ## Lint and render the Helm charts, and hold them against the API server's schemas
	@$(BIN)/python -m voicehelper_e2e.charts

.PHONY: e2e
e2e: env ## Run the tests that need a Kubernetes, on the one that make cluster started (docs/cluster.md)
	@$(BIN)/python -m pytest -m cluster $(ARGS)

.PHONY: lint
lint: env ## Check format, lint, types and the direction of imports
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

.PHONY: format
format: env ## Format the code and fix what can be fixed
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

.PHONY: generate
generate: proto crds-yaml config-docs bench-docs ## Generate gRPC code, CRD YAML, the pages of settings and of benchmarks

.PHONY: proto
proto: env ## Generate the gRPC code from proto/
	@$(BIN)/python -m voicehelper_core.protogen

.PHONY: crds-yaml
crds-yaml: env ## Generate the CRD YAML from the models, and what the charts take over
	@$(BIN)/python -m voicehelper_crds.generate
	@cp examples/plans.yaml charts/voicehelper/files/plans.yaml

.PHONY: config-docs
config-docs: env ## Generate docs/configuration.md from the settings
	@$(BIN)/python -m voicehelper_embedded.config_docs

.PHONY: bench-docs
bench-docs: env ## Generate docs/benchmarks.md from bench/results.jsonl
	@$(BIN)/python -m voicehelper_bench.page

.PHONY: lock
lock: env ## Resolve the dependencies anew into requirements.lock
	@$(BIN)/uv pip compile pyproject.toml $(EXTRAS) --generate-hashes --universal --no-emit-index-url -p 3.11 -o requirements.lock
