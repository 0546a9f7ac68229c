# Needs make and Python 3.11 (or uv). Every target sets up what it needs first, and only once.
BIN := .venv/bin
READY := .venv/.ready
API := dist/api
# Two files at a time: what tests wait for is mostly not the processor.
PYTEST := $(BIN)/pytest -q --numprocesses 2 --dist loadfile --no-loadscope-reorder
# These follow a reader, word for word; all others ask the code.
SHOWN := $(patsubst %,tests/integration/test_%.py,docs examples notebook readme)
# Half of the time that all tests take: streams and refreshes that die, jobs on clusters, photographs that leave.
LONG := tests/chaos $(patsubst %,tests/integration/test_%.py,artefacts broadcast_script cluster doctor expiry forget forget_versions hash_keys rebuild)
ON_CLUSTER := stream crash queue_stream clean_stream reprocess changeover rebuild upkeep refresh fruits360 artefacts

.DEFAULT_GOAL := help
.PHONY: help setup demo docs api notebook audit sbom lint check check-deploy test test-long examples chaos cluster pictures clean

help: ## List what there is to run.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' Makefile

setup: $(READY) ## Python packages, Java and the jars, on this machine.
	@$(BIN)/python -m scripts.setup

demo: $(READY) ## From a few photographs to reduced vectors, on this machine.
	@$(BIN)/fruits demo

notebook: $(READY) ## The notebook, run from its script and written anew; two minutes.
	@$(BIN)/python -m notebooks.build

docs: $(READY) ## docs/cli.md, docs/licences.md and the tables of docs/emr_setup.md, as they are made.
	@$(BIN)/python -m scripts.reference
	@$(BIN)/python -m scripts.supply.licences
	@$(BIN)/python -m scripts.costs

api: $(READY) ## The Python API's pages, from the docstrings, in dist/api.
	@PDOC_ALLOW_EXEC=1 $(BIN)/pdoc --docformat numpy --output-directory $(API) conf streaming batch '!streaming.readers'

audit: $(READY) ## Known vulnerabilities of the locked packages, where a source of advisories can be asked.
	@$(BIN)/python -m scripts.supply.advisories

sbom: $(READY) ## The bill of materials, dist/fruits.cdx.json: packages, and jars with their sha256.
	@$(BIN)/python -m scripts.supply.bom

lint: $(READY) ## Lint, format and types.
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

check: lint ## The same, and the tests that take seconds.
	@$(BIN)/pytest -q tests/unit

check-deploy: $(READY) ## What cfn-lint and checkov say of the CloudFormation template; needs no AWS account.
	@sh deploy/check.sh

test: $(READY) ## Tests of the code: unit, property, integration; all but those of the two targets below.
	@$(PYTEST) $(addprefix --ignore=,$(SHOWN) $(LONG)) tests/integration tests/property tests/unit

test-long: $(READY) ## Those that take longest: deaths, clusters, archives, and photographs that leave.
	@$(PYTEST) $(LONG)

examples: $(READY) ## What README, docs, the help and the notebook show, run as their reader would.
	@$(PYTEST) $(SHOWN)

chaos: $(READY) ## The stream killed, starved and lied to, again and again; about two hours.
	@$(BIN)/pytest -q tests/chaos --rounds 100

cluster: $(READY) ## The tests with Spark once more, on a standalone cluster of two workers; about twenty minutes.
	@$(BIN)/pytest -q --cluster $(addprefix tests/integration/test_,$(addsuffix .py,$(ON_CLUSTER)))

pictures: $(READY) ## Draw the documentation's pictures anew; needs Chromium.
	@$(BIN)/python -m docs.pictures

clean: ## Remove what setup and the tools made here. Your data in .fruits stays.
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis dist spark-warehouse metastore_db derby.log
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): requirements.lock requirements-bootstrap.lock pyproject.toml conf/jars.txt scripts/bootstrap.sh scripts/setup.py
	@sh scripts/bootstrap.sh
	@$(BIN)/python -m scripts.setup
	@touch $@
