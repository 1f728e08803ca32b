# Needs only make and Python 3.11 to 3.13 with venv. PYTHON=... names another interpreter.
.DEFAULT_GOAL := help
.PHONY: demo test setup lock clean help

LOCK_FLAGS := --universal --python-version 3.11 --fork-strategy fewest --extra figures --extra recording --group dev \
	--generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate

help: ## Say what each target does
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

setup: ## Make .venv from requirements.lock, with this checkout editable
	@PYTHON='$(PYTHON)' scripts/setup

demo: setup ## Locate the target of the example factory and draw it in demo.png
	.venv/bin/testbed localize examples/factory.yaml --seed 1 --figure demo.png

test: setup ## Run every check (scripts/check STAGE runs one)
	@scripts/check

lock: ## Resolve requirements.lock again; UPGRADE=--upgrade takes newer releases
	@set -e; tools=$$(mktemp -d); trap 'rm -rf "$$tools"' EXIT; \
	$(or $(PYTHON),python3) -m venv "$$tools"; \
	"$$tools/bin/pip" install --quiet --disable-pip-version-check uv; \
	"$$tools/bin/uv" pip compile --quiet pyproject.toml $(LOCK_FLAGS) $(UPGRADE) \
		--custom-compile-command "make lock   # uv pip compile pyproject.toml $(LOCK_FLAGS) -o requirements.lock" \
		-o requirements.lock

clean: ## Remove .venv, caches, build results and demo.png
	rm -rf .venv build dist demo.png .coverage .hypothesis .import_linter_cache \
		.mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +
