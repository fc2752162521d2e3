# `make lab` opens the workbench; `make test` runs every check. Both install what they need into .venv first.
PYTHON ?= python3
EXTRA ?= $(shell nvidia-smi >/dev/null 2>&1 && echo gpu || echo cpu)
MODEL ?=
BIN := .venv/bin
UV := $(BIN)/uv

.PHONY: lab test lint unit notebooks browser execute screenshot samples clean

lab: .venv/lab-$(EXTRA)
	$(BIN)/workbench lab $(MODEL)

test: lint unit notebooks browser

lint: .venv/dev-$(EXTRA)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

unit: .venv/dev-$(EXTRA)
	$(BIN)/pytest -m "not browser"

notebooks: .venv/dev-$(EXTRA)
	$(BIN)/pytest --nbval --nbval-current-env --nbval-cell-timeout=60 notebooks

# These need Chromium (Debian: apt-get install chromium).
browser: .venv/dev-$(EXTRA)
	$(BIN)/pytest -m browser

# The notebooks, executed anew and kept without the state of their widgets; commit the result.
execute: .venv/dev-$(EXTRA)
	$(BIN)/jupyter nbconvert --to notebook --execute --inplace --ExecutePreprocessor.store_widget_state=False \
	    --ExecutePreprocessor.record_timing=False notebooks/*.ipynb

# The picture in the README: the Placement tab on the detector, in real JupyterLab.
screenshot: .venv/dev-$(EXTRA)
	$(BIN)/python -m tests.screenshot notebooks/workbench.png

# The sample models, made anew; they are committed, so this is rarely needed.
samples: .venv/dev-$(EXTRA)
	$(BIN)/python -m workbench.samples.make

.venv/bin/uv:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet uv

.venv/lab-%: pyproject.toml .constraints.txt | .venv/bin/uv
	$(UV) pip install --quiet --python .venv --constraint .constraints.txt --editable '.[$*]'
	touch $@

.venv/dev-%: pyproject.toml .constraints.txt | .venv/bin/uv
	$(UV) pip install --quiet --python .venv --constraint .constraints.txt --editable '.[$*,dev]'
	touch $@

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache
