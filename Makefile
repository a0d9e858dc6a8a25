# Every target sets up all it needs in .venv: only Python, make and a package index have to be there.
PYTHON ?= python3
BIN := .venv/bin
# Waiting OpenMP threads must not spin on shared machines; read when torch is first imported.
export OMP_WAIT_POLICY = passive

.PHONY: demo test lint bench clean

demo: .venv/installed
	$(BIN)/spatialfoley demo --out demo

test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

lint: .venv/installed
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/installed
	$(BIN)/python benchmarks/visage_decode.py
	$(BIN)/python benchmarks/world_render.py

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

clean:
	rm -rf .venv demo
