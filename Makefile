# `make` alone lists the chores. They need Python 3.11 or newer and make; .venv gets everything else.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
PORT ?= 8080
DATA ?= ./tertulia-data
ARGS ?=

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PINS := pyproject.toml constraints.txt

.DEFAULT_GOAL := help
.PHONY: help run migrate test sdk-parts terminal-parts channel-parts chat-screens check format sizes docs bench unverified clean

help: ## List the chores
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)$$/\1 \2/p' $(MAKEFILE_LIST) | while read -r chore text; do printf '  make %-12s %s\n' "$$chore" "$$text"; done

run: .venv/.ready-to-run ## Start the server on port 8080 with its data under ./tertulia-data (PORT=, DATA=)
	@exec $(BIN)/tertulia serve --port $(PORT) --data $(DATA)

migrate: .venv/.ready-to-run ## Bring the database under ./tertulia-data up to date (DATA=)
	@$(BIN)/tertulia migrate --data $(DATA)

test: .venv/.ready-to-work sdk-parts terminal-parts channel-parts ## Run all tests, or some: make test ARGS="tests/unit -k settings"
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest $(if $(ARGS),$(ARGS),--numprocesses 2 --dist loadfile)

sdk-parts: .venv/.ready-to-work ## Bring Node, its packages and Chromium for the tests of the official SDKs, as far as possible
	@tools/sdk-parts.sh

terminal-parts: ## Bring tmux for the tests of the chat, as far as possible
	@tools/terminal-parts.sh

channel-parts: ## Bring Kannel for the tests of its channel, as far as possible
	@tools/channel-parts.sh

chat-screens: .venv/.ready-to-work ## Draw the pictures of docs/chat.md anew
	@$(BIN)/python -m tools.chat_screens

check: .venv/.ready-to-work sizes ## Check format, lint, types, import contracts, file sizes and generated pages
	@$(BIN)/ruff format --check --quiet . || { echo 'make format puts the format right'; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python -m tools.reference_pages --check

format: .venv/.ready-to-work ## Format the code and mend what lint can mend
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .

sizes: .venv/.ready-to-work ## Fail when a source file has more than 500 lines
	@$(BIN)/python tools/sizes.py

docs: .venv/.ready-to-work ## Write the generated pages of docs/ anew
	@$(BIN)/python -m tools.reference_pages

bench: .venv/.ready-to-work ## Measure; each scenario prints one line of JSON (ARGS= chooses)
	@$(BIN)/python -m bench $(ARGS)

unverified: ## List behaviour we decided without proof
	@grep -rn --include='*.py' UNVERIFIED src || echo 'none'

clean: ## Remove what the chores made, except data
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis tests/sdks/node_modules
	find src tests tools -name __pycache__ -type d -prune -exec rm -rf {} +

# The build backend is pinned like everything else, so it is installed first and used in place.
.venv/.ready-to-run: $(PINS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'Tertulia needs Python 3.11 or newer: make PYTHON=/path/to/python3'; exit 1; }
	@echo 'Installing into .venv ...'
	@$(PYTHON) -m venv .venv
	@$(PIP) install -c constraints.txt hatchling editables
	@$(PIP) install -c constraints.txt --no-build-isolation --editable '.[server]'
	@touch $@

.venv/.ready-to-work: .venv/.ready-to-run
	@$(PIP) install -c constraints.txt --no-build-isolation --editable '.[server,test,check]'
	@touch $@
