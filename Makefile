# Everything Headrace's users and developers run. `make help` lists it.
SHELL := /bin/sh
CACHE := $(or $(HEADRACE_CACHE),$(HOME)/.cache/headrace)
UV := $(CACHE)/toolchain/uv-0.13.9/bin/uv
RUN := $(UV) run --no-sync
CLUSTER ?= local
REGISTRY ?=
export UV_PYTHON_DOWNLOADS := never
# The tests start thousands of Pythons, none of which is to compile everything anew.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup packages check format lint types rooms fast generate verify lint-charts build up down status images real lifecycle cluster faults soak bench-consumer bench-operator bench-relay e2e test demo

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Install the Python environment from the lock file
	@tests/toolchain.sh

check: setup format lint types rooms fast ## Format, lint, types, rooms and fast tests

format: setup
	@$(RUN) ruff format --check .

lint: setup
	@$(RUN) ruff check .

types: setup
	@$(RUN) mypy

rooms: setup
	@$(RUN) lint-imports --no-logo

fast: setup packages build ## Fast tests, which need no cluster
	@$(RUN) pytest -q -m "not slow and not apiserver and not cluster and not lifecycle and not sweep" -n 3

generate: setup ## Write the generated files: CRDs, JSON schemas, dashboards, rules
	@$(RUN) headrace-operator crds --to charts/headrace-crds/templates --schemas operator/schemas
	@$(RUN) python -m dashboards.src

verify: generate ## Fail when a generated file is not what its source makes
	@git --no-pager diff -- charts dashboards operator/schemas
	@changed=$$(git status --porcelain -- charts dashboards operator/schemas) && [ -z "$$changed" ] \
	  || { echo "$$changed"; echo "verify: run 'make generate' and commit the files above"; exit 1; }

lint-charts: setup build ## Judge the charts by kube-score and checkov, which it installs into the cache
	@$(RUN) python -m tests.charts.lint

packages: setup ## Install the Debian packages that cluster and tests use
	@$(RUN) python -m tests.cluster packages

build: setup ## Build Kubernetes and Helm (8 min the first time, then cached)
	@$(RUN) python -m tests.cluster build

up: setup ## Bring the single-machine cluster up
	@$(RUN) python -m tests.cluster up

down: setup ## Take the cluster down and clean up
	@$(RUN) python -m tests.cluster down

status: setup ## Say what of the cluster runs
	@$(RUN) python -m tests.cluster status

images: setup ## Build the images and print them as values of the chart (REGISTRY=host/path: and push them there)
	@$(RUN) python -m tests.cluster.images build $(if $(REGISTRY),--registry $(REGISTRY) --push)

real: setup packages build ## Tests of real parts, which need no cluster
	@$(RUN) pytest -q -m "(slow or apiserver) and not cluster and not sweep" -n 8 --dist worksteal

lifecycle: setup packages build ## Tests that bring the cluster up, kill it and take it down; not while it is up
	@$(RUN) pytest -q -m lifecycle

cluster: setup ## Tests on the cluster, which is up and has its images
	@$(RUN) pytest -q -m cluster

faults: setup packages build ## The sweeps of faults of which make test has samples (long)
	@$(RUN) pytest -q -m sweep -n 4 --dist worksteal

soak: setup ## Long runs: a target that is away for minutes (15 min); after make demo, a steady load on the cluster (20 min)
	@$(RUN) pytest -q -s tests/runtime/soak.py tests/runtime/relay/soak.py tests/e2e/soak.py

bench-consumer: setup ## The runtime beside its peers (45 min; CASES="noop wait" RECORDS=20000 ROUNDS=1: less of it)
	@$(RUN) python -m tests.bench.consumer $(CASES) $(if $(RECORDS),--records $(RECORDS)) $(if $(ROUNDS),--rounds $(ROUNDS))

bench-operator: setup build ## How much one operator looks after (2 h; CASES="crowd kills" SIZE=100 REST=60 KILLS=2: less of it)
	@$(RUN) python -m tests.bench.operator $(CASES) $(if $(SIZE),--size $(SIZE)) $(if $(REST),--rest $(REST)) \
	  $(if $(KILLS),--kills $(KILLS)) $(if $(SHARDS),--shards $(SHARDS))

bench-relay: setup packages build ## The relay beside a bare SELECT, produce and UPDATE loop (5 min; CASES=PostgreSQL ROUNDS=1: less of it)
	@$(RUN) python -m tests.bench.relay $(CASES) $(if $(ROWS),--rows $(ROWS)) $(if $(ROUNDS),--rounds $(ROUNDS))

e2e: build real lifecycle images up cluster ## The slow tests and those on the cluster, which is brought up and left running

test: ## Everything, on a machine where nothing is installed yet; says how long each part took
	@tests/whole.sh check build beside:real lifecycle images up cluster

demo: setup ## A pipeline from row to effect, live (CLUSTER=current REGISTRY=host/path: on your own cluster)
	@$(RUN) python -m tests.demo --cluster $(CLUSTER) $(if $(REGISTRY),--registry $(REGISTRY))
