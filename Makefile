# `make lab` opens the workbench; `make test` runs every check. Both install what they need into .venv first.
PYTHON ?= python3
EXTRA ?= $(shell nvidia-smi >/dev/null 2>&1 && echo gpu || echo cpu)
MODEL ?=
BIN := .venv/bin
UV := $(BIN)/uv

.PHONY: lab test lint unit notebooks nogpu torch browser execute screenshot samples clean

lab: .venv/lab-$(EXTRA)
	$(BIN)/workbench lab $(MODEL)

test: lint unit notebooks nogpu torch browser

lint: .venv/dev-$(EXTRA)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

unit: .venv/dev-$(EXTRA)
	$(BIN)/pytest -n auto --maxprocesses 4 --dist worksteal -m "not browser and not nogpu"

notebooks: .venv/dev-$(EXTRA)
	$(BIN)/pytest --nbval --nbval-current-env --nbval-cell-timeout=60 notebooks

# onnxruntime-gpu in an environment of its own, without CUDA's and TensorRT's libraries: nothing may run on the CPU instead.
# Without the package registry the tests are skipped; in CI they fail.
nogpu: .venv/dev-$(EXTRA)
	-$(MAKE) --no-print-directory .venv/nogpu/ready
	$(BIN)/pytest tests/test_nogpu.py

# PyTorch's CPU build, in an environment of its own; where pip knows of none, these tests are left out.
torch: .venv/dev-$(EXTRA)
	-$(MAKE) --no-print-directory .venv/torch/ready
	@test -e .venv/torch/ready || echo "No CPU build of PyTorch can be had here: its tests are left out."
	! test -e .venv/torch/ready || .venv/torch/bin/pytest tests/model/pytorch tests/runtime/test_torch_module.py tests/test_cli_survey.py

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

.venv/nogpu/ready: pyproject.toml .constraints.txt | .venv/bin/uv
	$(UV) venv --quiet --allow-existing --python $(BIN)/python .venv/nogpu
	$(UV) pip install --quiet --python .venv/nogpu --constraint .constraints.txt --editable . 'onnxruntime-gpu>=1.31,<1.32' sympy
	touch $@

# The CPU build is found where pip is told of it: --find-links or --extra-index-url in its configuration, or PIP_FIND_LINKS.
.venv/torch/ready: pyproject.toml .constraints.txt | .venv/bin/uv
	$(BIN)/python -m venv .venv/torch
	.venv/torch/bin/python -m pip install --quiet --only-binary :all: --no-deps 'torch==2.13.0+cpu'
	$(UV) pip install --quiet --python .venv/torch --constraint .constraints.txt --editable '.[cpu,torch,dev]'
	touch $@

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache
