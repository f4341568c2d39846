# Everything Headrace's users and developers run. `make help` lists it.
SHELL := /bin/sh
CACHE := $(or $(HEADRACE_CACHE),$(HOME)/.cache/headrace)
UV := $(CACHE)/toolchain/uv-0.13.9/bin/uv
RUN := $(UV) run --no-sync
CLUSTER ?= local
REGISTRY ?=
export UV_PYTHON_DOWNLOADS := never

.DEFAULT_GOAL := help
.PHONY: help setup packages check format lint types rooms fast generate verify build up down status images e2e test demo

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Install the Python environment from the lock file
	@tests/toolchain.sh
	@$(UV) sync --quiet --frozen --all-packages --all-groups

check: setup format lint types rooms fast ## Format, lint, types, rooms and fast tests

format: setup
	@$(RUN) ruff format --check .

lint: setup
	@$(RUN) ruff check .

types: setup
	@$(RUN) mypy

rooms: setup
	@$(RUN) lint-imports --no-logo

fast: setup packages ## Tests that need no cluster
	@$(RUN) pytest -q -m "not slow and not apiserver and not cluster" -n 2

generate: setup ## Write the generated files: CRDs, dashboards, rules
	@$(RUN) headrace-operator crds --to charts/headrace-crds/templates
	@$(RUN) python -m dashboards.src

verify: generate ## Fail when a generated file is not what its source makes
	@git diff --exit-code -- charts dashboards || { echo "verify: run 'make generate' and commit the files above"; exit 1; }

packages: setup ## Install the Debian packages that cluster and tests use
	@$(RUN) python -m tests.cluster packages

build: setup ## Build Kubernetes and Helm (over ten minutes once, then cached)
	@$(RUN) python -m tests.cluster build

up: setup ## Bring the single-machine cluster up
	@$(RUN) python -m tests.cluster up

down: setup ## Take the cluster down and clean up
	@$(RUN) python -m tests.cluster down

status: setup ## Say what of the cluster runs
	@$(RUN) python -m tests.cluster status

images: setup ## Build the images (REGISTRY=host/path: and push them there)
	@$(RUN) python -m tests.cluster.images build $(if $(REGISTRY),--registry $(REGISTRY) --push)

e2e: setup packages ## Tests of real parts, then those on the cluster, which is brought up and left running
	@$(RUN) python -m tests.cluster build
	@$(RUN) pytest -q -m "(slow or apiserver) and not cluster" -n 2 --dist loadfile
	@$(RUN) python -m tests.cluster.images build
	@$(RUN) python -m tests.cluster up
	@$(RUN) pytest -q -m cluster

test: check ## Everything, on a machine where nothing is installed yet
	@tests/whole.sh

demo: setup ## A pipeline from row to effect, live (CLUSTER=current REGISTRY=host/path: on your own cluster)
	@$(RUN) python -m tests.demo --cluster $(CLUSTER) $(if $(REGISTRY),--registry $(REGISTRY))
