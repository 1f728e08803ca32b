# Needs only make and Python 3.11 to 3.13 with venv. PYTHON=... names another interpreter.
.DEFAULT_GOAL := help
.PHONY: demo test setup usrp-env lock clean help

EXTRAS := --extra dask --extra emulate --extra figures --extra pluto --extra recording
LOCK_FLAGS := --universal --python-version 3.11 --fork-strategy fewest $(EXTRAS) \
	--generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate

help: ## Say what each target does
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

setup: ## Make .venv from requirements.lock, with this checkout editable
	@PYTHON='$(PYTHON)' scripts/setup

usrp-env: ## Make .venv-usrp from requirements-usrp.lock: NumPy and Python as UHD needs them
	@scripts/setup usrp

demo: setup ## Locate the target of the example factory and draw it in demo.png
	.venv/bin/testbed localize examples/factory.yaml --seed 1 --figure demo.png

test: setup ## Install vendor software where possible, run every check (scripts/check STAGE: one)
	@ISAC_VENDOR_PROBLEM="$$(scripts/vendor)" scripts/check

lock: ## Resolve both locks again; UPGRADE=--upgrade takes newer releases
	@set -e; tools=$$(mktemp -d); trap 'rm -rf "$$tools"' EXIT; \
	$(or $(PYTHON),python3) -m venv "$$tools"; \
	"$$tools/bin/pip" install --quiet --disable-pip-version-check uv; \
	compile() { \
		"$$tools/bin/uv" pip compile --quiet pyproject.toml $(LOCK_FLAGS) $(UPGRADE) --group "$$1" -o "$$2" \
			--custom-compile-command "make lock   # uv pip compile pyproject.toml $(LOCK_FLAGS) --group $$1 -o $$2"; \
	}; \
	compile dev requirements.lock; \
	compile usrp requirements-usrp.lock

clean: ## Remove both environments, caches, build results and demo.png
	rm -rf .venv .venv-usrp build dist demo.png .coverage .hypothesis .import_linter_cache \
		.mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +
