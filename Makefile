# Everything runs from .venv, made on first use from pyproject.toml and constraints.txt.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
READY = $(VENV)/.ready

export HF_HUB_OFFLINE = 1

.PHONY: accelerators demo test test-thorough coverage dist test-dist parity browser bench lint docs verify fuzz clean

# The version is in collapse_jax/__init__.py; installing again lets pip report it.
$(READY): pyproject.toml constraints.txt collapse_jax/__init__.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .[test]
	touch $@

# The main job on real input: the paper's Gaussian figure, the words of a real text, and how many
# of its rows keep the rare ones.
demo: $(READY)
	$(BIN)/collapse run gaussian --out runs/demo/gaussian --overwrite
	$(BIN)/collapse run discrete --out runs/demo/discrete --overwrite
	rm -rf runs/demo/plan
	$(BIN)/collapse plan words --rows 20000 --generations 3 --keep rare:0.001 --at-least 0.3 \
		--out runs/demo/plan
	@echo "reports: runs/demo/gaussian/report.html runs/demo/discrete/report.html" \
		"runs/demo/plan/report.html"

# The table of speed, and how times grow; BENCH_OUT=docs/benchmarks writes what the docs show.
BENCH_OUT ?= runs/benchmarks
bench: $(READY)
	@status=0; for one in table growth; do \
		$(BIN)/python benchmarks/$$one.py --out $(BENCH_OUT) || status=1; \
	done; exit $$status

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist worksteal -q

# The tests marked `thorough`, which take longest to compile.
test-thorough: $(READY)
	$(BIN)/python -m pytest -n 2 --dist worksteal -q -m "thorough and not slow"

# The tests of `make test`, and which lines of the package they run; below 90 % it fails.
coverage: $(READY)
	$(BIN)/python -m pytest -n 2 --dist worksteal -q --cov --cov-report=term

# A wheel and a source distribution, in dist/.
dist: $(READY)
	rm -rf dist
	$(BIN)/python -m build

# The wheel in an empty environment of PYTHON: a user's program, its types, and the unit tests.
test-dist: dist
	$(PYTHON) tests/packaging/installed.py dist/*.whl

# Networks against PyTorch, whose small build for CPUs exists for Python 3.11.
parity: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .[test,parity]
	@if $(BIN)/python -c "import torch" 2> /dev/null; then \
		$(BIN)/python -m pytest -q tests/parity; \
	else echo "make parity needs Python 3.11 (make PYTHON=python3.11 VENV=.venv-3.11 parity)"; fi

# Every kind of chain, compiled for TPU and GPU by their own compilers; no device is needed. They
# have an environment of their own. LANE=short is a few chains for TPU.
ACCELERATORS = .venv-accelerators
LANE ?= full
accelerators:
	$(MAKE) VENV=$(ACCELERATORS) $(ACCELERATORS)/.ready
	$(ACCELERATORS)/bin/python -m pip install --quiet --disable-pip-version-check \
		-c constraints.txt -e .[test,$(if $(filter short,$(LANE)),tpu,accelerators)]
	JAX_PLATFORMS=cpu $(ACCELERATORS)/bin/python -m pytest -n 2 --dist worksteal -q \
		-m "accelerator$(if $(filter short,$(LANE)), and not slow)" tests/accelerators

# The pages in headless Chromium, which the system provides; AXE_CORE may name the file axe.min.js
# of the npm package axe-core, for its rules of accessibility.
browser: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .[test,browser]
	$(BIN)/python -m pytest -q -rs tests/report tests/explorer

# The thorough tests, and half an hour or more of simulation, too long for every change.
verify: $(READY)
	$(BIN)/python -m pytest -n 2 --dist worksteal -q -m "(slow or thorough) and not accelerator"
	$(BIN)/collapse verify --lane full --out runs/verify
	$(BIN)/python tests/crash/kill.py --times 200

# Random tables, images, texts and command lines, until time is up.
MINUTES ?= 20
fuzz: $(READY)
	$(BIN)/python tests/fuzz/inputs.py --minutes $(MINUTES)

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright

# The pages are programs and run every time; a warning is an error.
docs: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .[docs]
	$(BIN)/python -m sphinx -q -E -W --keep-going -b html docs build/docs
	@echo "documentation: build/docs/index.html"

clean:
	rm -rf $(VENV) $(ACCELERATORS) build dist *.egg-info runs .coverage*
